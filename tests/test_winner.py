"""A study's model by its name: found, trained once more, used, served, registered."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from commands import run
from conftest import ROOT
from mlflow_server import free_port
from runs import Recorder, opened

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.compare_by_name import find_side
from lstm_bench.confirm import choose_candidates, confirm_candidates
from lstm_bench.errors import LstmBenchError
from lstm_bench.inference import ABOUT, load
from lstm_bench.report.blocks import Drawing, Words
from lstm_bench.report.sections.order import build_sections
from lstm_bench.suites.suite import load_suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.models import files_of, has_model, model_folder
from lstm_bench.winner import (
    choose,
    find_ensemble,
    find_model,
    find_seeds,
    log_ensemble_models,
    log_winners_model,
)

pytestmark = pytest.mark.slow

SUITE = """\
description: a tiny study for tests
dataset: {name: word_order, options: {n_train: 120, n_test: 40}}
defaults:
  embedding_dim: 4
  vocabulary_size: 300
  sequence_length: 20
  max_epochs: 2
  patience: null
  batch_size: 32
references: {small: {units: 2}, large: {units: 4}}
study: {metric: accuracy, seed: 7}
confirm: {n_replicates: 3, margin: 0.1}
ensemble: {n: 2}
"""
TEXTS = ["on the wall stop on", "off"]


class Study:
    """A confirmed study, whose winner's model is logged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tiny.yaml").write_text(SUITE)
        self.suite = load_suite(folder / "tiny.yaml")
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.client = mlflow.MlflowClient(self.uri)
        with opened(self.suite, folder) as study:
            self.prepared = study.prepared
            candidates = choose_candidates(self.suite, None, 2)
            session = confirm_candidates(study, candidates, n_replicates=3)
            assert study.tracker.catch_up()
            self.analysis = analyse(load_results(self.uri, self.suite))
            log_winners_model(study.driver, study.tracker, self.analysis, session)
        winner = self.analysis.winner
        assert winner is not None
        self.choice = choose(self.analysis, winner)

    def find(self, name: str, **options) -> tuple[Path, int]:
        """Return a model's folder, and how many epochs were trained to have it."""
        recorder = Recorder()
        name = f"{self.folder}/tiny.yaml{name}"
        return find_model(self.uri, name, recorder, **options), recorder.n_epochs

    def val(self, replicate: int):
        """Return a replicate's validation texts and labels."""
        splits = self.prepared.at(replicate).splits
        dataset = self.prepared.dataset
        texts = [dataset.raw(splits.val, i) for i in range(len(splits.val))]
        return texts, splits.val.y


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("winner"))


def about(folder: Path) -> dict:
    return json.loads((folder / ABOUT).read_text())


def test_choose_takes_the_median_seed_on_validation(study):
    contender = study.analysis.winner
    scores = sorted(contender.val.values())
    assert contender.val[study.choice.replicate] == scores[1]
    assert "the one of 3 seeds with the median validation" in study.choice.why


def test_find_model_of_a_suite_is_the_logged_winner(study):
    folder, n_epochs = study.find("")
    assert n_epochs == 0
    found = about(folder)
    assert found["name"] == study.analysis.winner.label
    assert found["replicate"] == study.choice.replicate
    assert found["run_id"] == study.choice.trained
    assert found["why"] == f"{study.choice.what}: {study.choice.why}."
    texts, _ = study.val(study.choice.replicate)
    logged = study.analysis.winner.predictions[study.choice.replicate]["val"].y_proba
    assert np.abs(load(folder).predict_proba(texts) - logged).max() < 1e-6


def test_find_model_trains_another_configuration_once(study):
    loser = next(
        c
        for c in study.analysis.contenders
        if not c.is_baseline and c.key != study.analysis.winner.key
    )
    name = f":{loser.label.removeprefix('reference ')}"
    folder, n_epochs = study.find(name)
    assert n_epochs == 2
    assert study.find(name) == (folder, 0)
    choice = choose(study.analysis, loser)
    texts, _ = study.val(choice.replicate)
    logged = loser.predictions[choice.replicate]["val"].y_proba
    assert np.abs(load(folder).predict_proba(texts) - logged).max() < 1e-6


