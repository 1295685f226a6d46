"""Compute a stock model's outputs without its padding."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_bench.models.backend import keras, tf
from lstm_bench.models.build import (
    ATTENTION_LAYERS,
    EMBEDDING_DROPOUT,
    STEP_DROPOUTS,
    recurrent_layers,
)
from lstm_bench.packed.layout import (
    Int32Array,
    Layout,
    number_distinct,
    segments_with_tokens,
)
from lstm_bench.packed.operation import Rows, Weights, packed_layer, weakly
from lstm_bench.packed.optimizer import PackedAdam
from lstm_bench.packed.recurrence import Recurrence
from lstm_bench.packed.team import Team
from lstm_bench.suites.config import PER_OCCURRENCE, TrialConfig

NO_SEGMENTS = np.zeros(0, np.int32)

Update = Callable[[list[Any], list[Any]], None]
"""Applies gradients, the first argument, to variables, the second."""


class PackedForward:
    """Calls the layers of a stock model, with the kernel for its recurrent ones.

    The model is unchanged: its layers own the weights, and a call here reads and trains
    the same ones as ``model(...)``. So nothing has to be converted when the model is
    saved, exported or resumed from a checkpoint.

    Parameters
    ----------
    model : keras.Model
        Built by `build_model` from `config`, in float32.
    n_threads : callable
        Returns the number of threads for the kernel; see `Team`.

    Raises
    ------
    TypeError
        The model computes in a type other than float32.
    """

    def __init__(
        self,
        model: keras.Model,
        config: TrialConfig,
        n_threads: Callable[[], int],
    ) -> None:
        self.config = config
        self._directions = recurrent_layers(model, config)
        # None for vectors, which reach the first layer as they are.
        self._embedding = next(
            (layer for layer in model.layers if layer.name == "embedding"), None
        )
        self._input_dropouts, self._attention, self._tail = (
            [layer for layer in model.layers if layer.name in names]
            for names in (
                (EMBEDDING_DROPOUT, *STEP_DROPOUTS),
                ATTENTION_LAYERS,
                ("head_dropout", "head"),
            )
        )
        embedding = () if self._embedding is None else (self._embedding,)
        layers = itertools.chain(embedding, *self._directions, self._tail)
        for layer in layers:
            if layer.compute_dtype != "float32":
                raise TypeError(
                    f"{layer.name}: the packed engine computes in float32 alone, got "
                    f"{layer.compute_dtype}; unset Keras's dtype policy"
                )
        self._team = Team(n_threads)
        self._recurrence = Recurrence(self._team, config.cell)

    def __call__(self, batch: Any, training: bool) -> Any:
        """Return the model's outputs, of shape (n_reviews, head units).

        Parameters
        ----------
        batch : tensor
            The model's input, see `build_model`: token ids, 0 where padded, or vectors
            whose last channel is 0 where padded.
        """
        tokens = batch
        has_evidence = bool(self.config.ngram_evidence)
        if self._embedding is None or has_evidence:
            tokens = tf.cast(batch[:, :, -1], tf.int32)
        laid_out = tf.numpy_function(weakly(self._lay_out), [tokens], [tf.int32] * 9)
        for field in laid_out:
            field.set_shape((None,))
        *fields, ids, index, segment, review = laid_out
        rows = Rows(*fields)
        n_reviews, n_timesteps = tf.unstack(tf.shape(tokens))
        # What the recurrent layers read as sequences.
        n_read = n_reviews
        if self.config.chop_length is not None:
            n_read *= -(-n_timesteps // self.config.chop_length)
        # Where reading from the beginning and reading from the end differ.
        output_indexes = (tf.range(tf.size(rows.review)), rows.reverse)
        rows_as_inputs = ((None, None, None), (rows.reverse, None, None))
        inputs: tuple[tuple[Any, Any, Any], ...] = rows_as_inputs
        drops = training and self._input_dropouts
        if self._embedding is not None and not drops and not has_evidence:
            x: Any = self._embedding.embeddings.value
            token_of_row = tf.gather(tf.reshape(tokens, (-1,)), rows.position)
            occurrences = None
            if training and self.config.embedding_gradient == PER_OCCURRENCE:
                occurrences = _occurrences(x, token_of_row)
            inputs = (
                (token_of_row, (ids, index), occurrences),
                (
                    tf.gather(token_of_row, rows.reverse),
                    (ids, tf.gather(index, rows.reverse)),
                    None
                    if occurrences is None
                    else _in_order(occurrences, rows.reverse),
                ),
            )
        else:
            x = self._rows_of(batch, tokens, rows.position, review, training)
        for number, directions in enumerate(self._directions, start=1):
            is_last = number == len(self._directions)
            outputs = [
                packed_layer(
                    self._recurrence,
                    self._weights(
                        direction.cell, x.shape[-1], n_read, segment, training
                    ),
                    rows,
                    inputs=x,
                    source=source,
                    distinct=distinct,
                    output_index=output_index,
                    occurrences=occurrences,
                    returns_sequences=not is_last or self.config.pooling != "last",
                    is_kept=training,
                )
                for direction, output_index, (source, distinct, occurrences) in zip(
                    directions, output_indexes, inputs, strict=False
                )
            ]
            x = outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=-1)
            inputs = rows_as_inputs
        x = self._pool(x, review, n_reviews)
        for layer in self._tail:
            x = layer(x, training=training)
        return x

    def update_of(self, optimizer: keras.optimizers.Optimizer) -> Update:
        """Return a function equivalent to ``optimizer.apply``, a faster one if it can.

        Parameters
        ----------
        optimizer : keras.optimizers.Optimizer
            Built on the model's variables.
        """
        embedding = self._embedding
        update: Update = optimizer.apply
        # A frozen embedding has no gradient.
        if embedding is not None and embedding.trainable and PackedAdam.fits(optimizer):
            update = PackedAdam(optimizer, embedding.embeddings, self._team).apply
        return update

    def _lay_out(self, tokens: Int32Array) -> tuple[Int32Array, ...]:
        """Return the layout, the distinct tokens, and what the layout's sequences are.

        Returns
        -------
        order, lengths, review, position, reverse : int32 ndarray
            See `Layout`; the position is in `tokens`, and the sequences are the
            segments, if the configuration has such.
        ids : int32 ndarray of shape (n_distinct,)
        index : int32 ndarray of shape (n_rows,)
            Each row's index in `ids`.
        segment : int32 ndarray
            Number of each of the layout's segments among those of the batch; empty
            without segments.
        review : int32 ndarray of shape (n_rows,)
            Number in the batch of each row's sequence.
        """
        length = self.config.chop_length
        if length is None:
            layout, segment = Layout.of(tokens, self.config.masking), NO_SEGMENTS
            review, position = layout.review, layout.position
        else:
            segments, segment = segments_with_tokens(tokens, length)
            layout = Layout.of(segments, self.config.masking)
            n_timesteps = tokens.shape[1]
            review, place = np.divmod(
                segment[layout.review], max(1, -(-n_timesteps // length))
            )
            step = place * length + layout.position % length
            position = review * n_timesteps + step
        ids, index = number_distinct(
            tokens.reshape(-1)[position], self.config.vocabulary_size
        )
        return (
            layout.order,
            layout.lengths,
            layout.review,
            position,
            layout.reverse,
            ids,
            index,
            segment,
            review,
        )

    def _rows_of(
        self, batch: Any, tokens: Any, position: Any, review: Any, training: bool
    ) -> Any:
        """Return the first recurrent layer's input of each row.

        Parameters
        ----------
        position, review : int32 tensor of shape (n_rows,)
            Of each row's token in the flattened batch, and number of its sequence.

        Returns
        -------
        float32 tensor of shape (n_rows, features)
        """
        if len(batch.shape) == 3:
            vectors = tf.reshape(batch[:, :, :-1], (-1, batch.shape[-1] - 1))
            beside = tf.gather(vectors, position)
        if self._embedding is None:
            x = beside
            return self._dropped(x, tokens, position, review, None) if training else x
        token_of_row = tf.gather(tf.reshape(tokens, (-1,)), position)
        x = tf.gather(self._embedding.embeddings.value, token_of_row)
        if training:
            x = self._dropped(x, tokens, position, review, token_of_row)
        return tf.concat([x, beside], axis=1) if len(batch.shape) == 3 else x

    def _dropped(
        self, x: Any, tokens: Any, position: Any, review: Any, token_of_row: Any
    ) -> Any:
        """Apply the dropouts of the input to each row.

        Parameters
        ----------
        token_of_row : int32 tensor of shape (n_rows,), or None
            None of vectors, which have no embedding.
        """
        n_reviews, n_timesteps = tf.unstack(tf.shape(tokens))
        features = x.shape[-1]
        # As the layers draw them: also for padding.
        masks = {
            EMBEDDING_DROPOUT: ((self.config.vocabulary_size, features), token_of_row),
            "token_dropout": ((n_reviews, n_timesteps, 1), position),
            "spatial_dropout": ((n_reviews, 1, features), review),
        }
        for layer in self._input_dropouts:
            shape, index = masks[layer.name]
            mask = layer(tf.ones(shape), training=True)
            x *= tf.gather(tf.reshape(mask, (-1, shape[-1])), index)
        return x

    def _weights(
        self, cell: Any, n_features: int, n_read: Any, segment: Any, training: bool
    ) -> Weights:
        """Return a cell's weights, and the dropout masks that it draws for one call.

        Parameters
        ----------
        n_read : int32 tensor
            Number of sequences that the layers read: the batch's, or all segments.
        segment : int32 tensor
            See `_lay_out`.
        """
        # Keras draws masks when predicting, too, so the next step's would differ.
        input_masks = cell.get_dropout_mask(tf.ones((n_read, n_features)))
        masks = cell.get_recurrent_dropout_mask(tf.ones((n_read, cell.units)))
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
        if not training:
            return Weights.of(cell, None, None)
        drawn = [_listed(input_masks), _listed(masks)]
        if self.config.chop_length is not None:
            drawn = [
                masks and [tf.gather(mask, segment) for mask in masks]
                for masks in drawn
            ]
        return Weights.of(cell, *drawn)

    def _pool(self, x: Any, review: Any, n_reviews: Any) -> Any:
        """Return one vector for each sequence, of shape (n_reviews, head inputs).

        Parameters
        ----------
        x : float32 tensor
            The last layer's outputs: of each row, or of each sequence's last.
        review : int32 tensor of shape (n_rows,)
            Number in the batch of each row's sequence.
        """
        pooling = self.config.pooling
        if pooling == "last":
            return x
        if pooling == "attention":
            scores = x
            for layer in self._attention:
                scores = layer(scores)
            return _attend(x, scores, review, n_reviews)
        pooled = []
        if pooling in ("mean", "mean_max"):
            total, n_tokens = (
                tf.math.unsorted_segment_sum(each, review, n_reviews)
                for each in (x, tf.ones_like(review, tf.float32))
            )
            pooled.append(total / tf.maximum(n_tokens, 1.0)[:, None])
        if pooling in ("max", "mean_max"):
            most = tf.math.unsorted_segment_max(x, review, n_reviews)
            # For sequences without tokens; outputs lie in (-1, 1).
            pooled.append(tf.maximum(most, -1.0))
        return tf.concat(pooled, axis=-1)


def _listed(masks: Any) -> list[Any] | None:
    """Return a cell's masks as a list; one for all gates is not in a list."""
    return masks if masks is None or isinstance(masks, list) else [masks]


