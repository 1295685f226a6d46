from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from results_builder import (
    CONFIRM_SUITE,
    CONFIRMED,
    TRIAL_2,
    TRIAL_3,
    is_of,
    make_confirmed_results,
    make_results,
)

from lstm_bench.analysis import verdicts as answer_words
from lstm_bench.analysis.comparisons import analyse, compare_all
from lstm_bench.analysis.contenders import find_contenders
from lstm_bench.analysis.hypothesis_tests import SWAPPED, VERDICTS
from lstm_bench.analysis.tables.confirmed import baselines
from lstm_bench.analysis.tables.cost import confirmed_cost
from lstm_bench.analysis.verdicts import answers, confirmation_summary, describe
from lstm_bench.publish.summary import Verdict
from lstm_bench.report.figures.forest import VERDICT_COLOURS
from lstm_bench.report.sections.answer import AGAINST
from lstm_bench.report.sections.axes import confirmed_axis_effect
from lstm_bench.report.sections.budget import expected_best
from lstm_bench.report.sections.calibration import calibration, calibration_of_heads
from lstm_bench.report.sections.confirmation import confirmed_board
from lstm_bench.report.sections.failures import failures
from lstm_bench.report.sections.literature import literature
from lstm_bench.report.sections.samples import confident_errors
from lstm_bench.report.sections.slices import slices


@pytest.fixture(scope="module")
def analysis():
    return analyse(make_confirmed_results())


def rows_of(analysis, family):
    table = analysis.comparisons
    return table[table["family"] == family]


def test_contenders_are_the_confirmed_configurations_then_the_baselines(analysis):
    labels = [c.label for c in analysis.contenders]
    assert labels == [
        TRIAL_2,
        TRIAL_3,
        "reference old",
        "softmax (pair of reference old)",
        "Bag of words",
    ]
    # The search's split of the baseline (replicate 0) is no replicate of the round.
    assert set(analysis.contenders[-1].test) == {1, 2, 3}


def test_the_winner_is_chosen_by_validation_alone():
    results = make_confirmed_results()
    raised = results.confirmed.copy()
    raised.loc[is_of(results, raised, TRIAL_3), "val_accuracy"] = 0.99
    winner = analyse(make_confirmed_results(confirmed=CONFIRMED)).winner
    assert winner.label == TRIAL_2
    changed = make_confirmed_results()
    object.__setattr__(changed, "confirmed", raised)
    assert analyse(changed).winner.label == TRIAL_3


def test_a_winner_that_reads_evidence_stands_beside_the_best_that_reads_words(analysis):
    told = {a.question: a.text for a in answers(analysis)}
    assert "best LSTM that reads words alone" not in told
    assert "Beside its words" not in told["best LSTM"]
    plain, other, *rest = analysis.contenders
    assert plain.config is not None
    reads = plain.config.model_copy(update={"ngram_evidence": 3})
    winner = dataclasses.replace(plain, config=reads)
    mixed = dataclasses.replace(
        analysis, contenders=(winner, other, *rest), winner=winner
    )
    told = {a.question: a.text for a in answers(mixed)}
    assert "what 1- to 3-grams say, from a linear model" in told["best LSTM"]
    words = told["best LSTM that reads words alone"]
    assert words.startswith(f"{TRIAL_3}, chosen on validation: test accuracy 0.85")
    assert list(told)[:2] == ["best LSTM", "best LSTM that reads words alone"]


def test_differences_are_means_over_paired_seeds(analysis):
    (row,) = rows_of(analysis, "best").to_dict("records")
    assert (row["label_a"], row["label_b"]) == (TRIAL_2, TRIAL_3)
    # Right of 40: 36-34, 37-35, 36-33, so (2 + 2 + 3) / 3 / 40.
    assert row["difference"] == pytest.approx(7 / 120)
    assert row["n_seeds"] == 3
    # t interval: sd of (2, 2, 3)/40 is 0.57735/40, half-width 4.30265 sd / sqrt(3).
    half = 4.30265 * 0.57735 / 40 / np.sqrt(3)
    assert row["ci_low"] == pytest.approx(7 / 120 - half, rel=1e-4)
    assert row["ci_high"] == pytest.approx(7 / 120 + half, rel=1e-4)
    # a is right on the first 36 reviews and b on the first 34 of them: b never alone.
    assert (row["n_only_a"], row["n_only_b"]) == (2, 0)
    # Exact McNemar of 2 to 0: 2 * 0.25; mid-p takes half the observed 2 * 0.25 off.
    assert row["p_mcnemar_exact"] == pytest.approx(0.5)
    assert row["p_mcnemar_mid"] == pytest.approx(0.25)


