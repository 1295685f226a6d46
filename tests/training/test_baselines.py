from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from lstm_bench.data.dataset import Dataset, Sequences, from_lists, sequences_digest
from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import Splits, make_splits
from lstm_bench.metrics import accuracy
from lstm_bench.training import baselines
from lstm_bench.training.baselines import (
    BASELINES,
    Baseline,
    fit_majority,
    fit_nb_lr,
    fit_tfidf_lr,
    log_count_ratio,
    ngrams,
    run_baseline,
)

GOOD, BAD, FILM, ODD = 4, 5, 6, 7
TEXTS = ("good film", "good good film", "bad film", "bad")
IDS = {"good": GOOD, "bad": BAD, "film": FILM}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path))
    return tmp_path / "lstm-bench" / "baselines"


def from_texts(texts: Sequence[str], y: Sequence[int]) -> Sequences:
    return from_lists([[1, *(IDS[w] for w in text.split())] for text in texts], y)


def make_dataset(train: Sequences, test: Sequences, n_classes: int = 2) -> Dataset:
    return Dataset(
        name="tiny",
        description="A few reviews.",
        train=train,
        test=test,
        class_names=tuple("abcd"[:n_classes]),
        vocabulary=("good", "bad", "film", "odd"),
        digest=sequences_digest(train, test),
        source="a test",
    )


@pytest.fixture
def tiny() -> tuple[Dataset, Splits]:
    train = from_texts((*TEXTS, "good"), [1, 1, 0, 0, 1])
    test = from_texts(("good bad film", "bad film", "film"), [1, 0, 0])
    splits = Splits(train, train.take(np.array([3, 0])), test, np.array([3, 0]), False)
    return make_dataset(train, test), splits


class Untouchable:
    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the test set was asked for its {name}")

    def __len__(self) -> int:
        raise AssertionError("the test set was asked for its length")