def _attend(x: Any, scores: Any, review: Any, n_reviews: Any) -> Any:
    """Return the mean of each sequence's rows, weighted by softmax of their scores.

    Parameters
    ----------
    x : tensor of shape (n_rows, features)
    scores : tensor of shape (n_rows, 1)
    """
    most = tf.math.unsorted_segment_max(scores, review, n_reviews)
    # Subtracted so that no exponential overflows; softmax is the same without it.
    weights = tf.exp(scores - tf.gather(tf.stop_gradient(most), review))
    total = tf.math.unsorted_segment_sum(weights, review, n_reviews)
    share = weights / tf.gather(total, review)
    return tf.math.unsorted_segment_sum(x * share, review, n_reviews)


def _occurrences(embeddings: Any, token_of_row: Any) -> Any:
    """Return no rows, as inputs whose gradients go to `embeddings` by token.

    It has the gradient of ``tf.gather(embeddings, token_of_row)``, but no values.
    """

    def gradient(d_rows: Any) -> Any:
        return tf.IndexedSlices(d_rows, token_of_row, tf.shape(embeddings))

    return _nothing_of(embeddings, gradient)


def _in_order(occurrences: Any, order: Any) -> Any:
    """Return the same with its rows in another order, which is its own inverse."""
    return _nothing_of(occurrences, lambda d_rows: tf.gather(d_rows, order))


def _nothing_of(x: Any, gradient: Callable[[Any], Any]) -> Any:
    """Return no rows, whose gradient `gradient` passes on to x."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def no_rows(x: Any) -> Any:
        # Of a length unknown to the graph, since the gradient has another length.
        return tf.zeros((0 * tf.shape(x)[0], x.shape[-1])), gradient

    return no_rows(x)
