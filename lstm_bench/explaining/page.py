"""The page on one example, in the style of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import numpy as np
import pandas as pd

from lstm_bench import __version__
from lstm_bench.data.dataset import VECTORS
from lstm_bench.explaining.attribution import rank_correlation
from lstm_bench.explaining.explanation import NGRAMS, SUMS, Ahead, Explanation
from lstm_bench.explaining.gates import KEEPING
from lstm_bench.explaining.wording import Wording, signed, wording_of
from lstm_bench.inference import heads_of
from lstm_bench.report.blocks import (
    Answers,
    Block,
    Column,
    Drawing,
    Facts,
    Note,
    Section,
    Table,
    Word,
    Words,
)
from lstm_bench.report.figures.explained import (
    Running,
    plot_faithfulness,
    plot_field,
    plot_gates,
    plot_half_lives,
    plot_running,
    plot_two_ways,
)
from lstm_bench.report.figures.forecasts import Line, plot_forecasts
from lstm_bench.report.figures.style import PALETTE
from lstm_bench.report.html import Page, render_html
from lstm_bench.text import count, listed, shortened

N_TABLE = 20
N_AHEAD = 60
N_TELLING = 5
MAX_COLUMNS = 160
# A gap above this share of the difference is a warning.
MAX_GAP = 0.05
# Above this share of unknown words, an answer says nothing of the text.
MOSTLY_UNKNOWN = 0.5
ACTS = {
    "forget": "forget gate: near 1 the cell keeps what it has, near 0 it drops it",
    "input": "input gate: near 1 the step is written into the cell",
    "output": "output gate: near 1 the cell is shown to the next layer and the head",
    "update": "update gate: near 1 the unit keeps its state, near 0 it takes the new",
    "reset": "reset gate: near 0 the candidate ignores the state before",
    "candidate": "candidate, absolute: how strong what would be written is",
    "state": "state, absolute: how much the units hold",
}
CELLS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "simple RNN"}


def render_page(found: Explanation) -> str:
    """Return the page, one HTML file that loads nothing."""
    return render_html(list(build_sections(found)), page_of(found))


def page_of(found: Explanation) -> Page:
    """Return the page's heading and footer."""
    what = wording_of(found).what
    given = what if found.example is None else f"test example {found.example}"
    return Page(
        kind=f"lstm-bench explain, one {what}",
        title=f"{found.suite}: {given}",
        question=answer(found),
        meta=f"study {found.study} · {found.name}, seed {found.replicate}",
        footer=f"Made by lstm-bench {__version__}. This file is whole: it loads "
        "nothing from anywhere and stores nothing.",
    )


def answer(found: Explanation) -> str:
    """Return what the model says of the example, in a sentence or two."""
    text = wording_of(found).answer()
    if found.repeats:
        return f"{text} {found.repeats}"
    share = len(_unknown(found)) / max(1, len(found.words))
    if share > MOSTLY_UNKNOWN:
        text += f" It does not know {share:.0%} of the words: do not rely on it."
    return text


def _unknown(found: Explanation) -> list[str]:
    """Return the words that the model does not know."""
    known = zip(found.steps, found.is_word, found.is_known, strict=True)
    return [step for step, is_word, is_known in known if is_word and not is_known]


def build_sections(found: Explanation) -> Iterator[Section]:
    """Yield the page's sections, in their order."""
    w = wording_of(found)
    if found.ahead is not None:
        yield _ahead(found, found.ahead, w)
    if found.repeats:
        yield _repeats(found, w)
        return
    yield _course(found, w)
    yield _words(found, w)
    if found.by_channel:
        yield _channels(found, w)
    if found.layers:
        yield _gates(found)
        yield _units(found, w)
    yield _faithful(found, w)
    yield _seeds(found, w)
    yield _limits(found, w)


