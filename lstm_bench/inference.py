"""From a text or a series to a model's input, with NumPy and the standard library.

Training and every logged model use these functions, so that a served model reads a text
as it was read in training. A logged model has a copy of this file, which is why it
imports nothing of this package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

PAD, START, OUT_OF_VOCABULARY, INDEX_FROM = 0, 1, 2, 3
"""Reserved token ids, as in `keras.datasets.imdb`: the word of frequency rank r
(from 1) has id r + INDEX_FROM."""

TOKENIZERS = ("words", "whitespace", "characters")
"""Ways to divide a text: as Keras's tokenizer does by default (lower case, punctuation
removed), at white space only, or into single characters."""

_FILTERED = {ord(c): " " for c in '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'}


def tokenize(text: str, tokenizer: str) -> list[str]:
    """Return the tokens of `text`.

    Parameters
    ----------
    tokenizer : {"words", "whitespace", "characters"}

    Raises
    ------
    ValueError
        No such tokenizer.

    Examples
    --------
    >>> tokenize("Not bad, at all!", "words")
    ['not', 'bad', 'at', 'all']
    >>> tokenize("Not bad, at all!", "whitespace")
    ['Not', 'bad,', 'at', 'all!']
    >>> tokenize("Not", "characters")
    ['N', 'o', 't']
    """
    if tokenizer == "words":
        words = text.lower().translate(_FILTERED).split(" ")
        return [word for word in words if word]
    if tokenizer == "whitespace":
        return text.split()
    if tokenizer == "characters":
        return list(text)
    raise ValueError(
        f"tokenizer: expected one of {', '.join(TOKENIZERS)}, got {tokenizer!r}"
    )


def index_of(vocabulary: Iterable[str]) -> dict[str, int]:
    """Return each word's token id, given the words in the order of their rank."""
    return {word: rank + INDEX_FROM for rank, word in enumerate(vocabulary, start=1)}


def ids_of(words: Sequence[str], index: Mapping[str, int]) -> npt.NDArray[np.int32]:
    """Return the token ids of `words` after `START`.

    Parameters
    ----------
    index : mapping
        From `index_of`; other words become `OUT_OF_VOCABULARY`.

    Returns
    -------
    int32 ndarray of shape (n_words + 1,)
    """
    ids = (index.get(word, OUT_OF_VOCABULARY) for word in words)
    return np.fromiter((START, *ids), np.int32, len(words) + 1)


def kept_of(length: int, limit: int, truncating: str) -> slice:
    """Return which of `length` steps remain of at most `limit`.

    Parameters
    ----------
    truncating : {"pre", "post"}
        Where a longer sequence is cut: at its start or at its end.
    """
    start = max(0, length - limit) if truncating == "pre" else 0
    return slice(start, start + min(length, limit))


def batch_of(
    sequences: Sequence[npt.NDArray[Any]], config: Mapping[str, Any], kind: str
) -> npt.NDArray[Any]:
    """Return sequences as one input of a network.

    Parameters
    ----------
    sequences : sequence of ndarray
        Token ids, int32 of shape (length,), or vectors, float32 of shape (length,
        n_channels), already scaled.
    config : mapping
        ``sequence_length``, ``truncating``, ``padding``, ``masking`` and, for tokens,
        ``vocabulary_size``, as in a suite.
    kind : {"tokens", "vectors"}

    Returns
    -------
    ndarray
        Tokens: int32 of shape (n, n_timesteps), `PAD` where padded. Vectors: float32
        of shape (n, n_timesteps, n_channels + 1), whose last channel is 1 at a step
        and 0 where padded. n_timesteps is the length of the longest, or without
        masking ``sequence_length``.
    """
    limit = config["sequence_length"]
    kept = [s[kept_of(len(s), limit, config["truncating"])] for s in sequences]
    longest = max((len(s) for s in kept), default=0)
    n_timesteps = max(1, longest) if config["masking"] else limit
    if kind == "tokens":
        x: npt.NDArray[Any] = np.zeros((len(kept), n_timesteps), np.int32)
    else:
        n_channels = sequences[0].shape[1]
        x = np.zeros((len(kept), n_timesteps, n_channels + 1), np.float32)
    for row, steps in zip(x, kept, strict=True):
        length = len(steps)
        first = n_timesteps - length if config["padding"] == "pre" else 0
        if kind == "tokens":
            row[first : first + length] = np.where(
                steps < config["vocabulary_size"], steps, OUT_OF_VOCABULARY
            )
        else:
            row[first : first + length, :-1] = steps
            row[first : first + length, -1] = 1.0
    return x


def proba_of(outputs: npt.NDArray[np.floating], head: str) -> npt.NDArray[np.float64]:
    """Return probabilities, given a network's outputs.

    Parameters
    ----------
    outputs : ndarray of shape (n, head units)
    head : {"sigmoid", "softmax"}

    Returns
    -------
    float64 ndarray of shape (n, n_classes), rows sum to 1
    """
    if head == "sigmoid":
        p = outputs.reshape(-1).astype(np.float64)
        return np.column_stack([1.0 - p, p])
    proba = outputs.astype(np.float64)
    normalised: npt.NDArray[np.float64] = proba / proba.sum(axis=1, keepdims=True)
    return normalised
