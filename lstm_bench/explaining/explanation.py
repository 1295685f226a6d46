"""`Explanation`: all that a page shows about one example and its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray, IntArray
from lstm_bench.explaining.attribution import (
    Faithfulness,
    deletion,
    faithfulness,
    rank_correlation,
    turn,
)
from lstm_bench.explaining.gates import Trace, half_life
from lstm_bench.inference import (
    CUT_FROM,
    OUT_OF_VOCABULARY,
    PAD,
    START,
    kept_of,
    tokenize,
)
from lstm_bench.tasks import CLASSIFICATION, FORECAST

if TYPE_CHECKING:
    from lstm_bench.explaining.network import Network

Steps = npt.NDArray[Any]

FORMAT = 1
N_POINTS = 50
N_UNITS = 8
GRADIENTS = "integrated gradients"
NGRAMS = "n-gram contributions"
SUMS = "linear contributions"
MEASURE = (
    "absolute contribution to the score: the unit's output as it reaches the head, "
    "times its weight there; of mean and maximum, both together"
)


@dataclass(frozen=True)
class Ahead:
    """A window of a series that is to be forecast, in the series' own unit.

    Attributes
    ----------
    series : str
        The series' name; empty if it has none.
    times : list of str
        Of the window's values, then of the steps ahead.
    values : list of float or None
        The window; None where a value is missing.
    level : float
        The last known value. A model reads differences from it.
    scale : float
        The unit of what a model reads; see `inference.seasonal_errors`.
    truth : list of float or None
        The true values ahead, of an example of test.
    """

    series: str
    times: list[str]
    values: list[float | None]
    level: float
    scale: float
    truth: list[float] | None

    @property
    def horizon(self) -> int:
        """The number of steps ahead."""
        return len(self.times) - len(self.values)

    @property
    def names(self) -> list[str]:
        """Names of the numbers that are forecast, their mean last."""
        n = self.horizon
        return [
            *(f"step {k} ahead" for k in range(1, n + 1)),
            f"mean of {n} steps ahead",
        ]

    def in_unit(self, scaled: FloatArray) -> FloatArray:
        """Return forecasts as a model gives them in the series' unit, and their mean.

        Parameters
        ----------
        scaled : ndarray of shape (n, horizon)

        Returns
        -------
        float64 ndarray of shape (n, horizon + 1)
        """
        return with_mean(scaled * self.scale + self.level)


def with_mean(values: FloatArray) -> FloatArray:
    """Return rows of numbers with each row's mean behind them."""
    return np.concatenate([values, values.mean(axis=1, keepdims=True)], axis=1)


@dataclass(frozen=True)
class Text:
    """One example as the model reads it.

    Attributes
    ----------
    sequence : ndarray
        Token ids of shape (n_steps,), or scaled vectors of shape (n_steps,
        n_channels): what remains after truncation.
    names : list of str
        Each step's token, or its number.
    n_cut : int
        Steps that were cut off.
    values : list of list of float
        A series' values, as given, None where missing; [] for tokens.
    ahead : Ahead or None
        Of a window that is to be forecast.
    """

    sequence: Steps
    names: list[str]
    n_cut: int
    values: list[list[float | None]]
    ahead: Ahead | None = None

    @property
    def places(self) -> IntArray:
        """The steps that are words: neither start nor padding."""
        if self.sequence.ndim == 2:
            return np.arange(len(self.sequence))
        return np.flatnonzero(~np.isin(self.sequence, (PAD, START)))

    def without(self, places: IntArray) -> Steps:
        """Return the sequence without the steps at some places.

        A window keeps its length: the last known value, 0 as models read it, takes a
        value's place.
        """
        if self.ahead is None:
            return np.delete(self.sequence, places, axis=0)
        rest = self.sequence.copy()
        rest[places] = 0.0
        return rest


