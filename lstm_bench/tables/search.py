"""Tables of the search: `Results` in, tidy DataFrame out; numbers stay unrounded."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench.analysis.formatting import plain, run_url, train_commands, value_label
from lstm_bench.analysis.intervals import mean_interval, wilson_intervals
from lstm_bench.analysis.pareto import pareto_front
from lstm_bench.metrics import METRICS, Metric
from lstm_bench.suites.config import CONFIG_FIELDS
from lstm_bench.suites.engines import split_engines
from lstm_bench.suites.space import Axis, CategoricalAxis, FloatAxis, IntAxis
from lstm_bench.tracking.names import STATES
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import (
    EPOCH_TIME,
    KEPT_EPOCH,
    N_EPOCHS,
    N_PARAMETERS,
    OBJECTIVE,
    TOTAL_TIME,
    TRAIN_TIME,
    metric_key,
)

MAX_BINS = 6

MIN_TRIALS_FOR_IMPORTANCE = 4

MIN_TRIALS_PER_VALUE = 3
MAX_UNEVENNESS = 4

MEAN_LOW, MEAN_HIGH = "mean_ci95_low", "mean_ci95_high"
CI_LOW = "val_accuracy_wilson95_low"

CI_HIGH = "val_accuracy_wilson95_high"

VAL_METRICS: tuple[str, ...] = tuple(metric_key("val", name) for name in METRICS)

_MEASURED = (TRAIN_TIME, EPOCH_TIME, N_PARAMETERS, N_EPOCHS, KEPT_EPOCH)


def complete_runs(results: Results) -> pd.DataFrame:
    """Return the runs that ended with an objective, in order of start."""
    runs = results.runs
    return runs[(runs["state"] == "complete") & runs[OBJECTIVE].notna()]


def engines(results: Results) -> list[str]:
    """Return what computed the study's LSTMs, the search's and the round's."""
    return sorted({*engines_of(results.runs), *engines_of(results.confirmed)})


def engines_of(runs: pd.DataFrame) -> list[str]:
    """Return what computed the LSTMs of `runs`; more than one: no times to compare."""
    return sorted({name for text in runs["engine"] for name in split_engines(text)})


def shown_fields(results: Results) -> list[str]:
    """Return the hyperparameters worth a column: the axes, then what else varies."""
    axes = list(results.suite.space.axes)
    runs = results.runs
    varying = [
        field
        for field in CONFIG_FIELDS
        if field not in axes
        and len({plain(value) for value in set(runs[field].tolist())}) > 1
    ]
    return axes + varying


def leaderboard(results: Results) -> pd.DataFrame:
    """Return one row per configuration with complete runs, best first.

    Scores, times and counts are means over the configuration's `n_runs` complete
    runs; `run_id`, `trial` and `url` are those of the first. The interval is
    Wilson's 95 % over the reviews validated on: it says how far the accuracy of
    *these weights* may be off on new reviews, not what another seed would give.

    Returns
    -------
    DataFrame with columns
        ``rank, label, config_id, reference, trial, run_id``, the fields of
        `shown_fields`, ``objective, val_<metric>...``, ``val_accuracy_wilson95_low,
        val_accuracy_wilson95_high, n_used_val, n_runs, train_time_s, epoch_time_s,
        n_parameters, n_epochs, kept_epoch, command, url``
    """
    fields = shown_fields(results)
    numbers = [OBJECTIVE, *VAL_METRICS, *_MEASURED]
    columns = [
        *("rank", "label", "config_id", "reference", "trial", "run_id"),
        *fields,
        *(OBJECTIVE, *VAL_METRICS, CI_LOW, CI_HIGH, "n_used_val", "n_runs"),
        *_MEASURED,
        *("command", "url"),
    ]
    n_val = results.dataset.get("n_used_val") or 0
    runs = complete_runs(results)
    first, by_config = _first_runs(runs), runs.groupby("config_id", sort=False)
    # Of float columns: a single run's mean is its value, to the last digit.
    means = by_config[numbers].mean()
    low, high = wilson_intervals(means["val_accuracy"].to_numpy(dtype=float), n_val)
    known: dict[str, Any] = {
        "config_id": first["config_id"].tolist(),
        "reference": _plain_list(by_config["reference"].first()),
        "trial": _plain_list(by_config["trial"].first()),
        "run_id": first["run_id"].tolist(),
        **{field: _plain_list(first[field]) for field in fields},
        **{name: means[name].to_numpy(dtype=float) for name in numbers},
        CI_LOW: low,
        CI_HIGH: high,
        "n_used_val": results.dataset.get("n_used_val"),
        "n_runs": by_config.size().to_numpy(),
        "command": train_commands(results, first),
        "url": [
            run_url(results, experiment_id, run_id)
            for experiment_id, run_id in zip(
                first["experiment_id"].tolist(), first["run_id"].tolist(), strict=True
            )
        ],
    }
    for column in ("reference", "trial", "url", *fields):
        # One missing value must not turn whole numbers into floats.
        known[column] = pd.Series(known[column], dtype=object)
    known["label"] = list(
        map(run_label, known["reference"], known["trial"], known["run_id"])
    )
    table = pd.DataFrame(known, columns=columns)
    metric, scores = results.suite.metric, table[OBJECTIVE].to_numpy(dtype=float)
    table["rank"] = pd.array(metric.ranks(scores), dtype="Int64")
    return table.iloc[metric.order(scores)].reset_index(drop=True)


