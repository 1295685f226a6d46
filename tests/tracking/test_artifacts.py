"""A store's artifacts: found where its folder was moved to, and missed where not."""

from __future__ import annotations

import shutil
from contextlib import chdir, closing
from pathlib import Path

import pytest
from commands import run
from conftest import TINY_SUITE
from mlflow import MlflowClient
from results_builder import make_predictions

from lstm_bench.errors import PublishError
from lstm_bench.publish.publish import publish
from lstm_bench.search.study import StudyStore
from lstm_bench.suites.schema import config_from
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.tracking.artifacts import find_moves, record_moves
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import History, TrialResult

HISTORY = [{"epoch": 1, "train_loss": 0.7, "val_accuracy": 0.5, "epoch_time_s": 2.0}]


def store_in(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


def suite_in(folder: Path) -> Suite:
    return load_suite(folder / "tiny.yaml")


def add_training(tracker, suite, units, session_id) -> str:
    prepared = prepare(suite, None)
    config = config_from(suite.defaults.model_dump(), {"units": units}, "")
    run = tracker.start_run(
        *(config, prepared),
        **dict(kind="trial", parent_run_id=session_id, engine="", trial=units),
    )
    sample = {"index": 0, "text": "a film", "y_true": 1, "y_proba": [0.25, 0.75]}
    result = TrialResult(
        config,
        History(HISTORY, 1),
        units / 10,
        {"objective": units / 10, "train_time_s": 2.0, "total_time_s": 3.0},
        tuple(make_predictions(30).values()),
        [sample],
        ("neg", "pos"),
    )
    run.finish_training(result, "accuracy")
    assert tracker.catch_up()
    return run.run_id


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Write a study of three trainings that were scored on test, and its report."""
    folder = tmp_path_factory.mktemp("built") / "study"
    folder.mkdir()
    with chdir(folder):
        Path("tiny.yaml").write_text(TINY_SUITE)
        tracker, suite = Tracker(store_in(folder)), suite_in(folder)
        session = tracker.start_session("sweep", prepare(suite, None), {})
        for units in (2, 3, 4):
            add_training(tracker, suite, units, session.run_id)
        session.end("FINISHED")
        tracker.close()
        assert run("report", "tiny.yaml") == 0
    return folder


@pytest.fixture
def study(built, tmp_path, monkeypatch):
    """Return where the study was moved to, which was written elsewhere."""
    there = tmp_path / "further" / "there"
    shutil.copytree(built, there)
    monkeypatch.chdir(there)
    # MLflow sets it where a model is logged.
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    away = built.rename(built.with_name("away"))
    yield there
    away.rename(built)


def report_in(folder: Path) -> dict[str, bytes]:
    reports = folder / "reports" / "tiny"
    return {
        file.relative_to(reports).as_posix(): file.read_bytes()
        for file in reports.rglob("*")
        if file.is_file()
    }


def test_a_folder_that_was_moved_gives_the_same_report(study):
    before, store = report_in(study), (study / "mlflow.db").read_bytes()
    shutil.rmtree(study / "reports")
    assert run("report", "tiny.yaml") == 0
    assert report_in(study) == before
    results = load_results(store_in(study), suite_in(study))
    assert results.missing == ""
    assert len(results.samples) == 3
    assert (study / "mlflow.db").read_bytes() == store


def test_what_is_written_after_a_move_lies_in_the_new_place(study, built):
    uri = store_in(study)
    moves = find_moves(uri)
    assert {m.old: m.new for m in moves} == {
        built / "mlruns" / name: study / "mlruns" / name for name in ("lstm-bench", "0")
    }
    record_moves(uri, moves)
    assert find_moves(uri) == []
    with closing(Tracker(uri)) as tracker:
        run_id = add_training(tracker, suite_in(study), 3, None)
    assert (study / "mlruns" / "lstm-bench" / run_id / "artifacts").is_dir()
    assert not built.exists()
    # MLflow itself finds what was written before, too.
    client = MlflowClient(uri)
    for found in client.search_runs(["1"]):
        assert str(found.info.artifact_uri).startswith(study.as_uri())
        assert client.list_artifacts(found.info.run_id)


def test_a_copy_is_read_and_written_by_itself(study, tmp_path):
    before, copy = report_in(study), tmp_path / "copy"
    record_moves(store_in(study), find_moves(store_in(study)))
    shutil.copytree(study, copy)
    assert {m.old.parents[1] for m in find_moves(store_in(copy))} == {study}
    record_moves(store_in(copy), find_moves(store_in(copy)))
    files = set((study / "mlruns").rglob("*"))
    with closing(Tracker(store_in(copy))) as tracker:
        add_training(tracker, suite_in(copy), 3, None)
    assert set((study / "mlruns").rglob("*")) == files
    # What befalls the copy is nothing to the original.
    shutil.rmtree(copy)
    assert run("report", "tiny.yaml") == 0
    assert report_in(study) == before


def test_another_name_of_the_same_folder_is_no_move(study, tmp_path):
    record_moves(store_in(study), find_moves(store_in(study)))
    link = tmp_path / "link"
    link.symlink_to(study)
    assert find_moves(store_in(link)) == []


def test_a_servers_store_is_opened_as_no_database():
    uri = "http://127.0.0.1:9"
    assert find_moves(uri) == []
    record_moves(uri, find_moves(uri))


def test_artifacts_that_are_elsewhere_on_purpose_stay_there(tmp_path):
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere" / "mlruns" / "mine"
    (place / "mlruns" / "mine").mkdir(parents=True)
    client = MlflowClient(store_in(place))
    experiment = client.create_experiment("mine", elsewhere.as_uri())
    run_id = client.create_run(experiment).info.run_id
    client.log_text(run_id, "text", "note.txt")
    assert find_moves(store_in(place)) == []
    assert (elsewhere / run_id / "artifacts" / "note.txt").is_file()


def artifacts(study: Path, i: int) -> Path:
    results = load_results(store_in(study), suite_in(study))
    return study / "mlruns" / "lstm-bench" / results.runs["run_id"][i] / "artifacts"


@pytest.mark.parametrize("name", ["curves.json", "samples.json", "predictions"])
def test_a_whole_report_is_not_replaced_by_a_poorer_one(study, capsys, name):
    before, folder = report_in(study), artifacts(study, 1)
    (folder / name).rename(study / "away")
    assert run("report", "tiny.yaml") == 2
    said = capsys.readouterr().err
    assert "1 of 3 finished trainings and baselines lack files" in said
    assert name in said
    assert str(folder) in said
    assert "--out DIR" in said
    assert report_in(study) == before
    (study / "away").rename(folder / name)
    assert run("report", "tiny.yaml") == 0
    assert report_in(study) == before


def test_a_report_without_lost_files_says_so_and_ends_with_an_error(study, capsys):
    shutil.rmtree(study / "mlruns")
    out = study / "poorer"
    assert run("report", "tiny.yaml", "--out", str(out)) == 2
    assert "3 of 3 finished trainings" in capsys.readouterr().err
    text = (out / "report.md").read_text()
    assert "EVIDENCE IS MISSING" in text
    assert "Trained on an unknown number of examples, validated on an unknown" in text
    assert "on an unknown number of validation examples" in text
    # A number of its own, and not one of files: each training was scored on test.
    assert "scored 3 times in this tracking store" in text


def test_a_suite_that_is_lost_is_looked_for_in_a_place_that_is_named(
    study, built, capsys
):
    study_name = suite_in(study).study_name
    shutil.rmtree(study / "mlruns")
    (study / "tiny.yaml").unlink()
    assert run("report", study_name) == 2
    said = capsys.readouterr().err
    assert "lacks its suite.yaml" in said
    assert f"{built / 'mlruns'}" in said
    assert f"beside the store, in {study}" in said


def test_runs_that_are_deleted_in_mlflow_are_not_missed(study):
    folder = artifacts(study, 1)
    shutil.rmtree(folder)
    assert run("report", "tiny.yaml") == 2
    MlflowClient(store_in(study)).delete_run(folder.parent.name)
    assert run("report", "tiny.yaml") == 0


def test_the_last_commands_lost_files_are_taken_from_one_before(study):
    uri, suite = store_in(study), suite_in(study)
    record_moves(uri, find_moves(uri))
    later = Tracker(uri).start_session("sweep", prepare(suite, None), {}).run_id
    whole = load_results(uri, suite)
    shutil.rmtree(study / "mlruns" / "lstm-bench" / later)
    results = load_results(uri, suite)
    assert results.dataset == whole.dataset != {}
    assert results.missing == ""


def test_what_lost_its_evidence_is_neither_compared_nor_published(
    study, capsys, tmp_path
):
    shutil.rmtree(artifacts(study, 1))
    assert run("compare", "tiny.yaml", "tiny.yaml:trial 2") == 2
    assert "no verdict: 1 of 3 finished" in capsys.readouterr().err
    results = load_results(store_in(study), suite_in(study))
    with pytest.raises(PublishError, match="nothing is published: 1 of 3"):
        publish([results], tmp_path / "out", allow_synthetic=True)


@pytest.mark.slow
def test_a_training_in_a_moved_folder_stays_in_it(study, built, capsys):
    assert run("train", "tiny.yaml", "--set", "units=2") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"its artifacts are in {study}/mlruns/lstm-bench, no longer in" in said
    assert not built.exists()


def test_doctor_finds_a_move_and_records_it(study, capsys):
    StudyStore(suite_in(study), f"sqlite:///{study}/optuna.db")
    run("doctor", "tiny.yaml")
    said = capsys.readouterr().out
    assert "the store was moved or copied" in said
    assert "lacks" not in said
    run("doctor", "tiny.yaml", "--fix")
    assert "moved or copied" not in capsys.readouterr().out
    assert find_moves(store_in(study)) == []
