"""A report's tables in LaTeX."""

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
# pdflatex stops at other characters than Latin ones; their code point is shown.
LAST_LATIN = "\u017f"
TYPOGRAPHIC = "‘’“”—€"
# Formats of columns that are left out.
UNWRITTEN = ("command", "series")
# Longer tables do not fit on a page.
MAX_ROWS = 40


# Small enough for a dozen columns.
SIZE = "\\scriptsize\n\\setlength{\\tabcolsep}{3pt}"


def render_latex(table: Table) -> str:
    """Return `table` as LaTeX for the package booktabs.

    At most 40 rows, so that it fits on a page, without commands and the columns that
    the page hides at first. The CSV has everything.
    """
    columns = [c for c in table.shown if c.format not in UNWRITTEN and not c.more]
    table = replace(table, n_shown=min(table.n_shown, MAX_ROWS))
    rows = [
        [escape_latex(cell_text(column, row)) for column in columns]
        for row in shown_rows(table)
    ]
    text = pd.DataFrame(rows, columns=range(len(columns))).to_latex(
        index=False,
        header=[_as_format(escape_latex(column.label)) for column in columns],
        # Escaped here: pandas escapes neither captions nor characters without a glyph.
        escape=False,
        column_format="".join(_column_format(column) for column in columns),
        caption=escape_latex(whole_caption(table)),
        label=f"tab:{table.name}",
    )
    return text.replace(r"\begin{table}", "\\begin{table}\n" + SIZE, 1)


def _as_format(text: str) -> str:
    """Return `text` as a format string, since pandas formats headings."""
    return text.replace("{", "{{").replace("}", "}}")


def _column_format(column: Column) -> str:
    if column.format == "prose":
        return "p{6cm}"
    return "r" if column.format in NUMERIC_FORMATS else "l"


def escape_latex(text: str) -> str:
    """Escape `text` for LaTeX, on one line.

    A character without a glyph in pdflatex is written as its code point.
    """
    return "".join(_latex_character(c) for c in " ".join(text.split()))


def _latex_character(c: str) -> str:
    if c in LATEX_SPECIAL:
        return LATEX_SPECIAL[c]
    known = c in TYPOGRAPHIC or (c.isprintable() and c <= LAST_LATIN)
    return c if known else f"[U+{ord(c):04X}]"
