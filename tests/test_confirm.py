"""Confirmation rounds end to end on a real sqlite store, with tiny trainings."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import hints, parsed
from conftest import ROOT, TINY_SUITE
from results_builder import CONFIRM_SUITE, TRIAL_2, TRIAL_3, make_results
from runs import Recorder, opened

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.tables.select import names_of
from lstm_bench.analysis.verdicts import answers
from lstm_bench.compare_by_name import compare_by_name
from lstm_bench.confirm import (
    Candidate,
    choose_candidates,
    confirm_candidates,
)
from lstm_bench.errors import SuiteError, TrackingError
from lstm_bench.metrics import METRICS
from lstm_bench.suites.suite import load_suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.models import has_model
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import N_PARAMETERS, OBJECTIVE
from lstm_bench.winner import log_winners_model
from lstm_bench.workers.recovery import recover

TEXT = TINY_SUITE.partition("space:")[0] + (
    "references: {small: {units: 2}}\n"
    "study: {metric: accuracy, seed: 7}\n"
    "confirm: {n_replicates: 2, pairs: {head: [sigmoid, softmax]}, margin: 0.1}\n"
)


def write(folder: Path, text: str = TEXT, name: str = "pair"):
    (folder / f"{name}.yaml").write_text(text)
    return load_suite(folder / f"{name}.yaml")


def confirm(suite, folder: Path, n_replicates=2, recorder=None):
    """Confirm the references of `suite`; return the command's run, and the results."""
    with opened(suite, folder, recorder) as study:
        recover(study.tracker, study.store)
        candidates = choose_candidates(suite, None, 2)
        run_id = confirm_candidates(study, candidates, n_replicates)
        assert study.tracker.catch_up()
        return run_id, load_results(study.tracker.tracking_uri, suite)


def test_candidates_are_the_best_the_references_and_their_pairs():
    results = make_results(suite_text=CONFIRM_SUITE)
    candidates = choose_candidates(results.suite, results, 2)
    assert [(c.label, c.origin) for c in candidates] == [
        (TRIAL_2, "search"),
        (TRIAL_3, "search"),
        ("reference old", "reference"),
        # trial 2 and 3 are each other's pair already; pruned trials never come.
        ("softmax (pair of reference old)", "pair"),
    ]
    assert candidates[3].config == candidates[2].config.model_copy(
        update={"head": "softmax"}
    )


def test_of_equal_trials_the_smallest_is_chosen_in_whatever_order_they_were_trained():
    results = make_results(suite_text=CONFIRM_SUITE)
    runs = results.runs.assign(**{OBJECTIVE: 0.8})
    smallest = runs.loc[runs["state"] == "complete"].sort_values(
        [N_PARAMETERS, "config_id"]
    )
    wanted = [c for c in smallest["config_id"].unique() if c in set(trials(runs))]
    for order in (runs, runs[::-1]):
        tied = dataclasses.replace(results, runs=order.reset_index(drop=True))
        chosen = choose_candidates(tied.suite, tied, 2)
        assert [c.config.config_id for c in chosen[:2]] == wanted[:2]


def trials(runs):
    return runs.loc[runs["kind"] == "trial", "config_id"]


def test_no_trial_and_no_reference_is_nothing_to_confirm():
    text = CONFIRM_SUITE.replace("references:\n", "").replace(
        "  old: {units: 64, learning_rate: 1.0e-05}\n", ""
    )
    results = make_results((), suite_text=text)
    with pytest.raises(SuiteError, match="nothing to confirm"):
        choose_candidates(results.suite, results, 2)


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("confirmed")
    suite = write(folder)
    return suite, folder, *confirm(suite, folder)


@pytest.mark.slow
def test_every_configuration_has_every_replicate_and_a_test_score(confirmed):
    _, _, _, results = confirmed
    runs = results.confirmed
    assert sorted(zip(names_of(results, runs), runs["replicate"], strict=True)) == [
        ("reference small", 1),
        ("reference small", 2),
        ("softmax (pair of reference small)", 1),
        ("softmax (pair of reference small)", 2),
    ]
    assert runs["test_accuracy"].notna().all()
    assert set(runs["state"]) == {"complete"}
    # The search has no part in a suite without a space.
    assert results.runs.empty


