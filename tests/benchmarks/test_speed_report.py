"""The speed report: what is computed from the seconds that the rows measured."""

import importlib
import json
import time

import numpy as np
import pytest
from conftest import ROOT

from lstm_bench.suites.config import TrialConfig

SPEED = ROOT / "benchmarks" / "speed"


@pytest.fixture
def speed(monkeypatch):
    """Import a module of the speed benchmarks, which are no package."""
    monkeypatch.syspath_prepend(str(SPEED))
    return importlib.import_module


def about(**options):
    return {
        "date": "2026-11-24T10:00:00+00:00",
        "minutes": 12.4,
        "dataset": "imdb",
        "options": {"rounds": 3, "stock": False, **options},
        "machine": {
            "cpu_model": "A processor",
            "n_cores": 2,
            "memory_gib": 7.8,
            "os": "Linux",
            "python": "3.12.0",
            "packages": {"tensorflow": "2.21.0", "keras": "3.15.0"},
            "git_commit": "0123456789abcdef",
            "git_dirty": False,
        },
        "cpu_flags": ["avx2", "fma"],
        "float32_lanes": 8,
        "peaks": [
            {"fma_gflops": 180.0, "gemm_gflops": 150.0},
            {"fma_gflops": 200.0, "gemm_gflops": 160.0},
        ],
    }


def steps_row():
    case = {
        "model": "A",
        "units": 100,
        "sequence_length": 500,
        "n_reviews": 640,
        "n_steps": 10,
        "n_tokens": 150_000,
        # 50 GFLOP/s in the median round of 0.4 s, a quarter of the peak.
        "flop": 20_000_000_000,
        "seconds": {"plain": [2.0, 2.4, 1.8], "packed": [0.4, 0.4, 0.6]},
    }
    return {"row": "steps", "about": about(units=[100]), "cases": [case]}


def evaluation_row():
    case = {
        "n_reviews": 25_000,
        "units": 100,
        "sequence_length": 200,
        "flop": 20_000_000_000,
        "seconds": {"plain": [2.0, 2.4, 1.4], "packed": [0.4, 0.4, 0.4]},
    }
    return {"row": "evaluation", "about": about(), "cases": [case]}


def growth_row():
    def points(plain, packed, n_measured, n_epoch):
        return [
            {
                "value": value,
                "n_epoch": n_epoch or value,
                "n_measured": n_measured or value,
                "seconds": {
                    "plain": [3e-3 * value**plain] * 3,
                    "packed": [2e-3 * value**packed] * 3,
                },
            }
            for value in (50, 100, 200)
        ]

    axes = {
        "units": points(1.5, 1.25, 1000, 5000),
        "n_reviews": points(1, 1, None, None),
    }
    base = {"units": 100, "sequence_length": 200, "n_reviews": 5000, "batch_size": 64}
    return {"row": "growth", "about": about(), "base": base, "axes": axes}


def time_row(*plain_accuracies):
    def run(variant, seed, seconds, accuracy):
        check = {
            "n_steps": 98,
            "train_s": seconds,
            "total_s": 2 * seconds,
            "accuracy": accuracy,
        }
        return {"variant": variant, "seed": seed, "checks": [check]}

    runs = [
        run(variant, seed, seconds, accuracy)
        for seed, plain in enumerate(plain_accuracies)
        for variant, seconds, accuracy in (
            ("plain", 120.0, plain),
            ("packed", 10.0, 0.84),
            ("found", 5.0, 0.84),
        )
    ]
    shape = {"units": 100, "sequence_length": 500, "n_train": 25_000, "n_test": 25_000}
    return {
        "row": "time_to_accuracy",
        "about": about(),
        "target": 0.8346,
        "max_epochs": 4,
        **shape,
        "runs": runs,
    }


def sweep_row():
    def side(command_s, n_epochs):
        return {
            "command_s": command_s,
            "seconds_a_trial_after_the_first": command_s / 20,
            "n_trials": 16,
            "n_epochs": n_epochs,
            "best_accuracy": 0.84,
        }

    found = {
        "own": side(100.0, 50),
        "plain": side(1200.0, 60),
        "plain_without_models": side(600.0, 60),
    }
    return {
        "row": "sweep",
        "about": about(),
        "suite": "imdb_small",
        "n_train": 5000,
        "rounds": [found],
    }


