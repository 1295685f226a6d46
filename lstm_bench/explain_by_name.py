"""Explain one text or series with a study's model, found by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lstm_bench import inference
from lstm_bench.classify import NamedModel, collection_of, parse_input
from lstm_bench.compare_by_name import Side, find_side
from lstm_bench.data.dataset import Dataset
from lstm_bench.data.forecasting.future import times_from
from lstm_bench.errors import DatasetError, OutputError, TrackingError
from lstm_bench.explaining.baselines import WHOLE, explain_baseline
from lstm_bench.explaining.explanation import (
    N_POINTS,
    Ahead,
    Explanation,
    Text,
    explain_network,
    text_of,
)
from lstm_bench.explaining.page import render_page
from lstm_bench.inference import ARRAYS, NETWORKS, Model, Window
from lstm_bench.report.render import write_text
from lstm_bench.seeding import derive_rng
from lstm_bench.system.folders import make_folder
from lstm_bench.tasks import FORECAST
from lstm_bench.text import count, listed, quoted
from lstm_bench.tracking.models import files_of
from lstm_bench.training.baselines import BASELINES
from lstm_bench.training.prepare import load_dataset_of
from lstm_bench.winner import find_seeds
from lstm_bench.workers.progress import Progress


@dataclass(frozen=True)
class Given:
    """What to explain: one of a text, a file with one, or an example of test.

    Attributes
    ----------
    text : str or None
        A text, or the JSON list of a series or of categories.
    file : Path or None
        A file with one text in UTF-8; for a model of series, a CSV with a row per step
        and a column per channel; for forecasts, a file of one series like the study's.
    example : int or None
        Index of an example in the test set, from 0, as in the report's tables.
    """

    text: str | None = None
    file: Path | None = None
    example: int | None = None


def explain_by_name(
    tracking_uri: str,
    name: str,
    given: Given,
    progress: Progress,
    *,
    n_seeds: int | None = None,
    n_points: int = N_POINTS,
    step: int | None = None,
    data_dir: Path | None = None,
) -> Explanation:
    """Explain one input with the model called `name`.

    Parameters
    ----------
    name : str
        As in `lstm_bench.winner.find_model`.
    n_seeds : int or None
        Models of how many seeds to compare; None: of those that are logged.
    n_points : int
        Points of the integrated gradients.
    step : int or None
        Of forecasts, the step ahead to explain, from 1; None: the mean of all.
    data_dir : Path or None
        For an example of test, and to train a model that is not logged.

    Raises
    ------
    LstmBenchError
        The model does not exist or cannot be explained; the input has no words, is not
        of the kind that the model reads, or there is no such example.
    """
    progress.doing("loading the results from MLflow")
    side = find_side(tracking_uri, name)
    is_forecast = side.suite.task.name == FORECAST
    content = None
    if given.file is not None and not is_forecast:
        content = _content(given.file)
    _check_step(side, step)
    if side.contender.is_baseline:
        _check_baseline(side.contender.key.removeprefix("baseline:"))
    dataset = None
    if given.example is not None:
        progress.doing("loading the data")
        dataset = _test_data(side, given.example, data_dir)
    found = find_seeds(tracking_uri, side, n_seeds, progress, data_dir=data_dir)
    progress.doing("loading the model")
    opened = [_open(files_of(each.folder)) for each in found]
    progress.doing("explaining")
    value = _input(opened[0][0], side, given, content, dataset)
    texts = [_text(model, value, given.file) for model, _ in opened]
    if not len(texts[0].places):
        raise DatasetError("the text has no words; give one that has")
    rng = derive_rng(side.suite.study.seed, "explain")
    (model, inner), *others = [
        (model, _in_unit(inner, text))
        for (model, inner), text in zip(opened, texts, strict=True)
    ]
    seeds = [
        (other.about, its, text)
        for (other, its), text in zip(others, texts[1:], strict=True)
    ]
    explain = explain_network if model.about["model"] in NETWORKS else explain_baseline
    return explain(
        inner,
        model.about,
        texts[0],
        rng,
        n_points=n_points,
        seeds=seeds,
        step=step,
        example=given.example,
        **value.known,
    )


def write_explanation(found: Explanation, out: Path | None) -> tuple[Path, Path]:
    """Write the page, and the JSON beside it; return both files.

    Parameters
    ----------
    out : Path or None
        The page, whose name ends in .html; None is ``reports/SUITE/explained.html``.
    """
    page = out or Path("reports", found.suite, "explained.html")
    check_out(page)
    make_folder(page.parent, "--out")
    data = page.with_suffix(".json")
    text = json.dumps(found.as_json(), ensure_ascii=False, indent=1, allow_nan=False)
    write_text(page, render_page(found))
    write_text(data, f"{text}\n")
    return page, data


def check_out(out: Path | None) -> None:
    """Raise OutputError unless the page's name ends in .html."""
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise OutputError(
            f"--out: expected a name that ends in .html, got {out.name!r}"
        )


