"""The folder that a suite's data are read from."""

import pytest

from lstm_bench.errors import SuiteError
from lstm_bench.suites.suite import load_suite, suite_from_text
from lstm_bench.training.prepare import data_folder, prepare


def test_a_suites_own_files_are_read_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("LSTM_BENCH_DATA", raising=False)
    text = "description: d\ndataset: {file: a.csv}\nspace: {units: [2, 3]}\n"
    file = tmp_path / "study" / "mine.yaml"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    own = load_suite(file)
    assert data_folder(own, None) == file.parent
    assert data_folder(own, tmp_path) == tmp_path
    # LSTM_BENCH_DATA counts where it has the file.
    monkeypatch.setenv("LSTM_BENCH_DATA", str(tmp_path))
    assert data_folder(own, None) == file.parent
    (tmp_path / "a.csv").write_text("text,label\n", encoding="utf-8")
    assert data_folder(own, None) == tmp_path
    assert data_folder(load_suite("quick"), None) is None


def test_series_have_no_embedding_to_drop():
    text = (
        "description: d\ndataset: {name: digits}\nspace: {units: [2, 3]}\n"
        "defaults: {head: softmax, token_dropout: 0.1, spatial_dropout: 0.1}\n"
    )
    suite = suite_from_text("s", text)
    prepare(suite, None)
    refused = "embedding_dropout: 0 where the data are vectors.*use token_dropout"
    with pytest.raises(SuiteError, match=refused):
        prepare(suite, None, suite.with_overrides(["embedding_dropout=0.2"]))
    axis = text.replace("units: [2, 3]", "embedding_dropout: [0.0, 0.5]")
    with pytest.raises(SuiteError, match=f"space.embedding_dropout: .*{refused}"):
        prepare(suite_from_text("s", axis), None)
    axis = text.replace(
        "units: [2, 3]", "embedding_gradient: [per_token, per_occurrence]"
    )
    with pytest.raises(SuiteError, match=r"space.embedding_gradient: .* no embedding"):
        prepare(suite_from_text("s", axis), None)
