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

from measure import interleave, spread
from row import (
    BATCH,
    Row,
    drawn,
    own_config,
    own_epoch,
    plain_config,
    plain_epoch,
    positive,
    row_parser,
)

from lstm_bench.data.dataset import Dataset
from lstm_bench.models.backend import keras
from lstm_bench.suites.engines import PACKED


def measure(
    dataset: Dataset, shape: dict[str, int], n_reviews: int, rounds: int
) -> dict[str, Any]:
    """Measure an epoch of `n_reviews` at one point; return the raw seconds."""
    reviews = drawn(dataset.train, n_reviews)
    n_classes = dataset.n_classes
    own, _ = own_epoch(reviews, own_config("A", **shape), n_classes, PACKED)
    plain = plain_epoch(reviews, plain_config("A", **shape), n_classes)
    seconds = interleave({"plain": plain, "packed": own}, rounds)
    keras.backend.clear_session()
    return {"n_measured": len(reviews), "seconds": seconds}


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
        found = measure(dataset, shape, n_reviews, arguments.rounds)
        n_epoch = value if axis == "n_reviews" else arguments.base_size
        point = {"value": value, "n_epoch": n_epoch, **found}
        axes.setdefault(axis, []).append(point)
        factor = n_epoch / found["n_measured"]
        print(f"\n{axis} {value}: seconds an epoch of {n_epoch:,} reviews")
        for variant, seconds in found["seconds"].items():
            print(f"{variant:8} {spread([factor * s for s in seconds])}")
    base = {
        "units": arguments.base_units,
        "sequence_length": arguments.base_length,
        "n_reviews": arguments.base_size,
        "batch_size": arguments.base_batch,
    }
    row.write(dataset.name, {"base": base, "axes": axes})


if __name__ == "__main__":
    main()
