"""Have the per-seed values of an arm moved? Between environments that round differently, only distributions can tell.

Non-finite values are counted and compared by Fisher's exact test; the finite ones by the rank-sum test of Wilcoxon
(1945) and of Mann and Whitney, ties included, exact where that is affordable. Ranks are the same on a log scale, and
neither heavy tails nor rounding disturb them.
"""

from functools import cache

import numpy as np
import scipy  # whose parts it imports when they are needed, which takes a second and is seldom

from labcheck.core.metrics import Floats

FALSE_ALARMS = 0.001
ENOUGH = 10
EXACT_UP_TO = 40 * 40
AFFORDABLE = 100_000_000  # operations of the exact test: a quarter of a second


def rank_sum_p(a: Floats, b: Floats) -> float:
    """The two-sided p-value of the hypothesis that a (n,) and b (m,) are draws of one distribution."""
    a, b = sorted((a, b), key=len)
    n, m = len(a), len(b)
    if not n:
        return 1.0
    ranks = scipy.stats.rankdata(np.concatenate([a, b]))
    limit = np.inf if n * m <= EXACT_UP_TO else AFFORDABLE if m >= 2 * n else 0
    exact = _exact_p(ranks, n, limit)
    return _normal_p(ranks, n) if exact is None else exact


def _exact_p(ranks: Floats, n: int, limit: float) -> float | None:
    """Of the first n of these ranks (N,), among all choices of n; None if that takes more operations than the limit.

    Samples of unlike size, for whose rare ties the normal approximation fails, are what it is for. Ranks are counted
    from the most frequent one, so that of many ties few are left to choose from.
    """
    values, counts = np.unique(ranks, return_counts=True)
    steps = np.rint(2 * (ranks - values[counts.argmax()])).astype(int)  # midranks are halves
    steps //= max(np.gcd.reduce(steps), 1)
    moving = np.sort(steps[steps != 0])
    most = min(n, len(moving))
    lowest, highest = moving[:most].clip(max=0).sum(), moving[len(moving) - most :].clip(min=0).sum()
    width = int(highest - lowest) + 1
    if len(moving) * most * width > limit:
        return None
    # Row j: how the sum of j of the first k of these steps is distributed, its negative part at the end.
    shares = np.zeros((most + 1, width))
    shares[0, 0] = 1
    for k, step in enumerate(moving, 1):
        top = min(k, most)
        last = np.arange(1, top + 1)[:, None] / k  # how often the kth is among the j
        with_it = last * np.roll(shares[:top], step, axis=1)
        shares[1 : top + 1] *= 1 - last
        shares[1 : top + 1] += with_it
    sums = np.arange(width)
    sums[highest + 1 :] -= width
    expected = n * steps.mean()
    far = np.abs(sums - expected) >= abs(steps[:n].sum() - expected) - 1e-9
    chosen = scipy.stats.hypergeom.pmf(np.arange(most + 1), len(ranks), len(moving), n)
    return float(chosen @ shares[:, far].sum(1))


def _normal_p(ranks: Floats, n: int) -> float:
    """Of the first n of these ranks, by the normal approximation, corrected for ties and for continuity."""
    size = len(ranks)
    variance = n * (size - n) * ranks.var() / (size - 1)
    distance = abs(ranks[:n].sum() - n * (size + 1) / 2)
    return float(2 * scipy.special.ndtr(-max(distance - 0.5, 0) / variance**0.5)) if variance else 1.0


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
