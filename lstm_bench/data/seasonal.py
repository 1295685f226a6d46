"""A generated series: trend, two seasons and noise whose law is known."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from lstm_bench.data.dataset import Dataset
from lstm_bench.data.forecasting.dataset import forecast_dataset
from lstm_bench.data.forecasting.generate import noise_floor, seasonal_values
from lstm_bench.data.forecasting.options import WindowOptions
from lstm_bench.data.forecasting.series import Collection, Series
from lstm_bench.seeding import derive_rng
from lstm_bench.tasks import FORECAST

SYNTHETIC = True
TASK = FORECAST
DESCRIPTION = (
    "A synthetic series to be forecast: a trend, two seasons and autoregressive noise, "
    "with the error that no forecast can beat on average."
)
SEASONS = (12, 60)
"""Lengths of the two seasons, in steps."""


class Options(WindowOptions):
    """What a suite may set under ``dataset.options``."""

    horizon: int = Field(
        12, ge=1, le=1000, description="Number of steps that are forecast."
    )
    season: int = Field(
        SEASONS[1], ge=1, le=1000, description="Steps of the season of MASE."
    )
    n_steps: int = Field(
        2000, ge=200, le=100_000, description="Number of values of the series."
    )
    trend: float = Field(0.01, ge=-10, le=10, description="Slope per step.")
    noise: float = Field(
        1.0, gt=0, le=100, description="Standard deviation of the noise's innovations."
    )
    ar: float = Field(
        0.6,
        gt=-1,
        lt=1,
        description="How much of its noise a step hands on to the next.",
    )


def load(options: Options, data_dir: Path | None, seed: int) -> Dataset:
    """Generate the series; equal seeds and options give equal series.

    Parameters
    ----------
    data_dir : Path or None
        Not used: nothing is read.
    """
    values = seasonal_values(
        options.n_steps,
        SEASONS,
        trend=options.trend,
        noise=options.noise,
        ar=options.ar,
        rng=derive_rng(seed, "seasonal"),
    )
    times = tuple(str(t) for t in range(1, options.n_steps + 1))
    floor = noise_floor(options.horizon, options.noise, options.ar)
    return forecast_dataset(
        "seasonal",
        DESCRIPTION,
        Collection((Series("", 0, values),), times),
        options.plan,
        "dataset seasonal",
        source=f"synthetic: written by lstm-bench from seed {seed}",
        synthetic=True,
        floor=floor,
        notes=(
            "The series is synthetic: scores are no estimate for real data.",
            "A forecast that knows the rule has an expected RMSE from "
            f"{floor[0]:.3f} at the first step to {floor[-1]:.3f} at the last; on a "
            "few windows it varies around that.",
        ),
    )
