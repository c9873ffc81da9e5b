"""Have the per-seed values of an arm moved? Between environments that round differently, only distributions can tell.

Non-finite values are counted and compared by Fisher's exact test; the finite ones by the rank-sum test of Wilcoxon
(1945) and of Mann and Whitney, exact where it is affordable, ties included. Ranks are the same on a log scale, and
neither heavy tails nor rounding disturb them.
"""

from functools import cache

import numpy as np
import scipy  # whose parts it imports when they are needed, which takes a second and is seldom

from labcheck.metrics import Floats

FALSE_ALARMS = 0.001
ENOUGH = 10
EXACT_UP_TO = 40 * 40


def rank_sum_p(a: Floats, b: Floats) -> float:
    """The two-sided p-value of the hypothesis that a (n,) and b (m,) are draws of one distribution."""
    a, b = sorted((a, b), key=len)
    n, m = len(a), len(b)
    if not n:
        return 1.0
    ranks = scipy.stats.rankdata(np.concatenate([a, b]))
    total, mean = ranks[:n].sum(), n * (n + m + 1) / 2
    if n * m > EXACT_UP_TO and m < 2 * n:  # the normal approximation fails for ties in samples of unlike size
        variance = n * m / (n + m) * ranks.var() * (n + m) / (n + m - 1)
        return float(2 * scipy.special.ndtr(-max(abs(total - mean) - 0.5, 0) / variance**0.5)) if variance else 1.0
    # In how many ways n of the ranks sum to each total, counted in steps from the lowest; midranks are halves.
    steps = np.rint(2 * (ranks - ranks.min())).astype(int)
    steps //= max(np.gcd.reduce(steps), 1)
    ways = np.zeros((n + 1, np.sort(steps)[-n:].sum() + 1))
    ways[0, 0] = 1
    for step in steps:
        ways[1:, step:] += ways[:-1, : ways.shape[1] - step].copy()
    distance = np.abs(np.arange(ways.shape[1]) - n * steps.mean())
    return float(ways[n, distance >= distance[steps[:n].sum()] - 1e-9].sum() / ways[n].sum())


def moved(stored: Floats, today: Floats) -> str:
    """What a check of one metric finds: "" or, in words, how the distribution has moved.

    Args:
        stored, today: per-seed values, not necessarily of equally many seeds.
    """
    finite = [values[np.isfinite(values)] for values in (stored, today)]
    lost = [len(values) - len(kept) for values, kept in zip((stored, today), finite, strict=True)]
    level = FALSE_ALARMS / 2 if any(lost) else FALSE_ALARMS  # where none is lost, only one of the tests can raise it
    table = [[lost[0], len(finite[0])], [lost[1], len(finite[1])]]
    if scipy.stats.fisher_exact(table).pvalue < level:
        return f"non-finite in {lost[1]} of {len(today)} seeds, stored {lost[0]} of {len(stored)}"
    if rank_sum_p(*finite) < level:
        return f"median {np.median(finite[1]):.4g}, stored {np.median(finite[0]):.4g}"
    return ""


@cache
def smallest_shift(stored: int, today: int) -> float:
    """The shift, in standard deviations of normal values, that `moved` catches 95 times in 100; infinite if none."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(100, stored)), rng.normal(size=(100, today))
    for shift in np.arange(0.5, 8.1, 0.5):
        if sum(bool(moved(x, y + shift)) for x, y in zip(a, b, strict=True)) >= 95:
            return float(shift)
    return float("inf")
