"""Windows of series, divided by time, and the proof that none has seen the future.

An *origin* is the first position that is forecast: at origin t the values before t are
known, and those at t, t + 1, ..., t + horizon - 1 are the targets. The last origins are
test's, those before them validation's, and every position before that is train's. All
series are cut at the same times, so that no series has another's future either.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lstm_bench.arrays import Float32Array, FloatArray, IntArray
from lstm_bench.data.dataset import is_known
from lstm_bench.data.forecasting.series import Collection, Series
from lstm_bench.errors import LeakError, UnfitDataError
from lstm_bench.inference import scaled_windows, seasonal_errors
from lstm_bench.text import count

PARTS = ("train", "validation", "test")
CHANNELS = ("value", "is missing")


@dataclass(frozen=True)
class Plan:
    """Which windows there are.

    Attributes
    ----------
    window : int
        Steps before an origin that are the input.
    horizon : int
        Steps from an origin on that are the targets.
    season : int
        Steps of a season; 1 for none.
    step : int
        Steps from one origin of test or validation to the next.
    n_test, n_validation : int
        Numbers of their origins.
    refit : bool
        Whether models are trained again at every test origin.
    """

    window: int
    horizon: int
    season: int
    step: int
    n_test: int
    n_validation: int
    refit: bool = False

    def origins(self, end: int) -> dict[str, IntArray]:
        """Return the origins of each part, in ascending order.

        A part's targets end before the first origin of the next part.

        Parameters
        ----------
        end : int
            The position after the last one.
        """
        test = end - self.horizon - self.step * np.arange(self.n_test)[::-1]
        last = int(test[0]) - self.horizon
        validation = last - self.step * np.arange(self.n_validation)[::-1]
        last = int(validation[0]) - self.horizon
        train = np.arange(self.window, last + 1)
        return {"train": train, "validation": validation, "test": test}

    def later(self, end: int) -> IntArray:
        """Return the origins after train's that are known by the last test origin."""
        of = self.origins(end)
        origins = np.arange(int(of["train"][-1]) + 1, end)
        return origins[is_known(origins, self.horizon, int(of["test"][-1]))]


