from __future__ import annotations

import gc

import numpy as np
import psutil
import pytest
from conftest import ROOT

from lstm_bench.data.dataset import Sequences
from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import make_splits
from lstm_bench.errors import TrialFailed
from lstm_bench.metrics import METRICS, metrics_of
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import load_suite

pytestmark = pytest.mark.slow

SMALL = {"units": 5, "embedding_dim": 4, "vocabulary_size": 100, "sequence_length": 24}
TINY = {**SMALL, "max_epochs": 2, "patience": None, "batch_size": 16}


def run(dataset, splits, config, **options):
    from lstm_bench.training.trial import free_memory, run_trial

    free_memory()
    return run_trial(
        config,
        dataset,
        splits,
        metric=METRICS["accuracy"],
        root_seed=options.pop("root_seed", 3),
        **options,
    )


def ragged(n: int, longest: int) -> Sequences:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, longest + 1, size=n)
    tokens = rng.integers(3, 90, size=int(lengths.sum())).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sequences(tokens, offsets, rng.integers(0, 2, size=n))


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("layers", [{}, {"num_layers": 2, "bidirectional": True}])
def test_masked_outputs_agree_with_and_without_trimming(pooling, padding, head, layers):
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.training.loop import Encoded, Steps

    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    config = TrialConfig(**SMALL, pooling=pooling, padding=padding, head=head, **layers)
    model = build_model(config, 2)
    data = Encoded.of(ragged(40, 20), config, 2)
    assert data.lengths.max() < config.sequence_length
    _, trimmed = Steps(model, config).predict(data)
    from lstm_bench.models.heads import HEADS

    whole = HEADS[head].to_proba(np.asarray(model(data.x, training=False)))
    np.testing.assert_allclose(trimmed, whole, atol=1e-5)
    assert np.ptp(whole[:, 1]) > 1e-3


def test_one_step_gives_the_same_weights_with_and_without_trimming():
    from lstm_bench.models.backend import keras
    from lstm_bench.models.build import build_model
    from lstm_bench.training.loop import Encoded, Steps

    after = []
    for trim in (True, False):
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        config = TrialConfig(**SMALL, batch_size=40)
        model = build_model(config, 2)
        data = Encoded.of(ragged(40, 12), config, 2)
        steps = Steps(model, config)
        if trim:
            steps.train_epoch(data, np.random.default_rng(0))
        else:
            steps.train_step(data.x, data.targets)
        after.append(model.get_weights())
    for trimmed, whole in zip(*after, strict=True):
        np.testing.assert_allclose(trimmed, whole, atol=1e-5)


def test_equal_seeds_give_equal_metrics_and_other_seeds_do_not(dataset, splits):
    config = TrialConfig(**TINY, dropout=0.2, recurrent_dropout=0.2)
    first, again, other = (
        run(dataset, splits, config, root_seed=seed)[0] for seed in (3, 3, 4)
    )
    timed = ("epoch_time_s", "eval_time_s", "samples_per_s")

    def untimed(result):
        return [
            {k: v for k, v in entry.items() if k not in timed}
            for entry in result.history.epochs
        ]

    assert untimed(first) == untimed(again)
    assert untimed(first) != untimed(other)


def test_the_heads_own_loss_equals_the_log_loss_of_its_probabilities(dataset, splits):
    for head in ("sigmoid", "softmax"):
        result, _ = run(dataset, splits, TrialConfig(**TINY, head=head))
        for entry in result.history.epochs:
            assert entry["val_loss"] == pytest.approx(entry["val_log_loss"], abs=1e-5)


def test_early_stopping_restores_the_best_epoch(dataset, splits):
    config = TrialConfig(
        **{**TINY, "max_epochs": 12, "patience": 2, "learning_rate": 0.05}
    )
    result, model = run(dataset, splits, config)
    values = [entry["val_accuracy"] for entry in result.history.epochs]
    assert result.history.best_epoch == int(np.argmax(values)) + 1
    assert result.objective == max(values)
    assert len(values) in (12, result.history.best_epoch + 2)
    # The model itself, not only the record, is the best epoch's.
    from lstm_bench.training.loop import Encoded, Steps

    _, proba = Steps(model, config).predict(Encoded.of(splits.val, config, 2))
    np.testing.assert_allclose(result.predictions[0].y_proba, proba, atol=1e-6)
    assert (proba.argmax(1) == splits.val.y).mean() == max(values)


def test_without_patience_the_last_epoch_is_kept(dataset, splits):
    result, _ = run(dataset, splits, TrialConfig(**TINY))
    assert result.objective == result.history.epochs[-1]["val_accuracy"]
    assert result.metrics["kept_epoch"] == 2


