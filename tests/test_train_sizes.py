"""A confirmation on several numbers of training examples, end to end and resumed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import ROOT, TINY_SUITE
from runs import Recorder, opened

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.verdicts import answers, confirmation_summary
from lstm_bench.confirm import choose_candidates, confirm_candidates
from lstm_bench.data.registry import load_dataset
from lstm_bench.errors import StoredError, SuiteError
from lstm_bench.publish.summary import summarise
from lstm_bench.report.heading import study_page
from lstm_bench.report.render import report_files
from lstm_bench.report.sections.order import build_sections
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.stored_runs import parse_run
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare, split
from lstm_bench.workers.recovery import recover

# 192 examples to train on.
TEXT = TINY_SUITE.partition("space:")[0] + (
    "references: {small: {units: 2}, large: {units: 3}}\n"
    "study: {metric: accuracy, seed: 7}\n"
    "confirm: {n_best: 0, n_replicates: 2, train_sizes: [40, 80, 192]}\n"
)


def write(folder, text=TEXT):
    (folder / "sizes.yaml").write_text(text)
    return load_suite(folder / "sizes.yaml")


def confirm(suite, folder, recorder=None, n_replicates=2):
    with opened(suite, folder, recorder) as study:
        recover(study.tracker, study.store)
        confirm_candidates(study, choose_candidates(suite, None, 0), n_replicates)
        assert study.tracker.catch_up()
        return load_results(study.tracker.tracking_uri, suite)


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """Return the results of a confirmation that was stopped twice."""
    folder = tmp_path_factory.mktemp("sizes")
    suite = write(folder)

    def stop_at(number):
        def stop(n_epochs):
            if n_epochs == number:
                raise KeyboardInterrupt

        return Recorder(stop)

    # Two trainings on all examples; then the others, and three on a subset.
    with pytest.raises(KeyboardInterrupt, match="2 of 12 trainings are finished"):
        confirm(suite, folder, stop_at(5))
    with pytest.raises(KeyboardInterrupt, match="7 of 12 trainings are finished"):
        confirm(suite, folder, stop_at(11))
    recorder = Recorder()
    results = confirm(suite, folder, recorder)
    assert recorder.n_epochs == 2 * 5
    return suite, folder, results


@pytest.mark.slow
def test_everything_is_trained_once_at_each_size(studied):
    suite, folder, results = studied
    assert len(results.confirmed) == 4
    runs = results.subsets
    runs = runs[runs["state"] == "complete"]
    networks = runs[~runs["key"].str.startswith("baseline:")]
    assert not networks.duplicated(["key", "n_train", "replicate"]).any()
    found = networks.groupby("n_train")["replicate"].value_counts().to_dict()
    assert found == {(n, r): 2 for n in (40, 80) for r in (1, 2)}
    fitted = runs[runs["key"].str.startswith("baseline:")]
    per_size = results.baselines["baseline"].nunique() * 2
    assert fitted.groupby("n_train").size().tolist() == [per_size, per_size]
    assert runs["test_accuracy"].notna().all()
    recorder = Recorder()
    again = confirm(suite, folder, recorder)
    assert recorder.n_epochs == 0
    assert len(again.subsets) == len(results.subsets)


@pytest.mark.slow
def test_looks_at_test_count_every_training_on_a_subset(studied):
    _, _, results = studied
    looks = results.test_looks.set_index("kind")["n"].to_dict()
    n = results.baselines["baseline"].nunique()
    assert looks == {
        "replicate": 4,
        "baseline": 2 * n,
        rec.SUBSET: 8,
        rec.SUBSET_BASELINE: 4 * n,
    }


@pytest.mark.slow
def test_runs_have_their_size_and_share_their_validation(studied):
    _, folder, results = studied
    client = Tracker(f"sqlite:///{folder}/mlflow.db").client
    first = results.subsets[results.subsets["state"] == "complete"].iloc[0]
    run = client.get_run(first["run_id"])
    assert run.data.params[rec.PARAM_SUBSET] == str(first["n_train"]) == "40"
    assert run.info.run_name.endswith("seed 1, 40 reviews)")
    del run.data.params[rec.PARAM_SUBSET]
    with pytest.raises(StoredError, match="n_subset: a subset_baseline has it"):
        parse_run(run)


@pytest.mark.slow
def test_the_report_has_curves_and_the_answers_a_prediction(studied):
    _, _, results = studied
    analysis = analyse(results)
    curve = analysis.learning_curve
    assert sorted(set(curve.scores["n_train"])) == [40, 80, 192]
    assert (curve.n_trainings, curve.n_failed) == (8, 0)
    told = {a.question: a.text for a in answers(analysis)}
    assert (
        "Test accuracy with twice the 192 training reviews"
        in (told["what would more data give"])
    )
    (passed,) = (q for q in told if q.startswith("with how much data"))
    assert "reference small" in told[passed] and "reference large" in told[passed]
    _, verdicts = confirmation_summary(analysis)
    assert len(verdicts["crossings"]) == 2
    assert summarise(analysis).n_trainings == 12
    sections = build_sections(analysis)
    files = report_files(sections, study_page(analysis), ("html", "csv"))
    page = files["index.html"]
    assert 'id="sizes"' in page
    assert "8 trainings on parts of the training reviews took" in page
    assert "Without early stopping (patience)" in page
    assert "tables/sizes.csv" in files and "tables/twice_the_data.csv" in files


@pytest.mark.slow
def test_sizes_follow_the_looks_of_seeds_until_settled(tmp_path):
    text = TEXT.partition("references:")[0] + (
        "references: {small: {units: 2}}\nstudy: {metric: accuracy, seed: 7}\n"
        "confirm: {n_best: 0, n_replicates: 3, max_replicates: 3, until: settled,\n"
        "  families: [baselines], train_sizes: [40]}\n"
    )
    results = confirm(write(tmp_path, text), tmp_path, n_replicates=3)
    assert results.confirmed["replicate"].tolist() == [1, 2, 3]
    networks = results.subsets[~results.subsets["key"].str.startswith("baseline:")]
    assert networks["replicate"].tolist() == [1, 2, 3]


def test_a_size_beyond_the_data_is_one_message_before_anything_is_trained(tmp_path):
    suite = write(tmp_path, TEXT.replace("80, 192", "80, 193"))
    with pytest.raises(SuiteError, match=r"sizes: expected at most 192.* got 193"):
        prepare(suite, None)


def test_forecasts_have_no_sizes():
    text = (ROOT / "benchmarks" / "seasonal.yaml").read_text("utf-8")
    text = text.replace("confirm:\n", "confirm:\n  train_sizes: [50]\n")
    with pytest.raises(SuiteError, match="expected none for forecasts, got 50"):
        Suite("seasonal", text, "seasonal.yaml")


def test_a_size_of_all_examples_is_no_subset(tmp_path):
    assert prepare(write(tmp_path), None).subset_sizes == (40, 80)


def test_a_subset_without_a_class_is_one_message(tmp_path):
    suite = write(tmp_path, TEXT.replace("[40,", "[2, 40,"))
    dataset = load_dataset("synthetic", {"n_train": 240, "n_test": 60}, seed=7)
    y = np.zeros_like(dataset.train.y)
    y[:4] = 1
    one_sided = dataclasses.replace(
        dataset, train=dataclasses.replace(dataset.train, y=y)
    )
    with pytest.raises(SuiteError, match=r"to train on.*among 2.*confirm\.train_sizes"):
        split(suite, one_sided, 1, 2)


def test_train_sizes_do_not_change_the_name_of_a_study(tmp_path):
    without = Suite("sizes", TEXT.replace(", train_sizes: [40, 80, 192]", ""), "a")
    assert without.study_name == write(tmp_path).study_name
