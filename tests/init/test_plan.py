"""The plan that fits a budget, by its own arithmetic."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from lstm_bench.errors import LstmBenchError
from lstm_bench.init.plan import (
    CONTENTION,
    EPOCHS_USED,
    FIXED_S,
    PER_TRAINING_S,
    RESERVE,
    Cost,
    Sizes,
    length_options,
    make_plan,
    relative_costs,
)

COST = Cost(step_s=1e-5, eval_step_s=3e-6, setup_s=2.0, baselines_s=10.0, n_workers=2)


def sizes_of(n: int, longest: int = 300, n_inputs: int | None = None) -> Sizes:
    rng = np.random.default_rng(0)
    train, val, test = (rng.integers(1, longest + 1, m) for m in (n, n // 4, n // 4))
    return Sizes(train, val, test, n_inputs, n_classes=3)


@pytest.mark.parametrize("minutes", [6, 15, 30, 120, 600])
@pytest.mark.parametrize("n", [200, 5000, 80_000])
def test_make_plan_fits_the_budget_with_its_reserve(minutes, n):
    plan = make_plan(sizes_of(n), COST, minutes * 60)
    assert plan.total_s <= (1 - RESERVE) * minutes * 60
    assert plan.n_replicates >= 3
    assert 1 <= plan.n_best <= plan.n_trials
    rest = plan.confirm_s + plan.others_s
    # Even a search that lasts until its timeout leaves time to confirm.
    assert plan.search_s < plan.timeout_s < minutes * 60 - rest


def test_make_plan_uses_a_larger_budget():
    plans = [make_plan(sizes_of(20_000), COST, m * 60) for m in (10, 30, 300)]
    used = [plan.max_train_samples or 20_000 for plan in plans]
    assert used == sorted(used)
    assert used[-1] == 20_000
    assert plans[-1].n_trials > plans[0].n_trials


def test_make_plan_adds_up_what_each_training_costs():
    lengths = np.full(1000, 50)
    sizes = Sizes(lengths, lengths[:200], lengths[:300], None, n_classes=2)
    plan = make_plan(sizes, COST, 3600 * 10)
    assert plan.sequence_lengths == (50,)
    epoch_s = 1000 * 50 * 1e-5
    val_s, test_s = 200 * 50 * 3e-6, 300 * 50 * 3e-6
    n_epochs = EPOCHS_USED * plan.max_epochs
    alone_s = n_epochs * epoch_s + (n_epochs + 1) * val_s
    fixed_s = PER_TRAINING_S + 2.0
    shares = relative_costs(None)
    mean, best = np.mean(shares), (np.mean(shares) + max(shares)) / 2
    reference_s = fixed_s + alone_s + test_s
    trials_s = plan.n_trials * (fixed_s + mean * alone_s) + reference_s
    assert plan.search_s == pytest.approx(trials_s * CONTENTION / 2)
    best_s = fixed_s + best * (alone_s + test_s)
    confirm_s = plan.n_replicates * (plan.n_best * best_s + reference_s)
    assert plan.confirm_s == pytest.approx(confirm_s * CONTENTION / 2)
    # The baselines' 10 s on each split are shared out like trainings.
    beside_s = (1 + plan.n_replicates) * 10.0 * CONTENTION / 2
    assert plan.others_s == pytest.approx(FIXED_S + best_s + beside_s)


def test_make_plan_waits_for_baselines_that_last_longer_than_the_trainings():
    lengths = np.full(300, 10)
    sizes = Sizes(lengths, lengths, lengths, 3, n_classes=2)
    cost = replace(COST, baselines_s=500.0, n_workers=8)
    plan = make_plan(sizes, cost, 3600 * 10)
    n_splits = 1 + plan.n_replicates
    assert plan.total_s > FIXED_S + n_splits * 500.0
    assert plan.total_s < FIXED_S + n_splits * 500.0 + 100


def test_make_plan_says_which_budget_is_needed():
    with pytest.raises(LstmBenchError, match="--budget") as error:
        make_plan(sizes_of(3000), COST, 60)
    needed = int(re.search(r"give --budget (\d+)m", str(error.value))[1])
    plan = make_plan(sizes_of(3000), COST, 60 * needed)
    assert plan.total_s <= (1 - RESERVE) * 60 * needed
    with pytest.raises(LstmBenchError, match="--budget"):
        make_plan(sizes_of(3000), COST, 60 * (needed - 1))


def test_relative_costs_are_of_the_reference():
    # 32 units of an embedding of 64: 32 * 96 of 100 * 228 multiply-adds.
    assert min(relative_costs(None)) == pytest.approx(0.3 + 0.7 * 3072 / 22_800)
    # 128 units in both directions, of 12 channels.
    high = 2 * 128 * 140 / (100 * 112)
    assert max(relative_costs(12)) == pytest.approx(0.3 + 0.7 * high)


def test_length_options_are_quantiles():
    lengths = np.arange(1, 101)
    sizes = Sizes(lengths, lengths, lengths, None, 2)
    assert length_options(sizes) == [(100,), (80,), (60,)]
    skewed = np.array([20] * 80 + [33] * 15 + [400] * 5)
    assert length_options(Sizes(skewed, skewed, skewed, None, 2)) == [(20, 60), (20,)]
    vectors = Sizes(skewed, skewed, skewed, 3, 2)
    assert length_options(vectors) == [(400,), (60,), (20,)]
