from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from conftest import ROOT

from lstm_bench import __version__
from lstm_bench.suites.suite import load_suite


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the scripts of an environment in which the wheel is installed.

    Everything else that it imports is this environment's: the path of a folder in a
    .pth file does not bring that folder's own .pth files, such as the checkout's.
    """
    built = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d"]
    subprocess.run([*build, built], check=True, cwd=ROOT, capture_output=True)
    environment = tmp_path_factory.mktemp("installed")
    venv.create(environment, with_pip=True)
    (wheel,) = built.iterdir()
    python = environment / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, wheel], check=True, capture_output=True)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "test_environment.pth").write_text("\n".join(sorted(ours)))
    return environment / "bin"


def run(folder: Path, *command: str | Path, code: int = 0) -> str:
    """Return what a command prints in `folder`, and check how it ends."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.slow
def test_wheel_works_in_an_empty_folder(scripts, tmp_path):
    command, python = scripts / "lstm-bench", scripts / "python"
    where = "import lstm_bench; print(lstm_bench.__file__)"
    assert str(scripts.parent) in run(tmp_path, python, "-c", where)
    version = run(tmp_path, python, "-m", "lstm_bench", "--version")
    assert version == f"lstm-bench, version {__version__}\n"
    listed = run(tmp_path, command, "suites")
    for suite in (ROOT / "benchmarks").glob("*.yaml"):
        assert f"shipped, in {scripts.parent}" in listed
        assert f"/lstm_bench/suites/shipped/{suite.name}\n" in listed

    copied = run(tmp_path, command, "suites", "copy", "imdb_small")
    assert copied.endswith("then: lstm-bench sweep imdb_small.yaml\n")
    assert "in imdb_small.yaml\n" in run(tmp_path, command, "suites")
    shown = run(tmp_path, command, "suites", "show", "imdb_small.yaml")
    study = load_suite(ROOT / "benchmarks" / "imdb_small.yaml").study_name
    assert f"study name: {study}\n" in shown
    again = run(tmp_path, command, "suites", "copy", "imdb_small", code=2)
    assert again.startswith("error: imdb_small.yaml: expected a new file")

    swept = run(tmp_path, command, "sweep", "quick", "--trials", "1")
    assert "lstm-bench confirm quick\n" in swept
    assert "report: reports/quick/index.html\n" in swept
    page = (tmp_path / "reports" / "quick" / "report.md").read_text()
    assert "lstm-bench train quick --set" in page