def test_each_family_holds_what_it_says(analysis):
    assert rows_of(analysis, "references")["label_b"].tolist() == ["reference old"]
    assert rows_of(analysis, "baselines")["label_b"].tolist() == ["Bag of words"]
    pairs = rows_of(analysis, "pairs: head")
    assert pairs["label_a"].tolist() == [
        "head sigmoid, mean of 2 configurations",
        TRIAL_2,
        "reference old",
    ]
    # By replicate the mean of both pairs: (2+4)/2, (2-4)/2, (3+1)/2 of 40.
    assert pairs["difference"].iloc[0] == pytest.approx((3 - 1 + 2) / 3 / 40)
    assert set(analysis.comparisons["family"]) == {
        "best",
        "references",
        "pairs: head",
        "baselines",
    }


def test_one_reference_is_compared_with_the_others():
    results = make_confirmed_results(suite_text=CONFIRM_SUITE + "  against: old\n")
    suite, by_label = results.suite, {c.label: c for c in find_contenders(results)}
    old, best = by_label["reference old"], by_label[TRIAL_2]
    new = dataclasses.replace(by_label[TRIAL_3], origin="reference")

    def compared(winner):
        table = compare_all(suite, [old, best, new], winner)
        rows = table[table["family"] == "references"]
        return list(zip(rows["label_a"], rows["label_b"], strict=True))

    assert compared(best) == [(best.label, old.label), (old.label, new.label)]
    assert compared(old) == [(old.label, new.label)]
    assert compared(new) == [(old.label, new.label)]
    # Not trained yet.
    table = compare_all(suite, [best, new], best)
    assert "references" not in set(table["family"])


def test_a_suite_names_its_families():
    text = CONFIRM_SUITE + "  families: [baselines]\n"
    table = analyse(make_confirmed_results(suite_text=text)).comparisons
    assert set(table["family"]) == {"baselines"}


def test_holm_corrects_within_the_family():
    text = CONFIRM_SUITE.replace("margin: 0.05", "margin: 0.01")
    analysis = analyse(make_confirmed_results(suite_text=text))
    for _, rows in analysis.comparisons.groupby("family"):
        assert (rows["p_beyond_holm"] >= rows["p_beyond"] - 1e-12).all()
    pairs = rows_of(analysis, "pairs: head")
    assert pairs["p_beyond_holm"].min() == pytest.approx(3 * pairs["p_beyond"].min())
    single = rows_of(analysis, "best")
    assert single["p_beyond_holm"].tolist() == single["p_beyond"].tolist()


def test_pairs_use_only_the_seeds_that_both_have():
    results = make_confirmed_results()
    failed = results.confirmed.copy()
    lost = is_of(results, failed, TRIAL_3) & (failed["replicate"] == 2)
    failed.loc[lost, "state"] = "failed"
    object.__setattr__(results, "confirmed", failed)
    analysis = analyse(results)
    (row,) = rows_of(analysis, "best").to_dict("records")
    assert row["n_seeds"] == 2
    assert row["difference"] == pytest.approx((2 + 3) / 2 / 40)
    board = confirmed_board(analysis).set_index("label")
    assert board.loc[TRIAL_3, ["n_seeds", "n_failed"]].tolist() == [2, 1]


def test_a_metric_that_is_better_lower_turns_the_verdict():
    text = CONFIRM_SUITE.replace("metric: accuracy", "metric: log_loss")
    analysis = analyse(make_confirmed_results(suite_text=text))
    (row,) = rows_of(analysis, "baselines").to_dict("records")
    assert analysis.winner.label == TRIAL_2
    assert row["difference"] < 0
    assert row["verdict"] == "better"


def test_optimism_is_how_much_better_the_choosing_score_was(analysis):
    own = analysis.optimism.set_index("label").loc[TRIAL_2]
    assert own["search"] == pytest.approx(0.90)
    # Validation is right on 18 of 20 in every replicate.
    assert own["val_mean"] == pytest.approx(0.90)
    assert own["search_minus_val"] == pytest.approx(0.0)
    assert own["val_minus_test"] == pytest.approx(0.90 - 109 / 120)


