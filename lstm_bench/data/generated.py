"""Shared by the generated datasets: options, label noise, filler words, notes."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import Dataset, Sequences, sequences_digest


class GeneratedOptions(BaseModel):
    """What a suite may set under ``dataset.options``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    n_train: int = Field(
        2000, ge=20, le=100_000, description="Number of training examples."
    )
    n_test: int = Field(1000, ge=20, le=100_000, description="Number of test examples.")
    label_noise: float = Field(
        0.05,
        ge=0.0,
        lt=0.5,
        description="Probability that a label, of train or test, is flipped; the best "
        "possible accuracy is 1 minus it.",
    )


def flip_labels(y: IntArray, label_noise: float, rng: np.random.Generator) -> IntArray:
    """Return labels 0 and 1, each flipped with probability `label_noise`."""
    is_flipped = rng.random(len(y)) < label_noise
    return np.where(is_flipped, 1 - y, y).astype(np.int64)


def generated_dataset(
    name: str,
    description: str,
    train: Sequences,
    test: Sequences,
    *,
    class_names: tuple[str, ...],
    vocabulary: tuple[str, ...],
    example: str,
    seed: int,
    label_noise: float,
    note: str,
) -> Dataset:
    """Return a dataset that a program generated from `seed` by a rule.

    ``best_possible_accuracy`` is the expected accuracy of a classifier that knows the
    rule. Labels are flipped independently, so that on one test set it varies
    binomially.
    """
    ceiling = 1.0 - label_noise
    return Dataset(
        name=name,
        description=description,
        train=train,
        test=test,
        class_names=class_names,
        vocabulary=vocabulary,
        digest=sequences_digest(train, test),
        source=f"synthetic: written by lstm-bench from seed {seed}",
        synthetic=True,
        best_possible_accuracy=ceiling,
        example=example,
        tokenizer="whitespace",
        notes=(
            f"The {example}s are synthetic: scores are no estimate for real data.",
            f"{label_noise:.1%} of the labels are flipped at random, in test too: "
            f"knowing the rule gives an expected accuracy of {ceiling:.3f}.",
            note,
        ),
    )


def filler_words(n_words: int, taken: set[str]) -> list[str]:
    """Return at most `n_words` pronounceable words, none of them in `taken`."""
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    n = len(syllables)
    words = []
    for i in range(n * n):
        # A step coprime to n² mixes the syllables: words of adjacent ranks differ.
        first, second = divmod(i * 1847 % (n * n), n)
        word = syllables[first] + syllables[second]
        if word not in taken:
            words.append(word)
    return words[:n_words]
