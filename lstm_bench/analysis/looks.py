"""Verdicts look by look, while seeds are added until every comparison is settled.

The schedule of looks is declared before the first. Each of K looks has an equal share
of the significance level: a p-value counts K times. By Bonferroni's inequality no
dependence between the looks, and no small number of seeds, makes false verdicts more
frequent than one test would; the t test at each look is exact for normal differences.
Spending the level along a Brownian motion (Lan & DeMets 1983) is sharper, but
approximate for t statistics of a few seeds: `docs/method.md` has both, simulated.

References
----------
Pocock, "Group sequential methods in the design and analysis of clinical trials",
Biometrika 64(2), 1977. Lan & DeMets, "Discrete sequential boundaries for clinical
trials", Biometrika 70(3), 1983. Jennison & Turnbull, "Group Sequential Methods with
Applications to Clinical Trials", 2000, chapters 4 and 9. Maurer & Bretz, "Multiple
testing in group sequential trials using graphical approaches", Statistics in
Biopharmaceutical Research 5(4), 2013 (Holm's correction at every look).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lstm_bench.analysis.hypothesis_tests import (
    ALPHA,
    Judged,
    PairedComparison,
    judge,
)

NOT_JUDGED = Judged("undecided", math.nan, math.nan, None)


def settle(
    looks: Sequence[int],
    family: Sequence[Callable[[int], PairedComparison | None]],
) -> list[tuple[int, Judged]]:
    """Judge the comparisons of a family at each look, until they are settled.

    "Better", "worse" and "equivalent" settle a comparison: later looks neither test it
    again nor change it. "Identical" does where the test of equivalence is passed, too:
    on a small test set a few seeds may agree by chance. Holm's correction at a look is
    over what is not rejected yet. Within a family the probability of any false "better"
    or "worse" is at most 5 %, and so is that of any false "equivalent".

    Parameters
    ----------
    looks : sequence of int
        Numbers of replicates at the looks, increasing.
    family : sequence of callable
        For each comparison, what returns it on its first n replicates; None while not
        all of them have ended.

    Returns
    -------
    list of (int, Judged)
        For each comparison the number of the look that settled it, or else of the last
        that was taken, 0 before the first, and the verdict. A look is taken when no
        open comparison of the family lacks a replicate.
    """
    found = [(0, NOT_JUDGED)] * len(family)
    for number, n in enumerate(looks, start=1):
        still = [i for i, (_, judged) in enumerate(found) if is_open(judged)]
        compared = [one for i in still if (one := family[i](n)) is not None]
        if len(compared) < len(still):
            break
        settled = [judged.verdict for _, judged in found if not is_open(judged)]
        judged_now = judge(compared, n_looks=len(looks), settled=settled)
        for i, judged in zip(still, judged_now, strict=True):
            found[i] = number, judged
    return found


def is_open(judged: Judged) -> bool:
    """Whether a comparison is not settled."""
    if judged.verdict == "identical":
        return not judged.p_equivalence_holm < ALPHA
    return judged.verdict == "undecided"