def _first_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the first of each configuration's runs, in order of start."""
    return runs.drop_duplicates("config_id")


def _plain_list(values: pd.Series[Any]) -> list[Any]:
    return [plain(value) for value in values.tolist()]


def run_label(reference: str | None, trial: int | None, run_id: str) -> str:
    """Name a configuration as people do: its reference's name, or its trial."""
    if reference is not None:
        return f"reference {reference}"
    return f"trial {trial}" if trial is not None else f"run {run_id}"


def compare_heads(results: Results) -> pd.DataFrame:
    """Return the objective, log loss and training time of each head's runs.

    A search gives its heads different configurations, and the better head more of
    them: these rows describe what was tried and are no paired comparison.

    Returns
    -------
    DataFrame with columns
        ``head, n_runs, objective_mean, mean_ci95_low, mean_ci95_high`` (t interval
        over the runs), ``objective_sd, objective_min, objective_max, objective_best,
        val_log_loss_mean, val_log_loss_best, train_time_s_mean, epoch_time_s_mean``
    """
    columns = [
        *("head", "n_runs", "objective_mean", "objective_sd", "objective_min"),
        *(MEAN_LOW, MEAN_HIGH),
        *("objective_max", "objective_best", "val_log_loss_mean", "val_log_loss_best"),
        *("train_time_s_mean", "epoch_time_s_mean"),
    ]
    rows = [
        {
            "head": head,
            "n_runs": len(group),
            **_mean_bounds(group[OBJECTIVE], results.suite.metric),
            **{
                f"objective_{name}": value
                for name, value in _spread(
                    group[OBJECTIVE], results.suite.metric
                ).items()
            },
            "val_log_loss_mean": float(group["val_log_loss"].mean()),
            "val_log_loss_best": float(group["val_log_loss"].min()),
            "train_time_s_mean": float(group[TRAIN_TIME].mean()),
            "epoch_time_s_mean": float(group[EPOCH_TIME].mean()),
        }
        for head, group in complete_runs(results).groupby("head")
    ]
    return pd.DataFrame(rows, columns=columns)


