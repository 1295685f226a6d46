"""Training steps: the packed LSTM against plain Keras.

Whole epochs of the write-up's two models, A and B, on the same real reviews:

- plain: `model.fit` on arrays padded to the sequence length;
- packed: this project's batches, masked, trimmed and sorted by length, with the packed
  LSTM;
- stock, with `--stock`: the same batches with Keras's own LSTM.

    python benchmarks/speed/steps.py --data-dir DIR
"""

from __future__ import annotations

from itertools import product

from row import MODELS, Row, drawn, measure_case, positive, row_parser


def main() -> None:
    parser = row_parser(__doc__)
    parser.add_argument("--reviews", type=positive, default=1024)
    parser.add_argument("--units", type=positive, nargs="+", default=[32, 100, 256])
    parser.add_argument("--lengths", type=positive, nargs="+", default=[200, 500])
    parser.add_argument("--stock", action="store_true", help="Keras's own LSTM too")
    arguments = parser.parse_args()
    row = Row("steps", arguments)
    dataset = row.load()
    reviews = drawn(dataset.train, arguments.reviews)
    cases = []
    for sequence_length, units in product(arguments.lengths, arguments.units):
        row.peak()
        shape = {"units": units, "sequence_length": sequence_length}
        cases += [
            measure_case(
                reviews,
                dataset.n_classes,
                model,
                shape,
                rounds=arguments.rounds,
                with_stock=arguments.stock,
            )
            for model in MODELS
        ]
    row.write(dataset.name, {"cases": cases})


if __name__ == "__main__":
    main()
