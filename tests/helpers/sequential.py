"""An exact programme for the verdict rule: the probability of each verdict when one looks after every few seeds."""

from collections import defaultdict
from typing import NamedTuple

from labcheck import Verdict


class Course(NamedTuple):
    """What happens to a relation that holds in a known fraction of all seeds.

    Attributes:
        verdicts: The probability of each verdict at the end.
        seeds: The expected number of seeds.
    """

    verdicts: dict[Verdict, float]
    seeds: float


def verdict_of(holds: int, ties: int, n: int, relations: int = 1) -> Verdict:
    """Return the verdict by the rule as the documentation states it, multiplied seed by seed.

    All factors are halves and thirds, so that floats are exact to a relative 1e-13, and no product of the rule is
    exactly 20 or a multiple of it: 20 · 2^n has a factor of 5, which no power of 3 has.
    """
    evidence_for = 1.5**holds * 0.5 ** (n - holds)
    evidence_against = 2.0 ** (n - holds - ties) * (2 / 3) ** (holds + ties)
    if evidence_for >= 20:
        return Verdict.REPRODUCED
    return Verdict.NOT_REPRODUCED if evidence_against >= 20 * relations else Verdict.INCONCLUSIVE


def course(p: float, most: int, *, every: int = 1, relations: int = 1, ties: float = 0.0) -> Course:
    """Return what happens to a relation that holds with probability p and is a tie with probability `ties`.

    A look after every few seeds, and after the last one, ends the run if the relation is decided.
    """
    open_: dict[tuple[int, int], float] = {(0, 0): 1.0}  # the probability of each pair of counts, undecided so far
    verdicts: dict[Verdict, float] = dict.fromkeys(Verdict, 0.0)
    seeds = 0.0
    for n in range(1, most + 1):
        following: dict[tuple[int, int], float] = defaultdict(float)
        for (holds, tied), probability in open_.items():
            following[holds + 1, tied] += probability * p
            if ties:
                following[holds, tied + 1] += probability * ties
            following[holds, tied] += probability * (1 - p - ties)
        open_ = dict(following)
        if n % every and n < most:
            continue
        for (holds, tied), probability in list(open_.items()):
            verdict = verdict_of(holds, tied, n, relations)
            if verdict is not Verdict.INCONCLUSIVE or n == most:
                verdicts[verdict] += probability
                seeds += n * probability
                del open_[holds, tied]
    return Course(verdicts, seeds)
