"""Sequences of words whose label is set by the last of several switch words.

A sequence is filler, drawn uniformly from a small vocabulary, with three to six switch
words in it, each "on" or "off" with equal probability. The label is the state after the
last of them (`true_label`). So the order of the words decides: word counts carry little
information about the label, and n-grams span only a few words.

After the last switch come 0 to `MAX_WORDS_AFTER` words of filler, each number with
equal probability. A model that reads only the last n words can therefore know the label
of the share ``n / (MAX_WORDS_AFTER + 1)`` of the sequences, and guesses the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import Dataset, Sequences, Sizes, from_lists
from lstm_bench.data.generated import (
    GeneratedOptions,
    filler_words,
    flip_labels,
    generated_dataset,
)
from lstm_bench.inference import INDEX_FROM, START
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


Options = GeneratedOptions


def true_label(words: Sequence[str]) -> int:
    """Return 1 if the last switch word of `words` is one of `ON`, else 0.

    Raises
    ------
    ValueError
        There is no switch word.
    """
    for word in reversed(words):
        if word in ON or word in OFF:
            return int(word in ON)
    raise ValueError(f"expected a word that switches on or off among {len(words)}")


def sizes(options: Options) -> Sizes:
    """Return the sizes, which depend on the options alone."""
    return Sizes(n_classes=2, n_train=options.n_train)


def load(options: Options, data_dir: Path | None, seed: int) -> Dataset:
    """Generate the sequences; equal seeds and options give equal sequences.

    Parameters
    ----------
    data_dir : Path or None
        Not used: nothing is read.
    """
    rng = derive_rng(seed, "word_order")
    train, test = (_write(n, options, rng) for n in (options.n_train, options.n_test))
    return generated_dataset(
        "word_order",
        DESCRIPTION,
        train,
        test,
        class_names=("off", "on"),
        vocabulary=VOCABULARY,
        example="sequence",
        seed=seed,
        label_noise=options.label_noise,
        note=f"The word that decides is one of the last {MAX_WORDS_AFTER + 1}, each "
        "place as likely: a sequence_length of n below that, with truncating: pre, "
        f"keeps it in the share n / {MAX_WORDS_AFTER + 1} of the sequences.",
    )


def _write(n: int, options: Options, rng: np.random.Generator) -> Sequences:
    truth = rng.permutation(np.arange(n) % 2)
    token_lists = [_sequence(int(label), rng) for label in truth]
    return from_lists(token_lists, flip_labels(truth, options.label_noise, rng))


def _sequence(label: int, rng: np.random.Generator) -> IntArray:
    """Return the token ids of one sequence whose last switch sets `label`."""
    n_words = int(rng.integers(MIN_WORDS, MAX_WORDS + 1))
    words = rng.integers(N_FILLER_WORDS, size=n_words)
    last = n_words - 1 - int(rng.integers(MAX_WORDS_AFTER + 1))
    n_earlier = int(rng.integers(MIN_SWITCHES, MAX_SWITCHES + 1)) - 1
    earlier = rng.choice(last, size=n_earlier, replace=False)
    words[earlier] = _FIRST_SWITCH + rng.integers(len(OFF) + len(ON), size=n_earlier)
    words[last] = _FIRST_SWITCH + label * len(OFF) + int(rng.integers(len(ON)))
    tokens: IntArray = np.concatenate([[START], words + 1 + INDEX_FROM])
    return tokens
