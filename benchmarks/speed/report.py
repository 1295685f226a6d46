"""What a report costs: seconds and memory of `lstm-bench report` by number of runs.

Fills a sqlite store with made-up runs of a search and a round of confirmation, then
times the whole command in fresh processes, and its stages one by one in others. The
runs of a few trainings are written as every training's are; the search's many others
are copies of their rows and files with numbers of their own, because MLflow takes
minutes for what sqlite does in seconds.

    python benchmarks/speed/report.py --runs 200 5000
    python benchmarks/speed/report.py --runs 200 --confirmed 8 --reviews 25000
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import print_machine, spread

from lstm_bench.metrics import METRICS, evaluate_proba
from lstm_bench.report.figures.training import training_figures
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.schema import config_from
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training import result
from lstm_bench.training.baselines import BASELINES, BaselineResult
from lstm_bench.training.prepare import Prepared, prepare
from lstm_bench.training.result import (
    EPOCH_TIME,
    EVAL_TIME,
    N_PARAMETERS,
    OBJECTIVE,
    SAMPLES_PER_SECOND,
    TOTAL_TIME,
    TRAIN_TIME,
    History,
    Prediction,
    TrialResult,
    metric_key,
    summary_key,
)

SUITE = """\
description: Made-up trainings, to time the report.
dataset: {name: synthetic, options: {n_train: 500, n_test: 100}}
defaults: {max_epochs: 6, patience: null}
space:
  units: [16, 32, 64, 100, 128]
  dropout: {low: 0.0, high: 0.5, step: 0.05}
  sequence_length: [100, 200, 300, 400, 500]
  learning_rate: {low: 1.0e-04, high: 1.0e-02, log: true}
  head: [sigmoid, softmax]
references:
  old: {units: 100, head_dropout: 0.5}
