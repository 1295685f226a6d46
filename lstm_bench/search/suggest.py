"""TPE as it is used here: reseeded for every trial, and fast on long histories."""

from __future__ import annotations

import optuna
from optuna.distributions import BaseDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial


class SeededTPESampler(optuna.samplers.TPESampler):
    """TPE for one trial, which reuses the search space that earlier samplers found.

    Optuna takes the axes that all finished trials share as the space, and a new sampler
    scans all trials for them, which took half the time of an ask with 10,000 trials.
    Finished trials do not change: `known` continues where the last sampler stopped, and
    the suggestions are the same.

    Parameters
    ----------
    known : IntersectionSearchSpace
        Shared by the trials of one study; includes pruned trials, as TPE does.
    seed : int
        Seed of this trial.
    """

    def __init__(
        self, known: IntersectionSearchSpace, *, seed: int, n_startup_trials: int
    ) -> None:
        super().__init__(
            seed=seed, n_startup_trials=n_startup_trials, multivariate=True
        )
        self._known = known

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the axes of all finished trials that have more than one value."""
        # From the trials as they were read for this ask, as in TPE itself.
        space = self._known.calculate(study, use_cache=True)
        return {name: axis for name, axis in space.items() if not axis.single()}
