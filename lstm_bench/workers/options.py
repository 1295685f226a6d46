"""Number of workers, where they run, and threads of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from lstm_bench.errors import LstmBenchError
from lstm_bench.suites.suite import Suite
from lstm_bench.system.environment import gpu_names
from lstm_bench.system.threads import n_cores

# A worker needs about 1 GiB: TensorFlow, MLflow, and the largest training here.
WORKER_GIB = 2.0
MAX_DEFAULT = 8


@dataclass(frozen=True)
class Workers:
    """The workers of a session.

    Attributes
    ----------
    n : int
        Number of workers; on a cluster, 0 is one for each Dask worker.
    data_dir : Path or None
        Folder with the raw data, on the workers' machines.
    scheduler : str or None
        Address of a Dask scheduler, or None for this machine.
    threads : int or None
        Threads of each worker; None divides the cores.
    grows : bool
        Whether Dask workers that join the cluster later are used, too.
    is_joinable : bool
        Whether even a single worker is a process of its own, so that others may join.
    """

    n: int = 1
    data_dir: Path | None = None
    scheduler: str | None = None
    threads: int | None = None
    grows: bool = False
    is_joinable: bool = False


ONE_HERE = Workers()


def default_workers() -> int:
    """Return this machine's default number of workers.

    One for each core: on two cores, two workers of one thread each finished 1.5 times
    as many trainings an hour as one of two threads (`docs/performance.md`). At most
    `MAX_DEFAULT` (more was not measured), at most as many as fit into memory, and one
    where they would share a GPU.
    """
    if gpu_names():
        return 1
    n_in_memory = int(psutil.virtual_memory().available / 2**30 / WORKER_GIB)
    return max(1, min(n_cores(), MAX_DEFAULT, n_in_memory))


def choose_workers(
    n_workers: int | None, scheduler: str | None, data_dir: Path | None
) -> Workers:
    """Return the requested workers, or this machine's default.

    Parameters
    ----------
    n_workers : int or None
        None is `default_workers`; on a cluster, one for each Dask worker.
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
    """Return local `workers` reduced to at most one for each remaining training."""
    if workers.scheduler is not None:
        return workers
    if n_left == 0:
        return ONE_HERE
    return replace(workers, n=min(workers.n, n_left))


def is_in_process(workers: Workers, suite: Suite) -> bool:
    """Whether the command's own process trains.

    Not where the suite limits a training: exceeding the limit may end the process.
    """
    study = suite.study
    is_limited = study.trial_timeout_s is not None or study.trial_memory_gib is not None
    is_alone = workers.n == 1 and workers.scheduler is None
    return is_alone and not workers.is_joinable and not is_limited
