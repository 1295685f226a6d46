"""Files of one's own: tables, folders of texts, series; see `lstm_bench.data.files`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import VECTORS, Dataset, Sequences, sequences_digest
from lstm_bench.data.files.encode import Encoded, encode
from lstm_bench.data.files.examples import TEST, TRAIN, VALIDATION
from lstm_bench.data.files.formats import part_files
from lstm_bench.data.files.options import FileOptions
from lstm_bench.data.splits import divide
from lstm_bench.errors import UnfitDataError
from lstm_bench.seeding import derive_rng
from lstm_bench.tasks import TASKS
from lstm_bench.text import count, listed

DESCRIPTION = (
    "Your own labelled texts or series, from a CSV, TSV, JSON Lines, Parquet, "
    "fastText, .ts, UCR or .npz file, or a folder of text files."
)
Options = FileOptions


def load(options: FileOptions, data_dir: Path | None, seed: int) -> Dataset:
    """Read the examples of some files, or their arrays from the cache.

    Parameters
    ----------
    data_dir : Path or None
        Folder that relative paths start from; None: the current one.
    seed : int
        Draws the test part if the files have none.

    Raises
    ------
    DatasetError
        A file cannot be read, has bad rows, or its examples are not fit to train on.
    """
    files = part_files(options, data_dir or Path())
    encoded = encode(files, options)
    where = listed(str(file.path) for file in files)
    train, validation, test, drawn = _parts(encoded, options, seed, where)
    stored = Sequences(encoded.values, encoded.offsets, encoded.y)
    about = encoded.about
    is_tokens = about.kind != "vectors"
    parts = [stored.take(part) for part in (train, validation, test)]
    targets = f"{len(about.class_names)} classes"
    if about.output_names:
        targets = f"the number {about.output_names[0]}"
    return Dataset(
        name="file",
        description=f"{count(len(encoded.y), 'example')} of "
        f"{targets} from {listed(f.path.name for f in files)}.",
        train=parts[0],
        validation=parts[1] if len(validation) else None,
        test=parts[2],
        class_names=tuple(about.class_names),
        vocabulary=encoded.vocabulary,
        digest=sequences_digest(*(part for part in parts if len(part))),
        source=listed(about.files),
        example={"texts": "text", "vectors": "series"}.get(about.kind, "example"),
        notes=(*_notes(encoded, options, drawn), *about.notes),
        kind="tokens" if is_tokens else VECTORS,
        tokenizer={"texts": options.tokens, "categories": "categories"}.get(about.kind),
        fits_vocabulary=is_tokens,
        channels=tuple(about.channels),
        groups=None if encoded.groups is None else encoded.groups[train],
        other_groups={}
        if encoded.groups is None
        else {
            "validation": encoded.groups[validation],
            "test": encoded.groups[test],
        },
        times=None if encoded.times is None else encoded.times[train],
        rows=about.rows,
        division=_division(options, drawn),
        task=options.task,
        output_names=tuple(about.output_names),
    )


def _parts(
    encoded: Encoded, options: FileOptions, seed: int, where: str
) -> tuple[IntArray, IntArray, IntArray, bool]:
    """Return the examples of train, validation and test, and whether test was drawn."""
    train = np.flatnonzero(encoded.parts <= TRAIN)
    validation, test = (np.flatnonzero(encoded.parts == p) for p in (VALIDATION, TEST))
    is_drawn = not len(test)
    if is_drawn and len(train):
        n_test = max(1, round(len(train) * options.test_fraction))
        rest, held_out = divide(
            Sequences(encoded.values, encoded.offsets, encoded.y).take(train),
            n_test,
            derive_rng(seed, "test part"),
            None if encoded.groups is None else encoded.groups[train],
            None if encoded.times is None else encoded.times[train],
        )
        # In the order of the files, which reading from the disk is fastest in.
        train, test = train[np.sort(rest)], train[np.sort(held_out)]
    if not len(train) or not len(test):
        sizes = ", ".join(
            f"{len(part):,} {name}"
            for name, part in (
                ("train", train),
                ("validation", validation),
                ("test", test),
            )
        )
        raise UnfitDataError(
            f"{where}: expected examples to train on and to test on, got {sizes}; give "
            "more examples that differ (copies and groups are not divided), or correct "
            "split"
        )
    return train, validation, test, is_drawn


def _division(options: FileOptions, is_drawn: bool) -> str:
    if options.test:
        return "a file of its own"
    if not is_drawn:
        return f"as column {options.split} has it" if options.split else "with the data"
    share = f"{options.test_fraction:.0%} of the examples"
    if options.time:
        return f"{share}, the latest by column {options.time}"
    kept = f"; those of one value in column {options.group} stay together"
    return f"{share}, {_drawn(options)}" + (kept if options.group else "")


def _drawn(options: FileOptions) -> str:
    is_numeric = TASKS[options.task].is_numeric
    return "drawn at random" + ("" if is_numeric else ", stratified by class")


def _notes(encoded: Encoded, options: FileOptions, is_drawn: bool) -> list[str]:
    notes = []
    rows = encoded.about.rows
    if rows["n_dropped"]:
        reasons = listed(
            f"{reason} ({found['n']:,})" for reason, found in rows["reasons"].items()
        )
        notes.append(
            f"{rows['n_dropped']:,} of {count(rows['n_read'], 'row')} could not be "
            f"read and were dropped: {reasons}."
        )
    if is_drawn:
        how = "the latest" if options.time else _drawn(options)
        notes.append(
            f"The files have no test part: it is {options.test_fraction:.0%} of the "
            f"examples, {how}."
        )
    return notes
