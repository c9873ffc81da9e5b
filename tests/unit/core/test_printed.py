"""Printed numbers as one more draw beside those of our seeds, held against exact counting of ranks."""

import json
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcheck.core.metrics import Metric
from labcheck.core.printed import PrintedNumber, consistent_with, matches
from labcheck.core.trials import MetricError, Trials
from labcheck.core.verdicts import NumberJudgment, Verdict, judge_number, seeds_for_a_number, tally

NAN, INF = np.nan, np.inf
ERROR = Metric("x", higher_is_better=False)
SCORE = Metric("x", higher_is_better=True, ratio=False)
WORST_FIRST = [Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE, Verdict.REPRODUCED]


def trials(*values: float) -> dict[str, Trials]:
    return {"a": Trials({"epochs": np.ones(len(values)), "x": np.array(values, float)}, {})}


def p_of(below: int, equal: int, n: int) -> Fraction:
    """The p-value in whole numbers, as the design has it."""
    side = Fraction(equal, 2)
    return min(2 * min(1 + below + side, 1 + n - below - equal + side) / (n + 1), Fraction(1))


@st.composite
def counts(draw: st.DrawFn, most: int = 300) -> tuple[int, int, int, int]:
    n = draw(st.integers(1, most))
    below = draw(st.integers(0, n))
    return below, draw(st.integers(0, n - below)), n, draw(st.integers(1, 8))


# the p-value


@pytest.mark.parametrize("n", [1, 2, 7, 19, 39, 40, 79, 119])
def test_p_is_valid_for_exchangeable_draws(n: int) -> None:
    """Each of the n + 1 ranks of the printed number is equally likely: P(p ≤ α) ≤ α, counted for every α there is."""
    values = [Fraction(judge_number(below, 0, n).p).limit_denominator(n + 1) for below in range(n + 1)]
    assert values == [p_of(below, 0, n) for below in range(n + 1)]
    for level in {*values, Fraction(1, 20), Fraction(1, 100)}:
        assert Fraction(sum(p <= level for p in values), n + 1) <= level


@pytest.mark.parametrize("sides", [2, 3])
def test_p_is_valid_for_exchangeable_draws_with_ties(sides: int) -> None:
    """All throws of six dice, of which one is the printed number."""
    seen = []
    for printed, *ours in product(range(sides), repeat=6):
        below, equal = sum(x < printed for x in ours), sum(x == printed for x in ours)
        seen.append(judge_number(below, equal, 5).p)
    for level in set(seen):
        assert np.mean(np.array(seen) <= level) <= level + 1e-12


@given(counts())
def test_p_counts_equal_ones_half_on_each_side(case: tuple[int, int, int, int]) -> None:
    below, equal, n, relations = case
    verdict = judge_number(*case)
    assert verdict.p == pytest.approx(float(p_of(below, equal, n)), abs=1e-12)
    assert (verdict.below, verdict.equal, verdict.n) == (below, equal, n)
    p = p_of(below, equal, n)
    if p <= Fraction(1, 20 * relations):
        low = 2 * below + equal < n
        assert (verdict.verdict, verdict.tag) == (Verdict.NOT_REPRODUCED, "too low" if low else "too high")
    else:
        word = Verdict.REPRODUCED if n >= 19 and p > Fraction(1, 20) else Verdict.INCONCLUSIVE
        assert (verdict.verdict, verdict.tag) == (word, "")


@pytest.mark.parametrize("relations", range(1, 61))
def test_a_number_is_refuted_from_40_m_minus_1_seeds_on(relations: int) -> None:
    least = 40 * relations - 1
    before = Verdict.REPRODUCED if relations == 1 else Verdict.INCONCLUSIVE  # p is above .05, and n at least 19
    for n, word in ((least - 1, before), (least, Verdict.NOT_REPRODUCED), (least + 1, Verdict.NOT_REPRODUCED)):
        assert judge_number(0, 0, n, relations).word is judge_number(n, 0, n, relations).word is word, n


