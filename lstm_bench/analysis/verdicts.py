"""The verdicts as sentences and as JSON: the winner, differences, intervals, seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender, best_on_validation, confirm_spec
from lstm_bench.analysis.ensembles import AGAINST_BASELINE, AGAINST_SINGLE, SEEDS
from lstm_bench.analysis.formatting import plain
from lstm_bench.analysis.hypothesis_tests import MIN_SEEDS, SWAPPED, Verdict
from lstm_bench.analysis.intervals import LEVEL
from lstm_bench.analysis.memory import memory_answer
from lstm_bench.metrics import Metric
from lstm_bench.text import count, with_interval
from lstm_bench.training.result import OBJECTIVE, metric_key


@dataclass(frozen=True)
class Answer:
    """A short question, and its answer in a sentence."""

    question: str
    text: str


def answers(analysis: Analysis) -> list[Answer]:
    """Return the study's answers: the winner, its score, and each comparison.

    Of a memory task, first up to which length it is solved.
    """
    remembered = memory_answer(analysis.results)
    found = [Answer("how long it remembers", remembered)] if remembered else []
    if analysis.winner is None:
        return [*found, *_search_answers(analysis)]
    return [*found, *_confirmed_answers(analysis, analysis.winner)]


def _confirmed_answers(analysis: Analysis, winner: Contender) -> Iterator[Answer]:
    metric, table = analysis.results.suite.metric, analysis.comparisons
    test = winner.test_interval
    yield Answer(
        f"best {analysis.results.suite.network}",
        f"{winner.label}, chosen on validation: test {metric.label} "
        f"{with_interval(test.estimate, test.low, test.high, metric.form)} over "
        f"{count(test.n, 'fresh seed')}.{_what_it_reads(winner)}",
    )
    yield from _words_alone(analysis, winner)
    asked: list[tuple[str, pd.Series[Any]]] = []
    for family in table["family"].unique():
        rows = table[table["family"] == family]
        if family.startswith("pairs: "):
            # The first row of several pairs is their mean.
            field = family.removeprefix("pairs: ")
            asked.append((f"does {field} matter", rows.iloc[0]))
        elif family == "references":
            against = confirm_spec(analysis.results.suite).against
            for _, row in rows.iterrows():
                asked.append((_asked_of_reference(row, against), row))
        else:
            # Only the best other configuration on validation; the table has all.
            by_key = {c.key: c for c in analysis.contenders}
            opponents = [by_key[key] for key in rows["id_b"].tolist()]
            spec = confirm_spec(analysis.results.suite)
            strongest = best_on_validation(opponents, metric, spec.chosen_on)
            row = rows[rows["id_b"] == (strongest.key if strongest else None)].iloc[0]
            asked.append((QUESTIONS[family], row))
    for question, row in _each_once(asked):
        is_baseline = QUESTIONS["baselines"] in question
        more = _none_beats(analysis) if is_baseline else ""
        yield Answer(question, describe(row, metric) + more)
    yield from _ensemble_answers(analysis)
    yield from _more_data_answers(analysis, winner)
    yield from _optimism_answers(analysis, winner)


def _what_it_reads(winner: Contender) -> str:
    text = ""
    if winner.reads_evidence:
        text += (
            f" Beside its words it reads what {winner.kind_of_evidence} say, from a "
            "linear model fitted on train: it does not compare with networks that read "
            "words alone."
        )
    if winner.origin_of_vectors:
        text += f" {winner.origin_of_vectors}"
    return text


def words_alone_of(analysis: Analysis, winner: Contender) -> Contender | None:
    """Return the best network without n-gram evidence, where the winner reads some."""
    if not winner.reads_evidence:
        return None
    suite = analysis.results.suite
    others = [
        c for c in analysis.contenders if not c.is_baseline and not c.reads_evidence
    ]
    return best_on_validation(others, suite.metric, confirm_spec(suite).chosen_on)


def _words_alone(analysis: Analysis, winner: Contender) -> Iterator[Answer]:
    suite = analysis.results.suite
    best = words_alone_of(analysis, winner)
    if best is None:
        return
    test = best.test_interval
    yield Answer(
        f"best {suite.network} that reads words alone",
        f"{best.label}, chosen on validation: test {suite.metric.label} "
        f"{with_interval(test.estimate, test.low, test.high, suite.metric.form)} over "
        f"{count(test.n, 'fresh seed')}.{_what_it_reads(best)}",
    )


def _ensemble_answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the ensembles that are better than one seed, and than the best baseline."""
    results, ensembles = analysis.results, analysis.ensembles
    if ensembles is None:
        return
    table, metric = ensembles.comparisons, results.suite.metric
    for family, question in (
        (AGAINST_SINGLE, "does an ensemble help"),
        (AGAINST_BASELINE, "is an ensemble better than the best baseline"),
    ):
        better = table[(table["family"] == family) & (table["verdict"] == "better")]
        texts = []
        for row in better.to_dict("records"):
            over = row["verdict_over"]
            difference = with_interval(
                row["difference"],
                row[f"{over}_low"],
                row[f"{over}_high"],
                f"+{metric.form}",
            )
            source = (
                f"{row['n_ensembles']} ensembles without a common training"
                if over == SEEDS
                else f"test {results.examples}, with these seeds as given"
            )
            texts.append(
                f"{row['label_a']}: test {metric.label} {row['mean_a']:{metric.form}} "
                f"against {row['mean_b']:{metric.form}}, difference {difference} over "
                f"{source}"
            )
        if texts:
            text = f"Better than {better.iloc[0]['label_b']}: {'; '.join(texts)}."
            yield Answer(question, text)


