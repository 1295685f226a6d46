"""Contenders: the confirmed configurations and baselines that are compared."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from lstm_bench.analysis.formatting import config_of_row
from lstm_bench.analysis.intervals import Interval, mean_interval
from lstm_bench.metrics import Metric
from lstm_bench.suites.cells import CELL_NAMES
from lstm_bench.suites.config import COOCCURRENCE, TrialConfig, short_text
from lstm_bench.suites.schema import ConfirmSpec
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import Prediction, metric_key

ENDED = ("complete", "failed")
T = TypeVar("T")


@dataclass(frozen=True)
class Contender:
    """A configuration or baseline with its scores by replicate.

    Attributes
    ----------
    key : str
        The configuration's id, or ``baseline:<name>``.
    origin : str
        "search", "reference", "pair" or "baseline".
    config : TrialConfig or None
        None for a baseline.
    metric : Metric
        The suite's.
    val, test : mapping of int to float
        The metric by replicate.
    predictions : mapping of int to mapping of str to Prediction
        By replicate, then split.
    n_ended : int
        Replicates 1 to this one have all ended, complete or failed.
    """

    key: str
    label: str
    origin: str
    config: TrialConfig | None
    metric: Metric
    val: Mapping[int, float]
    test: Mapping[int, float]
    predictions: Mapping[int, Mapping[str, Prediction]]
    n_ended: int = 0

    @property
    def is_baseline(self) -> bool:
        """Whether this is a baseline and not a network."""
        return self.origin == "baseline"

    @property
    def kind(self) -> str:
        """``baseline``, or the name of a network's cell: ``LSTM``."""
        return "baseline" if self.config is None else CELL_NAMES[self.config.cell]

    @property
    def reads_evidence(self) -> bool:
        """Whether it is a network that reads n-gram evidence beside its words."""
        return self.config is not None and self.config.ngram_evidence > 0

    @property
    def origin_of_vectors(self) -> str:
        """A sentence on its word vectors, if they are from train; else empty."""
        if self.config is None or self.config.embedding != COOCCURRENCE:
            return ""
        return "Its word vectors begin with which words stand close in train."

    @property
    def kind_of_evidence(self) -> str:
        """Of which n-grams: ``1- to 3-grams``."""
        n = 0 if self.config is None else self.config.ngram_evidence
        return short_text("ngram_evidence", n).removeprefix("evidence of ")

    @property
    def mean_val(self) -> float:
        """Mean over replicates of the metric on validation."""
        return float(np.mean(list(self.val.values())))

    @property
    def test_interval(self) -> Interval:
        """Mean of the metric on test, with its 95 % t interval over replicates."""
        scores = np.array(list(self.test.values()))
        return mean_interval(scores).within(*self.metric.bounds)

    @property
    def mean_test(self) -> float:
        """Mean over replicates of the metric on test."""
        return float(np.mean(list(self.test.values())))


def confirm_spec(suite: Suite) -> ConfirmSpec:
    """Return the suite's ``confirm`` section, or its defaults."""
    return suite.confirm or ConfirmSpec(margin=suite.task.margin)


def find_contenders(results: Results) -> list[Contender]:
    """Return the confirmed configurations, then the baselines on the same splits.

    Where seeds are added look by look, each has those of whole looks alone, if there is
    one: no verdict may come from other numbers of seeds.
    """
    name = results.suite.metric.name
    val, test = metric_key("val", name), metric_key("test", name)
    # A run without its predictions cannot be compared.
    whole = [run_id for run_id, parts in results.predictions.items() if len(parts) == 2]
    runs = results.confirmed[results.confirmed["run_id"].isin(whole)]
    complete = runs[(runs["state"] == "complete") & runs[test].notna()]
    found = [
        _contender(results, group, str(key), val, test)
        for key, group in complete.groupby("config_id", sort=False)
    ]
    scored = results.baselines[results.baselines["run_id"].isin(whole)]
    scored = scored[(scored["replicate"] > 0) & scored[test].notna()]
    if found:
        found += [
            _contender(results, group, f"baseline:{key}", val, test)
            for key, group in scored.groupby("baseline", sort=False)
        ]
    spec = confirm_spec(results.suite)
    return found if spec.until is None else [_at_look(c, spec.looks) for c in found]


