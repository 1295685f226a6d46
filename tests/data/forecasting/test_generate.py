import numpy as np
import pytest

from lstm_bench.data.forecasting.generate import noise_floor, seasonal_values


def test_noise_floor_is_the_error_of_the_forecast_that_knows_the_rule():
    noise, ar, horizon = 2.0, 0.7, 4
    known = seasonal_values(
        200_000, (12, 60), trend=0.0, noise=noise, ar=ar, rng=np.random.default_rng(3)
    )
    rule = seasonal_values(
        200_000, (12, 60), trend=0.0, noise=1e-12, ar=0.0, rng=np.random.default_rng(3)
    )
    state = known - rule
    floor = noise_floor(horizon, noise, ar)
    for k in range(1, horizon + 1):
        errors = state[k:] - ar**k * state[:-k]
        assert errors.std() == pytest.approx(floor[k - 1], rel=0.01)
        assert np.abs(errors).mean() == pytest.approx(
            np.sqrt(2 / np.pi) * floor[k - 1], rel=0.01
        )


def test_seasonal_values_repeat_after_both_seasons():
    values = seasonal_values(
        240, (12, 60), trend=0.5, noise=1e-9, ar=0.0, rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose(values[60:] - values[:-60], 30.0, atol=1e-6)
    assert np.abs(values[12:] - values[:-12] - 6.0).max() > 0.5
