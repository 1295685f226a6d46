"""Memory that is used again at the next step, as an allocation of this size is slow.

The system hands out large arrays as fresh pages and takes them back when they are
freed; touching every page for the first time took a tenth of a training step.
"""

from __future__ import annotations

import math
import mmap
import weakref

import numpy as np

from lstm_bench.arrays import Float32Array

SIZE_STEP = 1.25
"""Sizes are rounded up to a power of it, so that batches of other lengths fit."""


class Buffers:
    """Arrays whose memory comes back by itself once nobody holds them.

    One thread at a time takes some: TensorFlow runs a model's operations that call
    Python one after the other.
    """

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []

    def take(self, *shape: int) -> Float32Array:
        """Return a float32 array with anything in it, aligned to a page."""
        n = math.prod(shape)
        needed = max(1, n) * 4
        fitting = [m for m in self._free if needed <= len(m) < 4 * needed]
        if fitting:
            memory = min(fitting, key=len)
            self._free.remove(memory)
        else:
            step = math.ceil(math.log(max(needed, mmap.PAGESIZE), SIZE_STEP))
            memory = mmap.mmap(-1, math.ceil(SIZE_STEP**step))
            if hasattr(mmap, "MADV_HUGEPAGE"):
                memory.madvise(mmap.MADV_HUGEPAGE)
        array = np.frombuffer(memory, np.float32, n)
        # Views of it keep `array` alive, not only the memory: NumPy looks through
        # arrays that are views, and stops at one that is of something else.
        weakref.finalize(array, self._free.append, memory)
        return array.reshape(shape)
