"""The Keras model of a configuration: encoding, layers, head, backend."""