def _ahead(found: Explanation, ahead: Ahead, w: Wording) -> Section:
    """Return the window and what is forecast from its end on."""
    n = len(ahead.values)
    forecast = found.proba[: ahead.horizon]
    truth = ahead.truth or [np.nan] * ahead.horizon
    frame = pd.DataFrame(
        {
            "step": range(1, ahead.horizon + 1),
            "time": ahead.times[n:],
            "forecast": forecast,
            "truth": truth,
        }
    )
    frame["error"] = frame["forecast"] - frame["truth"]
    if found.repeated:
        frame["repeats"] = [ahead.times[i] for i in found.repeated]
    columns = [
        Column("step", "step ahead", "whole"),
        Column("time", "time", "name"),
        Column("forecast", "forecast", w.formats[1]),
    ]
    if found.repeated:
        columns.append(Column("repeats", "value of", "name"))
    if ahead.truth is not None:
        columns.append(Column("truth", "true value", w.formats[1]))
    if ahead.truth is not None and not found.repeated:
        meaning = "forecast minus true value"
        columns.append(Column("error", "error", w.formats[0], meaning=meaning))
    known = [i for i, value in enumerate(ahead.values) if value is not None]
    whose = f" of series {ahead.series}" if ahead.series else ""
    facts = (
        (
            "window",
            f"{count(n, 'value')}{whose}, {ahead.times[0]} to {ahead.times[n - 1]}, "
            f"{n - len(known):,} missing",
        ),
        ("last known value", f"{w.value(ahead.level)}, {ahead.times[known[-1]]}"),
    )
    series = np.array([*ahead.values, *truth], float)
    line = Line("forecast", PALETTE[0], np.array([forecast]))
    return Section(
        "Forecast",
        "forecast",
        f"The {count(ahead.horizon, 'step')} after the window, in the unit of the "
        "series."
        + (
            ""
            if found.repeats
            else f" The rest of the page is about one number: {w.target}."
        ),
        (
            Drawing(
                "forecast",
                "The window, and from the vertical line on the forecast"
                + (" beside the true values." if ahead.truth is not None else "."),
                plot_forecasts(series, 0, [n], [line], ahead.times),
                pd.DataFrame(
                    {
                        "time": ahead.times,
                        "series": series,
                        "forecast": [*[np.nan] * n, *forecast],
                    }
                ),
            ),
            Table(
                "ahead",
                "The forecast by step." + _all_of(frame, N_AHEAD),
                frame.head(N_AHEAD),
                tuple(columns),
                N_AHEAD,
                wide=False,
            ),
            Facts(facts),
        ),
    )


def _repeats(found: Explanation, w: Wording) -> Section:
    """Return the section on a baseline that repeats what it has seen."""
    facts = [("model", found.why)]
    if found.seeds:
        facts.append(("other seeds", w.seeds()))
    return Section(
        "What it repeats",
        "repeats",
        f"{found.repeats} No {w.step} is weighed, so there is nothing else to explain.",
        (Facts(tuple(facts)),),
    )


def _course(found: Explanation, w: Wording) -> Section:
    """Return the leading section: running probability and coloured words."""
    blocks: list[Block] = []
    if found.kind != VECTORS:
        blocks.append(coloured_words(found))
    blocks.append(
        Drawing(
            "running",
            f"Above: {w.course} after each {w.step}. {_how_run(found, w)} "
            f"Below: what each {w.step} contributes, in {w.unit} ({found.method}).",
            plot_running(running_of(found), "contribution"),
            pd.DataFrame(
                {
                    "step": found.steps,
                    **{
                        w.column(name): [row[i] for row in found.running]
                        for i, name in enumerate(found.class_names)
                    },
                    "attribution": found.attribution,
                    "deletion": found.deletion,
                }
            ),
        )
    )
    blocks.append(Answers(tuple(_summary(found, w))))
    blocks.append(Facts(tuple(_facts(found, w))))
    return Section(
        "Step by step",
        "course",
        f"Read the {w.step}s from left to right: {w.colours}"
        + (
            "."
            if found.kind == VECTORS
            else ", stronger colour for more of it; + and − mark the ones that count "
            "most."
        ),
        tuple(blocks),
    )


def _how_run(found: Explanation, w: Wording) -> str:
    if found.running_from == "states":
        text = (
            "It follows from the states of the layers as the model reads on, in one "
            "pass."
        )
        if found.ahead is not None:
            text += (
                " From the first step on, values are differences from the last known "
                "one of the window."
            )
        return text
    if found.running_from == "flattened":
        return "Each is the forecast with the last known value at all later steps."
    return (
        f"Each is the answer to the {w.what} up to there, fed as a {w.what} of its own."
    )


def running_of(found: Explanation) -> Running:
    """Return the course of an explanation, to draw it."""
    return Running(
        found.steps,
        found.running,
        found.class_names,
        found.target,
        found.turn,
        found.attribution,
        found.is_numeric,
    )


