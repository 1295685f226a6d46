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
    n_targets : int
        Number of classes, or of numbers to predict.
    n_features : int
        Number of features with a weight: distinct n-grams, or summary statistics.
    """

    name: str
    fitted: Arrays
    n_targets: int
    n_features: int = 0

    def predict_proba(self, sequences: Sequences) -> FloatArray:
        """Return probabilities, whose rows sum to 1, or numbers.

        Returns
        -------
        float64 ndarray of shape (n, n_targets)
        """
        y = baseline_proba(self.name, self.fitted, sequences, self.n_targets)
        return y if sequences.units is None else sequences.units.unscaled(y)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return `fitted`, to be stored with `np.savez` and read without pickle."""
        return dict(self.fitted)
