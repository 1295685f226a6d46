"""Explain a baseline: as a sum, or by what it repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.explaining.attribution import (
    Faithfulness,
    deletion,
    faithfulness,
    log_odds,
    turn,
)
from lstm_bench.explaining.explanation import (
    GRADIENTS,
    N_POINTS,
    NGRAMS,
    SUMS,
    Explanation,
    Ngram,
    Steps,
    Term,
    Text,
    agreement_of,
    finite,
    of_model,
    seed_of,
    target_of,
    true_value_of,
)
from lstm_bench.explaining.linear import (
    Sum,
    autoregression,
    log_odds_of,
    summary_sums,
)
from lstm_bench.explaining.ngrams import Contributions, contributions
from lstm_bench.inference import (
    OUT_OF_VOCABULARY,
    SUMMARIES,
    Arrays,
    baseline_proba,
    repeated_steps,
    summarise,
)
from lstm_bench.tasks import CLASSIFICATION
from lstm_bench.text import listed

WHOLE = {
    "dtw_1nn": "it compares a series as a whole with those of train, so that no step "
    "has a part of the answer"
}
"""Baselines that cannot be explained, and why."""
N_SHARES = 5


@dataclass(frozen=True)
class Parts:
    """A baseline's score as a sum over the steps; fields as of `Explanation`."""

    method: str
    by_step: FloatArray
    rest: float
    by_channel: list[list[float]] = field(default_factory=list)
    n_points: int | None = None
    ngrams: list[Ngram] = field(default_factory=list)
    terms: list[Term] = field(default_factory=list)


@dataclass(frozen=True)
class Fitted:
    """A fitted baseline and the example as it reads it."""

    arrays: Arrays
    about: Mapping[str, Any]
    text: Text

    @property
    def name(self) -> str:
        """The baseline's name."""
        return str(self.about["model"])

    def predict(self, sequences: list[Steps]) -> FloatArray:
        """Return probabilities, or numbers in the data's units."""
        n_targets = len(self.about["class_names"] or self.about["output_names"])
        y = baseline_proba(self.name, self.arrays, sequences, n_targets)
        return y if self.text.ahead is None else self.text.ahead.in_unit(y)

    @cached_property
    def proba(self) -> FloatArray:
        """What is predicted for the example."""
        predicted: FloatArray = self.predict([self.text.sequence])[0]
        return predicted

    def score(self, sequences: list[Steps], target: int) -> FloatArray:
        """Return the log-odds of class `target`, or number `target`."""
        y = self.predict(sequences)
        if self.about["task"] == CLASSIFICATION:
            return log_odds(y, target)
        return y[:, target]

    @property
    def repeated(self) -> IntArray:
        """Of a naive forecast, the step of the window that each step ahead repeats."""
        ahead = self.text.ahead
        if ahead is None or self.name not in ("naive", "seasonal_naive"):
            return np.zeros(0, np.int64)
        season = int(self.arrays["season"]) if self.name == "seasonal_naive" else 1
        return repeated_steps(self.text.sequence, ahead.horizon, season)

    @property
    def repeats(self) -> str:
        """A sentence on what is repeated; empty of a baseline that is a sum."""
        ahead = self.text.ahead
        if self.name == "majority":
            order = np.argsort(-self.proba, kind="stable")[:N_SHARES]
            names = self.about["class_names"]
            shares = listed(f"{names[i]} {self.proba[i]:.3f}" for i in order)
            more = ", ..." if len(names) > N_SHARES else ""
            return (
                "It reads nothing of the input and repeats the classes' shares in "
                f"train: {shares}{more}."
            )
        if self.name == "train_mean":
            names = self.about["output_names"]
            pairs = zip(names, self.proba, strict=True)
            means = listed(f"{name} {value:.6g}" for name, value in pairs)
            return (
                "It reads nothing of the input and repeats the mean of the targets in "
                f"train: {means}."
            )
        if ahead is None or not len(self.repeated):
            return ""
        first, last = (ahead.times[i] for i in (min(self.repeated), max(self.repeated)))
        if self.name == "naive":
            return (
                f"It repeats the last known value, {ahead.level:.6g} of {last}, at "
                "every step ahead."
            )
        return (
            "It repeats the last known value of the same step of the season of "
            f"{int(self.arrays['season']):,} steps: here values from {first} to {last}."
        )

    def parts(self, target: int, n_points: int) -> Parts:
        """Return the score of class or number `target` as a sum."""
        ahead, sequence = self.text.ahead, self.text.sequence
        if "ngrams" in self.arrays:
            found = contributions(self.name, self.arrays, sequence, target)
            words = dict(zip(sequence.tolist(), self.text.names, strict=True))
            words[OUT_OF_VOCABULARY] = "(unknown)"
            ngrams = _ngrams(found, words)
            return Parts(NGRAMS, found.by_step, found.intercept, ngrams=ngrams)
        if ahead is not None:
            step = target if target < ahead.horizon else None
            one = autoregression(self.arrays, sequence, step)
            by_step = one.by_channel[:, 0] * ahead.scale
            return Parts(SUMS, by_step, one.rest * ahead.scale + ahead.level)
        sums = summary_sums(self.arrays, sequence)
        if self.about["task"] != CLASSIFICATION:
            return self._of_sum(SUMS, sums[target], None)
        at = self.arrays["classes"].tolist().index(target)
        return self._of_sum(GRADIENTS, log_odds_of(sums, at, n_points), n_points)

    def _of_sum(self, method: str, one: Sum, n_points: int | None) -> Parts:
        channels = self.about["channels"]
        values = summarise([np.array(self.text.values, np.float64)])[0, :-1]
        places = [(name, channel) for name in SUMMARIES for channel in channels]
        terms = [
            Term(name, channel, value, contribution)
            for (name, channel), value, contribution in zip(
                places,
                values.tolist(),
                one.by_summary.reshape(-1).tolist(),
                strict=True,
            )
        ]
        terms.sort(key=lambda term: -abs(term.contribution))
        by_channel = one.by_channel
        return Parts(
            method,
            by_channel.sum(axis=1),
            one.rest,
            by_channel.tolist(),
            n_points,
            terms=terms,
        )


