"""A tiny network taken apart: scores, running probability, integrated gradients."""

from __future__ import annotations

import functools
import json
import re

import numpy as np
import pytest

from lstm_bench.explaining.explanation import (
    Ahead,
    Text,
    explain_network,
    rank_units,
    text_of,
)
from lstm_bench.explaining.gates import Trace
from lstm_bench.explaining.network import Network
from lstm_bench.explaining.page import coloured_words, render_page
from lstm_bench.inference import batch_of, proba_of, scaled_windows
from lstm_bench.models.backend import keras_seed
from lstm_bench.models.build import build_model
from lstm_bench.suites.config import TrialConfig

WORDS = ["not", "a", "good", "film", "at", "all"]
SEQUENCE = np.array([1, 3, 4, 5, 6, 7, 8], np.int32)
TINY = {"embedding_dim": 5, "units": 4, "vocabulary_size": 10, "sequence_length": 12}
ABOUT = {
    "suite": "tiny",
    "study": "tiny-1",
    "name": "small",
    "replicate": 2,
    "run_id": "1" * 32,
    "why": "small, seed 2: for a test.",
    "model": "lstm",
    "kind": "tokens",
    "tokenizer": "words",
    "channels": [],
    "task": "classification",
    "class_names": ["bad", "good"],
    "output_names": [],
}


@functools.cache
def tiny(n_classes: int = 2, n_channels: int | None = None, **values) -> Network:
    """Return an untrained network whose weights are large enough to matter."""
    config = TrialConfig(**TINY | values)
    with keras_seed(5):
        model = build_model(config, n_classes, n_channels)
    rng = np.random.default_rng(9)
    model.set_weights([rng.normal(0, 0.7, w.shape) for w in model.get_weights()])
    kind = "tokens" if n_channels is None else "vectors"
    return Network(model, config.model_dump(), kind)


def text(**values) -> Text:
    """Return the text as a network of that configuration reads it."""
    config = TrialConfig(**TINY | values).model_dump()
    return text_of(SEQUENCE, " ".join(WORDS), ABOUT, config)


def of_keras(network: Network, sequence) -> np.ndarray:
    """Return Keras's own probabilities."""
    x = batch_of([sequence], network.config, network.kind)
    return proba_of(network.model(x, training=False).numpy(), network.config["head"])[0]


SHAPES = [
    {"cell": "gru", "padding": "pre", "pooling": "max"},
    {"cell": "simple_rnn", "num_layers": 2, "pooling": "mean"},
    {"masking": False, "padding": "post", "head": "softmax"},
    {
        "bidirectional": True,
        "embedding_dropout": 0.4,
        "masking": False,
        "padding": "pre",
        "pooling": "attention",
    },
    {"bidirectional": True},
    {"pooling": "mean_max", "chop_length": 3},
    {"pooling": "mean", "chop_length": 5, "bidirectional": True, "num_layers": 2},
]


@pytest.mark.parametrize("values", SHAPES, ids=str)
def test_an_explanation_is_of_what_the_model_computes(values):
    network, given = tiny(**values), text(**values)
    found = explain_network(network, ABOUT, given, np.random.default_rng(0))
    proba = of_keras(network, SEQUENCE)
    assert found.proba == pytest.approx(proba, abs=1e-5)
    # After the last step, the running probability is the prediction.
    assert found.running[-1] == pytest.approx(proba, abs=1e-5)
    n_steps = len(SEQUENCE) if network.config["masking"] else 12
    by_step = (found.steps, found.running, found.attribution, found.deletion)
    assert {len(each) for each in by_step} == {n_steps}
    assert [found.steps[i] for i in found.words] == WORDS
    # The log-odds without a word are those of the model that does not read it.
    odds = np.log(proba[found.target]) - np.log(1 - proba[found.target])
    for place, at in zip(given.places, found.words, strict=True):
        without = of_keras(network, np.delete(SEQUENCE, place))[found.target]
        fall = odds - (np.log(without) - np.log(1 - without))
        assert found.deletion[at] == pytest.approx(fall, abs=1e-4)
    # Padding is the baseline: it contributes nothing.
    padding = [i for i, step in enumerate(found.steps) if step == "(padding)"]
    assert [found.attribution[i] for i in padding] == pytest.approx([0] * len(padding))
    # A maximum has kinks, at which quadrature is less exact.
    has_kinks = "max" in values.get("pooling", "")
    assert abs(found.gap) < (0.02 if has_kinks else 1e-3)
    assert found.running_from == ("states" if network.runs_on else "prefixes")
    if network.config["masking"] and network.runs_on:
        # What follows from the states is the answer to each prefix.
        prefixes = [of_keras(network, SEQUENCE[: n + 1]) for n in range(n_steps)]
        assert np.abs(np.array(found.running) - prefixes).max() < 1e-5
    # A simple RNN has no gate that keeps its state.
    (first, *_), has_gate = found.layers, found.cell != "simple_rnn"
    assert found.cell == network.config["cell"]
    assert (first.half_lives is not None) == has_gate
    assert (found.units[0].half_life is not None) == has_gate
    assert ("figure-half-lives" in render_page(found)) == has_gate


