from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstm_bench import inference
from lstm_bench.data.dataset import Dataset, Sequences, from_lists, sequences_digest
from lstm_bench.data.preprocessing import fit_preprocessing
from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import Splits, make_splits
from lstm_bench.inference import baseline_proba
from lstm_bench.metrics import accuracy
from lstm_bench.tasks import TASKS
from lstm_bench.training import baselines
from lstm_bench.training.baselines import (
    BASELINES,
    Baseline,
    baselines_of,
    fit_majority,
    run_baseline,
    why_not_run,
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


@pytest.fixture
def tiny_series() -> tuple[Dataset, Splits]:
    rng = np.random.default_rng(3)
    y = [1, 1, 0, 0, 1]
    lengths = [4, 3, 5, 2, 4]
    values = rng.normal(np.repeat(y, lengths)[:, None], size=(18, 2))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    train = Sequences(values.astype(np.float32), offsets, np.array(y))
    test = dataclasses.replace(train.take(np.array([0, 2, 3])), y=np.array([1, 0, 0]))
    dataset = dataclasses.replace(
        make_dataset(train, test), vocabulary=(), kind="vectors", channels=("a", "b")
    )
    scaling = fit_preprocessing(dataset, train)
    train, val, test = (
        dataclasses.replace(part, fitted=scaling)
        for part in (train, train.take(np.array([3, 0])), test)
    )
    return dataset, Splits(train, val, test, np.array([3, 0]), False, scaling)


EVERY = [
    (name, kind)
    for name, baseline in BASELINES.items()
    for kind in baseline.kinds
    if "classification" in baseline.tasks
]


@pytest.fixture
def data(
    kind: str, tiny: tuple[Dataset, Splits], tiny_series: tuple[Dataset, Splits]
) -> tuple[Dataset, Splits]:
    return tiny if kind == "tokens" else tiny_series


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


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_every_baseline_keeps_the_contract(
    name: str, kind: str, data: tuple[Dataset, Splits]
) -> None:
    baseline: Baseline = BASELINES[name]
    assert baseline.name == name
    assert baseline.label
    assert baseline.description.endswith(".")
    assert baseline.source
    dataset, splits = data
    assert why_not_run(name, splits, score_test=True) is None
    result = run_baseline(name, dataset, splits, score_test=True)
    assert result.name == name
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


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_a_fitted_baseline_is_stored_without_pickle(
    name: str, kind: str, data: tuple[Dataset, Splits], tmp_path: Path
) -> None:
    _, splits = data
    predictor = BASELINES[name].fit(splits.train, 2)
    np.savez(tmp_path / "arrays.npz", **predictor.arrays())
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    sequences = [splits.test[i] for i in range(len(splits.test))]
    np.testing.assert_array_equal(
        baseline_proba(name, arrays, sequences, 2),
        predictor.predict_proba(splits.test),
    )


def test_baselines_of_a_kind_read_it() -> None:
    assert list(baselines_of("tokens")) == ["majority", "tfidf_lr", "nb_lr"]
    assert list(baselines_of("vectors")) == ["majority", "summary_lr", "dtw_1nn"]


def test_every_baseline_is_computed_by_inference() -> None:
    assert list(BASELINES) == list(inference.BASELINES)


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_test_set_is_not_touched_unless_it_is_scored(
    name: str, kind: str, data: tuple[Dataset, Splits]
) -> None:
    dataset, splits = data
    dataset = dataclasses.replace(dataset, test=Untouchable())
    splits = dataclasses.replace(splits, test=Untouchable())
    assert why_not_run(name, splits, score_test=False) is None
    for _ in range(2):
        (prediction,) = run_baseline(
            name, dataset, splits, score_test=False
        ).predictions
        assert prediction.split == "val"
    with pytest.raises(AssertionError, match="asked for its"):
        run_baseline(name, dataset, splits, score_test=True)


def test_unknown_baseline_is_named(tiny: tuple[Dataset, Splits]) -> None:
    with pytest.raises(ValueError, match=r"majority, tfidf_lr, nb_lr, .*got 'svm'"):
        run_baseline("svm", *tiny, score_test=False)


# Majority


def test_majority_gives_the_shares_of_the_training_reviews() -> None:
    train = from_texts(("good", "bad", "film", "good"), [1, 1, 0, 1])
    predictor = fit_majority(train, 3)
    assert predictor.n_features == 0
    y_proba = predictor.predict_proba(train.take(np.array([0, 2])))
    np.testing.assert_array_equal(y_proba, [[0.25, 0.75, 0.0]] * 2)


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
    for name in baselines_of("tokens"):
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


def test_keys_of_series_differ_by_what_the_split_has_fitted(
    tiny_series: tuple[Dataset, Splits],
) -> None:
    dataset, splits = tiny_series
    key = baselines._cache_key("summary_lr", dataset, splits)
    scaling = dataclasses.replace(splits.fitted, mean=splits.fitted.mean + 1)
    other = dataclasses.replace(
        splits, train=dataclasses.replace(splits.train, fitted=scaling)
    )
    assert baselines._cache_key("summary_lr", dataset, other) != key


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


def test_the_simplest_baseline_of_a_task_has_its_label() -> None:
    for task in TASKS.values():
        assert BASELINES[task.simplest].label == task.simplest_label
