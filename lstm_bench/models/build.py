"""Build Keras models of stock layers from configurations."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from lstm_bench.models.backend import keras
from lstm_bench.models.heads import HEADS
from lstm_bench.suites.config import TrialConfig

CELLS: Mapping[str, Callable[..., keras.layers.Layer]] = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "simple_rnn": keras.layers.SimpleRNN,
}
"""Keras's layer for each ``cell``."""

EMBEDDING_DROPOUT = "embedding_dropout"
"""Name of the hyperparameter, and of the layer, that drops numbers of the embedding
matrix."""

STEP_DROPOUTS: Mapping[str, Callable[..., keras.layers.Layer]] = {
    "token_dropout": functools.partial(
        keras.layers.Dropout, noise_shape=(None, None, 1)
    ),
    "spatial_dropout": keras.layers.SpatialDropout1D,
}
"""Keras's layers that drop numbers of the first recurrent layer's input, in their
order, each under the name of the hyperparameter that is its rate."""

EVIDENCE_INPUT, EVIDENCE_LAYER = "evidence_and_tokens", "words_and_evidence"
"""Names of the input of a model that reads n-gram evidence, and of the layer whose
output is the words' vectors with the evidence beside."""

ATTENTION_LAYERS = ("attention_hidden", "attention_score")
"""Names of the layers of attention pooling."""


def build_model(
    config: TrialConfig, n_targets: int, n_channels: int | None = None
) -> keras.Model:
    """Build and compile the model of `config`.

    The output has shape (batch, head units). Only stock layers and operations are
    used, so that a saved model loads without lstm_bench.

    Parameters
    ----------
    n_targets : int
        Number of classes, or of numbers to predict.
    n_channels : int or None
        None: the input is int token ids of shape (batch, n_timesteps), 0 where padded,
        any n_timesteps. Otherwise it is float vectors of shape (batch, n_timesteps,
        n_channels + 1), whose last channel is 1 at a step and 0 where padded, and the
        model has no embedding. Of tokens with ``ngram_evidence`` it is float of shape
        (batch, n_timesteps, `n_evidence_values` + 1), whose last channel is the token
        id.

    Raises
    ------
    SuiteError
        The head does not fit the number of classes.
    """
    head = HEADS[config.head]
    n_outputs = head.n_units(n_targets)
    inputs, x, is_step = _read(config, n_targets, n_channels)
    for name, layer in STEP_DROPOUTS.items():
        if rate := getattr(config, name):
            x = layer(rate, name=name)(x)
    if config.ngram_evidence:
        beside = keras.layers.Concatenate(name=EVIDENCE_LAYER)
        x = beside([x, inputs[:, :, :-1]])
    is_causal = config.padding == "post" and not config.bidirectional
    if config.chop_length is None:
        x = _recur(x, None if is_causal else is_step, config, is_causal)
    else:
        x = _recur_by_segment(x, is_step, config, is_causal, config.chop_length)
    x = _pool(x, is_step, config, is_causal)
    if config.head_dropout:
        x = keras.layers.Dropout(config.head_dropout, name="head_dropout")(x)
    outputs = keras.layers.Dense(n_outputs, activation=head.activation, name="head")(x)
    model = keras.Model(inputs, outputs, name=config.cell)
    if config.forget_bias == "chrono":
        _set_chrono_biases(model, config)
    settings = {
        "learning_rate": config.learning_rate,
        "global_clipnorm": config.gradient_clip_norm,
    }
    if config.weight_decay is not None:
        settings["weight_decay"] = config.weight_decay
    optimizer = keras.optimizers.get(
        {"class_name": config.optimizer, "config": settings}
    )
    model.compile(optimizer=optimizer, loss=head.loss, metrics=[head.metric])
    return model


def n_evidence_values(config: TrialConfig, n_classes: int) -> int:
    """Return how many numbers of evidence a model of `config` reads beside a word.

    Two for each n and each class; of two classes for the second alone.
    """
    return 2 * config.ngram_evidence * (1 if n_classes == 2 else n_classes)


def _read(
    config: TrialConfig, n_targets: int, n_channels: int | None
) -> tuple[Any, Any, Any]:
    """Return a model's input, its vectors, and what is a step.

    Returns
    -------
    inputs : tensor
        See `build_model`.
    x : float tensor of shape (batch, n_timesteps, features)
    is_step : bool tensor of shape (batch, n_timesteps), or None
        None without masking: all are steps.
    """
    if n_channels is None:
        if config.ngram_evidence:
            n_values = n_evidence_values(config, n_targets)
            shape = (None, n_values + 1)
            inputs = keras.Input(shape, dtype="float32", name=EVIDENCE_INPUT)
            tokens = keras.ops.cast(inputs[:, :, -1], "int32")
        else:
            inputs = tokens = keras.Input((None,), dtype="int32", name="tokens")
        x = keras.layers.Embedding(
            config.vocabulary_size,
            config.embedding_dim,
            trainable=config.embedding != "frozen",
            name="embedding",
        )(tokens)
        if config.embedding_dropout:
            x *= _kept_of_words(tokens, config)
        is_step = keras.ops.not_equal(tokens, 0) if config.masking else None
    else:
        inputs = keras.Input((None, n_channels + 1), dtype="float32", name="vectors")
        x = inputs[:, :, :-1]
        is_step = None
        if config.masking:
            is_step = keras.ops.not_equal(inputs[:, :, -1], 0.0)
    return inputs, x, is_step


