import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lstm_bench.suites.config import TrialConfig, canonical
from lstm_bench.suites.space import CategoricalAxis, FloatAxis, IntAxis, SearchSpace


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


# One float for one number


@pytest.mark.parametrize(
    ("computed", "written"),
    [(0.1 + 0.1 + 0.1, 0.3), (0.1 * 3, 0.3), (1 - 0.9, 0.1), (-0.0, 0.0), ("0.3", 0.3)],
)
def test_config_id_is_that_of_the_number_however_it_was_computed(computed, written):
    config, same = TrialConfig(dropout=computed), TrialConfig(dropout=written)
    assert config.config_id == same.config_id
    assert (config, str(config.dropout)) == (same, str(written))


def test_config_id_of_what_a_suite_writes_is_what_it_was():
    # Of the version before floats were rounded: studies keep their configurations.
    older = TrialConfig(embedding_gradient="per_occurrence")
    assert older.config_id == "e2ca9efb545f"
    values = {"dropout": 0.2, "learning_rate": 0.00123456789, "head": "softmax"}
    config = TrialConfig.model_validate({**older.model_dump(), **values})
    assert config.config_id == "1265e262441f"


def test_a_share_that_rounds_to_1_is_no_share():
    with pytest.raises(ValidationError, match="less than 1"):
        TrialConfig(dropout=0.9999999999999999)


@pytest.mark.parametrize("value", ["nan", "inf", float("nan"), float("inf")])
def test_values_that_are_not_finite_are_rejected(value):
    with pytest.raises(ValidationError, match="finite"):
        TrialConfig(learning_rate=value)


@given(st.floats(min_value=1e-300, max_value=10.0))
def test_canonical_moves_by_rounding_alone_and_once(value):
    rounded = canonical(value)
    assert canonical(rounded) == rounded == float(str(rounded))
    assert abs(rounded - value) <= 5e-12 * value


decimals = st.decimals(min_value="0.001", max_value="0.2", places=3)


@given(low=decimals, step=decimals, n=st.integers(1, 50), i=st.integers(0, 49))
def test_a_stepped_axis_holds_exactly_the_numbers_that_it_names(low, step, n, i):
    axis = FloatAxis(float(low), float(low + (n - 1) * step), float(step))
    assert axis.n_choices == n
    i %= n
    assert axis.value(i) == float(low + i * step) <= axis.high

    class Adding(FirstChoice):
        """A sampler that computes as a person's program may."""

        def suggest_float(self, name, low, high, *, step=None, log=False):
            return low + sum([step] * i)

    assert axis.suggest(Adding(), "dropout") == axis.value(i)


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0), st.floats(0.0, 1.0))
def test_a_continuous_axis_is_not_left_by_rounding(a, b, share):
    low, high = sorted((canonical(a), canonical(b)))

    class At(FirstChoice):
        def suggest_float(self, name, low, high, *, step=None, log=False):
            return min(max(low + share * (high - low), low), high)

    assert low <= FloatAxis(low, high).suggest(At(), "dropout") <= high
