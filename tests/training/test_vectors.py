"""Series of vectors: both engines, all poolings, saved models, class weights."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_bench.suites.config import TrialConfig

pytestmark = pytest.mark.slow


def vectors(lengths: list[int], n_channels: int = 3):
    from lstm_bench.data.dataset import Sequences

    rng = np.random.default_rng(0)
    values = rng.normal(size=(sum(lengths), n_channels)).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Sequences(values, offsets, np.arange(len(lengths)) % 3)


CASES = [
    {},
    {"bidirectional": True, "padding": "pre"},
    {"pooling": "mean", "num_layers": 2},
    {"pooling": "max", "bidirectional": True},
    {"padding": "pre"},
    {"masking": False, "pooling": "mean"},
    {"pooling": "mean_max", "bidirectional": True, "cell": "gru"},
    {"pooling": "mean_max", "chop_length": 4},
]


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_padding_changes_nothing_and_both_engines_agree(settings: dict[str, object]):
    from lstm_bench.models.build import build_model
    from lstm_bench.training.loop import Encoded, Steps

    config = TrialConfig(
        units=7, sequence_length=9, head="softmax", batch_size=4, **settings
    )
    data = vectors([1, 9, 4, 12, 6, 3, 2, 8])
    model = build_model(config, 3, n_channels=3)
    encoded = Encoded.of(data, config, 3)
    whole = np.asarray(model(encoded.x))
    _, stock = Steps(model, config).predict(encoded)
    np.testing.assert_allclose(stock, whole, atol=2e-6)
    if config.masking:
        # Alone, without any padding.
        for i in range(len(data)):
            one = Encoded.of(data.take(np.array([i])), config, 3)
            steps = one.x[:, one.x[0, :, -1] == 1]
            np.testing.assert_allclose(np.asarray(model(steps))[0], whole[i], atol=2e-6)
    pytest.importorskip("numba")
    packed = Steps(model, config, "packed")
    _, proba = packed.predict(encoded)
    np.testing.assert_allclose(proba, stock, atol=2e-6)


def test_both_engines_train_alike():
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.seeding import derive_rng
    from lstm_bench.training.loop import Encoded, Steps

    pytest.importorskip("numba")
    config = TrialConfig(
        units=6,
        sequence_length=10,
        head="softmax",
        batch_size=4,
        bidirectional=True,
        num_layers=2,
        learning_rate=0.01,
        dropout=0.2,
        token_dropout=0.2,
        spatial_dropout=0.2,
    )
    data = vectors([1, 9, 4, 12, 6, 3, 2, 8])
    weights = []
    for engine in ("stock", "packed"):
        keras.utils.set_random_seed(1)
        model = build_model(config, 3, n_channels=3)
        before = model.get_weights()
        steps = Steps(model, config, engine)
        for _ in range(2):
            steps.train_epoch(Encoded.of(data, config, 3), derive_rng(0, "order"))
        weights.append(model.get_weights())
    for old, stock, packed in zip(before, *weights, strict=True):
        assert np.abs(stock - old).max() > 1e-3
        np.testing.assert_allclose(packed, stock, atol=5e-5)


def test_a_saved_model_loads_without_this_package(tmp_path):
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.models.encoding import encode

    config = TrialConfig(units=5, head="softmax", bidirectional=True, sequence_length=6)
    model = build_model(config, 3, n_channels=3)
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    x, _ = encode(vectors([2, 6, 5]), config)
    np.testing.assert_array_equal(np.asarray(loaded(x)), np.asarray(model(x)))


def test_balanced_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    from lstm_bench.training.loop import balanced_weights

    y = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y)
    np.testing.assert_allclose(balanced_weights(y, 3), expected, rtol=1e-6)


@pytest.mark.parametrize(("head", "n_classes"), [("sigmoid", 2), ("softmax", 3)])
def test_the_loss_is_weighted_by_class(head: str, n_classes: int):
    from lstm_bench.models.backend import keras, tf
    from lstm_bench.models.build import build_model
    from lstm_bench.models.heads import HEADS
    from lstm_bench.training.loop import Steps

    config = TrialConfig(units=4, head=head, sequence_length=5)
    model = build_model(config, n_classes, n_channels=2)
    x = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    x[:, :, -1] = 1.0
    y = np.arange(6) % n_classes
    targets = HEADS[head].encode_targets(y, n_classes)
    weights = np.arange(1, n_classes + 1, dtype=np.float32)
    losses = keras.losses.get(HEADS[head].loss)(targets, model(x))
    expected = float(np.mean(np.asarray(losses) * weights[y]))
    steps = Steps(model, config, class_weights=weights)
    loss, _ = steps.train_step(tf.constant(x), tf.constant(targets))
    np.testing.assert_allclose(float(loss), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("head", "n_classes", "smoothed"),
    [("sigmoid", 2, [0.1, 0.9]), ("softmax", 4, [[0.85, 0.05, 0.05, 0.05]])],
)
def test_label_smoothing_is_in_the_loss_trained_on_alone(head, n_classes, smoothed):
    from lstm_bench.models.backend import tf
    from lstm_bench.models.build import build_model
    from lstm_bench.models.heads import HEADS
    from lstm_bench.training.loop import Steps

    config = TrialConfig(units=4, head=head, sequence_length=5, label_smoothing=0.2)
    model = build_model(config, n_classes, n_channels=2)
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    x[:, :, -1] = 1.0
    y = np.array([0, 1])
    targets = HEADS[head].encode_targets(y, n_classes)
    proba = HEADS[head].to_proba(np.asarray(model(x)))
    if head == "sigmoid":
        shares = np.array([[1 - p, p] for p in smoothed])
    else:
        shares = np.array([smoothed[0], np.roll(smoothed[0], 1)])
    losses = -(shares * np.log(proba)).sum(axis=1)
    weights = np.arange(1, n_classes + 1, dtype=np.float32)
    steps = Steps(model, config, class_weights=weights)
    plain, _ = steps._predict_step(tf.constant(x), tf.constant(targets))
    loss, _ = steps.train_step(tf.constant(x), tf.constant(targets))
    # A class's weight is that of its examples, whatever their targets are.
    np.testing.assert_allclose(float(loss), (losses * [1, 2]).mean(), rtol=1e-5)
    unsmoothed = -np.log(proba[[0, 1], y]).sum()
    np.testing.assert_allclose(float(plain), unsmoothed, rtol=1e-5)
