"""The drift rule between environments: whether the distribution of an arm's per-seed values has shifted.

Environments that round differently give different values for the same seed, so only distributions can be compared.
The numbers of non-finite values are compared by Fisher's exact test, the finite values by the rank-sum test of Wilcoxon
(1945) and of Mann and Whitney, ties included, exactly where that is affordable. Ranks are the same on a log scale, and
heavy tails and rounding do not affect them.
"""

from functools import cache

import numpy as np
import scipy  # imports its submodules lazily, which takes a second and is rarely needed

from labcheck.core.trials import Floats

FALSE_ALARM_RATE = 0.001
MIN_SEEDS = 10
"""The fewest seeds with which a shift of 3 standard deviations is detected in at least 95 % of cases."""
ALWAYS_EXACT = 40 * 40
"""The product of the sample sizes up to which the exact test is always used."""
MAX_OPERATIONS = 100_000_000
"""The largest number of operations spent on the exact test of unequal samples, a quarter of a second."""


def rank_sum_p(a: Floats, b: Floats) -> float:
    """Return the two-sided p-value of the hypothesis that a (n,) and b (m,) are draws from one distribution."""
    a, b = sorted((a, b), key=len)
    n, m = len(a), len(b)
    if not n:
        return 1.0
    ranks = scipy.stats.rankdata(np.concatenate([a, b]))
    limit = np.inf if n * m <= ALWAYS_EXACT else MAX_OPERATIONS if m >= 2 * n else 0
    exact = _exact_p(ranks, n, limit)
    return _normal_p(ranks, n) if exact is None else exact


def _exact_p(ranks: Floats, n: int, limit: float) -> float | None:
    """Return the exact p-value of the sum of the first n of these ranks (N,) among all choices of n.

    It is None if that takes more operations than the limit. The exact test matters for samples of unequal size with
    ties, for which the normal approximation fails. Ranks are counted from the most frequent one, so that in the case of
    many ties few are left to choose from.
    """
    values, counts = np.unique(ranks, return_counts=True)
    steps = np.rint(2 * (ranks - values[counts.argmax()])).astype(int)  # midranks are halves
    steps //= max(np.gcd.reduce(steps), 1)
    moving = np.sort(steps[steps != 0])
    largest = min(n, len(moving))  # the largest number of steps other than 0 that can be among the n
    lowest, highest = moving[:largest].clip(max=0).sum(), moving[len(moving) - largest :].clip(min=0).sum()
    width = int(highest - lowest) + 1
    if len(moving) * largest * width > limit:
        return None
    # row j: the distribution of the sum of j of the first k steps, with its negative part at the end
    shares = np.zeros((largest + 1, width))
    shares[0, 0] = 1
    for k, step in enumerate(moving, 1):
        top = min(k, largest)
        last = np.arange(1, top + 1)[:, None] / k  # the probability that the kth is among the j
        with_it = last * np.roll(shares[:top], step, axis=1)
        shares[1 : top + 1] *= 1 - last
        shares[1 : top + 1] += with_it
    sums = np.arange(width)
    sums[highest + 1 :] -= width
    expected = n * steps.mean()
    far = np.abs(sums - expected) >= abs(steps[:n].sum() - expected) - 1e-9
    chosen = scipy.stats.hypergeom.pmf(np.arange(largest + 1), len(ranks), len(moving), n)
    return float(chosen @ shares[:, far].sum(1))


def _normal_p(ranks: Floats, n: int) -> float:
    """Return the p-value by the normal approximation, corrected for ties and for continuity."""
    size = len(ranks)
    variance = n * (size - n) * ranks.var() / (size - 1)
    distance = abs(ranks[:n].sum() - n * (size + 1) / 2)
    return float(2 * scipy.special.ndtr(-max(distance - 0.5, 0) / variance**0.5)) if variance else 1.0


def describe_shift(stored: Floats, current: Floats) -> str:
    """Return a description of how the distribution of a metric has shifted; "" if no shift is detected.

    Args:
        stored: The stored values of each seed, (n,).
        current: The current values of each seed, (m,).
    """
    finite = [values[np.isfinite(values)] for values in (stored, current)]
    lost = [len(values) - len(rest) for values, rest in zip((stored, current), finite, strict=True)]
    level = FALSE_ALARM_RATE / 2 if any(lost) else FALSE_ALARM_RATE  # if none is lost, only one test can raise an alarm
    table = [[lost[0], len(finite[0])], [lost[1], len(finite[1])]]
    if scipy.stats.fisher_exact(table).pvalue < level:
        return f"non-finite in {lost[1]} of {len(current)} seeds, stored {lost[0]} of {len(stored)}"
    if rank_sum_p(*finite) < level:
        return f"median {np.median(finite[1]):.4g}, stored {np.median(finite[0]):.4g}"
    return ""


@cache
def smallest_detectable_shift(stored: int, current: int) -> float:
    """Return the smallest shift, in standard deviations of normal values, that is detected in 95 % of cases.

    It is infinite if even a shift of 8 is not.

    Args:
        stored: The number of stored seeds.
        current: The number of current seeds.
    """
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(100, stored)), rng.normal(size=(100, current))
    for shift in np.arange(0.5, 8.1, 0.5):
        if sum(bool(describe_shift(x, y + shift)) for x, y in zip(a, b, strict=True)) >= 95:
            return float(shift)
    return float("inf")
