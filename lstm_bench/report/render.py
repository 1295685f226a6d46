"""Write a report: one HTML file, CSV and LaTeX tables, Markdown."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lstm_bench.comparisons import Analysis
from lstm_bench.errors import OutputError
from lstm_bench.figures.style import figure_svg
from lstm_bench.report.blocks import (
    NUMERIC_KINDS,
    Drawing,
    Facts,
    Listing,
    Note,
    Section,
    Table,
    cell_text,
    shown_rows,
)
from lstm_bench.report.sections import build_sections

FORMATS = ("html", "csv", "md", "latex")
FORMAT_ORDER = ("html", "md", "csv", "latex")
_HERE = Path(__file__).parent


def write_report(
    analysis: Analysis, out_dir: Path, formats: Sequence[str] = FORMATS
) -> Path:
    """Write the report on `analysis` below `out_dir` and return its main file.

    Parameters
    ----------
    out_dir : Path
        Made where it does not exist; files of an earlier report are replaced.
    formats : sequence of str
        "html" writes ``index.html``, which loads nothing from anywhere; "csv"
        ``tables/<name>.csv``, unrounded; "md" ``report.md``; "latex"
        ``tables/<name>.tex``, a booktabs table each, as the page shows it.

    Returns
    -------
    Path
        ``index.html``, or ``report.md`` or ``tables`` where that was not asked for.

    Raises
    ------
    OutputError
        A file or folder cannot be written.
    ValueError
        A format that does not exist, or none.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(f"formats: expected some of {FORMATS}, got {tuple(formats)}")
    sections = build_sections(analysis)
    title = f"{analysis.results.suite.name}: {analysis.results.study}"
    written: dict[str, Path] = {}
    if "html" in formats:
        written["html"] = out_dir / "index.html"
        _write(written["html"], render_html(sections, title))
    if "md" in formats:
        written["md"] = out_dir / "report.md"
        _write(written["md"], render_markdown(sections, title))
    blocks = [block for section in sections for block in section.blocks]
    shown = [block for block in blocks if isinstance(block, Table)]
    folder = out_dir / "tables"
    for table in shown if "csv" in formats else ():
        written["csv"] = folder
        content = table.frame.to_csv(index=False, lineterminator="\n")
        _write(folder / f"{table.name}.csv", content)
    for table in shown if "latex" in formats else ():
        written["latex"] = folder
        _write(folder / f"{table.name}.tex", render_latex(table))
    return next(written[name] for name in FORMAT_ORDER if name in written)


def render_html(sections: Sequence[Section], title: str) -> str:
    """Return the page: style and drawings inside, every value escaped."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = iter(range(1, 1_000_000))
    return environment.get_template("template.html").render(
        title=title,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        sections=[
            {
                "title": section.title,
                "anchor": section.anchor,
                "intro": section.intro,
                "blocks": [_html_block(b, f"g{next(numbers)}") for b in section.blocks],
            }
            for section in sections
        ],
    )


def _html_block(block: Any, prefix: str) -> dict[str, Any]:
    """Return a block as the template wants it: a kind and what it shows."""
    match block:
        case Table():
            shown = shown_rows(block)
            return {
                "kind": "table",
                "name": block.name,
                "caption": _caption(block),
                "headers": [(c.label, _cell_class(c.kind)) for c in block.columns],
                "rows": [
                    [
                        (cell_text(c, row), _cell_class(c.kind), c.url and row[c.url])
                        for c in block.columns
                    ]
                    for row in shown
                ],
            }
        case Drawing():
            svg = Markup(figure_svg(block.figure, block.caption, prefix))
            return {"kind": "figure", "caption": block.caption, "svg": svg}
        case Note():
            return {"kind": "note", "text": block.text, "warning": block.warning}
        case Facts():
            return {"kind": "facts", "items": block.items}
        case Listing():
            return {"kind": "listing", "caption": block.caption, "text": block.text}
    raise TypeError(f"expected a block, got {type(block).__name__}")


def _cell_class(kind: str) -> str:
    if kind in NUMERIC_KINDS:
        return "number"
    return kind if kind in ("prose", "command") else "text"


def _caption(table: Table) -> str:
    n = len(table.frame)
    if n <= table.n_shown:
        return table.caption
    return f"{table.caption} The first {table.n_shown} of {n} rows; the CSV has all."


def render_markdown(sections: Sequence[Section], title: str) -> str:
    """Return the report as GitHub-flavoured Markdown, drawings left out."""
    lines = [f"# {escape_markdown(title)}", ""]
    for section in sections:
        lines += [f"## {escape_markdown(section.title)}", ""]
        lines += [escape_markdown(section.intro), ""]
        for block in section.blocks:
            lines += [*_markdown_block(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_block(block: Any) -> list[str]:
    match block:
        case Table():
            head = [escape_markdown(c.label) for c in block.columns]
            rule = ["---:" if c.kind in NUMERIC_KINDS else "---" for c in block.columns]
            rows = [
                [escape_markdown(cell_text(c, row)) for c in block.columns]
                for row in shown_rows(block)
            ]
            return [
                escape_markdown(_caption(block)),
                "",
                *("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)),
            ]
        case Drawing():
            return [f"Figure (in the HTML report): {escape_markdown(block.caption)}"]
        case Note():
            text = escape_markdown(block.text)
            return [f"**{text}**" if block.warning else text]
        case Facts():
            return [
                f"- {escape_markdown(term)}: {escape_markdown(fact)}"
                for term, fact in block.items
            ]
        case Listing():
            # Indented, so that no fence inside the text can end the block.
            indented = [f"    {line}" for line in block.text.splitlines()]
            return [escape_markdown(block.caption), "", *indented]
    raise TypeError(f"expected a block, got {type(block).__name__}")


LATEX_SPECIAL = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "−": "$-$",
    "±": r"$\pm$",
    "–": "--",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def render_latex(table: Table) -> str:
    """Return `table` as LaTeX for the package booktabs; commands are left out."""
    columns = [c for c in table.columns if c.kind != "command"]
    layout = "".join(_latex_column(c.kind) for c in columns)
    rows = [
        [escape_latex(cell_text(column, row)) for column in columns]
        for row in shown_rows(table)
    ]
    head = [escape_latex(column.label) for column in columns]
    lines = [
        r"\begin{table}",
        rf"\caption{{{escape_latex(_caption(table))}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{layout}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(" & ".join(cells) + r" \\" for cells in rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_column(kind: str) -> str:
    if kind == "prose":
        return "p{6cm}"
    return "r" if kind in NUMERIC_KINDS else "l"


def escape_latex(text: str) -> str:
    """Write `text` so that LaTeX shows it as it is, on one line."""
    return "".join(LATEX_SPECIAL.get(c, c) for c in " ".join(text.split()))


def escape_markdown(text: str) -> str:
    """Write `text` so that Markdown shows it as it is, on one line."""
    text = " ".join(text.split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`|*\[\]])", r"\\\1", text)


def _write(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the new one, whole."""
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}."
        )
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        # mkstemp makes files that only their owner may read.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose a folder "
            "that can be written with --out"
        ) from error
