"""Write runs to MLflow."""

from __future__ import annotations

import getpass
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Run, RunTag
from mlflow.exceptions import MlflowException

from lstm_bench.data.dataset import Dataset
from lstm_bench.errors import TrackingError
from lstm_bench.masking import bare_url, known_secrets, mask_text
from lstm_bench.metrics import evaluate
from lstm_bench.stores import create_whole, opening_store, sqlite_file
from lstm_bench.suites.config import TrialConfig
from lstm_bench.system.process import this_process
from lstm_bench.text import count, first_line
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.chart_view import TAG_PREFIX, chart_view_state
from lstm_bench.tracking.models import (
    has_model,
    log_model,
    model_address,
    remove_others,
)
from lstm_bench.tracking.outbox import (
    ARTIFACTS,
    MODEL,
    Draw,
    Point,
    Record,
    create_run,
    new_key,
    now_ms,
    outbox_folder,
    put,
    waiting_text,
)
from lstm_bench.tracking.queries import find_runs
from lstm_bench.tracking.writer import Parcel, Writer
from lstm_bench.training.baselines import BASELINES, BaselineResult
from lstm_bench.training.prepare import Prepared
from lstm_bench.training.result import (
    N_FEATURES,
    TRAIN_TIME,
    Prediction,
    TrialResult,
    metric_key,
    summary_key,
)

NO_FILES: Mapping[str, bytes] = MappingProxyType({})
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
    rec.SUBSET: "confirm",
    rec.SUBSET_BASELINE: "confirm",
    "train": "train",
    "refit": "predict --refit",
}

# MLflow logs which tables it creates.
logging.getLogger("mlflow").setLevel(logging.WARNING)
# It warns that pip is missing in uv's environments; requirements are explicit here.
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
# It warns of the type hint of models of series whenever it loads a model.
logging.getLogger("mlflow.types.type_hints").setLevel(logging.ERROR)
# It prints the traceback of every database error that it also raises.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def draw_nothing(artifacts: Path, metric_name: str) -> None:
    """Leave a training without figures."""