def compare_heads_paired(results: Results) -> pd.DataFrame:
    """Return one row per two configurations that differ in their head alone.

    Returns
    -------
    DataFrame with columns
        the fields of `shown_fields` but the head, then ``head_a, head_b,
        config_id_a, config_id_b, n_runs_a, n_runs_b, objective_a, objective_b,
        difference``; the difference is b - a, of means over each one's runs.
    """
    fields = [field for field in shown_fields(results) if field != "head"]
    columns = [
        *fields,
        *("head_a", "head_b", "config_id_a", "config_id_b", "n_runs_a", "n_runs_b"),
        *("objective_a", "objective_b", "difference"),
    ]
    runs = complete_runs(results)
    first, by_config = _first_runs(runs), runs.groupby("config_id", sort=False)
    means, n_runs = by_config[OBJECTIVE].mean().tolist(), by_config.size().tolist()
    ids, heads = first["config_id"].tolist(), first["head"].tolist()
    values = {field: _plain_list(first[field]) for field in CONFIG_FIELDS}
    rest = zip(*(values[f] for f in CONFIG_FIELDS if f != "head"), strict=True)
    twins: dict[tuple[Any, ...], dict[str, int]] = {}
    for i, key in enumerate(rest):
        twins.setdefault(key, {})[heads[i]] = i
    rows = []
    for by_head in twins.values():
        for head_a, head_b in itertools.combinations(sorted(by_head), 2):
            a, b = by_head[head_a], by_head[head_b]
            rows.append(
                {
                    **{field: values[field][a] for field in fields},
                    "head_a": head_a,
                    "head_b": head_b,
                    "config_id_a": ids[a],
                    "config_id_b": ids[b],
                    "n_runs_a": n_runs[a],
                    "n_runs_b": n_runs[b],
                    "objective_a": means[a],
                    "objective_b": means[b],
                    "difference": means[b] - means[a],
                }
            )
    return pd.DataFrame(rows, columns=columns)


def trial_runs(results: Results) -> pd.DataFrame:
    """Return the complete runs of the search, references left out."""
    runs = complete_runs(results)
    return runs[runs["kind"] == "trial"]


def axis_effect(results: Results, axis: str) -> pd.DataFrame:
    """Return the objective of the search's complete trials by value of `axis`.

    Numbers with more than six values are put in at most six bins of about equally
    many trials. Everything else varies along: these are means over what the
    sampler chose, not the effect of the axis alone.

    Returns
    -------
    DataFrame with columns
        ``value`` (str), ``low, high`` (bounds of the bin; NaN for choices that are
        not numbers), ``n, mean, sd, min, max, best``, ``mean_ci95_low,
        mean_ci95_high``: t interval over the value's trials
    """
    columns = ["value", "low", "high", "n", "mean", "sd", "min", "max", "best"]
    columns += [MEAN_LOW, MEAN_HIGH]
    runs = trial_runs(results)
    metric = results.suite.metric
    values = [plain(value) for value in runs[axis].tolist()]
    objective = runs[OBJECTIVE].to_numpy(dtype=float)
    rows = []
    for label, low, high, members in _bins(values, results.suite.space.axes[axis]):
        chosen = pd.Series(objective[members])
        interval = mean_interval(objective[members]).within(*metric.bounds)
        rows.append(
            {
                "value": label,
                "low": low,
                "high": high,
                "n": len(chosen),
                **_spread(chosen, metric),
                MEAN_LOW: interval.low,
                MEAN_HIGH: interval.high,
            }
        )
    return pd.DataFrame(rows, columns=columns)


def explored_unevenly(effect: pd.DataFrame) -> str | None:
    """Say why the trials of `axis_effect` cannot tell its values apart, if so."""
    n = effect["n"]
    if len(effect) < 2:
        return "only one value has complete trials, so nothing can be said of the axis."
    few, many = effect.iloc[int(n.argmin())], effect.iloc[int(n.argmax())]
    if few["n"] >= MIN_TRIALS_PER_VALUE and many["n"] <= MAX_UNEVENNESS * few["n"]:
        return None
    return (
        f"explored too unevenly to say: {few['value']} has {few['n']} complete trials, "
        f"{many['value']} has {many['n']}."
    )


def importance(results: Results) -> pd.DataFrame:
    """Return each axis' share in what separates the best trials (PED-ANOVA).

    Needs at least four complete trials and two axes with more than one value;
    otherwise the frame is empty and ``frame.attrs["reason"]`` says why.

    Returns
    -------
    DataFrame with columns
        ``axis, importance`` (shares, their sum is 1), ``n_trials``

    References
    ----------
    Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces", IJCAI 2023.
    """
    empty = pd.DataFrame(columns=["axis", "importance", "n_trials"])
    axes = {
        name: axis for name, axis in results.suite.space if axis.n_choices not in (0, 1)
    }
    runs = trial_runs(results)
    if len(axes) < 2:
        empty.attrs["reason"] = "Importance compares axes; this suite has " + (
            "none." if not axes else f"only one that varies: {next(iter(axes))}."
        )
        return empty
    if len(runs) < MIN_TRIALS_FOR_IMPORTANCE:
        empty.attrs["reason"] = (
            f"Importance needs at least {MIN_TRIALS_FOR_IMPORTANCE} complete trials; "
            f"this study has {len(runs)}."
        )
        return empty
    shares = _ped_anova(runs, axes, results.suite.metric)
    if not shares or not all(math.isfinite(share) for share in shares.values()):
        empty.attrs["reason"] = (
            f"The {len(runs)} complete trials do not tell the axes apart: their best "
            "ones are spread over the space like all of them."
        )
        return empty
    table = pd.DataFrame(
        {
            "axis": list(shares),
            "importance": list(shares.values()),
            "n_trials": len(runs),
        }
    )
    return table.sort_values(
        "importance", ascending=False, kind="stable", ignore_index=True
    )


