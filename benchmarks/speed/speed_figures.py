"""The speed report's figures: data in, `Figure` out."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
)
from speed_lines import Growth, Line

from lstm_bench.report.figures.style import (
    INK,
    OTHERS,
    PALETTE,
    add_legend,
    dress,
    house_style,
    set_log_x,
)

NAMES = {"plain": "plain Keras", "packed": "packed"}
COLOURS = {"plain": PALETTE[1], "packed": PALETTE[0]}
# Told apart in print without colour.
STYLES = {"plain": ("s", "--"), "packed": ("o", "-")}


@house_style()
def plot_growth(axes: Sequence[Growth]) -> Figure:
    """Draw seconds an epoch along each axis, log-log, with the exponents."""
    n_rows = -(-len(axes) // 2)
    fig = Figure(figsize=(8.0, 3.1 * n_rows), layout="constrained")
    for place, growth in enumerate(axes, start=1):
        ax = fig.add_subplot(n_rows, 2, place)
        dress(ax)
        set_log_x(ax)
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.xaxis.set_major_locator(FixedLocator(growth.values))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        exponents = growth.exponents
        for variant, seconds in growth.seconds.items():
            marker, line = STYLES[variant]
            label = NAMES[variant]
            if variant in exponents:
                label += f": exponent {exponents[variant]:.2f}".replace("-", "−")
            ax.plot(
                growth.values,
                seconds,
                ls=line,
                marker=marker,
                ms=4,
                lw=1.3,
                color=COLOURS[variant],
                label=label,
            )
        ax.set_xlabel(growth.axis)
        ax.set_ylabel("seconds an epoch")
        # Room for the legend above the lines.
        low, high = ax.get_ylim()
        ax.set_ylim(low, high * (high / low) ** 0.35)
        ax.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper left")
    return fig


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 5000 else f"{value:g}"


@house_style()
def plot_ratios(lines: Sequence[Line]) -> Figure:
    """Draw how many times as fast each comparison is, beside what was asked for."""
    shown = [line for line in lines if line.ratio is not None]
    fig = Figure(figsize=(9.5, 1.1 + 0.26 * len(shown)), layout="constrained")
    ax = fig.add_subplot()
    dress(ax)
    ax.grid(visible=False, axis="y")
    # Logarithmic, as ratios are, and since the largest is fifty times the smallest.
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    for y, line in enumerate(shown):
        ax.hlines(y, min(line.ratios), max(line.ratios), color=PALETTE[0], lw=4)
        for value, colour in ((line.at_least, INK), (line.aim, OTHERS)):
            if value is not None:
                ax.plot(value, y, marker="|", ms=11, mew=2, ls="none", color=colour)
        ax.plot(line.ratio, y, marker="o", ms=6, color=PALETTE[0], mec="white")
    ax.axvline(1, color=OTHERS, lw=0.8)
    ax.set_yticks(range(len(shown)), [line.what for line in shown], fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(shown) - 0.4, -0.6)
    # Where one is as fast as the other begins the axis, unless something is slower.
    ax.set_xlim(left=min([1.0, *(min(line.ratios) for line in shown)]))
    ax.set_xlabel("times as fast as plain Keras, logarithmic")
    handles = [
        ax.plot([], [], marker="o", color=PALETTE[0], lw=4, label="median, and range")[
            0
        ],
        *(
            ax.plot([], [], marker="|", ms=11, mew=2, ls="none", color=c, label=name)[0]
            for c, name in ((INK, "at least"), (OTHERS, "aim"))
        ),
    ]
    add_legend(fig, handles)
    return fig
