"""Put a study's model into MLflow's model registry."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from lstm_bench.analysis.contenders import Contender
from lstm_bench.analysis.intervals import mean_interval
from lstm_bench.errors import TrackingError
from lstm_bench.masking import bare_url
from lstm_bench.metrics import evaluate, metrics_of
from lstm_bench.tasks import Task
from lstm_bench.text import count, with_interval
from lstm_bench.tracking.models import read_about, whole_model
from lstm_bench.ui import study_views
from lstm_bench.winner import Found

TAG_PREFIX = "lstm_bench."


@dataclass(frozen=True)
class Registered:
    """A version in the model registry.

    Attributes
    ----------
    address : str
        Under which MLflow loads it: with the alias, if it has one.
    """

    name: str
    version: str
    address: str


def register_model(
    tracking_uri: str, found: Found, name: str, alias: str | None = None
) -> Registered:
    """Register a logged model as a new version of `name`.

    Its tags are suite, study, the model's name and why it is this one, the report's
    address where a server has it, and every metric on test with its interval over
    seeds.

    Parameters
    ----------
    name : str
        Registered model, made if there is none.
    alias : str or None
        Moved to the new version.

    Raises
    ------
    TrackingError
        The registry refuses the name or the alias.
    """
    client = MlflowClient(tracking_uri)
    model = whole_model(client, found.run_id)
    if model is None:
        raise TrackingError(f"run {found.run_id} has no model; run the command again")
    about = read_about(found.folder)
    study = found.side.analysis.results.study
    tags = {
        "suite": about["suite"],
        "study": study,
        "name": about["name"],
        "why": about["why"],
    }
    if tracking_uri.startswith("http"):
        views = study_views(tracking_uri, bare_url(tracking_uri))
        report = next((v.report for v in views if v.study == study), None)
        if report is not None:
            tags["report"] = report
    tags |= test_scores(found.side.contender, found.side.suite.task)
    try:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = client.create_model_version(
            name,
            source=f"models:/{model.model_id}",
            run_id=found.run_id,
            tags={f"{TAG_PREFIX}{key}": value for key, value in tags.items()},
            description=about["why"],
            model_id=model.model_id,
        ).version
        if alias is not None:
            client.set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise TrackingError(
            f"MLflow's model registry refuses the name {name!r} or the alias "
            f"{alias!r}: {error.message}"
        ) from error
    which = f"/{version}" if alias is None else f"@{alias}"
    return Registered(name, str(version), f"models:/{name}{which}")


def test_scores(contender: Contender, task: Task) -> dict[str, str]:
    """Return the task's metrics on test: mean, 95 % t interval and number of seeds."""
    scores = {}
    tests = [parts["test"] for parts in contender.predictions.values()]
    of_seeds = [evaluate(t.y_true, t.y_proba, task.name, t.scale) for t in tests]
    for metric in metrics_of(task.name).values():
        values = [scores_of[metric.name] for scores_of in of_seeds]
        found = mean_interval(values).within(*metric.bounds)
        text = with_interval(found.estimate, found.low, found.high, metric.form)
        scores[f"test_{metric.name}"] = f"{text}, {count(found.n, 'seed')}"
    return scores
