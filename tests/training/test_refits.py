"""Forecasts of models that are trained again at every test origin."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import make_splits
from lstm_bench.metrics import METRICS
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.loop import Encoded, Steps
from lstm_bench.training.trial import refit, run_trial

OPTIONS = {
    "n_steps": 200,
    "n_validation_windows": 3,
    "horizon": 3,
    "season": 12,
    "window": 24,
    "n_windows": 3,
}
CONFIG = TrialConfig(
    head="linear",
    units=3,
    dropout=0.3,
    batch_size=32,
    learning_rate=0.02,
    max_epochs=3,
    patience=1,
    sequence_length=24,
)


def load(**options):
    dataset = load_dataset("seasonal", {**OPTIONS, **options}, seed=1)
    splits = make_splits(
        dataset,
        root_seed=1,
        replicate=2,
        validation_fraction=0.2,
        max_train_samples=None,
    )
    return dataset, splits


def train(dataset, splits, engine="stock", **callbacks):
    return run_trial(
        CONFIG,
        dataset,
        splits,
        metric=METRICS["mase"],
        root_seed=1,
        replicate=2,
        score_test=True,
        engine=engine,
        **callbacks,
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["stock", "packed"])
def test_each_origin_is_forecast_by_a_training_of_its_own(engine):
    dataset, splits = load(refit=True)
    epochs, origins = [], []
    result, _ = train(
        dataset,
        splits,
        engine,
        on_epoch=epochs.append,
        on_origin=lambda number, n: origins.append((number, n)),
    )
    kept = int(result.metrics["kept_epoch"])
    assert len(epochs) == len(result.history.epochs)
    assert origins == [(i, 3) for i in (1, 2, 3) for _ in range(kept + 1)]
    config = CONFIG.model_copy(update={"max_epochs": kept})
    known, of, rows = list(splits.at_origins(dataset))[-1]
    by_hand = refit(config, dataset, known, root_seed=1, replicate=2, engine=engine)
    steps = Steps(by_hand, config, engine, task="forecast")
    _, expected = steps.predict(Encoded.of(of, config, 3))
    np.testing.assert_allclose(result.predictions[1].y_pred[rows], expected, rtol=1e-5)


@pytest.mark.slow
def test_refits_change_neither_validation_nor_the_model():
    once, model = train(*load())
    again, same_model = train(*load(refit=True))
    val, test = zip(once.predictions, again.predictions, strict=True)
    np.testing.assert_array_equal(val[0].y_pred, val[1].y_pred)
    assert (test[0].y_pred != test[1].y_pred).all()
    assert once.objective == again.objective
    for one, other in zip(model.get_weights(), same_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_training_at_an_origin_can_be_stopped():
    class Stopped(Exception):
        pass

    def on_origin(number, n):
        if number == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train(*load(refit=True), on_origin=on_origin)
