"""Deletion, faithfulness, turns and n-grams on cases whose answer is known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from lstm_bench.explaining.attribution import (
    deletion,
    faithfulness,
    log_odds,
    rank_correlation,
    turn,
)
from lstm_bench.explaining.ngrams import contributions
from lstm_bench.inference import baseline_proba

WEIGHTS = np.array([0.0, 0.0, 0.0, 2.0, -1.0, 0.5, 0.25])


def score(sequences):
    """Return the sum of the tokens' weights."""
    return np.array([WEIGHTS[np.asarray(s, int)].sum() for s in sequences])


def test_log_odds_are_of_a_class_against_all_others():
    proba = np.array([[0.2, 0.3, 0.5]])
    assert log_odds(proba, 1)[0] == pytest.approx(np.log(0.3 / 0.7))


def test_turn_is_the_last_change_to_the_final_class():
    p = np.array([0.6, 0.4, 0.7, 0.3, 0.2])
    assert turn(np.column_stack([p, 1 - p])) == 3
    assert turn(np.column_stack([p[:1], 1 - p[:1]])) is None


def test_deletion_is_what_a_sum_loses():
    sequence = np.array([1, 3, 4, 5])
    found = deletion(score, partial(np.delete, sequence), np.array([1, 2, 3]))
    assert found.tolist() == [2.0, -1.0, 0.5]


def test_faithfulness_deletes_the_highest_first_and_the_same_number_at_random():
    sequence = np.array([1, 3, 4, 5, 6, 6])
    places = np.arange(1, 6)
    values = WEIGHTS[sequence[places]]
    without = partial(np.delete, sequence)
    found = faithfulness(score, without, places, values, np.random.default_rng(0))
    assert found.k == [1, 2]
    # 2 of 2 - 1 + 0.5 + 0.25 + 0.25 goes first, then 0.5.
    assert found.top == [0.0, -0.5]
    assert found.random_low[0] >= 0.0 and found.random_high[0] <= 3.0
    assert found.top[1] < found.random_mean[1]


def test_rank_correlation_is_not_defined_for_equal_values():
    assert rank_correlation([1, 2, 3], [10, 20, 40]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 2, 3], [5, 5, 5]) is None
    assert rank_correlation([1, 2], [1, 2]) is None


PAIR = (3 << 31) | 4


def test_contributions_of_ngrams_add_up_to_a_number():
    arrays = {
        "ngrams": np.array([3, 4, PAIR]),
        "coefficients": np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]]),
        "intercepts": np.array([10.0, 20.0]),
        "idf": np.array([1.0, 2.0, 3.0]),
    }
    sequence = np.array([1, 3, 4, 3, 5])
    numbers = baseline_proba("tfidf_ridge", arrays, [sequence], 2)[0]
    for target in (0, 1):
        found = contributions("tfidf_ridge", arrays, sequence, target)
        total = found.by_step.sum() + found.intercept
        assert total == pytest.approx(numbers[target])


@pytest.mark.parametrize("name", ["tfidf_lr", "nb_lr"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_contributions_of_ngrams_add_up_to_the_score(name, n_classes):
    n_models = 1 if n_classes == 2 else 3
    arrays = {
        "ngrams": np.array([3, 4, PAIR]),
        "classes": np.arange(n_classes),
        "coefficients": np.arange(3.0 * n_models).reshape(n_models, 3) - 1.0,
        "intercepts": np.linspace(0.5, -0.5, n_models),
        "idf": np.array([1.0, 2.0, 3.0]),
    }
    sequence = np.array([1, 3, 4, 3, 5])
    for target in range(n_classes):
        found = contributions(name, arrays, sequence, target)
        assert found.ngrams.tolist() == [3, 4, PAIR]
        assert found.counts.tolist() == [2, 1, 1]
        total = found.values.sum() + found.intercept
        assert found.by_step.sum() == pytest.approx(found.values.sum())
        # The start and a word that the baseline does not know have no part.
        assert found.by_step[[0, 4]].tolist() == [0.0, 0.0]
        # The second occurrence of 3 is in no pair that is known.
        unigram = found.values[0] / 2
        assert found.by_step[3] == pytest.approx(unigram)
        assert found.by_step[1] == pytest.approx(unigram + found.values[2] / 2)
        if n_classes == 2:
            proba = baseline_proba(name, arrays, [sequence], 2)
            assert total == pytest.approx(log_odds(proba, target)[0])
