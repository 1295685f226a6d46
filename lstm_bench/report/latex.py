"""A report's tables as LaTeX."""

from __future__ import annotations

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
    """Write `text` so that LaTeX shows it as it is, on one line."""
    return "".join(LATEX_SPECIAL.get(c, c) for c in " ".join(text.split()))
