"""Rows by their number, and Adam's step from the sums of each number's rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba")

from conftest import TEST_PATHS

from lstm_bench.packed.grouped import AdamState, Groups, step_adam
from lstm_bench.packed.team import Team


@given(numbers=st.lists(st.integers(0, 12), max_size=80))
def test_rows_of_one_number_stand_together_in_their_order(numbers):
    index = np.array(numbers, np.int32)
    groups = Groups.of(index, 13)
    np.testing.assert_array_equal(groups.rows, np.argsort(index, kind="stable"))
    np.testing.assert_array_equal(np.diff(groups.starts), np.bincount(index, None, 13))


@given(numbers=st.lists(st.integers(0, 99), max_size=300), n_threads=st.integers(1, 5))
def test_pieces_cover_every_number_once(numbers, n_threads):
    groups = Groups.of(np.array(numbers, np.int32), 100)
    pieces = groups.pieces(n_threads)
    assert [number for a, b in pieces for number in range(a, b)] == list(range(100))


def test_no_index_is_beside_its_array(tmp_path):
    """Numba looks at every index, and raises where one is out of bounds."""
    script = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *TEST_PATHS]!r}\n"
        "import test_grouped as tests\n"
        "tests.test_rows_of_one_number_stand_together_in_their_order()\n"
        "for n_threads in (1, 3):\n"
        "    tests.test_adam_takes_the_sum_and_the_sum_of_squares(n_threads)\n"
        "from lstm_bench.packed import grouped\n"
        "print(grouped.numba.config.BOUNDSCHECK)\n"
    )
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **checked},
    )
    assert done.stdout.strip() == "1", done.stderr[-2000:]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_adam_takes_the_sum_and_the_sum_of_squares(n_threads):
    rng = np.random.default_rng(0)
    old = AdamState(
        *(np.abs(rng.normal(size=(6, 5))).astype(np.float32) for _ in range(3))
    )
    new = AdamState(*(np.full((6, 5), np.nan, np.float32) for _ in range(3)))
    index = np.array([4, 1, 4, 4, 0], np.int32)
    gradient = rng.normal(size=(5, 5)).astype(np.float32)
    total, squares = np.zeros((6, 5)), np.zeros((6, 5))
    np.add.at(total, index, gradient.astype(np.float64))
    np.add.at(squares, index, gradient.astype(np.float64) ** 2)
    step_adam(
        gradient,
        Groups.of(index, 6),
        old,
        new,
        Team(lambda: n_threads),
        alpha=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
    )
    m = 0.9 * old.m + 0.1 * total
    v = 0.999 * old.v + 0.001 * squares
    value = old.value - 0.01 * m / (np.sqrt(v) + 1e-7)
    for got, wanted in ((new.m, m), (new.v, v), (new.value, value)):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def make_updates(name: str, **options):
    """Return a model twice with what updates it: Keras's own, and the packed one."""
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.packed.network import PackedForward
    from lstm_bench.suites.config import TrialConfig

    config = TrialConfig(units=3, embedding_dim=5, vocabulary_size=11)
    pairs = []
    for is_packed in (False, True):
        keras.utils.set_random_seed(0)
        model = build_model(config, 2)
        optimizer = keras.optimizers.get({"class_name": name, "config": options})
        optimizer.build(model.trainable_variables)
        packed = PackedForward(model, config, lambda: 2)
        pairs.append(
            (
                model,
                optimizer,
                packed.update_of(optimizer) if is_packed else optimizer.apply,
            )
        )
    return pairs


@pytest.mark.parametrize(
    ("name", "options", "is_own"),
    [
        ("adam", {"learning_rate": 0.01}, True),
        ("adam", {"learning_rate": 0.01, "clipnorm": 0.1}, False),
        ("adam", {"learning_rate": 0.01, "global_clipnorm": 0.1}, False),
        ("adam", {"learning_rate": 0.01, "amsgrad": True}, False),
        ("adam", {"learning_rate": 0.01, "weight_decay": 0.1}, False),
        ("adamw", {"learning_rate": 0.01}, False),
        ("rmsprop", {"learning_rate": 0.01}, False),
    ],
    ids=str,
)
def test_an_update_is_that_of_keras_whatever_the_optimizer(name, options, is_own):
    from lstm_bench.models.backend import tf

    (stock, stock_optimizer, stock_update), (packed, optimizer, update) = make_updates(
        name, **options
    )
    assert (update != optimizer.apply) is is_own
    rng = np.random.default_rng(1)

    def make_step(update, variables):
        @tf.function(reduce_retracing=True)
        def step(values, indices, others):
            slices = tf.IndexedSlices(values, indices, tf.constant([11, 5]))
            update([slices, *others], variables)

        return step

    steps = [
        make_step(stock_update, stock.trainable_variables),
        make_step(update, packed.trainable_variables),
    ]
    for n in (7, 0, 3):
        indices = tf.constant(rng.integers(0, 11, n), tf.int32)
        values = tf.constant(rng.normal(size=(n, 5)), tf.float32)
        others = [
            tf.constant(rng.normal(size=variable.shape), tf.float32)
            for variable in stock.trainable_variables[1:]
        ]
        for step in steps:
            step(values, indices, others)
    assert int(optimizer.iterations) == 3
    for got, wanted in zip(
        [*packed.variables, *optimizer.variables],
        [*stock.variables, *stock_optimizer.variables],
        strict=True,
    ):
        np.testing.assert_allclose(
            np.asarray(got), np.asarray(wanted), rtol=2e-6, atol=1e-8
        )
