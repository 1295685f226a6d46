"""The sections of a report in order, each with the condition for showing it."""

from __future__ import annotations

from collections.abc import Callable

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.literature import load_published_results
from lstm_bench.analysis.memory import task_of
from lstm_bench.report.blocks import Section
from lstm_bench.report.sections.answer import answer_section
from lstm_bench.report.sections.axes import axes_section
from lstm_bench.report.sections.baselines import baselines_section
from lstm_bench.report.sections.budget import budget_section
from lstm_bench.report.sections.calibration import calibration_section
from lstm_bench.report.sections.cells import cells_section, has_cells
from lstm_bench.report.sections.comparisons import comparisons_section
from lstm_bench.report.sections.confirmation import confirmation_section
from lstm_bench.report.sections.confusion import confusion_section
from lstm_bench.report.sections.cost import cost_section
from lstm_bench.report.sections.curves import curves_section
from lstm_bench.report.sections.data import data_section
from lstm_bench.report.sections.ensembles import ensembles_section
from lstm_bench.report.sections.failures import failures_section
from lstm_bench.report.sections.forecasts import forecasts_section
from lstm_bench.report.sections.heads import HEAD_PAIRS, heads_section
from lstm_bench.report.sections.importance import importance_section
from lstm_bench.report.sections.leaderboard import leaderboard_section
from lstm_bench.report.sections.literature import literature_section
from lstm_bench.report.sections.memory import memory_section
from lstm_bench.report.sections.predicted import predicted_section
from lstm_bench.report.sections.provenance import provenance_section
from lstm_bench.report.sections.published import published_section
from lstm_bench.report.sections.runs import runs_section
from lstm_bench.report.sections.samples import samples_section
from lstm_bench.report.sections.sizes import sizes_section
from lstm_bench.report.sections.slices import slices_section
from lstm_bench.report.view import View, make_view
from lstm_bench.tasks import FORECAST, REGRESSION, TASKS, TaskName


def always(view: View) -> bool:
    """Whether to show the section: always; an empty one has the reason."""
    return True


def has_search(view: View) -> bool:
    """Whether there are trainings of a search, or no results at all."""
    return bool(len(view.results.runs)) or not view.analysis.contenders


def has_axes(view: View) -> bool:
    """Whether there was a search over axes, and not only references."""
    return has_search(view) and bool(len(view.suite.space))


def has_confirmation(view: View) -> bool:
    """Whether a configuration or baseline was confirmed."""
    return bool(view.analysis.contenders)


def has_ensembles(view: View) -> bool:
    """Whether the suite declares ensembles, and a configuration was confirmed."""
    return view.analysis.ensembles is not None


def has_sizes(view: View) -> bool:
    """Whether the confirmation has trained on several numbers of examples."""
    return view.analysis.learning_curve is not None


def is_memory(view: View) -> bool:
    """Whether the data are a memory task."""
    return task_of(view.results) is not None


def has_slices(view: View) -> bool:
    """Whether there is a confirmation on sequences of one length each."""
    return has_confirmation(view) and not is_memory(view)


def has_heads(view: View) -> bool:
    """Whether there was a search, or two heads were confirmed."""
    return has_search(view) or HEAD_PAIRS in set(view.analysis.comparisons["family"])


def has_published(view: View) -> bool:
    """Whether the suite has published values of its references."""
    return any(entry.reference is not None for entry in view.suite.published)


def has_literature(view: View) -> bool:
    """Whether there are published results on the dataset, or in the suite's file."""
    return bool(load_published_results(view.suite.dataset.name)) or any(
        entry.test_accuracy is not None for entry in view.suite.published
    )


EVERY = tuple(TASKS)
CLASSES = tuple(name for name, task in TASKS.items() if not task.is_numeric)

# By the section's anchor (the fragment of its URL), with the tasks that have it.
SECTIONS: dict[
    str,
    tuple[Callable[[View], Section], Callable[[View], bool], tuple[TaskName, ...]],
] = {
    "answer": (answer_section, always, EVERY),
    "published": (published_section, has_published, CLASSES),
    "memory": (memory_section, is_memory, EVERY),
    "forecasts": (forecasts_section, always, (FORECAST,)),
    "confirmation": (confirmation_section, always, EVERY),
    "comparisons": (comparisons_section, has_confirmation, EVERY),
    "ensembles": (ensembles_section, has_ensembles, EVERY),
    "sizes": (sizes_section, has_sizes, EVERY),
    "leaderboard": (leaderboard_section, has_search, EVERY),
    "heads": (heads_section, has_heads, CLASSES),
    "cells": (cells_section, has_cells, EVERY),
    "axes": (axes_section, has_axes, EVERY),
    "curves": (curves_section, always, EVERY),
    "importance": (importance_section, has_axes, EVERY),
    "budget": (budget_section, has_axes, EVERY),
    "cost": (cost_section, always, EVERY),
    "baselines": (baselines_section, always, EVERY),
    "calibration": (calibration_section, has_confirmation, CLASSES),
    "confusion": (confusion_section, always, CLASSES),
    "predicted": (predicted_section, always, (REGRESSION,)),
    "slices": (slices_section, has_slices, CLASSES),
    "literature": (literature_section, has_literature, CLASSES),
    "data": (data_section, always, EVERY),
    "failures": (failures_section, always, EVERY),
    "samples": (samples_section, always, CLASSES),
    "runs": (runs_section, always, EVERY),
    "provenance": (provenance_section, always, EVERY),
}


def build_sections(analysis: Analysis) -> list[Section]:
    """Return the sections of a report on `analysis`, in order."""
    view = make_view(analysis)
    return [
        build(view)
        for build, is_shown, tasks in SECTIONS.values()
        if view.suite.task.name in tasks and is_shown(view)
    ]
