"""From a text or a series to a model's probabilities.

Training and every logged model use these functions, so that a served model reads a text
as it was read in training. A logged model has a copy of this file, which is why it
imports nothing of this package; it needs NumPy, and Keras only where the model is one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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


def spaced(text: str) -> str:
    """Return `text` in lower case, with spaces for what is no part of a word."""
    return text.lower().translate(_FILTERED)


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
        return [word for word in spaced(text).split(" ") if word]
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


# A model folder

ABOUT, NETWORK, ARRAYS = "about.json", "model.keras", "arrays.npz"
"""Files of a model folder: what the model is and how it reads its input, and either
the Keras model or the arrays of a baseline."""

FORMAT = 1

LSTM = "lstm"
BATCH = 256

Floats = npt.NDArray[np.float64]
Forward = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""Maps an input of a network, from `batch_of`, to its outputs."""


@dataclass(frozen=True)
class Model:
    """A trained model that reads texts, lists of categories, or series.

    Attributes
    ----------
    about : dict
        The content of ``about.json``: among others ``kind`` ("tokens" or "vectors"),
        ``tokenizer``, ``model`` ("lstm" or the name of a baseline), ``class_names``,
        ``config``, ``vocabulary``, ``scaling``, ``channels``, and ``why``, a sentence
        on which of a study's models it is.
    """

    about: Mapping[str, Any]
    _proba: Callable[[list[npt.NDArray[Any]]], Floats]
    _index: Mapping[str, int] = field(default_factory=dict)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the probabilities."""
        return list(self.about["class_names"])

    def predict_proba(self, inputs: Sequence[Any]) -> Floats:
        """Return each input's probabilities.

        Parameters
        ----------
        inputs : sequence
            Texts; for the tokenizer "categories", lists of str; for vectors, series
            of shape (length, n_channels), or (length,) of one channel.

        Returns
        -------
        float64 ndarray of shape (n, n_classes), rows sum to 1

        Raises
        ------
        ValueError
            An input is not of the kind that this model reads.
        """
        sequences = [self._read(each, i) for i, each in enumerate(inputs)]
        if not sequences:
            return np.zeros((0, len(self.class_names)))
        return self._proba(sequences)

    def unknown_share(self, value: Any) -> float:
        """Return the share of a text's words, or of categories, that the model lacks.

        NaN for an empty text, 0 for a series of numbers.
        """
        if self.about["kind"] != "tokens":
            return 0.0
        words = self._words(value, 0)
        unknown = sum(word not in self._index for word in words)
        return unknown / len(words) if words else float("nan")

    def _read(self, value: Any, i: int) -> npt.NDArray[Any]:
        if self.about["kind"] == "tokens":
            return ids_of(self._words(value, i), self._index)
        return self._vectors(value, i)

    def _words(self, value: Any, i: int) -> Sequence[str]:
        tokenizer = self.about["tokenizer"]
        if not self._index:
            raise ValueError(
                "this model reads ids of words, and its data came without the words "
                "that they stand for: it cannot read texts"
            )
        if tokenizer == "categories":
            is_list = isinstance(value, (list, tuple, np.ndarray))
            if not is_list or not all(isinstance(v, str) for v in value):
                raise ValueError(
                    f"input {i + 1}: expected a list of categories as str, got "
                    f"{_shown(value)}"
                )
            categories: Sequence[str] = value
            return categories
        if not isinstance(value, str):
            raise ValueError(f"input {i + 1}: expected a text, got {_shown(value)}")
        return tokenize(value, tokenizer)

    def _vectors(self, value: Any, i: int) -> npt.NDArray[np.float32]:
        n_channels = len(self.about["channels"])
        try:
            series = np.asarray(value, np.float64)
        except (ValueError, TypeError):
            series = np.zeros(0)
        if series.ndim == 1 and n_channels == 1:
            series = series[:, None]
        if series.ndim != 2 or series.shape[1] != n_channels or not len(series):
            raise ValueError(
                f"input {i + 1}: expected a series of steps with {n_channels} "
                f"number(s) each, got {_shown(value)}"
            )
        if not np.isfinite(series).all():
            raise ValueError(f"input {i + 1}: expected finite numbers, got NaN or inf")
        scaling = self.about["scaling"]
        scaled = series.astype(np.float32)
        scaled -= np.asarray(scaling["mean"], np.float32)
        scaled /= np.asarray(scaling["std"], np.float32)
        return scaled


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def load(
    folder: str | os.PathLike[str],
    make_forward: Callable[[Any, Mapping[str, Any]], Forward] | None = None,
) -> Model:
    """Load the model of a model folder.

    Parameters
    ----------
    make_forward : callable or None
        Given the Keras model and its configuration, returns the function that computes
        outputs; None: Keras itself.

    Raises
    ------
    OSError
        The folder has not the files of a model.
    """
    path = Path(folder)
    about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    index = index_of(about["vocabulary"])
    n_classes = len(about["class_names"])
    if about["model"] != LSTM:
        raise ValueError(f"{path}: expected a network, got {about['model']}")
    model = _load_network(path / NETWORK)
    config, kind = about["config"], about["kind"]
    forward = (make_forward or _forward_of_keras)(model, config)

    def network_proba(sequences: list[npt.NDArray[Any]]) -> Floats:
        # Of similar length, so that little is padded.
        order = np.argsort([len(s) for s in sequences], kind="stable")
        proba = np.empty((len(sequences), n_classes))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            x = batch_of([sequences[i] for i in part], config, kind)
            proba[part] = proba_of(forward(x), config["head"])
        return proba

    return Model(about, network_proba, index)


def _load_network(file: Path) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    return keras.models.load_model(file, compile=False)


def _forward_of_keras(model: Any, config: Mapping[str, Any]) -> Forward:
    # Not `predict`, which prints, nor a call, which runs each step from Python.
    return lambda x: np.asarray(model.predict_on_batch(x))
