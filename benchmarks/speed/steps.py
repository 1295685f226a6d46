"""Training steps: the packed LSTM against plain Keras.

The write-up's two models, A and B, on the same real reviews, whole epochs over the
number of steps:

- plain: `model.fit` on arrays padded to the sequence length;
- packed: this project's batches, masked, trimmed and sorted by length, with the packed
  LSTM;
- stock, with `--stock`: the same batches with Keras's own LSTM.

    python benchmarks/speed/steps.py --data-dir DIR
"""

from __future__ import annotations

from typing import Any

from flops import batches_flop
from measure import interleave, print_ratios
from row import (
    MODELS,
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
from lstm_bench.suites.engines import PACKED, STOCK


def measure(
    dataset: Dataset,
    n_reviews: int,
    units: int,
    sequence_length: int,
    rounds: int,
    with_stock: bool,
) -> list[dict[str, Any]]:
    """Measure both models at one size, all variants in turn; return a case each."""
    reviews = drawn(dataset.train, n_reviews)
    variants, cases = {}, []
    for model in MODELS:
        shape = {"units": units, "sequence_length": sequence_length}
        config = own_config(model, **shape)
        variants[model, "plain"] = plain_epoch(
            reviews, plain_config(model, **shape), dataset.n_classes
        )
        batches = []
        for engine in (STOCK, PACKED) if with_stock else (PACKED,):
            variants[model, engine], batches = own_epoch(
                reviews, config, dataset.n_classes, engine
            )
        cases.append(
            {
                "model": model,
                **shape,
                "n_reviews": len(reviews),
                "n_steps": len(batches),
                "n_tokens": int(sum((x != 0).sum() for x in batches)),
                "flop": batches_flop(batches, config, training=True),
                "seconds": {},
            }
        )
    seconds = interleave(variants, rounds)
    for case in cases:
        case["seconds"] = {
            variant: values
            for (model, variant), values in seconds.items()
            if model == case["model"]
        }
        n = case["n_steps"]
        ms = {k: [1e3 * s / n for s in v] for k, v in case["seconds"].items()}
        print(f"\n{case['model']}: {units} units, length {sequence_length}, ms a step")
        print_ratios(ms, "plain", "ms")
        gflops = 1e-9 * case["flop"] / min(case["seconds"][PACKED])
        print(f"packed, fastest round: {gflops:.0f} GFLOP/s")
    return cases


def main() -> None:
    parser = row_parser(__doc__)
    parser.add_argument("--reviews", type=positive, default=1024)
    parser.add_argument("--units", type=positive, nargs="+", default=[32, 100, 256])
    parser.add_argument("--lengths", type=positive, nargs="+", default=[200, 500])
    parser.add_argument("--stock", action="store_true", help="Keras's own LSTM too")
    arguments = parser.parse_args()
    row = Row("steps", arguments)
    dataset = row.load()
    cases = []
    for sequence_length in arguments.lengths:
        for units in arguments.units:
            row.peak()
            cases += measure(
                dataset,
                arguments.reviews,
                units,
                sequence_length,
                arguments.rounds,
                arguments.stock,
            )
            keras.backend.clear_session()
    row.write(dataset.name, {"cases": cases})


if __name__ == "__main__":
    main()
