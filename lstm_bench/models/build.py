"""Build Keras models of stock layers from configurations."""

from __future__ import annotations

from typing import Any

from lstm_bench.models.backend import keras
from lstm_bench.models.heads import HEADS
from lstm_bench.suites.config import TrialConfig


def build_model(
    config: TrialConfig, n_classes: int, n_channels: int | None = None
) -> keras.Model:
    """Build and compile the model of `config`.

    The output has shape (batch, head units). Only stock layers and operations are
    used, so that a saved model loads without lstm_bench.

    Parameters
    ----------
    n_channels : int or None
        None: the input is int token ids of shape (batch, n_timesteps), 0 where padded,
        any n_timesteps. Otherwise it is float vectors of shape (batch, n_timesteps,
        n_channels + 1), whose last channel is 1 at a step and 0 where padded, and the
        model has no embedding.

    Raises
    ------
    SuiteError
        The head does not fit the number of classes.
    """
    head = HEADS[config.head]
    n_outputs = head.n_units(n_classes)
    is_causal = config.padding == "post" and not config.bidirectional
    mask_layers = config.masking and not is_causal
    mask = None
    if n_channels is None:
        inputs = keras.Input((None,), dtype="int32", name="tokens")
        x = keras.layers.Embedding(
            config.vocabulary_size,
            config.embedding_dim,
            mask_zero=mask_layers,
            name="embedding",
        )(inputs)
        is_step = keras.ops.not_equal(inputs, 0) if config.masking else None
    else:
        inputs = keras.Input((None, n_channels + 1), dtype="float32", name="vectors")
        x = inputs[:, :, :-1]
        is_step = keras.ops.not_equal(inputs[:, :, -1], 0.0)
        if mask_layers:
            mask = is_step
    for layer in range(config.num_layers):
        is_last = layer == config.num_layers - 1
        lstm = keras.layers.LSTM(
            config.units,
            dropout=config.dropout,
            recurrent_dropout=config.recurrent_dropout,
            return_sequences=not is_last
            or config.pooling != "last"
            or (config.masking and is_causal),
            name=f"lstm_{layer + 1}",
        )
        if config.bidirectional:
            lstm = keras.layers.Bidirectional(lstm, name=f"bidirectional_{layer + 1}")
        # An embedding's mask goes from layer to layer by itself.
        x = lstm(x) if mask is None else lstm(x, mask=mask)
    if config.masking:
        x = _pool_steps(x, is_step, config, is_causal)
    elif config.pooling == "mean":
        x = keras.ops.mean(x, axis=1)
    elif config.pooling == "max":
        x = keras.ops.max(x, axis=1)
    if config.head_dropout:
        x = keras.layers.Dropout(config.head_dropout, name="head_dropout")(x)
    outputs = keras.layers.Dense(n_outputs, activation=head.activation, name="head")(x)
    model = keras.Model(inputs, outputs, name="lstm")
    optimizer = keras.optimizers.get(
        {
            "class_name": config.optimizer,
            "config": {"learning_rate": config.learning_rate},
        }
    )
    model.compile(optimizer=optimizer, loss=head.loss, metrics=["accuracy"])
    return model


def _pool_steps(
    outputs: Any, is_step: Any, config: TrialConfig, is_causal: bool
) -> Any:
    """Pool LSTM outputs over the steps that are not padding.

    Parameters
    ----------
    outputs : tensor of shape (batch, n_timesteps, features), or (batch, features)
        where the layers are masked and only the last output is needed
    is_step : bool tensor of shape (batch, n_timesteps)

    Returns
    -------
    tensor of shape (batch, features)
    """
    ops = keras.ops
    if config.pooling == "last" and not is_causal:
        return outputs
    if config.pooling == "max":
        # Below all LSTM outputs, which lie in (-1, 1).
        return ops.max(ops.where(ops.expand_dims(is_step, -1), outputs, -1.0), axis=1)
    steps = ops.cast(is_step, "int32")
    n_steps = ops.sum(steps, axis=1, keepdims=True)
    if config.pooling == "last":
        position = ops.cumsum(ops.ones_like(steps), axis=1)
        weights = ops.cast(ops.equal(position, n_steps), outputs.dtype)
    else:
        share = 1.0 / ops.maximum(ops.cast(n_steps, outputs.dtype), 1.0)
        weights = ops.cast(is_step, outputs.dtype) * share
    return ops.sum(outputs * ops.expand_dims(weights, -1), axis=1)
