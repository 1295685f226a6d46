from __future__ import annotations

from pathlib import Path

import pytest

from lstm_bench.system.folders import cache_folder


def test_folder_is_named_by_our_variable_then_by_xdg_then_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTM_BENCH_CACHE", str(tmp_path / "ours"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("imdb", "key") == tmp_path / "ours/lstm-bench/imdb/key"
    monkeypatch.setenv("LSTM_BENCH_CACHE", "")
    assert cache_folder("imdb") == tmp_path / "xdg/lstm-bench/imdb"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home/.cache/lstm-bench"
    assert list(tmp_path.iterdir()) == []
