"""`TrialConfig`: every hyperparameter of one training, with its range."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
)

from lstm_bench.errors import SuiteError
from lstm_bench.suites.cells import CELL_NAMES
from lstm_bench.tasks import Task

Value = bool | int | float | str | None
SIGNIFICANT_DIGITS = 12
# Short texts of values for a configuration's name; of a switch: (off, on).
SHORT: Mapping[str, str | tuple[str, str] | Mapping[str, str]] = {
    "cell": CELL_NAMES,
    "units": "{} units",
    "num_layers": "{} layers",
    "bidirectional": ("one direction", "bidirectional"),
    "pooling": "{} pooling",
    "embedding_dim": "embedding {}",
    "embedding": "{} embedding",
    "ngram_evidence": {
        "0": "no evidence",
        "1": "evidence of words",
        "2": "evidence of 1- to 2-grams",
        "3": "evidence of 1- to 3-grams",
        "4": "evidence of 1- to 4-grams",
    },
    "head": "{}",
    "forget_bias": "forget bias {}",
    "embedding_dropout": "embedding dropout {}",
    "token_dropout": "token dropout {}",
    "spatial_dropout": "spatial dropout {}",
    "dropout": "dropout {}",
    "recurrent_dropout": "recurrent dropout {}",
    "head_dropout": "head dropout {}",
    "vocabulary_size": "vocabulary {}",
    "sequence_length": "length {}",
    "truncating": "{}-truncating",
    "padding": "{}-padding",
    "masking": ("no masking", "masking"),
    "chop_length": "segments of {}",
    "chop_jitter": ("first segment whole", "first segment of random length"),
    "class_weights": "{} class weights",
    "optimizer": "{}",
    "embedding_gradient": {
        "per_token": "embedding gradient per token",
        "per_occurrence": "embedding gradient per occurrence",
    },
    "learning_rate": "learning rate {}",
    "schedule": "{} schedule",
    "warmup": "warmup {}",
    "weight_decay": "weight decay {}",
    "gradient_clip_norm": "gradient clip norm {}",
    "label_smoothing": "label smoothing {}",
    "weight_averaging": "weight averaging {}",
    "batch_size": "batch {}",
    "max_epochs": "{} epochs",
    "patience": "patience {}",
}

# Of null, where it does not mean none.
UNSET: Mapping[str, str] = {
    "weight_decay": "default weight decay",
    "chop_length": "whole sequences",
}

COOCCURRENCE = "cooccurrence"
"""The `embedding` whose vectors are fitted on the training sequences."""
FROM_FILE = ("pretrained", "frozen")
"""Each `embedding` that needs an embedding file."""

ADDED = (
    *("class_weights", "embedding", "cell", "forget_bias", "gradient_clip_norm"),
    *("schedule", "warmup", "weight_decay", "label_smoothing", "weight_averaging"),
    *("embedding_dropout", "token_dropout", "spatial_dropout", "ngram_evidence"),
    *("chop_length", "chop_jitter", "embedding_gradient"),
)
"""Hyperparameters that are newer than the ids of configurations in use."""

PER_TOKEN, PER_OCCURRENCE = "per_token", "per_occurrence"

FORMER: Mapping[str, Value] = {"embedding_gradient": PER_OCCURRENCE}
"""What configurations had before there was such a field, if not its default."""


def canonical(value: float) -> float:
    """Return `value` rounded to 12 significant digits; minus 0 becomes 0.

    Floats computed differently, such as 0.1 + 0.1 + 0.1 and 0.3, differ in their last
    digits. Configurations are hashed and compared, so equal numbers must be equal
    floats.
    """
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0


# Before the bounds: 0.9999999999999999 is 1, which is outside [0, 1).
_Float = Annotated[float, AfterValidator(canonical)]


_Share = Annotated[_Float, Field(ge=0, lt=1)]


class TrialConfig(BaseModel):
    """Every hyperparameter of one training, with its default and bounds.

    A new hyperparameter is a new field here; suites, MLflow and the tables find it by
    its name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # Architecture
    cell: Literal["lstm", "gru", "simple_rnn"] = Field(
        "lstm",
        description="Recurrent layer: Keras's LSTM, GRU (with reset_after) or "
        "SimpleRNN, with Keras's defaults.",
    )
    units: int = Field(100, ge=1, le=4096, description="Units per recurrent layer.")
    num_layers: int = Field(
        1, ge=1, le=8, description="Number of recurrent layers, one on the other."
    )
    bidirectional: bool = Field(
        False,
        description="Read each sequence in both directions, with a layer for each.",
    )
    pooling: Literal["last", "mean", "max", "mean_max", "attention"] = Field(
        "last",
        description="How the outputs of the last layer over time become one vector: "
        "the last token's, their mean, their maximum, both of these side by side "
        "(mean_max), or their mean weighted by trained attention.",
    )
    embedding_dim: int = Field(
        128, ge=1, le=4096, description="Length of a token's embedding vector."
    )
    embedding: Literal["random", "cooccurrence", "pretrained", "frozen"] = Field(
        "random",
        description="Initial embedding vectors: random; from which words stand near "
        "each other in train (cooccurrence); from the dataset's embedding_file "
        "(pretrained); or from there and not trained (frozen). Words without such a "
        "vector have the random ones.",
    )
    ngram_evidence: int = Field(
        0,
        ge=0,
        le=4,
        description="Longest n-grams whose evidence is read beside the words: for each "
        "n from 1 on, what a linear model, fitted on train, makes of the n-gram that "
        "ends at the word. 0: words alone.",
    )
    head: Literal["sigmoid", "softmax", "linear"] = Field(
        "sigmoid",
        description="Output layer: one sigmoid unit, for two classes only; softmax, "
        "with one unit per class; or linear, with one unit per number, which is the "
        "default, and the only one, where the targets are numbers.",
    )
    forget_bias: Literal["one", "zero", "chrono"] = Field(
        "one",
        description="Initial bias of the forget gates, of LSTMs alone: 1, 0, or drawn "
        "for sequences of sequence_length steps (chrono), with the input gates' bias "
        "its negative.",
    )
    # Regularisation
    embedding_dropout: _Share = Field(
        0.0,
        description="Share of the embedding matrix's numbers that is dropped in "
        "training, drawn for each batch: the same ones at all occurrences of a word. "
        "Of tokens alone.",
    )
    token_dropout: _Share = Field(
        0.0,
        description="Share of the tokens whose whole embedding is dropped in training; "
        "of series, share of the steps.",
    )
    spatial_dropout: _Share = Field(
        0.0,
        description="Share of the embedding's features that is dropped in training, at "
        "all steps of a sequence (Keras's SpatialDropout1D); of series, share of the "
        "channels.",
    )
    dropout: _Share = Field(
        0.0,
        description="Share of a recurrent layer's inputs that is dropped in training.",
    )
    recurrent_dropout: _Share = Field(
        0.0,
        description="Share of a recurrent layer's state that is dropped in training.",
    )
    head_dropout: _Share = Field(
        0.0, description="Share of the head's inputs that is dropped in training."
    )
    # Input
    vocabulary_size: int = Field(
        10_000,
        ge=4,
        le=1_000_000,
        description="Number of token ids. Rarer words, whose ids are larger, become "
        "the id 2 (out of vocabulary).",
    )
    sequence_length: int = Field(
        200, ge=1, le=10_000, description="Number of tokens used of each sequence."
    )
    truncating: Literal["pre", "post", "head_tail"] = Field(
        "pre",
        description="Where longer sequences are cut: at their start (pre), at their "
        "end (post), or in their middle (head_tail), so that the first and the last "
        "half of sequence_length tokens are used, of an odd number one more at the "
        "end.",
    )
    padding: Literal["pre", "post"] = Field(
        "post",
        description="Where shorter sequences are padded: at their start (pre) or end "
        "(post).",
    )
    masking: bool = Field(
        True,
        description="Ignore the padding, and trim each batch to its longest sequence.",
    )
    chop_length: int | None = Field(
        None,
        ge=2,
        le=10_000,
        description="Number of steps of the segments that a sequence is cut into, from "
        "its start. Each is read from a zero state, and pooling is over the steps of "
        "all of them. null: the sequence is read as a whole.",
    )
    chop_jitter: bool = Field(
        False,
        description="With chop_length, give the first segment a random length from "
        "half of chop_length on, drawn for each sequence of a batch, in training "
        "alone.",
    )
    # Training
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        description="Weight of each class in the loss: the same for every example "
        "(none), or such that every class has the same share (balanced).",
    )
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = Field(
        "adam", description="Keras optimizer."
    )
    embedding_gradient: Literal["per_token", "per_occurrence"] = Field(
        "per_token",
        description="What an optimizer gets as the embedding's gradient: the sum over "
        "a token's occurrences in the batch (per_token), as in Keras on JAX and "
        "PyTorch; or each of them (per_occurrence), as in Keras on TensorFlow, whose "
        "adam, adamw and rmsprop square them before they add them.",
    )
    learning_rate: Annotated[_Float, Field(gt=0, le=10)] = Field(
        1e-3, description="Learning rate of the optimizer."
    )
    schedule: Literal["constant", "linear", "cosine", "one_cycle"] = Field(
        "constant",
        description="Learning rate over all steps of max_epochs, whenever training "
        "stops: constant; falling to 0 along a line (linear) or half a cosine "
        "(cosine); or rising to learning_rate and falling again (one_cycle).",
    )
    warmup: _Share = Field(
        0.0,
        description="Share of all steps of max_epochs in which the learning rate rises "
        "from 0 along a line; the schedule follows.",
    )
    weight_decay: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Share of each weight that a step takes off, as a multiple of the "
        "learning rate (Keras's weight_decay, decoupled from the gradient). null: "
        "Keras's default, which is 0.004 for adamw and none for the others.",
    )
    gradient_clip_norm: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="Largest norm of all gradients together, to which larger ones are "
        "scaled down (Keras's global_clipnorm). null: no limit.",
    )
    label_smoothing: _Share = Field(
        0.0,
        description="Share of each training target that is spread evenly over all "
        "classes, in the loss that is trained on alone.",
    )
    weight_averaging: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Momentum of an exponential moving average of the weights, which "
        "is validated, tested and kept in place of the trained weights. null: no "
        "average.",
    )
    batch_size: int = Field(
        64, ge=1, le=65_536, description="Number of sequences per training step."
    )
    max_epochs: int = Field(
        10, ge=1, le=10_000, description="Number of epochs at most."
    )
    patience: int | None = Field(
        3,
        ge=1,
        le=10_000,
        description="Number of epochs without a better validation objective after "
        "which training stops; the weights of the best epoch are restored. null: train "
        "max_epochs and keep the last weights.",
    )

    @field_validator("weight_decay", "gradient_clip_norm", "weight_averaging")
    @classmethod
    def _canonical(cls, value: float | None) -> float | None:
        return None if value is None else canonical(value)

    @property
    def config_id(self) -> str:
        """The configuration's id: `config_id_of` of all its values."""
        return config_id_of(self.model_dump())


