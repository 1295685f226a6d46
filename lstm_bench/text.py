"""Parts of messages: counts, intervals, quotations, lists, first lines of errors."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from typing import Any

from lstm_bench.masking import mask_text

MAX_QUOTED = 100
MAX_LISTED = 20
MAX_LINE = 300
MAX_MESSAGE = 1800
# Spreadsheets run a cell that starts so as a formula; some accept full-width forms.
FORMULA_STARTS = tuple("=+-@\t\n＝＋－＠")
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = MAX_QUOTED
_repr.maxlist = _repr.maxtuple = _repr.maxdict = 6
_repr.maxlevel = 2


def count(n: int, what: str) -> str:
    """Return ``1 run`` or ``3 runs``."""
    return f"{n:,} {what if n == 1 else plural(what)}"


def plural(noun: str) -> str:
    """Return the plural of `noun`; ``series`` has no other form."""
    return noun if noun.endswith("series") else f"{noun}s"


def interval_text(low: float | None, high: float | None, form: str = ".4f") -> str:
    """Return ``0.8200 to 0.8600``; an empty string without an interval."""
    if low is None or high is None or math.isnan(low):
        return ""
    return f"{low:{form}} to {high:{form}}".replace("-", "−")


def with_interval(
    estimate: float,
    low: float | None,
    high: float | None,
    form: str = ".4f",
    kind: str = "95 % ",
) -> str:
    """Return ``0.8400 (95 % 0.8200 to 0.8600)``, or the number alone."""
    text = f"{estimate:{form}}".replace("-", "−")
    interval = interval_text(low, high, form)
    return f"{text} ({kind}{interval})" if interval else text


def score_text(value: float) -> str:
    """Return a score with four decimals, or if it is small or large, four digits."""
    is_usual = 1e-3 <= abs(value) < 1e4 or not value
    return f"{value:.4f}" if is_usual else f"{value:#.4g}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without passwords, shortened.

    If there is no message, it is the error's type.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return shortened(mask_text(lines[0]), MAX_LINE)


def quoted(value: Any) -> str:
    """Return the repr of an untrusted value, shortened if it is long."""
    return _repr.repr(value)


def shortened(text: str, length: int = MAX_QUOTED) -> str:
    """Return `text`, without its middle if it is longer than `length`."""
    if len(text) <= length:
        return text
    n_tail = length // 3
    return f"{text[: length - n_tail]} [...] {text[-n_tail:]}"


def listed(names: Iterable[str], separator: str = ", ") -> str:
    """Return the first names, separated, and the number of the others."""
    every = list(names)
    shown = [shortened(name) for name in every[:MAX_LISTED]]
    n_more = len(every) - len(shown)
    return separator.join(shown) + (f" and {n_more:,} more" if n_more else "")


def csv_cell(text: str) -> str:
    """Return a text for a cell of a CSV file.

    Text that a spreadsheet would run as a formula gets an apostrophe in front
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    # A lone carriage return, which pandas does not quote, would start a new row.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
