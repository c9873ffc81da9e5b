"""From "holds in k of n seeds", or from a printed number among those of n seeds, to a verdict, exactly.

A reader who reruns a claim's arms with another seed sees its relation hold with some unknown probability. The bounds on
it are Clopper and Pearson's (1934), which hold for any sample size; 3/4 is the threshold that Bouthillier et al. (2021)
recommend for a difference that matters.

A printed number is judged as one more draw beside those of our seeds (conformal prediction; Vovk, Gammerman and Shafer
2005): if it comes from the same distribution, each of its n + 1 ranks is equally likely, whatever that distribution is.
"""

import math
from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import scipy

EVEN = 1 / 2
RELIABLE = 3 / 4
ERROR_RATE = 0.05
MOST_SEEDS = 10_000
A_NUMBER = Fraction(str(ERROR_RATE))
"""ERROR_RATE in whole numbers: of 40 m - 1 seeds a number outside all has exactly its m-th part as p-value."""
SEEDS_FOR_A_NUMBER = 19
"""The fewest seeds among which a printed number can be the strangest at the 5 % level on one side."""


class Word(StrEnum):
    """The three answers, from best to worst."""

    REPRODUCED = "REPRODUCED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_REPRODUCED = "NOT_REPRODUCED"

    def contradicts(self, other: "Word") -> bool:
        """Whether one of the two says yes and the other no."""
        return {self, other} == {Word.REPRODUCED, Word.NOT_REPRODUCED}


@dataclass(frozen=True)
class Verdict:
    """What is known of one relation.

    Attributes:
        word: the verdict.
        tag: of NOT_REPRODUCED: "reversed", "no effect" or "weak"; else empty.
        holds, ties, n: seeds in which the relation holds, seeds that say neither yes nor no, and all seeds.
        lower, upper: the bounds on the fraction of all seeds in which it holds.
    """

    word: Word
    tag: str
    holds: int
    ties: int
    n: int
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.word}{self.tag and f' ({self.tag})'}: holds in {self.holds} of {self.n} seeds" + (
            f", {self.ties} ties" if self.ties else ""
        )


def lower_bound(k: float, n: float, error: float) -> float:
    """The one-sided lower Clopper-Pearson bound of a fraction seen k times in n, at confidence 1 − error.

    Counts need not be whole: in between, the bound is too.
    """
    return float(scipy.special.betaincinv(k, n - k + 1, error)) if k else 0.0


def upper_bound(k: float, n: float, error: float) -> float:
    """The one-sided upper Clopper-Pearson bound, likewise."""
    return 1 - lower_bound(n - k, n, error)


def judge(holds: int, ties: int, n: int, relations: int = 1) -> Verdict:
    """The verdict on one of a claim's relations.

    A tie counts against the relation where it would support it, and for it where it would refute it. A claim is
    NOT_REPRODUCED as soon as one of its relations is, so the upper bound shares its error rate among them.

    Args:
        holds, ties: seeds in which the relation holds, and in which it is a tie.
        n: all seeds.
        relations: how many the claim has.

    Raises:
        ValueError: counts that cannot be.
    """
    if not (n > 0 and relations > 0 and min(holds, ties) >= 0 and holds + ties <= n):
        raise ValueError(f"{holds} holding and {ties} ties of {n} seeds, {relations} relations")
    lower = lower_bound(holds, n, ERROR_RATE)
    upper = upper_bound(holds + ties, n, ERROR_RATE / relations)
    word, tag = Word.INCONCLUSIVE, ""
    if lower > EVEN and holds / n >= RELIABLE:
        word = Word.REPRODUCED
    elif upper < RELIABLE:
        word = Word.NOT_REPRODUCED
        tag = "reversed" if upper < EVEN else "weak" if lower > EVEN else "no effect"
    return Verdict(word, tag, holds, ties, n, lower, upper)


