"""The number of threads per process, so that workers share the cores."""

from __future__ import annotations

import os

from lstm_bench.errors import LstmBenchError
from lstm_bench.text import quoted

VARIABLE = "LSTM_BENCH_THREADS"
LENT_VARIABLE = "LSTM_BENCH_LENT_THREADS"
# Far more than cores; TensorFlow fails at numbers beyond int32.
MOST = 1024
# Read when NumPy's BLAS and OpenMP are loaded.
LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def n_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_variables(n: int) -> dict[str, str]:
    """Return the environment variables of a process that may use `n` threads.

    `lstm_bench.models.backend` applies it to TensorFlow, within and between operations.
    """
    return {name: str(n) for name in (VARIABLE, *LIBRARIES)}


def n_threads() -> int:
    """Return the number that the environment sets, else the number of cores.

    Raises
    ------
    LstmBenchError
        The variable is not a valid number of threads.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        return n_cores()
    is_short = value.isdecimal() and len(value) <= len(str(MOST))
    if not is_short or not 1 <= int(value) <= MOST:
        raise LstmBenchError(
            f"{VARIABLE}: expected a whole number from 1 to {MOST}, got "
            f"{quoted(value)}; unset it for all cores"
        )
    return int(value)


def lend_threads(n: int) -> None:
    """Let this process's kernel use `n` additional threads until the next call.

    They are those of workers that have ended. TensorFlow's number is fixed when it
    starts, and Keras's own LSTM would gain nothing.
    """
    os.environ[LENT_VARIABLE] = str(n)


def n_kernel_threads() -> int:
    """Return `n_threads` plus the threads lent to this process.

    The number changes no result of the kernel, which divides its work into the same
    parts for any number.
    """
    return n_threads() + int(os.environ.get(LENT_VARIABLE, "0"))
