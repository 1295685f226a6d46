"""Names of the tags, parameters and artifacts that are written and read back."""

from __future__ import annotations

# Tags of MLflow runs
TAG_STUDY = "lstm_bench.study"
TAG_SUITE = "lstm_bench.suite"
TAG_KIND = "lstm_bench.kind"  # one of KINDS
TAG_TRIAL = "lstm_bench.trial"
TAG_REFERENCE = "lstm_bench.reference"
TAG_STATE = "lstm_bench.state"  # one of STATES, or SKIPPED
TAG_CONFIG_ID = "lstm_bench.config_id"
TAG_FAILURE = "failure_reason"
TAG_REPLICATE = "lstm_bench.replicate"  # of a confirmation; 0 is the search
TAG_LABEL = "lstm_bench.label"  # the configuration's display name
TAG_ORIGIN = "lstm_bench.origin"  # why it is confirmed: one of ORIGINS
TAG_BASELINE = "lstm_bench.baseline"
TAG_MODEL = "lstm_bench.model"  # of the winner: the address of its model
TAG_REFIT_OF = "lstm_bench.refit_of"  # the configuration's id, or baseline:NAME
PARAM_SUBSET = "n_subset"  # training examples, where it is trained on a subset
TAG_ENGINE = "lstm_bench.engine"  # of the LSTMs; absent: stock Keras
# Tags that begin with "mlflow." are not shown in MLflow's UI.
TAG_OWNER = "mlflow.lstm_bench.owner"  # the process that works on the run, as JSON
# The outbox's name of a run, by which one that was created is found again.
TAG_RECORD = "mlflow.lstm_bench.record"
# MLflow's own, for its lists of runs.
TAG_PARENT = "mlflow.parentRunId"
# On the run that `mlflow run` creates for its command: the command's own run.
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

# Of a command ("sweep", "confirm"), of a training (in the search, in the confirmation,
# standalone, on train and validation together), of a baseline, and of both where a
# confirmation trains on a subset of the examples.
SUBSET, SUBSET_BASELINE = "subset", "subset_baseline"
KINDS = (
    *("sweep", "confirm", "trial", "reference", "replicate", "train", "refit"),
    *("baseline", SUBSET, SUBSET_BASELINE),
)
ORIGINS = ("search", "reference", "pair")
STATES = ("running", "complete", "pruned", "failed", "interrupted")
ENDED = ("complete", "pruned", "failed")  # the training ended by itself
SKIPPED = "skipped"  # a baseline that would have taken too long
MLFLOW_STATUS = {
    SKIPPED: "KILLED",
    "complete": "FINISHED",
    "pruned": "KILLED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}

# Artifacts of a training's run
CURVES = "curves.json"
CONFIG = "config.json"
SAMPLES = "samples.json"
OF_WINDOWS = ("scale", "origin")  # columns of predictions for windows of series
PREDICTIONS = "predictions"  # predictions/<split>.parquet
ERRORS = "errors.json"  # the most confident errors on the test set
GRADIENTS = "gradients.json"  # of a memory task
EXPLAINED = "explained.json"  # of references and logged models: samples, step by step
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
