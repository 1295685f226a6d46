"""The page on one example, in the style of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
import pandas as pd

from lstm_bench import __version__
from lstm_bench.data.dataset import VECTORS
from lstm_bench.explaining.attribution import rank_correlation
from lstm_bench.explaining.explanation import NGRAMS, Explanation
from lstm_bench.explaining.gates import KEEPING
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
from lstm_bench.report.figures.style import class_label
from lstm_bench.report.html import Page, render_html
from lstm_bench.text import count, listed, shortened

N_TABLE = 20
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
    what = "series" if found.kind == VECTORS else "text"
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
    p = found.proba[found.target]
    if found.is_numeric:
        text = f"The model predicts {_target(found)} {_value(found, p)}."
        if found.true_value is not None:
            text += f" The true value is {_value(found, found.true_value)}."
    else:
        text = f"The model says {_target(found)}, with probability {p:.3f}."
    if found.true_class is not None:
        is_right = found.true_class == found.target_name
        text += (
            " That is right."
            if is_right
            else f" Its true class is {class_label(found.true_class)}."
        )
    share = len(_unknown(found)) / max(1, len(found.words))
    if share > MOSTLY_UNKNOWN:
        text += f" It does not know {share:.0%} of the words: do not rely on it."
    return text


def _target(found: Explanation) -> str:
    """Return the name of the explained class or number."""
    return class_label(found.target_name)


def _said(found: Explanation) -> str:
    """Return the name of what the model gives: a probability, or a number."""
    return _target(found) if found.is_numeric else f"p({_target(found)})"


def _value(found: Explanation, value: float) -> str:
    """Return what the model gives, as text."""
    text = f"{value:.4g}" if found.is_numeric else f"{value:.3f}"
    return text.replace("-", "−")


def _unit(found: Explanation) -> str:
    """Return the unit of contributions."""
    target = _target(found)
    return f"the unit of {target}" if found.is_numeric else f"log-odds of {target}"


def _contribution(found: Explanation, value: float, digits: int = 2) -> str:
    """Return a contribution to the score, with its sign."""
    if found.is_numeric:
        return f"{value:+.3g}".replace("-", "−")
    return _signed(value, digits)


def _unknown(found: Explanation) -> list[str]:
    """Return the words that the model does not know."""
    known = zip(found.steps, found.is_word, found.is_known, strict=True)
    return [step for step, is_word, is_known in known if is_word and not is_known]


def build_sections(found: Explanation) -> Iterator[Section]:
    """Yield the page's sections, in their order."""
    yield _course(found)
    yield _words(found)
    if found.by_channel:
        yield _channels(found)
    if found.layers:
        yield _gates(found)
        yield _units(found)
    yield _faithful(found)
    yield _seeds(found)
    yield _limits(found)


def _course(found: Explanation) -> Section:
    """Return the leading section: running probability and coloured words."""
    target = _target(found)
    what = target if found.is_numeric else "the probability"
    blocks: list[Block] = []
    if found.kind != VECTORS:
        blocks.append(coloured_words(found))
    blocks.append(
        Drawing(
            "running",
            f"Above: {what} after each {_step(found)}. {_how_run(found)} "
            f"Below: what each {_step(found)} contributes, in {_unit(found)} "
            f"({found.method}).",
            plot_running(running_of(found), "contribution"),
            pd.DataFrame(
                {
                    "step": found.steps,
                    **{
                        name if found.is_numeric else f"p_{name}": [
                            row[i] for row in found.running
                        ]
                        for i, name in enumerate(found.class_names)
                    },
                    "attribution": found.attribution,
                    "deletion": found.deletion,
                }
            ),
        )
    )
    blocks.append(Answers(tuple(_summary(found))))
    blocks.append(Facts(tuple(_facts(found))))
    return Section(
        "Step by step",
        "course",
        f"Read the {_step(found)}s from left to right: "
        + (
            f"blue raises {target}, orange lowers it"
            if found.is_numeric
            else f"blue speaks for {target}, orange against it"
        )
        + ", stronger colour for more of it; + and − mark the ones that count most.",
        tuple(blocks),
    )


