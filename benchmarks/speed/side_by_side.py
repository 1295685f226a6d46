"""Compare both engines along a whole training, not only at its start.

Model A is trained by one engine. Before each step the other gets all its weights and
Adam's averages, and takes the same step. Printed are the steps with the largest
difference of the loss, and of the gradient relative to its largest value (of that
weight's): what rounding makes of gradients that have exploded stands out there.

    python benchmarks/speed/side_by_side.py --data-dir DIR --seed 2
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from row import (
    SEED,
    Row,
    add_training_options,
    drawn,
    held_out,
    row_parser,
    seeded_model,
    trained_config,
)

from lstm_bench.seeding import derive_rng
from lstm_bench.suites.engines import PACKED, STOCK
from lstm_bench.training.batches import take_batch, training_batches
from lstm_bench.training.loop import Encoded, Steps

SHOWN = 10


@dataclass(frozen=True)
class Step:
    """What both engines made of one step.

    Attributes
    ----------
    loss, other_loss : float
        Of the engine that trains, and of the other.
    difference : float
        Of the gradients, relative to the largest of the same weight.
    largest : float
        Of all gradients.
    """

    number: int
    epoch: int
    loss: float
    other_loss: float
    difference: float
    largest: float


def gradients(steps: Steps, before: list[Any]) -> list[Any]:
    """Return the gradients of the step just taken, out of Adam's first average."""
    optimizer = steps.model.optimizer
    names = [variable.path for variable in optimizer.variables]
    beta = optimizer.beta_1
    n_weights = len(before) - len(names)
    pairs = zip(names, steps.variables()[n_weights:], before[n_weights:], strict=True)
    return [
        (new.astype(float) - beta * old.astype(float)) / (1 - beta)
        for name, new, old in pairs
        if name.endswith("_momentum")
    ]


def show(found: list[Step]) -> None:
    """Print how far apart the engines were, and the steps that stand out."""
    differences = [step.difference for step in found]
    apart = max(abs(step.loss - step.other_loss) / step.other_loss for step in found)
    print(
        f"\n{len(found)} steps; losses differ by {apart:.1e} at most, gradients by "
        f"{np.median(differences):.1e} of the largest in the median step, "
        f"{max(differences):.1e} at most\n"
    )
    print("step  epoch  loss      of the other  gradient differs by  largest gradient")
    worst = sorted(found, key=lambda step: -step.difference)[:SHOWN]
    exploded = sorted(found, key=lambda step: -step.largest)[:SHOWN]
    for step in sorted({*worst, *exploded}, key=lambda step: step.number):
        print(
            f"{step.number:4}  {step.epoch:5}  {step.loss:.6f}  {step.other_loss:.6f}"
            f"      {step.difference:.1e}              {step.largest:.1e}"
        )


def main() -> None:
    parser = row_parser(__doc__, rounds=None)
    parser.add_argument("--seed", type=int, default=0, help="as in seeds.py")
    parser.add_argument("--leader", choices=(PACKED, STOCK), default=PACKED)
    add_training_options(parser, epochs=3)
    arguments = parser.parse_args()
    row = Row("side_by_side", arguments)
    dataset = row.load()
    config = trained_config("A", arguments)
    reviews = held_out(drawn(dataset.train, arguments.reviews))["train"]
    train = Encoded.of(reviews, config, dataset.n_classes)
    leader, other = (
        Steps(seeded_model(config, dataset.n_classes, arguments.seed), config, engine)
        for engine in sorted((PACKED, STOCK), key=lambda e: e != arguments.leader)
    )
    rng = derive_rng(SEED, "order", arguments.seed)
    found: list[Step] = []
    for epoch in range(1, config.max_epochs + 1):
        for index in training_batches(train.lengths, config, rng):
            x = take_batch(train.x, train.lengths, index, config)
            before = leader.variables()
            other.set_variables(before)
            losses, taken = [], []
            for each in (leader, other):
                losses.append(float(each.train_step(x, train.targets[index])[0]))
                taken.append(gradients(each, before))
            difference = max(
                float(np.abs(a - b).max() / np.abs(b).max())
                for a, b in zip(*taken, strict=True)
            )
            largest = max(float(np.abs(b).max()) for b in taken[1])
            number = len(found) + 1
            found.append(Step(number, epoch, *losses, difference, largest))
            if len(found) % 100 == 0:
                print(f"{len(found)} steps, loss {losses[0]:.4f}", flush=True)
    show(found)


if __name__ == "__main__":
    main()
