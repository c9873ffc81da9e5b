"""The verdict rules: from "holds in k of n seeds", or from a printed number among those of n seeds, to a verdict.

A reader who reruns a claim's arms with another seed sees its relation hold with some unknown probability p. The
evidence for a relation is the likelihood ratio of p = 3/4 against p = 1/2, and the evidence against it is the inverse
ratio. By Ville's inequality (1939), a ratio of 20 appears with a probability of at most 1/20 if the other hypothesis is
true, however often one looks; so seeds can be added until a relation is decided (Wald 1945). 3/4 is the threshold that
Bouthillier et al. (2021) recommend for a difference that matters.

A printed number is judged as one more draw from the distribution of our seeds (conformal prediction; Vovk, Gammerman
and Shafer 2005): if it is one, each of its n + 1 possible ranks is equally likely, whatever the distribution is.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import scipy

CHANCE = 1 / 2
REQUIRED_FRACTION = 3 / 4
ERROR_RATE = 0.05
MIN_SEEDS = 8
"""The fewest seeds with which a relation can be reproduced: 3^8 / 2^8 is above 20, and 3^7 / 2^7 is not."""
MAX_SEEDS = 10_000
EXACT_ERROR_RATE = Fraction(str(ERROR_RATE))
"""ERROR_RATE as a fraction: a number outside all of 40 m - 1 seeds has a p-value of exactly its m-th part."""
NEEDED = int(1 / EXACT_ERROR_RATE)
"""The evidence that decides, 20."""
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
        tag: For NOT_REPRODUCED "reversed", "no effect" or "weak"; for REPRODUCED "weak" or empty; otherwise empty.
        holds: The number of seeds in which the relation holds.
        ties: The number of seeds in which it is a tie.
        n: The number of seeds.
        log10_for: The decimal logarithm of the evidence for the relation.
        log10_against: The decimal logarithm of the evidence against it.
        lower: The lower end of the 95 % confidence sequence for the fraction of all seeds in which it holds.
        upper: The upper end.
    """

    verdict: Verdict
    tag: str
    holds: int
    ties: int
    n: int
    log10_for: float
    log10_against: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.verdict}{self.tag and f' ({self.tag})'}: holds in {self.holds} of {self.n} seeds" + (
            f", {self.ties} ties" if self.ties else ""
        )


def lower_end(k: int, n: int) -> float:
    """Return the lower end of the 95 % confidence sequence for a fraction, given k successes in n draws.

    The sequence (Robbins 1970) contains every fraction p against which the mixture of all fractions has evidence below
    20, B(1 + k, 1 + n − k) / (p^k (1 − p)^(n − k)) < 20, where B is the beta function. It covers the true fraction at
    all n at once with a probability of at least 95 %.
    """
    if not k:
        return 0.0
    needed = math.log(NEEDED) - float(scipy.special.betaln(1 + k, 1 + n - k))

    def excess(p: float) -> float:
        return -k * math.log(p) - (n - k) * math.log1p(-p) - needed

    # the evidence against p decreases up to p = k / n, where it is at most 1; the search ends slightly below, at
    # k / (n + 1), since k / n may be 1, at which log1p(-p) is infinite
    return float(scipy.optimize.brentq(excess, 1e-300, k / (n + 1)))


def upper_end(k: int, n: int) -> float:
    """Return the upper end of the 95 % confidence sequence for a fraction, given k successes in n draws."""
    return 1 - lower_end(n - k, n)


def judge(holds: int, ties: int, n: int, relations: int = 1) -> Judgment:
    """Judge one of a claim's relations.

    If it holds in k of n seeds with t ties, and the claim has m relations, the evidence for the relation is
    (3/2)^k (1/2)^(n − k), which is 3^k / 2^n, and decides if it is at least 20. The evidence against it is
    2^n / 3^(k + t), and decides if it is at least 20 m, because a claim is NOT_REPRODUCED as soon as one of its
    relations is. So a tie counts as failing in the first and as holding in the second.

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
    lower, upper = lower_end(holds, n), upper_end(holds + ties, n)
    verdict, tag = Verdict.INCONCLUSIVE, ""
    if 3**holds >= NEEDED * 2**n:  # in whole numbers, which do not round
        verdict, tag = Verdict.REPRODUCED, "weak" if holds / n < REQUIRED_FRACTION else ""
    elif 2**n >= NEEDED * relations * 3 ** (holds + ties):
        verdict = Verdict.NOT_REPRODUCED
        tag = "reversed" if upper < CHANCE else "weak" if lower > CHANCE else "no effect"
    log10_for = holds * math.log10(3) - n * math.log10(2)
    log10_against = n * math.log10(2) - (holds + ties) * math.log10(3)
    return Judgment(verdict, tag, holds, ties, n, log10_for, log10_against, lower, upper)


def seeds_to_decide(judgment: Judgment, relations: int = 1) -> int | None:
    """Return the number of seeds that would probably decide an INCONCLUSIVE relation.

    It is the smallest number that decides it if its fractions stay exactly as they are; None if it is decided already,
    or if MAX_SEEDS would not suffice.
    """
    if judgment.verdict is not Verdict.INCONCLUSIVE:
        return None
    sides = [(NEEDED, judgment.log10_for), (NEEDED * relations, judgment.log10_against)]
    growth = [(math.log10(needed), evidence / judgment.n) for needed, evidence in sides]
    enough = [math.ceil(needed / rate) for needed, rate in growth if rate > needed / MAX_SEEDS]
    return max(min(enough), judgment.n + 1) if enough else None


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
    """Return the verdict on a claim: REPRODUCED if all relations are, NOT_REPRODUCED if any is, else INCONCLUSIVE."""
    return max(verdicts, key=list(Verdict).index)


def decisive(judged: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the relation with the least support of those with the worst verdict; None if none has been judged.

    Args:
        judged: The judged relations of a report or baseline, by name.
    """
    order = list(Verdict)

    def rank(name: str) -> tuple[int, float]:
        relation = judged[name]
        support = relation["p"] if "p" in relation else relation["holds"] / relation["n"]
        return order.index(Verdict(relation["verdict"])), -support

    return max(judged, key=rank, default=None)