def _step(found: Explanation) -> str:
    return "step" if found.kind == VECTORS else "word"


def _how_run(found: Explanation) -> str:
    if found.running_from == "states":
        return (
            "It follows from the states of the layers as the model reads on, in one "
            "pass."
        )
    return "Each is the answer to the text up to there, fed as a text of its own."


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
    target, is_numeric = _target(found), found.is_numeric
    return Words(
        f"The {count(len(words), 'token')} that the model reads, coloured by "
        f"{found.method}; the strongest has the strongest colour.",
        tuple(words),
        f"raises {target}" if is_numeric else f"for {target}",
        f"lowers {target}" if is_numeric else f"against {target}",
        found.tokenizer == "characters",
    )


def _summary(found: Explanation) -> Iterator[tuple[str, str]]:
    target = _target(found)
    if found.is_numeric:
        yield "where it moves most", _moved(found)
    elif found.turn is None:
        yield "where it turns", f"Nowhere: {target} is ahead from the first step on."
    else:
        yield (
            "where it turns",
            f"At “{found.steps[found.turn]}”, step {found.turn + 1} of "
            f"{len(found.steps)}: from there on {target} is the most probable class.",
        )
    telling = [
        f"{found.steps[i]} ({_contribution(found, found.attribution[i])})"
        for i in found.telling(N_TELLING)
    ]
    unit = _unit(found) if found.is_numeric else "log-odds"
    yield f"most telling {_step(found)}s", f"{', '.join(telling)}, in {unit}."
    if (text := _faithful_text(found)) is not None:
        yield "does that hold?", text
    yield "other seeds", _seeds_text(found)


def _moved(found: Explanation) -> str:
    """Return the step at which the running number changes most, in a sentence."""
    course = [row[found.target] for row in found.running]
    if len(course) < 2:
        return "There is one step."
    at = int(np.abs(np.diff(course)).argmax()) + 1
    before, after = _value(found, course[at - 1]), _value(found, course[at])
    return (
        f"At “{found.steps[at]}”, step {at + 1} of {len(course)}: from {before} to "
        f"{after}."
    )


def _facts(found: Explanation) -> Iterator[tuple[str, str]]:
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
        (
            f"{_target(found)} {_value(found, found.score)}; "
            f"{_value(found, found.baseline_score)} {_baseline_name(found)}"
            if found.is_numeric
            else f"log-odds {_signed(found.score)} of {_target(found)}; "
            f"{_signed(found.baseline_score)} {_baseline_name(found)}"
        ),
    )
    if found.n_points is not None:
        yield (
            "convergence",
            f"{found.n_points} points; the attributions' sum misses the difference "
            f"of the two scores by {_contribution(found, found.gap, 4)}",
        )


def _signed(value: float, digits: int = 3) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _all_of(rows: Sized) -> str:
    if len(rows) <= N_TABLE:
        return ""
    return f" The first {N_TABLE} of {len(rows):,}; the JSON has all."


def _baseline_name(found: Explanation) -> str:
    if found.method == NGRAMS:
        return "without any n-gram"
    if found.kind == VECTORS:
        return "with every channel at its mean over train"
    return "with padding in place of every token"


def _formats(found: Explanation) -> tuple[str, str]:
    """Return the formats of contributions and of what the model gives, in tables."""
    return (
        ("signed_digits", "score_digits") if found.is_numeric else ("signed", "score")
    )


