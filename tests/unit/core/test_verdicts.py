"""Verdicts, held against scipy's intervals and against sums of binomial probabilities in whole numbers."""

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

from labcheck.core.verdicts import Verdict, combine, judge, lower_bound, seeds_to_decide, upper_bound

HALF, THREE_QUARTERS = Fraction(1, 2), Fraction(3, 4)
RANK = {Verdict.NOT_REPRODUCED: 0, Verdict.INCONCLUSIVE: 1, Verdict.REPRODUCED: 2}


@cache
def at_most(k: int, n: int, p: Fraction) -> Fraction:
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)), start=Fraction(0))


def expected(holds: int, ties: int, n: int, relations: int) -> tuple[str, str]:
    """The rule without bounds: a bound is beyond p exactly where p makes the count too improbable."""
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
def counts(draw: st.DrawFn, most: int = 200) -> tuple[int, int, int, int]:
    n = draw(st.integers(1, most))
    holds = draw(st.integers(0, n))
    return holds, draw(st.integers(0, n - holds)), n, draw(st.integers(1, 12))


@pytest.mark.parametrize("error", [0.05, 0.05 / 3, 0.001])
@pytest.mark.parametrize("n", [1, 2, 5, 16, 60])
def test_bounds_are_those_of_clopper_and_pearson(n: int, error: float) -> None:
    for k in range(n + 1):
        low = binomtest(k, n, alternative="greater").proportion_ci(1 - error, method="exact").low
        high = binomtest(k, n, alternative="less").proportion_ci(1 - error, method="exact").high
        assert lower_bound(k, n, error) == pytest.approx(low, abs=1e-9)
        assert upper_bound(k, n, error) == pytest.approx(high, abs=1e-9)


@pytest.mark.parametrize("n", range(1, 25))
def test_the_rule_over_all_counts(n: int) -> None:
    for relations in (1, 2, 3, 7):
        for holds in range(n + 1):
            for ties in range(n - holds + 1):
                verdict = judge(holds, ties, n, relations)
                assert (verdict.verdict, verdict.tag) == expected(holds, ties, n, relations), verdict


