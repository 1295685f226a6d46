"""Several studies side by side: who is better, and is like compared with like?"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil
import xml.etree.ElementTree as ET
from datetime import date

import numpy as np
import pytest
from results_builder import (
    CONFIRM_SUITE,
    CONFIRMED,
    TRIAL_2,
    TRIAL_3,
    make_confirmed_results,
    make_results,
)
from scipy import special

from lstm_bench.analysis.comparisons import analyse
from lstm_bench.analysis.tables.studies import (
    BASELINES,
    OWN,
    SHARED,
    WINNERS,
    WITHHELD,
    compare_studies,
    study_labels,
)
from lstm_bench.errors import SuiteError, TrackingError
from lstm_bench.report.blocks import Drawing
from lstm_bench.report.figures.style import configuration_colours
from lstm_bench.report.render import write_sections
from lstm_bench.report.studies.answers import study_answers, warnings
from lstm_bench.report.studies.sections import (
    build_study_sections,
    curves,
    studies_page,
)
from lstm_bench.suites.suite import Suite, load_suite
from lstm_bench.system.process import this_process
from lstm_bench.tracking import names as rec
from lstm_bench.tracking.find import find_study, list_studies, report_name
from lstm_bench.tracking.tracker import Tracker
from lstm_bench.training.prepare import prepare
from lstm_bench.training.result import OBJECTIVE

FINE = CONFIRM_SUITE.replace("margin: 0.05", "margin: 0.01")
SEED_8 = FINE.replace("n_trials: 8", "n_trials: 8, seed: 8")
LOG_LOSS = FINE.replace("metric: accuracy", "metric: log_loss")


def named(results, name, **changes):
    suite = Suite(results.suite.name, results.suite.text, f"{name}.yaml")
    # No suite is read under each of these, but every name is escaped all the same.
    suite.name = name
    return dataclasses.replace(
        results, **{"suite": suite, "study": suite.study_name, **changes}
    )


def second(text=FINE, name="other", **changes):
    """A study whose one confirmed configuration is right 34, 35 and 33 times of 40."""
    results = make_confirmed_results(CONFIRMED[1:2], suite_text=text)
    return named(results, name, **changes)


FIRST = make_confirmed_results(suite_text=FINE)


@functools.cache
def analysis_of_first():
    return analyse(FIRST)


def compare(*results):
    return compare_studies(
        [analysis_of_first() if one is FIRST else analyse(one) for one in results]
    )


def rows_of(compared, family=WINNERS):
    frame = compared.differences
    return frame[frame["family"] == family].to_dict("records")


def said(compared):
    return {answer.question: answer.text for answer in study_answers(compared)}


def test_winners_of_equal_seeds_and_data_are_compared_pair_by_pair():
    compared = compare(FIRST, second())
    (row,) = rows_of(compared)
    # Right of 40: 36-34, 37-35, 36-33; the t interval as in the test of one study.
    half = 4.30265 * 0.57735 / 40 / np.sqrt(3)
    assert row["paired"]
    assert row["difference"] == pytest.approx(7 / 120)
    assert row["ci_low"] == pytest.approx(7 / 120 - half, rel=1e-4)
    assert row["both_low"] < row["difference"] < row["both_high"]
    assert row["verdict"] == "better"
    text = said(compared)["which is better"]
    assert text.startswith(
        f"{TRIAL_2} in small is better than {TRIAL_3} in other: test accuracy 0.9083 "
        "against 0.8500, difference +0.0583 (95 % +0.0225 to +0.0942) over 3 paired "
        "seeds"
    )


def test_a_winner_that_is_worse_is_called_so():
    compared = compare(second(), FIRST)
    (row,) = rows_of(compared)
    assert row["verdict"] == "worse"
    text = said(compared)["which is better"]
    assert text.startswith(f"{TRIAL_3} in other is worse than {TRIAL_2} in small")
    assert "difference −0.0583" in text


def test_other_seeds_are_two_samples_with_welchs_interval():
    (row,) = rows_of(compare(FIRST, second(SEED_8)))
    # Variances of (36, 37, 36)/40 and (34, 35, 33)/40 are 1/4800 and 1/1600: the
    # difference has the standard error 1/60 and 3.2 degrees of freedom.
    half = special.stdtrit(3.2, 0.975) / 60
    assert not row["paired"]
    assert row["difference"] == pytest.approx(7 / 120)
    assert row["ci_low"] == pytest.approx(7 / 120 - half)
    assert np.isnan(row["both_low"])
    assert row["verdict"] == "undecided"


def test_unpaired_winners_name_the_seeds_of_both():
    fewer = tuple((*one[:2], one[2][:2]) for one in CONFIRMED[1:2])
    results = make_confirmed_results(fewer, suite_text=SEED_8)
    text = said(compare(FIRST, named(results, "other")))["which is better"]
    assert "over 3 and 2 seeds, not paired; differences" in text


def test_several_winners_are_one_family_for_holm():
    compared = compare(FIRST, second(), second(name="third"))
    rows = rows_of(compared)
    assert len(rows) == 3
    # p of t = 7 with two degrees of freedom, asked twice; the third p is 1.
    assert rows[0]["p_t"] == pytest.approx(0.0198, abs=1e-4)
    assert rows[0]["p_beyond_holm"] == pytest.approx(3 * rows[0]["p_beyond"])
    assert rows[0]["verdict"] == "undecided"


@pytest.mark.parametrize("n", [1, 3])
def test_a_study_and_its_copy_are_identical_everywhere(n):
    results = make_confirmed_results(
        tuple((*one[:2], one[2][:n]) for one in CONFIRMED), suite_text=FINE
    )
    compared = compare(results, named(results, "copy"))
    (row,) = rows_of(compared)
    (baseline,) = rows_of(compared, BASELINES)
    assert (row["verdict"], baseline["verdict"]) == ("identical", "identical")
    shared = rows_of(compared, SHARED)
    assert [row["verdict"] for row in shared] == ["identical"] * len(CONFIRMED)
    seeds = "3 paired seeds" if n == 3 else "1 paired seed"
    assert said(compared)["which is better"] == (
        f"{TRIAL_2} in small and {TRIAL_2} in copy have the same score on every seed: "
        f"test accuracy {row['mean_a']:.4f} over {seeds}."
    )


def test_other_data_are_set_side_by_side_and_not_compared():
    other = second()
    other = dataclasses.replace(other, dataset={**other.dataset, "digest": "cd" * 32})
    compared = compare(FIRST, other)
    (row,) = rows_of(compared)
    assert row["verdict"] == WITHHELD
    assert (row["mean_a"], row["mean_b"]) == pytest.approx((109 / 120, 102 / 120))
    assert np.isnan(row["difference"])
    (shared,) = rows_of(compared, SHARED)
    assert (shared["verdict"], shared["why"]) == (WITHHELD, row["why"])
    assert np.isnan(shared["difference"])
    assert "Not compared" in said(compared)["which is better"]
    assert warnings(compared)[0].startswith("Datasets differ")
    # Within a study nothing is withheld.
    own = rows_of(compared, OWN)
    assert own[0]["difference"] == pytest.approx(0.15)


def test_data_that_were_not_recorded_are_not_taken_for_the_same():
    bare = [
        dataclasses.replace(one, dataset={**one.dataset, "digest": None})
        for one in (FIRST, second())
    ]
    compared = compare(*bare)
    assert rows_of(compared)[0]["verdict"] == WITHHELD
    assert "was not recorded" in said(compared)["which is better"]


def test_other_metrics_are_not_compared():
    compared = compare(FIRST, second(LOG_LOSS))
    assert compared.metric is None
    assert rows_of(compared)[0]["verdict"] == WITHHELD
    assert "scored by accuracy and by log loss" in said(compared)["which is better"]


def test_searches_alone_are_one_seed_each_with_newcombes_interval():
    a = make_results()
    lower = a.runs["objective"] - 0.1
    b = named(a, "other", runs=a.runs.assign(objective=lower, val_accuracy=lower))
    compared = compare(a, b)
    assert compared.shared["objective"].tolist()[:2] == pytest.approx([0.9, 0.8])
    text = said(compared)["which is better"]
    assert "small and other were not confirmed" in text
    assert "Each is one seed" in text
    assert (
        f"small has validation accuracy 0.9000 with one seed of {TRIAL_2} (best of 5; "
        "95 % Wilson 0.8256 to 0.9448 over 100 reviews)"
    ) in text
    # From Wilson's 0.8256 to 0.9448 and 0.7112 to 0.8666, by Pythagoras.
    found = re.search(r"difference \+0.1000 \(95 % \+(\S+) to \+(\S+)\)", text)
    low, high = map(float, found.groups())
    assert low == pytest.approx(0.1 - 0.0999, abs=2e-4)
    assert high == pytest.approx(0.1 + 0.0995, abs=2e-4)
    assert compared.differences.empty


def test_a_study_that_was_not_confirmed_is_compared_by_its_search():
    text = said(compare(FIRST, named(make_results(), "searched")))["which is better"]
    assert "searched was not confirmed" in text
    assert "difference +0.0000" in text


def test_shared_configurations_have_a_row_for_each_study():
    compared = compare(FIRST, second())
    frame = compared.shared
    assert len(frame) == 10
    assert frame["label"].tolist()[:4] == [TRIAL_2, TRIAL_2, TRIAL_3, TRIAL_3]
    assert frame["study"].tolist() == ["small", "other"] * 5
    # Of those, one was confirmed by both.
    (row,) = rows_of(compared, SHARED)
    assert (row["label_a"], row["label_b"]) == (
        f"{TRIAL_3} in small",
        f"{TRIAL_3} in other",
    )
    assert (row["mean_a"], row["difference"], row["n_b"]) == (
        *(pytest.approx(102 / 120), 0.0, 3),
    )


MACHINE = {**make_results().environment, "cpu_model": "another"}


@pytest.mark.parametrize(
    ("changed", "expected", "absent"),
    [
        (dict(text=SEED_8), r"Protocols differ: study\.seed \(0 / 8\)", "Machines"),
        (
            dict(text=FINE.replace("units: 16}", "units: 32}")),
            r"Protocols differ: defaults\.units \(16 / 32\)",
            "Machines",
        ),
        (
            dict(text=FINE.replace("units: [16, 32]", "units: [16, 64]")),
            r"Protocols differ: space\.units \(16, 32 / 16, 64\)",
            "Machines",
        ),
        (
            dict(text=FINE.replace("margin: 0.01", "margin: 0.02")),
            r"Protocols differ: confirm\.margin \(0\.01 / 0\.02\)",
            "Machines",
        ),
        (
            dict(dataset={**make_results().dataset, "n_used_train": 200}),
            r"Protocols differ: reviews trained on \(400 / 200\)",
            "Datasets",
        ),
        (
            dict(environment=MACHINE),
            r"Machines differ: processor \(a processor / another\)",
            "Protocols",
        ),
        (
            dict(environment={**MACHINE, "packages": {"numpy": "2.1"}}),
            r"Machines differ: .*numpy \(2\.0 / 2\.1\)",
            "Protocols",
        ),
        (
            dict(environment={}),
            r"Machines differ: processor \(a processor / –\)",
            "Protocols",
        ),
        (
            dict(runs=make_results().runs.assign(engine="packed")),
            r"Engines differ: engine of the recurrent layers "
            r"\(stock / packed, stock\); training",
            "Machines",
        ),
        (
            dict(environment={**make_results().environment, "git_commit": "f" * 40}),
            r"Code differs: git commit \(– / ffffffffffff\)",
            "Machines",
        ),
        (
            dict(environment={**make_results().environment, "git_dirty": True}),
            r"Uncommitted changes \(other\)",
            "Machines",
        ),
        (
            dict(
                environment={
                    **make_results().environment,
                    "settings": {"TF_ENABLE_ONEDNN_OPTS": "0"},
                }
            ),
            r"Settings of the process differ: TF_ENABLE_ONEDNN_OPTS \(– / 0\); .*not "
            "comparable, and differences in scores may",
            "Machines",
        ),
        (
            dict(environment={**make_results().environment, "code_digest": "f" * 64}),
            r"Code differs: code digest \(– / ffffffffffff\)",
            "Machines",
        ),
        (
            dict(environment={**make_results().environment, "suite_committed": False}),
            r"Code differs: suite file committed \(– / false\)",
            "Machines",
        ),
        (
            dict(dataset={**make_results().dataset, "code_digest": "f" * 64}),
            r"Code differs: digest of the dataset's code \(– / ffffffffffff\)",
            "Datasets",
        ),
        (
            dict(dataset={**make_results().dataset, "validation": "test"}),
            r"Validated on the test set \(other\)",
            "Datasets",
        ),
    ],
)
def test_each_kind_of_difference_is_warned_of(changed, expected, absent):
    text = " ".join(warnings(compare(FIRST, second(**changed))))
    assert re.search(expected, text)
    assert f"{absent} differ" not in text


def test_what_is_the_same_is_not_warned_of():
    compared = compare(FIRST, second())
    assert compared.differs.empty
    assert [text.partition(" ")[0] for text in warnings(compared)] == ["Synthetic"]


def test_speed_is_not_compared_between_machines():
    text = " ".join(warnings(compare(FIRST, second(environment=MACHINE))))
    assert "training times are not comparable" in text


def test_studies_are_called_by_what_tells_them_apart():
    one = make_results()
    later = one.sessions.assign(
        start_time=one.sessions["start_time"] + np.timedelta64(9, "D")
    )

    def labels(*results):
        return study_labels(results)

    assert labels(one, named(one, "other")) == ["small", "other"]
    dated = dataclasses.replace(one, sessions=later)
    assert labels(one, dated) == ["small (2026-01-01)", "small (2026-01-10)"]
    machine = dataclasses.replace(
        one, environment={"cpu_model": "Intel(R) Xeon(R) CPU @ 2.0GHz"}
    )
    assert labels(one, machine) == ["small (a processor)", "small (Intel Xeon)"]
    version = dataclasses.replace(one, study="small-12345678")
    assert labels(one, version)[1] == "small (12345678)"
    assert labels(one, one) == ["small (1)", "small (2)"]


def test_the_folder_is_called_by_the_studies():
    one = make_results()
    version = dataclasses.replace(one, study="small-12345678")
    assert report_name([one, named(one, "b")], ["small", "b"]) == "small_vs_b"
    assert report_name([one, version], ["small", version.study]) == (
        f"{one.study}_vs_small-12345678"
    )
    assert report_name([version], ["small-12345678@sqlite:///m.db"]) == version.study
    assert report_name([one, one], ["a", "b"]) == f"{one.study}_1_vs_{one.study}_2"
    assert report_name([named(one, "../up")], ["x"]) == "__up"


def with_curves(results):
    """Add curves of 2, 3 and 3 epochs to each configuration's three seeds."""
    curves = [
        (run_id, "val", "accuracy", epoch, 0.5 + 0.1 * epoch + 0.01 * (i % 3))
        for i, run_id in enumerate(results.confirmed["run_id"])
        for epoch in range(1, 3 if i % 3 == 0 else 4)
    ]
    frame = results.curves.iloc[:0]
    for number, curve in enumerate(curves):
        frame.loc[number] = curve
    return dataclasses.replace(results, curves=frame)


