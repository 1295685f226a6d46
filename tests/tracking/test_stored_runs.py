"""One thing in a study's stores is damaged; the rest is reported, and it is named."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import run
from conftest import TINY_SUITE
from results_builder import make_predictions

from lstm_bench.analysis.formatting import config_of_row
from lstm_bench.search.lease import LEASE
from lstm_bench.search.study import CONFIG_ID, DIGEST, FAILED, StudyStore
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking import stored_runs
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.queries import find_runs
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.baselines import BaselineResult
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import OBJECTIVE, TRAIN_TIME, History, TrialResult

SUITE = TINY_SUITE + "confirm: {n_best: 2, n_replicates: 2, margin: 0.05}\n"
N_TRIALS, N_SEEDS = 3, 2
HISTORY = [
    {"epoch": 1, "train_loss": 0.75, "val_accuracy": 0.5, "epoch_time_s": 2.0},
    {"epoch": 2, "train_loss": 0.25, "val_accuracy": 0.75, "epoch_time_s": 3.0},
]
# Of which seed and part of the study a test damages one.
TRIAL = "trial 1"
REPLICATE = "replicate of trial 0, seed 1"
SESSION, ROUND, BASELINE = "sweep", "confirm", "baseline of seed 1"


@dataclass
class Study:
    """A confirmed study in real stores, small and whole, to be damaged."""

    suite: Suite
    folder: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/mlflow.db"

    @property
    def storage(self) -> str:
        return f"sqlite:///{self.folder}/optuna.db"

    def run_id(self, name: str) -> str:
        return str(json.loads((self.folder / "runs.json").read_text())[name])

    def artifact(self, name: str, file: str) -> Path:
        (found,) = (self.folder / "mlruns").rglob(self.run_id(name))
        return found / "artifacts" / file

    def sql(self, statement: str, *values: object, file: str = "mlflow.db") -> None:
        with contextlib.closing(sqlite3.connect(self.folder / file)) as connection:
            with connection:
                changed = connection.execute(statement, values)
            assert changed.rowcount, statement

    def tag(self, name: str, tag: str, value: str | None) -> None:
        where = (self.run_id(name), tag)
        if value is None:
            self.sql("DELETE FROM tags WHERE run_uuid = ? AND key = ?", *where)
        else:
            self.sql(
                "UPDATE tags SET value = ? WHERE run_uuid = ? AND key = ?",
                *(value, *where),
            )

    def param(self, name: str, param: str, value: str | None) -> None:
        where = (self.run_id(name), param)
        if value is None:
            self.sql("DELETE FROM params WHERE run_uuid = ? AND key = ?", *where)
        else:
            self.sql(
                "UPDATE params SET value = ? WHERE run_uuid = ? AND key = ?",
                *(value, *where),
            )

    def info(self, name: str, column: str, value: object) -> None:
        statement = f"UPDATE runs SET {column} = ? WHERE run_uuid = ?"
        self.sql(statement, value, self.run_id(name))

    def attribute(self, number: int, key: str, value: str | None) -> None:
        """Change or remove an attribute of a trial of Optuna's search."""
        trial = (
            "(SELECT trial_id FROM trials JOIN studies USING (study_id) "
            "WHERE number = ? AND study_name = ?)"
        )
        where = f"WHERE key = ? AND trial_id = {trial}"
        values = (key, number, self.suite.study_name)
        table = "trial_user_attributes"
        if value is None:
            self.sql(f"DELETE FROM {table} {where}", *values, file="optuna.db")
        else:
            statement = f"UPDATE {table} SET value_json = ? {where}"
            self.sql(statement, value, *values, file="optuna.db")


