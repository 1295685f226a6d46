"""The sections of a report, in order; one entry each in `SECTIONS`."""

from __future__ import annotations

from collections.abc import Callable

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.literature import load_published_results
from lstm_bench.report import confirmed, search, summary
from lstm_bench.report.blocks import Section
from lstm_bench.report.classification import classification
from lstm_bench.report.cost import cost
from lstm_bench.report.curves import curves
from lstm_bench.report.provenance import provenance
from lstm_bench.report.runs import failures, runs
from lstm_bench.report.samples import samples
from lstm_bench.report.view import View, make_view

Build = Callable[[View], Section]


def _axes(view: View) -> Section:
    return search.axes(view, confirmed.axes_confirmed(view))


def _heads(view: View) -> Section:
    return search.heads(view, confirmed.head_blocks(view))


SECTIONS: dict[str, Build] = {
    "summary": summary.summary,
    "published": search.published,
    "confirmation": confirmed.confirmation,
    "comparisons": confirmed.comparisons,
    "leaderboard": search.leaderboard,
    "heads": _heads,
    "axes": _axes,
    "curves": curves,
    "importance": search.importance,
    "budget": confirmed.budget,
    "cost": cost,
    "baselines": confirmed.baselines,
    "calibration": confirmed.calibration,
    "classes": classification,
    "slices": confirmed.slices,
    "anchors": confirmed.anchors,
    "failures": failures,
    "samples": samples,
    "runs": runs,
    "provenance": provenance,
}


def _searched(view: View) -> bool:
    """Whether there was a search to speak of; a round may stand by itself."""
    return bool(len(view.results.runs)) or not view.analysis.contenders


def _swept(view: View) -> bool:
    """Whether the search had axes; references alone have none to speak of."""
    return _searched(view) and bool(len(view.suite.space))


def _confirmed(view: View) -> bool:
    return bool(view.analysis.contenders)


# Left out where they have nothing to say; all others say why they are empty.
OPTIONAL: dict[str, Callable[[View], bool]] = {
    **dict.fromkeys(("axes", "importance", "budget"), _swept),
    "leaderboard": _searched,
    **dict.fromkeys(("comparisons", "calibration", "slices"), _confirmed),
    "heads": lambda view: _searched(view) or bool(confirmed.head_blocks(view)),
    "published": lambda view: bool(view.suite.published),
    "anchors": lambda view: bool(load_published_results(view.suite.dataset.name)),
}


def build_sections(analysis: Analysis) -> list[Section]:
    """Return the sections of a report on `analysis`, in order."""
    view = make_view(analysis)
    return [
        build(view)
        for name, build in SECTIONS.items()
        if name not in OPTIONAL or OPTIONAL[name](view)
    ]
