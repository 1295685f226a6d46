"""Errors a user can cause; everything else is a defect and keeps its traceback."""

import reprlib
from collections.abc import Iterable
from typing import Any

from lstm_bench.masking import mask_text

MAX_QUOTED = 100
MAX_LISTED = 20
MAX_MESSAGE = 1800


class LstmBenchError(Exception):
    """Base of the errors that end a command with one message and exit code 2.

    The message says where, what was expected, what came and what to do; passwords
    in it are masked.
    """

    def __str__(self) -> str:
        """Return the message without passwords."""
        return mask_text(super().__str__())


class SuiteError(LstmBenchError):
    """A suite file, or an override of it, is not valid."""


class DatasetError(LstmBenchError):
    """A dataset is missing, damaged or not what it claims to be."""


class ModelError(LstmBenchError):
    """A model file is damaged, too large, or would run code of its own."""


class TrackingError(LstmBenchError):
    """The MLflow or Optuna store cannot be reached, read or written."""


class StoredError(TrackingError):
    """A run, a trial or a file of a store is not what this program writes there."""


class OutputError(LstmBenchError):
    """A file or folder that the command should write cannot be written."""


class PublishError(LstmBenchError):
    """A study, or a file about it, is not fit to be published."""


class TrialFailed(LstmBenchError):
    """One training failed in a way that the sweep expects; the sweep goes on.

    Non-finite loss or memory exhausted. The message is the run's
    ``failure_reason``.
    """


class TrialTaken(LstmBenchError):
    """Another process has taken a training over: this one had not been heard of."""


class TrialPruned(LstmBenchError):
    """One training was stopped early because its curve does not look promising."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, 300 characters at most."""
    return (str(error).splitlines() or ["no details"])[0][:300]


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = MAX_QUOTED
_repr.maxlist = _repr.maxtuple = _repr.maxdict = 6
_repr.maxlevel = 2


def quoted(value: Any) -> str:
    """Return the repr of a value that somebody gave, shortened where it is long."""
    return _repr.repr(value)


def shortened(text: str, length: int = MAX_QUOTED) -> str:
    """Return `text` without its middle, where it is longer than `length`."""
    if len(text) <= length:
        return text
    n_tail = length // 3
    return f"{text[: length - n_tail]} [...] {text[-n_tail:]}"


def listed(names: Iterable[str], separator: str = ", ") -> str:
    """Return the first names, separated, and how many more there are."""
    every = list(names)
    shown = [shortened(name) for name in every[:MAX_LISTED]]
    n_more = len(every) - len(shown)
    return separator.join(shown) + (f" and {n_more:,} more" if n_more else "")
