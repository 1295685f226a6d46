"""A served model reads as training does."""

from __future__ import annotations

import ast
import json
import sys

import numpy as np
import pytest
from conftest import ROOT

from lstm_bench import inference
from lstm_bench.data.dataset import Sequences, from_lists
from lstm_bench.inference import batch_of, ids_of, index_of, proba_of
from lstm_bench.models.encoding import encode
from lstm_bench.suites.config import TrialConfig


def test_it_needs_numpy_alone_and_for_a_network_keras():
    file = ROOT / "lstm_bench" / "inference.py"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    loader = next(n for n in tree.body if getattr(n, "name", "") == "_load_network")
    assert _imported(tree) - _imported(loader) == {"numpy"}
    assert _imported(loader) == {"keras"}


def _imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    return names - set(sys.stdlib_module_names)


def test_ids_begin_with_start_and_unknown_words_are_marked():
    index = index_of(["the", "film"])
    assert ids_of(["a", "film", "the"], index).tolist() == [1, 2, 5, 4]
    assert ids_of([], index).tolist() == [1]


def test_an_unknown_tokenizer_is_named():
    known = "words, words_and_punctuation, whitespace, characters"
    with pytest.raises(ValueError, match=f"{known}, got 'keras'"):
        inference.tokenize("a", "keras")


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post", "head_tail"])
@pytest.mark.parametrize("kind", ["tokens", "vectors"])
def test_a_batch_is_what_training_encodes(kind: str, truncating: str, padding: str):
    rng = np.random.default_rng(0)
    lengths = [3, 9, 1, 6]
    if kind == "tokens":
        lists = [rng.integers(1, 40, n).astype(np.int32) for n in lengths]
        sequences = from_lists(lists, [0, 1, 0, 1])
    else:
        lists = [rng.normal(size=(n, 2)).astype(np.float32) for n in lengths]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        sequences = Sequences(np.concatenate(lists), offsets, np.array([0, 1, 0, 1]))
    config = TrialConfig(
        sequence_length=7,
        truncating=truncating,
        padding=padding,
        vocabulary_size=30,
        masking=False,
    )
    x, _ = encode(sequences, config)
    np.testing.assert_array_equal(batch_of(lists, config.model_dump(), kind), x)
    trimmed = batch_of(
        [lists[0], lists[2]], {**config.model_dump(), "masking": True}, kind
    )
    assert trimmed.shape[1] == 3


def test_probabilities_of_both_heads():
    assert proba_of(np.array([[0.25]]), "sigmoid").tolist() == [[0.75, 0.25]]
    softmax = proba_of(np.array([[0.2, 0.2, 0.4]]), "softmax")
    np.testing.assert_allclose(softmax, [[0.25, 0.25, 0.5]])


def member(folder, vocabulary, shares):
    """Write a model folder: the shares of the classes, with these words."""
    folder.mkdir(parents=True)
    about = {
        "kind": "tokens",
        "tokenizer": "words",
        "model": "majority",
        "class_names": ["bad", "good"],
        "output_names": [],
        "vocabulary": vocabulary,
    }
    (folder / inference.ABOUT).write_text(json.dumps(about))
    np.savez(folder / inference.ARRAYS, shares=np.array(shares))


def test_an_ensemble_is_the_mean_of_models_that_each_read_the_input(tmp_path):
    members = tmp_path / inference.MEMBERS
    member(members / "0", ["film", "the"], [0.2, 0.8])
    member(members / "1", ["the", "plot"], [0.7, 0.3])
    about = json.loads((members / "0" / inference.ABOUT).read_text())
    (tmp_path / inference.ABOUT).write_text(json.dumps(about | {"n_members": 2}))
    ensemble = inference.load(tmp_path)
    # Words have an id for each member: the index of its own vocabulary.
    (read,) = ensemble.read(["the plot"])
    assert [ids.tolist() for ids in read] == [[1, 5, 2], [1, 4, 5]]
    y_proba = ensemble.predict_proba(["the plot", "a film"])
    assert y_proba == pytest.approx(np.array([[0.45, 0.55]] * 2))
    assert ensemble.columns(y_proba)["label"] == ["good", "good"]
    # Of two words the first member knows one, the second both.
    assert ensemble.unknown_share("the plot") == 0.25
    assert np.isnan(ensemble.unknown_share(""))
    assert ensemble.predict_proba([]).shape == (0, 2)


def forecaster(folder, name="seasonal_naive", **about):
    """Return a baseline that forecasts three steps from four, in seasons of two."""
    folder.mkdir()
    known = {"window": 4, "horizon": 3, "season": 2, "scales": {"": 2.0, "b": 10.0}}
    about = {
        "kind": "vectors",
        "task": "forecast",
        "model": name,
        "class_names": [],
        "output_names": ["step 1", "step 2", "step 3"],
        "vocabulary": [],
        "forecast": known,
    } | about
    (folder / inference.ABOUT).write_text(json.dumps(about))
    # The network's part: the mean of a window and half of its last-but-one value.
    coefficients = np.array([[0.25] * 4, [0, 0, 0.5, 0], [0] * 4])
    arrays = {"coefficients": coefficients, "intercepts": np.array([0.0, 0.0, 1.0])}
    np.savez(folder / inference.ARRAYS, season=2, **arrays)
    return inference.load(folder)


def test_a_forecast_is_in_the_series_own_unit(tmp_path):
    model = forecaster(tmp_path / "seasonal")
    # One season before: 3, 8, and 3 again.
    assert model.predict_proba([[9.0, 1, 2, 3, 8]]).tolist() == [[3, 8, 3]]
    # 3 is missing, so the season before it.
    assert model.predict_proba([[9.0, 1, 2, None, 8]]).tolist() == [[1, 8, 1]]
    columns = model.columns(model.predict_proba([[9.0, 1, 2, 3, 8]]))
    assert [*columns] == ["prediction_1", "prediction_2", "prediction_3"]

    linear = forecaster(tmp_path / "linear", "linear_ar")
    values = [1.0, 2, 4, 8]
    # Scaled by 2: -3.5, -3, -2, 0; of them -2.125, -1 and the intercept 1.
    (expected,) = [[8 - 2 * 2.125, 8 - 2 * 1, 8 + 2 * 1]]
    assert linear.predict_proba([values]).tolist() == [expected]
    assert linear.predict_proba([[[v] for v in values]]).tolist() == [expected]
    # Its scale is 10, in which the intercept counts.
    (named,) = linear.predict_proba([{"unique_id": "b", "values": values}])
    assert named == pytest.approx([3.75, 6, 18])
    # Of another series it is the mean of 3 and 6.
    (other,) = linear.predict_proba([{"unique_id": "c", "values": values}])
    assert other == pytest.approx([3.75, 6, 8 + 4.5])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, 2, 3], "input 1: expected 4 values at least"),
        ([None, None, None, None], "known value among the last 4"),
        ({"unique_id": "c", "values": [5.0] * 9}, "series 'c': expected values that"),
        ({"unique_id": "b", "value": [5.0] * 9}, "expected a list of numbers"),
        ([[1.0, 2.0]] * 4, "expected a list of numbers"),
        ("1, 2, 3, 4", "expected a list of numbers"),
        ([1.0, 2, 3, float("inf")], "expected a list of numbers"),
        (["a", "b", "c", "d"], "expected a list of numbers"),
        ([], "expected 4 values at least"),
    ],
)
def test_what_is_no_series_to_forecast_is_named(tmp_path, value, message):
    with pytest.raises(ValueError, match=message):
        forecaster(tmp_path / "model").predict_proba([value])
