"""What is stored on own data: description, findings of the check, values of series."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import ClassVar

import pytest

from lstm_bench.errors import StoredError
from lstm_bench.tracking.load import _Samples
from lstm_bench.tracking.stored_runs import parse_dataset, parse_shown


def described(**more: object) -> bytes:
    known = {"name": "file", "digest": "ab", "class_names": ["a", "b"]}
    return json.dumps({**known, **more}).encode()


def test_description_of_own_data_keeps_rows_findings_and_channels():
    own = {
        "kind": "vectors",
        "channels": ["x", "Wärme, innen"],
        "rows": {
            "n_read": 9,
            "n_dropped": 1,
            "reasons": {"no label": {"n": 1, "example": "a.csv: line 3"}},
        },
        "check": [
            {
                "level": "error",
                "name": "one",
                "n": 1,
                "example": "",
                "advice": "",
                "text": "t",
            }
        ],
        "given_validation": {"n": 2, "classes": {"a": 1, "b": 1}},
        "division": "a file of its own",
    }
    found = parse_dataset(described(**own))
    assert {key: found[key] for key in own} == own
    # Of a dataset that is not read from files.
    assert parse_dataset(described(rows={}, given_validation=None))["rows"] == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "pictures"},
        {"rows": {"n_read": -1}},
        {"check": [{"level": "error"}]},
    ],
    ids=str,
)
def test_description_of_own_data_is_checked(wrong):
    with pytest.raises(StoredError):
        parse_dataset(described(**wrong))


def shown_values(values: object) -> bytes:
    sample = {"index": 0, "text": "", "y_true": 0, "y_proba": [0.5, 0.5]}
    return json.dumps(
        {"class_names": ["a", "b"], "samples": [{**sample, "values": values}]}
    ).encode()


def test_values_of_a_series_are_read_by_step():
    shown = parse_shown(shown_values([[1, 2.5], [3, 4]]), 2)
    assert shown.samples[0].values == ((1, 2.5), (3, 4))


@pytest.mark.parametrize(
    "values",
    [[], [[]], [[1], [1, 2]], [["x"]], [[1]] * 1000, [[float("nan")]]],
    ids=str,
)
def test_values_of_a_series_are_checked(values):
    with pytest.raises(StoredError):
        parse_shown(shown_values(values), 2)


def test_values_of_other_channels_than_in_other_runs_are_left_out():
    files = {
        "a": shown_values([[1, 2]]),
        "b": shown_values([[1, 2, 3]]),
        "c": shown_values(None),
    }

    class Reader:
        left_out: ClassVar = []

        def shown(self, run, name):
            return parse_shown(files[run.run_id], 2)

        def leave_out(self, run, part, reason):
            self.left_out.append((run.run_id, part, reason))

    samples = _Samples(Reader(), "samples.json")
    for run_id in files:
        samples.add(SimpleNamespace(run_id=run_id))
    assert samples.frame()["run_id"].tolist() == ["a", "c"]
    assert Reader.left_out == [
        ("b", "samples.json", "values: expected as many channels as in other runs")
    ]
