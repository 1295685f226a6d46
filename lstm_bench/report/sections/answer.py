"""The answer section: winner, verdicts, cost and limits in sentences, key numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lstm_bench.analysis.contenders import Contender, confirm_spec
from lstm_bench.analysis.hypothesis_tests import Verdict
from lstm_bench.analysis.imbalance import balance_of, shares_of
from lstm_bench.analysis.memory import task_of
from lstm_bench.analysis.tables.cost import confirmed_cost
from lstm_bench.analysis.tables.published import published_comparison
from lstm_bench.analysis.tables.search import study_summary
from lstm_bench.analysis.tables.select import CI_HIGH, CI_LOW, engines
from lstm_bench.analysis.verdicts import answers, signed
from lstm_bench.metrics import follows_shares
from lstm_bench.report.blocks import (
    DASH,
    Answers,
    Block,
    Card,
    Cards,
    Note,
    Section,
    as_sentence,
    class_text,
    count,
    duration,
    number_of,
)
from lstm_bench.report.heading import machine
from lstm_bench.report.view import View
from lstm_bench.text import interval_text
from lstm_bench.tracking.stored_runs import describe_left_out
from lstm_bench.training.result import OBJECTIVE, TOTAL_TIME, TRAIN_TIME

# With fewer seeds the t interval is wide, and its t distribution far from normal.
FEW_SEEDS = 5
AGAINST: dict[Verdict, str] = {
    "better": "better than",
    "worse": "worse than",
    "equivalent": "equivalent to",
    "identical": "the same score on every seed as",
    "undecided": "undecided against",
}


def answer_section(view: View) -> Section:
    """Show the answers to the suite's question, with the key numbers."""
    results = view.results
    facts = study_summary(results)
    board = view.board
    blocks: list[Block] = list(_warnings(view))
    if cards := tuple(_cards(view, facts)):
        blocks.append(Cards(cards))
    rows = [("what was asked", _question(view, facts))]
    if view.analysis.winner is None and len(board):
        rows += _searched_answers(view)
    rows += [(a.question, a.text) for a in answers(view.analysis)]
    rows += _imbalance(view)
    rows += _published_answers(view)
    rows.append(("what it cost", _cost(view, facts)))
    if limits := list(_limits(view)):
        rows.append(("what this does not show", " ".join(limits)))
    blocks.append(Answers(tuple(rows)))
    if not len(board) and not view.lstms:
        blocks.append(Note("No training was completed, so nothing is compared.", True))
    return Section("The answer", "answer", "", tuple(blocks))


def _warnings(view: View) -> Iterator[Note]:
    data = view.results.dataset
    if view.results.missing:
        yield Note(
            f"EVIDENCE IS MISSING: {view.results.missing}. What depends on it is left "
            "out or unknown here: this report is incomplete.",
            True,
        )
    if data.get("synthetic"):
        ceiling = data.get("best_possible_accuracy")
        yield Note(
            f"SYNTHETIC DATA: a program wrote these {view.results.examples}. The "
            "scores show that the suite works; they are no estimate for real data."
            + (
                " The best possible classifier, which knows how they were made, has an "
                f"accuracy of {ceiling:.4f}."
                if ceiling is not None
                else ""
            ),
            True,
        )
    if left_out := describe_left_out(view.results.left_out):
        yield Note(f"{left_out}. Provenance lists all of them.", True)
    used = engines(view.results)
    if len(used) > 1:
        yield Note(
            f"{len(used)} engines computed the networks of this study "
            f"({', '.join(used)}): their times do not compare. The table of all "
            "runs names each one's engine."
        )
    if data.get("validation") == "test":
        yield Note(
            "The test set was used for validation, as the source did. Epochs or "
            "configurations chosen by these scores were chosen on the test set: they "
            f"are no estimate for new {view.results.examples}.",
            True,
        )


def _cards(view: View, facts: dict[str, Any]) -> Iterator[Card]:
    metric, analysis = view.metric, view.analysis
    if analysis.winner is not None:
        yield from _confirmed_cards(view, analysis.winner)
    elif len(view.board):
        best = view.board.iloc[0]
        wilson = _wilson(best, metric.name == "accuracy", view.results.examples)
        yield Card(
            f"best validation {metric.label}, one seed",
            f"{best[OBJECTIVE]:{metric.form}}",
            f"{best['label']}{wilson}",
        )
        if not math.isnan(best[TRAIN_TIME]):
            yield Card(
                "training the best took",
                duration(float(best[TRAIN_TIME])),
                f"{best['n_parameters']:,.0f} parameters",
            )
    if facts["n_trials"]:
        n = view.suite.space.n_configurations
        of = "a continuous space" if n is None else f"{n:,} configurations"
        yield Card(
            "searched",
            count(facts["n_trials"], "trial"),
            f"of {of}: {_states(facts)}, {duration(facts['total_time_s'])}",
        )


