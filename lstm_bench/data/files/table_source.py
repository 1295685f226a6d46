"""Open the examples of a table, whatever its layout."""

from __future__ import annotations

from collections.abc import Iterator

from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.columns import Columns, check_columns, infer_columns
from lstm_bench.data.files.examples import Examples, Kind, Source, channel_names
from lstm_bench.data.files.long_tables import long_examples
from lstm_bench.data.files.options import FileOptions
from lstm_bench.data.files.rows import row_examples, series_of_list
from lstm_bench.data.files.streams import BLOCK_ROWS
from lstm_bench.data.files.tables import Table, head
from lstm_bench.errors import DatasetError
from lstm_bench.text import quoted


def table_source(
    table: Table,
    options: FileOptions,
    like: Columns | None = None,
    *,
    is_part: bool,
    needs_label: bool = True,
) -> Source:
    """Open the examples of a table.

    Parameters
    ----------
    like : Columns or None
        The columns of the train part, which this table must have, too; None to infer
        them.
    is_part : bool
        Whether the file is one part, so that no column needs to name the part.
    needs_label : bool
        Without it, only inputs are read, and the examples keep all columns.
    """
    if like is None:
        columns = infer_columns(
            table, options, needs_split=not is_part, needs_label=needs_label
        )
    else:
        columns = like
        check_columns(table, columns)
    kind: Kind = "texts" if columns.layout == "text" else "vectors"
    if columns.has_categories:
        kind = "categories"
    channels: tuple[str, ...] = ()
    shape = (len(columns.values), 1)
    if columns.layout == "long" and kind == "vectors":
        channels = columns.values
    elif columns.layout == "wide":
        shape = options.shape or shape
        if shape[0] * shape[1] != len(columns.values):
            raise DatasetError(
                f"{table.path}: shape: expected {shape[0]} x {shape[1]} = "
                f"{shape[0] * shape[1]:,} columns of numbers, found "
                f"{len(columns.values):,}; correct shape, or name the columns with "
                "values"
            )
        channels = channel_names(shape[1])
    elif columns.layout == "lists" and kind == "vectors":
        channels = channel_names(_n_channels(table, columns.values[0]))

    kept: tuple[str, ...] = ()
    if not needs_label:
        # A column that stands twice has no name of its own.
        once = tuple(n for n in table.columns if table.columns.count(n) == 1)
        kept = once if columns.series is None else (columns.series,)
    read = tuple(dict.fromkeys((*columns.used, *kept)))

    def blocks(bad: BadRows) -> Iterator[Examples]:
        if columns.layout == "long":
            yield from long_examples(table, columns, bad, kept)
            return
        for rows in table.blocks(read, bad):
            yield row_examples(table, columns, rows, bad, shape, len(channels), kept)

    return Source(table.path, kind, blocks, channels, columns, kept)


def _n_channels(table: Table, column: str) -> int:
    for cell in head(table, [column], BLOCK_ROWS)[column]:
        series, _ = series_of_list(cell, None)
        if series is not None:
            return int(series.shape[1])
    raise DatasetError(
        f"{table.path}: column {quoted(column)}: expected lists of numbers, or of "
        "equally long lists of numbers, found none; name another with values"
    )
