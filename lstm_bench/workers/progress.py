"""Progress of a running study: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lstm_bench.masking import mask_text
from lstm_bench.text import count, score_text

if TYPE_CHECKING:
    from rich.progress import TaskID

    from lstm_bench.system.console import LastingConsole


@dataclass(frozen=True)
class Training:
    """A training: its name, and how many of `total` are done when it begins or ends."""

    label: str
    n_done: int
    total: int
    max_epochs: int


@dataclass(frozen=True)
class Ended:
    """How a training ended; `value` and `best` are values of the objective."""

    state: str
    value: float | None
    best: float | None
    seconds: float
    reason: str | None = None


def clock_text(seconds: float) -> str:
    """Return seconds as ``48 s``, ``3 min 20 s`` or ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class _Clock:
    """Estimates the remaining seconds from the trainings of this session."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.n_done = 0
        self.n_workers = 1
        self.seconds = 0.0

    def add(self, ended: Ended) -> None:
        if ended.state != "interrupted":
            self.n_done += 1
            self.seconds += ended.seconds

    def left(self, n_left: int) -> str:
        if not self.n_done:
            return "unknown"
        return clock_text(n_left * self.seconds / self.n_done / self.n_workers)


def _summary(training: Training, ended: Ended) -> str:
    value = "" if ended.value is None else f" {score_text(ended.value)}"
    best = "" if ended.best is None else f", best {score_text(ended.best)}"
    reason = f" ({ended.reason})" if ended.reason else ""
    return (
        f"[{training.n_done}/{training.total}] {training.label}: "
        f"{ended.state}{value}{reason} in {clock_text(ended.seconds)}{best}"
    )


class Progress:
    """Shows what happens, with one plain line per training: for pipes and logs."""

    def __init__(self, console: LastingConsole) -> None:
        self.console = console
        self.clock = _Clock()
        # The epoch of each running training, and its start.
        self.running: dict[str, tuple[str, float]] = {}

    def say(self, message: str) -> None:
        """Show a message as it is."""
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def begin(self, total: int, done: int, n_workers: int = 1) -> None:
        """Start with `done` of `total` trainings finished earlier."""
        self.clock.n_workers = n_workers
        if done:
            self.say(f"{done} of {total} trainings were finished earlier")

    def training(self, training: Training) -> None:
        """Show that a training starts: here only if it takes long."""
        self.running[training.label] = training.label, time.monotonic()
        self._show_running()

    def epoch(
        self, training: Training, entry: Mapping[str, float], metric: str
    ) -> None:
        """Show that an epoch has ended: here only if the next one takes long."""
        n = f"{entry['epoch']:g} of {count(training.max_epochs, 'epoch')}"
        self._show(training, f"after {n}")

    def origin(self, training: Training, number: int, n: int) -> None:
        """Show that it is trained again at a test origin, the first of `n` is 1."""
        self._show(training, f"again at origin {number:,} of {n:,}")

    def _show(self, training: Training, note: str) -> None:
        _, since = self.running[training.label]
        self.running[training.label] = f"{training.label} ({note})", since
        self._show_running()

    def _show_running(self) -> None:
        names, begun = zip(*self.running.values(), strict=True)
        self.doing(f"training {' and '.join(names)}", min(begun))

    def ended(self, training: Training, ended: Ended) -> None:
        """Show how a training ended."""
        self.clock.add(ended)
        left = self.clock.left(training.total - training.n_done)
        self.say(f"{_summary(training, ended)}, about {left} left")
        self.running.pop(training.label, None)
        if self.running:
            self._show_running()
        else:
            self.doing("preparing what comes next")

    def skipped(self, label: str, earlier: str) -> None:
        """Show that the sampler has suggested the configuration of `earlier` again."""
        self.say(f"{label} repeats {earlier}: skipped")

    def doing(self, what: str, since: float | None = None) -> None:
        """Show an activity such as ``fitting the baselines``, if it takes long.

        Parameters
        ----------
        since : float or None
            Its start on the monotonic clock; None is now.
        """
        self.console.doing(what, since)

    def close(self) -> None:
        """Remove the live display, if there is one."""


class LiveProgress(Progress):
    """Progress bars for the study and for the epochs of running trainings."""

    def __init__(self, console: LastingConsole) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        super().__init__(console)
        self.best: float | None = None
        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
        )
        self.study = self.bars.add_task("study", total=None, note="")
        # One bar for the epochs of each running training.
        self.epochs: dict[str, TaskID] = {}

    def begin(self, total: int, done: int, n_workers: int = 1) -> None:
        """Show the bars."""
        self.clock.n_workers = n_workers
        self.bars.update(self.study, total=total, completed=done)
        self.bars.start()
        self.console.doing(None)

    def _show_study(self, training: Training) -> None:
        self.latest = training
        best = "" if self.best is None else f"best {score_text(self.best)}, "
        elapsed = clock_text(time.monotonic() - self.clock.start)
        left = self.clock.left(training.total - training.n_done)
        self.bars.update(
            self.study,
            completed=training.n_done,
            note=f"{best}elapsed {elapsed}, about {left} left",
        )

    def training(self, training: Training) -> None:
        """Add a bar for the training's epochs."""
        self._show_study(training)
        self.epochs[training.label] = self.bars.add_task(
            training.label, total=training.max_epochs, note=""
        )

    def epoch(
        self, training: Training, entry: Mapping[str, float], metric: str
    ) -> None:
        """Advance the training's bar."""
        seconds = entry.get("epoch_time_s")
        self.bars.update(
            self.epochs[training.label],
            completed=entry["epoch"],
            note=f"{metric.replace('_', ' ')} {score_text(entry[metric])}"
            + ("" if seconds is None else f", {seconds:.1f} s an epoch"),
        )
        self._show_study(self.latest)

    def origin(self, training: Training, number: int, n: int) -> None:
        """Show test origins on the training's bar."""
        self.bars.update(
            self.epochs[training.label],
            total=n,
            completed=number - 1,
            note="trained again at test origins",
        )

    def ended(self, training: Training, ended: Ended) -> None:
        """Print the training's line above the bars."""
        self.clock.add(ended)
        self.best = ended.best
        self.say(_summary(training, ended))
        self.bars.remove_task(self.epochs.pop(training.label))
        self._show_study(training)

    def doing(self, what: str, since: float | None = None) -> None:
        """Show the activity beside the study's bar; without a bar, if it takes long."""
        if self.bars.live.is_started:
            self.bars.update(self.study, note=what)
        else:
            super().doing(what, since)

    def close(self) -> None:
        """Remove the bars."""
        self.bars.stop()


class LoggedProgress(Progress):
    """One line per training for a log, without an estimate of the remaining time.

    Parameters
    ----------
    log : callable
        Called with each line, passwords masked.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self.log = log
        self.running = {}

    def say(self, message: str) -> None:
        """Log the message."""
        self.log(mask_text(message))

    def begin(self, total: int, done: int, n_workers: int = 1) -> None:
        """Log nothing."""

    def ended(self, training: Training, ended: Ended) -> None:
        """Log the training's line."""
        self.say(_summary(training, ended))

    def doing(self, what: str, since: float | None = None) -> None:
        """Log nothing."""


def make_progress(console: LastingConsole) -> Progress:
    """Return the live display on a terminal, plain lines elsewhere."""
    return (LiveProgress if console.is_terminal else Progress)(console)
