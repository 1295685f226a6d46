"""What a file was taken for: columns, kind, targets and lengths, with counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from lstm_bench.data.files.encode import Encoded, encode
from lstm_bench.data.files.examples import TEST, TRAIN, UNKNOWN, VALIDATION
from lstm_bench.data.files.formats import format_of, part_files
from lstm_bench.data.files.options import FileOptions
from lstm_bench.data.registry import first_problem
from lstm_bench.errors import DatasetError
from lstm_bench.inference import INDEX_FROM
from lstm_bench.text import listed

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
COVERAGES = (0.9, 0.95, 0.98, 0.99)
_PART_NAMES = {TRAIN: "train", VALIDATION: "validation", TEST: "test", UNKNOWN: "all"}


@dataclass(frozen=True)
class Inference:
    """What a file was taken for.

    Attributes
    ----------
    format : str
    kind : {"texts", "vectors", "categories"}
    columns : dict
        Purpose -> name, or names for ``values``, of the columns of a table; empty for
        other formats. ``layout`` is "text", "lists", "wide" or "long".
    channels : tuple of str
    classes : dict
        Number of examples of each class, in the order of the classes; empty for
        numbers.
    targets : tuple of float
        The lowest and the highest of the numbers to predict; empty for classes.
    parts : dict
        Number of examples of each part that the file names; else of ``all``.
    lengths : dict
        Quantiles of the examples' numbers of steps, start tokens not counted, by their
        probability.
    n_words : int
        Number of different words.
    words_for : dict
        How many of the most frequent words make up a share of all words, by share.
    rows : dict
        ``n_read``, ``n_dropped`` and ``reasons``.
    """

    format: str
    kind: str
    columns: dict[str, Any]
    channels: tuple[str, ...]
    classes: dict[str, int]
    targets: tuple[float, ...]
    parts: dict[str, int]
    lengths: dict[float, float]
    n_words: int
    words_for: dict[float, int]
    rows: dict[str, Any]

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        return sum(self.parts.values())


def inspect(path: Path, options: Mapping[str, Any] | None = None) -> Inference:
    """Read a file or folder and return what it was taken for.

    The examples remain in the cache, so that the next command finds them there.

    Parameters
    ----------
    path : Path
        The file or folder; with ``test`` or ``validation`` in `options`, that of train.
    options : mapping, optional
        Other fields of `FileOptions`; paths start from the current folder.

    Raises
    ------
    DatasetError
        The file cannot be read, or `options` are not valid.
    """
    others = dict(options or {})
    name = "train" if others.get("test") or others.get("validation") else "file"
    try:
        valid = FileOptions.model_validate({**others, name: str(path)})
    except ValidationError as error:
        fields = listed(FileOptions.model_fields)
        raise DatasetError(
            f"{path}: {first_problem(error)}; correct the options (known: {fields})"
        ) from error
    files = part_files(valid, Path())
    encoded = encode(files, valid)
    return _inference(encoded, format_of(files[0].path, valid.format))


def _inference(encoded: Encoded, format_name: str) -> Inference:
    about = encoded.about
    y = encoded.y
    classes: dict[str, int] = {}
    targets: tuple[float, ...] = ()
    if about.output_names:
        targets = (float(y.min()), float(y.max()))
    else:
        counts = np.bincount(y, minlength=len(about.class_names))
        classes = dict(zip(about.class_names, counts.tolist(), strict=True))
    n_starts = 0 if about.kind == "vectors" else 1
    lengths = np.diff(encoded.offsets) - n_starts
    parts, n_of_part = np.unique(encoded.parts, return_counts=True)
    columns = {
        name: column
        for name, column in about.columns.items()
        if column and name != "has_categories"
    }
    return Inference(
        format=format_name,
        kind=about.kind,
        columns=columns,
        channels=tuple(about.channels),
        classes=classes,
        targets=targets,
        parts={
            _PART_NAMES[int(part)]: int(n)
            for part, n in zip(parts, n_of_part, strict=True)
        },
        lengths={q: float(np.quantile(lengths, q)) for q in QUANTILES},
        n_words=len(encoded.vocabulary),
        words_for=_words_for(encoded) if n_starts else {},
        rows=about.rows,
    )


def _words_for(encoded: Encoded) -> dict[float, int]:
    counts = np.zeros(len(encoded.vocabulary) + INDEX_FROM + 1, np.int64)
    chunk = 1 << 22
    for start in range(0, len(encoded.values), chunk):
        counts += np.bincount(
            encoded.values[start : start + chunk].astype(np.int64),
            minlength=len(counts),
        )
    by_count = -np.sort(-counts[INDEX_FROM + 1 :])
    if not by_count.sum():
        return {}
    share = np.cumsum(by_count) / by_count.sum()
    return {c: int(np.searchsorted(share, c)) + 1 for c in COVERAGES}
