"""The fixed sample examples of a study, explained where the model is: in a worker."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm_bench.arrays import IntArray
from lstm_bench.data.dataset import Dataset
from lstm_bench.data.splits import Splits
from lstm_bench.explaining.attribution import turn
from lstm_bench.explaining.explanation import N_POINTS, Read, running_of, text_of
from lstm_bench.explaining.network import CLASSIFIERS, Network
from lstm_bench.models.backend import keras
from lstm_bench.suites.config import TrialConfig
from lstm_bench.training.evidence import fit_evidence

DIGITS = 4


def explain_samples(
    model: keras.Model,
    config: TrialConfig,
    dataset: Dataset,
    splits: Splits,
    rows: IntArray,
) -> list[dict[str, Any]]:
    """Return running probability and integrated gradients of validation examples.

    Parameters
    ----------
    rows : int64 ndarray
        Which examples of ``splits.val``.

    Returns
    -------
    list of dict
        Empty where the head gives no classes. ``index`` and ``y_true`` as in the run's
        samples; ``target``, the class that the model gives; by step ``steps``,
        ``is_word``, ``p`` (the running probability of the target) and ``values`` (its
        integrated gradients); ``turn``.
    """
    if config.head not in CLASSIFIERS:
        return []
    val = splits.at_length(config.sequence_length).val
    evidence = None
    if config.ngram_evidence:
        train = splits.at_length(config.sequence_length).train
        evidence = fit_evidence(train, config, dataset.n_classes).whole
    network = Network(model, config.model_dump(), dataset.kind, evidence)
    about = {"kind": dataset.kind, "tokenizer": dataset.tokenizer}
    found = []
    for row in rows.tolist():
        given = dataset.raw(val, row)
        if isinstance(given, str):
            is_letters = dataset.tokenizer == "characters"
            given = list(given) if is_letters else given.split(" ") if given else []
        text = text_of(val[row], given, about, network.config)
        read = Read(network, text)
        running = running_of(read, network.traces(read.x)[-1])
        target = int(running[-1].argmax())
        slopes = network.gradients(text.sequence, target, N_POINTS)
        shown = read.shown()
        found.append(
            {
                "index": int(splits.val_index[row]),
                "y_true": int(val.y[row]),
                "target": target,
                "turn": turn(running),
                "steps": shown["steps"],
                "is_word": shown["is_word"],
                "p": np.round(running[:, target], DIGITS).tolist(),
                "values": np.round(slopes.values.sum(axis=1), DIGITS).tolist(),
            }
        )
    return found
