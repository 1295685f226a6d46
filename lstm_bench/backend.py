"""Keras on TensorFlow, imported without their chatter; everyone imports them here."""

from __future__ import annotations

import os

from lstm_bench.errors import LstmBenchError
from lstm_bench.quiet import quiet_stderr
from lstm_bench.threads import VARIABLE, n_threads

# Read when TensorFlow and Keras are imported: Keras may otherwise start on
# another backend than the training loop is written for.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

with quiet_stderr():
    import keras
    import tensorflow as tf

if os.environ.get(VARIABLE):
    # Before TensorFlow runs anything; a worker has its share of the cores.
    tf.config.threading.set_intra_op_parallelism_threads(n_threads())
    tf.config.threading.set_inter_op_parallelism_threads(n_threads())

if keras.backend.backend() != "tensorflow":
    raise LstmBenchError(
        f"KERAS_BACKEND: expected tensorflow, got {keras.backend.backend()}; "
        "unset the variable"
    )

__all__ = ["keras", "tf"]
