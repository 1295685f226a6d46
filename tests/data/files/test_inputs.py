"""Files whose classes are to be predicted: labels need not be there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from own_files import messages, open_file, read_file, read_inputs

from lstm_bench.errors import DatasetError


def write(tmp_path: Path, name: str, content: str) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def test_table_keeps_all_its_columns(tmp_path):
    path = write(tmp_path, "a.csv", "id,text,who\n7,a b,\n8,c,ann,x\n9,d,bob\n")
    found, bad = read_inputs(path, label="topic", group="person")
    assert found.values == ["a b", "d"]
    assert found.labels == ["", ""]
    assert found.columns == {
        "id": ["7", "9"],
        "text": ["a b", "d"],
        "who": ["", "bob"],
    }
    assert messages(bad)[0].startswith("a.csv: line 3: another number of columns")


def test_labels_and_parts_that_are_there_do_not_count(tmp_path):
    path = write(tmp_path, "a.csv", "text,label,split\na,,nowhere\nb,x,\n")
    found, bad = read_inputs(path)
    assert (found.values, found.parts, bad.n_dropped) == (["a", "b"], [], 0)
    assert found.columns["label"] == ["", "x"]


def test_numbers_of_json_lines_are_kept_as_they_are(tmp_path):
    rows = [{"text": "a", "n": 1, "list": [1, 2]}, {"text": "b", "n": None}]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert read_inputs(path)[0].columns == {
        "text": ["a", "b"],
        "n": [1, None],
        "list": [[1, 2], None],
    }


def test_wide_rows_without_the_label(tmp_path):
    path = write(tmp_path, "a.csv", "1,2,3,4\n5,6,7,8\n")
    found, _ = read_inputs(path, label=5, shape=[2, 2], header=False)
    assert found.values[1].tolist() == [[5, 6], [7, 8]]
    assert found.columns["4"] == ["4", "8"]


def test_long_rows_keep_the_names_of_the_series(tmp_path):
    path = write(tmp_path, "a.csv", "who,t,x\nann,2,1\nbob,1,3\nann,1,2\n")
    found, _ = read_inputs(path, series="who", step="t")
    assert [series.tolist() for series in found.values] == [[[2], [1]], [[3]]]
    assert found.columns == {"who": ["ann", "bob"]}


def test_fasttext_lines_with_and_without_labels(tmp_path):
    path = write(tmp_path, "a.ft", "a text\n__label__x other\n")
    assert read_inputs(path)[0].values == ["a text", "other"]
    assert read_file(path)[0].values == ["other"]


@pytest.mark.parametrize("names", [("1.txt", "2.txt"), ("a/1.txt", "b/2.txt")])
def test_folder_keeps_the_names_of_its_files(tmp_path, names):
    for name in names:
        write(tmp_path / "texts", name, f"text of {name}")
    found, _ = read_inputs(tmp_path / "texts")
    assert found.columns == {"file": list(names)}
    assert found.values == [f"text of {name}" for name in names]


def test_ts_without_classes(tmp_path):
    path = write(tmp_path, "a.ts", "@classLabel false\n@data\n1,2:3,4\n5:6\n")
    found, _ = read_inputs(path)
    assert [series.tolist() for series in found.values] == [[[1, 3], [2, 4]], [[5, 6]]]
    with pytest.raises(DatasetError, match="no @classLabel true"):
        open_file(path)


def test_ts_with_unknown_classes(tmp_path):
    path = write(tmp_path, "a.ts", "@classLabel true a b\n@data\n1:?\n2:a\n")
    assert [series.tolist() for series in read_inputs(path)[0].values] == [[[1]], [[2]]]


def test_ucr_with_empty_classes(tmp_path):
    path = write(tmp_path, "a.tsv", "\t1\t2\n?\t3\t4\n")
    found, _ = read_inputs(path, format="ucr")
    assert [series.tolist() for series in found.values] == [[[1], [2]], [[3], [4]]]


def test_npz_without_y(tmp_path):
    x = np.arange(12).reshape(2, 3, 2)
    np.savez(tmp_path / "a.npz", X=x)
    found, _ = read_inputs(tmp_path / "a.npz")
    assert [series.tolist() for series in found.values] == x.tolist()
