"""Compare both engines along a whole training, not only at its start.

Model A is trained by one engine. Before each step the other gets all its weights and
Adam's averages, and takes the same step. Printed are the steps with the largest
difference of the loss, and of the gradient relative to its largest value (of that
weight's): what rounding makes of gradients that have exploded stands out there.

    python benchmarks/speed/side_by_side.py --data-dir DIR --seed 2
"""

from __future__ import annotations

from typing import Any

import numpy as np
from row import (
    SEED,
    Row,
    drawn,
    held_out,
    own_config,
    positive,
    row_parser,
    seeded_model,
)

from lstm_bench.batches import take_batch, training_batches
from lstm_bench.engines import PACKED, STOCK
from lstm_bench.seeding import derive_rng
from lstm_bench.training import Encoded, Steps

BETA_1 = 0.9
SHOWN = 10
LINE = "{1:4}  {2:5}  {3:.6f}  {4:.6f}      {0:.1e}              {6:.1e}"


def gradients(steps: Steps, before: list[Any]) -> list[Any]:
    """Return the gradients of the step just taken, out of Adam's first average."""
    names = [variable.path for variable in steps.model.optimizer.variables]
    n_weights = len(before) - len(names)
    pairs = zip(names, steps.variables()[n_weights:], before[n_weights:], strict=True)
    return [
        (new.astype(float) - BETA_1 * old.astype(float)) / (1 - BETA_1)
        for name, new, old in pairs
        if name.endswith("_momentum")
    ]


def show(found: list[tuple[float, ...]]) -> None:
    """Print how far apart the engines were, in the worst steps and the middle one."""
    differences = [step[0] for step in found]
    print(
        f"\n{len(found)} steps; losses differ by {max(s[5] for s in found):.1e} at "
        f"most, gradients by {np.median(differences):.1e} of the largest in the "
        f"median step, {max(differences):.1e} at most\n"
    )
    print("step  epoch  loss      of the other  gradient differs by  largest gradient")
    worst = sorted(found, reverse=True)[:SHOWN]
    exploded = sorted(found, key=lambda step: -step[6])[:SHOWN]
    for step in sorted({*worst, *exploded}, key=lambda step: step[1]):
        print(LINE.format(*step))


def main() -> None:
    parser = row_parser(__doc__, rounds=None)
    parser.add_argument("--seed", type=int, default=0, help="as in seeds.py")
    parser.add_argument("--leader", choices=(PACKED, STOCK), default=PACKED)
    parser.add_argument("--epochs", type=positive, default=3)
    parser.add_argument("--units", type=positive, default=100)
    parser.add_argument("--length", type=positive, default=500)
    parser.add_argument("--reviews", type=positive, default=25_000)
    arguments = parser.parse_args()
    row = Row("side_by_side", arguments)
    dataset = row.load()
    config = own_config(
        "A",
        units=arguments.units,
        sequence_length=arguments.length,
        max_epochs=arguments.epochs,
    )
    reviews = held_out(drawn(dataset.train, arguments.reviews))["train"]
    train = Encoded.of(reviews, config, dataset.n_classes)
    leader, other = (
        Steps(seeded_model(config, dataset.n_classes, arguments.seed), config, engine)
        for engine in sorted((PACKED, STOCK), key=lambda e: e != arguments.leader)
    )
    rng = derive_rng(SEED, "order", arguments.seed)
    found = []
    for epoch in range(1, config.max_epochs + 1):
        for index in training_batches(train.lengths, config, rng):
            x = take_batch(train.x, train.lengths, index, config)
            before = leader.variables()
            other.set_variables(before)
            losses, steps = [], []
            for each in (leader, other):
                losses.append(float(each.train_step(x, train.targets[index])[0]))
                steps.append(gradients(each, before))
            difference = max(
                float(np.abs(a - b).max() / np.abs(b).max())
                for a, b in zip(*steps, strict=True)
            )
            largest = max(float(np.abs(b).max()) for b in steps[1])
            apart = abs(losses[0] - losses[1]) / losses[1]
            found.append((difference, len(found) + 1, epoch, *losses, apart, largest))
            if len(found) % 100 == 0:
                print(f"{len(found)} steps, loss {losses[0]:.4f}", flush=True)
    show(found)


if __name__ == "__main__":
    main()
