"""Buffers that are reused at the next step, since allocating large arrays is slow.

The system provides large arrays as new pages and reclaims them when they are freed;
the first access to every page took a tenth of a training step.
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
    """Arrays whose memory is reused as soon as nothing references them.

    Only one thread at a time takes arrays: TensorFlow runs a model's operations that
    call Python one after the other.
    """

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []

    def take(self, *shape: int) -> Float32Array:
        """Return an uninitialised float32 array, aligned to a page."""
        n = math.prod(shape)
        # Nothing smaller than a page can be had, so that nothing smaller would fit.
        needed = max(n * 4, mmap.PAGESIZE)
        fitting = [m for m in self._free if needed <= len(m) < 4 * needed]
        if fitting:
            memory = min(fitting, key=len)
            self._free.remove(memory)
        else:
            step = math.ceil(math.log(needed, SIZE_STEP))
            memory = mmap.mmap(-1, math.ceil(SIZE_STEP**step))
            if hasattr(mmap, "MADV_HUGEPAGE"):
                memory.madvise(mmap.MADV_HUGEPAGE)
        array = np.frombuffer(memory, np.float32, n)
        # Views of it keep `array` alive, not only the memory: the base of a view is the
        # first array that is not itself a view of another array.
        weakref.finalize(array, self._free.append, memory)
        return array.reshape(shape)
