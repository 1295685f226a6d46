"""From a file to a suite: look at it, time a training, and write what fits a budget."""
