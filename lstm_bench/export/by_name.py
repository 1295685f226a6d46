"""Export a study's model by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lstm_bench.export.examples import examples_of
from lstm_bench.export.write import check_export, compared, export_model
from lstm_bench.tracking.models import read_about
from lstm_bench.winner import find_logged_model
from lstm_bench.workers.progress import Progress


@dataclass(frozen=True)
class Exported:
    """An export, and what it was compared on.

    Attributes
    ----------
    folder : Path
    why : str
        A sentence: which of the study's models it is.
    examples : str
        Such as ``256 validation examples``.
    what : str
        What was compared: a probability, or a prediction.
    difference : float
        The largest difference of it between the export and the model.
    """

    folder: Path
    why: str
    examples: str
    what: str
    difference: float


def export_by_name(
    tracking_uri: str,
    name: str,
    form: str,
    out: Path,
    progress: Progress,
    *,
    refit: bool = False,
    data_dir: Path | None = None,
) -> Exported:
    """Export the model called `name` to a new folder.

    Parameters
    ----------
    name, refit
        As in `find_model`.
    form : str
        One of `FORMATS`.
    out : Path
        The new folder.
    data_dir : Path or None
        Folder with the raw data; None is ``$LSTM_BENCH_DATA``. Where the data are not
        at hand, the comparison is on random sequences.

    Raises
    ------
    SuiteError, TrackingError, DatasetError, TrialFailed
        As in `find_model`.
    ExportError, OutputError
        As in `export_model`.
    """
    check_export(form, out)
    found = find_logged_model(
        tracking_uri, name, progress, refit=refit, data_dir=data_dir
    )
    progress.doing("exporting and comparing")
    about = read_about(found.folder)
    examples = examples_of(about, found.side.suite, data_dir)
    difference = export_model(found.folder, form, out, examples)
    what, _ = compared(about)
    return Exported(out, about["why"], examples.what, what, difference)
