"""Real tiny sweeps and what they printed."""

from __future__ import annotations

import io
from pathlib import Path

from lstm_bench.search.storage import resolve_storage
from lstm_bench.search.study import StudyStore
from lstm_bench.suites.suite import Suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking.address import resolve_tracking_uri
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare
from lstm_bench.workers.progress import PlainProgress


class Recorder(PlainProgress):
    """Real progress lines, kept; `at_epoch` is called as each epoch ends."""

    def __init__(self, at_epoch=None) -> None:
        from lstm_bench.system.console import LastingConsole

        super().__init__(LastingConsole(record=True, width=200, file=io.StringIO()))
        self.at_epoch = at_epoch
        self.n_epochs = 0

    def epoch(self, training, entry, metric):
        self.n_epochs += 1
        if self.at_epoch is not None:
            self.at_epoch(self.n_epochs)

    def text(self) -> str:
        return self.console.export_text()


def sweep(
    suite: Suite,
    folder: Path,
    n_trials: int | None = None,
    recorder=None,
    tracking: str = "mlflow.db",
):
    uri = resolve_tracking_uri(f"sqlite:///{folder}/{tracking}")
    tracker = Tracker(uri)
    outcome = run_search(
        prepare(suite, None),
        tracker,
        StudyStore(suite, resolve_storage(f"sqlite:///{folder}/optuna.db")),
        recorder or Recorder(),
        n_trials=n_trials or suite.study.n_trials,
        timeout_s=None,
    )
    tracker.end_session(outcome.run_id, "KILLED" if outcome.interrupted else "FINISHED")
    return outcome, load_results(uri, suite)
