"""A sweep's store that lasts as long as a benchmark, and trials begun in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import load_suite
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import Prepared, prepare

SUITES = Path(__file__).parents[1]


@dataclass(frozen=True)
class ThrowawaySweep:
    """A session in MLflow on sqlite.

    Attributes
    ----------
    run_id : str
        Of the session.
    """

    prepared: Prepared
    tracker: Tracker
    run_id: str

    def begin(self, config: TrialConfig, number: int) -> str:
        """Start the run of a trial; return its id."""
        return self.tracker.start_run(
            config,
            suite=self.prepared.suite,
            kind="trial",
            parent_run_id=self.run_id,
            dataset=self.prepared.about_data,
            environment=self.prepared.about_machine,
            seeds=self.prepared.seeds,
            trial=number,
        )


@contextmanager
def throwaway_sweep(data_dir: Path | None) -> Iterator[ThrowawaySweep]:
    """Open one of imdb_small, or of quick's synthetic data without a folder."""
    suite = load_suite(SUITES / f"{'imdb_small' if data_dir else 'quick'}.yaml")
    prepared = prepare(suite, data_dir)
    with tempfile.TemporaryDirectory() as folder:
        tracker = Tracker(resolve_tracking_uri(f"sqlite:///{folder}/mlflow.db"))
        run_id = tracker.start_session(
            "sweep", suite, prepared.about_data, prepared.about_machine, {}
        )
        yield ThrowawaySweep(prepared, tracker, run_id)
