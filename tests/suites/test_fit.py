"""Suites against their data: refused before anything is fitted or trained."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from commands import run
from conftest import TINY_SUITE

from lstm_bench.data import registry
from lstm_bench.data.dataset import Sequences
from lstm_bench.errors import SuiteError
from lstm_bench.suites.suite import load_suite
from lstm_bench.training.prepare import prepare

MODULE = """
import numpy as np
from pydantic import BaseModel
from lstm_bench.data.dataset import Dataset, Sequences, Sizes
DESCRIPTION = "Made up."
class Options(BaseModel):
    n_rare: int = 30
    n_test: int = 30
    extra: object = None
def part(counts):
    y = np.repeat(np.arange(3), counts)
    tokens = np.arange(4, 4 + 5 * len(y), dtype=np.int32)
    return Sequences(tokens, np.arange(0, 5 * len(y) + 1, 5), y)
def load(options, data_dir, seed):
    train = part([30, 30, options.n_rare])
    test = part([30, 30, options.n_test])
    return Dataset("three", DESCRIPTION, train, test, ("a", "b", "c"), (), "d", "here")
"""
SIZES = "def sizes(options): return Sizes(n_classes=3)\n"


@pytest.fixture(params=["with sizes", "without"])
def three_classes(request, tmp_path, monkeypatch):
    """A data set of three classes; return whether that is known without reading it."""
    is_known = request.param == "with sizes"
    (tmp_path / "three.py").write_text(MODULE + (SIZES if is_known else ""))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry.DATASETS, "three", "three")
    yield is_known
    sys.modules.pop("three", None)


THREE = TINY_SUITE.replace(
    "{name: synthetic, options: {n_train: 240, n_test: 60}}", "three"
)
SOFTMAX = THREE.replace("head: [sigmoid, softmax]", "head: [softmax]")
WRONG = {
    "space.head": THREE,
    "defaults.head": THREE.replace("head: [sigmoid, softmax]", ""),
    "references.old": SOFTMAX + "references: {old: {units: 9}}",
    "confirm.pairs.head": SOFTMAX + "confirm: {pairs: {head: [softmax, sigmoid]}}",
}


@pytest.mark.parametrize("place", WRONG)
@pytest.mark.parametrize("command", ["suites check", "sweep", "confirm"])
def test_a_head_that_no_training_could_have_is_refused_at_once(
    place, command, three_classes, write_suite, tmp_path, monkeypatch, capfd
):
    text = WRONG[place]
    if command == "confirm" and "confirm:" not in text:
        text += "\nconfirm: {n_best: 1}"
    write_suite(text=text)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    code = run(*command.split(), "tiny.yaml")
    said = capfd.readouterr()
    if command == "suites check" and not three_classes:
        assert code == 0
        return
    assert code == 2
    assert (
        f"tiny.yaml: {place}: head: sigmoid separates two classes, the dat" in said.err
    )
    assert "use head: softmax" in said.err
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "__pycache__"}


def test_a_head_that_is_set_for_one_training_is_refused_at_once(
    three_classes, write_suite, tmp_path, monkeypatch, capfd
):
    write_suite(text=SOFTMAX)
    monkeypatch.chdir(tmp_path)
    assert run("suites", "check", "tiny.yaml") == 0
    assert run("train", "tiny.yaml", "--set", "head=sigmoid") == 2
    assert "sigmoid separates two classes, the dataset has 3" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "part"),
    [("n_rare: 0", "to train on"), ("n_rare: 1", "to"), ("n_test: 0", "to test on")],
)
def test_a_class_that_a_part_lacks_is_named(options, part, three_classes, write_suite):
    text = SOFTMAX.replace("three", f"{{name: three, options: {{{options}}}}}")
    with pytest.raises(SuiteError, match=f"each class {part}.*got none of 'c'"):
        prepare(load_suite(write_suite(text=text)), None)


def test_the_splits_of_a_confirmation_are_tried_before_the_search(
    three_classes, write_suite
):
    # Six of the rare class: on some seeds none of them validates.
    text = SOFTMAX.replace(
        "three", "{name: three, options: {n_rare: 6}, validation_fraction: 0.1}"
    )
    suite = load_suite(write_suite(text=text))
    lacking = []
    for replicate in range(30):
        try:
            prepare(suite, None).at(replicate)
        except SuiteError:
            lacking.append(replicate)
    assert lacking and lacking[0] > 0
    prepare(suite, None, n_replicates=lacking[0] - 1)
    with pytest.raises(SuiteError, match="got none of 'c'"):
        prepare(suite, None, n_replicates=lacking[0])


@pytest.mark.parametrize("value", [".nan", "[1, .inf]", "2001-01-01", "!!set {a}"])
def test_options_that_no_study_name_can_hold_are_refused(
    value, three_classes, write_suite
):
    text = SOFTMAX.replace("three", f"{{name: three, options: {{extra: {value}}}}}")
    with pytest.raises(SuiteError, match=r"dataset\.options: expected finite numbers"):
        load_suite(write_suite(text=text))


@pytest.mark.parametrize(
    ("n", "fraction", "more", "fits"),
    [
        (200, 0.002, "", False),
        (200, 0.0076, "", True),
        (200, 0.2, ", max_train_samples: 4", False),
        (200, 0.4, ", max_train_samples: 4", True),
        (200, 0.002, ", validation: test", True),
    ],
)
def test_check_sizes_wants_one_example_of_each_class(
    n, fraction, more, fits, write_suite
):
    dataset = (
        f"{{name: synthetic, options: {{n_train: {n}, n_test: 60}}, "
        f"validation_fraction: {fraction}{more}}}"
    )
    old = "{name: synthetic, options: {n_train: 240, n_test: 60}}"
    file = write_suite({old: dataset})
    if not fits:
        with pytest.raises(SuiteError, match="at least one example of each of 2"):
            load_suite(file)
        return
    splits = prepare(load_suite(file), None).splits
    for part in (splits.train, splits.val):
        assert isinstance(part, Sequences) and set(np.unique(part.y)) == {0, 1}
