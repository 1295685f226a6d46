"""Models consist of Keras's layers, with the initial weights that a suite names."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_bench.suites.config import TrialConfig

pytestmark = pytest.mark.slow

SMALL = {"units": 40, "embedding_dim": 3, "vocabulary_size": 20}


def build(seed: int = 0, n_channels: int | None = None, **options):
    from lstm_bench.models.backend import keras_seed
    from lstm_bench.models.build import build_model

    with keras_seed(seed):
        return build_model(TrialConfig(**{**SMALL, **options}), 2, n_channels)


@pytest.mark.parametrize(
    ("cell", "name", "n_weights"),
    [
        ("lstm", "LSTM", 4 * 40 * (3 + 40 + 1)),
        # reset_after: biases of the input and of the state.
        ("gru", "GRU", 3 * 40 * (3 + 40 + 2)),
        ("simple_rnn", "SimpleRNN", 40 * (3 + 40 + 1)),
    ],
)
def test_a_cell_is_keras_layer_of_that_name(cell, name, n_weights):
    layer = build(cell=cell).get_layer(f"{cell}_1")
    assert type(layer).__name__ == name
    assert layer.count_params() == n_weights


def test_recurrent_layers_are_those_of_both_directions():
    from lstm_bench.models.build import recurrent_layers

    options = {"cell": "gru", "num_layers": 2, "bidirectional": True}
    layers = recurrent_layers(build(**options), TrialConfig(**SMALL, **options))
    names = [[layer.name for layer in directions] for directions in layers]
    assert names == [
        ["forward_gru_1", "backward_gru_1"],
        ["forward_gru_2", "backward_gru_2"],
    ]


def biases(**options) -> list[np.ndarray]:
    """Return the bias of every LSTM, as its gates i, f, c, o."""
    weights = build(**options).weights
    found = [w for w in weights if w.path.endswith("lstm_cell/bias")]
    return [np.split(np.asarray(weight), 4) for weight in found]


@pytest.mark.parametrize(("forget_bias", "value"), [("one", 1.0), ("zero", 0.0)])
def test_forget_bias_is_that_of_the_forget_gates_alone(forget_bias, value):
    for i, f, c, o in biases(forget_bias=forget_bias, num_layers=2):
        assert (f == value).all()
        assert not np.any([i, c, o])


def test_chrono_biases_are_logarithms_of_the_steps_and_their_negatives():
    options = {"forget_bias": "chrono", "bidirectional": True, "sequence_length": 101}
    forward, backward = biases(**options)
    for i, f, c, o in (forward, backward):
        steps = np.exp(f)
        assert steps.min() >= 1 - 1e-5
        assert steps.max() <= 100 + 1e-3
        # Uniform: of 40, the mean is within four standard errors of 50.5.
        assert abs(steps.mean() - 50.5) < 4 * 99 / np.sqrt(12 * 40)
        np.testing.assert_array_equal(i, -f)
        assert not np.any([c, o])
    assert not np.array_equal(forward[1], backward[1])
    for one, again in zip(biases(**options)[0], forward, strict=True):
        np.testing.assert_array_equal(one, again)
    assert not np.array_equal(biases(seed=1, **options)[0][1], forward[1])


def test_chrono_biases_change_no_other_initial_weight():
    one, chrono = build(dropout=0.1), build(dropout=0.1, forget_bias="chrono")
    for a, b in zip(one.weights, chrono.weights, strict=True):
        is_bias = a.path.endswith("lstm_cell/bias")
        assert np.array_equal(np.asarray(a), np.asarray(b)) is not is_bias, a.path


def test_attention_is_the_softmax_of_its_scores_over_the_steps():
    from lstm_bench.models.backend import keras

    model = build(n_channels=2, units=3, pooling="attention", cell="simple_rnn")
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    x = rng.normal(size=(3, 4, 3)).astype(np.float32)
    # Three steps, all four, and none.
    x[:, :, -1] = [[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    inner = keras.Model(model.input, model.get_layer("simple_rnn_1").output)
    h = np.asarray(inner(x))
    hidden, score = (
        model.get_layer(f"attention_{name}").get_weights()
        for name in ("hidden", "score")
    )
    pooled = np.zeros((3, 3))
    for row, n in ((0, 3), (1, 4)):
        steps = h[row, :n]
        raw = np.exp(np.tanh(steps @ hidden[0] + hidden[1]) @ score[0])
        pooled[row] = (steps * raw / raw.sum()).sum(axis=0)
    kernel, bias = model.get_layer("head").get_weights()
    wanted = 1 / (1 + np.exp(-(pooled @ kernel + bias)))
    np.testing.assert_allclose(np.asarray(model(x)), wanted, rtol=1e-5)


def test_gradient_clip_norm_is_the_norm_of_all_gradients_at_most():
    from lstm_bench.models.backend import keras

    model = build(gradient_clip_norm=0.5, optimizer="sgd", learning_rate=1.0)
    assert model.optimizer.global_clipnorm == 0.5
    assert build().optimizer.global_clipnorm is None
    before = model.get_weights()
    gradients = [keras.ops.ones(v.shape) for v in model.trainable_variables]
    model.optimizer.apply(gradients, model.trainable_variables)
    steps = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
    norm = np.sqrt(sum(np.square(step).sum() for step in steps))
    assert norm == pytest.approx(0.5, rel=1e-3)


def test_weight_decay_takes_a_share_of_each_weight_off():
    from lstm_bench.models.backend import keras

    for optimizer, default in (("adam", None), ("adamw", 0.004)):
        assert build(optimizer=optimizer).optimizer.weight_decay == default
    model = build(weight_decay=0.5, optimizer="adam", learning_rate=0.2)
    before = model.get_weights()
    gradients = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    model.optimizer.apply(gradients, model.trainable_variables)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(new, 0.9 * old, rtol=1e-6)
    assert build(weight_decay=0.0, optimizer="adamw").optimizer.weight_decay == 0.0


def test_mean_max_pools_the_steps_alone_the_mean_before_the_maximum():
    from lstm_bench.models.backend import keras

    model = build(n_channels=2, units=3, pooling="mean_max", bidirectional=True)
    x = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32)
    x[:, :, -1] = [[1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    inner = [model.get_layer("bidirectional_1").output, model.get_layer("head").input]
    h, pooled = map(np.asarray, keras.Model(model.input, inner)(x))
    for row, n in ((0, 3), (1, 4)):
        steps = h[row, :n]
        wanted = np.concatenate([steps.mean(axis=0), steps.max(axis=0)])
        np.testing.assert_allclose(pooled[row], wanted, rtol=1e-6)
    assert pooled[2].tolist() == [0.0] * 6 + [-1.0] * 6


@pytest.mark.parametrize(
    ("name", "shared"),
    [("token_dropout", 2), ("spatial_dropout", 1)],
)
def test_input_dropouts_drop_tokens_and_features(name, shared):
    from lstm_bench.models.backend import keras

    model = build(embedding_dim=40, **{name: 0.25})
    inner = keras.Model(model.input, model.get_layer(name).output)
    tokens = np.tile(np.arange(1, 20, dtype=np.int32), (20, 2))
    kept = np.asarray(inner(tokens))
    dropped = np.asarray(inner(tokens, training=True))
    is_dropped = dropped == 0
    np.testing.assert_allclose(dropped, np.where(is_dropped, 0, kept / 0.75), rtol=1e-6)
    # All of an axis have one draw.
    drawn = is_dropped.all(axis=shared)
    assert (is_dropped == np.expand_dims(drawn, shared)).all()
    error = np.sqrt(0.25 * 0.75 / drawn.size)
    assert abs(drawn.mean() - 0.25) < 4 * error
    # And they differ along every other axis.
    for axis in range(drawn.ndim):
        assert not (drawn == drawn.take([0], axis=axis)).all()


@pytest.mark.parametrize("masking", [True, False])
def test_embedding_dropout_drops_the_same_numbers_wherever_a_word_is(masking):
    from lstm_bench.models.backend import keras

    options = {"embedding_dim": 400, "masking": masking}
    model = build(embedding_dropout=0.25, **options)
    inner = keras.Model(model.input, model.get_layer("lstm_1").input)
    tokens = np.array([[3, 4, 3, 5], [5, 3, 0, 0]], np.int32)
    kept = np.asarray(inner(tokens))
    plain = build(**options)
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(tokens), plain(tokens))
    draws = [np.asarray(inner(tokens, training=True)) for _ in range(2)]
    for dropped in draws:
        is_dropped = dropped == 0
        wanted = np.where(is_dropped, 0, kept / 0.75)
        np.testing.assert_allclose(dropped, wanted, rtol=1e-6)
        assert abs(is_dropped[0].mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 1200)
        for other in ((0, 2), (1, 1)):
            np.testing.assert_array_equal(dropped[other], dropped[0, 0])
        np.testing.assert_array_equal(dropped[1, 0], dropped[0, 3])
        assert not (is_dropped[0, 0] == is_dropped[0, 1]).all()
    assert not (draws[0] == draws[1]).all()


def test_segments_are_read_from_a_zero_state_and_pooled_together():
    from lstm_bench.models.backend import keras

    options = {"units": 3, "bidirectional": True, "num_layers": 2}
    whole = build(pooling="mean", **options)
    chopped = build(pooling="mean_max", chop_length=4, **options)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=w.shape) for w in whole.get_weights()[:-2]]
    for model in (whole, chopped):
        model.set_weights([*weights, *model.get_weights()[-2:]])
    h = keras.Model(whole.input, whole.get_layer("bidirectional_2").output)
    pooled = keras.Model(chopped.input, chopped.get_layer("head").input)
    tokens = rng.integers(1, 20, (3, 10)).astype(np.int32)
    tokens[1, 6:] = tokens[2, 1:] = 0
    found = np.asarray(pooled(tokens))
    for row, n in enumerate((10, 6, 1)):
        segments = [tokens[row : row + 1, :n][:, i : i + 4] for i in range(0, n, 4)]
        steps = np.concatenate([np.asarray(h(segment))[0] for segment in segments])
        wanted = np.concatenate([steps.mean(axis=0), steps.max(axis=0)])
        np.testing.assert_allclose(found[row], wanted, rtol=1e-5, atol=1e-6)
    assert chopped.count_params() - whole.count_params() == 6


def test_padding_before_a_first_segment_changes_its_length_alone():
    model = build(units=3, pooling="max", chop_length=4, chop_jitter=True)
    tokens = np.arange(1, 11, dtype=np.int32)[None]
    moved = np.pad(tokens, ((0, 0), (2, 0)))
    from lstm_bench.models.backend import keras

    inner = keras.Model(model.input, model.get_layer("head").input)
    both = np.maximum(inner(tokens[:, :2]), inner(tokens[:, 2:]))
    np.testing.assert_allclose(inner(moved), both, rtol=1e-6)
    assert not np.allclose(inner(moved), inner(tokens), rtol=1e-2)