def coloured_words(found: Explanation) -> Words:
    """Return the text with its words coloured by attribution."""
    words = [
        Word(step, value if is_word else None)
        for step, value, is_word in zip(
            found.steps, found.attribution, found.is_word, strict=True
        )
        if step != "(padding)"
    ]
    w = wording_of(found)
    return Words(
        f"The {count(len(words), 'token')} that the model reads, coloured by "
        f"{found.method}; the strongest has the strongest colour.",
        tuple(words),
        f"{w.towards} {w.target}",
        f"{w.against} {w.target}",
        found.tokenizer == "characters",
    )


def _summary(found: Explanation, w: Wording) -> Iterator[tuple[str, str]]:
    yield w.turning()
    telling = [
        f"{found.steps[i]} ({w.contribution(found.attribution[i])})"
        for i in found.telling(N_TELLING)
    ]
    yield f"most telling {w.step}s", f"{', '.join(telling)}, in {w.unit}."
    if (text := _faithful_text(found, w)) is not None:
        yield "does that hold?", text
    yield "other seeds", _seeds_text(found, w)


def _facts(found: Explanation, w: Wording) -> Iterator[tuple[str, str]]:
    yield "model", found.why
    if unknown := _unknown(found):
        yield (
            "words that the model does not know",
            f"{len(unknown)} of {len(found.words)}: {listed(dict.fromkeys(unknown))}",
        )
    if found.n_cut:
        where = f"from the {found.cut_at}"
        if found.cut_at == "middle":
            # What is cut has no padding, so that all steps are its own.
            n_first = heads_of(len(found.steps), "head_tail")
            where += f", after the first {n_first:,}"
        yield (
            "cut off",
            f"{count(found.n_cut, 'step')} {where}: the model reads the rest.",
        )
    yield (
        "score",
        f"{w.score} {w.scored(found.score)}; {w.scored(found.baseline_score)} "
        f"{w.nothing}",
    )
    if found.n_points is not None:
        yield (
            "convergence",
            f"{found.n_points} points; the attributions' sum misses the difference "
            f"of the two scores by {w.contribution(found.gap, 4)}",
        )


def _all_of(rows: Sized, n_shown: int = N_TABLE) -> str:
    if len(rows) <= n_shown:
        return ""
    return f" The first {n_shown} of {len(rows):,}; the JSON has all."


