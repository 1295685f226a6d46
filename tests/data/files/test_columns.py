"""Which column is taken for what."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lstm_bench.data.files.columns import Columns, infer_columns
from lstm_bench.data.files.options import FileOptions
from lstm_bench.data.files.tables import open_table
from lstm_bench.errors import DatasetError


def infer(tmp_path: Path, rows: list[str], **options) -> Columns:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    options = FileOptions(file="a.csv", **options)
    return infer_columns(open_table(path, "csv", options.header), options)


def sentences(n: int) -> list[str]:
    return [f"a sentence of several words number {i}" for i in range(n)]


def test_columns_are_found_by_their_names(tmp_path):
    found = infer(tmp_path, ["id,Review,Split,SENTIMENT", "1,a b,train,pos"])
    assert found == Columns("text", "SENTIMENT", text="Review", split="Split")
    assert found.used == ("Review", "SENTIMENT", "Split")


def test_columns_without_known_names_are_found_by_their_types(tmp_path):
    rows = [f"{i},{s},{'xyz'[i % 3]}" for i, s in enumerate(sentences(30))]
    found = infer(tmp_path, ["a,b,c", *rows])
    assert (found.layout, found.text, found.label) == ("text", "b", "c")


def test_named_columns_come_before_inferred_ones(tmp_path):
    rows = ["text,title,label,stars", "a b,c d,x,1"]
    found = infer(tmp_path, rows, text="title", label="stars")
    assert (found.text, found.label) == ("title", "stars")


@pytest.mark.parametrize(
    "options", [{"text": "c"}, {"values": ["b", "c"]}, {"split": "c"}, {"group": "c"}]
)
def test_label_has_no_other_purpose(tmp_path, options):
    with pytest.raises(DatasetError, match=r"label: .* 'c', which has another purpose"):
        infer(tmp_path, ["a,b,c", "a b,1,x"], label="c", **options)


def test_column_may_be_a_number_where_there_are_no_names(tmp_path):
    found = infer(tmp_path, ["0.5,2,1", "0,3,1"], label=3, header=False)
    assert (found.layout, found.label, found.values) == ("wide", "3", ("1", "2"))


def test_numeric_columns_are_a_series(tmp_path):
    rows = [f"{i},{i}.5,{i % 2},{i % 5},{'ab'[i % 2]}" for i in range(20)]
    found = infer(tmp_path, ["id,p,q,r,kind", *rows])
    assert (found.layout, found.label, found.values) == (
        "wide",
        "kind",
        ("p", "q", "r"),
    )


@pytest.mark.parametrize("place", ["first", "last"])
def test_label_among_numbers_is_the_first_or_last_column(tmp_path, place):
    pixels = [[str(i % 2), str(i * 7 % 200), str(i % 90)] for i in range(100)]
    rows = [
        ",".join([str(i % 10), *p, "0"] if place == "first" else ["0", *p, str(i % 10)])
        for i, p in enumerate(pixels)
    ]
    assert infer(tmp_path, rows).label == {"first": "1", "last": "5"}[place]


def test_series_columns_are_found_by_their_names(tmp_path):
    rows = ["series_id,time,x,y_axis,label", "a,1,0.5,2,on"]
    found = infer(tmp_path, rows)
    assert found == Columns(
        "long", "label", values=("x", "y_axis"), series="series_id", step="time"
    )


def test_numeric_label_beside_series_is_no_value(tmp_path):
    found = infer(tmp_path, ["series,t,x,class", "a,1,2,1", "b,1,2,0"])
    assert (found.label, found.values) == ("class", ("x",))
    with pytest.raises(DatasetError, match="a column of numbers as values"):
        infer(tmp_path, ["series,t,class", "a,1,1", "b,1,0"])


def test_one_column_of_categories_is_tokens(tmp_path):
    rows = ["user,page,label", "a,home,buy", "a,cart,buy"]
    found = infer(tmp_path, rows, series="user", values=["page"])
    assert found.has_categories
    assert (found.layout, found.values) == ("long", ("page",))


@pytest.mark.parametrize(
    ("header", "cells", "options"),
    [
        ("text", "a b", {}),
        ("id,text,label,split", "1,a b,,", {}),
        ("text,topic", "a b,x", {"label": "topic", "split": "part", "group": "who"}),
    ],
)
def test_inputs_need_neither_label_nor_parts(tmp_path, header, cells, options):
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{cells}\n", encoding="utf-8")
    table = open_table(path, "csv", None)
    found = infer_columns(table, FileOptions(file="a", **options), needs_label=False)
    assert found == Columns("text", None, text="text")


def test_inputs_in_numbers_leave_out_a_label(tmp_path):
    path = tmp_path / "a.csv"
    for rows in ("1,2,5\n3,4,6\n", "1,2\n3,4\n"):
        path.write_text(rows, encoding="utf-8")
        table = open_table(path, "csv", False)
        options = FileOptions(file="a", label=3, shape=[1, 2])
        found = infer_columns(table, options, needs_label=False)
        assert found == Columns("wide", None, values=("1", "2"))


def test_missing_column_names_the_nearest_and_all(tmp_path):
    rows = ["review_text,label", "a,b"]
    with pytest.raises(DatasetError) as error:
        infer(tmp_path, rows, text="review_txt")
    assert str(error.value).endswith(
        "a.csv: expected a column 'review_txt', found 'review_text', 'label'; did you "
        "mean 'review_text'?"
    )


def test_column_that_stands_twice_is_refused_if_it_is_used(tmp_path):
    rows = ["text,label,label,topic", "a,b,c,d"]
    assert infer(tmp_path, rows).label == "topic"
    with pytest.raises(DatasetError, match="'label': expected once, found 2 times"):
        infer(tmp_path, rows, label="label")


def test_table_without_classes_asks_for_the_label(tmp_path):
    rows = ["text,note", *(f"{s},{s}" for s in sentences(20))]
    with pytest.raises(DatasetError, match=r"expected a column of classes.*with label"):
        infer(tmp_path, rows)


def test_table_of_bad_rows_alone_names_one(tmp_path):
    with pytest.raises(DatasetError, match=r"a\.csv: expected rows, got 1 bad.*line 2"):
        infer(tmp_path, ["text,label", "a,b,c"])
    with pytest.raises(DatasetError, match=r"a\.csv: expected rows, got 0"):
        infer(tmp_path, ["text,label"])


def test_nested_parquet_column_is_refused_if_it_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    nested = [{"a": 1}, {"a": 2}]
    pq.write_table(pa.table({"text": ["a", "b"], "label": [1, 2], "x": nested}), path)
    table = open_table(path, "parquet", None)
    assert infer_columns(table, FileOptions(file="a")).label == "label"
    with pytest.raises(DatasetError, match=r"a\.parquet: column 'x'.*nested.*flat"):
        infer_columns(table, FileOptions(file="a", label="x"))


def test_json_lists_are_series_or_categories(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"steps": [[1, 2], [3, 4]], "label": "a"}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    table = open_table(path, "jsonl", None)
    found = infer_columns(table, FileOptions(file="a"))
    assert found == Columns("lists", "label", values=("steps",))
    rows = [{"steps": ["x", "y"], "label": "a"}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = infer_columns(open_table(path, "jsonl", None), FileOptions(file="a"))
    assert (found.layout, found.has_categories) == ("lists", True)
