import pytest
from pydantic import ValidationError

from lstm_bench.space import (
    CategoricalAxis,
    FloatAxis,
    IntAxis,
    SearchSpace,
    TrialConfig,
)


def test_config_id_depends_on_every_value_and_nothing_else():
    assert TrialConfig().config_id == TrialConfig(units=100).config_id
    assert TrialConfig(units=64).config_id != TrialConfig().config_id
    assert len(TrialConfig().config_id) == 12


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("units", 0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("head", "relu"),
        ("sequence_length", 0),
        ("learning_rate", 0),
        ("patience", 0),
    ],
)
def test_values_out_of_bounds_are_rejected(field, value):
    with pytest.raises(ValidationError):
        TrialConfig(**{field: value})


@pytest.mark.parametrize(
    ("axis", "n"),
    [
        (CategoricalAxis((1, 2, 3)), 3),
        (IntAxis(1, 10), 10),
        (IntAxis(1, 10, step=4), 3),
        (FloatAxis(0.0, 0.5, step=0.1), 6),
        (FloatAxis(0.0, 0.5), None),
    ],
)
def test_axes_count_their_values(axis, n):
    assert axis.n_choices == n


def test_the_space_multiplies_its_axes():
    axes = {"units": CategoricalAxis((1, 2)), "dropout": FloatAxis(0, 0.4, step=0.2)}
    assert SearchSpace(axes).n_configurations == 6
    assert SearchSpace({"dropout": FloatAxis(0, 0.4)}).n_configurations is None


class FirstChoice:
    """A sampler that takes the first value."""

    def suggest_categorical(self, name, choices):
        return choices[0]

    def suggest_int(self, name, low, high, *, step=1, log=False):
        return low

    def suggest_float(self, name, low, high, *, step=None, log=False):
        return low


def test_suggesting_sets_the_axes_and_keeps_the_defaults():
    space = SearchSpace(
        {"units": IntAxis(8, 16), "head": CategoricalAxis(("softmax",))}
    )
    config = space.suggest(FirstChoice(), TrialConfig(dropout=0.3))
    assert (config.units, config.head, config.dropout) == (8, "softmax", 0.3)