def test_of_a_long_text_the_part_that_is_read_is_explained():
    config = TrialConfig(**TINY | {"sequence_length": 4}).model_dump()
    for cut_at, words in (
        ("pre", WORDS[2:]),
        ("post", ["(start)", *WORDS[:3]]),
        ("head_tail", ["(start)", WORDS[0], *WORDS[-2:]]),
    ):
        given = text_of(
            SEQUENCE, " ".join(WORDS), ABOUT, config | {"truncating": cut_at}
        )
        assert (given.names, given.n_cut) == (words, 3)
        (read,) = batch_of([SEQUENCE], config | {"truncating": cut_at}, "tokens")
        assert given.sequence.tolist() == read.tolist()


def test_a_text_without_its_middle_is_explained_as_it_is_read():
    network = tiny(truncating="head_tail", sequence_length=5)
    given = text_of(SEQUENCE, " ".join(WORDS), ABOUT, network.config)
    found = explain_network(network, ABOUT, given, np.random.default_rng(0))
    assert found.steps == ["(start)", "not", *WORDS[-3:]]
    assert found.proba == pytest.approx(of_keras(network, SEQUENCE), abs=1e-5)
    assert "2 steps from the middle, after the first 2: the" in render_page(found)
    series = [[float(i)] for i in range(7)]
    values = np.array(series, np.float32)
    read = text_of(values, series, ABOUT | {"kind": "vectors"}, network.config)
    assert read.names == [f"step {n}" for n in (1, 2, 5, 6, 7)]
    assert read.values == [[0.0], [1.0], [4.0], [5.0], [6.0]]


def test_gradients_converge_to_the_difference_of_the_scores():
    network = tiny(bidirectional=True)
    gaps = [
        abs(network.gradients(SEQUENCE, target=0, n_points=n).gap) for n in (1, 4, 32)
    ]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[0] > 0.01 > 100 * gaps[2]


def test_the_classes_of_a_softmax_have_log_odds_of_their_own():
    network = tiny(n_classes=3, n_channels=2, head="softmax", padding="pre")
    series = np.random.default_rng(4).normal(size=(5, 2)).astype(np.float32)
    logits = network.logits(network.pooled([series]))
    proba = network.proba_of_logits(logits)[0]
    assert proba == pytest.approx(of_keras(network, series), abs=1e-5)
    for target in range(3):
        odds = np.log(proba[target] / (1 - proba[target]))
        assert network.score(logits, target)[0] == pytest.approx(odds)
        found = network.gradients(series, target, 40)
        assert found.values.sum() == pytest.approx(found.difference, abs=1e-3)


def test_units_are_ranked_by_their_part_of_the_score():
    network = tiny(bidirectional=True)
    found = explain_network(network, ABOUT, text(), np.random.default_rng(0))
    sizes = [abs(unit.contribution) for unit in found.units]
    assert sizes == sorted(sizes, reverse=True)
    sign = 1 if found.target == 1 else -1
    whole = sum(unit.contribution for unit in found.units) + sign * network.bias[0]
    assert whole == pytest.approx(found.score)
    # A case in which the second unit of the backward direction alone counts.
    state = np.arange(6.0).reshape(3, 2)
    traces = [
        Trace("lstm", 1, way, {"forget": np.full((3, 2), 0.5)}, state, state)
        for way in ("forward", "backward")
    ]
    first, *_ = rank_units(traces, np.array([0.1, 0.0, 0.0, -2.0]))
    assert (first.name, first.contribution) == ("unit 2, backward", -2.0)
    assert (first.state, first.half_life) == ([1.0, 3.0, 5.0], 1.0)


