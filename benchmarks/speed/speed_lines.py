"""What the page shows, computed from what the rows measured: ratios, exponents, shares.

Nothing here is stored: everything is computed from the raw seconds in `speed.json`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_bench.analysis.hypothesis_tests import PairedComparison, compare_paired

ROWS = ("steps", "evaluation", "sweep", "time_to_accuracy", "growth", "seeds")
"""The commands, in the order in which they run and stand in the page."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One comparison: plain Keras against this project.

    Attributes
    ----------
    plain, own : list of float
        By round, in `unit`; in a line that counts, the higher the better.
    at_least, aim : float or None
        Of the ratio.
    gflops : float or None
        10^9 necessary operations a second of our own, in the median round.
    share : float or None
        Of the highest peak on registers that was measured in the same run.
    note : str
        Why a ratio is missing, or what else has to be known.
    """

    what: str
    unit: str
    plain: list[float]
    own: list[float]
    at_least: float | None = None
    aim: float | None = None
    counts: bool = False
    gflops: float | None = None
    share: float | None = None
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """How many times as fast, by round."""
        pairs = zip(self.plain, self.own, strict=True)
        return [own / plain if self.counts else plain / own for plain, own in pairs]

    @property
    def ratio(self) -> float | None:
        """The median of the ratios; None where there is none."""
        return statistics.median(self.ratios) if self.ratios else None


def peak_of(row: Row) -> tuple[float, float]:
    """Return the highest GFLOP/s on registers and in GEMM of the row's run."""
    peaks = row["about"]["peaks"]
    return max(p["fma_gflops"] for p in peaks), max(p["gemm_gflops"] for p in peaks)