def seeds_row(differences):
    runs = [
        {
            "engine": engine,
            "seed": seed,
            # The first epoch is kept, and the last is worse with one engine.
            "val_accuracy": [0.9, 0.8],
            "test_accuracy": [value, 0.5 if engine == "stock" else 0.6],
            "train_s": [1.0],
        }
        for seed, difference in enumerate(differences)
        for engine, value in (("stock", 0.85), ("packed", 0.85 + difference))
    ]
    return {
        "row": "seeds",
        "about": about(),
        "margin": 0.01,
        "units": 100,
        "sequence_length": 500,
        "n_epochs": 3,
        "n_train": 20_000,
        "n_val": 5_000,
        "n_test": 25_000,
        "runs": runs,
    }


def test_a_variant_is_timed_until_its_work_has_ended(speed, monkeypatch):
    measure = speed("measure")
    now = iter([0.0, 10.0, 13.0])
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(now))
    variants = {
        "returns later": lambda: measure.Ended(at=4.0, value=0.5),
        "returns then": lambda: 0.5,
    }
    seconds = measure.interleave(variants, 1)
    assert seconds == {"returns later": [4.0], "returns then": [3.0]}


@pytest.mark.slow
def test_keras_clock_stops_at_the_last_batch(speed):
    pytest.importorskip("numba")
    row = speed("row")
    keras = row.keras
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    x, targets = np.ones((9, 3)), np.ones((9, 1))
    ends = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            ends.append(time.perf_counter())

    with pytest.MonkeyPatch.context() as patch:
        fit = model.fit
        patch.setattr(
            model,
            "fit",
            lambda *args, callbacks, **options: fit(
                *args, callbacks=[*callbacks, Watch()], **options
            ),
        )
        ended = row.plain_fit(model, x, targets, batch_size=4)
    after = time.perf_counter()
    assert len(ends) == 3
    assert ends[1] < ended.at <= ends[2] < after
    scored = row.plain_evaluate(model, x, targets, batch_size=4)
    assert after < scored.at < time.perf_counter()
    assert scored.value == model.evaluate(x, targets, verbose=0)[1]


def test_ratios_are_computed_from_the_seconds_round_by_round(speed):
    row = steps_row()
    page = speed("speed_page").render({"steps": row}, {})
    # 5, 6 and 3 times as fast.
    (line,) = [text for text in page.splitlines() if "| training step," in text]
    assert line == (
        "| training step, model A, 100 units, length 500 | 200 ms (180 to 240) "
        "| 40.0 ms (40.0 to 60.0) | **5.0** (3.0 to 6.0) | 4: reached | 6: missed "
        "| 50 (25 %) | 3 |"
    )
    assert "ratio" not in json.dumps(row)


def test_an_exact_power_law_gives_its_exponent(speed):
    lines = speed("speed_lines")
    values = [32, 64, 128, 512]
    seconds = [0.07 * value**1.37 for value in values]
    assert lines.exponent(values, seconds) == pytest.approx(1.37)
    units, sizes = lines.growth_of(growth_row())
    assert units.exponents == pytest.approx({"plain": 1.5, "packed": 1.25})
    # An epoch has five times the reviews that were measured.
    assert units.seconds["plain"][1] == pytest.approx(5 * 3e-3 * 100**1.5)
    assert units.scaled_from == [1000] and sizes.scaled_from == []


def test_operations_agree_with_a_count_by_hand(speed):
    flops = speed("flops")
    # Two reviews, 3 and 2 tokens, of which 7, 8 and 9 are distinct.
    x = np.array([[7, 8, 7], [7, 9, 0]], np.int32)
    shape = {"units": 3, "embedding_dim": 2, "vocabulary_size": 10}
    config = TrialConfig(**shape)
    # Forward: 3 tokens have a state before them, times 2 * 3 * 12; 3 distinct tokens
    # times 2 * 2 * 12.
    assert flops.batches_flop([x], config, training=False) == 3 * 72 + 3 * 48
    # Training: the state's product three times; the inputs' for the 3 distinct tokens
    # forward, for the kernel and for the embedding.
    assert flops.batches_flop([x], config, training=True) == 3 * 216 + 9 * 48
    # For the embedding's gradient per occurrence, for all 5 tokens.
    shape["embedding_gradient"] = "per_occurrence"
    apart = TrialConfig(**shape)
    assert flops.batches_flop([x], apart, training=True) == 3 * 216 + 11 * 48
    # Each review has a mask of its own: 2 and 2 distinct tokens.
    dropping = TrialConfig(**shape, dropout=0.5)
    assert flops.batches_flop([x], dropping, training=True) == 3 * 216 + 13 * 48
    assert flops.batches_flop([x], dropping, training=False) == 3 * 72 + 3 * 48


