"""One configuration of an LSTM (`TrialConfig`) and the space a study searches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Value = bool | int | float | str | None

SIGNIFICANT_DIGITS = 12
# Values of an axis that lie closer together than this share of its high end may be
# one value in so many digits.
MIN_RELATIVE_STEP = 1e-10


def canonical(value: float) -> float:
    """Return `value` rounded to 12 significant digits, and 0 for minus 0.

    Floats that are computed differently, such as 0.1 + 0.1 + 0.1 and 0.3, differ in
    their last digits. Configurations are hashed and compared, so that a
    hyperparameter has one float for what is one number.
    """
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0


# Before the bounds: 0.9999999999999999 is 1 and no share in [0, 1).
_Float = Annotated[float, AfterValidator(canonical)]
_Share = Annotated[_Float, Field(ge=0, lt=1)]


class TrialConfig(BaseModel):
    """Every hyperparameter of one training, with its default and bounds.

    A new hyperparameter is a new field here: suites, MLflow and the tables pick
    it up by its name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # Architecture
    units: int = Field(100, ge=1, le=4096, description="LSTM units per layer")
    num_layers: int = Field(1, ge=1, le=8, description="stacked LSTM layers")
    bidirectional: bool = Field(False, description="read both directions")
    pooling: Literal["last", "mean", "max"] = Field(
        "last", description="how the LSTM's outputs over time become one vector"
    )
    embedding_dim: int = Field(128, ge=1, le=4096, description="embedding size")
    head: Literal["sigmoid", "softmax"] = Field("sigmoid", description="output head")
    # Regularisation: shares dropped, in [0, 1)
    dropout: _Share = Field(0.0, description="on the LSTM's inputs")
    recurrent_dropout: _Share = Field(0.0, description="on its state")
    head_dropout: _Share = Field(0.0, description="before the head")
    # Input
    vocabulary_size: int = Field(
        10_000, ge=4, le=1_000_000, description="token ids from here on become 2"
    )
    sequence_length: int = Field(
        200, ge=1, le=10_000, description="tokens kept of a sequence"
    )
    truncating: Literal["pre", "post"] = Field(
        "pre", description="which end of a longer sequence is cut"
    )
    padding: Literal["pre", "post"] = Field(
        "post", description="which end of a shorter sequence is padded"
    )
    masking: bool = Field(
        True, description="skip padding; batches are then trimmed to their longest"
    )
    # Training
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = Field(
        "adam", description="Keras optimizer"
    )
    learning_rate: Annotated[_Float, Field(gt=0, le=10)] = Field(
        1e-3, description="of the optimizer"
    )
    batch_size: int = Field(64, ge=1, le=65_536, description="sequences per step")
    max_epochs: int = Field(10, ge=1, le=10_000, description="epochs at most")
    patience: int | None = Field(
        3,
        ge=1,
        le=10_000,
        description="epochs without a better validation objective before training "
        "stops and the best epoch's weights return; null: train max_epochs, keep "
        "the last weights",
    )

    @property
    def config_id(self) -> str:
        """What the configuration is known by: `config_id_of` all of its values."""
        return config_id_of(self.model_dump())


def config_id_of(values: Mapping[str, Any]) -> str:
    """Return first 12 hex digits of the SHA-256 of the canonical JSON of `values`."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


CONFIG_FIELDS: tuple[str, ...] = tuple(TrialConfig.model_fields)

# A value in a run's name; of a switch, when it is off and when it is on.
SHORT: Mapping[str, str | tuple[str, str]] = {
    "units": "{} units",
    "num_layers": "{}-layer",
    "bidirectional": ("one direction", "bidirectional"),
    "pooling": "{} pooling",
    "embedding_dim": "embedding {}",
    "head": "{}",
    "dropout": "dropout {}",
    "recurrent_dropout": "recurrent dropout {}",
    "head_dropout": "head dropout {}",
    "vocabulary_size": "vocabulary {}",
    "sequence_length": "len {}",
    "truncating": "{}-truncating",
    "padding": "{}-padding",
    "masking": ("no masking", "masking"),
    "optimizer": "{}",
    "learning_rate": "lr {}",
    "batch_size": "batch {}",
    "max_epochs": "{} epochs",
    "patience": "patience {}",
}


def short_text(field: str, value: Value) -> str:
    """Return a hyperparameter's value as it stands in a run's name: ``32 units``."""
    form = SHORT[field]
    if not isinstance(form, str):
        return form[bool(value)]
    if value is None:
        return f"no {field}"
    text = form.format(f"{value:g}" if isinstance(value, float) else value)
    return text.removesuffix("s") if value == 1 else text


class TrialLike(Protocol):
    """The part of ``optuna.Trial`` that suggesting needs."""

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
        """The values whose validity makes every value valid."""
        return self.choices

    @property
    def n_choices(self) -> int | None:
        """Number of distinct values; None where there is no end to them."""
        return len(self.choices)

    def suggest(self, trial: TrialLike, name: str) -> Value:
        """Let the trial's sampler choose."""
        choice: Value = trial.suggest_categorical(name, list(self.choices))
        return choice

    def describe(self) -> str:
        """Say the axis as a person would."""
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
        """The values whose validity makes every value valid."""
        return (self.low, self.high)

    @property
    def n_choices(self) -> int | None:
        """Number of distinct values."""
        return (self.high - self.low) // self.step + 1

    def value(self, i: int) -> int:
        """Return the value that lies `i` steps above `low`."""
        return self.low + i * self.step

    def suggest(self, trial: TrialLike, name: str) -> Value:
        """Let the trial's sampler choose."""
        # Optuna warns of an end that no step reaches.
        last = self.high - (self.high - self.low) % self.step
        return trial.suggest_int(name, self.low, last, step=self.step, log=self.log)

    def describe(self) -> str:
        """Say the axis as a person would."""
        return _describe_range(self.low, self.high, self.step, self.log)


@dataclass(frozen=True)
class FloatAxis:
    """Floats from `low` to `high`, both included, as `canonical` gives them."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def endpoints(self) -> tuple[Value, ...]:
        """The values whose validity makes every value valid."""
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
        """Return the value that lies `i` steps above `low`, computed in decimals."""
        if self.step is None:
            return self.low
        return canonical(float(_decimal(self.low) + i * _decimal(self.step)))

    def suggest(self, trial: TrialLike, name: str) -> Value:
        """Let the trial's sampler choose."""
        if self.step is None or self.n_choices is None:
            return canonical(
                trial.suggest_float(name, self.low, self.high, log=self.log)
            )
        # Optuna warns of an end that no step reaches.
        last = self.value(self.n_choices - 1)
        value = trial.suggest_float(name, self.low, last, step=self.step)
        return self.value(round((value - self.low) / self.step))

    def describe(self) -> str:
        """Say the axis as a person would."""
        return _describe_range(self.low, self.high, self.step, self.log)


def _decimal(value: float) -> Decimal:
    """Return the number that `value` is written as: 0.1 for 0.1."""
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
        """Number of distinct configurations; None where an axis is continuous."""
        total = 1
        for axis in self.axes.values():
            if axis.n_choices is None:
                return None
            total *= axis.n_choices
        return total

    def suggest(self, trial: TrialLike, defaults: TrialConfig) -> TrialConfig:
        """Return `defaults` with every axis set by the trial's sampler."""
        chosen = {name: axis.suggest(trial, name) for name, axis in self}
        return TrialConfig.model_validate({**defaults.model_dump(), **chosen})