def exponent(values: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the least-squares slope of log seconds on log values."""
    slope, _ = np.polyfit(np.log(values), np.log(seconds), 1)
    return float(slope)


def lines_of(rows: dict[str, Row]) -> list[Line]:
    """Return the lines of all rows that are there."""
    makers = {
        "steps": steps_lines,
        "evaluation": evaluation_lines,
        "sweep": sweep_lines,
        "time_to_accuracy": time_lines,
    }
    return [
        line
        for name, make in makers.items()
        if name in rows
        for line in make(rows[name])
    ]


def steps_lines(row: Row) -> list[Line]:
    lines = []
    # The write-up's size first.
    for case in sorted(row["cases"], key=_place):
        n = case["n_steps"]
        ms = {k: [1e3 * s / n for s in v] for k, v in case["seconds"].items()}
        at_least, aim = (4, 6) if _is_main(case) else (2, 4)
        what = (
            f"training step, model {case['model']}, {case['units']} units, length "
            f"{case['sequence_length']}"
        )
        lines.append(
            Line(
                what,
                "ms",
                ms["plain"],
                ms["packed"],
                at_least,
                aim,
                **_achieved(row, case),
            )
        )
    return lines


def _place(case: dict[str, Any]) -> tuple[bool, int, int, str]:
    shape = (-case["sequence_length"], case["units"], case["model"])
    return not _is_main(case), *shape


def _is_main(case: dict[str, Any]) -> bool:
    return case["units"] == 100 and case["sequence_length"] == 500


def _achieved(row: Row, case: dict[str, Any]) -> dict[str, float]:
    gflops = 1e-9 * case["flop"] / statistics.median(case["seconds"]["packed"])
    return {"gflops": gflops, "share": gflops / peak_of(row)[0]}


def evaluation_lines(row: Row) -> list[Line]:
    return [
        Line(
            f"evaluation of {case['n_reviews']:,} reviews, length "
            f"{case['sequence_length']}",
            "s",
            case["seconds"]["plain"],
            case["seconds"]["packed"],
            3,
            6,
            **_achieved(row, case),
        )
        for case in sorted(row["cases"], key=lambda c: -c["sequence_length"])
    ]


SWEEPS = {
    "plain": "autologging as it comes, saving models",
    "plain_without_models": "autologging without saving models",
}


def sweep_lines(row: Row) -> list[Line]:
    lines = []
    for name, words in SWEEPS.items():
        rounds = [each for each in row["rounds"] if name in each]
        if rounds:
            plain, own = (
                [3600 * each[k]["n_trials"] / each[k]["command_s"] for each in rounds]
                for k in (name, "own")
            )
            what = f"sweep of {row['suite']}, {words}"
            unit = "trials an hour"
            lines.append(Line(what, unit, plain, own, 5, 10, counts=True))
    return lines


CONTESTANTS = {
    "packed": "the same model",
    "found": "the LSTM that a search found",
}
"""Against model B in plain Keras, until an accuracy."""


def time_lines(row: Row) -> list[Line]:
    """Return time to the target with training alone, and with the scoring.

    Ratios are of the seeds with which both reached it, and there is no verdict unless
    all did.
    """
    target = row["target"]
    last = {(run["variant"], run["seed"]): run["checks"][-1] for run in row["runs"]}
    seeds = sorted({seed for _, seed in last})
    lines = []
    for own_name, own_words in CONTESTANTS.items():
        pair = ("plain", own_name)
        missing = [
            f"{'plain Keras' if variant == 'plain' else own_words} with seed {seed} "
            f"({check['accuracy']:.4f} in the end)"
            for (variant, seed), check in last.items()
            if variant in pair and check["accuracy"] < target
        ]
        both = [
            seed
            for seed in seeds
            if all(last[v, seed]["accuracy"] >= target for v in pair)
        ]
        note = ""
        if missing:
            note = (
                f"within {row['max_epochs']} epochs not reached by "
                f"{', '.join(missing)}; the times are of the {len(both)} of "
                f"{len(seeds)} seeds with which both reached it"
            )
        at_least, aim = (None, None) if missing else (10, 20)
        for key, words in (
            ("train_s", "training alone"),
            ("total_s", "with scoring"),
        ):
            plain, own = ([last[v, s][key] for s in both] for v in pair)
            what = f"time to {100 * target:.2f} % against model B: {own_words}, {words}"
            lines.append(Line(what, "s", plain, own, at_least, aim, note=note))
    return lines


AXES = {
    "units": "units",
    "sequence_length": "length",
    "n_reviews": "training reviews",
    "batch_size": "batch",
}


@dataclass(frozen=True)
class Growth:
    """Seconds an epoch along one axis, medians of the rounds.

    Attributes
    ----------
    values : list of int
    seconds : dict
        By variant, "plain" and "packed": a number for each value.
    n_rounds : int
    scaled_from : list of int
        Reviews that were measured where an epoch has more, without repetition.
    """

    axis: str
    values: list[int]
    seconds: dict[str, list[float]]
    n_rounds: int
    scaled_from: list[int]

    @property
    def exponents(self) -> dict[str, float]:
        """The exponent of each variant; empty with fewer than two values."""
        if len(set(self.values)) < 2:
            return {}
        return {k: exponent(self.values, v) for k, v in self.seconds.items()}


def growth_of(row: Row) -> list[Growth]:
    found = []
    for axis, name in AXES.items():
        points = sorted(row["axes"].get(axis, []), key=lambda p: p["value"])
        if not points:
            continue
        seconds: dict[str, list[float]] = {}
        for point in points:
            factor = point["n_epoch"] / point["n_measured"]
            for variant, values in point["seconds"].items():
                median = factor * statistics.median(values)
                seconds.setdefault(variant, []).append(median)
        scaled = {p["n_measured"] for p in points if p["n_measured"] != p["n_epoch"]}
        n = min(len(v) for p in points for v in p["seconds"].values())
        values = [p["value"] for p in points]
        found.append(Growth(name, values, seconds, n, sorted(scaled)))
    return found


WEIGHTS = ("kept", "last")
"""Of which epoch: the best one on validation, which a training keeps, or the last."""


def kept_accuracy(run: Row) -> float:
    """Return the test accuracy of the epoch that was best on validation, or first."""
    validation = run["val_accuracy"]
    accuracy: float = run["test_accuracy"][validation.index(max(validation))]
    return accuracy


def accuracies(row: Row, which: str) -> dict[str, list[float]]:
    """Return the test accuracy by engine, in the order of seeds."""
    runs = sorted(row["runs"], key=lambda run: run["seed"])
    return {
        engine: [
            kept_accuracy(run) if which == "kept" else run["test_accuracy"][-1]
            for run in runs
            if run["engine"] == engine
        ]
        for engine in ("packed", "stock")
    }


def compare_engines(row: Row, which: str) -> PairedComparison:
    """Return packed minus Keras's own, paired by seed."""
    found = accuracies(row, which)
    return compare_paired(
        found["packed"], found["stock"], margin=row["margin"], higher_is_better=True
    )
