"""``lstm-bench train``."""

from __future__ import annotations

from pathlib import Path

import click

from lstm_bench import __version__
from lstm_bench.cli.options import as_in_suite, data_dir_option, tracking_uri_option
from lstm_bench.cli.output import announce_reading, open_console, say


@click.command()
@click.argument("suite")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Set a hyperparameter; can be repeated.",
)
@click.option(
    "--config",
    "assignment_text",
    default="",
    help="Several at once, separated by spaces: 'units=64 head=softmax'.",
)
@data_dir_option
@click.option(
    "--test/--no-test",
    default=False,
    help="Score the test set, too; the run is tagged accordingly.",
)
@click.option(
    "--log-model/--no-log-model",
    default=True,
    help="Log the trained Keras model to MLflow.",
)
@click.option(
    "--replicate",
    metavar="R",
    callback=as_in_suite("confirm", "n_replicates", min=0),
    default=0,
    help="Use the split and seeds of this replicate of a confirmation. "
    "[default: 0, the search's]",
)
@tracking_uri_option
def train(
    suite: str,
    assignments: tuple[str, ...],
    assignment_text: str,
    data_dir: Path | None,
    test: bool,
    log_model: bool,
    replicate: int | None,
    tracking_uri: str | None,
) -> None:
    """Train one configuration of SUITE and score it on validation.

    The configuration is the suite's defaults with each --set applied.
    """
    from lstm_bench.suites.suite import load_suite
    from lstm_bench.workers.fork_server import start_fork_server

    console = open_console()
    console.doing("starting MLflow")
    loaded = load_suite(suite)
    config = loaded.with_overrides([*assignment_text.split(), *assignments])
    say(console, f"lstm-bench {__version__}, one training of suite {loaded.name}")
    announce_reading(loaded.dataset.name, loaded.data_name)
    start_fork_server()

    from lstm_bench.metrics import metrics_of
    from lstm_bench.text import score_text
    from lstm_bench.train import run_training
    from lstm_bench.training.result import TRAIN_TIME, metric_key
    from lstm_bench.workers.progress import make_progress

    run_id, result = run_training(
        loaded,
        config,
        make_progress(console),
        data_dir=data_dir,
        replicate=replicate or 0,
        score_test=test,
        log_model=log_model,
        tracking_uri=tracking_uri,
    )
    metrics = metrics_of(loaded.task.name)
    shown = metrics[loaded.task.objective]
    key = metric_key("val", shown.name)
    for entry in result.history.epochs:
        say(
            console,
            f"epoch {entry['epoch']:g}: "
            f"train loss {score_text(entry['train_loss'])}, "
            f"validation loss {score_text(entry['val_loss'])}, "
            f"validation {shown.label} {entry[key]:{shown.form}}, "
            f"{entry['epoch_time_s']:.1f} s",
        )
    for prediction in result.predictions:
        scores = ", ".join(
            f"{metric.label} "
            f"{result.metrics[metric_key(prediction.split, metric.name)]:{metric.form}}"
            for metric in metrics.values()
        )
        say(console, f"{prediction.split} (n = {len(prediction.y_true):,}): {scores}")
    say(console, f"trained in {result.metrics[TRAIN_TIME]:.1f} s; MLflow run {run_id}")
