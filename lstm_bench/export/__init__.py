"""Export of a trained model: Keras, ONNX, SavedModel, MLflow."""