def _confirmed_cards(view: View, winner: Contender) -> Iterator[Card]:
    analysis, test, form = view.analysis, winner.test_interval, view.metric.form
    yield Card(
        f"test {view.metric.label} of the best {view.suite.network}",
        f"{test.estimate:{form}}",
        f"{winner.label}; {_interval(test.low, test.high, form)}"
        f"{count(test.n, 'fresh seed')}",
    )
    row = analysis.against_baseline
    if row is not None:
        yield Card(
            "against the best baseline",
            signed(row["difference"], form),
            f"{AGAINST[row['verdict']]} {row['label_b']}, {row['mean_b']:{form}}; "
            f"{_interval(row['ci_low'], row['ci_high'], f'+{form}')}"
            f"{count(int(row['n_seeds']), 'paired seed')}",
        )
    cost = confirmed_cost(analysis)
    for time in cost[cost["key"] == winner.key].to_dict("records"):
        yield Card(
            "training the best takes",
            duration(float(time[TRAIN_TIME])),
            f"{_interval(time['time_low'], time['time_high'], '.1f', ' s')}"
            f"{count(int(time['n_seeds']), 'seed')}",
        )


def _interval(low: float, high: float, form: str, unit: str = "") -> str:
    text = interval_text(low, high, form)
    return f"95 % {text}{unit}, " if text else ""


def _wilson(row: pd.Series, is_accuracy: bool, examples: str) -> str:
    if math.isnan(row[CI_LOW]):
        return ""
    what = "" if is_accuracy else f"accuracy {row['val_accuracy']:.4f}, "
    return (
        f"; {what}95 % {interval_text(row[CI_LOW], row[CI_HIGH])} over "
        f"{row['n_used_val']:,} {examples} (Wilson)"
    )


def _question(view: View, facts: dict[str, Any]) -> str:
    suite, data = view.suite, view.results.dataset
    axes = list(suite.space.axes)
    parts = []
    if axes:
        n_trials = facts["n_trials"]
        how = suite.search_text(n_trials)
        parts.append(f"{count(n_trials, 'trial')} over {_listed(axes)}, {how}")
    if suite.references:
        parts.append(count(len(suite.references), "reference configuration"))
    runs = view.results.confirmed
    if len(runs):
        n = int(runs["config_id"].nunique())
        seeds = int(runs["replicate"].nunique())
        most = "" if confirm_spec(suite).until is None else "up to "
        parts.append(
            f"{count(n, 'configuration')} confirmed on {most}"
            f"{count(seeds, 'fresh seed')}"
        )
    what = f": {'; '.join(parts)}." if parts else "."
    n_test = (data.get("test") or {}).get("n")
    name = data.get("name", DASH)
    asked = f"Which {view.suite.network} has the best {view.metric.label}"
    against = confirm_spec(suite).against
    if against is not None:
        asked = f"How the other references compare with {against}"
    if task_of(view.results) is not None:
        asked = "Up to which length is the task solved"
    return (
        f"{asked} on "
        f"{view.results.own_file or f'the dataset {name}'}"
        f"{what} {as_sentence(data.get('description', ''))} Trained on "
        f"{number_of(data.get('n_used_train'))} {view.results.examples}, "
        "validated on "
        f"{number_of(data.get('n_used_val'))}"
        + (f", tested on {n_test:,}." if len(runs) and n_test else ".")
    )


def _imbalance(view: View) -> Iterator[tuple[str, str]]:
    """Yield what uneven classes do to the scores, where they are uneven."""
    balance, metric = balance_of(view.results), view.metric
    if balance is None or not balance.is_uneven:
        return
    best = view.board.iloc[0]["run_id"] if len(view.board) else None
    shares = shares_of(view.analysis, best)
    if shares is None:
        return
    largest, network = class_text(balance.largest), view.suite.network
    uneven = (
        f"The classes are uneven ({largest} has "
        f"{balance.sizes[balance.largest]:,} training {view.results.examples}, "
        f"{class_text(balance.smallest)} {balance.sizes[balance.smallest]:,})"
    )
    yield (
        "do uneven classes matter",
        (
            f"{uneven}: always naming {largest} scores {shares.split} accuracy "
            f"{shares.majority:.4f}, and balanced accuracy "
            f"{shares.majority_balanced:.4f}; the best {network} has accuracy "
            f"{shares.winner:.4f} and balanced accuracy {shares.winner_balanced:.4f}."
            if follows_shares(metric.name, len(balance.sizes))
            else f"{uneven}, so this report leads with {metric.label}, in which every "
            f"class counts the same; by accuracy, always naming {largest} "
            f"would score {shares.majority:.4f} on {shares.split}, and the best "
            f"{network} {shares.winner:.4f}, with balanced accuracy "
            f"{shares.winner_balanced:.4f}."
        ),
    )


