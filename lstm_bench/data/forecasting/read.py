"""Read series from a table with one row per step, or from a ``.tsf`` file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lstm_bench.arrays import FloatArray
from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.columns import (
    SERIES_NAMES,
    STEP_NAMES,
    check_name,
    label_text,
)
from lstm_bench.data.files.examples import NO_NUMBER, time_of
from lstm_bench.data.files.formats import SUFFIXES, TABLES
from lstm_bench.data.files.long_tables import NO_SERIES, NO_STEP, TWICE
from lstm_bench.data.files.streams import is_gzipped
from lstm_bench.data.files.tables import Cell, Table, head, open_table
from lstm_bench.data.forecasting.options import SeriesOptions
from lstm_bench.data.forecasting.series import Collection, Series, value_of
from lstm_bench.data.forecasting.tsf import read_tsf
from lstm_bench.errors import DatasetError
from lstm_bench.system.files import file_sha256
from lstm_bench.text import count, listed, quoted

VALUE_NAMES = ("y", "value", "target")
MAX_GAP = 1.6
"""A difference of times above this many times the median one is a gap: months have 28
to 31 days, quarters 90 to 92."""
_N_ROWS = 1000


def read_series(options: SeriesOptions, folder: Path) -> Collection:
    """Read the series of a file.

    Parameters
    ----------
    folder : Path
        What a relative path starts from.

    Raises
    ------
    DatasetError
        The file cannot be read, its columns cannot be inferred, or it has bad rows.
    """
    path = folder / options.file
    name = _format(path, options)
    if name == "tsf":
        series, times, rows = read_tsf(path, options.on_bad_rows)
        notes: tuple[str, ...] = ()
    else:
        table = open_table(path, name, options.header)
        series, times, rows, notes = _read_table(table, options)
    if not series:
        raise DatasetError(f"{path}: expected series, got no row; give another file")
    digest = file_sha256(path)
    return Collection(series, times, rows, f"{path.name} (SHA-256 {digest})", notes)


def _format(path: Path, options: SeriesOptions) -> str:
    if options.format is not None:
        return options.format
    name = path.with_suffix("") if is_gzipped(path) else path
    suffix = name.suffix.lower()
    found = "tsf" if suffix == ".tsf" else SUFFIXES.get(suffix)
    if found == "tsf" or found in TABLES:
        return str(found)
    known = [end for end, kind in SUFFIXES.items() if kind in TABLES]
    raise DatasetError(
        f"{path}: expected a name that ends in {listed(sorted([*known, '.tsf']))} (or "
        f"that and .gz), got {path.name!r}; rename the file, or set format"
    )


def _read_table(
    table: Table, options: SeriesOptions
) -> tuple[tuple[Series, ...], tuple[str, ...], dict[str, Any], tuple[str, ...]]:
    """Return series, times, what was read, and notes."""
    series_in, time_in, value_in = infer_columns(table, options)
    used = [name for name in (series_in, time_in, value_in) if name is not None]
    bad = BadRows(options.on_bad_rows)
    found: dict[str, dict[float, float]] = {}
    labels: dict[float, str] = {}
    n_rows = 0
    for rows in table.blocks(used, bad):
        for i, line in enumerate(rows.lines):
            n_rows += 1
            place = f"{table.unit} {line}"
            cells = [
                None if name is None else rows.columns[name][i]
                for name in (series_in, time_in, value_in)
            ]
            name = "" if series_in is None else label_text(cells[0])
            time = n_rows if time_in is None else time_of(cells[1])
            value = value_of(cells[2])
            if name is None or (series_in is not None and not name):
                bad.add(table.path, place, NO_SERIES)
                continue
            if time is None:
                bad.add(table.path, place, NO_STEP, quoted(cells[1]))
                continue
            if time in found.get(name, {}):
                bad.add(table.path, place, TWICE, str(cells[1]))
                continue
            if value is None:
                # Without it, the time would be no step at all.
                bad.add(table.path, place, NO_NUMBER, quoted(cells[2]))
                value = math.nan
            found.setdefault(name, {})[time] = value
            labels.setdefault(time, str(time if time_in is None else cells[1]).strip())
    bad.check()
    order = sorted(labels)
    position = {time: i for i, time in enumerate(order)}
    series = tuple(
        _on_axis(name, values, position) for name, values in found.items() if values
    )
    times = tuple(labels[time] for time in order)
    notes = _gaps(times, order) if time_in is not None else ()
    return series, times, bad.about(), notes


def infer_columns(
    table: Table, options: SeriesOptions
) -> tuple[str | None, str | None, str]:
    """Return the columns of the series' names, the times and the values.

    Raises
    ------
    DatasetError
        A column is not there, or none clearly has the values.
    """
    for given in (options.series, options.time, options.value):
        if given is not None:
            check_name(table, given)
    taken = {options.series, options.time, options.value}

    def named(names: Iterable[str]) -> str | None:
        free = {n.casefold(): n for n in table.columns if n not in taken}
        return next((free[name] for name in names if name in free), None)

    series = options.series or named(SERIES_NAMES)
    time = options.time or named(STEP_NAMES)
    taken |= {series, time}
    value = options.value or named(VALUE_NAMES)
    if value is None:
        rest = [n for n in dict.fromkeys(table.columns) if n not in taken]
        cells = head(table, rest, _N_ROWS) if rest else {}
        numeric = [name for name in rest if _is_numeric(cells[name])]
        if len(numeric) != 1:
            raise DatasetError(
                f"{table.path}: expected one column of numbers beside series and time, "
                f"got {listed(map(quoted, numeric)) or 'none'} of "
                f"{listed(map(quoted, table.columns))}; name it with value"
            )
        value = numeric[0]
    return series, time, value


def _is_numeric(cells: list[Cell]) -> bool:
    values = [value_of(cell) for cell in cells]
    return None not in values and any(
        not math.isnan(v) for v in values if v is not None
    )


def _on_axis(
    name: str, values: dict[float, float], position: dict[float, int]
) -> Series:
    places = np.array([position[time] for time in values])
    first = int(places.min())
    row: FloatArray = np.full(int(places.max()) + 1 - first, np.nan)
    row[places - first] = list(values.values())
    return Series(name, first, row)


def _gaps(times: tuple[str, ...], order: list[float]) -> tuple[str, ...]:
    """Return a note if times are unevenly spaced, or none."""
    moments = [_date(time) for time in times]
    # Of YYYYMMDD, differences as numbers are no durations.
    axis = np.array(order if None in moments else moments, np.float64)
    differences = np.diff(axis)
    if not len(differences):
        return ()
    usual = float(np.median(differences))
    wide = np.flatnonzero(differences > MAX_GAP * usual)
    if not len(wide):
        return ()
    return (
        f"The times have {count(len(wide), 'gap')} of more than {MAX_GAP:g} times the "
        f"usual distance, the first after {times[wide[0]]}: a step is from one time of "
        "the file to the next. For missing values, add rows with an empty value.",
    )


def _date(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
