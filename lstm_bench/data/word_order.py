"""Sequences of words in which the last of several switch words decides.

A sequence is filler, drawn evenly from a small vocabulary, in which three to six words
switch something on or off, each as likely. The label is what the last of them did
(`true_label`). So the order of the words decides: how often each stands in a sequence
says little, and n-grams see no further than a few words.

After the last switch come up to `MAX_WORDS_AFTER` words of filler, every number as
likely. A model that reads the last n words alone can therefore know the label of the
share ``n / (MAX_WORDS_AFTER + 1)`` of the sequences, and guesses the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import (
    INDEX_FROM,
    START,
    Dataset,
    Sequences,
    Sizes,
    filler_words,
    from_lists,
    sequences_digest,
)
from lstm_bench.seeding import derive_rng

SYNTHETIC = True
DESCRIPTION = (
    "Synthetic sequences of 45 to 60 words; the last of three to six words that switch "
    "on or off is the label, so that the order of words decides."
)
ON = ("on", "open", "start", "enable")
OFF = ("off", "close", "stop", "disable")
N_FILLER_WORDS = 200
MIN_WORDS, MAX_WORDS = 45, 60
MIN_SWITCHES, MAX_SWITCHES = 3, 6
MAX_WORDS_AFTER = 39

VOCABULARY = (*filler_words(N_FILLER_WORDS, {*ON, *OFF}), *OFF, *ON)
_FIRST_SWITCH = N_FILLER_WORDS


class Options(BaseModel):
    """What a suite may set under ``dataset.options``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_train: int = Field(
        2000, ge=20, le=100_000, description="Number of training sequences."
    )
    n_test: int = Field(
        1000, ge=20, le=100_000, description="Number of test sequences."
    )
    label_noise: float = Field(
        0.05,
        ge=0.0,
        lt=0.5,
        description="Probability that a label, of train or test, is flipped; the best "
        "possible accuracy is 1 minus it.",
    )


def true_label(words: Sequence[str]) -> int:
    """Return 1 if the last switch word of `words` is one of `ON`, else 0.

    Raises
    ------
    ValueError
        There is none.
    """
    for word in reversed(words):
        if word in ON or word in OFF:
            return int(word in ON)
    raise ValueError(f"expected a word that switches on or off among {len(words)}")


def sizes(options: Options) -> Sizes:
    """Return what the options alone fix."""
    return Sizes(n_classes=2, n_train=options.n_train)


def load(options: Options, data_dir: Path | None, seed: int) -> Dataset:
    """Write the sequences; equal seeds and options give equal ones.

    Parameters
    ----------
    data_dir : Path or None
        Not used: nothing is read.

    Returns
    -------
    Dataset
        ``best_possible_accuracy`` is the expected accuracy of a classifier that
        knows the rule: labels are flipped independently of it.
    """
    rng = derive_rng(seed, "word_order")
    train, test = (_write(n, options, rng) for n in (options.n_train, options.n_test))
    ceiling = 1.0 - options.label_noise
    return Dataset(
        name="word_order",
        description=DESCRIPTION,
        train=train,
        test=test,
        class_names=("off", "on"),
        vocabulary=VOCABULARY,
        digest=sequences_digest(train, test),
        source=f"synthetic: written by lstm-bench from seed {seed}",
        synthetic=True,
        best_possible_accuracy=ceiling,
        example="sequence",
        notes=(
            "The sequences are synthetic: scores say nothing about real data.",
            f"{options.label_noise:.1%} of the labels are flipped at random, in test "
            f"too: knowing the rule gives an expected accuracy of {ceiling:.3f}.",
            f"The word that decides is one of the last {MAX_WORDS_AFTER + 1}, each "
            "place as likely: a sequence_length of n below that, with truncating: pre, "
            f"keeps it in the share n / {MAX_WORDS_AFTER + 1} of the sequences.",
        ),
    )


def _write(n: int, options: Options, rng: np.random.Generator) -> Sequences:
    truth = rng.permutation(np.arange(n) % 2)
    token_lists = [_sequence(int(label), rng) for label in truth]
    is_flipped = rng.random(n) < options.label_noise
    return from_lists(token_lists, np.where(is_flipped, 1 - truth, truth))


def _sequence(label: int, rng: np.random.Generator) -> IntArray:
    """Return the token ids of one sequence whose last switch does `label`."""
    n_words = int(rng.integers(MIN_WORDS, MAX_WORDS + 1))
    words = rng.integers(N_FILLER_WORDS, size=n_words)
    last = n_words - 1 - int(rng.integers(MAX_WORDS_AFTER + 1))
    n_earlier = int(rng.integers(MIN_SWITCHES, MAX_SWITCHES + 1)) - 1
    earlier = rng.choice(last, size=n_earlier, replace=False)
    words[earlier] = _FIRST_SWITCH + rng.integers(len(OFF) + len(ON), size=n_earlier)
    words[last] = _FIRST_SWITCH + label * len(OFF) + int(rng.integers(len(ON)))
    tokens: IntArray = np.concatenate([[START], words + 1 + INDEX_FROM])
    return tokens
