"""The calibration section: ECE, Brier score, temperature, reliability diagrams."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.analysis import calibration as calibrated
from lstm_bench.analysis.calibration import MAX_BINS, MIN_PER_BIN, bins_for
from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender, common_replicates, twins
from lstm_bench.analysis.intervals import (
    Interval,
    geometric_mean_interval,
    mean_interval,
)
from lstm_bench.analysis.tables.confirmed import contender_runs
from lstm_bench.arrays import FloatArray
from lstm_bench.metrics import METRICS
from lstm_bench.report.blocks import (
    Block,
    Column,
    Drawing,
    Section,
    column_names,
    count,
)
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    OTHERS,
    add_legend,
    house_style,
    new_figure,
    plain_text,
    point_name,
)
from lstm_bench.report.view import View
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import Prediction, metric_key

INTERVALS_OF = ("log_loss", "ece", "temperature")
CALIBRATION = ("log_loss", "brier_score_loss", "ece", "log_temperature")
ECE_BOUNDS = (0.0, 1.0)
N_RELIABILITY = 4
SHOWN_METRICS = ("accuracy", "log_loss", "brier_score_loss")
MEASURES = {
    "log_loss": "log loss (nats)",
    "brier_score_loss": "Brier score",
    "ece": "ECE",
    "log_temperature": "logarithm of the temperature",
}

CALIBRATED = (
    Column("label", "configuration", colour_by="key"),
    Column("key"),
    Column("n_seeds", "seeds (n)", "count"),
    *(
        Column(name, metric.label, "score", more=name not in SHOWN_METRICS)
        for name, metric in METRICS.items()
    ),
    Column("log_loss_low", "95 % of log loss", "interval", high="log_loss_high"),
    Column("ece", "ECE", "score", meaning="expected calibration error"),
    Column("ece_low", "95 % of ECE", "interval", high="ece_high"),
    Column(
        "temperature",
        "temperature",
        "score",
        meaning="fitted on validation, geometric mean; above 1: overconfident",
    ),
    Column(
        "temperature_low",
        "95 % of temperature",
        "interval",
        high="temperature_high",
        more=True,
    ),
    Column("ece_scaled", "ECE, scaled", "score", meaning="the temperature applied"),
    Column(
        "log_loss_scaled",
        "log loss (nats), scaled",
        "score",
        meaning="the temperature applied",
    ),
)
HEADS = (
    Column("measure", "measure"),
    Column("sigmoid", "sigmoid", "score"),
    Column("softmax", "softmax", "score"),
    Column("difference", "softmax − sigmoid", "signed"),
    Column("ci_low", "95 % over seeds (t)", "interval", high="ci_high"),
    Column("n_seeds", "seeds (n)", "count"),
    Column("n_configurations", "configurations (n)", "count"),
)


def calibration(analysis: Analysis) -> pd.DataFrame:
    """Return each contender's calibration measures on test.

    Returns
    -------
    DataFrame with the columns of `CALIBRATED`
        Means over seeds, with 95 % t intervals over seeds: that of the temperature on
        the log scale, the others cut at the measure's range.
    """
    rows = []
    for contender in analysis.contenders:
        by_seed = [_calibration(parts) for parts in contender.predictions.values()]
        means = {key: float(np.mean([s[key] for s in by_seed])) for key in by_seed[0]}
        means = _mean_metrics(analysis.results, contender) | means
        for key in INTERVALS_OF:
            interval = _over_seeds(key, np.array([s[key] for s in by_seed]))
            means |= {key: interval.estimate}
            means |= {f"{key}_low": interval.low, f"{key}_high": interval.high}
        rows.append(
            {
                "label": contender.label,
                "key": contender.key,
                "n_seeds": len(by_seed),
                **means,
            }
        )
    return pd.DataFrame(rows, columns=column_names(CALIBRATED))


def _over_seeds(measure: str, values: FloatArray) -> Interval:
    if measure == "temperature":
        interval = geometric_mean_interval(values)
        return interval.within(*calibrated.TEMPERATURES)
    bounds = ECE_BOUNDS if measure == "ece" else METRICS[measure].bounds
    return mean_interval(values).within(*bounds)


def _mean_metrics(results: Results, contender: Contender) -> dict[str, float]:
    """Return the means over runs of the logged test metrics."""
    own = contender_runs(results, contender)
    return {name: float(own[metric_key("test", name)].mean()) for name in METRICS}


def _calibration(parts: Any) -> dict[str, float]:
    val, test = parts["val"], parts["test"]
    temperature = calibrated.fit_temperature(val.y_true, val.y_proba)
    scaled = calibrated.apply_temperature(test.y_proba, temperature)
    return {
        "log_loss": METRICS["log_loss"].fn(test.y_true, test.y_proba),
        "brier_score_loss": METRICS["brier_score_loss"].fn(test.y_true, test.y_proba),
        "ece": calibrated.expected_calibration_error(test.y_true, test.y_proba),
        "temperature": temperature,
        "log_temperature": math.log(temperature),
        "ece_scaled": calibrated.expected_calibration_error(test.y_true, scaled),
        "log_loss_scaled": METRICS["log_loss"].fn(test.y_true, scaled),
    }


def calibration_of_heads(analysis: Analysis) -> pd.DataFrame:
    """Return softmax minus sigmoid by calibration measure, all else equal.

    Each replicate's difference is the mean over the configurations that were
    confirmed with both heads; the interval is a 95 % t interval over replicates, cut
    at the largest possible difference. Temperatures are compared by their logarithms.

    Returns
    -------
    DataFrame with the columns of `HEADS`
    """
    pairs = twins(analysis.contenders, "head", "sigmoid", "softmax")
    columns = column_names(HEADS)
    if not pairs:
        return pd.DataFrame(columns=columns)
    replicates = common_replicates([c for pair in pairs for c in pair])
    measured = {
        (side, r): [_calibration(pair[side].predictions[r]) for pair in pairs]
        for side in (0, 1)
        for r in replicates
    }
    rows = []
    for measure in CALIBRATION if replicates else ():
        means = np.array(
            [
                [np.mean([m[measure] for m in measured[side, r]]) for r in replicates]
                for side in (0, 1)
            ]
        )
        gap = mean_interval(means[1] - means[0]).within(*_difference_bounds(measure))
        rows.append(
            {
                "measure": measure,
                "sigmoid": float(means[0].mean()),
                "softmax": float(means[1].mean()),
                "difference": gap.estimate,
                "ci_low": gap.low,
                "ci_high": gap.high,
                "n_seeds": gap.n,
                "n_configurations": len(pairs),
            }
        )
    return pd.DataFrame(rows, columns=columns)


def _difference_bounds(measure: str) -> tuple[float, float]:
    if measure == "log_temperature":
        low, high = (math.log(t) for t in calibrated.TEMPERATURES)
        return low - high, high - low
    if measure == "ece":
        return -1.0, 1.0
    return METRICS[measure].difference_bounds


def reliability(contender: Contender) -> pd.DataFrame:
    """Return a contender's reliability curve on test, seeds pooled.

    The number of bins is that for one seed, since all seeds have the same examples.

    Returns
    -------
    DataFrame with columns
        ``label, key, confidence, accuracy, low, high, n``
    """
    tests = [parts["test"] for parts in contender.predictions.values()]
    curve = calibrated.reliability(
        np.concatenate([t.y_true for t in tests]),
        np.concatenate([t.y_proba for t in tests]),
        calibrated.bins_for(len(tests[0].y_true)),
    )
    return pd.DataFrame(
        {
            "label": contender.label,
            "key": contender.key,
            "confidence": curve.confidence,
            "accuracy": curve.accuracy,
            "low": curve.low,
            "high": curve.high,
            "n": curve.n,
        }
    )


def calibration_section(view: View) -> Section:
    """Show calibration measures, their difference between heads, and reliability."""
    title, anchor = "Calibration", "calibration"
    analysis = view.analysis
    if not analysis.contenders:
        return Section(title, anchor, "Calibration is measured in a confirmation.")
    frame = calibration(analysis)
    n_test = len(first_test(analysis.contenders[0]).y_true)
    n_bins = bins_for(n_test)
    bins = (
        f"{count(n_bins, 'bin')} of equal mass ({MAX_BINS} where there are at least "
        f"{MIN_PER_BIN} examples for each, else fewer)"
    )
    caption = (
        f"Means over seeds on {n_test:,} test {view.results.examples}, intervals are "
        "95 % t intervals over seeds, cut at the lowest and highest value that the "
        "measure can have. "
        f"ECE: expected calibration error, {bins}. A temperature above 1 means that "
        "the model is too sure; it is fitted on validation, its mean and interval are "
        "on the log scale, and scaled columns have it applied. Brier score: as "
        "scikit-learn's brier_score_loss, from 0 to 1 for two classes (half of the sum "
        "over both) and from 0 to 2 for more."
    )
    blocks: list[Block] = [view.table("calibration", caption, frame, CALIBRATED)]
    heads = calibration_of_heads(analysis)
    if len(heads):
        heads = heads.assign(measure=[MEASURES[m] for m in heads["measure"]])
        caption = (
            "Sigmoid and softmax from the same formula on the same probabilities, all "
            "else equal; paired by seed."
        )
        blocks.append(
            view.table("calibration_heads", caption, heads, HEADS, wide=False)
        )
    shown = [c for c in analysis.contenders if not c.is_baseline][:N_RELIABILITY]
    if analysis.winner is not None and analysis.winner not in shown:
        shown = [analysis.winner, *shown[:-1]]
    if analysis.baseline is not None:
        shown.append(analysis.baseline)
    curves = [reliability(c) for c in shown]
    blocks.append(
        Drawing(
            "reliability",
            f"Reliability on test: seeds pooled, {bins}, bands are 95 % "
            "Wilson intervals that take pooled predictions as independent. Below the "
            "dashed line the model is too sure.",
            plot_reliability(curves, view.colours),
            pd.concat(curves, ignore_index=True),
        )
    )
    return Section(
        title,
        anchor,
        "A model is calibrated when it is right in 80 % of the cases it is 80 % sure "
        "of.",
        tuple(blocks),
    )


def first_test(contender: Contender) -> Prediction:
    """Return the test predictions of a contender's first seed."""
    return next(iter(contender.predictions.values()))["test"]


