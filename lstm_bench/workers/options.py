"""How many workers, where, and with how many threads each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from lstm_bench.errors import LstmBenchError
from lstm_bench.suites.suite import Suite
from lstm_bench.system.environment import gpu_names
from lstm_bench.system.threads import n_cores

# A worker takes about 1 GiB: TensorFlow, MLflow, and one training of the largest here.
WORKER_GIB = 2.0
MAX_DEFAULT = 8


@dataclass(frozen=True)
class Workers:
    """Who trains.

    Attributes
    ----------
    n : int
        Workers; on a cluster 0 means one for each of its own.
    data_dir : Path or None
        Folder with the raw data, as the workers see it.
    scheduler : str or None
        Address of a Dask scheduler, or None for this machine.
    threads : int or None
        Of each worker; None divides the cores.
    grows : bool
        Whether those that join a cluster later are wanted, too.
    is_joinable : bool
        Whether one worker, too, is a process beside which others may join.
    """

    n: int = 1
    data_dir: Path | None = None
    scheduler: str | None = None
    threads: int | None = None
    grows: bool = False
    is_joinable: bool = False


ONE_HERE = Workers()


def default_workers() -> int:
    """Return how many workers this machine gets where nobody says.

    One for each core: on two, two workers of one thread each finished 1.5 times as
    many trainings an hour as one of two threads (`docs/performance.md`).
    At most `MAX_DEFAULT`, since more was not measured, as many as there is memory
    for, and one where a GPU is to be shared.
    """
    if gpu_names():
        return 1
    n_in_memory = int(psutil.virtual_memory().available / 2**30 / WORKER_GIB)
    return max(1, min(n_cores(), MAX_DEFAULT, n_in_memory))


def choose_workers(
    n_workers: int | None, scheduler: str | None, data_dir: Path | None
) -> Workers:
    """Return the workers asked for, or this machine's default.

    Parameters
    ----------
    n_workers : int or None
        None is `default_workers`; on a cluster, one for each of its own.
    scheduler : str or None
        Address of a Dask scheduler.

    Raises
    ------
    LstmBenchError
        Fewer than one worker.
    """
    if n_workers is not None and n_workers < 1:
        raise LstmBenchError(f"n_workers: expected at least 1, got {n_workers}")
    default = default_workers() if scheduler is None else 0
    n = default if n_workers is None else n_workers
    return Workers(n, data_dir, scheduler, is_joinable=n_workers is not None)


def as_many_as_needed(workers: Workers, n_left: int) -> Workers:
    """Return `workers` of this machine without those that would find nothing to do."""
    if workers.scheduler is not None:
        return workers
    if n_left == 0:
        return ONE_HERE
    return replace(workers, n=min(workers.n, n_left))


def is_in_process(workers: Workers, suite: Suite) -> bool:
    """Whether the command's own process trains.

    A limit needs somebody who outlives a training that runs into it.
    """
    study = suite.study
    is_limited = study.trial_timeout_s is not None or study.trial_memory_gib is not None
    is_alone = workers.n == 1 and workers.scheduler is None
    return is_alone and not workers.is_joinable and not is_limited