def text_of(
    sequence: Steps,
    given: Any,
    about: Mapping[str, Any],
    config: Any,
    ahead: Ahead | None = None,
) -> Text:
    """Return an example as the model reads it.

    Parameters
    ----------
    sequence : ndarray
        From `Model.read`: all of it.
    given : str, list of str or list of list of float
        The input that it was read from; not used of a window.
    about : mapping
        ``kind`` and ``tokenizer``.
    config : mapping or None
        The network's configuration; None: a baseline, which reads everything.
    """
    kept = np.arange(len(sequence))
    if config is not None:
        kept = kept_of(len(sequence), config["sequence_length"], config["truncating"])
    n_cut = len(sequence) - len(kept)
    if ahead is not None:
        names = [ahead.times[i] for i in kept]
        known = [[ahead.values[i]] for i in kept]
        return Text(sequence[kept], names, n_cut, known, ahead)
    if about["kind"] != "tokens":
        values = np.asarray(given, np.float64).reshape(len(sequence), -1)[kept]
        names = [f"step {i + 1}" for i in kept]
        return Text(sequence[kept], names, n_cut, values.tolist())
    words = given if isinstance(given, list) else tokenize(given, about["tokenizer"])
    names = ["(start)", *words]
    return Text(sequence[kept], [names[i] for i in kept], n_cut, [])


@dataclass(frozen=True)
class LayerGates:
    """One layer in one direction, over the steps.

    Attributes
    ----------
    means : dict of str to list of float
        Each gate's mean over the units at every step; of the candidate and of the
        state, the mean of the absolute values.
    half_lives : list of float or None
        Of each unit, in steps; None for a cell without a gate that keeps its state,
        and for a unit that forgets nothing.
    """

    name: str
    kind: str
    means: dict[str, list[float]]
    half_lives: list[float | None] | None


@dataclass(frozen=True)
class Unit:
    """A unit of the last layer.

    Attributes
    ----------
    contribution : float
        See `MEASURE`, with its sign.
    kept : float or None
        Mean share of its state that stays at a step.
    half_life : float or None
        In steps.
    state : list of float
        At every step.
    """

    name: str
    contribution: float
    kept: float | None
    half_life: float | None
    state: list[float]


@dataclass(frozen=True)
class Ngram:
    """An n-gram of the text and its contribution to a linear baseline's score."""

    ngram: str
    count: int
    contribution: float


@dataclass(frozen=True)
class Term:
    """A statistic of a channel, and its contribution to a linear baseline's score.

    Attributes
    ----------
    value : float
        In the data's units.
    """

    statistic: str
    channel: str
    value: float
    contribution: float


@dataclass(frozen=True)
class Seed:
    """The same configuration, trained with another seed.

    Attributes
    ----------
    proba : float
        Its probability of the explained class.
    attribution : list of float
        By step.
    """

    replicate: int
    run_id: str | None
    proba: float
    predicted: int
    attribution: list[float]


