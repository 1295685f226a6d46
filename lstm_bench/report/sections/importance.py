"""The importance section: how much each axis matters, by PED-ANOVA."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lstm_bench.analysis.tables.select import plain_list, trial_runs
from lstm_bench.metrics import Metric
from lstm_bench.report.blocks import Column, Drawing, Section, column_names
from lstm_bench.report.figures.style import (
    INK,
    NARROW,
    PALETTE,
    house_style,
    new_figure,
    plain_text,
)
from lstm_bench.report.view import View
from lstm_bench.suites.space import Axis, CategoricalAxis, FloatAxis, IntAxis
from lstm_bench.tracking.results import Results
from lstm_bench.training.result import OBJECTIVE

MIN_TRIALS_FOR_IMPORTANCE = 4

IMPORTANCE = (
    Column("axis", "axis"),
    Column("importance", "share", "share", meaning="of all axes; their sum is 1"),
    Column("n_trials", "trials (n)", "count"),
)


def importance(results: Results) -> pd.DataFrame:
    """Return each axis' importance for being among the best trials (PED-ANOVA).

    It needs at least four complete trials and two axes with more than one value;
    otherwise the frame is empty and ``frame.attrs["reason"]`` is the reason.

    Returns
    -------
    DataFrame with the columns of `IMPORTANCE`

    References
    ----------
    Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces", IJCAI 2023.
    """
    empty = pd.DataFrame(columns=column_names(IMPORTANCE))
    axes = {
        name: axis for name, axis in results.suite.space if axis.n_choices not in (0, 1)
    }
    runs = trial_runs(results)
    if len(axes) < 2:
        empty.attrs["reason"] = "Importance compares axes; this suite has " + (
            "none." if not axes else f"only one that varies: {next(iter(axes))}."
        )
        return empty
    if len(runs) < MIN_TRIALS_FOR_IMPORTANCE:
        empty.attrs["reason"] = (
            f"Importance needs at least {MIN_TRIALS_FOR_IMPORTANCE} complete trials; "
            f"this study has {len(runs)}."
        )
        return empty
    shares = _ped_anova(runs, axes, results.suite.metric)
    if not shares or not all(math.isfinite(share) for share in shares.values()):
        empty.attrs["reason"] = (
            f"The {len(runs)} complete trials do not separate the axes: their best "
            "ones are spread over the space like all of them."
        )
        return empty
    table = pd.DataFrame(
        {
            "axis": list(shares),
            "importance": list(shares.values()),
            "n_trials": len(runs),
        }
    )
    return table.sort_values(
        "importance", ascending=False, kind="stable", ignore_index=True
    )


def _ped_anova(
    runs: pd.DataFrame, axes: dict[str, Axis], metric: Metric
) -> dict[str, float]:
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.importance import PedAnovaImportanceEvaluator

    distributions: dict[str, BaseDistribution] = {}
    for name, axis in axes.items():
        if isinstance(axis, CategoricalAxis):
            distributions[name] = CategoricalDistribution(axis.choices)
        elif isinstance(axis, IntAxis):
            distributions[name] = IntDistribution(
                axis.low, axis.high, log=axis.log, step=axis.step
            )
        elif isinstance(axis, FloatAxis):
            distributions[name] = FloatDistribution(
                axis.low, axis.high, log=axis.log, step=axis.step
            )
    with _quiet_optuna():
        study = optuna.create_study(
            direction="maximize" if metric.higher_is_better else "minimize",
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        values = zip(*(plain_list(runs[name]) for name in axes), strict=True)
        study.add_trials(
            optuna.trial.create_trial(
                params=dict(zip(axes, chosen, strict=True)),
                distributions=distributions,
                value=float(objective),
            )
            for chosen, objective in zip(values, runs[OBJECTIVE], strict=True)
        )
        shares = optuna.importance.get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(), normalize=False
        )
    # In the order of `axes`: Optuna's order differs from process to process.
    total = math.fsum(shares.values())
    if not total > 0:
        return {}
    return {name: float(shares[name]) / total for name in axes}


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Suppress Optuna's log lines and its warnings about experimental classes."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def importance_section(view: View) -> Section:
    """Show each axis' importance."""
    title, anchor = "Importance", "importance"
    frame = importance(view.results)
    if frame.empty:
        return Section(title, anchor, str(frame.attrs["reason"]))
    n = int(frame["n_trials"].iloc[0])
    caption = f"Share of each axis in what separates the best of {n:,} complete trials."
    return Section(
        title,
        anchor,
        "PED-ANOVA asks where the best tenth of the trials lies in the space. With few "
        f"trials ({n:,} here) the shares are rough, and they have no interval.",
        (
            view.table("importance", caption, frame, IMPORTANCE, wide=False),
            Drawing("importance", caption, plot_importance(frame), frame),
        ),
    )


@house_style()
def plot_importance(importance: pd.DataFrame) -> Figure:
    """Draw each axis' importance as a bar, the largest on top."""
    n = len(importance)
    fig, ax = new_figure(NARROW, 0.9 + 0.34 * n)
    shares = importance["importance"].to_numpy(dtype=float)
    bars = ax.barh(np.arange(n), shares, color=PALETTE[0], height=0.6)
    labels = [f"{share:.0%}" for share in shares]
    ax.bar_label(bars, labels, padding=3, color=INK, fontsize=9)
    ax.set_yticks(np.arange(n), [plain_text(name) for name in importance["axis"]])
    ax.invert_yaxis()
    ax.set_xlim(0, max(0.1, float(shares.max(initial=0.0)) * 1.15))
    ax.set_xlabel("share of importance (PED-ANOVA)")
    ax.grid(False)
    return fig
