from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.batches import (
    evaluation_batches,
    jitter,
    take_batch,
    training_batches,
)


@given(
    lengths=st.lists(st.integers(0, 50), min_size=1, max_size=300),
    batch_size=st.integers(1, 20),
    masking=st.booleans(),
)
def test_every_review_is_in_exactly_one_batch(lengths, batch_size, masking):
    config = TrialConfig(batch_size=batch_size, masking=masking)
    rng = np.random.default_rng(0)
    for batches in (
        training_batches(np.array(lengths), config, rng),
        evaluation_batches(np.array(lengths), config, "stock"),
        evaluation_batches(np.array(lengths), config, "packed"),
    ):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(
        len(b) <= batch_size for b in training_batches(np.array(lengths), config, rng)
    )


def test_the_order_depends_on_the_generator_and_changes_between_epochs():
    lengths, config = np.arange(500) % 37, TrialConfig(batch_size=8)

    def epochs(seed: int) -> list[list[int]]:
        rng = np.random.default_rng(seed)
        return [
            np.concatenate(training_batches(lengths, config, rng)).tolist()
            for _ in range(2)
        ]

    assert epochs(1) == epochs(1)
    assert epochs(1) != epochs(2)
    first, second = epochs(1)
    assert first != second


def test_sorted_windows_compute_far_less_padding_than_random_batches():
    lengths = np.random.default_rng(0).integers(10, 500, size=2000)

    def cells(masking: bool) -> int:
        config = TrialConfig(masking=masking)
        batches = training_batches(lengths, config, np.random.default_rng(1))
        return sum(len(b) * int(lengths[b].max()) for b in batches)

    assert cells(True) < 0.65 * cells(False)
    assert cells(True) < 1.15 * lengths.sum()


def test_trimming_cuts_padding_alone():
    lengths = np.array([2, 3, 1])
    post = np.array([[5, 6, 0, 0], [7, 8, 9, 0], [4, 0, 0, 0]], np.int32)
    pre = np.array([[0, 0, 5, 6], [0, 7, 8, 9], [0, 0, 0, 4]], np.int32)
    index = np.array([0, 2])
    config = TrialConfig(padding="post")
    assert take_batch(post, lengths, index, config).tolist() == [[5, 6], [4, 0]]
    config = TrialConfig(padding="pre")
    assert take_batch(pre, lengths, index, config).tolist() == [[5, 6], [0, 4]]
    config = TrialConfig(padding="pre", masking=False)
    assert take_batch(pre, lengths, index, config).tolist() == pre[index].tolist()


def test_long_reviews_are_evaluated_fewer_at_once():
    lengths = np.arange(5000) % 100 + 1

    def size(sequence_length: int, engine: str) -> int:
        config = TrialConfig(sequence_length=sequence_length)
        return len(evaluation_batches(lengths, config, engine)[0])

    assert size(100, "packed") == size(256, "packed") == 1024
    assert size(512, "packed") == 512
    assert size(10_000, "packed") == size(100, "stock") == 256


@pytest.mark.parametrize(("chop_length", "most"), [(5, 2), (4, 2), (2, 1)])
def test_jitter_pads_each_row_by_up_to_half_a_segment(chop_length, most):
    config = TrialConfig(chop_length=chop_length, chop_jitter=True, pooling="mean")
    batch = np.tile(np.array([7, 8, 9, 0], np.int32), (600, 1))
    moved = jitter(batch, config, np.random.default_rng(0))
    assert moved.shape == (600, 4 + most)
    n_before = (moved != 0).argmax(axis=1)
    for row, n in zip(moved, n_before, strict=True):
        assert row.tolist() == [0] * n + [7, 8, 9] + [0] * (1 + most - n)
    counts = np.bincount(n_before, minlength=most + 1) / 600
    np.testing.assert_allclose(counts, 1 / (most + 1), atol=0.08)
    vectors = jitter(np.ones((3, 4, 2), np.float32), config, np.random.default_rng(0))
    assert vectors.dtype == np.float32
    assert (vectors.sum(axis=1) == 4).all()
