"""A report in GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lstm_bench.report.blocks import (
    NUMERIC_FORMATS,
    Answers,
    Cards,
    Drawing,
    Facts,
    Listing,
    Note,
    Section,
    Table,
    Words,
    cell_text,
    shown_rows,
    whole_caption,
)


def render_markdown(sections: Sequence[Section], title: str, question: str = "") -> str:
    """Return the report as GitHub-flavoured Markdown, without figures."""
    lines = [f"# {escape_markdown(title)}", ""]
    if question:
        lines += [escape_markdown(question), ""]
    for section in sections:
        lines += [f"## {escape_markdown(section.title)}", ""]
        if section.intro:
            lines += [escape_markdown(section.intro), ""]
        for block in section.blocks:
            lines += [*_markdown_block(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_block(block: Any) -> list[str]:
    match block:
        case Table():
            head = [escape_markdown(c.label) for c in block.shown]
            rule = [
                "---:" if c.format in NUMERIC_FORMATS else "---" for c in block.shown
            ]
            rows = [
                [escape_markdown(cell_text(c, row)) for c in block.shown]
                for row in shown_rows(block)
            ]
            return [
                escape_markdown(whole_caption(block)),
                "",
                *("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)),
            ]
        case Drawing():
            return [f"Figure (in the HTML report): {escape_markdown(block.caption)}"]
        case Note():
            text = escape_markdown(block.text)
            return [f"**{text}**" if block.warning else text]
        case Facts() | Answers():
            return [
                f"- {escape_markdown(term)}: {escape_markdown(fact)}"
                for term, fact in block.items
            ]
        case Cards():
            return [
                f"- **{escape_markdown(f'{card.label}: {card.value}')}** "
                f"{escape_markdown(card.detail)}"
                for card in block.items
            ]
        case Listing():
            # Indented, so that a fence in the text cannot end the block.
            indented = [f"    {line}" for line in block.text.splitlines()]
            return [escape_markdown(block.caption), "", *indented]
        case Words():
            marked = (
                f"{word.text}({mark})" if (mark := block.mark(word)) else word.text
                for word in block.words
            )
            text = ("" if block.is_joined else " ").join(marked)
            legend = f"(+) {block.towards}, (−) {block.against}"
            return [
                escape_markdown(f"{block.caption} {legend}:"),
                "",
                f"> {escape_markdown(text)}",
            ]
    raise TypeError(f"expected a block, got {type(block).__name__}")


def escape_markdown(text: str) -> str:
    """Escape `text` for Markdown, on one line."""
    text = " ".join(text.split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`|*\[\]])", r"\\\1", text)
