"""Tables over several published studies: briefs in, tidy DataFrame out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lstm_bench.briefs import Brief, PublishedFigure

SCORE_COLUMNS = (
    *("suite", "metric", "metric_label", "label", "kind", "split"),
    *("mean", "ci95_low", "ci95_high", "n"),
)


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