def test_of_searched_scores_that_tie_the_winners_is_told(analysis):
    assert analysis.winner.label == TRIAL_2
    tied = analysis.optimism.assign(search=0.9)
    is_winner = tied["label"] == TRIAL_2
    assert is_winner.sum() == 1 < len(tied)
    tied = pd.concat([tied[~is_winner], tied[is_winner]])
    texts = [a.text for a in answers(dataclasses.replace(analysis, optimism=tied))]
    # Its mean over fresh seeds is as good.
    assert (
        f"best score, 0.9000 with one seed of {TRIAL_2}, was not optimistic: over "
        "fresh seeds the mean is 0.9000"
    ) in texts[-1]


def test_without_a_round_there_is_no_verdict_but_the_baseline_is_named():
    analysis = analyse(make_results())
    assert analysis.winner is None
    assert analysis.comparisons.empty
    assert find_contenders(make_results()) == []
    assert answers(analysis) == []
    unconfirmed = make_confirmed_results(confirmed=())
    (said,) = answers(analyse(unconfirmed))
    # Right on 15 of 20 validation reviews; the search's best trial has 0.9.
    assert said.text == (
        "Bag of words has validation accuracy 0.7500 on the same reviews; the search's "
        "best LSTM, 0.9000, is ahead of it."
    )


def test_the_summary_is_plain_json_without_nan(analysis):
    metrics, verdicts = confirmation_summary(analysis)
    assert metrics["confirmed_test_accuracy_mean"] == pytest.approx(109 / 120)
    assert metrics["confirmed_n_seeds"] == 3
    again = json.loads(json.dumps(verdicts, allow_nan=False))
    assert again["winner"]["label"] == TRIAL_2
    assert len(again["comparisons"]) == len(analysis.comparisons)
    one = analyse(make_confirmed_results(CONFIRMED[:1], baseline=()))
    json.dumps(confirmation_summary(one)[1], allow_nan=False)


def test_equal_results_give_equal_verdicts(analysis):
    again = analyse(make_confirmed_results())
    assert again.comparisons.equals(analysis.comparisons)


def test_the_board_names_each_interval_by_its_source(analysis):
    board = confirmed_board(analysis)
    assert board["rank"].tolist() == [1, 2, 3, 4, 5]
    first = board.iloc[0]
    assert first["test_mean"] == pytest.approx(109 / 120)
    assert (
        first["both_high"] - first["both_low"]
        > first["seeds_high"] - (first["seeds_low"])
    )
    assert first["examples_low"] < first["test_mean"] < first["examples_high"]
    assert board["kind"].tolist().count("baseline") == 1


def test_calibration_is_measured_on_test_with_a_temperature_from_validation(analysis):
    table = calibration(analysis).set_index("label")
    row = table.loc[TRIAL_2]
    # Always 0.8 sure and right in 36, 37 and 36 of 40: off by 0.1, 0.125 and 0.1.
    assert row["ece"] == pytest.approx((0.1 + 0.125 + 0.1) / 3)
    # Right on 18 of 20 on validation: 0.8 should be 0.9, so T = log 4 / log 9.
    assert row["temperature"] == pytest.approx(np.log(4) / np.log(9), rel=1e-3)
    assert row["ece_scaled"] < row["ece"]


def test_heads_are_compared_on_the_same_probabilities(analysis):
    table = calibration_of_heads(analysis).set_index("measure")
    row = table.loc["brier_score_loss"]
    # Brier is 0.04 where right and 0.64 where wrong; pairs average both sizes.
    sigmoid = [(36 + 24) / 80, (37 + 20) / 80, (36 + 22) / 80]
    softmax = [(34 + 20) / 80, (35 + 24) / 80, (33 + 21) / 80]
    assert row["sigmoid"] == pytest.approx(np.mean([0.64 - 0.6 * s for s in sigmoid]))
    gap = np.mean([0.6 * (a - b) for a, b in zip(sigmoid, softmax, strict=True)])
    assert row["difference"] == pytest.approx(gap)
    assert row["n_configurations"] == 2


def test_slices_divide_the_test_set(analysis):
    table = slices(analysis)
    own = table[table["key"] == analysis.winner.key]
    for _, rows in own.groupby("slice"):
        assert rows["n"].sum() == 40
    # The first four reviews stand in train too, and all seeds are right on them.
    in_train = own[(own["slice"] == "copy in train") & (own["value"] == "yes")]
    assert in_train[["n", "accuracy"]].values.tolist() == [[4, 1.0]]
    # Lengths are 0 to 390 by tens, the default keeps 200 tokens: 19 are cut.
    cut = own[own["slice"].str.startswith("truncated") & (own["value"] == "yes")]
    assert cut["n"].tolist() == [19]