def _listed(words: list[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _states(facts: dict[str, Any]) -> str:
    return ", ".join(
        f"{facts[f'n_{state}']} {state}"
        for state in ("complete", "pruned", "failed", "interrupted", "running")
        if facts[f"n_{state}"]
    )


def _searched_answers(view: View) -> Iterator[tuple[str, str]]:
    """Yield the search's result, for a study without a confirmation."""
    board, metric, form = view.board, view.metric, view.metric.form
    best = board.iloc[0]
    yield (
        "what won",
        f"{best['label']}: validation {metric.label} {best[OBJECTIVE]:{form}}"
        + _wilson(best, metric.name == "accuracy", view.results.examples)
        + f", the best of {count(len(board), 'configuration')}.",
    )
    if len(board) > 1:
        second = board.iloc[1]
        gap = abs(best[OBJECTIVE] - second[OBJECTIVE])
        text = (
            f"Runner-up is {second['label']}, {second[OBJECTIVE]:{form}}, "
            f"{gap:{form}} behind"
            if metric.is_better(best[OBJECTIVE], second[OBJECTIVE])
            else f"{second['label']} has the same score, {second[OBJECTIVE]:{form}}"
        )
        inside = (
            metric.name == "accuracy"
            and not math.isnan(best[CI_LOW])
            and best[CI_LOW] <= second["val_accuracy"] <= best[CI_HIGH]
        )
        text += (
            "; its accuracy is inside the best one's interval, so the order of the "
            "two is undecided."
            if inside
            else "."
        )
        yield "by how much", text
    references = board[board["reference"].notna()]
    for row in references.to_dict("records"):
        if row["rank"] > 2:
            yield (
                str(row["label"]),
                f"{row[OBJECTIVE]:{form}}, rank {row['rank']} of {len(board)}.",
            )


def _published_answers(view: View) -> Iterator[tuple[str, str]]:
    """Yield each published test accuracy with the measured one."""
    if not view.suite.published:
        return
    frame = published_comparison(view.results)
    rows = frame[(frame["figure"] == "test_accuracy") & frame["measured"].notna()]
    for row in rows.to_dict("records"):
        yield (
            "against the published figure",
            f"{row['label']} reports test accuracy {row['published']:.4f} for "
            f"{row['reference']}; here it has {row['measured']:.4f} "
            f"({signed(row['difference'])}), {count(int(row['n_runs']), 'run')}.",
        )


def _cost(view: View, facts: dict[str, Any]) -> str:
    runs = view.results.confirmed
    parts = []
    if facts["n_runs"]:
        parts.append(
            f"{count(facts['n_runs'], 'training')} of the search took "
            f"{duration(facts['total_time_s'])} ({_states(facts)})"
        )
    if len(runs):
        parts.append(
            f"{count(len(runs), 'training')} of the confirmation took "
            f"{duration(float(runs[TOTAL_TIME].sum()))}"
        )
    if (curve := view.analysis.learning_curve) is not None:
        parts.append(
            f"{count(curve.n_trainings, 'training')} on parts of the training "
            f"{view.results.examples} took {duration(curve.time_s)}"
        )
    looks = int(view.results.test_looks["n"].sum())
    return (
        (
            f"{'; '.join(parts)}, evaluation included, on {machine(view.results)}."
            if parts
            else ""
        )
        + f" The test set was scored {count(looks, 'time')} in this tracking store, "
        "baselines included."
    ).strip()


def _limits(view: View) -> Iterator[str]:
    """Yield the study's limits, a sentence each."""
    data, analysis, board = view.results.dataset, view.analysis, view.board
    if analysis.winner is None and len(board):
        n = int(board.iloc[0]["n_runs"])
        yield (
            f"How the best performs on the test set, or with another seed: it was "
            f"trained {'once' if n == 1 else f'{n} times'}."
        )
        if len(board) > 1 and n == 1:
            best = "largest" if view.metric.higher_is_better else "smallest"
            yield (
                f"Its score is optimistic: it is the {best} of {len(board)} on the "
                f"same validation {view.results.examples}, and part of its lead is "
                "chance; a confirmation on fresh seeds decides between them."
            )
    elif analysis.winner is not None:
        n = len(analysis.winner.test)
        if n < FEW_SEEDS:
            yield (
                f"The spread over seeds: {count(n, 'seed')} "
                f"{'is' if n == 1 else 'are'} few to estimate it."
            )
        undecided = analysis.comparisons["verdict"] == "undecided"
        if n_open := int(undecided.sum()):
            total = len(analysis.comparisons)
            yield (
                f"{n_open} of {count(total, 'comparison')} "
                f"{'is' if n_open == 1 else 'are'} undecided with this many seeds."
            )
    whole = (data.get("train") or {}).get("n")
    used = int(data.get("n_used_train") or 0) + int(data.get("n_used_val") or 0)
    if whole and data.get("validation") != "test" and used < whole:
        yield (
            f"The effect of more data: {data.get('n_used_train', 0):,} of "
            f"{whole:,} training {view.results.examples} were trained on."
        )
    if axes := list(view.suite.space.axes):
        yield (
            f"Values outside the space, and hyperparameters that were held fixed "
            f"(all but {_listed(axes)})."
        )
    yield "Other data, and times on other machines."
