"""Write a suite as YAML, each value with the reason for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap
from typing import Any

import yaml

WIDTH = 88


@dataclass(frozen=True)
class Choice:
    """A value of a suite, and why it was chosen.

    Attributes
    ----------
    section : str
        Such as ``defaults``.
    field : str
    why : str
        A phrase without a full stop; may be empty.
    option : str
        The option of ``init`` that sets it; empty if there is none.
    """

    section: str
    field: str
    value: Any
    why: str = ""
    option: str = ""

    def __str__(self) -> str:
        """Return ``field: value`` in YAML."""
        return f"{self.field}: {flow(self.value)}"


def suite_text(title: str, description: str, choices: Sequence[Choice]) -> str:
    """Return the text of a suite file.

    Parameters
    ----------
    title : str
        The first line's comment.
    choices : sequence of Choice
        Those of a section follow each other.
    """
    lines = [f"# {line}" for line in wrap(title, WIDTH - 2)]
    lines.append(f"description: {json.dumps(description, ensure_ascii=False)}")
    for section, group in groupby(choices, lambda choice: choice.section):
        lines.append(f"{section}:")
        for choice in group:
            lines += _lines_of(choice)
    return "\n".join([*lines, ""])


def _lines_of(choice: Choice) -> Iterable[str]:
    line = f"  {choice}"
    if not choice.why:
        return [line]
    beside = f"{line}  # {choice.why}"
    if len(beside) <= WIDTH:
        return [beside]
    return [*(f"  # {text}" for text in wrap(choice.why, WIDTH - 4)), line]


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text: str = yaml.safe_dump(
        value,
        default_flow_style=True,
        allow_unicode=True,
        width=float("inf"),
        sort_keys=False,
    )
    return text.strip().removesuffix("...").strip()
