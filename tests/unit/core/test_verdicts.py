"""Verdicts, compared with an exact programme, with integrals, and with the laws that any such rule must obey."""

import math
from itertools import combinations_with_replacement

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from labcheck import Verdict
from labcheck.core.verdicts import combine, judge, lower_end, seeds_to_decide, upper_end
from tests.helpers.sequential import course, verdict_of

RANK = {Verdict.NOT_REPRODUCED: 0, Verdict.INCONCLUSIVE: 1, Verdict.REPRODUCED: 2}
REPRODUCED, INCONCLUSIVE, NOT_REPRODUCED = Verdict


@st.composite
def counts(draw: st.DrawFn, max_n: int = 200) -> tuple[int, int, int, int]:
    n = draw(st.integers(1, max_n))
    holds = draw(st.integers(0, n))
    return holds, draw(st.integers(0, n - holds)), n, draw(st.integers(1, 12))


# evidence


@pytest.mark.slow
@pytest.mark.parametrize("n", [*range(1, 25), 60])
def test_verdict_follows_rule_for_all_counts(n: int):
    for relations in (1, 2, 3, 7):
        for holds in range(n + 1):
            for ties in range(n - holds + 1):
                judgment = judge(holds, ties, n, relations)
                assert judgment.verdict is verdict_of(holds, ties, n, relations), judgment


@pytest.mark.parametrize(
    ("holds", "ties", "n", "relations", "verdict", "tag"),
    [
        (8, 0, 8, 1, REPRODUCED, ""),
        (8, 0, 8, 9, REPRODUCED, ""),
        (7, 0, 7, 1, INCONCLUSIVE, ""),
        (8, 2, 10, 1, INCONCLUSIVE, ""),
        (57, 0, 60, 1, REPRODUCED, ""),
        (45, 0, 60, 1, REPRODUCED, ""),
        (44, 0, 60, 1, REPRODUCED, "weak"),
        (41, 0, 60, 1, REPRODUCED, "weak"),
        (40, 0, 60, 1, INCONCLUSIVE, ""),
        (36, 0, 60, 1, INCONCLUSIVE, ""),
        (35, 0, 60, 1, NOT_REPRODUCED, "no effect"),
        (35, 0, 60, 3, INCONCLUSIVE, ""),
        (30, 0, 60, 9, NOT_REPRODUCED, "no effect"),
        (20, 10, 60, 1, NOT_REPRODUCED, "no effect"),
        (20, 0, 60, 1, NOT_REPRODUCED, "no effect"),
        (17, 0, 60, 1, NOT_REPRODUCED, "reversed"),
        (30, 20, 60, 1, INCONCLUSIVE, ""),
        (620, 0, 1000, 1, NOT_REPRODUCED, "weak"),
        (0, 0, 5, 1, NOT_REPRODUCED, "no effect"),
        (0, 0, 8, 1, NOT_REPRODUCED, "reversed"),
        (0, 0, 4, 1, INCONCLUSIVE, ""),
        (0, 0, 7, 10, INCONCLUSIVE, ""),
        (0, 0, 8, 10, NOT_REPRODUCED, "reversed"),
    ],
)
def test_verdict_of_known_counts(holds: int, ties: int, n: int, relations: int, verdict: Verdict, tag: str):
    judgment = judge(holds, ties, n, relations)
    assert (judgment.verdict, judgment.tag) == (verdict, tag)
    assert (judgment.holds, judgment.ties, judgment.n) == (holds, ties, n)


def test_evidence_is_multiplied_by_each_seed():
    judgment = judge(6, 1, 8)
    assert 10**judgment.log10_for == pytest.approx(1.5**6 / 2**2)
    assert 10**judgment.log10_against == pytest.approx(2 * (2 / 3) ** 7)


@given(counts(), counts())
def test_evidence_of_disjoint_seeds_multiplies(one: tuple[int, int, int, int], other: tuple[int, int, int, int]):
    both = judge(*(a + b for a, b in zip(one[:3], other[:3], strict=True)))
    parts = judge(*one[:3]), judge(*other[:3])
    assert both.log10_for == pytest.approx(sum(part.log10_for for part in parts), abs=1e-9)
    assert both.log10_against == pytest.approx(sum(part.log10_against for part in parts), abs=1e-9)