def _words(found: Explanation, w: Wording) -> Section:
    words = found.words
    pairs = [(found.attribution[i], found.deletion[i]) for i in words]
    given = [(a, d) for a, d in pairs if d is not None]
    rho = rank_correlation([a for a, _ in given], [d for _, d in given])
    frame = pd.DataFrame(
        {
            "step": [i + 1 for i in words],
            "word": [found.steps[i] for i in words],
            "attribution": [a for a, _ in pairs],
            "deletion": [d for _, d in pairs],
            "p": [found.running[i][found.target] for i in words],
        }
    )
    order = frame["attribution"].abs().sort_values(ascending=False, kind="stable")
    frame = frame.loc[order.index].reset_index(drop=True)
    contribution, score = w.formats
    columns = (
        Column("step", "step", "whole"),
        Column("word", w.step if found.ahead is None else "time", "name"),
        Column("attribution", found.method, contribution),
        Column(
            "deletion",
            "deletion",
            contribution,
            meaning=f"fall of {w.score} without it",
        ),
        Column("p", f"{w.said} after it", score),
    )
    blocks: list[Block] = [
        Table(
            "words",
            f"The {w.step}s of the largest {found.method}. Both columns are in "
            f"{w.unit}: positive {w.towards} it." + _all_of(found.words),
            frame.head(N_TABLE),
            columns,
            N_TABLE,
            wide=False,
        )
    ]
    if len(given) > 2:
        agree = "not defined" if rho is None else f"{rho:.2f}"
        blocks.append(
            Drawing(
                "two-ways",
                f"Every {w.step} by both measures. Along the diagonal they "
                f"agree; their rank correlation is {agree}.",
                plot_two_ways(
                    frame["word"].tolist(),
                    frame["attribution"].tolist(),
                    frame["deletion"].astype(float).tolist(),
                    found.method,
                ),
                frame,
            )
        )
    if found.ngrams:
        ngrams = pd.DataFrame([vars(n) for n in found.ngrams[:N_TABLE]])
        blocks.append(
            Table(
                "ngrams",
                "The words and pairs of words of the text that the model knows: "
                "coefficient times value. Their sum and the intercept of "
                f"{w.scored(found.baseline_score)} are the score. A coloured word has "
                "an equal share of each n-gram that it is in." + _all_of(found.ngrams),
                ngrams,
                (
                    Column("ngram", "n-gram", "name"),
                    Column("count", "times", "whole"),
                    Column("contribution", "contribution", contribution),
                ),
                N_TABLE,
                wide=False,
            )
        )
    if found.terms:
        blocks.append(
            Table(
                "statistics",
                "The statistics that the model reads: each one's value in the data's "
                "units, and its coefficient times its value in the scaled series. "
                f"Their sum and {w.scored(found.baseline_score)} {w.nothing} are the "
                "score." + _all_of(found.terms),
                pd.DataFrame([vars(term) for term in found.terms]),
                (
                    Column("statistic", "statistic", "name"),
                    Column("channel", "channel", "name"),
                    Column("value", "value", "score_digits"),
                    Column("contribution", "contribution", contribution),
                ),
                N_TABLE,
                wide=False,
            )
        )
    difference = abs(found.score - found.baseline_score)
    allowed = MAX_GAP * max(difference, w.least)
    if found.n_points is not None and abs(found.gap) > allowed:
        blocks.insert(
            0,
            Note(
                f"The integral has not converged: the attributions miss the score by "
                f"{w.contribution(found.gap, 3)} of {w.value(difference)}. "
                "Ask for more points with --points.",
                warning=True,
            ),
        )
    return Section(
        f"Which {w.step}s",
        "words",
        f"Two answers to the same question. {_how_attributed(found, w)} Deletion "
        f"{w.deletes} and asks the model again. Where the two disagree, trust neither "
        "alone.",
        tuple(blocks),
    )


def _how_attributed(found: Explanation, w: Wording) -> str:
    if found.method == NGRAMS:
        return "The model is a sum over n-grams, so each one's part is exact."
    if found.method == SUMS and found.ahead is not None:
        return (
            "The model is a sum over the steps, coefficient times the difference from "
            "the last known value, so each one's part is exact; the last known value "
            "is where the forecast begins. A missing value counts as the one before."
        )
    if found.method == SUMS:
        return (
            "The model is a sum over statistics of each channel. A statistic's part is "
            "divided among the steps by its derivatives, which is exact: it doubles as "
            f"the values do, counted from {w.start}."
        )
    text = (
        f"Integrated gradients follow the score from {w.start} to this one and divide "
        "the difference among the inputs."
    )
    if found.ahead is not None:
        text += (
            " The model reads differences from the last known value, which therefore "
            "contributes nothing itself: it is where the forecast begins."
        )
    return text


def _channels(found: Explanation, w: Wording) -> Section:
    """Return attributions of a series by step and channel."""
    by_channel = np.asarray(found.by_channel)
    contribution = w.formats[0]
    unsigned = contribution.replace("signed", "score")
    total = np.abs(by_channel).sum(axis=0)
    order = np.argsort(-total, kind="stable")[:N_TABLE]
    rows = [(found.channels[i], by_channel[:, i].tolist()) for i in order]
    frame = pd.DataFrame(
        {
            "channel": found.channels,
            "sum": by_channel.sum(axis=0),
            "absolute": total,
        }
    ).sort_values("absolute", ascending=False, kind="stable", ignore_index=True)
    return Section(
        "Which channels",
        "channels",
        "The same attributions by time step and channel: a row per channel, its "
        f"strongest step in the strongest colour; {w.colours}.",
        (
            Drawing(
                "channels",
                "The channels of the largest attributions, over the steps.",
                plot_field(rows, found.steps, MAX_COLUMNS),
                pd.DataFrame(by_channel, columns=found.channels),
            ),
            Table(
                "channels",
                "Each channel's attributions over all steps.",
                frame,
                (
                    Column("channel", "channel", "name"),
                    Column("sum", "sum", contribution),
                    Column("absolute", "sum of absolute values", unsigned),
                ),
                N_TABLE,
                wide=False,
            ),
        ),
    )


