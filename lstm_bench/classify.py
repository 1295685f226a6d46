"""Classify texts or series with a study's model: some inputs, or a file in blocks."""

from __future__ import annotations

import csv
import json
import math
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, IncrementalNewlineDecoder
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
import pandas as pd

from lstm_bench import inference
from lstm_bench.data.files.bad_rows import NOT_UTF8, BadRows
from lstm_bench.data.files.examples import Source
from lstm_bench.data.files.formats import format_of, open_inputs
from lstm_bench.data.files.options import FileOptions
from lstm_bench.data.files.streams import has_other_bytes, other_bytes
from lstm_bench.data.forecasting.future import times_from
from lstm_bench.data.forecasting.options import SeriesOptions
from lstm_bench.data.forecasting.read import read_series
from lstm_bench.data.forecasting.series import Collection
from lstm_bench.data.registry import FORECAST_FILES, OWN_FILES, dataset_options
from lstm_bench.errors import DatasetError, OutputError, SuiteError
from lstm_bench.inference import NETWORKS, Model
from lstm_bench.suites.suite import Suite
from lstm_bench.system.files import replacing
from lstm_bench.text import count, csv_cell, listed, quoted
from lstm_bench.tracking.models import files_of, read_about, reads
from lstm_bench.winner import Found, find_ensemble, find_logged_model
from lstm_bench.workers.progress import Progress

SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
PREDICTED = "predicted_label"
"""Column of the classes where the file has a column ``label``."""
UNKNOWN = "unknown_words"
READS = {"texts": "texts", "categories": "categories", "series": "vectors"}
VALUES = "values"
"""What a model of forecasts reads."""
READ_BYTES = 1 << 16
"""Most bytes of standard input that are read at once."""


@dataclass(frozen=True)
class NamedModel:
    """A loaded model, and the suite of its study."""

    model: Model
    suite: Suite

    @property
    def reads(self) -> str:
        """What the model reads: "texts", "categories", "series" or "values"."""
        return reads(self.model.about)

    def is_file(self, text: str) -> bool:
        """Whether a text names a file of series, of which this model forecasts all."""
        is_list = text.lstrip().startswith(("[", "{")) or text == "-"
        return self.reads == VALUES and not is_list

    @property
    def why(self) -> str:
        """A sentence on which of the study's models it is."""
        return str(self.model.about["why"])


def open_model(
    tracking_uri: str,
    name: str,
    progress: Progress,
    *,
    refit: bool = False,
    ensemble: bool = False,
    data_dir: Path | None = None,
) -> NamedModel:
    """Find the model called `name` and load it, with the packed engine if it can run.

    Parameters and errors as of `found_model`.
    """
    with found_model(
        tracking_uri, name, progress, refit=refit, ensemble=ensemble, data_dir=data_dir
    ) as found:
        progress.doing("loading the model")
        make_forward = None
        if read_about(found.folder)["model"] in NETWORKS:
            from lstm_bench.packed.serving import fast_forward

            make_forward = fast_forward(progress.say)
        model = inference.load(files_of(found.folder), make_forward)
    return NamedModel(model, found.side.suite)


@contextmanager
def found_model(
    tracking_uri: str,
    name: str,
    progress: Progress,
    *,
    refit: bool = False,
    ensemble: bool = False,
    data_dir: Path | None = None,
) -> Iterator[Found]:
    """Find the model called `name`, or write its ensemble's for as long as needed.

    Parameters and errors as of `lstm_bench.winner.find_model` and `find_ensemble`.

    Raises
    ------
    SuiteError
        Both `refit` and `ensemble` are given.
    """
    if refit and ensemble:
        raise SuiteError(
            "expected --refit or --ensemble, got both; leave out one: an ensemble has "
            "the models of the confirmation's seeds"
        )
    if not ensemble:
        yield find_logged_model(
            tracking_uri, name, progress, refit=refit, data_dir=data_dir
        )
        return
    with TemporaryDirectory() as folder:
        yield find_ensemble(
            tracking_uri, name, Path(folder), progress, data_dir=data_dir
        )


def check_files(file: Path | None, out: Path | None) -> None:
    """Raise what prevents a prediction, before a model is loaded or trained.

    Raises
    ------
    DatasetError
        There is no such `file`, or its name is of no format.
    OutputError
        The name of `out` is of no format that can be written.
    """
    # Files of series to be forecast alone have that name.
    if file is not None and ".tsf" not in file.suffixes:
        format_of(file, None)
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"--out: expected a name that ends in {listed(SUFFIXES)}, got {out.name!r}"
        )