def _more_data_answers(analysis: Analysis, winner: Contender) -> Iterator[Answer]:
    """Yield what twice the data would give, and from how much on networks are ahead."""
    curve, metric = analysis.learning_curve, analysis.results.suite.metric
    if curve is None:
        return
    asked = [c.key for c in (winner, analysis.baseline) if c is not None]
    texts = []
    for law in curve.laws[curve.laws["key"].isin(asked)].to_dict("records"):
        predicted = with_interval(
            law["predicted"], law["predicted_low"], law["predicted_high"], metric.form
        )
        texts.append(
            f"{law['label']} about {predicted} instead of {law['mean']:{metric.form}}"
        )
    if texts:
        n = int(curve.laws["n_train"].max())
        yield Answer(
            "what would more data give",
            f"Test {metric.label} with twice the {n:,} training "
            f"{analysis.results.examples}, if the error goes on falling as a power of "
            f"their number: {'; '.join(texts)}.",
        )
    texts = [
        crossing_text(row, analysis.results.examples)
        for row in curve.crossings.to_dict("records")
    ]
    if texts:
        yield Answer(
            f"with how much data does the {analysis.results.suite.network} pass "
            f"{curve.crossings.iloc[0]['label_b']}",
            f"{'; '.join(texts)}.",
        )


def crossing_text(row: Mapping[Any, Any], examples: str) -> str:
    """Return from how many examples on a network is ahead of the best baseline.

    Parameters
    ----------
    row : mapping
        Of `LearningCurve.crossings`.
    """
    first, last = int(row["smallest"]), int(row["largest"])

    def size(n: float) -> str:
        if n < first:
            return f"below {first:,}"
        return f"beyond {last:,}" if n > last else f"{about(n):,}"

    interval = ""
    if not math.isnan(row["from_low"]):
        low, high = size(row["from_low"]), size(row["from_high"])
        interval = f" (95 % {low}{'' if low == high else f' to {high}'})"
    if row["ahead_from"] == 0:
        return (
            f"{row['label']} is ahead with {first:,} {examples} and at every larger "
            f"size{interval}"
        )
    if math.isinf(row["ahead_from"]):
        before = f", though ahead with {first:,}" if row["leads_first"] else ""
        return (
            f"{row['label']} does not pass it within {first:,} to {last:,} {examples}"
            f"{interval}: it is behind with {last:,}{before}"
        )
    return (
        f"{row['label']} passes it at about {size(row['ahead_from'])} {examples}"
        f"{interval}"
    )


def about(n: float) -> int:
    """Return a number of examples with two digits: 3,400 for 3,412."""
    return int(float(f"{n:.2g}"))


def _asked_of_reference(row: pd.Series[Any], against: str | None) -> str:
    if against is None:
        return QUESTIONS["references"]
    names = [row[side].removeprefix("reference ") for side in ("label_a", "label_b")]
    other = next(name for name in names if name != against)
    return f"{against} or {other}"


