"""Heading and footer of a study's page: title, question, study, date, version."""

from __future__ import annotations

from lstm_bench import __version__
from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.report.blocks import DASH, count, when
from lstm_bench.report.html import Page
from lstm_bench.tracking.results import Results


def study_page(analysis: Analysis) -> Page:
    """Return the heading of a report on one study."""
    results = analysis.results
    suite = results.suite
    return Page(
        kind="lstm-bench report",
        title=suite.name,
        question=" ".join(suite.description.split()),
        meta=" · ".join(
            (
                f"study {results.study}",
                last_work(results),
                count(analysis.n_trainings, "training"),
                machine(results),
            )
        ),
        footer=made_by(),
    )


def last_work(results: Results) -> str:
    """Return the day of the last work on the study."""
    starts = results.sessions["start_time"].dropna()
    return when(starts.max())[:10] if len(starts) else DASH


def machine(results: Results) -> str:
    """Return the processor and the number of its cores."""
    env = results.environment
    return f"{env.get('cpu_model', DASH)}, {env.get('n_cores', DASH)} cores"


def made_by() -> str:
    """Return the page's footer: the program and its version."""
    return (
        f"Made by lstm-bench {__version__} from MLflow alone. This file is whole: it "
        "loads nothing from anywhere and stores nothing."
    )
