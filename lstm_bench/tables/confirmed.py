"""Tables of the confirmation round: `Analysis` in, tidy DataFrame out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lstm_bench.analysis import bootstrap, budget
from lstm_bench.analysis import calibration as calibrated
from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import (
    Contender,
    common_replicates,
    confirm_spec,
    twins,
)
from lstm_bench.analysis.formatting import plain, train_command
from lstm_bench.analysis.intervals import (
    Interval,
    geometric_mean_interval,
    mean_interval,
    wilson_interval,
)
from lstm_bench.analysis.literature import load_published_results
from lstm_bench.arrays import FloatArray
from lstm_bench.metrics import METRICS
from lstm_bench.seeding import derive_rng
from lstm_bench.tables.search import trial_runs
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE, TOTAL_TIME, TRAIN_TIME, metric_key

N_LENGTH_SLICES = 4
N_ERRORS = 20
INTERVALS_OF = ("log_loss", "ece", "temperature")
CALIBRATION = ("log_loss", "brier_score_loss", "ece", "log_temperature")
ECE_BOUNDS = (0.0, 1.0)


def confirmed_fields(analysis: Analysis) -> list[str]:
    """Return the hyperparameters in which the confirmed configurations differ."""
    configs = [c.config.model_dump() for c in analysis.contenders if c.config]
    if not configs:
        return []
    return [f for f in configs[0] if len({c[f] for c in configs}) > 1]


def confirmed_board(analysis: Analysis) -> pd.DataFrame:
    """Return every contender's scores with intervals, best on validation first.

    Returns
    -------
    DataFrame with columns
        ``rank, label, kind`` ("LSTM" or "baseline"), ``key``, the fields of
        `confirmed_fields`, ``n_seeds, n_failed, val_mean, test_mean``;
        ``seeds_low, seeds_high``: 95 % t interval of the test mean over seeds;
        ``examples_low, examples_high``: 95 % stratified bootstrap over reviews, these
        seeds taken as given; ``both_low, both_high``: over seeds and reviews;
        ``train_time_s`` (mean), ``command``
    """
    results, fields = analysis.results, confirmed_fields(analysis)
    metric = results.suite.metric
    rows = []
    for contender in analysis.contenders:
        config = contender.config.model_dump() if contender.config else {}
        # None is a value that a field may have; a baseline has no such field.
        test = contender.test_interval
        reviews, both = _review_intervals(contender, results)
        rows.append(
            {
                "label": contender.label,
                "kind": "baseline" if contender.is_baseline else "LSTM",
                "key": contender.key,
                **{field: config.get(field, pd.NA) for field in fields},
                "n_seeds": test.n,
                "n_failed": _n_failed(results, contender.key),
                "val_mean": contender.mean_val,
                "test_mean": test.estimate,
                "seeds_low": test.low,
                "seeds_high": test.high,
                "examples_low": reviews[0],
                "examples_high": reviews[1],
                "both_low": both[0],
                "both_high": both[1],
                TRAIN_TIME: _mean_time(results, contender),
                "command": train_command(results, contender.config)
                if contender.config
                else None,
            }
        )
    columns = ["label", "kind", "key", *fields, "n_seeds", "n_failed", "val_mean"]
    columns += ["test_mean", "seeds_low", "seeds_high", "examples_low", "examples_high"]
    columns += ["both_low", "both_high", TRAIN_TIME, "command"]
    table = pd.DataFrame(rows, columns=columns)
    for column in (*fields, "command"):
        # One missing value must not turn whole numbers into floats.
        table[column] = pd.Series([row[column] for row in rows], dtype=object)
    order = metric.order(table["val_mean"].to_numpy(dtype=float))
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", range(1, len(table) + 1))
    return table


def _review_intervals(
    contender: Contender, results: Results
) -> tuple[tuple[float, float], tuple[float, float]]:
    name = results.suite.metric.name
    if name not in bootstrap.MEAN_METRICS:
        return (math.nan, math.nan), (math.nan, math.nan)
    tests = [parts["test"] for _, parts in sorted(contender.predictions.items())]
    scores = np.array(
        [bootstrap.review_scores(name, t.y_true, t.y_proba) for t in tests]
    )
    rng = derive_rng(results.suite.study.seed, "bootstrap", contender.key)
    reviews = bootstrap.bootstrap_review_scores(
        scores.mean(axis=0), tests[0].y_true, rng=rng
    )
    both = bootstrap.bootstrap_seeds_and_reviews(
        scores, tests[0].y_true, rng=rng
    ).within(*results.suite.metric.bounds)
    return (reviews.low, reviews.high), (both.low, both.high)


def _n_failed(results: Results, config_id: str) -> int:
    runs = results.confirmed
    return int(((runs["config_id"] == config_id) & (runs["state"] == "failed")).sum())


def _mean_time(results: Results, contender: Contender) -> float:
    return float(contender_runs(results, contender)[TRAIN_TIME].mean())


def contender_runs(results: Results, contender: Contender) -> pd.DataFrame:
    """Return the rows of the replicates that `contender` was scored on."""
    frame, column, key = results.confirmed, "config_id", contender.key
    if contender.is_baseline:
        frame, column = results.baselines, "baseline"
        key = key.removeprefix("baseline:")
    scored = frame["replicate"].isin(list(contender.test))
    return frame[(frame[column] == key) & scored]


def calibration(analysis: Analysis) -> pd.DataFrame:
    """Return how far each contender's probabilities can be taken at their word.

    Returns
    -------
    DataFrame with columns
        ``label, key, n_seeds``, then means over seeds on test: ``<metric>`` for each
        of `METRICS`, ``ece`` (expected calibration error, `calibration.bins_for`
        bins of equal mass), ``temperature`` (fitted on validation, geometric mean;
        above 1 the model is overconfident), ``ece_scaled`` and ``log_loss_scaled``
        (with that temperature applied), and 95 % t intervals over seeds
        ``<measure>_low, <measure>_high`` of `INTERVALS_OF`: that of the temperature
        on the log scale, the others cut at the measure's range
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
    columns = ["label", "key", "n_seeds", *METRICS, "ece", "temperature"]
    columns += ["ece_scaled", "log_loss_scaled"]
    columns += [f"{key}_{end}" for key in INTERVALS_OF for end in ("low", "high")]
    return pd.DataFrame(rows, columns=columns)