@dataclass(frozen=True)
class Explanation:
    """One example and one model.

    Attributes
    ----------
    model : str
        The kind of the cells, or a baseline's name.
    cell : str or None
        Kind of the recurrent layers' cells.
    task : {"classification", "regression", "forecast"}
    class_names : list of str
        Or names of the numbers that the model predicts; of forecasts their mean last.
    target : int
        The explained class: the most probable one; of numbers the first, of forecasts
        the mean or the step that was asked for.
    proba : list of float
        Of the classes, or the predicted numbers, in the data's units.
    true_class : str or None
        Of an example of the test set.
    true_value : float or None
        Its true number.
    ahead : Ahead or None
        Of a forecast, the window that it continues.
    steps : list of str
        What the model reads, padding included where it is not masked.
    is_word : list of bool
        Whether the step is neither start nor padding.
    is_known : list of bool
        Whether the token is in the model's vocabulary.
    running : list of list of float
        Probability of each class, or each number, after each step.
    running_from : {"states", "prefixes", "flattened", ""}
        Whether from the states as the model reads on, by feeding it each prefix, or
        the window with the last known value at all later steps.
    turn : int or None
        The step since which the most probable class is the final one; None of numbers.
    method : str
        Of `attribution`: `GRADIENTS`, `NGRAMS` or `SUMS`.
    attribution : list of float
        Contribution of each step to the score.
    score : float
        Log-odds of the explained class, or the predicted number.
    by_channel : list of list of float
        Of series: `attribution` by step and channel.
    baseline_score, gap : float
        Score of the baseline (padding, the channels' means, the last known value at
        every step, or no n-gram), and sum of the attributions minus the difference to
        it.
    n_points : int or None
        Points at which the gradient was computed.
    deletion : list of float or None
        How much the score falls without the step; None where it cannot be left out.
    measure : str
        By which `units` are ranked.
    seeds : list of Seed
        Further seeds of the same configuration.
    agreement : list of float
        Rank correlations of the words' attributions, for each pair of seeds.
    terms : list of Term
        Of a baseline of summary statistics, those of the highest absolute contribution
        first.
    repeats : str
        Of a baseline that repeats what it has seen, a sentence on that. It has no
        attributions: all fields about them are empty, `baseline_score` is the score.
    repeated : list of int
        Of a naive forecast, the step of the window that each step ahead repeats.
    """

    suite: str
    study: str
    name: str
    replicate: int
    run_id: str | None
    why: str
    model: str
    cell: str | None
    kind: str
    tokenizer: str | None
    channels: list[str]
    task: str
    class_names: list[str]
    target: int
    proba: list[float]
    true_class: str | None
    true_value: float | None
    ahead: Ahead | None
    example: int | None
    steps: list[str]
    is_word: list[bool]
    is_known: list[bool]
    n_cut: int
    cut_at: str
    values: list[list[float | None]]
    running: list[list[float]]
    running_from: str
    turn: int | None
    method: str
    attribution: list[float]
    by_channel: list[list[float]]
    score: float
    baseline_score: float
    gap: float
    n_points: int | None
    deletion: list[float | None]
    faithfulness: Faithfulness
    layers: list[LayerGates]
    measure: str
    units: list[Unit]
    ngrams: list[Ngram]
    seeds: list[Seed]
    agreement: list[float]
    terms: list[Term] = field(default_factory=list)
    repeats: str = ""
    repeated: list[int] = field(default_factory=list)
    format: int = FORMAT

    @property
    def is_numeric(self) -> bool:
        """Whether the model predicts numbers."""
        return self.task != CLASSIFICATION

    @property
    def target_name(self) -> str:
        """Name of the explained class or number."""
        return self.class_names[self.target]

    @property
    def words(self) -> IntArray:
        """The steps that are words."""
        return np.flatnonzero(self.is_word)

    def telling(self, n: int) -> list[int]:
        """Return the `n` words of the highest absolute attribution, in that order."""
        size = [abs(self.attribution[i]) for i in self.words]
        order = np.argsort(-np.array(size), kind="stable")[:n]
        return [int(self.words[i]) for i in order]

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return asdict(self)


