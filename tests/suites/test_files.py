from pathlib import Path

import pytest
from conftest import ROOT

from lstm_bench.errors import OutputError, SuiteError
from lstm_bench.suites.files import (
    SHIPPED,
    copy_suite,
    own_suites,
    shipped_suites,
    suite_file,
    suite_names,
)
from lstm_bench.suites.suite import load_suite, suite_from_text


def test_suite_file_takes_the_shipped_one_unless_benchmarks_has_its_own(
    write_suite, tmp_path, monkeypatch
):
    text = write_suite().read_text()
    monkeypatch.chdir(tmp_path)
    assert suite_file("quick") == SHIPPED / "quick.yaml"
    assert load_suite("quick").path == "quick"
    assert "quick" in [file.stem for file in shipped_suites()]
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "quick.yaml").write_text(text)
    assert load_suite("quick").path == "benchmarks/quick.yaml"
    assert load_suite("quick").description == "a tiny study for tests"
    assert [file.stem for file in own_suites()] == ["quick"]
    assert "quick" not in [file.stem for file in shipped_suites()]
    assert suite_names().count("quick") == 1


def test_suite_file_takes_a_path_as_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("benchmarks/quick.yaml", "quick.yaml"):
        with pytest.raises(
            SuiteError, match=r"no such suite file.*name: co2, digits, "
        ):
            load_suite(path)
    with pytest.raises(SuiteError, match=r"did you mean 'quick'\?"):
        load_suite("quik")


def test_a_name_means_the_file_in_the_working_directory_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert suite_file("quick") == SHIPPED / "quick.yaml"
    (tmp_path / "benchmarks").mkdir()
    for place in (Path("benchmarks/quick.yaml"), Path("quick.yaml")):
        place.write_bytes((SHIPPED / "quick.yaml").read_bytes())
        assert suite_file("quick") == place
    assert load_suite("quick").path == "quick.yaml"


def test_suite_path_of_one_logged_is_a_name_that_commands_take(tmp_path, monkeypatch):
    text = (SHIPPED / "quick.yaml").read_text()
    monkeypatch.chdir(ROOT)
    assert suite_from_text("quick", text).path == "benchmarks/quick.yaml"
    monkeypatch.chdir(tmp_path)
    assert suite_from_text("quick", text).path == "quick"
    assert suite_from_text("mine", text).path == "benchmarks/mine.yaml"


def test_copy_suite_makes_the_same_study_and_replaces_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copy = copy_suite(suite_file("imdb_small"), tmp_path)
    assert copy == tmp_path / "imdb_small.yaml"
    assert load_suite(copy).study_name == load_suite("imdb_small").study_name
    copy.write_text("mine")
    with pytest.raises(OutputError, match="expected a new file, got one that exists"):
        copy_suite(suite_file("imdb_small"), tmp_path)
    assert copy.read_text() == "mine"
    with pytest.raises(OutputError, match="cannot be written"):
        copy_suite(suite_file("imdb_small"), tmp_path / "none" / "mine.yaml")
