"""What a result was made with, and whether its packages start as fast as they can."""

from __future__ import annotations

import compileall
import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

from lstm_bench.system import environment
from lstm_bench.system.environment import (
    PACKAGE,
    bytecode_advice,
    describe_environment,
    is_committed,
)
from lstm_bench.system.files import files_digest
from lstm_bench.training.prepare import prepare


@pytest.fixture
def site_packages(tmp_path, monkeypatch):
    """A folder with one slow package that has no bytecode yet."""
    folder = tmp_path / "site packages"
    (folder / "slow_to_import").mkdir(parents=True)
    (folder / "slow_to_import" / "__init__.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(environment, "SLOW_TO_COMPILE", ("slow_to_import", "absent"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return folder


def test_bytecode_advice_is_none_where_packages_are_compiled(site_packages):
    compileall.compile_dir(site_packages, quiet=2)
    assert bytecode_advice() is None


def test_bytecode_advice_gives_a_command_that_ends_the_advice(site_packages):
    advice = bytecode_advice()
    assert advice.startswith("slow_to_import lack bytecode")
    assert "PYTHONDONTWRITEBYTECODE is set" in advice
    command = shlex.split(advice.partition("run once: ")[2])
    assert command[0] == sys.executable
    subprocess.run(command, check=True)
    assert bytecode_advice() is None


def test_bytecode_advice_calls_the_first_start_slow_where_python_keeps_it(
    site_packages, monkeypatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert bytecode_advice().startswith("this start compiles slow_to_import")


def test_bytecode_advice_names_a_folder_that_cannot_be_written(
    site_packages, monkeypatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"{site_packages} is read-only" in bytecode_advice()


def git(folder, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


def described(folder) -> dict:
    """Return what the copy of the package in `folder` records of itself."""
    code = (
        "import json\nfrom lstm_bench.system import environment as e\n"
        "print(json.dumps(e.describe_environment()))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def test_git_dirty_and_code_digest_see_every_file_of_the_package(tmp_path, monkeypatch):
    package = tmp_path / "lstm_bench"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lstm_bench", package, ignore=ignored)
    assert described(tmp_path)["git_dirty"] is None
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "lstm_bench")
    git(tmp_path, "commit", "-qm", "all")
    clean = described(tmp_path)
    assert clean["git_dirty"] is False
    assert clean["code_digest"] == describe_environment()["code_digest"]
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "of_a_hook"))
    assert described(tmp_path) == clean
    monkeypatch.delenv("GIT_DIR")
    # What is beside the package is none of it.
    (tmp_path / "notes.txt").touch()
    assert described(tmp_path) == clean
    new = package / "data" / "mine.py"
    new.touch()
    untracked = described(tmp_path)
    assert untracked["git_dirty"] is True
    assert untracked["code_digest"] != clean["code_digest"]
    # git may be told to be silent of a file; the digest is not.
    (tmp_path / ".git" / "info" / "exclude").write_text("mine.py\n")
    silenced = described(tmp_path)
    assert silenced["git_dirty"] is False
    assert silenced["code_digest"] == untracked["code_digest"]


def test_is_committed_compares_what_was_read_with_what_git_has(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("a: 1\n")
    assert is_committed(file, "a: 1\n") is None
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "none", "--allow-empty")
    assert is_committed(file, "a: 1\n") is False
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    assert is_committed(file, "a: 1\n") is True
    assert is_committed(file, "a: 2\n") is False
    assert is_committed(tmp_path / "other.yaml", "a: 1\n") is False
    assert is_committed(tmp_path / "none" / "mine.yaml", "a: 1\n") is None
    assert is_committed(PACKAGE / "suites" / "shipped" / "quick.yaml", "a: 1\n") is None


def test_a_study_records_its_suite_file_and_its_datasets_code(tiny_suite):
    prepared = prepare(tiny_suite, None)
    assert prepared.about_machine["suite_committed"] is None
    synthetic = ROOT / "lstm_bench" / "data" / "synthetic.py"
    assert prepared.about_data["code_digest"] == files_digest(
        synthetic.parent, [synthetic]
    )