def _over_seeds(measure: str, values: FloatArray) -> Interval:
    if measure == "temperature":
        interval = geometric_mean_interval(values)
        return interval.within(*calibrated.TEMPERATURES)
    bounds = ECE_BOUNDS if measure == "ece" else METRICS[measure].bounds
    return mean_interval(values).within(*bounds)


def _mean_metrics(results: Results, contender: Contender) -> dict[str, float]:
    """Return the means on test that were logged when each run ended."""
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
    """Return softmax minus sigmoid in calibration, all else equal, by measure.

    Each replicate's difference is the mean over the configurations that were
    confirmed with both heads; the interval is a 95 % t interval over replicates, cut
    at the largest difference that there can be. Temperatures are compared by their
    logarithms.

    Returns
    -------
    DataFrame with columns
        ``measure, sigmoid, softmax, difference, ci_low, ci_high, n_seeds,
        n_configurations``
    """
    pairs = twins(analysis.contenders, "head", "sigmoid", "softmax")
    columns = ["measure", "sigmoid", "softmax", "difference", "ci_low", "ci_high"]
    columns += ["n_seeds", "n_configurations"]
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
    """Return a contender's reliability curve on test, its seeds pooled.

    In as many bins as one seed's reviews allow: the seeds share them.

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


def expected_best(results: Results) -> pd.DataFrame:
    """Return the best validation score to expect from n trials drawn like these.

    Returns
    -------
    DataFrame with columns
        ``n_trials, seconds`` (n times the mean seconds spent per complete trial,
        those of pruned and failed ones included), ``expected, ci_low, ci_high``
        (95 % bootstrap over trials). ``frame.attrs["n_paid"]``: the smallest number
        of trials whose expected best is within the suite's margin of the last.
    """
    metric = results.suite.metric
    values = trial_runs(results)[OBJECTIVE].to_numpy(dtype=float)
    columns = ["n_trials", "seconds", "expected", "ci_low", "ci_high"]
    if len(values) < 2:
        return pd.DataFrame(columns=columns)
    expected = budget.expected_best(values, metric.higher_is_better)
    rng = derive_rng(results.suite.study.seed, "bootstrap", "expected_best")
    low, high = budget.expected_best_interval(values, metric.higher_is_better, rng=rng)
    searched = results.runs[results.runs["kind"] == "trial"]
    spent = searched[TOTAL_TIME].fillna(searched[TRAIN_TIME]).sum() / len(values)
    n = np.arange(1, len(values) + 1)
    table = pd.DataFrame(
        dict(zip(columns, (n, n * float(spent), expected, low, high), strict=True))
    )
    margin = confirm_spec(results.suite).margin
    table.attrs["n_paid"] = budget.budget_that_paid(expected, margin)
    return table


def slices(analysis: Analysis) -> pd.DataFrame:
    """Return test accuracy by length, truncation and presence in train.

    Of the winner and of the best baseline, means over seeds; the interval is
    Wilson's over the slice's reviews.

    Returns
    -------
    DataFrame with columns
        ``slice, value, n, label, key, accuracy, ci_low, ci_high``
    """
    columns = ["slice", "value", "n", "label", "key", "accuracy", "ci_low", "ci_high"]
    chosen = [c for c in (analysis.winner, analysis.baseline) if c is not None]
    reviews = analysis.results.test_reviews
    if analysis.winner is None or reviews.empty:
        return pd.DataFrame(columns=columns)
    rows = []
    for name, value, members in _slices(analysis.winner, reviews):
        for contender in chosen:
            tests = [parts["test"] for parts in contender.predictions.values()]
            scores = [
                bootstrap.review_scores("accuracy", t.y_true, t.y_proba) for t in tests
            ]
            correct = np.mean(scores, axis=0)[members[tests[0].index]]
            n = len(correct)
            if not n:
                continue
            share = float(correct.mean())
            low, high = wilson_interval(share, n)
            values = (name, value, n, contender.label, contender.key, share, low, high)
            rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _slices(
    winner: Contender, reviews: pd.DataFrame
) -> list[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Return (slice, value, membership by test index)."""
    lengths = reviews["length"].to_numpy(dtype=float)
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, N_LENGTH_SLICES + 1)))
    found = []
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        above = lengths >= low if i == 0 else lengths > low
        begin = low if i == 0 else np.floor(low) + 1
        value = f"{begin:.0f} to {high:.0f}"
        found.append(("length in tokens", value, above & (lengths <= high)))
    if winner.config is not None:
        limit = winner.config.sequence_length
        cut = lengths > limit
        found += [
            (f"truncated to {limit} tokens", "no", ~cut),
            (f"truncated to {limit} tokens", "yes", cut),
        ]
    in_train = reviews["in_train"].to_numpy(dtype=bool)
    found += [("stands in train too", "no", ~in_train)]
    found += [("stands in train too", "yes", in_train)]
    return found


