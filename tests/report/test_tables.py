import dataclasses
import shlex
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results_builder import (
    N_VAL,
    PUBLISHED,
    SEARCH,
    SUITE,
    TRIAL_0,
    TRIAL_1,
    TRIAL_2,
    make_results,
)

from lstm_bench.analysis import formatting
from lstm_bench.analysis.intervals import wilson_interval
from lstm_bench.analysis.tables.cost import pareto
from lstm_bench.analysis.tables.published import published_comparison
from lstm_bench.analysis.tables.search import leaderboard, study_summary
from lstm_bench.analysis.tables.select import CI_HIGH, CI_LOW
from lstm_bench.report.sections.axes import axis_effect
from lstm_bench.report.sections.failures import failures
from lstm_bench.report.sections.heads import compare_heads, compare_heads_paired
from lstm_bench.report.sections.importance import importance
from lstm_bench.report.sections.samples import samples
from lstm_bench.suites.config import TrialConfig
from lstm_bench.suites.suite import Suite, SuiteError


def test_leaderboard_ranks_complete_configurations_best_first():
    board = leaderboard(make_results())
    assert board["objective"].tolist() == [0.90, 0.86, 0.82, 0.80, 0.70]
    assert board["rank"].tolist() == [1, 2, 3, 4, 5]
    assert board["label"].tolist()[0] == TRIAL_2
    assert board["label"].tolist()[-1] == "reference old"
    assert set(board["n_used_val"]) == {N_VAL}
    best = board.iloc[0]
    assert (best[CI_LOW], best[CI_HIGH]) == pytest.approx(wilson_interval(0.9, N_VAL))


def test_leaderboard_averages_the_runs_of_one_configuration():
    twice = (*SEARCH[:1], {**SEARCH[0], "objective": 0.90})
    board = leaderboard(make_results(twice))
    assert board["n_runs"].tolist() == [2]
    assert board["objective"].tolist() == [pytest.approx(0.85)]


def test_the_first_of_several_runs_stands_for_its_configuration():
    again = ({**SEARCH[0], "objective": 0.90}, *SEARCH[1:], SEARCH[0])
    board = leaderboard(make_results(again)).set_index("config_id")
    row = board[board["n_runs"] == 2].iloc[0]
    assert (row["run_id"], row["trial"], row["label"]) == ("r0", 0, TRIAL_0)
    assert row["objective"] == (0.90 + SEARCH[0]["objective"]) / 2


def test_tables_of_a_search_without_complete_runs_keep_their_columns():
    full, none = make_results(SEARCH[:6]), make_results(SEARCH[4:6])
    for table in (leaderboard, compare_heads_paired, pareto):
        empty = table(none)
        assert empty.empty
        assert list(empty.columns) == list(table(full).columns)


def test_leaderboard_puts_the_lowest_loss_first():
    text = SUITE.replace("metric: accuracy", "metric: log_loss")
    board = leaderboard(make_results(suite_text=text))
    assert board["objective"].iloc[0] == 0.70
    assert board["rank"].iloc[0] == 1


def test_the_commands_of_many_rows_are_those_of_each():
    results = make_results((*SEARCH, dict(patience=None, masking=False)))
    runs = results.runs
    assert formatting.train_commands(results, runs) == [
        formatting.train_command(results, formatting.config_of_row(row))
        for _, row in runs.iterrows()
    ]


def test_commands_train_exactly_the_configuration_of_their_row():
    results = make_results()
    for row in leaderboard(results).to_dict("records"):
        words = shlex.split(row["command"])
        assert words[:3] == ["lstm-bench", "train", "benchmarks/small.yaml"]
        config = results.suite.with_overrides(words[4::2])
        assert config.config_id == row["config_id"]


def test_links_need_a_server():
    assert leaderboard(make_results())["url"].tolist()[0] is None
    served = make_results(tracking_url="http://host:5000")
    assert leaderboard(served)["url"].tolist()[0] == (
        "http://host:5000/#/experiments/1/runs/r2?workflowType=machine_learning"
    )
    assert formatting.run_url(make_results(tracking_url="javascript:x"), 1, "r") is None


def test_heads_are_described_by_head():
    frame = compare_heads(make_results()).set_index("head")
    assert frame.loc["softmax", "n_runs"] == 2
    assert frame.loc["softmax", "objective_mean"] == pytest.approx(0.84)
    assert frame.loc["softmax", "train_time_s_mean"] == pytest.approx(21.0)
    assert frame.loc["sigmoid", "objective_best"] == 0.90