@pytest.mark.parametrize("name", ["majority", "nb_lr"])
def test_find_model_fits_a_baseline_once(study, name):
    folder, _ = study.find(f":{name}")
    baseline = next(c for c in study.analysis.contenders if c.key == f"baseline:{name}")
    choice = choose(study.analysis, baseline)
    texts, _ = study.val(choice.replicate)
    logged = baseline.predictions[choice.replicate]["val"].y_proba
    assert np.abs(load(folder).predict_proba(texts) - logged).max() < 1e-9
    assert study.find(f":{name}") == (folder, 0)
    run_of = study.client.get_run(choice.trained)
    assert run_of.info.status == "FINISHED"
    requirements = (folder.parents[1] / "requirements.txt").read_text()
    assert "keras" not in requirements
    assert requirements.startswith("mlflow==")


def test_find_model_refits_on_train_and_validation_once(study):
    before = load_results(study.uri, study.suite)
    folder, n_epochs = study.find("", refit=True)
    assert n_epochs == 2
    assert study.find("", refit=True) == (folder, 0)
    found = about(folder)
    assert "on the 120 sequences of train and validation together" in found["why"]
    assert "for 2 epochs, the median of what 3 seeds kept" in found["why"]
    assert "those of the procedure, not of this model" in found["why"]
    assert (found["config"]["max_epochs"], found["config"]["patience"]) == (2, None)
    run_of = study.client.get_run(found["run_id"])
    assert run_of.data.tags[rec.TAG_KIND] == "refit"
    assert run_of.data.tags[rec.TAG_STATE] == "complete"
    after = load_results(study.uri, study.suite)
    assert after.left_out.empty
    for table in ("runs", "confirmed", "baselines", "test_looks"):
        pd.testing.assert_frame_equal(getattr(after, table), getattr(before, table))
    # The winner is the one it was.
    assert about(study.find("")[0])["run_id"] == study.choice.trained


def test_find_model_refits_a_baseline_on_all_training_sequences(study):
    folder, _ = study.find(":majority", refit=True)
    y = study.prepared.dataset.train.y
    shares = np.bincount(y) / len(y)
    np.testing.assert_allclose(load(folder).predict_proba(["on"]), [shares])
    assert study.find(":majority", refit=True)[0] == folder


def test_find_model_without_a_confirmation_names_the_command(study, tmp_path):
    other = study.folder / "other.yaml"
    other.write_text(SUITE.replace("seed: 7", "seed: 8"))
    with pytest.raises(LstmBenchError, match="no study"):
        find_model(study.uri, str(other), Recorder())


def test_find_model_of_lost_files_says_so(study):
    folder = study.find(":majority")[0]
    lost = folder / ABOUT
    content = lost.read_bytes()
    lost.unlink()
    try:
        with pytest.raises(LstmBenchError, match="has lost the file"):
            study.find(":majority")
    finally:
        lost.write_bytes(content)


def test_has_model_is_false_for_a_model_of_an_older_format(study):
    run_id = study.choice.trained
    (output,) = study.client.get_run(run_id).outputs.model_outputs
    tags = study.client.get_logged_model(output.model_id).tags
    study.client.set_logged_model_tags(output.model_id, {"lstm_bench.format": "0"})
    try:
        assert not has_model(study.client, run_id)
        assert model_folder(study.client, run_id) is None
    finally:
        study.client.set_logged_model_tags(output.model_id, tags)
    assert has_model(study.client, run_id)


ELSEWHERE = """\
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "lstm_bench":
            raise ImportError(name)


sys.meta_path.insert(0, Blocker())
import json
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
assert model.metadata.signature is not None
print(json.dumps(model.predict(json.loads(sys.argv[3])).to_dict("list")))
print(json.dumps(model.predict(json.loads(sys.argv[3])[:1]).to_dict("list")))
print(json.dumps([name for name in sys.modules if name.startswith("lstm_bench")]))
"""


