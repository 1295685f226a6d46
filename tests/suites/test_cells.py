"""Numbers of parameters of the cells, and the units that make them equal."""

import re

import pytest
from conftest import ROOT

from lstm_bench.suites.cells import equal_units, n_recurrent_parameters
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import load_suite


@pytest.mark.parametrize(
    ("cell", "n_parameters"),
    [("lstm", 49_408), ("gru", 37_248), ("simple_rnn", 12_352)],
)
def test_parameters_of_one_layer_are_those_of_the_documentation(cell, n_parameters):
    config = TrialConfig(cell=cell, units=64)
    assert n_recurrent_parameters(config, 128) == n_parameters
    text = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"\| `{cell}` \|[^|]*\| ([0-9,]*) \| (\d*) \|", text)
    equal = equal_units(TrialConfig(units=64), cell, 128)
    assert row == (f"{n_parameters:,}", str(equal))


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
def test_parameters_are_those_of_keras(cell):
    from lstm_bench.models.build import build_model, recurrent_layers

    config = TrialConfig(cell=cell, units=5, num_layers=2, bidirectional=True)
    layers = recurrent_layers(build_model(config, 2, n_channels=3), config)
    counted = sum(layer.count_params() for both in layers for layer in both)
    assert n_recurrent_parameters(config, 3) == counted


def test_digits_cells_has_references_of_equal_size():
    references = load_suite(ROOT / "benchmarks" / "digits_cells.yaml").references
    counts = {
        config.cell: n_recurrent_parameters(config, 8) for config in references.values()
    }
    assert counts == {"lstm": 5248, "gru": 5217, "simple_rnn": 5236}
    for config in references.values():
        assert config.units == equal_units(references["LSTM"], config.cell, 8)
