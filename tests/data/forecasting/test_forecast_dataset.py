import numpy as np
import pytest

from lstm_bench.data.check import Use, check
from lstm_bench.data.dataset import joined
from lstm_bench.data.folder import keep, open_kept
from lstm_bench.data.preprocessing import preprocessed
from lstm_bench.data.registry import load_dataset
from lstm_bench.data.splits import make_splits
from lstm_bench.errors import DatasetError, SuiteError
from lstm_bench.suites.suite import Suite
from lstm_bench.training.baselines import BASELINES, baselines_of, run_baseline
from lstm_bench.training.prepare import prepare

OPTIONS = {"horizon": 3, "season": 4, "window": 8, "n_windows": 5}
SUITE = """
description: for tests
dataset: {file: series.csv, task: forecast, horizon: 3, season: 4, window: 8}
space: {units: [2, 4]}
"""


def write(folder, change=lambda values: values, **options):
    t = np.arange(160)
    values = (
        0.05 * t + np.sin(t * np.pi / 2) + np.random.default_rng(0).normal(size=160)
    )
    values[[30, 31]] = np.nan
    cells = ("" if np.isnan(v) else repr(float(v)) for v in change(values))
    rows = (f"{i},{cell}" for i, cell in enumerate(cells))
    (folder / "series.csv").write_text("t,y\n" + "\n".join(rows) + "\n")
    options = {"file": "series.csv", **OPTIONS, **options}
    return load_dataset("forecast", options, folder)


def split(dataset, replicate=0, max_train_samples=None):
    return make_splits(
        dataset,
        root_seed=1,
        replicate=replicate,
        validation_fraction=0.2,
        max_train_samples=max_train_samples,
    )


def test_a_forecast_dataset_has_the_windows_of_the_file(tmp_path):
    dataset = write(tmp_path)
    assert (dataset.task, dataset.n_targets, dataset.n_channels) == ("forecast", 3, 2)
    assert [len(part) for part in dataset.parts.values()] == [116, 5, 5]
    assert dataset.forecast["n_missing"] == 2
    # Of origins 28 to 31 a target is missing.
    assert dataset.forecast["parts"]["train"]["n_without_targets"] == 4
    window = dataset.test[4] * dataset.test.units.scale[4] + [
        dataset.test.units.level[4],
        0,
    ]
    values = np.loadtxt(tmp_path / "series.csv", delimiter=",", skiprows=120, usecols=1)
    np.testing.assert_allclose(window[:, 0], values[-11:-3], rtol=1e-5)
    np.testing.assert_array_equal(dataset.test.y[4], values[-3:])


def test_the_parts_are_the_same_for_every_replicate(tmp_path):
    dataset = write(tmp_path)
    one, other = split(dataset, 1), split(dataset, 2)
    for part in ("train", "val", "test"):
        origins = [sorted(getattr(s, part).units.origin) for s in (one, other)]
        assert origins[0] == origins[1]
    assert (one.train.units.origin != other.train.units.origin).any()


@pytest.mark.parametrize("part", ["validation", "test"])
def test_what_is_fitted_knows_nothing_of_later_values(tmp_path, part):
    def garbled(values):
        cut = 160 - 3 * 5 * {"validation": 2, "test": 1}[part]
        values[cut:] = 1e4 * np.random.default_rng(1).normal(size=160 - cut)
        return values

    splits = [split(write(tmp_path)), split(write(tmp_path, garbled))]
    for name in ("values", "y", "index"):
        one, other = (getattr(s.train, name) for s in splits)
        assert one.tobytes() == other.tobytes()
    scaling = [s.train.target_scaling for s in splits]
    assert scaling[0].mean.tobytes() == scaling[1].mean.tobytes()
    assert scaling[0].std.tobytes() == scaling[1].std.tobytes()
    for baseline in baselines_of("vectors", "forecast").values():
        fits = [baseline.fit(s.train, 3).fitted for s in splits]
        for name, array in fits[0].items():
            assert array.tobytes() == fits[1][name].tobytes()
    same = splits[0].val.y.tobytes() == splits[1].val.y.tobytes()
    assert same == (part == "test")


@pytest.mark.parametrize("refit", [False, True])
def test_a_kept_forecast_dataset_is_the_same(tmp_path, monkeypatch, refit):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    dataset = write(tmp_path, refit=refit)
    kept = open_kept(keep(dataset))
    assert kept.forecast == dataset.forecast
    assert (kept.later is None) == (dataset.later is None) == (not refit)
    pairs = [(kept.parts[part], of) for part, of in dataset.parts.items()]
    for one, other in pairs + [(kept.later, dataset.later)] * refit:
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.y, other.y)
        for name in ("level", "scale", "origin"):
            array = getattr(one.units, name)
            np.testing.assert_array_equal(array, getattr(other.units, name))


def test_at_each_test_origin_all_and_only_known_windows_are_trained_on(tmp_path):
    dataset = write(tmp_path, refit=True)
    splits = split(dataset)
    assert splits.test_origins == [145, 148, 151, 154, 157]
    rows = []
    for at, (known, test, of) in zip(
        splits.test_origins, splits.at_origins(dataset), strict=True
    ):
        origins = sorted(known.units.origin.tolist())
        # Of origins 28 to 31 a target is missing.
        assert origins == [*range(8, 28), *range(32, at - 2)]
        assert test.units.origin.tolist() == [at]
        scaled = known.units.scaled(known.y)
        np.testing.assert_allclose(known.target_scaling.mean, scaled.mean(axis=0))
        assert test.target_scaling is known.target_scaling
        rows += of.tolist()
    assert rows == [0, 1, 2, 3, 4]
    few = split(dataset, max_train_samples=20)
    for at, (known, *_) in zip(few.test_origins, few.at_origins(dataset), strict=True):
        assert sorted(known.units.origin.tolist()) == [*range(at - 22, at - 2)]


