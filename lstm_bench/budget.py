"""How the time for a sweep with its confirmation is divided."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from lstm_bench.tracking.results import Results
from lstm_bench.training.result import TOTAL_TIME, TRAIN_TIME

SEARCH_SHARE, REST_SHARE = 0.5, 0.1
"""Shares of the time in which trials start, and that is kept for reports and the
winner's model. The confirmation has what the search leaves."""


@dataclass(frozen=True)
class Budget:
    """The seconds that a command may take.

    Attributes
    ----------
    seconds : float
    confirms : bool
        Whether a confirmation follows the search.
    began : float
        When the command began, as `time.monotonic` counts.
    """

    seconds: float
    confirms: bool
    began: float = field(default_factory=time.monotonic)

    def used(self) -> float:
        """Return the seconds since the command began."""
        return time.monotonic() - self.began

    def search_s(self) -> float:
        """Return after how many seconds from now no trial starts any more."""
        share = SEARCH_SHARE if self.confirms else 1.0 - REST_SHARE
        return max(0.0, share * self.seconds - self.used())

    def confirmation_s(self) -> float:
        """Return the seconds that are left for trainings of the confirmation."""
        return max(0.0, (1.0 - REST_SHARE) * self.seconds - self.used())

    def n_seeds(
        self,
        results: Results,
        config_ids: Collection[str],
        n_workers: int,
        work: float = 1.0,
    ) -> int:
        """Return how many seeds of a confirmation fit, 0 where not even one does.

        A seed takes one training of each configuration and each baseline. They take as
        long as in the search; what was not trained there, as their mean.

        Parameters
        ----------
        work : float
            Examples that a seed's trainings have together, 1 for all examples once.
        """
        runs = results.runs[results.runs["state"] == "complete"]
        times = runs.groupby("config_id")[TOTAL_TIME].mean()
        known = times.reindex(list(config_ids))
        seed_s = float(known.fillna(times.mean()).sum())
        searched = results.baselines[results.baselines["replicate"] == 0]
        seed_s = work * (seed_s + float(searched[TRAIN_TIME].sum()))
        return int(self.confirmation_s() * max(1, n_workers) / max(seed_s, 1e-3))

    def before(self) -> str:
        """Return how the time is going to be divided."""
        total = minutes(self.seconds)
        search = minutes(self.search_s())
        if not self.confirms:
            return f"{total}: trials start in the first {search}"
        left = (1.0 - SEARCH_SHARE - REST_SHARE) * self.seconds
        return (
            f"{total}: trials start in the first {search}; then seeds of the "
            f"confirmation, {minutes(left)} or what the search leaves; "
            f"{minutes(REST_SHARE * self.seconds)} for reports"
        )


def minutes(seconds: float) -> str:
    """Return seconds in words: ``45 s``, ``12 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