def test_errors_count_the_seeds_that_share_them(analysis):
    (row,) = confident_errors(analysis).to_dict("records")
    assert (row["n_seeds"], row["confidence"]) == (3, pytest.approx(0.9))


def test_expected_best_rises_to_the_best_and_says_what_it_cost():
    results = make_results()
    table = expected_best(results)
    values = np.array([0.80, 0.82, 0.90, 0.86])
    assert table["expected"].iloc[0] == pytest.approx(values.mean())
    assert table["expected"].is_monotonic_increasing
    assert table["expected"].iloc[-1] <= 0.90
    # 10 + 12 + 20 + 30 s in four trials, and 1 s each for the pruned and the failed.
    assert table["seconds"].iloc[0] == pytest.approx(74 / 4)
    assert 1 <= table.attrs["n_paid"] <= 4


def test_anchors_stand_beside_own_results_of_the_same_dataset_only():
    results = make_confirmed_results()
    assert literature(analyse(results)).empty
    results.dataset["name"] = "imdb"
    table = literature(analyse(results))
    assert table["own"].sum() == 2
    assert table["accuracy"].is_monotonic_decreasing
    assert set(table["regime"]) <= {"labelled", "unlabelled", "external"}


def test_confirmed_axis_effect_averages_within_a_seed(analysis):
    table = confirmed_axis_effect(analysis, "head").set_index("value")
    assert table.loc["sigmoid", "n_runs"] == 6
    expected = np.mean([36 + 24, 37 + 20, 36 + 22]) / 80
    assert table.loc["sigmoid", "mean"] == pytest.approx(expected)


def test_a_failed_replicate_stands_among_the_failures():
    results = make_confirmed_results()
    failed = results.confirmed.copy()
    failed.loc[4, "state"] = "failed"
    object.__setattr__(results, "confirmed", failed)
    labels = failures(results)["label"].tolist()
    # The search has a pruned and a failed run of its own.
    assert labels == [
        "32 units, dropout 0.3, sigmoid (trial 4)",
        "16 units, dropout 0.5, softmax (trial 5)",
        f"{TRIAL_3}, seed 2",
    ]


def test_a_run_that_lost_its_predictions_is_left_out():
    results = make_confirmed_results()
    del results.predictions["c0"]
    contender = analyse(results).contenders[0]
    assert sorted(contender.test) == [2, 3]


def test_the_winner_of_an_unfinished_round_is_chosen_over_shared_seeds():
    results = make_confirmed_results()
    runs = results.confirmed.copy()
    # Without its poor third seed trial 3 would look best by its own mean.
    of_3 = is_of(results, runs, TRIAL_3)
    runs.loc[of_3, "val_accuracy"] = [0.9, 0.99, 0.5]
    runs.loc[is_of(results, runs, TRIAL_2), "val_accuracy"] = [0.95, 0.99, 0.6]
    runs = runs[~(of_3 & (runs["replicate"] == 3))]
    object.__setattr__(results, "confirmed", runs)
    analysis = analyse(results)
    assert analysis.winner.label == TRIAL_2


def test_not_enough_data_says_what_it_would_take(analysis):
    row = rows_of(analysis, "baselines").iloc[0].to_dict()
    row |= {"verdict": "undecided", "p_beyond_holm": 0.0812}
    metric = analysis.results.suite.metric
    for needed, n, p, said in (
        (12, 3, 0.06, "are negligible; about 12 seeds would be needed to decide."),
        (pd.NA, 3, 0.06, "are negligible; more than 1,000 seeds would be needed"),
        (
            *(4, 3, 0.02),
            "tested alone it would be better, but corrected for the other comparisons "
            "of its family (Holm) p is 0.081; about 4 seeds would be needed to decide.",
        ),
        (3, 2, 0.02, "a verdict takes at least 3 seeds; about 3 seeds would be"),
        (
            pd.NA,
            1,
            0.02,
            "one seed shows nothing of the spread over seeds, and a verdict",
        ),
    ):
        row |= {"n_seeds_needed": needed, "n_seeds": n, "p_beyond": p}
        assert said in describe(row, metric)


@pytest.mark.parametrize(
    "words",
    [answer_words.LEADS, AGAINST, VERDICT_COLOURS, SWAPPED],
)
def test_every_verdict_has_its_words_everywhere(words):
    assert set(words) == set(VERDICTS)
    assert all(words.values())