def _ped_anova(
    runs: pd.DataFrame, axes: dict[str, Axis], metric: Metric
) -> dict[str, float]:
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.importance import PedAnovaImportanceEvaluator

    distributions: dict[str, BaseDistribution] = {}
    for name, axis in axes.items():
        if isinstance(axis, CategoricalAxis):
            distributions[name] = CategoricalDistribution(axis.choices)
        elif isinstance(axis, IntAxis):
            distributions[name] = IntDistribution(
                axis.low, axis.high, log=axis.log, step=axis.step
            )
        elif isinstance(axis, FloatAxis):
            distributions[name] = FloatDistribution(
                axis.low, axis.high, log=axis.log, step=axis.step
            )
    with _quiet_optuna():
        study = optuna.create_study(
            direction="maximize" if metric.higher_is_better else "minimize",
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        values = zip(*(_plain_list(runs[name]) for name in axes), strict=True)
        study.add_trials(
            optuna.trial.create_trial(
                params=dict(zip(axes, chosen, strict=True)),
                distributions=distributions,
                value=float(objective),
            )
            for chosen, objective in zip(values, runs[OBJECTIVE], strict=True)
        )
        shares = optuna.importance.get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(), normalize=False
        )
    total = sum(shares.values())
    if not total > 0:
        return {}
    return {name: float(share) / total for name, share in shares.items()}


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keep Optuna's log lines and its notes on experimental classes away."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def pareto(results: Results) -> pd.DataFrame:
    """Return objective against training time, one row per configuration.

    ``on_front`` is true where no other configuration is at least as good in both
    and better in one.

    Returns
    -------
    DataFrame with columns
        ``label, config_id, reference, trial, run_id, n_runs, objective,
        train_time_s, on_front``, by training time
    """
    columns = [
        *("label", "config_id", "reference", "trial", "run_id", "n_runs"),
        *(OBJECTIVE, TRAIN_TIME),
    ]
    table = leaderboard(results)[columns]
    table = table[table[TRAIN_TIME].notna()].sort_values(
        TRAIN_TIME, kind="stable", ignore_index=True
    )
    on_front = pareto_front(
        table[TRAIN_TIME].to_numpy(dtype=float),
        table[OBJECTIVE].to_numpy(dtype=float),
        results.suite.metric.higher_is_better,
    )
    return table.assign(on_front=on_front)


def failures(results: Results) -> pd.DataFrame:
    """Return the runs that failed, were pruned or interrupted: reason and command.

    Returns
    -------
    DataFrame with columns
        ``label, run_id, kind, trial, config_id, state, failure_reason, n_epochs``,
        the fields of `shown_fields`, ``command, url``
    """
    fields = shown_fields(results)
    columns = [
        *("label", "run_id", "kind", "trial", "config_id", "state", "failure_reason"),
        *(N_EPOCHS, *fields, "command", "url"),
    ]
    parts = [results.runs, results.confirmed]
    runs = pd.concat([part for part in parts if len(part)] or parts[:1])
    runs = runs[runs["state"].isin(["failed", "pruned", "interrupted"])]
    runs = runs.reset_index(drop=True)
    taken = ("run_id", "kind", "trial", "config_id", "state", "failure_reason")
    known: dict[str, Any] = {name: _plain_list(runs[name]) for name in taken}
    known |= {
        "label": _failed_labels(runs),
        N_EPOCHS: runs[N_EPOCHS],
        **{field: _plain_list(runs[field]) for field in fields},
        "command": train_commands(results, runs),
        "url": [
            run_url(results, experiment_id, run_id)
            for experiment_id, run_id in zip(
                runs["experiment_id"], known["run_id"], strict=True
            )
        ],
    }
    for column in ("trial", "failure_reason", "url", *fields):
        known[column] = pd.Series(known[column], dtype=object)
    return pd.DataFrame(known, columns=columns)


