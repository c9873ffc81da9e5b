"""Verdicts, compared with intervals of SciPy and with exact sums of binomial probabilities."""

from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc, betaincc
from scipy.stats import binomtest

from labcheck import Verdict
from labcheck.core.verdicts import combine, judge, lower_bound, seeds_to_decide, upper_bound

HALF, THREE_QUARTERS = Fraction(1, 2), Fraction(3, 4)
RANK = {Verdict.NOT_REPRODUCED: 0, Verdict.INCONCLUSIVE: 1, Verdict.REPRODUCED: 2}


@cache
def at_most(k: int, n: int, p: Fraction) -> Fraction:
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)), start=Fraction(0))


def expected(holds: int, ties: int, n: int, relations: int) -> tuple[str, str]:
    """Return verdict and tag by the rule without bounds: a bound exceeds p if p makes the count too improbable."""
    above_half = 1 - at_most(holds - 1, n, HALF) < Fraction(1, 20)
    improbable = Fraction(1, 20 * relations)
    if above_half and Fraction(holds, n) >= THREE_QUARTERS:
        return "REPRODUCED", ""
    if at_most(holds + ties, n, THREE_QUARTERS) >= improbable:
        return "INCONCLUSIVE", ""
    if at_most(holds + ties, n, HALF) < improbable:
        return "NOT_REPRODUCED", "reversed"
    return "NOT_REPRODUCED", "weak" if above_half else "no effect"


@st.composite
def counts(draw: st.DrawFn, max_n: int = 200) -> tuple[int, int, int, int]:
    n = draw(st.integers(1, max_n))
    holds = draw(st.integers(0, n))
    return holds, draw(st.integers(0, n - holds)), n, draw(st.integers(1, 12))


@pytest.mark.parametrize("error", [0.05, 0.05 / 3, 0.001])
@pytest.mark.parametrize("n", [1, 2, 5, 16, 60])
def test_bounds_are_those_of_clopper_and_pearson(n: int, error: float):
    for k in range(n + 1):
        low = binomtest(k, n, alternative="greater").proportion_ci(1 - error, method="exact").low
        high = binomtest(k, n, alternative="less").proportion_ci(1 - error, method="exact").high
        assert lower_bound(k, n, error) == pytest.approx(low, abs=1e-9)
        assert upper_bound(k, n, error) == pytest.approx(high, abs=1e-9)


@pytest.mark.parametrize("n", range(1, 25))
def test_verdict_follows_rule_for_all_counts(n: int):
    for relations in (1, 2, 3, 7):
        for holds in range(n + 1):
            for ties in range(n - holds + 1):
                judgment = judge(holds, ties, n, relations)
                assert (judgment.verdict, judgment.tag) == expected(holds, ties, n, relations), judgment


