"""Scoring reviews: the packed LSTM against plain Keras.

Model A on the test reviews:

- plain: `model.evaluate` on arrays padded to the sequence length, at batch 64;
- packed: this project's evaluation, batches of 256 to 1,024 reviews sorted by length,
  with the packed LSTM;
- stock, with `--stock`: batches of 256, trimmed, with Keras's own LSTM.

    python benchmarks/speed/evaluation.py --data-dir DIR
"""

from __future__ import annotations

from row import Row, drawn, measure_case, positive, row_parser


def main() -> None:
    parser = row_parser(__doc__)
    parser.add_argument("--reviews", type=positive, default=25_000)
    parser.add_argument("--units", type=positive, default=100)
    parser.add_argument("--lengths", type=positive, nargs="+", default=[200, 500])
    parser.add_argument("--stock", action="store_true", help="Keras's own LSTM too")
    arguments = parser.parse_args()
    row = Row("evaluation", arguments)
    dataset = row.load()
    reviews = drawn(dataset.test, arguments.reviews)
    cases = []
    for sequence_length in arguments.lengths:
        row.peak()
        cases.append(
            measure_case(
                reviews,
                dataset.n_classes,
                "A",
                {"units": arguments.units, "sequence_length": sequence_length},
                rounds=arguments.rounds,
                training=False,
                with_stock=arguments.stock,
            )
        )
    row.write(dataset.name, {"cases": cases})


if __name__ == "__main__":
    main()
