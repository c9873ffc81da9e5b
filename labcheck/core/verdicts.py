"""The verdict rules: from "holds in k of n seeds", or from a printed number among those of n seeds, to a verdict.

A reader who reruns a claim's arms with another seed sees its relation hold with some unknown probability. Its bounds
are those of Clopper and Pearson (1934), which are valid for any sample size; 3/4 is the threshold that Bouthillier et
al. (2021) recommend for a difference that matters.

A printed number is judged as one more draw from the distribution of our seeds (conformal prediction; Vovk, Gammerman
and Shafer 2005): if it is one, each of its n + 1 possible ranks is equally likely, whatever the distribution is.
"""

import math
from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import scipy

CHANCE = 1 / 2
REQUIRED_FRACTION = 3 / 4
ERROR_RATE = 0.05
MAX_SEEDS = 10_000
EXACT_ERROR_RATE = Fraction(str(ERROR_RATE))
"""ERROR_RATE as a fraction: a number outside all of 40 m - 1 seeds has a p-value of exactly its m-th part."""
MIN_SEEDS_FOR_A_NUMBER = 19
"""The fewest seeds among which a printed number can be extreme at the 5 % level on one side."""


class Verdict(StrEnum):
    """The three verdicts, from best to worst."""

    REPRODUCED = "REPRODUCED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_REPRODUCED = "NOT_REPRODUCED"

    def contradicts(self, other: "Verdict") -> bool:
        """Return whether one verdict is REPRODUCED and the other NOT_REPRODUCED."""
        return {self, other} == {Verdict.REPRODUCED, Verdict.NOT_REPRODUCED}


@dataclass(frozen=True)
class Judgment:
    """The verdict on one relation, with its evidence.

    Attributes:
        verdict: The verdict.
        tag: For NOT_REPRODUCED "reversed", "no effect" or "weak"; otherwise empty.
        holds: The number of seeds in which the relation holds.
        ties: The number of seeds in which it is a tie.
        n: The number of seeds.
        lower: The lower bound of the fraction of all seeds in which it holds.
        upper: The upper bound of that fraction.
    """

    verdict: Verdict
    tag: str
    holds: int
    ties: int
    n: int
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.verdict}{self.tag and f' ({self.tag})'}: holds in {self.holds} of {self.n} seeds" + (
            f", {self.ties} ties" if self.ties else ""
        )


def lower_bound(k: float, n: float, error: float) -> float:
    """Return the one-sided lower Clopper-Pearson bound of the fraction k / n at confidence 1 − error.

    Counts need not be whole; the bound is continuous in k and n.
    """
    return float(scipy.special.betaincinv(k, n - k + 1, error)) if k else 0.0


def upper_bound(k: float, n: float, error: float) -> float:
    """Return the one-sided upper Clopper-Pearson bound of the fraction k / n at confidence 1 − error."""
    return 1 - lower_bound(n - k, n, error)


def judge(holds: int, ties: int, n: int, relations: int = 1) -> Judgment:
    """Judge one of a claim's relations.

    A tie counts as failing in the lower bound and as holding in the upper one. A claim is NOT_REPRODUCED as soon as one
    of its relations is, so the upper bound divides its error rate by their number.

    Args:
        holds: The number of seeds in which the relation holds.
        ties: The number of seeds in which it is a tie.
        n: The number of seeds.
        relations: The number of relations that the claim has.

    Raises:
        ValueError: The counts are impossible.
    """
    if not (n > 0 and relations > 0 and min(holds, ties) >= 0 and holds + ties <= n):
        raise ValueError(f"impossible counts: {holds} holds and {ties} ties in {n} seeds, {relations} relations")
    lower = lower_bound(holds, n, ERROR_RATE)
    upper = upper_bound(holds + ties, n, ERROR_RATE / relations)
    verdict, tag = Verdict.INCONCLUSIVE, ""
    if lower > CHANCE and holds / n >= REQUIRED_FRACTION:
        verdict = Verdict.REPRODUCED
    elif upper < REQUIRED_FRACTION:
        verdict = Verdict.NOT_REPRODUCED
        tag = "reversed" if upper < CHANCE else "weak" if lower > CHANCE else "no effect"
    return Judgment(verdict, tag, holds, ties, n, lower, upper)