def test_an_unknown_verdict_is_an_error(analysis):
    row = rows_of(analysis, "baselines").iloc[0].to_dict() | {"verdict": "splendid"}
    with pytest.raises(KeyError, match="splendid"):
        describe(row, analysis.results.suite.metric)
    with pytest.raises(ValidationError, match="'worse', 'equivalent', 'identical'"):
        Verdict(verdict="splendid", difference=0, ci95_low=None, ci95_high=None,
                n_seeds=3, margin=0.01)  # fmt: skip


def test_equal_scores_are_identical_and_have_a_sentence_of_their_own():
    # Trial 3 is right as often as trial 2, on each seed.
    confirmed = (CONFIRMED[0], (*CONFIRMED[1][:2], CONFIRMED[0][2]))
    analysis = analyse(make_confirmed_results(confirmed))
    (row,) = rows_of(analysis, "best").to_dict("records")
    assert row["verdict"] == "identical"
    (said, _, *_) = [a.text for a in answers(analysis)][1:]
    # Of equal ones the winner is the first by its id.
    first, second = sorted(analysis.contenders[:2], key=lambda c: c.key)
    assert said == (
        f"{first.label} and {second.label} have the same score on every seed: test "
        "accuracy 0.9083 over 3 paired seeds."
    )


def test_one_comparison_that_answers_two_questions_is_said_once():
    # The winner and the next best differ in the head alone.
    analysis = analyse(make_confirmed_results(CONFIRMED[:2]))
    said = {a.question: a.text for a in answers(analysis)}
    assert "against the search's next best; does head matter" in said
    texts = list(said.values())
    assert len(set(texts)) == len(texts)
    assert not {"does head matter", "against the search's next best"} & set(said)


def test_a_name_stays_as_it_is_at_the_beginning_of_a_sentence(analysis):
    row = rows_of(analysis, "baselines").iloc[0].to_dict() | {"label_a": "imdb_small"}
    text = describe(row, analysis.results.suite.metric)
    assert text.startswith("imdb_small is better than Bag of words: test accuracy")


def far_apart():
    """A study whose three seeds are right on 40, 20 and 40 of 40 test reviews."""
    right = (40, 20, 40)
    confirmed = tuple((*one[:2], right) for one in CONFIRMED[:2])
    return analyse(make_confirmed_results(confirmed, baseline=right))


def test_intervals_stay_inside_what_a_value_can_be():
    analysis = far_apart()
    # Mean 5/6, sd 0.2887: the t interval would reach from 0.116 to 1.55.
    (low, high) = (
        analysis.winner.test_interval.low,
        analysis.winner.test_interval.high,
    )
    assert (low, high) == (pytest.approx(5 / 6 - 4.30265 / 6, rel=1e-4), 1.0)
    board = confirmed_board(analysis)
    assert board[["seeds_high", "both_high"]].max().max() <= 1.0
    effect = confirmed_axis_effect(analysis, "head")
    assert effect["ci_high"].max() == 1.0
    fresh = baselines(analysis.results).set_index("fitted_on")
    assert fresh.loc["fresh splits", "test_high"] == 1.0
    assert confirmed_cost(analysis)["test_high"].max() == 1.0
    differences = analysis.comparisons
    assert differences[["ci_high", "both_high"]].max().max() <= 1.0
    row = calibration(analysis).iloc[0]
    # Always 0.8 sure: off by 0.2, 0.3 and 0.2.
    assert row["ece"] == pytest.approx(0.7 / 3)
    assert 0.0 <= row["ece_low"] < row["ece"] < row["ece_high"] <= 1.0
    assert row["log_loss_low"] == 0.0


def test_temperatures_are_averaged_on_the_log_scale():
    analysis = far_apart()
    row = calibration(analysis).iloc[0]
    # All right on validation: the lower bound of the fit; half right: the upper.
    fitted = np.log([1 / 20, 20, 1 / 20])
    assert row["temperature"] == pytest.approx(np.exp(fitted.mean()), rel=1e-3)
    assert row["temperature_low"] == pytest.approx(1 / 20)
    assert row["temperature_high"] == pytest.approx(20)
    heads = calibration_of_heads(analysis).set_index("measure")
    assert heads.loc["log_temperature", "sigmoid"] == pytest.approx(
        fitted.mean(), rel=1e-3
    )
