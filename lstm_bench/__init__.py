"""Find out which LSTM to use on your sequences, and believe the answer."""

__version__ = "0.1.0"
