"""Examples on which an exported model is compared with the model itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstm_bench.data.dataset import VECTORS, Values
from lstm_bench.errors import DatasetError, SuiteError
from lstm_bench.inference import INDEX_FROM, OUT_OF_VOCABULARY, START
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.suite import Suite
from lstm_bench.text import count, first_line
from lstm_bench.training.prepare import prepare

N_EXAMPLES = 256
SEED = 0
"""Root of the seed named ``export`` of random examples."""

LONGEST_BASELINE = 200
# The dataset that is downloaded where it is missing.
DOWNLOADED = "imdb"
# Of the characters that Unicode leaves to private use, so no word of a language.
UNKNOWN_WORD = "\ue000"


@dataclass(frozen=True)
class Examples:
    """Sequences to compare on.

    Attributes
    ----------
    sequences : list of ndarray
        Token ids, int32 of shape (length,), or scaled vectors, float32 of shape
        (length, n_channels).
    what : str
        What they are, such as ``256 validation examples``.
    """

    sequences: Sequence[Values]
    what: str


def examples_of(
    about: Mapping[str, Any], suite: Suite, data_dir: Path | None
) -> Examples:
    """Return validation examples, or random ones where the data are not at hand.

    Parameters
    ----------
    about : mapping
        The content of a model folder's ``about.json``.
    suite : Suite
        The suite of the model's study.
    data_dir : Path or None
        Folder with the raw data; None is ``$LSTM_BENCH_DATA``. Nothing is downloaded
        for a comparison.
    """
    name = suite.dataset.name
    has_folder = data_dir is not None or os.environ.get("LSTM_BENCH_DATA")
    why = "no --data-dir is given"
    if has_folder or name != DOWNLOADED:
        try:
            val = prepare(suite, data_dir).at(about["replicate"]).splits.val
        except (DatasetError, SuiteError) as error:
            why = first_line(error)
        else:
            n = min(N_EXAMPLES, len(val))
            return Examples([val[i] for i in range(n)], count(n, "validation example"))
    sequences = random_sequences(about)
    longest = max(map(len, sequences))
    return Examples(
        sequences,
        f"{count(len(sequences), 'random sequence')} of 1 to {longest:,} steps (seed "
        f"{SEED}; {why})",
    )


def random_sequences(about: Mapping[str, Any], n: int = N_EXAMPLES) -> list[Values]:
    """Return random sequences of every length that a model reads.

    Parameters
    ----------
    about : mapping
        The content of a model folder's ``about.json``.
    n : int
        Number of sequences. Their lengths go in equal steps from 1 to
        ``sequence_length`` (for a baseline to 200).

    Returns
    -------
    list of ndarray
        Token ids that begin with the start token, each of the vocabulary's words and
        "out of vocabulary" equally probable; or standard normal vectors; of forecasts
        whole windows.
    """
    rng = derive_rng(SEED, "export")
    config = about["config"]
    longest = config["sequence_length"] if config else LONGEST_BASELINE
    lengths = np.linspace(1, longest, n).round().astype(int)
    if forecast := about.get("forecast"):
        windows = rng.normal(size=(n, forecast["window"])).astype(np.float32)
        # The last value is known, and is the level.
        windows[:, -1] = 0.0
        return [*np.stack([windows, np.zeros_like(windows)], axis=2)]
    if about["kind"] == VECTORS:
        shape = len(about["channels"])
        return [rng.normal(size=(k, shape)).astype(np.float32) for k in lengths]
    n_ids = INDEX_FROM + 1 + len(about["vocabulary"])
    if config and not about["vocabulary"]:
        n_ids = config["vocabulary_size"]
    # 3 is no word's id.
    ids = np.setdiff1d(np.arange(START + 1, n_ids), [INDEX_FROM])
    return [
        np.concatenate([[START], rng.choice(ids, k - 1)]).astype(np.int32)
        for k in lengths
    ]


def inputs_of(about: Mapping[str, Any], sequences: Sequence[Values]) -> list[Any]:
    """Return sequences as a user of the model would give them.

    Returns
    -------
    list
        Texts, lists of categories, or series that are not scaled, as nested lists; of
        forecasts windows of one of the study's series, whose last known value is 0.
    """
    if about.get("forecast"):
        name, scale = next(iter(about["forecast"]["scales"].items()))
        return [
            {
                "unique_id": name,
                "values": np.where(
                    window[:, 1] == 1, np.nan, window[:, 0] * scale
                ).tolist(),
            }
            for window in sequences
        ]
    if about["kind"] == VECTORS:
        mean, std = (np.array(about["scaling"][key]) for key in ("mean", "std"))
        return [(sequence * std + mean).tolist() for sequence in sequences]
    first = INDEX_FROM + 1
    words = dict(enumerate(about["vocabulary"], start=first))
    inputs = [
        [
            words.get(i, UNKNOWN_WORD)
            for i in sequence.tolist()
            if i >= OUT_OF_VOCABULARY
        ]
        for sequence in sequences
    ]
    if about["tokenizer"] == "categories":
        return inputs
    between = "" if about["tokenizer"] == "characters" else " "
    return [between.join(each) for each in inputs]
