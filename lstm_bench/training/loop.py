"""Train and evaluate one model, on trimmed batches where padding is masked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_bench.arrays import Float32Array, FloatArray, IntArray, Targets
from lstm_bench.data.dataset import Sequences, TargetScaling, Units, Values
from lstm_bench.errors import TrialFailed
from lstm_bench.metrics import Metric, evaluate
from lstm_bench.models.backend import keras, tf
from lstm_bench.models.encoding import TokensWithEvidence, encode
from lstm_bench.models.gradients import added_by_token
from lstm_bench.models.heads import HEADS
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.config import PER_TOKEN, TrialConfig
from lstm_bench.suites.engines import PACKED, STOCK
from lstm_bench.system.threads import n_kernel_threads
from lstm_bench.tasks import CLASSIFICATION, TaskName
from lstm_bench.text import first_line
from lstm_bench.training.averaging import Averages
from lstm_bench.training.batches import (
    evaluation_batches,
    jitter,
    take_batch,
    training_batches,
)
from lstm_bench.training.checkpoint import Checkpoint, State
from lstm_bench.training.result import (
    EPOCH_TIME,
    EVAL_TIME,
    SAMPLES_PER_SECOND,
    History,
    metric_key,
)
from lstm_bench.training.schedule import is_scheduled, learning_rates

OnStep = Callable[[], None]
"""Called after every step of training; may raise TrialFailed."""

OnEpoch = Callable[[dict[str, float]], None]
"""Called after every epoch with its entry of the history; may raise to end it."""


@dataclass(frozen=True)
class Encoded:
    """One split, encoded for a configuration.

    Attributes
    ----------
    x : ndarray
        Token ids or vectors, as `encode` returns them.
    lengths : int64 ndarray of shape (n,)
    y : ndarray
        Classes of shape (n,), or numbers of shape (n, n_outputs).
    targets : float32 ndarray of shape (n, head units)
    scaling : TargetScaling or None
        Of numbers; it is applied to `targets`.
    units : Units or None
        Of windows of series; it is applied to `targets` before.
    """

    x: Values | TokensWithEvidence
    lengths: IntArray
    y: Targets
    targets: npt.NDArray[np.float32]
    scaling: TargetScaling | None = None
    units: Units | None = None

    @classmethod
    def of(cls, sequences: Sequences, config: TrialConfig, n_targets: int) -> Encoded:
        """Encode `sequences` as `config` specifies."""
        x, lengths = encode(sequences, config)
        y, scaling = np.asarray(sequences.y), sequences.target_scaling
        units = sequences.units
        scaled = y if units is None else units.scaled(y)
        scaled = scaled if scaling is None else scaling.scaled(scaled)
        targets = HEADS[config.head].encode_targets(scaled, n_targets)
        return cls(x, lengths, y, targets, scaling, units)

    def take_targets(self, order: IntArray) -> Encoded:
        """Return the examples' targets at `order`, whose inputs are those of all."""
        units = None if self.units is None else self.units.take(order)
        return replace(self, y=self.y[order], units=units)

    def decoded(self, outputs: npt.NDArray[np.float32], head: str) -> FloatArray:
        """Return probabilities, or numbers in the data's units.

        Parameters
        ----------
        outputs : float32 ndarray of shape (n, head units)
        """
        predicted = HEADS[head].to_proba(outputs)
        if self.scaling is not None:
            predicted = self.scaling.unscaled(predicted)
        return predicted if self.units is None else self.units.unscaled(predicted)

    def scores(self, y_pred: FloatArray, task: TaskName) -> dict[str, float]:
        """Return the value of every metric of `task` for what is `decoded`."""
        return evaluate(self.y, y_pred, task, self.scale)

    @property
    def scale(self) -> FloatArray | None:
        """What each example's numbers are divided by for scaled metrics."""
        return None if self.units is None else self.units.scale


