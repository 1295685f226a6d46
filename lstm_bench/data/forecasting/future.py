"""The times after those of a file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
# How dates are written, and how they are read: pandas takes 19580329 for nanoseconds.
_WRITTEN = {
    r"\d{8}": "%Y%m%d",
    r"\d{4}-\d{2}": "%Y-%m",
    r"\d{4}-\d{2}-\d{2}": "%Y-%m-%d",
}


def times_from(times: Sequence[str], first: int, n: int) -> list[str]:
    """Return the times at `n` positions, beyond the last one in the same distances.

    Dates continue at the frequency that pandas infers, such as the ends of months, and
    uneven ones at their median distance; so do numbers.

    Parameters
    ----------
    times : sequence of str
        The time of each position from 0 on, ascending: numbers or ISO dates.
    first : int
        From 1 to ``len(times)``.

    Examples
    --------
    >>> times_from(["2024-01-31", "2024-02-29", "2024-03-31"], 2, 3)
    ['2024-03-31', '2024-04-30', '2024-05-31']
    >>> times_from(["20240106", "20240113", "20240120"], 3, 2)
    ['20240127', '20240203']
    >>> times_from(["1", "2", "3"], 3, 2)
    ['4', '5']
    """
    given = list(times[first : first + n])
    return given + _after(times, n - len(given))


def _after(times: Sequence[str], n: int) -> list[str]:
    written = next((f for p, f in _WRITTEN.items() if _all(p, times)), None)
    if written is None and _all(_NUMBER, times):
        numbers = [float(time) for time in times]
        step = float(np.median(np.diff(numbers))) if len(times) > 1 else 1.0
        return [f"{numbers[-1] + k * step:.12g}" for k in range(1, n + 1)]
    try:
        index = pd.DatetimeIndex(pd.to_datetime([*times], format=written or "ISO8601"))
    except ValueError:
        # Of several time zones, or 8 digits that are no date.
        if written == "%Y%m%d":
            return [str(int(times[-1]) + k) for k in range(1, n + 1)]
        index = pd.DatetimeIndex(pd.to_datetime([*times], format="ISO8601", utc=True))
    with warnings.catch_warnings():
        # The next version returns an object, which date_range takes as well.
        warnings.filterwarnings("ignore", ".*BaseOffset object")
        frequency = pd.infer_freq(index) if len(index) > 2 else None
    step_between = pd.Series(index).diff().median() if len(index) > 1 else "D"
    later = pd.date_range(index[-1], periods=n + 1, freq=frequency or step_between)[1:]
    if written is not None:
        return [*later.strftime(written)]
    separator = "T" if "T" in times[-1] else " "
    return [moment.isoformat(separator) for moment in later]


def _all(pattern: str | re.Pattern[str], times: Sequence[str]) -> bool:
    return all(re.fullmatch(pattern, time) for time in times)
