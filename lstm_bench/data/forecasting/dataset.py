"""A data set of windows: each is a sequence, and the next values are its targets."""

from __future__ import annotations

import numpy as np

from lstm_bench.arrays import FloatArray
from lstm_bench.data.dataset import (
    VECTORS,
    Dataset,
    Sequences,
    Units,
    sequences_digest,
)
from lstm_bench.data.forecasting.describe import describe
from lstm_bench.data.forecasting.series import Collection
from lstm_bench.data.forecasting.windows import CHANNELS, Plan, Windows, make_parts
from lstm_bench.tasks import FORECAST
from lstm_bench.text import count


def forecast_dataset(
    name: str,
    description: str,
    collection: Collection,
    plan: Plan,
    where: str,
    *,
    source: str = "",
    synthetic: bool = False,
    floor: FloatArray | None = None,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Return the windows of some series as a data set whose parts are fixed by time.

    Parameters
    ----------
    where : str
        The place for messages.
    floor : float64 ndarray of shape (horizon,), or None
        See `describe`.

    Raises
    ------
    UnfitDataError
        The series are too short for the windows, or a part has none.
    LeakError
        A part has seen what comes after it.
    """
    parts = make_parts(collection, plan, where)
    sequences = {
        part: _sequences(windows, plan) for part, windows in parts.windows.items()
    }
    later = None if parts.later is None else _sequences(parts.later, plan)
    about = describe(collection, plan, parts, floor)
    return Dataset(
        name=name,
        description=description,
        train=sequences["train"],
        validation=sequences["validation"],
        test=sequences["test"],
        task=FORECAST,
        class_names=(),
        output_names=tuple(f"step {k}" for k in range(1, plan.horizon + 1)),
        vocabulary=(),
        digest=sequences_digest(
            *sequences.values(), *(() if later is None else (later,))
        ),
        source=source or collection.files,
        synthetic=synthetic,
        example="window",
        notes=(*collection.notes, *notes),
        kind=VECTORS,
        channels=CHANNELS,
        scales_channels=False,
        times=parts.windows["train"].origin.astype(np.float64),
        rows=collection.rows,
        division=f"the last {count(plan.n_test, 'origin')} in time, every "
        f"{count(plan.step, 'step')}",
        forecast=about,
        later=later,
    )


def _sequences(windows: Windows, plan: Plan) -> Sequences:
    n = len(windows)
    return Sequences(
        windows.values.reshape(n * plan.window, len(CHANNELS)),
        np.arange(n + 1) * plan.window,
        windows.targets,
        units=Units(windows.level, windows.scale, windows.origin, plan.season),
    )
