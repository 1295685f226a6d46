"""Real tiny sweeps and what they printed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lstm_bench.open_study import OpenStudy, open_study
from lstm_bench.suites.suite import Suite
from lstm_bench.sweep import run_search
from lstm_bench.tracking.load import load_results
from lstm_bench.workers.options import Workers
from lstm_bench.workers.progress import Progress


class Recorder(Progress):
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


@contextmanager
def opened(
    suite: Suite, folder: Path, recorder=None, n_workers: int = 1, **stores: str
) -> Iterator[OpenStudy]:
    """Open the study of `suite` with its stores in `folder`."""
    with open_study(
        suite,
        recorder or Recorder(),
        "test",
        Workers(n_workers),
        data_dir=None,
        tracking_uri=stores.get("tracking_uri", f"sqlite:///{folder}/mlflow.db"),
        storage=stores.get("storage", f"sqlite:///{folder}/optuna.db"),
        out=folder / "report",
        n_replicates=0,
    ) as study:
        yield study


def sweep(
    suite: Suite,
    folder: Path,
    n_trials: int | None = None,
    recorder=None,
    n_workers: int = 1,
):
    """Run the search of `suite`; return the id of its run, and what was tracked."""
    with opened(suite, folder, recorder, n_workers) as study:
        run_id = run_search(
            study, n_trials=n_trials or suite.study.n_trials, timeout_s=None
        )
        assert study.tracker.catch_up()
        return run_id, load_results(study.tracker.tracking_uri, suite)
