"""The forecasts section: protocol, errors of all models, and the last forecasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.analysis.bootstrap import (
    block_length,
    example_scores,
    seeds_and_examples_interval,
)
from lstm_bench.analysis.contenders import Contender
from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.metrics import evaluate
from lstm_bench.report.blocks import (
    Block,
    Column,
    Drawing,
    Facts,
    Section,
    column_names,
    count,
)
from lstm_bench.report.figures.forecasts import STYLES, Line, plot_forecasts, plot_steps
from lstm_bench.report.figures.style import INK, PALETTE
from lstm_bench.report.view import View
from lstm_bench.seeding import derive_rng
from lstm_bench.tasks import FORECAST
from lstm_bench.training.result import Prediction

MAX_ORIGINS = 4
"""Origins whose forecasts are drawn."""
FLOOR = "best possible"
MAE_OF_SD = float(np.sqrt(2 / np.pi))
"""Mean absolute value of Gaussian errors, by their standard deviation."""

FORECASTS = (
    Column("label", "forecast", colour_by="key"),
    Column("key"),
    Column("mase", "MASE", "score", meaning="mean over the seeds"),
    Column(
        "low",
        "95 % over seeds and windows",
        "interval",
        meaning="of MASE; block bootstrap over origins, and t over seeds",
        high="high",
    ),
    Column("mae", "MAE", "number", meaning="in the unit of the series"),
    Column("rmse", "RMSE", "number", meaning="in the unit of the series"),
    Column("n_seeds", "seeds (n)", "count"),
    Column("n_windows", "windows (n)", "count"),
)


def forecasts_section(view: View) -> Section:
    """Show how windows were divided, all models' errors, and the last forecasts."""
    title, anchor = "Forecasts", "forecasts"
    about = view.results.dataset.get("forecast") or {}
    if not about:
        return Section(title, anchor, "The study has no record of its windows.")
    facts = Facts(tuple(_facts(about)))
    shown = _shown(view)
    if not shown:
        text = "How the windows are divided; `lstm-bench confirm` scores test."
        return Section(title, anchor, text, (facts,))
    frame = errors(view)
    caption = (
        "Errors on the test windows, the best on MASE first. Below 1 a forecast is "
        "better than the seasonal naive one was in train."
    )
    if about.get("noise_floor"):
        caption += (
            f" {FLOOR.capitalize()}: expected of a forecast that knows the rule and "
            "the noise's law; on a few windows another may be below it."
        )
    blocks: list[Block] = [view.table("forecasts", caption, frame, FORECASTS), facts]
    blocks += [_by_step(view, shown, about), *_last(view, shown, about)]
    return Section(title, anchor, _intro(frame, about), tuple(blocks))


def errors(view: View) -> pd.DataFrame:
    """Return MASE, MAE and RMSE on test of every contender.

    Returns
    -------
    DataFrame with the columns of `FORECASTS`
        The lowest MASE first. Of generated series, what is expected of the best
        possible forecast, too.
    """
    rows = []
    for contender in view.analysis.contenders:
        tests = _tests(contender)
        scores = [evaluate(t.y_true, t.y_pred, FORECAST, t.scale) for t in tests]
        table = np.array(
            [example_scores("mase", t.y_true, t.y_pred, t.scale) for t in tests]
        )
        rng = derive_rng(view.suite.study.seed, "bootstrap", contender.key)
        interval = seeds_and_examples_interval(table, tests[0], rng)
        rows.append(
            {
                "label": contender.label,
                "key": contender.key,
                **pd.DataFrame(scores).mean().to_dict(),
                "low": max(0.0, interval.low),
                "high": interval.high,
                "n_seeds": len(tests),
                "n_windows": len(tests[0].y_true),
            }
        )
    about = view.results.dataset["forecast"]
    if about.get("noise_floor"):
        deviations = np.array(about["noise_floor"])
        scale = float(np.mean(about["test"]["scale"]))
        mae = MAE_OF_SD * float(deviations.mean())
        rows.append(
            {
                "label": FLOOR,
                "key": "",
                "mase": mae / scale,
                "mae": mae,
                "rmse": float(np.sqrt((deviations**2).mean())),
            }
        )
    frame = pd.DataFrame(rows, columns=column_names(FORECASTS))
    return frame.sort_values("mase", kind="stable").reset_index(drop=True)


def _intro(frame: pd.DataFrame, about: Mapping[str, Any]) -> str:
    models = frame[frame["label"] != FLOOR]
    best = models.iloc[0]
    linear = models[models["key"] == "baseline:linear_ar"]
    text = f"On test, {best['label']} has the lowest MASE, {best['mase']:.4f}"
    if str(best["key"]).startswith("baseline:"):
        text += ": no LSTM was better than this forecast without a network"
    elif len(linear):
        text += f"; the linear autoregression has {linear.iloc[0]['mase']:.4f}"
    saw = (
        "Scales, the penalty of the linear autoregression and early stopping saw "
        "nothing of test"
    )
    if about.get("refit"):
        saw = (
            f"Every LSTM and the linear autoregression were {_again(about)}, on the "
            "windows whose values were known by then"
        )
    return (
        f"{text}. The parts are fixed by time: seeds change the initial weights and "
        f"the order of examples alone. {saw}; a check that removes all later values "
        "and makes the windows again has found the same ones."
    )


def _again(about: Mapping[str, Any]) -> str:
    n = len(set(about["test"]["position"]))
    return f"trained again at each of {count(n, 'origin')}"


