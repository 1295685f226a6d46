"""Write runs to MLflow."""

from __future__ import annotations

import getpass
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from lstm_bench.errors import TrackingError
from lstm_bench.masking import bare_url, mask_text
from lstm_bench.metrics import evaluate_proba
from lstm_bench.stores import (
    create_whole,
    opening_store,
    sqlite_file,
)
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite
from lstm_bench.system.process import this_process
from lstm_bench.text import first_line
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.chart_view import TAG_PREFIX, chart_view_state
from lstm_bench.tracking.models import model_address
from lstm_bench.tracking.queries import find_runs
from lstm_bench.tracking.server import is_away, is_server, own_timeout_s, patience
from lstm_bench.tracking.writer import PATIENT_S, Writer
from lstm_bench.training.baselines import BASELINES, BaselineResult
from lstm_bench.training.result import (
    BEST_VALUE,
    N_FEATURES,
    TRAIN_TIME,
    Prediction,
    TrialResult,
    metric_key,
    summary_key,
)

if TYPE_CHECKING:
    pass

EXPERIMENT = "lstm-bench"
# The default experiment of every MLflow store.
DEFAULT_EXPERIMENT_ID = "0"
PARENTS = {"sweep": "search", "confirm": "confirmation"}
# The command that creates a run, by the run's kind; either one fits a baseline.
COMMANDS = {
    "sweep": "sweep",
    "trial": "sweep",
    "reference": "sweep",
    "confirm": "confirm",
    "replicate": "confirm",
    "train": "train",
    "refit": "predict --refit",
}

# MLflow logs which tables it creates, and shows a progress bar for each file.
logging.getLogger("mlflow").setLevel(logging.WARNING)
# It warns that pip is missing in uv's environments; requirements are explicit here.
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
# It warns of the type hint of models of series whenever it loads a model.
logging.getLogger("mlflow.types.type_hints").setLevel(logging.ERROR)
# It warns of the type hint of a series' numbers.
logging.getLogger("mlflow.types.type_hints").setLevel(logging.ERROR)
# It prints the traceback of every database error that it also raises.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# It prints two addresses whenever a run on a server is closed.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

T = TypeVar("T")


