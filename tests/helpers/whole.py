"""Whether the runs of a study are whole, whatever died while they were written."""

from __future__ import annotations

import pandas as pd
from mlflow import MlflowClient

from lstm_bench.suites.suite import Suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.load import load_results
from lstm_bench.tracking.queries import find_runs
from lstm_bench.training.result import N_EPOCHS, OBJECTIVE

ARTIFACTS = {
    *(rec.CURVES, rec.CONFIG, rec.SAMPLES, rec.PREDICTIONS, rec.FIGURES),
    *(rec.SUITE_FILE, rec.DATASET, rec.ENVIRONMENT),
}


def whole_runs(uri: str, suite: Suite) -> pd.DataFrame:
    """Return the complete trainings of a study, each of them once and whole."""
    client = MlflowClient(uri)
    runs = find_runs(client, f"tags.`{rec.TAG_STUDY}` = '{suite.study_name}'")
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED", "FAILED"}
    results = load_results(uri, suite)
    both = pd.concat([results.runs, results.confirmed])
    complete = both[both["state"] == "complete"]
    assert not complete.duplicated(["config_id", "replicate"]).any()
    for run_id, n_epochs in zip(complete["run_id"], complete[N_EPOCHS], strict=True):
        for metric in ("val_accuracy", "train_loss"):
            points = client.get_metric_history(run_id, metric)
            assert [p.step for p in points] == list(range(1, int(n_epochs) + 1))
        held = {item.path for item in client.list_artifacts(run_id)}
        assert held >= ARTIFACTS
        assert {item.path for item in client.list_artifacts(run_id, rec.FIGURES)}
    return complete


def scores(complete: pd.DataFrame) -> dict[tuple[str, int], float]:
    """Return the objective of each configuration and replicate."""
    keys = zip(complete["config_id"], complete["replicate"], strict=True)
    return dict(zip(keys, complete[OBJECTIVE], strict=True))


def running_trials(place) -> list:
    """Return the open runs of trials in the store of a `Place`."""
    if not (place.folder / "mlflow.db").exists():
        return []
    client = place.client
    return client.search_runs(
        [e.experiment_id for e in client.search_experiments()],
        f"attributes.status = 'RUNNING' and tags.`{rec.TAG_KIND}` = 'trial'",
    )