def _failed_labels(runs: pd.DataFrame) -> list[str]:
    names = (_plain_list(runs[name]) for name in ("reference", "trial", "run_id"))
    labels = [run_label(*of_run) for of_run in zip(*names, strict=True)]
    if "label" not in runs:
        return labels
    own, replicates = _plain_list(runs["label"]), _plain_list(runs["replicate"])
    return [
        label if name is None else f"{name}, seed {replicate}"
        for label, name, replicate in zip(labels, own, replicates, strict=True)
    ]


def study_summary(results: Results) -> dict[str, Any]:
    """Return what a study amounts to: counts, times and the ends of its work.

    Returns
    -------
    dict with keys
        ``n_runs, n_<state>, n_trials, n_references,
        n_configurations`` : int
        ``total_time_s`` : float, summed over runs, parallel ones too
        ``first_start, last_start`` : Timestamp or None
        ``replicates`` : list of int, 0 for the search
    """
    runs = results.runs
    states = runs["state"].tolist()
    parts = [runs, results.confirmed]
    starts = [start for part in parts for start in part["start_time"].dropna()]
    return {
        "n_runs": len(runs),
        **{f"n_{state}": states.count(state) for state in STATES},
        "n_trials": int((runs["kind"] == "trial").sum()),
        "n_references": int((runs["kind"] == "reference").sum()),
        "n_configurations": int(complete_runs(results)["config_id"].nunique()),
        "total_time_s": float(runs[TOTAL_TIME].sum()),
        "first_start": min(starts, default=None),
        "last_start": max(starts, default=None),
        "replicates": sorted(
            {int(r) for part in parts for r in part["replicate"].dropna().tolist()}
        ),
    }


def published_comparison(results: Results) -> pd.DataFrame:
    """Return published figures beside those of the measured reference runs.

    Where the suite validates on the test set, the last epoch's validation accuracy
    is the test accuracy.

    Returns
    -------
    DataFrame with columns
        ``label, source, reference, figure`` ("val_accuracy", "epoch_time_s" or
        "test_accuracy"), ``epoch`` (NA where it is one number for the run),
        ``published, measured, difference`` (measured - published), ``n_runs``
    """
    columns = [
        *("label", "source", "reference", "figure", "epoch"),
        *("published", "measured", "difference", "n_runs"),
    ]
    complete = complete_runs(results)
    rows: list[dict[str, Any]] = []
    for entry in results.suite.published:
        runs = _reference_runs(results, complete, entry.reference)

        def add(
            figure: str,
            epoch: int | None,
            published: float,
            measured: float,
            who: tuple[str, str, str] = (entry.label, entry.source, entry.reference),
            n_runs: int = len(runs),
        ) -> None:
            rows.append(
                {
                    **dict(zip(("label", "source", "reference"), who, strict=True)),
                    "figure": figure,
                    "epoch": epoch,
                    "published": published,
                    "measured": measured,
                    "difference": measured - published,
                    "n_runs": n_runs,
                }
            )

        accuracies = _by_epoch(results, runs, "val", "accuracy")
        for epoch, value in enumerate(entry.val_accuracy, start=1):
            add("val_accuracy", epoch, value, accuracies.get(epoch, math.nan))
        times = _by_epoch(results, runs, "train", EPOCH_TIME)
        for epoch, value in enumerate(entry.epoch_time_s, start=1):
            if epoch in times:
                add("epoch_time_s", epoch, value, times[epoch])
        if entry.epoch_time_s:
            # A mean on both sides: a run's own epoch_time_s is a median.
            measured = float((runs[TRAIN_TIME] / runs[N_EPOCHS]).mean())
            add("epoch_time_s", None, float(np.mean(entry.epoch_time_s)), measured)
        if entry.test_accuracy is not None:
            measured = float(runs["test_accuracy"].mean())
            if math.isnan(measured) and results.suite.dataset.validation == "test":
                measured = float(runs["val_accuracy"].mean())
            add("test_accuracy", None, entry.test_accuracy, measured)
    table = pd.DataFrame(rows, columns=columns)
    table["epoch"] = pd.array([row["epoch"] for row in rows], dtype="Int64")
    return table


