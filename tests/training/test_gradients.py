"""The gradient of the loss k steps back, against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_bench.data.dataset import Sequences, from_lists
from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import make_splits
from lstm_bench.metrics import METRICS
from lstm_bench.suites.config import TrialConfig

pytestmark = pytest.mark.slow

SMALL = {"units": 4, "embedding_dim": 3, "vocabulary_size": 12, "head": "softmax"}
EPS = 1e-2


def steps_of(config: TrialConfig, n_channels: int | None = None):
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.training.loop import Steps

    keras.utils.set_random_seed(1)
    return Steps(build_model(config, 3, n_channels), config)


def loss_of(steps, data, x) -> np.ndarray:
    return np.asarray(steps.loss_fn(data.targets, steps.model(x, training=False)))


def slope(steps, data, move) -> np.ndarray:
    """Return the central difference of each sequence's loss."""
    high, low = (loss_of(steps, data, move(sign * EPS)) for sign in (1, -1))
    return (high - low) / (2 * EPS)


@pytest.mark.parametrize("padding", ["pre", "post"])
def test_input_gradients_of_tokens_are_finite_differences(padding):
    from lstm_bench.training.gradients import input_gradients
    from lstm_bench.training.loop import Encoded

    config = TrialConfig(**SMALL, padding=padding, sequence_length=6)
    steps = steps_of(config)
    # Each word once, so that a step's embedding is a row of its own.
    sequences = from_lists([[4, 5, 6, 7], [8, 9, 10]], [0, 2])
    data = Encoded.of(sequences, config, 3)
    layer = steps.model.get_layer("embedding")
    (weights,) = layer.get_weights()

    def norm(row: int, word: int) -> float:
        gradient = []
        for d in range(3):

            def move(eps: float, d: int = d):
                moved = weights.copy()
                moved[word, d] += eps
                layer.set_weights([moved])
                return data.x

            gradient.append(slope(steps, data, move)[row])
        layer.set_weights([weights])
        return float(np.linalg.norm(gradient))

    expected = [(norm(0, 7 - k) + norm(1, 10 - k)) / 2 for k in range(3)]
    found = input_gradients(steps, data)()
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_input_gradients_of_series_are_finite_differences():
    from lstm_bench.training.gradients import input_gradients
    from lstm_bench.training.loop import Encoded

    config = TrialConfig(**SMALL, sequence_length=5)
    steps = steps_of(config, n_channels=2)
    values = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    sequences = Sequences(values, np.array([0, 4, 7]), np.array([1, 2]))
    data = Encoded.of(sequences, config, 3)

    def norm(row: int, step: int) -> float:
        gradient = []
        for channel in range(2):

            def move(eps: float, channel: int = channel):
                moved = data.x.copy()
                moved[row, step, channel] += eps
                return moved

            gradient.append(slope(steps, data, move)[row])
        return float(np.linalg.norm(gradient))

    expected = [(norm(0, 3 - k) + norm(1, 2 - k)) / 2 for k in range(3)]
    np.testing.assert_allclose(input_gradients(steps, data)(), expected, rtol=0.02)


def test_run_trial_has_gradients_of_memory_tasks_before_and_after():
    from lstm_bench.training.trial import run_trial

    options = {"n_train": 60, "n_test": 20, "max_length": 40}
    dataset = load_dataset("temporal_order", options)
    splits = make_splits(
        *(dataset,),
        **dict(root_seed=1, replicate=1, validation_fraction=0.2),
        max_train_samples=None,
    )
    config = TrialConfig(**SMALL, sequence_length=12, max_epochs=1, learning_rate=0.1)
    result, _ = run_trial(
        config, dataset, splits, metric=METRICS["accuracy"], root_seed=1
    )
    n_steps = splits.val.at_length(12).lengths.min()
    assert list(map(len, result.gradients.values())) == [n_steps, n_steps]
    assert result.gradients["before"] != result.gradients["after"]
    # The first 60 words of a sequence of 12 steps.
    assert max(len(shown["text"].split()) for shown in result.samples) < 12