def _kept_of_words(tokens: Any, config: TrialConfig) -> Any:
    """Return the mask of the embedding matrix, drawn for each batch, of each token.

    All occurrences of a word in a batch have the same numbers dropped.

    References
    ----------
    Gal & Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent
    Neural Networks", NeurIPS 2016, section 4.2, which drops whole rows.
    """
    ops = keras.ops
    # Zero of the model's input: Keras would draw the mask of a constant only once.
    zero = ops.cast(ops.sum(ops.zeros_like(tokens)), "float32")
    matrix = ops.ones((config.vocabulary_size, config.embedding_dim)) + zero
    dropout = keras.layers.Dropout(config.embedding_dropout, name=EMBEDDING_DROPOUT)
    return ops.take(dropout(matrix), tokens, axis=0)


def _recur(x: Any, mask: Any, config: TrialConfig, is_causal: bool) -> Any:
    """Return the outputs of the recurrent layers.

    Parameters
    ----------
    x : tensor of shape (batch, n_timesteps, features)
    mask : bool tensor of shape (batch, n_timesteps), or None
        What the layers read; None: everything.

    Returns
    -------
    tensor of shape (batch, n_timesteps, features), or (batch, features) of the last
    """
    # Keras initializes forget gates with 1 unless this is False.
    options = {} if config.forget_bias == "one" else {"unit_forget_bias": False}
    if config.chop_length is not None and config.cell != "simple_rnn":
        # cuDNN reads no sequence that is all padding, as some segments are.
        options["use_cudnn"] = False
    for layer in range(config.num_layers):
        is_last = layer == config.num_layers - 1
        recurrent = CELLS[config.cell](
            config.units,
            dropout=config.dropout,
            recurrent_dropout=config.recurrent_dropout,
            return_sequences=not is_last
            or config.pooling != "last"
            or (config.masking and is_causal),
            name=f"{config.cell}_{layer + 1}",
            **options,
        )
        if config.bidirectional:
            recurrent = keras.layers.Bidirectional(
                recurrent, name=f"bidirectional_{layer + 1}"
            )
        x = recurrent(x) if mask is None else recurrent(x, mask=mask)
    return x


def recurrent_layers(
    model: keras.Model, config: TrialConfig
) -> list[tuple[keras.layers.RNN, ...]]:
    """Return a model's recurrent layers, the first first.

    Each is a tuple: the layer, or those that read forwards and backwards.
    """
    name = "bidirectional" if config.bidirectional else config.cell
    layers = [model.get_layer(f"{name}_{n + 1}") for n in range(config.num_layers)]
    if config.bidirectional:
        return [(layer.forward_layer, layer.backward_layer) for layer in layers]
    return [(layer,) for layer in layers]


def _set_chrono_biases(model: keras.Model, config: TrialConfig) -> None:
    """Draw the biases of the LSTMs' forget and input gates for long dependencies.

    Forget gates have the bias b = log u with u uniform in [1, T - 1], so that units
    forget after about 1 to T steps, and input gates have -b. T, the longest range of
    dependencies to expect, is ``sequence_length``, whatever the sequences' own lengths.

    References
    ----------
    Tallec & Ollivier, "Can Recurrent Neural Networks Warp Time?", ICLR 2018, section 2.
    """
    units = config.units
    longest = max(1.0, config.sequence_length - 1.0)
    for layers in recurrent_layers(model, config):
        for layer in layers:
            # From Keras's global seed, which the other initial weights do not draw on.
            bias = keras.ops.log(keras.random.uniform((units,), 1.0, longest))
            zeros = keras.ops.zeros((2 * units,))
            layer.cell.bias.assign(keras.ops.concatenate([-bias, bias, zeros]))


