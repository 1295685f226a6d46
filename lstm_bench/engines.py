"""The code that may compute a training's LSTMs, by name; needs none of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Literal

from lstm_bench.errors import SuiteError

STOCK, PACKED = "stock", "packed"
Wanted = Literal["auto", "stock", "packed"]
"""What a suite may ask for: Keras's own LSTM, the packed one (`lstm_bench.packed`), or
the packed one wherever it can run."""

NO_NUMBA = "Numba is not installed (pip install -e '.[fast]' in the checkout brings it)"


def join_engines(names: Iterable[str]) -> str:
    """Return one text of the engines that a training used, in order: "stock+packed"."""
    return "+".join(dict.fromkeys(names))


def split_engines(text: str) -> list[str]:
    """Return the engines that `join_engines` made `text` of."""
    return text.split("+")


def has_numba() -> bool:
    """Whether the packed engine's compiler is installed."""
    return importlib.util.find_spec("numba") is not None


def require_engine(wanted: Wanted) -> None:
    """Refuse a suite's engine early where it cannot run, before anything is begun.

    Raises
    ------
    SuiteError
        The suite asks for the packed engine, and Numba is not installed.
    """
    if wanted == PACKED and not has_numba():
        raise impossible(NO_NUMBA)


def impossible(reason: str) -> SuiteError:
    """Return the error of a suite whose ``engine: packed`` cannot run."""
    return SuiteError(
        f"engine: packed cannot run here: {reason}; use engine: auto, which takes "
        "Keras's own LSTM then"
    )
