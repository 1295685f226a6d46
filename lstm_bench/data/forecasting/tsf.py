"""The ``.tsf`` format of the Monash forecasting archive.

Comments begin with ``#``, the header's keys with ``@``; after ``@data`` each line is a
series: its attributes, separated by colons, then its values, separated by commas, ``?``
where missing.

References
----------
Godahewa et al., "Monash time series forecasting archive", NeurIPS 2021.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lstm_bench.data.files.bad_rows import NOT_UTF8, BadRows
from lstm_bench.data.files.examples import NO_NUMBER
from lstm_bench.data.files.streams import has_other_bytes, lines, other_bytes
from lstm_bench.data.forecasting.series import Series, value_of
from lstm_bench.errors import DatasetError
from lstm_bench.text import quoted, shortened

SECONDS = {
    "4_seconds": 4,
    "minutely": 60,
    "10_minutes": 600,
    "half_hourly": 1800,
    "hourly": 3600,
    "daily": 86_400,
    "weekly": 604_800,
}
MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}
OTHER_ATTRIBUTES = "another number of attributes than the header has"
NO_START = "no start time: expected YYYY-MM-DD hh-mm-ss"
NO_VALUES = "a series without values"


Fault = tuple[str, str]
_Found = tuple[str, int | None, list[float]]
"""Name, position of the start if it is known, and values of a series."""


def read_tsf(
    path: Path, on_bad_rows: Literal["error", "drop"]
) -> tuple[tuple[Series, ...], tuple[str, ...], dict[str, Any]]:
    """Return the series of a ``.tsf`` file, the times, and what was read.

    Series with a start time, in a file with a known frequency, are aligned by time;
    others by their last values.

    Raises
    ------
    DatasetError
        The file cannot be read, has no header, or has bad lines.
    """
    attributes: list[str] = []
    frequency, in_data = "", False
    found: list[_Found] = []
    bad = BadRows(on_bad_rows)
    for line_number, line in enumerate(lines(path), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if not in_data:
            if not content.startswith("@"):
                raise DatasetError(
                    f"{path}: line {line_number}: expected a header (@attribute, "
                    "@frequency, @data) before the first series, got "
                    f"{shortened(content)!r}; add it, or give the format"
                )
            key, *values = content[1:].split()
            if key.casefold() == "attribute" and values:
                attributes.append(values[0])
            elif key.casefold() == "frequency" and values:
                frequency = values[0].casefold()
            in_data = key.casefold() == "data"
            continue
        bad.n_read += 1
        place = f"line {line_number}"
        if has_other_bytes(content):
            bad.add(path, place, NOT_UTF8, other_bytes(content))
            continue
        one, fault = _series(content, attributes, frequency, len(found) + 1)
        if one is not None:
            found.append(one)
        elif fault is not None:
            bad.add(path, place, *fault)
    bad.check()
    if not in_data:
        raise DatasetError(
            f"{path}: expected a header that ends with @data, found none at the end of "
            "the file; get it again"
        )
    if None in {start for _, start, _ in found}:
        longest = max(len(values) for *_, values in found)
        found = [(name, longest - len(values), values) for name, _, values in found]
    starts = [start or 0 for _, start, _ in found]
    first = min(starts, default=0)
    series = tuple(
        Series(name, start - first, np.array(values))
        for (name, _, values), start in zip(found, starts, strict=True)
    )
    n = max((one.stop for one in series), default=0)
    times = tuple(time_text(first + i, frequency) for i in range(n))
    return series, times, bad.about()


def _series(
    content: str, attributes: list[str], frequency: str, number: int
) -> tuple[_Found | None, Fault | None]:
    """Return the series of a line, or what is wrong with it."""
    *given, cells = content.split(":")
    if len(given) != len(attributes):
        found = f"expected {len(attributes)}, got {len(given)}"
        return None, (OTHER_ATTRIBUTES, found)
    by_name = dict(zip(attributes, given, strict=True))
    start = None
    is_known = frequency in SECONDS or frequency in MONTHS
    if is_known and "start_timestamp" in by_name:
        start = _position(by_name["start_timestamp"], frequency)
        if start is None:
            return None, (NO_START, quoted(by_name["start_timestamp"]))
    if not cells.strip():
        return None, (NO_VALUES, "")
    values = [value_of(cell) for cell in cells.split(",")]
    if None in values:
        wrong = cells.split(",")[values.index(None)]
        return None, (NO_NUMBER, quoted(wrong))
    numbers = [value for value in values if value is not None]
    return (by_name.get("series_name") or f"T{number}", start, numbers), None


def _position(text: str, frequency: str) -> int | None:
    """Return the number of steps from the year 1 or from 1970 to a start time."""
    try:
        moment = datetime.strptime(text.strip(), "%Y-%m-%d %H-%M-%S")
    except ValueError:
        return None
    if frequency in MONTHS:
        return (moment.year * 12 + moment.month - 1) // MONTHS[frequency]
    seconds = moment.replace(tzinfo=UTC).timestamp()
    return int(seconds // SECONDS[frequency])


def time_text(position: int, frequency: str) -> str:
    """Return the time of a position: a month, a date and hour, or the position."""
    if frequency in MONTHS:
        year, month = divmod(position * MONTHS[frequency], 12)
        return f"{year:04d}" if frequency == "yearly" else f"{year:04d}-{month + 1:02d}"
    if frequency in SECONDS:
        moment = datetime.fromtimestamp(position * SECONDS[frequency], UTC)
        text = moment.strftime("%Y-%m-%d %H:%M:%S")
        return text[:10] if SECONDS[frequency] >= SECONDS["daily"] else text
    return str(position + 1)
