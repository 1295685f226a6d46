"""The learning rate of each step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from test_training import TINY

from lstm_bench.seeding import derive_rng
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.schedule import SCHEDULES, learning_rates


def rates(n_steps: int, **options) -> list[float]:
    config = TrialConfig(learning_rate=2.0, **options)
    return learning_rates(config, n_steps).tolist()


def test_each_schedule_has_its_course():
    assert rates(4) == [2, 2, 2, 2]
    assert rates(4, schedule="linear") == [2, 1.5, 1, 0.5]
    root = np.sqrt(0.5)
    cosine = [2, 1 + root, 1, 1 - root]
    assert rates(4, schedule="cosine") == pytest.approx(cosine)


def test_one_cycle_rises_for_three_tenths_from_a_25th_and_falls_to_nearly_0():
    found = rates(100, schedule="one_cycle")
    assert found[0] == pytest.approx(2 / 25)
    assert found[15] == pytest.approx((2 / 25 + 2) / 2)
    assert int(np.argmax(found)) == 30 and found[30] == pytest.approx(2)
    assert found[65] == pytest.approx(1, rel=1e-4)
    assert found[99] == pytest.approx(2 / 250_000 + 1 - np.cos(np.pi / 70), rel=1e-4)
    assert (np.diff(found[:31]) > 0).all() and (np.diff(found[30:]) < 0).all()


def test_warmup_rises_from_0_to_the_first_rate_of_its_schedule():
    assert rates(8, warmup=0.5) == [0, 0.5, 1, 1.5, 2, 2, 2, 2]
    linear = rates(8, warmup=0.5, schedule="linear")
    assert linear == [0, 0.5, 1, 1.5, 2, 1.5, 1, 0.5]
    cycle = rates(8, warmup=0.5, schedule="one_cycle")
    assert cycle[:4] == pytest.approx([0, 0.02, 0.04, 0.06])
    assert cycle[4:] == pytest.approx(rates(4, schedule="one_cycle"))


def test_every_schedule_of_a_suite_has_a_course():
    names = TrialConfig.model_json_schema()["properties"]["schedule"]["enum"]
    assert set(SCHEDULES) == set(names)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["stock", "packed"])
def test_a_training_and_a_refit_have_the_rate_of_each_step(dataset, splits, engine):
    from lstm_bench.metrics import METRICS
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.training.loop import Encoded, Steps, fit, fit_epochs

    if engine == "packed":
        pytest.importorskip("numba")
    config = TrialConfig(**TINY, learning_rate=0.02, schedule="linear", warmup=0.25)
    train = Encoded.of(splits.train, config, 2)
    val = Encoded.of(splits.val, config, 2)
    n_steps = 2 * -(-len(train.y) // 16)
    weights = []
    for refit in (False, True):
        keras.utils.set_random_seed(1)
        steps = Steps(build_model(config, 2), config, engine)
        used, embeddings = [], [steps.model.get_weights()[0]]

        def note(steps=steps, used=used, embeddings=embeddings):
            used.append(float(steps.model.optimizer.learning_rate))
            embeddings.append(steps.model.get_weights()[0])

        rng = derive_rng(0, "order")
        if refit:
            # Its own epochs count, not those of the configuration.
            steps.config = config.model_copy(update={"max_epochs": 5})
            fit_epochs(steps, train, 2, rng=rng, on_step=note)
        else:
            fit(steps, train, val, metric=METRICS["accuracy"], rng=rng, on_step=note)
        assert used == pytest.approx(learning_rates(config, n_steps))
        moves = [np.abs(b - a).max() for a, b in itertools.pairwise(embeddings)]
        # The first rate is 0, and Adam's steps are about as long as the rate.
        assert moves[0] == 0.0
        longest = int(np.argmax(moves))
        assert moves[-1] < 0.2 * moves[longest] and longest in range(2, n_steps // 2)
        weights.append(steps.model.get_weights())
    for one, again in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, again)
