"""The names of what may compute a training's LSTMs; imports neither."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from lstm_bench.errors import SuiteError

STOCK, PACKED = "stock", "packed"
EngineName = Literal["auto", "stock", "packed"]
"""What a suite may ask for: Keras's own LSTM, the packed one (`lstm_bench.packed`), or
the packed one wherever it can run."""


TAKES_STOCK = "engine: Keras's own LSTM, since "
"""Begins the message of engine: auto when it uses Keras's LSTM; a reason follows."""


def join_engines(names: Iterable[str]) -> str:
    """Return one text of the engines that a training used, in order: "stock+packed"."""
    return "+".join(dict.fromkeys(names))


def split_engines(text: str) -> list[str]:
    """Return the engines that `join_engines` made `text` of."""
    return text.split("+")


def impossible(reason: str) -> SuiteError:
    """Return the error of a suite whose ``engine: packed`` cannot run."""
    return SuiteError(
        f"engine: packed cannot run here: {reason}; use engine: auto, which takes "
        "Keras's own LSTM then"
    )