def _attend(outputs: Any, is_step: Any) -> Any:
    """Return the mean over the steps of each sequence, weighted by attention.

    With the outputs h_t, the weights are a softmax over t of v^T tanh(W h_t + b); W, b
    and v are trained. Padding has the weight 0.

    Parameters
    ----------
    outputs : tensor of shape (batch, n_timesteps, features)
    is_step : bool tensor of shape (batch, n_timesteps), or None
        None: all are steps.

    References
    ----------
    Yang et al., "Hierarchical Attention Networks for Document Classification", NAACL
    2016, equations 5 to 7.
    """
    ops = keras.ops
    hidden = keras.layers.Dense(
        outputs.shape[-1], activation="tanh", name=ATTENTION_LAYERS[0]
    )(outputs)
    scores = keras.layers.Dense(1, use_bias=False, name=ATTENTION_LAYERS[1])(hidden)
    if is_step is not None:
        is_step = ops.expand_dims(is_step, -1)
        scores = ops.where(is_step, scores, -1e9)
    weights = ops.softmax(scores, axis=1)
    if is_step is not None:
        # Of a sequence without steps, too.
        weights *= ops.cast(is_step, weights.dtype)
    return ops.sum(outputs * weights, axis=1)


def _recur_by_segment(
    x: Any, is_step: Any, config: TrialConfig, is_causal: bool, length: int
) -> Any:
    """Return the outputs of the recurrent layers, which read each segment by itself.

    Every segment is a sequence of its own to them.

    Parameters
    ----------
    x : tensor of shape (batch, n_timesteps, features)
    is_step : bool tensor of shape (batch, n_timesteps)
    length : int
        Of a segment, in steps.

    Returns
    -------
    tensor of shape (batch, n_timesteps, features)
    """
    ops = keras.ops
    # No shape is known before there is a batch: places are counted.
    ones = ops.ones_like(ops.cast(is_step, "int32"))
    row, step = (ops.cumsum(ones, axis=axis) - 1 for axis in (0, 1))
    # In rows of n_timesteps and padding, the first step of each segment.
    n_columns = ops.sum(ones, axis=1, keepdims=True) + (length - 1)
    first = (row * n_columns + step)[:, ::length]
    n_segments = ops.sum(ops.ones_like(first), axis=1, keepdims=True)
    # In this order: Keras would take the vector for a bias of as many channels.
    places = ops.arange(length, dtype="int32") + ops.expand_dims(first, -1)

    def segments_of(steps: Any) -> Any:
        padded = ops.pad(steps, ((0, 0), (0, length - 1), (0, 0)))
        flat = ops.reshape(padded, (-1, steps.shape[-1]))
        return ops.take(flat, ops.reshape(places, (-1, length)), axis=0)

    mask = None
    # The random length of a first segment leaves padding before its steps.
    if not is_causal or config.chop_jitter:
        mask = segments_of(ops.expand_dims(is_step, -1))[:, :, 0]
    outputs = _recur(segments_of(x), mask, config, is_causal)
    flat = ops.reshape(outputs, (-1, outputs.shape[-1]))
    return ops.take(flat, row * n_segments * length + step, axis=0)


def _pool(outputs: Any, is_step: Any, config: TrialConfig, is_causal: bool) -> Any:
    """Pool a layer's outputs over the steps that are not padding.

    Parameters
    ----------
    outputs : tensor of shape (batch, n_timesteps, features), or (batch, features)
        where the layers read what is a step alone and only the last output is needed
    is_step : bool tensor of shape (batch, n_timesteps), or None
        None: all are steps.

    Returns
    -------
    tensor of shape (batch, features), with ``mean_max`` (batch, 2 * features)
    """
    ops = keras.ops
    if config.pooling == "attention":
        return _attend(outputs, is_step)
    if config.pooling == "last":
        if is_step is None or not is_causal:
            return outputs
        steps = ops.cast(is_step, "int32")
        position = ops.cumsum(ops.ones_like(steps), axis=1)
        is_last = ops.equal(position, ops.sum(steps, axis=1, keepdims=True))
        return _weighted_sum(outputs, ops.cast(is_last, outputs.dtype))
    pooled = [POOLED[name](outputs, is_step) for name in config.pooling.split("_")]
    return pooled[0] if len(pooled) == 1 else ops.concatenate(pooled, axis=-1)


def _mean(outputs: Any, is_step: Any) -> Any:
    ops = keras.ops
    if is_step is None:
        return ops.mean(outputs, axis=1)
    weights = ops.cast(is_step, outputs.dtype)
    # 0 for a sequence without steps.
    n_steps = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
    return _weighted_sum(outputs, weights / n_steps)


def _max(outputs: Any, is_step: Any) -> Any:
    ops = keras.ops
    if is_step is not None:
        # Below all outputs, which lie in (-1, 1).
        outputs = ops.where(ops.expand_dims(is_step, -1), outputs, -1.0)
    return ops.max(outputs, axis=1)


def _weighted_sum(outputs: Any, weights: Any) -> Any:
    """Return the sum over the steps, given weights of shape (batch, n_timesteps)."""
    return keras.ops.sum(outputs * keras.ops.expand_dims(weights, -1), axis=1)


POOLED: Mapping[str, Callable[[Any, Any], Any]] = {"mean": _mean, "max": _max}
"""Statistics of the outputs over the steps, of which a pooling's name is made."""
