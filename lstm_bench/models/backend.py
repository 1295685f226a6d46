"""Keras on TensorFlow, without their chatter and as set here; all import them here."""

from __future__ import annotations

import os
import tempfile

from lstm_bench.errors import LstmBenchError
from lstm_bench.system.console import quiet_stderr
from lstm_bench.system.threads import VARIABLE, n_threads
from lstm_bench.system.variables import variables_set

# Read when TensorFlow and Keras are imported: Keras may otherwise start on
# another backend than the training loop is written for.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

with (
    quiet_stderr(),
    # No keras.json of the user's is read, which may set anything, and none is made.
    tempfile.TemporaryDirectory() as empty,
    variables_set({"KERAS_HOME": empty}),
):
    import keras
    import tensorflow as tf

# Where something else has imported Keras before.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
keras.config.set_dtype_policy("float32")

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
