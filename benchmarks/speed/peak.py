"""What this machine computes at most: on registers alone, and in a matrix product.

python benchmarks/speed/peak.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from lstm_bench.models.backend import tf
from lstm_bench.packed.vectors import INT, Emitter, target_of_this_machine
from lstm_bench.system.threads import n_threads

# As many sums as hide a multiply-add's latency, and fit the registers.
N_SUMS = 12
N_REPEATS = 30_000_000
N_PRODUCT = 2048
# Of which the fastest counts: what else runs just then is no limit of the machine.
N_MEASURED = 9


@intrinsic
def _multiply_add(context: Any, n: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.FloatType(), [INT])
        function = ir.Function(builder.module, kind, "lstm_bench_peak")
        function.attributes.add("noinline")
        inner = ir.IRBuilder(function.append_basic_block("entry"))
        e = Emitter(inner, target_of_this_machine().width)
        sums = [e.variable(e.constant(0.1 * i)) for i in range(N_SUMS)]
        with e.loop(function.args[0]):
            for place in sums:
                value = e.multiply_add(
                    e.value(place), e.constant(0.999), e.constant(0.1)
                )
                inner.store(value, place)
        total = e.value(sums[0])
        for place in sums[1:]:
            total = inner.fadd(total, e.value(place))
        first = inner.extract_element(total, ir.Constant(ir.IntType(32), 0))
        inner.ret(first)
        return builder.call(function, [values[0]])

    return types.float32(types.int64), generate


@numba.njit(types.float32(types.int64), nogil=True)
def _work(n: int) -> float:
    return _multiply_add(n)


def fma_gflops(n_threads: int) -> float:
    """Return 10^9 multiplications and additions a second, of all threads together."""
    _work(1000)
    with ThreadPoolExecutor(n_threads) as pool:
        seconds = fastest(lambda: list(pool.map(_work, [N_REPEATS] * n_threads)))
    width = target_of_this_machine().width
    return 2e-9 * width * N_SUMS * N_REPEATS * n_threads / seconds


def gemm_gflops() -> float:
    """Return 10^9 operations a second in TensorFlow's product of large matrices."""
    square = tf.random.normal((N_PRODUCT, N_PRODUCT))
    multiply = tf.function(lambda: tf.matmul(square, square))
    multiply().numpy()
    return 2e-9 * N_PRODUCT**3 / fastest(lambda: multiply().numpy())


def fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of several calls."""
    seconds = []
    for _ in range(N_MEASURED):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure_peak() -> dict[str, float]:
    """Return both, as the machine is just now."""
    return {"fma_gflops": fma_gflops(n_threads()), "gemm_gflops": gemm_gflops()}


def main() -> None:
    peak = measure_peak()
    print(
        f"{peak['fma_gflops']:.0f} GFLOP/s in multiply-adds on registers, "
        f"{peak['gemm_gflops']:.0f} in a product of {N_PRODUCT} x {N_PRODUCT} "
        f"matrices, {n_threads()} threads, {target_of_this_machine().width} lanes"
    )


if __name__ == "__main__":
    main()
