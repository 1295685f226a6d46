"""One training, from data to result; independent of MLflow and Optuna."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import Float32Array, FloatArray, IntArray
from lstm_bench.data.dataset import VECTORS, Dataset, Sequences
from lstm_bench.data.registry import memory_task
from lstm_bench.data.splits import Splits
from lstm_bench.errors import SuiteError
from lstm_bench.metrics import Metric
from lstm_bench.models.backend import keras, keras_seed
from lstm_bench.models.build import build_model
from lstm_bench.seeding import derive_rng, derive_seed
from lstm_bench.suites.config import COOCCURRENCE, FROM_FILE, TrialConfig
from lstm_bench.suites.engines import STOCK
from lstm_bench.training.checkpoint import Checkpoint
from lstm_bench.training.cooccurrence import fit_cooccurrence
from lstm_bench.training.evidence import fit_evidence
from lstm_bench.training.gradients import N_SEQUENCES, input_gradients
from lstm_bench.training.loop import (
    Encoded,
    OnEpoch,
    OnStep,
    Steps,
    balanced_weights,
    fit,
    fit_epochs,
)
from lstm_bench.training.result import (
    EPOCH_TIME,
    EVAL_TIME,
    KEPT_EPOCH,
    N_EPOCHS,
    N_PARAMETERS,
    N_RESUMED,
    OBJECTIVE,
    SAMPLES_PER_SECOND,
    TOTAL_TIME,
    TRAIN_TIME,
    Prediction,
    TrialResult,
    metric_key,
    prediction_of,
)

OnOrigin = Callable[[int, int], None]
"""Called with the number of a test origin, from 1, and how many there are, before a
training at it and after each of its epochs; may raise to end it."""

N_SAMPLES = 5
N_ERRORS = 20
SHOWN_WORDS = 60


def run_trial(
    config: TrialConfig,
    dataset: Dataset,
    splits: Splits,
    *,
    metric: Metric,
    root_seed: int,
    replicate: int = 0,
    score_test: bool = False,
    on_epoch: OnEpoch = lambda entry: None,
    on_step: OnStep = lambda: None,
    on_origin: OnOrigin = lambda number, n: None,
    checkpoint: Checkpoint | None = None,
    engine: str = STOCK,
) -> tuple[TrialResult, keras.Model]:
    """Train one configuration with one seed and evaluate it.

    Initial weights, dropout and the order of examples depend on the replicate and
    not on the configuration, so that configurations are paired by replicate.

    Parameters
    ----------
    score_test : bool
        Whether to score the test set, too. False in a search. Where models are trained
        again at every test origin, the test set is predicted by those.
    checkpoint : Checkpoint or None
        Where the state is saved after each epoch and resumed from, if there is one.
    engine : {"stock", "packed"}
        Engine of the LSTMs; from `choose_engine`.

    Raises
    ------
    TrialFailed
        The loss is not finite, or memory is exhausted.
    SuiteError
        The head does not fit the dataset's classes.
    """
    start = time.perf_counter()
    splits = splits.at_length(config.sequence_length)
    evidence = None
    if config.ngram_evidence:
        evidence = fit_evidence(splits.train, config, dataset.n_classes, on_step)
        splits = replace(
            splits,
            train=evidence.of_train(splits.train),
            val=evidence.of(splits.val),
        )
    steps = _new_steps(
        config, dataset, splits.train, root_seed, replicate, engine, on_step
    )
    model = steps.model
    initial = steps.variables() if splits.test_origins else []
    train = Encoded.of(splits.train, config, dataset.n_targets)
    val = Encoded.of(splits.val, config, dataset.n_targets)
    gradients: dict[str, list[float]] = {}
    if memory_task(dataset.name) is not None:
        few = splits.val.take(np.arange(min(N_SEQUENCES, len(splits.val))))
        norms = input_gradients(steps, Encoded.of(few, config, dataset.n_targets))
        gradients["before"] = norms()
    history, val_proba = fit(
        steps,
        train,
        val,
        metric=metric,
        rng=derive_rng(root_seed, "order", replicate),
        on_epoch=on_epoch,
        on_step=on_step,
        checkpoint=checkpoint,
    )
    if gradients:
        gradients["after"] = norms()
    # The weights of the best epoch, or without patience of the last.
    kept = history.best_epoch if config.patience is not None else len(history.epochs)
    metrics = {
        key: value for key, value in history.at(kept).items() if key.startswith("val_")
    }
    # An epoch's train_* are of changing weights, with dropout: not comparable to val_*.
    metrics |= _train_scores(steps, splits, config, dataset)
    predictions = [prediction_of("val", splits.val, splits.val_index, val_proba)]
    errors: list[dict[str, Any]] = []
    if score_test:
        read = splits.test if evidence is None else evidence.of(splits.test)
        test = Encoded.of(read, config, dataset.n_targets)
        if splits.test_origins:
            test_proba = _predict_again(
                steps,
                initial,
                kept,
                dataset,
                splits,
                rng_of=lambda: derive_rng(root_seed, "order", replicate),
                on_origin=on_origin,
                on_step=on_step,
            )
        else:
            _, test_proba = steps.predict(test)
        predictions.append(
            prediction_of("test", splits.test, np.arange(len(test.y)), test_proba)
        )
        for name, value in test.scores(test_proba, dataset.task).items():
            metrics[metric_key("test", name)] = value
        if not dataset.is_numeric:
            errors = _most_confident_errors(dataset, splits, predictions[-1])
    objective = metrics[metric_key("val", metric.name)]
    epoch_times = [entry[EPOCH_TIME] for entry in history.epochs]
    metrics |= {
        OBJECTIVE: objective,
        TRAIN_TIME: sum(epoch_times),
        EVAL_TIME: sum(entry[EVAL_TIME] for entry in history.epochs),
        EPOCH_TIME: float(np.median(epoch_times)),
        SAMPLES_PER_SECOND: float(
            np.median([entry[SAMPLES_PER_SECOND] for entry in history.epochs])
        ),
        N_PARAMETERS: float(model.count_params()),
        N_EPOCHS: float(len(history.epochs)),
        KEPT_EPOCH: float(kept),
        N_RESUMED: float(history.n_resumed),
        TOTAL_TIME: time.perf_counter()
        - start
        + sum(
            entry[EPOCH_TIME] + entry[EVAL_TIME]
            for entry in history.epochs[: history.n_resumed]
        ),
    }
    result = TrialResult(
        config,
        history,
        objective,
        metrics,
        tuple(predictions),
        _samples(dataset, splits, predictions[0], root_seed),
        dataset.class_names,
        errors,
        gradients,
        dataset.output_names,
    )
    return result, model


def _predict_again(
    steps: Steps,
    initial: list[Any],
    n_epochs: int,
    dataset: Dataset,
    splits: Splits,
    *,
    rng_of: Callable[[], np.random.Generator],
    on_origin: OnOrigin,
    on_step: OnStep,
) -> FloatArray:
    """Train again at every test origin, and return its forecasts of the test set.

    Every training begins with the same weights and order of random numbers, has the
    windows that are known at its origin, and lasts `n_epochs`. The weights that the
    model has are restored at the end.

    Parameters
    ----------
    initial : list
        The variables of `steps` before they were trained.
    rng_of : callable
        Returns a new generator for the order of the examples.
    """
    kept, config = steps.variables(), steps.config
    n = len(splits.test_origins)
    y_pred = np.empty(splits.test.y.shape)
    for number, (known, test, rows) in enumerate(splits.at_origins(dataset), start=1):

        def on_epoch(entry: dict[str, float], number: int = number) -> None:
            on_origin(number, n)

        steps.set_variables(initial)
        on_origin(number, n)
        fit_epochs(
            steps,
            Encoded.of(known, config, dataset.n_targets),
            n_epochs,
            rng=rng_of(),
            on_epoch=on_epoch,
            on_step=on_step,
        )
        _, y_pred[rows] = steps.predict(Encoded.of(test, config, dataset.n_targets))
    steps.set_variables(kept)
    return y_pred


def _new_steps(
    config: TrialConfig,
    dataset: Dataset,
    train: Sequences,
    root_seed: int,
    replicate: int,
    engine: str,
    on_wait: OnStep = lambda: None,
) -> Steps:
    """Return the steps of a new model with a replicate's initial weights."""
    with keras_seed(derive_seed(root_seed, "init", replicate)):
        model = build_model(config, dataset.n_targets, dataset.n_channels)
    if config.embedding == COOCCURRENCE:
        seed = derive_seed(root_seed, "cooccurrence", replicate)
        _set_vectors(model, *fit_cooccurrence(train, config, seed, on_wait))
    if config.embedding in FROM_FILE:
        _set_vectors(model, *_from_file(config, dataset, train))
    class_weights = None
    if config.class_weights == "balanced":
        class_weights = balanced_weights(train.y, dataset.n_classes)
    jitter_seed = derive_seed(root_seed, "jitter", replicate)
    return Steps(model, config, engine, class_weights, dataset.task, jitter_seed)


