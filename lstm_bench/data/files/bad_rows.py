"""Rows that cannot be read: an error that names the first ones, or dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lstm_bench.errors import DatasetError
from lstm_bench.text import shortened

MAX_SHOWN = 5
"""Bad rows that an error names."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read.

    Attributes
    ----------
    place : str
        The row in its file: ``line 7``, ``row 7``, ``case 7``, or a file's name.
    reason : str
        What is wrong, in the same words for all rows with this fault.
    found : str
        What stands in this row; may be empty.
    """

    file: str
    place: str
    reason: str
    found: str = ""

    def __str__(self) -> str:
        """Return place, reason and what was found."""
        found = f" ({shortened(self.found)})" if self.found else ""
        return f"{self.file}: {self.place}: {self.reason}{found}"


class BadRows:
    """Collects the bad rows of all files, and counts the rows that were read.

    Parameters
    ----------
    on_bad_rows : {"error", "drop"}
    can_drop : bool
        Whether an error advises to drop bad rows.
    is_numeric : bool
        Whether a label that is no number makes a row bad.
    """

    def __init__(
        self,
        on_bad_rows: Literal["error", "drop"],
        can_drop: bool = True,
        is_numeric: bool = False,
    ) -> None:
        self.on_bad_rows, self.can_drop = on_bad_rows, can_drop
        self.is_numeric = is_numeric
        self.n_read = 0
        self.counts: dict[str, int] = {}
        self.examples: dict[str, BadRow] = {}
        self._first: list[BadRow] = []

    @property
    def n_dropped(self) -> int:
        """Number of bad rows."""
        return sum(self.counts.values())

    def add(self, path: Path, place: str, reason: str, found: str = "") -> None:
        """Record a bad row.

        Raises
        ------
        DatasetError
            Bad rows are errors, and enough of them are known to name them.
        """
        row = BadRow(path.name, place, reason, found)
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.examples.setdefault(reason, row)
        if self.on_bad_rows == "error":
            self._first.append(row)
            if len(self._first) == MAX_SHOWN:
                raise DatasetError(self._message(f"{MAX_SHOWN} or more"))

    def about(self) -> dict[str, Any]:
        """Return ``n_read``, ``n_dropped`` and ``reasons``, as plain JSON types."""
        return {
            "n_read": self.n_read,
            "n_dropped": self.n_dropped,
            "reasons": {
                reason: {"n": n, "example": str(self.examples[reason])}
                for reason, n in sorted(self.counts.items(), key=lambda item: -item[1])
            },
        }

    def check(self) -> None:
        """Raise a `DatasetError` if bad rows are errors and there are any."""
        if self._first:
            raise DatasetError(self._message(str(len(self._first))))

    def _message(self, number: str) -> str:
        rows = "bad row" if number == "1" else "bad rows"
        remedies = " and ".join(dict.fromkeys(map(_remedy, self.counts)))
        drop = ", or leave bad rows out and count them with on_bad_rows: drop"
        return (
            f"{'; '.join(map(str, self._first))}: {number} {rows}; "
            f"{remedies}{drop if self.can_drop else ''}"
        )


NOT_UTF8 = "expected UTF-8, got other bytes"
OPEN_QUOTE = "a quote is not closed, or followed by something other than a separator"
_REMEDIES = {
    NOT_UTF8: "convert the file (iconv -f latin1 -t utf8 OLD > NEW)",
    OPEN_QUOTE: 'put fields with quotes into quotes, and double each inside ("")',
}


def _remedy(reason: str) -> str:
    return _REMEDIES.get(reason, "correct these rows")
