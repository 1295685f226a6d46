"""Choose lengths, epochs, trials and seeds that fit a time budget; pure arithmetic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lstm_bench.arrays import IntArray
from lstm_bench.errors import LstmBenchError

RESERVE = 0.25
"""Share of the budget that is planned for nothing."""
FIXED_S = 100.0
"""Starting TensorFlow and MLflow in every process, twice, and writing two reports."""
PER_TRAINING_S = 2.0
"""Logging a training and choosing the next one."""
CONTENTION = 1.2
"""Times as long as alone a training takes beside the other workers'."""
EPOCHS_USED = 0.7
"""Share of max_epochs that a training lasts on average: patience ends it earlier."""
EFFORTS = (
    (40, 3, 10),
    (40, 3, 5),
    (30, 3, 5),
    (24, 3, 5),
    (20, 3, 5),
    (16, 2, 5),
    (12, 2, 5),
    (10, 2, 5),
    (10, 2, 4),
    (10, 2, 3),
    (8, 2, 3),
    (10, 1, 3),
    (8, 1, 3),
    (6, 1, 3),
)
"""Trials, configurations to confirm, and seeds; three seeds are the least for a
verdict."""
MIN_EPOCHS = 5
LENGTH_STEP = 10
MAX_LENGTH = 500
REFERENCE_UNITS = 100
REFERENCE_EMBEDDING = 128
TOKEN_SPACE: Mapping[str, tuple[Any, ...]] = {
    "units": (32, 64, 128),
    "embedding_dim": (64, 128),
    "bidirectional": (False, True),
    "pooling": ("last", "mean", "max"),
    "dropout": (0.0, 0.2, 0.4),
    "learning_rate": (0.001, 0.003),
}
VECTOR_SPACE: Mapping[str, tuple[Any, ...]] = {
    "units": (32, 64, 128),
    "bidirectional": (False, True),
    "pooling": ("last", "mean", "max"),
    "dropout": (0.0, 0.2, 0.4),
    "head_dropout": (0.0, 0.3),
    "learning_rate": (0.001, 0.005),
}


@dataclass(frozen=True)
class Cost:
    """What the reference LSTM and the baselines cost on this machine.

    Attributes
    ----------
    step_s : float
        Seconds to train on one step of one sequence.
    eval_step_s : float
        Seconds to predict one step of one sequence.
    setup_s : float
        Seconds to build a model.
    baselines_s : float
        Seconds to fit all baselines on one split and predict validation and test.
    n_workers : int
        Trainings in parallel.
    """

    step_s: float
    eval_step_s: float
    setup_s: float
    baselines_s: float
    n_workers: int


@dataclass(frozen=True)
class Sizes:
    """Lengths of the sequences of each part of the search's split.

    Attributes
    ----------
    train, val, test : int64 ndarray of shape (n,)
        Numbers of steps.
    n_inputs : int or None
        Channels of vectors; None for tokens.
    n_classes : int
    """

    train: IntArray
    val: IntArray
    test: IntArray
    n_inputs: int | None
    n_classes: int


@dataclass(frozen=True)
class Plan:
    """A study that fits a budget.

    Attributes
    ----------
    sequence_lengths : tuple of int
        One, or a short and a long one.
    max_train_samples : int or None
    search_s, confirm_s, others_s : float
        Estimated seconds: of all trials, of the confirmation's trainings, and of
        baselines and everything else.
    timeout_s : int
        Seconds after which the search should start no further trial.
    """

    sequence_lengths: tuple[int, ...]
    batch_size: int
    max_epochs: int
    patience: int
    n_trials: int
    n_best: int
    n_replicates: int
    max_train_samples: int | None = None
    search_s: float = 0.0
    confirm_s: float = 0.0
    others_s: float = 0.0
    timeout_s: int = 0

    @property
    def total_s(self) -> float:
        """Estimated seconds of ``sweep --confirm``."""
        return self.search_s + self.confirm_s + self.others_s


def make_plan(sizes: Sizes, cost: Cost, budget_s: float) -> Plan:
    """Return the most thorough study that `RESERVE` of the budget is left beside.

    All examples rather than long sequences, long sequences rather than many epochs,
    and many epochs rather than many trials.

    Raises
    ------
    LstmBenchError
        Not even the smallest study fits.
    """
    n = len(sizes.train)
    least = max(200, 20 * sizes.n_classes)
    n_halved = max(0, int(math.log2(max(1, n / least))))
    epochs, patience = epochs_for(n)
    few = max(min(MIN_EPOCHS, epochs), round(epochs * 0.6))
    plan = None
    for halvings, lengths, max_epochs, (n_trials, n_best, n_seeds) in itertools.product(
        range(n_halved + 1),
        length_options(sizes),
        dict.fromkeys((epochs, few)),
        EFFORTS,
    ):
        n_used = n >> halvings
        plan = _estimated(
            Plan(
                lengths,
                batch_size_for(n_used),
                max_epochs,
                min(patience, max_epochs),
                n_trials,
                n_best,
                n_seeds,
                max_train_samples=n_used if halvings else None,
            ),
            sizes,
            cost,
        )
        if plan.total_s <= (1 - RESERVE) * budget_s:
            rest = plan.confirm_s + plan.others_s
            timeout_s = int((1 - RESERVE / 2) * budget_s - rest)
            return replace(plan, timeout_s=timeout_s)
    if plan is None:
        raise TypeError("there is always a smallest plan")
    needed = math.ceil(plan.total_s / (1 - RESERVE) / 60)
    raise LstmBenchError(
        f"--budget: the smallest study of these data needs about {needed} minutes on "
        f"this machine, got {budget_s / 60:g}; give --budget {needed}m, or fewer "
        "examples"
    )