def _from_file(
    config: TrialConfig, dataset: Dataset, train: Sequences
) -> tuple[npt.NDArray[np.int32], Float32Array]:
    """Return ids and vectors of the words that the embedding file has."""
    if dataset.embedding is None:
        raise SuiteError(
            f"embedding: {config.embedding} needs data with word vectors, got none; "
            "name a file in dataset.embedding_file"
        )
    return dataset.embedding.rows_of(train.fitted, config.vocabulary_size)


def _set_vectors(
    model: keras.Model, ids: npt.NDArray[np.int32], vectors: Float32Array
) -> None:
    """Give some words their vectors; all other numbers remain the random ones."""
    embeddings = model.get_layer("embedding").embeddings
    weights = np.array(embeddings)
    weights[ids, : vectors.shape[1]] = vectors
    embeddings.assign(weights)


def refit(
    config: TrialConfig,
    dataset: Dataset,
    train: Sequences,
    *,
    root_seed: int,
    replicate: int,
    on_epoch: OnEpoch = lambda entry: None,
    on_step: OnStep = lambda: None,
    engine: str = STOCK,
) -> keras.Model:
    """Train one configuration for all of its `max_epochs`, and score nothing.

    Parameters
    ----------
    train : Sequences
        Everything to train on, with what is fitted on it.
    replicate : int
        Whose initial weights and order of examples to use.

    Raises
    ------
    TrialFailed
        The loss is not finite, or memory is exhausted.
    """
    train = train.at_length(config.sequence_length)
    if config.ngram_evidence:
        evidence = fit_evidence(train, config, dataset.n_classes, on_step)
        train = evidence.of_train(train)
    steps = _new_steps(config, dataset, train, root_seed, replicate, engine, on_step)
    fit_epochs(
        steps,
        Encoded.of(train, config, dataset.n_targets),
        config.max_epochs,
        rng=derive_rng(root_seed, "order", replicate),
        on_epoch=on_epoch,
        on_step=on_step,
    )
    return steps.model