@pytest.mark.parametrize("n", [60, 61, 200])
def test_verdict_follows_rule_for_many_seeds(n: int):
    for relations in (1, 5):
        for holds in range(n + 1):
            for ties in {0, 1, (n - holds) // 2, n - holds} & set(range(n - holds + 1)):
                judgment = judge(holds, ties, n, relations)
                assert (judgment.verdict, judgment.tag) == expected(holds, ties, n, relations), judgment


@pytest.mark.parametrize(
    ("holds", "ties", "n", "relations", "verdict", "tag"),
    [
        (57, 0, 60, 1, "REPRODUCED", ""),
        (57, 3, 60, 1, "REPRODUCED", ""),
        (57, 0, 60, 9, "REPRODUCED", ""),
        (45, 0, 60, 1, "REPRODUCED", ""),
        (44, 0, 60, 1, "INCONCLUSIVE", ""),
        (39, 0, 60, 1, "INCONCLUSIVE", ""),
        (38, 0, 60, 1, "NOT_REPRODUCED", "weak"),
        (38, 0, 60, 3, "INCONCLUSIVE", ""),
        (36, 0, 60, 1, "NOT_REPRODUCED", "no effect"),
        (20, 10, 60, 1, "NOT_REPRODUCED", "no effect"),
        (20, 0, 60, 1, "NOT_REPRODUCED", "reversed"),
        (30, 20, 60, 1, "INCONCLUSIVE", ""),
        (12, 0, 16, 1, "REPRODUCED", ""),
        (11, 0, 16, 1, "INCONCLUSIVE", ""),
        (0, 0, 5, 1, "NOT_REPRODUCED", "reversed"),
        (0, 0, 3, 1, "NOT_REPRODUCED", "no effect"),
        (0, 0, 2, 1, "INCONCLUSIVE", ""),
    ],
)
def test_verdict_of_known_counts(holds: int, ties: int, n: int, relations: int, verdict: str, tag: str):
    judgment = judge(holds, ties, n, relations)
    assert (judgment.verdict, judgment.tag) == (verdict, tag)
    assert (judgment.holds, judgment.ties, judgment.n) == (holds, ties, n)


def test_bounds_count_ties_as_failing_and_as_holding():
    judgment = judge(30, 20, 60, 3)
    low = binomtest(30, 60, alternative="greater").proportion_ci(0.95, method="exact").low
    high = binomtest(50, 60, alternative="less").proportion_ci(1 - 0.05 / 3, method="exact").high
    assert (judgment.lower, judgment.upper) == pytest.approx((low, high), abs=1e-9)


def test_five_of_five_is_smallest_reproduced_count():
    assert judge(5, 0, 5).verdict is Verdict.REPRODUCED
    assert judge(5, 0, 5).lower == pytest.approx(0.549, abs=5e-4)
    assert all(judge(n, 0, n).verdict is Verdict.INCONCLUSIVE for n in range(1, 5))
    assert judge(4, 0, 5).verdict is judge(4, 1, 5).verdict is Verdict.INCONCLUSIVE


@given(counts())
def test_verdict_is_no_worse_with_more_holding_seeds(case: tuple[int, int, int, int]):
    holds, ties, n, relations = case
    verdicts = [RANK[judge(k, ties, n, relations).verdict] for k in range(holds, n - ties + 1)]
    assert verdicts == sorted(verdicts)


@given(counts())
def test_verdict_is_no_worse_with_holding_seed_in_place_of_tie(case: tuple[int, int, int, int]):
    holds, ties, n, relations = case
    verdicts = [RANK[judge(holds + k, ties - k, n, relations).verdict] for k in range(ties + 1)]
    assert verdicts == sorted(verdicts)


@given(counts())
def test_ties_neither_support_nor_refute(case: tuple[int, int, int, int]):
    holds, ties, n, relations = case
    verdict = judge(holds, ties, n, relations).verdict
    assert (verdict is Verdict.REPRODUCED) == (judge(holds, 0, n, relations).verdict is Verdict.REPRODUCED)
    assert (verdict is Verdict.NOT_REPRODUCED) == (
        judge(holds + ties, 0, n, relations).verdict is Verdict.NOT_REPRODUCED
    )


@given(st.integers(1, 10_000), st.integers(1, 12))
def test_verdict_of_ties_alone_is_inconclusive(n: int, relations: int):
    assert judge(0, n, n, relations).verdict is Verdict.INCONCLUSIVE


@given(counts())
def test_verdict_is_refuted_less_among_more_relations(case: tuple[int, int, int, int]):
    holds, ties, n, relations = case
    alone, among = judge(holds, ties, n).verdict, judge(holds, ties, n, relations).verdict
    assert among is alone or (alone, among) == (Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE)


@given(counts())
def test_tag_follows_from_bounds(case: tuple[int, int, int, int]):
    judgment = judge(*case)
    if judgment.verdict is not Verdict.NOT_REPRODUCED:
        assert judgment.tag == ""
    elif judgment.upper < 1 / 2:
        assert judgment.tag == "reversed"
    else:
        assert judgment.tag == ("weak" if judgment.lower > 1 / 2 else "no effect")


@pytest.mark.parametrize(
    "case", [(0, 0, 0, 1), (-1, 0, 5, 1), (0, -1, 5, 1), (6, 0, 5, 1), (3, 3, 5, 1), (3, 0, 5, 0), (0, 0, -5, 1)]
)
def test_judge_refuses_impossible_counts(case: tuple[int, int, int, int]):
    with pytest.raises(
        ValueError,
        match=f"^impossible counts: {case[0]} holds and {case[1]} ties in {case[2]} seeds, {case[3]} relations$",
    ):
        judge(*case)


def test_judgment_has_text():
    assert str(judge(57, 0, 60)) == "REPRODUCED: holds in 57 of 60 seeds"
    assert str(judge(20, 10, 60)) == "NOT_REPRODUCED (no effect): holds in 20 of 60 seeds, 10 ties"


def test_only_opposite_verdicts_contradict():
    pairs = {(a, b) for a in Verdict for b in Verdict if a.contradicts(b)}
    assert pairs == {(Verdict.REPRODUCED, Verdict.NOT_REPRODUCED), (Verdict.NOT_REPRODUCED, Verdict.REPRODUCED)}


@pytest.mark.parametrize(
    "verdicts", [pair for size in (1, 2, 3) for pair in combinations_with_replacement(Verdict, size)]
)
def test_combine_returns_worst_verdict(verdicts: tuple[Verdict, ...]):
    worst = min(verdicts, key=RANK.__getitem__)
    assert combine(verdicts) is combine(reversed(verdicts)) is worst


@pytest.mark.parametrize(
    ("holds", "ties", "n", "decided"),
    [
        (4, 0, 4, 5),
        (1, 0, 1, 5),
        (0, 0, 1, 3),
        (3, 0, 4, 15),  # the lower bound of 12 of 16 is 0.516, that of 9 of 12 is 0.473
        (2, 0, 3, 88),
        (17, 0, 23, 4411),  # not 24, since 17.7 of 24 do not suffice, as 18 would
        (43, 0, 60, 494),
        (5, 0, 5, None),
        (0, 0, 5, None),
        (0, 5, 5, None),
        (2, 1, 4, None),
        (149, 0, 200, None),
    ],
)
def test_seeds_to_decide_of_known_counts(holds: int, ties: int, n: int, decided: int | None):
    assert seeds_to_decide(judge(holds, ties, n)) == decided


INCONCLUSIVE = counts(60).filter(lambda case: judge(*case).verdict is Verdict.INCONCLUSIVE)


@given(INCONCLUSIVE)
def test_seeds_to_decide_is_smallest_number_that_decides(case: tuple[int, int, int, int]):
    holds, ties, n, relations = case

    def decides(size: int) -> bool:
        """Return whether n seeds decide; a beta distribution has the tail of the binomial one for any real count."""
        hold, hold_or_tie = holds * size / n, (holds + ties) * size / n
        reproduced = 4 * holds >= 3 * n and betainc(hold, size - hold + 1, 0.5) < 0.05
        return reproduced or (
            hold_or_tie < size and betaincc(hold_or_tie + 1, size - hold_or_tie, 0.75) < 0.05 / relations
        )

    smallest = seeds_to_decide(judge(*case), relations)
    assert smallest is None or (n < smallest <= 10_000 and decides(smallest))
    sizes = {n, *range(1, n), *np.geomspace(n, (smallest or 10_001) - 1, 50).astype(int).tolist()}
    assert not any(decides(size) for size in sizes)


@given(INCONCLUSIVE, st.integers(2, 200))
def test_seeds_to_decide_agrees_with_multiples_of_counts(case: tuple[int, int, int, int], times: int):
    holds, ties, n, relations = case
    smallest = seeds_to_decide(judge(*case), relations) or 10_001
    verdict = judge(times * holds, times * ties, times * n, relations).verdict
    if times * n <= 10_000:
        assert (verdict is not Verdict.INCONCLUSIVE) == (times * n >= smallest)
