"""The speed report as Markdown, from what its rows measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from speed_lines import (
    ROWS,
    SWEEPS,
    WEIGHTS,
    Growth,
    Line,
    Row,
    accuracies,
    compare_engines,
    growth_of,
    lines_of,
    peak_of,
)

from lstm_bench.analysis.hypothesis_tests import PairedComparison

RATIOS, GROWTH = "ratios.svg", "growth.svg"
TITLES = {
    "steps": "Training steps",
    "evaluation": "Evaluation",
    "sweep": "Sweep",
    "time_to_accuracy": "Time to accuracy",
    "growth": "Growth of cost",
    "seeds": "Same accuracy",
}
WEIGHTS_IN_WORDS = {
    "kept": "of the weights that are kept",
    "last": "of the last epoch, good or bad",
}
MINUS = "−"


def render(rows: Mapping[str, Row], limits: Mapping[str, str]) -> str:
    """Return the page.

    Parameters
    ----------
    rows : mapping of str to dict
        What each row's `--json` wrote, by its name; any of `ROWS` may be missing.
    limits : mapping of str to str
        What limits a row, by its name.
    """
    rows = {name: rows[name] for name in ROWS if name in rows}
    parts = [
        "# Speed",
        *_introduction(rows),
        *_comparisons(rows),
        *_sweep(rows),
        *_time_to_accuracy(rows),
        *_growth(rows),
        *_seeds(rows),
        *_limits(rows, limits),
        *_provenance(rows),
    ]
    return "\n\n".join(parts) + "\n"


# Parts of the page


def _introduction(rows: Mapping[str, Row]) -> list[str]:
    text = (
        "The packed LSTM of this project against plain Keras on the same machine and "
        "the same reviews. Plain Keras is `model.fit` and `model.evaluate` on arrays "
        "padded to the sequence length, without a mask. Packed is this project: "
        "masked, reviews sorted by length within shuffled windows of 16 batches, and "
        "scored in batches of up to 1,024. Model A is an LSTM under one sigmoid unit, "
        "model B one with dropout and recurrent dropout of 0.2 under a softmax over "
        "two; vocabulary 10,000, embedding 128, float32, and batch 64 unless noted. "
        "Plain Keras is timed to the end of its last batch: `fit` and `evaluate` "
        "return later, by up to as long again, since they wait for a thread of "
        "`tf.data`; only whole sweeps count that. "
        "All variants of a comparison run in turn within one process (sweeps: "
        "one process after the other), and ratios are taken round by round. This page "
        "is written by `benchmarks/speed/published.py` from [speed.json](speed.json), "
        "which has the seconds of every round."
    )
    parts = [text]
    if any(row["about"]["dataset"] != "imdb" for row in rows.values()):
        parts.insert(0, "**SYNTHETIC DATA: not what reviews would give.**")
    measured_on: dict[str, list[str]] = {}
    for name, row in rows.items():
        measured_on.setdefault(_machine(row), []).append(TITLES[name].lower())
    parts += [
        f"Machine of {', '.join(titles)}: {machine}."
        for machine, titles in measured_on.items()
    ]
    return parts


def _machine(row: Row) -> str:
    about = row["about"]
    machine = about["machine"]
    packages = machine["packages"]
    versions = ", ".join(
        f"{name} {packages[name]}"
        for name in ("tensorflow", "keras", "numba", "numpy", "optuna", "mlflow")
        if name in packages
    )
    flags = " ".join(about["cpu_flags"]) or "unknown"
    return (
        f"{machine['cpu_model']}, {machine['n_cores']} cores, "
        f"{machine['memory_gib']:.0f} GiB, {machine['os']}; vector instructions "
        f"{flags}, of which the kernel uses {about['float32_lanes']} float32 lanes; "
        f"Python {machine['python']}, {versions}"
    )


def _comparisons(rows: Mapping[str, Row]) -> list[str]:
    lines = lines_of(dict(rows))
    if not lines:
        return []
    header = (
        "what",
        "plain Keras",
        "packed",
        "times as fast",
        "at least",
        "aim",
        "GFLOP/s (of peak)",
        "n",
    )
    notes = list(dict.fromkeys(line.note for line in lines if line.note))
    cells = [
        (
            line.what + (f" ({notes.index(line.note) + 1})" if line.note else ""),
            _spread(line.plain, line.unit),
            _spread(line.own, line.unit),
            _ratio(line),
            _verdict(line, line.at_least),
            _verdict(line, line.aim),
            "–"
            if line.gflops is None
            else f"{line.gflops:.0f} ({100 * (line.share or 0):.0f} %)",
            str(len(line.ratios)),
        )
        for line in lines
    ]
    return [
        "## Against plain Keras",
        _table(header, cells),
        *(
            f"({number}) {note[:1].upper()}{note[1:]}."
            for number, note in enumerate(notes, start=1)
        ),
        "Medians, with least and most in parentheses; n rounds, or seeds for the time "
        "to an accuracy. Sweeps are counted in finished trials an hour. GFLOP/s are "
        "the operations of the matrix products that real tokens need, over the median "
        "time of the packed LSTM (`benchmarks/speed/flops.py` has the formula), "
        "and their share is of what the same cores did in multiply-adds on registers "
        "at most, in the same run (last table): the gates, the embedding, the head and "
        "the optimizer are in the time and not in the operations.",
        f"![How many times as fast each comparison is]({RATIOS})",
    ]


def _spread(values: list[float], unit: str) -> str:
    if not values:
        return "not reached"
    low, high = _number(min(values)), _number(max(values))
    middle = _number(statistics.median(values))
    return (
        f"{middle} {unit} ({low} to {high})" if len(values) > 1 else middle + f" {unit}"
    )


def _ratio(line: Line) -> str:
    if line.ratio is None:
        return "–"
    wanted = [goal for goal in (line.at_least, line.aim) if goal is not None]
    # A goal that is missed by less than a tenth must not look reached.
    is_close = any(line.ratio < goal <= round(line.ratio, 1) for goal in wanted)
    text = f"**{line.ratio:.{2 if is_close else 1}f}**"
    if len(line.ratios) > 1:
        text += f" ({min(line.ratios):.1f} to {max(line.ratios):.1f})"
    return text


def _verdict(line: Line, wanted: float | None) -> str:
    if wanted is None or line.ratio is None:
        return "–"
    return f"{wanted:g}: {'reached' if line.ratio >= wanted else 'missed'}"


def _number(value: float) -> str:
    """Return three significant digits, whole from 100 on."""
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}"


def _sweep(rows: Mapping[str, Row]) -> list[str]:
    if "sweep" not in rows:
        return []
    row = rows["sweep"]
    header = ("side", "trials", "command", "epochs", "s an epoch", "best validation")
    cells = []
    for number, found in enumerate(row["rounds"], start=1):
        for side in ("own", *SWEEPS):
            if side in found:
                one = found[side]
                words = "`lstm-bench sweep`" if side == "own" else SWEEPS[side]
                if len(row["rounds"]) > 1:
                    words += f", round {number}"
                cells.append(
                    (
                        words,
                        str(one["n_trials"]),
                        f"{one['command_s']:.0f} s",
                        str(one["n_epochs"]),
                        f"{one['command_s'] / one['n_epochs']:.2f}",
                        f"{one['best_accuracy']:.4f}",
                    )
                )
    parts = [
        f"## {TITLES['sweep']}",
        "The whole command from its start to its end, imports, baselines and report "
        "included, with data and baselines in the cache and the kernel compiled. Both "
        "sides train the same configurations of the suite, without a pruner: "
        "`lstm-bench sweep` with a worker for each core, and plain Keras in one "
        "process with all cores. The command saves no model during a search, so plain "
        "Keras is measured with and without the models that autologging saves.",
        _table(header, cells),
    ]
    for side, words in SWEEPS.items():
        found = [each for each in row["rounds"] if side in each]
        if found:
            ratios = [_sweep_ratios(each["own"], each[side]) for each in found]
            an_epoch = statistics.median(ratio for ratio, _ in ratios)
            after = statistics.median(ratio for _, ratio in ratios)
            parts.append(
                f"Against {words}: {an_epoch:.1f} times as fast an epoch (early "
                "stopping ends trainings where chance has it), and "
                f"{after:.1f} times as fast a trial once each process has ended its "
                "first."
            )
    return parts


def _sweep_ratios(own: dict[str, Any], plain: dict[str, Any]) -> tuple[float, float]:
    """Return plain over own: seconds an epoch, and a trial after the first."""
    an_epoch = [one["command_s"] / one["n_epochs"] for one in (plain, own)]
    after = [one["seconds_a_trial_after_the_first"] for one in (plain, own)]
    return an_epoch[0] / an_epoch[1], after[0] / after[1]


SIDES = {"plain": "plain Keras", "packed": "packed", "found": "found by a search"}


def _time_to_accuracy(rows: Mapping[str, Row]) -> list[str]:
    if "time_to_accuracy" not in rows:
        return []
    row = rows["time_to_accuracy"]
    header = ("seed", "side", "steps", "training", "with scoring", "accuracy then")
    cells = []
    for run in sorted(
        row["runs"], key=lambda r: (r["seed"], list(SIDES).index(r["variant"]))
    ):
        last = run["checks"][-1]
        reached = last["accuracy"] >= row["target"]
        cells.append(
            (
                str(run["seed"]),
                SIDES[run["variant"]],
                str(int(last["n_steps"])) + ("" if reached else ", not reached"),
                f"{last['train_s']:.1f} s",
                f"{last['total_s']:.1f} s",
                f"{last['accuracy']:.4f}",
            )
        )
    return [
        f"## {TITLES['time_to_accuracy']}",
        f"Model B with {row['units']} units at length {row['sequence_length']} on "
        f"{row['n_train']:,} reviews, until {100 * row['target']:.2f} % of "
        f"{row['n_test']:,} test reviews are right, scored after each quarter of an "
        f"epoch, {row['max_epochs']} epochs at most. Plain Keras pads and truncates in "
        "front and masks nothing, as the write-up did; this project masks. Found by a "
        "search: what [imdb_small](../imdb_small/report.md) found best without a look "
        "at the test set, 32 units, 200 tokens of 5,000 words, no dropout. Here the "
        "test set serves as a stop watch alone.",
        _table(header, cells),
    ]


def _growth(rows: Mapping[str, Row]) -> list[str]:
    if "growth" not in rows:
        return []
    row = rows["growth"]
    base = row["base"]
    axes = growth_of(row)
    header = ("axis", "", *("",) * max(len(g.values) for g in axes), "exponent")
    cells = []
    for growth in axes:
        pad = ("",) * (len(header) - 3 - len(growth.values))
        values = (f"**{value:,}**" for value in growth.values)
        cells.append((f"**{growth.axis}**", "", *values, *pad, ""))
        for variant, name in (("plain", "plain Keras"), ("packed", "packed")):
            seconds = growth.seconds[variant]
            slope = growth.exponents.get(variant)
            cells.append(
                (
                    "",
                    name,
                    *(_number(value) for value in seconds),
                    *pad,
                    "–" if slope is None else _signed(slope, 2).lstrip("+"),
                )
            )
    return [
        f"## {TITLES['growth']}",
        f"Seconds an epoch of model A, medians of n = {_rounds(axes)} rounds. One axis "
        f"varies at a time, the others stay at {base['units']} units, length "
        f"{base['sequence_length']}, {base['n_reviews']:,} reviews and batch "
        f"{base['batch_size']}. {_scaling(axes, base['n_reviews'])}The exponent is the "
        "least-squares slope of the logarithm of these medians on the logarithm of the "
        "axis, all points weighing the same: 1 is proportional.",
        _table(header, cells),
        f"![Seconds an epoch against units, length, training size and batch]({GROWTH})",
    ]


def _rounds(axes: Iterable[Growth]) -> str:
    counts = sorted({growth.n_rounds for growth in axes})
    return " or ".join(map(str, counts))


def _scaling(axes: Iterable[Growth], n_epoch: int) -> str:
    scaled = [growth for growth in axes if growth.scaled_from]
    if not scaled:
        return ""
    sizes = sorted({n for growth in scaled for n in growth.scaled_from})
    names = ", ".join(growth.axis for growth in scaled)
    counts = " or ".join(f"{n:,}" for n in sizes)
    return (
        f"Measured were whole epochs, but for {names}: there {counts} reviews, times "
        f"{n_epoch:,} over their number. "
    )


def _seeds(rows: Mapping[str, Row]) -> list[str]:
    if "seeds" not in rows:
        return []
    row = rows["seeds"]
    by_weights = [accuracies(row, which) for which in WEIGHTS]
    n_seeds = len(by_weights[0]["packed"])
    cells = [
        (
            str(seed),
            *(
                text
                for found in by_weights
                for text in _pair(found["stock"][seed], found["packed"][seed])
            ),
        )
        for seed in range(n_seeds)
    ]
    compared = [compare_engines(row, which) for which in WEIGHTS]
    means = (text for found in compared for text in _pair(found.mean_b, found.mean_a))
    cells.append(("mean", *means))
    says = [
        f"- {WEIGHTS_IN_WORDS[which]}: {_difference(found, row['margin'], n_seeds)}"
        for which, found in zip(WEIGHTS, compared, strict=True)
    ]
    columns = ("Keras's own LSTM", "packed", "difference")
    header = [f"{which}: {name}" for which in WEIGHTS for name in columns]
    return [
        f"## {TITLES['seeds']}",
        f"Test accuracy of model A, {row['units']} units, length "
        f"{row['sequence_length']}, trained for {row['n_epochs']} epochs on "
        f"{row['n_train']:,} reviews, with {row['n_val']:,} to choose the epoch that "
        f"is kept, scored on {row['n_test']:,}; Keras's own LSTM and the packed one, "
        "with the same weights at the start and the same batches for each seed. Packed "
        f"minus Keras's own over {n_seeds} paired seeds:",
        "\n".join(says),
        _table(("seed", *header), cells),
    ]


def _pair(stock: float, packed: float) -> tuple[str, str, str]:
    return f"{stock:.4f}", f"{packed:.4f}", _signed(packed - stock, 4)


def _difference(found: PairedComparison, margin: float, n_seeds: int) -> str:
    d = found.difference
    if n_seeds < 2:
        return f"{_signed(d.estimate, 4)}; one seed gives no interval."
    zero = "contains" if d.low <= 0 <= d.high else "DOES NOT contain"
    inside = -margin <= d.low and d.high <= margin
    return (
        f"{_signed(d.estimate, 4)}, 95 % t interval {_signed(d.low, 4)} to "
        f"{_signed(d.high, 4)}. It {zero} 0 and "
        f"{'lies within' if inside else 'DOES NOT lie within'} one point (±{margin:g})."
    )


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", MINUS)


def _limits(rows: Mapping[str, Row], limits: Mapping[str, str]) -> list[str]:
    found = [(TITLES[name], limits[name]) for name in rows if name in limits]
    if not found:
        return []
    items = [f"- {title}: {text.strip()}" for title, text in found]
    return ["## What limits each now", "\n".join(items)]


def _provenance(rows: Mapping[str, Row]) -> list[str]:
    header = ("row", "began", "minutes", "commit", "registers", "GEMM")
    cells = []
    for name, row in rows.items():
        about = row["about"]
        commit = (about["machine"]["git_commit"] or "unknown")[:12]
        if about["machine"]["git_dirty"]:
            commit += ", changed"
        fma, gemm = peak_of(row)
        cells.append(
            (
                TITLES[name].lower(),
                about["date"].replace("T", " ").replace("+00:00", " UTC"),
                f"{about['minutes']:.0f}",
                commit,
                f"{fma:.0f} GFLOP/s",
                f"{gemm:.0f} GFLOP/s",
            )
        )
    commands = [_command(row) for row in rows.values()]
    return [
        "## Make it again",
        "`DIR` is the folder with the raw reviews. The first line runs every row and "
        "writes this folder; the others measure one row each, as it was measured here.",
        "```sh\n"
        + "\n".join(["python benchmarks/speed/published.py --data-dir DIR", *commands])
        + "\n```",
        "When each row was measured, and the highest of the peaks measured in its run, "
        "on all cores: multiply-adds on registers, and a product of large matrices in "
        "TensorFlow.",
        _table(header, cells),
    ]


def _command(row: Row) -> str:
    about = row["about"]
    words = [f"python benchmarks/speed/{row['row']}.py"]
    if about["dataset"] == "imdb":
        words.append("--data-dir DIR")
    for key, value in about["options"].items():
        flag = f"--{key.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif isinstance(value, list):
            words.append(f"{flag} {' '.join(map(str, value))}")
        elif value is not None and value is not False:
            words.append(f"{flag} {value}")
    return " ".join(words)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
