"""Build Keras models of stock layers from configurations."""

from __future__ import annotations

from typing import Any

from lstm_bench.models.backend import keras
from lstm_bench.models.heads import HEADS
from lstm_bench.suites.config import TrialConfig


def build_model(config: TrialConfig, n_classes: int) -> keras.Model:
    """Build and compile the model of `config`.

    The input is int token ids of shape (batch, n_timesteps), any n_timesteps; the
    output has shape (batch, head units). Only stock layers and operations are used,
    so that a saved model loads without lstm_bench.

    Raises
    ------
    SuiteError
        The head does not fit the number of classes.
    """
    head = HEADS[config.head]
    n_outputs = head.n_units(n_classes)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    is_causal = config.padding == "post" and not config.bidirectional
    mask_layers = config.masking and not is_causal
    x = keras.layers.Embedding(
        config.vocabulary_size,
        config.embedding_dim,
        mask_zero=mask_layers,
        name="embedding",
    )(tokens)
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
        x = lstm(x)
    if config.masking:
        x = _pool_tokens(x, tokens, config, is_causal)
    elif config.pooling == "mean":
        x = keras.ops.mean(x, axis=1)
    elif config.pooling == "max":
        x = keras.ops.max(x, axis=1)
    if config.head_dropout:
        x = keras.layers.Dropout(config.head_dropout, name="head_dropout")(x)
    outputs = keras.layers.Dense(n_outputs, activation=head.activation, name="head")(x)
    model = keras.Model(tokens, outputs, name="lstm")
    optimizer = keras.optimizers.get(
        {
            "class_name": config.optimizer,
            "config": {"learning_rate": config.learning_rate},
        }
    )
    model.compile(optimizer=optimizer, loss=head.loss, metrics=["accuracy"])
    return model


def _pool_tokens(
    outputs: Any, tokens: Any, config: TrialConfig, is_causal: bool
) -> Any:
    """Pool LSTM outputs over the tokens that are not padding.

    Parameters
    ----------
    outputs : tensor of shape (batch, n_timesteps, features), or (batch, features)
        where the layers are masked and only the last output is needed
    tokens : int tensor of shape (batch, n_timesteps), 0 where padded

    Returns
    -------
    tensor of shape (batch, features)
    """
    ops = keras.ops
    if config.pooling == "last" and not is_causal:
        return outputs
    is_token = ops.not_equal(tokens, 0)
    if config.pooling == "max":
        # Below all LSTM outputs, which lie in (-1, 1).
        return ops.max(ops.where(ops.expand_dims(is_token, -1), outputs, -1.0), axis=1)
    n_tokens = ops.sum(ops.cast(is_token, "int32"), axis=1, keepdims=True)
    if config.pooling == "last":
        position = ops.cumsum(ops.ones_like(tokens), axis=1)
        weights = ops.cast(ops.equal(position, n_tokens), outputs.dtype)
    else:
        share = 1.0 / ops.maximum(ops.cast(n_tokens, outputs.dtype), 1.0)
        weights = ops.cast(is_token, outputs.dtype) * share
    return ops.sum(outputs * ops.expand_dims(weights, -1), axis=1)
