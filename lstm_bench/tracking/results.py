"""`Results`: the runs of a study as tables and arrays, the input of reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_bench.data.dataset import VECTORS
from lstm_bench.data.registry import OWN
from lstm_bench.metrics import METRICS
from lstm_bench.suites.config import CONFIG_FIELDS, TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.text import plural
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

    from lstm_bench.tracking.stored_runs import ExplainedSample


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


@dataclass(frozen=True)
class Results:
    """A study as read from MLflow.

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
        ``engine`` : "stock" or "packed", the engine of the recurrent layers, or both
        joined by + where a training was resumed with the other
        ``seed, replicate`` : Int64
        ``start_time`` : Timestamp, UTC
        ``objective, train_time_s, eval_time_s, total_time_s, epoch_time_s,
        samples_per_s, n_parameters, n_epochs, kept_epoch`` : float
        one column per `TrialConfig` field, in its own type (object columns)
        ``val_<metric>``, ``test_<metric>``, ``train_<metric>`` : float, NaN where
        not measured; of the final weights
    curves : DataFrame
        Long form ``run_id, split, metric, epoch, value``; metric includes
        ``loss``; split is "train" or "val".
    samples : DataFrame
        ``run_id, index, text, y_true, y_pred`` (class names) and ``y_proba``
        (list of float in the order of the dataset's class names), ``values`` (a few
        steps and channels of vectors, a tuple per step; None for tokens); of
        `confirmed`, the references and the search's best.
    confirmed : DataFrame, one row per training of the confirmation
        The columns of `runs`, and ``origin`` (why it was confirmed: one of
        `ORIGINS`) : str
    baselines : DataFrame, one row per fitted baseline
        ``run_id, experiment_id, baseline, replicate`` (0: the search's split),
        ``train_time_s, n_features``, ``val_<metric>, test_<metric>``.
    subsets : DataFrame, one row per training or fit on a subset of the examples
        ``run_id``, ``key`` (the configuration's id, or ``baseline:<name>``),
        ``n_train`` (examples trained on), ``replicate, state, train_time_s,
        total_time_s``, ``test_<metric>``.
    skipped_baselines : tuple of str
        A sentence for each baseline that was not fitted, with the reason.
    predictions : dict of str to dict of str to Prediction
        By run id, then split ("val", "test"): of `confirmed`, `baselines`, the
        references and the search's best.
    errors : DataFrame
        As `samples`, of the confirmed runs' most confident errors on test.
    test_reviews : DataFrame
        ``length`` (steps, a start token included) and ``in_train`` (whether train
        contains the same example) by index of the test set; empty before a
        confirmation.
    test_looks : DataFrame
        ``kind, study, how, n``: how often runs of this experiment used this
        dataset's test set.
    dataset : dict
        From `lstm_bench.data.dataset.describe_dataset` and, for the search's split,
        `lstm_bench.data.splits.describe_splits`; ``validation`` ("holdout" or
        "test"), ``given_validation`` (the description of validation sequences that
        come with the data) and ``check`` (findings of the data check: dicts with
        ``level, name, n, example, advice, text``).
    environment : dict
        From `lstm_bench.system.environment.describe_environment`.
    sessions : DataFrame
        One row per command that worked on the study: ``run_id, kind, start_time,
        end_time, status``.
    left_out : DataFrame
        The runs and artifacts that could not be read, from
        `lstm_bench.tracking.stored_runs.left_out_frame`: ``run_id, run_name, part``
        ("run", or the name of an artifact), ``reason``.
    tracking_url : str or None
        Address of the MLflow server, if there is one.
    explained : dict of str to list of ExplainedSample
        By run id, of references and of confirmed runs that have a model: their samples,
        step by step.
    missing : str
        Missing files of finished runs, and where they were searched; empty if none
        are missing. Missing values cannot be distinguished from values that were not
        measured, so no verdict is given and no complete report is replaced.
    gradients : dict of str to dict of str to list of float
        Of memory tasks: by id of a confirmed run, the norms of the loss's gradient k
        steps before the last, "before" and "after" training.
    """

    study: str
    suite: Suite
    runs: pd.DataFrame
    curves: pd.DataFrame
    samples: pd.DataFrame
    confirmed: pd.DataFrame
    baselines: pd.DataFrame
    subsets: pd.DataFrame
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
    skipped_baselines: tuple[str, ...] = ()
    gradients: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)
    explained: Mapping[str, list[ExplainedSample]] = field(default_factory=dict)

    @property
    def own_file(self) -> str | None:
        """Name of the first of the user's own files; None for another dataset."""
        spec = self.suite.dataset
        if spec.name not in OWN:
            return None
        return Path(spec.options.get("file") or spec.options["train"]).name

    @property
    def example(self) -> str:
        """The word for one example of the data, such as "review"."""
        return str(self.dataset.get("example", "example"))

    @property
    def examples(self) -> str:
        """The plural of `example`."""
        return plural(self.example)

    @property
    def step(self) -> str:
        """The word for one step of an example: token, or step of vectors."""
        return "step" if self.dataset.get("kind") == VECTORS else "token"

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The name of each configuration, by its id: see `Suite.name_of`."""
        trials: dict[str, int] = {}
        searched = self.runs[self.runs["trial"].notna()]
        for config_id, trial in zip(
            searched["config_id"].tolist(), searched["trial"].tolist(), strict=True
        ):
            trials.setdefault(config_id, int(trial))
        names = {
            config_id: self.suite.name_of(config, trials.get(config_id))
            for config_id, config in _configs(self.runs).items()
        }
        is_pair = self.confirmed["origin"] == "pair"
        bases = _configs(self.confirmed[~is_pair])
        for config_id, config in bases.items():
            names.setdefault(config_id, self.suite.name_of(config))
        for base in bases.values():
            for pair in self.suite.pairs_of(base):
                name = self.suite.name_of(
                    pair, trials.get(base.config_id), pair_of=base
                )
                names.setdefault(pair.config_id, name)
        # Of a suite whose pairs were edited since.
        for config_id, config in _configs(self.confirmed[is_pair]).items():
            names.setdefault(config_id, self.suite.name_of(config))
        return names


def _configs(runs: pd.DataFrame) -> dict[str, TrialConfig]:
    """Return the configurations of `runs` by their ids, in order of start."""
    first = runs.drop_duplicates("config_id")
    rows = zip(*(first[field].tolist() for field in CONFIG_FIELDS), strict=True)
    return {
        config_id: TrialConfig.model_validate(
            dict(zip(CONFIG_FIELDS, values, strict=True))
        )
        for config_id, values in zip(first["config_id"].tolist(), rows, strict=True)
    }
