"""Number of workers, and where they run."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from lstm_bench.errors import LstmBenchError
from lstm_bench.system.environment import gpu_names
from lstm_bench.system.threads import n_cores

# A worker needs about 1 GiB: TensorFlow, and the largest training here.
WORKER_GIB = 2.0
MAX_DEFAULT = 8


@dataclass(frozen=True)
class Workers:
    """The workers of a command.

    Attributes
    ----------
    n : int
        Number of workers; on a cluster, 0 is one for each Dask worker.
    scheduler : str or None
        Address of a Dask scheduler, or None for this machine.
    """

    n: int = 1
    scheduler: str | None = None


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


def choose_workers(n_workers: int | None, scheduler: str | None = None) -> Workers:
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
    return Workers(default if n_workers is None else n_workers, scheduler)