def explain_baseline(
    arrays: Arrays,
    about: Mapping[str, Any],
    text: Text,
    rng: np.random.Generator,
    *,
    n_points: int = N_POINTS,
    seeds: Sequence[tuple[Mapping[str, Any], Arrays, Text]] = (),
    step: int | None = None,
    true_class: str | None = None,
    true_value: float | None = None,
    example: int | None = None,
) -> Explanation:
    """Explain what a baseline gives for one example, as a sum or by what it repeats.

    Parameters as of `explain_network`; `arrays` are what fitting it resulted in, and it
    is none of `WHOLE`.
    """
    fitted = Fitted(arrays, about, text)
    target = target_of(about, fitted.proba, step)
    others = [Fitted(its, other, its_text) for other, its, its_text in seeds]
    sequence, places = text.sequence, text.places
    known = {
        **of_model(about, text),
        "cell": None,
        "target": target,
        "proba": fitted.proba.tolist(),
        "true_class": true_class,
        "true_value": true_value_of(text, target, true_value),
        "example": example,
        "steps": text.names,
        "is_word": np.isin(np.arange(len(sequence)), places).tolist(),
        "is_known": [True] * len(sequence),
        "n_cut": 0,
        "cut_at": "start",
        "values": text.values,
        "layers": [],
        "measure": "",
        "units": [],
    }
    if text.sequence.ndim == 1:
        known["is_known"] = (sequence != OUT_OF_VOCABULARY).tolist()
    if repeats := fitted.repeats:
        unweighed = float(fitted.score([sequence], target)[0])
        return Explanation(
            **known,
            running=[],
            running_from="",
            turn=None,
            method="",
            attribution=[],
            by_channel=[],
            score=unweighed,
            baseline_score=unweighed,
            gap=0.0,
            n_points=None,
            deletion=[],
            faithfulness=Faithfulness([], [], [], [], [], 0),
            ngrams=[],
            seeds=[seed_of(o.about, o.proba, target, np.zeros(0)) for o in others],
            agreement=[],
            repeats=repeats,
            repeated=fitted.repeated.tolist(),
        )

    def score(sequences: list[Steps]) -> FloatArray:
        return fitted.score(sequences, target)

    parts = fitted.parts(target, n_points)
    if text.ahead is None:
        prefixes = [sequence[: n + 1] for n in range(len(sequence))]
    else:
        prefixes = [text.without(np.arange(n + 1, len(sequence))) for n in places]
    running = fitted.predict(prefixes)
    # Of one step nothing would be left to summarise.
    gone = places if len(sequence) > 1 or sequence.ndim == 1 else places[:0]
    fall = np.full(len(sequence), np.nan)
    fall[gone] = deletion(score, text.without, gone)
    by_seed = [
        seed_of(o.about, o.proba, target, o.parts(target, n_points).by_step)
        for o in others
    ]
    total = float(parts.by_step.sum()) + parts.rest
    # Of several classes, n-grams have a score that probabilities do not give.
    whole = total if parts.method == NGRAMS else float(score([sequence])[0])
    return Explanation(
        **known,
        running=running.tolist(),
        running_from="prefixes" if text.ahead is None else "flattened",
        turn=turn(running) if about["task"] == CLASSIFICATION else None,
        method=parts.method,
        attribution=parts.by_step.tolist(),
        by_channel=parts.by_channel,
        score=whole,
        baseline_score=parts.rest,
        gap=total - whole,
        n_points=parts.n_points,
        deletion=finite(fall),
        faithfulness=faithfulness(score, text.without, gone, parts.by_step[gone], rng),
        ngrams=parts.ngrams,
        seeds=by_seed,
        agreement=agreement_of(parts.by_step.tolist(), by_seed, places),
        terms=parts.terms,
    )


def _ngrams(found: Contributions, words: Mapping[int, str]) -> list[Ngram]:
    """Return the n-grams, those of the highest absolute contribution first."""
    order = np.argsort(-np.abs(found.values), kind="stable")
    rows = []
    for i in order:
        first, second = divmod(int(found.ngrams[i]), 1 << 31)
        name = words[second] if not first else f"{words[first]} {words[second]}"
        rows.append(Ngram(name, int(found.counts[i]), float(found.values[i])))
    return rows
