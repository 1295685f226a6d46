"""What is written about a training and read back: every key has its one name here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lstm_bench.metrics import METRICS
from lstm_bench.suites.suite import Suite
from lstm_bench.training.result import (
    EPOCH_TIME,
    EVAL_TIME,
    KEPT_EPOCH,
    N_EPOCHS,
    N_PARAMETERS,
    OBJECTIVE,
    SAMPLES_PER_SECOND,
    TOTAL_TIME,
    TRAIN_TIME,
    Prediction,
    metric_key,
)

if TYPE_CHECKING:
    import pandas as pd

# Tags of MLflow runs
TAG_STUDY = "lstm_bench.study"
TAG_SUITE = "lstm_bench.suite"
TAG_KIND = "lstm_bench.kind"  # one of KINDS
TAG_TRIAL = "lstm_bench.trial"
TAG_REFERENCE = "lstm_bench.reference"
TAG_STATE = "lstm_bench.state"  # one of STATES
TAG_CONFIG_ID = "lstm_bench.config_id"
TAG_FAILURE = "failure_reason"
TAG_REPLICATE = "lstm_bench.replicate"  # of a confirmation round; 0 is the search
TAG_LABEL = "lstm_bench.label"  # what people call the configuration
TAG_ORIGIN = "lstm_bench.origin"  # why it is confirmed: one of ORIGINS
TAG_BASELINE = "lstm_bench.baseline"
TAG_MODEL = "lstm_bench.model"  # of the winner: the address of its model
TAG_ENGINE = "lstm_bench.engine"  # what computed the LSTMs; without: stock Keras
# Tags that begin with "mlflow." are not shown in MLflow's UI.
TAG_OWNER = "mlflow.lstm_bench.owner"  # the process that works on the run, as JSON
# The provisional id under which a server's run was begun, and is found again.
TAG_JOURNAL = "mlflow.lstm_bench.journal_id"
LOCAL_PREFIX = "local-"
# MLflow's own, for its lists of runs.
TAG_PARENT = "mlflow.parentRunId"
# Of the run that `mlflow run` made for its command: the run of what it did.
TAG_SESSION = "lstm_bench.session"
TAG_NOTE = "mlflow.note.content"
TAG_USER = "mlflow.user"
TAG_SOURCE = "mlflow.source.name"
TAG_SOURCE_TYPE = "mlflow.source.type"
TAG_COMMIT = "mlflow.source.git.commit"
# "true" where the test set was scored, "validation" where it served as validation
# data; the runs that have this tag are the looks that the report counts.
TAG_TEST_SCORED = "lstm_bench.test_scored"
TEST_LOOKS = ("true", "validation")

# Of a session ("sweep", "confirm") and of what it fits: the search's trainings, the
# confirmation's, a training by itself, a baseline.
KINDS = ("sweep", "confirm", "trial", "reference", "replicate", "train", "baseline")
ORIGINS = ("search", "reference", "pair")
STATES = ("running", "complete", "pruned", "failed", "interrupted")
MLFLOW_STATUS = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}

# Artifacts of a training's run
CURVES = "curves.json"
CONFIG = "config.json"
SAMPLES = "samples.json"
PREDICTIONS = "predictions"  # predictions/<split>.parquet
ERRORS = "errors.json"  # the most confident errors on the test set
FIGURES = "figures"
MODEL = "model"
# Artifacts of a confirmation's run
TEST_REVIEWS = "test_reviews.parquet"
VERDICTS = "verdicts.json"
# Artifacts of a session's run (a train run has them too)
SUITE_FILE = "suite.yaml"
ENVIRONMENT = "environment.json"
DATASET = "dataset.json"
REPORT = "report"
REPORT_FILES = ("index.html", "report.md", "tables")


def ids_of(run_id: str, tags: Mapping[str, str]) -> set[str]:
    """Return a run's id, and the provisional one that a trial may know it by."""
    return {run_id, tags.get(TAG_JOURNAL, run_id)}


