from __future__ import annotations

import dataclasses
import io
import re
import time

import pytest

from lstm_bench.system.console import LastingConsole
from lstm_bench.workers.progress import (
    Ended,
    LiveProgress,
    Progress,
    Training,
    clock_text,
    make_progress,
)

TRAINING = Training("8 units, [b]sigmoid (trial 0)", 1, 4, 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (48, "48 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_clock_text_has_seconds_below_an_hour(seconds, text):
    assert clock_text(seconds) == text


def test_a_pipe_gets_one_plain_line_per_training():
    out = io.StringIO()
    progress = make_progress(LastingConsole(file=out, width=40))
    assert type(progress) is Progress
    progress.begin(4, 0)
    progress.training(TRAINING)
    progress.epoch(
        TRAINING, {"epoch": 1, "val_accuracy": 0.5, "epoch_time_s": 1.0}, "val_accuracy"
    )
    progress.ended(TRAINING, Ended("complete", 0.75, 0.75, 10.0))
    progress.ended(TRAINING, Ended("failed", None, 0.75, 20.0, "loss became nan"))
    progress.close()
    assert out.getvalue().splitlines() == [
        "[1/4] 8 units, [b]sigmoid (trial 0): complete 0.7500 in 10 s, best 0.7500, "
        "about 30 s left",
        "[1/4] 8 units, [b]sigmoid (trial 0): failed (loss became nan) in 20 s, best "
        "0.7500, about 45 s left",
    ]


def test_a_terminal_shows_trial_epoch_best_and_time_left():
    out = io.StringIO()
    console = LastingConsole(file=out, force_terminal=True, width=160)
    progress = make_progress(console)
    assert isinstance(progress, LiveProgress)
    progress.begin(4, 0)
    progress.training(TRAINING)
    progress.ended(TRAINING, Ended("complete", 0.75, 0.75, 10.0))
    progress.training(TRAINING)
    progress.epoch(
        TRAINING, {"epoch": 1, "val_accuracy": 0.5, "epoch_time_s": 1.0}, "val_accuracy"
    )
    progress.bars.refresh()
    progress.close()
    shown = out.getvalue()
    for words in ("trial 0", "1/2", "best 0.7500", "elapsed", "left", "val accuracy"):
        assert words in shown


def test_an_interrupted_training_is_not_counted():
    out = io.StringIO()
    for terminal in (False, True):
        console = LastingConsole(file=out, force_terminal=terminal, width=160)
        progress = make_progress(console)
        third = Training("trial 5", 2, 4, 2)
        progress.begin(4, 2)
        progress.training(third)
        progress.ended(third, Ended("interrupted", None, 0.75, 10.0))
        progress.close()
        console.close()
    lines = [line for line in out.getvalue().splitlines() if "interrupted" in line]
    assert len(lines) == 2
    assert all("[2/4] trial 5: interrupted" in line for line in lines)


def test_a_number_that_is_skipped_is_said():
    out = io.StringIO()
    progress = make_progress(LastingConsole(file=out, width=40))
    progress.skipped("trial 8", "reference small")
    assert out.getvalue() == "trial 8 repeats reference small: skipped\n"


def test_a_pipe_is_not_silent_for_long(monkeypatch):
    monkeypatch.setattr("lstm_bench.system.console.QUIET_S", 0.2)
    out = io.StringIO()
    console = LastingConsole(file=out, width=40)
    progress = make_progress(console)

    def lines_during(seconds):
        out.seek(0), out.truncate()
        time.sleep(seconds)
        return set(re.sub(r", \d+ s$", "", out.getvalue(), flags=re.M).splitlines())

    progress.doing("fitting the baselines")
    assert lines_during(1) == {"still fitting the baselines"}
    other = dataclasses.replace(TRAINING, label="trial 1")
    progress.training(TRAINING)
    progress.training(other)
    progress.epoch(other, {"epoch": 1.0, "val_accuracy": 0.5}, "val_accuracy")
    said = lines_during(1)
    assert said == {
        f"still training {TRAINING.label} and trial 1 (after 1 of 2 epochs)"
    }
    # A line of its own is as good as a word of what goes on.
    progress.ended(TRAINING, Ended("complete", 0.75, 0.75, 10.0))
    assert not any("trial 0" in line for line in lines_during(1))
    console.doing(None)
    time.sleep(0.1)
    assert lines_during(0.5) == set()
    progress.doing("writing the report")
    console.close()
    assert lines_during(0.5) == set()
