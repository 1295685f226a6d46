"""CSV, TSV, JSON Lines and Parquet as people have them, whole and malformed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_files import messages

from lstm_bench.data.files import tables
from lstm_bench.data.files.bad_rows import BadRows
from lstm_bench.data.files.tables import Rows, open_table
from lstm_bench.errors import DatasetError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, name: str = "csv", header: bool | None = None) -> Rows:
    """Return all rows; a bad row is an error."""
    rows, bad = read_with_bad(path, name, header, "error")
    bad.check()
    return rows


def read_with_bad(path, name="csv", header=None, on_bad_rows="drop"):
    table = open_table(path, name, header)
    bad = BadRows(on_bad_rows)
    rows = Rows({column: [] for column in table.columns}, [])
    for block in table.blocks(table.columns, bad):
        rows.lines += block.lines
        for column, cells in block.columns.items():
            rows.columns[column] += cells
    return rows, bad


# CSV and TSV


def test_csv_has_quotes_line_breaks_bom_and_crlf(tmp_path):
    content = '\ufefftext,label\r\n"a ""b"", c\r\nd",é\r\n\r\nlast,"x,y"'
    path = write(tmp_path / "a.csv", content)
    rows = read(path)
    assert rows.columns == {
        "text": ['a "b", c\r\nd', "last"],
        "label": ["é", "x,y"],
    }
    assert rows.lines == [2, 5]


def test_gzipped_csv_and_tsv_are_read_alike(tmp_path):
    csv = write(tmp_path / "a.csv.gz", gzip.compress(b"text,label\na b,c\n"))
    tsv = write(tmp_path / "a.tsv", "text\tlabel\na b\tc\n")
    assert read(csv) == read(tsv, "tsv")


@pytest.mark.parametrize("header", ["text;label", '"text";"label, or class"'])
def test_csv_may_have_semicolons_as_excel_writes_them(tmp_path, header):
    path = write(tmp_path / "a.csv", f'{header}\r\n"a, b; c";x\r\nd, e;y\r\n')
    assert list(read(path).columns.values()) == [["a, b; c", "d, e"], ["x", "y"]]


def test_csv_with_commas_may_have_semicolons_in_texts(tmp_path):
    path = write(tmp_path / "a.csv", "a;b;c,x\nd;e,y\n")
    assert read(path, header=False).columns == {"1": ["a;b;c", "d;e"], "2": ["x", "y"]}


def test_csv_row_70_000_with_another_number_of_columns_is_found(tmp_path):
    lines = ["text,label", *(f'"text\n{i}",a' for i in range(2, 70_000))]
    lines += ["one,two,three", "fine,b"]
    rows, bad = read_with_bad(write(tmp_path / "a.csv", "\n".join(lines)))
    # Each text before it has two lines.
    assert messages(bad) == [
        "a.csv: line 139998: another number of columns than the first row (expected "
        "2, got 3)"
    ]
    assert (bad.n_read, bad.n_dropped) == (70_000, 1)
    assert rows.columns["text"][-1] == "fine"
    assert rows.lines[-1] == 139_999


def test_csv_quote_left_open_costs_one_row_alone(tmp_path):
    content = 'text,label\na,x\n"open,x\nb,x\n"c, d",y\ne,y\n"open to the end,y\nf,y\n'
    rows, bad = read_with_bad(write(tmp_path / "a.csv", content))
    assert rows.columns["text"] == ["a", "b", "c, d", "e", "f"]
    assert rows.lines == [2, 4, 5, 6, 8]
    assert bad.n_dropped == 2
    assert messages(bad)[0].startswith("a.csv: line 3: a quote is not closed")


def test_csv_with_open_quotes_everywhere_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_REREAD", 100)
    content = "text,label\n" + '"open,x\n' + "a,x\n" * 50
    with pytest.raises(DatasetError, match=r"a\.csv: line 2: .*RFC 4180"):
        read_with_bad(write(tmp_path / "a.csv", content))


def test_bad_rows_are_one_error_with_places_and_remedies(tmp_path):
    content = b'text,label\nok,a\nb\xe9te,a\nx,y,z\n"o" p,a\n'
    with pytest.raises(DatasetError) as error:
        read(write(tmp_path / "a.csv", content))
    message = str(error.value)
    assert "a.csv: line 3: expected UTF-8, got other bytes (0xe9 after 'b')" in message
    assert "line 4: another number of columns" in message
    assert "line 5: a quote" in message
    assert "3 bad rows" in message
    assert "iconv -f latin1 -t utf8" in message
    assert "correct these rows" in message
    assert "on_bad_rows: drop" in message


def test_the_first_five_bad_rows_are_enough_for_an_error(tmp_path):
    content = "text,label\n" + "a,b,c\n" * 10
    with pytest.raises(DatasetError, match="5 or more bad rows") as error:
        read(write(tmp_path / "a.csv", content))
    assert "line 6" in str(error.value)
    assert "line 7" not in str(error.value)


def test_csv_without_header_has_numbers_as_names(tmp_path):
    path = write(tmp_path / "a.csv", "0.5,1\n2,3\n")
    assert read(path).columns == {"1": ["0.5", "2"], "2": ["1", "3"]}
    assert read(path, header=True).columns == {"0.5": ["2"], "1": ["3"]}


def test_csv_header_of_pandas_column_numbers_is_one(tmp_path):
    path = write(tmp_path / "a.csv", "0,1,2\n5,6,7\n")
    assert read(path).columns == {"0": ["5"], "1": ["6"], "2": ["7"]}
    assert read(path, header=False).lines == [1, 2]


def test_long_text_is_fine_and_a_longer_one_a_bad_row(tmp_path, monkeypatch):
    ten_mb = "word " * 2_000_000
    path = write(tmp_path / "a.csv", f"text,label\n{ten_mb},a\nb,a\n")
    assert read(path).columns["text"] == [ten_mb, "b"]
    monkeypatch.setattr(tables, "MAX_TEXT", 1000)
    rows, bad = read_with_bad(path)
    assert rows.columns["text"] == ["b"]
    assert messages(bad) == ["a.csv: line 2: a field of more than 1,000 characters"]


# Whole files


def test_truncated_gzip_names_file_and_remedy(tmp_path):
    whole = gzip.compress(b"text,label\n" + b"some words,a\n" * 100_000)
    path = write(tmp_path / "a.csv.gz", whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"a\.csv\.gz.*truncated.*again"):
        read(path)


def test_no_gzip_names_file_and_remedy(tmp_path):
    path = write(tmp_path / "a.csv.gz", "text,label\n")
    with pytest.raises(DatasetError, match=r"a\.csv\.gz.*complete gzip file"):
        read(path)


def test_decompressed_size_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("lstm_bench.data.files.streams.MAX_BYTES", 10_000)
    path = write(
        tmp_path / "a.csv.gz", gzip.compress(b"text,label\n" + b"a,b\n" * 9999)
    )
    with pytest.raises(DatasetError, match="at most 10,000 bytes when decompressed"):
        read(path)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lstm_bench.data.files.streams.MAX_LINE", 1000)
    path = write(tmp_path / "a.csv", "text,label\n" + "a" * 2000)
    with pytest.raises(DatasetError, match=r"line 2: expected at most 1,000 char"):
        read(path)


def test_utf_16_names_the_way_out(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\na,b\n".encode("utf-16"))
    with pytest.raises(DatasetError, match=r"UTF-16; convert the file \(iconv"):
        read(path)


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match=r"no\.csv: expected a file, found none"):
        read(tmp_path / "no.csv")


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_empty_file(tmp_path, name):
    with pytest.raises(DatasetError, match=rf"a\.{name}: expected"):
        read(write(tmp_path / f"a.{name}", ""), name)


# JSON Lines


def test_json_lines_keep_types_and_lack_keys(tmp_path):
    lines = [{"text": "a", "label": 1}, {"label": True, "text": "b\n", "more": None}]
    content = "\n\n".join(map(json.dumps, lines))
    rows = read(write(tmp_path / "a.jsonl", content), "jsonl")
    assert rows.columns == {
        "text": ["a", "b\n"],
        "label": [1, True],
        "more": [None, None],
    }
    assert rows.lines == [1, 3]


def test_json_lines_that_are_no_objects_are_bad_rows(tmp_path):
    content = [
        b'{"text": "a"}',
        b"[1, 2]",
        b'{"text": ',
        b'{"text": "\xff"}',
        b"[" * 100_000,
        b'{"text": ' + b"9" * 5000 + b"}",
    ]
    path = write(tmp_path / "a.jsonl", b"\n".join(content))
    rows, bad = read_with_bad(path, "jsonl")
    assert rows.columns == {"text": ["a"]}
    assert bad.counts == {
        "no JSON object": 1,
        "no JSON": 3,
        "expected UTF-8, got other bytes": 1,
    }
    assert messages(bad)[0] == "a.jsonl: line 2: no JSON object ([1, 2])"
    assert messages(bad)[1].startswith("a.jsonl: line 3: no JSON (Expecting value")
    with pytest.raises(DatasetError, match=r"line 2: no JSON object.*line 6"):
        read(path, "jsonl")


def test_json_list_over_all_lines_is_explained(tmp_path):
    path = write(tmp_path / "a.json", '[\n{"text": "a"},\n{"text": "b"}\n]')
    with pytest.raises(DatasetError, match="one object per line, without a list"):
        read(path, "jsonl")


# Parquet


def parquet(path: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_rows_are_numbered_across_blocks(tmp_path):
    n = 3000
    path = parquet(tmp_path / "a.parquet", text=[f"t{i}" for i in range(n)])
    rows = read(path, "parquet")
    assert rows.columns["text"] == [f"t{i}" for i in range(n)]
    assert rows.lines == list(range(1, n + 1))


def test_gzipped_parquet(tmp_path):
    path = parquet(tmp_path / "a.parquet", text=["a", "b"], label=[1, None])
    packed = write(tmp_path / "b.parquet.gz", gzip.compress(path.read_bytes()))
    assert read(packed, "parquet").columns == {"text": ["a", "b"], "label": [1, None]}


def test_parquet_text_that_is_not_utf_8_is_a_bad_row(tmp_path):
    raw = pa.array([b"a", b"\xe9t\xe9"])
    text = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    path = parquet(tmp_path / "a.parquet", text=text)
    rows, bad = read_with_bad(path, "parquet")
    assert rows.columns == {"text": ["a"]}
    assert messages(bad)[0].startswith("a.parquet: row 2: expected UTF-8")


def test_parquet_date_that_python_lacks_is_a_bad_row(tmp_path):
    when = pa.array([0, 10**15], pa.timestamp("ms"))
    path = parquet(tmp_path / "a.parquet", text=["a", "b"], when=when)
    rows, bad = read_with_bad(path, "parquet")
    assert rows.columns["text"] == ["a"]
    assert messages(bad)[0].startswith("a.parquet: row 2: a value that cannot be read")


def test_damaged_and_empty_parquet(tmp_path):
    path = parquet(tmp_path / "a.parquet", text=["a"] * 100)
    damaged = write(tmp_path / "b.parquet", path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match=r"b\.parquet: expected a Parquet file"):
        read(damaged, "parquet")
    empty = parquet(tmp_path / "c.parquet", text=pa.array([], pa.string()))
    with pytest.raises(DatasetError, match=r"c\.parquet: expected rows, got 0"):
        read(empty, "parquet")
