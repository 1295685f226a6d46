"""N-gram evidence: what it says, from whom, and the networks that read it."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest

from lstm_bench.data.dataset import Sequences, joined
from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import folds, make_splits
from lstm_bench.errors import SuiteError
from lstm_bench.inference import batch_of, evidence_of, load
from lstm_bench.metrics import METRICS
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import suite_from_text
from lstm_bench.training.baselines.ngrams import log_count_ratio
from lstm_bench.training.evidence import MIN_GROUPS, N_FOLDS, fit_evidence
from lstm_bench.training.model_folder import Origin, write_network
from lstm_bench.training.prepare import prepare

SMALL = TrialConfig(
    units=3,
    embedding_dim=4,
    vocabulary_size=60,
    sequence_length=8,
    ngram_evidence=2,
    max_epochs=2,
    batch_size=16,
    patience=None,
)
ORIGIN = Origin("tiny", "tiny-1", "3 units", 1, "The one of 2 seeds.")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def words():
    """Few words, so that pairs of them are frequent; one pair says the class."""
    rng = np.random.default_rng(7)
    y = np.arange(150) % 2
    lists = [np.r_[1, rng.integers(4, 14, rng.integers(5, 12))] for _ in y]
    for one, label in zip(lists, y, strict=True):
        one[2:4] = (20, 21 + label) if rng.random() < 0.8 else (20, 4)
    whole = sequences(lists, y)
    return dataclasses.replace(
        load_dataset("word_order", {"n_train": 20, "n_test": 20}, seed=5),
        train=whole.take(np.arange(120)),
        test=whole.take(np.arange(120, 150)),
    )


def split(dataset):
    return make_splits(
        dataset,
        root_seed=1,
        replicate=1,
        validation_fraction=0.25,
        max_train_samples=None,
    )


def sequences(lists, y):
    offsets = np.cumsum([0, *map(len, lists)])
    values = np.concatenate(lists).astype(np.int32)
    return Sequences(values, offsets, np.array(y))


def test_each_ngram_says_what_stands_beside_it_in_the_table():
    evidence = {
        "ngrams_1": np.array([4, 5]),
        "values_1": np.array([[1.0], [2.0]], np.float32),
        # 4 then 5, and 5 then 4: the index of the first word, then the second word.
        "ngrams_2": np.array([0 << 31 | 5, 1 << 31 | 4]),
        "values_2": np.array([[10.0], [20.0]], np.float32),
        # 4, 5, 4.
        "ngrams_3": np.array([0 << 31 | 4]),
        "values_3": np.array([[300.0]], np.float32),
    }
    first, empty, last = evidence_of(
        evidence, [np.array([1, 4, 5, 4, 2, 4]), np.array([], int), np.array([5, 5])]
    )
    assert first.tolist() == [
        [0, 0, 0],
        [1, 0, 0],
        [2, 10, 0],
        [1, 20, 300],
        [0, 0, 0],
        [1, 0, 0],
    ]
    assert empty.shape == (0, 3)
    # 5 follows 5 in no table, and the sequence before it is another one.
    assert last.tolist() == [[2, 0, 0], [2, 0, 0]]


def test_the_values_are_the_weights_of_the_linear_model_on_frequent_ngrams(words):
    train = split(words).train
    found = fit_evidence(train, SMALL, 2).whole
    lists = [[w if w < 60 else 2 for w in train[i].tolist()] for i in range(len(train))]
    texts = [
        {(a,) for a in s if a > 2}
        | {(a, b) for a, b in itertools.pairwise(s) if a > 2 and b > 2}
        for s in lists
    ]
    counts = Counter(ngram for text in texts for ngram in text)
    ones = sorted(k for k, n in counts.items() if len(k) == 1 and n >= MIN_GROUPS)
    twos = sorted(k for k, n in counts.items() if len(k) == 2 and n >= MIN_GROUPS)
    assert found["ngrams_1"].tolist() == [a for (a,) in ones]
    index = {ngram: i for i, ngram in enumerate(ones)}
    assert found["ngrams_2"].tolist() == [index[a,] << 31 | b for a, b in twos]
    x = np.array([[k in text for k in [*ones, *twos]] for text in texts], float)
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    ratio = log_count_ratio(csr_matrix(x), train.y == 1)
    weights = LogisticRegression(C=1.0, solver="liblinear", max_iter=1000).fit(
        x * ratio, train.y
    )
    wanted = np.column_stack([weights.coef_[0] * ratio, ratio])
    got = np.concatenate([found["values_1"], found["values_2"]])
    # Up to the scale of each column, by n.
    for part in (slice(0, len(ones)), slice(len(ones), None)):
        scale = wanted[part] / got[part]
        assert np.allclose(scale, scale.mean(axis=0), rtol=2e-3)
        assert (scale > 0).all()


def test_what_a_sequence_reads_does_not_depend_on_its_own_class(words):
    train = split(words).train
    fold = folds(train, N_FOLDS)
    y = np.where(fold == 0, 1 - train.y, train.y)
    flipped = dataclasses.replace(train, y=y)
    before, after = (
        fit_evidence(part, SMALL, 2).of_train(part).evidence.values
        for part in (train, flipped)
    )
    own = np.repeat(fold == 0, train.lengths)
    there = before[own] != 0
    assert there.any()
    assert ((after[own] != 0) == there).all()
    # The scale is of all folds.
    for column in range(before.shape[1]):
        at = there[:, column]
        ratios = after[own][at, column] / before[own][at, column]
        assert np.allclose(ratios, ratios[0], rtol=1e-4)
    assert not np.allclose(after[~own], before[~own], rtol=0.05)


def test_folds_are_balanced_and_keep_groups_and_copies_together():
    rng = np.random.default_rng(0)
    lists = [rng.integers(4, 50, 5) for _ in range(98)]
    lists += [lists[0], lists[50]]
    groups = np.arange(100) // 4
    whole = dataclasses.replace(sequences(lists, np.arange(100) % 2), groups=groups)
    fold = folds(whole, N_FOLDS)
    assert sorted(set(fold)) == [0, 1, 2, 3, 4]
    assert np.bincount(fold).min() >= 12
    for group in range(25):
        assert len(set(fold[groups == group])) == 1
    assert fold[98] == fold[0]
    assert fold[99] == fold[50]
    assert folds(whole.take(np.arange(2)), N_FOLDS).tolist() == [0, 0]


def test_what_only_one_group_says_is_no_evidence():
    # Word 9 is in four sequences of one group, word 8 in one of each of three groups.
    lists = [[4, 9], [5, 9], [6, 9], [7, 9], [4, 8], [5, 8], [6, 8], [4, 7]] * 3
    groups = np.array([0, 0, 0, 0, 1, 2, 3, 4] * 3)
    whole = sequences([np.array(s) for s in lists], [0, 1] * 12)
    alone = fit_evidence(whole, SMALL, 2).whole["ngrams_1"]
    by_group = dataclasses.replace(whole, groups=groups)
    grouped = fit_evidence(by_group, SMALL, 2).whole["ngrams_1"]
    assert 8 in grouped
    assert 9 not in grouped
    assert 4 in grouped
    # Of copies each counts once.
    assert 9 in alone


def test_three_classes_have_a_number_each_and_a_missing_one_has_zeros():
    rng = np.random.default_rng(1)
    lists = [np.r_[1, rng.integers(4, 12, 6), 12 + i % 3] for i in range(90)]
    whole = sequences(lists, np.arange(90) % 3)
    found = fit_evidence(whole, SMALL, 3).whole
    at = found["ngrams_1"].tolist().index(13)
    weights, ratios = np.split(found["values_1"][at], 2)
    assert weights.argmax() == ratios.argmax() == 1
    missing = fit_evidence(dataclasses.replace(whole, y=whole.y // 2), SMALL, 3).whole
    assert (missing["values_1"][:, [2, 5]] == 0).all()


def test_a_second_fit_reads_the_first(words, monkeypatch):
    train = split(words).train
    first = fit_evidence(train, SMALL, 2)
    monkeypatch.setattr("lstm_bench.training.evidence._fit", None)
    again = fit_evidence(train, SMALL, 2)
    assert again.whole.keys() == first.whole.keys()
    for name, array in first.whole.items():
        assert (again.whole[name] == array).all()
    assert (again.of_train(train).evidence.values > 0).any()
    other = SMALL.model_copy(update={"vocabulary_size": 50})
    with pytest.raises(TypeError):
        fit_evidence(train, other, 2)


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post", "head_tail"])
def test_the_encoding_is_that_of_a_served_text(words, padding, truncating):
    from lstm_bench.models.encoding import encode

    config = SMALL.model_copy(
        update={"padding": padding, "truncating": truncating, "sequence_length": 4}
    )
    train, test = split(words).train, split(words).test
    fitted = fit_evidence(train, config, 2)
    x, lengths = encode(fitted.of(test), config)
    raw = [test[i] for i in range(len(test))]
    wanted = batch_of(raw, config.model_dump(), "tokens", fitted.whole)
    assert (lengths == 4).any()
    assert x.shape == wanted.shape == (len(test), 4, 5)
    assert (x[:] == wanted).all()
    rows = np.array([5, 2, 2])
    assert (x[rows] == wanted[rows]).all()
    assert (wanted[:, :, :-1] != 0).any()
    assert wanted[:, :, -1].max() < 60


@pytest.mark.slow
def test_a_network_reads_evidence_in_training_and_from_its_folder(words, tmp_path):
    from lstm_bench.explaining.network import Network
    from lstm_bench.models.backend import keras
    from lstm_bench.packed.serving import fast_forward
    from lstm_bench.training.loop import Encoded, Steps
    from lstm_bench.training.trial import refit, run_trial

    splits = split(words)
    results = [
        run_trial(
            SMALL,
            words,
            splits,
            metric=METRICS["accuracy"],
            root_seed=3,
            score_test=True,
            engine=engine,
        )
        for engine in ("packed", "stock")
    ]
    (result, model), (stock, _) = results
    val, test = (p.y_proba for p in result.predictions)
    for ours, its in zip(result.predictions, stock.predictions, strict=True):
        assert np.abs(ours.y_proba - its.y_proba).max() < 1e-4
    write_network(tmp_path / "m", model, SMALL, words, splits.train, ORIGIN)
    inputs = [words.raw(splits.test, i) for i in range(len(splits.test))]
    for forward in (None, fast_forward(print)):
        loaded = load(tmp_path / "m", forward)
        assert np.abs(loaded.predict_proba(inputs) - test).max() < 1e-5
    assert len(val) == len(splits.val)
    # Evidence moves it: without, it is another input.
    fitted = fit_evidence(splits.train, SMALL, 2)
    none = {k: np.zeros_like(v) if "val" in k else v for k, v in fitted.whole.items()}
    network = Network(model, SMALL.model_dump(), "tokens", fitted.whole)
    blind = Network(model, SMALL.model_dump(), "tokens", none)
    raw = [splits.test[i] for i in range(5)]
    assert np.abs(network.proba(raw) - test[:5]).max() < 1e-5
    assert np.abs(blind.proba(raw) - test[:5]).max() > 1e-4
    slopes = network.gradients(raw[0], 1, 20)
    assert slopes.values.shape == (min(8, len(raw[0])), 4 + 4)
    assert abs(slopes.gap) < 1e-3 * max(1.0, abs(slopes.difference))
    # On train and validation together, as a winner is trained again.
    from lstm_bench.data.preprocessing import preprocessed

    both = preprocessed(words, joined(splits.train, splits.val))
    again = refit(SMALL, words, both, root_seed=3, replicate=1)
    assert isinstance(again, keras.Model)
    x = Encoded.of(fit_evidence(both, SMALL, 2).of_train(both), SMALL, 2)
    assert Steps(again, SMALL).predict(x)[1].shape == (len(both), 2)


def test_vectors_and_numbers_have_no_evidence():
    text = (
        "description: no words\n"
        "dataset: {name: digits}\n"
        "space: {units: [2, 3]}\n"
        "defaults: {head: softmax, ngram_evidence: 1}\n"
        "study: {metric: accuracy, n_trials: 1}\n"
    )
    suite = suite_from_text("tiny", text)
    with pytest.raises(
        SuiteError, match="ngram_evidence: 0 where the data are vectors"
    ):
        prepare(suite, None)
    numbers = text.replace("{name: digits}", "{name: adding}").replace(
        "softmax", "linear"
    )
    with pytest.raises(SuiteError, match="ngram_evidence: 1 does not fit"):
        suite_from_text("tiny", numbers.replace("accuracy", "mse"))
