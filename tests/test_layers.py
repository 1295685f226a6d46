"""Modules import only what stands before them: layers point one way, no cycles."""

from __future__ import annotations

import ast

import pytest
from conftest import ROOT
from distributed import Client

from lstm_bench.data.folder import keep
from lstm_bench.data.registry import load_dataset
from lstm_bench.training.model_folder import Origin
from lstm_bench.workers.cluster import start_local
from lstm_bench.workers.job import Job, run_job

ORDER = (
    "__init__",
    "masking",
    "text",
    "errors",
    "seeding",
    "stores",
    "arrays",
    "inference",
    "tasks",
    "metrics",
    "system",
    "data",
    "suites",
    "models",
    "packed",
    "training",
    "tracking",
    "ui",
    "analysis",
    "report",
    "publish",
    "search",
    "explaining",
    "workers",
    "doctor",
    "open_study",
    "init",
    "train",
    "compare_by_name",
    "winner",
    "classify",
    "explain_by_name",
    "serve",
    "register",
    "budget",
    "confirm",
    "sweep",
    "export",
    "api",
    "cli",
    "__main__",
)
PACKAGE = ROOT / "lstm_bench"


def _part(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


def _imports() -> list[tuple[str, str]]:
    """Return (file, imported module) for every import of the package."""
    found = []
    # The package's own public names are imported when they are asked for.
    for file in sorted({*PACKAGE.rglob("*.py")} - {PACKAGE / "__init__.py"}):
        path = file.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{a.name}" for a in node.names]
            elif isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            found += [(path, name) for name in names]
    return found


def _own_imports() -> list[tuple[str, str]]:
    """Return (file, imported module) for every import inside the package."""
    return [(path, name) for path, name in _imports() if name.startswith("lstm_bench.")]


def _imported_part(name: str) -> str:
    part = name.split(".")[1]
    is_part = (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").exists()
    return part if is_part else "__init__"


def test_every_package_has_its_place():
    parts = {_part(p.relative_to(PACKAGE).as_posix()) for p in PACKAGE.rglob("*.py")}
    assert parts == set(ORDER)


def test_packages_import_only_what_stands_before_them():
    wrong = [
        f"{path} imports {name}"
        for path, name in _own_imports()
        if ORDER.index(_imported_part(name)) > ORDER.index(_part(path))
    ]
    assert wrong == []


def test_analysis_knows_of_training_only_what_it_results_in():
    wrong = [
        f"{path} imports {name}"
        for path, name in _own_imports()
        if _part(path) in ("analysis", "report")
        and _imported_part(name)
        in ("models", "training", "packed", "search", "workers")
        and not name.startswith("lstm_bench.training.result.")
    ]
    assert wrong == []


NOT_FOR_WORKERS = {"mlflow", "optuna", "pandas", "matplotlib", "sqlalchemy"}


@pytest.mark.slow
def test_a_worker_process_loads_neither_stores_nor_drawing(tiny_suite):
    config = tiny_suite.defaults
    digest = keep(load_dataset("synthetic", {"n_train": 240, "n_test": 60}, None, 7))
    about = ("topic", tiny_suite.name, tiny_suite.text, digest)
    origin = Origin("tiny", "tiny-1", "defaults", 0, "for a test")
    jobs = [
        Job("training", *about, config=config, origin=origin),
        Job("baseline", *about, baseline="nb_lr"),
    ]
    with start_local(1, 1) as cluster, Client(cluster) as client:
        trained, fitted = (client.submit(run_job, job).result() for job in jobs)
        (modules,) = client.run(eval, "list(__import__('sys').modules)").values()
        (n_frozen,) = client.run(eval, "__import__('gc').get_freeze_count()").values()
    assert (trained.state, fitted.state) == ("complete", "complete")
    assert len(trained.epochs) == config.max_epochs
    assert "keras" in modules
    # No collection between trainings looks through what imports made.
    assert n_frozen > 100_000
    loaded = {name.split(".")[0] for name in modules}
    assert loaded & NOT_FOR_WORKERS == set()
    own = {
        f"{name.removeprefix('lstm_bench.').replace('.', '/')}.py" for name in modules
    }
    assert "workers/job.py" in own
    wrong = [
        f"{path} imports {name}"
        for path, name in _imports()
        if path in own and name.split(".")[0] in NOT_FOR_WORKERS
    ]
    assert wrong == []
