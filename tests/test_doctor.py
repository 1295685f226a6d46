"""What the doctor finds in two stores, on real ones and without training."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from commands import run
from mlflow import MlflowClient
from results_builder import make_predictions

from lstm_bench import doctor
from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import OWNER, RUN_ID
from lstm_bench.system.process import this_process
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import OBJECTIVE, History, TrialResult


def gone():
    host, pid, created = this_process()
    return [host, pid, created - 1000]


class Study:
    """A study of trials that are made up, in real stores."""

    def __init__(self, suite, folder):
        self.suite = suite
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.storage = f"sqlite:///{folder}/optuna.db"
        self.tracker = Tracker(self.uri)
        self.prepared = prepare(suite, None)
        self.store = StudyStore(suite, self.storage)
        self.store.check_digest(self.prepared.dataset.digest)
        about = (self.prepared.about_data, self.prepared.about_machine)
        self.session = self.tracker.start_session("sweep", suite, *about, {})

    def begin(self):
        step = self.store.next_trial()
        run_id = self.tracker.start_run(
            step.config,
            suite=self.suite,
            kind="trial",
            parent_run_id=self.session,
            dataset=self.prepared.about_data,
            environment=self.prepared.about_machine,
            seeds=self.prepared.seeds,
            trial=step.trial.number,
        )
        step.trial.set_user_attr(RUN_ID, run_id)
        return step, run_id

    def finish(self, step, run_id, tell=True):
        entry = {"epoch": 1, "val_accuracy": 0.5, "epoch_time_s": 1.0}
        result = TrialResult(
            step.config,
            History([entry], 1),
            0.5,
            {OBJECTIVE: 0.5},
            (make_predictions(30)["val"],),
            [],
            ("neg", "pos"),
        )
        self.tracker.finish_run(run_id, result, {"accuracy.png": b"a picture"})
        if tell:
            step.owned.tell(step.trial, "complete", 0.5)

    def kill(self, step, run_id):
        step.trial.set_user_attr(OWNER, gone())
        self.tracker.client.set_tag(run_id, rec.TAG_OWNER, json.dumps(gone()))

    def texts(self):
        found = doctor.examine_study(self.store, self.tracker)
        return [finding.text for finding in found]


@pytest.fixture
def study(tiny_suite, tmp_path):
    return Study(tiny_suite, tmp_path)


def test_examine_study_finds_nothing_in_a_whole_study(study):
    study.finish(*study.begin())
    assert study.texts() == []
    digest = study.prepared.dataset.digest
    assert doctor.examine_data(study.store, study.tracker, digest) == []


def test_store_facts_have_addresses_and_versions(study):
    facts = dict(doctor.store_facts(study.store, study.tracker))
    optuna_says = facts["Optuna's store"]
    assert optuna_says.startswith(study.storage) and "version v" in optuna_says
    with contextlib.closing(
        sqlite3.connect(study.tracker.tracking_uri.removeprefix("sqlite:///"))
    ) as connection:
        (version,) = connection.execute("SELECT version_num FROM alembic_version")
    assert f"version {version[0]} of MLflow's tables" in facts["MLflow's store"]


def test_repair_closes_what_a_killed_process_left(study):
    study.kill(*study.begin())
    first, second = doctor.examine_study(study.store, study.tracker)
    assert "RUNNING, but its process is gone" in first.text
    assert "trial 0 is running in Optuna" in second.text
    assert first.is_repairable and second.is_repairable
    assert doctor.repair(study.store, study.tracker) == 2
    assert study.texts() == []
    # Its values are tried again.
    assert len(study.store.finished()) == 0
    assert study.store.next_trial() is not None


def test_repair_counts_a_run_that_had_ended(study):
    step, run_id = study.begin()
    study.finish(step, run_id, tell=False)
    study.kill(step, run_id)
    assert len(study.texts()) == 1
    doctor.repair(study.store, study.tracker)
    assert study.texts() == []
    assert len(study.store.finished()) == 1


@pytest.mark.parametrize("value", [None, float("inf"), float("nan")])
def test_repair_requeues_a_run_whose_state_or_score_was_changed(study, value):
    step, run_id = study.begin()
    study.finish(step, run_id, tell=False)
    study.kill(step, run_id)
    client = study.tracker.client
    if value is None:
        client.delete_tag(run_id, rec.TAG_STATE)
    else:
        client.log_metric(run_id, OBJECTIVE, value, step=9)
    assert doctor.repair(study.store, study.tracker) == 1
    assert study.store.finished() == [] and study.store.orphans() == []
    assert client.get_run(run_id).data.tags[rec.TAG_STATE] == "interrupted"
    assert study.store.next_trial().config == step.config


def test_examine_study_knows_a_run_begun_without_its_server(study):
    for local, tell in (("local-1", True), ("local-2", False)):
        step, run_id = study.begin()
        study.finish(step, run_id, tell=False)
        study.tracker.client.set_tag(run_id, rec.TAG_JOURNAL, local)
        step.trial.set_user_attr(RUN_ID, local)
        if tell:
            step.owned.tell(step.trial, "complete", 0.5)
        else:
            study.kill(step, run_id)
    (text,) = study.texts()
    assert "trial 1 is running in Optuna" in text
    assert doctor.repair(study.store, study.tracker) == 1
    assert study.texts() == []
    assert len(study.store.finished()) == 2


def test_examine_study_finds_a_trial_without_its_run(study):
    step, run_id = study.begin()
    study.finish(step, run_id)
    study.tracker.client.delete_run(run_id)
    (text,) = study.texts()
    assert (
        f"1 finished trials have no run in this tracking store (the first: {run_id}"
        in (text)
    )


def test_examine_study_finds_a_run_unknown_to_optuna(study, tmp_path):
    study.finish(*study.begin())
    study.store = StudyStore(study.suite, f"sqlite:///{tmp_path}/other.db")
    (text,) = study.texts()
    assert text.startswith("1 complete runs are unknown to Optuna")


def test_examine_study_finds_a_run_without_its_files(study):
    step, run_id = study.begin()
    study.finish(step, run_id)
    uri = MlflowClient(study.uri).get_run(run_id).info.artifact_uri
    shutil.rmtree(Path(uri.removeprefix("file://")) / rec.PREDICTIONS)
    (text,) = study.texts()
    assert f"lacks {rec.PREDICTIONS}" in text


def test_examine_data_finds_other_data(study):
    (finding,) = doctor.examine_data(study.store, study.tracker, "f" * 64)
    assert study.prepared.dataset.digest[:12] in finding.text


def test_examine_system_finds_a_full_disk(monkeypatch, tmp_path):
    assert doctor.examine_system(tmp_path) == []
    monkeypatch.setattr(doctor, "ENOUGH_DISK_GIB", 1e9)
    (finding,) = doctor.examine_system(tmp_path)
    assert "make room" in finding.text


def test_doctor_lists_problems_and_repairs_them(study, tmp_path, monkeypatch, capfd):
    study.kill(*study.begin())
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