@house_style()
def plot_reliability(
    curves: Sequence[pd.DataFrame], colours: Mapping[str, str]
) -> Figure:
    """Draw accuracy against confidence, with the diagonal of perfect calibration.

    Parameters
    ----------
    curves : sequence of DataFrame
        From `reliability`.
    """
    fig, ax = new_figure(NARROW, 4.2)
    starts = [curve["confidence"].min() for curve in curves if len(curve)]
    low = min([*starts, 0.95])
    ax.plot([low, 1], [low, 1], color=INK, lw=0.8, ls="--", label="calibrated")
    for curve in curves:
        key = curve["key"].iloc[0]
        colour = colours.get(key, OTHERS)
        ax.plot(
            curve["confidence"],
            curve["accuracy"],
            marker="o",
            ms=3.5,
            color=colour,
            label=plain_text(curve["label"].iloc[0]),
        )
        ax.lines[-1].set_url(point_name(str(curve["label"].iloc[0])))
        ax.fill_between(
            curve["confidence"], curve["low"], curve["high"], color=colour, alpha=0.15
        )
    ax.set_xlabel("confidence in the predicted class (mean of the bin)")
    ax.set_ylabel("share of the bin that is right")
    add_legend(fig, ax.get_legend_handles_labels()[0], n_columns=2)
    return fig
