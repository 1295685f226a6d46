"""Which of several configurations no other beats in score and cost at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import FloatArray
from lstm_bench.metrics import merge_ties


def pareto_front(
    time: FloatArray, score: FloatArray, higher_is_better: bool
) -> npt.NDArray[np.bool_]:
    """Return where no other is at least as good in both and better in one.

    Parameters
    ----------
    time : float ndarray of shape (n,), lower is better
    score : float ndarray of shape (n,)

    Returns
    -------
    bool ndarray of shape (n,)
    """
    tied = merge_ties(score)
    loss = -tied if higher_is_better else tied
    on_front = np.zeros(len(time), dtype=bool)
    best = (np.inf, np.inf)
    # By time, ties by loss: one is on the front if it beats all that are faster, or
    # equals the last that did.
    for i in np.lexsort((loss, time)):
        point = (loss[i], time[i])
        if loss[i] < best[0] or point == best:
            on_front[i], best = True, point
    return on_front
