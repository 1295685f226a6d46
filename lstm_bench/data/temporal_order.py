"""Temporal order: which of two marks came first, long before the end.

Task 6a of Hochreiter & Schmidhuber (1997). A sequence begins with the start token (the
paper's E), ends with B, and is filled with a, b, c and d at random, but for two marks,
each X or Y with equal probability: the first after a tenth to a fifth of the sequence,
the second in its middle (at half to six tenths). The class is which marks there were in
which order: XX, XY, YX or YY.

A model that forgets both marks is right in 1 of 4 sequences; one that knows how often
there was an X and a Y, but not in which order, in 3 of 4 (XY and YX look the same).
The paper's lengths are those of ``sequence_length: 110``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import (
    Dataset,
    Sequences,
    Sizes,
    from_lists,
    sequences_digest,
)
from lstm_bench.data.memory import (
    MIN_LENGTH,
    SPREAD,
    MemoryOptions,
    MemoryTask,
    draw_length,
    shortest_lengths,
)
from lstm_bench.inference import INDEX_FROM, START
from lstm_bench.seeding import derive_rng

SYNTHETIC = True
DESCRIPTION = (
    "Two marks, each X or Y, among letters at random; the class is which marks there "
    "were in which order (Hochreiter & Schmidhuber 1997, task 6a)."
)
FILLERS = ("a", "b", "c", "d")
END, MARKS = "B", ("X", "Y")
VOCABULARY = (*FILLERS, END, *MARKS)
CLASS_NAMES = ("XX", "XY", "YX", "YY")
_ID = {word: INDEX_FROM + rank for rank, word in enumerate(VOCABULARY, start=1)}
PLACES = ((0.1, 0.2), (0.5, 0.6))
"""Between which shares of the shortest sequence each mark is."""

Options = MemoryOptions

MEMORY = MemoryTask(
    is_right=lambda y_true, y_proba: y_proba.argmax(axis=1) == y_true,
    right="its class is the most probable one",
    no_memory=0.25,
    without_memory="guesses one of four classes",
    source="Hochreiter & Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), "
    "1997, task 6a",
)


def sizes(options: Options) -> Sizes:
    """Return the sizes, which depend on the options alone."""
    return Sizes(len(CLASS_NAMES), options.n_train, (MIN_LENGTH, options.max_length))


def load(options: Options, data_dir: Path | None, seed: int) -> Dataset:
    """Generate the sequences; equal seeds and options give equal sequences.

    Parameters
    ----------
    data_dir : Path or None
        Not used: nothing is read.
    """
    rng = derive_rng(seed, "temporal_order")
    train, test = (
        _write(n, options.max_length, rng) for n in (options.n_train, options.n_test)
    )
    return Dataset(
        name="temporal_order",
        description=DESCRIPTION,
        train=train,
        test=test,
        class_names=CLASS_NAMES,
        vocabulary=VOCABULARY,
        digest=sequences_digest(train, test),
        source=f"synthetic: written by lstm-bench from seed {seed}",
        synthetic=True,
        best_possible_accuracy=1.0,
        example="sequence",
        tokenizer="whitespace",
        notes=(
            "The sequences are synthetic: scores are no estimate for real data.",
            "A sequence_length is the length of the longest sequences; at a smaller "
            "one the same marks are in the same order with fewer letters between them.",
            "Without memory of the marks accuracy is 0.25, without memory of their "
            "order 0.75.",
        ),
    )


def _write(n: int, max_length: int, rng: np.random.Generator) -> Sequences:
    y = rng.permutation(np.arange(n) % len(CLASS_NAMES)).astype(np.int64)
    token_lists = [_sequence(CLASS_NAMES[label], max_length, rng) for label in y]
    is_filler = np.isin(np.arange(len(_ID) + INDEX_FROM + 1), [_ID[f] for f in FILLERS])
    shortest = [shortest_lengths(~is_filler[ids], max_length) for ids in token_lists]
    return replace(from_lists(token_lists, y), shortest=np.concatenate(shortest))


def _sequence(marks: str, max_length: int, rng: np.random.Generator) -> IntArray:
    """Return the token ids of one sequence with two marks."""
    n_steps = draw_length(max_length, rng)
    tokens: IntArray = _ID[FILLERS[0]] + rng.integers(len(FILLERS), size=n_steps)
    for mark, (low, high) in zip(marks, PLACES, strict=True):
        first, last = (round(share * max_length / SPREAD) for share in (low, high))
        tokens[rng.integers(first, last + 1)] = _ID[mark]
    tokens[0], tokens[-1] = START, _ID[END]
    return tokens
