"""A lock on an open file, released when the file is closed or its process dies."""

from __future__ import annotations

import time

RETRY_S = 0.02


def lock_within(descriptor: int, seconds: float) -> bool:
    """Lock an open file; return False if another process holds it throughout."""
    import fcntl

    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(RETRY_S)
