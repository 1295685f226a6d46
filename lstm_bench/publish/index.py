"""The index of published studies, as GitHub-flavoured Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import quote

import pandas as pd

from lstm_bench.publish.summary import Brief, Entrant, PublishedFigure, Score
from lstm_bench.report.blocks import DASH, duration
from lstm_bench.report.markdown import escape_markdown
from lstm_bench.text import count, with_interval

SCORE_COLUMNS = (
    *("suite", "metric", "metric_label", "label", "kind", "split"),
    *("mean", "ci95_low", "ci95_high", "n"),
)


FOLDER = "published"
PICTURE = "overview.svg"
# Of no study: `benchmarks/speed/published.py` writes it.
SPEED, SPEED_PAGE = "speed", "README.md"
COLUMNS = (
    *("suite", "data", "best LSTM", "score (95 % interval), seeds"),
    *("best baseline", "LSTM against baseline", "trained in", "date"),
)
INTRODUCTION = (
    "Studies that were published with the project, each with its whole report. Every "
    "file in `published/<suite>/`, the picture and this page are written by "
    "`lstm-bench publish` from what MLflow recorded; nothing is added by hand.",
    "Test scores are means over fresh seeds that no choice was made on; the best LSTM "
    "and the best baseline are chosen on validation. Intervals are 95 % t intervals "
    "over seeds. The verdict says what the best LSTM is against the best baseline on "
    "the same seeds, with the difference in test score. A study that was not "
    "confirmed shows its best validation score instead, of which chance has a part.",
)

SPEED_REPORT = (
    "How fast trainings are against plain Keras, on which machine, and what limits "
    f"them, stands in the [speed report]({FOLDER}/{SPEED}/{SPEED_PAGE}), which "
    "`benchmarks/speed/published.py` writes from what it measures."
)


def render_index(briefs: Sequence[Brief], *, has_speed: bool = False) -> str:
    """Return the page that lists `briefs`, in their order.

    Parameters
    ----------
    briefs : sequence of Brief
    has_speed : bool
        Whether the speed report is published beside them.
    """
    lines = ["# Published results", ""]
    for paragraph in INTRODUCTION:
        lines += [paragraph, ""]
    lines += _row(COLUMNS), _row(["---"] * len(COLUMNS))
    lines += [_row(table_row(brief)) for brief in briefs]
    alt = "Scores of every published study's best LSTM and best baseline"
    lines += ["", f"![{alt}]({FOLDER}/{PICTURE})", ""]
    for brief in briefs:
        lines += [*_study(brief), ""]
    if has_speed:
        lines += [SPEED_REPORT, ""]
    lines += _again(briefs)
    return "\n".join(lines).rstrip() + "\n"


def table_row(brief: Brief) -> tuple[str, ...]:
    """Return the cells of `COLUMNS` for one study, as Markdown."""
    name = escape_markdown(brief.suite)
    report, page = (link(brief, file) for file in ("report.md", "index.html"))
    winner, baseline = brief.winner, brief.baseline
    data = f"{brief.dataset}: {brief.n_train:,} to train on, {brief.n_val:,} to " + (
        "validate on" if brief.n_test is None else f"validate, {brief.n_test:,} to test"
    )
    if brief.validation == "test":
        data += " (validated on the test set)"
    if brief.synthetic:
        data += " (SYNTHETIC)"
    return (
        f"[{name}]({report}) ([page]({page}))",
        escape_markdown(data),
        escape_markdown(_who(winner)),
        escape_markdown(("" if brief.confirmed else "not confirmed: ") + _score(brief)),
        escape_markdown(
            f"{baseline.label}: {_mean(baseline.score)}" if baseline else DASH
        ),
        escape_markdown(_verdict(brief)),
        escape_markdown(
            f"{duration(brief.total_time_s)}, {count(brief.n_trainings, 'training')}"
        ),
        escape_markdown(brief.date),
    )


def link(brief: Brief, file: str) -> str:
    """Return the address of one of a study's files, from the index."""
    return f"{FOLDER}/{quote(brief.suite)}/{file}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _who(entrant: Entrant) -> str:
    return (
        f"{entrant.label} ({entrant.settings})" if entrant.settings else entrant.label
    )