class OpenRun:
    """A run that is being worked on, and how it is written when it has ended.

    Parameters
    ----------
    prepared : Prepared or None
        What the run's context describes; None for a command's own run, which has it
        already.
    """

    def __init__(
        self, tracker: Tracker, record: Record, prepared: Prepared | None
    ) -> None:
        self.tracker = tracker
        self.record = record
        self.prepared = prepared
        self._n_shown = 0
        if prepared is not None:
            tracker.writer.show(self._create)

    @property
    def run_id(self) -> str | None:
        """The run's id; None until MLflow has the run."""
        return self.record.run_id

    def _create(self) -> None:
        self._was_sent(create_run(self.tracker.client, self.record))
        self.tracker.describe_command(str(self.run_id), self.record.name)

    def _was_sent(self, run_id: str) -> None:
        self.record.run_id = run_id

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the metrics of one step in one request."""
        now = now_ms()
        points = [(key, float(value), now, step) for key, value in metrics.items()]
        self.record.metrics += points
        self.tracker.writer.show(lambda: self._log(points))

    def log_epoch(self, entry: Mapping[str, float]) -> None:
        """Write the history's entry of one epoch."""
        metrics = {key: value for key, value in entry.items() if key != "epoch"}
        self.log(metrics, int(entry["epoch"]))

    def _log(self, points: Sequence[Point]) -> None:
        if self.run_id is not None:
            items = [Metric(*point) for point in points]
            self.tracker.client.log_batch(self.run_id, metrics=items)
            self._n_shown += len(points)

    def _has_metrics(self) -> bool:
        return self._n_shown == len(self.record.metrics)

    def _log_summary(
        self, values: Mapping[str, float], predictions: Sequence[Prediction], step: int
    ) -> None:
        self.log({summary_key(key): value for key, value in values.items()}, step)
        if any(prediction.split == "test" for prediction in predictions):
            self.record.tags[rec.TAG_TEST_SCORED] = "true"

    def finish_training(
        self,
        result: TrialResult,
        metric_name: str,
        model: Mapping[str, bytes] = NO_FILES,
        explained: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Close the run of a training as complete, with its result.

        Parameters
        ----------
        metric_name : str
            The study's metric, which is drawn.
        model : mapping of str to bytes
            Files of the model folder, if the model is logged, too.
        explained : sequence of mapping
            The samples, explained by the model.
        """
        n_epochs = len(result.history.epochs)
        self._log_summary(result.metrics, result.predictions, n_epochs)
        self.record.metric = metric_name

        def write(folder: Path) -> None:
            _write_training(folder, result)
            if explained:
                _write_json(folder / rec.EXPLAINED, {"samples": list(explained)})

        self.close("complete", None, write, model)

    def finish_baseline(self, result: BaselineResult, dataset: Dataset) -> None:
        """Close the run of a baseline on `dataset` as complete, with its result."""
        values = {
            metric_key(prediction.split, name): value
            for prediction in result.predictions
            for name, value in evaluate(
                prediction.y_true, prediction.y_proba, dataset.task, prediction.scale
            ).items()
        }
        values |= {
            TRAIN_TIME: result.train_time_s,
            N_FEATURES: float(result.n_features),
        }
        self._log_summary(values, result.predictions, 0)
        self.close(
            "complete",
            None,
            lambda folder: _write_predictions(
                folder, result.predictions, dataset.class_names, dataset.output_names
            ),
        )

    def abandon(
        self,
        state: str,
        reason: str | None,
        config: TrialConfig | None,
        epochs: Sequence[Mapping[str, float]],
    ) -> None:
        """Close the run without a result, with a training's epochs so far."""

        def write(folder: Path) -> None:
            if config is not None:
                _write_history(folder, config, epochs)

        self.close(state, reason, write)

    def close(
        self,
        state: str,
        reason: str | None = None,
        write_files: Callable[[Path], None] = lambda folder: None,
        model: Mapping[str, bytes] = NO_FILES,
    ) -> None:
        """Close the run of a training or a baseline in one of `rec.STATES`.

        When this returns, the whole run is kept on this machine's disk.

        Parameters
        ----------
        write_files : callable
            Writes the run's artifacts into a folder.
        """
        self.record.tags[rec.TAG_STATE] = state
        if reason is not None:
            secrets = known_secrets(self.tracker.tracking_uri)
            self.record.tags[rec.TAG_FAILURE] = mask_text(reason, secrets)
        self.end(rec.MLFLOW_STATUS[state], write_files, model)

    def end(
        self,
        status: str,
        write_files: Callable[[Path], None] = lambda folder: None,
        model: Mapping[str, bytes] = NO_FILES,
    ) -> None:
        """Close the run with an MLflow status: FINISHED, KILLED or FAILED."""
        self.record.status, self.record.end = status, now_ms()

        def write(folder: Path) -> None:
            artifacts = folder / ARTIFACTS
            artifacts.mkdir()
            if self.prepared is not None:
                _write_context(artifacts, self.prepared)
            write_files(artifacts)
            if model and self.prepared is not None:
                self.record.packages = dict(self.prepared.about_machine["packages"])
                (folder / MODEL).mkdir()
                for name, content in model.items():
                    (folder / MODEL / name).write_bytes(content)

        tracker = self.tracker
        folder = put(tracker.tracking_uri, tracker.study, self.record, write)
        tracker.writer.send(Parcel(folder, self._has_metrics, self._was_sent))


class Tracker:
    """Writes sweeps and trainings to one MLflow store, with explicit run ids.

    Parameters
    ----------
    tracking_uri : str
        From `resolve_tracking_uri`.
    study : str
        Name of the study, whose runs are all in one experiment: the study's existing
        one, else the one that ``MLFLOW_EXPERIMENT_ID`` or ``MLFLOW_EXPERIMENT_NAME``
        names, else the suite's.
    say : callable
        Called with a message when the server becomes unreachable or answers again, and
        if the study is in another experiment than the environment names.
    draw : callable
        Draws the figures of each finished training.
    create : bool
        Whether to create a missing experiment. If not, runs can only be read and
        closed.
    """

    def __init__(
        self,
        tracking_uri: str,
        study: str = "any",
        say: Callable[[str], None] = lambda line: None,
        draw: Draw = draw_nothing,
        *,
        create: bool = True,
    ) -> None:
        self.tracking_uri = tracking_uri
        self.draw = draw
        with opening_store(tracking_uri, "--tracking-uri"):
            create_whole(
                tracking_uri, lambda uri: MlflowClient(uri).search_experiments()
            )
            self.client = MlflowClient(tracking_uri)
            # `mlflow run` creates a run for its command and names it here for every
            # start_run to adopt. It remains the command's; see `describe_command`.
            self.command_run_id = os.environ.pop("MLFLOW_RUN_ID", None)
            self.experiment_id = self._experiment(study, say) if create else ""
        self.study, self.say = study, say
        self._writer: Writer | None = None

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

    def describe_command(self, run_id: str, name: str) -> None:
        """Link the run that `mlflow run` created to `run_id`, once.

        That run stays in its experiment, with the entry point's parameters, and ends
        with the command; the trainings are in the study's own experiment.
        """
        command, self.command_run_id = self.command_run_id, None
        if command is None:
            return
        address = f"#/experiments/{self.experiment_id}/runs/{run_id}"
        note = (
            f"A command. What it trained lies in [{name}]({address}), in the "
            f"experiment {self._named(self.experiment_id)}."
        )
        self.client.update_run(command, name=f"mlflow run: {name}")
        tags = [RunTag(rec.TAG_NOTE, note), RunTag(rec.TAG_SESSION, run_id)]
        self.client.log_batch(command, tags=tags)

    # Runs

    def start_session(
        self,
        kind: str,
        prepared: Prepared,
        params: Mapping[str, Any],
        parent_run_id: str | None = None,
        write_files: Callable[[Path], None] = lambda folder: None,
    ) -> OpenRun:
        """Open the run of a command, at once.

        Parameters
        ----------
        kind : {"sweep", "confirm"}
        params : mapping
            Options of the command.
        write_files : callable
            Writes further artifacts into a folder.
        """
        suite = prepared.suite
        tags = {
            rec.TAG_KIND: kind,
            rec.TAG_SUITE: suite.name,
            rec.TAG_STUDY: suite.study_name,
            rec.TAG_OWNER: json.dumps(this_process()),
            rec.TAG_NOTE: " ".join(suite.description.split()),
            **_source(kind, prepared.about_machine),
        }
        if parent_run_id is not None:
            tags[rec.TAG_PARENT] = parent_run_id
        name = f"{PARENTS[kind]} of {suite.name}"
        asked = {"suite": suite.name, "study": suite.study_name, **params}
        record = self._record(name, tags, asked)
        record.run_id = create_run(self.client, record)
        self.describe_command(record.run_id, name)
        with tempfile.TemporaryDirectory() as folder:
            _write_context(Path(folder), prepared)
            write_files(Path(folder))
            self.client.log_artifacts(record.run_id, folder)
        self.client.set_experiment_tag(
            self.experiment_id,
            f"{TAG_PREFIX}{suite.study_name}",
            json.dumps(chart_view_state(suite)),
        )
        return OpenRun(self, record, None)

    def start_run(
        self,
        config: TrialConfig,
        prepared: Prepared,
        *,
        kind: str,
        parent_run_id: str | None = None,
        engine: str,
        trial: int | None = None,
        reference: str | None = None,
        label: str | None = None,
        origin: str | None = None,
        n_subset: int | None = None,
    ) -> OpenRun:
        """Open the run of a training.

        Parameters
        ----------
        prepared : Prepared
            With the seeds of the training's replicate.
        kind : {"trial", "reference", "replicate", "subset", "train"}
        engine : str
            Of the LSTMs; see `join_engines`.
        label, origin : str or None
            Display name of the configuration in a confirmation, and why it was
            selected.
        n_subset : int or None
            Number of training examples, of a subset.
        """
        suite = prepared.suite
        name = label or suite.name_of(config, trial)
        if kind in ("replicate", rec.SUBSET):
            example = prepared.dataset.example
            name += f", {seed_text(prepared.replicate, n_subset, example)}"
        if kind == "train":
            name = f"{name} (one training)" if name else "one training"
        tags = self._tags(prepared, kind, parent_run_id) | {
            rec.TAG_CONFIG_ID: config.config_id,
            rec.TAG_NOTE: f"{suite.name}: {name}",
        }
        more = {
            # None where its worker died before it began.
            rec.TAG_ENGINE: engine or None,
            rec.TAG_LABEL: label,
            rec.TAG_ORIGIN: origin,
            rec.TAG_TRIAL: None if trial is None else str(trial),
            rec.TAG_REFERENCE: reference,
        }
        tags |= {key: value for key, value in more.items() if value is not None}
        params = {**config.model_dump(), **_of_subset(n_subset)}
        return self._open(name, tags, params, prepared)

    def start_refit(
        self,
        key: str,
        label: str,
        params: Mapping[str, Any],
        prepared: Prepared,
        engine: str,
    ) -> OpenRun:
        """Open the run of a training on train and validation together.

        Parameters
        ----------
        key, label : str
            Of the contender.
        params : mapping
            Its hyperparameters.
        """
        tags = self._tags(prepared, "refit", None) | {
            rec.TAG_REFIT_OF: key,
            rec.TAG_LABEL: label,
            **({rec.TAG_ENGINE: engine} if engine else {}),
        }
        return self._open(f"{label} (refit)", tags, params, prepared)

    def start_baseline(
        self,
        name: str,
        prepared: Prepared,
        parent_run_id: str,
        n_subset: int | None = None,
    ) -> OpenRun:
        """Open the run of a baseline; `n_subset` as in `start_run`."""
        baseline = BASELINES[name]
        kind = "baseline" if n_subset is None else rec.SUBSET_BASELINE
        tags = self._tags(prepared, kind, parent_run_id) | {
            rec.TAG_BASELINE: name,
            rec.TAG_LABEL: baseline.label,
            rec.TAG_NOTE: baseline.description,
        }
        seed = ""
        if prepared.replicate:
            example = prepared.dataset.example
            seed = f", {seed_text(prepared.replicate, n_subset, example)}"
        title = f"{baseline.label} (baseline{seed})"
        params = {"baseline": name, **_of_subset(n_subset)}
        return self._open(title, tags, params, prepared)

    def _open(
        self,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        prepared: Prepared,
    ) -> OpenRun:
        everything = {
            **params,
            **{f"seed.{name}": seed for name, seed in prepared.seeds.items()},
            "dataset": prepared.about_data["name"],
            "dataset_digest": prepared.about_data["digest"][:12],
        }
        if embedding := prepared.about_data.get("embedding"):
            everything["embedding_digest"] = embedding["digest"][:12]
        record = self._record(name, {**tags, rec.TAG_STATE: "running"}, everything)
        record.dataset = {
            "name": prepared.about_data["name"],
            "digest": prepared.about_data["digest"][:36],
            "source": json.dumps({"source": prepared.about_data["source"]}),
        }
        return OpenRun(self, record, prepared)

    def _record(
        self, name: str, tags: Mapping[str, str], params: Mapping[str, Any]
    ) -> Record:
        return Record(
            run_id=None,
            experiment=self.experiment_id,
            name=name,
            # A note may have an address; a name, a password's letters by chance.
            tags={key: mask_text(value) for key, value in tags.items()},
            params={key: str(value) for key, value in params.items()},
            start=now_ms(),
            key=new_key(),
        )

    def _tags(
        self, prepared: Prepared, kind: str, parent_run_id: str | None
    ) -> dict[str, str]:
        suite, replicate = prepared.suite, prepared.replicate
        on_test = suite.dataset.validation == "test"
        source = kind
        if kind == "baseline":
            source = "confirm" if replicate else "sweep"
        tags = {
            rec.TAG_KIND: kind,
            rec.TAG_SUITE: suite.name,
            rec.TAG_STUDY: suite.study_name,
            rec.TAG_REPLICATE: str(replicate),
            rec.TAG_OWNER: json.dumps(this_process()),
            rec.TAG_TEST_SCORED: "validation" if on_test else "false",
            **_source(source, prepared.about_machine),
        }
        if parent_run_id is not None:
            tags[rec.TAG_PARENT] = parent_run_id
        return tags

    # What belongs to a run that has ended

    def log_verdicts(
        self, run_id: str, metrics: Mapping[str, float], verdicts: Mapping[str, Any]
    ) -> None:
        """Write the verdicts of a confirmation, as metrics and as JSON."""
        points = [Metric(key, value, now_ms(), 0) for key, value in metrics.items()]
        self.client.log_batch(run_id, metrics=points)
        self.client.log_dict(run_id, dict(verdicts), rec.VERDICTS)

    def log_report(self, run_id: str, folder: Path) -> None:
        """Attach the report in `folder` to a command's run, without files beside it."""
        for name in rec.REPORT_FILES:
            part = folder / name
            if part.is_dir():
                self.client.log_artifacts(run_id, str(part), f"{rec.REPORT}/{name}")
            else:
                self.client.log_artifact(run_id, str(part), rec.REPORT)

    def log_model(self, run_id: str, folder: Path, packages: Mapping[str, str]) -> None:
        """Log the model folder `folder` with a run that has ended, unless it has one.

        Parameters
        ----------
        packages : mapping of str to str
            Installed versions.
        """
        info = self.client.get_run(run_id).info
        if not has_model(self.client, run_id):
            remove_others(self.client, run_id)
            log_model(self.tracking_uri, run_id, folder, packages)
            # Logging the model has restarted and ended the run.
            self.client.set_terminated(run_id, info.status, info.end_time)

    def log_explained(
        self, run_id: str, explained: Sequence[Mapping[str, Any]]
    ) -> None:
        """Log a run's samples, explained by its model."""
        self.client.log_dict(run_id, {"samples": list(explained)}, rec.EXPLAINED)

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
        tag = RunTag(rec.TAG_MODEL, model_address(model_run))
        if session is not None:
            self.client.log_batch(session, tags=[tag])
        self.client.log_batch(run_id, tags=[tag, RunTag(rec.TAG_NOTE, note)])

    # The writing thread

    def check(self) -> None:
        """Show messages about the server; raise the error that writing met, if any."""
        if self._writer is not None:
            self._writer.check(self.say)

    def catch_up(self) -> bool:
        """Wait until all is written that the server takes; return if nothing waits."""
        return self._writer is None or self._writer.flush(self.say)

    def close(self) -> None:
        """Write what can be written; show what waits."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
            if writer.waiting:
                self.say(waiting_text(self.tracking_uri, writer.reason))

    @property
    def writer(self) -> Writer:
        """The thread that writes; it begins with the first run."""
        if self._writer is None:
            outbox = outbox_folder(self.tracking_uri, self.study)
            self._writer = Writer(self.client, outbox, self.draw)
        return self._writer

    def runs_of(self, study: str) -> list[Run]:
        """Return every run of `study`, of commands and trainings, oldest first."""
        return find_runs(self.client, f"tags.`{rec.TAG_STUDY}` = '{study}'")


def seed_text(replicate: int, n_subset: int | None, example: str) -> str:
    """Return the words for a replicate: ``seed 1``, or ``seed 1, 500 reviews``."""
    of = "" if n_subset is None else f", {count(n_subset, example)}"
    return f"seed {replicate}{of}"


def _of_subset(n_subset: int | None) -> dict[str, int]:
    return {} if n_subset is None else {rec.PARAM_SUBSET: n_subset}


def _check_active(experiment: Experiment) -> None:
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"experiment {experiment.name!r} was deleted in this store; restore it "
            f"with `mlflow experiments restore -x {experiment.experiment_id}`"
        )


def _write_context(folder: Path, prepared: Prepared) -> None:
    (folder / rec.SUITE_FILE).write_text(prepared.suite.text, encoding="utf-8")
    _write_json(folder / rec.DATASET, prepared.about_data)
    _write_json(folder / rec.ENVIRONMENT, prepared.about_machine)


def _write_training(folder: Path, result: TrialResult) -> None:
    """Write the artifacts of a finished training, but for its figures."""
    _write_history(folder, result.config, result.history.epochs)
    names = list(result.class_names)
    for file, samples in ((rec.SAMPLES, result.samples), (rec.ERRORS, result.errors)):
        if samples or file == rec.SAMPLES:
            _write_json(folder / file, {"class_names": names, "samples": samples})
    if result.gradients:
        _write_json(folder / rec.GRADIENTS, result.gradients)
    _write_predictions(
        folder, result.predictions, result.class_names, result.output_names
    )


def _write_history(
    folder: Path, config: TrialConfig, epochs: Sequence[Mapping[str, float]]
) -> None:
    """Write the configuration and the epochs so far of a training."""
    _write_json(folder / rec.CURVES, {"epochs": list(epochs)})
    _write_json(folder / rec.CONFIG, config.model_dump())


def _write_predictions(
    folder: Path,
    predictions: Sequence[Prediction],
    class_names: Sequence[str],
    output_names: Sequence[str],
) -> None:
    """Write a Parquet file of probabilities, or numbers, for each scored split."""
    (folder / rec.PREDICTIONS).mkdir()
    for prediction in predictions:
        columns: dict[str, Any] = {"index": prediction.index}
        for name in rec.OF_WINDOWS:
            if (values := getattr(prediction, name)) is not None:
                columns[name] = values
        if not output_names:
            columns["y_true"] = prediction.y_true
        for i, name in enumerate(class_names):
            columns[f"p_{name}"] = prediction.y_proba[:, i]
        for i, name in enumerate(output_names):
            columns[f"true_{name}"] = prediction.y_true[:, i]
        for i, name in enumerate(output_names):
            columns[f"pred_{name}"] = prediction.y_pred[:, i]
        file = folder / rec.PREDICTIONS / f"{prediction.split}.parquet"
        pd.DataFrame(columns).to_parquet(file, index=False)


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