def _words(found: Explanation) -> Section:
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
    signed, score = _formats(found)
    falls = _target(found) if found.is_numeric else "the log-odds"
    columns = (
        Column("step", "step", "whole"),
        Column("word", _step(found), "name"),
        Column("attribution", found.method, signed),
        Column("deletion", "deletion", signed, meaning=f"fall of {falls} without it"),
        Column("p", f"{_said(found)} after it", score),
    )
    blocks: list[Block] = [
        Table(
            "words",
            f"The {_step(found)}s of the largest {found.method}. Both columns are in "
            f"{_unit(found)}: positive "
            + ("raises it." if found.is_numeric else "speaks for it.")
            + _all_of(found.words),
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
                f"Every {_step(found)} by both measures. Along the diagonal they "
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
                f"{_signed(found.baseline_score)} are the score. A coloured word has "
                "an equal share of each n-gram that it is in." + _all_of(found.ngrams),
                ngrams,
                (
                    Column("ngram", "n-gram", "name"),
                    Column("count", "times", "whole"),
                    Column("contribution", "contribution", "signed"),
                ),
                N_TABLE,
                wide=False,
            )
        )
    difference = abs(found.score - found.baseline_score)
    # Where contributions cancel, of what they are.
    least = 0.1 * float(np.abs(found.attribution).sum()) if found.is_numeric else 0.1
    if found.n_points is not None and abs(found.gap) > MAX_GAP * max(difference, least):
        blocks.insert(
            0,
            Note(
                f"The integral has not converged: the attributions miss the score by "
                f"{_contribution(found, found.gap, 3)} of "
                f"{_value(found, difference)}. Ask for more points with "
                "--points.",
                warning=True,
            ),
        )
    return Section(
        f"Which {_step(found)}s",
        "words",
        f"Two answers to the same question. {_how_attributed(found)} Deletion leaves "
        f"the {_step(found)} out and asks the model again. Where the two disagree, "
        "trust neither alone.",
        tuple(blocks),
    )


def _how_attributed(found: Explanation) -> str:
    if found.method == NGRAMS:
        return "The model is a sum over n-grams, so each one's part is exact."
    return (
        "Integrated gradients follow the score from an empty input to this one and "
        "divide the difference among the inputs."
    )


def _channels(found: Explanation) -> Section:
    """Return attributions of a series by step and channel."""
    by_channel = np.asarray(found.by_channel)
    signed, score = _formats(found)
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
        "strongest step in the strongest colour; "
        + (
            "blue raises the number, orange lowers it."
            if found.is_numeric
            else "blue speaks for the class, orange against it."
        ),
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
                    Column("sum", "sum", signed),
                    Column("absolute", "sum of absolute values", score),
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


def _units(found: Explanation) -> Section:
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
        Column("contribution", "contribution to the score", _formats(found)[0]),
    ]
    if found.units[0].kept is not None:
        columns += [
            Column("kept", "kept at a step, mean", "score"),
            Column("half_life", "half-life", "seconds", "steps"),
        ]
    rows = [
        (f"{unit.name} ({_contribution(found, unit.contribution)})", unit.state)
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
                "Contributions of all units and the head's bias add up to the score.",
                frame,
                tuple(columns),
                wide=False,
            ),
        ),
    )


def _given(found: Explanation, values: Any) -> list[float]:
    """Return scores as the model gives them: as probabilities, or numbers."""
    if found.is_numeric:
        return list(values)
    odds = np.asarray(values, float)
    p: list[float] = (0.5 * (1.0 + np.tanh(0.5 * odds))).tolist()
    return p


def _faithful_text(found: Explanation) -> str | None:
    test = found.faithfulness
    if test.at is None:
        return None
    i = test.at
    whole = found.proba[found.target]
    scores = [test.top[i], test.random_mean[i], test.random_low[i], test.random_high[i]]
    top, mean, low, high = (_value(found, v) for v in _given(found, scores))
    words = count(test.k[i], f"most telling {_step(found)}")
    if found.is_numeric:
        words = f"{count(test.k[i], _step(found))} that raise it most"
    if test.top[i] < test.random_low[i]:
        verdict = f"The telling {_step(found)}s do matter to the model."
    elif test.top[i] < test.random_mean[i]:
        verdict = (
            f"The telling {_step(found)}s take more than the mean of {test.n_draws} "
            f"draws, but some draws took as much: rely on them little."
        )
    else:
        verdict = "That is no more than at random: do not rely on the attributions."
    return (
        f"Without the {words}, {_said(found)} goes from {_value(found, whole)} to "
        f"{top}; without {test.k[i]} at random to {mean} ({low} to {high} in "
        f"{test.n_draws} draws). {verdict}"
    )


