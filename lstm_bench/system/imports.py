"""Hide packages from an import that would only take time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Let what is imported here take these packages for not installed.

    Those that are imported already stay as they are.
    """
    hidden = [name for name in names if name not in sys.modules]
    # Python takes a module that is None for one that is not installed.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name)