def seeds_to_decide(verdict: Verdict, relations: int = 1) -> int | None:
    """With how many seeds an INCONCLUSIVE relation would probably be decided.

    Returns:
        The least number that does if its fractions stay exactly as they are, of however many seeds that would be; None
        if it is decided, or if 10,000 would not do.
    """
    if verdict.word is not Word.INCONCLUSIVE:
        return None
    holds, holds_or_ties = verdict.holds / verdict.n, (verdict.holds + verdict.ties) / verdict.n

    def decided(n: int) -> bool:
        reproduced = holds >= RELIABLE and lower_bound(holds * n, n, ERROR_RATE) > EVEN
        return reproduced or upper_bound(holds_or_ties * n, n, ERROR_RATE / relations) < RELIABLE

    # more seeds bring either bound closer to its fraction: what is decided stays so
    n = 1 + bisect(range(1, MOST_SEEDS + 1), False, key=decided)
    return n if n <= MOST_SEEDS else None


@dataclass(frozen=True)
class NumberVerdict:
    """What is known of a number that a report prints.

    Attributes:
        word: the verdict.
        tag: of NOT_REPRODUCED: "too low" or "too high", the printed number compared with our seeds; else empty.
        below, equal, n: seeds whose number is smaller than the printed one, seeds that equal it, and all seeds.
        p: the two-sided p-value of the hypothesis that the report's run is one more seed.
    """

    word: Word
    tag: str
    below: int
    equal: int
    n: int
    p: float


def judge_number(below: int, equal: int, n: int, relations: int = 1) -> NumberVerdict:
    """Judge a printed number among those of n seeds; equal ones count half on each side.

    Args:
        below, equal: seeds whose number is smaller than the printed one, and seeds that equal it.
        relations: how many the claim has, which share the error rate.

    Raises:
        ValueError: counts that cannot be.
    """
    if not (n > 0 and relations > 0 and min(below, equal) >= 0 and below + equal <= n):
        raise ValueError(f"{below} below and {equal} equal of {n} seeds, {relations} relations")
    low, high = 2 * below + equal, 2 * (n - below) - equal  # twice the seeds on either side
    outside = min(2 + min(low, high), n + 1)
    p = outside / (n + 1)
    word, tag = Word.INCONCLUSIVE, ""
    if Fraction(outside, n + 1) <= A_NUMBER / relations:
        word, tag = Word.NOT_REPRODUCED, "too low" if low < high else "too high"
    elif p > ERROR_RATE and n >= SEEDS_FOR_A_NUMBER:
        word = Word.REPRODUCED
    return NumberVerdict(word, tag, below, equal, n, p)


def seeds_for_a_number(verdict: NumberVerdict, relations: int = 1) -> int | None:
    """Return with how many seeds an INCONCLUSIVE number would be decided if its place among them stays.

    None for one that is decided, and for one whose place would never decide it, or not within MOST_SEEDS.
    """
    if verdict.word is not Word.INCONCLUSIVE:
        return None
    if verdict.n < SEEDS_FOR_A_NUMBER:
        return SEEDS_FOR_A_NUMBER
    low = 2 * verdict.below + verdict.equal
    share = Fraction(min(low, 2 * verdict.n - low), verdict.n)
    rate = A_NUMBER / relations
    if share >= rate:
        return None
    n = math.ceil((2 - rate) / (rate - share))  # the least with 2 + share · n ≤ rate · (n + 1)
    return n if n <= MOST_SEEDS else None


def tally(judged: Mapping[str, Any]) -> str:
    """Return what a verdict rests on, as reports and baselines have it: "17/20", or "p=0.34" of a printed number."""
    return f"{judged['holds']}/{judged['n']}" if "holds" in judged else f"p={judged['p']:.2g}"


def combine(words: Iterable[Word]) -> Word:
    """A claim is REPRODUCED when all its relations are, NOT_REPRODUCED when one is."""
    return max(words, key=list(Word).index)
