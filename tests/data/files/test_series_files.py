"""Series in .ts, UCR .tsv and .npz files, whole and malformed."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from own_files import messages, open_file, read_file

from lstm_bench.data.files.examples import Examples
from lstm_bench.data.files.formats import PartFile, open_source
from lstm_bench.data.files.options import FileOptions
from lstm_bench.errors import DatasetError


def lists(found: Examples) -> list[list[list[float]]]:
    return [series.tolist() for series in found.values]


# .ts

HEADER = """# A comment: with a colon
@problemName Two
@timeStamps false
@univariate false
@dimensions 2
@classLabel true a b
@data
"""


def write_ts(tmp_path: Path, cases: str, header: str = HEADER) -> Path:
    path = tmp_path / "a.ts"
    path.write_text(header + cases, encoding="utf-8")
    return path


def test_ts_has_channels_lengths_and_classes(tmp_path):
    path = write_ts(tmp_path, "1,2,3:4,5,6:a\n\n-1e2:0.5:b\n")
    found, bad = read_file(path)
    assert open_file(path).channels == ("1", "2")
    assert lists(found) == [[[1, 4], [2, 5], [3, 6]], [[-100, 0.5]]]
    assert found.values[0].dtype == np.float32
    assert found.labels == ["a", "b"]
    assert (bad.n_read, bad.n_dropped) == (2, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@dimensions 2", "@dimension 2"),
        ("@dimensions 2\n", ""),
        ("@data", "@DATA"),
        ("\n", "\r\n"),
        ("# A", "\ufeff# A"),
    ],
)
def test_ts_headers_differ_in_the_wild(tmp_path, old, new):
    path = write_ts(tmp_path, "1,2:3,4:a\n", HEADER.replace(old, new))
    assert lists(read_file(path)[0]) == [[[1, 3], [2, 4]]]


def test_univariate_ts_has_one_channel(tmp_path):
    header = HEADER.replace("@univariate false\n@dimensions 2", "@univariate true")
    found, _ = read_file(write_ts(tmp_path, "1,2:b\n", header))
    assert lists(found) == [[[1], [2]]]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("1,2:3:a", "channels of different lengths (2, 1)"),
        (
            "1,2:a",
            "another number of channels than the first case (expected 2 and a class, "
            "got 1)",
        ),
        ("1,2:3,4:c", "a class that @classLabel does not list ('c', not a, b)"),
        ("1,2:3,4:", "no label"),
        ("1,?:3,4:a", "a value that is missing or not finite (channel 1:"),
        ("1,2:3,NaN:a", "a value that is missing or not finite (step 2 of channel 2)"),
        ("1,inf:3,4:a", "a value that is missing or not finite (step 2 of channel 1)"),
        ("1,x:3,4:a", "a value that is no number (channel 1: could not convert"),
        ("::a", "a series without steps"),
    ],
)
def test_bad_case_of_ts_names_line_and_reason(tmp_path, case, message):
    found, bad = read_file(write_ts(tmp_path, f"1:2:a\n{case}\n3:4:b\n"))
    assert found.labels == ["a", "b"]
    assert messages(bad)[0].startswith(f"a.ts: line 9: {message}")


def test_ts_without_header_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"a\.ts: line 1: expected a header .*@data"):
        open_file(write_ts(tmp_path, "1,2:3,4:a\n", ""))


def test_ts_without_data_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"a\.ts: expected a header that ends with"):
        open_file(write_ts(tmp_path, "", HEADER.replace("@data", "")))
    with pytest.raises(DatasetError, match=r"a\.ts: expected a case after @data"):
        open_file(write_ts(tmp_path, ""))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("@classLabel false", "no @classLabel true"),
        ("@targetLabel true", "@targetLabel true.*; set task: regression"),
        ("@classLabel true a b\n@timeStamps true", "@timeStamps true"),
    ],
)
def test_ts_that_is_no_classification_is_refused(tmp_path, line, message):
    header = HEADER.replace("@classLabel true a b", line)
    with pytest.raises(DatasetError, match=rf"a\.ts: .*{message}"):
        read_file(write_ts(tmp_path, "1:2:3.5\n", header))


def test_gzipped_ts_is_read_and_a_truncated_one_refused(tmp_path):
    content = gzip.compress(write_ts(tmp_path, "1:2:a\n" * 5000).read_bytes())
    path = tmp_path / "b.ts.gz"
    path.write_bytes(content)
    assert len(read_file(path)[0].labels) == 5000
    path.write_bytes(content[:-10])
    with pytest.raises(DatasetError, match=r"b\.ts\.gz.*truncated"):
        read_file(path)


# UCR


def test_ucr_has_the_class_first_and_nan_at_the_ends(tmp_path):
    path = tmp_path / "A_TRAIN.tsv"
    path.write_text("1\t0.5\t2\t3\n-1\t4\tNaN\tNaN\n1\t1\tNaN\t2\n2\tNaN\tNaN\tNaN\n")
    found, bad = read_file(path)
    assert open_file(path).channels == ("1",)
    assert lists(found) == [[[0.5], [2], [3]], [[4]]]
    assert found.labels == ["1", "-1"]
    assert messages(bad) == [
        "A_TRAIN.tsv: line 3: a value that is missing or not finite (step 2 of "
        "channel 1)",
        "A_TRAIN.tsv: line 4: a series without steps",
    ]


def test_empty_ucr_file_is_refused(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("")
    with pytest.raises(DatasetError, match=r"a\.tsv: line 1: expected a class"):
        open_source(PartFile(path, None), FileOptions(file="a", format="ucr"))


# .npz

X = np.arange(12).reshape(2, 3, 2)


def write_npz(tmp_path: Path, **arrays) -> Path:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    return path


def test_npz_has_cases_time_and_channels(tmp_path):
    path = write_npz(tmp_path, X=X, y=["b", "a"])
    found, bad = read_file(path)
    assert lists(found) == X.tolist()
    assert found.values[0].dtype == np.float32
    assert found.labels == ["b", "a"]
    assert open_file(path).channels == ("1", "2")
    assert (bad.n_read, bad.n_dropped) == (2, 0)


def test_npz_of_two_axes_has_one_channel(tmp_path):
    found, _ = read_file(write_npz(tmp_path, x=X[:, :, 0], y=[1, 0]))
    assert lists(found) == [[[0], [2], [4]], [[6], [8], [10]]]
    assert found.labels == ["1", "0"]


def test_flat_npz_has_lengths(tmp_path):
    flat = X.reshape(6, 2)
    found, bad = read_file(write_npz(tmp_path, X=flat, y=[1, 0, 1], lengths=[2, 0, 4]))
    assert lists(found) == [flat[:2].tolist(), flat[2:].tolist()]
    assert messages(bad) == ["a.npz: case 2 of X: a series without steps"]


def test_npz_series_end_where_only_nan_follows(tmp_path):
    x = X.astype(float)
    x[0, 1:] = x[1] = np.nan
    found, bad = read_file(write_npz(tmp_path, X=x, y=[1, 0]))
    assert lists(found) == [[[0, 1]]]
    assert messages(bad) == ["a.npz: case 2 of X: a series without steps"]


def test_npz_may_have_its_parts_by_name(tmp_path):
    found, _ = read_file(
        write_npz(tmp_path, x_train=X, y_train=[1, 0], x_test=X[:1], y_test=[1])
    )
    assert found.labels == ["1", "0", "1"]
    assert found.parts == [0, 0, 2]


def test_npz_value_that_is_not_finite_is_a_bad_row(tmp_path):
    x = X.astype(float)
    x[1, 2, 0] = np.nan
    found, bad = read_file(write_npz(tmp_path, X=x, y=[1, 0]))
    assert found.labels == ["1"]
    assert messages(bad) == [
        "a.npz: case 2 of X: a value that is missing or not finite (step 3 of "
        "channel 1)"
    ]


@pytest.mark.parametrize("name", ["X", "y"])
def test_npz_with_objects_is_never_unpickled(tmp_path, name):
    mark = tmp_path / "mark"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (mark,))

    arrays = {"X": X, "y": np.array([1, 0])}
    arrays[name] = np.array([Bomb(), Bomb()], object)
    path = write_npz(tmp_path, **arrays)
    with pytest.raises(DatasetError, match=rf"a\.npz: {name}: .*pickle.*flat X"):
        open_file(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, "expected the arrays X and y .* found a"),
        ({"X": X}, "expected an array y, found X"),
        ({"X": X, "y": [1]}, r"got X of shape \(2, 3, 2\) and y of shape \(1,\)"),
        ({"X": X[0, 0], "y": [1, 0]}, r"got X of shape \(2,\)"),
        ({"X": X.astype(str), "y": [1, 0]}, "got X of type"),
        ({"X": X[0], "y": [1, 0], "lengths": [1, 1]}, "do not add up"),
        ({"X": X[0], "y": [1, 0], "lengths": [4, -1]}, "do not add up"),
    ],
)
def test_npz_whose_arrays_do_not_fit_is_explained(tmp_path, arrays, message):
    with pytest.raises(DatasetError, match=rf"a\.npz: .*{message}"):
        open_file(write_npz(tmp_path, **arrays))


def test_damaged_npz_is_refused(tmp_path):
    path = write_npz(tmp_path, X=X, y=[1, 0])
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[:-30], whole[:200] + whole[230:]):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.npz: expected a complete \.npz"):
            read_file(path)


def test_npz_whose_header_announces_more_than_it_has_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1000, 1000, 100)}
    )
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", header.getvalue())
        archive.writestr("y.npy", header.getvalue())
    with pytest.raises(DatasetError, match="its shape needs 800,000,000"):
        open_file(path)
