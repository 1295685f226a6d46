"""Checks of arrays: each returns its argument in one type, or says what is wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray, IntArray

# Probabilities of a float32 softmax add up to 1 within about 1e-6.
_ROW_SUM_TOLERANCE = 1e-3


def as_floats(values: Any) -> FloatArray:
    """Return `values` as float64."""
    return np.asarray(values, dtype=np.float64)


def check_values(where: str, name: str, values: npt.ArrayLike) -> FloatArray:
    """Return `values` as floats of shape (n,), n >= 1, all finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(
            f"{where}: {name}: expected shape (n,) with n >= 1, got {array.shape}"
        )
    check_finite(where, name, array)
    return array


def check_strata(where: str, strata: npt.ArrayLike, n_reviews: int) -> IntArray:
    """Return `strata` as integers of shape (n_reviews,)."""
    array = np.asarray(strata)
    if array.shape != (n_reviews,) or array.dtype.kind not in "iub":
        raise ValueError(
            f"{where}: strata: expected integers of shape ({n_reviews},), got "
            f"{array.dtype} of shape {array.shape}"
        )
    return array.astype(np.int64)


def check_probabilities(where: str, y_proba: npt.ArrayLike) -> FloatArray:
    """Return `y_proba` as floats of shape (n, n_classes), rows summing to 1."""
    array = np.asarray(y_proba, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"{where}: y_proba: expected shape (n_reviews, n_classes), got "
            f"{array.shape}"
        )
    sums = array.sum(axis=1)
    # Written so that NaN fails.
    bad = ~((array.min(axis=1) >= 0.0) & (np.abs(sums - 1.0) <= _ROW_SUM_TOLERANCE))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{where}: y_proba: expected rows of probabilities that sum to 1, got row "
            f"{row}: {array[row].tolist()}"
        )
    return array


def check_classified(
    where: str, y_true: npt.ArrayLike, y_proba: npt.ArrayLike
) -> tuple[IntArray, FloatArray]:
    """Return classes of shape (n,) and probabilities of shape (n, n_classes)."""
    proba = check_probabilities(where, y_proba)
    classes = np.asarray(y_true)
    if classes.shape != (len(proba),) or classes.dtype.kind not in "iub":
        raise ValueError(
            f"{where}: y_true: expected integers of shape ({len(proba)},), got "
            f"{classes.dtype} of shape {classes.shape}"
        )
    classes = classes.astype(np.int64)
    if classes.min() < 0 or classes.max() >= proba.shape[1]:
        raise ValueError(
            f"{where}: y_true: expected classes 0 to {proba.shape[1] - 1}, got "
            f"{int(classes.min())} to {int(classes.max())}"
        )
    return classes, proba


def check_finite(where: str, name: str, values: FloatArray) -> None:
    """Raise ValueError unless every value is finite."""
    if not np.isfinite(values).all():
        raise ValueError(
            f"{where}: {name}: expected finite numbers, got "
            f"{values[~np.isfinite(values)].flat[0]}; leave failed runs out"
        )


def check_level(where: str, level: float) -> None:
    """Raise ValueError unless `level` is in (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"{where}: level: expected a number in (0, 1), got {level!r}")


def check_margin(where: str, margin: float) -> None:
    """Raise ValueError unless `margin` is finite and at least 0."""
    if not 0.0 <= margin < math.inf:
        raise ValueError(
            f"{where}: margin: expected a finite number of at least 0, got {margin!r}"
        )


def check_resampling(where: str, n_resamples: int, level: float) -> None:
    """Raise ValueError for fewer than one resample or a bad level."""
    if n_resamples < 1:
        raise ValueError(
            f"{where}: n_resamples: expected at least 1, got {n_resamples!r}"
        )
    check_level(where, level)


def is_correct(y_true: IntArray, y_proba: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether the most probable class is the true one; ties as in `accuracy`."""
    correct: npt.NDArray[np.bool_] = y_proba.argmax(axis=1) == y_true
    return correct


def percent_text(level: float) -> str:
    """Return ``95 %``."""
    return f"{100 * level:g} %"


def count_text(values: npt.NDArray[Any], unit: str) -> str:
    """Return ``1 seed`` or ``5 seeds``."""
    return f"{len(values):,} {unit}" + ("" if len(values) == 1 else "s")
