"""One colour for a configuration, everywhere in a report."""

from __future__ import annotations

from lstm_bench.figures.style import INK, configuration_colours
from lstm_bench.records import Results
from lstm_bench.tables.search import leaderboard


def shown_colours(results: Results) -> dict[str, str]:
    """Return colours by configuration id: the confirmed first, then the best.

    Baselines (``baseline:<name>``) have the page's text colour.
    """
    confirmed = results.confirmed["config_id"].tolist()
    board = leaderboard(results)["config_id"].tolist()
    baselines = results.baselines["baseline"].unique().tolist()
    return configuration_colours([*confirmed, *board]) | {
        f"baseline:{name}": INK for name in baselines
    }
