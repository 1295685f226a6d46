"""Check without TensorFlow whether Numba runs the kernel on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lstm_bench.arrays import Float32Array
from lstm_bench.suites.engines import PACKED, EngineName, impossible
from lstm_bench.text import first_line

NO_NUMBA = "Numba is not installed (pip install -e '.[fast]' in the checkout brings it)"

CUT_OFF = ("EOFError", "UnpicklingError")
"""Raised by Numba if a file of its cache is damaged. Names, so that no module that
unpickles is imported here."""


def has_numba() -> bool:
    """Whether the packed engine's compiler is installed."""
    return importlib.util.find_spec("numba") is not None


def require_running(wanted: EngineName, say: Callable[[str], None]) -> None:
    """Reject an engine that Numba cannot run, before anything is started.

    Raises
    ------
    SuiteError
        The packed engine is requested, but Numba is missing or cannot run it.
    """
    if wanted == PACKED and (reason := why_not_running(say)) is not None:
        raise impossible(reason)


def why_not_running(say: Callable[[str], None]) -> str | None:
    """Compile the kernel and run it once; return why it cannot run, or None.

    Parameters
    ----------
    say : callable
        Called with a message if the kernel has to be compiled.
    """
    if not has_numba():
        return NO_NUMBA
    try:
        from lstm_bench.packed.kernel import compile_kernel

        compile_kernel(say)
        _run_kernel()
    except Exception as error:
        # A compiler that does not fit NumPy, the processor or its own settings may
        # raise anything. The message has the error, and `packed` is rejected with it.
        return does_not_run(error)
    return None


def does_not_run(error: Exception) -> str:
    """Return the reason in `error`, with advice where there is any."""
    reason = f"{type(error).__name__}: {first_line(error)}"
    if "no locator" in reason:
        reason += "; NUMBA_CACHE_DIR names a folder that it may write to"
    elif type(error).__name__ in CUT_OFF:
        reason += (
            "; what it kept is damaged: remove *.nbi and *.nbc from "
            f"{Path(__file__).parent / '__pycache__'}, or from below the folder "
            "that NUMBA_CACHE_DIR names"
        )
    return f"Numba does not run it here ({reason})"


def _run_kernel() -> None:
    """Run the kernel once without TensorFlow, which hides Numba's messages."""
    from lstm_bench.packed.recurrence import Recurrence
    from lstm_bench.packed.team import Team

    def zeros(*shape: int) -> Float32Array:
        return np.zeros(shape, np.float32)

    weights = (zeros(1, 4), zeros(4), zeros(1, 4))
    masks = (zeros(0, 0, 0), zeros(0, 0, 0))
    first, one = np.zeros(1, np.int32), np.ones(1, np.int32)
    Recurrence(Team(lambda: 1), "lstm").forward(
        zeros(1, 1),
        *weights,
        *masks,
        ids=first,
        index=first,
        source=first,
        output_index=first,
        review=first,
        order=first,
        lengths=one,
        has_table=True,
        returns_sequences=False,
        is_kept=False,
    )
