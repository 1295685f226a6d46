"""A fitted baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from lstm_bench.arrays import FloatArray
from lstm_bench.data.dataset import Sequences
from lstm_bench.inference import Arrays, baseline_proba


@dataclass(frozen=True)
class Predictor:
    """A fitted baseline.

    Attributes
    ----------
    name : str
        One of `BASELINES`.
    fitted : mapping of str to ndarray
        What `lstm_bench.inference.baseline_proba` needs; numbers only.
    n_classes : int
    n_features : int
        Number of features with a weight: distinct n-grams, or summary statistics.
    """

    name: str
    fitted: Arrays
    n_classes: int
    n_features: int = 0

    def predict_proba(self, sequences: Sequences) -> FloatArray:
        """Return probabilities of shape (n, n_classes), float64; rows sum to 1."""
        return baseline_proba(self.name, self.fitted, sequences, self.n_classes)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return `fitted`, to be stored with `np.savez` and read without pickle."""
        return dict(self.fitted)
