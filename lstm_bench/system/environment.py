"""Describe the environment of a result: versions, machine, commit."""

from __future__ import annotations

import locale
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

import lstm_bench
from lstm_bench import __version__
from lstm_bench.masking import mask_text
from lstm_bench.system.files import files_digest
from lstm_bench.system.startup import NOT_RECORDED, RECORDED, is_listed
from lstm_bench.system.threads import n_cores, n_threads

PACKAGES = (
    "tensorflow",
    "keras",
    "mlflow",
    "optuna",
    "numpy",
    "pandas",
    "scikit-learn",
    "matplotlib",
)
OPTIONAL_PACKAGES = ("numba",)
# Slow to compile: some 14 s of CPU for TensorFlow with Keras, 5 for MLflow.
SLOW_TO_COMPILE = ("tensorflow", "keras", "mlflow")
PACKAGE = Path(lstm_bench.__file__).parent
# A path may contain the user's name, and changes no result.
_PATH = re.compile(r"~?/[^\s,:;]+")


def describe_environment() -> dict[str, Any]:
    """Return versions, CPU, cores, memory, OS and git state as plain JSON types.

    ``git_commit`` and ``git_dirty`` are those of the repository that tracks this code,
    None outside of one; an untracked file counts as a change. ``code_digest`` is that
    of the package as it ran, independent of git. ``settings`` are the process's
    settings that may change a result. The host and its user are not identified.
    """
    commit, dirty = _git_state()
    return {
        "lstm_bench": __version__,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _installed()},
        "os": platform.platform(terse=True),
        "cpu_model": _cpu_model(),
        "n_cores": n_cores(),
        "n_threads": n_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "git_commit": commit,
        "git_dirty": dirty,
        "code_digest": files_digest(PACKAGE, sorted(PACKAGE.rglob("*.py"))),
        "settings": ambient_settings(),
    }


def bytecode_advice() -> str | None:
    """Return how to compile packages without bytecode; None if all have bytecode.

    uv does not compile by default. Python then compiles at the first import and saves
    the result, unless ``PYTHONDONTWRITEBYTECODE`` is set or the folder is read-only:
    then every process compiles again.
    """
    missing = []
    for name in SLOW_TO_COMPILE:
        spec = find_spec(name)
        if spec and spec.origin and spec.cached and not Path(spec.cached).exists():
            missing.append((name, Path(spec.origin).parent.parent))
    if not missing:
        return None
    names = ", ".join(name for name, _ in missing)
    folder = str(missing[0][1])
    if not sys.dont_write_bytecode and os.access(folder, os.W_OK):
        return f"this start compiles {names}, which takes about 20 s once"
    why = (
        "PYTHONDONTWRITEBYTECODE is set"
        if sys.dont_write_bytecode
        else f"{folder} is read-only"
    )
    return (
        f"{names} lack bytecode and {why}, so that every process compiles them "
        "again, about 20 s of CPU each; install with `uv sync --compile-bytecode`, or "
        f"run once: {shlex.join([sys.executable, '-m', 'compileall', '-q', folder])}"
    )


def ambient_settings() -> dict[str, str]:
    """Return the settings of this process that may change a result.

    These are the variables of `RECORDED`, Python's -O and a non-C numeric locale.
    """
    found = {
        name: _PATH.sub("PATH", mask_text(value))
        for name, value in sorted(os.environ.items())
        if is_listed(name, RECORDED) and not is_listed(name, NOT_RECORDED)
    }
    if sys.flags.optimize:
        found["PYTHONOPTIMIZE"] = str(sys.flags.optimize)
    numbers = locale.setlocale(locale.LC_NUMERIC)
    if numbers != "C":
        found["LC_NUMERIC"] = numbers
    return found


def is_committed(file: Path, text: str) -> bool | None:
    """Whether git has `file` with the content `text`; None outside of a repository."""
    if PACKAGE in file.parents:
        # From a wheel: an environment inside another repository is not tracked by it.
        return None
    try:
        _git("rev-parse", "HEAD", folder=file.parent)
        return _git("show", f"HEAD:./{file.name}", folder=file.parent) == text.strip()
    except subprocess.CalledProcessError as error:
        return False if error.cmd[1] == "show" else None
    except (OSError, subprocess.SubprocessError):
        return None


def gpu_names() -> list[str]:
    """Return the NVIDIA GPUs without importing TensorFlow, which takes 10 s."""
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [
        line.partition(":")[2].strip()
        for card in cards
        for line in card.read_text(encoding="utf-8").splitlines()
        if line.startswith("Model:")
    ]


def _installed() -> list[str]:
    return [*PACKAGES, *(n for n in OPTIONAL_PACKAGES if find_spec(n) is not None)]


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_state() -> tuple[str | None, bool | None]:
    try:
        # An environment inside another repository is not tracked by it.
        _git("ls-files", "--error-unmatch", "__init__.py")
        changed = _git("status", "--porcelain", "--untracked-files=all", ".")
        return _git("rev-parse", "HEAD"), bool(changed)
    except (OSError, subprocess.SubprocessError):
        return None, None  # no git, no repository, or no commit yet


def _git(*arguments: str, folder: Path = PACKAGE) -> str:
    done = subprocess.run(
        ["git", *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
        timeout=10,
        cwd=folder,
        # Git hooks set GIT_DIR and others to the repository of the commit.
        env={k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
    )
    return done.stdout.strip()
