"""What was asked of a study so far, as far as the next suggestion depends on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from lstm_bench.owned import CONFIG_ID, INTERRUPTED, counts, is_running


@dataclass(frozen=True)
class History:
    """The trials of a search and its references, summed up.

    Attributes
    ----------
    tried : dict of str to FrozenTrial
        By configuration, the trainings that count, and those at work.
    n_at_work : int
        Trials of the search that count or are at work.
    n_asked : int
        Trials that an undisturbed search would have by now.
    n_waiting : int
        Trials of the search that wait to be taken up.
    """

    tried: dict[str, FrozenTrial]
    n_at_work: int
    n_asked: int
    n_waiting: int

    @classmethod
    def of(
        cls, references: Iterable[FrozenTrial], search: Iterable[FrozenTrial]
    ) -> History:
        """Go through the trials once."""
        counting: dict[str, FrozenTrial] = {}
        at_work: dict[str, FrozenTrial] = {}
        for trial in references:
            if counts(trial):
                counting[trial.user_attrs[CONFIG_ID]] = trial
            elif is_running(trial):
                at_work[trial.user_attrs[CONFIG_ID]] = trial
        n_at_work = n_asked = n_waiting = 0
        for trial in search:
            attrs, is_asked = trial.user_attrs, True
            if counts(trial):
                counting[attrs[CONFIG_ID]] = trial
                n_at_work += 1
            elif is_running(trial):
                at_work[attrs[CONFIG_ID]] = trial
                n_at_work += 1
            elif trial.state == TrialState.WAITING:
                n_waiting += 1
            elif trial.state == TrialState.RUNNING:
                # Left by a process that was killed before it had marked it as its own.
                is_asked = False
            n_asked += is_asked and INTERRUPTED not in attrs
        return cls(at_work | counting, n_at_work, n_asked, n_waiting)
