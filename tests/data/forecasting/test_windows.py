from dataclasses import replace

import numpy as np
import pytest

from lstm_bench.data.forecasting import windows as module
from lstm_bench.data.forecasting.series import Collection, Series
from lstm_bench.data.forecasting.windows import (
    Plan,
    check_future,
    fit_scales,
    make_parts,
)
from lstm_bench.errors import LeakError, UnfitDataError
from lstm_bench.inference import seasonal_errors

PLAN = Plan(window=6, horizon=3, season=2, step=2, n_test=4, n_validation=3)
# Test origins 91, 93, 95, 97; validation's 84, 86, 88; train's targets end before 84.
N = 100


def _collection(values=None, *others):
    if values is None:
        values = np.random.default_rng(0).normal(size=N).cumsum()
    series = (Series("a", 0, np.asarray(values, float)), *others)
    return Collection(series, tuple(map(str, range(N))))


def test_seasonal_errors_skips_missing_pairs():
    values = np.array([1.0, 2.0, 4.0, np.nan, 9.0])
    assert seasonal_errors(values, 2) == pytest.approx((3 + 5) / 2)
    assert np.isnan(seasonal_errors(values, 5))


def test_make_parts_divides_by_time():
    values = np.arange(N, dtype=float) ** 1.5
    parts = make_parts(_collection(values), PLAN, "x")
    assert parts.windows["test"].origin.tolist() == [91, 93, 95, 97]
    assert parts.windows["validation"].origin.tolist() == [84, 86, 88]
    assert parts.windows["train"].origin.tolist() == list(range(6, 82))
    assert parts.cuts == {"train": 84, "validation": 91, "test": 100}
    for part, windows in parts.windows.items():
        assert (windows.origin + PLAN.horizon).max() <= parts.cuts[part]
        at = windows.origin[-1]
        np.testing.assert_array_equal(windows.targets[-1], values[at : at + 3])
        assert windows.level[-1] == values[at - 1]
        np.testing.assert_allclose(
            windows.values[-1, :, 0] * windows.scale[-1] + windows.level[-1],
            values[at - 6 : at],
            rtol=1e-6,
        )
        assert windows.scale[-1] == seasonal_errors(values[:84], 2)


def test_make_parts_masks_inputs_and_leaves_out_missing_targets():
    values = np.arange(1.0, N + 1) % 7
    values[[49, 96]] = np.nan
    values[20:26] = np.nan
    parts = make_parts(_collection(values), PLAN, "x")
    train = parts.windows["train"]
    assert parts.later is None
    assert not np.isnan(train.targets).any()
    assert not np.isnan(train.values).any()
    after = train.values[train.origin == 50][0]
    np.testing.assert_array_equal(after[:, 1], [0, 0, 0, 0, 0, 1])
    assert after[5, 0] == 0
    assert train.level[train.origin == 50] == values[48]
    # Targets of origins 18 to 25 and 47 to 49 are missing; at 26 every input is.
    assert parts.n_without_targets == {"train": 11, "validation": 0, "test": 1}
    assert parts.n_without_inputs == {"train": 1, "validation": 0, "test": 0}


def test_make_parts_cuts_all_series_at_the_same_time():
    rng = np.random.default_rng(1)
    early = Series("early", 0, rng.normal(size=60))
    late = Series("late", 70, rng.normal(size=30))
    flat = Series("flat", 0, np.ones(N))
    parts = make_parts(_collection(None, early, late, flat), PLAN, "x")
    of = {
        name: {part: int((w.series == i).sum()) for part, w in parts.windows.items()}
        for i, name in enumerate(("a", "early", "late", "flat"))
    }
    assert of["early"] == {"train": 52, "validation": 0, "test": 0}
    assert of["late"] == {"train": 6, "validation": 3, "test": 4}
    assert of["flat"] == {"train": 0, "validation": 0, "test": 0}
    assert list(parts.left_out) == ["flat"]


@pytest.mark.parametrize("from_cut", ["train", "validation"])
def test_make_parts_sees_nothing_of_the_future(from_cut):
    values = np.random.default_rng(2).normal(size=N).cumsum()
    parts = make_parts(_collection(values), PLAN, "x")
    changed = values.copy()
    changed[parts.cuts[from_cut] :] *= -1e6
    others = make_parts(_collection(changed), PLAN, "x")
    before = {"train": ["train"], "validation": ["train", "validation"]}[from_cut]
    for part in before:
        for name in ("values", "targets", "level", "scale", "origin"):
            one = getattr(parts.windows[part], name)
            assert one.tobytes() == getattr(others.windows[part], name).tobytes()
    assert (others.windows["test"].targets != parts.windows["test"].targets).all()


@pytest.mark.parametrize("part", ["train", "validation"])
def test_check_future_refuses_a_window_whose_target_is_later(part):
    collection = _collection()
    parts = make_parts(collection, PLAN, "co2.csv")
    origin = parts.windows[part].origin.copy()
    origin[-1] = parts.cuts[part] - 2
    scales, _ = fit_scales(collection, PLAN.season, parts.cuts["train"])
    leaking = module.cut_windows(
        collection, PLAN, scales, parts.windows[part].series, origin
    )
    planted = replace(parts, windows={**parts.windows, part: leaking})
    with pytest.raises(LeakError) as error:
        check_future(collection, PLAN, planted, "co2.csv")
    message = str(error.value)
    assert f"co2.csv: expected {part} windows made from values before" in message
    assert "1 window with targets that depend on later ones" in message
    assert f"of series 'a' at origin {parts.cuts[part] - 2}" in message


def test_check_future_refuses_a_scaling_fitted_on_all_values(monkeypatch):
    fit = module.fit_scales

    def fit_on_all(collection, season, cut):
        return fit(collection, season, N)

    monkeypatch.setattr(module, "fit_scales", fit_on_all)
    with pytest.raises(LeakError, match="76 windows with inputs that depend on later"):
        make_parts(_collection(), PLAN, "x")


def test_make_parts_has_the_windows_after_train_for_refits():
    values = np.arange(N, dtype=float) ** 1.5
    values[85] = np.nan
    parts = make_parts(_collection(values), replace(PLAN, refit=True), "x")
    # Train's last is 81, and at the last test origin, 97, those up to 94 are known.
    assert parts.later.origin.tolist() == [82, *range(86, 95)]
    assert set(parts.later.scale) == set(parts.windows["test"].scale)
    np.testing.assert_array_equal(parts.later.targets[-1], values[94:97])


def test_check_future_refuses_to_train_again_on_a_later_target(monkeypatch):
    def one_too_many(origin, horizon, at):
        return origin + horizon <= at + 1

    monkeypatch.setattr(module, "is_known", one_too_many)
    with pytest.raises(LeakError) as error:
        make_parts(_collection(), replace(PLAN, refit=True), "x")
    message = str(error.value)
    assert "expected at test origin 91 training windows made from values" in message
    assert "1 window with targets that depend on later ones" in message
    assert "of series 'a' at origin 89" in message


def test_make_parts_says_how_long_series_must_be():
    short = Collection((Series("", 0, np.arange(24.0)),), tuple(map(str, range(24))))
    with pytest.raises(UnfitDataError, match="expected series of 25 steps at least"):
        make_parts(short, PLAN, "x")
    enough = Collection((Series("", 0, np.arange(25.0)),), tuple(map(str, range(25))))
    assert len(make_parts(enough, PLAN, "x").windows["train"]) == 1