def parse_input(named: NamedModel, text: str) -> Any:
    """Return an input that is given as text: itself, or a JSON list.

    Raises
    ------
    DatasetError
        The model reads lists, and the text is no JSON list.
    """
    if named.reads == "texts":
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    is_named = named.reads == VALUES and isinstance(value, dict)
    if not isinstance(value, list) and not is_named:
        example = "[368.1, null, 369.4, ...]"
        if named.reads != VALUES:
            example = json.dumps(named.model.about["input_example"][0][:2])
        raise DatasetError(
            f"{quoted(text)}: this model reads {named.reads}; expected a JSON list "
            f"such as {example}"
        )
    return value


def predict_table(model: Model, inputs: Sequence[Any]) -> pd.DataFrame:
    """Return ``label`` and one ``p_<class>``, or ``prediction``, for each input.

    Raises
    ------
    DatasetError
        An input is not of the kind that this model reads.
    """
    return pd.DataFrame(model.columns(_proba(model, inputs)[0]))


def _proba(model: Model, inputs: Sequence[Any]) -> tuple[inference.Floats, list[float]]:
    """Return the probabilities, and each input's share of words that are unknown."""
    try:
        sequences = model.read(inputs)
    except ValueError as error:
        raise DatasetError(str(error)) from error
    return model.proba_of(sequences), [model.unknown_of(each) for each in sequences]


def predict_file(
    named: NamedModel,
    file: Path,
    out: Path | None,
    stdout: IO[str],
    say: Callable[[str], None],
    text: str | None = None,
) -> None:
    """Predict the rows of a file, which are read and written in blocks.

    All columns of the file are kept; ``label`` and one ``p_<class>`` for each class are
    added, or ``prediction`` where numbers are predicted, and, for texts,
    ``unknown_words``: the share of words that the model does not know, in [0, 1]; empty
    where a text has no words. Of a model of forecasts see `_forecasts`.

    Parameters
    ----------
    out : Path or None
        CSV or JSON Lines, by its name, see `check_files`; None writes CSV to `stdout`.
    text : str or None
        Column of the texts; None: the suite's, or inferred.

    Raises
    ------
    DatasetError
        The file cannot be read; nothing is then written to `out`.
    OutputError
        `out` cannot be written.
    """
    if named.reads == VALUES:
        columns = _forecasts(named, file, say)
        with _writer(out, stdout) as write:
            write(columns, len(columns["ds"]))
        if out is not None:
            say(f"{count(len(columns['ds']), 'row')}: {out}")
        return
    source = open_inputs(file, _options(named.suite, text))
    if source.kind != READS[named.reads]:
        raise DatasetError(
            f"{file}: the model of {named.suite.name} reads {named.reads}, got "
            f"{'series' if source.kind == 'vectors' else source.kind}; give a file "
            "like the one that it was trained on"
        )
    bad = BadRows("error", can_drop=False)
    blocks = (
        (block.columns if source.kept else _columns(source, block.values), block.values)
        for block in source.blocks(bad)
    )
    _write(named.model, blocks, out, stdout, say, bad.check)


def collection_of(named: NamedModel, file: Path) -> Collection:
    """Return the series of a file that is laid out as that of a model's study.

    Raises
    ------
    DatasetError
        As `read_series`.
    """
    dataset = named.suite.dataset
    given: dict[str, Any] = {}
    if dataset.name == FORECAST_FILES:
        options = dataset_options(dataset.name, dataset.options)
        given = options.model_dump(include={"header", "series", "time", "value"})
    horizon = named.model.about["forecast"]["horizon"]
    return read_series(SeriesOptions(file=str(file), horizon=horizon, **given), Path())


def _forecasts(
    named: NamedModel, file: Path, say: Callable[[str], None]
) -> dict[str, list[Any]]:
    """Return the next values of each series of a file, a row per series and step.

    Every series is forecast from its own end on. The columns are named as other
    packages name them: ``unique_id``, ``ds``, ``horizon`` (from 1) and ``prediction``.
    """
    horizon = named.model.about["forecast"]["horizon"]
    collection = collection_of(named, file)
    for note in collection.notes:
        say(f"note: {note}")
    series = collection.series
    try:
        y_pred = named.model.predict_proba(
            [{"unique_id": one.name, "values": one.values} for one in series]
        )
    except ValueError as error:
        raise DatasetError(f"{file}: {error}") from error
    times = [times_from(collection.times, one.stop, horizon) for one in series]
    return {
        "unique_id": [one.name for one in series for _ in range(horizon)],
        "ds": [time for each in times for time in each],
        "horizon": [*range(1, horizon + 1)] * len(series),
        # Networks compute with some seven digits.
        "prediction": [float(f"{y:.7g}") for y in y_pred.reshape(-1)],
    }


def predict_lines(
    named: NamedModel,
    blocks: Iterable[Sequence[str]],
    out: Path | None,
    stdout: IO[str],
    say: Callable[[str], None],
) -> None:
    """Classify blocks of lines, each a text or a JSON list; as `predict_file`.

    A block is answered before the next one is taken.
    """
    inputs = (
        ({"input": texts}, [parse_input(named, text) for text in texts])
        for texts in blocks
    )
    _write(named.model, inputs, out, stdout, say, lambda: None)


