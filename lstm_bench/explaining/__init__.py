"""What a trained model does with one example, step by step and word by word."""
