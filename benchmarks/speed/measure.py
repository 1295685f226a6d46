"""What the speed benchmarks share: interleaved rounds, ratios, the machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lstm_bench.system.environment import describe_environment

VECTOR_FLAGS = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve")


@dataclass(frozen=True)
class Ended:
    """The result of a call that returned later than its work had ended.

    Attributes
    ----------
    at : float
        Of `time.perf_counter`, in seconds.
    """

    at: float
    value: float


def interleave(
    variants: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Run every variant once per round, in turn; return seconds by variant.

    The order alternates, so that neither variant always runs on the caches, or in
    the noise, that the other left behind. A variant that returns an `Ended` is timed
    until then.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds):
        names = list(variants) if number % 2 == 0 else list(variants)[::-1]
        for name in names:
            start = time.perf_counter()
            found = variants[name]()
            end = found.at if isinstance(found, Ended) else time.perf_counter()
            seconds[name].append(end - start)
    return seconds


def spread(values: list[float]) -> str:
    return (
        f"median {statistics.median(values):.3f} "
        f"(min {min(values):.3f}, max {max(values):.3f}, n = {len(values)})"
    )


def cpu_flags() -> list[str]:
    """Return the vector instructions of the processor (Linux)."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for line in lines:
        if line.startswith(("flags", "Features")):
            flags = line.partition(":")[2].split()
            return sorted(flag for flag in flags if flag.startswith(VECTOR_FLAGS))
    return []


def print_machine() -> None:
    about = describe_environment()
    packages = about["packages"]
    print(
        f"{about['cpu_model']}, {about['n_cores']} cores, {about['os']}, "
        f"Python {about['python']}, TensorFlow {packages['tensorflow']}, "
        f"Keras {packages['keras']}"
    )


def print_ratios(
    seconds: Mapping[str, list[float]], baseline: str, unit: str = "s"
) -> None:
    """Print each variant's seconds, and the baseline's time over its, by round."""
    for name, values in seconds.items():
        print(f"{name:32} {spread(values)} {unit}")
    for name, values in seconds.items():
        if name != baseline:
            ratios = [b / v for b, v in zip(seconds[baseline], values, strict=True)]
            best = min(seconds[baseline]) / min(values)
            print(
                f"{baseline} / {name}: {spread(ratios)} times as fast by round, "
                f"{best:.3f} fastest against fastest"
            )
