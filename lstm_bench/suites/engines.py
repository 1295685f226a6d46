"""Names of the engines that can compute recurrent layers; imports neither."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from lstm_bench.errors import SuiteError

STOCK, PACKED = "stock", "packed"
EngineName = Literal["auto", "stock", "packed"]
"""Values of ``engine:`` in a suite: Keras's own layers, the packed engine
(`lstm_bench.packed`), or the packed one wherever it can run."""


TAKES_STOCK = "engine: Keras's own layers, since "
"""Begins the message when `engine: auto` selects Keras's; the reason follows."""


def join_engines(names: Iterable[str]) -> str:
    """Return the engines that a training used as one text, in order: "stock+packed"."""
    return "+".join(dict.fromkeys(names))


def split_engines(text: str) -> list[str]:
    """Return the engines in a text from `join_engines`."""
    return text.split("+")


def impossible(reason: str) -> SuiteError:
    """Return the error for a suite whose ``engine: packed`` cannot run."""
    return SuiteError(
        f"engine: packed cannot run here: {reason}; use engine: auto, which takes "
        "Keras's own layers then"
    )