def explain_network(
    network: Network,
    about: Mapping[str, Any],
    text: Text,
    rng: np.random.Generator,
    *,
    n_points: int = N_POINTS,
    seeds: Sequence[tuple[Mapping[str, Any], Network, Text]] = (),
    step: int | None = None,
    true_class: str | None = None,
    true_value: float | None = None,
    example: int | None = None,
) -> Explanation:
    """Explain a network's probabilities, or a number, for one example.

    Parameters
    ----------
    network : Network
        Of forecasts, from `Network.ahead`.
    about : mapping
        From the model's folder.
    rng : Generator
        Draws the words that are deleted at random.
    seeds : sequence of (about, network, text)
        The same configuration with other seeds, and the text as each reads it.
    step : int or None
        Of forecasts, the step ahead to explain, from 1; None: the mean.
    """
    sequence, places = text.sequence, text.places
    read = Read(network, text)
    traces = network.traces(read.x)
    pooled = network.pooled([sequence])[0]
    logits = network.logits(pooled[None])
    proba = network.proba_of_logits(logits)[0]
    is_numeric = about["task"] != CLASSIFICATION
    target = target_of(about, proba, step)
    running = running_of(read, traces[-1])

    def score(sequences: list[Steps]) -> FloatArray:
        return network.score(network.logits(network.pooled(sequences)), target)

    total = float(network.score(logits, target)[0])
    found = network.gradients(sequence, target, n_points)
    by_step = found.values.sum(axis=1)
    ranked = by_step[places + read.first]
    others = []
    for other, its, its_text in seeds:
        said = its.proba([its_text.sequence])[0]
        slopes = its.gradients(its_text.sequence, target, n_points).values
        others.append(seed_of(other, said, target, slopes.sum(axis=1)))
    return Explanation(
        **of_model(about, text),
        cell=traces[0][0].kind,
        target=target,
        proba=proba.tolist(),
        true_class=true_class,
        true_value=true_value_of(text, target, true_value),
        example=example,
        **read.shown(),
        running=running.tolist(),
        running_from="states" if network.runs_on else "prefixes",
        turn=None if is_numeric else turn(running),
        method=GRADIENTS,
        attribution=by_step.tolist(),
        by_channel=found.values.tolist() if network.kind == "vectors" else [],
        score=total,
        baseline_score=total - found.difference,
        gap=found.gap,
        n_points=n_points,
        deletion=read.spread(deletion(score, text.without, places)),
        faithfulness=faithfulness(score, text.without, places, ranked, rng),
        layers=[_layer_gates(trace) for layer in traces for trace in layer],
        measure=MEASURE,
        units=rank_units(traces[-1], pooled * network.direction(target)),
        ngrams=[],
        seeds=others,
        agreement=agreement_of(by_step.tolist(), others, places + read.first),
    )


def target_of(about: Mapping[str, Any], proba: FloatArray, step: int | None) -> int:
    """Return which class or number is explained; see `Explanation`."""
    if about["task"] == CLASSIFICATION:
        return int(proba.argmax())
    if about["task"] == FORECAST:
        return len(proba) - 1 if step is None else step - 1
    return 0


def true_value_of(text: Text, target: int, given: float | None) -> float | None:
    """Return the true number: of a window that of step `target`, else the given."""
    if text.ahead is None or text.ahead.truth is None:
        return given
    return float(with_mean(np.array([text.ahead.truth]))[0, target])


@dataclass(frozen=True)
class Read:
    """A text within the steps that a network reads, padding included."""

    network: Network
    text: Text

    @property
    def x(self) -> Steps:
        """The network's input, one row."""
        row: Steps = self.network.batch([self.text.sequence])[0]
        return row

    @property
    def first(self) -> int:
        """The step at which the text begins."""
        is_pre = self.network.config["padding"] == "pre"
        return len(self.x) - len(self.text.sequence) if is_pre else 0

    @property
    def n_after(self) -> int:
        """Steps of padding after the text."""
        return len(self.x) - self.first - len(self.text.sequence)

    def spread(self, values: FloatArray) -> list[float | None]:
        """Return the words' values by step; None elsewhere."""
        found: list[float | None] = [None] * len(self.x)
        for place, value in zip(self.text.places, values.tolist(), strict=True):
            found[self.first + int(place)] = value
        return found

    def shown(self) -> dict[str, Any]:
        """Return the fields that say what was read."""
        text, config = self.text, self.network.config
        is_word = np.zeros(len(self.x), bool)
        is_word[self.first + text.places] = True
        before, after = (["(padding)"] * n for n in (self.first, self.n_after))
        known = (
            self.network.tokens(self.x) != OUT_OF_VOCABULARY
            if self.network.kind == "tokens"
            else is_word
        )
        return {
            "steps": [*before, *text.names, *after],
            "is_word": is_word.tolist(),
            "is_known": known.tolist(),
            "n_cut": text.n_cut,
            "cut_at": CUT_FROM[config["truncating"]],
            "values": text.values,
        }


