"""Timing of functions in pairs: each round follows one of a reference, so that a busy machine slows down both."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from labcheck.engine import environment

ROUNDS = 5


def times_faster(
    benchmark: Any,
    function: Callable[[], Any],
    reference: Callable[[], Any],
    *,
    models: int = 1,
    device: str = "cpu",
    precision: str = "float32",
) -> str:
    """Measure how many times as fast as a reference a function is, in CPU time.

    The median of the ratios, their range, and the fingerprint of the environment are also stored in `extra_info`.

    Args:
        benchmark: The fixture of pytest-benchmark.
        function: The function to measure.
        reference: The function to compare with.
        models: The number of models that `function` trains while `reference` trains one.
        device: The device of the fingerprint.
        precision: The precision of the fingerprint, as labs name it.

    Returns:
        A text with the median ratio of the rounds and its range, such as "2.00 times as fast (1.90 to 2.10)".
    """
    seconds: list[float] = []

    def run_reference() -> None:
        start = time.process_time()
        reference()
        seconds.append(time.process_time() - start)

    benchmark.pedantic(function, setup=run_reference, rounds=ROUNDS, warmup_rounds=1)
    pairs = zip(seconds[-ROUNDS:], benchmark.stats.stats.data, strict=True)
    ratios = [models * reference_seconds / function_seconds for reference_seconds, function_seconds in pairs]
    ratio, interval = statistics.median(ratios), [min(ratios), max(ratios)]
    benchmark.extra_info.update({"times": ratio, "times_range": interval, **environment.fingerprint(device, precision)})
    return f"{ratio:.2f} times as fast ({interval[0]:.2f} to {interval[1]:.2f})"
