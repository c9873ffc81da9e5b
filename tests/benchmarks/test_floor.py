"""Benchmarks of compiled training against the least time that its matrix products need on one core.

The peak rate of a core is measured beside each round: multiply-adds of numbers that stay in registers.
"""

import statistics
import time
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest

from labcheck.engine import environment
from labcheck.nn.scratch.layers import Linear
from tests.benchmarks.pairs import ROUNDS
from tests.benchmarks.test_compiled import CASES, Case, compiled

pytest.importorskip("numba")

from llvmlite import ir  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numba import njit, types  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numba.core import cgutils  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numba.extending import intrinsic  # type: ignore[import-untyped, import-not-found, unused-ignore]

VECTORS = (16, 32, 64)
"""The numbers of bytes of a vector to try: a vector that is wider than registers becomes several of them."""
SUMS = 12
"""The number of independent sums, which hides the latency of instructions and leaves registers for two constants."""
STEPS = 20_000_000
"""The number of multiply-adds of each sum, which take about a tenth of a second."""
TOLERANCE = 3.0
"""The factor by which measured rates may differ, since other programs may share the core."""


def iterate_in_vectors(size: int) -> Any:
    """Return an intrinsic function that computes y ← a y + b repeatedly, in vectors of `size` bytes.

    Its arguments are the sums y, a and b as the rows of a matrix, (SUMS + 2, lanes), and the number of steps. Vector
    instructions are written out, in the language of LLVM, because a vectorized loop would load and store each sum in
    every step.
    """

    @intrinsic
    def iterate(typing: Any, numbers: Any, steps: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            vector, contract = ir.VectorType(ir.FloatType(), size // 4), ("contract",)
            start = builder.bitcast(array.data, vector.as_pointer())
            rows = [builder.gep(start, [ir.Constant(ir.IntType(64), row)]) for row in range(SUMS + 2)]
            *initial, a, b = (builder.load(row, align=4) for row in rows)
            sums = [cgutils.alloca_once_value(builder, value) for value in initial]
            with cgutils.for_range(builder, arguments[1]):
                for y in sums:
                    product = builder.fmul(a, builder.load(y), flags=contract)
                    builder.store(builder.fadd(product, b, flags=contract), y)
            for y, row in zip(sums, rows[:SUMS], strict=True):
                builder.store(builder.load(y), row, align=4)
            return context.get_dummy_value()

        return types.void(numbers, steps), generate

    return iterate


def multiply_adds(size: int) -> Callable[[], float]:
    """Return a function that runs multiply-adds in vectors of `size` bytes, and returns their rate in FLOP/s."""
    iterate = iterate_in_vectors(size)

    @njit
    def run(numbers: Any, steps: int) -> None:
        iterate(numbers, steps)

    def rate() -> float:
        numbers = np.zeros((SUMS + 2, size // 4), np.float32)
        numbers[SUMS:] = [[0.5], [1.0]]  # a and b, so that all sums converge to 2
        start = time.process_time()
        run(numbers, STEPS)
        seconds = time.process_time() - start
        assert (numbers[:SUMS] == 2).all()
        return 2 * numbers[:SUMS].size * STEPS / seconds

    run(np.zeros((SUMS + 2, size // 4), np.float32), 0)  # compiles it
    return rate


def product_flops(case: Case) -> int:
    """Return the FLOPs of the matrix products of an epoch of one seed.

    For each example, a layer has one product with its weights in the forward pass, and two in the backward pass: for
    the gradients of its weights and of its input. The first layer needs no gradient of its input.
    """
    forward = [2 * prod(layer.shapes[0]) for layer in case.lab.layers() if isinstance(layer, Linear)]
    return len(case.lab.splits([0])["train"]) * (3 * sum(forward) - forward[0])


@pytest.fixture(scope="module")
def peak() -> Callable[[], float]:
    """Return the function of `multiply_adds` with the vectors that suit this processor best."""
    return max(map(multiply_adds, VECTORS), key=lambda rate: max(rate() for _ in range(3)))


@pytest.mark.benchmark(group="share of the peak rate of a core", timer=time.process_time)
@pytest.mark.parametrize("group", CASES)
def test_share_of_peak(benchmark: Any, group: str, peak: Callable[[], float]) -> None:
    case, rates = CASES[group], list[float]()
    train, flops = compiled(case.lab), product_flops(case)
    benchmark.pedantic(train, (case.epochs,), setup=lambda: rates.append(peak()), rounds=ROUNDS, warmup_rounds=1)
    del rates[:-ROUNDS]  # that of the warm-up
    assert max(rates) < TOLERANCE * min(rates)
    pairs = zip(benchmark.stats.stats.data, rates, strict=True)
    shares = [flops * case.epochs / seconds / rate for seconds, rate in pairs]
    share, interval, rate = statistics.median(shares), [min(shares), max(shares)], statistics.median(rates)
    assert interval[1] < 1
    benchmark.extra_info.update({"share_of_peak": share, "share_range": interval, "peak_flops_per_second": rate})
    benchmark.extra_info.update({"flops_per_epoch": flops, **environment.fingerprint("cpu")})
    print(
        f"\n{group}: {share:.1%} ({interval[0]:.1%} to {interval[1]:.1%}) of the peak of {rate / 1e9:.1f} GFLOP/s, "
        f"{flops / 1e6:.2f} MFLOP per epoch"
    )