@pytest.mark.parametrize(
    ("below", "equal", "n", "relations", "word", "tag"),
    [
        (0, 0, 39, 1, "NOT_REPRODUCED", "too low"),
        (39, 0, 39, 1, "NOT_REPRODUCED", "too high"),
        (1, 0, 39, 1, "REPRODUCED", ""),
        (0, 1, 39, 1, "REPRODUCED", ""),
        (0, 1, 79, 1, "NOT_REPRODUCED", "too low"),
        (0, 39, 39, 1, "REPRODUCED", ""),
        (0, 0, 18, 1, "INCONCLUSIVE", ""),
        (9, 0, 18, 1, "INCONCLUSIVE", ""),
        (0, 0, 19, 1, "REPRODUCED", ""),
        (0, 0, 39, 2, "INCONCLUSIVE", ""),
        (0, 0, 79, 2, "NOT_REPRODUCED", "too low"),
        (1, 0, 79, 2, "INCONCLUSIVE", ""),
        (2, 0, 79, 2, "REPRODUCED", ""),
    ],
)
def test_known_verdicts_of_numbers(below: int, equal: int, n: int, relations: int, word: str, tag: str) -> None:
    verdict = judge_number(below, equal, n, relations)
    assert (verdict.verdict, verdict.tag) == (word, tag)


