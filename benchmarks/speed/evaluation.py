"""Scoring reviews: the packed LSTM against plain Keras.

Model A on the test reviews:

- plain: `model.evaluate` on arrays padded to the sequence length, at batch 64;
- packed: this project's evaluation as it always is, batches of 256 to 1,024 reviews
  sorted by length, with the packed LSTM;
- stock, with `--stock`: batches of 256, trimmed, with Keras's own LSTM.

    python benchmarks/speed/evaluation.py --data-dir DIR
"""

from __future__ import annotations

from typing import Any

from flops import batches_flop
from measure import interleave, print_ratios
from row import (
    Row,
    drawn,
    own_config,
    own_evaluation,
    plain_config,
    plain_evaluation,
    positive,
    row_parser,
)

from lstm_bench.data.dataset import Dataset
from lstm_bench.models.backend import keras
from lstm_bench.suites.engines import PACKED, STOCK


def measure(
    dataset: Dataset,
    n_reviews: int,
    units: int,
    sequence_length: int,
    rounds: int,
    with_stock: bool,
) -> dict[str, Any]:
    """Measure one length; return the case."""
    reviews = drawn(dataset.test, n_reviews)
    shape = {"units": units, "sequence_length": sequence_length}
    config = own_config("A", **shape)
    variants = {
        "plain": plain_evaluation(
            reviews, plain_config("A", **shape), dataset.n_classes
        )
    }
    batches = []
    for engine in (STOCK, PACKED) if with_stock else (PACKED,):
        variants[engine], batches = own_evaluation(
            reviews, config, dataset.n_classes, engine
        )
    flop = batches_flop(batches, config, training=False)
    seconds = interleave(variants, rounds)
    print(f"\n{len(reviews):,} reviews: {units} units, length {sequence_length}, s")
    print_ratios(seconds, "plain")
    print(f"packed, fastest round: {1e-9 * flop / min(seconds[PACKED]):.0f} GFLOP/s")
    return {
        "model": "A",
        **shape,
        "n_reviews": len(reviews),
        "n_tokens": int(sum((x != 0).sum() for x in batches)),
        "flop": flop,
        "seconds": seconds,
    }


def main() -> None:
    parser = row_parser(__doc__)
    parser.add_argument("--reviews", type=positive, default=25_000)
    parser.add_argument("--units", type=positive, default=100)
    parser.add_argument("--lengths", type=positive, nargs="+", default=[200, 500])
    parser.add_argument("--stock", action="store_true", help="Keras's own LSTM too")
    arguments = parser.parse_args()
    row = Row("evaluation", arguments)
    dataset = row.load()
    cases = []
    for sequence_length in arguments.lengths:
        row.peak()
        cases.append(
            measure(
                dataset,
                arguments.reviews,
                arguments.units,
                sequence_length,
                arguments.rounds,
                arguments.stock,
            )
        )
        keras.backend.clear_session()
    row.write(dataset.name, {"cases": cases})


if __name__ == "__main__":
    main()
