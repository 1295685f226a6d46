"""Examples from tables: texts, lists, series in wide and in long tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from own_files import messages, open_file, read_file

from lstm_bench.data.files.examples import Examples
from lstm_bench.errors import DatasetError


def write(tmp_path: Path, rows: list[str], name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_texts_have_labels_parts_groups_and_times(tmp_path):
    rows = [
        "text,label,split,who,when",
        "a b, pos ,train,ann,2020-01-02",
        "c,neg,dev,bob,2020-01-01T12:00:00",
        "d,neg,2,bob,5.5",
    ]
    found, bad = read_file(write(tmp_path, rows), group="who", time="when")
    assert found == Examples(
        values=["a b", "c", "d"],
        labels=["pos", "neg", "neg"],
        parts=[0, 1, 2],
        groups=["ann", "bob", "bob"],
        times=[1577923200.0, 1577880000.0, 5.5],
    )
    assert bad.n_dropped == 0


def test_rows_lacking_something_are_bad_each_with_its_reason(tmp_path):
    rows = [
        "text,label,split,who,when",
        "a,,train,x,1",
        f"a,{'l' * 201},train,x,1",
        "a,b,somewhere,x,1",
        "a,b,train,,1",
        "a,b,train,x,yesterday",
        "a,b,train,x,inf",
        "fine,b,train,x,1",
    ]
    found, bad = read_file(write(tmp_path, rows), group="who", time="when")
    assert found.values == ["fine"]
    assert bad.counts == {
        "no label": 1,
        "a label of more than 200 characters": 1,
        "no part of the data: expected train, validation or test": 1,
        "no group": 1,
        "no time: expected a number or an ISO date": 2,
    }
    assert messages(bad)[0] == "a.csv: line 2: no label"
    # A long label is not shown whole.
    assert len(messages(bad)[1]) < 200


def test_json_text_of_another_type_or_with_half_a_character_is_bad(tmp_path):
    rows = [{"text": t, "label": "x"} for t in ("a", 5, None, "\ud800")]
    path = write(tmp_path, [json.dumps(r) for r in rows], "a.jsonl")
    found, bad = read_file(path, text="text")
    assert found.values == ["a"]
    assert bad.counts == {"no text": 2, "expected UTF-8, got other bytes": 1}


def test_labels_are_the_same_from_every_format(tmp_path):
    labels = [1, 1.0, True, "1", " yes "]
    rows = [json.dumps({"text": "a", "label": label}) for label in labels]
    found, _ = read_file(write(tmp_path, rows, "a.jsonl"))
    assert found.labels == ["1", "1", "true", "1", "yes"]


def test_wide_rows_are_laid_out_step_by_step(tmp_path):
    rows = ["a,b,c,d,label", "1,2,3,4,x", "5,6,7,8,y"]
    found, _ = read_file(write(tmp_path, rows), shape=[2, 2])
    assert found.values[0].tolist() == [[1, 2], [3, 4]]
    assert found.values[1].dtype == np.float32
    found, _ = read_file(write(tmp_path, rows))
    assert found.values[0].tolist() == [[1], [2], [3], [4]]
    assert found.labels == ["x", "y"]


def test_wide_shape_that_does_not_fit_is_explained(tmp_path):
    path = write(tmp_path, ["a,b,c,label", "1,2,3,x"])
    with pytest.raises(DatasetError, match=r"expected 2 x 2 = 4 columns .* found 3"):
        open_file(path, shape=[2, 2])


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("nan", "a value that is missing or not finite"),
        ("inf", "a value that is missing or not finite"),
        ("1e39", "a value that is missing or not finite"),
        ("", "a value that is missing or not finite"),
        ("two", "a value that is no number"),
    ],
)
def test_wide_row_with_no_number_names_column_and_cell(tmp_path, cell, reason):
    rows = ["a,b,c,label", "1,2,3,x", f"1,{cell},3,y", "1,2,3,z"]
    found, bad = read_file(write(tmp_path, rows), values=["a", "b", "c"])
    assert found.labels == ["x", "z"]
    assert messages(bad) == [f"a.csv: line 3: {reason} ('b': {cell!r})"]


def test_json_lists_are_series_of_vectors(tmp_path):
    values = [
        [[1, 2], [3, 4]],
        [[5, 6]],
        [],
        [[1, 2, 3]],
        [[1], [2, 3]],
        [[1, None]],
    ]
    rows = [json.dumps({"x": v, "label": "a"}) for v in values]
    path = write(tmp_path, rows, "a.jsonl")
    assert open_file(path).channels == ("1", "2")
    found, bad = read_file(path)
    assert [v.tolist() for v in found.values] == [[[1, 2], [3, 4]], [[5, 6]]]
    assert bad.counts == {
        "a series without steps": 1,
        "another number of channels than the first series": 1,
        "no list of numbers": 1,
        "a value that is missing or not finite": 1,
    }


def test_json_lists_of_strings_are_categories(tmp_path):
    rows = [json.dumps({"x": v, "label": "a"}) for v in (["u", "v"], [], ["u", None])]
    path = write(tmp_path, rows, "a.jsonl")
    assert open_file(path).kind == "categories"
    found, bad = read_file(path)
    assert found.values == [["u", "v"]]
    assert bad.n_dropped == 2


LONG = [
    "series_id,time,x,y,label",
    "a,2,20,0,on",
    "b,2020-01-02,1,1,off",
    "a,1,10,0,on",
    "b,2020-01-01,2,2,off",
    "a,10,30,0,on",
]


def test_long_rows_are_ordered_by_step_as_numbers_and_dates(tmp_path):
    path = write(tmp_path, LONG)
    assert open_file(path).channels == ("x", "y")
    found, bad = read_file(path)
    assert [v.tolist() for v in found.values] == [
        [[10, 0], [20, 0], [30, 0]],
        [[2, 2], [1, 1]],
    ]
    assert found.labels == ["on", "off"]
    assert (bad.n_read, bad.n_dropped) == (2, 0)


def test_long_series_without_step_keep_the_order_of_rows(tmp_path):
    rows = ["series_id,x,label", "a,2,on", "a,1,on"]
    found, _ = read_file(write(tmp_path, rows))
    assert found.values[0].tolist() == [[2], [1]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,3,nan,0,on", "a value that is missing or not finite ('x': 'nan')"),
        ("a,soon,1,0,on", "no step: expected a number or an ISO date ('soon')"),
        ("a,3,1,0,off", "a series with two labels, parts, groups or times ('a')"),
        ("a,3,1,0,", "no label"),
    ],
)
def test_long_series_with_a_bad_row_is_bad_as_a_whole(tmp_path, row, reason):
    found, bad = read_file(write(tmp_path, [*LONG, row]))
    assert found.labels == ["off"]
    assert messages(bad) == [f"a.csv: line 7: {reason}"]
    assert (bad.n_read, bad.n_dropped) == (2, 1)


def test_long_series_with_two_rows_for_a_step_is_bad(tmp_path):
    found, bad = read_file(write(tmp_path, [*LONG, "a,10,5,0,on"]))
    assert found.labels == ["off"]
    assert list(bad.counts) == ["two rows for one step of a series"]


def test_long_row_without_series_is_bad_alone(tmp_path):
    found, bad = read_file(write(tmp_path, [*LONG, ",10,5,0,on", "a,b"]))
    assert found.labels == ["on", "off"]
    assert (bad.n_read, bad.n_dropped) == (4, 2)


def test_long_categories_are_tokens(tmp_path):
    rows = ["user,time,page,label", "a,2,cart,buy", "b,1,home,go", "a,1,home,buy"]
    path = write(tmp_path, rows)
    assert open_file(path, series="user", values=["page"]).kind == "categories"
    found, _ = read_file(path, series="user", values=["page"])
    assert found.values == [["home", "cart"], ["home"]]
