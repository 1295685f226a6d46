"""How many threads one process may use, so that workers share the cores."""

from __future__ import annotations

import os

from lstm_bench.errors import LstmBenchError
from lstm_bench.text import quoted

VARIABLE = "LSTM_BENCH_THREADS"
LENT_VARIABLE = "LSTM_BENCH_LENT_THREADS"
# Far more than cores; TensorFlow fails at numbers that no int32 holds.
MOST = 1024
# Read by NumPy's BLAS and by OpenMP when they are loaded.
LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def n_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_variables(n: int) -> dict[str, str]:
    """Return the environment of a process that may use `n` threads.

    `lstm_bench.models.backend` sets it in TensorFlow, for operations and within them.
    """
    return {name: str(n) for name in (VARIABLE, *LIBRARIES)}


def n_threads() -> int:
    """Return the number that the environment sets, else the number of cores.

    Raises
    ------
    LstmBenchError
        The variable is no number of threads.
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
    """Let this process's kernel use `n` threads beside its own, until the next call.

    They are of workers that have left. TensorFlow's number is settled when it starts,
    and Keras's own LSTM gains nothing.
    """
    os.environ[LENT_VARIABLE] = str(n)


def n_kernel_threads() -> int:
    """Return `n_threads`, and those that are lent to this process.

    How many there are changes no result of the kernel, which deals its work out in the
    same parts to any number.
    """
    return n_threads() + int(os.environ.get(LENT_VARIABLE, "0"))
