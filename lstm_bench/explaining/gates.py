"""Gates, candidates and states of recurrent layers, computed again from their weights.

Keras returns a layer's outputs alone. Here the same recurrence is computed with NumPy,
one step after the other, and everything in between is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_bench.arrays import FloatArray

KEEPING = {"lstm": "forget", "gru": "update", "simple_rnn": None}
"""By kind of cell, the gate whose value is the share of the state that stays."""


@dataclass(frozen=True)
class Trace:
    """What one layer computes in one direction, in the order of the example's steps.

    Attributes
    ----------
    kind : {"lstm", "gru", "simple_rnn"}
    layer : int
        From 1, the first above the input.
    direction : {"forward", "backward"}
    gates : dict of str to ndarray of shape (n_steps, units)
        LSTM: ``forget``, ``input`` and ``output`` in (0, 1), ``candidate`` in (-1, 1).
        GRU: ``update`` (the share of the old state that stays, as Keras has it),
        ``reset``, ``candidate``. Simple RNN: none.
    state : float64 ndarray of shape (n_steps, units)
        LSTM: the cell state. Others: the output.
    output : float64 ndarray of shape (n_steps, units)
    """

    kind: str
    layer: int
    direction: str
    gates: dict[str, FloatArray]
    state: FloatArray
    output: FloatArray

    @property
    def name(self) -> str:
        """``layer 1`` or ``layer 1, backward``."""
        backward = ", backward" if self.direction == "backward" else ""
        return f"layer {self.layer}{backward}"

    @property
    def kept(self) -> FloatArray | None:
        """Each unit's mean share of the state that stays, of shape (units,)."""
        gate = KEEPING[self.kind]
        return None if gate is None else self.gates[gate].mean(axis=0)


def half_life(kept: FloatArray) -> FloatArray:
    """Return after how many steps half of a state is left.

    Parameters
    ----------
    kept : ndarray of shape (units,)
        Mean share of the state that stays at a step, in (0, 1).

    Returns
    -------
    float64 ndarray of shape (units,)
        ln 0.5 / ln kept; infinite where all stays.

    References
    ----------
    The view of a gate as a rate of forgetting: Tallec and Ollivier, "Can recurrent
    neural networks warp time?", arXiv:1804.11188. It takes the gate as constant.
    """
    with np.errstate(divide="ignore"):
        steps: FloatArray = np.log(0.5) / np.log(kept)
    return np.where(kept < 1.0, steps, np.inf)


def trace_layers(
    layers: Sequence[Any], x: FloatArray, chop_length: int | None = None
) -> list[list[Trace]]:
    """Return the traces of stacked recurrent Keras layers.

    Parameters
    ----------
    layers : sequence of keras.layers.Layer
        LSTM, GRU (with ``reset_after``), SimpleRNN, or Bidirectional around one.
    x : ndarray of shape (n_steps, n_features)
        Input of the first: the steps of one example, without padding that is masked.
    chop_length : int or None
        After how many steps each layer starts again from a zero state; None: never.

    Returns
    -------
    list of list of Trace
        By layer, the forward direction before the backward one.
    """
    found = []
    starts = np.arange(0, len(x), chop_length or max(1, len(x)))
    for number, layer in enumerate(layers, start=1):
        traces = [
            _trace(kind, number, direction, weights, np.split(x, starts[1:]))
            for kind, direction, weights in _cells(layer)
        ]
        found.append(traces)
        x = np.concatenate([trace.output for trace in traces], axis=1)
    return found


def recurrent_layers(model: Any) -> list[Any]:
    """Return a Keras model's recurrent layers, the first above the input first."""
    return [layer for layer in model.layers if list(_cells(layer))]


def _cells(layer: Any) -> Iterator[tuple[str, str, list[FloatArray]]]:
    """Yield (kind, direction, weights) of a layer's cells; none if not recurrent."""
    kind = type(layer).__name__
    if kind == "Bidirectional":
        for direction in ("forward", "backward"):
            inner = getattr(layer, f"{direction}_layer")
            yield KINDS[type(inner).__name__], direction, _weights(inner)
    elif kind in KINDS:
        yield KINDS[kind], "forward", _weights(layer)


KINDS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "simple_rnn"}
"""Kind of cell by the Keras layer's class."""


def _weights(layer: Any) -> list[FloatArray]:
    return [array.astype(np.float64) for array in layer.get_weights()]


def _trace(
    kind: str,
    layer: int,
    direction: str,
    weights: list[FloatArray],
    segments: list[FloatArray],
) -> Trace:
    # A backward layer reads the last step first.
    order = slice(None, None, -1 if direction == "backward" else 1)
    gates, states, outputs = zip(
        *(RECURRENCES[kind](weights, x[order]) for x in segments), strict=True
    )

    def joined(parts: Iterable[FloatArray]) -> FloatArray:
        return np.concatenate([values[order] for values in parts])

    return Trace(
        kind,
        layer,
        direction,
        {name: joined(each[name] for each in gates) for name in gates[0]},
        joined(states),
        joined(outputs),
    )


def _sigmoid(x: FloatArray) -> FloatArray:
    # Without an overflow for large negative numbers.
    return 0.5 * (1.0 + np.tanh(0.5 * x))


Steps = tuple[dict[str, FloatArray], FloatArray, FloatArray]
"""Gates by name, states and outputs, each of shape (n_steps, units)."""


def _lstm(weights: list[FloatArray], x: FloatArray) -> Steps:
    """Keras's LSTM; its weights hold input, forget, candidate and output, in turn."""
    kernel, recurrent, bias = weights
    n_units = len(recurrent)
    h = c = np.zeros(n_units)
    rows = []
    for driven in x @ kernel + bias:
        i, f, g, o = (driven + h @ recurrent).reshape(4, n_units)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        rows.append((f, i, o, g, c, h))
    *gates, states, outputs = map(np.stack, zip(*rows, strict=True))
    names = ("forget", "input", "output", "candidate")
    return dict(zip(names, gates, strict=True)), states, outputs


def _gru(weights: list[FloatArray], x: FloatArray) -> Steps:
    """Keras's GRU with ``reset_after``: update, reset and candidate, two biases."""
    kernel, recurrent, bias = weights
    n_units = len(recurrent)
    h = np.zeros(n_units)
    rows = []
    for driven in x @ kernel + bias[0]:
        of_input = driven.reshape(3, n_units)
        of_state = (h @ recurrent + bias[1]).reshape(3, n_units)
        z, r = (_sigmoid(of_input[k] + of_state[k]) for k in (0, 1))
        g = np.tanh(of_input[2] + r * of_state[2])
        h = z * h + (1.0 - z) * g
        rows.append((z, r, g, h))
    *gates, outputs = map(np.stack, zip(*rows, strict=True))
    names = ("update", "reset", "candidate")
    return dict(zip(names, gates, strict=True)), outputs, outputs


def _simple_rnn(weights: list[FloatArray], x: FloatArray) -> Steps:
    kernel, recurrent, bias = weights
    h = np.zeros(len(recurrent))
    rows = []
    for driven in x @ kernel + bias:
        h = np.tanh(driven + h @ recurrent)
        rows.append(h)
    outputs = np.stack(rows)
    return {}, outputs, outputs


RECURRENCES: dict[str, Callable[[list[FloatArray], FloatArray], Steps]] = {
    "lstm": _lstm,
    "gru": _gru,
    "simple_rnn": _simple_rnn,
}