def test_winners_curves_are_means_over_the_seeds_up_to_an_epoch_of_all():
    compared = compare(with_curves(FIRST), named(make_results(), "searched"))
    frame = next(
        block.data
        for block in curves(compared).blocks
        if isinstance(block, Drawing) and block.name == "curves"
    )
    own = frame[frame["study"] == "small"]
    assert own["mean"].tolist() == pytest.approx([0.61, 0.71])
    assert own["n_seeds"].tolist() == [3, 3]
    other = frame[frame["study"] == "searched"]
    assert other["label"].tolist() == [f"{TRIAL_2} in searched"] * 3
    assert other["ci_low"].isna().all()


GROUPS = {
    "paired": (with_curves(FIRST), second()),
    "unpaired": (FIRST, second(SEED_8, environment=MACHINE)),
    "searched": (FIRST, named(make_results(), "searched")),
    "nothing": (named(make_results(()), "empty"), make_results()),
    "metrics": (FIRST, second(LOG_LOSS)),
    "unrecorded": (
        FIRST,
        second(dataset={}, environment={}, sessions=FIRST.sessions.iloc[:0]),
    ),
    "three": (FIRST, second(), named(make_results(), "<script>alert(1)</script>")),
}


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_gives_a_whole_page_that_asks_nothing_of_anybody(tmp_path, group):
    compared = compare(*GROUPS[group])
    sections = build_study_sections(compared)
    page = write_sections(sections, studies_page(compared), tmp_path)
    text = page.read_text()
    for anchor in ("answer", "side-by-side", "differences", "curves", "what-differs"):
        assert f'<section id="{anchor}">' in text
    assert "<script>alert" not in text
    assert not re.search(r"\bsrc=", text)
    assert "nan" not in re.sub(r"<[^>]*>", " ", text).split()
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert (tmp_path / "tables" / "studies.csv").exists()
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ET.fromstring(svg)
    assert (tmp_path / "report.md").read_text().startswith("# ")


