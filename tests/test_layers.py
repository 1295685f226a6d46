"""Modules import only what stands before them: layers point one way, no cycles."""

from __future__ import annotations

import ast

from conftest import ROOT

ORDER = (
    "__init__",
    "masking",
    "errors",
    "seeding",
    "stores",
    "seat",
    "anchors",
    "samplers",
    "arrays",
    "metrics",
    "checks",
    "statistics",
    "bootstrap",
    "calibration",
    "budget",
    "briefs",
    "text",
    "system",
    "data",
    "attached",
    "locks",
    "progress",
    "owned",
    "history",
    "suites",
    "tickets",
    "models",
    "packed",
    "training",
    "tracking",
    "cells",
    "contenders",
    "comparisons",
    "answers",
    "tables",
    "figures",
    "report",
    "publish",
    "study",
    "session",
    "watch",
    "recovery",
    "crew",
    "doctor",
    "head_to_head",
    "ui",
    "tracked",
    "worker",
    "joining",
    "errand",
    "cluster",
    "oversight",
    "sweep",
    "confirm",
    "cli",
)
PACKAGE = ROOT / "lstm_bench"
WITHOUT_TRAINING = ("tables", "figures", "report")


def _part(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


def _imports() -> list[tuple[str, str]]:
    """Return (part, imported part) for every import inside the package."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        part = _part(file.relative_to(PACKAGE).as_posix())
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module == "lstm_bench":
                names = [
                    a.name
                    if (PACKAGE / a.name).with_suffix(".py").exists()
                    or (PACKAGE / a.name).is_dir()
                    else "__init__"
                    for a in node.names
                ]
            elif isinstance(node, ast.ImportFrom) and node.module:
                if node.module.startswith("lstm_bench."):
                    names = [node.module.split(".")[1]]
            elif isinstance(node, ast.Import):
                names = [
                    a.name.split(".")[1]
                    for a in node.names
                    if a.name.startswith("lstm_bench.")
                ]
            found += [(part, name) for name in names if name != part]
    return found


def test_every_module_has_its_place():
    parts = {_part(p.relative_to(PACKAGE).as_posix()) for p in PACKAGE.rglob("*.py")}
    assert parts == set(ORDER)


def test_modules_import_only_what_stands_before_them():
    wrong = [
        f"{part} imports {other}"
        for part, other in _imports()
        if ORDER.index(other) > ORDER.index(part)
    ]
    assert wrong == []


def test_reports_know_nothing_of_training():
    wrong = [
        f"{part} imports {other}"
        for part, other in _imports()
        if part in WITHOUT_TRAINING
        and other in ("model", "training", "trial", "sweep", "study", "tracking")
    ]
    assert wrong == []
