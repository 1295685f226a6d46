"""Baselines that read n-grams: the same as scikit-learn's on text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lstm_bench.data.dataset import Sequences, from_lists
from lstm_bench.inference import count_ngrams, ngrams_of
from lstm_bench.metrics import accuracy
from lstm_bench.training.baselines import fit_nb_lr, fit_tfidf_lr
from lstm_bench.training.baselines.ngrams import NB_C, TFIDF_C, count, log_count_ratio

GOOD, BAD, FILM, ODD = 4, 5, 6, 7
TEXTS = ("good film", "good good film", "bad film", "bad")
IDS = {"good": GOOD, "bad": BAD, "film": FILM}


def from_texts(texts: Sequence[str], y: Sequence[int]) -> Sequences:
    return from_lists([[1, *(IDS[w] for w in text.split())] for text in texts], y)


def random_texts(n_classes: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Return texts of single letters, some of which are likelier in a class."""
    rng = np.random.default_rng(seed)
    y = np.arange(120) % n_classes
    p = rng.dirichlet(np.full(20, 0.5), n_classes)
    letters = [rng.choice(20, rng.integers(1, 12), p=p[label]) for label in y]
    return ["".join(chr(97 + i) for i in text) for text in letters], y


def ids_of_letters(texts: Sequence[str], y: np.ndarray) -> Sequences:
    return from_lists([[1, *(ord(c) - 93 for c in text)] for text in texts], y)


def of_sklearn(models: list[Any], features: list[Any]) -> np.ndarray:
    """Return what one logistic regression per class gives, scaled to sum to 1."""
    proba = [m.predict_proba(x)[:, 1] for m, x in zip(models, features, strict=True)]
    if len(proba) == 1:
        return np.column_stack([1 - proba[0], proba[0]])
    return np.stack(proba, 1) / np.sum(proba, 0)[:, None]


def test_ngrams_are_words_and_pairs_without_the_start() -> None:
    most = 2**31 - 1
    found, rows = ngrams_of(
        [
            np.array(ids, np.int32)
            for ids in ([1, GOOD, FILM], [1, GOOD], [1], [most, most])
        ]
    )
    by_sequence = [sorted(found[rows == i].tolist()) for i in range(4)]
    assert by_sequence == [
        [GOOD, FILM, GOOD * 2**31 + FILM],
        [GOOD],
        [],
        [most, most, most * 2**31 + most],
    ]
    for part in ngrams_of([]):
        assert part.tolist() == []


def test_ngrams_that_train_lacks_are_not_counted() -> None:
    known = np.array([GOOD, FILM, GOOD * 2**31 + FILM])
    texts = ([GOOD, GOOD, FILM], [ODD, BAD], [BAD, FILM])
    parts = count_ngrams([np.array([1, *ids], np.int32) for ids in texts], known)
    rows, columns, counts = (part.tolist() for part in parts)
    assert rows == [0, 0, 0, 2]
    assert columns == [0, 1, 2, 1]
    assert counts == [2, 1, 1, 1]
    for part in count_ngrams([np.array([1, GOOD], np.int32)], np.zeros(0, np.int64)):
        assert part.tolist() == []


def test_ngrams_are_counted_as_scikit_learn_counts_them_in_text() -> None:
    ngrams, counts = count(from_texts(TEXTS, [1, 1, 0, 0]))
    on_text = CountVectorizer(ngram_range=(1, 2)).fit_transform(TEXTS)
    # bad, film, good, bad film, good film, good good: in another order.
    columns = sorted(map(tuple, counts.toarray().T.tolist()))
    assert columns == sorted(map(tuple, on_text.toarray().T.tolist()))
    assert counts.shape == (4, 6)
    assert counts.has_sorted_indices
    assert (np.diff(ngrams) > 0).all()


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_tfidf_lr_is_scikit_learns_on_text(n_classes: int) -> None:
    texts, y = random_texts(n_classes, seed=1)
    new, new_y = random_texts(n_classes, seed=2)
    vectorizer = TfidfVectorizer(
        analyzer=lambda t: [*t, *map("".join, pairwise(t))],
        sublinear_tf=True,
        lowercase=False,
    )
    # In the order of our numbers, on which LIBLINEAR's last digits depend: words first.
    vectorizer.fit(texts)
    order = np.lexsort((vectorizer.get_feature_names_out(), lengths_of(vectorizer)))
    x, on_new = (vectorizer.transform(t)[:, order] for t in (texts, new))
    models = [
        LogisticRegression(C=TFIDF_C, solver="liblinear", max_iter=1000).fit(x, y == k)
        for k in (range(n_classes) if n_classes > 2 else [1])
    ]
    predictor = fit_tfidf_lr(ids_of_letters(texts, y), n_classes)
    np.testing.assert_allclose(
        predictor.predict_proba(ids_of_letters(new, new_y)),
        of_sklearn(models, [on_new] * len(models)),
        atol=1e-9,
    )


def lengths_of(vectorizer: Any) -> list[int]:
    return [len(name) for name in vectorizer.get_feature_names_out()]


@pytest.mark.parametrize("n_classes", [2, 4])
def test_nb_lr_is_scikit_learns_on_scaled_counts(n_classes: int) -> None:
    texts, y = random_texts(n_classes, seed=3)
    train = ids_of_letters(texts, y)
    ngrams, x = count(train)
    x.data[:] = 1
    new = ids_of_letters(*random_texts(n_classes, seed=4))
    rows, columns, _ = count_ngrams([new[i] for i in range(len(new))], ngrams)
    on_new = csr_matrix((np.ones(len(rows)), (rows, columns)), (len(new), len(ngrams)))
    models, features = [], []
    for k in range(n_classes) if n_classes > 2 else [1]:
        ratio = log_count_ratio(x, y == k)
        model = LogisticRegression(C=NB_C, solver="liblinear", max_iter=1000)
        models.append(model.fit(x.multiply(ratio).tocsr(), y == k))
        features.append(on_new.multiply(ratio).tocsr())
    np.testing.assert_allclose(
        fit_nb_lr(train, n_classes).predict_proba(new),
        of_sklearn(models, features),
        atol=1e-9,
    )


@pytest.mark.parametrize("fit", [fit_tfidf_lr, fit_nb_lr])
def test_blocks_of_texts_do_not_change_what_is_fitted(
    fit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = from_texts(TEXTS, [1, 1, 0, 0])
    whole = fit(reviews, 2)
    monkeypatch.setattr("lstm_bench.inference.N_TOGETHER", 3)
    parts = fit(reviews, 2)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(parts.arrays()[name], array)
    np.testing.assert_allclose(
        parts.predict_proba(reviews), whole.predict_proba(reviews), rtol=1e-12
    )


def test_a_text_without_a_known_ngram_gets_the_intercepts() -> None:
    predictor = fit_tfidf_lr(from_texts((*TEXTS, "good"), [1, 1, 0, 0, 1]), 2)
    odd = from_lists([[1, ODD, ODD], [1]], [0, 0])
    y_proba = predictor.predict_proba(odd)
    expected = 1 / (1 + np.exp(-predictor.arrays()["intercepts"][0]))
    np.testing.assert_allclose(y_proba[:, 1], [expected] * 2)


# Naive Bayes


def test_log_count_ratios_are_those_computed_by_hand() -> None:
    reviews = from_texts(TEXTS, [1, 1, 0, 0])
    ngrams, x = count(reviews)
    x.data[:] = 1
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
    assert set(ngrams.tolist()) == set(expected)
    for ngram, value in expected.items():
        assert ratio[ngrams.tolist().index(ngram)] == pytest.approx(value)


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