def _check_baseline(name: str) -> None:
    if name in WHOLE:
        raise TrackingError(
            f"{BASELINES[name].label} cannot be explained: {WHOLE[name]}; explain an "
            "LSTM or another baseline"
        )


def _check_step(side: Side, step: int | None) -> None:
    if step is None:
        return
    forecast = side.analysis.results.dataset.get("forecast")
    if not forecast:
        raise TrackingError(
            f"--step: {side.suite.name} forecasts nothing; leave it out, or name a "
            "study of forecasts"
        )
    if step > forecast["horizon"]:
        raise TrackingError(
            f"--step: expected 1 to {forecast['horizon']:,}, the steps ahead that "
            f"{side.suite.name} forecasts, got {step:,}"
        )


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "expected UTF-8"
        raise DatasetError(
            f"{file}: {reason}; give a file with one text or one series"
        ) from error


def _test_data(side: Side, example: int, data_dir: Path | None) -> Dataset:
    dataset = load_dataset_of(side.suite, data_dir)
    expected = side.analysis.results.dataset.get("digest")
    if expected is not None and dataset.digest != expected:
        raise TrackingError(
            f"{side.suite.path}: study {side.analysis.results.study} has other data "
            f"(digest {str(expected)[:12]}, now {dataset.digest[:12]}); give the same"
        )
    n = len(dataset.test)
    if not 0 <= example < n:
        raise DatasetError(
            f"--example: expected 0 to {n - 1:,}, the {count(n, dataset.example)} of "
            f"the test set, got {example}"
        )
    return dataset


@dataclass(frozen=True)
class _Input:
    """An input as a user of the model gives it, and what is known of it.

    Attributes
    ----------
    known : dict
        Its true class or number, named as in `Explanation`; empty if not known.
    times, truth : list
        Of a window, as in `Ahead`.
    """

    value: Any
    known: dict[str, Any] = field(default_factory=dict)
    times: list[str] = field(default_factory=list)
    truth: list[float] | None = None


def _input(
    model: Model,
    side: Side,
    given: Given,
    content: str | None,
    dataset: Dataset | None,
) -> _Input:
    named, example = NamedModel(model, side.suite), given.example
    forecast = model.about.get("forecast")
    if dataset is not None and example is not None:
        test, config = dataset.test, model.about["config"]
        if forecast:
            return _test_window(dataset, example)
        if config is not None:
            test = test.at_length(config["sequence_length"])
        value, y = dataset.raw(test, example), test.y[example]
        if dataset.is_numeric:
            return _Input(value, {"true_value": float(y[0])})
        return _Input(value, {"true_class": dataset.class_names[int(y)]})
    if forecast and given.file is not None:
        return _end_of_series(named, given.file)
    if content is not None and named.reads == "series":
        return _Input(_series(content, str(given.file)))
    value = parse_input(named, content if content is not None else given.text or "")
    times: list[str] = []
    if forecast:
        times = [f"step {i}" for i in range(1, forecast["window"] + 1)]
        times += [f"{k} ahead" for k in range(1, forecast["horizon"] + 1)]
    return _Input(value, times=times)