def test_a_series_is_explained_by_step_and_channel():
    network = tiny(n_channels=2, n_classes=3, head="softmax", padding="pre")
    series = np.random.default_rng(4).normal(size=(5, 2)).astype(np.float32)
    about = ABOUT | {
        "kind": "vectors",
        "tokenizer": None,
        "channels": ["x", "y"],
        "class_names": ["a", "b", "c"],
    }
    given = text_of(series, series.tolist(), about, network.config)
    found = explain_network(network, about, given, np.random.default_rng(0))
    assert np.shape(found.by_channel) == (5, 2)
    assert np.sum(found.by_channel, axis=1) == pytest.approx(found.attribution)
    assert abs(found.gap) < 1e-3
    assert found.proba == pytest.approx(of_keras(network, series), abs=1e-5)
    assert found.steps == [f"step {i}" for i in range(1, 6)]
    page = render_page(found)
    assert "Which channels" in page and "Gates and memory" in page


def test_a_number_is_explained_in_its_own_unit():
    scaling = {"mean": [500.0, 0.0], "std": [100.0, 1.0]}
    plain = tiny(n_channels=1, n_classes=2, head="linear", pooling="mean")
    network = Network(plain.model, plain.config, "vectors", None, scaling)
    series = np.random.default_rng(4).normal(size=(8, 1)).astype(np.float32)
    about = ABOUT | {
        "kind": "vectors",
        "tokenizer": None,
        "channels": ["x"],
        "task": "regression",
        "class_names": [],
        "output_names": ["price", "age"],
    }
    given = text_of(series, series.tolist(), about, network.config)
    options = {"seeds": [(about | {"replicate": 3}, network, given)]}
    found = explain_network(
        network, about, given, np.random.default_rng(0), true_value=480.0, **options
    )
    outputs = network.model(network.batch([series]), training=False).numpy()[0]
    expected = outputs * [100, 1] + [500, 0]
    assert found.proba == pytest.approx(expected, rel=1e-5)
    assert found.score == pytest.approx(expected[0], rel=1e-5)
    assert found.running[-1] == pytest.approx(expected, rel=1e-5)
    # Attributions add up to the difference from channels at their mean.
    nothing = network.proba([np.zeros_like(series)])[0][0]
    assert found.baseline_score == pytest.approx(nothing, rel=1e-4)
    total = sum(found.attribution)
    assert total == pytest.approx(found.score - nothing, rel=1e-3, abs=1e-2)
    without = network.proba([np.delete(series, 2, axis=0)])[0][0]
    assert found.deletion[2] == pytest.approx(expected[0] - without, abs=1e-2)
    # The head's weights times the pooled units, and its bias.
    units = network.pooled([series])[0] * network.weights[:, 0] * 100
    contributions = sorted(abs(unit.contribution) for unit in found.units)
    assert contributions == pytest.approx(sorted(abs(units)), rel=1e-4)
    assert found.turn is None and found.target_name == "price"
    page = render_page(found)
    assert f"The model predicts price {expected[0]:.4g}." in page.replace("−", "-")
    assert "The true value is 480." in page and "blue raises price" in page
    assert "2 seeds predict price from" in page
    for word in ("probability", "log-odds", "p(price)"):
        assert word not in page, word


