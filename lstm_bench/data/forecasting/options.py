"""What a suite may set for series that are to be forecast."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from lstm_bench.data.forecasting.windows import Plan

MAX_STEPS = 10_000
_Column = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class WindowOptions(BaseModel):
    """The windows and origins, which every forecast data set has."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    horizon: int = Field(
        ge=1,
        le=1000,
        description="Number of steps that are forecast from an origin on.",
    )
    season: int = Field(
        1,
        ge=1,
        le=MAX_STEPS,
        description="Steps of a season, which the seasonal naive forecast repeats and "
        "the unit of MASE comes from. 1: no season.",
    )
    window: int | None = Field(
        None,
        ge=1,
        le=MAX_STEPS,
        description="Number of steps before an origin that are the input; a training "
        "uses the last `sequence_length` of them. null: two seasons, and two horizons "
        "at least.",
    )
    step: int | None = Field(
        None,
        ge=1,
        le=MAX_STEPS,
        description="Steps from one origin of test or validation to the next. null: "
        "the horizon, so that no value is forecast twice.",
    )
    n_windows: int = Field(
        10, ge=1, le=100_000, description="Number of test origins, the last ones."
    )
    n_validation_windows: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Number of validation origins, those before test. null: n_windows.",
    )
    refit: bool = Field(
        False,
        description="Whether to train again at every test origin, on all windows that "
        "are known by then. false: one training forecasts at all of them.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window is not None and self.window < self.season:
            raise ValueError(
                f"window: expected a season ({self.season}) at least, which the "
                f"seasonal naive forecast repeats, got {self.window}"
            )
        return self

    @property
    def plan(self) -> Plan:
        """The windows, with the defaults filled in."""
        return Plan(
            window=self.window or max(2 * self.season, 2 * self.horizon),
            horizon=self.horizon,
            season=self.season,
            step=self.step or self.horizon,
            n_test=self.n_windows,
            n_validation=self.n_validation_windows or self.n_windows,
            refit=self.refit,
        )


class SeriesOptions(WindowOptions):
    """What a suite may set under ``dataset.options`` of dataset ``forecast``."""

    file: str = Field(
        min_length=1, max_length=4096, description="The file with the series."
    )
    format: Literal["csv", "tsv", "jsonl", "parquet", "tsf"] | None = Field(
        None, description="Format of the file. null: according to its name."
    )
    header: bool | None = Field(
        None,
        description="Whether the first row of a CSV or TSV file names the columns. "
        "null: unless it is all numbers.",
    )
    series: _Column | None = Field(
        None,
        description="Column that names the series. null: unique_id, item_id or a "
        "similar name, if there is one; else the file is one series.",
    )
    time: _Column | None = Field(
        None,
        description="Column of the times: numbers, ISO dates or YYYYMMDD. null: ds, "
        "date, timestamp or a similar name; else the order of the rows.",
    )
    value: _Column | None = Field(
        None,
        description="Column of the values; empty cells are missing values. null: y, "
        "value, target, or the only other column of numbers.",
    )
    on_bad_rows: Literal["error", "drop"] = Field(
        "error",
        description="What happens to rows that cannot be read: an error that names "
        "the first of them, or they are dropped and counted, and their values are "
        "missing.",
    )
