"""A written model reads raw inputs, and gives training's probabilities."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest

from lstm_bench.data.dataset import Scaling, Sequences, Vocabulary
from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import make_splits
from lstm_bench.inference import ABOUT, load
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.baselines import baselines_of
from lstm_bench.training.model_folder import Origin, write_baseline, write_network

ORIGIN = Origin("tiny", "tiny-1", "2 units (trial 0)", 1, "The one of 2 seeds.")


def split(dataset):
    return make_splits(
        dataset,
        root_seed=1,
        replicate=1,
        validation_fraction=0.25,
        max_train_samples=None,
    )


@pytest.fixture(scope="module")
def words():
    return load_dataset("word_order", {"n_train": 80, "n_test": 20}, seed=5)


@pytest.fixture(scope="module")
def series():
    rng = np.random.default_rng(3)
    lengths = rng.integers(2, 9, 60)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = (5 + 3 * rng.normal(size=(offsets[-1], 2))).astype(np.float32)
    whole = Sequences(values, offsets, np.arange(60) % 2)
    base = load_dataset("word_order", {"n_train": 20, "n_test": 20}, seed=5)
    return dataclasses.replace(
        base,
        train=whole,
        test=whole.take(np.arange(20)),
        kind="vectors",
        tokenizer=None,
        vocabulary=(),
        channels=("x", "y"),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "data", "is_packed", "masking"),
    [
        *itertools.product(["lstm"], ["words", "series"], [True, False], [True, False]),
        *itertools.product(["gru", "simple_rnn"], ["words"], [True, False], [True]),
    ],
)
def test_written_model_gives_the_probabilities_of_training(
    cell, data, is_packed, masking, request, tmp_path
):
    from lstm_bench.models.build import build_model
    from lstm_bench.packed.serving import fast_forward
    from lstm_bench.training.loop import Encoded, Steps

    dataset = request.getfixturevalue(data)
    splits = split(dataset)
    config = TrialConfig(
        cell=cell,
        units=3,
        embedding_dim=4,
        vocabulary_size=60,
        sequence_length=12,
        masking=masking,
        padding="pre",
        head="softmax",
    )
    model = build_model(config, 2, dataset.n_channels)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    write_network(tmp_path, model, config, dataset, splits.train, ORIGIN)
    _, expected = Steps(model, config).predict(Encoded.of(splits.test, config, 2))
    loaded = load(tmp_path, fast_forward(print) if is_packed else None)
    assert loaded.about["model"] == cell
    inputs = [dataset.raw(splits.test, i) for i in range(len(splits.test))]
    got = loaded.predict_proba(inputs)
    assert got.dtype == np.float64
    assert np.abs(got - expected).max() < 1e-6
    # One alone, whatever it was computed together with.
    assert np.abs(loaded.predict_proba(inputs[7:8]) - expected[7]).max() < 1e-6
    assert loaded.predict_proba([]).shape == (0, 2)
    assert loaded.class_names == list(dataset.class_names)


@pytest.mark.parametrize("data", ["words", "series"])
def test_written_baselines_give_the_probabilities_of_the_fitted(
    data, request, tmp_path
):
    dataset = request.getfixturevalue(data)
    splits = split(dataset)
    inputs = [
        splits.test.values[slice(*splits.test.bounds(i))]
        if data == "series"
        else dataset.text(splits.test, i)
        for i in range(len(splits.test))
    ]
    for name, baseline in baselines_of(dataset.kind).items():
        fitted = baseline.fit(splits.train, dataset.n_classes)
        write_baseline(
            tmp_path / name, name, fitted.arrays(), dataset, splits.train, ORIGIN
        )
        loaded = load(tmp_path / name)
        assert loaded.about["model"] == name
        np.testing.assert_allclose(
            loaded.predict_proba(inputs), fitted.predict_proba(splits.test), atol=1e-9
        )


@pytest.fixture(scope="module")
def networks(words, series, tmp_path_factory):
    from lstm_bench.models.build import build_model

    config = TrialConfig(units=2, embedding_dim=2, vocabulary_size=60)
    folder = tmp_path_factory.mktemp("models")
    vocabulary = Vocabulary(("on", "off"), np.zeros(0, np.int32))
    scaling = Scaling(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    for name, dataset, fitted in (
        ("given", words, None),
        ("fitted", words, vocabulary),
        ("categories", dataclasses.replace(words, tokenizer="categories"), None),
        ("ids", dataclasses.replace(words, vocabulary=()), None),
        ("series", series, scaling),
    ):
        model = build_model(config, 2, dataset.n_channels)
        train = dataclasses.replace(dataset.train, fitted=fitted)
        write_network(folder / name, model, config, dataset, train, ORIGIN)
    return folder


@pytest.mark.slow
def test_about_has_what_reads_an_input(networks, words):
    about = json.loads((networks / "fitted" / ABOUT).read_text())
    assert (about["format"], about["kind"], about["model"]) == (1, "tokens", "lstm")
    assert about["vocabulary"] == ["on", "off"]
    assert about["tokenizer"] == words.tokenizer
    assert about["config"]["units"] == 2
    assert about["replicate"] == 1
    assert about["why"] == "The one of 2 seeds."
    given = json.loads((networks / "given" / ABOUT).read_text())
    # Ids from 4 to 59 have a word.
    assert given["vocabulary"] == list(words.vocabulary[:56])
    scaling = json.loads((networks / "series" / ABOUT).read_text())["scaling"]
    assert scaling == {"mean": [1.0, 2.0], "std": [2.0, 4.0]}


@pytest.mark.slow
def test_unknown_share_counts_the_words_that_the_model_lacks(networks):
    loaded = load(networks / "fitted")
    assert loaded.unknown_share("on nowhere off nothing") == 0.5
    assert np.isnan(loaded.unknown_share(" "))
    assert load(networks / "series").unknown_share([[1.0, 2.0]]) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fitted", 5, "input 2: expected a text, got 5"),
        ("fitted", None, "expected a text, got None"),
        ("categories", "on", "expected a list of categories as str, got 'on'"),
        ("categories", [1], "expected a list of categories"),
        ("categories", 5, "expected a list of categories"),
        ("ids", "on", "cannot read texts"),
        ("series", [[1.0, 2.0, 3.0]], "steps with 2 number"),
        ("series", [1.0, 2.0], "steps with 2 number"),
        ("series", [[1.0], [1.0, 2.0]], "steps with 2 number"),
        ("series", [], "steps with 2 number"),
        ("series", "on", "steps with 2 number"),
        ("series", [[1.0, float("nan")]], "finite numbers"),
    ],
)
def test_inputs_of_another_kind_are_named(networks, name, value, message):
    good = {"fitted": "on", "ids": "on", "categories": ["on"], "series": [[1.0, 2.0]]}
    with pytest.raises(ValueError, match=message):
        load(networks / name).predict_proba([good[name], value])