def _faithful(found: Explanation) -> Section:
    text = _faithful_text(found)
    intro = (
        "If the telling words carry the answer, leaving them out must change it more "
        "than leaving out as many others."
    )
    if text is None:
        return Section(
            "Do the telling words matter?",
            "faithfulness",
            f"{intro} This example is too short for the check.",
        )
    test = found.faithfulness
    whole = found.proba[found.target]
    parts = {
        "top": _given(found, test.top),
        "random_mean": _given(found, test.random_mean),
        "random_low": _given(found, test.random_low),
        "random_high": _given(found, test.random_high),
    }
    return Section(
        "Do the telling words matter?",
        "faithfulness",
        intro,
        (
            Note(text),
            Drawing(
                "faithfulness",
                f"{_said(found)} without the k {_step(found)}s of the highest "
                f"attribution, and without k drawn at random ({test.n_draws} times: "
                "mean, lowest and highest).",
                plot_faithfulness(
                    test.k,
                    whole,
                    parts["top"],
                    parts["random_mean"],
                    parts["random_low"],
                    parts["random_high"],
                    _said(found),
                    found.is_numeric,
                ),
                pd.DataFrame({"k": test.k, **parts}),
            ),
        ),
    )


def _seeds_text(found: Explanation) -> str:
    if not found.seeds:
        return (
            "Only one seed's model is here. --seeds 3 trains two more, once, and shows "
            "whether they look at the same words."
        )
    n = len(found.seeds) + 1
    said = sum(seed.predicted == found.target for seed in found.seeds) + 1
    text = f"{said} of {n} seeds say {_target(found)}."
    if found.is_numeric:
        numbers = [found.proba[found.target], *(seed.proba for seed in found.seeds)]
        text = (
            f"{n} seeds predict {_target(found)} from {_value(found, min(numbers))} to "
            f"{_value(found, max(numbers))}."
        )
    if found.agreement:
        low, high = min(found.agreement), max(found.agreement)
        mean = float(np.mean(found.agreement))
        text += (
            f" On the words' ranks they agree to {_signed(mean, 2)} (mean rank "
            f"correlation of {count(len(found.agreement), 'pair')}, "
            f"{_signed(low, 2)} to {_signed(high, 2)}; 1 is the same order, 0 none)."
        )
    return text


def _seeds(found: Explanation) -> Section:
    intro = (
        "The same configuration, trained with another seed and split. Where seeds "
        "agree on the telling words, the words tell of the data; where they do not, of "
        "one training's accidents."
    )
    blocks: list[Block] = [Note(_seeds_text(found))]
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
                        f"{shortened(found.steps[i], 30)} "
                        f"({_contribution(found, values[i])})"
                        for i in best
                    ),
                    "rho": rho,
                }
            )
        blocks.append(
            Table(
                "seeds",
                "The seeds' most telling words; the first row is the explained model.",
                pd.DataFrame(rows),
                (
                    Column("seed", "seed", "whole"),
                    Column("p", _said(found), _formats(found)[1]),
                    Column("telling", f"most telling {_step(found)}s", "prose"),
                    Column("rho", "rank correlation with the first row", "score"),
                ),
            )
        )
    return Section("Do other seeds agree?", "seeds", intro, tuple(blocks))


def _limits(found: Explanation) -> Section:
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
                        "A word's number depends on the words around it. Two words "
                        "that matter only together may both get little, or both all.",
                    ),
                    (
                        "not the only answer",
                        "Other baselines (here: "
                        f"{_baseline_name(found).removeprefix('with ')}) give other "
                        "numbers, and a text without a word is one that the model "
                        "may never have seen the like of.",
                    ),
                    (
                        "not the rule",
                        "One text shows one case. Whether the model is right, and how "
                        "sure it is of it, is in the study's report.",
                    ),
                    *(gates if found.layers else ()),
                )
            ),
        ),
    )
