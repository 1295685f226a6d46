"""A training that goes on from its checkpoint is the one that never stopped."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from test_training import run

from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import load_suite
from lstm_bench.training.checkpoint import Checkpoint, State
from lstm_bench.training.result import (
    EPOCH_TIME,
    EVAL_TIME,
    N_RESUMED,
    SAMPLES_PER_SECOND,
    TRAIN_TIME,
    History,
)

CONFIG = TrialConfig(
    units=5,
    embedding_dim=4,
    vocabulary_size=100,
    sequence_length=24,
    batch_size=16,
    max_epochs=4,
    patience=3,
    dropout=0.2,
    recurrent_dropout=0.2,
    head_dropout=0.2,
)
TIMES = (EPOCH_TIME, EVAL_TIME, SAMPLES_PER_SECOND)


def some_state(n_epochs=1):
    history = History([{"epoch": i + 1, "val_loss": 0.5} for i in range(n_epochs)], 1)
    rng = np.random.default_rng(1)
    return State(history, [rng.random(3)], dict(rng.bit_generator.state), None,
                 np.array([[0.25, 0.75]]), None, ["stock"])  # fmt: skip


def test_what_is_saved_is_what_is_loaded(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a" / "x.npz")
    assert checkpoint.load() is None
    state = some_state(2)
    checkpoint.save(state)
    found = checkpoint.load()
    assert found.history == state.history
    assert found.rng == state.rng
    assert found.best_weights is found.best_proba is None
    np.testing.assert_array_equal(found.variables[0], state.variables[0])
    np.testing.assert_array_equal(found.val_proba, state.val_proba)
    assert found.engines == ["stock"]
    checkpoint.discard()
    assert checkpoint.load() is None
    checkpoint.discard()


def test_save_that_is_interrupted_leaves_the_file_before(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "x.npz")
    checkpoint.save(some_state(1))

    def cut_off(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr("lstm_bench.system.files.os.fsync", cut_off)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(some_state(2))
    assert len(checkpoint.load().history.epochs) == 1


def test_trainings_have_checkpoints_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path))
    files = {
        Checkpoint.of(study, config_id, replicate).file
        for study in ("a", "b")
        for config_id in ("0", "1")
        for replicate in (0, 1)
    }
    assert len(files) == 8
    assert all(file.is_relative_to(tmp_path) for file in files)


def test_a_suite_declares_checkpoints_and_stays_the_same_study(write_suite):
    text = write_suite().read_text()
    plain = load_suite(write_suite())
    kept = load_suite(write_suite(text=text + "checkpoint: true\n"))
    assert (plain.checkpoint, kept.checkpoint) == (False, True)
    assert plain.study_name == kept.study_name


def comparable(result):
    return [
        {key: value for key, value in entry.items() if key not in TIMES}
        for entry in result.history.epochs
    ]


# What has a state of its own between two steps, or is drawn anew in every epoch.
STEPS = {
    "schedule": "one_cycle",
    "warmup": 0.3,
    "weight_decay": 0.1,
    "label_smoothing": 0.1,
    "weight_averaging": 0.9,
    "pooling": "max",
    "chop_length": 7,
    "chop_jitter": True,
}


@pytest.fixture(
    scope="module",
    params=[{}, {"patience": None}, STEPS],
    ids=["patient", "to the end", "steps"],
)
def undisturbed(request, dataset, splits):
    """A training that is not stopped, and its weights."""
    config = CONFIG.model_copy(update=request.param)
    whole, model = run(dataset, splits, config)
    return config, whole, model.get_weights()


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [1, 4])
def test_a_resumed_training_is_the_one_that_never_stopped(
    dataset, splits, tmp_path, undisturbed, stop_after
):
    config, whole, weights = undisturbed
    checkpoint = Checkpoint(tmp_path / "x.npz")

    def stop(entry):
        if entry["epoch"] == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(dataset, splits, config, checkpoint=checkpoint, on_epoch=stop)
    told = []
    resumed, model = run(
        dataset,
        splits,
        config,
        checkpoint=checkpoint,
        on_epoch=lambda entry: told.append(entry["epoch"]),
    )
    # No gap and no doubled epoch, in what is kept and in what is told.
    assert told == [entry["epoch"] for entry in whole.history.epochs]
    assert comparable(resumed) == comparable(whole)
    assert resumed.objective == whole.objective
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        resumed.predictions[0].y_proba, whole.predictions[0].y_proba
    )
    assert resumed.metrics[N_RESUMED] == stop_after
    assert resumed.metrics[TRAIN_TIME] == pytest.approx(
        sum(entry[EPOCH_TIME] for entry in resumed.history.epochs)
    )


@pytest.mark.slow
def test_a_checkpoint_is_gone_once_its_training_has_ended(
    write_suite, tmp_path, monkeypatch
):
    from runs import Recorder, sweep

    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    # Long enough that a stop does not come too late.
    text = write_suite({"max_epochs: 2": "max_epochs: 60"}).read_text()
    suite = load_suite(write_suite(text=text + "checkpoint: true\n"))

    def stop(n_epochs):
        if n_epochs == 62:  # in the second trial
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="1 of 3 trainings are finished"):
        sweep(suite, tmp_path, recorder=Recorder(stop))
    (left,) = (tmp_path / "cache").rglob("checkpoints/**/*.npz")
    assert left.parent.name == suite.study_name
    _, results = sweep(suite, tmp_path)
    assert not list((tmp_path / "cache").rglob("checkpoints/**/*.npz"))
    assert results.runs["n_epochs"].tolist() == [60.0, 60.0, 60.0]
    curves = results.curves
    own = curves[(curves["metric"] == "accuracy") & (curves["split"] == "val")]
    for _, curve in own.groupby("run_id"):
        assert curve["epoch"].tolist() == list(range(1, 61))
