"""The predicted section: predicted against true numbers, and a summary of errors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lstm_bench.report.blocks import Block, Column, Drawing, Section, column_names
from lstm_bench.report.figures.predicted import MAX_POINTS, plot_predicted
from lstm_bench.report.view import View
from lstm_bench.training.result import Prediction

# Outputs that are drawn: the first, one in the middle, the last.
MAX_DRAWN = 3

RESIDUALS = (
    Column("output", "output"),
    Column("n", "{examples} (n)", "count"),
    Column("n_seeds", "seeds (n)", "count"),
    Column("true_mean", "mean, true", "number"),
    Column("true_std", "sd, true", "number", meaning="standard deviation"),
    Column("bias", "mean error", "number", meaning="predicted − true"),
    Column("std", "sd of errors", "number", meaning="standard deviation"),
    Column("median", "median |error|", "number"),
    Column("q95", "95 % of |errors| below", "number"),
    Column("largest", "largest |error|", "number"),
)


def predicted_section(view: View) -> Section:
    """Show the best LSTM's predictions against the truth, for every output."""
    title, anchor = "Predicted against true", "predicted"
    found = _predictions(view)
    if found is None:
        return Section(title, anchor, "No completed training has left predictions.")
    label, part, predictions = found
    frame, names = residuals(view, predictions), _output_names(view)
    seeds = "" if len(predictions) == 1 else ", means over the seeds"
    blocks: list[Block] = [
        view.table(
            "residuals",
            f"Errors of {label} on {part}, predicted − true, in the data's own "
            f"units{seeds}.",
            frame,
            RESIDUALS,
        )
    ]
    first = predictions[0]
    n = len(first.y_true)
    of = f"{MAX_POINTS} of {n:,}" if n > MAX_POINTS else f"{n:,}"
    one = "" if len(predictions) == 1 else " of its first seed"
    for output in _drawn(len(names)):
        name = names[output]
        drawn = pd.DataFrame(
            {
                "index": first.index,
                "true": first.y_true[:, output],
                "predicted": first.y_pred[:, output],
            }
        )
        caption = (
            f"Predicted against true {name}: {label}{one}, {of} {part} "
            f"{view.results.examples}. On the line both are equal."
        )
        figure = plot_predicted(first, output, name)
        blocks.append(Drawing(f"predicted_{output + 1}", caption, figure, drawn))
    return Section(
        title,
        anchor,
        f"Where the best {view.suite.network} is off: a slope below the line's is a "
        "model that plays safe, a mean error that is not 0 one that is biased.",
        tuple(blocks),
    )


def residuals(view: View, predictions: list[Prediction]) -> pd.DataFrame:
    """Return a summary of the errors of each output, its mean over the seeds.

    Returns
    -------
    DataFrame with the columns of `RESIDUALS`
    """
    rows = []
    for output, name in enumerate(_output_names(view)):
        summaries = []
        for prediction in predictions:
            true = prediction.y_true[:, output]
            error = prediction.y_pred[:, output] - true
            size = np.abs(error)
            summaries.append(
                {
                    "true_mean": true.mean(),
                    "true_std": true.std(),
                    "bias": error.mean(),
                    "std": error.std(),
                    "median": np.median(size),
                    "q95": np.quantile(size, 0.95),
                    "largest": size.max(),
                }
            )
        means = pd.DataFrame(summaries).mean().to_dict()
        n = len(predictions[0].y_true)
        rows.append({"output": name, "n": n, "n_seeds": len(predictions), **means})
    return pd.DataFrame(rows, columns=column_names(RESIDUALS))


def _output_names(view: View) -> list[str]:
    return list(view.results.dataset.get("output_names", ()))


def _drawn(n_outputs: int) -> list[int]:
    """Return the outputs to draw, evenly spaced."""
    places = np.linspace(0, n_outputs - 1, min(MAX_DRAWN, n_outputs))
    return [int(place) for place in places.round()]


def _predictions(view: View) -> tuple[str, str, list[Prediction]] | None:
    """Return whose predictions to show, of which part, and one for each seed."""
    winner = view.analysis.winner
    if winner is not None:
        tests = [parts["test"] for _, parts in sorted(winner.predictions.items())]
        return winner.label, "test", tests
    for row in view.board.head(1).to_dict("records"):
        parts = view.results.predictions.get(str(row["run_id"]), {})
        if "val" in parts:
            return str(row["label"]), "validation", [parts["val"]]
    return None