def confident_errors(analysis: Analysis) -> pd.DataFrame:
    """Return the winner's most confident errors on test.

    Returns
    -------
    DataFrame with columns
        ``index, text, y_true, y_pred, n_seeds`` (that have it among their most
        confident errors), ``confidence`` (their mean), by both, the surest first
    """
    columns = ["index", "text", "y_true", "y_pred", "n_seeds", "confidence"]
    results, winner = analysis.results, analysis.winner
    if winner is None:
        return pd.DataFrame(columns=columns)
    runs = results.confirmed
    own = runs.loc[runs["config_id"] == winner.key, "run_id"]
    errors = results.errors[results.errors["run_id"].isin(own.tolist())]
    rows = [
        {
            **{name: plain(group.iloc[0][name]) for name in columns[:4]},
            "n_seeds": len(group),
            "confidence": float(np.mean([max(p) for p in group["y_proba"]])),
        }
        for _, group in errors.groupby("index", sort=True)
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(
        ["n_seeds", "confidence"], ascending=False, kind="stable", ignore_index=True
    ).head(N_ERRORS)


def baselines(results: Results) -> pd.DataFrame:
    """Return the baselines by the reviews they were fitted on.

    Returns
    -------
    DataFrame with columns
        ``label, baseline, fitted_on`` ("the search's split" or "fresh splits"),
        ``n_splits, val_mean, test_mean`` (the suite's metric), ``test_low, test_high``
        (95 % t interval over splits), ``n_features, train_time_s``
    """
    name = results.suite.metric.name
    columns = ["label", "baseline", "fitted_on", "n_splits", "val_mean", "test_mean"]
    columns += ["test_low", "test_high", "n_features", TRAIN_TIME]
    frame = results.baselines
    rows = []
    for fitted_on, part in (
        ("the search's split", frame[frame["replicate"] == 0]),
        ("fresh splits", frame[frame["replicate"] > 0]),
    ):
        for _, group in part.groupby("baseline", sort=False):
            scored = group[metric_key("test", name)].dropna().to_numpy(dtype=float)
            low, high = math.nan, math.nan
            if len(scored):
                interval = mean_interval(scored).within(*METRICS[name].bounds)
                low, high = interval.low, interval.high
            values = (
                group.iloc[0]["label"],
                group.iloc[0]["baseline"],
                fitted_on,
                len(group),
                float(group[metric_key("val", name)].mean()),
                float(group[metric_key("test", name)].mean()),
                low,
                high,
                float(group["n_features"].mean()),
                float(group[TRAIN_TIME].mean()),
            )
            rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame(rows, columns=columns)


def anchors(analysis: Analysis) -> pd.DataFrame:
    """Return published accuracies on this dataset, with own results among them.

    Returns
    -------
    DataFrame with columns
        ``label, accuracy, regime, n_train, source, url, note, own``, best first
    """
    results = analysis.results
    rows: list[dict[str, Any]] = [
        {**anchor.model_dump(exclude={"dataset"}), "own": False}
        for anchor in load_published_results(str(results.dataset.get("name", "")))
    ]
    columns = ["label", "accuracy", "regime", "n_train", "source", "url", "note", "own"]
    for contender in (analysis.winner, analysis.baseline) if rows else ():
        if contender is None:
            continue
        tests = [parts["test"] for parts in contender.predictions.values()]
        accuracy = METRICS["accuracy"].fn
        scores = [accuracy(t.y_true, t.y_proba) for t in tests]
        rows.append(
            {
                "label": f"here: {contender.label}",
                "accuracy": float(np.mean(scores)),
                "regime": "labelled",
                "n_train": results.dataset.get("n_used_train"),
                "source": f"this study, mean over {len(scores)} seeds",
                "url": None,
                "note": "",
                "own": True,
            }
        )
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(
        "accuracy", ascending=False, kind="stable", ignore_index=True
    )


def confirmed_axis_effect(analysis: Analysis, axis: str) -> pd.DataFrame:
    """Return mean test scores of the confirmed runs by value of `axis`.

    Returns
    -------
    DataFrame with columns
        ``value, n_configurations, n_runs, mean, ci_low, ci_high``: a 95 % t interval
        over replicates, of each replicate's mean over configurations
    """
    columns = ["value", "n_configurations", "n_runs", "mean", "ci_low", "ci_high"]
    groups: dict[Any, list[Contender]] = {}
    for contender in analysis.contenders:
        if contender.config is not None:
            groups.setdefault(getattr(contender.config, axis), []).append(contender)
    rows = []
    for value, members in sorted(groups.items(), key=lambda item: str(item[0])):
        replicates = common_replicates(members)
        means = _replicate_means(members, replicates)
        metric = analysis.results.suite.metric
        interval = mean_interval(means).within(*metric.bounds)
        values = (
            value,
            len(members),
            len(members) * len(replicates),
            interval.estimate,
            interval.low,
            interval.high,
        )
        rows.append(dict(zip(columns, values, strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _replicate_means(
    members: Sequence[Contender], replicates: Sequence[int]
) -> FloatArray:
    return np.array([np.mean([c.test[r] for c in members]) for r in replicates])
