"""Trainings an hour: one worker on all cores against two with half of them each.

The same configurations, drawn at random, are swept by `lstm-bench sweep` with one
worker and with several, in interleaved rounds with stores of their own. Counted once
every worker has ended its first training, to the last one's end: imports, baselines
and the report are left out, and what a worker idles at the end is not. The whole
command's time stands beside it.

    python benchmarks/speed/throughput.py --data-dir DIR
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from measure import print_machine, print_ratios

from lstm_bench.search.study import StudyStore
from lstm_bench.search.trials import CONFIG_ID, OWNER
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.system.threads import n_cores

SUITE = """\
description: How many trainings an hour?
dataset: {{name: {dataset}, max_train_samples: {reviews}}}
defaults: {{max_epochs: {epochs}, patience: null, vocabulary_size: 5000}}
space:
  units: {{low: 16, high: 128, log: true}}
  num_layers: [1, 2]
  sequence_length: [100, 200]
  dropout: {{low: 0.0, high: 0.5}}
  head: [sigmoid, softmax]
study: {{metric: accuracy, n_trials: {trials}, sampler: random, pruner: none, seed: 3}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="real reviews; else synthetic")
    parser.add_argument("--workers", type=int, default=2, help="against one")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--reviews", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print_machine()
    print(
        f"{arguments.trials} trainings of {arguments.epochs} epochs on "
        f"{arguments.reviews} reviews, {n_cores()} cores shared by the workers"
    )
    trainings: dict[str, list[float]] = {}
    commands: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "throughput.yaml"
        file.write_text(
            SUITE.format(
                dataset="imdb" if arguments.data_dir else "synthetic",
                reviews=arguments.reviews,
                epochs=arguments.epochs,
                trials=arguments.trials,
            ),
            encoding="utf-8",
        )
        suite = load_suite(file)
        # Reviews and baselines are in the cache for all that is measured.
        sweep(suite, arguments.data_dir, folder / "first", 1, n_trials=1)
        asked = set()
        for number in range(arguments.rounds):
            counts = (1, arguments.workers)
            for n in counts if number % 2 == 0 else counts[::-1]:
                label = f"{n} worker" + ("s" if n > 1 else "")
                here = folder / f"{number}_{n}"
                start = time.perf_counter()
                sweep(suite, arguments.data_dir, here, n)
                seconds = time.perf_counter() - start
                commands.setdefault(label, []).append(seconds / arguments.trials)
                each, configs = trained(suite, here)
                trainings.setdefault(label, []).append(each)
                asked.add(configs)
    if len(asked) != 1:
        raise SystemExit("the rounds did not train the same configurations")
    print("\nseconds a training")
    print_ratios(trainings, "1 worker")
    print("\nseconds a training, of the whole command")
    print_ratios(commands, "1 worker")
    print()
    for label, values in trainings.items():
        rate = 3600 / statistics.median(values)
        print(f"{label:32} {rate:.0f} trainings an hour")


def sweep(
    suite: Suite,
    data_dir: Path | None,
    folder: Path,
    n: int | None,
    n_trials: int | None = None,
) -> None:
    """Run the command in `folder` with stores of its own and `n` workers.

    None leaves their number to the command.
    """
    folder.mkdir()
    command = [sys.executable, "-P", "-m", "lstm_bench", "sweep", suite.path]
    if n is not None:
        command += ["--workers", str(n)]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir.absolute())]
    if n_trials is not None:
        command += ["--trials", str(n_trials)]
    stores = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "LSTM_BENCH_STORAGE": f"sqlite:///{folder}/optuna.db",
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | stores,
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def trained(suite: Suite, folder: Path) -> tuple[float, frozenset[str]]:
    """Return seconds a training once all workers are at it, and what was trained."""
    trials = StudyStore(suite, f"sqlite:///{folder}/optuna.db").finished()
    ends = defaultdict(list)
    for trial in trials:
        assert trial.datetime_complete is not None
        ends[tuple(trial.user_attrs[OWNER])].append(trial.datetime_complete)
    begin = max(min(own) for own in ends.values())
    after = [end for own in ends.values() for end in own if end > begin]
    configs = frozenset(trial.user_attrs[CONFIG_ID] for trial in trials)
    return (max(after) - begin).total_seconds() / len(after), configs


if __name__ == "__main__":
    main()
