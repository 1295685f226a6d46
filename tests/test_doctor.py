"""What the doctor finds in two stores, on real ones and without training."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from commands import run
from results_builder import make_predictions
from trials import store_in

from lstm_bench import doctor
from lstm_bench.errors import TrackingError
from lstm_bench.search.lease import LEASE
from lstm_bench.system.process import this_process
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.tracking.writer import Writer
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import OBJECTIVE, History, TrialResult


def gone():
    host, pid, created = this_process()
    return [host, pid, created - 1000]


def result_of(config):
    return TrialResult(
        config,
        History([{"epoch": 1, "val_accuracy": 0.5, "epoch_time_s": 1.0}], 1),
        0.5,
        {OBJECTIVE: 0.5},
        (make_predictions(30)["val"],),
        [],
        ("neg", "pos"),
    )


class Study:
    """A study of trials that are made up, in real stores."""

    def __init__(self, suite, folder):
        self.suite = suite
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.tracker = Tracker(self.uri, suite.study_name)
        self.client = self.tracker.client
        self.prepared = prepare(suite, None)
        self.store = store_in(folder, suite)
        self.store.check_data(self.prepared.dataset.digest)
        self.tracker.start_session("sweep", self.prepared, {}).end("FINISHED")

    def begin(self):
        """Begin a trial; return it, and its run."""
        step = self.store.next_trial()
        run = self.tracker.start_run(
            step.config,
            self.prepared,
            kind="trial",
            engine="stock",
            trial=step.trial.number,
        )
        assert self.tracker.catch_up()
        return step, run

    def finish(self, tell=True):
        """Train a trial; return its number and the id of its run."""
        step, run = self.begin()
        run.finish_training(result_of(step.config), "accuracy")
        assert self.tracker.catch_up()
        if tell:
            self.store.tell(step.trial, "complete", 0.5, None)
        return step.trial.number, run.run_id

    def kill(self):
        """Make what is open that of a process that is gone."""
        for each in self.tracker.runs_of(self.suite.study_name):
            if each.info.status == "RUNNING":
                run_id = each.info.run_id
                self.client.set_tag(run_id, rec.TAG_OWNER, json.dumps(gone()))

    def texts(self):
        found = doctor.examine_study(self.store, self.tracker)
        return [finding.text for finding in found]


@pytest.fixture
def study(tiny_suite, tmp_path):
    study = Study(tiny_suite, tmp_path)
    yield study
    study.tracker.close()


def test_examine_study_finds_nothing_in_a_whole_study(study):
    study.finish()
    assert study.texts() == []
    digest = study.prepared.dataset.digest
    assert doctor.examine_data(study.store, study.tracker, digest) == []


def test_store_facts_have_addresses(study):
    assert doctor.store_facts(study.store, study.tracker) == [
        ("Optuna's store", study.store.url),
        ("MLflow's store", study.uri),
    ]


def test_repair_closes_what_a_killed_command_left(study):
    step, run = study.begin()
    study.kill()
    first, second = doctor.examine_study(study.store, study.tracker)
    assert "RUNNING, but its command is gone" in first.text
    assert "trial 0 is running in Optuna" in second.text
    assert first.is_repairable and second.is_repairable
    assert doctor.repair(study.store, study.tracker) == 2
    assert study.texts() == []
    closed = study.client.get_run(run.run_id)
    assert closed.info.status == "KILLED"
    assert closed.data.tags[rec.TAG_STATE] == "interrupted"
    # Its values are tried again.
    assert study.store.finished() == []
    assert study.store.next_trial().config == step.config


def test_repair_counts_a_run_that_had_ended(study):
    study.finish(tell=False)
    assert len(study.texts()) == 1
    assert doctor.repair(study.store, study.tracker) == 1
    assert study.texts() == []
    (trial,) = study.store.finished()
    assert trial.value == 0.5


@pytest.mark.parametrize("value", [None, float("inf"), float("nan")])
def test_repair_requeues_a_run_whose_state_or_score_was_changed(study, value):
    config = study.begin()[0].config
    study.kill()
    doctor.repair(study.store, study.tracker)
    _, run_id = study.finish(tell=False)
    if value is None:
        study.client.delete_tag(run_id, rec.TAG_STATE)
    else:
        study.client.log_metric(run_id, OBJECTIVE, value, step=9)
    assert doctor.repair(study.store, study.tracker) == 1
    assert study.store.finished() == [] and study.store.running() == []
    assert study.store.next_trial().config == config


def test_repair_takes_no_result_of_another_storages_trial(study, tmp_path):
    study.finish()
    tried = study.store.finished()[0].params
    (tmp_path / "other").mkdir()
    study.store = store_in(tmp_path / "other", study.suite)
    units = next(units for units in (2, 3, 4) if units != tried["units"])
    study.store.study.enqueue_trial({**tried, "units": units})
    # Of the same number; its command was killed before the run was there.
    assert study.store.next_trial().trial.number == 0
    assert doctor.repair(study.store, study.tracker) == 1
    assert study.store.finished() == []
    assert study.store.next_trial().config.units == units


def test_repair_writes_a_run_that_waits(study, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "send", lambda writer, parcel: None)
        _, run_id = study.finish()
        study.tracker.close()
    (waiting,) = doctor.examine_outbox(study.tracker)
    assert waiting.text.startswith("waiting: 1 run") and waiting.is_repairable
    # One that waits is open, and not lost.
    (text,) = study.texts()
    assert f"run {run_id} " in text and "RUNNING" in text
    assert doctor.repair(study.store, study.tracker) == 1
    assert doctor.examine_outbox(study.tracker) == [] and study.texts() == []
    assert study.client.get_run(run_id).data.metrics[OBJECTIVE] == 0.5


def test_repair_is_refused_while_a_command_works_on_the_study(study):
    study.begin()
    created = this_process()[2]
    about = {"owner": ["another host", 1, created], "host": "there", "command": "sweep"}
    about |= {"began": time.time(), "renewed": time.time()}
    study.store.study.set_user_attr(LEASE, about)
    assert study.texts() == []
    with pytest.raises(TrackingError, match="another command works on it: sweep on th"):
        doctor.repair(study.store, study.tracker)
    # It has not shown for long that it lives.
    study.store.study.set_user_attr(LEASE, {**about, "renewed": time.time() - 1000})
    assert len(study.texts()) == 2
    assert doctor.repair(study.store, study.tracker) == 2
    assert study.texts() == []


def test_examine_study_leaves_a_run_of_an_unknown_process_to_the_user(study):
    _, run = study.begin()
    study.kill()
    for value, message in (
        ("x", "cannot be read: expected a process"),
        (None, "is not known"),
    ):
        if value is None:
            study.client.delete_tag(run.run_id, rec.TAG_OWNER)
        else:
            study.client.set_tag(run.run_id, rec.TAG_OWNER, value)
        first, _ = doctor.examine_study(study.store, study.tracker)
        assert message in first.text and not first.is_repairable


def test_examine_study_finds_a_trial_without_its_run(study):
    number, run_id = study.finish()
    study.client.delete_run(run_id)
    (text,) = study.texts()
    assert (
        "1 finished trials have no run in this tracking store (the first: trial "
        f"{number})"
    ) in text


def test_examine_study_finds_a_run_unknown_to_optuna(study, tmp_path):
    study.finish()
    (tmp_path / "other").mkdir()
    study.store = store_in(tmp_path / "other", study.suite)
    (text,) = study.texts()
    assert text.startswith("1 complete runs are unknown to Optuna")


def test_examine_study_finds_a_run_without_its_files(study):
    _, run_id = study.finish()
    uri = study.client.get_run(run_id).info.artifact_uri
    shutil.rmtree(Path(uri.removeprefix("file://")) / rec.PREDICTIONS)
    (text,) = study.texts()
    assert f"{run_id}, " in text and f"{rec.PREDICTIONS}/val.parquet" in text
    assert "1 of 1 finished trainings and baselines lack files" in text


def test_examine_data_finds_other_data(study):
    (finding,) = doctor.examine_data(study.store, study.tracker, "f" * 64)
    assert study.prepared.dataset.digest[:12] in finding.text


def test_examine_system_finds_a_full_disk(monkeypatch, tmp_path):
    assert doctor.examine_system(tmp_path) == []
    monkeypatch.setattr(doctor, "ENOUGH_DISK_GIB", 1e9)
    (finding,) = doctor.examine_system(tmp_path)
    assert "make room" in finding.text


def test_doctor_lists_problems_and_repairs_them(study, tmp_path, monkeypatch, capfd):
    study.begin()
    study.kill()
    (tmp_path / "tiny.yaml").write_text(study.suite.text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run("doctor", "tiny.yaml") == 1
    assert capfd.readouterr().out.count("--fix repairs it") == 2
    assert run("doctor", "tiny.yaml", "--fix") == 0
    repaired = capfd.readouterr().out
    assert "repaired: 2" in repaired
    assert "no problem was found" in repaired
    assert run("doctor", "tiny.yaml", "--storage", "sqlite:///nowhere.db") == 2
    assert "--storage: expected a store, got no file" in capfd.readouterr().err
    assert not (tmp_path / "nowhere.db").exists()
    assert run("doctor") == 0
    assert "processor: " in capfd.readouterr().out