@given(counts())
def test_a_number_is_judged_no_better_farther_out(case: tuple[int, int, int, int]) -> None:
    below, equal, n, relations = case
    inward = range(below, (n - equal) // 2 + 1) if 2 * below + equal <= n else range(below, (n - equal) // 2, -1)
    verdicts = [judge_number(k, equal, n, relations) for k in inward]
    assert [verdict.p for verdict in verdicts] == sorted(verdict.p for verdict in verdicts)
    ranks = [WORST_FIRST.index(verdict.verdict) for verdict in verdicts]
    assert ranks == sorted(ranks)


@given(counts())
def test_a_number_and_its_reflection_are_judged_alike(case: tuple[int, int, int, int]) -> None:
    below, equal, n, relations = case
    one, other = judge_number(*case), judge_number(n - below - equal, equal, n, relations)
    assert (one.p, one.word) == (other.p, other.word)
    assert {one.tag, other.tag} in ({""}, {"too low", "too high"})


@given(counts())
def test_more_relations_refute_no_more_numbers(case: tuple[int, int, int, int]) -> None:
    alone, among = judge_number(*case[:3]).word, judge_number(*case).word
    assert among is alone or (alone, among) == (Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("case", [(0, 0, 0, 1), (-1, 0, 5, 1), (0, -1, 5, 1), (6, 0, 5, 1), (3, 3, 5, 1), (3, 0, 5, 0)])
def test_counts_of_numbers_that_cannot_be_are_refused(case: tuple[int, int, int, int]) -> None:
    message = f"^{case[0]} below and {case[1]} equal of {case[2]} seeds, {case[3]} relations$"
    with pytest.raises(ValueError, match=message):
        judge_number(*case)


# how many seeds decide


@pytest.mark.parametrize(
    ("below", "equal", "n", "relations", "decided"),
    [
        (0, 0, 5, 1, 19),
        (3, 0, 5, 4, 19),
        (0, 0, 18, 1, 19),
        (0, 0, 39, 2, 79),
        (39, 0, 39, 2, 79),
        (0, 0, 60, 3, 119),
        (1, 0, 79, 2, None),  # 1/79 of all seeds is more than .025 / 2, however many there are
        (1, 0, 100, 2, 395),  # 4.95 seeds below, and 3.95 · 2 / 396 = .025
        (0, 0, 60, 300, None),  # 11,999
        (10, 0, 60, 1, None),
        (0, 0, 39, 1, None),
    ],
)
def test_known_numbers_of_seeds_for_a_number(
    below: int, equal: int, n: int, relations: int, decided: int | None
) -> None:
    assert seeds_for_a_number(judge_number(below, equal, n, relations), relations) == decided


@given(counts().filter(lambda case: judge_number(*case).word is Verdict.INCONCLUSIVE))
def test_the_seeds_for_a_number_decide_and_fewer_do_not(case: tuple[int, int, int, int]) -> None:
    below, equal, n, relations = case
    outer = Fraction(min(2 * below + equal, 2 * n - 2 * below - equal), n)

    def decides(size: int) -> bool:
        p = (2 + outer * size) / (size + 1)
        return p <= Fraction(1, 20 * relations) or (size >= 19 and p > Fraction(1, 20))

    least = seeds_for_a_number(judge_number(*case), relations)
    assert least is None or (n < least <= 10_000 and decides(least))
    assert not any(decides(size) for size in {n, *np.geomspace(n, (least or 10_001) - 1, 60).astype(int).tolist()})


def test_a_tally_is_a_share_or_a_p_value() -> None:
    assert tally({"holds": 17, "n": 20, "ties": 1}) == "17/20"
    assert tally({"p": 0.3421, "n": 20}) == "p=0.34"
    assert tally({"p": 1.0, "n": 20}) == "p=1"


# number


def concluded(relation: PrintedNumber, *values: float, relations: int = 1) -> NumberJudgment:
    stored = dict(relation.judge(trials(*values), relations).stored)
    return NumberJudgment(Verdict(stored.pop("verdict")), **stored)


def test_a_number_is_counted_among_the_seeds() -> None:
    told = concluded(consistent_with("a", 2.0, ERROR), *range(20))
    assert told == NumberJudgment(Verdict.REPRODUCED, "", 2, 1, 20, pytest.approx(7 / 21))


def test_a_number_is_compared_in_single_precision() -> None:
    seeds = np.float32(0.1) * np.ones(3, np.float32)
    assert (concluded(consistent_with("a", 0.1, ERROR), *seeds).equal, np.float64(seeds[0]) == 0.1) == (3, False)


@pytest.mark.parametrize(
    ("metric", "printed", "below", "equal"),
    [
        (ERROR, 2.0, 1, 1),  # 1, 2, NaN, inf, -inf: those that are not finite are the largest errors
        (ERROR, NAN, 2, 3),
        (ERROR, INF, 2, 3),
        (SCORE, 2.0, 4, 1),
        (SCORE, NAN, 0, 3),
    ],
)
def test_a_number_that_is_not_finite_is_the_worst(metric: Metric, printed: float, below: int, equal: int) -> None:
    told = concluded(consistent_with("a", printed, metric), 1, 2, NAN, INF, -INF)
    assert (told.below, told.equal, told.n) == (below, equal, 5)


@pytest.mark.parametrize("printed", [NAN, INF])
def test_a_number_that_is_not_finite_is_null_in_a_report(printed: float) -> None:
    shown = consistent_with("a", printed, ERROR).judge(trials(1, 2, NAN), 1).shown
    assert json.loads(json.dumps(shown, allow_nan=False))["printed"] is None


@pytest.mark.parametrize(("metric", "expected"), [(ERROR, [1, 2, 4]), (SCORE, [3, INF, 6])])
def test_a_number_of_the_best_try_is_among_the_best_of_groups(metric: Metric, expected: list[float]) -> None:
    """The eighth and ninth seed make no whole group."""
    values = [3.0, 1, 2, NAN, 5, 2, 6, 4, 5, 0, 0] if metric is ERROR else [3.0, 1, 2, NAN, INF, 2, 6, 4, 5, 9, 9]
    expected = expected if metric is ERROR else [3, 2, 6]
    assert consistent_with("a", 1.0, metric, best_of=3).draws(trials(*values)).tolist() == expected


def test_a_number_of_the_best_try_counts_groups() -> None:
    relation = consistent_with("a", 0.5, ERROR, best_of=3)
    conclusion = relation.judge(trials(*range(31)), 1)
    assert (conclusion.stored["below"], conclusion.stored["equal"], conclusion.stored["n"]) == (1, 0, 10)
    assert (conclusion.shown["best_of"], conclusion.shown["seeds_to_decide"]) == (3, 3 * 19)
    assert conclusion.effect == ("value", 13.5, 3, 24)


def test_a_number_needs_a_group_of_seeds() -> None:
    message = r"^a: x is 0\.5 as printed, the best of 3: the best of 3 tries needs as many seeds, got 2$"
    with pytest.raises(MetricError, match=message):
        consistent_with("a", 0.5, ERROR, best_of=3).judge(trials(1, 2), 1)


def test_an_accuracy_has_the_sampling_error_of_its_images() -> None:
    shown = consistent_with("a", 0.9, SCORE, images=10_000).judge(trials(0.8, 0.9), 1).shown
    assert shown == {
        "kind": "number", "printed": 0.9, "best_of": 1, "sampling_error": pytest.approx(0.003), "seeds_to_decide": 19,
    }  # fmt: skip
    assert consistent_with("a", 0.9, SCORE).judge(trials(0.8), 1).shown["sampling_error"] is None


def test_a_number_shares_the_error_rate_with_relations() -> None:
    seeds = range(1, 40)
    assert concluded(consistent_with("a", 0.5, ERROR), *seeds).word is Verdict.NOT_REPRODUCED
    told = concluded(consistent_with("a", 0.5, ERROR), *seeds, relations=2)
    assert (told.word, told.tag, told.p) == (Verdict.INCONCLUSIVE, "", 0.05)


@pytest.mark.parametrize("best_of", [0, -1])
def test_a_number_of_no_try_is_refused(best_of: int) -> None:
    with pytest.raises(ValueError, match=f"^x: a number is the best of 1 try or more, got {best_of}$"):
        consistent_with("a", 1.0, ERROR, best_of=best_of)


@pytest.mark.parametrize(("value", "images"), [(90.0, 100), (-0.1, 100), (0.9, 0), (0.9, -5), (NAN, 100)])
def test_an_accuracy_that_is_no_share_is_refused(value: float, images: int) -> None:
    message = f"^x: an accuracy is a share from 0 to 1 of 1 image or more, got {value} of {images}$"
    with pytest.raises(ValueError, match=message):
        consistent_with("a", value, SCORE, images=images)


@pytest.mark.parametrize(
    ("relation", "name"),
    [
        (consistent_with("a", 0.00273, ERROR), "a: x is 0.00273 as printed"),
        (
            consistent_with("a", 0.5, ERROR, best_of=3, label="Table 1"),
            "Table 1: a: x is 0.5 as printed, the best of 3",
        ),
        (matches("a", 0.00273, ERROR, digits=3), "a: x is 0.00273 to 3 digits"),
        (matches("a", 0.0047054, ERROR, digits=2, label="Table 2"), "Table 2: a: x is 0.0047 to 2 digits"),
    ],
)
def test_a_number_says_what_it_asserts(relation: PrintedNumber, name: str) -> None:
    assert (relation.name, relation.arms) == (name, ("a",))


# matches


@pytest.mark.parametrize(
    ("value", "digits", "yes", "no"),
    [
        (100.0, 3, [100, 100.49, 99.51], [100.51, 99.49, -100, NAN, INF, -INF]),
        (0.00273, 3, [0.00273, 0.0027345, 0.0027255], [0.0027355, 0.0027245, NAN]),
        (0.00273, 2, [0.00277, 0.00269], [0.00279, 0.00267]),
        (0.15899989, 3, [0.1594, 0.1585], [0.1596, 0.1584]),
        (121.0, 3, [121], [120, 122]),
        (-2.0, 1, [-2.4, -1.6], [-2.6, 2]),
    ],
)
def test_a_replay_matches_to_digits(value: float, digits: int, yes: list[float], no: list[float]) -> None:
    holds, ties, _ = matches("a", value, ERROR, digits=digits).judge(trials(*yes, *no))
    assert holds.tolist() == [True] * len(yes) + [False] * len(no)
    assert not ties.any()


@pytest.mark.parametrize(("value", "digits"), [(0.0, 3), (NAN, 3), (INF, 1), (1.0, 0)])
def test_a_replay_without_digits_is_refused(value: float, digits: int) -> None:
    with pytest.raises(ValueError, match=r"^x: a printed value and at least 1 significant digit, got "):
        matches("a", value, ERROR, digits=digits)