def config_id_of(values: Mapping[str, Any]) -> str:
    """Return the first 12 hex digits of the SHA-256 of canonical JSON of `values`."""
    canonical = json.dumps(hashed(values), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def hashed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that the names of configurations and studies are hashes of.

    Fields of `ADDED` are left out at their `former` value, so that names stay what they
    were before there was such a field.
    """
    return {
        field: value
        for field, value in values.items()
        if field not in ADDED or value != former(field)
    }


def former(field: str) -> Value:
    """Return the value that every configuration had before `field` was added."""
    default: Value = TrialConfig.model_fields[field].default
    return FORMER.get(field, default)


CONFIG_FIELDS: tuple[str, ...] = tuple(TrialConfig.model_fields)


def short_text(field: str, value: Value) -> str:
    """Return a value as it appears in a configuration's name: ``32 units``.

    Floats have four significant digits.
    """
    form = SHORT[field]
    if isinstance(form, Mapping):
        return form[str(value)]
    if isinstance(form, tuple):
        return form[bool(value)]
    if value is None and field in UNSET:
        return UNSET[field]
    if value in (None, "none"):
        return f"no {field.replace('_', ' ')}"
    text = form.format(f"{value:.4g}" if isinstance(value, float) else value)
    return text.removesuffix("s") if value == 1 else text


def check_forget_bias(cell: str, forget_bias: str) -> None:
    """Raise SuiteError if layers of `cell` have no such initial bias."""
    if forget_bias != "one" and cell != "lstm":
        raise SuiteError(
            f"forget_bias: expected one where cell is {cell}, which has no forget "
            f"gate, got {forget_bias}; remove it, or use cell: lstm"
        )


CHOPPED: Mapping[str, tuple[Value, ...]] = {
    "pooling": ("mean", "max", "mean_max", "attention"),
    "masking": (True,),
    "padding": ("post",),
}
"""Values of other hyperparameters that `chop_length` goes with."""


def check_chopped(chop_length: int | None, value: Value, field: str) -> None:
    """Raise SuiteError if segments do not go with a value of another hyperparameter."""
    if chop_length is not None and value not in CHOPPED[field]:
        fitting, got = (
            [str(one).lower() if isinstance(one, bool) else str(one) for one in values]
            for values in (CHOPPED[field], (value,))
        )
        raise SuiteError(
            f"{field}: expected {' or '.join(fitting)} where chop_length is "
            f"{chop_length}, got {got[0]}; change it, or remove chop_length"
        )


TOGETHER: Sequence[tuple[str, str, Callable[[Any, Any], None]]] = (
    ("cell", "forget_bias", check_forget_bias),
    *(
        ("chop_length", field, functools.partial(check_chopped, field=field))
        for field in CHOPPED
    ),
)
"""Pairs of hyperparameters whose values do not all go together, each with the function
that raises SuiteError, given one value of each."""


def check_together(config: TrialConfig) -> None:
    """Raise SuiteError if two values of a configuration do not go together."""
    for one, other, check in TOGETHER:
        check(getattr(config, one), getattr(config, other))


def check_task(field: str, value: Value, task: Task) -> None:
    """Raise SuiteError if a value of a hyperparameter is of another task.

    Parameters
    ----------
    field : str
        Name of a field of `TrialConfig`.
    """
    fitting = task.only.get(field)
    if fitting is not None and value not in fitting:
        raise SuiteError(
            f"{field}: {value} does not fit the dataset, whose targets are "
            f"{task.targets}; use {field}: {' or '.join(map(str, fitting))}"
        )


def check_classes(head: str, n_classes: int) -> None:
    """Raise SuiteError if `head` cannot represent `n_classes` classes."""
    if head == "sigmoid" and n_classes != 2:
        raise SuiteError(
            f"head: sigmoid separates two classes, the dataset has {n_classes}; "
            "use head: softmax"
        )