@pytest.mark.slow
def test_replicates_pair_splits_and_differ_among_themselves(confirmed):
    _, _, _, results = confirmed
    by_replicate: dict[int, list[np.ndarray]] = {1: [], 2: []}
    for _, run in results.confirmed.iterrows():
        val = results.predictions[run["run_id"]]["val"]
        by_replicate[int(run["replicate"])].append(val.index)
    for first, second in by_replicate.values():
        assert np.array_equal(first, second)
    assert not np.array_equal(by_replicate[1][0], by_replicate[2][0])
    # Baselines validate on the same reviews as the LSTMs of their replicate.
    for _, run in results.baselines.iterrows():
        val = results.predictions[run["run_id"]]["val"]
        expected = by_replicate[int(run["replicate"])][0]
        assert np.array_equal(val.index, expected)


@pytest.mark.slow
def test_runs_carry_their_seeds_parent_and_look_at_test(confirmed):
    suite, folder, session, results = confirmed
    client = Tracker(f"sqlite:///{folder}/mlflow.db").client
    prepared = prepare(suite, None)
    for _, row in results.confirmed.iterrows():
        run = client.get_run(row["run_id"])
        tags, params = run.data.tags, run.data.params
        seeds = prepared.at(int(row["replicate"])).seeds
        assert {k: int(params[f"seed.{k}"]) for k in seeds} == seeds
        assert tags["mlflow.parentRunId"] == session
        assert tags[rec.TAG_TEST_SCORED] == "true"
    looks = results.test_looks.set_index("kind")["n"].to_dict()
    assert looks == {"replicate": 4, "baseline": 6}
    assert client.get_run(session).info.status == "FINISHED"


@pytest.mark.slow
def test_the_round_leaves_what_slices_and_errors_need(confirmed):
    _, _, _, results = confirmed
    assert len(results.test_reviews) == 60
    assert results.test_reviews["length"].min() > 0
    assert set(results.errors["run_id"]) <= set(results.confirmed["run_id"])
    for _, error in results.errors.iterrows():
        assert error["y_true"] != error["y_pred"]


@pytest.mark.slow
def test_logged_metrics_are_those_of_the_logged_predictions(confirmed):
    _, _, _, results = confirmed
    for _, run in results.confirmed.iterrows():
        test = results.predictions[run["run_id"]]["test"]
        accuracy = np.mean(test.y_proba.argmax(axis=1) == test.y_true)
        assert run["test_accuracy"] == pytest.approx(accuracy)


@pytest.mark.slow
def test_a_finished_round_is_not_trained_again_and_grows(confirmed):
    suite, folder, _, before = confirmed
    recorder = Recorder()
    # MLflow alone knows what is done.
    (folder / "optuna.db").unlink()
    _, results = confirm(suite, folder, recorder=recorder)
    assert recorder.n_epochs == 0
    assert len(results.confirmed) == 4
    assert len(results.baselines) == len(before.baselines)
    recorder = Recorder()
    _, results = confirm(suite, folder, n_replicates=3, recorder=recorder)
    assert (len(results.confirmed), recorder.n_epochs) == (6, 2 * 2)
    same = results.confirmed[results.confirmed["replicate"] < 3]
    assert same["run_id"].tolist() == before.confirmed["run_id"].tolist()


@pytest.mark.slow
def test_the_answer_comes_from_the_store_alone(confirmed):
    suite, folder, _, _ = confirmed
    results = load_results(f"sqlite:///{folder}/mlflow.db", suite)
    analysis = analyse(results)
    # A comparison that is in two families has one answer, with both questions.
    asked = {part for a in answers(analysis) for part in a.question.split("; ")}
    assert {"best LSTM", "does head matter", "against the best baseline"} <= asked
    assert set(analysis.comparisons["family"]) >= {"pairs: head", "baselines"}