def seeds_to_decide(judgment: Judgment, relations: int = 1) -> int | None:
    """Return the number of seeds that would probably decide an INCONCLUSIVE relation.

    It is the smallest number that decides it if its fractions stay exactly as they are; None if it is decided already,
    or if MAX_SEEDS would not suffice.
    """
    if judgment.verdict is not Verdict.INCONCLUSIVE:
        return None
    holds, holds_or_ties = judgment.holds / judgment.n, (judgment.holds + judgment.ties) / judgment.n

    def decided(n: int) -> bool:
        reproduced = holds >= REQUIRED_FRACTION and lower_bound(holds * n, n, ERROR_RATE) > CHANCE
        return reproduced or upper_bound(holds_or_ties * n, n, ERROR_RATE / relations) < REQUIRED_FRACTION

    # with more seeds either bound comes closer to its fraction, so what is decided stays decided
    n = 1 + bisect(range(1, MAX_SEEDS + 1), False, key=decided)
    return n if n <= MAX_SEEDS else None


@dataclass(frozen=True)
class NumberJudgment:
    """The verdict on a printed number, with its evidence.

    Attributes:
        verdict: The verdict.
        tag: For NOT_REPRODUCED "too low" or "too high", the printed number compared with our seeds; otherwise empty.
        below: The number of seeds whose value is smaller than the printed one.
        equal: The number of seeds whose value equals it.
        n: The number of seeds.
        p: The two-sided p-value of the hypothesis that the report's run is one more seed.
    """

    verdict: Verdict
    tag: str
    below: int
    equal: int
    n: int
    p: float


def judge_number(below: int, equal: int, n: int, relations: int = 1) -> NumberJudgment:
    """Judge a printed number among the values of n seeds; equal values count half on each side.

    Args:
        below: The number of seeds whose value is smaller than the printed one.
        equal: The number of seeds whose value equals it.
        n: The number of seeds.
        relations: The number of relations that the claim has, by which the error rate is divided.

    Raises:
        ValueError: The counts are impossible.
    """
    if not (n > 0 and relations > 0 and min(below, equal) >= 0 and below + equal <= n):
        raise ValueError(f"impossible counts: {below} below and {equal} equal in {n} seeds, {relations} relations")
    low, high = 2 * below + equal, 2 * (n - below) - equal  # twice the number of seeds on either side
    outside = min(2 + min(low, high), n + 1)
    p = outside / (n + 1)
    verdict, tag = Verdict.INCONCLUSIVE, ""
    if Fraction(outside, n + 1) <= EXACT_ERROR_RATE / relations:
        verdict, tag = Verdict.NOT_REPRODUCED, "too low" if low < high else "too high"
    elif p > ERROR_RATE and n >= MIN_SEEDS_FOR_A_NUMBER:
        verdict = Verdict.REPRODUCED
    return NumberJudgment(verdict, tag, below, equal, n, p)


def seeds_for_a_number(judgment: NumberJudgment, relations: int = 1) -> int | None:
    """Return the number of seeds that would decide an INCONCLUSIVE number if its place among them stays the same.

    It is None if the number is decided already, or if its place would not decide it within MAX_SEEDS.
    """
    if judgment.verdict is not Verdict.INCONCLUSIVE:
        return None
    if judgment.n < MIN_SEEDS_FOR_A_NUMBER:
        return MIN_SEEDS_FOR_A_NUMBER
    low = 2 * judgment.below + judgment.equal
    share = Fraction(min(low, 2 * judgment.n - low), judgment.n)
    rate = EXACT_ERROR_RATE / relations
    if share >= rate:
        return None
    n = math.ceil((2 - rate) / (rate - share))  # the smallest with 2 + share · n ≤ rate · (n + 1)
    return n if n <= MAX_SEEDS else None


def tally(judged: Mapping[str, Any]) -> str:
    """Return the evidence for a judged relation of a report or baseline: "17/20", or "p=0.34" for a printed number."""
    return f"{judged['holds']}/{judged['n']}" if "holds" in judged else f"p={judged['p']:.2g}"


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on a claim: REPRODUCED if all its relations are, NOT_REPRODUCED if any is."""
    return max(verdicts, key=list(Verdict).index)
