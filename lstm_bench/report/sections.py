"""The sections of a report, in order; one entry each in `SECTIONS`."""

from __future__ import annotations

from collections.abc import Callable

from lstm_bench.records import Results
from lstm_bench.report import search
from lstm_bench.report.blocks import Section

SECTIONS: dict[str, Callable[[Results], Section]] = {
    "summary": search.summary,
    "published": search.published,
    "leaderboard": search.leaderboard,
    "heads": search.heads,
    "axes": search.axes,
    "curves": search.curves,
    "importance": search.importance,
    "cost": search.cost,
    "failures": search.failures,
    "samples": search.samples,
    "provenance": search.provenance,
}

# Left out where they have nothing to say; all others say why they are empty.
OPTIONAL: dict[str, Callable[[Results], bool]] = {
    "published": lambda results: bool(results.suite.published)
}


def build_sections(results: Results) -> list[Section]:
    """Return the sections of a report on `results`, in order."""
    return [
        build(results)
        for name, build in SECTIONS.items()
        if name not in OPTIONAL or OPTIONAL[name](results)
    ]
