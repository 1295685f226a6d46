"""Baselines for series of vectors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lstm_bench.arrays import FloatArray
from lstm_bench.data.dataset import Sequences
from lstm_bench.inference import NearestSeries, summarise
from lstm_bench.training.baselines import series as module
from lstm_bench.training.baselines.series import (
    SUMMARY_C,
    fit_dtw_1nn,
    fit_summary_lr,
    too_large_for_dtw,
)


def from_series(series: list[FloatArray], y: list[int] | FloatArray) -> Sequences:
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in series])])
    values = np.concatenate(series).astype(np.float32)
    return Sequences(values, offsets, np.asarray(y, np.int64))


def random_series(n: int, n_classes: int, seed: int, n_channels: int = 2) -> Sequences:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    series = [
        np.cumsum(rng.normal(label, 2.0, (rng.integers(1, 9), n_channels)), axis=0)
        for label in y
    ]
    return from_series(series, y)


def lists(sequences: Sequences) -> list[FloatArray]:
    return [sequences[i] for i in range(len(sequences))]


# Summary statistics


def test_summaries_are_those_computed_by_hand() -> None:
    found = summarise([np.array([[1.0, 0], [4, 0], [1, 3]]), np.array([[5.0, -1]])])
    root = np.sqrt(2)
    expected = [
        # By channel: mean, std, min, max, first, last, mean |difference|; length.
        [2, 1, root, root, 1, 0, 4, 3, 1, 0, 1, 3, 3, 1.5, 3],
        [5, -1, 0, 0, 5, -1, 5, -1, 5, -1, 5, -1, 0, 0, 1],
    ]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_summary_lr_is_scikit_learns_on_summaries(n_classes: int) -> None:
    train, test = random_series(80, n_classes, 1), random_series(30, n_classes, 2)
    predictor = fit_summary_lr(train, n_classes)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=SUMMARY_C, max_iter=10_000)
    ).fit(summarise(lists(train)), train.y)
    np.testing.assert_allclose(
        predictor.predict_proba(test),
        model.predict_proba(summarise(lists(test))),
        atol=1e-9,
    )
    assert predictor.n_features == 15


def test_summary_lr_gives_nothing_to_a_class_that_train_lacks() -> None:
    train = random_series(30, 3, 1)
    y_proba = fit_summary_lr(train, 5).predict_proba(train)
    assert (y_proba[:, 3:] == 0).all()
    assert (y_proba[:, :3] > 0).all()
    one = train.take(np.flatnonzero(train.y == 1))
    y_proba = fit_summary_lr(one, 3).predict_proba(train)
    np.testing.assert_array_equal(y_proba, [[0.0, 1.0, 0.0]] * 30)


# Dynamic time warping


def dtw(a: FloatArray, b: FloatArray) -> float:
    best = np.full((len(a) + 1, len(b) + 1), np.inf)
    best[0, 0] = 0
    for i in range(len(a)):
        for j in range(len(b)):
            before = min(best[i, j], best[i, j + 1], best[i + 1, j])
            best[i + 1, j + 1] = ((a[i] - b[j]) ** 2).sum() + before
    return float(best[-1, -1])


@pytest.mark.parametrize("n_steps", [1, 20, 2**13])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_distances_are_those_of_the_definition(
    n_steps: int, n_channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NearestSeries, "N_STEPS", n_steps)
    train = lists(random_series(25, 2, 1, n_channels))
    nearest = NearestSeries(train)
    for query in lists(random_series(12, 2, 2, n_channels)):
        expected = [dtw(query.astype(float), s.astype(float)) for s in train]
        # Sums of squares of up to 30 in float32.
        np.testing.assert_allclose(
            nearest.distances(query), expected, rtol=1e-5, atol=1e-3
        )


def test_distances_of_a_series_stretched_in_time_are_0() -> None:
    train = [np.array([[0.0], [1], [2]]), np.array([[0.0], [1], [0]])]
    stretched = np.array([[0.0], [0], [1], [1], [1], [2]])
    distances = NearestSeries(train).distances(stretched)
    np.testing.assert_allclose(distances, [0, 4])
    beyond = NearestSeries(train).distances(np.array([[1e30]], np.float32))
    assert np.isfinite(beyond).all()
    assert NearestSeries([np.array([[3.0]])]).distances(train[0]).tolist() == [14]


def test_dtw_1nn_gives_the_class_of_the_nearest_its_share_of_right_ones() -> None:
    # The first three of class 0 are alike, the last is like class 2.
    levels, y = [0.0, 0.1, 0.2, 5.1, 5.0, 5.3], [0, 0, 0, 0, 2, 2]
    train = from_series([np.full((3, 1), level) for level in levels], y)
    predictor = fit_dtw_1nn(train, 3)
    # Left out in turn, the nearest of 5.1 and of 5.0 are of another class; that of
    # 5.3 is 5.1, of another class, too.
    p = (3 + 1) / (6 + 2)
    rest = (1 - p) / 2
    test = from_series([np.full((2, 1), 0.05), np.full((4, 1), 5.4)], [0, 2])
    np.testing.assert_allclose(
        predictor.predict_proba(test), [[p, rest, rest], [rest, rest, p]]
    )
    assert predictor.n_features == 0


def test_dtw_1nn_that_is_never_right_in_train_still_follows_the_nearest() -> None:
    levels = [0.0, 0.1, 9.0, 9.1]
    train = from_series([np.full((2, 1), level) for level in levels], [0, 1, 0, 1])
    for n_classes in (2, 50):
        y_proba = fit_dtw_1nn(train, n_classes).predict_proba(train)
        assert y_proba.argmax(axis=1).tolist() == [0, 1, 0, 1]
        np.testing.assert_allclose(y_proba.sum(axis=1), 1.0)
    one = train.take(np.array([1]))
    np.testing.assert_allclose(fit_dtw_1nn(one, 2).predict_proba(one), [[0.495, 0.505]])


def test_dtw_1nn_learns_which_of_two_movements_a_series_makes() -> None:
    rng = np.random.default_rng(5)

    def movements(n: int) -> Sequences:
        series = []
        for label in np.arange(n) % 2:
            t = np.linspace(0, 1, rng.integers(10, 20)) ** rng.uniform(0.5, 2)
            wave = np.sin((label + 1) * 2 * np.pi * t)[:, None]
            series.append(wave + rng.normal(0, 0.2, wave.shape))
        return from_series(series, np.arange(n) % 2)

    test = movements(40)
    y_proba = fit_dtw_1nn(movements(40), 2).predict_proba(test)
    assert (y_proba.argmax(axis=1) == test.y).mean() > 0.95


def test_too_large_for_dtw_names_the_pairs_of_steps_and_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = from_series([np.zeros((4, 1))] * 5, [0] * 5)
    val = from_series([np.zeros((3, 1))] * 2, [0] * 2)
    # 20 steps left out in turn and 6 of validation, each times 20.
    monkeypatch.setattr(module, "MAX_DTW_CELLS", 520)
    assert too_large_for_dtw(train, [val]) is None
    assert too_large_for_dtw(train, [val, val]) == (
        "32 steps times 20 steps of training series are 6.4e+02 pairs of steps to "
        "compare, more than the limit of 5.2e+02"
    )
    monkeypatch.setattr(module, "N_LEFT_OUT", 3)
    assert too_large_for_dtw(train, [val, val]) is None
