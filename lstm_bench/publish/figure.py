"""Figure of several published studies: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from lstm_bench.publish.summary import Score, Summary
from lstm_bench.report.figures.style import (
    INK,
    OTHERS,
    PALETTE,
    add_legend,
    dress,
    house_style,
    plain_text,
)

# Colour, marker and legend; hollow for scores without fresh seeds and a test set.
KINDS = {
    ("LSTM", "test"): (PALETTE[0], "o", "best network, test"),
    ("LSTM", "validation"): (
        *(PALETTE[0], "o"),
        "best network of a search, validation, not confirmed",
    ),
    ("baseline", "test"): (PALETTE[1], "s", "best baseline, test"),
    ("baseline", "validation"): (PALETTE[1], "s", "best baseline, validation"),
    ("published", "test"): (INK, "D", "published by others, test"),
}
BARS = {"test": "over seeds (t)", "validation": "over validation (Wilson)"}
ROW_HEIGHT = 0.3


def scores(summary: Summary) -> Iterator[tuple[str, str, Score]]:
    """Yield (kind, name, score) of a study's best LSTM and best baseline.

    If the study's metric is accuracy, published test accuracies are included.
    """
    for kind, entrant in (("LSTM", summary.winner), ("baseline", summary.baseline)):
        if entrant is not None:
            yield kind, f"{entrant.label} (n = {entrant.score.n})", entrant.score
    for entry in summary.published_tests if summary.metric == "accuracy" else ():
        score = Score(split="test", mean=entry.published)
        yield "published", f"{entry.label}, {entry.reference}", score


@house_style()
def plot_overview(summaries: Sequence[Summary]) -> Figure:
    """Draw every study's best LSTM and baseline, one panel for each metric."""
    panels = list(dict.fromkeys(summary.metric_label for summary in summaries))
    drawn = {summary.suite: list(scores(summary)) for summary in summaries}
    rows = [
        sum(1 + len(drawn[s.suite]) for s in summaries if s.metric_label == panel)
        for panel in panels
    ]
    height = 1.0 + 0.6 * len(panels) + ROW_HEIGHT * sum(rows)
    fig = Figure(figsize=(9.0, height), layout="constrained")
    axes = fig.subplots(len(panels), squeeze=False, height_ratios=rows)[:, 0]
    handles = {}
    for ax, panel in zip(axes, panels, strict=True):
        dress(ax)
        ax.grid(visible=False, axis="y")
        names: list[tuple[str, str]] = []
        splits: set[str] = set()
        for suite in (s.suite for s in summaries if s.metric_label == panel):
            if names:
                ax.axhline(len(names) - 0.5, color=OTHERS, lw=0.6, alpha=0.6)
            names.append((suite, "bold"))
            for kind, name, score in drawn[suite]:
                y, high = len(names), score.ci95_high
                colour, marker, label = KINDS[kind, score.split]
                face = "white" if score.split == "validation" else colour
                style = {"ms": 6, "mec": colour, "mfc": face, "zorder": 3}
                (handles[label],) = ax.plot(score.mean, y, marker, label=label, **style)
                if high is not None:
                    ax.hlines(y, score.ci95_low, high, color=colour, lw=4, alpha=0.5)
                ax.annotate(
                    f"{score.mean:.4f}",
                    (max(high or score.mean, score.mean), y),
                    xytext=(7, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                    color=INK,
                )
                names.append((name, "normal"))
                splits.add(score.split)
        ax.set_yticks(range(len(names)), [plain_text(name) for name, _ in names])
        for (_, weight), text in zip(names, ax.get_yticklabels(), strict=True):
            text.set_fontweight(weight)
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(len(names) - 0.5, -0.6)
        ax.margins(x=0.12)
        bars = " and ".join(BARS[split] for split in sorted(splits))
        ax.set_xlabel(
            f"{' or '.join(sorted(splits))} {panel}; bars are 95 % intervals {bars}"
        )
    shown = [handles[label] for *_, label in KINDS.values() if label in handles]
    add_legend(fig, shown, n_columns=2 if len(shown) > 3 else 3)
    return fig
