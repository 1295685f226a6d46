"""A report's tables as LaTeX."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from lstm_bench.report.blocks import (
    NUMERIC_FORMATS,
    Column,
    Table,
    cell_text,
    shown_rows,
    whole_caption,
)

LATEX_SPECIAL = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "−": "$-$",
    "±": r"$\pm$",
    "–": "--",
    "×": r"$\times$",
    "…": r"\dots{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
# Beyond Latin letters pdflatex has no glyphs and stops; a reader sees which it was.
LAST_LATIN = "\u017f"
TYPOGRAPHIC = "‘’“”—€"
# A longer table does not fit on a page.
MAX_ROWS = 40


# Small enough for a dozen columns.
SIZE = "\\scriptsize\n\\setlength{\\tabcolsep}{3pt}"


def render_latex(table: Table) -> str:
    """Return `table` as LaTeX for the package booktabs.

    At most 40 rows, so that it fits on a page; commands and the columns that the
    page hides at first are left out. CSV has everything.
    """
    columns = [c for c in table.shown if c.format != "command" and not c.more]
    table = replace(table, n_shown=min(table.n_shown, MAX_ROWS))
    rows = [
        [escape_latex(cell_text(column, row)) for column in columns]
        for row in shown_rows(table)
    ]
    text = pd.DataFrame(rows, columns=range(len(columns))).to_latex(
        index=False,
        header=[_as_format(escape_latex(column.label)) for column in columns],
        # pandas leaves out what pdflatex has no glyph for, and the caption.
        escape=False,
        column_format="".join(_column_format(column) for column in columns),
        caption=escape_latex(whole_caption(table)),
        label=f"tab:{table.name}",
    )
    return text.replace(r"\begin{table}", "\\begin{table}\n" + SIZE, 1)


def _as_format(text: str) -> str:
    """Return `text` as the format string that pandas takes headings for."""
    return text.replace("{", "{{").replace("}", "}}")


def _column_format(column: Column) -> str:
    if column.format == "prose":
        return "p{6cm}"
    return "r" if column.format in NUMERIC_FORMATS else "l"


def escape_latex(text: str) -> str:
    """Write `text` so that LaTeX shows it as it is, on one line.

    A character that pdflatex has no glyph for is written as its code point.
    """
    return "".join(_latex_character(c) for c in " ".join(text.split()))


def _latex_character(c: str) -> str:
    if c in LATEX_SPECIAL:
        return LATEX_SPECIAL[c]
    known = c in TYPOGRAPHIC or (c.isprintable() and c <= LAST_LATIN)
    return c if known else f"[U+{ord(c):04X}]"
