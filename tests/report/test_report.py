import base64
import csv
import dataclasses
import functools
import hashlib
import io
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from results_builder import (
    CONFIRM_SUITE,
    CONFIRMED,
    PUBLISHED,
    SEARCH,
    SUITE,
    TRIAL_1,
    TRIAL_2,
    TRIAL_3,
    make_confirmed_results,
    make_results,
)

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.tables.search import leaderboard
from lstm_bench.errors import OutputError
from lstm_bench.report.blocks import Section, Table, Word, Words, csv_text
from lstm_bench.report.heading import study_page
from lstm_bench.report.html import Page, render_html
from lstm_bench.report.latex import escape_latex
from lstm_bench.report.markdown import escape_markdown, render_markdown
from lstm_bench.report.render import FORMATS, report_files, write_report
from lstm_bench.report.sections.order import SECTIONS, build_sections
from lstm_bench.report.view import make_view
from lstm_bench.suites.engines import join_engines
from lstm_bench.tracking.stored_runs import ExplainedSample

PAGE = Page("kind", "title", "question", "meta", "footer")
FAILED = tuple(row for row in SEARCH if "state" in row)
REFERENCES = (dict(reference="a", max_epochs=3, objective=0.8, train_time_s=45.0),)
STUDIES = {
    "search": make_results(),
    "all_failed": make_results(FAILED),
    "no_runs": make_results(()),
    "references": make_results(REFERENCES, PUBLISHED, dataset={"validation": "test"}),
    "log_loss": make_results(
        suite_text=SUITE.replace("metric: accuracy", "metric: log_loss")
    ),
    "confirmed": make_confirmed_results(),
    "confirmed_one": make_confirmed_results(CONFIRMED[:1], baseline=()),
    "confirmed_roc_auc": make_confirmed_results(
        suite_text=CONFIRM_SUITE.replace("metric: accuracy", "metric: roc_auc")
    ),
}


@functools.cache
def analysis_of(study):
    return analyse(STUDIES[study])


@functools.cache
def view_of(study):
    return make_view(analysis_of(study))


def files_from(results, formats=FORMATS):
    """Return the report's files by name."""
    analysis = analyse(results)
    return report_files(build_sections(analysis), study_page(analysis), formats)


@functools.cache
def files_of(study):
    return files_from(STUDIES[study])


def text_from(results):
    return files_from(results, ("md",))["report.md"]


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("study", STUDIES)
def test_every_section_says_something_about_every_study(name, study):
    section = SECTIONS[name][0](view_of(study))
    assert section.title
    assert section.anchor == name
    assert section.intro or section.blocks


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_gives_a_page_that_asks_nothing_of_anybody(study):
    text = files_of(study)["index.html"]
    assert "default-src 'none'" in text
    assert not re.search(r"<(link|img|iframe|object|embed)\b", text)
    assert not re.search(r"@import|\bsrc=", text)
    assert not re.search(r"url\((?!#)", text)
    assert not re.search(r'<(?!a )[^>]*\shref="(?!#)', text)
    # The one script is the page's own: the policy names its hash and no other.
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in text
    assert not re.search(r"fetch\(|XMLHttpRequest|localStorage|cookie|import\(", script)
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert files_of(study)["report.md"].startswith("# ")


def test_a_column_is_declared_once_for_the_page_and_every_format():
    files = files_of("confirmed")
    page, text = files["index.html"], files["report.md"]
    latex, table = (files[f"tables/confirmed.{end}"] for end in ("tex", "csv"))
    heads = re.findall(r'<th scope="col"[^>]*data-key="train_time_s"[^>]*>', page)
    assert 'title="mean over the seeds"' in heads[0]
    assert "training (s)" in page and "| training (s) |" in text
    assert "training (s)" in latex
    assert "train_time_s" in table.splitlines()[0].split(",")


def test_equal_results_give_equal_reports():
    assert files_from(make_results()) == files_of("search")


def test_a_study_of_two_engines_says_that_its_times_do_not_compare():
    results = STUDIES["search"]
    assert "engines computed" not in files_of("search")["report.md"]
    others = ["stock"] * (len(results.runs) - 1)
    # The second of a training that went on with another engine than it began with.
    for first in ("packed", join_engines(["stock", "packed"])):
        runs = results.runs.assign(engine=[first, *others])
        mixed = dataclasses.replace(results, runs=runs)
        text = text_from(mixed)
        assert "2 engines computed the networks of this study (packed, stock):" in text