class Steps:
    """A model's training and prediction steps, each traced once for all lengths.

    Parameters
    ----------
    engine : {"stock", "packed"}
        Engine of the LSTMs. Results agree to about 1e-6; the model consists of stock
        layers in either case.
    class_weights : float32 ndarray of shape (n_classes,), or None
        Weight of each class's examples in the loss that is trained on; None: 1.
    task : {"classification", "regression"}
        Whose metrics score the predictions.
    jitter_seed : int
        Of the random lengths of first segments.

    Attributes
    ----------
    loss_fn : callable
        Maps targets and outputs to the loss of each example.
    train_step : callable
        Takes a batch (of the model's input, float32 targets of shape (n, head units)),
        updates the weights, and returns the loss and the outputs before the update.

    Notes
    -----
    Plain ``model.fit`` traces again when batch lengths change, which takes seconds
    each time; one signature with free dimensions avoids this.
    """

    def __init__(
        self,
        model: keras.Model,
        config: TrialConfig,
        engine: str = STOCK,
        class_weights: Float32Array | None = None,
        task: TaskName = CLASSIFICATION,
        jitter_seed: int = 0,
    ) -> None:
        self.model = model
        self.task: TaskName = task
        self.config = config
        self.engine = engine
        self.jitter_seed = jitter_seed
        model.optimizer.build(model.trainable_variables)
        forward: Any = model
        update = model.optimizer.apply
        if engine == PACKED:
            # Imported here: it needs Numba, which the stock engine does not.
            from lstm_bench.packed.network import PackedForward

            forward = PackedForward(model, config, n_kernel_threads)
            update = forward.update_of(model.optimizer)
        loss_fn = trained_loss_fn = self.loss_fn = keras.losses.get(
            HEADS[config.head].loss
        )
        if config.label_smoothing:
            trained_loss_fn = partial(loss_fn, label_smoothing=config.label_smoothing)
        averages = None
        if config.weight_averaging is not None:
            averages = Averages(model, config.weight_averaging)
        self._averages = averages
        n_outputs = model.output_shape[-1]
        batch = tf.TensorSpec((None, *model.input_shape[1:]), model.inputs[0].dtype)
        targets = tf.TensorSpec((None, n_outputs), tf.float32)

        def train_step(x: Any, y: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                raw = forward(x, training=True)
                losses = trained_loss_fn(y, raw)
                loss = tf.reduce_mean(_weighted(losses, y, class_weights))
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables)
            if config.embedding_gradient == PER_TOKEN:
                gradients = added_by_token(gradients, variables)
            update(gradients, variables)
            if averages is not None:
                averages.update()
            return loss, raw

        def predict_step(x: Any, y: Any) -> tuple[Any, Any]:
            raw = forward(x, training=False)
            return tf.reduce_sum(loss_fn(y, raw)), raw

        # No AutoGraph: no step branches in Python on a tensor's values.
        self.train_step, self._predict_step = (
            tf.function(step, input_signature=[batch, targets], autograph=False)
            for step in (train_step, predict_step)
        )

    def _all_variables(self) -> list[Any]:
        averages = () if self._averages is None else self._averages.variables
        return [*self.model.variables, *self.model.optimizer.variables, *averages]

    def variables(self) -> list[Any]:
        """Return the values of the model's and the optimizer's variables, and averages.

        After them a resumed training goes on as if uninterrupted.
        """
        return [np.asarray(variable) for variable in self._all_variables()]

    def set_variables(self, values: list[Any]) -> None:
        """Set the values that `variables` returned."""
        for variable, value in zip(self._all_variables(), values, strict=True):
            variable.assign(value)

    def averaged(self) -> AbstractContextManager[None]:
        """Let the model have, for a while, the weights that are scored and kept."""
        return nullcontext() if self._averages is None else self._averages.in_place()

    def keep_averages(self) -> None:
        """Replace the trained weights by their averages, if the configuration has any.

        Training cannot go on from there.
        """
        if self._averages is not None:
            self._averages.keep()

    def trace(self) -> None:
        """Trace both steps now, so that no timed epoch includes it."""
        self.train_step.get_concrete_function()
        self._predict_step.get_concrete_function()

    def train_epoch(
        self,
        data: Encoded,
        rng: np.random.Generator,
        on_step: OnStep = lambda: None,
        n_epochs: int | None = None,
    ) -> tuple[float, FloatArray, Encoded]:
        """Train on every example once.

        Parameters
        ----------
        n_epochs : int or None
            That the schedule of the learning rate spans; None: `max_epochs`.

        Returns
        -------
        loss : float
            Mean over examples of the loss that is trained on, with dropout on.
        y_pred : float64 ndarray
            As `decoded` in each step, before the weight update.
        true : Encoded
            The targets, in the order of `y_pred`.

        Raises
        ------
        TrialFailed
            The loss is not finite, or memory is exhausted.
        """
        batches = training_batches(data.lengths, self.config, rng)
        total, outputs = 0.0, []
        optimizer, rates = self.model.optimizer, None
        # The number of steps so far is saved with the training.
        jitter_rng = derive_rng(self.jitter_seed, "step", int(optimizer.iterations))
        has_jitter = self.config.chop_jitter and self.config.chop_length is not None
        if is_scheduled(self.config):
            n_steps = (n_epochs or self.config.max_epochs) * len(batches)
            rates = learning_rates(self.config, n_steps)[int(optimizer.iterations) :]
        with _expected_failures():
            for number, index in enumerate(batches, start=1):
                if rates is not None:
                    optimizer.learning_rate = rates[number - 1]
                x = take_batch(data.x, data.lengths, index, self.config)
                if has_jitter:
                    x = jitter(x, self.config, jitter_rng)
                loss, raw = self.train_step(x, data.targets[index])
                batch_loss = float(loss)
                if not np.isfinite(batch_loss):
                    raise TrialFailed(
                        f"loss became {batch_loss} in step {number} of "
                        f"{len(batches)}; a lower learning_rate may help"
                    )
                total += batch_loss * len(index)
                outputs.append(raw.numpy())
                on_step()
        true = data.take_targets(np.concatenate(batches))
        y_pred = true.decoded(np.concatenate(outputs), self.config.head)
        return total / len(true.y), y_pred, true

    def predict(self, data: Encoded) -> tuple[float, FloatArray]:
        """Return the mean loss and what is `decoded` for each example, in order.

        Raises
        ------
        TrialFailed
            An output is not finite, or memory is exhausted.
        """
        total = 0.0
        raw = np.empty((len(data.y), self.model.output_shape[-1]), np.float32)
        with _expected_failures():
            for index in evaluation_batches(data.lengths, self.config, self.engine):
                x = take_batch(data.x, data.lengths, index, self.config)
                loss, outputs = self._predict_step(x, data.targets[index])
                total += float(loss)
                raw[index] = outputs.numpy()
        if not np.isfinite(raw).all():
            raise TrialFailed("the model's outputs are not finite")
        return total / len(data.y), data.decoded(raw, self.config.head)


