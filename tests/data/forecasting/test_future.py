"""The times after those of a file."""

from __future__ import annotations

import pandas as pd
import pytest

from lstm_bench.data.forecasting.future import times_from


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["2024-01-31", "2024-02-29", "2024-03-31"], ["2024-04-30", "2024-05-31"]),
        (["2023-10-01", "2024-01-01", "2024-04-01"], ["2024-07-01", "2024-10-01"]),
        (["20240106", "20240113", "20240120"], ["20240127", "20240203"]),
        (["2024-11", "2024-12", "2025-01"], ["2025-02", "2025-03"]),
        (["1999", "2000", "2001"], ["2002", "2003"]),
        (["0.5", "1", "1.5"], ["2", "2.5"]),
        (["7"], ["8", "9"]),
        # No dates, though they have eight digits.
        (["99999998", "99999999"], ["100000000", "100000001"]),
        # A gap: the usual distance.
        (
            ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-09"],
            ["2024-01-10", "2024-01-11"],
        ),
    ],
)
def test_times_from_continues_numbers_and_dates(times, expected):
    assert times_from(times, len(times), len(expected)) == expected


def test_times_from_takes_what_the_file_has():
    times = ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert times_from(times, 2, 2) == ["2024-01-03", "2024-01-04"]
    assert times_from(times, 1, 1) == ["2024-01-02"]


def test_times_from_leaves_out_weekends_that_the_file_leaves_out():
    days = pd.bdate_range("2024-01-01", periods=12).strftime("%Y-%m-%d")
    assert times_from([*days], 12, 2) == ["2024-01-17", "2024-01-18"]


def test_times_from_writes_hours_as_the_file_does():
    hours = [f"2024-01-01T{h:02d}:00:00" for h in range(22, 24)]
    assert times_from(hours, 2, 1) == ["2024-01-02T00:00:00"]
    zoned = [f"2024-01-01 {h:02d}:00:00+01:00" for h in range(20, 24)]
    assert times_from(zoned, 4, 1) == ["2024-01-02 00:00:00+01:00"]