study: {metric: accuracy, n_trials: 200, seed: 1}
confirm: {n_best: 3, n_replicates: 5, pairs: {head: [sigmoid, softmax]}}
"""
NAME = "report_speed"
N_VAL, N_SAMPLES, N_EPOCHS = 400, 5, 6
TEXT = "made up words of a review that nobody wrote " * 7
# Of a hundred runs of the search: the last are no complete ones.
N_PRUNED, N_FAILED = 8, 4
SHARE_REPEATED = 0.1

STAGES = """\
import json, sys, time
begin = time.perf_counter()
from pathlib import Path
import click
from lstm_bench.cli.main import cli
from lstm_bench.comparisons import analyse
from lstm_bench.loading import load_results
from lstm_bench.report.render import write_report
from lstm_bench.suite import load_suite
from lstm_bench.tracking import resolve_tracking_uri
times = [time.perf_counter()]
suite, uri, out = load_suite(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3])
results = load_results(resolve_tracking_uri(uri), suite)
times.append(time.perf_counter())
analysis = analyse(results)
times.append(time.perf_counter())
write_report(analysis, out)
times.append(time.perf_counter())
print(json.dumps([b - a for a, b in zip([begin, *times], times)]))
"""
STAGE_NAMES = ("imports", "load_results", "analyse", "write_report")


@dataclass(frozen=True)
class Made:
    """A made-up training and how well it did, in [0, 1]."""

    config: TrialConfig
    history: History
    objective: float
    metrics: dict[str, float]
    rng: np.random.Generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[200, 5000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--confirmed", type=int, default=3, help="configurations")
    parser.add_argument("--replicates", type=int, default=5)
    parser.add_argument("--reviews", type=int, default=2000, help="of the test set")
    parser.add_argument("--store", type=Path, help="folder for the stores, kept")
    arguments = parser.parse_args()
    print_machine()
    print(", ".join(f"{name} {version(name)}" for name in ("mlflow", "pandas")))
    for n_runs in arguments.runs:
        with tempfile.TemporaryDirectory() as temporary:
            round_of = (arguments.confirmed, arguments.replicates, arguments.reviews)
            name = "_".join(map(str, (n_runs, *round_of)))
            folder = (arguments.store or Path(temporary)).absolute() / name
            print(f"\n{n_runs} runs of the search; {folder_text(*round_of)}")
            if not (folder / "done").exists():
                folder.mkdir(parents=True)
                start = time.perf_counter()
                fill(folder, n_runs, *round_of)
                (folder / "done").touch()
                print(f"filled in {time.perf_counter() - start:.1f} s")
            measure(folder, arguments.rounds)


def folder_text(n_confirmed: int, n_replicates: int, n_reviews: int) -> str:
    return (
        f"{n_confirmed} configurations confirmed on {n_replicates} seeds and "
        f"{n_reviews:,} reviews, beside {len(BASELINES)} baselines"
    )


def measure(folder: Path, rounds: int) -> None:
    suite, uri = folder / f"{NAME}.yaml", f"sqlite:///{folder}/mlflow.db"
    command = [sys.executable, "-P", "-m", "lstm_bench", "report", str(suite)]
    command += ["--tracking-uri", uri, "--out"]
    seconds, peaks, stages = [], [], []
    page = 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as out:
            start = time.perf_counter()
            process = subprocess.Popen([*command, out], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            seconds.append(time.perf_counter() - start)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
            # Linux counts KiB, macOS bytes.
            unit = 2**20 if sys.platform == "darwin" else 2**10
            peaks.append(usage.ru_maxrss / unit)
            page = (Path(out) / "index.html").stat().st_size
        with tempfile.TemporaryDirectory() as out:
            done = subprocess.run(
                [sys.executable, "-c", STAGES, str(suite), uri, out],
                check=True,
                capture_output=True,
                encoding="utf-8",
            )
            stages.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'whole process':16} {spread(seconds)} s")
    for name, values in zip(STAGE_NAMES, zip(*stages, strict=True), strict=True):
        print(f"  {name:14} {spread(list(values))} s")
    print(f"peak memory {statistics.median(peaks):.0f} MiB, page {page / 1000:.0f} kB")


def fill(
    folder: Path, n_runs: int, n_confirmed: int, n_replicates: int, n_reviews: int
) -> None:
    """Fill the store in `folder` with a search and a round of confirmation."""
    file = folder / f"{NAME}.yaml"
    file.write_text(SUITE, encoding="utf-8")
    suite = load_suite(file)
    prepared = prepare(suite, None)
    tracker = Tracker(f"sqlite:///{folder}/mlflow.db")
    session = start_session(tracker, "sweep", prepared)
    track_baselines(tracker, prepared, session, n_reviews=0)
    configs = search(suite, n_runs)
    old = make_training(suite, suite.references["old"], 0)
    track(tracker, prepared, old, session, "reference")
    patterns = {
        state: track(
            tracker,
            prepared,
            make_training(suite, suite.defaults, 0),
            session,
            "trial",
            state=state,
            trial=0,
        )
        for state in ("complete", "pruned", "failed")
    }
    scores = copy_runs(folder, tracker, suite, patterns, configs)
    tracker.end_session(session, "FINISHED")
    best = sorted(scores, key=lambda number: -scores[number])
    chosen = {configs[number].config_id: number for number in reversed(best)}
    numbers = list(reversed(chosen.values()))[:n_confirmed]
    session = start_session(tracker, "confirm", prepared)
    tracker.log_test_reviews(
        session,
        pd.DataFrame(
            {
                "length": derive_rng(1, "lengths").integers(20, 900, n_reviews),
                "in_train": np.arange(n_reviews) % 200 == 0,
            }
        ),
    )
    for replicate in range(1, n_replicates + 1):
        fresh = replace(prepared, replicate=replicate)
        track_baselines(tracker, fresh, session, n_reviews)
        for number in numbers:
            for head in ("sigmoid", "softmax"):
                config = config_from(configs[number].model_dump(), {"head": head}, "")
                own = head == configs[number].head
                label = f"trial {number}" + ("" if own else f" with head {head}")
                track(
                    tracker,
                    fresh,
                    make_training(suite, config, replicate),
                    session,
                    "replicate",
                    n_reviews,
                    label=label,
                    origin="search" if own else "pair",
                )
    tracker.end_session(session, "FINISHED")


def search(suite: Suite, n_runs: int) -> list[TrialConfig]:
    """Return configurations drawn from the space, some of them again."""
    rng = derive_rng(suite.study.seed, "search")
    configs: list[TrialConfig] = []
    for _ in range(n_runs):
        if configs and rng.random() < SHARE_REPEATED:
            configs.append(configs[rng.integers(len(configs))])
            continue
        chosen = {
            "units": int(rng.choice([16, 32, 64, 100, 128])),
            "dropout": round(0.05 * int(rng.integers(11)), 2),
            "sequence_length": int(rng.choice([100, 200, 300, 400, 500])),
            "learning_rate": float(10 ** rng.uniform(-4, -2)),
            "head": str(rng.choice(["sigmoid", "softmax"])),
        }
        configs.append(config_from(suite.defaults.model_dump(), chosen, "search"))
    return configs


def make_training(suite: Suite, config: TrialConfig, number: int) -> Made:
    """Make a training's curves and figures up."""
    rng = derive_rng(suite.study.seed, "training", config.config_id, number)
    top = 0.80 + 0.03 * np.log10(config.units) - 0.05 * config.dropout
    top += rng.normal(0, 0.01)
    epochs = []
    for epoch in range(1, N_EPOCHS + 1):
        share = top * (1 - 0.5**epoch) + rng.normal(0, 0.003)
        entry: dict[str, float] = {"epoch": epoch}
        for split in ("train", "val"):
            entry[f"{split}_loss"] = 1 - share
            for name, metric in METRICS.items():
                entry[metric_key(split, name)] = (
                    share if metric.higher_is_better else 1 - share
                )
        entry |= {EPOCH_TIME: 0.1 * config.units + rng.random()}
        entry |= {EVAL_TIME: 1.0, SAMPLES_PER_SECOND: 1000.0}
        epochs.append(entry)
    last, times = epochs[-1], [entry[EPOCH_TIME] for entry in epochs]
    values = {
        **{key: last[key] for key in last if key.startswith(("train_", "val_"))},
        **{rec.best_key("val", name): last[f"val_{name}"] for name in METRICS},
        OBJECTIVE: last[metric_key("val", suite.study.metric)],
        TRAIN_TIME: sum(times),
        EVAL_TIME: float(N_EPOCHS),
        TOTAL_TIME: sum(times) + N_EPOCHS,
        EPOCH_TIME: statistics.median(times),
        SAMPLES_PER_SECOND: 1000.0,
        N_PARAMETERS: float(10_000 * config.units),
        result.N_EPOCHS: float(N_EPOCHS),
        rec.BEST_EPOCH: float(N_EPOCHS),
    }
    history = History(epochs, N_EPOCHS)
    return Made(config, history, values[OBJECTIVE], values, rng)


