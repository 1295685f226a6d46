"""What every dataset needs to turn lists of token ids into `Sequences`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lstm_bench.data import Sequences


def from_lists(
    token_lists: Sequence[Sequence[int] | npt.NDArray[np.integer]],
    y: Sequence[int] | npt.NDArray[np.integer],
) -> Sequences:
    """Return ragged sequences from one list of token ids per sequence.

    Parameters
    ----------
    token_lists : sequence of sequences of int, n_sequences of them
    y : sequence of int of shape (n_sequences,)
        Class indices.

    Raises
    ------
    ValueError
        Not exactly one label per sequence.
    """
    if len(token_lists) != len(y):
        raise ValueError(
            f"expected one label per sequence, got {len(token_lists)} sequences "
            f"and {len(y)} labels"
        )
    offsets = np.zeros(len(token_lists) + 1, np.int64)
    np.cumsum([len(tokens) for tokens in token_lists], out=offsets[1:])
    tokens = np.empty(int(offsets[-1]), np.int32)
    for i, ids in enumerate(token_lists):
        tokens[offsets[i] : offsets[i + 1]] = ids
    return Sequences(tokens, offsets, np.asarray(y, np.int64))


def sequences_digest(train: Sequences, test: Sequences) -> str:
    """Return the hex SHA-256 over ids, boundaries and labels of both parts.

    Equal on every machine: byte order and integer widths are fixed.
    """
    digest = hashlib.sha256()
    for part in (train.copied(), test.copied()):
        for array, dtype in (
            (part.tokens, "<i4"),
            (part.offsets, "<i8"),
            (part.y, "<i8"),
        ):
            # The size first: arrays cannot be shifted into one another.
            digest.update(len(array).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return digest.hexdigest()


def filler_words(n_words: int, taken: set[str]) -> list[str]:
    """Return at most `n_words` pronounceable words, none of them in `taken`."""
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    n = len(syllables)
    words = []
    for i in range(n * n):
        # A step coprime to n² mixes the syllables: neighbours in rank look unlike.
        first, second = divmod(i * 1847 % (n * n), n)
        word = syllables[first] + syllables[second]
        if word not in taken:
            words.append(word)
    return words[:n_words]
