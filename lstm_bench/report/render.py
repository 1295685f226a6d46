"""Write a report: one HTML file, CSV and LaTeX tables, Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.errors import OutputError
from lstm_bench.report.blocks import Section, Table, csv_text
from lstm_bench.report.heading import study_page
from lstm_bench.report.html import Page, render_html
from lstm_bench.report.latex import render_latex
from lstm_bench.report.markdown import render_markdown
from lstm_bench.report.sections.order import build_sections
from lstm_bench.system.files import replacing

FORMATS = ("html", "csv", "md", "latex")
MAIN_FILES = ("index.html", "report.md")


def write_report(
    analysis: Analysis, out_dir: Path, formats: Sequence[str] = FORMATS
) -> Path:
    """Write the report on `analysis` to `out_dir` and return its main file.

    Parameters
    ----------
    out_dir : Path
        Created if needed; files of an earlier report are replaced.
    formats : sequence of str
        As in `write_sections`.

    Raises
    ------
    OutputError
        A file or folder cannot be written.
    ValueError
        A format does not exist, or none is given.
    """
    return write_sections(
        build_sections(analysis), study_page(analysis), out_dir, formats
    )


def write_sections(
    sections: Sequence[Section],
    page: Page,
    out_dir: Path,
    formats: Sequence[str] = FORMATS,
) -> Path:
    """Write `sections` in each of `formats` and return the main file.

    Parameters
    ----------
    formats : sequence of str
        "html" writes ``index.html``, which loads nothing; "csv"
        ``tables/<name>.csv``, unrounded; "md" ``report.md``; "latex"
        ``tables/<name>.tex``, booktabs tables as in the page.

    Returns
    -------
    Path
        ``index.html``; without "html", ``report.md`` or ``tables``.
    """
    files = report_files(sections, page, formats)
    for name, text in files.items():
        write_text(out_dir / name, text)
    return out_dir / next((name for name in MAIN_FILES if name in files), "tables")


def report_files(
    sections: Sequence[Section], page: Page, formats: Sequence[str] = FORMATS
) -> dict[str, str]:
    """Return the files of `write_sections`: text by path below the report's folder."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(f"formats: expected some of {FORMATS}, got {tuple(formats)}")
    files: dict[str, str] = {}
    if "html" in formats:
        files["index.html"] = render_html(sections, page)
    if "md" in formats:
        files["report.md"] = render_markdown(sections, page.title, page.question)
    blocks = [block for section in sections for block in section.blocks]
    shown = [block for block in blocks if isinstance(block, Table)]
    for table in shown if "csv" in formats else ():
        files[f"tables/{table.name}.csv"] = csv_text(table.frame)
    for table in shown if "latex" in formats else ():
        files[f"tables/{table.name}.tex"] = render_latex(table)
    return files


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically: a reader sees the whole old or the whole new file."""
    try:
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose a folder "
            "that can be written with --out"
        ) from error
