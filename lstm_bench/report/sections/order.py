"""The sections of a report, in order; one entry each in `SECTIONS`."""

from __future__ import annotations

from collections.abc import Callable

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.literature import load_published_results
from lstm_bench.report.blocks import Section
from lstm_bench.report.sections.axes import axes_confirmed, axes_section
from lstm_bench.report.sections.baselines import baselines_section
from lstm_bench.report.sections.budget import budget_section
from lstm_bench.report.sections.calibration import calibration_section
from lstm_bench.report.sections.classification import classification_section
from lstm_bench.report.sections.comparisons import comparisons_section
from lstm_bench.report.sections.confirmation import confirmation_section
from lstm_bench.report.sections.cost import cost_section
from lstm_bench.report.sections.curves import curves_section
from lstm_bench.report.sections.failures import failures_section
from lstm_bench.report.sections.heads import head_blocks, heads_section
from lstm_bench.report.sections.importance import importance_section
from lstm_bench.report.sections.leaderboard import leaderboard_section
from lstm_bench.report.sections.literature import anchors_section
from lstm_bench.report.sections.provenance import provenance_section
from lstm_bench.report.sections.published import published_section
from lstm_bench.report.sections.runs import runs_section
from lstm_bench.report.sections.samples import samples_section
from lstm_bench.report.sections.slices import slices_section
from lstm_bench.report.sections.summary import summary_section
from lstm_bench.report.view import View, make_view

Build = Callable[[View], Section]


def _axes(view: View) -> Section:
    return axes_section(view, axes_confirmed(view))


def _heads(view: View) -> Section:
    return heads_section(view, head_blocks(view))


SECTIONS: dict[str, Build] = {
    "summary": summary_section,
    "published": published_section,
    "confirmation": confirmation_section,
    "comparisons": comparisons_section,
    "leaderboard": leaderboard_section,
    "heads": _heads,
    "axes": _axes,
    "curves": curves_section,
    "importance": importance_section,
    "budget": budget_section,
    "cost": cost_section,
    "baselines": baselines_section,
    "calibration": calibration_section,
    "classes": classification_section,
    "slices": slices_section,
    "anchors": anchors_section,
    "failures": failures_section,
    "samples": samples_section,
    "runs": runs_section,
    "provenance": provenance_section,
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
    "heads": lambda view: _searched(view) or bool(head_blocks(view)),
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
