import numpy as np
import pytest

from lstm_bench.data.adding import MEMORY, n_first, no_memory_mse
from lstm_bench.data.dataset import describe_dataset
from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import make_splits

OPTIONS = {"n_train": 400, "n_test": 100, "max_length": 55}


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("adding", OPTIONS, seed=3)


def test_the_target_is_the_scaled_sum_of_the_marked_values(dataset):
    train = dataset.train
    for i in range(len(train)):
        series = train[i]
        marked = np.flatnonzero(series[:, 1] == 1.0)
        assert series[0, 1] == series[-1, 1] == -1.0
        assert set(series[1:-1, 1]) <= {0.0, 1.0}
        # A mark on the first step is overwritten, and its value counts as 0.
        assert 1 <= len(marked) <= 2
        assert marked[0] < n_first(55) == 5 or len(marked) == 1
        assert marked[-1] < 25
        assert train.y[i, 0] == pytest.approx(0.5 + series[marked, 0].sum() / 4.0)
    assert train.values[:, 0].min() < -0.99 and train.values[:, 0].max() > 0.99


def test_series_have_t_to_1_1_t_steps(dataset):
    assert set(dataset.train.lengths) == set(range(50, 56))


def test_equal_seeds_give_equal_series(dataset):
    again = load_dataset("adding", OPTIONS, seed=3)
    assert again.digest == dataset.digest
    assert load_dataset("adding", OPTIONS, seed=4).digest != dataset.digest


def test_its_targets_are_described_and_its_markers_not_scaled(dataset):
    about = describe_dataset(dataset)
    assert about["task"] == "regression" and about["output_names"] == ["sum"]
    assert about["class_names"] == [] and about["train"]["classes"] == {}
    facts = about["train"]["targets"]["sum"]
    assert facts["mean"] == pytest.approx(dataset.train.y.mean())
    splits = make_splits(
        dataset,
        root_seed=0,
        replicate=0,
        validation_fraction=0.2,
        max_train_samples=None,
    )
    assert set(splits.test[0][:, 1]) <= {-1.0, 0.0, 1.0}


def test_without_a_memory_the_error_is_the_variance_of_the_targets():
    dataset = load_dataset("adding", {**OPTIONS, "n_train": 100_000}, seed=5)
    # The standard error of a variance of 100,000 targets is 0.5 %.
    expected = no_memory_mse(OPTIONS["max_length"])
    assert np.mean((dataset.train.y - 0.5) ** 2) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("length", [10, 22, 55])
def test_at_length_keeps_marks_values_and_targets(dataset, length):
    series = dataset.train.at_length(length)
    assert length - 10 <= series.lengths.max() <= length
    assert series.y.tolist() == dataset.train.y.tolist()
    for i in range(len(series)):
        short, whole = series[i], dataset.train[i]
        marks = short[short[:, 1] != 0.0]
        assert marks.tolist() == whole[whole[:, 1] != 0.0].tolist()


def test_an_error_of_less_than_0_04_is_right():
    y_true = np.full((3, 1), 0.5)
    y_pred = np.array([[0.539], [0.541], [0.461]])
    assert MEMORY.is_right(y_true, y_pred).tolist() == [True, False, True]


def test_without_a_memory_about_one_in_seven_is_right():
    dataset = load_dataset("adding", {**OPTIONS, "n_train": 100_000}, seed=5)
    right = MEMORY.is_right(dataset.train.y, np.full((100_000, 1), 0.5)).mean()
    # Two values, neither on the first step: 0.16 * (4 - 0.16) / 4.
    assert MEMORY.no_memory == pytest.approx(0.1536)
    # A mark on the first step, one in five here, leaves the other value alone.
    assert right == pytest.approx(0.8 * 0.1536 + 0.2 * 0.16, abs=0.005)
