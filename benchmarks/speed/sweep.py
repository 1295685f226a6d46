"""Finished trials an hour: `lstm-bench sweep` against a plain Optuna loop.

The suite imdb_small as it is but without a pruner, in stores of its own:

- own: the command with its defaults, a worker for each core;
- plain: `plain_sweep.py`, one process with all cores, `model.fit` on padded arrays and
  `mlflow.keras.autolog()` with its defaults, which save every trial's model; it trains
  the configurations that the command has chosen;
- plain_without_models: the same with `log_models=False`. Saving one takes MLflow longer
  than many a training does, and the command saves none during a search.

Timed is the whole command from its start to its end, imports, baselines, report and
all. A first sweep of one trial fills the cache with data and baselines and compiles the
kernel. The number of epochs of each side is recorded, since early stopping makes it
vary.

    python benchmarks/speed/sweep.py --data-dir DIR
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from lstm_bench.search.trials import OWNER
from optuna.trial import FrozenTrial
from row import Row, positive, row_parser

from lstm_bench.search.study import StudyStore
from lstm_bench.suites.suite import Suite, load_suite

SUITES = Path(__file__).parents[1]

PLAIN = {"plain": True, "plain_without_models": False}
"""Whether autologging saves models."""


def write_suite(folder: Path, arguments: Any) -> Suite:
    """Write imdb_small without its pruner, and smaller where that is asked for."""
    text = (SUITES / "imdb_small.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    content["study"]["pruner"] = "none"
    if arguments.data_dir is None:
        content["dataset"]["name"] = "synthetic"
    for part, key, value in (
        ("dataset", "max_train_samples", arguments.reviews),
        ("study", "n_trials", arguments.trials),
        ("defaults", "max_epochs", arguments.epochs),
    ):
        if value is not None:
            content[part][key] = value
    file = folder / "imdb_small.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return load_suite(file)


def run_own(
    suite: Suite, data_dir: Path | None, folder: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run the command; return what it did, and the configurations it trained."""
    start = time.perf_counter()
    sweep(suite, data_dir, folder)
    seconds = time.perf_counter() - start
    trials = StudyStore(suite, f"sqlite:///{folder}/optuna.db").finished()
    values = [trial.value for trial in trials if trial.value is not None]
    found = {
        "command_s": seconds,
        "seconds_a_trial_after_the_first": seconds_a_trial(trials),
        "n_trials": len(trials),
        "n_epochs": sum(len(trial.intermediate_values) for trial in trials),
        "best_accuracy": max(values),
    }
    return found, [trial.params for trial in trials]


def sweep(
    suite: Suite, data_dir: Path | None, folder: Path, n_trials: int | None = None
) -> None:
    """Run `lstm-bench sweep` in `folder`, a new one, with stores of its own."""
    folder.mkdir()
    command = [sys.executable, "-P", "-m", "lstm_bench", "sweep", suite.path]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir.absolute())]
    if n_trials is not None:
        command += ["--trials", str(n_trials)]
    stores = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "LSTM_BENCH_STORAGE": f"sqlite:///{folder}/optuna.db",
    }
    run(command, folder, stores)


def run(command: list[str], folder: Path, variables: dict[str, str]) -> None:
    """Run a command; exit with all that it printed if it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def seconds_a_trial(trials: list[FrozenTrial]) -> float:
    """Return seconds a trial from when every worker has finished its first."""
    ends = defaultdict(list)
    for trial in trials:
        assert trial.datetime_complete is not None
        ends[tuple(trial.user_attrs[OWNER])].append(trial.datetime_complete)
    begin = max(min(own) for own in ends.values())
    after = [end for own in ends.values() for end in own if end > begin]
    return (max(after) - begin).total_seconds() / len(after)


def run_plain(
    suite: Suite,
    data_dir: Path | None,
    folder: Path,
    configurations: list[dict[str, Any]],
    saves_models: bool,
) -> dict[str, Any]:
    """Run the plain loop over the configurations; return what it did."""
    folder.mkdir()
    file, out = folder / "configurations.json", folder / "out.json"
    file.write_text(json.dumps(configurations), encoding="utf-8")
    command = [sys.executable, str(Path(__file__).with_name("plain_sweep.py"))]
    command += [suite.path, str(file), "--out", str(out)]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir.absolute())]
    if not saves_models:
        command += ["--no-models"]
    start = time.perf_counter()
    run(command, folder, {})
    seconds = time.perf_counter() - start
    result = json.loads(out.read_text(encoding="utf-8"))
    trials = result.pop("trials")
    return {
        "command_s": seconds,
        **result,
        "n_trials": len(trials),
        "n_epochs": int(sum(trial["n_epochs"] for trial in trials)),
        "after_last_epochs_s": sum(trial["saving_s"] for trial in trials),
        "best_accuracy": max(trial["accuracy"] for trial in trials),
    }


def show(name: str, found: dict[str, Any]) -> None:
    seconds, n = found["command_s"], found["n_trials"]
    print(
        f"{name:20} {3600 * n / seconds:.0f} trials an hour: {n} in {seconds:.1f} s, "
        f"{found['n_epochs']} epochs, best {found['best_accuracy']:.4f}"
    )
    if "after_last_epochs_s" in found:
        print(f"{'':20} {found['after_last_epochs_s']:.1f} s of it after last epochs")


def main() -> None:
    parser = row_parser(__doc__)
    parser.add_argument("--trials", type=positive, help="[default: the suite's]")
    parser.add_argument("--epochs", type=positive, help="[default: the suite's]")
    parser.add_argument("--reviews", type=positive, help="[default: the suite's]")
    arguments = parser.parse_args()
    row = Row("sweep", arguments)
    row.peak()
    rounds = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        suite = write_suite(folder, arguments)
        sweep(suite, arguments.data_dir, folder / "first", n_trials=1)
        for number in range(arguments.rounds):
            own, trials = run_own(suite, arguments.data_dir, folder / f"own{number}")
            show("own", own)
            found = {"own": own}
            for name, saves_models in PLAIN.items():
                where = folder / f"{name}{number}"
                found[name] = run_plain(
                    suite, arguments.data_dir, where, trials, saves_models
                )
                show(name, found[name])
            rounds.append(found)
    row.write(
        suite.dataset.name,
        {
            "suite": "imdb_small",
            "n_train": suite.dataset.max_train_samples,
            "rounds": rounds,
        },
    )


if __name__ == "__main__":
    main()
