"""Find out which LSTM to use on your sequences, and believe the answer.

The names in `__all__` are for scripts and notebooks; ``docs/api.md`` shows a study.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstm_bench.api import (
        compare,
        explain,
        load_results,
        load_suite,
        predict,
        run_confirmation,
        run_sweep,
        write_report,
    )

__version__ = "0.1.0"
__all__ = [
    "compare",
    "explain",
    "load_results",
    "load_suite",
    "predict",
    "run_confirmation",
    "run_sweep",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import a public function on demand: its dependencies take seconds to import."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lstm_bench import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
