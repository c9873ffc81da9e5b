"""Timing beside a reference: every round is preceded by one of it, so that a noisy machine slows both."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from labcheck.engine import environment

ROUNDS = 5


def times_faster(
    benchmark: Any,
    own: Callable[[], Any],
    reference: Callable[[], Any],
    *,
    models: int = 1,
    device: str = "cpu",
    precision: str = "float32",
) -> str:
    """CPU seconds of `reference` by those of `own`: the median of the rounds, with their range, in words.

    The median, the range and what was measured on are left in `extra_info`.

    Args:
        models: how many `own` trains where `reference` trains one.
        precision: that of a lab.
    """
    seconds: list[float] = []

    def before() -> None:
        start = time.process_time()
        reference()
        seconds.append(time.process_time() - start)

    benchmark.pedantic(own, setup=before, rounds=ROUNDS, warmup_rounds=1)
    ratios = [
        models * theirs / ours for theirs, ours in zip(seconds[-ROUNDS:], benchmark.stats.stats.data, strict=True)
    ]
    ratio, interval = statistics.median(ratios), [min(ratios), max(ratios)]
    benchmark.extra_info.update({"times": ratio, "times_range": interval, **environment.fingerprint(device, precision)})
    return f"{ratio:.2f} times as fast ({interval[0]:.2f} to {interval[1]:.2f})"