def build(folder: Path) -> Study:
    """Write the study: three trials, two confirmed on two seeds, one baseline."""
    (folder / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    suite = load_suite(folder / "tiny.yaml")
    study = Study(suite, folder)
    tracker, store = Tracker(study.uri), StudyStore(suite, study.storage)
    prepared = prepare(suite, None)
    store.check_data(prepared.dataset.digest)
    names = prepared.dataset.class_names
    opened = {SESSION: tracker.start_session("sweep", prepared, {})}

    def train(kind, config, n_right, at, parent, **more):
        run = tracker.start_run(
            config, at, kind=kind, parent_run_id=parent.run_id, engine="", **more
        )
        for entry in HISTORY:
            run.log_epoch(entry)
        parts = make_predictions(n_right)
        taken = parts.values() if kind == "replicate" else [parts["val"]]
        sample = {"index": 0, "text": "a film", "y_true": 1, "y_proba": [0.25, 0.75]}
        scores = {
            f"{part.split}_accuracy": float(
                np.mean(part.y_proba.argmax(axis=1) == part.y_true)
            )
            for part in taken
        }
        result = TrialResult(
            config,
            History(HISTORY, 2),
            scores["val_accuracy"],
            {**scores, OBJECTIVE: scores["val_accuracy"], TRAIN_TIME: 5.0},
            tuple(taken),
            [sample],
            names,
            [sample] if kind == "replicate" else [],
        )
        run.finish_training(result, "accuracy")
        return run

    configs = []
    for number in range(N_TRIALS):
        step = store.next_trial()
        configs.append(step.config)
        opened[f"trial {number}"] = train(
            *("trial", step.config, 38 - 2 * number, prepared, opened[SESSION]),
            trial=step.trial.number,
        )
        store.tell(step.trial, "complete", 0.9, None)
    opened[SESSION].end("FINISHED")
    n_test = len(prepared.dataset.test)
    reviews = pd.DataFrame({"length": range(n_test), "in_train": [False] * n_test})
    opened[ROUND] = tracker.start_session(
        "confirm",
        prepared,
        {},
        opened[SESSION].run_id,
        lambda folder: reviews.to_parquet(folder / rec.TEST_REVIEWS),
    )
    for seed in range(1, N_SEEDS + 1):
        at = prepared.at(seed)
        parts = make_predictions(25 + seed)
        baseline = tracker.start_baseline("nb_lr", at, opened[ROUND].run_id)
        result = BaselineResult("nb_lr", (parts["val"], parts["test"]), 10, 1.5, False)
        baseline.finish_baseline(result, prepared.dataset)
        opened[f"baseline of seed {seed}"] = baseline
        for number in range(2):
            opened[f"replicate of trial {number}, seed {seed}"] = train(
                *("replicate", configs[number], 36 - 2 * number + seed, at),
                opened[ROUND],
                label=f"trial {number}",
                origin="search",
            )
    opened[ROUND].end("FINISHED")
    assert tracker.catch_up()
    ids = {name: run.run_id for name, run in opened.items()}
    tracker.close()
    store.close()
    (folder / "runs.json").write_text(json.dumps(ids), encoding="utf-8")
    return study


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Study:
    return build(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def study(whole, tmp_path, monkeypatch) -> Study:
    """Return a copy of the study, in the working folder."""
    shutil.copytree(whole.folder, tmp_path, dirs_exist_ok=True)
    copy = Study(whole.suite, tmp_path)
    moved = (str(whole.folder), str(tmp_path))
    copy.sql("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", *moved)
    statement = "UPDATE experiments SET artifact_location = "
    copy.sql(f"{statement} replace(artifact_location, ?, ?)", *moved)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return copy


def report(study: Study) -> str:
    """Return the report, made by the command, which must end well."""
    assert run("report", "tiny.yaml", "--format", "md") == 0
    return (study.folder / "reports/tiny/report.md").read_text(encoding="utf-8")


def test_a_whole_study_is_read_whole(study, capfd):
    results = load_results(study.uri, study.suite)
    assert results.left_out.empty
    assert (len(results.runs), len(results.confirmed)) == (N_TRIALS, 2 * N_SEEDS)
    assert len(results.baselines) == N_SEEDS
    assert "could not be read" not in report(study)
    assert run("doctor", "tiny.yaml") == 0
    assert "no problem was found" in capfd.readouterr().out


Damage = Callable[[Study], object]


def run_cases() -> dict[str, tuple[str, str, Damage]]:
    """Return by name: the run that is left out, a part of the reason, the damage."""
    cases: dict[str, tuple[str, str, Damage]] = {}
    for name in (TRIAL, REPLICATE, SESSION, ROUND, BASELINE):
        for tag in (rec.TAG_KIND, rec.TAG_SUITE):
            cases[f"{name} without {tag}"] = name, tag, deleted(name, tag)
        cases[f"{name} without its study"] = (
            *(name, rec.TAG_STUDY),
            deleted(name, rec.TAG_STUDY),
        )
    for name in (TRIAL, REPLICATE, BASELINE):
        tag = rec.TAG_STATE
        cases[f"{name} without {tag}"] = name, tag, deleted(name, tag)
    for tag in (rec.TAG_CONFIG_ID, rec.TAG_LABEL, rec.TAG_ORIGIN):
        cases[f"replicate without {tag}"] = REPLICATE, tag, deleted(REPLICATE, tag)
    for tag in (rec.TAG_LABEL, rec.TAG_BASELINE):
        cases[f"baseline without {tag}"] = BASELINE, tag, deleted(BASELINE, tag)
    cases["trial without its number"] = (
        TRIAL,
        rec.TAG_TRIAL,
        deleted(TRIAL, rec.TAG_TRIAL),
    )
    for tag, value in (
        (rec.TAG_TRIAL, "abc"),
        (rec.TAG_TRIAL, "-1"),
        (rec.TAG_TRIAL, "9" * 400),
        (rec.TAG_KIND, "ensemble"),
        (rec.TAG_STATE, "resting"),
        (rec.TAG_CONFIG_ID, "../../etc"),
        (rec.TAG_REPLICATE, "7"),
        (rec.TAG_REPLICATE, "1.5"),
        (rec.TAG_LABEL, "\x1b[31mred"),
        (rec.TAG_ORIGIN, "luck"),
    ):
        name = REPLICATE if tag in (rec.TAG_LABEL, rec.TAG_ORIGIN) else TRIAL
        cases[f"{tag}={value[:9]!r}"] = name, tag, tagged(name, tag, value)
    for param, value in (
        ("units", "-5"),
        ("units", "two"),
        ("units", None),
        ("head", "hinge"),
        ("dropout", "nan"),
        ("learning_rate", "inf"),
        ("seed.root", None),
        ("seed.root", "1e400"),
        ("seed.replicate", "-1"),
        ("seed.replicate", None),
    ):
        cases[f"{param}={value}"] = TRIAL, param, parameter(param, value)
    for key, value in (
        (OBJECTIVE, 1.7976931348623157e308),
        (OBJECTIVE, None),
        ("final_val_accuracy", 1.5),
        ("final_val_accuracy", -0.1),
        (TRAIN_TIME, -1.0),
    ):
        cases[f"{key}={value}"] = TRIAL, key, metric(key, value)
    cases["not a number"] = (
        TRIAL,
        OBJECTIVE,
        lambda s: s.sql(
            "UPDATE latest_metrics SET is_nan = 1 WHERE run_uuid = ? AND key = ?",
            *(s.run_id(TRIAL), OBJECTIVE),
        ),
    )
    for name in (TRIAL, SESSION):
        for column in ("start_time", "end_time"):
            for value in (-1, 10**17):
                cases[f"{name} {column}={value}"] = (
                    *(name, column),
                    lambda s, n=name, c=column, v=value: s.info(n, c, v),
                )
    return cases


def deleted(name: str, tag: str) -> Damage:
    return lambda study: study.tag(name, tag, None)


def tagged(name: str, tag: str, value: str) -> Damage:
    return lambda study: study.tag(name, tag, value)


def parameter(name: str, value: str | None) -> Damage:
    return lambda study: study.param(TRIAL, name, value)


def metric(key: str, value: float | None) -> Damage:
    def damage(study: Study) -> None:
        where = (study.run_id(TRIAL), key)
        if value is None:
            statement = "DELETE FROM latest_metrics WHERE run_uuid = ? AND key = ?"
            study.sql(statement, *where)
        else:
            study.sql(
                "UPDATE latest_metrics SET value = ? WHERE run_uuid = ? AND key = ?",
                *(value, *where),
            )

    return damage


RUN_CASES = run_cases()


@pytest.mark.parametrize("damaged", [TRIAL, REPLICATE, SESSION, ROUND, BASELINE])
def test_a_run_that_does_not_parse_is_left_out_and_named(study, damaged):
    for case, (name, reason, damage) in RUN_CASES.items():
        if name != damaged:
            continue
        with restored(study):
            damage(study)
            results = load_results(study.uri, study.suite)
        assert len(results.left_out) == 1, case
        (row,) = results.left_out.to_dict("records")
        assert (row["run_id"], row["part"]) == (study.run_id(name), "run"), case
        assert reason in row["reason"] and len(row["reason"]) < 300, case
        # Everything else is there.
        expected = [N_TRIALS, 2 * N_SEEDS, N_SEEDS, 2]
        kinds = (TRIAL, REPLICATE, BASELINE, SESSION)
        expected[kinds.index(SESSION if name == ROUND else name)] -= 1
        read = (results.runs, results.confirmed, results.baselines, results.sessions)
        assert [len(frame) for frame in read] == expected, case
    assert load_results(study.uri, study.suite).left_out.empty


def test_a_run_from_before_the_sum_by_token_was_trained_per_occurrence(study):
    def row_of_trial():
        results = load_results(study.uri, study.suite)
        assert results.left_out.empty
        return results.runs.set_index("run_id").loc[study.run_id(TRIAL)]

    values = {"embedding_gradient": "per_occurrence"}
    older = config_of_row(row_of_trial()).model_copy(update=values)
    with restored(study):
        study.param(TRIAL, "embedding_gradient", None)
        study.tag(TRIAL, rec.TAG_CONFIG_ID, older.config_id)
        assert config_of_row(row_of_trial()) == older


@contextlib.contextmanager
def restored(study: Study) -> Iterator[None]:
    """Put MLflow's tables back afterwards as they were."""
    with contextlib.closing(sqlite3.connect(study.folder / "mlflow.db")) as connection:
        tables = ("tags", "params", "latest_metrics", "runs")
        kept = {t: connection.execute(f"SELECT * FROM {t}").fetchall() for t in tables}
        yield
        # Rows of other tables refer to a run's; none is gone afterwards.
        with connection:
            for table, rows in kept.items():
                marks = ", ".join("?" * len(rows[0]))
                statement = f"INSERT OR REPLACE INTO {table} VALUES ({marks})"
                connection.executemany(statement, rows)


@pytest.mark.parametrize(
    "case",
    [
        f"{TRIAL} without its study",
        f"{SESSION} without {rec.TAG_KIND}",
        f"{BASELINE} without {rec.TAG_STATE}",
        f"replicate without {rec.TAG_CONFIG_ID}",
        f"{rec.TAG_LABEL}='\\x1b[31mred'",
        "head=hinge",
        f"{SESSION} start_time={10**17}",
    ],
)
def test_report_and_doctor_name_a_run_that_is_left_out(study, case, capfd):
    name, _, damage = RUN_CASES[case]
    damage(study)
    run_id = study.run_id(name)
    text = report(study)
    assert f"1 run could not be read and is left out: run {run_id}" in text
    said = capfd.readouterr()
    assert f"warning: 1 run could not be read and is left out: run {run_id}" in said.out
    assert "\x1b" not in text + said.out
    assert run("doctor", "tiny.yaml") == 1
    said = capfd.readouterr()
    assert f"run {run_id}" in said.out and "Traceback" not in said.err


def test_a_run_of_the_users_own_with_the_studys_tag_is_left_out_and_named(study):
    client = Tracker(study.uri).client
    experiment = client.get_run(study.run_id(TRIAL)).info.experiment_id
    tags = {rec.TAG_STUDY: study.suite.study_name}
    own = client.create_run(experiment, tags=tags).info.run_id
    results = load_results(study.uri, study.suite)
    assert results.left_out["run_id"].tolist() == [own]
    assert len(results.runs) == N_TRIALS
    assert own in report(study)


def test_parameters_of_the_users_own_leave_a_run_as_it_is(study):
    client = Tracker(study.uri).client
    client.log_param(study.run_id(TRIAL), "note", "my favourite")
    client.set_tag(study.run_id(TRIAL), "reviewed", "yes")
    assert load_results(study.uri, study.suite).left_out.empty


def test_a_look_at_the_test_set_counts_without_its_kind(study):
    before = load_results(study.uri, study.suite).test_looks["n"].sum()
    study.tag(REPLICATE, rec.TAG_KIND, None)
    assert load_results(study.uri, study.suite).test_looks["n"].sum() == before


def test_a_study_of_which_nothing_is_left_is_one_message(study, capfd):
    study.sql("DELETE FROM tags WHERE key = ?", rec.TAG_KIND)
    assert run("report", "tiny.yaml") == 2
    said = capfd.readouterr().err
    assert "has no run that can be read: 11 runs could not be read" in said
    assert "Traceback" not in said and len(said) < 2000
    assert run("doctor", "tiny.yaml") == 1
    assert capfd.readouterr().out.count("cannot be read") == 11


# Artifacts


def parquet(n: int = 40, **columns: object) -> bytes:
    """Return predictions on `n` examples, with `columns` in place of theirs."""
    known: dict[str, object] = {
        "index": np.arange(n),
        "y_true": np.arange(n) % 2,
        "p_negative": np.full(n, 0.25),
        "p_positive": np.full(n, 0.75),
    }
    known.update(columns)
    file = io.BytesIO()
    pd.DataFrame({k: v for k, v in known.items() if v is not None}).to_parquet(file)
    return file.getvalue()


CURVES_FORMS = (
    b"",
    b"[]",
    b"{}",
    b"{",
    b"\xff\xfe",
    b'{"epochs": null}',
    b'{"epochs": {"a": 1}}',
    b'{"epochs": [1, 2]}',
    b'{"epochs": [{"val_accuracy": 0.5}]}',
    b'{"epochs": [{"epoch": "one"}]}',
    b'{"epochs": [{"epoch": 0}]}',
    b'{"epochs": [{"epoch": 1e300}]}',
    b'{"epochs": [{"epoch": 2}, {"epoch": 1}]}',
    b'{"epochs": [{"epoch": 1}, {"epoch": 1}]}',
    b'{"epochs": [{"epoch": 1, "val_accuracy": "high"}]}',
    b'{"epochs": [{"epoch": 1, "val_accuracy": [0.5]}]}',
    b'{"epochs": [{"epoch": 1, "val_accuracy": Infinity}]}',
    b'{"epochs": ' + b"[" * 100_000,
)
SHOWN_FORMS = (
    b"[]",
    b"{}",
    b"\xff",
    b'{"class_names": ["a"], "samples": []}',
    b'{"class_names": ["a", "b", "c"], "samples": []}',
    b'{"class_names": ["a", "b"], "samples": [{"index": 0, "text": 1}]}',
    b'{"class_names": ["a", "b"], "samples": [{"index": 0, "text": "t", "y_true": 2, '
    b'"y_proba": [0.5, 0.5]}]}',
    b'{"class_names": ["a", "b"], "samples": [{"index": 0, "text": "t", "y_true": 0, '
    b'"y_proba": [NaN, 0.5]}]}',
    b'{"class_names": ["a", "b"], "samples": [{"index": 0, "text": "t", "y_true": 0, '
    b'"y_proba": [1.0]}]}',
    b'{"class_names": ["a", "b"], "samples": [{"index": 0, "text": "\\ud800", '
    b'"y_true": 0, "y_proba": [0.5, 0.5]}]}',
)
TEST_FILE = f"{rec.PREDICTIONS}/test.parquet"
PREDICTION_FORMS = (
    b"",
    b"PAR1",
    b"\xff\xfe not parquet",
    parquet(index=None),
    parquet(y_true=None),
    parquet(p_positive=None),
    parquet(p_neutral=np.zeros(40)),
    parquet(n=0),
    parquet(index=np.zeros(40, int)),
    parquet(index=-np.arange(40)),
    parquet(index=[str(i) for i in range(40)]),
    parquet(y_true=np.full(40, 2)),
    parquet(y_true=np.full(40, 0.5)),
    parquet(p_negative=np.full(40, np.nan)),
    parquet(p_negative=np.full(40, np.inf)),
    parquet(p_negative=np.full(40, 0.5)),
    parquet(p_negative=np.full(40, -0.5), p_positive=np.full(40, 1.5)),
    parquet(p_negative=["a"] * 40),
    # Of another test set: differences are taken example by example.
    parquet(n=39),
    parquet(y_true=1 - np.arange(40) % 2),
)
DATASET_FORMS = (
    b"",
    b"{}",
    b"[]",
    b"\xff",
    b'{"name": "x", "digest": "0", "class_names": "ab"}',
    b'{"name": "x", "digest": "0", "class_names": ["a", "a"]}',
    b'{"name": "x", "digest": "0", "class_names": ["a", "b"], "test": {"n": -1}}',
    b'{"name": "x", "digest": "0", "class_names": ["a", "b"], "notes": 5}',
)
ENVIRONMENT_FORMS = (
    b"",
    b"[]",
    b"\xff",
    b'{"packages": []}',
    b'{"cpu_model": {"a": 1}}',
    b'{"git_dirty": "perhaps"}',
    b'{"settings": ["a"]}',
    b'{"memory_gib": Infinity}',
)
REVIEW_FORMS = (
    b"nothing",
    parquet(),
    # Fewer than were predicted.
    parquet(n=5, length=np.arange(5), in_train=np.full(5, False)),
)
ARTIFACTS = {
    (TRIAL, rec.CURVES): CURVES_FORMS,
    (REPLICATE, rec.SAMPLES): SHOWN_FORMS,
    (REPLICATE, rec.ERRORS): SHOWN_FORMS[:2],
    (REPLICATE, TEST_FILE): PREDICTION_FORMS,
    (BASELINE, TEST_FILE): PREDICTION_FORMS[:1],
    (ROUND, rec.DATASET): DATASET_FORMS,
    (ROUND, rec.ENVIRONMENT): ENVIRONMENT_FORMS,
    (ROUND, rec.TEST_REVIEWS): REVIEW_FORMS,
}


@pytest.mark.parametrize(("name", "file"), ARTIFACTS)
def test_an_artifact_that_does_not_parse_is_left_out_and_named(study, name, file):
    for content in ARTIFACTS[name, file]:
        study.artifact(name, file).write_bytes(content)
        check_left_out(study, name, file, str(content[:200]))


def check_left_out(study: Study, name: str, file: str, case: str = "") -> None:
    results = load_results(study.uri, study.suite)
    assert len(results.left_out) == 1, case
    (row,) = results.left_out.to_dict("records")
    assert (row["run_id"], row["part"]) == (study.run_id(name), file), case
    assert 10 < len(row["reason"]) < 400, case
    # The run itself stays, with its scores.
    assert (len(results.runs), len(results.confirmed)) == (N_TRIALS, 2 * N_SEEDS)
    if file == rec.CURVES:
        # From the metrics that MLflow has by epoch.
        own = results.curves[results.curves["run_id"] == study.run_id(name)]
        own = own[(own["split"] == "val") & (own["metric"] == "accuracy")]
        assert own["value"].tolist() == [0.5, 0.75]
    if file == rec.DATASET:
        # The sweep's own, which is of the same data.
        assert results.dataset["class_names"] == ["negative", "positive"]
    if file == TEST_FILE:
        assert list(results.predictions[study.run_id(name)]) == ["val"]


@pytest.mark.parametrize(("name", "file"), ARTIFACTS)
def test_report_and_doctor_name_an_artifact_that_is_left_out(study, name, file, capfd):
    study.artifact(name, file).write_bytes(b"\xff")
    text = report(study)
    assert "1 artifact could not be read and is left out" in text
    assert f"{file} of run {study.run_id(name)}" in text
    capfd.readouterr()
    assert run("doctor", "tiny.yaml") == 1
    assert f"{file} of run {study.run_id(name)}" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("name", "file"),
    [(TRIAL, rec.CURVES), (REPLICATE, TEST_FILE), (ROUND, rec.DATASET)],
)
@pytest.mark.parametrize("how", ["link", "folder link", "pipe", "folder", "large"])
def test_what_is_no_file_of_the_run_is_not_read(study, name, file, how):
    path = study.artifact(name, file)
    elsewhere = study.folder / "elsewhere"
    if how == "folder link":
        if path.parent.name != rec.PREDICTIONS:
            pytest.skip("lies in the run's own folder")
        path.parent.rename(elsewhere)
        path.parent.symlink_to(elsewhere)
        results = load_results(study.uri, study.suite)
        assert set(results.left_out["run_id"]) == {study.run_id(name)}
        assert "got a link" in results.left_out["reason"].iloc[0]
        return
    content = path.read_bytes()
    path.unlink()
    if how == "link":
        elsewhere.write_bytes(content)
        path.symlink_to(elsewhere)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    else:
        with path.open("wb") as stream:
            stream.truncate(1 << 40)
    check_left_out(study, name, file)


def test_a_parquet_of_more_values_than_its_limit_is_not_unpacked(study, monkeypatch):
    monkeypatch.setattr("lstm_bench.tracking.stored_runs.MAX_PARQUET_VALUES", 100)
    reasons = load_results(study.uri, study.suite).left_out["reason"]
    assert reasons.str.contains("at most 100 values, got 160").any()


def test_a_report_needs_no_description_of_the_data(study):
    for file in (study.folder / "mlruns").rglob("dataset.json"):
        file.write_text("{}")
    results = load_results(study.uri, study.suite)
    assert results.dataset == {}
    assert "dataset.json of run" in report(study)


def test_a_logged_suite_that_is_no_text_is_one_message(study, capfd):
    study.artifact(ROUND, rec.SUITE_FILE).write_bytes(b"description: \xff")
    (study.folder / "tiny.yaml").unlink()
    assert run("report", study.suite.study_name) == 2
    said = capfd.readouterr().err
    assert "suite.yaml: expected UTF-8" in said and "Traceback" not in said


def test_listings_pass_over_runs_of_no_known_study(study, capfd):
    for name in (SESSION, TRIAL, REPLICATE):
        study.tag(name, rec.TAG_SUITE, None)
    assert run("report", "nothing_of_this_name") == 2
    assert study.suite.study_name in capfd.readouterr().err
    # The run of trial 1 is one of those: its configuration has a name without it.
    assert run("compare", "tiny.yaml:trial 0", "tiny.yaml:3 units, softmax") == 0
    assert "3 runs could not be read" in capfd.readouterr().out


def test_every_key_that_is_written_has_its_place_in_the_schema(study):
    prepared = prepare(study.suite, None)
    for written, model in (
        (prepared.about_machine, stored_runs._Environment),
        (prepared.about_data, stored_runs._Dataset),
        (prepared.about_data["train"], stored_runs._Part),
    ):
        assert set(written) <= set(model.model_fields), model
    results = load_results(study.uri, study.suite)
    assert results.dataset == prepared.about_data
    assert results.environment == prepared.about_machine


# What processes left


def test_an_owner_that_cannot_be_read_is_named_and_left_alone(study, capfd):
    study.tag(SESSION, rec.TAG_OWNER, "{bad")
    study.info(SESSION, "status", "RUNNING")
    assert run("doctor", "tiny.yaml", "--fix") == 1
    said = capfd.readouterr()
    assert f"run {study.run_id(SESSION)}" in said.out
    assert (
        f"the tag {rec.TAG_OWNER} cannot be read" in said.out
        and "Traceback" not in said.err
    )
    tracker = Tracker(study.uri)
    assert tracker.client.get_run(study.run_id(SESSION)).info.status == "RUNNING"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (CONFIG_ID, None),
        (CONFIG_ID, "5"),
        (CONFIG_ID, "{bad"),
    ],
)
def test_a_damaged_trial_is_named_and_stops_a_sweep(study, attribute, value, capfd):
    study.attribute(1, attribute, value)
    check_refused(study, capfd, "trial 1" if value != "{bad" else "cannot be read")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (DIGEST, "5"),
        (DIGEST, "{bad"),
        (LEASE, '"somebody"'),
        (LEASE, '{"owner": ["host", -1, 0]}'),
        (f"{FAILED}one", '"no memory"'),
    ],
)
def test_a_damaged_attribute_of_optunas_study_stops_a_sweep(study, key, value, capfd):
    statement = "INSERT OR REPLACE INTO study_user_attributes "
    statement += "(study_id, key, value_json) VALUES (1, ?, ?)"
    study.sql(statement, key, value, file="optuna.db")
    check_refused(study, capfd, study.suite.study_name)


def test_a_reversed_direction_is_named_and_stops_a_sweep(study, capfd):
    statement = "UPDATE study_directions SET direction = 'MINIMIZE'"
    study.sql(statement, file="optuna.db")
    check_refused(study, capfd, "expected the direction maximize for accuracy, got min")


def test_an_infinite_value_of_a_trial_stops_a_sweep(study, capfd):
    statement = "UPDATE trial_values SET value = NULL, value_type = 'INF_POS'"
    study.sql(statement, file="optuna.db")
    check_refused(study, capfd, "value: expected a finite number")


def check_refused(study: Study, capfd, reason: str) -> None:
    n_runs = len(find_runs(Tracker(study.uri).client, ""))
    assert run("sweep", "tiny.yaml") == 2
    said = capfd.readouterr().err
    assert "Traceback" not in said and len(said) < 2000
    assert reason in said
    assert len(find_runs(Tracker(study.uri).client, "")) == n_runs
    assert run("doctor", "tiny.yaml", "--fix") == 1
    said = capfd.readouterr()
    assert reason in said.out and "Traceback" not in said.err
