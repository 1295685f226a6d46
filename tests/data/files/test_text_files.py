"""Folders of texts and fastText's lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_files import messages, read_file

from lstm_bench.data.files import text_folders
from lstm_bench.data.files.formats import PartFile, part_files
from lstm_bench.data.files.options import FileOptions
from lstm_bench.errors import DatasetError


def write_files(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


# Folders


def test_folders_are_classes(tmp_path):
    folder = write_files(
        tmp_path / "reviews",
        {
            "pos/1.txt": "\ufeffgood\nfilm",
            "neg/b.txt": "bad",
            "neg/a.txt": "",
            "neg/readme.md": "no text",
            "README.txt": "no class",
            ".git/1.txt": "hidden",
        },
    )
    (folder / "pos" / "2.txt").symlink_to(folder / "README.txt")
    found, bad = read_file(folder)
    assert found.labels == ["neg", "neg", "pos"]
    assert found.values == ["", "bad", "good\nfilm"]
    assert (bad.n_read, bad.n_dropped) == (3, 0)


def test_bad_text_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(text_folders, "MAX_TEXT", 25)
    files = {"a/1.txt": b"\xe9t\xe9", "a/2.txt": "fine", "b/1.txt": "x" * 101}
    found, bad = read_file(write_files(tmp_path / "d", files))
    assert found.values == ["fine"]
    assert messages(bad)[0].startswith("d: a/1.txt: expected UTF-8, got other bytes")
    assert messages(bad)[1].startswith("d: b/1.txt: a text of more than")


def test_folder_without_texts_is_explained(tmp_path):
    folder = write_files(tmp_path / "d", {"a/1.md": "no text"})
    with pytest.raises(DatasetError, match=r"a folder for each class.*folders a;"):
        read_file(folder)


@pytest.mark.parametrize("validation", ["validation", "valid", "dev"])
def test_part_folders_are_found(tmp_path, validation):
    files = [f"{part}/a/1.txt" for part in ("train", validation, "test")]
    write_files(tmp_path / "d", dict.fromkeys(files, "x"))
    assert part_files(FileOptions(file="d"), tmp_path) == [
        PartFile(tmp_path / "d" / "train", 0),
        PartFile(tmp_path / "d" / validation, 1),
        PartFile(tmp_path / "d" / "test", 2),
    ]


def test_part_files_are_found_by_their_names(tmp_path):
    files = ["R8_TEST.csv.gz", "r8-train.csv", "trainer.csv", "notes.md", "b.csv"]
    write_files(tmp_path / "d", dict.fromkeys(files, "text,label\n"))
    assert part_files(FileOptions(file="d"), tmp_path) == [
        PartFile(tmp_path / "d" / "r8-train.csv", 0),
        PartFile(tmp_path / "d" / "R8_TEST.csv.gz", 2),
    ]


def test_folder_without_parts_or_classes_is_explained(tmp_path):
    write_files(tmp_path / "d", {"a.csv": "text,label\n"})
    with pytest.raises(DatasetError, match=r"train and test in their names, found a"):
        part_files(FileOptions(file="d"), tmp_path)


# fastText


def test_fasttext_lines(tmp_path):
    lines = "__label__pos good film\n\n__label__neg\tbad, film\r\n__label__neg\n"
    write_files(tmp_path, {"a.txt": lines})
    found, bad = read_file(tmp_path / "a.txt")
    assert found.labels == ["pos", "neg", "neg"]
    assert found.values == ["good film", "bad, film", ""]
    assert (bad.n_read, bad.n_dropped) == (3, 0)


def test_bad_fasttext_lines_are_named(tmp_path):
    lines = b"__label__a x\nno label\n__label__a __label__b two\n__label__a \xe9\n"
    write_files(tmp_path, {"a.ft": lines})
    found, bad = read_file(tmp_path / "a.ft")
    assert found.values == ["x"]
    assert messages(bad) == [
        "a.ft: line 2: no label: expected __label__CLASS first (no label)",
        "a.ft: line 3: more than one label (__label__b two)",
        "a.ft: line 4: expected UTF-8, got other bytes (0xe9 after '')",
    ]


# Formats


@pytest.mark.parametrize("name", ["a.doc", "a.txt", "a.xlsx"])
def test_other_file_names_are_explained(tmp_path, name):
    write_files(tmp_path, {name: "some text"})
    with pytest.raises(DatasetError, match=rf"{name}'; rename the file, or set format"):
        read_file(tmp_path / name)


def test_given_format_comes_before_the_name(tmp_path):
    write_files(tmp_path, {"a.data": "text,label\nx,y\n"})
    found, _ = read_file(tmp_path / "a.data", format="csv")
    assert found.labels == ["y"]
    with pytest.raises(DatasetError, match="expected a folder for format folder"):
        read_file(tmp_path / "a.data", format="folder")
