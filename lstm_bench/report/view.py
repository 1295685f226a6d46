"""Data that several sections of a report share, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lstm_bench.analysis.comparisons import Analysis
from lstm_bench.analysis.contenders import Contender
from lstm_bench.analysis.formatting import data_option
from lstm_bench.analysis.imbalance import balance_of
from lstm_bench.analysis.tables.search import leaderboard
from lstm_bench.analysis.tables.select import names_of, shown_fields
from lstm_bench.metrics import Metric
from lstm_bench.report.blocks import Column, Table, in_form
from lstm_bench.report.figures.forest import VERDICT_COLOURS
from lstm_bench.report.figures.style import INK, configuration_colours
from lstm_bench.seeding import derive_rng
from lstm_bench.suites.suite import Suite
from lstm_bench.tracking.results import Results

# A figure with more points shows a sample of them.
MAX_POINTS = 600


@dataclass(frozen=True)
class View:
    """A study's analysis with what its report's sections share.

    Attributes
    ----------
    board : DataFrame
        From `analysis.tables.search.leaderboard`.
    fields : list of str
        The hyperparameters to show: axes, then others that vary.
    colours : mapping of str to str
        Colours by configuration id, the same in all figures; baselines
        (``baseline:<name>``) have the page's text colour.
    """

    analysis: Analysis
    board: pd.DataFrame
    fields: list[str]
    colours: Mapping[str, str]

    @property
    def results(self) -> Results:
        """The study's results."""
        return self.analysis.results

    @property
    def suite(self) -> Suite:
        """The study's suite."""
        return self.results.suite

    @property
    def metric(self) -> Metric:
        """The study's metric."""
        return self.suite.metric

    @property
    def beside(self) -> tuple[str, ...]:
        """Metrics to show beside the study's: of uneven classes, and of numbers."""
        task, balance = self.suite.task, balance_of(self.results)
        if not (task.is_numeric or (balance is not None and balance.is_uneven)):
            return ()
        return tuple(name for name in task.beside if name != self.metric.name)

    @property
    def lstms(self) -> list[Contender]:
        """The confirmed configurations."""
        return [c for c in self.analysis.contenders if not c.is_baseline]

    def table(
        self,
        name: str,
        caption: str,
        frame: pd.DataFrame,
        columns: Sequence[Column],
        n_shown: int = 100,
        wide: bool = True,
    ) -> Table:
        """Return a table, with this study's metric and examples in its headings."""
        words = {
            "{metric}": self.metric.label,
            "{examples}": self.results.examples,
            "{dir}": " (DIR: folder of the data)" if data_option(self.results) else "",
        }

        def filled(text: str) -> str:
            for placeholder, word in words.items():
                text = text.replace(placeholder, word)
            return text

        own = tuple(
            replace(
                in_form(c, self.metric),
                heading=filled(c.heading),
                meaning=filled(c.meaning),
            )
            for c in columns
        )
        colours = {**VERDICT_COLOURS, **self.colours}
        return Table(name, caption, frame, own, n_shown, wide, colours)

    def named(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return `runs` with a column ``name`` for the tooltips of a figure."""
        return runs.assign(name=names_of(self.results, runs))

    def sample(self, rows: pd.DataFrame, what: str) -> tuple[pd.DataFrame, str]:
        """Return at most `MAX_POINTS` of `rows`, and a sentence if some are omitted.

        Rows with a colour are kept; the others are sampled at random, with a fixed
        seed.

        Parameters
        ----------
        rows : DataFrame
            With ``config_id``.
        what : str
            The word for the rows, in the plural.
        """
        if len(rows) <= MAX_POINTS:
            return rows, ""
        coloured = rows["config_id"].isin(list(self.colours)).to_numpy()
        rng = derive_rng(self.suite.study.seed, "sample", what)
        rest = rng.permutation((~coloured).nonzero()[0])
        keep = coloured.nonzero()[0].tolist() + rest.tolist()
        chosen = rows.iloc[sorted(keep[:MAX_POINTS])]
        return chosen, f" Drawn are {len(chosen):,} of {len(rows):,} {what}, at random."


def make_view(analysis: Analysis) -> View:
    """Return the view of `analysis` from which sections are built."""
    results = analysis.results
    board = leaderboard(results)
    confirmed = results.confirmed["config_id"].tolist()
    baselines = results.baselines["baseline"].unique().tolist()
    colours = configuration_colours([*confirmed, *board["config_id"].tolist()])
    return View(
        analysis,
        board,
        shown_fields(results),
        colours | {f"baseline:{name}": INK for name in baselines},
    )