class Tracker:
    """Writes sweeps and trainings to one MLflow store, with explicit run ids.

    Parameters
    ----------
    tracking_uri : str
        From `resolve_tracking_uri`.
    study : str
        Name of the study, whose runs are all in one experiment. Operations that an
        unreachable server cannot take wait in its journal.
    say : callable
        Called with a message when the server becomes unreachable or answers again, and
        if the study is in another experiment than the environment names.
    experiment_id : str or None
        Experiment to write to; a worker gets its sweep's. None means the study's
        existing experiment, else the one that ``MLFLOW_EXPERIMENT_ID`` or
        ``MLFLOW_EXPERIMENT_NAME`` names, else the suite's.
    create : bool
        Whether to create a missing experiment. If not, runs can only be read and
        closed.

    Attributes
    ----------
    writer : Writer
        Used for every write.
    """

    def __init__(
        self,
        tracking_uri: str,
        study: str = "any",
        say: Callable[[str], None] = lambda line: None,
        experiment_id: str | None = None,
        *,
        create: bool = True,
    ) -> None:
        self.tracking_uri = tracking_uri
        with opening_store(tracking_uri, "--tracking-uri"):
            create_whole(
                tracking_uri, lambda uri: MlflowClient(uri).search_experiments()
            )
            self.client = MlflowClient(tracking_uri)
            # `mlflow run` creates a run for its command and names it here for every
            # start_run to adopt. It remains the command's; see `_describe_command`.
            self.command_run_id = os.environ.pop("MLFLOW_RUN_ID", None)
            if experiment_id is None:
                experiment_id = self._experiment(study, say) if create else ""
            self.experiment_id = experiment_id
        self.writer = Writer(self.client, tracking_uri, study, say)

    def _experiment(self, study: str, say: Callable[[str], None]) -> str:
        """Return the id of the study's experiment, which is created if it is new."""
        asked = self._asked_experiment()
        begun = self.client.search_runs(
            [e.experiment_id for e in self.client.search_experiments()],
            f"tags.`{rec.TAG_STUDY}` = '{study}'",
            max_results=1,
            order_by=["attributes.start_time ASC"],
        )
        if begun:
            # A study in two experiments would be incomplete in each chart view.
            there = str(begun[0].info.experiment_id)
            if asked is not None and asked != self._named(there):
                say(
                    f"study {study} goes on in the experiment {self._named(there)!r}, "
                    f"where it began, and not in {asked!r}"
                )
            return there
        suite_name = study.rpartition("-")[0]
        name = asked or (f"{EXPERIMENT}/{suite_name}" if suite_name else EXPERIMENT)
        known = self.client.get_experiment_by_name(name)
        if known is None:
            known = self._new_experiment(name)
        _check_active(known)
        return str(known.experiment_id)

    def _new_experiment(self, name: str) -> Experiment:
        location = None
        if (file := sqlite_file(self.tracking_uri)) is not None:
            # Beside the database, not in the working directory. Names may not be paths.
            folder = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "experiment"
            location = (file.parent / "mlruns" / folder[:100]).as_uri()
        try:
            number = self.client.create_experiment(name, artifact_location=location)
        except MlflowException:
            # A concurrent command may have created it first.
            known = self.client.get_experiment_by_name(name)
            if known is None:
                raise
            return known
        return self.client.get_experiment(number)

    def _named(self, experiment_id: str) -> str:
        return str(self.client.get_experiment(experiment_id).name)

    def _asked_experiment(self) -> str | None:
        """Return the name of the experiment that the environment sets, if any.

        `mlflow run` sets ``MLFLOW_EXPERIMENT_ID``, too: to its own run's experiment,
        which is MLflow's default unless another one was given.
        """
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME")
        number = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if self.command_run_id is not None:
            try:
                run = self.client.get_run(self.command_run_id)
            except MlflowException as error:
                raise TrackingError(
                    f"MLFLOW_RUN_ID: run {self.command_run_id} is not in "
                    f"{bare_url(self.tracking_uri)}; start `mlflow run` in the "
                    "project's own folder, or set MLFLOW_TRACKING_URI to an absolute "
                    "address"
                ) from error
            number = str(run.info.experiment_id)
            if number == DEFAULT_EXPERIMENT_ID:
                number = None
        if number is None:
            return name
        try:
            known = self.client.get_experiment(number)
        except MlflowException as error:
            raise TrackingError(
                f"MLFLOW_EXPERIMENT_ID: expected the number of an experiment in "
                f"{bare_url(self.tracking_uri)}, got {number!r} ({first_line(error)}); "
                "`mlflow experiments search` lists them. Or unset it, and name one "
                "with MLFLOW_EXPERIMENT_NAME"
            ) from error
        _check_active(known)
        if name is not None and name != known.name:
            raise TrackingError(
                f"MLFLOW_EXPERIMENT_NAME={name!r} and MLFLOW_EXPERIMENT_ID={number} "
                f"name two experiments ({number} is {known.name!r}); unset one"
            )
        return str(known.name)

    def _describe_command(self, run_id: str, name: str) -> None:
        """Link the run that `mlflow run` created to `run_id`, once.

        That run stays in its experiment, with the entry point's parameters, and ends
        with the command; the trainings are in the study's own experiment.
        """
        command, self.command_run_id = self.command_run_id, None
        if command is None:
            return
        address = f"#/experiments/{self.experiment_id}/runs/{run_id}"
        self.writer.name_run(command, f"mlflow run: {name}")
        note = (
            f"A command. What it trained lies in [{name}]({address}), in the "
            f"experiment {self._named(self.experiment_id)}."
        )
        self.writer.log_batch(
            command, tags={rec.TAG_NOTE: note, rec.TAG_SESSION: run_id}
        )

    def start_session(
        self,
        kind: str,
        suite: Suite,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
        params: Mapping[str, Any],
        parent_run_id: str | None = None,
    ) -> str:
        """Open the run of a command.

        Parameters
        ----------
        kind : {"sweep", "confirm"}
        params : mapping
            Options of the command.

        Returns
        -------
        str
            The run's id.
        """
        tags = {
            rec.TAG_KIND: kind,
            rec.TAG_SUITE: suite.name,
            rec.TAG_STUDY: suite.study_name,
            rec.TAG_OWNER: json.dumps(this_process()),
            rec.TAG_NOTE: " ".join(suite.description.split()),
            **_source(kind, environment),
        }
        if parent_run_id is not None:
            tags[rec.TAG_PARENT] = parent_run_id
        name = f"{PARENTS[kind]} of {suite.name}"
        run_id = self.writer.create_run(self.experiment_id, tags, name)
        self._describe_command(run_id, name)
        asked = {"suite": suite.name, "study": suite.study_name, **params}
        self.writer.log_batch(run_id, params=asked)
        self._log_context(run_id, suite, dataset, environment)
        self.writer.tag_experiment(
            self.experiment_id,
            f"{TAG_PREFIX}{suite.study_name}",
            json.dumps(chart_view_state(suite)),
        )
        return run_id

    def start_run(
        self,
        config: TrialConfig,
        *,
        suite: Suite,
        kind: str,
        parent_run_id: str | None,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
        seeds: Mapping[str, int],
        trial: int | None = None,
        reference: str | None = None,
        label: str | None = None,
        origin: str | None = None,
    ) -> str:
        """Open a training's run with its parameters, tags and dataset; return its id.

        Parameters
        ----------
        kind : {"trial", "reference", "replicate", "train"}
        seeds : mapping
            Named seeds and the replicate, logged as ``seed.<name>``.
        label, origin : str or None
            Display name of the configuration in a confirmation, and why it was
            selected.
        """
        name = label or suite.name_of(config, trial)
        if kind == "replicate":
            name += f", seed {seeds['replicate']}"
        if kind == "train":
            name = f"{name} (one training)" if name else "one training"
        tags = self._tags(suite, kind, parent_run_id, seeds, environment) | {
            rec.TAG_CONFIG_ID: config.config_id,
            rec.TAG_STATE: "running",
            rec.TAG_NOTE: f"{suite.name}: {name}",
        }
        more = {
            rec.TAG_LABEL: label,
            rec.TAG_ORIGIN: origin,
            rec.TAG_TRIAL: None if trial is None else str(trial),
            rec.TAG_REFERENCE: reference,
        }
        tags |= {key: value for key, value in more.items() if value is not None}
        run_id = self.writer.create_run(self.experiment_id, tags, name)
        self._describe_command(run_id, name)
        self._log_inputs(run_id, config.model_dump(), seeds, dataset)
        self._log_context(run_id, suite, dataset, environment)
        return run_id

    def start_refit(
        self,
        key: str,
        label: str,
        params: Mapping[str, Any],
        *,
        suite: Suite,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
        seeds: Mapping[str, int],
    ) -> str:
        """Open the run of a training on train and validation together; return its id.

        Parameters
        ----------
        key, label : str
            Of the contender.
        params : mapping
            Its hyperparameters.
        """
        tags = self._tags(suite, "refit", None, seeds, environment) | {
            rec.TAG_REFIT_OF: key,
            rec.TAG_LABEL: label,
            rec.TAG_STATE: "running",
        }
        run_id = self.writer.create_run(self.experiment_id, tags, f"{label} (refit)")
        self._log_inputs(run_id, params, seeds, dataset)
        self._log_context(run_id, suite, dataset, environment)
        return run_id

    def _tags(
        self,
        suite: Suite,
        kind: str,
        parent_run_id: str | None,
        seeds: Mapping[str, int],
        environment: Mapping[str, Any],
    ) -> dict[str, str]:
        on_test = suite.dataset.validation == "test"
        tags = {
            rec.TAG_KIND: kind,
            rec.TAG_SUITE: suite.name,
            rec.TAG_STUDY: suite.study_name,
            rec.TAG_REPLICATE: str(seeds["replicate"]),
            rec.TAG_OWNER: json.dumps(this_process()),
            rec.TAG_TEST_SCORED: "validation" if on_test else "false",
            **_source(
                ("confirm" if seeds["replicate"] else "sweep")
                if kind == "baseline"
                else kind,
                environment,
            ),
        }
        if parent_run_id is not None:
            tags[rec.TAG_PARENT] = parent_run_id
        return tags

    def _log_inputs(
        self,
        run_id: str,
        params: Mapping[str, Any],
        seeds: Mapping[str, int],
        dataset: Mapping[str, Any],
    ) -> None:
        everything = {
            **params,
            **{f"seed.{name}": seed for name, seed in seeds.items()},
            "dataset": dataset["name"],
            "dataset_digest": dataset["digest"][:12],
        }
        self.writer.log_batch(run_id, params=everything)
        self.writer.log_input(
            run_id,
            dataset["name"],
            dataset["digest"][:36],
            json.dumps({"source": dataset["source"]}),
        )

    def log_baseline(
        self,
        result: BaselineResult,
        *,
        suite: Suite,
        parent_run_id: str,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
        seeds: Mapping[str, int],
        class_names: tuple[str, ...],
    ) -> str:
        """Write a fitted baseline as a run of its own; return its id."""
        run_id = self._start_baseline(
            result.name, suite, parent_run_id, dataset, environment, seeds
        )
        with tempfile.TemporaryDirectory() as folder:
            _write_predictions(Path(folder), result.predictions, class_names)
            self.writer.log_artifacts(run_id, Path(folder))
        values = {
            metric_key(prediction.split, name): value
            for prediction in result.predictions
            for name, value in evaluate_proba(
                prediction.y_true, prediction.y_proba
            ).items()
        }
        values |= {
            TRAIN_TIME: result.train_time_s,
            N_FEATURES: float(result.n_features),
        }
        self._log_summary(run_id, values, result.predictions, step=0)
        self.close_run(run_id, "complete")
        return run_id

    def log_skipped_baseline(
        self,
        name: str,
        reason: str,
        *,
        suite: Suite,
        parent_run_id: str,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
        seeds: Mapping[str, int],
    ) -> str:
        """Write that baseline `name` was not fitted, and why; return the run's id."""
        run_id = self._start_baseline(
            name, suite, parent_run_id, dataset, environment, seeds
        )
        self.close_run(run_id, rec.SKIPPED, reason)
        return run_id

    def _start_baseline(
        self,
        name: str,
        suite: Suite,
        parent_run_id: str,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
        seeds: Mapping[str, int],
    ) -> str:
        baseline = BASELINES[name]
        tags = self._tags(suite, "baseline", parent_run_id, seeds, environment) | {
            rec.TAG_BASELINE: name,
            rec.TAG_LABEL: baseline.label,
            rec.TAG_STATE: "running",
            rec.TAG_NOTE: baseline.description,
        }
        seed = f", seed {seeds['replicate']}" if seeds["replicate"] else ""
        run_id = self.writer.create_run(
            self.experiment_id, tags, f"{baseline.label} (baseline{seed})"
        )
        self._log_inputs(run_id, {"baseline": name}, seeds, dataset)
        return run_id

    def _log_summary(
        self,
        run_id: str,
        values: Mapping[str, float],
        predictions: tuple[Prediction, ...],
        step: int,
    ) -> None:
        scored = any(prediction.split == "test" for prediction in predictions)
        self.writer.log_batch(
            run_id,
            metrics={summary_key(key): value for key, value in values.items()},
            step=step,
            tags={rec.TAG_TEST_SCORED: "true"} if scored else None,
        )

    def _log_context(
        self,
        run_id: str,
        suite: Suite,
        dataset: Mapping[str, Any],
        environment: Mapping[str, Any],
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / rec.SUITE_FILE).write_text(suite.text, encoding="utf-8")
            _write_json(Path(folder) / rec.DATASET, dataset)
            _write_json(Path(folder) / rec.ENVIRONMENT, environment)
            self.writer.log_artifacts(run_id, Path(folder))

    def log_engine(self, run_id: str, engine: str) -> None:
        """Tag a training's run with the engine of its LSTMs; see `join_engines`."""
        self.writer.log_batch(run_id, tags={rec.TAG_ENGINE: engine})

    def log_epoch(self, run_id: str, entry: Mapping[str, float]) -> None:
        """Write the history's entry of one epoch in one request."""
        metrics = {key: value for key, value in entry.items() if key != "epoch"}
        self.writer.log_batch(run_id, metrics=metrics, step=int(entry["epoch"]))

    def log_best(self, run_id: str, step: int, value: float) -> None:
        """Write the study's best value so far, by number of trainings."""
        self.writer.log_batch(run_id, metrics={BEST_VALUE: value}, step=step)

    def finish_run(
        self, run_id: str, result: TrialResult, figures: Mapping[str, bytes]
    ) -> None:
        """Write a training's result and close it as complete.

        Parameters
        ----------
        figures : mapping of str to bytes
            PNG files by name; `training_figures` draws them.
        """
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            self._write_history(folder, result.config, result.history.epochs)
            _write_json(
                folder / rec.SAMPLES,
                {"class_names": list(result.class_names), "samples": result.samples},
            )
            if result.errors:
                _write_json(
                    folder / rec.ERRORS,
                    {"class_names": list(result.class_names), "samples": result.errors},
                )
            _write_predictions(folder, result.predictions, result.class_names)
            (folder / rec.FIGURES).mkdir()
            for name, png in figures.items():
                (folder / rec.FIGURES / f"{name}.png").write_bytes(png)
            self.writer.log_artifacts(run_id, folder)
        self._log_summary(
            run_id, result.metrics, result.predictions, len(result.history.epochs)
        )
        self.close_run(run_id, "complete")

    def abandon_run(
        self,
        run_id: str,
        config: TrialConfig,
        epochs: list[dict[str, float]],
        state: str,
        reason: str,
    ) -> None:
        """Close an unfinished training's run with its epochs so far and the reason."""
        with tempfile.TemporaryDirectory() as folder:
            self._write_history(Path(folder), config, epochs)
            self.writer.log_artifacts(run_id, Path(folder))
        self.close_run(run_id, state, reason)

    def _write_history(
        self, folder: Path, config: TrialConfig, epochs: list[dict[str, float]]
    ) -> None:
        _write_json(folder / rec.CURVES, {"epochs": epochs})
        _write_json(folder / rec.CONFIG, config.model_dump())

    def close_run(self, run_id: str, state: str, reason: str | None = None) -> None:
        """Set a training's state and the corresponding MLflow status."""
        tags = {rec.TAG_STATE: state}
        if reason is not None:
            tags[rec.TAG_FAILURE] = mask_text(reason)
        self.writer.log_batch(run_id, tags=tags)
        self.writer.end_run(run_id, rec.MLFLOW_STATUS[state])

    def end_session(self, run_id: str, status: str) -> None:
        """Close the run of a command as FINISHED, KILLED or FAILED."""
        self.writer.end_run(run_id, status)

    def log_verdicts(
        self, run_id: str, metrics: Mapping[str, float], verdicts: Mapping[str, Any]
    ) -> None:
        """Write the verdicts of a confirmation, as metrics and as JSON."""
        self.writer.log_batch(run_id, metrics=metrics)
        with tempfile.TemporaryDirectory() as folder:
            _write_json(Path(folder) / rec.VERDICTS, verdicts)
            self.writer.log_artifacts(run_id, Path(folder))

    def log_test_reviews(self, run_id: str, reviews: pd.DataFrame) -> None:
        """Write the length of each test example and whether train contains it."""
        with tempfile.TemporaryDirectory() as folder:
            reviews.to_parquet(Path(folder) / rec.TEST_REVIEWS)
            self.writer.log_artifacts(run_id, Path(folder))

    def log_report(self, run_id: str, folder: Path) -> None:
        """Attach the report in `folder` to a command's run, without files beside it."""
        with tempfile.TemporaryDirectory() as name:
            attached = Path(name)
            for part in rec.REPORT_FILES:
                if (folder / part).is_dir():
                    shutil.copytree(folder / part, attached / part)
                else:
                    shutil.copy2(folder / part, attached / part)
            self.writer.log_artifacts(run_id, attached, rec.REPORT)

    def log_model(
        self, run_id: str, write: Callable[[Path], None], packages: Mapping[str, str]
    ) -> None:
        """Log a model with its run.

        Parameters
        ----------
        write : callable
            Writes the model folder, see `lstm_bench.training.model_folder`.
        packages : mapping of str to str
            Installed versions.
        """
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            self.writer.log_model(run_id, Path(folder), packages)

    def tag_model(
        self, run_id: str, model_run: str, note: str, session: str | None = None
    ) -> None:
        """Tag a run with the address of its model, which another run may have.

        Parameters
        ----------
        model_run : str
            Id of the run with which the model was logged.
        note : str
            One-line description of the run `run_id`.
        session : str or None
            A confirmation's run, whose winner the model is.
        """
        tags = {rec.TAG_MODEL: model_address(model_run)}
        if session is not None:
            self.writer.log_batch(session, tags=tags)
        self.writer.log_batch(run_id, tags={**tags, rec.TAG_NOTE: note})

    def if_there(self, ask: Callable[[], T]) -> T | None:
        """Return the result of `ask`; None while the server is unreachable.

        None, too, while operations wait: the store is incomplete then.
        """
        if self.writer.waiting is not None:
            return None
        try:
            with patience(own_timeout_s(PATIENT_S)):
                return ask()
        except Exception as error:
            if is_away(error):
                return None
            raise

    def catch_up(self) -> bool:
        """Write all waiting operations if the server answers; return if none remain."""
        return self.writer.catch_up()

    def version(self) -> str:
        """Return the version of the server, or of the database's tables."""
        if is_server(self.tracking_uri):
            host = get_default_host_creds(self.tracking_uri)  # type: ignore[no-untyped-call]
            answer = http_request(host, "/version", "GET")  # type: ignore[no-untyped-call]
            return f"MLflow server {answer.text.strip()}"
        engine = sqlalchemy.create_engine(self.tracking_uri)
        try:
            with engine.connect() as connection:
                query = sqlalchemy.text("SELECT version_num FROM alembic_version")
                return (
                    f"version {connection.execute(query).scalar()} of MLflow's tables"
                )
        finally:
            engine.dispose()

    def baselines_of(self, study: str) -> list[Run]:
        """Return the runs of the study's baselines, oldest first."""
        return find_runs(
            self.client,
            f"tags.`{rec.TAG_STUDY}` = '{study}' and "
            f"tags.`{rec.TAG_KIND}` = 'baseline'",
        )

    def runs_of(self, study: str) -> list[Run]:
        """Return every run of `study`, of commands and trainings, oldest first."""
        return find_runs(self.client, f"tags.`{rec.TAG_STUDY}` = '{study}'")


