"""`mlflow run .` works where neither pyenv nor conda exists."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from commands import run
from conftest import ROOT, TINY_SUITE

from lstm_bench.cli import main as cli

PROJECT = yaml.safe_load((ROOT / "mlproject").read_text())


def test_every_entry_point_has_typed_parameters_with_defaults():
    names = {"main", "sweep", "confirm", "train", "report"}
    assert set(PROJECT["entry_points"]) == names
    for entry in PROJECT["entry_points"].values():
        for parameter in entry["parameters"].values():
            assert set(parameter) == {"type", "default"}


def test_main_is_a_sweep_with_its_confirmation_and_every_option_exists():
    main, sweep = (PROJECT["entry_points"][name] for name in ("main", "sweep"))
    assert main["parameters"] == sweep["parameters"]
    assert main["command"] == f"{sweep['command']} --confirm"
    for entry in PROJECT["entry_points"].values():
        words = entry["command"].split()
        # -P: an empty optuna.py in the project's folder is not imported for Optuna.
        assert words[:4] == ["python", "-P", "-m", "lstm_bench"]
        command = cli.cli.commands[words[4]]
        known = {o for p in command.params for o in p.opts}
        assert {w for w in words if w.startswith("--")} <= known


def test_the_main_job_installs_no_development_tools():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["uv"]["default-groups"] == []
    tools = {"pytest", "ruff", "mypy"}
    written = (ROOT / "README.md").read_text() + (ROOT / ".ci" / "run").read_text()
    used = set()
    for line in written.splitlines():
        for words in (part.split() for part in re.findall(r"uv run ([^&#`]+)", line)):
            is_dev = words[:2] == ["--group", "dev"]
            tool = words[2 if is_dev else 0]
            used.add(tool)
            assert is_dev == (tool in tools), line
    assert used == {"mlflow", *tools}


def mlflow_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the project with a PATH that has no pyenv and no conda."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    for tool in ("bash", "sh", "git", "env"):
        if (found := shutil.which(tool)) and not (tools / tool).exists():
            (tools / tool).symlink_to(found)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    for name in ("PYENV_ROOT", "PYENV_SHELL", "CONDA_EXE", "MLFLOW_CONDA_HOME"):
        environment.pop(name, None)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{tools}"
    return subprocess.run(
        [sys.executable, "-P", "-m", "mlflow", "run", ".", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_one_study_lies_in_one_experiment_and_local_works_too(tmp_path, monkeypatch):
    shutil.copy(ROOT / "mlproject", tmp_path)
    for name in ("optuna", "keras", "numpy", "click", "random", "mlflow"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "tiny.yaml").write_text(TINY_SUITE)
    done = mlflow_run(tmp_path, "-P", "suite=tiny.yaml", "-P", "trials=1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports" / "tiny" / "index.html").stat().st_size > 10_000
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        runs = store.execute(
            "select r.run_uuid, r.status, t.value, e.name from runs r"
            " join experiments e on e.experiment_id = r.experiment_id"
            " left join tags t on t.run_uuid = r.run_uuid and t.key = 'lstm_bench.kind'"
            " order by r.start_time"
        ).fetchall()
        assert [run[1:] for run in runs] == [
            # The command's own, with its parameters; it leads to the sweep's.
            ("FINISHED", None, "Default"),
            ("FINISHED", "sweep", "lstm-bench/tiny"),
            *[("FINISHED", "baseline", "lstm-bench/tiny")] * 3,
            ("FINISHED", "trial", "lstm-bench/tiny"),
        ]
        command, sweep = runs[0][0], runs[1][0]
        parents = store.execute(
            "select distinct value from tags where key = 'mlflow.parentRunId'"
        ).fetchall()
        assert parents == [(sweep,)]
        (session,) = store.execute(
            "select value from tags where key = 'lstm_bench.session' and run_uuid = ?",
            (command,),
        ).fetchone()
        assert session == sweep

    # The command line goes on with the same study, in the same experiment.
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run("sweep", "tiny.yaml", "--trials", "2", "--workers", "1") == 0
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        experiments = store.execute(
            "select e.name, count(*) from runs r"
            " join experiments e on e.experiment_id = r.experiment_id"
            " join tags t on t.run_uuid = r.run_uuid and t.key = 'lstm_bench.study'"
            " group by e.name"
        ).fetchall()
    ((name, n_runs),) = experiments
    assert name == "lstm-bench/tiny"
    # Two sweeps, two trials, and baselines.
    assert n_runs >= 7

    done = mlflow_run(
        tmp_path, "--env-manager=local", "-e", "report", "-P", "suite=tiny.yaml"
    )
    assert done.returncode == 0, done.stderr