@pytest.mark.parametrize("values", [{"pooling": "mean"}, {"bidirectional": True}])
@pytest.mark.parametrize("step", [None, 3])
def test_a_forecast_is_explained_in_the_unit_of_its_series(values, step):
    plain = tiny(n_channels=2, n_classes=3, head="linear", sequence_length=7, **values)
    scaling = {"mean": [0.5, 1.0, 1.5], "std": [2.0, 1.0, 0.5]}
    given = np.array([[5.0, 7, 9, 8, 6, np.nan, 7, 11, 12]]) + 400
    windows, levels = scaled_windows(given, np.array([4.0]))
    level, scale = float(levels[0]), 4.0
    network = Network(plain.model, plain.config, "vectors", None, scaling)
    network = network.ahead(level, scale)
    known = [None if np.isnan(v) else v for v in given[0].tolist()]
    times = [f"2024-01-{d:02d}" for d in range(1, 13)]
    ahead = Ahead("x", times, known, level, scale, [412.0, 413.0, 417.0])
    about = ABOUT | {
        "kind": "vectors",
        "tokenizer": None,
        "channels": ["value", "is missing"],
        "task": "forecast",
        "class_names": [],
        "output_names": ["step 1", "step 2", "step 3"],
    }
    text = text_of(windows[0], None, about, network.config, ahead)
    rng = np.random.default_rng(0)
    found = explain_network(network, about, text, rng, step=step)
    # The network reads the last seven steps.
    assert found.steps == times[2:9] and found.n_cut == 2
    assert found.values[3] == [None] and found.values[-1] == [412.0]

    def forecast(window):
        outputs = network.model(network.batch([window]), training=False).numpy()[0]
        y = (outputs * scaling["std"] + scaling["mean"]) * scale + level
        return np.append(y, y.mean())

    read, target = windows[0][2:], 3 if step is None else 2
    expected = forecast(read)
    assert found.proba == pytest.approx(expected, rel=1e-6)
    assert found.running[-1] == pytest.approx(expected, rel=1e-6)
    assert found.score == pytest.approx(expected[target], rel=1e-6)
    assert found.true_value == (414.0 if step is None else 417.0)
    # Attributions lead from a window whose every step is at the last known value.
    flat = forecast(np.zeros_like(read))[target]
    assert found.baseline_score == pytest.approx(flat, rel=1e-6)
    assert sum(found.attribution) == pytest.approx(found.score - flat, abs=1e-2)
    assert abs(found.gap) < 1e-2 and found.attribution[-1] == 0.0
    assert np.sum(found.by_channel, axis=1) == pytest.approx(found.attribution)
    # So does a deletion, and nothing moves up.
    without = read.copy()
    without[1] = 0.0
    fall = expected[target] - forecast(without)[target]
    assert found.deletion[1] == pytest.approx(fall, abs=1e-3)
    assert found.deletion[-1] == pytest.approx(0.0, abs=1e-3)
    # What the units contribute, and a constant.
    units = network.pooled([read])[0] * network.direction(target)
    nothing = network.score(network.bias[None], target)[0]
    assert units.sum() + nothing == pytest.approx(found.score, rel=1e-6)
    page = render_page(found)
    name = "the mean of 3 steps ahead" if step is None else "step 3 ahead"
    assert f"The model forecasts {expected[target]:.6g} for {name}" in page
    assert "9 values of series x, 2024-01-01 to 2024-01-09, 1 missing" in page
    assert "puts the last known value in the step&#39;s place" in page
    assert "Gates and memory" in page and f"blue raises {name}" in page
    for word in ("probability", "log-odds", "mean over train", "p("):
        assert word not in page.split("<main>")[1].split("<script")[0], word
    json.dumps(found.as_json(), allow_nan=False)


def test_the_page_loads_nothing_and_the_json_is_json():
    network = tiny(bidirectional=True)
    other = ABOUT | {"replicate": 3, "run_id": None}
    found = explain_network(
        network,
        ABOUT,
        text(),
        np.random.default_rng(0),
        seeds=[(other, network, text())],
        true_class="<b>",
        example=4,
    )
    # The same model again agrees with itself.
    assert found.agreement == [pytest.approx(1.0)]
    page = render_page(found)
    assert "default-src 'none'" in page and "@import" not in page
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert links and all(link.startswith(("#", "data:text/csv")) for link in links)
    assert "&lt;b&gt;" in page and "<b>" not in page.split("<main>")[0]
    words = coloured_words(found)
    assert [word.text for word in words.words] == ["(start)", *WORDS]
    strongest = max(words.words[1:], key=lambda word: abs(word.value))
    mark = "++" if strongest.value > 0 else "−−"
    assert f">{strongest.text}<sup>{mark}</sup></span>" in page
    data = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert data["format"] == 1
    assert data["steps"] == ["(start)", *WORDS]
    assert set(data["layers"][0]) == {"name", "kind", "means", "half_lives"}
    assert set(data["seeds"][0]) == {
        *("replicate", "run_id", "proba", "predicted", "attribution")
    }
