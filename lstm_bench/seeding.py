"""Derive the seed of every source of randomness from the root seed and a name."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(root: int, *labels: str | int) -> int:
    """Return a seed in [0, 2**31) that depends on the root and every label.

    Equal arguments give equal seeds on every machine and Python version;
    different labels give seeds that are unrelated for practical purposes.

    Parameters
    ----------
    root : int
        The suite's ``study.seed``.
    *labels : str or int
        The purpose of the seed, for example ``"split", replicate``.
    """
    key = "\x1f".join([str(int(root)), *(f"{type(x).__name__}:{x}" for x in labels)])
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def derive_rng(root: int, *labels: str | int) -> np.random.Generator:
    """Return a NumPy generator seeded by `derive_seed`."""
    return np.random.default_rng(derive_seed(root, *labels))
