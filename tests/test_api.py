from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

import lstm_bench
from lstm_bench.errors import LstmBenchError
from lstm_bench.suites.files import SHIPPED

# What the examples train, as a smaller suite of the same name.
SMALLER = {
    "dataset: word_order": (
        "dataset: {name: word_order, options: {n_train: 300}}\nengine: stock"
    ),
    "max_epochs: 8": "max_epochs: 1",
    "n_trials: 10": "n_trials: 2",
    "n_replicates: 5": "n_replicates: 2",
    "pairs: {head: [sigmoid, softmax], sequence_length: [20, 40]}": (
        "pairs: {head: [sigmoid, softmax]}"
    ),
}
HEAVY = ("tensorflow", "keras", "mlflow", "optuna", "pandas", "matplotlib", "numpy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Go to a folder in which `quick` is a smaller suite."""
    path = tmp_path_factory.mktemp("api")
    text = (SHIPPED / "quick.yaml").read_text()
    for old, new in SMALLER.items():
        assert old in text
        text = text.replace(old, new)
    (path / "benchmarks").mkdir()
    (path / "benchmarks" / "quick.yaml").write_text(text)
    before = Path.cwd()
    os.chdir(path)
    yield path
    os.chdir(before)


def test_import_loads_nothing_heavy():
    code = (
        "import sys, lstm_bench; dir(lstm_bench); lstm_bench.__version__\n"
        f"print(*sorted(set({HEAVY}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_public_names_are_those_of_the_package_whatever_is_imported_before():
    import lstm_bench.compare_by_name
    import lstm_bench.confirm
    import lstm_bench.sweep

    for name in lstm_bench.__all__:
        assert callable(getattr(lstm_bench, name)), name
        assert name in dir(lstm_bench)
        assert "Examples\n" in getattr(lstm_bench, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'run_swep'"):
        lstm_bench.run_swep  # noqa: B018


def test_errors_are_raised_and_not_printed(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for call in (
        lambda: lstm_bench.load_suite("quik"),
        lambda: lstm_bench.run_sweep("quick", tracking_uri="runs"),
        lambda: lstm_bench.run_sweep("quick", storage="o.db"),
        lambda: lstm_bench.run_sweep("quick", n_trials=0),
        lambda: lstm_bench.run_sweep("quick", timeout_s=-1),
        lambda: lstm_bench.run_sweep("quick", n_workers=0),
        lambda: lstm_bench.run_confirmation("quick", n_replicates=0),
        lambda: lstm_bench.run_confirmation("write_up"),
        lambda: lstm_bench.load_results("quick"),
        lambda: lstm_bench.compare("quick", "imdb"),
        lambda: lstm_bench.predict("quick", ["on"]),
        lambda: lstm_bench.explain("quick", "on"),
        lambda: lstm_bench.explain("quick"),
        lambda: lstm_bench.write_report("quick"),
    ):
        with pytest.raises(LstmBenchError):
            call()
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_examples_of_the_public_functions(folder, capfd):
    names = ("load_suite", "run_sweep", "run_confirmation")
    names += ("load_results", "compare", "predict", "explain")
    names += ("write_report",)
    assert set(names) == set(lstm_bench.__all__)
    for name in names:
        function = getattr(lstm_bench, name)
        (example,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
        failed, tried = doctest.DocTestRunner().run(example)
        assert (failed, tried > 1) == (0, True), name
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_api_page_runs_from_start_to_end(folder, capsys):
    page = (ROOT / "docs" / "api.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), names)
    out = capsys.readouterr().out
    assert "report: reports/quick/index.html\n" in out
    assert "best LSTM: " in out
    assert (folder / "reports" / "quick" / "index.html").is_file()