@pytest.mark.parametrize(
    ("field", "withheld", "kept"),
    [("runs", "pareto", "confirmed_cost"), ("confirmed", "confirmed_cost", "pareto")],
)
def test_times_of_two_engines_are_not_compared(field, withheld, kept):
    results = make_confirmed_results()
    frame = getattr(results, field)
    frame = frame.assign(engine=["packed", *["stock"] * (len(frame) - 1)])
    mixed = make_view(analyse(dataclasses.replace(results, **{field: frame})))

    def drawn(view, section):
        blocks = SECTIONS[section][0](view).blocks
        return {block.name: block for block in blocks if isinstance(block, Table)}

    def columns(view, section):
        return {c.name: c for c in drawn(view, section)[section].columns}

    assert set(drawn(view_of("confirmed"), "cost")) == {withheld, kept}
    assert set(drawn(mixed, "cost")) == {kept}
    assert any(
        "by 2 engines (packed, stock)" in getattr(block, "text", "")
        for block in SECTIONS["cost"][0](mixed).blocks
    )
    assert "train_time_s_mean" in columns(view_of("confirmed"), "heads")
    assert ("train_time_s_mean" in columns(mixed, "heads")) == (field != "runs")
    assert columns(view_of("confirmed"), "runs")["engine"].more
    assert not columns(mixed, "runs")["engine"].more


def test_summary_names_the_best_its_interval_and_the_ceiling():
    text = files_of("search")["index.html"]
    assert "SYNTHETIC" in text
    assert "has an accuracy of 0.9500" in text
    assert f"{TRIAL_2}: validation accuracy 0.9000" in text
    assert "the best of 5 configurations" in text
    assert "0.8256 to 0.9448" in text
    assert f"Runner-up is {TRIAL_3}, 0.8600, 0.0400 behind" in text
    assert "optimistic" in text


def test_summary_of_two_that_tie_up_to_rounding():
    rows = (SEARCH[0] | {"objective": 0.3}, SEARCH[1] | {"objective": 0.1 + 0.2})
    results = make_results(rows)
    text = text_from(results)
    # The first one tried comes first, and both have rank 1.
    assert f"{TRIAL_1} has the same score, 0.3000" in text
    assert leaderboard(results)["rank"].tolist() == [1, 1]


def test_validation_on_the_test_set_is_warned_of():
    text = files_of("references")["index.html"]
    assert "The test set was used for validation" in text
    assert 'id="published"' in text
    assert "them reports test accuracy 0.7500 for a; here it has 0.8000" in text
    assert "(+0.0500), 1 run." in text
    # No axis was swept, so nothing is said of axes.
    assert 'id="axes"' not in text


def test_values_are_shown_and_never_run():
    bad = "<script>alert(1)</script>"
    text = SUITE.replace("old:", f"'x{bad}$':")
    rows = (*SEARCH[:-1], {**SEARCH[-1], "reference": f"x{bad}$"})
    files = files_from(make_results(rows, text, text=bad), ("html", "md"))
    page = files["index.html"]
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    before_the_suite, _, _ = files["report.md"].partition(".yaml\n")
    assert "<script" not in before_the_suite


FORMULAS = ("=1+1", "+1", "-1+1", "@SUM(1)", "\t=1+1", "\r=1+1", "\n=1+1", "＝1+1")


def test_text_in_csv_is_no_formula_and_numbers_stay_numbers():
    frame = pd.DataFrame(
        {
            "=label": [*FORMULAS, "a\r=1+1"],
            "difference": [-0.5, *range(8)],
            "value": pd.Series([-2, None, -0.25, "-x", *"abcde"], dtype=object),
            "curve": [(-0.5, 1.0)] * 9,
        }
    )
    header, *rows = csv.reader(io.StringIO(csv_text(frame), newline=""))
    assert header == ["'=label", "difference", "value", "curve"]
    texts = [text.replace("\r", "\n") for text in FORMULAS]
    assert [row[0] for row in rows] == [*(f"'{text}" for text in texts), "a\n=1+1"]
    assert [float(row[1]) for row in rows] == [-0.5, *range(8)]
    assert [row[2] for row in rows] == ["-2", "", "-0.25", "'-x", *"abcde"]
    assert rows[0][3] == "-0.5 1.0"