@pytest.mark.parametrize("patience", [1, None])
def test_every_score_of_a_training_is_of_the_kept_weights(dataset, splits, patience):
    changes = {"max_epochs": 8, "learning_rate": 0.2, "dropout": 0.3}
    config = TrialConfig(**{**TINY, **changes, "patience": patience})
    result, model = run(dataset, splits, config, score_test=True, root_seed=1)
    history, metrics = result.history, result.metrics
    kept = history.best_epoch if patience else 8
    assert metrics["kept_epoch"] == kept
    # Else the last epoch's would pass as well, and the best one's.
    assert len(history.epochs) > kept if patience else history.best_epoch < 8
    assert metrics["objective"] == history.at(kept)["val_accuracy"]

    from lstm_bench.training.loop import Encoded, Steps

    steps = Steps(model, config)
    shown = splits.train.take(np.arange(len(splits.val)))
    for split, part in (("train", shown), ("val", splits.val), ("test", splits.test)):
        data = Encoded.of(part, config, 2)
        loss, y_proba = steps.predict(data)
        scores = {
            n: m.fn(data.y, y_proba) for n, m in metrics_of("classification").items()
        }
        if split != "test":
            scores["loss"] = loss
        of_split = {
            key.removeprefix(f"{split}_"): value
            for key, value in metrics.items()
            if key.startswith(f"{split}_") and key != "train_time_s"
        }
        assert of_split == pytest.approx(scores, abs=1e-5)
    assert not [key for key in metrics if "best" in key]


def test_test_scores_are_written_only_when_asked_for(dataset, splits):
    config = TrialConfig(**TINY)
    without, _ = run(dataset, splits, config)
    assert not [key for key in without.metrics if key.startswith("test_")]
    assert [p.split for p in without.predictions] == ["val"]
    scored, _ = run(dataset, splits, config, score_test=True)
    assert 0 <= scored.metrics["test_accuracy"] <= 1
    assert len(scored.predictions[1].y_true) == 40


def test_a_loss_that_is_not_finite_fails_the_trial(dataset, splits):
    config = TrialConfig(
        **{**TINY, "max_epochs": 40}, optimizer="sgd", learning_rate=10.0, pooling="max"
    )
    from lstm_bench.models.build import build_model
    from lstm_bench.training.loop import Encoded, Steps

    model = build_model(config, 2)
    weights = model.get_weights()
    weights[-1] = np.full_like(weights[-1], np.nan)
    model.set_weights(weights)
    data = Encoded.of(splits.train, config, 2)
    with pytest.raises(TrialFailed, match="loss became nan in step 1"):
        Steps(model, config).train_epoch(data, derive_rng(0, "order"))
    with pytest.raises(TrialFailed, match="outputs are not finite"):
        Steps(model, config).predict(data)


def test_exhausted_memory_fails_the_trial():
    import tensorflow as tf

    from lstm_bench.training.loop import _expected_failures

    for error in (
        MemoryError("Unable to allocate 9 TiB"),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"),
    ):
        matches = pytest.raises(TrialFailed, match=r"out of memory: [UO]")
        with matches, _expected_failures():
            raise error


def test_pruning_passes_through(dataset, splits):
    def prune(entry):
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError):
        run(dataset, splits, TrialConfig(**TINY), on_epoch=prune)


def test_a_saved_model_loads_without_this_package(dataset, splits, tmp_path):
    import subprocess
    import sys

    steps = {"schedule": "cosine", "weight_decay": 0.1, "weight_averaging": 0.9}
    _, model = run(dataset, splits, TrialConfig(**TINY, **steps, pooling="max"))
    file = tmp_path / "model.keras"
    model.save(file)
    script = (
        "import sys, numpy as np, keras\n"
        f"m = keras.models.load_model({str(file)!r}, safe_mode=True)\n"
        "print(float(m(np.array([[1, 5, 6, 0]], 'int32'))[0, 0]))\n"
        "assert 'lstm_bench' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    here = float(model(np.array([[1, 5, 6, 0]], "int32"))[0, 0])
    assert float(done.stdout) == pytest.approx(here, abs=1e-6)


def test_memory_is_freed_between_trials(dataset, splits):
    from lstm_bench.training.trial import free_memory

    process, sizes = psutil.Process(), []
    for number in range(12):
        config = TrialConfig(
            **{**TINY, "max_epochs": 1, "units": 4 + number % 5},
            head=("sigmoid", "softmax")[number % 2],
        )
        run(dataset, splits, config)
        free_memory()
        gc.collect()
        sizes.append(process.memory_info().rss / 2**20)
    assert sizes[-1] - sizes[2] < 60, [round(size) for size in sizes]


def test_quicks_data_needs_the_order_of_words_and_forty_of_them():
    from lstm_bench.training.baselines import baselines_of

    suite = load_suite(ROOT / "benchmarks" / "quick.yaml")
    dataset = load_dataset(suite.dataset.name, suite.dataset.options, seed=1)
    splits = make_splits(
        dataset,
        root_seed=1,
        replicate=1,
        validation_fraction=0.2,
        max_train_samples=None,
    )
    scores = {}
    for length in (10, 40):
        changes = {"units": 16, "sequence_length": length}
        config = suite.defaults.model_copy(update=changes)
        result, _ = run(dataset, splits, config, score_test=True)
        scores[length] = result.metrics["test_accuracy"]
    for baseline in baselines_of("tokens").values():
        y_proba = baseline.fit(splits.train, 2).predict_proba(splits.test)
        scores[baseline.name] = METRICS["accuracy"].fn(splits.test.y, y_proba)
    # The ceiling is 0.95; ten words hold the one that decides in a quarter.
    assert dataset.best_possible_accuracy == 0.95
    assert scores.pop(40) > 0.9
    assert max(scores.values()) < 0.7