def _reference_runs(
    results: Results, complete: pd.DataFrame, name: str
) -> pd.DataFrame:
    runs = complete[complete["reference"] == name]
    return runs[runs["config_id"] == results.suite.references[name].config_id]


def _by_epoch(
    results: Results, runs: pd.DataFrame, split: str, metric: str
) -> dict[int, float]:
    """Return the mean value by epoch over `runs`."""
    curves = results.curves
    chosen = curves[
        curves["run_id"].isin(runs["run_id"].tolist()) & (curves["metric"] == metric)
    ]
    if metric != EPOCH_TIME:
        chosen = chosen[chosen["split"] == split]
    values: dict[int, list[float]] = {}
    for epoch, value in zip(
        chosen["epoch"].tolist(), chosen["value"].tolist(), strict=True
    ):
        values.setdefault(int(epoch), []).append(float(value))
    return {epoch: float(np.mean(v)) for epoch, v in values.items()}


def samples(results: Results, run_ids: Sequence[str]) -> pd.DataFrame:
    """Return the fixed validation reviews of `run_ids`, in that order of runs.

    Returns
    -------
    DataFrame with columns
        ``run_id, index, text, y_true, y_pred, correct``, then ``p_<class>``: the
        probability the model gave each class
    """
    class_names = list(results.dataset.get("class_names", ()))
    columns = [
        *("run_id", "index", "text", "y_true", "y_pred", "correct"),
        *(f"p_{name}" for name in class_names),
    ]
    rows = []
    for run_id in run_ids:
        for _, row in results.samples[results.samples["run_id"] == run_id].iterrows():
            y_proba = [float(p) for p in row["y_proba"]]
            rows.append(
                {
                    **{name: row[name] for name in columns[:5]},
                    "correct": bool(row["y_true"] == row["y_pred"]),
                    **{
                        f"p_{name}": p
                        # No names where the data's description was lost.
                        for name, p in zip(class_names, y_proba, strict=False)
                    },
                }
            )
    return pd.DataFrame(rows, columns=columns)


def _mean_bounds(values: pd.Series[float], metric: Metric) -> dict[str, float]:
    interval = mean_interval(values.to_numpy(dtype=float)).within(*metric.bounds)
    return {MEAN_LOW: interval.low, MEAN_HIGH: interval.high}


def _spread(values: pd.Series[float], metric: Metric) -> dict[str, float]:
    low, high = float(values.min()), float(values.max())
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)),
        "min": low,
        "max": high,
        "best": high if metric.higher_is_better else low,
    }


def _bins(
    values: Sequence[Any], axis: Axis
) -> list[tuple[str, float, float, list[int]]]:
    """Return (label, low, high, positions) per value or bin that was met."""
    if isinstance(axis, CategoricalAxis):
        order = list(axis.choices) + [v for v in values if v not in axis.choices]
    else:
        order = sorted(set(values))
    distinct = [v for v in dict.fromkeys(order) if v in values]
    if isinstance(axis, CategoricalAxis) or len(distinct) <= MAX_BINS:
        return [
            (
                value_label(value),
                *((float(value),) * 2 if _is_number(value) else (math.nan,) * 2),
                [i for i, v in enumerate(values) if v == value],
            )
            for value in distinct
        ]
    numbers = np.array(values, dtype=float)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, MAX_BINS + 1)))
    which = np.clip(np.searchsorted(edges, numbers, side="right"), 1, len(edges) - 1)
    bins = []
    for i in range(1, len(edges)):
        members = np.flatnonzero(which == i).tolist()
        if members:
            low, high = numbers[members].min(), numbers[members].max()
            label = f"{low:.4g}" + ("" if low == high else f" to {high:.4g}")
            bins.append((label, float(low), float(high), members))
    return bins


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
