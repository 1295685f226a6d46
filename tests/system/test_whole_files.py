from __future__ import annotations

from pathlib import Path

import pytest

from lstm_bench.system.files import new_folder, replacing


def test_replacing_makes_the_folder_and_leaves_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with replacing(file) as partial:
            partial.write_text(text)
            assert text == "one" or file.read_text() == "one"
        assert file.read_text() == text
    assert list(file.parent.iterdir()) == [file]


def test_replacing_leaves_the_old_file_after_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(file) as partial:
        partial.write_text("ne")
        raise KeyboardInterrupt
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_new_folder_is_there_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "a"
    with new_folder(folder) as partial:
        (partial / "file").write_text("one")
        assert not folder.exists()
    assert (folder / "file").read_text() == "one"
    assert list(folder.parent.iterdir()) == [folder]


def test_new_folder_leaves_nothing_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "a") as partial:
        (partial / "file").write_text("one")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_new_folder_replaces_no_files(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "old").write_text("old")
    with pytest.raises(OSError), new_folder(folder) as partial:
        (partial / "file").write_text("one")
    assert [each.name for each in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]
