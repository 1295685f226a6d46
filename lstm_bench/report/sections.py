"""The sections of a report, in order; one entry each in `SECTIONS`."""

from __future__ import annotations

from collections.abc import Callable

from lstm_bench.anchors import load_anchors
from lstm_bench.comparisons import Analysis
from lstm_bench.records import Results
from lstm_bench.report import confirmed, search, summary
from lstm_bench.report.blocks import Section

Build = Callable[[Analysis], Section]


def _of_search(build: Callable[[Results], Section]) -> Build:
    return lambda analysis: build(analysis.results)


def _axes(analysis: Analysis) -> Section:
    return search.axes(analysis.results, confirmed.axes_confirmed(analysis))


SECTIONS: dict[str, Build] = {
    "summary": summary.summary,
    "published": _of_search(search.published),
    "confirmation": confirmed.confirmation,
    "comparisons": confirmed.comparisons,
    "leaderboard": _of_search(search.leaderboard),
    "heads": _of_search(search.heads),
    "axes": _axes,
    "curves": _of_search(search.curves),
    "importance": _of_search(search.importance),
    "budget": confirmed.budget,
    "cost": _of_search(search.cost),
    "baselines": confirmed.baselines,
    "calibration": confirmed.calibration,
    "slices": confirmed.slices,
    "anchors": confirmed.anchors,
    "failures": _of_search(search.failures),
    "samples": _of_search(search.samples),
    "provenance": _of_search(search.provenance),
}


def _searched(analysis: Analysis) -> bool:
    """Whether there was a search to speak of; a round may stand by itself."""
    return bool(len(analysis.results.runs)) or not analysis.contenders


SEARCH_SECTIONS = (
    *("leaderboard", "heads", "axes", "curves", "importance", "budget"),
    *("cost", "samples"),
)
# Left out where they have nothing to say; all others say why they are empty.
OPTIONAL: dict[str, Callable[[Analysis], bool]] = {
    **dict.fromkeys(SEARCH_SECTIONS, _searched),
    "published": lambda analysis: bool(analysis.results.suite.published),
    "comparisons": lambda analysis: bool(analysis.contenders),
    "calibration": lambda analysis: bool(analysis.contenders),
    "slices": lambda analysis: bool(analysis.contenders),
    "anchors": lambda analysis: bool(load_anchors(analysis.results.suite.dataset.name)),
}


def build_sections(analysis: Analysis) -> list[Section]:
    """Return the sections of a report on `analysis`, in order."""
    return [
        build(analysis)
        for name, build in SECTIONS.items()
        if name not in OPTIONAL or OPTIONAL[name](analysis)
    ]