@given(counts())
def test_evidence_is_never_on_both_sides(case: tuple[int, int, int, int]):
    judgment = judge(*case)
    ties = judgment.ties * math.log10(3)
    assert judgment.log10_for + judgment.log10_against == pytest.approx(-ties, abs=1e-9)


@pytest.mark.slow
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
    assert (verdict is REPRODUCED) == (judge(holds, 0, n, relations).verdict is REPRODUCED)
    assert (verdict is NOT_REPRODUCED) == (judge(holds + ties, 0, n, relations).verdict is NOT_REPRODUCED)


@given(st.integers(1, 10_000), st.integers(1, 12))
def test_verdict_of_ties_alone_is_inconclusive(n: int, relations: int):
    assert judge(0, n, n, relations).verdict is INCONCLUSIVE


@given(counts())
def test_verdict_is_refuted_less_among_more_relations(case: tuple[int, int, int, int]):
    holds, ties, n, relations = case
    alone, among = judge(holds, ties, n).verdict, judge(holds, ties, n, relations).verdict
    assert among is alone or (alone, among) == (NOT_REPRODUCED, INCONCLUSIVE)


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


# error rates


@pytest.mark.parametrize(
    ("p", "reproduced", "not_reproduced", "seeds"),
    [(3 / 4, 0.938, 0.035, 22), (1 / 2, 0.039, 0.937, 21), (9 / 10, 1.0, 0.0, 11), (1 / 4, 0.0, 1.0, 8)],
)
def test_exact_probabilities_of_looks_after_every_seed(p: float, reproduced: float, not_reproduced: float, seeds: int):
    """At most 60 seeds, and one relation."""
    exact = course(p, 60)
    assert exact.verdicts[REPRODUCED] == pytest.approx(reproduced, abs=5e-4)
    assert exact.verdicts[NOT_REPRODUCED] == pytest.approx(not_reproduced, abs=5e-4)
    assert round(exact.seeds) == seeds


@pytest.mark.parametrize("relations", [1, 5, 13])
@pytest.mark.parametrize(("most", "every"), [(8, 1), (20, 1), (20, 4), (40, 20), (60, 1), (60, 8), (60, 60), (240, 20)])
def test_false_verdicts_are_rare_at_any_number_of_looks(most: int, every: int, relations: int):
    assert course(1 / 2, most, every=every, relations=relations).verdicts[REPRODUCED] <= 0.05
    assert course(3 / 4, most, every=every, relations=relations).verdicts[NOT_REPRODUCED] <= 0.05 / relations


@pytest.mark.parametrize("ties", [0.1, 0.3])
def test_ties_cause_no_false_verdict(ties: float):
    assert course(1 / 2 - ties, 60, ties=ties).verdicts[REPRODUCED] <= 0.05
    assert course(3 / 4 - ties, 60, ties=ties).verdicts[NOT_REPRODUCED] <= 0.05


def test_judge_has_exact_error_rates_when_peeking_after_every_seed():
    rng = np.random.default_rng(0)
    for p, wrong in ((1 / 2, REPRODUCED), (3 / 4, NOT_REPRODUCED)):
        holds = (rng.random((4000, 60)) < p).cumsum(1)
        verdict = {(k, n): judge(k, 0, n).verdict for n in range(1, 61) for k in range(n + 1)}
        called = [
            next((v for n in range(1, 61) if (v := verdict[row[n - 1], n]) is not INCONCLUSIVE), None) for row in holds
        ]
        share = called.count(wrong) / len(called)
        exact = course(p, 60).verdicts[wrong]
        assert share == pytest.approx(exact, abs=4 * (exact * (1 - exact) / len(called)) ** 0.5)
        assert exact <= 0.05


# the confidence sequence and tags


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (3, 5), (8, 8), (17, 20), (57, 60), (1, 200), (120, 240)])
def test_ends_are_where_mixture_has_evidence_20(k: int, n: int):
    def evidence(p: float) -> float:
        mixture, _ = scipy.integrate.quad(lambda q: q**k * (1 - q) ** (n - k), 0, 1, points=[k / n], epsabs=0)
        return float(mixture / (p**k * (1 - p) ** (n - k)))

    for end, inwards in ((lower_end(k, n), 1e-6), (upper_end(k, n), -1e-6)):
        if 0 < end < 1:
            assert evidence(end) == pytest.approx(20, rel=1e-6)
        assert evidence(end + inwards) < 20


