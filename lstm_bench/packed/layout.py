"""The layout of a batch's tokens without padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]


REVIEWS_PER_PART = 16
"""Few enough that the state of a part stays in the cache, and that no thread waits long
for the others; more were no faster. It does not depend on the number of threads, so
that the order of sums does not either."""


@dataclass(frozen=True)
class Part:
    """A unit of work of one thread: some sequences, and their rows.

    Attributes
    ----------
    first_review, n_reviews : int
        In the layout's order of sequences.
    first_row, n_rows : int
    """

    first_review: int
    n_reviews: int
    first_row: int
    n_rows: int


def n_parts_of(n_reviews: int) -> int:
    """Return the number of parts of a batch."""
    return -(-n_reviews // REVIEWS_PER_PART)


def parts_of(lengths: Int32Array) -> list[Part]:
    """Return the parts of a layout, from the lengths of its sequences."""
    parts, first_review, first_row = [], 0, 0
    n_parts = n_parts_of(len(lengths))
    for number in range(n_parts):
        end = first_review + (len(lengths) - number + n_parts - 1) // n_parts
        n_rows = int(lengths[first_review:end].sum())
        parts.append(Part(first_review, end - first_review, first_row, n_rows))
        first_review, first_row = end, first_row + n_rows
    return parts


def find_tokens(
    tokens: Int32Array, is_masked: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the start and the length of each sequence.

    Parameters
    ----------
    tokens : int32 ndarray of shape (n_reviews, n_timesteps)
        0 where padded.
    is_masked : bool
        Whether padding is left out; if not, it counts as tokens.

    Returns
    -------
    starts, lengths : int64 ndarray of shape (n_reviews,)

    Raises
    ------
    ValueError
        Padding is between tokens.
    """
    n_reviews, n_timesteps = tokens.shape
    if not is_masked or not n_timesteps:
        return np.zeros(n_reviews, np.int64), np.full(n_reviews, n_timesteps)
    is_token = tokens != 0
    lengths = is_token.sum(axis=1)
    starts = is_token.argmax(axis=1)
    ends = n_timesteps - is_token[:, ::-1].argmax(axis=1)
    if (lengths > 0).any() and ((ends - starts) != lengths)[lengths > 0].any():
        raise ValueError("tokens: expected padding at the ends alone, got 0 within")
    return starts, lengths


@dataclass(frozen=True)
class Layout:
    """The rows of a batch: one for each token, none for padding.

    The sequences are sorted by length, the longest first, and dealt out to the parts
    in turn. A part has first the first tokens of its sequences, then the second tokens
    of those that have a second, and so on: the rows of each step are contiguous, and
    the rows of the step before begin with the same sequences.

    Attributes
    ----------
    order : int32 ndarray of shape (n_reviews,)
        Number in the batch of each sequence of the layout.
    lengths : int32 ndarray of shape (n_reviews,)
        Of the layout's sequences.
    review : int32 ndarray of shape (n_rows,)
        Number in the batch of each row's sequence.
    position : int32 ndarray of shape (n_rows,)
        Position of each row's token in the flattened batch.
    reverse : int32 ndarray of shape (n_rows,)
        The row of the same sequence that is as far from its end as this row is from
        its beginning.
    """

    order: Int32Array
    lengths: Int32Array
    review: Int32Array
    position: Int32Array
    reverse: Int32Array

    @classmethod
    def of(cls, tokens: Int32Array, is_masked: bool) -> Layout:
        """Lay out `tokens` of shape (n_reviews, n_timesteps)."""
        starts, lengths = find_tokens(tokens, is_masked)
        by_length = np.argsort(-lengths, kind="stable")
        n_parts = n_parts_of(len(tokens))
        order = np.concatenate([by_length[p::n_parts] for p in range(n_parts)])
        lengths = lengths[order]
        local, steps, rows = [], [], []
        for part in parts_of(lengths.astype(np.int32)):
            end = part.first_review + part.n_reviews
            of_part = lengths[part.first_review : end]
            step, review = np.nonzero(
                np.arange(of_part.max(initial=0))[:, None] < of_part
            )
            n_active = np.bincount(step, minlength=1)
            first_of_step = np.cumsum(n_active) - n_active + part.first_row
            local.append(review + part.first_review)
            steps.append(step)
            rows.append(first_of_step[of_part[review] - 1 - step] + review)
        number = np.concatenate(local)
        review = order[number]
        position = review * tokens.shape[1] + starts[review] + np.concatenate(steps)
        return cls(
            order.astype(np.int32),
            lengths.astype(np.int32),
            review.astype(np.int32),
            position.astype(np.int32),
            np.concatenate(rows).astype(np.int32),
        )


def segments_with_tokens(
    tokens: Int32Array, length: int
) -> tuple[Int32Array, Int32Array]:
    """Cut sequences into segments; return those with tokens, the first if none has any.

    Parameters
    ----------
    tokens : int32 ndarray of shape (n_reviews, n_timesteps)
        0 where padded.
    length : int
        Of a segment.

    Returns
    -------
    segments : int32 ndarray of shape (n_segments, length)
    number : int32 ndarray of shape (n_segments,)
        Of each segment among all of the batch, each sequence having the same number.
    """
    n_timesteps = tokens.shape[1]
    padded = np.pad(tokens, ((0, 0), (0, -n_timesteps % length)))
    segments = padded.reshape(-1, length)
    number = np.flatnonzero(segments.any(axis=1))
    if not len(number):
        number = np.arange(min(1, len(segments)))
    return segments[number], number.astype(np.int32)


def number_distinct(values: Int32Array, n_values: int) -> tuple[Int32Array, Int32Array]:
    """Return the sorted distinct values, and the index of each value among them.

    Parameters
    ----------
    values : int32 ndarray of shape (n,), in [0, n_values)
    """
    is_there = np.zeros(n_values, bool)
    is_there[values] = True
    found = np.flatnonzero(is_there)
    position = np.empty(n_values, np.int32)
    position[found] = np.arange(len(found), dtype=np.int32)
    return found.astype(np.int32), position[values]
