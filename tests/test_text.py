from __future__ import annotations

import math

import pytest

from lstm_bench.text import MAX_LINE, count, first_line, interval_text, with_interval


def test_count_has_a_plural_and_separates_thousands():
    assert [count(n, "run") for n in (0, 1, 2, 1000)] == [
        *("0 runs", "1 run", "2 runs", "1,000 runs"),
    ]


@pytest.mark.parametrize("missing", [None, math.nan])
def test_with_interval_leaves_out_an_interval_that_is_missing(missing):
    assert with_interval(0.84, 0.82, 0.86) == "0.8400 (95 % 0.8200 to 0.8600)"
    assert with_interval(-0.01, -0.02, 0.0, "+.2f", kind="") == (
        "−0.01 (−0.02 to +0.00)"
    )
    assert with_interval(0.84, missing, missing) == "0.8400"
    assert interval_text(missing, missing) == ""


def test_first_line_of_an_error_is_masked_and_shortened():
    error = ValueError("\npostgresql://me:SECRET@host/db is away\nmore")
    assert first_line(error) == "postgresql://me:***@host/db is away"
    assert first_line(MemoryError()) == "MemoryError"
    assert len(first_line(ValueError("x" * 1000))) < MAX_LINE + 10