def _train_scores(
    steps: Steps, splits: Splits, config: TrialConfig, dataset: Dataset
) -> dict[str, float]:
    """Score the current weights on training sequences, as validation is scored.

    It uses at most as many sequences as validation has, and so costs as much as one
    more validation. The first sequences of a split are balanced by class.
    """
    n = min(len(splits.train), len(splits.val))
    taken = splits.train.take(np.arange(n))
    sample = Encoded.of(taken, config, dataset.n_targets)
    loss, y_pred = steps.predict(sample)
    scores = {"loss": loss, **sample.scores(y_pred, dataset.task)}
    return {metric_key("train", name): value for name, value in scores.items()}


def free_memory() -> None:
    """Delete every Keras model and graph of this process; call between trials."""
    # Without Keras's own garbage collection: gc.collect follows.
    keras.backend.clear_session(free_memory=False)
    gc.collect()


def _samples(
    dataset: Dataset, splits: Splits, prediction: Prediction, root_seed: int
) -> list[dict[str, Any]]:
    """Return the same few validation examples for every run of a study.

    None for regression, whose report has every prediction in one figure.
    """
    if dataset.is_numeric:
        return []
    rows = sample_rows(splits, root_seed)
    return [_shown(dataset, splits.val, prediction, int(row)) for row in rows]


def sample_rows(splits: Splits, root_seed: int) -> IntArray:
    """Return which validation examples are the samples of every run of a study."""
    rng = derive_rng(root_seed, "samples")
    n = min(N_SAMPLES, len(splits.val))
    return np.sort(rng.choice(len(splits.val), size=n, replace=False))


def _most_confident_errors(
    dataset: Dataset, splits: Splits, prediction: Prediction
) -> list[dict[str, Any]]:
    """Return the test examples that were misclassified most confidently."""
    confidence = prediction.y_proba.max(axis=1)
    wrong = np.flatnonzero(prediction.y_proba.argmax(axis=1) != prediction.y_true)
    rows = wrong[np.argsort(-confidence[wrong], kind="stable")][:N_ERRORS]
    return [_shown(dataset, splits.test, prediction, int(row)) for row in rows]


def _shown(
    dataset: Dataset, sequences: Sequences, prediction: Prediction, row: int
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "index": int(prediction.index[row]),
        "text": dataset.text(sequences, row, max_words=SHOWN_WORDS),
        "y_true": int(prediction.y_true[row]),
        "y_proba": [float(p) for p in prediction.y_proba[row]],
    }
    if dataset.kind == VECTORS:
        shown["values"] = dataset.thinned(sequences, row)
    return shown
