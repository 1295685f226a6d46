"""The command line as a person meets it: help, listings, errors with code 2."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from commands import run
from conftest import ROOT

HEAVY = ("tensorflow", "keras", "mlflow", "optuna", "pandas", "matplotlib")


def loaded_by(code: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_help_and_suite_commands_load_nothing_heavy():
    for arguments in (["--help"], ["suites"], ["suites", "check", "quick"]):
        code = (
            "from lstm_bench.cli.main import cli\n"
            f"cli({arguments!r}, standalone_mode=False)"
        )
        assert loaded_by(code) == set(), arguments


def test_a_report_loads_no_tensorflow():
    code = (
        "import lstm_bench.tracking.tracker, lstm_bench.stores\n"
        "import lstm_bench.report.render"
    )
    assert not loaded_by(code) & {"tensorflow", "keras"}


def test_suites_lists_checks_and_shows(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert run("suites") == 0
    out = capsys.readouterr().out
    assert "in benchmarks/imdb_small.yaml\n" in out
    assert "shipped" not in out
    assert run("suites", "check", "benchmarks/quick.yaml") == 0
    assert "valid" in capsys.readouterr().out
    assert run("suites", "show", "quick") == 0
    shown = capsys.readouterr().out
    assert "configurations: 18" in shown
    assert "units: 8, 16, 32" in shown
    assert "engine: auto" in shown


def test_data_info_says_what_a_dataset_is(capsys):
    assert run("data", "info", "synthetic") == 0
    out = capsys.readouterr().out
    for words in ("train: 2,000 reviews", "median", "digest", "best possible accuracy"):
        assert words in out
    assert run("data", "info", "word_order") == 0
    out = capsys.readouterr().out
    assert "train: 2,000 sequences" in out
    assert "review" not in out


def test_data_info_announces_what_may_take_long_before_it_begins(capsys, tmp_path):
    # Damaged, so the announcement came before the archive was read.
    (tmp_path / "aclImdb_v1.tar.gz").write_bytes(b"no archive")
    assert run("data", "info", "imdb", "--data-dir", str(tmp_path)) == 2
    said = capsys.readouterr()
    assert said.err.startswith("reading imdb (up to a minute the first time) ...\n")
    assert said.out == ""
    assert run("data", "info", "synthetic") == 0
    assert "reading" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "tiny.yaml", "--trials", "0"], "0 is not in the range"),
        (["sweep", "tiny.yaml", "--trials", "many"], "not a valid integer"),
        (["sweep", "tiny.yaml", "--timeout", "-1"], "not in the range"),
        (["sweep", "none.yaml"], "no such suite file"),
        (["sweep", "tiny.yaml", "--out", "tiny.yaml/report"], "cannot be made"),
        (["sweep", "tiny.yaml", "--tracking-uri", "http://127.0.0.1:9"], "no MLflow"),
        (["sweep", "tiny.yaml", "--tracking-uri", "runs"], "plain-folder store"),
        (["sweep", "tiny.yaml", "--tracking-uri", "sqlite:///no/m.db"], "not a folder"),
        (["sweep", "tiny.yaml", "--storage", "o.db"], "expected a database URL"),
        (["sweep", "tiny.yaml", "--storage", "sqlite:///no/o.db"], "not a folder"),
        (["sweep", "imdb.yaml", "--data-dir", "."], "aclImdb"),
        (["train", "tiny.yaml", "--set", "unit=3"], "did you mean 'units'"),
        (["train", "tiny.yaml", "--set", "units=0"], "greater than or equal to 1"),
        (["report", "tiny.yaml"], "run `lstm-bench sweep` first"),
        (["publish", "tiny.yaml", "--allow-synthetic"], "run `lstm-bench sweep` first"),
        (["publish"], "Missing argument 'SUITE...'"),
        (["data", "info", "imbd"], "expected one of adding, digits, file, forecast"),
        (["suites", "copy", "imdb", "imdb.yaml"], "expected a new file, got one"),
        (["swep"], "No such command"),
    ],
)
def test_a_users_error_is_one_message_and_code_2(
    arguments, message, write_suite, tmp_path, monkeypatch, capfd
):
    text = write_suite().read_text()
    dataset = "dataset: {name: synthetic, options: {n_train: 240, n_test: 60}}"
    (tmp_path / "imdb.yaml").write_text(text.replace(dataset, "dataset: imdb"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("LSTM_BENCH_DATA", raising=False)
    assert run(*arguments) == 2
    error = capfd.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_train_scores_one_configuration(write_suite, tmp_path, monkeypatch, capfd):
    write_suite()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run("train", "tiny.yaml", "--set", "units=3", "--test") == 0
    out = capfd.readouterr().out
    assert "val (n = 48): accuracy" in out
    assert "test (n = 60): accuracy" in out
    assert {p.name for p in tmp_path.iterdir()} == {"tiny.yaml", "mlflow.db", "mlruns"}


@pytest.mark.slow
def test_sweep_writes_state_and_report_here(write_suite, tmp_path, monkeypatch, capfd):
    write_suite()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run("sweep", "tiny.yaml", "--trials", "1", "--data-dir", "") == 0
    said = capfd.readouterr()
    assert re.search(r"\[1/1\] .+ \(trial 0\): complete", said.out)
    assert "report: reports/tiny/index.html" in said.out
    assert said.err == ""
    kept = {p.name for p in tmp_path.iterdir() if not p.name.startswith(".")}
    assert kept == {"tiny.yaml", "mlflow.db", "mlruns", "optuna.db", "reports"}
    page = tmp_path / "reports" / "tiny" / "index.html"
    first = page.read_text()
    page.unlink()
    assert run("report", "tiny.yaml") == 0
    assert page.read_text() == first
    capfd.readouterr()
    assert run("publish", "tiny.yaml", "--out", "out") == 2
    assert "--allow-synthetic" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run("publish", "tiny.yaml", "--out", "out", "--allow-synthetic") == 0
    said = capfd.readouterr().out.splitlines()
    assert said == [
        "published: out/published/tiny/index.html",
        "index: out/README.md",
    ]
