"""Linear baselines as sums over steps and channels: the sum is what they predict."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_bench.explaining.attribution import log_odds
from lstm_bench.explaining.baselines import explain_baseline
from lstm_bench.explaining.explanation import Ahead, text_of
from lstm_bench.explaining.linear import (
    autoregression,
    log_odds_of,
    summary_shares,
    summary_sums,
)
from lstm_bench.explaining.page import render_page
from lstm_bench.inference import (
    baseline_proba,
    repeated_steps,
    scaled_windows,
    summarise,
)

RNG = np.random.default_rng(3)
VALUES = np.array([[5.0, 7.0, np.nan, 6.0, 9.0, np.nan]])
SCALE = 2.0
AR = {
    "coefficients": RNG.normal(size=(2, 6)),
    "intercepts": np.array([0.5, -0.25]),
}
ABOUT = {
    "suite": "tiny",
    "study": "tiny-1",
    "name": "a baseline",
    "replicate": 2,
    "run_id": None,
    "why": "for a test.",
    "kind": "vectors",
    "tokenizer": None,
    "class_names": [],
}


def window():
    scaled, level = scaled_windows(VALUES, np.array([SCALE]))
    return scaled[0], float(level[0])


def summaries(n_outputs: int, n_channels: int = 2) -> dict[str, np.ndarray]:
    n = 7 * n_channels + 1
    return {
        "mean": RNG.normal(size=n),
        "std": RNG.uniform(0.5, 2.0, n),
        "coefficients": RNG.normal(size=(n_outputs, n)),
        "intercepts": RNG.normal(size=n_outputs),
        "classes": np.arange(n_outputs),
    }


@pytest.mark.parametrize("target", [0, 1, None])
def test_contributions_of_an_autoregression_add_up_to_its_forecast(target):
    scaled, _ = window()
    found = autoregression(AR, scaled, target)
    forecasts = baseline_proba("linear_ar", AR, [scaled], 2)[0]
    expected = forecasts.mean() if target is None else forecasts[target]
    assert found.by_channel.sum() + found.rest == pytest.approx(expected)
    # Whether a value is missing is not read; the missing one counts as the one before.
    assert found.by_channel[:, 1].tolist() == [0.0] * 6
    rows = AR["coefficients"]
    weights = rows.mean(axis=0) if target is None else rows[target]
    assert found.by_channel[2, 0] == pytest.approx(weights[2] * (7.0 - 9.0) / SCALE)


def test_shares_of_summaries_add_up_to_them():
    for series in (RNG.normal(size=(9, 3)), np.full((4, 2), 1.5), np.ones((1, 2))):
        shares = summary_shares(series).sum(axis=1)
        statistics = summarise([series])[0, :-1]
        np.testing.assert_allclose(shares.reshape(-1), statistics, atol=1e-12)


def test_contributions_of_summaries_add_up_to_the_prediction():
    arrays, series = summaries(3), RNG.normal(size=(9, 2))
    numbers = baseline_proba("summary_ridge", arrays, [series], 3)[0]
    sums = summary_sums(arrays, series)
    for one, number in zip(sums, numbers, strict=True):
        assert one.by_channel.sum() + one.rest == pytest.approx(number)
        assert one.by_summary.sum() + one.rest == pytest.approx(number)
    # Where every channel is at its mean, nothing but the rest is left.
    nothing = baseline_proba("summary_ridge", arrays, [0.0 * series], 3)[0]
    assert [one.rest for one in sums] == pytest.approx(nothing)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_contributions_of_a_logistic_regression_add_up_to_the_log_odds(n_classes):
    arrays, series = summaries(n_classes), RNG.normal(size=(9, 2))
    proba = baseline_proba("summary_lr", arrays, [series], n_classes)
    sums = summary_sums(arrays, series)
    for target in range(n_classes):
        one = log_odds_of(sums, target, 50)
        expected = log_odds(proba, target)[0]
        assert one.by_channel.sum() + one.rest == pytest.approx(expected)
        assert one.by_summary.sum() + one.rest == pytest.approx(expected)


def test_repeated_steps_are_those_of_the_season_that_are_known():
    scaled, _ = window()
    # Of a season of 3, step 5 is missing and so is step 2: nothing of it is known.
    assert repeated_steps(scaled, 4, 3).tolist() == [3, 4, 4, 3]
    naive = baseline_proba("naive", {}, [scaled], 2)[0]
    assert scaled[repeated_steps(scaled, 2, 1), 0].tolist() == naive.tolist()


def explained(name, arrays, **options):
    scaled, level = window()
    ahead = Ahead(
        "a",
        [*"abcdef", "g", "h"],
        [None if np.isnan(v) else v for v in VALUES[0].tolist()],
        level,
        SCALE,
        [9.5, 10.5],
    )
    about = ABOUT | {
        "model": name,
        "task": "forecast",
        "channels": ["value", "is missing"],
        "output_names": ["step 1", "step 2"],
    }
    text = text_of(scaled, None, about, None, ahead)
    return explain_baseline(arrays, about, text, np.random.default_rng(0), **options)


def test_an_autoregression_is_explained_in_the_unit_of_the_series():
    found = explained("linear_ar", AR)
    scaled, level = window()
    forecasts = baseline_proba("linear_ar", AR, [scaled], 2)[0] * SCALE + level
    assert found.proba == pytest.approx([*forecasts, forecasts.mean()])
    assert (found.true_value, found.target_name) == (10.0, "mean of 2 steps ahead")
    total = sum(found.attribution) + found.baseline_score
    assert total == pytest.approx(found.score) == pytest.approx(found.proba[2])
    # After the last step, the running forecast is the forecast.
    assert found.running[-1] == pytest.approx(found.proba)
    # Deleting a value changes the forecast by its part; of a value that a missing one
    # repeats, also by that one's.
    for i in (0, 2, 3, 4, 5):
        assert found.deletion[i] == pytest.approx(found.attribution[i])
    both = found.attribution[1] + found.attribution[2]
    assert found.deletion[1] == pytest.approx(both)
    assert explained("linear_ar", AR, step=2).score == pytest.approx(forecasts[1])
    page = render_page(found)
    assert "the last known value is 9" in page and "The true value is 10." in page
    assert "6 values of series a, a to f, 2 missing" in page


def test_a_naive_forecast_says_what_it_repeats():
    found = explained("naive", {})
    assert found.proba == [9.0] * 3 and found.repeated == [4, 4]
    assert "It repeats the last known value, 9 of e, at every step" in found.repeats
    page = render_page(found)
    assert found.repeats in page and "Which steps" not in page
    found = explained("seasonal_naive", {"season": np.array(3)})
    assert found.proba[:2] == [6.0, 9.0]
    assert "the season of 3 steps: here values from d to e" in found.repeats


@pytest.mark.parametrize("name", ["summary_lr", "summary_ridge"])
def test_summaries_are_explained_by_step_channel_and_statistic(name):
    arrays, series = summaries(2), RNG.normal(size=(9, 2))
    is_class = name == "summary_lr"
    about = ABOUT | {
        "model": name,
        "task": "classification" if is_class else "regression",
        "channels": ["x", "y"],
        "class_names": ["a", "b"] if is_class else [],
        "output_names": [] if is_class else ["price", "age"],
    }
    text = text_of(series, (10.0 * series).tolist(), about, None)
    rng = np.random.default_rng(0)
    found = explain_baseline(arrays, about, text, rng, example=1)
    assert np.sum(found.by_channel, axis=1) == pytest.approx(found.attribution)
    parts = sum(term.contribution for term in found.terms)
    for total in (parts, sum(found.attribution)):
        assert total + found.baseline_score == pytest.approx(found.score)
    assert abs(found.gap) < 1e-9
    assert found.running[-1] == pytest.approx(found.proba)
    # Statistics are in the data's units.
    value = next(
        t.value for t in found.terms if (t.statistic, t.channel) == ("maximum", "y")
    )
    assert value == pytest.approx(10.0 * series[:, 1].max())
    page = render_page(found)
    assert "The statistics that the model reads" in page and "Which channels" in page
    one = text_of(series[:1], series[:1].tolist(), about, None)
    found = explain_baseline(arrays, about, one, rng)
    assert found.deletion == [None]
    assert "too short for the check" in render_page(found)


@pytest.mark.parametrize(
    ("name", "arrays", "said"),
    [
        ("majority", {"shares": np.array([0.25, 0.75])}, "b 0.750, a 0.250."),
        ("train_mean", {"mean": np.array([4.5])}, "price 4.5."),
    ],
)
def test_a_baseline_that_reads_nothing_says_what_it_repeats(name, arrays, said):
    is_class = name == "majority"
    about = ABOUT | {
        "model": name,
        "task": "classification" if is_class else "regression",
        "channels": ["x"],
        "class_names": ["a", "b"] if is_class else [],
        "output_names": [] if is_class else ["price"],
    }
    series = RNG.normal(size=(3, 1))
    text = text_of(series, series.tolist(), about, None)
    seed = (about | {"replicate": 3}, arrays, text)
    rng = np.random.default_rng(0)
    found = explain_baseline(arrays, about, text, rng, seeds=[seed])
    assert found.repeats.endswith(said)
    page = render_page(found)
    assert "It reads nothing of the input" in page and "2 seeds" in page


@pytest.mark.parametrize("name", ["tfidf_lr", "tfidf_ridge", "majority"])
def test_a_text_is_explained_by_its_ngrams_or_by_what_is_repeated(name):
    is_class = name != "tfidf_ridge"
    arrays = {
        "ngrams": np.array([3, 4, (3 << 31) | 4]),
        "coefficients": np.array([[1.0, 2.0, -3.0]]),
        "intercepts": np.array([10.0]),
        "idf": np.array([1.0, 2.0, 3.0]),
    }
    if is_class:
        arrays["classes"] = np.arange(2)
    if name == "majority":
        arrays = {"shares": np.array([0.25, 0.75])}
    about = ABOUT | {
        "model": name,
        "kind": "tokens",
        "tokenizer": "words",
        "task": "classification" if is_class else "regression",
        "channels": [],
        "class_names": ["a", "b"] if is_class else [],
        "output_names": [] if is_class else ["price"],
    }
    text = text_of(np.array([1, 3, 4, 2]), "not good xyz", about, None)
    found = explain_baseline(arrays, about, text, np.random.default_rng(0))
    page = render_page(found)
    assert found.steps == ["(start)", "not", "good", "xyz"]
    assert found.is_known == [True, True, True, False]
    if name == "majority":
        assert "It reads nothing of the input" in page and found.ngrams == []
        return
    assert {ngram.ngram for ngram in found.ngrams} == {"not", "good", "not good"}
    total = sum(found.attribution) + found.baseline_score
    assert total == pytest.approx(found.score)
    assert found.deletion[0] is None and found.deletion[3] == pytest.approx(0.0)
    assert "n-gram contributions" in page