def _score(brief: Brief) -> str:
    score = brief.winner.score
    if brief.confirmed:
        text = f"test {brief.metric_label} {_mean(score)}, "
        text += count(score.n, "seed")
    else:
        text = f"validation {brief.metric_label} {_mean(score, 'Wilson ')}, "
        text += count(score.n, "run")
    for figure in published_tests(brief):
        text += (
            f"; {figure.label}: published test accuracy {figure.published:.4f} for "
            f"{figure.reference}, here "
            + (DASH if figure.measured is None else f"{figure.measured:.4f}")
        )
    return text


def _mean(score: Score, kind: str = "") -> str:
    return with_interval(score.mean, score.ci95_low, score.ci95_high, kind=kind)


def _verdict(brief: Brief) -> str:
    found = brief.against_baseline
    if found is None:
        return DASH if brief.confirmed else "not confirmed"
    difference = with_interval(
        found.difference, found.ci95_low, found.ci95_high, "+.4f", kind=""
    )
    return f"{found.verdict}: {difference}"


def _study(brief: Brief) -> list[str]:
    """Return the study's own part: its question, its answers and where from."""
    lines = [f"## {escape_markdown(brief.suite)}", ""]
    lines += [escape_markdown(brief.question), ""]
    if brief.synthetic:
        lines += ["**SYNTHETIC DATA: a program wrote it.**", ""]
    said = [(answer.question, answer.text) for answer in brief.answers]
    if not brief.confirmed:
        best = f"{_who(brief.winner)}, {_score(brief)}."
        said.insert(0, ("best LSTM, not confirmed", best))
    lines += [
        f"- {escape_markdown(question)}: {escape_markdown(text)}"
        for question, text in said
    ]
    lines += ["", escape_markdown(_provenance(brief))]
    return lines


def _provenance(brief: Brief) -> str:
    commit = ""
    if brief.commit:
        changed = " with uncommitted changes" if brief.commit_dirty else ""
        commit = f", commit {brief.commit[:12]}{changed}"
    return (
        f"Study {brief.study}: {count(brief.n_trainings, 'training')} in "
        f"{duration(brief.total_time_s)} on {brief.machine}; last worked on "
        f"{brief.date} by lstm-bench {brief.version or DASH}{commit}."
    )


def _again(briefs: Sequence[Brief]) -> list[str]:
    """Return the part that says how to make all of it again."""
    names = [brief.suite for brief in briefs]
    publish = ["lstm-bench", "publish", *names, "--replace"]
    if any(brief.synthetic for brief in briefs):
        publish.append("--allow-synthetic")
    commands = [command for brief in briefs for command in brief.commands]
    return [
        "## Make it again",
        "",
        "In a checkout of the project; `DIR` is the folder with the raw data. The last "
        "command writes this folder, from the same store.",
        "",
        "```sh",
        *commands,
        shlex.join(publish),
        "```",
    ]


def overview_scores(briefs: Sequence[Brief]) -> pd.DataFrame:
    """Return each study's best LSTM and best baseline with their scores, in order.

    Returns
    -------
    DataFrame with columns `SCORE_COLUMNS`
        ``kind`` is "LSTM" or "baseline", or "published" for a published test
        accuracy beside a study of the accuracy; ``split`` "test" or "validation";
        the interval is None where there is none, ``n`` where it is not known.
    """
    rows: list[tuple[object, ...]] = []
    for brief in briefs:
        who = (brief.suite, brief.metric, brief.metric_label)
        for kind, entrant in (("LSTM", brief.winner), ("baseline", brief.baseline)):
            if entrant is not None:
                score = entrant.score
                interval = (score.mean, score.ci95_low, score.ci95_high, score.n)
                rows.append((*who, entrant.label, kind, score.split, *interval))
        for figure in published_tests(brief) if brief.metric == "accuracy" else ():
            label = f"{figure.label}, {figure.reference}"
            value = (figure.published, None, None, None)
            rows.append((*who, label, "published", "test", *value))
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS), dtype=object)


def published_tests(brief: Brief) -> list[PublishedFigure]:
    """Return the published test accuracies beside which the study was set."""
    return [f for f in brief.published if f.figure == "test_accuracy"]