@dataclass(frozen=True)
class Results:
    """A study as it was read back from MLflow.

    Attributes
    ----------
    study : str
    suite : Suite
    runs : DataFrame, one row per training of the search, in order of start
        ``run_id, experiment_id, run_name`` : str
        ``kind`` : "trial" or "reference"
        ``reference`` : str or None, the reference's name
        ``trial`` : Int64, the Optuna trial's number; NA for references
        ``config_id`` : str
        ``state`` : one of `STATES`
        ``failure_reason`` : str or None, for failed and pruned runs
        ``engine`` : "stock" or "packed", what computed the LSTMs, or both with a +
        where a training went on with the other
        ``seed, replicate`` : Int64
        ``start_time`` : Timestamp, UTC
        ``objective, train_time_s, eval_time_s, total_time_s, epoch_time_s,
        samples_per_s, n_parameters, n_epochs, kept_epoch`` : float
        one column per `TrialConfig` field, in its own type (object columns)
        ``val_<metric>``, ``test_<metric>``, ``train_<metric>`` : float, NaN where
        not measured; of the weights that were kept
    curves : DataFrame
        Long form ``run_id, split, metric, epoch, value``; metric includes
        ``loss``; split is "train" or "val".
    samples : DataFrame
        ``run_id, index, text, y_true, y_pred`` (class names) and ``y_proba``
        (list of float in the order of the dataset's class names); of `confirmed`,
        the references and the search's best.
    confirmed : DataFrame, one row per training of the confirmation round
        The columns of `runs`, and ``label`` (what to call the configuration) and
        ``origin`` (why it was confirmed: one of `ORIGINS`) : str
    baselines : DataFrame, one row per fitted baseline
        ``run_id, experiment_id, baseline, replicate`` (0: the search's split),
        ``train_time_s, n_features``, ``val_<metric>, test_<metric>``.
    predictions : dict of str to dict of str to Prediction
        By run id, then split ("val", "test"): of `confirmed`, `baselines`, the
        references and the search's best.
    errors : DataFrame
        As `samples`, of the confirmed runs' most confident errors on test.
    test_reviews : DataFrame
        ``length`` (tokens, start included) and ``in_train`` (the same review stands
        in train too) by index of the test set; empty before a confirmation.
    test_looks : DataFrame
        ``kind, study, how, n``: how often runs of this experiment looked at this
        dataset's test set.
    dataset : dict
        As `lstm_bench.data.dataset.describe_dataset` and, for the search's split,
        `lstm_bench.data.splits.describe_splits` give it, and ``validation``
        ("holdout" or "test").
    environment : dict
        As `lstm_bench.system.environment.describe_environment` gives it.
    sessions : DataFrame
        One row per command that worked on the study: ``run_id, kind, start_time,
        end_time, status``.
    left_out : DataFrame
        What could not be read, as `lstm_bench.stored.left_out_frame` gives it:
        ``run_id, run_name, part`` ("run", or the artifact of a run that stays),
        ``reason``.
    tracking_url : str or None
        Address of the MLflow server, where there is one.
    missing : str
        Which files of finished runs are no longer there, and where they were looked
        for; empty where all are. What was measured cannot be told from what was lost,
        so that no verdict is given and no whole report is replaced.
    """

    study: str
    suite: Suite
    runs: pd.DataFrame
    curves: pd.DataFrame
    samples: pd.DataFrame
    confirmed: pd.DataFrame
    baselines: pd.DataFrame
    predictions: dict[str, dict[str, Prediction]]
    errors: pd.DataFrame
    test_reviews: pd.DataFrame
    test_looks: pd.DataFrame
    dataset: dict[str, Any]
    environment: dict[str, Any]
    sessions: pd.DataFrame
    left_out: pd.DataFrame
    tracking_url: str | None = None
    missing: str = ""

    @property
    def example(self) -> str:
        """What one of the data's examples is called, such as "review"."""
        return str(self.dataset.get("example", "example"))

    @property
    def examples(self) -> str:
        """The plural of `example`."""
        return f"{self.example}s"


METRIC_COLUMNS: tuple[str, ...] = tuple(
    key
    for name in METRICS
    for key in (
        metric_key("val", name),
        metric_key("test", name),
        metric_key("train", name),
    )
)
RUN_NUMBER_COLUMNS: tuple[str, ...] = (
    OBJECTIVE,
    TRAIN_TIME,
    EVAL_TIME,
    TOTAL_TIME,
    EPOCH_TIME,
    SAMPLES_PER_SECOND,
    N_PARAMETERS,
    N_EPOCHS,
    KEPT_EPOCH,
)