def _check_active(experiment: Experiment) -> None:
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"experiment {experiment.name!r} was deleted in this store; restore it "
            f"with `mlflow experiments restore -x {experiment.experiment_id}`"
        )


def _write_predictions(
    folder: Path, predictions: tuple[Prediction, ...], class_names: tuple[str, ...]
) -> None:
    (folder / rec.PREDICTIONS).mkdir()
    for prediction in predictions:
        frame = pd.DataFrame(
            {
                "index": prediction.index,
                "y_true": prediction.y_true,
                **{
                    f"p_{name}": prediction.y_proba[:, i]
                    for i, name in enumerate(class_names)
                },
            }
        )
        file = folder / rec.PREDICTIONS / f"{prediction.split}.parquet"
        frame.to_parquet(file, index=False)


def _source(kind: str, environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags with which MLflow shows the user and the source of a run."""
    tags = {
        rec.TAG_USER: _user(),
        rec.TAG_SOURCE: f"lstm-bench {COMMANDS[kind]}",
        rec.TAG_SOURCE_TYPE: "LOCAL",
    }
    if environment["git_commit"] is not None:
        tags[rec.TAG_COMMIT] = environment["git_commit"]
    return tags


def _user() -> str:
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (ImportError, KeyError, OSError):
        # A container's user may have no name; MLflow writes the same.
        return "unknown"


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