def _at_look(contender: Contender, looks: Sequence[int]) -> Contender:
    """Return a contender with the replicates of its whole looks, if there is one."""
    whole = [n for n in looks if n <= contender.n_ended]
    if not whole:
        return contender

    def first(by_replicate: Mapping[int, T]) -> dict[int, T]:
        return {r: value for r, value in by_replicate.items() if r <= whole[-1]}

    return replace(
        contender,
        val=first(contender.val),
        test=first(contender.test),
        predictions=first(contender.predictions),
    )


def _contender(
    results: Results, group: pd.DataFrame, key: str, val: str, test: str
) -> Contender:
    first = group.iloc[0]
    replicates = [int(r) for r in group["replicate"].tolist()]
    is_baseline = key.startswith("baseline:")
    runs = results.confirmed
    ended = runs[(runs["config_id"] == key) & runs["state"].isin(ENDED)]["replicate"]
    return Contender(
        key,
        str(first["label"]) if is_baseline else results.names[key],
        "baseline" if is_baseline else str(first["origin"]),
        None if is_baseline else config_of_row(first),
        results.suite.metric,
        dict(zip(replicates, group[val].tolist(), strict=True)),
        dict(zip(replicates, group[test].tolist(), strict=True)),
        {
            replicate: results.predictions[run_id]
            for replicate, run_id in zip(
                replicates, group["run_id"].tolist(), strict=True
            )
        },
        _n_first(replicates if is_baseline else ended.tolist()),
    )


def _n_first(replicates: Sequence[int]) -> int:
    """Return the largest n of which all replicates from 1 to n are there."""
    there = set(replicates)
    return next(n for n in itertools.count() if n + 1 not in there)


def common_replicates(members: Sequence[Contender]) -> list[int]:
    """Return the replicates on which all of `members` were scored."""
    return sorted(set.intersection(*(set(c.test) for c in members)))


Pair = tuple[Contender, Contender]


def twins(found: Sequence[Contender], field: str, a: Any, b: Any) -> list[Pair]:
    """Return pairs of confirmed configurations that differ in `field`: `a` and `b`."""
    lstms = {c.key: c.config.model_dump() for c in found if c.config is not None}
    by_key = {c.key: c for c in found}
    groups = differing_in(field, lstms)
    return [(by_key[g[a]], by_key[g[b]]) for g in groups if a in g and b in g]


def differing_in(
    field: str, configs: Mapping[str, Mapping[str, Any]]
) -> list[dict[Any, str]]:
    """Return the groups of configurations that differ in `field` alone.

    Parameters
    ----------
    configs : mapping of str to mapping of str to value
        Every configuration's fields by id, in the same order for all.

    Returns
    -------
    list of dict
        Ids by value of `field`; a group may have a single configuration.
    """
    groups: dict[tuple[Any, ...], dict[Any, str]] = {}
    for key, config in configs.items():
        rest = tuple(value for name, value in config.items() if name != field)
        groups.setdefault(rest, {})[config[field]] = key
    return list(groups.values())


def best_on_validation(
    chosen: Sequence[Contender], metric: Metric, within: int | None = None
) -> Contender | None:
    """Return the first of `ranked_on_validation`, None if there is none."""
    return next(iter(ranked_on_validation(chosen, metric, within)), None)


def ranked_on_validation(
    chosen: Sequence[Contender], metric: Metric, within: int | None = None
) -> list[Contender]:
    """Return contenders by their mean on validation, the best first.

    Only common replicates are used, so an unfinished confirmation is fair to all. Equal
    ones are in the order of their keys, in whatever order they were trained.

    Parameters
    ----------
    within : int or None
        Last replicate to use, as `ConfirmSpec.chosen_on`.
    """
    if not chosen:
        return []
    ordered = sorted(chosen, key=lambda c: c.key)
    shared = [r for r in common_replicates(ordered) if within is None or r <= within]
    means = [np.mean([c.val[r] for r in shared or c.val]) for c in ordered]
    return [ordered[i] for i in metric.order(np.array(means)).tolist()]