def count_fits(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    """Return a list that grows by the number of reviews of each fit."""
    fits: list[int] = []
    baseline = BASELINES[name]

    def fit(train: Sequences, n_classes: int) -> baselines.Predictor:
        fits.append(len(train))
        return baseline.fit(train, n_classes)

    monkeypatch.setitem(BASELINES, name, dataclasses.replace(baseline, fit=fit))
    return fits


# Contract


@pytest.mark.parametrize("baseline", BASELINES.values(), ids=list(BASELINES))
def test_every_baseline_keeps_the_contract(
    baseline: Baseline, tiny: tuple[Dataset, Splits]
) -> None:
    assert BASELINES[baseline.name] is baseline
    assert baseline.label
    assert baseline.description.endswith(".")
    assert baseline.source
    dataset, splits = tiny
    result = run_baseline(baseline.name, dataset, splits, score_test=True)
    assert result.name == baseline.name
    assert result.train_time_s >= 0
    assert not result.cached
    assert result.notes == ()
    val, test = result.predictions
    assert (val.split, test.split) == ("val", "test")
    assert val.index.tolist() == [3, 0]
    assert test.index.tolist() == [0, 1, 2]
    assert val.y_true.tolist() == [0, 1]
    assert test.y_true.tolist() == [1, 0, 0]
    for prediction in (val, test):
        assert prediction.y_proba.dtype == np.float64
        assert prediction.y_proba.shape == (len(prediction.index), 2)
        np.testing.assert_allclose(prediction.y_proba.sum(axis=1), 1.0)
    again = baseline.fit(splits.train, 2).predict_proba(splits.test)
    np.testing.assert_array_equal(again, test.y_proba)


@pytest.mark.parametrize("name", BASELINES)
def test_test_set_is_not_touched_unless_it_is_scored(
    name: str, tiny: tuple[Dataset, Splits]
) -> None:
    dataset, splits = tiny
    dataset = dataclasses.replace(dataset, test=Untouchable())
    splits = dataclasses.replace(splits, test=Untouchable())
    for _ in range(2):
        (prediction,) = run_baseline(
            name, dataset, splits, score_test=False
        ).predictions
        assert prediction.split == "val"
    with pytest.raises(AssertionError, match="asked for its"):
        run_baseline(name, dataset, splits, score_test=True)


def test_unknown_baseline_is_named(tiny: tuple[Dataset, Splits]) -> None:
    with pytest.raises(ValueError, match="majority, tfidf_lr, nb_lr, got 'svm'"):
        run_baseline("svm", *tiny, score_test=False)


# n-grams


def test_ngrams_are_words_and_pairs_without_the_start() -> None:
    pair = GOOD * 2**31 + FILM
    assert ngrams(np.array([1, GOOD, FILM], np.int32)) == [GOOD, FILM, pair]
    assert ngrams(np.array([1, GOOD])) == [GOOD]
    assert ngrams(np.array([1])) == []
    most = 2**31 - 1
    assert ngrams(np.array([most, most], np.int32))[2] == most * 2**31 + most


@pytest.mark.parametrize("binary", [False, True])
def test_ngrams_are_counted_as_scikit_learn_counts_them_in_text(binary: bool) -> None:
    reviews = from_texts(TEXTS, [1, 1, 0, 0])
    _, counts = baselines._count(reviews, binary=binary)
    on_text = CountVectorizer(ngram_range=(1, 2), binary=binary).fit_transform(TEXTS)
    # bad, film, good, bad film, good film, good good: in another order.
    columns = sorted(map(tuple, counts.toarray().T.tolist()))
    assert columns == sorted(map(tuple, on_text.toarray().T.tolist()))
    assert counts.shape == (4, 6)


def test_tfidf_weights_are_scikit_learns_on_text() -> None:
    y = np.array([1, 1, 0, 0])
    reviews = from_texts(TEXTS, y)
    on_text = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    weights = on_text.fit_transform(TEXTS)
    expected = baselines._OneAgainstRest.fit(weights, y, 2, baselines.TFIDF_C)
    np.testing.assert_allclose(
        fit_tfidf_lr(reviews, 2).predict_proba(reviews),
        expected.predict_proba(weights),
        atol=1e-3,
    )


# Majority


def test_majority_gives_the_shares_of_the_training_reviews() -> None:
    train = from_texts(("good", "bad", "film", "good"), [1, 1, 0, 1])
    predictor = fit_majority(train, 3)
    assert predictor.n_features == 0
    y_proba = predictor.predict_proba(train.take(np.array([0, 2])))
    np.testing.assert_array_equal(y_proba, [[0.25, 0.75, 0.0]] * 2)


# Naive Bayes


def test_log_count_ratios_are_those_computed_by_hand() -> None:
    reviews = from_texts(TEXTS, [1, 1, 0, 0])
    vectorizer, x = baselines._count(reviews, binary=True)
    ratio = log_count_ratio(x, reviews.y == 1)
    # Reviews with each n-gram plus 1. In the class: good 3, film 3, bad 1,
    # good film 3, good good 2, bad film 1, of 13; outside: 1, 2, 3, 1, 1, 2, of 10.
    expected = {
        GOOD: np.log((3 / 13) / (1 / 10)),
        FILM: np.log((3 / 13) / (2 / 10)),
        BAD: np.log((1 / 13) / (3 / 10)),
        GOOD << 31 | FILM: np.log((3 / 13) / (1 / 10)),
        GOOD << 31 | GOOD: np.log((2 / 13) / (1 / 10)),
        BAD << 31 | FILM: np.log((1 / 13) / (2 / 10)),
    }
    assert set(vectorizer.vocabulary_) == set(expected)
    for ngram, value in expected.items():
        assert ratio[vectorizer.vocabulary_[ngram]] == pytest.approx(value)


def test_nb_reads_presence_and_leaves_out_ngrams_that_training_lacks() -> None:
    predictor = fit_nb_lr(from_texts(TEXTS, [1, 1, 0, 0]), 2)
    assert predictor.n_features == 6
    reviews = from_lists(
        [[1, GOOD, GOOD, FILM], [1, GOOD, GOOD, GOOD, FILM], [1, BAD], [1, ODD, BAD]],
        [1, 1, 0, 0],
    )
    y_proba = predictor.predict_proba(reviews)
    np.testing.assert_array_equal(y_proba[0], y_proba[1])
    np.testing.assert_array_equal(y_proba[2], y_proba[3])
    assert y_proba.argmax(axis=1).tolist() == [1, 1, 0, 0]


# Classes


@pytest.mark.parametrize("fit", [fit_tfidf_lr, fit_nb_lr])
def test_three_classes_are_told_apart_and_a_fourth_gets_nothing(fit: Any) -> None:
    rng = np.random.default_rng(3)
    y = np.arange(90) % 3
    # The class's own word among two that say nothing.
    reviews = from_lists(
        [[1, *rng.integers(8, 10, 5).tolist(), 4 + label] for label in y], y
    )
    y_proba = fit(reviews, 4).predict_proba(reviews)
    assert accuracy(y, y_proba) == 1.0
    np.testing.assert_allclose(y_proba.sum(axis=1), 1.0)
    assert (y_proba[:, 3] == 0).all()
    assert (y_proba[:, :3] > 0).all()


@pytest.mark.parametrize("fit", [fit_tfidf_lr, fit_nb_lr])
def test_one_class_in_training_is_certain(fit: Any) -> None:
    reviews = from_texts(TEXTS, [1, 1, 1, 1])
    np.testing.assert_array_equal(
        fit(reviews, 2).predict_proba(reviews), [[0.0, 1.0]] * 4
    )


# Synthetic reviews


def test_baselines_learn_the_synthetic_grammar_but_not_its_negation() -> None:
    dataset = load_dataset("synthetic", {"n_train": 1500, "n_test": 500}, seed=5)
    splits = make_splits(
        dataset,
        root_seed=5,
        replicate=1,
        validation_fraction=0.2,
        max_train_samples=None,
    )
    scores = {}
    for name in BASELINES:
        result = run_baseline(name, dataset, splits, score_test=True)
        scores[name] = [accuracy(p.y_true, p.y_proba) for p in result.predictions]
    assert scores["majority"] == pytest.approx([0.5, 0.5], abs=0.02)
    for name in ("tfidf_lr", "nb_lr"):
        assert min(scores[name]) > 0.75
        # 5 % of the labels are flipped.
        assert max(scores[name]) <= 0.98


# Cache


def test_second_run_reads_the_cache(
    tiny: tuple[Dataset, Splits], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = count_fits(monkeypatch, "nb_lr")
    first = run_baseline("nb_lr", *tiny, score_test=True)
    second = run_baseline("nb_lr", *tiny, score_test=True)
    assert fits == [5]
    assert (first.cached, second.cached) == (False, True)
    assert (first.n_features, first.train_time_s) == (
        second.n_features,
        second.train_time_s,
    )
    for a, b in zip(first.predictions, second.predictions, strict=True):
        np.testing.assert_array_equal(a.y_proba, b.y_proba)
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_array_equal(a.y_true, b.y_true)
    assert sorted(p.name[64:] for p in cache.iterdir()) == ["-test.npz", "-val.npz"]


def test_test_predictions_missing_from_the_cache_are_added(
    tiny: tuple[Dataset, Splits], monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = count_fits(monkeypatch, "tfidf_lr")
    cached = [
        run_baseline("tfidf_lr", *tiny, score_test=score_test).cached
        for score_test in (False, False, True, True, False)
    ]
    assert cached == [False, True, False, True, True]
    assert len(fits) == 2


def test_key_tells_baselines_datasets_and_parts_apart(
    tiny: tuple[Dataset, Splits], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, splits = tiny
    fewer = splits.train.take(np.array([0, 1, 2, 3]))
    others = [
        ("majority", dataset, splits),
        ("nb_lr", dataclasses.replace(dataset, digest="another"), splits),
        ("nb_lr", dataset, dataclasses.replace(splits, train=fewer)),
        ("nb_lr", dataset, dataclasses.replace(splits, val=fewer)),
    ]
    key = baselines._cache_key("nb_lr", dataset, splits)
    keys = {key, *(baselines._cache_key(*other) for other in others)}
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0")
    keys.add(baselines._cache_key("nb_lr", dataset, splits))
    assert len(keys) == 6


def test_unusable_cache_folder_costs_a_note_and_no_result(
    tiny: tuple[Dataset, Splits], tmp_path: Path
) -> None:
    (tmp_path / "lstm-bench").write_text("a file, no folder")
    for _ in range(2):
        result = run_baseline("nb_lr", *tiny, score_test=True)
        assert not result.cached
        assert len(result.predictions) == 2
        (note,) = result.notes
        assert "nb_lr could not be cached: Not a directory" in note
