"""Modules import only what stands before them: layers point one way, no cycles."""

from __future__ import annotations

import ast

from conftest import ROOT

ORDER = (
    "__init__",
    "masking",
    "text",
    "errors",
    "seeding",
    "stores",
    "arrays",
    "inference",
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
    "workers",
    "doctor",
    "open_study",
    "init",
    "train",
    "compare_by_name",
    "winner",
    "classify",
    "serve",
    "register",
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
    """Return (file, imported module) for every import inside the package."""
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
            found += [(path, n) for n in names if n.startswith("lstm_bench.")]
    return found


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
        for path, name in _imports()
        if ORDER.index(_imported_part(name)) > ORDER.index(_part(path))
    ]
    assert wrong == []


def test_analysis_knows_of_training_only_what_it_results_in():
    wrong = [
        f"{path} imports {name}"
        for path, name in _imports()
        if _part(path) in ("analysis", "report")
        and _imported_part(name)
        in ("models", "training", "packed", "search", "workers")
        and not name.startswith("lstm_bench.training.result.")
    ]
    assert wrong == []
