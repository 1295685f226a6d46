"""Write the reports that are published with the project, and their index.

The index is made from the ``summary.json`` beside each report, so a study stays in it
when its MLflow store is not available.
"""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.data.registry import is_synthetic
from lstm_bench.errors import OutputError, PublishError
from lstm_bench.publish.figure import plot_overview
from lstm_bench.publish.index import (
    FOLDER,
    PICTURE,
    SPEED,
    SPEED_PAGE,
    render_index,
)
from lstm_bench.publish.summary import Summary, summarise
from lstm_bench.report.blocks import count
from lstm_bench.report.figures.style import standalone_svg
from lstm_bench.report.heading import study_page
from lstm_bench.report.render import report_files, write_text
from lstm_bench.report.sections.order import build_sections
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.names import REPORT_FILES
from lstm_bench.tracking.results import Results
from lstm_bench.tracking.stored_runs import describe_left_out

INDEX = "README.md"
SUMMARY = "summary.json"
FORMATS = ("html", "md", "csv")
MAX_SIZE_MB = 3


@dataclass(frozen=True)
class Publication:
    """The files that `publish` wrote (a page per study, the index), and warnings."""

    pages: tuple[Path, ...]
    index: Path
    warnings: tuple[str, ...]


def publish(
    studies: Sequence[Results],
    out_dir: Path,
    *,
    allow_synthetic: bool = False,
    replace: bool = False,
    private_folders: Iterable[Path] | None = None,
) -> Publication:
    """Write the report and summary of each study, then the index of all studies.

    Everything is made and checked before the first file is written. Tables of an
    earlier report in the same folder are removed if the new one lacks them; no other
    file is touched. The same studies give the same bytes.

    Parameters
    ----------
    studies : sequence of Results
        One for each suite.
    out_dir : Path
        Folder of ``README.md`` and ``published/``.
    allow_synthetic, replace : bool
        As in `check_publication`.
    private_folders : iterable of Path, optional
        Folders whose paths must not be in any file. Default: the user's home and the
        working directory.

    Raises
    ------
    PublishError
        As in `check_publication`; also a study without a completed training, or a
        private path.
    OutputError
        A file or folder cannot be written.
    """
    root = out_dir / FOLDER
    suites = [results.suite for results in studies]
    check_publication(suites, out_dir, allow_synthetic=allow_synthetic, replace=replace)
    summaries = _read_summaries(root, [suite.name for suite in suites])
    files: dict[Path, str] = {}
    for results in studies:
        summary, report = _study_files(results, allow_synthetic)
        summaries.append(summary)
        files |= {root / summary.suite / name: text for name, text in report.items()}
    summaries.sort(key=lambda summary: summary.suite)
    files[root / PICTURE] = standalone_svg(plot_overview(summaries))
    files[out_dir / INDEX] = render_index(
        summaries, has_speed=(root / SPEED / SPEED_PAGE).is_file()
    )
    folders = (Path.home(), Path.cwd()) if private_folders is None else private_folders
    for file, text in files.items():
        _check_private(file, text, folders)
    for file, text in files.items():
        write_text(file, text)
    for suite in suites:
        for table in (root / suite.name / "tables").glob("*.csv"):
            if table not in files:
                _remove(table)
    return Publication(
        tuple(root / suite.name / "index.html" for suite in suites),
        out_dir / INDEX,
        tuple(_warnings(studies, files, root)),
    )


def check_publication(
    suites: Sequence[Suite],
    out_dir: Path,
    *,
    allow_synthetic: bool = False,
    replace: bool = False,
) -> None:
    """Check that studies can be published, before they are read.

    Parameters
    ----------
    allow_synthetic : bool
        Whether studies of synthetic data may be published.
    replace : bool
        Whether existing reports may be replaced.

    Raises
    ------
    PublishError
        A study of synthetic data without `allow_synthetic`, an existing report without
        `replace`, two studies of one name, or an unreadable summary.
    """
    root, names = out_dir / FOLDER, [suite.name for suite in suites]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise PublishError(
            f"suites: {', '.join(double)} given more than once; give each suite once"
        )
    for suite in suites:
        if is_synthetic(suite.dataset.name) and not allow_synthetic:
            raise _synthetic(suite.name, suite.dataset.name)
    there = [
        _described(root / name)
        for name in names
        if any((root / name / file).exists() for file in (SUMMARY, *REPORT_FILES))
    ]
    if there and not replace:
        raise PublishError(
            f"published already: {'; '.join(there)}. Replace with --replace what is "
            "there, or choose another folder with --out"
        )
    _read_summaries(root, names)