def test_no_cell_of_a_reports_tables_is_a_formula():
    results = make_results(text="=HYPERLINK(1)")
    results.runs["failure_reason"] = "@reason"
    cells = [
        cell
        for text in files_from(results, ("csv",)).values()
        for row in csv.reader(io.StringIO(text, newline=""))
        for cell in row
    ]
    assert "'=HYPERLINK(1)" in cells
    assert "'@reason" in cells
    assert not [c for c in cells if c.startswith(("=", "@"))]


def test_csv_keeps_every_digit_and_nothing_temporary_is_left(tmp_path):
    rows = ({**SEARCH[0], "objective": 0.1234567890123}, *SEARCH[1:])
    write_report(analyse(make_results(rows)), tmp_path, formats=("csv",))
    text = (tmp_path / "tables" / "leaderboard.csv").read_text()
    assert 0.1234567890123 in pd.read_csv(io.StringIO(text))["objective"].tolist()
    assert not (tmp_path / "index.html").exists()
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")]


def test_markdown_escapes_what_would_break_a_table():
    assert escape_markdown("a|b `c`\n<i>") == "a\\|b \\`c\\` &lt;i&gt;"


def test_write_report_returns_its_main_file(tmp_path):
    page = write_report(analysis_of("no_runs"), tmp_path)
    assert page == tmp_path / "index.html"
    assert page.read_text() == files_of("no_runs")["index.html"]