@pytest.mark.parametrize("n", [60, 61, 200])
def test_the_rule_with_many_seeds(n: int) -> None:
    for relations in (1, 5):
        for holds in range(n + 1):
            for ties in {0, 1, (n - holds) // 2, n - holds} & set(range(n - holds + 1)):
                verdict = judge(holds, ties, n, relations)
                assert (verdict.verdict, verdict.tag) == expected(holds, ties, n, relations), verdict


@pytest.mark.parametrize(
    ("holds", "ties", "n", "relations", "word", "tag"),
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
def test_known_verdicts(holds: int, ties: int, n: int, relations: int, word: str, tag: str) -> None:
    verdict = judge(holds, ties, n, relations)
    assert (verdict.verdict, verdict.tag) == (word, tag)
    assert (verdict.holds, verdict.ties, verdict.n) == (holds, ties, n)


def test_the_bounds_of_a_verdict_count_ties_against_it_either_way() -> None:
    verdict = judge(30, 20, 60, 3)
    low = binomtest(30, 60, alternative="greater").proportion_ci(0.95, method="exact").low
    high = binomtest(50, 60, alternative="less").proportion_ci(1 - 0.05 / 3, method="exact").high
    assert (verdict.lower, verdict.upper) == pytest.approx((low, high), abs=1e-9)


def test_five_of_five_is_the_least_that_is_reproduced() -> None:
    assert judge(5, 0, 5).word is Verdict.REPRODUCED
    assert judge(5, 0, 5).lower == pytest.approx(0.549, abs=5e-4)
    assert all(judge(n, 0, n).word is Verdict.INCONCLUSIVE for n in range(1, 5))
    assert judge(4, 0, 5).word is judge(4, 1, 5).word is Verdict.INCONCLUSIVE


@given(counts())
def test_more_seeds_that_hold_never_weaken_a_verdict(case: tuple[int, int, int, int]) -> None:
    holds, ties, n, relations = case
    words = [RANK[judge(k, ties, n, relations).word] for k in range(holds, n - ties + 1)]
    assert words == sorted(words)


@given(counts())
def test_a_tie_that_turns_into_a_yes_never_weakens_a_verdict(case: tuple[int, int, int, int]) -> None:
    holds, ties, n, relations = case
    words = [RANK[judge(holds + turned, ties - turned, n, relations).word] for turned in range(ties + 1)]
    assert words == sorted(words)


@given(counts())
def test_ties_support_as_little_as_noes_and_refute_as_little_as_yeses(case: tuple[int, int, int, int]) -> None:
    holds, ties, n, relations = case
    word = judge(holds, ties, n, relations).word
    assert (word is Verdict.REPRODUCED) == (judge(holds, 0, n, relations).word is Verdict.REPRODUCED)
    assert (word is Verdict.NOT_REPRODUCED) == (judge(holds + ties, 0, n, relations).word is Verdict.NOT_REPRODUCED)


@given(st.integers(1, 10_000), st.integers(1, 12))
def test_ties_alone_decide_nothing(n: int, relations: int) -> None:
    assert judge(0, n, n, relations).word is Verdict.INCONCLUSIVE


@given(counts())
def test_more_relations_refute_no_more_and_support_the_same(case: tuple[int, int, int, int]) -> None:
    holds, ties, n, relations = case
    alone, among = judge(holds, ties, n).word, judge(holds, ties, n, relations).word
    assert among is alone or (alone, among) == (Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE)


@given(counts())
def test_a_tag_says_where_the_bounds_lie(case: tuple[int, int, int, int]) -> None:
    verdict = judge(*case)
    if verdict.verdict is not Verdict.NOT_REPRODUCED:
        assert verdict.tag == ""
    elif verdict.upper < 1 / 2:
        assert verdict.tag == "reversed"
    else:
        assert verdict.tag == ("weak" if verdict.lower > 1 / 2 else "no effect")


@pytest.mark.parametrize(
    "case", [(0, 0, 0, 1), (-1, 0, 5, 1), (0, -1, 5, 1), (6, 0, 5, 1), (3, 3, 5, 1), (3, 0, 5, 0), (0, 0, -5, 1)]
)
def test_counts_that_cannot_be_are_refused(case: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match=f"{case[0]} holding and {case[1]} ties of {case[2]} seeds"):
        judge(*case)


def test_a_verdict_reads_as_a_sentence() -> None:
    assert str(judge(57, 0, 60)) == "REPRODUCED: holds in 57 of 60 seeds"
    assert str(judge(20, 10, 60)) == "NOT_REPRODUCED (no effect): holds in 20 of 60 seeds, 10 ties"


def test_only_yes_and_no_contradict() -> None:
    pairs = {(a, b) for a in Verdict for b in Verdict if a.contradicts(b)}
    assert pairs == {(Verdict.REPRODUCED, Verdict.NOT_REPRODUCED), (Verdict.NOT_REPRODUCED, Verdict.REPRODUCED)}


@pytest.mark.parametrize("words", [pair for size in (1, 2, 3) for pair in combinations_with_replacement(Verdict, size)])
def test_a_claim_is_as_good_as_its_worst_relation(words: tuple[Verdict, ...]) -> None:
    worst = min(words, key=RANK.__getitem__)
    assert combine(words) is combine(reversed(words)) is worst


@pytest.mark.parametrize(
    ("holds", "ties", "n", "decided"),
    [
        (4, 0, 4, 5),
        (1, 0, 1, 5),
        (0, 0, 1, 3),
        (3, 0, 4, 15),  # 12 of 16 have L = .516, 9 of 12 .473
        (2, 0, 3, 88),
        (17, 0, 23, 4411),  # and not 24, of which 18 would be enough, for 17.7 are not
        (43, 0, 60, 494),
        (5, 0, 5, None),
        (0, 0, 5, None),
        (0, 5, 5, None),
        (2, 1, 4, None),
        (149, 0, 200, None),
    ],
)
def test_known_numbers_of_seeds_to_decide(holds: int, ties: int, n: int, decided: int | None) -> None:
    assert seeds_to_decide(judge(holds, ties, n)) == decided


INCONCLUSIVE = counts(60).filter(lambda case: judge(*case).word is Verdict.INCONCLUSIVE)


@given(INCONCLUSIVE)
def test_the_seeds_to_decide_do_decide_and_fewer_do_not(case: tuple[int, int, int, int]) -> None:
    holds, ties, n, relations = case

    def decides(size: int) -> bool:
        """The tail of a binomial distribution is one of a beta distribution, which has it for any real count."""
        yes, maybe = holds * size / n, (holds + ties) * size / n
        reproduced = 4 * holds >= 3 * n and betainc(yes, size - yes + 1, 0.5) < 0.05
        return reproduced or (maybe < size and betaincc(maybe + 1, size - maybe, 0.75) < 0.05 / relations)

    least = seeds_to_decide(judge(*case), relations)
    assert least is None or (n < least <= 10_000 and decides(least))
    sizes = {n, *range(1, n), *np.geomspace(n, (least or 10_001) - 1, 50).astype(int).tolist()}
    assert not any(decides(size) for size in sizes)


@given(INCONCLUSIVE, st.integers(2, 200))
def test_so_many_times_all_counts_decide_where_so_many_seeds_do(case: tuple[int, int, int, int], times: int) -> None:
    holds, ties, n, relations = case
    least = seeds_to_decide(judge(*case), relations) or 10_001
    word = judge(times * holds, times * ties, times * n, relations).word
    if times * n <= 10_000:
        assert (word is not Verdict.INCONCLUSIVE) == (times * n >= least)