def _synthetic(suite: str, dataset: str) -> PublishError:
    return PublishError(
        f"{suite}: its dataset {dataset} is synthetic, and its scores hold for no data "
        "made by people; leave the suite out, or publish it all the same with "
        "--allow-synthetic"
    )


def _described(folder: Path) -> str:
    """Return the text that names a published report and its study."""
    try:
        summary = Summary.model_validate_json((folder / SUMMARY).read_bytes())
    except (OSError, ValidationError):
        return f"{folder} (with no summary that can be read)"
    return (
        f"{folder} (study {summary.study}, {count(summary.n_trainings, 'training')}, "
        f"last worked on {summary.date})"
    )


def _read_summaries(root: Path, replaced: Sequence[str]) -> list[Summary]:
    """Return the summaries of earlier published studies that are not `replaced`."""
    summaries = []
    for file in sorted(root.glob(f"*/{SUMMARY}")):
        name = file.parent.name
        if name in replaced:
            continue
        try:
            summary = Summary.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise PublishError(
                f"{file}: not a summary as this version writes it "
                f"({str(error).splitlines()[0]}); publish {name} too in this call, or "
                "remove its folder"
            ) from error
        if summary.suite != name:
            raise PublishError(
                f"{file}: expected a summary of {name}, got one of {summary.suite}; "
                "name the folder as the suite, or remove it"
            )
        summaries.append(summary)
    return summaries


def _study_files(
    results: Results, allow_synthetic: bool
) -> tuple[Summary, dict[str, str]]:
    """Return a study's summary, and its files' text by path below its folder."""
    suite = results.suite.name
    if results.dataset.get("synthetic") and not allow_synthetic:
        raise _synthetic(suite, str(results.dataset.get("name")))
    if results.missing:
        raise PublishError(f"{suite}: nothing is published: {results.missing}")
    # A link to the publisher's own MLflow server does not work for others.
    analysis = analyse(dataclasses.replace(results, tracking_url=None))
    summary = summarise(analysis)
    if summary is None:
        raise PublishError(
            f"{suite}: study {results.study} has no completed training, so there is "
            "nothing to publish; `lstm-bench report` lists why trainings failed"
        )
    files = report_files(build_sections(analysis), study_page(analysis), FORMATS)
    files[SUMMARY] = summary.model_dump_json(indent=2) + "\n"
    return summary, files


def _check_private(file: Path, text: str, folders: Iterable[Path]) -> None:
    """Raise PublishError where `text` contains the path of one of `folders`."""
    for folder in folders:
        for path in {str(folder), str(folder.resolve())} - {folder.anchor}:
            for written in {path, html.escape(path), quote(path)}:
                # No match inside another path or address.
                found = re.search(rf"(?<!\w){re.escape(written)}(?![\w-])", text)
                if found is not None:
                    start, end = max(found.start() - 30, 0), found.end() + 30
                    around = " ".join(text[start:end].split())
                    raise PublishError(
                        f"{file}: would show {path}, a path on this machine: "
                        f"... {around} ...; nothing was written. Remove it from where "
                        "it comes from: the suite's text, a failure's reason or the "
                        "dataset's description"
                    )


def _remove(file: Path) -> None:
    try:
        file.unlink()
    except OSError as error:
        raise OutputError(
            f"{file}: of an earlier report, cannot be removed "
            f"({error.strerror or error}); remove it by hand"
        ) from error


def _warnings(
    studies: Sequence[Results], files: Mapping[Path, str], root: Path
) -> Iterator[str]:
    for results in studies:
        if left_out := describe_left_out(results.left_out):
            yield f"{results.suite.name}: {left_out}"
    for file, text in files.items():
        size = len(text.encode()) / 1e6
        if size > MAX_SIZE_MB:
            yield (
                f"{file}: {size:.1f} MB, more than {MAX_SIZE_MB} MB; git keeps "
                "every version of it for good"
            )
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if folder.name != SPEED and not (folder / SUMMARY).is_file():
            yield (
                f"{folder}: has no {SUMMARY}, so it is not in the index; publish "
                f"{folder.name} again"
            )
