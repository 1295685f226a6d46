from __future__ import annotations

import io

import pytest
from rich.console import Console

from lstm_bench.progress import (
    Ended,
    LiveProgress,
    PlainProgress,
    Training,
    duration,
    make_progress,
)

TRAINING = Training("trial 0", 1, 4, "units=8 head=[b]sigmoid", 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (48, "48 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_read_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text


def test_a_pipe_gets_one_plain_line_per_training():
    out = io.StringIO()
    progress = make_progress(Console(file=out, width=40))
    assert isinstance(progress, PlainProgress)
    progress.begin(4, 0)
    progress.training(TRAINING)
    progress.epoch(
        TRAINING, {"epoch": 1, "val_accuracy": 0.5, "epoch_time_s": 1.0}, "val_accuracy"
    )
    progress.ended(TRAINING, Ended("complete", 0.75, 0.75, 10.0))
    progress.ended(TRAINING, Ended("failed", None, 0.75, 20.0, "loss became nan"))
    progress.close()
    assert out.getvalue().splitlines() == [
        "[1/4] trial 0: complete 0.7500 in 10 s, best 0.7500 | "
        "units=8 head=[b]sigmoid | about 30 s left",
        "[1/4] trial 0: failed (loss became nan) in 20 s, best 0.7500 | "
        "units=8 head=[b]sigmoid | about 45 s left",
    ]


def test_a_terminal_shows_trial_epoch_best_and_time_left():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=160)
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
