"""The search space of a study: the axes over hyperparameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from lstm_bench.suites.config import TrialConfig, Value, canonical

# Values of an axis closer together than this share of its high end may be equal after
# rounding to 12 digits.
MIN_RELATIVE_STEP = 1e-10


class TrialLike(Protocol):
    """The part of ``optuna.Trial`` that suggesting uses."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Choose one of `choices`."""

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Choose an integer in [low, high]."""

    def suggest_float(
        self,
        name: str,
        low: float,
        high: float,
        *,
        step: float | None = None,
        log: bool = False,
    ) -> float:
        """Choose a float in [low, high]."""


@dataclass(frozen=True)
class CategoricalAxis:
    """A list of choices."""

    choices: tuple[Value, ...]

    @property
    def endpoints(self) -> tuple[Value, ...]:
        """The values that must be valid for every value to be valid."""
        return self.choices

    @property
    def n_choices(self) -> int | None:
        """Number of distinct values; None if it is infinite."""
        return len(self.choices)

    def value(self, i: int) -> Value:
        """Return the choice of that index."""
        return self.choices[i]

    def suggest(self, trial: TrialLike, name: str) -> Value:
        """Return the value that the trial's sampler chooses."""
        choice: Value = trial.suggest_categorical(name, list(self.choices))
        return choice

    def describe(self) -> str:
        """Return the axis as text."""
        return ", ".join("null" if c is None else str(c) for c in self.choices)


@dataclass(frozen=True)
class IntAxis:
    """Integers from `low` to `high`, both included."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def endpoints(self) -> tuple[Value, ...]:
        """The values that must be valid for every value to be valid."""
        return (self.low, self.high)

    @property
    def n_choices(self) -> int | None:
        """Number of distinct values."""
        return (self.high - self.low) // self.step + 1

    def value(self, i: int) -> int:
        """Return the value `i` steps above `low`."""
        return self.low + i * self.step

    def suggest(self, trial: TrialLike, name: str) -> Value:
        """Return the value that the trial's sampler chooses."""
        # Optuna warns if no step ends at `high`.
        last = self.high - (self.high - self.low) % self.step
        return trial.suggest_int(name, self.low, last, step=self.step, log=self.log)

    def describe(self) -> str:
        """Return the axis as text."""
        return _describe_range(self.low, self.high, self.step, self.log)


@dataclass(frozen=True)
class FloatAxis:
    """Floats from `low` to `high`, both included, rounded by `canonical`."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def endpoints(self) -> tuple[Value, ...]:
        """The values that must be valid for every value to be valid."""
        return (self.low, self.high)

    @property
    def n_choices(self) -> int | None:
        """Number of distinct values; None without a step."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return (
            int((_decimal(self.high) - _decimal(self.low)) // _decimal(self.step)) + 1
        )

    def value(self, i: int) -> float:
        """Return the value `i` steps above `low`, computed in decimals."""
        if self.step is None:
            return self.low
        return canonical(float(_decimal(self.low) + i * _decimal(self.step)))

    def suggest(self, trial: TrialLike, name: str) -> Value:
        """Return the value that the trial's sampler chooses."""
        if self.step is None or self.n_choices is None:
            return canonical(
                trial.suggest_float(name, self.low, self.high, log=self.log)
            )
        # Optuna warns if no step ends at `high`.
        last = self.value(self.n_choices - 1)
        value = trial.suggest_float(name, self.low, last, step=self.step)
        return self.value(round((value - self.low) / self.step))

    def describe(self) -> str:
        """Return the axis as text."""
        return _describe_range(self.low, self.high, self.step, self.log)


def _decimal(value: float) -> Decimal:
    """Return `value` as its shortest decimal: 0.1 for 0.1."""
    return Decimal(repr(value))


Axis = CategoricalAxis | IntAxis | FloatAxis


def _describe_range(low: float, high: float, step: float | None, log: bool) -> str:
    text = f"{low:g} to {high:g}"
    if step is not None and step != 1:
        text += f" in steps of {step:g}"
    return text + (", log scale" if log else "")


@dataclass(frozen=True)
class SearchSpace:
    """Axes by the `TrialConfig` field they set, in the suite's order."""

    axes: Mapping[str, Axis]

    def __iter__(self) -> Iterator[tuple[str, Axis]]:
        """Iterate over (field, axis)."""
        return iter(self.axes.items())

    def __len__(self) -> int:
        """Return the number of axes."""
        return len(self.axes)

    @property
    def n_configurations(self) -> int | None:
        """Number of distinct configurations; None if an axis is continuous."""
        total = 1
        for axis in self.axes.values():
            if axis.n_choices is None:
                return None
            total *= axis.n_choices
        return total

    def suggest(self, trial: TrialLike, defaults: TrialConfig) -> TrialConfig:
        """Return `defaults` with every axis's value chosen by the trial's sampler."""
        chosen = {name: axis.suggest(trial, name) for name, axis in self}
        return TrialConfig.model_validate({**defaults.model_dump(), **chosen})
