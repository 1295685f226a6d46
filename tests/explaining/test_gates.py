"""Gates computed again from a layer's weights, against the layer itself."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_bench.explaining.gates import half_life, recurrent_layers, trace_layers
from lstm_bench.models.backend import keras

N_STEPS, N_FEATURES, UNITS = 7, 3, 4
CELLS = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "simple_rnn": keras.layers.SimpleRNN,
}
GATES = {
    "lstm": {"forget", "input", "output", "candidate"},
    "gru": {"update", "reset", "candidate"},
    "simple_rnn": set(),
}


def stacked(kind: str, *, bidirectional: bool, n_layers: int) -> keras.Model:
    """Return layers whose biases are not the initial zeros, one on the other."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, N_FEATURES))
    x, outputs = inputs, []
    for _ in range(n_layers):
        layer = CELLS[kind](UNITS, return_sequences=True, bias_initializer="normal")
        x = (keras.layers.Bidirectional(layer) if bidirectional else layer)(x)
        outputs.append(x)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_traces_give_the_layers_own_outputs(kind, bidirectional):
    model = stacked(kind, bidirectional=bidirectional, n_layers=2)
    x = np.random.default_rng(1).normal(size=(N_STEPS, N_FEATURES))
    traces = trace_layers(recurrent_layers(model), x)
    outputs = model(x[None].astype(np.float32))
    assert len(traces) == 2
    for of_layer, output in zip(traces, outputs, strict=True):
        found = np.concatenate([trace.output for trace in of_layer], axis=1)
        assert np.abs(found - output.numpy()[0]).max() < 1e-5
        assert len(of_layer) == 1 + bidirectional
        for trace in of_layer:
            assert trace.kind == kind
            assert set(trace.gates) == GATES[kind]
    assert [trace.direction for trace in traces[0]] == (
        ["forward", "backward"] if bidirectional else ["forward"]
    )


def test_the_state_of_an_lstm_follows_from_its_gates():
    model = stacked("lstm", bidirectional=False, n_layers=1)
    x = np.random.default_rng(2).normal(size=(N_STEPS, N_FEATURES))
    ((trace,),) = trace_layers(recurrent_layers(model), x)
    gates, before = trace.gates, np.zeros(UNITS)
    for t in range(N_STEPS):
        state = gates["forget"][t] * before + gates["input"][t] * gates["candidate"][t]
        assert trace.state[t] == pytest.approx(state)
        assert trace.output[t] == pytest.approx(gates["output"][t] * np.tanh(state))
        before = state
    assert trace.kept == pytest.approx(gates["forget"].mean(axis=0))


def test_half_life_is_when_half_is_left():
    found = half_life(np.array([0.5, 0.9, 1.0]))
    assert found[0] == pytest.approx(1.0)
    assert 0.9 ** found[1] == pytest.approx(0.5)
    assert found[2] == np.inf
