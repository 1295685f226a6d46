"""Plain facts about a forecast data set, for its check, its runs and its report."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm_bench.arrays import FloatArray
from lstm_bench.data.forecasting.series import Collection, Series
from lstm_bench.data.forecasting.windows import PARTS, Parts, Plan

MAX_SHOWN = 3
"""Series whose ends are stored to be drawn."""


def describe(
    collection: Collection, plan: Plan, parts: Parts, floor: FloatArray | None
) -> dict[str, Any]:
    """Return what a report says about windows, parts and missing values.

    Parameters
    ----------
    floor : float64 ndarray of shape (horizon,), or None
        Standard deviation of the best possible forecast's error, Gaussian, by horizon
        step.

    Returns
    -------
    dict
        ``parts``: for each its first and last origin, the number of windows, and of
        those left out. ``scales``: of each series, by name. ``test``: series, time and
        scale of each window. ``shown``: the last values of a few series.
    """
    shown = [int(i) for i in dict.fromkeys(parts.windows["test"].series.tolist())]
    tail = plan.window + plan.horizon + plan.step * (plan.n_test - 1)
    return {
        "window": plan.window,
        "horizon": plan.horizon,
        "season": plan.season,
        "step": plan.step,
        "refit": plan.refit,
        "n_series": len(collection.series),
        "n_values": sum(len(one.values) for one in collection.series),
        "n_missing": sum(one.n_missing for one in collection.series),
        "series_with_missing": sum(one.n_missing > 0 for one in collection.series),
        "scales": parts.scales,
        "left_out": parts.left_out,
        "parts": {part: _part(collection, parts, part) for part in PARTS},
        "test": {
            "series": [collection.series[i].name for i in parts.windows["test"].series],
            "position": parts.windows["test"].origin.tolist(),
            "origin": [collection.times[i] for i in parts.windows["test"].origin],
            "scale": parts.windows["test"].scale.tolist(),
        },
        "shown": [
            _end(collection, collection.series[i], tail) for i in shown[:MAX_SHOWN]
        ],
        "noise_floor": None if floor is None else floor.tolist(),
    }


def _end(collection: Collection, series: Series, tail: int) -> dict[str, Any]:
    values = series.values[-tail:]
    first = series.stop - len(values)
    return {
        "name": series.name,
        "first": first,
        "values": [None if np.isnan(value) else value for value in values.tolist()],
        "times": list(collection.times[first : series.stop]),
    }


def _part(collection: Collection, parts: Parts, part: str) -> dict[str, Any]:
    windows = parts.windows[part]
    return {
        "n": len(windows),
        "first_origin": collection.times[int(windows.origin.min())],
        "last_origin": collection.times[int(windows.origin.max())],
        "n_without_targets": parts.n_without_targets[part],
        "n_without_inputs": parts.n_without_inputs[part],
    }