def _each_once(
    asked: Sequence[tuple[str, pd.Series[Any]]],
) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Yield each comparison once, with all the questions that it answers.

    Where the winner and the next best differ in the head alone, one comparison is in
    two families. If the families' corrections give two verdicts, both are kept.
    """
    found: dict[tuple[str, ...], list[tuple[str, pd.Series[Any]]]] = {}
    for question, row in asked:
        is_swapped = row["id_a"] > row["id_b"]
        ids = sorted((row["id_a"], row["id_b"]))
        verdict = SWAPPED[row["verdict"]] if is_swapped else row["verdict"]
        found.setdefault((*ids, verdict), []).append((question, row))
    for same in found.values():
        yield "; ".join(dict.fromkeys(question for question, _ in same)), same[0][1]


def _none_beats(analysis: Analysis) -> str:
    """Return a sentence if no network beats the best baseline on test, else nothing."""
    metric, best = analysis.results.suite.metric, analysis.baseline
    lstms = [c for c in analysis.contenders if not c.is_baseline]
    if best is None or any(
        metric.is_better(c.mean_test, best.mean_test) for c in lstms
    ):
        return ""
    network = analysis.results.suite.network
    return f" No {network} beats the baseline {best.label}."


def _optimism_answers(analysis: Analysis, winner: Contender) -> Iterator[Answer]:
    """Yield by how much the scores that chose the winner were optimistic."""
    metric, rows = analysis.results.suite.metric, analysis.optimism
    own = rows[rows["config_id"] == winner.key].iloc[0]
    form = metric.form
    gap = with_interval(
        own["val_minus_test"], own["ci_low"], own["ci_high"], f"+{form}"
    )
    text = ""
    searched = rows[rows["search"].notna()]
    if len(searched):
        # Several may tie for the best; the winner is used if it is one of them.
        searched = searched.sort_values(
            "config_id", key=lambda ids: ids != winner.key, kind="stable"
        )
        best = searched.iloc[int(metric.order(searched["search"].to_numpy())[0])]
        by = best["search_minus_val"]
        how_much = f"{abs(by):{form}}"
        is_zero = float(how_much) == 0.0
        how = "optimistic" if by >= 0 else "pessimistic"
        text = (
            f"The search's best score, {best['search']:{form}} with one seed of "
            f"{best['label']}, was "
            + ("not optimistic" if is_zero else f"{how} by {how_much}")
            + f": over fresh seeds the mean is {best['val_mean']:{form}}. "
        )
    text += f"Validation minus test of {winner.label}: {gap}."
    yield Answer("how optimistic the choice was", text)


def _search_answers(analysis: Analysis) -> Iterator[Answer]:
    """Yield the search's best against the best baseline, without a confirmation."""
    results, metric = analysis.results, analysis.results.suite.metric
    baselines = results.baselines[results.baselines["replicate"] == 0]
    runs = results.runs[results.runs["state"] == "complete"]
    key = metric_key("val", metric.name)
    if baselines.empty or runs.empty:
        return
    row = baselines.iloc[int(metric.order(baselines[key].to_numpy(dtype=float))[0])]
    values, network = runs[OBJECTIVE], results.suite.network
    value = float(values.max() if metric.higher_is_better else values.min())
    yield Answer(
        "against the best baseline",
        f"{row['label']} has validation {metric.label} "
        f"{float(row[key]):{metric.form}} on the same {results.examples}; "
        + (
            f"the search's best {network}, {value:{metric.form}}, is ahead of it."
            if metric.is_better(value, float(row[key]))
            else f"no {network} of the search beats it (best {value:{metric.form}})."
        ),
    )


QUESTIONS = {
    "best": "against the search's next best",
    "references": "against the reference",
    "baselines": "against the best baseline",
}
LEADS: dict[Verdict, str] = {
    "better": "{a} is better than {b}",
    "worse": "{a} is worse than {b}",
    "equivalent": "{a} and {b} are equivalent",
    "identical": "{a} and {b} have the same score on every seed",
    "undecided": "Undecided between {a} and {b}",
}


