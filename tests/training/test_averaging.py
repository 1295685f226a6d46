"""Moving averages of the weights are what is validated, kept and saved."""

from __future__ import annotations

import numpy as np
import pytest
from test_training import TINY, run

from lstm_bench.metrics import METRICS
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.config import TrialConfig

pytestmark = pytest.mark.slow

CONFIG = TrialConfig(
    **TINY, weight_averaging=0.6, weight_decay=0.1, learning_rate=0.02, head="softmax"
)


def averages(weights: list[list[np.ndarray]], momentum: float) -> list[np.ndarray]:
    """Return the averages after steps, given the weights before and after each."""
    found = [each.astype(np.float64) for each in weights[0]]
    for step, after in enumerate(weights[1:]):
        m = min(momentum, (1 + step) / (10 + step))
        found = [m * a + (1 - m) * w for a, w in zip(found, after, strict=True)]
    return found


@pytest.mark.parametrize("engine", ["stock", "packed"])
def test_the_averages_are_validated_and_kept_and_the_trained_weights_go_on(
    dataset, splits, engine
):
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.training.loop import Encoded, Steps, fit, fit_epochs

    if engine == "packed":
        pytest.importorskip("numba")
    train = Encoded.of(splits.train, CONFIG, 2)
    val = Encoded.of(splits.val, CONFIG, 2)
    kept, plain = [], []
    for averaging, refit in ((None, False), (0.6, False), (0.6, True)):
        config = CONFIG.model_copy(update={"weight_averaging": averaging})
        keras.utils.set_random_seed(1)
        model = build_model(config, 2)
        steps = Steps(model, config, engine)
        trained = [model.get_weights()]
        options = {
            "rng": derive_rng(0, "order"),
            "on_step": lambda model=model, to=trained: to.append(model.get_weights()),
        }
        if refit:
            fit_epochs(steps, train, 2, **options)
        else:
            history, proba = fit(
                steps, train, val, metric=METRICS["accuracy"], **options
            )
            np.testing.assert_array_equal(steps.predict(val)[1], proba)
            # Each epoch's score is of its own averages; the first epoch's:
            n_steps = (len(trained) - 1) // 2
            model_of_epoch = build_model(config, 2)
            first = trained[: n_steps + 1]
            model_of_epoch.set_weights(averages(first, averaging or 0.0))
            loss, _ = Steps(model_of_epoch, config, engine).predict(val)
            assert history.epochs[0]["val_loss"] == pytest.approx(loss, rel=1e-5)
        kept.append(model.get_weights())
        plain.append(trained)
    # Averaging changes no step.
    for one, *others in zip(*(trained[-1] for trained in plain), strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)
    wanted = averages(plain[0], 0.6)
    for last, found, refitted, expected in zip(*kept, wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(refitted, found)
        assert np.abs(last - found).max() > 1e-3


def test_the_averages_of_the_best_epoch_are_restored(dataset, splits):
    from lstm_bench.training.loop import Encoded, Steps

    changes = {"max_epochs": 8, "patience": 2, "learning_rate": 0.2}
    config = CONFIG.model_copy(update=changes)
    result, model = run(dataset, splits, config, score_test=True)
    assert result.history.best_epoch < len(result.history.epochs)
    for part, prediction in zip(
        (splits.val, splits.test), result.predictions, strict=True
    ):
        _, proba = Steps(model, config).predict(Encoded.of(part, config, 2))
        np.testing.assert_allclose(prediction.y_proba, proba, atol=1e-6)
    best = result.history.at(result.history.best_epoch)
    assert result.metrics["val_loss"] == best["val_loss"]
