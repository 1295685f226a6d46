"""A Keras network opened up: score, running probability, integrated gradients."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray
from lstm_bench.explaining.gates import Trace, recurrent_layers, trace_layers
from lstm_bench.inference import Arrays, batch_of, proba_of
from lstm_bench.models.backend import keras, tf
from lstm_bench.models.build import EVIDENCE_LAYER

Steps = npt.NDArray[Any]

N_TOGETHER = 2**14
"""Steps of sequences that are computed together, about."""
CLASSIFIERS = ("sigmoid", "softmax")
"""Heads whose outputs are probabilities of classes."""
NUMBERS = "linear"
"""The head whose outputs are numbers."""
POOLED_BY_STEP = ("last", "mean", "max", "mean_max")
"""Poolings whose value after each step follows from the outputs up to it."""


@dataclass(frozen=True)
class Gradients:
    """Integrated gradients of one example.

    Attributes
    ----------
    values : float64 ndarray of shape (n_steps, n_features)
        Contribution of each feature of each step to the score's difference.
    difference : float
        Score of the example minus score of the baseline.
    gap : float
        Sum of the values minus the difference: 0 if the integral were exact.
    n_points : int
        Points at which the gradient was computed.
    """

    values: FloatArray
    difference: float
    gap: float
    n_points: int


class Network:
    """A trained network, taken apart.

    Parameters
    ----------
    model : keras.Model
        From `lstm_bench.models.build.build_model`.
    config : mapping
        Its configuration, as in ``about.json``.
    kind : {"tokens", "vectors"}
    evidence : mapping of str to ndarray, or None
        Of a network that reads n-gram evidence; see `inference.evidence_of`.
    scaling : mapping or None
        Of a network that predicts numbers, ``mean`` and ``std`` of each; None: classes.
    """

    def __init__(
        self,
        model: keras.Model,
        config: Mapping[str, Any],
        kind: str,
        evidence: Arrays | None = None,
        scaling: Mapping[str, Any] | None = None,
    ) -> None:
        self.model, self.config, self.kind = model, config, kind
        self.scaling = scaling
        self.evidence = evidence
        self.layers = recurrent_layers(model)
        head = model.get_layer("head")
        self.weights, self.bias = head.get_weights()
        pooled = keras.Model(model.inputs, head.input)
        self._pooled = _traced(pooled, model.inputs)
        self._head_input = head.input

    def ahead(self, level: float, scale: float) -> Network:
        """Return the network with forecasts in a series' unit, and their mean last.

        Parameters
        ----------
        level, scale : float
            Of `inference.Window`.
        """
        if self.scaling is None:
            raise ValueError("expected a network of numbers, got one of classes")
        mean, std = (np.asarray(self.scaling[key]) for key in ("mean", "std"))
        found, mean = copy(self), mean * scale + level
        found.__dict__.pop("_differentiated", None)
        # The head is linear, so that the mean is an output of its own.
        found.weights, found.bias = (
            np.append(each, (each * std).mean(axis=-1, keepdims=True), axis=-1)
            for each in (self.weights, self.bias)
        )
        found.scaling = {"mean": [*mean, mean.mean()], "std": [*std * scale, scale]}
        return found

    # From sequences to scores

    def batch(self, sequences: list[Steps]) -> Steps:
        """Return sequences as one input."""
        return batch_of(sequences, self.config, self.kind, self.evidence)

    def pooled(self, sequences: list[Steps]) -> FloatArray:
        """Return the head's inputs, of shape (n, features)."""
        # Of similar length together: little is padded.
        order = np.argsort([len(s) for s in sequences], kind="stable")
        longest = min(max(map(len, sequences)), self.config["sequence_length"])
        size = max(1, N_TOGETHER // max(1, longest))
        found = np.zeros((len(sequences), len(self.weights)))
        for start in range(0, len(order), size):
            part = order[start : start + size]
            x = self.batch([sequences[i] for i in part])
            found[part] = self._pooled(x).numpy()
        return found

    def logits(self, pooled: FloatArray) -> FloatArray:
        """Return the head's outputs before its activation, of shape (n, outputs)."""
        found: FloatArray = pooled @ self.weights.astype(np.float64) + self.bias
        return found

    def proba(self, sequences: list[Steps]) -> FloatArray:
        """Return probabilities of shape (n, n_classes), or numbers."""
        return self.proba_of_logits(self.logits(self.pooled(sequences)))

    def proba_of_logits(self, logits: FloatArray) -> FloatArray:
        """Return probabilities, given the head's outputs before its activation.

        Of a network that predicts numbers, these in the data's units.
        """
        if self.config["head"] == NUMBERS:
            return proba_of(logits, NUMBERS, self.scaling)
        if self.config["head"] == "sigmoid":
            return proba_of(0.5 * (1.0 + np.tanh(0.5 * logits)), "sigmoid")
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return proba_of(shifted, "softmax")

    def score(self, logits: FloatArray, target: int) -> FloatArray:
        """Return the log-odds of class `target`, or number `target`, of shape (n,)."""
        if self.config["head"] == NUMBERS:
            numbers: FloatArray = self.proba_of_logits(logits)[:, target]
            return numbers
        if self.config["head"] == "sigmoid":
            return _of_sigmoid(logits, target)
        rest = np.delete(logits, target, axis=1)
        highest = rest.max(axis=1)
        sums = np.exp(rest - highest[:, None]).sum(axis=1)
        odds: FloatArray = logits[:, target] - highest - np.log(sums)
        return odds

    def direction(self, target: int) -> FloatArray:
        """Return the weight of each pooled feature in the class's score.

        Softmax of more than two classes: its weight for the class minus the mean of
        the others, since their log-odds are not linear.
        """
        weights = self.weights.astype(np.float64)
        if self.config["head"] == NUMBERS:
            # In the data's units, where the score is the number.
            return self.score(weights, target) - self.score(0.0 * weights, target)
        if self.config["head"] == "sigmoid":
            return _of_sigmoid(weights, target)
        rest = np.delete(weights, target, axis=1).mean(axis=1)
        found: FloatArray = weights[:, target] - rest
        return found

    # Step by step

    def embedded(self, x: Steps) -> FloatArray:
        """Return the first recurrent layer's inputs for one row of `batch`."""
        if self.kind == "vectors":
            return x[:, :-1].astype(np.float64)
        table = self.model.get_layer("embedding").get_weights()[0]
        ids, beside = x, np.zeros((len(x), 0))
        if self.evidence is not None:
            ids, beside = x[:, -1].astype(np.int64), x[:, :-1]
        vectors: FloatArray = np.concatenate([table[ids], beside], 1).astype(np.float64)
        return vectors

    def tokens(self, x: Steps) -> Steps:
        """Return the token ids of one row of `batch`, 0 where padded."""
        return x if self.evidence is None else x[:, -1].astype(np.int32)

    def traces(self, x: Steps) -> list[list[Trace]]:
        """Return what each layer computes for one row of `batch`."""
        chop_length = self.config.get("chop_length")
        return trace_layers(self.layers, self.embedded(x), chop_length)

    @property
    def runs_on(self) -> bool:
        """Whether the probability after a step follows from the states up to it."""
        is_one_way = not self.config["bidirectional"]
        return is_one_way and self.config["pooling"] in POOLED_BY_STEP

    def running(self, sequence: Steps, last: list[Trace]) -> FloatArray:
        """Return the probabilities after each step, of shape (n_steps, n_classes).

        From the states where `runs_on`, otherwise by feeding each prefix. The steps are
        those of `batch`, so padding that is not masked counts, too; of prefixes, those
        of the sequence.

        Parameters
        ----------
        last : list of Trace
            The last layer's.
        """
        if not self.runs_on:
            return self.proba([sequence[: n + 1] for n in range(len(sequence))])
        h, pooling = last[0].output, self.config["pooling"]
        pooled = [h] if pooling == "last" else []
        if pooling in ("mean", "mean_max"):
            pooled.append(np.cumsum(h, axis=0) / np.arange(1, len(h) + 1)[:, None])
        if pooling in ("max", "mean_max"):
            pooled.append(np.maximum.accumulate(h, axis=0))
        return self.proba_of_logits(self.logits(np.concatenate(pooled, axis=1)))

    # Integrated gradients

    def gradients(self, sequence: Steps, target: int, n_points: int) -> Gradients:
        """Return the integrated gradients of the score of one example.

        The path leads from the baseline straight to the example: for tokens, from the
        embedding of padding at every step; for vectors, from 0: each channel's mean
        over train, or of a window that is to be forecast its last known value, nothing
        missing. What is a step stays one. The integral is taken by Gauss-Legendre
        quadrature with `n_points` points.

        References
        ----------
        Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks",
        arXiv:1703.01365.
        """
        x = self.batch([sequence])
        start, end = self._path(x)
        nodes, weights = np.polynomial.legendre.leggauss(n_points)
        alphas, weights = 0.5 * (nodes + 1.0), 0.5 * weights
        size = max(1, N_TOGETHER // x.shape[1])
        total = np.zeros(end.shape)
        for first in range(0, n_points, size):
            some = alphas[first : first + size, None, None]
            points = start + some * (end - start)
            _, slopes = self._slopes(x, points, target)
            of = weights[first : first + size, None, None]
            total += (slopes * of).sum(axis=0)
        ends, _ = self._slopes(x, np.stack([start, end]), target)
        difference = float(ends[1] - ends[0])
        values = ((end - start) * total)[:, : self._n_features(x)]
        gap = float(values.sum()) - difference
        return Gradients(values, difference, gap, n_points)

    def _n_features(self, x: Steps) -> int | None:
        # The last channel of vectors says what is a step.
        return None if self.kind == "tokens" else x.shape[2] - 1

    def _path(self, x: Steps) -> tuple[FloatArray, FloatArray]:
        """Return the baseline and the example, of shape (n_steps, features)."""
        if self.kind == "tokens":
            return self.embedded(np.zeros_like(x[0])), self.embedded(x[0])
        end = x[0].astype(np.float64)
        start = np.zeros_like(end)
        start[:, -1] = end[:, -1]
        return start, end

    def _slopes(
        self, x: Steps, points: FloatArray, target: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return scores and their gradients at points between baseline and example.

        A number's score is without its mean over train, which differences do not have.
        """
        tokens = np.repeat(x, len(points), axis=0)
        score, slopes = self._differentiated(
            tokens, points.astype(np.float32), np.int32(target)
        )
        return score.numpy().astype(np.float64), slopes.numpy().astype(np.float64)

    @cached_property
    def _differentiated(self) -> Any:
        """The traced function from points to scores and gradients."""
        tokens = path = self.model.inputs[0]
        if self.kind == "tokens":
            name = "embedding" if self.evidence is None else EVIDENCE_LAYER
            path = self.model.get_layer(name).output
        # The tokens say what is a step, and which numbers are dropped, where the model
        # asks.
        asks = self.kind == "tokens" and bool(
            self.config["masking"] or self.config.get("embedding_dropout")
        )
        pooled = keras.Model([tokens, path] if asks else [path], self._head_input)
        weights, bias = (
            tf.constant(each, tf.float32) for each in (self.weights, self.bias)
        )
        head = self.config["head"]
        std = tf.constant((self.scaling or {"std": [1.0]})["std"], tf.float32)

        def differentiated(ids: Any, points: Any, target: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(points)
                inputs = [ids, points] if asks else [points]
                logits = pooled(inputs, training=False) @ weights + bias
                if head == NUMBERS:
                    own = tf.gather(logits, target, axis=1)
                    score = own * tf.gather(std, target)
                elif head == "sigmoid":
                    score = logits[:, 0] * tf.cast(2 * target - 1, tf.float32)
                else:
                    is_target = tf.one_hot(target, logits.shape[1])
                    own = tf.reduce_sum(logits * is_target, axis=1)
                    rest = tf.reduce_logsumexp(logits - 1e9 * is_target, axis=1)
                    score = own - rest
            return score, tape.gradient(score, points)

        specs = [
            tf.TensorSpec((None, *tokens.shape[1:]), tokens.dtype),
            tf.TensorSpec((None, *path.shape[1:]), tf.float32),
            tf.TensorSpec((), tf.int32),
        ]
        return tf.function(differentiated, input_signature=specs, autograph=False)


def _of_sigmoid(column: FloatArray, target: int) -> FloatArray:
    """Return the one column, with the sign that it has for the class."""
    return column[:, 0] if target == 1 else -column[:, 0]


def _traced(model: keras.Model, inputs: list[Any]) -> Any:
    spec = tf.TensorSpec((None, *inputs[0].shape[1:]), inputs[0].dtype)
    return tf.function(
        lambda x: model(x, training=False), input_signature=[spec], autograph=False
    )