def _gates(found: Explanation) -> Section:
    names = list(found.layers[0].means)
    panels = [
        (ACTS[gate], [(layer.name, layer.means[gate]) for layer in found.layers])
        for gate in names
    ]
    cell = CELLS[found.layers[0].kind]
    frame = pd.DataFrame(
        {
            "step": found.steps,
            **{
                f"{layer.name} {gate}": layer.means[gate]
                for layer in found.layers
                for gate in names
            },
        }
    )
    blocks: list[Block] = [
        Drawing(
            "gates",
            "Means over all units of a layer, each panel on a scale of its own; single "
            "units differ from them.",
            plot_gates(panels, found.steps),
            frame,
        )
    ]
    lasting = [
        (layer.name, [v for v in layer.half_lives if v is not None])
        for layer in found.layers
        if layer.half_lives is not None
    ]
    if any(values for _, values in lasting):
        gate = KEEPING[found.layers[0].kind]
        medians = ", ".join(
            f"{name}: {np.median(values):.3g} steps"
            for name, values in lasting
            if values
        )
        blocks.append(
            Drawing(
                "half-lives",
                "Every unit's memory: after how many steps half of what it holds is "
                f"gone, ln 0.5 / ln(mean {gate} gate over this example). Median of "
                f"{medians}.",
                plot_half_lives(lasting, len(found.steps)),
                pd.DataFrame(
                    [(name, value) for name, values in lasting for value in values],
                    columns=["layer", "half_life"],
                ),
            )
        )
    return Section(
        "Gates and memory",
        "gates",
        f"What the {cell} does at each step. Look for steps at which a curve leaves "
        "its level: there the layer writes, keeps or forgets more than usual.",
        tuple(blocks),
    )


def _units(found: Explanation, w: Wording) -> Section:
    frame = pd.DataFrame(
        [
            {
                "unit": unit.name,
                "contribution": unit.contribution,
                "kept": unit.kept,
                "half_life": unit.half_life,
            }
            for unit in found.units
        ]
    )
    columns = [
        Column("unit", "unit", "name"),
        Column("contribution", "contribution to the score", w.formats[0]),
    ]
    if found.units[0].kept is not None:
        columns += [
            Column("kept", "kept at a step, mean", "score"),
            Column("half_life", "half-life", "seconds", "steps"),
        ]
    rows = [
        (f"{unit.name} ({w.contribution(unit.contribution)})", unit.state)
        for unit in found.units
    ]
    return Section(
        "Units",
        "units",
        f"The units of the last layer, ranked by {found.measure}; none was chosen by "
        "eye. Blue is a positive state, orange a negative one, each row on a scale "
        "of its own.",
        (
            Drawing(
                "units",
                "State of the units at every step, the first of the ranking on top; "
                "in brackets their contribution.",
                plot_field(rows, found.steps, MAX_COLUMNS),
                pd.DataFrame(
                    {"step": found.steps, **{u.name: u.state for u in found.units}}
                ),
            ),
            Table(
                "units",
                f"Contributions of all units and {w.constant} add up to the score.",
                frame,
                tuple(columns),
                wide=False,
            ),
        ),
    )


def _faithful_text(found: Explanation, w: Wording) -> str | None:
    test = found.faithfulness
    if test.at is None:
        return None
    i = test.at
    whole = w.value(found.proba[found.target])
    scores = [test.top[i], test.random_mean[i], test.random_low[i], test.random_high[i]]
    top, mean, low, high = (w.value(v) for v in w.given(scores))
    if test.top[i] < test.random_low[i]:
        verdict = f"The telling {w.step}s do matter to the model."
    elif test.top[i] < test.random_mean[i]:
        verdict = (
            f"The telling {w.step}s take more than the mean of {test.n_draws} "
            f"draws, but some draws took as much: rely on them little."
        )
    else:
        verdict = "That is no more than at random: do not rely on the attributions."
    return (
        f"Without the {count(test.k[i], w.step)} of the highest contribution, {w.said} "
        f"goes from {whole} to {top}; without {test.k[i]} at random to {mean} "
        f"({low} to {high} in {test.n_draws} draws). {verdict}"
    )


