"""The recurrent cells: names, numbers of parameters, and units for equal numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstm_bench.suites.config import TrialConfig

CELL_NAMES = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}
"""What Keras calls the layer of each cell."""

BLOCKS = {"lstm": (4, 1), "gru": (3, 2), "simple_rnn": (1, 1)}
"""For each cell, the number of blocks of ``units`` columns of its kernels, and of its
biases. Keras's GRU has two: its recurrent kernel has one of its own (reset_after)."""


def n_recurrent_parameters(config: TrialConfig, n_inputs: int) -> int:
    """Return the number of parameters of all recurrent layers.

    A layer of one direction has blocks * units * (inputs + units + biases), with
    `BLOCKS`.

    Parameters
    ----------
    n_inputs : int
        Of the first layer: ``embedding_dim``, or the number of channels of a series.
    """
    n_blocks, n_biases = BLOCKS[config.cell]
    n_directions = 2 if config.bidirectional else 1
    total = 0
    for _ in range(config.num_layers):
        of_unit = n_blocks * (n_inputs + config.units + n_biases)
        total += n_directions * config.units * of_unit
        n_inputs = n_directions * config.units
    return total


def equal_units(config: TrialConfig, cell: str, n_inputs: int) -> int:
    """Return the units with which `cell` has most nearly as many parameters.

    The other hyperparameters are those of `config`; see `n_recurrent_parameters`.
    """
    wanted = n_recurrent_parameters(config, n_inputs)

    def n_of(units: int) -> int:
        other = config.model_copy(update={"cell": cell, "units": units})
        return n_recurrent_parameters(other, n_inputs)

    units = 1
    while n_of(units + 1) <= wanted:
        units += 1
    return min(units, units + 1, key=lambda n: abs(n_of(n) - wanted))