@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_training_at_a_test_origin_knows_nothing_of_later_values(tmp_path, number):
    at = 160 - 3 * (5 - number)

    def garbled(values):
        values[at:] = 1e4 * np.random.default_rng(1).normal(size=160 - at)
        return values

    found = []
    for change in (lambda values: values, garbled):
        dataset = write(tmp_path, change, refit=True)
        splits = split(dataset)
        known, test, _ = list(splits.at_origins(dataset))[number]
        linear = BASELINES["linear_ar"].fit(known, 3)
        found.append(
            (
                known.copied().values,
                known.y,
                known.target_scaling.mean,
                known.target_scaling.std,
                test.copied().values,
                linear.predict_proba(test),
            )
        )
    for one, other in zip(*found, strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_refitted_baseline_is_fitted_on_what_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    once, again = write(tmp_path), write(tmp_path, refit=True)
    found = {
        name: [
            run_baseline(name, dataset, split(dataset), score_test=True).predictions
            for dataset in (once, again)
        ]
        for name in ("naive", "linear_ar")
    }
    for name, ((val, test), (val_again, test_again)) in found.items():
        np.testing.assert_array_equal(val.y_pred, val_again.y_pred)
        same = (test.y_pred == test_again.y_pred).all(axis=1)
        assert same.tolist() == [name == "naive"] * 5
    # By hand, of the last origin.
    splits = split(again)
    joint = joined(splits.train, again.later)
    known = joint.take(np.flatnonzero(joint.units.origin <= 154))
    by_hand = BASELINES["linear_ar"].fit(preprocessed(again, known), 3)
    expected = by_hand.predict_proba(splits.test.take(np.array([4])))
    np.testing.assert_allclose(found["linear_ar"][1][1].y_pred[4:], expected)


def test_baselines_forecast_from_the_window_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "cache"))
    dataset = write(tmp_path)
    splits = split(dataset)
    found = {
        name: run_baseline(name, dataset, splits, score_test=True).predictions[1]
        for name in baselines_of("vectors", "forecast")
    }
    assert list(found) == ["naive", "seasonal_naive", "linear_ar"]
    values = np.loadtxt(tmp_path / "series.csv", delimiter=",", skiprows=120, usecols=1)
    np.testing.assert_allclose(found["naive"].y_pred[4], values[-4])
    np.testing.assert_allclose(found["seasonal_naive"].y_pred[4], values[-7:-4])
    mase = {
        name: np.mean(np.abs(p.y_pred - p.y_true) / p.scale[:, None])
        for name, p in found.items()
    }
    assert mase["linear_ar"] < mase["seasonal_naive"]
    assert found["naive"].origin.tolist() == [145, 148, 151, 154, 157]


def test_seasonal_naive_goes_back_over_missing_seasons():
    from lstm_bench.inference import BASELINES

    window = np.zeros((9, 2))
    window[:, 0] = 10 + np.arange(9)
    window[[6, 7, 3], 1] = 1
    arrays = {"season": np.array(3)}
    # One season before stand steps 6, 7, 8 and 6 again; 6, 3 and 7 are missing.
    found = BASELINES["seasonal_naive"](arrays, [window], 4)
    assert found.tolist() == [[10, 14, 18, 10]]


def test_lagged_fills_missing_values_with_the_one_before():
    from lstm_bench.inference import lagged

    window = np.array([[0, 1], [2, 0], [0, 1], [0, 1], [5, 0]], float)
    assert lagged([window]).tolist() == [[0, 2, 2, 2, 5]]


def test_check_counts_missing_values_and_few_origins(tmp_path):
    findings = check(write(tmp_path), None, Use((12,), ()))
    assert {f.name: f.n for f in findings} == {
        "missing_values": 2,
        "without_targets": 4,
        "few_origins": 5,
        "short_window": 8,
    }


def test_a_forecast_suite_takes_its_defaults_and_refuses_test_as_validation(tmp_path):
    write(tmp_path)
    suite = Suite("s", SUITE, "s.yaml")
    assert (suite.dataset.name, suite.task.name) == ("forecast", "forecast")
    assert (suite.metric.name, suite.defaults.head) == ("mase", "linear")
    leaking = Suite("s", SUITE.replace("window: 8", "validation: test"), "s.yaml")
    with pytest.raises(SuiteError, match="expected holdout for forecasts"):
        prepare(leaking, tmp_path)
    with pytest.raises(SuiteError, match="a season \\(4\\) at least"):
        Suite("s", SUITE.replace("window: 8", "window: 2"), "s.yaml")
    refit = Suite("s", SUITE.replace("window: 8", "refit: true"), "s.yaml")
    assert refit.study_name != suite.study_name
    long = Suite("s", SUITE.replace("window: 8", "window: 500"), "s.yaml")
    with pytest.raises(DatasetError, match="expected series of 563 steps at least"):
        prepare(long, tmp_path)


def test_the_seasonal_dataset_has_the_floor_of_its_noise():
    options = {"n_steps": 400, "horizon": 2, "season": 12, "window": 24}
    dataset = load_dataset("seasonal", {**options, "noise": 2.0, "ar": 0.5}, seed=3)
    assert dataset.forecast["noise_floor"] == pytest.approx([2.0, np.sqrt(5.0)])
    again = load_dataset("seasonal", {**options, "noise": 2.0, "ar": 0.5}, seed=3)
    assert again.digest == dataset.digest
    other = load_dataset("seasonal", {**options, "noise": 2.0, "ar": 0.5}, seed=4)
    assert other.digest != dataset.digest