@dataclass(frozen=True)
class Windows:
    """The windows of one part.

    Attributes
    ----------
    series, origin : int64 ndarray of shape (n,)
        Number of the series, and the position of the first target.
    level : float64 ndarray of shape (n,)
        The last known value before the origin.
    scale : float64 ndarray of shape (n,)
        `seasonal_errors` of the series in train.
    values : float32 ndarray of shape (n, window, 2)
        ``(value - level) / scale``, 0 where missing; and 1 where missing, else 0.
    targets : float64 ndarray of shape (n, horizon)
        In the unit of the series.
    """

    series: IntArray
    origin: IntArray
    level: FloatArray
    scale: FloatArray
    values: Float32Array
    targets: FloatArray

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.origin)

    def take(self, index: Any) -> Windows:
        """Return the windows at `index`."""
        return Windows(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(frozen=True)
class Parts:
    """The windows of all parts, and what was left out.

    Attributes
    ----------
    cuts : dict of str to int
        For each part the position that its targets end before.
    n_without_targets : dict of str to int
        Windows of each part that were left out because a target is missing.
    n_without_inputs : dict of str to int
        Windows of each part that were left out because every input is missing.
    scales : dict of str to float
        The scale of each series that has one, by name.
    left_out : dict of str to str
        Series without a scale, by name, with the reason.
    later : Windows or None
        With `Plan.refit`, those after train's.
    """

    windows: dict[str, Windows]
    cuts: dict[str, int]
    n_without_targets: dict[str, int]
    n_without_inputs: dict[str, int]
    scales: dict[str, float]
    left_out: dict[str, str]
    later: Windows | None = None


def make_parts(collection: Collection, plan: Plan, where: str) -> Parts:
    """Return the windows of train, validation and test.

    Each series is scaled by its own seasonal differences in train. Windows with a
    missing target, or without a known input, are left out and counted.

    Parameters
    ----------
    where : str
        The place for messages: the file, or the dataset.

    Raises
    ------
    UnfitDataError
        The series are too short for the windows, or a part has none.
    LeakError
        A part has seen what comes after it.
    """
    origins = plan.origins(len(collection.times))
    cuts = {
        "train": int(origins["validation"][0]),
        "validation": int(origins["test"][0]),
        "test": len(collection.times),
    }
    if not len(origins["train"]):
        needed = (
            plan.window
            + 3 * plan.horizon
            + plan.step * (plan.n_test + plan.n_validation - 2)
        )
        raise UnfitDataError(
            f"{where}: expected series of {needed:,} steps at least (window "
            f"{plan.window:,}, horizon {plan.horizon:,}, {plan.n_validation:,} "
            f"validation and {plan.n_test:,} test windows every "
            f"{count(plan.step, 'step')}), got {len(collection.times):,}; set a "
            "smaller window, horizon, step, n_windows or n_validation_windows"
        )
    scales, left_out = fit_scales(collection, plan.season, cuts["train"])
    windows, n_targets, n_inputs = {}, {}, {}
    for part in PARTS:
        windows[part], n_targets[part], n_inputs[part] = _whole_windows(
            collection, plan, scales, origins[part]
        )
        if not len(windows[part]):
            n = n_targets[part] + n_inputs[part]
            why = f"of {count(n, 'window')}, {n_targets[part]:,} miss a target"
            if left_out:
                name, reason = next(iter(left_out.items()))
                why += f"; {count(len(left_out), 'series')} left out, as {name!r}: "
                why += reason
            raise UnfitDataError(
                f"{where}: expected windows of {plan.window:,} + {plan.horizon:,} "
                f"steps for {part}, got none ({why}); give longer series, or set a "
                "smaller window, horizon or step"
            )
    later = None
    if plan.refit:
        origin = plan.later(len(collection.times))
        later, *_ = _whole_windows(collection, plan, scales, origin)
    by_name = {
        one.name: scale
        for one, scale in zip(collection.series, scales.tolist(), strict=True)
        if one.name not in left_out
    }
    parts = Parts(windows, cuts, n_targets, n_inputs, by_name, left_out, later)
    check_future(collection, plan, parts, where)
    return parts


def fit_scales(
    collection: Collection, season: int, cut: int
) -> tuple[FloatArray, dict[str, str]]:
    """Return the scale of each series, from its values before `cut` alone.

    Returns
    -------
    scales : float64 ndarray of shape (n_series,)
        NaN for series that have none.
    left_out : dict of str to str
        Names of those, with the reason.
    """
    found = [seasonal_errors(s.until(cut).values, season) for s in collection.series]
    scales = np.array(found)
    reasons = {
        one.name: "no two known values in train are a season apart"
        if np.isnan(scale)
        else "in train, all values a season apart are equal"
        for one, scale in zip(collection.series, scales.tolist(), strict=True)
        if not scale > 0
    }
    scales[~(scales > 0)] = np.nan
    return scales, reasons


def _whole_windows(
    collection: Collection, plan: Plan, scales: FloatArray, origins: IntArray
) -> tuple[Windows, int, int]:
    """Return the windows at `origins` that have all targets and a known input.

    Returns
    -------
    windows : Windows
    n_targets, n_inputs : int
        How many were left out because a target, or every input, is missing.
    """
    series, origin = _places(collection, plan, origins, scales)
    every = cut_windows(collection, plan, scales, series, origin)
    no_target = np.isnan(every.targets).any(axis=1)
    no_input = np.isnan(every.level) & ~no_target
    whole = every.take(np.flatnonzero(~no_target & ~no_input))
    return whole, int(no_target.sum()), int(no_input.sum())


def _places(
    collection: Collection, plan: Plan, origins: IntArray, scales: FloatArray
) -> tuple[IntArray, IntArray]:
    """Return series and origin of each window that lies within its series."""
    series, found = [], []
    for number, one in enumerate(collection.series):
        if np.isnan(scales[number]):
            continue
        is_inside = (origins - plan.window >= one.first) & (
            origins + plan.horizon <= one.stop
        )
        found.append(origins[is_inside])
        series.append(np.full(int(is_inside.sum()), number))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(series), np.concatenate(found)


def cut_windows(
    collection: Collection,
    plan: Plan,
    scales: FloatArray,
    series: IntArray,
    origin: IntArray,
) -> Windows:
    """Return the windows of some series at some origins.

    Values that a series does not have are missing, as those that it has as NaN.
    """
    n, length = len(series), plan.window + plan.horizon
    runs = np.full((n, length), np.nan)
    for number in np.unique(series):
        mine = np.flatnonzero(series == number)
        runs[mine] = _runs(
            collection.series[number], origin[mine] - plan.window, length
        )
    known, targets = runs[:, : plan.window], runs[:, plan.window :]
    scale = scales[series]
    values, level = scaled_windows(known, scale)
    return Windows(series, origin, level, scale, values, targets)


def _runs(series: Series, starts: IntArray, length: int) -> FloatArray:
    """Return `length` values from each of `starts` on, NaN outside the series."""
    first, stop = int(starts.min()), int(starts.max()) + length
    padded = np.full(stop - first, np.nan)
    inside = slice(max(first, series.first), max(first, min(stop, series.stop)))
    if inside.start < inside.stop:
        padded[inside.start - first : inside.stop - first] = series.values[
            inside.start - series.first : inside.stop - series.first
        ]
    views: FloatArray = sliding_window_view(padded, length)[starts - first]
    return views


def check_future(collection: Collection, plan: Plan, parts: Parts, where: str) -> None:
    """Refuse windows that know what comes after their part, or after a test origin.

    All values from a part's end on are removed, and its windows and scales are computed
    again. What was made without a look at the future is the same, bit for bit. Each of
    the windows after train is computed from the values before the first test origin
    that trains on it.

    Raises
    ------
    LeakError
        With the first window that differs.
    """
    for part in ("train", "validation"):
        windows = parts.windows[part]
        _check_known(collection, plan, parts, windows, part, parts.cuts[part], where)
    if parts.later is None:
        return
    is_new = np.ones(len(parts.later), bool)
    for at in np.unique(parts.windows["test"].origin).tolist():
        used = is_new & is_known(parts.later.origin, plan.horizon, at)
        is_new &= ~used
        windows = parts.later.take(np.flatnonzero(used))
        part = f"at test origin {collection.times[at]} training"
        _check_known(collection, plan, parts, windows, part, at, where)


def _check_known(
    collection: Collection,
    plan: Plan,
    parts: Parts,
    windows: Windows,
    part: str,
    cut: int,
    where: str,
) -> None:
    """Refuse windows that depend on values at position `cut` or later."""
    known = collection.until(cut)
    scales, _ = fit_scales(known, plan.season, parts.cuts["train"])
    again = cut_windows(known, plan, scales, windows.series, windows.origin)
    for name, what in (
        ("targets", "targets"),
        ("values", "inputs"),
        ("level", "level"),
        ("scale", "scale"),
    ):
        one, other = getattr(windows, name), getattr(again, name)
        differs = (one != other).reshape(len(windows), -1).any(axis=1)
        if differs.any():
            i = int(differs.argmax())
            series = collection.series[windows.series[i]].name
            of = f"series {series!r}" if series else "the series"
            n = count(int(differs.sum()), "window")
            origin = collection.times[windows.origin[i]]
            raise LeakError(
                f"{where}: expected {part} windows made from values before "
                f"{collection.times[cut]} alone, got {n} with {what} that depend "
                f"on later ones; the first is of {of} at origin {origin}: correct "
                "how the windows are divided or scaled"
            )
