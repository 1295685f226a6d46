"""What a result was made with, and whether its packages start as fast as they can."""

from __future__ import annotations

import compileall
import os
import shlex
import subprocess
import sys

import pytest

from lstm_bench import environment
from lstm_bench.environment import bytecode_advice


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
