"""How cost grows: seconds an epoch against units, length, training size and batch.

Model A, plain `model.fit` on padded arrays against this project's batches with the
packed LSTM; one axis varies at a time and the others stay at 100 units, length 200,
5,000 reviews and batch 64. The training size is measured on whole epochs; on the other
axes an epoch is that of fewer reviews, times 5,000 over their number.

    python benchmarks/speed/growth.py --data-dir DIR
"""

from __future__ import annotations

import argparse
from typing import Any

from row import BATCH, Row, drawn, measure_case, positive, row_parser


def points(arguments: argparse.Namespace) -> list[tuple[str, int, dict[str, int], int]]:
    """Return axis, value, shape, and the reviews to measure it on."""
    base = {
        "units": arguments.base_units,
        "sequence_length": arguments.base_length,
        "batch_size": arguments.base_batch,
    }
    axes = {
        "units": arguments.units,
        "sequence_length": arguments.lengths,
        "batch_size": arguments.batches,
    }
    found = [
        (axis, value, {**base, axis: value}, arguments.reviews)
        for axis, values in axes.items()
        for value in values
    ]
    return found + [("n_reviews", n, base, n) for n in arguments.sizes]


def main() -> None:
    parser = row_parser(__doc__)
    parser.add_argument(
        "--units", type=positive, nargs="+", default=[32, 64, 128, 256, 512]
    )
    parser.add_argument(
        "--lengths", type=positive, nargs="+", default=[100, 200, 400, 700, 1000]
    )
    parser.add_argument(
        "--sizes",
        type=positive,
        nargs="+",
        default=[5_000, 10_000, 25_000],
    )
    parser.add_argument(
        "--batches", type=positive, nargs="+", default=[32, 64, 128, 256]
    )
    parser.add_argument("--reviews", type=positive, default=1024, help="but on --sizes")
    parser.add_argument("--base-units", type=positive, default=100)
    parser.add_argument("--base-length", type=positive, default=200)
    parser.add_argument("--base-size", type=positive, default=5_000)
    parser.add_argument("--base-batch", type=positive, default=BATCH)
    arguments = parser.parse_args()
    row = Row("growth", arguments)
    dataset = row.load()
    row.peak()
    axes: dict[str, list[dict[str, Any]]] = {}
    for axis, value, shape, n_reviews in points(arguments):
        case = measure_case(
            drawn(dataset.train, n_reviews),
            dataset.n_classes,
            "A",
            shape,
            rounds=arguments.rounds,
        )
        axes.setdefault(axis, []).append(
            {
                "value": value,
                "n_epoch": value if axis == "n_reviews" else arguments.base_size,
                "n_measured": case["n_reviews"],
                "seconds": case["seconds"],
            }
        )
    base = {
        "units": arguments.base_units,
        "sequence_length": arguments.base_length,
        "n_reviews": arguments.base_size,
        "batch_size": arguments.base_batch,
    }
    row.write(dataset.name, {"base": base, "axes": axes})


if __name__ == "__main__":
    main()