def make_predictions(
    rng: np.random.Generator, accuracy: float, n_reviews: int
) -> tuple[Prediction, ...]:
    """Return predictions on validation, and on test where it has reviews."""
    predictions = []
    for split, n in (("val", N_VAL), ("test", n_reviews)):
        y_true = np.arange(n) % 2
        right = rng.random(n) < accuracy
        sure = rng.uniform(0.5, 1.0, n)
        p = np.where(right == (y_true == 1), sure, 1 - sure)
        y_proba = np.stack([1 - p, p], axis=1)
        predictions.append(Prediction(split, np.arange(n), y_true, y_proba))
    return tuple(predictions if n_reviews else predictions[:1])


def make_samples(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    return [
        {"index": i, "text": TEXT, "y_true": i % 2, "y_proba": [1 - p, p]}
        for i, p in enumerate(rng.random(n).tolist())
    ]


def start_session(tracker: Tracker, kind: str, prepared: Prepared) -> str:
    return tracker.start_session(
        kind, prepared.suite, prepared.about_data, prepared.about_machine, {}
    )


def track(
    tracker: Tracker,
    prepared: Prepared,
    made: Made,
    session: str,
    kind: str,
    n_reviews: int = 0,
    state: str = "complete",
    **names: Any,
) -> str:
    """Write a training as the sweep and the round do; return the run's id."""
    run_id = tracker.start_run(
        made.config,
        suite=prepared.suite,
        kind=kind,
        parent_run_id=session,
        dataset=prepared.about_data,
        environment=prepared.about_machine,
        seeds=prepared.seeds,
        reference="old" if kind == "reference" else None,
        **names,
    )
    for entry in made.history.epochs:
        tracker.log_epoch(run_id, entry)
    if state != "complete":
        epochs = made.history.epochs
        tracker.abandon_run(run_id, made.config, epochs, state, f"made up: {state}")
        return run_id
    predictions = make_predictions(made.rng, made.objective, n_reviews)
    values = dict(made.metrics)
    for part in predictions if n_reviews else ():
        scores = evaluate_proba(part.y_true, part.y_proba).items()
        values |= {metric_key(part.split, name): value for name, value in scores}
    result = TrialResult(
        made.config,
        made.history,
        made.objective,
        values,
        predictions,
        make_samples(made.rng, N_SAMPLES),
        ("neg", "pos"),
        make_samples(made.rng, 20) if n_reviews else [],
    )
    tracker.finish_run(
        run_id, result, training_figures(result, prepared.suite.study.metric)
    )
    return run_id


def track_baselines(
    tracker: Tracker, prepared: Prepared, session: str, n_reviews: int
) -> None:
    for name in BASELINES:
        rng = derive_rng(1, "baseline", name, prepared.replicate)
        accuracy = 0.5 if name == "majority" else 0.8
        tracker.log_baseline(
            BaselineResult(
                name, make_predictions(rng, accuracy, n_reviews), 1000, 1.0, False
            ),
            suite=prepared.suite,
            parent_run_id=session,
            dataset=prepared.about_data,
            environment=prepared.about_machine,
            seeds=prepared.seeds,
            class_names=("neg", "pos"),
        )


def copy_runs(
    folder: Path,
    tracker: Tracker,
    suite: Suite,
    patterns: dict[str, str],
    configs: list[TrialConfig],
) -> dict[int, float]:
    """Add a run for each of `configs` after a pattern; return objectives by number.

    The patterns are marked as deleted.
    """
    database = sqlite3.connect(folder / "mlflow.db")
    columns = {
        "runs": "run_uuid",
        "tags": "run_uuid",
        "params": "run_uuid",
        "metrics": "run_uuid",
        "latest_metrics": "run_uuid",
        "inputs": "destination_id",
    }
    database.row_factory = sqlite3.Row
    rows = {
        (state, table): [
            dict(row)
            for row in database.execute(
                f"select * from {table} where {column} = ?", (run_id,)
            )
        ]
        for state, run_id in patterns.items()
        for table, column in columns.items()
    }
    objectives = {}
    for number, config in enumerate(configs):
        place = number % 100
        state = "complete" if place < 100 - N_PRUNED - N_FAILED else "pruned"
        state = "failed" if place >= 100 - N_FAILED else state
        made = make_training(suite, config, number)
        if state == "complete":
            objectives[number] = made.objective
        run_id = f"{number:032x}"
        for table, column in columns.items():
            copies = [
                changed(dict(row), table, run_id, number, made) | {column: run_id}
                for row in rows[state, table]
            ]
            names = list(copies[0])
            database.executemany(
                f"insert into {table} ({', '.join(names)}) "
                f"values ({', '.join('?' * len(names))})",
                [tuple(copy.values()) for copy in copies],
            )
        source = Path(rows[state, "runs"][0]["artifact_uri"].removeprefix("file://"))
        target = Path(str(source).replace(patterns[state], run_id))
        write_files(source, target, made, state)
    database.commit()
    database.close()
    for run_id in patterns.values():
        tracker.client.delete_run(run_id)
    return objectives


def changed(
    row: dict[str, Any], table: str, run_id: str, number: int, made: Made
) -> dict[str, Any]:
    """Return a row of a pattern's run as it stands in the copy."""
    match table:
        case "runs":
            row["artifact_uri"] = row["artifact_uri"].replace(row["run_uuid"], run_id)
            row["name"] = f"trial {number}"
            row["start_time"] += 1000 * number
            row["end_time"] += 1000 * number
        case "tags":
            known = {rec.TAG_TRIAL: number, rec.TAG_CONFIG_ID: made.config.config_id}
            known["mlflow.runName"] = f"trial {number}"
            row["value"] = str(known.get(row["key"], row["value"]))
        case "params":
            values = made.config.model_dump()
            row["value"] = str(values.get(row["key"], row["value"]))
        case "metrics" | "latest_metrics":
            entry = made.history.at(row["step"])
            final = {summary_key(k): v for k, v in made.metrics.items()}
            row["value"] = {**entry, **final}[row["key"]]
        case "inputs":
            row["input_uuid"] = run_id
    return row


def write_files(source: Path, folder: Path, made: Made, state: str) -> None:
    """Write the files of a run that a report may read."""
    folder.mkdir(parents=True)
    write_json(folder / rec.CURVES, {"epochs": made.history.epochs})
    write_json(folder / rec.CONFIG, made.config.model_dump())
    if state == "complete":
        shown = {"class_names": ["neg", "pos"]}
        samples = make_samples(made.rng, N_SAMPLES)
        write_json(folder / rec.SAMPLES, {**shown, "samples": samples})
        (folder / rec.PREDICTIONS).mkdir()
        name = f"{rec.PREDICTIONS}/val.parquet"
        (folder / name).write_bytes((source / name).read_bytes())


def write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
