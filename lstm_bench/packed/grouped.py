"""Adam's step from a gradient of some rows for each token, or none.

The loops are plain Numba: they wait for memory, so that explicit vector instructions
gain nothing. Each sum is computed by one thread, row by row in order: it does not
depend on the number of threads.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba.core import types

from lstm_bench.arrays import Float32Array
from lstm_bench.packed.layout import Int32Array
from lstm_bench.packed.signature import CONST_INTS, INTS
from lstm_bench.packed.team import Team

PIECES_PER_THREAD = 8
"""So many that no thread waits long for another whose rows take longer."""

_ROWS = types.Array(types.float32, 2, "C")
_CONST_ROWS = types.Array(types.float32, 2, "C", readonly=True)


@dataclass(frozen=True)
class Groups:
    """The rows that belong to each number.

    Attributes
    ----------
    rows : int32 ndarray of shape (n_rows,)
        Sorted by their number; those of one number keep their order.
    starts : int32 ndarray of shape (n_numbers + 1,)
        Where each number's rows begin and end in `rows`.
    """

    rows: Int32Array
    starts: Int32Array

    @classmethod
    def of(cls, number_of_row: Int32Array, n_numbers: int) -> Groups:
        """Group rows by `number_of_row`, of shape (n_rows,), in [0, n_numbers)."""
        rows = np.empty(len(number_of_row), np.int32)
        starts = np.zeros(n_numbers + 1, np.int32)
        _sort(number_of_row, rows, starts)
        return cls(rows, starts)

    def pieces(self, n_threads: int) -> list[tuple[int, int]]:
        """Return ranges of numbers with about equal computing time."""
        work = self.starts + np.arange(len(self.starts))
        n_pieces = PIECES_PER_THREAD * n_threads
        wanted = np.linspace(0, work[-1], n_pieces + 1)
        edges = np.searchsorted(work, wanted)
        return [(int(a), int(b)) for a, b in itertools.pairwise(edges) if b > a]


@numba.njit(  # type: ignore[untyped-decorator]
    types.void(CONST_INTS, INTS, INTS), cache=True, nogil=True
)
def _sort(number_of_row: Any, rows: Any, starts: Any) -> None:
    """Fill `rows` and `starts`, which are zero on entry, by counting sort."""
    n = len(starts) - 1
    for row in range(len(number_of_row)):
        starts[number_of_row[row] + 1] += 1
    for number in range(n):
        starts[number + 1] += starts[number]
    place = starts[:n].copy()
    for row in range(len(number_of_row)):
        number = number_of_row[row]
        rows[place[number]] = row
        place[number] += 1


@dataclass(frozen=True)
class AdamState:
    """A variable and its Adam moments, float32 ndarrays of shape (n, features).

    Attributes
    ----------
    value, m, v : float32 ndarray
    """

    value: Float32Array
    m: Float32Array
    v: Float32Array


@numba.njit(  # type: ignore[untyped-decorator]
    types.void(
        *[CONST_INTS] * 2,
        *[_CONST_ROWS] * 4,
        *[_ROWS] * 3,
        *[types.int64] * 2,
        *[types.float32] * 4,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _step_adam(
    rows: Any,
    starts: Any,
    gradient: Any,
    value: Any,
    m: Any,
    v: Any,
    new_value: Any,
    new_m: Any,
    new_v: Any,
    begin: int,
    end: int,
    alpha: float,
    share_1: float,
    share_2: float,
    epsilon: float,
) -> None:
    n_features = value.shape[1]
    total = np.empty(n_features, np.float32)
    squares = np.empty(n_features, np.float32)
    for number in range(begin, end):
        total[:] = 0.0
        squares[:] = 0.0
        for place in range(starts[number], starts[number + 1]):
            row = gradient[rows[place]]
            for j in range(n_features):
                total[j] += row[j]
                squares[j] += row[j] * row[j]
        of_value, of_m, of_v = value[number], m[number], v[number]
        to_value, to_m, to_v = new_value[number], new_m[number], new_v[number]
        for j in range(n_features):
            m_j = of_m[j] + (total[j] - of_m[j]) * share_1
            v_j = of_v[j] + (squares[j] - of_v[j]) * share_2
            to_m[j] = m_j
            to_v[j] = v_j
            to_value[j] = of_value[j] - m_j * alpha / (np.sqrt(v_j) + epsilon)


def step_adam(
    gradient: Float32Array,
    groups: Groups,
    old: AdamState,
    new: AdamState,
    team: Team,
    *,
    alpha: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Write Adam's step of a variable whose gradient is a sum over some rows.

    As in Keras's Adam on TensorFlow, the second moment accumulates the sum of the rows'
    squares, not the square of their sum, and the moments of rows without a gradient
    decay, too.

    Parameters
    ----------
    gradient : float32 ndarray of shape (n_rows, features)
        Each belongs to one row of the variable.
    groups : Groups
        The variable's row that each of them belongs to.
    new : AdamState
        Overwritten; it must not share memory with `old`.
    alpha : float
        learning rate * sqrt(1 - beta_2^t) / (1 - beta_1^t).

    References
    ----------
    Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, section 2, in
    the order of its last paragraph.
    """
    numbers = [np.float32(x) for x in (alpha, 1 - beta_1, 1 - beta_2, epsilon)]
    team.do(
        [
            functools.partial(
                _step_adam,
                groups.rows,
                groups.starts,
                gradient,
                old.value,
                old.m,
                old.v,
                new.value,
                new.m,
                new.v,
                begin,
                end,
                *numbers,
            )
            for begin, end in groups.pieces(team.n_threads)
        ]
    )
