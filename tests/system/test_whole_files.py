from __future__ import annotations

from pathlib import Path

import pytest

from lstm_bench.system.files import replacing


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