@given(counts())
def test_ends_contain_observed_fraction(case: tuple[int, int, int, int]):
    judgment = judge(*case)
    holds, ties, n, _ = case
    assert 0 <= judgment.lower <= holds / n <= (holds + ties) / n <= judgment.upper <= 1
    assert (judgment.lower == 0) == (holds == 0)
    assert (judgment.upper == 1) == (holds + ties == n)


def test_sequence_covers_true_fraction_at_all_looks():
    rng = np.random.default_rng(1)
    ends = {(k, n): (lower_end(k, n), upper_end(k, n)) for n in range(1, 61) for k in range(n + 1)}
    for p in (0.1, 0.5, 0.75):
        holds = (rng.random((2000, 60)) < p).cumsum(1)
        missed = sum(
            not all(ends[row[n - 1], n][0] <= p <= ends[row[n - 1], n][1] for n in range(1, 61)) for row in holds
        )
        assert missed / len(holds) <= 0.05


@given(counts())
def test_tag_follows_from_bounds(case: tuple[int, int, int, int]):
    judgment = judge(*case)
    if judgment.verdict is INCONCLUSIVE:
        assert judgment.tag == ""
    elif judgment.verdict is REPRODUCED:
        assert judgment.tag == ("weak" if judgment.holds / judgment.n < 3 / 4 else "")
    elif judgment.upper < 1 / 2:
        assert judgment.tag == "reversed"
    else:
        assert judgment.tag == ("weak" if judgment.lower > 1 / 2 else "no effect")


# verdicts on claims


def test_only_opposite_verdicts_contradict():
    pairs = {(a, b) for a in Verdict for b in Verdict if a.contradicts(b)}
    assert pairs == {(Verdict.REPRODUCED, Verdict.NOT_REPRODUCED), (Verdict.NOT_REPRODUCED, Verdict.REPRODUCED)}


@pytest.mark.parametrize(
    "verdicts", [pair for size in (1, 2, 3) for pair in combinations_with_replacement(Verdict, size)]
)
def test_combine_returns_worst_verdict(verdicts: tuple[Verdict, ...]):
    worst = min(verdicts, key=RANK.__getitem__)
    assert combine(verdicts) is combine(reversed(verdicts)) is worst


# seeds to decide


@pytest.mark.parametrize(
    ("holds", "ties", "n", "relations", "decided"),
    [
        (4, 0, 4, 1, 8),
        (1, 0, 1, 1, 8),
        (0, 0, 1, 1, 5),
        (0, 0, 1, 10, 8),
        (3, 0, 4, 1, 23),
        (6, 0, 8, 10, 23),
        (1, 0, 2, 1, 21),
        (1, 0, 2, 10, 37),
        (63, 0, 100, 1, 2933),  # close to ln 2 / ln 3 = 0.6309, where evidence grows on neither side
        (8, 0, 8, 1, None),
        (0, 0, 5, 1, None),
        (0, 5, 5, 1, None),
        (2, 1, 4, 1, None),
    ],
)
def test_seeds_to_decide_of_known_counts(holds: int, ties: int, n: int, relations: int, decided: int | None):
    assert seeds_to_decide(judge(holds, ties, n, relations), relations) == decided


UNDECIDED = counts(60).filter(lambda case: judge(*case).verdict is INCONCLUSIVE)


@given(UNDECIDED)
def test_seeds_to_decide_is_smallest_number_that_decides(case: tuple[int, int, int, int]):
    holds, ties, n, relations = case

    def decides(size: int) -> bool:
        """Return whether so many seeds decide, with real counts in the same proportion."""
        logarithms = [
            size * (math.log(3) * holds / n - math.log(2)) - math.log(20),
            size * (math.log(2) - math.log(3) * (holds + ties) / n) - math.log(20 * relations),
        ]
        return max(logarithms) >= 1e-9

    smallest = seeds_to_decide(judge(*case), relations)
    assert smallest is None or (n < smallest <= 10_001 and decides(smallest + 1))
    assert not decides((smallest or 10_000) - 1)


@given(UNDECIDED, st.integers(2, 200))
def test_seeds_to_decide_agrees_with_multiples_of_counts(case: tuple[int, int, int, int], times: int):
    holds, ties, n, relations = case
    smallest = seeds_to_decide(judge(*case), relations) or 10_001
    verdict = judge(times * holds, times * ties, times * n, relations).verdict
    if times * n <= 10_000:
        assert (verdict is not INCONCLUSIVE) == (times * n >= smallest)