def _facts(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "series", f"{about['n_series']:,} with {about['n_values']:,} values"
    missing = about["n_missing"]
    yield (
        "missing values",
        f"{missing:,}, masked in inputs" if missing else "none",
    )
    yield (
        "window",
        f"{count(about['window'], 'step')} before the origin; horizon "
        f"{count(about['horizon'], 'step')}; season {count(about['season'], 'step')}",
    )
    for part, of in about["parts"].items():
        text = f"{of['n']:,}, origins {of['first_origin']} to {of['last_origin']}"
        if part != "train":
            text += f", every {count(about['step'], 'step')}"
        for key, why in (
            ("n_without_targets", "a target is missing"),
            ("n_without_inputs", "every input is missing"),
        ):
            if of[key]:
                text += f"; {of[key]:,} left out, as {why}"
        yield f"{part} windows", text
    if about.get("refit"):
        yield (
            "refit",
            f"{_again(about)} of test: from the same initial weights, for the epochs "
            "that the training before it kept, with targets scaled by what is known",
        )
    if about["left_out"]:
        name, reason = next(iter(about["left_out"].items()))
        yield "series left out", f"{len(about['left_out']):,}, as {name}: {reason}"
    origins = np.array(about["test"]["position"])
    block = block_length(origins, about["horizon"])
    yield (
        "intervals",
        f"over seeds (t), and over {count(len(np.unique(origins)), 'origin')} in "
        f"blocks of {block:,}, as windows near to each other are dependent (Künsch "
        "1989)",
    )


def _tests(contender: Contender) -> list[Prediction]:
    return [parts["test"] for _, parts in sorted(contender.predictions.items())]


def _shown(view: View) -> list[Contender]:
    """Return the best LSTM and the baselines, which are drawn."""
    winner = view.analysis.winner
    baselines = [c for c in view.analysis.contenders if c.is_baseline]
    return [*([] if winner is None else [winner]), *baselines]


def _lines(shown: list[Contender], values: list[FloatArray]) -> list[Line]:
    styles = iter(STYLES * len(shown))
    return [
        Line(c.label, INK, v, next(styles))
        if c.is_baseline
        else Line(c.label, PALETTE[0], v)
        for c, v in zip(shown, values, strict=True)
    ]


def _by_step(view: View, shown: list[Contender], about: Mapping[str, Any]) -> Drawing:
    is_one = about["n_series"] == 1
    means = []
    for contender in shown:
        each = [
            np.abs(t.y_pred - t.y_true) / _unit(t, is_one) for t in _tests(contender)
        ]
        means.append(np.mean(each, axis=(0, 1)))
    lines = _lines(shown, means)
    if about.get("noise_floor"):
        floor = MAE_OF_SD * np.array(about["noise_floor"])
        lines.append(Line(FLOOR, PALETTE[1], floor))
    data = pd.DataFrame({"step": np.arange(1, len(means[0]) + 1)})
    for line in lines:
        data[line.label] = line.values
    what = "MAE" if is_one else "MASE"
    caption = (
        f"{what} by step of the horizon, the mean over test windows and seeds."
        + (f" {FLOOR.capitalize()}: expected." if about.get("noise_floor") else "")
    )
    return Drawing("forecast_steps", caption, plot_steps(lines, f"test {what}"), data)


def _unit(prediction: Prediction, is_one: bool) -> FloatArray | float:
    if is_one or prediction.scale is None:
        return 1.0
    return prediction.scale[:, None]


def _last(
    view: View, shown: list[Contender], about: Mapping[str, Any]
) -> Iterator[Drawing]:
    """Yield a drawing of the last forecasts for each of a few series."""
    horizon = about["horizon"]
    names = np.array(about["test"]["series"])
    for number, one in enumerate(about["shown"], 1):
        mine = np.flatnonzero(names == one["name"])
        position = np.array(about["test"]["position"])[mine]
        order = np.argsort(position)
        chosen = _apart(position[order], horizon)
        index = mine[order][chosen]
        origins = position[order][chosen]
        start = max(0, int(origins.min()) - one["first"] - 2 * horizon)
        truth = np.array(
            [np.nan if v is None else v for v in one["values"]], dtype=float
        )[start:]
        first = one["first"] + start
        values = []
        for contender in shown:
            test = _tests(contender)[0]
            row = {int(i): r for r, i in enumerate(test.index)}
            values.append(test.y_pred[[row[int(i)] for i in index]])
        lines = _lines(shown, values)
        data = pd.DataFrame(
            {
                "origin": np.repeat(origins, horizon),
                "step": np.tile(np.arange(1, horizon + 1), len(origins)),
                "true": _tests(shown[0])[0]
                .y_true[[row[int(i)] for i in index]]
                .ravel(),
            }
        )
        for line in lines:
            data[line.label] = line.values.ravel()
        of = f" of {one['name']}" if one["name"] else ""
        caption = (
            f"Forecasts{of} from the last {count(len(origins), 'origin')} that do not "
            "overlap (vertical lines), of the first seed."
        )
        figure = plot_forecasts(
            truth, first, origins.tolist(), lines, one["times"][start:]
        )
        yield Drawing(f"forecasts_{number}", caption, figure, data)


def _apart(position: IntArray, horizon: int) -> list[int]:
    """Return the last few of ascending positions that are a horizon apart."""
    chosen: list[int] = []
    for i in range(len(position) - 1, -1, -1):
        if not chosen or position[chosen[-1]] - position[i] >= horizon:
            chosen.append(i)
        if len(chosen) == MAX_ORIGINS:
            break
    return chosen[::-1]
