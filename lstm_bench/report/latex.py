"""A report's tables as LaTeX."""

from __future__ import annotations

from dataclasses import replace

from lstm_bench.report.blocks import (
    NUMERIC_KINDS,
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


def render_latex(table: Table) -> str:
    """Return `table` as LaTeX for the package booktabs.

    At most 40 rows, so that it fits on a page; commands and the columns that the
    page hides at first are left out. CSV has everything.
    """
    columns = [c for c in table.columns if c.kind != "command" and not c.more]
    layout = "".join(_latex_column(c.kind) for c in columns)
    table = replace(table, n_shown=min(table.n_shown, MAX_ROWS))
    rows = [
        [escape_latex(cell_text(column, row)) for column in columns]
        for row in shown_rows(table)
    ]
    head = [escape_latex(column.label) for column in columns]
    lines = [
        r"\begin{table}",
        r"\scriptsize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escape_latex(whole_caption(table))}}}",
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
    """Write `text` so that LaTeX shows it as it is, on one line.

    A character that pdflatex has no glyph for is written as its code point.
    """
    return "".join(_latex_character(c) for c in " ".join(text.split()))


def _latex_character(c: str) -> str:
    if c in LATEX_SPECIAL:
        return LATEX_SPECIAL[c]
    known = c in TYPOGRAPHIC or (c.isprintable() and c <= LAST_LATIN)
    return c if known else f"[U+{ord(c):04X}]"