@contextmanager
def _expected_failures() -> Iterator[None]:
    """Turn exhausted memory into a failed trial."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise TrialFailed(f"out of memory: {first_line(error)}") from error


def balanced_weights(y: IntArray, n_classes: int) -> Float32Array:
    """Return weights that give every class the same share of the loss.

    Parameters
    ----------
    y : int64 ndarray of shape (n,)
        Classes of the training examples; every class occurs.

    Returns
    -------
    float32 ndarray of shape (n_classes,)
        n / (n_classes * count of the class), as scikit-learn's
        ``class_weight="balanced"``; their mean over the examples is 1.
    """
    counts = np.bincount(y, minlength=n_classes)
    return (len(y) / (n_classes * counts)).astype(np.float32)


def _weighted(losses: Any, targets: Any, class_weights: Float32Array | None) -> Any:
    """Return the losses of a batch, of shape (n,), times their classes' weights.

    Parameters
    ----------
    targets : float32 tensor of shape (n, head units)
    """
    if class_weights is None:
        return losses
    if targets.shape[-1] == 1:
        targets = tf.concat([1.0 - targets, targets], axis=1)
    return losses * tf.reduce_sum(targets * class_weights, axis=1)


def fit(
    steps: Steps,
    train: Encoded,
    val: Encoded,
    *,
    metric: Metric,
    rng: np.random.Generator,
    on_epoch: OnEpoch = lambda entry: None,
    on_step: OnStep = lambda: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[History, FloatArray]:
    """Train until ``max_epochs`` or until `metric` on `val` stops improving.

    With ``patience`` the weights of the best epoch are restored at the end; without
    it, those of the last epoch remain. With ``weight_averaging`` these are averages.

    Parameters
    ----------
    rng : numpy.random.Generator
        Orders the examples.
    on_epoch : callable
        May end the training by an exception, which is not caught.
    checkpoint : Checkpoint or None
        Where the state is saved after each epoch. If a state is there, training resumes
        from it as if uninterrupted; `on_epoch` is first called with the completed
        epochs.

    Returns
    -------
    history : History
    val_proba : float64 ndarray
        Predictions of the final weights, as `Steps.predict` returns them.

    Raises
    ------
    TrialFailed
        The loss is not finite, or memory is exhausted.
    """
    config = steps.config
    objective = metric_key("val", metric.name)
    steps.trace()
    history = History()
    best_weights: list[Any] | None = None
    best_proba: FloatArray | None = None
    val_proba: FloatArray | None = None
    saved = None if checkpoint is None else checkpoint.load()
    if saved is not None:
        history, best_weights = saved.history, saved.best_weights
        history.n_resumed = len(history.epochs)
        val_proba, best_proba = saved.val_proba, saved.best_proba
        steps.set_variables(saved.variables)
        rng.bit_generator.state = saved.rng
        for entry in history.epochs:
            on_epoch(entry)
    engines = [*(saved.engines if saved is not None else ()), steps.engine]
    while val_proba is None or not _is_over(history, config):
        epoch = len(history.epochs) + 1
        entry, val_proba = _train_epoch(steps, train, val, rng, epoch, on_step)
        history.epochs.append(entry)
        if epoch == 1 or metric.is_better(
            entry[objective], history.at(history.best_epoch)[objective]
        ):
            history.best_epoch = epoch
            if config.patience is not None:
                with steps.averaged():
                    best_weights = steps.model.get_weights()
                best_proba = val_proba
        if checkpoint is not None:
            # Before `on_epoch`, which is then called only once per epoch.
            checkpoint.save(
                State(
                    history,
                    steps.variables(),
                    dict(rng.bit_generator.state),
                    best_weights,
                    val_proba,
                    best_proba,
                    engines,
                )
            )
        on_epoch(entry)
    if best_weights is not None and history.best_epoch != len(history.epochs):
        steps.model.set_weights(best_weights)
    else:
        steps.keep_averages()
    return history, val_proba if best_proba is None else best_proba


def fit_epochs(
    steps: Steps,
    train: Encoded,
    n_epochs: int,
    *,
    rng: np.random.Generator,
    on_epoch: OnEpoch = lambda entry: None,
    on_step: OnStep = lambda: None,
) -> History:
    """Train for a number of epochs, without validation.

    The last weights remain, or their averages.

    Parameters
    ----------
    n_epochs : int
        The schedule of the learning rate spans these.
    rng : numpy.random.Generator
        Orders the examples.

    Returns
    -------
    History
        Without values of validation.

    Raises
    ------
    TrialFailed
        The loss is not finite, or memory is exhausted.
    """
    steps.trace()
    history = History()
    for epoch in range(1, n_epochs + 1):
        start = time.perf_counter()
        loss, y_pred, true = steps.train_epoch(train, rng, on_step, n_epochs)
        epoch_time = time.perf_counter() - start
        scores = {"loss": loss, **true.scores(y_pred, steps.task)}
        entry = {metric_key("train", name): value for name, value in scores.items()}
        entry |= {
            "epoch": epoch,
            EPOCH_TIME: epoch_time,
            SAMPLES_PER_SECOND: len(train.y) / epoch_time,
        }
        history.epochs.append(entry)
        on_epoch(entry)
    steps.keep_averages()
    return history


def _is_over(history: History, config: TrialConfig) -> bool:
    n = len(history.epochs)
    return n >= config.max_epochs or (
        config.patience is not None and n - history.best_epoch >= config.patience
    )


def _train_epoch(
    steps: Steps,
    train: Encoded,
    val: Encoded,
    rng: np.random.Generator,
    epoch: int,
    on_step: OnStep,
) -> tuple[dict[str, float], FloatArray]:
    """Train on every example once; return the epoch's entry and `val`'s predictions."""
    start = time.perf_counter()
    train_loss, train_proba, true = steps.train_epoch(train, rng, on_step)
    epoch_time = time.perf_counter() - start
    with steps.averaged():
        val_loss, val_proba = steps.predict(val)
    eval_time = time.perf_counter() - start - epoch_time
    entry: dict[str, float] = {"epoch": epoch}
    for split, loss, data, proba in (
        ("train", train_loss, true, train_proba),
        ("val", val_loss, val, val_proba),
    ):
        entry[metric_key(split, "loss")] = loss
        for name, value in data.scores(proba, steps.task).items():
            entry[metric_key(split, name)] = value
    entry[EPOCH_TIME] = epoch_time
    entry[EVAL_TIME] = eval_time
    entry[SAMPLES_PER_SECOND] = len(train.y) / epoch_time
    return entry, val_proba
