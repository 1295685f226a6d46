"""Search runs of a tracking store, page by page."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from lstm_bench.system.garbage import collector_paused

PAGE_SIZE = 500


def find_runs(client: MlflowClient, filter_string: str) -> list[Run]:
    """Return the runs that match, over every experiment, oldest first."""
    return [run for page in find_pages(client, filter_string) for run in page]


def find_pages(client: MlflowClient, filter_string: str) -> Iterator[list[Run]]:
    """Yield the result of `find_runs` page by page, to limit memory.

    A run takes some 20 kB of memory, and MLflow's rows of it several times that while
    its page is read.
    """
    experiments = [e.experiment_id for e in client.search_experiments()]
    token = None
    while True:
        with collector_paused():
            page = client.search_runs(
                experiments,
                filter_string,
                ViewType.ACTIVE_ONLY,
                max_results=PAGE_SIZE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
        yield list(page)
        token = page.token
        if not token:
            return