def _test_window(dataset: Dataset, example: int) -> _Input:
    """Return a window of test with its times and what came after it."""
    about = dataset.forecast
    origin = about["test"]["position"][example]
    # All series have one time axis.
    times = {
        one["first"] + i: time
        for one in about["shown"]
        for i, time in enumerate(one["times"])
    }
    places = range(origin - about["window"], origin + about["horizon"])
    name = about["test"]["series"][example]
    return _Input(
        {**dataset.window(dataset.test, example), "unique_id": name},
        times=[times.get(place, f"position {place}") for place in places],
        truth=dataset.test.y[example].tolist(),
    )


def _end_of_series(named: NamedModel, file: Path) -> _Input:
    """Return the last values of a file's one series, and the times from then on."""
    collection = collection_of(named, file)
    if len(collection.series) != 1:
        names = listed(quoted(one.name) for one in collection.series[:5])
        raise DatasetError(
            f"{file}: expected one series, got {len(collection.series):,} ({names}"
            f"{', ...' if len(collection.series) > 5 else ''}); give a file with "
            "the one to explain"
        )
    (one,), about = collection.series, named.model.about["forecast"]
    before = collection.times[max(0, one.stop - about["window"]) : one.stop]
    return _Input(
        {"unique_id": one.name, "values": one.values},
        times=[*before, *times_from(collection.times, one.stop, about["horizon"])],
    )


def _series(content: str, name: str) -> list[list[float]]:
    """Return the rows of a CSV of numbers; a first line of names is left out."""
    rows = [line.split(",") for line in content.splitlines() if line.strip()]
    if rows and not all(map(_is_number, rows[0])):
        rows = rows[1:]
    for number, row in enumerate(rows, start=1):
        if not all(map(_is_number, row)) or len(row) != len(rows[0]):
            raise DatasetError(
                f"{name}: row {number}: expected {count(len(rows[0]), 'number')} "
                f"separated by commas, got {quoted(','.join(row))}"
            )
    return [[float(cell) for cell in row] for row in rows]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _text(model: Model, given: _Input, file: Path | None) -> Text:
    value, about = given.value, model.about
    try:
        (read,) = model.read([value])
    except ValueError as error:
        where = "" if file is None else f"{file}: "
        raise DatasetError(f"{where}{error}") from error
    if not isinstance(read, Window):
        return text_of(read, value, about, about["config"])
    is_named = isinstance(value, dict)
    values = np.asarray(value["values"] if is_named else value, np.float64).reshape(-1)
    ahead = Ahead(
        str(value.get("unique_id") or "") if is_named else "",
        given.times,
        [None if np.isnan(v) else v for v in values[-len(read.values) :].tolist()],
        read.level,
        read.scale,
        given.truth,
    )
    return text_of(read.values, None, about, about["config"], ahead)


def _in_unit(inner: Any, text: Text) -> Any:
    """Return a `Network` with its forecasts in the unit of a window's series."""
    if text.ahead is None or isinstance(inner, dict):
        return inner
    return inner.ahead(text.ahead.level, text.ahead.scale)


def _open(folder: Path) -> tuple[Model, Any]:
    """Return a model, and what is inside: a `Network`, or a baseline's arrays."""
    if (folder / ARRAYS).exists():
        return inference.load(folder), inference.arrays_of(folder / ARRAYS)
    # First, since it imports Keras without its log output.
    from lstm_bench.explaining.network import Network

    inside: list[tuple[Any, Mapping[str, Any]]] = []

    def keep(network: Any, config: Mapping[str, Any]) -> inference.Forward:
        inside.append((network, config))
        return lambda x: np.asarray(network(x))

    model = inference.load(folder, keep)
    kind, evidence = model.about["kind"], inference.evidence_in(folder)
    scaling = model.about.get("target_scaling")
    return model, Network(*inside[0], kind, evidence, scaling)
