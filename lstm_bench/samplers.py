"""TPE as it is used here: seeded anew for every trial, and quick on long histories."""

from __future__ import annotations

import optuna
from optuna.distributions import BaseDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial


class SeededTPESampler(optuna.samplers.TPESampler):
    """TPE for one trial, which knows the space that its predecessors have found.

    Optuna takes the axes that all finished trials share for the space, and a new
    sampler goes through all of them to find these, which took half the time of an
    ask among 10,000. Trials that have ended do not change: `known` goes on where the
    last sampler was, and what is suggested is the same.

    Parameters
    ----------
    known : IntersectionSearchSpace
        Kept from trial to trial of one study, with pruned trials included as TPE does.
    seed : int
        Of this trial.
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
        # Of the trials as they were read for this ask, as TPE itself has it.
        space = self._known.calculate(study, use_cache=True)
        return {name: axis for name, axis in space.items() if not axis.single()}