def describe(
    row: Mapping[str, Any] | pd.Series[Any], metric: Metric, paired: bool = True
) -> str:
    """Return one comparison as a sentence with verdict, interval and seeds."""
    n, form = int(row["n_seeds"]), metric.form
    seeds = count(n, "paired seed") + after_looks(row)
    if not paired:
        n_a, n_b = row.get("n_a", n), row.get("n_b", n)
        each = f"{count(n, 'seed')} each" if n_a == n_b else f"{n_a} and {n_b} seeds"
        seeds = f"{each}, not paired"
    # Names are not capitalized, even at the start of a sentence.
    lead = LEADS[row["verdict"]].format(a=row["label_a"], b=row["label_b"])
    if row["verdict"] == "identical":
        return (
            f"{lead}: test {metric.label} {row['mean_a']:{metric.form}} over {seeds}."
        )
    difference = with_interval(
        row["difference"], row["ci_low"], row["ci_high"], f"+{form}"
    )
    text = (
        f"{lead}: test {metric.label} {row['mean_a']:{form}} against "
        f"{row['mean_b']:{form}}, difference {difference} over {seeds}"
    )
    if row["margin"]:
        text += f"; differences within the margin of {row['margin']:g} are negligible"
    if row["verdict"] == "undecided":
        text += f"; {what_it_takes(row, metric)}"
    return text + "."


def after_looks(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """Return ``, after 2 of 6 looks`` where seeds are added look by look, else nothing.

    The row's interval and verdict then allow for all looks.
    """
    if "look" not in row:
        return ""
    look, n_looks = int(row["look"]), int(row["n_looks"])
    return f", after {look} of {count(n_looks, 'look')}" if look else ""


def what_it_takes(row: Mapping[str, Any] | pd.Series[Any], metric: Metric) -> str:
    """Return how many seeds an undecided comparison needs, and why."""
    n, needed, alpha = int(row["n_seeds"]), row["n_seeds_needed"], 1.0 - LEVEL
    n_looks = int(row.get("n_looks", 1))
    if row.get("look") == 0:
        return f"the first of {count(n_looks, 'look')} is not complete"
    least = f"a verdict takes at least {MIN_SEEDS} seeds"
    if n < 2:
        return f"one seed shows nothing of the spread over seeds, and {least}"
    settled = (
        "more than 1,000 seeds would be needed to decide"
        if needed is pd.NA or needed is None
        else f"about {int(needed):,} seeds would be needed to decide"
    )
    if n < MIN_SEEDS:
        return f"{least}; {settled}"
    alone, p = "", 1.0
    if row["p_beyond"] < alpha:
        is_better = (row["difference"] > 0) == metric.higher_is_better
        alone, p = "better" if is_better else "worse", row["p_beyond_holm"]
    elif row["p_equivalence"] < alpha:
        alone, p = "equivalent", row["p_equivalence_holm"]
    if not alone:
        return settled
    looks = "" if n_looks == 1 else f" and for {count(n_looks, 'look')}"
    return (
        f"tested alone it would be {alone}, but corrected for the other comparisons of "
        f"its family (Holm){looks} p is {p:.3f}; {settled}"
    )


def signed(value: float, form: str = ".4f") -> str:
    """Return a number in a format, with its sign and a minus character."""
    return f"{value:+{form}}".replace("-", "−")


def confirmation_summary(
    analysis: Analysis,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return a confirmation's metrics for MLflow, and its verdicts as JSON values."""
    suite, winner = analysis.results.suite, analysis.winner
    common = {
        "metric": suite.metric.name,
        "answers": [dataclasses.asdict(a) for a in answers(analysis)],
    }
    if winner is None:
        return {}, {"winner": None, **common, "comparisons": [], "optimism": []}
    interval = winner.test_interval
    key = f"confirmed_test_{suite.metric.name}"
    values = {
        f"{key}_mean": interval.estimate,
        f"{key}_ci95_low": interval.low,
        f"{key}_ci95_high": interval.high,
        "confirmed_n_seeds": float(interval.n),
    }
    verdicts = {
        "winner": {"config_id": winner.key, "label": winner.label},
        **common,
        "margin": confirm_spec(suite).margin,
        "comparisons": _records(analysis.comparisons),
        "optimism": _records(analysis.optimism),
    }
    if analysis.ensembles is not None:
        verdicts["ensembles"] = _records(analysis.ensembles.table)
        verdicts["ensemble_comparisons"] = _records(analysis.ensembles.comparisons)
    if (curve := analysis.learning_curve) is not None:
        verdicts["scores_by_size"] = _records(curve.scores)
        verdicts["power_laws"] = _records(curve.laws)
        verdicts["crossings"] = _records(curve.crossings)
    return {k: v for k, v in values.items() if not math.isnan(v)}, verdicts


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain values, None for NaN, which JSON lacks."""
    return [
        {str(key): plain(value) for key, value in row.items()}
        for row in table.to_dict("records")
    ]
