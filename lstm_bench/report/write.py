"""Load studies by name and write their report; raise where files of runs are lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.tables.studies import compare_studies
from lstm_bench.errors import LstmBenchError
from lstm_bench.masking import bare_url, mask_text
from lstm_bench.report.render import FORMATS, write_report, write_sections
from lstm_bench.report.studies.answers import study_answers, warnings
from lstm_bench.report.studies.sections import build_study_sections, studies_page
from lstm_bench.stores import store_errors
from lstm_bench.system.folders import make_folder
from lstm_bench.tracking.find import load_studies, report_name
from lstm_bench.tracking.names import REPORT_FILES
from lstm_bench.tracking.results import Results
from lstm_bench.tracking.stored_runs import describe_left_out


def report_studies(
    names: Sequence[str],
    *,
    tracking_uri: str | None = None,
    out: Path | None = None,
    formats: Sequence[str] = FORMATS,
    mlflow_url: str | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Write the report on one study, or on several side by side.

    Parameters
    ----------
    names : sequence of str
        As in `load_studies`.
    out : Path or None
        Folder; None is ``reports/SUITE`` or ``reports/A_vs_B``.
    mlflow_url : str or None
        MLflow server for links to runs; None is the tracking store's.
    say : callable
        Called with each answer and warning, and with the page's path.

    Returns
    -------
    Path
        The report's main page.

    Raises
    ------
    LstmBenchError
        A study cannot be read, or files of its runs are lost: the report is written
        without them, but it does not replace an existing report.
    """
    with store_errors():
        results = load_studies(tracking_uri, names)
    if mlflow_url is not None:
        url = bare_url(mlflow_url)
        results = [replace(one, tracking_url=url) for one in results]
    folder = make_folder(out or Path("reports") / report_name(results, names), "--out")
    keep_whole_report(results, folder)
    if len(results) == 1:
        if left_out := describe_left_out(results[0].left_out):
            say(f"warning: {left_out}")
        page = write_report(analyse(results[0]), folder, formats)
    else:
        compared = compare_studies([analyse(one) for one in results])
        for label, name in zip(compared.labels, names, strict=True):
            if label != name:
                say(f"{label}: {mask_text(name)}")
        for answer in study_answers(compared):
            say(f"{answer.question}: {answer.text}")
        for warning in warnings(compared):
            say(f"warning: {warning}")
        sections = build_study_sections(compared)
        page = write_sections(sections, studies_page(compared), folder, formats)
    say(f"report: {page}")
    end_if_poorer(results, page)
    return page


def keep_whole_report(results: Sequence[Results], folder: Path) -> None:
    """Raise LstmBenchError where files are lost and a report would be replaced."""
    missing = next((one.missing for one in results if one.missing), None)
    if missing and any((folder / name).exists() for name in REPORT_FILES):
        raise LstmBenchError(
            f"no report: {missing}. The report in {folder} is left as it is. Bring the "
            "files back, delete those runs in MLflow, or write a report without them "
            "into another folder: lstm-bench report ... --out DIR"
        )


def end_if_poorer(results: Sequence[Results], page: Path) -> None:
    """Raise LstmBenchError where files are lost, so that the report lacks them."""
    missing = next((one.missing for one in results if one.missing), None)
    if missing:
        raise LstmBenchError(f"{page} was made without what is lost: {missing}")
