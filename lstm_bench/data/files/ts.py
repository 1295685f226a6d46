"""The ``.ts`` format of the UEA and UCR archives (aeon's and sktime's).

Comments begin with ``#``, the header's keys with ``@``; after ``@data`` each line is a
case: channels separated by colons, their values by commas, the class last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm_bench.arrays import Float32Array
from lstm_bench.data.files.bad_rows import NOT_UTF8, BadRows
from lstm_bench.data.files.examples import (
    EMPTY_SERIES,
    NO_NUMBER,
    NOT_FINITE,
    Examples,
    Source,
    channel_names,
    label_fault,
)
from lstm_bench.data.files.streams import (
    BLOCK_CHARACTERS,
    BLOCK_ROWS,
    has_other_bytes,
    lines,
    other_bytes,
)
from lstm_bench.errors import DatasetError, UnfitDataError
from lstm_bench.text import listed, quoted, shortened

UNEQUAL_CHANNELS = "channels of different lengths"
OTHER_CHANNELS = "another number of channels than the first case"
OTHER_CLASS = "a class that @classLabel does not list"
Fault = tuple[str, str]


@dataclass(frozen=True)
class _Header:
    """`classes` may be empty; None if a case ends with its last channel.

    `has_numbers` is whether they are no classes: ``@targetLabel true``.
    """

    classes: tuple[str, ...] | None
    n_channels: int
    needs_label: bool
    has_numbers: bool


def ts_source(path: Path, needs_label: bool = True) -> Source:
    """Open a ``.ts`` file; without `needs_label`, its cases may have no class.

    Raises
    ------
    DatasetError
        It cannot be read, has no header or no case, or its cases have no classes.
    """
    header = _header(path, needs_label)

    def blocks(bad: BadRows) -> Iterator[Examples]:
        if header.has_numbers and needs_label and not bad.is_numeric:
            raise UnfitDataError(
                f"{path}: expected cases with classes (@classLabel true A B), got "
                "numbers (@targetLabel true); set task: regression"
            )
        return _blocks(path, header, bad)

    return Source(path, "vectors", blocks, channel_names(header.n_channels))


def _header(path: Path, needs_label: bool) -> _Header:
    keys: dict[str, str] = {}
    in_data = False
    for number, line in enumerate(lines(path), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if in_data:
            # The first case, for headers without @dimensions.
            classes = _classes(path, keys, needs_label)
            n = _size(keys) or content.count(":") + (classes is None) or 1
            has_numbers = keys.get("targetlabel", "").casefold() == "true"
            return _Header(classes, n, needs_label, has_numbers)
        if not content.startswith("@"):
            raise DatasetError(
                f"{path}: line {number}: expected a header (@problemName, @classLabel "
                f"true ..., @data) before the first case, got {shortened(content)!r}; "
                "add it, or give the format"
            )
        key, _, value = content[1:].partition(" ")
        keys[key.casefold()] = value.strip()
        in_data = key.casefold() == "data"
    missing = "a case after @data" if in_data else "a header that ends with @data"
    raise DatasetError(
        f"{path}: expected {missing}, found none at the end of the file; get it again"
    )


def _size(keys: dict[str, str]) -> int:
    if keys.get("univariate", "").casefold() == "true":
        return 1
    size = keys.get("dimensions", keys.get("dimension", ""))
    return int(size) if size.isdecimal() and len(size) < 7 else 0


def _classes(
    path: Path, keys: dict[str, str], needs_label: bool
) -> tuple[str, ...] | None:
    if keys.get("timestamps", "").casefold() == "true":
        raise DatasetError(
            f"{path}: @timeStamps true: expected values without time stamps; write "
            "them without (@timeStamps false)"
        )
    if keys.get("targetlabel", "").casefold() == "true":
        return ()
    has_classes, *classes = keys.get("classlabel", "").split() or ["false"]
    if has_classes.casefold() != "true":
        if not needs_label:
            return None
        raise DatasetError(
            f"{path}: expected cases with classes (@classLabel true A B) or numbers "
            "(@targetLabel true), got no @classLabel true; give a classification or "
            "regression problem"
        )
    return tuple(classes)


def _blocks(path: Path, header: _Header, bad: BadRows) -> Iterator[Examples]:
    found, n_characters, in_data = Examples(), 0, False
    for number, line in enumerate(lines(path), 1):
        content = line.strip()
        if not in_data:
            in_data = content.casefold() == "@data"
            continue
        if not content or content.startswith("#"):
            continue
        bad.n_read += 1
        if has_other_bytes(content):
            bad.add(path, f"line {number}", NOT_UTF8, other_bytes(content))
            continue
        series, label, fault = _case(content, header, bad.is_numeric)
        if fault is not None:
            bad.add(path, f"line {number}", *fault)
            continue
        found.values.append(series)
        found.labels.append(label)
        n_characters += len(line)
        if len(found.labels) == BLOCK_ROWS or n_characters >= BLOCK_CHARACTERS:
            yield found
            found, n_characters = Examples(), 0
    yield found


def _case(
    content: str, header: _Header, is_numeric: bool
) -> tuple[Float32Array | None, str, Fault | None]:
    channels, label = [field.strip() for field in content.split(":")], ""
    if header.classes is not None:
        label = channels.pop()
    if len(channels) != header.n_channels:
        found = f"expected {header.n_channels} and a class, got {len(channels)}"
        return None, label, (OTHER_CHANNELS, found)
    series, fault = series_of([channel.split(",") for channel in channels])
    if not header.needs_label:
        return series, "", fault
    if header.classes and label and label not in header.classes:
        fault = OTHER_CLASS, f"{quoted(label)}, not {listed(header.classes)}"
    return series, label, label_fault(label, is_numeric) or fault


def series_of(
    channels: list[list[str]],
) -> tuple[Float32Array | None, Fault | None]:
    """Return a series of shape (n_steps, n_channels) from its channels' cells.

    Missing values are ``?``, ``NaN`` or nothing.
    """
    lengths = [len(cells) for cells in channels]
    if len(set(lengths)) > 1:
        return None, (UNEQUAL_CHANNELS, listed(map(str, lengths)))
    if not lengths or all(cells == [""] for cells in channels):
        return None, (EMPTY_SERIES, "")
    series = np.empty((lengths[0], len(channels)), np.float32)
    with np.errstate(over="ignore"):
        for i, cells in enumerate(channels):
            try:
                series[:, i] = np.array(list(map(float, cells)))
            except ValueError as error:
                is_missing = any(cell.strip() in ("?", "") for cell in cells)
                found = f"channel {i + 1}: {error}"
                return None, (NOT_FINITE if is_missing else NO_NUMBER, found)
    if not np.isfinite(series).all():
        step, channel = np.argwhere(~np.isfinite(series))[0]
        return None, (NOT_FINITE, f"step {step + 1} of channel {channel + 1}")
    return series, None