def test_heads_are_paired_where_nothing_else_differs():
    frame = compare_heads_paired(make_results())
    assert frame["difference"].tolist() == pytest.approx([0.02, -0.04])


def test_axis_effect_by_choice_and_by_bin():
    frame = axis_effect(make_results(), "units")
    assert frame["value"].tolist() == ["16", "32"]
    assert frame["mean"].tolist() == pytest.approx([0.81, 0.88])
    assert frame["n"].tolist() == [2, 2]
    many = tuple(
        dict(dropout=i / 100, objective=0.5 + i / 100, train_time_s=1.0)
        for i in range(20)
    )
    binned = axis_effect(make_results(many), "dropout")
    assert len(binned) == 6
    assert binned["n"].sum() == 20
    assert binned["n"].max() - binned["n"].min() <= 1


def test_importance_finds_the_axis_that_matters():
    rows = tuple(
        dict(units=u, dropout=d / 10, head=h, objective=0.5 + 0.4 * (u == 32),
             train_time_s=1.0)
        for u in (16, 32) for d in range(6) for h in ("sigmoid", "softmax")
    )  # fmt: skip
    frame = importance(make_results(rows))
    assert frame["importance"].sum() == pytest.approx(1.0)
    assert frame["axis"].iloc[0] == "units"


def test_importance_says_why_it_is_empty():
    frame = importance(make_results(SEARCH[:3]))
    assert frame.empty
    assert "at least 4" in frame.attrs["reason"]


def test_pareto_front_holds_what_nothing_beats_in_both():
    frame = pareto(make_results()).set_index("label")
    front = frame[frame["on_front"]].index.tolist()
    assert front == [TRIAL_0, TRIAL_1, TRIAL_2]


def test_failures_keep_their_reason():
    frame = failures(make_results())
    assert frame["state"].tolist() == ["pruned", "failed"]
    assert set(frame["failure_reason"]) == {"loss | is `nan`"}


def test_summary_counts_states():
    facts = study_summary(make_results())
    assert (facts["n_complete"], facts["n_pruned"], facts["n_failed"]) == (5, 1, 1)
    assert facts["total_time_s"] == pytest.approx(114.0)


def test_published_figures_meet_the_reference_they_name():
    rows = (dict(reference="a", max_epochs=3, objective=0.8, train_time_s=45.0),)
    frame = published_comparison(make_results(rows, PUBLISHED))
    accuracy = frame[frame["figure"] == "val_accuracy"]
    assert accuracy["measured"].tolist() == pytest.approx([0.78, 0.79])
    assert accuracy["difference"].tolist() == pytest.approx([0.08, 0.04])
    time = frame[frame["figure"] == "epoch_time_s"].iloc[0]
    assert (time["published"], time["measured"]) == (15.0, 15.0)
    # Validated on the test set, so the kept weights' score is the test score.
    assert frame["measured"].iloc[-1] == pytest.approx(0.8)


def test_samples_carry_one_probability_per_class():
    frame = samples(make_results(), ["r1"])
    assert frame[["p_neg", "p_pos"]].iloc[0].tolist() == [0.25, 0.75]
    assert not frame["correct"].any()


def test_small_floats_survive_yaml():
    results = make_results()
    with pytest.raises(SuiteError):
        results.suite.with_overrides(["learning_rate=0"])
    command = formatting.train_command(results, results.suite.references["old"])
    assert "learning_rate=1.0e-05" in command


@given(
    dropout=st.floats(0.0, 0.99),
    learning_rate=st.floats(1e-300, 10.0),
    at=st.integers(0, 9),
)
def test_train_command_trains_the_configuration_that_it_was_printed_for(
    dropout, learning_rate, at
):
    suite = Suite("s", SUITE, "s.yaml")
    results = dataclasses.replace(make_results(), suite=suite)
    base = suite.defaults.model_dump()
    for share in (dropout, at * 0.1):
        values = {**base, "dropout": share, "learning_rate": learning_rate}
        config = TrialConfig.model_validate(values)
        words = shlex.split(formatting.train_command(results, config))
        assignments = [after for before, after in pairwise(words) if before == "--set"]
        assert suite.with_overrides(assignments).config_id == config.config_id
        # As MLflow keeps parameters: as texts.
        texts = {key: str(value) for key, value in config.model_dump().items()}
        kept = {key: None if text == "None" else text for key, text in texts.items()}
        assert TrialConfig.model_validate(kept).config_id == config.config_id