def _faithful(found: Explanation, w: Wording) -> Section:
    text = _faithful_text(found, w)
    intro = (
        f"If the telling {w.step}s carry the answer, leaving them out must change it "
        "more than leaving out as many others."
    )
    if text is None:
        return Section(
            f"Do the telling {w.step}s matter?",
            "faithfulness",
            f"{intro} This example is too short for the check.",
        )
    test = found.faithfulness
    whole = found.proba[found.target]
    parts = {
        "top": w.given(test.top),
        "random_mean": w.given(test.random_mean),
        "random_low": w.given(test.random_low),
        "random_high": w.given(test.random_high),
    }
    return Section(
        f"Do the telling {w.step}s matter?",
        "faithfulness",
        intro,
        (
            Note(text),
            Drawing(
                "faithfulness",
                f"Without the k {w.step}s of the highest attribution, and without k "
                f"drawn at random ({test.n_draws} times: mean, lowest and highest): "
                f"{w.said}.",
                plot_faithfulness(
                    test.k,
                    whole,
                    parts["top"],
                    parts["random_mean"],
                    parts["random_low"],
                    parts["random_high"],
                    w.said,
                    found.is_numeric,
                ),
                pd.DataFrame({"k": test.k, **parts}),
            ),
        ),
    )


def _seeds_text(found: Explanation, w: Wording) -> str:
    if not found.seeds:
        return (
            "Only one seed's model is here. --seeds 3 trains two more, once, and shows "
            f"whether they look at the same {w.step}s."
        )
    text = w.seeds()
    if found.agreement:
        low, high = min(found.agreement), max(found.agreement)
        mean = float(np.mean(found.agreement))
        text += (
            f" On the {w.step}s' ranks they agree to {signed(mean, 2)} (mean rank "
            f"correlation of {count(len(found.agreement), 'pair')}, "
            f"{signed(low, 2)} to {signed(high, 2)}; 1 is the same order, 0 none)."
        )
    return text


def _seeds(found: Explanation, w: Wording) -> Section:
    intro = (
        f"The same configuration, {w.again}. Where seeds "
        f"agree on the telling {w.step}s, these tell of the data; where they do "
        "not, of one training's accidents."
    )
    blocks: list[Block] = [Note(_seeds_text(found, w))]
    if found.seeds:
        own = (found.replicate, found.proba[found.target], found.attribution)
        others = [(s.replicate, s.proba, s.attribution) for s in found.seeds]
        words = found.words
        rows = []
        for replicate, proba, values in (own, *others):
            best = sorted(words, key=lambda i: -abs(values[i]))[:N_TELLING]
            rho = rank_correlation(
                [values[i] for i in words], [found.attribution[i] for i in words]
            )
            rows.append(
                {
                    "seed": replicate,
                    "p": proba,
                    "telling": ", ".join(
                        f"{shortened(found.steps[i], 30)} ({w.contribution(values[i])})"
                        for i in best
                    ),
                    "rho": rho,
                }
            )
        blocks.append(
            Table(
                "seeds",
                f"The seeds' most telling {w.step}s; the first row is the explained "
                "model.",
                pd.DataFrame(rows),
                (
                    Column("seed", "seed", "whole"),
                    Column("p", w.said, w.formats[1]),
                    Column("telling", f"most telling {w.step}s", "prose"),
                    Column("rho", "rank correlation with the first row", "score"),
                ),
            )
        )
    return Section("Do other seeds agree?", "seeds", intro, tuple(blocks))


def _limits(found: Explanation, w: Wording) -> Section:
    gates = (
        (
            "gates",
            "A gate's mean says how open it is, not what passes. A half-life takes the "
            "gate as constant; a single step with a closed gate ends a memory, "
            "however high the mean is.",
        ),
    )
    return Section(
        "What this does not say",
        "limits",
        "Attributions describe this model on this one example. They are no proof of "
        "what it has learned.",
        (
            Answers(
                (
                    (
                        "not a cause",
                        f"A {w.step}'s number depends on the {w.step}s around it. Two "
                        f"{w.step}s that matter only together may both get little, or "
                        "both all.",
                    ),
                    (
                        "not the only answer",
                        f"Contributions are counted from a {w.what} {w.nothing}; from "
                        f"another one they differ. And {w.lacking} is one that the "
                        "model may never have seen the like of.",
                    ),
                    (
                        "not the rule",
                        f"One {w.what} shows one case. Whether the model is right, and "
                        "how sure it is of it, is in the study's report.",
                    ),
                    *(gates if found.layers else ()),
                )
            ),
        ),
    )
