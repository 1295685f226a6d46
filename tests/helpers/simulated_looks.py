"""Simulate verdicts look by look: `python tests/helpers/simulated_looks.py` prints.

Differences are in standard deviations of the paired difference over seeds. The
comparisons of a family share their first member, as a winner's do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special
from scipy.optimize import brentq

LOOKS = (5, 10, 15, 20, 25, 30)
Levels = Callable[[float], np.ndarray]


def equal(alpha: float, looks: Sequence[int] = LOOKS) -> np.ndarray:
    """Share the level equally: what `lstm_bench.analysis.looks` does."""
    return np.full(len(looks), alpha / len(looks))


def not_corrected(alpha: float) -> np.ndarray:
    return np.full(len(LOOKS), alpha)


def last_alone(alpha: float) -> np.ndarray:
    return np.array([0.0] * (len(LOOKS) - 1) + [alpha])


def lan_demets(alpha: float) -> np.ndarray:
    """Nominal levels for Pocock's spending function, exact for a Brownian motion."""
    times = np.array(LOOKS) / LOOKS[-1]
    spent = np.diff([0.0, *(alpha * np.log(1 + (math.e - 1) * times))])
    levels, at, density, before = [], np.zeros(1), np.ones(1), 0.0
    for time, share in zip(times, spent, strict=True):
        step = math.sqrt(time - before)
        weights = density if len(at) == 1 else density * (at[1] - at[0])

        def crossed(z, at=at, weights=weights, step=step, time=time):
            bound = z * math.sqrt(time)
            beyond = special.ndtr((-bound - at) / step)
            beyond += special.ndtr((at - bound) / step)
            return float(np.sum(weights * beyond))

        z = brentq(lambda z, crossed=crossed, share=share: crossed(z) - share, 0.5, 9)
        levels.append(2 * special.ndtr(-z))
        inside = np.linspace(-z, z, 1001) * math.sqrt(time)
        moves = (inside - at[:, np.newaxis]) / step
        density = weights @ (np.exp(-(moves**2) / 2) / (step * math.sqrt(2 * math.pi)))
        at, before = inside, time
    return np.array(levels)


def normal_families(
    n_families: int, effects: Sequence[float], seed: int, n: int = LOOKS[-1]
) -> np.ndarray:
    """Return differences of shape (n_families, n_seeds, n_comparisons)."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n_families, n, 1))
    others = rng.normal(size=(n_families, n, len(effects)))
    return (first - others) / math.sqrt(2) + np.asarray(effects)


def families_of_a_winner(n_families: int, seed: int) -> np.ndarray:
    """Return differences to the best on validation of four equal configurations.

    It is chosen over the seeds of the first look, whose scores on validation and on
    test have a correlation of 0.5.
    """
    rng = np.random.default_rng(seed)
    test = rng.normal(size=(n_families, LOOKS[-1], 4))
    noise = rng.normal(size=(n_families, LOOKS[0], 4))
    val = test[:, : LOOKS[0]] / 2 + noise * math.sqrt(3 / 4)
    order = np.argsort(-val.mean(axis=1), axis=1)
    sorted_test = np.take_along_axis(test, order[:, np.newaxis], axis=2)
    return sorted_test[:, :, :1] - sorted_test[:, :, 1:]


def verdicts(
    differences: np.ndarray,
    margin: float,
    levels: Levels = equal,
    looks: Sequence[int] = LOOKS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return verdicts and numbers of seeds, each of shape (n_families, n_comparisons).

    1: better, -1: worse, 2: equivalent, 0: undecided.
    """
    n_families, _, m = differences.shape
    local = [levels(0.05 / n) for n in range(1, m + 1)]
    said = np.zeros((n_families, m), int)
    n_used = np.full((n_families, m), looks[-1])
    rows = np.arange(n_families)
    for look, n in enumerate(looks):
        first = differences[:, :n]
        mean = first.mean(axis=1)
        error = first.std(axis=1, ddof=1) / math.sqrt(n)
        inside = (margin - np.abs(mean)) / error
        p_beyond = np.minimum(1.0, 2 * special.stdtr(n - 1, inside))
        p_equivalence = special.stdtr(n - 1, -inside)
        at_look = np.array([each[look] for each in local])
        now = np.zeros_like(said)
        for p, rejected, new in (
            (p_equivalence if margin else np.ones_like(p_beyond), said == 2, 2),
            (p_beyond, np.abs(said) == 1, np.sign(mean).astype(int)),
        ):
            p = np.where(said == 0, p, 1.0)
            order, n_left = np.argsort(p, axis=1), m - rejected.sum(axis=1)
            goes_on = np.ones(n_families, bool)
            for step in range(m):
                column = order[:, step]
                goes_on &= n_left - step > 0
                level = at_look[np.maximum(n_left - step, 1) - 1]
                goes_on &= p[rows, column] < level
                hits = rows[goes_on], column[goes_on]
                now[hits] = new if np.isscalar(new) else new[hits]
        settled = (said == 0) & (now != 0)
        n_used[settled], said[settled] = n, now[settled]
    return said, n_used


def main() -> None:
    n = 100_000
    methods = {
        "equal shares": equal,
        "Lan-DeMets": lan_demets,
        "not corrected": not_corrected,
        "30 seeds": last_alone,
    }
    print("families with a false better or worse, in %")
    for name, levels in methods.items():
        shares = [
            (verdicts(normal_families(n, [0.0] * m, m), 0.0, levels)[0] != 0).any(1)
            for m in (1, 3, 6)
        ]
        chosen = verdicts(families_of_a_winner(n, 9), 0.0, levels)[0] != 0
        edge = verdicts(normal_families(n, [1.0] * 3, 3), 1.0, levels)[0] == 2
        each = [100 * one.mean() for one in (*shares, chosen.any(1), edge.any(1))]
        print(f"{name:14}", *(f"{one:6.2f}" for one in each))
    five = verdicts(families_of_a_winner(n, 9), 0.0, lambda a: np.array([a]), (5,))[0]
    print(f"winner, five seeds once: {100 * (five != 0).any(1).mean():.2f}")
    print("mean seeds of a comparison (and share settled, %), one and three a family")
    for effect, margin in ((0.5, 0), (1, 0), (2, 0), (0, 1), (0, 2), (0.5, 1), (3, 1)):
        print(f"effect {effect}, margin {margin}")
        for name, levels in methods.items():
            cells = []
            for m in (1, 3):
                data = normal_families(20_000, [effect] * m, m)
                said, n_used = verdicts(data, margin, levels)
                cells.append(f"{n_used.mean():5.1f} ({100 * (said != 0).mean():3.0f})")
            print(f"  {name:14}", *cells)


if __name__ == "__main__":
    main()
