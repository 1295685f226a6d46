"""One training: prepare data, fit, evaluate; checkpoints; the baselines."""