def lines_as_they_come(stream: BufferedReader) -> Iterator[list[str]]:
    """Yield lines: all that can be read without waiting, else the next one.

    Raises
    ------
    DatasetError
        A line is not UTF-8.
    """
    decoder = IncrementalNewlineDecoder(
        getincrementaldecoder("utf-8-sig")("surrogateescape"), translate=True
    )
    rest, n_read, data = "", 0, b" "
    while data:
        data = stream.read1(READ_BYTES)
        *lines, rest = (rest + decoder.decode(data, final=not data)).split("\n")
        if rest and not data:
            lines.append(rest)
        for number, line in enumerate(lines, n_read + 1):
            if has_other_bytes(line):
                raise DatasetError(
                    f"standard input: line {number}: {NOT_UTF8} ({other_bytes(line)}); "
                    "convert it, for example with iconv -f latin1 -t utf8"
                )
        n_read += len(lines)
        if lines:
            yield lines


def _options(suite: Suite, text: str | None) -> FileOptions:
    """Return how a new file is read: laid out as the suite's, if it has one."""
    given: dict[str, Any] = {}
    if suite.dataset.name == OWN_FILES:
        options = dataset_options(OWN_FILES, suite.dataset.options)
        given = options.model_dump(exclude_unset=True)
        for name in ("file", "train", "validation", "test", "format"):
            given.pop(name, None)
    if text is not None:
        given["text"] = text
    return FileOptions(file="-", **given)


def _columns(source: Source, values: list[Any]) -> dict[str, list[Any]]:
    """Return what is written beside the classes where the file has no columns."""
    return {"text": values} if source.kind == "texts" else {}


def _write(
    model: Model,
    blocks: Iterator[tuple[Mapping[str, Sequence[Any]], list[Any]]],
    out: Path | None,
    stdout: IO[str],
    say: Callable[[str], None],
    check: Callable[[], None],
) -> None:
    n = n_unknown = 0
    with _writer(out, stdout) as write:
        for columns, values in blocks:
            y_proba, unknown = _proba(model, values)
            added: dict[str, Any] = model.columns(y_proba)
            if reads(model.about) == "texts":
                added[UNKNOWN] = [
                    None if math.isnan(share) else round(share, 3) for share in unknown
                ]
            if "label" in columns and "label" in added:
                added = {PREDICTED: added.pop("label"), **added}
            if twice := [name for name in added if name in columns]:
                raise DatasetError(
                    f"column {listed(map(quoted, twice))}: the file has a column that "
                    "would be added; rename or remove it"
                )
            write({**columns, **added}, len(values))
            n += len(values)
            n_unknown += sum(share > 0.5 for share in unknown)
        check()
    if n_unknown:
        say(
            "warning: the model knows less than half of the words of "
            f"{n_unknown:,} of {count(n, 'input')}"
        )
    if out is not None:
        say(f"{count(n, 'row')}: {out}")


Write = Callable[[Mapping[str, Sequence[Any]], int], None]


@contextmanager
def _writer(out: Path | None, stdout: IO[str]) -> Iterator[Write]:
    """Yield the function that writes a block: columns, and the number of rows."""
    if out is None:
        yield _csv_writer(stdout)
        return
    is_csv = SUFFIXES[out.suffix.lower()] == "csv"
    try:
        with (
            replacing(out) as partial,
            partial.open("w", encoding="utf-8", newline="") as stream,
        ):
            yield _csv_writer(stream) if is_csv else _json_writer(stream)
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror}); name another with --out"
        ) from error


def _csv_writer(stream: IO[str]) -> Write:
    writer = csv.writer(stream, lineterminator="\n")
    has_header = False

    def write(columns: Mapping[str, Sequence[Any]], n_rows: int) -> None:
        nonlocal has_header
        if not has_header:
            writer.writerow(map(csv_cell, columns))
            has_header = True
        writer.writerows(
            zip(*([*map(_cell, cells)] for cells in columns.values()), strict=True)
        )
        stream.flush()

    return write


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return csv_cell(value)
    if isinstance(value, (list, dict)):
        return csv_cell(json.dumps(value, ensure_ascii=False, default=str))
    return value


def _json_writer(stream: IO[str]) -> Write:
    def write(columns: Mapping[str, Sequence[Any]], n_rows: int) -> None:
        lists = [
            cells.tolist() if isinstance(cells, np.ndarray) else cells
            for cells in columns.values()
        ]
        for row in zip(*lists, strict=True):
            fields = dict(zip(columns, row, strict=True))
            line = json.dumps(fields, ensure_ascii=False, default=str)
            stream.write(f"{line}\n")

    return write
