"""Write operations for MLflow, as plain data, and their execution.

Executing one again changes nothing: MLflow stores a metric's point once, parameters and
tags keep their values, and files and end times are overwritten with equal ones. Only a
run would be created twice; it has a tag by which an earlier attempt is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag

from lstm_bench.errors import TrackingError
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.journal import Operation
from lstm_bench.tracking.models import has_model, log_model, remove_others


class Operations:
    """Executes operations on one store.

    Attributes
    ----------
    real_ids : dict of str to str
        The store's ids of the runs that this process began, by provisional id.
    """

    def __init__(self, client: MlflowClient, tracking_uri: str) -> None:
        self.client = client
        self.tracking_uri = tracking_uri
        self.real_ids: dict[str, str] = {}
        self._begun_again: list[tuple[str, str]] = []

    def carry_out(
        self, operation: Operation, files: Path | None, again: bool = False
    ) -> None:
        """Write one operation.

        Parameters
        ----------
        files : Path or None
            The folder that it uploads.
        again : bool
            Whether it may have been executed before.
        """
        kind, client = operation["op"], self.client
        if kind == "tag_experiment":
            client.set_experiment_tag(
                operation["experiment"], operation["key"], operation["value"]
            )
            return
        if kind == "create_run":
            self._create(operation, again)
            return
        run_id = self.real_id(operation["run"])
        if kind == "log_batch":
            client.log_batch(
                run_id,
                metrics=[Metric(*point) for point in operation["metrics"]],
                params=[Param(*item) for item in operation["params"].items()],
                tags=[RunTag(*item) for item in operation["tags"].items()],
            )
        elif kind == "log_input":
            client.log_inputs(run_id, [_dataset_input(operation)])
        elif kind == "log_artifacts":
            client.log_artifacts(run_id, str(files), operation["path"])
        elif kind == "log_model":
            info = client.get_run(run_id).info
            ended = info.end_time
            if files is not None and not has_model(client, run_id):
                remove_others(client, run_id)
                log_model(self.tracking_uri, run_id, files, operation["packages"])
                if ended is not None:
                    # Logging the model has restarted and ended the run.
                    client.set_terminated(run_id, info.status, ended)
        elif kind == "name_run":
            client.update_run(run_id, name=operation["name"])
        elif kind == "end_run":
            client.set_terminated(run_id, operation["status"], operation["time"])
        else:
            raise TrackingError(
                f"the journal has an operation {kind!r}, which this version of "
                "lstm-bench does not know; write it with the version that kept it"
            )

    def _create(self, operation: Operation, again: bool) -> None:
        local, experiment = operation["run"], operation["experiment"]
        found = self._runs_begun_as(local, [experiment]) if again else []
        if not found:
            tags = {
                key: self.real_id(value) if key == rec.TAG_PARENT else value
                for key, value in operation["tags"].items()
            }
            run = self.client.create_run(
                experiment, operation["time"], tags, operation["name"]
            )
            found = [run.info.run_id]
            if again:
                self._begun_again.append((local, experiment))
        self.real_ids[local] = found[0]

    def real_id(self, run_id: str) -> str:
        """Return the store's id of a run.

        Raises
        ------
        TrackingError
            The run was begun while the server was unreachable, and does not exist.
        """
        if not run_id.startswith(rec.LOCAL_PREFIX):
            return run_id
        if run_id not in self.real_ids:
            experiments = [e.experiment_id for e in self.client.search_experiments()]
            found = self._runs_begun_as(run_id, experiments)
            if not found:
                raise TrackingError(
                    f"run {run_id}, begun while the tracking server was away, is not "
                    "there; `lstm-bench sync` writes what waits on the machine it "
                    "was begun on"
                )
            self.real_ids[run_id] = found[0]
        return self.real_ids[run_id]

    def _runs_begun_as(self, local: str, experiments: Sequence[str]) -> list[str]:
        found = self.client.search_runs(
            list(experiments), f"tags.`{rec.TAG_JOURNAL}` = '{local}'"
        )
        return [run.info.run_id for run in found]

    def remove_twins(self) -> None:
        """Remove duplicate runs that requests created after they had timed out."""
        while self._begun_again:
            local, experiment = self._begun_again[-1]
            for run_id in self._runs_begun_as(local, [experiment]):
                if run_id != self.real_ids[local]:
                    self.client.delete_run(run_id)
            self._begun_again.pop()


def _dataset_input(operation: Operation) -> DatasetInput:
    dataset = MlflowDataset(
        name=operation["name"],
        digest=operation["digest"],
        source_type="lstm_bench",
        source=operation["source"],
    )
    return DatasetInput(
        dataset, [InputTag("mlflow.data.context", "training and validation")]
    )
