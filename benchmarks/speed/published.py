"""Measure every row of the speed report, and write it: JSON, Markdown and figures.

Each row is a command of its own and runs in a fresh process, one after the other, with
nothing beside it. What a row measured replaces what it had measured before, and the
others' stays: `--rows` does some again, and goes on after an interruption.

    python benchmarks/speed/published.py --data-dir DIR
    python benchmarks/speed/published.py --data-dir DIR --rows steps growth
    python benchmarks/speed/published.py --render

Everything takes about three hours on two cores. `--small` takes minutes and only checks
that all commands work: its sizes are too small to compare speed. It needs another
`--out`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from speed_figures import plot_growth, plot_ratios
from speed_limits import LIMITS
from speed_lines import ROWS, growth_of, lines_of
from speed_page import GROWTH, RATIOS, render

from lstm_bench.report.figures.style import standalone_svg

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "reports" / "published" / "speed"
JSON, PAGE = "speed.json", "README.md"

SMALL = {
    "steps": "--reviews 136 --rounds 2 --units 16 32 --lengths 40",
    "evaluation": "--reviews 300 --rounds 2 --units 16 --lengths 40",
    "sweep": "--reviews 128 --trials 4 --epochs 2 --rounds 1",
    "time_to_accuracy": (
        "--reviews 600 --test-reviews 300 --units 16 --length 40 --seeds 2 --epochs 2 "
        "--target 0.55"
    ),
    "growth": (
        "--units 8 16 --lengths 20 40 --sizes 128 256 --batches 32 64 --reviews 64 "
        "--rounds 1 --base-units 16 --base-length 20 --base-size 128"
    ),
    "seeds": (
        "--reviews 400 --test-reviews 300 --units 16 --length 40 --seeds 3 --epochs 2"
    ),
}


def measure(row: str, data_dir: Path | None, options: str) -> dict[str, Any]:
    """Run one row's command in a process of its own; return what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"{row}.json"
        command = [sys.executable, str(HERE / f"{row}.py"), "--json", str(out)]
        command += options.split()
        if data_dir is not None:
            command += ["--data-dir", str(data_dir.absolute())]
        print(f"\n== {row}", flush=True)
        if subprocess.run(command).returncode:
            raise SystemExit(f"{row}: failed; the rows before it are kept")
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


def load(folder: Path) -> dict[str, Any]:
    """Return what was measured before, by row."""
    file = folder / JSON
    if not file.exists():
        return {}
    rows: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return rows


def write(folder: Path, rows: dict[str, Any]) -> None:
    """Write the JSON, and from it alone the page and its figures."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {name: rows[name] for name in ROWS if name in rows}
    text = json.dumps({"rows": rows}, indent=1) + "\n"
    # Whole or not at all: hours stand in it.
    part = folder / f"{JSON}.part"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / JSON)
    # The texts written by hand are about the published measurements only.
    limits = LIMITS if folder.resolve() == FOLDER else {}
    (folder / PAGE).write_text(render(rows, limits), encoding="utf-8")
    lines = lines_of(rows)
    if lines:
        figure = standalone_svg(plot_ratios(lines))
        (folder / RATIOS).write_text(figure, encoding="utf-8")
    if "growth" in rows:
        figure = standalone_svg(plot_growth(growth_of(rows["growth"])))
        (folder / GROWTH).write_text(figure, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="real reviews; else synthetic")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--small", action="store_true", help="check that all rows run")
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if not arguments.render and arguments.out.resolve() == FOLDER:
        if arguments.small:
            parser.error("--small does not measure speed; give another --out")
        if arguments.data_dir is None:
            parser.error(
                "synthetic reviews are not published; give --data-dir or --out"
            )
    rows = load(arguments.out)
    if arguments.render and not rows:
        parser.error(f"{arguments.out / JSON}: nothing was measured")
    for row in [] if arguments.render else arguments.rows:
        options = SMALL[row] if arguments.small else ""
        rows[row] = measure(row, arguments.data_dir, options)
        write(arguments.out, rows)
    write(arguments.out, rows)
    print(f"\n{arguments.out / PAGE}")


if __name__ == "__main__":
    main()
