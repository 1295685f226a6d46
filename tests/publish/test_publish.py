"""What is published with a project: reports, summaries, and the index of them."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from commands import run
from results_builder import (
    CONFIRM_SUITE,
    PUBLISHED,
    SEARCH,
    SUITE,
    TRIAL_2,
    make_confirmed_results,
    make_results,
)

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.data.registry import is_synthetic
from lstm_bench.errors import PublishError
from lstm_bench.publish.figure import plot_overview, scores
from lstm_bench.publish.index import COLUMNS, table_row
from lstm_bench.publish.publish import publish
from lstm_bench.publish.summary import Summary, summarise
from lstm_bench.report.figures.style import standalone_svg

REAL = {"name": "imdb", "synthetic": False, "best_possible_accuracy": None}
REFERENCES = (dict(reference="a", max_epochs=3, objective=0.8, train_time_s=45.0),)


def searched(name="searched", rows=SEARCH, text=SUITE, **dataset):
    text = text.replace(": synthetic", ": imdb")
    return make_results(rows, text, name, dataset={**REAL, **dataset})


def confirmed(**changes):
    """Return the confirmed study ``small``, of data that passes for real."""
    real = searched("small", text=CONFIRM_SUITE)
    known = {"dataset": real.dataset, "suite": real.suite, "study": real.study}
    return make_confirmed_results(**{**known, **changes})


def as_published():
    return searched("as_published", REFERENCES, PUBLISHED, validation="test")


def summary_of(results) -> Summary:
    found = summarise(analyse(results))
    assert found is not None
    return found


def contents(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_the_row_of_a_confirmed_study():
    row = dict(zip(COLUMNS, table_row(summary_of(confirmed())), strict=True))
    # 36, 37 and 36 of 40 right on test: mean 109 / 120, standard error 1 / 120, and
    # Student's t for 2 degrees of freedom is 4.3027. The baseline: 30, 32 and 29; the
    # differences 6, 5 and 7 of 40 have mean 0.15 and standard error 0.025 / sqrt 3.
    assert row == {
        "suite": "[small](published/small/report.md) "
        "([page](published/small/index.html))",
        "data": "imdb: 400 to train on, 100 to validate, 50 to test",
        "best network": TRIAL_2,
        "score (95 % interval), seeds": "test accuracy 0.9083 (0.8725 to 0.9442), "
        "3 seeds",
        "best baseline": "Bag of words: 0.7583 (0.6635 to 0.8532)",
        "network against baseline": "better: +0.1500 (+0.0879 to +0.2121)",
        # Search: 10 + 12 + 20 + 30 + 1 + 1 + 40 = 114 s. Round: three seeds of four
        # configurations, 3 x (10 + 20 + 30 + 40) + 4 x (1 + 2 + 3) = 324 s.
        "trained in": "7 min, 19 trainings",
        "date": "2026-01-01",
    }


def test_the_row_of_a_search_shows_its_best_as_not_confirmed():
    row = dict(zip(COLUMNS, table_row(summary_of(searched())), strict=True))
    assert row["best network"] == TRIAL_2
    assert row["score (95 % interval), seeds"] == (
        "not confirmed: validation accuracy 0.9000 (Wilson 0.8256 to 0.9448), 1 run"
    )
    assert row["best baseline"] == "–"
    assert row["network against baseline"] == "not confirmed"


def test_a_search_has_its_baseline_on_the_same_reviews():
    whole = make_confirmed_results()
    split = whole.baselines[whole.baselines["replicate"] == 0]
    found = summary_of(make_results(baselines=split))
    assert found.baseline is not None
    # 30 of 40 on test are 15 of 20 on validation.
    assert (found.baseline.score.split, found.baseline.score.mean) == (
        "validation",
        0.75,
    )
    assert not found.confirmed


def test_wilsons_interval_is_of_the_accuracy_and_no_other_metric():
    text = SUITE.replace("metric: accuracy", "metric: log_loss")
    score = summary_of(searched(text=text)).winner.score
    assert score.ci95_low is None


def test_published_figures_stand_beside_the_measured():
    row = dict(zip(COLUMNS, table_row(summary_of(as_published())), strict=True))
    assert row["data"].endswith("(validated on the test set)")
    assert row["score (95 % interval), seeds"].endswith(
        "; them: published test accuracy 0.7500 for a, here 0.8000"
    )


def test_commands_say_how_far_the_study_went():
    assert summary_of(confirmed()).commands == (
        # 6 of the suite's 8 trials; the round is as the suite declares it.
        "lstm-bench sweep benchmarks/small.yaml --data-dir DIR --trials 6",
        "lstm-bench confirm benchmarks/small.yaml --data-dir DIR",
    )
    other = CONFIRM_SUITE.replace("n_best: 2", "n_best: 3")
    other = other.replace("n_replicates: 3", "n_replicates: 5")
    assert (
        summary_of(confirmed(suite=searched(text=other).suite))
        .commands[1]
        .endswith("--best 2 --replicates 3")
    )
    assert summary_of(make_results()).commands == (
        "lstm-bench sweep benchmarks/small.yaml --trials 6",
    )


def test_a_summary_reads_back_as_it_was_written():
    for results in (confirmed(), searched(), as_published()):
        found = summary_of(results)
        assert Summary.model_validate_json(found.model_dump_json()) == found


def test_publishing_writes_reports_summaries_picture_and_index(tmp_path):
    done = publish([confirmed(), as_published()], tmp_path)
    assert done.warnings == ()
    written = contents(tmp_path)
    assert {"README.md", "published/overview.svg"} < set(written)
    for suite in ("small", "as_published"):
        folder = f"published/{suite}"
        assert {f"{folder}/index.html", f"{folder}/report.md"} < set(written)
    assert not [name for name in written if name.endswith(".tex")]
    summary = json.loads(written["published/small/summary.json"])
    assert summary["winner"]["score"]["n"] == 3
    assert summary["against_baseline"]["verdict"] == "better"
    index = written["README.md"].decode()
    assert "| [small](published/small/report.md)" in index
    assert (
        f"- against the best baseline: {TRIAL_2} is better than Bag of words:" in index
    )
    assert "lstm-bench publish as\\_published small" not in index
    assert "lstm-bench publish as_published small --replace\n```" in index
    for target in re.findall(r"\]\(([^)]+)\)", index):
        assert (tmp_path / target).is_file()


def test_every_row_of_the_index_has_every_column(tmp_path):
    text = CONFIRM_SUITE.replace("Which of a few?", "Is a | b, or <b>c</b>?")
    suite = searched("small", text=text).suite
    index = publish([confirmed(suite=suite)], tmp_path).index.read_text()
    rows = [line for line in index.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(COLUMNS) + 1}
    assert "<b>" not in index


def test_studies_published_before_stay_in_the_index(tmp_path):
    publish([searched("earlier")], tmp_path)
    before = contents(tmp_path / "published" / "earlier")
    publish([confirmed()], tmp_path)
    index = (tmp_path / "README.md").read_text()
    assert index.index("| [earlier](") < index.index("| [small](")
    assert contents(tmp_path / "published" / "earlier") == before


def test_publishing_again_gives_the_same_bytes(tmp_path):
    studies = [confirmed(), as_published()]
    publish(studies, tmp_path)
    before = contents(tmp_path)
    publish(list(reversed(studies)), tmp_path, replace=True)
    assert contents(tmp_path) == before


def test_only_tables_that_the_report_no_longer_has_are_removed(tmp_path):
    folder = tmp_path / "published" / "small"
    stale, kept = folder / "tables" / "old.csv", [
        folder / "report.png",
        folder / "tables" / "notes.txt",
        folder / "old.csv",
        tmp_path / "published" / "other" / "tables" / "old.csv",
        tmp_path / "published" / "speed" / "speed.json",
    ]  # fmt: skip
    for file in (stale, *kept):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    done = publish([confirmed()], tmp_path, replace=True)
    assert not stale.exists()
    assert all(file.exists() for file in kept)
    (warning,) = done.warnings
    assert "other: has no summary.json" in warning


def test_the_index_links_the_speed_report_where_there_is_one(tmp_path):
    index = publish([confirmed()], tmp_path).index
    assert "speed report" not in index.read_text()
    page = tmp_path / "published" / "speed" / "README.md"
    page.parent.mkdir()
    page.write_text("")
    assert publish([confirmed()], tmp_path, replace=True).warnings == ()
    assert "[speed report](published/speed/README.md)" in index.read_text()


def test_synthetic_data_is_published_only_where_that_is_asked_for(tmp_path):
    with pytest.raises(PublishError, match=r"small: .* synthetic.*--allow-synthetic"):
        publish([make_results()], tmp_path)
    assert contents(tmp_path) == {}
    index = publish([make_results()], tmp_path, allow_synthetic=True).index.read_text()
    assert "**SYNTHETIC DATA" in index
    assert "lstm-bench publish small --replace --allow-synthetic" in index


def test_synthetic_data_is_refused_before_anything_is_read(write_suite, capsys):
    file = write_suite()
    folder = file.parent
    # There is no store: who would read it first would say so.
    uri = f"sqlite:///{folder}/mlflow.db"
    out = str(folder / "out")
    assert run("publish", file, "--tracking-uri", uri, "--out", out) == 2
    said = capsys.readouterr().err
    assert "tiny: its dataset synthetic is synthetic" in said
    assert "--allow-synthetic" in said
    assert not (folder / "out").exists()
    assert is_synthetic("synthetic") and not is_synthetic("imdb")


def test_a_published_report_is_replaced_only_where_that_is_asked_for(tmp_path):
    publish([searched("small")], tmp_path)
    before = contents(tmp_path)
    with pytest.raises(PublishError) as found:
        publish([confirmed(), as_published()], tmp_path)
    said = str(found.value)
    assert (
        f"{tmp_path / 'published' / 'small'} (study {searched('small').study}" in said
    )
    assert "7 trainings, last worked on 2026-01-01" in said
    assert "--replace" in said
    assert contents(tmp_path) == before
    publish([confirmed(), as_published()], tmp_path, replace=True)
    assert (
        contents(tmp_path)["published/small/summary.json"]
        != (before["published/small/summary.json"])
    )


def test_a_report_without_a_summary_is_not_written_over_either(tmp_path):
    file = tmp_path / "published" / "small" / "report.md"
    file.parent.mkdir(parents=True)
    file.write_text("by hand")
    with pytest.raises(PublishError, match="no summary that can be read"):
        publish([confirmed()], tmp_path)
    assert contents(tmp_path) == {"published/small/report.md": b"by hand"}


@pytest.mark.parametrize("text", ["{folder}/data", "file://{folder}", "'{folder}'"])
def test_a_path_on_this_machine_is_never_published(tmp_path, text):
    folder = tmp_path / "home of somebody"
    source = text.format(folder=folder)
    results = searched(source=source)
    with pytest.raises(PublishError, match=r"home of somebody, a path on this machine"):
        publish([results], tmp_path / "out", private_folders=[folder])
    assert contents(tmp_path) == {}


def test_what_only_looks_like_a_path_on_this_machine_is_published(tmp_path):
    source = "https://host.org/rooted, https://host.org/root and /rootless"
    publish(
        [searched(source=source)], tmp_path, private_folders=[Path("/root"), Path("/")]
    )


def test_a_server_of_the_publisher_is_linked_nowhere(tmp_path):
    results = dataclasses.replace(searched(), tracking_url="http://host:5000")
    page = publish([results], tmp_path).pages[0]
    assert "host:5000" not in page.read_text()


def test_large_files_are_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr("lstm_bench.publish.publish.MAX_SIZE_MB", 0.05)
    warnings = publish([confirmed()], tmp_path).warnings
    assert any("index.html: 0." in warning for warning in warnings)


def test_what_cannot_be_published_is_answered(tmp_path):
    failed = tuple(row for row in SEARCH if "state" in row)
    with pytest.raises(PublishError, match="no completed training"):
        publish([searched(rows=failed)], tmp_path)
    with pytest.raises(PublishError, match="small given more than once"):
        publish([confirmed(), confirmed()], tmp_path)
    file = tmp_path / "published" / "odd" / "summary.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    with pytest.raises(PublishError, match=r"odd.summary.json: not a summary"):
        publish([confirmed()], tmp_path)
    file.write_text(summary_of(confirmed()).model_dump_json())
    with pytest.raises(PublishError, match="expected a summary of odd, got one of s"):
        publish([searched()], tmp_path)
    assert len(contents(tmp_path)) == 1


def test_the_picture_has_a_panel_for_each_metric_and_a_point_for_each_score():
    log_loss = CONFIRM_SUITE.replace("metric: accuracy", "metric: log_loss")
    summaries = [
        summary_of(confirmed()),
        summary_of(as_published()),
        summary_of(confirmed(suite=searched("loss", text=log_loss).suite)),
    ]
    kinds = [[kind for kind, *_ in scores(summary)] for summary in summaries]
    assert kinds == [["LSTM", "baseline"], ["LSTM", "published"], ["LSTM", "baseline"]]
    fig = plot_overview(summaries)
    labels = [[t.get_text() for t in ax.get_yticklabels()] for ax in fig.axes]
    assert labels[0] == [
        *("small", f"{TRIAL_2} (n = 3)", "Bag of words (n = 3)"),
        *("as_published", "reference a (n = 1)", "them, a"),
    ]
    assert labels[1][0] == "loss"
    first, second = (standalone_svg(plot_overview(summaries)) for _ in range(2))
    assert first == second
    ET.fromstring(first)
    assert "<text" not in first
