"""The index of published studies, as GitHub-flavoured Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import quote

from lstm_bench.publish.summary import Entrant, Score, Summary
from lstm_bench.report.blocks import DASH, duration
from lstm_bench.report.markdown import escape_markdown
from lstm_bench.text import count, with_interval

FOLDER = "published"
PICTURE = "overview.svg"
# Belongs to no study: `benchmarks/speed/published.py` writes it.
SPEED, SPEED_PAGE = "speed", "README.md"
COLUMNS = (
    *("suite", "data", "best network", "score (95 % interval), seeds"),
    *("best baseline", "network against baseline", "trained in", "date"),
)
INTRODUCTION = f"""\
# Published results

Studies that were published with the project, each with its whole report. Every file \
in `{FOLDER}/<suite>/`, the picture and this page are written by `lstm-bench publish` \
from what MLflow recorded; nothing is added by hand.

Test scores are means over fresh seeds that no choice was made on; the best network \
and the best baseline are chosen on validation. Intervals are 95 % t intervals over \
seeds. The best network is compared with the best baseline on the same seeds, with the \
difference in test score. A study that was not confirmed shows its best validation \
score instead, which is partly luck.
"""
PICTURE_LINE = (
    "![Scores of every published study's best network and best baseline]"
    f"({FOLDER}/{PICTURE})"
)
SPEED_REPORT = (
    "How fast trainings are against plain Keras, on which machine, and what limits "
    f"them, is in the [speed report]({FOLDER}/{SPEED}/{SPEED_PAGE}), which "
    "`benchmarks/speed/published.py` writes from what it measures."
)
AGAIN = """\
## Make it again

In a checkout of the project; `DIR` is the folder with the raw data. The last command \
writes this folder, from the same store.
"""


def render_index(summaries: Sequence[Summary], *, has_speed: bool = False) -> str:
    """Return the index page, which lists studies in the given order.

    Parameters
    ----------
    has_speed : bool
        Whether the speed report is published, too.
    """
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(table_row, summaries)]
    publish = ["publish", *(summary.suite for summary in summaries), "--replace"]
    if any(summary.synthetic for summary in summaries):
        publish.append("--allow-synthetic")
    commands = [command for summary in summaries for command in summary.commands]
    commands.append(shlex.join(["lstm-bench", *publish]))
    parts = [
        INTRODUCTION,
        *(f"| {' | '.join(row)} |" for row in rows),
        f"\n{PICTURE_LINE}\n",
        *map(_study, summaries),
        *([f"{SPEED_REPORT}\n"] if has_speed else []),
        AGAIN,
        "\n".join(["```sh", *commands, "```"]),
    ]
    return "\n".join(parts) + "\n"


def table_row(summary: Summary) -> tuple[str, ...]:
    """Return the values of `COLUMNS` for one study, as Markdown."""
    name, folder = escape_markdown(summary.suite), f"{FOLDER}/{quote(summary.suite)}"
    data = f"{summary.dataset}: {summary.n_train:,} to train on, {summary.n_val:,} to "
    if summary.n_test is None:
        data += "validate on"
    else:
        data += f"validate, {summary.n_test:,} to test"
    if summary.validation == "test":
        data += " (validated on the test set)"
    if summary.synthetic:
        data += " (SYNTHETIC)"
    baseline, found = summary.baseline, summary.against_baseline
    verdict = DASH if summary.confirmed else "not confirmed"
    if found is not None:
        difference = with_interval(
            found.difference, found.ci95_low, found.ci95_high, "+.4f", kind=""
        )
        verdict = f"{found.verdict}: {difference}"
    values = (
        data,
        _name(summary.winner),
        ("" if summary.confirmed else "not confirmed: ") + _winners_score(summary),
        f"{baseline.label}: {_score(baseline.score)}" if baseline else DASH,
        verdict,
        f"{duration(summary.total_time_s)}, {count(summary.n_trainings, 'training')}",
        summary.date,
    )
    links = f"[{name}]({folder}/report.md) ([page]({folder}/index.html))"
    return (links, *map(escape_markdown, values))


def _name(entrant: Entrant) -> str:
    settings = f" ({entrant.settings})" if entrant.settings else ""
    return entrant.label + settings


def _score(score: Score, kind: str = "") -> str:
    return with_interval(score.mean, score.ci95_low, score.ci95_high, kind=kind)


def _winners_score(summary: Summary) -> str:
    score = summary.winner.score
    kind, runs = ("", "seed") if summary.confirmed else ("Wilson ", "run")
    text = f"{score.split} {summary.metric_label} {_score(score, kind)}, "
    text += count(score.n, runs)
    for entry in summary.published_tests:
        measured = DASH if entry.measured is None else f"{entry.measured:.4f}"
        text += (
            f"; {entry.label}: published test accuracy {entry.published:.4f} for "
            f"{entry.reference}, here {measured}"
        )
    return text


def _study(summary: Summary) -> str:
    """Return the study's section: its question, its answers and its provenance."""
    answers = [(answer.question, answer.text) for answer in summary.answers]
    if not summary.confirmed:
        best = f"{_name(summary.winner)}, {_winners_score(summary)}."
        answers.insert(0, ("best LSTM, not confirmed", best))
    commit = ""
    if summary.commit:
        changed = " with uncommitted changes" if summary.commit_dirty else ""
        commit = f", commit {summary.commit[:12]}{changed}"
    origin = (
        f"Study {summary.study}: {count(summary.n_trainings, 'training')} in "
        f"{duration(summary.total_time_s)} on {summary.machine}; last worked on "
        f"{summary.date} by lstm-bench {summary.version or DASH}{commit}."
    )
    warning = "**SYNTHETIC DATA: a program wrote it.**\n\n" if summary.synthetic else ""
    lines = [f"- {escape_markdown(': '.join(answer))}" for answer in answers]
    return (
        f"## {escape_markdown(summary.suite)}\n\n{escape_markdown(summary.question)}"
        f"\n\n{warning}" + "\n".join(lines) + f"\n\n{escape_markdown(origin)}\n"
    )
