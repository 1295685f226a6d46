"""A search as one would write it: an Optuna loop, Keras's `fit`, MLflow's autologging.

TPE, a sqlite store for the trials and one for the runs, early stopping that restores
the best weights, one run for each trial; one process with all cores, reviews padded in
front to the trial's length and no mask. Which configurations are trained is given, so
that another search can train the same: they are enqueued. `sweep.py` runs it.

    python benchmarks/speed/plain_sweep.py SUITE FILE --data-dir DIR --out FILE
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import mlflow
import optuna

from lstm_bench.models.backend import keras
from lstm_bench.models.build import build_model
from lstm_bench.models.encoding import encode
from lstm_bench.models.heads import HEADS
from lstm_bench.seeding import derive_seed
from lstm_bench.suites.suite import load_suite
from lstm_bench.training.prepare import prepare


class Report(keras.callbacks.Callback):
    """Reports each epoch to the trial, and stops if the pruner decides so."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self.trial = trial
        self.n_epochs = 0
        self.ended = 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Report the accuracy on the validation reviews."""
        self.n_epochs += 1
        self.trial.report((logs or {})["val_accuracy"], epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Record when training ended; autologging saves the model after it."""
        self.ended = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("configurations", type=Path, help="JSON, from sweep.py")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--no-models", action="store_true", help="save none")
    arguments = parser.parse_args()
    suite = load_suite(arguments.suite)
    prepared = prepare(suite, arguments.data_dir)
    train, val = prepared.splits.train, prepared.splits.val
    n_classes = prepared.dataset.n_classes
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment(suite.name)
    mlflow.keras.autolog(log_models=not arguments.no_models)
    done: list[dict[str, float]] = []

    def objective(trial: optuna.Trial) -> float:
        config = suite.space.suggest(
            trial,
            suite.defaults.model_copy(update={"padding": "pre", "masking": False}),
        )
        keras.backend.clear_session()
        keras.utils.set_random_seed(derive_seed(suite.study.seed, "init", 0))
        model = build_model(config, n_classes)
        targets = HEADS[config.head].encode_targets
        report = Report(trial)
        callbacks: list[Any] = [report]
        if config.patience is not None:
            callbacks.append(
                keras.callbacks.EarlyStopping(
                    monitor="val_accuracy",
                    mode="max",
                    patience=config.patience,
                    restore_best_weights=True,
                )
            )
        start = time.perf_counter()
        with mlflow.start_run(run_name=f"trial {trial.number}"):
            mlflow.log_params(trial.params)
            history = model.fit(
                encode(train, config)[0],
                targets(train.y, n_classes),
                validation_data=(
                    encode(val, config)[0],
                    targets(val.y, n_classes),
                ),
                epochs=config.max_epochs,
                batch_size=config.batch_size,
                callbacks=callbacks,
                verbose=0,
            )
        end = time.perf_counter()
        best = max(history.history["val_accuracy"])
        done.append(
            {
                "n_epochs": report.n_epochs,
                "trial_s": end - start,
                "saving_s": end - report.ended,
                "accuracy": best,
            }
        )
        return float(best)

    study = optuna.create_study(
        storage="sqlite:///optuna.db",
        study_name=suite.name,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(
            seed=suite.study.seed, n_startup_trials=suite.study.n_startup_trials
        ),
        pruner=optuna.pruners.NopPruner(),
    )
    configurations = json.loads(arguments.configurations.read_text(encoding="utf-8"))
    for configuration in configurations:
        study.enqueue_trial(configuration)
    study.optimize(objective, n_trials=len(configurations))
    ends = [trial.datetime_complete for trial in study.trials]
    between = (max(ends) - min(ends)).total_seconds() / max(len(ends) - 1, 1)
    result = {"trials": done, "seconds_a_trial_after_the_first": between}
    arguments.out.write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