def test_points_and_rows_say_which_study_they_are_of(tmp_path):
    compared = compare(*GROUPS["paired"])
    page = write_sections(
        build_study_sections(compared), studies_page(compared), tmp_path, ("html",)
    ).read_text()
    assert f"<title>{TRIAL_2} in small\nmean 0.9083</title>" in page
    assert "<h1>small and other</h1>" in page
    # One colour per study, in the table and in the figures.
    for colour in configuration_colours(compared.labels).values():
        assert f'class="dot" style="background:{colour}"' in page
        assert f"stroke: {colour.lower()}" in page


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("tiny@", TrackingError, "got no store; for example tiny@sqlite:///"),
        ("@sqlite:///m.db", SuiteError, "no such suite|got no study"),
        ("tiny.yaml@sqlite:///none.db", TrackingError, "got no file .*none.db"),
        ("tiny.yaml@sqlite:///no/m.db", TrackingError, "^tiny.yaml@.*not a folder"),
        ("tiny.yaml@http://127.0.0.1:9", TrackingError, "no MLflow server answers"),
        ("tiny.yaml@m.db", TrackingError, "expected sqlite:///FILE.db"),
        ("tiny.yaml", TrackingError, "run `lstm-bench sweep` first"),
        ("tniy", SuiteError, "no such suite file"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_was_expected(
    write_suite, tmp_path, monkeypatch, name, error, message
):
    write_suite()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(error, match=message):
        find_study(None, name)
    # Asking makes no store.
    assert {p.name for p in tmp_path.iterdir()} == {"tiny.yaml"}


def a_study_of(suite, uri, objectives, end="FINISHED"):
    """Begin a search whose trials have these objectives; None has failed."""
    tracker = Tracker(uri, suite.study_name)
    prepared = prepare(suite, None)
    params = {f"study.{k}": v for k, v in suite.study.model_dump().items()}
    session = tracker.start_session("sweep", prepared, params)
    for number, objective in enumerate(objectives):
        run = tracker.start_run(
            suite.defaults,
            prepared,
            kind="trial",
            parent_run_id=session.run_id,
            engine="stock",
            trial=number,
        )
        assert tracker.catch_up()
        tracker.client.update_run(run.run_id, name=f"small (trial {number})\x1b[2J")
        if objective is None:
            run.close("failed", "no memory")
        elif objective >= 0:
            run.log({OBJECTIVE: objective}, 1)
            run.close("complete")
    if end is not None:
        session.end(end)
    tracker.close()
    return tracker, prepared


def test_studies_lists_what_a_store_holds(write_suite, tmp_path, monkeypatch, capfd):
    from commands import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    # A negative one stands for a trial that is still running.
    accuracy = load_suite(write_suite())
    tracker, prepared = a_study_of(accuracy, uri, [0.5, None, 0.75, -1])
    loss = load_suite(write_suite({"metric: accuracy": "metric: log_loss"}))
    a_study_of(loss, uri, [0.5, 0.75], "KILLED")
    none = load_suite(write_suite({"seed: 7": "seed: 8"}))
    a_study_of(none, uri, [], None)
    entries, left_out = list_studies(uri)
    assert left_out == []
    assert [(e.study, e.n_trials, e.state, e.metric, e.best) for e in entries] == [
        (none.study_name, 0, "search running", "accuracy", None),
        (loss.study_name, 2, "search stopped", "log_loss", 0.5),
        (accuracy.study_name, 3, "search finished", "accuracy", 0.75),
    ]
    session = tracker.start_session("confirm", prepared, {}).run_id
    host, pid, created = this_process()
    for owner, state in (("{bad", "running"), ([host, pid, created - 999], "killed")):
        text = owner if isinstance(owner, str) else json.dumps(owner)
        tracker.client.set_tag(session, rec.TAG_OWNER, text)
        assert list_studies(uri)[0][0].state == f"confirmation {state}"
    tracker.client.set_tag(session, rec.TAG_OWNER, json.dumps(this_process()))
    before = (tmp_path / "mlflow.db").read_bytes()
    assert run("studies") == 0
    head, first, _, last = capfd.readouterr().out.splitlines()
    assert head.split("  ")[0] == "study"
    # The one that ran last comes first, by its latest command.
    assert first.startswith(f"{accuracy.study_name}  tiny   {date.today()} ")
    assert first.endswith(
        "3       confirmation running  accuracy 0.7500, small (trial 2)?[2J"
    )
    assert last.endswith("log_loss 0.5000, small (trial 0)?[2J")
    assert (tmp_path / "mlflow.db").read_bytes() == before
    # A run of somebody's own is left out, and said.
    strange = tracker.client.create_run(tracker.experiment_id).info.run_id
    tracker.client.set_tag(strange, rec.TAG_KIND, "trial")
    before = (tmp_path / "mlflow.db").read_bytes()
    assert run("studies") == 0
    *table, warning = capfd.readouterr().out.splitlines()
    assert len(table) == 4
    assert "warning: 1 run could not be read" in warning and strange in warning
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_studies_of_a_store_without_any_says_so(tmp_path, monkeypatch, capfd):
    from commands import run

    monkeypatch.chdir(tmp_path)
    Tracker(f"sqlite:///{tmp_path}/mlflow.db")
    assert run("studies", "--tracking-uri", "sqlite:///mlflow.db") == 0
    assert "holds no study; run `lstm-bench sweep`" in capfd.readouterr().out


def test_formats_that_do_not_exist_are_answered_with_those_that_do(capfd):
    from commands import run

    assert run("report", "quick", "imdb", "--format", "html,pdf") == 2
    assert "expected some of html, csv, md, latex" in capfd.readouterr().err
    assert run("report") == 2


@pytest.mark.slow
def test_two_sweeps_of_one_store_are_reported_on_together(
    write_suite, tmp_path, monkeypatch, capfd
):
    from commands import run
    from runs import sweep

    tiny = load_suite(write_suite())
    other = tmp_path / "other.yaml"
    other.write_text(tiny.text.replace("units: [2, 3, 4]", "units: [2, 3]"))
    sweep(tiny, tmp_path, n_trials=2)
    sweep(load_suite(other), tmp_path, n_trials=2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run("report", "tiny.yaml", "other.yaml") == 0
    out = capfd.readouterr().out
    assert "which is better: Not settled: tiny and other were not confirmed" in out
    assert "warning: Protocols differ: space.units (2, 3, 4 / 2, 3)" in out
    assert "report: reports/tiny_vs_other/index.html" in out

    # An earlier version, by its name: the suite's file is another one by now.
    (tmp_path / "tiny.yaml").write_text(tiny.text.replace("seed: 7", "seed: 8"))
    arguments = ("report", tiny.study_name, "other.yaml", "--format", "md")
    assert run(*arguments, "--out", "versions") == 0
    assert "report: versions/report.md" in capfd.readouterr().out
    assert [p.name for p in (tmp_path / "versions").iterdir()] == ["report.md"]

    # The same study from two stores, as two machines would have it.
    shutil.copy("mlflow.db", "copy.db")
    again = f"{tiny.study_name}@sqlite:///copy.db"
    assert run("report", tiny.study_name, again) == 0
    out = capfd.readouterr().out
    assert "difference +0.0000" in out
    # Two of one name are told apart by what was asked for.
    assert f"(1): {tiny.study_name}\n" in out and f"(2): {again}\n" in out
    assert run("report", again) == 0
    assert f"report: reports/{tiny.study_name}/index" in capfd.readouterr().out

    for names, message in (
        (("tiny.yaml", "other.yaml"), f"holds {tiny.study_name}"),
        (("other.yaml", "other-ffffffff"), "studies in the store: other-"),
        ((tiny.study_name, f"{tiny.study_name}@sqlite:///mlflow.db"), "twice"),
    ):
        assert run("report", *names) == 2
        error = capfd.readouterr().err
        assert message in error
        assert "Traceback" not in error