def _estimated(plan: Plan, sizes: Sizes, cost: Cost) -> Plan:
    shares = relative_costs(sizes.n_inputs)
    mean, high = float(np.mean(shares)), float(np.max(shares))
    n = plan.max_train_samples or len(sizes.train)
    share_used = n / len(sizes.train)

    def training_s(length: int, relative: float, tests: bool) -> float:
        train, val, test = (
            float(np.minimum(lengths, length).sum())
            for lengths in (sizes.train, sizes.val, sizes.test)
        )
        # Each epoch is validated; at the end, a part of train is scored, too.
        n_epochs = max(1.0, EPOCHS_USED * plan.max_epochs)
        train_s = share_used * train * cost.step_s
        val_s = share_used * val * cost.eval_step_s
        test_s = test * cost.eval_step_s if tests else 0.0
        steps_s = n_epochs * train_s + (n_epochs + 1) * val_s + test_s
        return cost.setup_s + PER_TRAINING_S + relative * steps_s

    mean_s = float(np.mean([training_s(n, mean, False) for n in plan.sequence_lengths]))
    longest = plan.sequence_lengths[-1]
    reference_s = training_s(longest, 1.0, True)
    # The best are rarely the smallest.
    best_s = training_s(longest, (mean + high) / 2, True)
    search_s = plan.n_trials * mean_s + reference_s
    confirm_s = plan.n_replicates * (plan.n_best * best_s + reference_s)
    baselines_s = (1 + plan.n_replicates) * share_used * cost.baselines_s
    share = CONTENTION / cost.n_workers if cost.n_workers > 1 else 1.0
    # One worker fits them while the others train.
    beside_s = max(share * baselines_s, baselines_s - share * (search_s + confirm_s))
    return replace(
        plan,
        search_s=share * search_s,
        confirm_s=share * confirm_s,
        others_s=FIXED_S + best_s + beside_s,
    )


def relative_costs(n_inputs: int | None) -> list[float]:
    """Return the cost of a step, relative to the reference's, over the search space.

    By multiply-adds of a step; a part of the time does not grow with them.
    """
    space = TOKEN_SPACE if n_inputs is None else VECTOR_SPACE
    embeddings = space.get("embedding_dim", (n_inputs,))
    n_in = REFERENCE_EMBEDDING if n_inputs is None else n_inputs
    reference = REFERENCE_UNITS * (REFERENCE_UNITS + n_in)
    return [
        0.3 + 0.7 * (2 if both else 1) * units * (units + embedding) / reference
        for units, embedding, both in itertools.product(
            space["units"], embeddings, space["bidirectional"]
        )
    ]


def length_options(sizes: Sizes) -> list[tuple[int, ...]]:
    """Return the sequence lengths to consider, the longest first.

    Texts: so that 95 % are whole, beside a length that leaves 75 % whole if that is
    much shorter. Series: all of the longest.
    """
    if sizes.n_inputs is not None:
        parts = (sizes.train, sizes.val, sizes.test)
        whole = min(max(int(part.max()) for part in parts), 10 * MAX_LENGTH)
        shorter = [_rounded(sizes.train, q) for q in (0.95, 0.5)]
        return [(whole,), *((n,) for n in shorter if n < whole)]
    long, short, half = (_rounded(sizes.train, q) for q in (0.95, 0.75, 0.5))
    options = [(short, long)] if long >= 1.5 * short else [(long,)]
    return list(dict.fromkeys([*options, (short,), (half,)]))


def _rounded(lengths: IntArray, q: float) -> int:
    length = math.ceil(np.quantile(lengths, q) / LENGTH_STEP) * LENGTH_STEP
    return min(length, MAX_LENGTH)


def epochs_for(n_train: int) -> tuple[int, int]:
    """Return max_epochs and patience: small data need more passes."""
    for below, epochs, patience in ((1000, 60, 10), (4000, 25, 5), (20_000, 15, 3)):
        if n_train < below:
            return epochs, patience
    return 8, 2


def batch_size_for(n_train: int) -> int:
    """Return the batch size: about 30 steps an epoch or more, from 16 to 128."""
    for below, size in ((1000, 16), (3000, 32), (50_000, 64)):
        if n_train < below:
            return size
    return 128