def running_of(read: Read, last: list[Trace]) -> FloatArray:
    """Return the probabilities after each step that the network reads.

    Parameters
    ----------
    last : list of Trace
        The last layer's.
    """
    network, sequence = read.network, read.text.sequence
    running = network.running(sequence, last)
    if network.runs_on:
        return running
    # While there is only padding, nothing is fed; after the text, all of it.
    nothing = network.proba([sequence[:0]]) if read.first else running[:0]
    before = np.repeat(nothing, read.first, axis=0)
    return np.concatenate([before, running, np.repeat(running[-1:], read.n_after, 0)])


def seed_of(
    about: Mapping[str, Any], proba: FloatArray, target: int, values: FloatArray
) -> Seed:
    """Return what a seed's model gives, and its attribution."""
    return Seed(
        int(about["replicate"]),
        about["run_id"],
        float(proba[target]),
        int(proba.argmax()),
        values.tolist(),
    )


def agreement_of(
    own: list[float], seeds: Sequence[Seed], places: IntArray
) -> list[float]:
    """Return the rank correlations of the words' attributions, of each pair of seeds.

    Parameters
    ----------
    own : list of float
        The explained model's attribution, by step.
    """
    attributions = [own, *(seed.attribution for seed in seeds)]
    of_words = [[values[i] for i in places.tolist()] for values in attributions]
    pairs = [rank_correlation(a, b) for a, b in combinations(of_words, 2)]
    return [value for value in pairs if value is not None]


def rank_units(traces: Sequence[Trace], contributions: FloatArray) -> list[Unit]:
    """Return the `N_UNITS` units of the last layer that `MEASURE` ranks highest.

    Parameters
    ----------
    contributions : ndarray of shape (n_features,)
        To the score; by unit, the forward direction before the backward one. Pooling
        that passes a unit on twice has all units for each, one after the other.
    """
    found = []
    n_outputs = sum(trace.output.shape[1] for trace in traces)
    contributions = contributions.reshape(-1, n_outputs).sum(axis=0)
    for at in np.argsort(-np.abs(contributions), kind="stable")[:N_UNITS]:
        n_units = traces[0].state.shape[1]
        trace, unit = traces[int(at) // n_units], int(at) % n_units
        kept = trace.kept
        lasting = None if kept is None else finite(half_life(kept[unit : unit + 1]))[0]
        backward = ", backward" if trace.direction == "backward" else ""
        found.append(
            Unit(
                f"unit {unit + 1}{backward}",
                float(contributions[at]),
                None if kept is None else float(kept[unit]),
                lasting,
                trace.state[:, unit].tolist(),
            )
        )
    return found


def _layer_gates(trace: Trace) -> LayerGates:
    means = {
        name: (np.abs(values) if name == "candidate" else values).mean(axis=1).tolist()
        for name, values in trace.gates.items()
    }
    means["state"] = np.abs(trace.state).mean(axis=1).tolist()
    kept = trace.kept
    lasting = None if kept is None else finite(half_life(kept))
    return LayerGates(trace.name, trace.kind, means, lasting)


def finite(values: FloatArray) -> list[float | None]:
    """Return values as a list, None where they are not finite."""
    return [float(v) if np.isfinite(v) else None for v in values]


def of_model(about: Mapping[str, Any], text: Text) -> dict[str, Any]:
    """Return the fields from a model's folder, and of a window."""
    taken = ("suite", "study", "name", "replicate", "run_id", "why", "model", "kind")
    names = about["class_names"] or about["output_names"]
    return {
        **{key: about[key] for key in (*taken, "tokenizer")},
        "ahead": text.ahead,
        "channels": list(about["channels"]) if about["kind"] != "tokens" else [],
        "task": about["task"],
        "class_names": list(names) if text.ahead is None else text.ahead.names,
    }