@pytest.mark.slow
def test_two_configurations_and_two_studies_are_compared_by_name(
    confirmed, monkeypatch
):
    suite, folder, _, _ = confirmed
    monkeypatch.chdir(folder)
    uri = f"sqlite:///{folder}/mlflow.db"
    # Another test goes on with the study.
    results = load_results(uri, suite)
    n_seeds = results.confirmed["replicate"].nunique()
    lines = compare_by_name(uri, "pair.yaml:small", "pair.yaml:nb_lr").lines
    assert "eference small " in lines[0]
    assert "NB + logistic regression: test accuracy" in lines[0]
    assert "paired seeds" in lines[0]
    least = f"{0.5 ** (n_seeds - 1):.3g}"
    assert f"Wilcoxon; with so many seeds it is at least {least})" in lines[2]
    ids = sorted(set(results.confirmed["config_id"]))
    by_id = compare_by_name(uri, ids[0], ids[1]).lines
    assert "paired seeds" in by_id[0]
    assert "Tested alone" in by_id[1]
    fewer = TEXT.replace("n_test: 60}}", "n_test: 60}, max_train_samples: 100}")
    confirm(write(folder, fewer, "fewer"), folder)
    lines = compare_by_name(uri, "pair.yaml", "fewer.yaml").lines
    assert "seeds each, not paired" in lines[0]
    assert "nothing is paired" in lines[1]
    # Of the ways to split all scores in two groups, two are the farthest apart.
    least = f"{2 / math.comb(n_seeds + 2, 2):.3g}"
    assert f"Mann-Whitney; with so many seeds it is at least {least})" in lines[2]
    # Another seed makes other synthetic reviews.
    other = write(folder, TEXT.replace("seed: 7", "seed: 8"), "other")
    confirm(other, folder, n_replicates=1)
    with pytest.raises(TrackingError, match="tested on different data"):
        compare_by_name(uri, "pair.yaml", "other.yaml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("pair.yaml:smal", "pair.yaml", "known: reference small"),
        ("pair.yaml:small", "pair.yaml:small", "the same configuration"),
        ("ffffff", "pair.yaml", "got none"),
        ("small", "pair.yaml", "no such suite file.*give SUITE:small"),
    ],
)
def test_names_that_lead_nowhere_are_answered(confirmed, monkeypatch, a, b, message):
    from lstm_bench.errors import LstmBenchError

    _, folder, _, _ = confirmed
    monkeypatch.chdir(folder)
    with pytest.raises(LstmBenchError, match=message):
        compare_by_name(f"sqlite:///{folder}/mlflow.db", a, b)