def test_a_file_in_the_folders_place_is_the_users_error(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(OutputError, match=r"taken.*--out"):
        write_report(analysis_of("no_runs"), taken, formats=("md",))


def test_reports_need_no_tensorflow():
    code = (
        "import sys, lstm_bench.report.render;"
        "assert not {'tensorflow', 'keras', 'mlflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_answer_stands_at_the_top_with_verdict_interval_and_seeds():
    page, text = (files_of("confirmed")[name] for name in ("index.html", "report.md"))
    summary, _, rest = text.partition("## Confirmation")
    # (36 + 37 + 36) / 120 right on test.
    assert f"{TRIAL_2}, chosen on validation: test accuracy 0.9083" in summary
    assert (
        f"{TRIAL_2} is better than Bag of words: test accuracy 0.9083 against"
        in summary
    )
    assert "over 3 paired seeds; differences within the margin of 0.05 are" in summary
    assert "looked at 14 times" in rest
    assert "a &lt;b&gt;bad&lt;/b&gt; film" in page


def test_captions_say_how_calibration_and_verdicts_are_found():
    text = files_of("confirmed")["report.md"]
    # 40 test examples are too few for two bins of 50.
    assert "ECE: expected calibration error, 1 bin of equal mass (15 where" in text
    assert "Reliability on test: seeds pooled, 1 bin of equal mass" in text
    assert "Brier score: as scikit-learn's brier_score_loss, from 0 to 1" in text
    assert "with 3 seeds Wilcoxon's p cannot be below 0.25" in text
    assert "From fewer than 3 seeds there is no verdict." in text
    # Both ends of a curve are no interval.
    assert "0.8800 after epoch 1, 0.9000 after epoch 3" in text
    assert "0.8800 to 0.9000" not in text


def test_no_lstm_beats_a_better_baseline_and_the_report_says_so():
    page = text_from(make_confirmed_results(baseline=(40, 40, 40)))
    assert "No LSTM beats the baseline Bag of words." in page
    assert f"{TRIAL_2} is worse than Bag of words: test accuracy" in page


def test_words_have_signs_that_can_be_read_without_colours():
    words = (Word("(start)", None), Word("<b>", 1.0), Word("so", -0.3), Word("a", 0.1))
    block = Words("Five words.", words, "for pos", "against pos")
    page = render_html([Section("S", "s", "", (block,))], PAGE)
    assert "&lt;b&gt;<sup>++</sup>" in page
    assert "so<sup>−</sup>" in page
    assert ">a</span>" in page and 'title="+0.100"' in page
    text = render_markdown([Section("S", "s", "", (block,))], "t")
    assert "(start) &lt;b&gt;(++) so(−) a" in text
    asked = render_markdown([Section("S", "s", "", (block,))], "t", "Why?")
    assert asked.startswith("# t\n\nWhy?\n\n## S\n\n")


def test_samples_of_a_reference_are_shown_step_by_step():
    results = make_results(REFERENCES, PUBLISHED, dataset={"validation": "test"})
    sample = ExplainedSample(
        index=1,
        y_true=0,
        target=1,
        turn=1,
        steps=["(start)", "<i>"],
        is_word=[False, True],
        p=[0.4, 0.9],
        values=[0.0, 1.5],
    )
    shown = {str(results.runs["run_id"].iloc[0]): [sample]}
    text = text_from(dataclasses.replace(results, explained=shown))
    assert "reference a: the probability of the class that it gives" in text
    assert "1: p(pos), true class neg; p = 0.900" in text
    assert "(start) &lt;i&gt;(++)" in text


def test_latex_tables_are_whole_and_escaped():
    files = {k: v for k, v in files_of("confirmed").items() if k.endswith(".tex")}
    names = {"confirmed", "comparisons", "leaderboard"}
    assert {f"tables/{name}.tex" for name in names} <= files.keys()
    for text in files.values():
        assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
        for part in (r"\toprule", r"\midrule", r"\bottomrule"):
            assert part in text
        assert not re.search(
            r"(?<!\\)[%#_]", text.replace("tab:", "").split("label")[0]
        )
        n_columns = len(re.findall("[lrp]", text.split("tabular}{")[1].split("}")[0]))
        assert n_columns >= 1
        assert "−" not in text


def test_escape_latex_writes_every_special_character_as_itself():
    assert escape_latex("a_b & 50 % {x} \\ <1") == (
        r"a\_b \& 50 \% \{x\} \textbackslash{} \textless{}1"
    )


def test_latex_writes_what_it_has_no_glyph_for_as_its_code_point():
    assert escape_latex("é 影 \x96 →") == "é [U+5F71] [U+0096] [U+2192]"


@pytest.mark.parametrize("study", ["confirmed", "references"])
def test_latex_tables_compile_with_booktabs(tmp_path, study):
    latex = shutil.which("pdflatex")
    if latex is None:
        pytest.skip("no pdflatex here: install Debian's texlive-latex-recommended")
    results = STUDIES[study]
    odd = results.errors.assign(text="50 % of a_b & {c} ~ ^ \\ # $x$ 影 é \x96 “q” <i>")
    analysis = analyse(dataclasses.replace(results, errors=odd))
    write_report(analysis, tmp_path, formats=("latex",))
    tables = sorted((tmp_path / "tables").glob("*.tex"))
    assert tables
    document = tmp_path / "all.tex"
    document.write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        + "".join(f"\\input{{tables/{t.name}}}\n\\clearpage\n" for t in tables)
        + "\\end{document}\n"
    )
    done = subprocess.run(
        [latex, "-halt-on-error", "-interaction=nonstopmode", document.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 1000


def test_a_baseline_has_no_hyperparameters_and_a_dash_says_so():
    lines = files_of("confirmed")["report.md"].splitlines()
    (head,) = [line for line in lines if line.startswith("| # | configuration | test")]
    (row,) = [line for line in lines if line.startswith("| 3 | Bag of words | ")]
    cells = dict(zip(head.split(" | "), row.split(" | "), strict=True))
    assert cells["kind"] == "baseline"
    assert cells["units"] == cells["head"] == "–"
    assert "null" not in row


def test_a_round_without_a_search_speaks_of_the_round_alone():
    results = STUDIES["confirmed"]
    text = text_from(dataclasses.replace(results, runs=results.runs.iloc[:0]))
    assert "of the search" not in text.partition("## Confirmation")[0]
    assert "## Leaderboard" not in text
    assert "4 configurations confirmed on 3 fresh seeds" in text
    assert "12 trainings of the confirmation took" in text


@pytest.mark.parametrize("study", ["search", "confirmed", "log_loss"])
def test_examples_are_called_what_the_dataset_calls_them(study):
    results = STUDIES[study]
    formats = ("html", "csv", "md")
    about = {**results.dataset, "example": "message"}
    files = files_from(dataclasses.replace(results, dataset=about), formats)
    messages = "\n".join(files.values())
    reviews = "\n".join(files_of(study)[name] for name in files)
    assert re.search("review", messages, re.IGNORECASE) is None
    assert "messages" in messages
    assert reviews.count("review") > 5
    # A store of an earlier version does not say.
    about = {k: v for k, v in results.dataset.items() if k != "example"}
    assert dataclasses.replace(results, dataset=about).examples == "examples"