def test_logged_model_loads_without_this_package_and_without_pickle(study, tmp_path):
    program = [sys.executable, "-P", "-I", "-c", ELSEWHERE, study.uri]
    address = f"runs:/{study.choice.trained}/{rec.MODEL}"
    done = subprocess.run(
        [*program, address, json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
    )
    assert done.returncode == 0, done.stderr
    several, one, modules = map(json.loads, done.stdout.splitlines()[-3:])
    assert modules == []
    folder, _ = study.find("")
    y_proba = load(folder).predict_proba(TEXTS)
    names = study.prepared.dataset.class_names
    assert list(several) == ["label", *(f"p_{name}" for name in names)]
    got = np.column_stack([several[f"p_{name}"] for name in names])
    assert np.abs(got - y_proba).max() < 1e-6
    assert several["label"] == [names[i] for i in y_proba.argmax(axis=1)]
    assert np.abs(one[f"p_{names[0]}"][0] - y_proba[0, 0]) < 1e-6
    assert not list(folder.parents[1].rglob("*.pkl"))
    assert (folder / "model.keras").is_file()


# export


@pytest.mark.parametrize(
    ("name", "form", "file"),
    [
        ("tiny.yaml", "keras", "model.keras"),
        ("tiny.yaml:nb_lr", "mlflow", "MLmodel"),
    ],
)
def test_export_writes_the_model_of_a_name(name, form, file, study, monkeypatch, capfd):
    monkeypatch.chdir(study.folder)
    arguments = ("export", name, "--format", form, "--tracking-uri", study.uri)
    assert run(*arguments) == 0
    said = capfd.readouterr().out
    folder = name.replace(".yaml:", "-").removesuffix(".yaml")
    assert f"exported: exports/{folder}-{form}" in said
    assert "compared on 24 validation examples" in said
    assert about(study.find(name.removeprefix("tiny.yaml"))[0])["why"] in said
    assert (study.folder / "exports" / f"{folder}-{form}" / file).is_file()
    assert run(*arguments) == 2
    assert "exists already" in capfd.readouterr().err


def test_export_of_a_baseline_names_the_format_that_has_it(study, tmp_path, capfd):
    name, out = f"{study.folder}/tiny.yaml:majority", tmp_path / "out"
    options = ("--format", "onnx", "--out", out, "--tracking-uri", study.uri)
    assert run("export", name, *options) == 2
    assert "majority class is a baseline" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


# predict


@pytest.fixture
def predict(study, monkeypatch, capfd):
    monkeypatch.chdir(study.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(name, *arguments, code=0):
        assert run("predict", name, *arguments) == code
        return capfd.readouterr()

    return call


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_predict_shows_the_classes_of_one_text(study, predict):
    folder, _ = study.find("")
    model = load(folder)
    said = predict("tiny.yaml", "on the wall")
    (row,) = model.predict_proba(["on the wall"])
    names = model.class_names
    shown = [line.split() for line in said.out.splitlines()]
    best = int(row.argmax())
    assert shown[0] == [names[best], f"{row[best]:.4f}"]
    assert shown[1] == [names[1 - best], f"{row[1 - best]:.4f}"]
    assert about(folder)["why"] in said.err


def test_predict_marks_a_text_of_unknown_words(predict):
    assert "does not know 75% of the words" in predict("tiny.yaml", "on x y z").out
    assert "the text has no words" in predict("tiny.yaml", " ").out
    assert "does not know" not in predict("tiny.yaml", "on off").out


# explain


@pytest.fixture
def explain(study, monkeypatch, capfd):
    monkeypatch.chdir(study.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*arguments, code=0):
        assert run("explain", *arguments) == code
        return capfd.readouterr().err

    return call


def test_explain_writes_a_page_and_its_numbers(study, explain):
    said = explain("tiny.yaml", "on the wall stop")
    assert "page: reports/tiny/explained.html" in said
    folder, _ = study.find("")
    assert about(folder)["why"] in said
    page = (study.folder / "reports" / "tiny" / "explained.html").read_text()
    found = json.loads((study.folder / "reports/tiny/explained.json").read_text())
    assert found["steps"] == ["(start)", "on", "the", "wall", "stop"]
    (proba,) = load(folder).predict_proba(["on the wall stop"])
    assert found["proba"] == pytest.approx(proba, abs=1e-5)
    assert "Gates and memory" in page
    # Seeds are compared where their models are logged, and no training is begun.
    assert found["seeds"] == []
    assert "--seeds 3 trains two more" in page
    assert "do not rely on it" not in said
    # It knows one word of six.
    said = explain("tiny.yaml", "on wall a1 b2 c3 d4")
    assert "does not know 83% of the words: do not rely on it" in said


def test_explain_trains_further_seeds_once(study, explain):
    options = ("on the wall stop", "--seeds", "3", "--out", "seeds.html")
    assert explain("tiny.yaml", *options).count("once more for its model") == 2
    found = json.loads((study.folder / "seeds.json").read_text())
    seeds = {found["replicate"], *(seed["replicate"] for seed in found["seeds"])}
    assert seeds == {1, 2, 3}
    assert len(found["agreement"]) == 3
    assert "once more" not in explain("tiny.yaml", *options)
    assert "expected at most 3" in explain("tiny.yaml", "on", "--seeds", "4", code=2)


def test_explain_shows_an_example_of_test_and_its_class(study, explain):
    explain("tiny.yaml:nb_lr", "--example", "3", "--out", "third.html")
    found = json.loads((study.folder / "third.json").read_text())
    dataset = study.prepared.dataset
    assert " ".join(found["steps"][1:]) == dataset.raw(dataset.test, 3)
    assert found["true_class"] == dataset.class_names[dataset.test.y[3]]
    total = sum(each["contribution"] for each in found["ngrams"])
    assert total + found["baseline_score"] == pytest.approx(found["score"])
    p = found["proba"][found["target"]]
    assert found["score"] == pytest.approx(np.log(p / (1 - p)))
    assert found["layers"] == []


def test_explain_says_what_a_baseline_repeats(explain):
    said = explain("tiny.yaml:majority", "on a1 b2 c3")
    assert "It reads nothing of the input and repeats the classes' shares" in said
    assert "do not rely on it" not in said


def test_explain_refuses_what_it_cannot_explain(study, explain, tmp_path):
    (tmp_path / "one.txt").write_text("on the wall")
    assert "page:" in explain("tiny.yaml", "--file", f"{tmp_path}/one.txt")
    for arguments, message in (
        (("tiny.yaml", "--example", "40"), "expected 0 to 39"),
        (("tiny.yaml", " "), "no words"),
        (("tinny.yaml", "on"), "tinny"),
        (("tiny.yaml",), "expected one of TEXT, --file and --example, got 0"),
        (("tiny.yaml", "on", "--example", "1"), "got 2"),
        (("tiny.yaml", "--file", f"{tmp_path}/two.txt"), "No such file"),
        (("tiny.yaml", "on", "--out", "page.pdf"), "ends in .html"),
    ):
        assert message in explain(*arguments, code=2), arguments


def test_the_winners_samples_are_explained_in_the_report(study):
    results = load_results(study.uri, study.suite)
    samples = results.explained[study.choice.trained]
    fixed = results.samples[results.samples["run_id"] == study.choice.trained]
    assert [s.index for s in samples] == fixed["index"].tolist()
    for sample, y_proba in zip(samples, fixed["y_proba"], strict=True):
        assert sample.p[-1] == pytest.approx(max(y_proba), abs=1e-3)
    (section,) = [s for s in build_sections(analyse(results)) if s.anchor == "samples"]
    kinds = [type(block) for block in section.blocks]
    assert kinds.count(Words) == 5 * kinds.count(Drawing)
    assert Drawing in kinds


# predict files


@pytest.mark.parametrize("name", ["tiny.yaml", "tiny.yaml:nb_lr"])
def test_predict_keeps_a_files_columns_and_adds_classes(study, predict, tmp_path, name):
    file, out = tmp_path / "new.csv", tmp_path / "out.csv"
    file.write_text("id,text\n=1+1,on the wall\n8,off off\n")
    said = predict(name, "--file", file, "--out", out)
    assert said.out == ""
    assert f"2 rows: {out}" in said.err
    rows = read_csv(out)
    folder, _ = study.find(name.removeprefix("tiny.yaml"))
    model = load(folder)
    y_proba = model.predict_proba(["on the wall", "off off"])
    assert list(rows[0])[:3] == ["id", "text", "label"]
    # A formula would be run by a spreadsheet.
    assert [row["id"] for row in rows] == ["'=1+1", "8"]
    assert [row["text"] for row in rows] == ["on the wall", "off off"]
    for i, class_name in enumerate(model.class_names):
        got = [float(row[f"p_{class_name}"]) for row in rows]
        np.testing.assert_allclose(got, y_proba[:, i], atol=1e-6)


def test_predict_marks_each_row_with_its_share_of_unknown_words(predict, tmp_path):
    file, out = tmp_path / "new.csv", tmp_path / "out.csv"
    file.write_text('text\non x y z\non off\n" "\n')
    said = predict("tiny.yaml:majority", "--file", file, "--out", out)
    assert [row["unknown_words"] for row in read_csv(out)] == ["0.75", "0.0", ""]
    assert "knows less than half of the words of 1 of 3 inputs" in said.err


def test_predict_writes_json_lines(predict, tmp_path):
    file, out = tmp_path / "new.jsonl", tmp_path / "out.jsonl"
    file.write_text('{"text": "on", "label": "a", "n": 1}\n{"text": "off", "n": null}')
    predict("tiny.yaml:majority", "--file", file, "--out", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["n"] for row in rows] == [1, None]
    # The file's own labels stay.
    assert [row["label"] for row in rows] == ["a", None]
    assert {row["predicted_label"] for row in rows} <= {"off", "on"}


def test_predict_reads_lines_of_standard_input(predict, monkeypatch, tmp_path):
    lines = tmp_path / "lines"
    lines.write_text("on the wall\n\noff\n")
    with lines.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        rows = list(csv.DictReader(predict("tiny.yaml:majority", "-").out.splitlines()))
    assert [row["input"] for row in rows] == ["on the wall", "", "off"]
    rows = list(
        csv.DictReader(predict("tiny.yaml:majority", "a", "b").out.splitlines())
    )
    assert [row["input"] for row in rows] == ["a", "b"]


def test_predict_answers_a_line_of_standard_input_before_the_next(study):
    arguments = ("tiny.yaml:majority", "--tracking-uri", study.uri)
    with subprocess.Popen(
        [sys.executable, "-m", "lstm_bench", "predict", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=study.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        # An answer that does not come fails the test, and does not hang it.
        timer = threading.Timer(600, process.kill)
        timer.start()
        for text in (b"on the wall", b"off"):
            process.stdin.write(text + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if line.startswith(b"input,"):
                line = process.stdout.readline()
            assert line.startswith(text + b",")
        process.stdin.close()
        assert process.wait() == 0
        timer.cancel()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,text\n1,on\n2,off,x\n", "a.csv: line 3: another number"),
        ("a.csv", "id,text,p_off\n1,on,\n", "'p_off': the file has a column"),
        ("a.ts", "@classLabel false\n@data\n1,2\n", "reads texts, got series"),
        ("a.jsonl", '{"text": "on"}\n{"text": 5}\n', "a.jsonl: line 2"),
    ],
)
def test_predict_of_a_bad_file_writes_nothing(
    predict, tmp_path, name, content, message
):
    (tmp_path / name).write_text(content)
    out = tmp_path / "out.csv"
    said = predict(
        "tiny.yaml:majority", "--file", tmp_path / name, "--out", out, code=2
    )
    assert message in said.err
    assert "on_bad_rows" not in said.err
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_predict_refuses_what_it_cannot_write_or_read(predict, tmp_path):
    said = predict("tiny.yaml:majority", "a", "--out", tmp_path / "a.xls", code=2)
    assert "expected a name that ends in .csv, .jsonl" in said.err
    assert "got both" in predict("tiny.yaml", "a", "--file", "b.csv", code=2).err
    # Before the model is looked for.
    said = predict("no-such-suite", "--file", tmp_path / "b.csv", code=2)
    assert "b.csv: expected a file or folder, found none" in said.err
    assert "names a column of --file" in predict("tiny.yaml", "--text", "b", code=2).err
    assert "lstm-bench sweep" in predict("quick", "a", code=2).err


# serve


@pytest.fixture(scope="module")
def server(study):
    """Serve the winner with the command; return what it printed, and its address."""
    port = free_port()
    said_file = study.folder / "said"
    arguments = ("tiny.yaml", "--port", str(port), "--tracking-uri", study.uri)
    with said_file.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "lstm_bench", "serve", *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=study.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
    try:
        for _ in range(1200):
            if "Ctrl-C" in said_file.read_text() or process.poll() is not None:
                break
            time.sleep(0.2)
        said = said_file.read_text()
        assert "Ctrl-C stops it" in said
        yield said, f"http://127.0.0.1:{port}/invocations"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert said_file.read_text().endswith("stopped\n")
    finally:
        process.kill()
        process.wait()


def post(address: str, body: bytes) -> tuple[int, dict]:
    request = urllib.request.Request(
        address, body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_serve_answers_one_text_and_several_as_predict_does(study, server):
    _, address = server
    model = load(study.find("")[0])
    for texts in (TEXTS[:1], TEXTS):
        status, answer = post(address, json.dumps({"inputs": texts}).encode())
        assert status == 200
        y_proba = model.predict_proba(texts)
        for row, expected in zip(answer["predictions"], y_proba, strict=True):
            got = [row[f"p_{name}"] for name in model.class_names]
            assert np.abs(got - expected).max() < 1e-6
            assert row["label"] == model.class_names[expected.argmax()]


def test_serve_refuses_bad_requests_and_lives(server):
    _, address = server
    for body in (
        b'{"texts": ["on"]}',
        b'{"inputs": [5]}',
        b'{"inputs": "on"}',
        b'{"inputs": [null]}',
        b'{"inputs": ["on"',
        b"5",
        b"\xff",
    ):
        status, _ = post(address, body)
        assert 400 <= status < 500, body
    assert post(address, b'{"inputs": ["on"]}')[0] == 200


def test_serve_prints_a_command_that_works(study, server):
    said, address = server
    (line,) = [line for line in said.splitlines() if line.startswith("curl ")]
    words = shlex.split(line)
    assert words[1] == address
    status, answer = post(address, words[words.index("-d") + 1].encode())
    assert (status, len(answer["predictions"])) == (200, 2)
    assert about(study.find("")[0])["why"] in said


def test_serve_of_a_port_in_use_is_a_message(study, server, predict, capfd):
    port = server[1].split(":")[2].split("/")[0]
    assert run("serve", "tiny.yaml", "--port", port) == 2
    assert "something listens on" in capfd.readouterr().err


# register


def test_register_makes_versions_with_an_alias_and_scores(study, predict, capfd):
    arguments = ("register", "tiny.yaml", "films", "--alias", "champion")
    assert run(*arguments) == 0
    assert "version 1 of films: models:/films@champion" in capfd.readouterr().out
    version = study.client.get_model_version_by_alias("films", "champion")
    assert version.run_id == study.choice.trained
    winner = study.analysis.winner
    interval = winner.test_interval
    shown = version.tags["lstm_bench.test_accuracy"]
    assert shown.startswith(f"{interval.estimate:.4f} (95 % {interval.low:.4f}")
    assert shown.endswith(", 3 seeds")
    assert version.tags["lstm_bench.suite"] == "tiny"
    assert version.tags["lstm_bench.study"] == study.suite.study_name
    assert version.tags["lstm_bench.name"] == winner.label
    assert run("register", "tiny.yaml:majority", "films", "--alias", "champion") == 0
    capfd.readouterr()
    newest = study.client.get_model_version_by_alias("films", "champion")
    assert newest.version == "2" or newest.version == 2
    mlflow.set_tracking_uri(study.uri)
    table = mlflow.pyfunc.load_model("models:/films@champion").predict(TEXTS)
    assert len(table) == 2


def test_register_of_a_name_that_mlflow_refuses_is_a_message(predict, capfd):
    assert run("register", "tiny.yaml", "a/b") == 2
    assert "MLflow's model registry refuses" in capfd.readouterr().err


# ensembles


def test_predict_of_an_ensemble_is_the_mean_of_the_seeds_models(
    study, predict, tmp_path
):
    shown = predict("tiny.yaml", *TEXTS, "--ensemble").out
    rows = list(csv.DictReader(shown.splitlines()))
    written = find_ensemble(study.uri, "tiny.yaml", tmp_path, Recorder()).folder
    ensemble = load(files_of(written))
    side = find_side(study.uri, "tiny.yaml")
    members = find_seeds(study.uri, side, 2, Recorder())
    assert members[0].run_id == study.choice.trained
    expected = np.mean(
        [load(files_of(m.folder)).predict_proba(TEXTS) for m in members], axis=0
    )
    assert np.ptp([load(files_of(m.folder)).predict_proba(TEXTS) for m in members])
    assert np.abs(ensemble.predict_proba(TEXTS) - expected).max() < 1e-7
    got = [[float(r[f"p_{name}"]) for name in ensemble.class_names] for r in rows]
    assert np.abs(np.array(got) - expected).max() < 1e-5
    # What `serve` serves.
    table = mlflow.pyfunc.load_model(str(written)).predict(TEXTS)
    served = table[[f"p_{name}" for name in ensemble.class_names]].to_numpy()
    assert np.abs(served - expected).max() < 1e-6


def test_the_models_of_an_ensemble_are_logged_once(study, predict):
    baseline = next(c for c in study.analysis.contenders if "tfidf_lr" in c.key)
    analysis = dataclasses.replace(study.analysis, winner=baseline)
    texts = []
    for _ in range(2):
        recorder = Recorder()
        with opened(study.suite, study.folder, recorder) as again:
            log_ensemble_models(again.driver, again.tracker, analysis)
        texts.append(recorder.text())
    assert texts[0].count("once more for its model") == 2
    assert "once more" not in texts[1]
    assert "predict tiny --ensemble" in texts[1]
    said = predict("tiny.yaml:tfidf_lr", "on", "--ensemble").err
    assert "the mean of what the models of 2 seeds of the confirmation predict" in said
    assert "once more" not in said


def test_an_ensemble_that_cannot_be_had_is_a_message(study, predict):
    assert "got both" in predict("tiny.yaml", "on", "--ensemble", "--refit", code=2).err
    original = (study.folder / "tiny.yaml").read_text()
    more = original.replace("n_replicates: 3", "n_replicates: 4")
    for text, message in (
        (original.replace("ensemble: {n: 2}\n", ""), "add ensemble: {n: 5}"),
        (more.replace("{n: 2}", "{n: 4}"), "ensemble.n: expected at most 3, the seeds"),
    ):
        (study.folder / "tiny.yaml").write_text(text)
        try:
            assert message in predict("tiny.yaml", "on", "--ensemble", code=2).err
        finally:
            (study.folder / "tiny.yaml").write_text(original)