@pytest.mark.slow
def test_seeds_are_added_until_all_is_settled_by_any_number_of_commands(
    tmp_path, monkeypatch, capfd
):
    from commands import run

    # Two that learn next to nothing are equal, and one that learns too fast varies.
    text = TEXT.replace("metric: accuracy", "metric: log_loss").replace(
        "{small: {units: 2}}",
        "{a: {learning_rate: 1.0e-7}, b: {learning_rate: 2.0e-7},\n"
        "  fast: {learning_rate: 0.2}}",
    )
    text = text.replace("defaults:", "defaults:\n  units: 4").partition("confirm:")[0]
    text += (
        "confirm: {n_replicates: 4, until: settled, max_replicates: 6, margin: 0.01,\n"
        "  families: [references]}\n"
    )
    suite = write(tmp_path, text, "looks")

    def stop_in_the_second_look(n_epochs):
        if n_epochs == 3 * 4 * 2 + 3:
            raise KeyboardInterrupt

    recorder = Recorder(stop_in_the_second_look)
    with pytest.raises(KeyboardInterrupt, match="13 of 16 trainings are finished"):
        confirm(suite, tmp_path, recorder=recorder)
    printed = " ".join(recorder.text().split())
    assert "settled at look 1 of 2, with 4 seeds:" in printed
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    table = analyse(load_results(uri, suite)).comparisons
    assert table["look"].tolist() == [1, 1]
    assert table["n_seeds"].tolist() == [4, 4]

    recorder = Recorder()
    _, results = confirm(suite, tmp_path, recorder=recorder)
    assert recorder.n_epochs == 3 * 2
    assert "1 of 2 comparisons settled; not settled with 6 seeds: reference" in (
        " ".join(recorder.text().split())
    )
    analysis = analyse(results)
    rows = analysis.comparisons.set_index("label_b")
    columns = ["verdict", "look", "n_looks", "n_seeds"]
    assert rows.loc["reference fast", columns].tolist() == ["undecided", 2, 2, 6]
    (other,) = {"reference a", "reference b"} - {analysis.winner.label}
    assert rows.loc[other, columns].tolist() == ["equivalent", 1, 2, 4]
    # What is in no open comparison has the seeds of its last look.
    n_seeds = results.confirmed.groupby("reference")["replicate"].max().to_dict()
    assert n_seeds == {"a": 6, "b": 6, "fast": 6} | {other.split()[1]: 4}
    assert results.baselines["replicate"].max() == 4
    said = " ".join(answer.text for answer in answers(analysis))
    assert "over 6 paired seeds, after 2 of 2 looks" in said

    # The command repeated trains nothing and has the same verdicts.
    recorder = Recorder()
    _, results = confirm(suite, tmp_path, recorder=recorder)
    assert recorder.n_epochs == 0
    pd.testing.assert_frame_equal(analyse(results).comparisons, analysis.comparisons)

    # Other looks, chosen when verdicts are known.
    recorder = Recorder()
    edited = write(
        tmp_path, text.replace("max_replicates: 6", "max_replicates: 4"), "looks"
    )
    confirm(edited, tmp_path, recorder=recorder)
    assert "confirmed with other looks: at 4, 6 of seeds, now at 4" in (
        " ".join(recorder.text().split())
    )

    monkeypatch.chdir(tmp_path)
    assert run("confirm", "looks.yaml", "--replicates", "9") == 2
    assert "--replicates: expected none with until: settled" in " ".join(
        capfd.readouterr().err.split()
    )


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished_and_a_second_start_goes_on(confirmed, tmp_path):
    suite = write(tmp_path)

    def stop_in_the_second_training(n_epochs):
        if n_epochs == 3:
            raise KeyboardInterrupt

    recorder = Recorder(stop_in_the_second_training)
    with pytest.raises(KeyboardInterrupt, match="1 of 4 trainings are finished"):
        confirm(suite, tmp_path, recorder=recorder)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    results = load_results(uri, suite)
    assert results.sessions["status"].tolist() == ["KILLED"]
    assert results.confirmed["state"].tolist() == ["complete"]
    recorder = Recorder()
    _, results = confirm(suite, tmp_path, recorder=recorder)
    assert recorder.n_epochs == 3 * 2
    assert results.confirmed["state"].tolist() == ["complete"] * 4
    statuses = {run.info.status for run in Tracker(uri).runs_of(suite.study_name)}
    assert statuses == {"FINISHED", "KILLED"}
    # As without the interruption.
    _, _, _, whole = confirmed
    columns = ["config_id", "replicate", "objective", "test_log_loss"]
    order = columns[:2]
    expected = whole.confirmed[columns].sort_values(order, ignore_index=True)
    got = results.confirmed[columns].sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(got, expected, check_exact=True)


@pytest.mark.slow
def test_a_run_whose_process_died_is_closed_and_done_again(tmp_path):
    suite = write(tmp_path)
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", suite.study_name)
    prepared = prepare(suite, None)
    candidate = Candidate(suite.references["small"], "reference small", "reference")
    run = tracker.start_run(
        candidate.config,
        prepared.at(1),
        kind="replicate",
        parent_run_id=tracker.start_session("confirm", prepared, {}).run_id,
        engine="stock",
        label=candidate.label,
        origin=candidate.origin,
    )
    tracker.close()
    orphan = run.run_id
    host, pid, created = json.loads(
        tracker.client.get_run(orphan).data.tags[rec.TAG_OWNER]
    )
    gone = json.dumps([host, pid, created - 1000])
    tracker.client.set_tag(orphan, rec.TAG_OWNER, gone)
    _, results = confirm(suite, tmp_path, n_replicates=1)
    assert len(results.confirmed) == 2
    closed = tracker.client.get_run(orphan)
    assert closed.data.tags[rec.TAG_STATE] == "interrupted"
    assert closed.info.status == "KILLED"


