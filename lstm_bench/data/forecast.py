"""Series of one's own that go on, to be forecast; see `lstm_bench.data.forecasting`."""

from __future__ import annotations

from pathlib import Path

from lstm_bench.data.dataset import Dataset
from lstm_bench.data.forecasting.dataset import forecast_dataset
from lstm_bench.data.forecasting.options import SeriesOptions
from lstm_bench.data.forecasting.read import read_series
from lstm_bench.tasks import FORECAST
from lstm_bench.text import count

TASK = FORECAST
DESCRIPTION = (
    "Your own series to be forecast, from a CSV, TSV, JSON Lines, Parquet or .tsf file."
)
Options = SeriesOptions


def load(options: SeriesOptions, data_dir: Path | None, seed: int) -> Dataset:
    """Read the series of a file and cut them into windows.

    Parameters
    ----------
    data_dir : Path or None
        Folder that a relative path starts from; None: the current one.
    seed : int
        Not used: the parts are fixed by time.

    Raises
    ------
    DatasetError
        The file cannot be read, has bad rows, or its series are too short.
    """
    folder = data_dir or Path()
    collection = read_series(options, folder)
    n = sum(len(one.values) for one in collection.series)
    return forecast_dataset(
        "forecast",
        f"{count(len(collection.series), 'series')} of {n:,} values in all from "
        f"{Path(options.file).name}.",
        collection,
        options.plan,
        str(folder / options.file),
    )