def test_a_target_that_is_not_reached_gives_no_number(speed):
    lines = speed("speed_lines")
    same, scored, found, _ = lines.time_lines(time_row(0.84, 0.85))
    assert (same.ratio, scored.ratio, found.ratio) == (12, 12, 24)
    assert (same.at_least, same.note) == (10, "")
    never, *_ = lines.time_lines(time_row(0.82))
    assert never.ratio is None
    page = speed("speed_page").render({"time_to_accuracy": time_row(0.84, 0.82)}, {})
    assert "not reached by plain Keras with seed 1 (0.8200 in the end)" in page
    assert "| 1 | plain Keras | 98, not reached |" in page
    # One seed of two is no verdict.
    assert "10: reached" not in page and "| **12.0** | – | – |" in page


def test_sweeps_are_compared_in_trials_an_hour_and_by_the_epoch(speed):
    page = speed("speed_page").render({"sweep": sweep_row()}, {})
    assert "| 48.0 trials an hour | 576 trials an hour | **12.0** |" in page
    assert "| 96.0 trials an hour | 576 trials an hour | **6.0** |" in page
    # 10 seconds an epoch against 2.
    assert "without saving models: 5.0 times as fast an epoch" in page


@pytest.mark.parametrize(
    ("differences", "says"),
    [
        ([0.001, -0.001, 0.002], "It contains 0 and lies within one point"),
        ([0.030, 0.031, 0.032], "It DOES NOT contain 0 and DOES NOT lie within"),
    ],
)
def test_the_difference_between_engines_is_put_in_words(speed, differences, says):
    page = speed("speed_page").render({"seeds": seeds_row(differences)}, {})
    kept, last = (line for line in page.splitlines() if line.startswith("- "))
    assert says in kept
    assert "+0.1000, 95 % t interval +0.1000 to +0.1000. It DOES NOT contain 0" in last


def test_each_size_is_held_to_its_own_target(speed):
    lines = speed("speed_lines")
    row = steps_row()
    [main] = lines.steps_lines(row)
    row["cases"][0]["units"] = 256
    [other] = lines.steps_lines(row)
    [evaluation] = lines.evaluation_lines(evaluation_row())
    assert [(line.at_least, line.aim) for line in (main, other, evaluation)] == [
        (4, 6),
        (2, 4),
        (3, 6),
    ]
    page = speed("speed_page").render({"evaluation": evaluation_row()}, {})
    # 5, 6 and 3.5 times by the round.
    assert "| **5.0** (3.5 to 6.0) | 3: reached | 6: missed | 50 (25 %) | 3 |" in page


def test_everything_is_rendered_from_the_json_alone(speed, tmp_path, monkeypatch):
    rows = {
        "steps": steps_row(),
        "sweep": sweep_row(),
        "time_to_accuracy": time_row(0.84),
        "growth": growth_row(),
        "seeds": seeds_row([0.0, 0.001]),
    }
    published = speed("published")
    published.write(tmp_path, rows)
    assert published.load(tmp_path) == rows
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert sorted(before) == ["README.md", "growth.svg", "ratios.svg", "speed.json"]
    arguments = ["published.py", "--render", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    published.main()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    page = before["README.md"].decode()
    assert "python benchmarks/speed/steps.py --data-dir DIR --rounds 3 --units 100" in (
        page
    )


def test_a_limit_stands_in_the_page_where_it_is_written(speed):
    render = speed("speed_page").render
    page = render({"steps": steps_row()}, {"steps": "Memory.", "sweep": "Imports."})
    assert "## What limits each now\n\n- Training steps: Memory.\n" in page
    assert "Imports." not in page
    assert "What limits each now" not in render({"steps": steps_row()}, {})


def test_each_note_has_a_number_of_its_own(speed):
    row = time_row(0.82)
    for run in row["runs"]:
        if run["variant"] == "found":
            run["checks"][-1]["accuracy"] = 0.5
    page = speed("speed_page").render({"time_to_accuracy": row}, {})
    assert "training alone (1) |" in page and "training alone (2) |" in page
    assert page.count("\n(1) Within") == page.count("\n(2) Within") == 1