@pytest.mark.slow
def test_other_data_is_refused(tmp_path):
    suite = write(tmp_path)
    confirm(suite, tmp_path, n_replicates=1)
    with opened(suite, tmp_path) as study:
        data = dataclasses.replace(study.prepared.dataset, digest="f" * 64)
        prepared = dataclasses.replace(study.prepared, dataset=data)
        other = dataclasses.replace(study, prepared=prepared)
        with pytest.raises(TrackingError, match="begun on other data"):
            confirm_candidates(other, choose_candidates(suite, None, 1), 1)


def logged_model(suite, folder, recorder=None):
    """Log the model of what is confirmed; return the winner's run and its model's."""
    uri = f"sqlite:///{folder}/mlflow.db"
    results = load_results(uri, suite)
    analysis = analyse(results)
    session = results.sessions["run_id"].iloc[-1]
    recorder = recorder or Recorder()
    with opened(suite, folder, recorder) as study:
        log_winners_model(study.driver, study.tracker, analysis, session)
    tracker = study.tracker
    address = tracker.client.get_run(session).data.tags[rec.TAG_MODEL]
    runs = results.confirmed[results.confirmed["config_id"] == analysis.winner.key]
    middle = runs.sort_values(["objective", "replicate"])["run_id"]
    run = tracker.client.get_run(middle.iloc[(len(middle) - 1) // 2])
    assert run.data.tags[rec.TAG_MODEL] == address
    assert address in recorder.console.export_text(clear=False)
    return run, address.split("/")[1], tracker, analysis


@pytest.mark.slow
def test_the_winners_model_is_that_of_its_median_seed(confirmed, monkeypatch):
    import mlflow

    suite, folder, _, _ = confirmed
    recorder = Recorder()
    # Another test goes on with the study.
    results = load_results(f"sqlite:///{folder}/mlflow.db", suite)
    run, model_run, tracker, _ = logged_model(suite, folder, recorder)
    assert model_run == run.info.run_id
    assert recorder.n_epochs == 2
    assert "median validation accuracy" in run.data.tags["mlflow.note.content"]
    with_model = [
        r for r in results.confirmed["run_id"] if has_model(tracker.client, r)
    ]
    assert with_model == [model_run]
    # Logging begins and ends a run once more in MLflow; its times stay.
    ended = results.confirmed.set_index("run_id").loc[model_run]
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time < 60_000
    assert pd.Timestamp(run.info.start_time, unit="ms", tz="UTC") == ended["start_time"]

    # MLflow sets it, too.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    loaded = mlflow.pyfunc.load_model(f"runs:/{model_run}/{rec.MODEL}")
    prepared = prepare(suite, None).at(int(run.data.params["seed.replicate"]))
    dataset, val = prepared.dataset, prepared.splits.val
    table = loaded.predict([dataset.raw(val, i) for i in range(len(val))])
    logged = results.predictions[model_run]["val"].y_proba
    assert list(table) == ["label", *(f"p_{name}" for name in dataset.class_names)]
    np.testing.assert_allclose(table.iloc[:, 1:], logged, atol=1e-4)

    recorder = Recorder()
    assert logged_model(suite, folder, recorder)[1] == model_run
    assert recorder.n_epochs == 0


@pytest.mark.slow
def test_a_training_that_cannot_be_repeated_has_its_model_in_a_run_of_its_own(
    confirmed, monkeypatch
):
    suite, folder, _, _ = confirmed
    client = Tracker(f"sqlite:///{folder}/mlflow.db").client
    for run in load_results(f"sqlite:///{folder}/mlflow.db", suite).confirmed["run_id"]:
        if rec.TAG_MODEL in client.get_run(run).data.tags:
            client.delete_tag(run, rec.TAG_MODEL)
    monkeypatch.setattr("lstm_bench.winner.SAME_PROBABILITIES", -1.0)
    recorder = Recorder()
    run, model_run, _, _ = logged_model(suite, folder, recorder)
    assert "a run of its own" in recorder.text()
    own = client.get_run(model_run)
    assert own.data.tags[rec.TAG_KIND] == "train"
    assert own.data.tags[rec.TAG_CONFIG_ID] == run.data.tags[rec.TAG_CONFIG_ID]
    assert own.data.metrics["objective"] == run.data.metrics["objective"]
    assert own.data.tags[rec.TAG_TEST_SCORED] == "false"
    assert has_model(client, model_run)


@pytest.mark.slow
def test_a_search_never_scores_test_and_a_round_follows_it(
    tmp_path, monkeypatch, capfd
):
    from commands import run

    text = TINY_SUITE + "confirm: {n_best: 1, n_replicates: 1, margin: 0.1}\n"
    write(tmp_path, text, "tiny")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    stores = ["--tracking-uri", "sqlite:///mlflow.db", "--storage", "sqlite:///o.db"]
    options = ["--data-dir", "a folder", *stores, "--out", "reports/tiny"]
    (tmp_path / "a folder").mkdir()
    assert run("sweep", "tiny.yaml", "--trials", "2", *options) == 0
    confirm_line, ui_line = hints(capfd.readouterr().out)[-2:]
    assert shlex.split(confirm_line) == ["lstm-bench", "confirm", "tiny.yaml", *options]
    assert shlex.split(ui_line) == ["lstm-bench", "ui", *stores[:2]]
    parsed(ui_line)
    suite = load_suite(tmp_path / "tiny.yaml")
    results = load_results(f"sqlite:///{tmp_path}/mlflow.db", suite)
    assert results.runs["test_accuracy"].isna().all()
    assert results.baselines["test_accuracy"].isna().all()
    assert results.test_looks.empty

    assert run(*shlex.split(confirm_line)[1:], "--replicates", "2") == 0
    out = capfd.readouterr().out
    (config_id,) = set(
        load_results(f"sqlite:///{tmp_path}/mlflow.db", suite).confirmed["config_id"]
    )
    name = results.names[config_id]
    assert f"best LSTM: {name}" in out
    assert (
        "confirming 1 configuration on 2 fresh seeds (too few for verdicts, which need "
        f"3): {name}" in " ".join(out.split())
    )
    assert "to confirm the best:" not in out
    results = load_results(f"sqlite:///{tmp_path}/mlflow.db", suite)
    assert len(results.confirmed) == 2
    assert results.runs["test_accuracy"].isna().all()
    session = results.sessions.set_index("kind").loc["confirm", "run_id"]
    client = Tracker(f"sqlite:///{tmp_path}/mlflow.db").client
    logged = client.get_run(session).data.metrics
    mean = results.confirmed["test_accuracy"].mean()
    assert logged["confirmed_test_accuracy_mean"] == pytest.approx(mean)
    address = client.get_run(session).data.tags[rec.TAG_MODEL]
    assert f"the winner's model: {address} (" in out
    assert has_model(client, address.split("/")[1])
    names = {item.path for item in client.list_artifacts(session)}
    assert {rec.VERDICTS, rec.TEST_REVIEWS, rec.REPORT} <= names
    page = (tmp_path / "reports" / "tiny" / "index.html").read_text()
    assert "Confirmation on fresh seeds" in page

    assert run("train", "tiny.yaml", "--test", "--no-log-model") == 0
    looks = load_results(f"sqlite:///{tmp_path}/mlflow.db", suite).test_looks
    assert looks.set_index("kind")["n"].to_dict()["train"] == 1

    # Every metric of every run is described with its epoch.
    described = {
        pattern.replace("<metric>", metric)
        for row in (ROOT / "docs" / "metrics.md").read_text().splitlines()
        if row.startswith("| `")
        for pattern in re.findall("`([^`]+)`", row.split("|")[1])
        for metric in METRICS
    }
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    logged_keys = {key for run in runs for key in run.data.metrics}
    assert "final_train_accuracy" in logged_keys
    assert logged_keys <= described
    # What is confirmed already is not to be confirmed next.
    capfd.readouterr()
    assert run("sweep", "tiny.yaml", "--trials", "2", *options) == 0
    assert "to confirm the best:" not in capfd.readouterr().out


@pytest.mark.slow
def test_a_suite_without_a_round_says_what_to_add(write_suite, tmp_path, monkeypatch):
    from commands import run

    write_suite()
    monkeypatch.chdir(tmp_path)
    assert run("confirm", "tiny.yaml") == 2
