"""Word vectors from which words stand near each other in train."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lstm_bench.data.dataset import Sequences
from lstm_bench.metrics import METRICS
from lstm_bench.seeding import derive_seed
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import suite_from_text
from lstm_bench.training import cooccurrence
from lstm_bench.training.cooccurrence import STANDARD_DEVIATION, fit_cooccurrence
from lstm_bench.training.trial import run_trial

SMALL = TrialConfig(
    embedding="cooccurrence",
    units=3,
    embedding_dim=4,
    vocabulary_size=60,
    sequence_length=8,
    max_epochs=1,
    batch_size=16,
    patience=None,
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))


def sequences(*lists):
    offsets = np.cumsum([0, *map(len, lists)])
    return Sequences(
        np.concatenate(lists).astype(np.int32), offsets, np.zeros(len(lists), int)
    )


def test_nearness_by_hand():
    # 1 begins a sequence, 2 is an unknown word, and so is 99 of a vocabulary of 60.
    near = cooccurrence._near(sequences([1, 4, 5, 2, 4, 99, 6], [7, 4]), 60).toarray()
    wanted = np.zeros((60, 60))
    for first, second, distances in (
        (4, 5, (1, 2)),
        (4, 4, (3,)),
        (4, 6, (5, 2)),
        (5, 6, (4,)),
        (4, 7, (1,)),
    ):
        wanted[first, second] += sum(1 / d for d in distances)
        wanted[second, first] += sum(1 / d for d in distances)
    np.testing.assert_allclose(near, wanted)


def test_vectors_give_the_information_of_each_pair():
    train = sequences([4, 5, 6], [4, 5], [6, 7, 7, 4], [8, 5, 8])
    config = SMALL.model_copy(update={"embedding_dim": 10})
    ids, vectors = fit_cooccurrence(train, config, 1)
    assert ids.tolist() == [4, 5, 6, 7, 8]
    # No more numbers than there are words.
    assert vectors.shape == (5, 5)
    assert vectors.std() == pytest.approx(STANDARD_DEVIATION)
    near = cooccurrence._near(train, 60).toarray()[4:9, 4:9]
    total = near.sum(axis=1)
    context = total**0.75 / (total**0.75).sum()
    ratio = near / (total[:, None] * context)
    information = np.log(np.maximum(ratio, 1))
    # U S U' of the decomposition U S V' is the square root of M M'.
    values, basis = np.linalg.eigh(information @ information.T)
    root = basis * np.sqrt(np.maximum(values, 0)) @ basis.T
    scale = vectors.astype(float) @ vectors.T
    np.testing.assert_allclose(
        scale / np.linalg.norm(scale), root / np.linalg.norm(root), atol=1e-6
    )


def test_words_with_the_same_neighbours_have_similar_vectors():
    rng = np.random.default_rng(3)
    # 10 and 11 stand among 20 to 24, and 12 and 13 among 30 to 34.
    lists = []
    for _ in range(400):
        word, low = ((10, 20), (11, 20), (12, 30), (13, 30))[rng.integers(4)]
        around = rng.integers(low, low + 5, 4)
        lists.append([*around[:2], word, *around[2:]])
    ids, vectors = fit_cooccurrence(sequences(*lists), SMALL, 1)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = unit @ unit.T
    a, b, c, d = (int(np.flatnonzero(ids == word)[0]) for word in (10, 11, 12, 13))
    assert min(alike[a, b], alike[c, d]) > 0.9
    assert max(alike[a, c], alike[a, d], alike[b, c], alike[b, d]) < 0.3


def test_labels_are_not_read_and_the_second_fit_reads_the_first(monkeypatch):
    train = sequences([4, 5, 6], [4, 5], [6, 7, 7, 4])
    first = fit_cooccurrence(train, SMALL, 1)
    flipped = fit_cooccurrence(dataclasses.replace(train, y=1 - train.y), SMALL, 1)
    assert first[1].tobytes() == flipped[1].tobytes()
    monkeypatch.setattr(cooccurrence, "_fit", None)
    again = fit_cooccurrence(train, SMALL, 1)
    assert (again[0] == first[0]).all() and (again[1] == first[1]).all()


def test_a_train_without_pairs_has_no_vectors():
    ids, vectors = fit_cooccurrence(sequences([1, 4], [1, 5], [2, 2]), SMALL, 1)
    assert ids.shape == (0,) and vectors.shape == (0, 4)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["stock", "packed"])
def test_a_training_begins_with_the_vectors(dataset, splits, engine):
    if engine == "packed":
        pytest.importorskip("numba")
    from lstm_bench.training.trial import _new_steps

    at_random = SMALL.model_copy(update={"embedding": "random"})
    random, begun = (
        _new_steps(config, dataset, splits.train, 0, 0, engine).model
        for config in (at_random, SMALL)
    )
    expected, *others = random.get_weights()
    seed = derive_seed(0, "cooccurrence", 0)
    ids, vectors = fit_cooccurrence(splits.train, SMALL, seed)
    expected[ids] = vectors
    table, *rest = begun.get_weights()
    np.testing.assert_array_equal(table, expected)
    for got, wanted in zip(rest, others, strict=True):
        np.testing.assert_array_equal(got, wanted)
    _, model = run_trial(
        SMALL,
        dataset,
        splits,
        metric=METRICS["accuracy"],
        root_seed=0,
        engine=engine,
    )
    # The most frequent words occur in what is read.
    frequent = ids[:10]
    assert (model.get_weights()[0][frequent] != expected[frequent]).any(axis=1).all()


def test_a_suite_needs_no_file_for_it():
    suite = suite_from_text(
        "tiny",
        """
description: Words near each other.
dataset: {name: synthetic}
space: {embedding: [random, cooccurrence]}
study: {n_trials: 2, sampler: grid}
""",
    )
    axes = {"random", "cooccurrence"}
    assert {value for _, value in suite.values_of("embedding")} == axes
