"""Printed numbers as one more draw from the distribution of our seeds, compared with exact counts of ranks."""

import json
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcheck import Metric, MetricError, Relation, Trials, Verdict, consistent_with, matches
from labcheck.core.printed import PrintedNumber
from labcheck.core.verdicts import NumberJudgment, judge_number, seeds_for_a_number, tally
from tests.helpers.claims import ERROR, INF, NAN, SCORE, metric_trials

WORST_FIRST = [Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE, Verdict.REPRODUCED]


def trials(*values: float) -> dict[str, Trials]:
    return {"a": metric_trials(values)}


def p_of(below: int, equal: int, n: int) -> Fraction:
    """Return the p-value by its definition, as a fraction."""
    side = Fraction(equal, 2)
    return min(2 * min(1 + below + side, 1 + n - below - equal + side) / (n + 1), Fraction(1))


@st.composite
def counts(draw: st.DrawFn, max_n: int = 300) -> tuple[int, int, int, int]:
    n = draw(st.integers(1, max_n))
    below = draw(st.integers(0, n))
    return below, draw(st.integers(0, n - below)), n, draw(st.integers(1, 8))


# the p-value


@pytest.mark.parametrize("n", [1, 2, 7, 19, 39, 40, 79, 119])
def test_p_is_valid_for_exchangeable_draws(n: int):
    """Each of the n + 1 ranks of the printed number is equally likely: P(p ≤ α) ≤ α for each possible α."""
    values = [Fraction(judge_number(below, 0, n).p).limit_denominator(n + 1) for below in range(n + 1)]
    assert values == [p_of(below, 0, n) for below in range(n + 1)]
    for level in {*values, Fraction(1, 20), Fraction(1, 100)}:
        assert Fraction(sum(p <= level for p in values), n + 1) <= level


@pytest.mark.parametrize("sides", [2, 3])
def test_p_is_valid_for_exchangeable_draws_with_ties(sides: int):
    """All throws of six dice are equally likely; the first one is the printed number."""
    p_values = []
    for printed, *ours in product(range(sides), repeat=6):
        below, equal = sum(x < printed for x in ours), sum(x == printed for x in ours)
        p_values.append(judge_number(below, equal, 5).p)
    for level in set(p_values):
        assert np.mean(np.array(p_values) <= level) <= level + 1e-12


@given(counts())
def test_p_counts_equal_values_half_on_each_side(case: tuple[int, int, int, int]):
    below, equal, n, relations = case
    judgment = judge_number(*case)
    assert judgment.p == pytest.approx(float(p_of(below, equal, n)), abs=1e-12)
    assert (judgment.below, judgment.equal, judgment.n) == (below, equal, n)
    p = p_of(below, equal, n)
    if p <= Fraction(1, 20 * relations):
        low = 2 * below + equal < n
        assert (judgment.verdict, judgment.tag) == (Verdict.NOT_REPRODUCED, "too low" if low else "too high")
    else:
        verdict = Verdict.REPRODUCED if n >= 19 and p > Fraction(1, 20) else Verdict.INCONCLUSIVE
        assert (judgment.verdict, judgment.tag) == (verdict, "")


@pytest.mark.parametrize("relations", range(1, 61))
def test_extreme_number_is_refuted_by_40_m_minus_1_seeds(relations: int):
    smallest = 40 * relations - 1
    before = Verdict.REPRODUCED if relations == 1 else Verdict.INCONCLUSIVE  # p is above 0.05, and n is at least 19
    for n, verdict in (
        (smallest - 1, before),
        (smallest, Verdict.NOT_REPRODUCED),
        (smallest + 1, Verdict.NOT_REPRODUCED),
    ):
        assert judge_number(0, 0, n, relations).verdict is judge_number(n, 0, n, relations).verdict is verdict, n


@pytest.mark.parametrize(
    ("below", "equal", "n", "relations", "verdict", "tag"),
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
def test_verdict_of_known_ranks(below: int, equal: int, n: int, relations: int, verdict: str, tag: str):
    judgment = judge_number(below, equal, n, relations)
    assert (judgment.verdict, judgment.tag) == (verdict, tag)


@given(counts())
def test_verdict_is_no_better_farther_from_median(case: tuple[int, int, int, int]):
    below, equal, n, relations = case
    inward = range(below, (n - equal) // 2 + 1) if 2 * below + equal <= n else range(below, (n - equal) // 2, -1)
    judgments = [judge_number(k, equal, n, relations) for k in inward]
    assert [judgment.p for judgment in judgments] == sorted(judgment.p for judgment in judgments)
    ranks = [WORST_FIRST.index(judgment.verdict) for judgment in judgments]
    assert ranks == sorted(ranks)


@given(counts())
def test_verdict_is_equal_for_reflected_ranks(case: tuple[int, int, int, int]):
    below, equal, n, relations = case
    one, other = judge_number(*case), judge_number(n - below - equal, equal, n, relations)
    assert (one.p, one.verdict) == (other.p, other.verdict)
    assert {one.tag, other.tag} in ({""}, {"too low", "too high"})


@given(counts())
def test_verdict_is_refuted_less_among_more_relations(case: tuple[int, int, int, int]):
    alone, among = judge_number(*case[:3]).verdict, judge_number(*case).verdict
    assert among is alone or (alone, among) == (Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("case", [(0, 0, 0, 1), (-1, 0, 5, 1), (0, -1, 5, 1), (6, 0, 5, 1), (3, 3, 5, 1), (3, 0, 5, 0)])
def test_judge_number_refuses_impossible_counts(case: tuple[int, int, int, int]):
    message = f"^impossible counts: {case[0]} below and {case[1]} equal in {case[2]} seeds, {case[3]} relations$"
    with pytest.raises(ValueError, match=message):
        judge_number(*case)


# the number of seeds that decides


@pytest.mark.parametrize(
    ("below", "equal", "n", "relations", "decided"),
    [
        (0, 0, 5, 1, 19),
        (3, 0, 5, 4, 19),
        (0, 0, 18, 1, 19),
        (0, 0, 39, 2, 79),
        (39, 0, 39, 2, 79),
        (0, 0, 60, 3, 119),
        (1, 0, 79, 2, None),  # 1/79 of all seeds is more than 0.025 / 2
        (1, 0, 100, 2, 395),  # 3.95 of 395 seeds are below: (1 + 3.95) / 396 = 0.0125
        (0, 0, 60, 300, None),  # 11,999 seeds
        (10, 0, 60, 1, None),
        (0, 0, 39, 1, None),
    ],
)
def test_seeds_for_a_number_of_known_ranks(below: int, equal: int, n: int, relations: int, decided: int | None):
    assert seeds_for_a_number(judge_number(below, equal, n, relations), relations) == decided


@pytest.mark.slow
@given(counts().filter(lambda case: judge_number(*case).verdict is Verdict.INCONCLUSIVE))
def test_seeds_for_a_number_is_smallest_number_that_decides(case: tuple[int, int, int, int]):
    below, equal, n, relations = case
    outer = Fraction(min(2 * below + equal, 2 * n - 2 * below - equal), n)

    def decides(size: int) -> bool:
        p = (2 + outer * size) / (size + 1)
        return p <= Fraction(1, 20 * relations) or (size >= 19 and p > Fraction(1, 20))

    smallest = seeds_for_a_number(judge_number(*case), relations)
    assert smallest is None or (n < smallest <= 10_000 and decides(smallest))
    assert not any(decides(size) for size in {n, *np.geomspace(n, (smallest or 10_001) - 1, 60).astype(int).tolist()})


def test_tally_is_fraction_or_p_value():
    assert tally({"holds": 17, "n": 20, "ties": 1}) == "17/20"
    assert tally({"p": 0.3421, "n": 20}) == "p=0.34"
    assert tally({"p": 1.0, "n": 20}) == "p=1"


# consistent_with


def judge(relation: PrintedNumber, *values: float, relations: int = 1) -> NumberJudgment:
    stored = dict(relation.judge(trials(*values), relations).stored)
    return NumberJudgment(Verdict(stored.pop("verdict")), **stored)


def test_printed_number_is_ranked_among_seeds():
    judgment = judge(consistent_with("a", 2.0, ERROR), *range(20))
    assert judgment == NumberJudgment(Verdict.REPRODUCED, "", 2, 1, 20, 7 / 21)


def test_printed_number_is_compared_in_float32():
    seeds = np.float32(0.1) * np.ones(3, np.float32)
    assert (judge(consistent_with("a", 0.1, ERROR), *seeds).equal, np.float64(seeds[0]) == 0.1) == (3, False)


@pytest.mark.parametrize(
    ("metric", "printed", "below", "equal"),
    [
        (ERROR, 2.0, 1, 1),  # the others, which are not finite, are the largest errors
        (ERROR, NAN, 2, 3),
        (ERROR, INF, 2, 3),
        (SCORE, 2.0, 4, 1),
        (SCORE, NAN, 0, 3),
    ],
)
def test_printed_number_is_worst_if_not_finite(metric: Metric, printed: float, below: int, equal: int):
    judgment = judge(consistent_with("a", printed, metric), 1, 2, NAN, INF, -INF)
    assert (judgment.below, judgment.equal, judgment.n) == (below, equal, 5)


@pytest.mark.parametrize("printed", [NAN, INF])
def test_printed_number_is_null_in_json_if_not_finite(printed: float):
    details = consistent_with("a", printed, ERROR).judge(trials(1, 2, NAN), 1).details
    assert json.loads(json.dumps(details, allow_nan=False))["printed"] is None


@pytest.mark.parametrize(
    ("metric", "values", "expected"),
    [
        (ERROR, [3, 1, 2, NAN, 5, 2, 6, 4, 5, 0, 0], [1, 2, 4]),
        (ERROR, [3, 1, 2, NAN, INF, -INF], [1, INF]),
        (SCORE, [3, 1, 2, NAN, INF, 2, 6, 4, 5, 9, 9], [3, 2, 6]),
        (SCORE, [3, 1, 2, NAN, INF, -INF], [3, -INF]),
    ],
)
def test_draws_are_best_of_each_group_of_tries(metric: Metric, values: list[float], expected: list[float]):
    """An incomplete group at the end is left out."""
    assert consistent_with("a", 1.0, metric, best_of=3).draws(trials(*values)).tolist() == expected


def test_printed_number_of_best_try_counts_groups():
    relation = consistent_with("a", 0.5, ERROR, best_of=3)
    result = relation.judge(trials(*range(31)), 1)
    assert (result.stored["below"], result.stored["equal"], result.stored["n"]) == (1, 0, 10)
    assert (result.details["best_of"], result.details["seeds_to_decide"]) == (3, 3 * 19)
    assert result.effect == ("value", 13.5, 3, 24)


def test_printed_number_of_best_try_needs_group_of_seeds():
    message = r"^a is consistent with the printed x 0\.5, best of 3: the best of 3 tries needs at least 3 seeds, got 2$"
    with pytest.raises(MetricError, match=message):
        consistent_with("a", 0.5, ERROR, best_of=3).judge(trials(1, 2), 1)


def test_printed_accuracy_has_sampling_error_of_images():
    details = consistent_with("a", 0.9, SCORE, images=10_000).judge(trials(0.8, 0.9), 1).details
    assert details == {
        "kind": "number", "relations": 1, "printed": 0.9, "best_of": 1, "sampling_error": pytest.approx(0.003),
        "seeds_to_decide": 19,
    }  # fmt: skip
    assert consistent_with("a", 0.9, SCORE).judge(trials(0.8), 1).details["sampling_error"] is None


def test_printed_number_shares_error_rate_with_relations():
    seeds = range(1, 40)
    assert judge(consistent_with("a", 0.5, ERROR), *seeds).verdict is Verdict.NOT_REPRODUCED
    judgment = judge(consistent_with("a", 0.5, ERROR), *seeds, relations=2)
    assert (judgment.verdict, judgment.tag, judgment.p) == (Verdict.INCONCLUSIVE, "", 0.05)


@pytest.mark.parametrize("best_of", [0, -1])
def test_consistent_with_refuses_fewer_than_one_try(best_of: int):
    with pytest.raises(ValueError, match=f"^x: best_of must be at least 1, got {best_of}$"):
        consistent_with("a", 1.0, ERROR, best_of=best_of)


@pytest.mark.parametrize(("value", "images"), [(90.0, 100), (-0.1, 100), (0.9, 0), (0.9, -5), (NAN, 100)])
def test_consistent_with_refuses_images_unless_value_is_share(value: float, images: int):
    message = f"^x: with `images`, the value must be a share of 1 image or more, got {value} of {images}$"
    with pytest.raises(ValueError, match=message):
        consistent_with("a", value, SCORE, images=images)


@pytest.mark.parametrize(
    ("relation", "name"),
    [
        (consistent_with("a", 0.00273, ERROR), "a is consistent with the printed x 0.00273"),
        (
            consistent_with("a", 0.5, ERROR, best_of=3, label="Table 1"),
            "Table 1: a is consistent with the printed x 0.5, best of 3",
        ),
        (matches("a", 0.00273, ERROR, digits=3), "a matches the printed x 0.00273 to 3 digits"),
        (
            matches("a", 0.0047054, ERROR, digits=2, label="Table 2"),
            "Table 2: a matches the printed x 0.0047 to 2 digits",
        ),
    ],
)
def test_printed_number_has_name(relation: Relation, name: str):
    assert (relation.name, relation.arms) == (name, ("a",))


# matches


@pytest.mark.parametrize(
    ("value", "digits", "matching", "other"),
    [
        (100.0, 3, [100, 100.49, 99.51], [100.51, 99.49, -100, NAN, INF, -INF]),
        (0.00273, 3, [0.00273, 0.0027345, 0.0027255], [0.0027355, 0.0027245, NAN]),
        (0.00273, 2, [0.00277, 0.00269], [0.00279, 0.00267]),
        (0.15899989, 3, [0.1594, 0.1585], [0.1596, 0.1584]),
        (121.0, 3, [121], [120, 122]),
        (-2.0, 1, [-2.4, -1.6], [-2.6, 2]),
    ],
)
def test_matches_allows_half_unit_of_last_digit(value: float, digits: int, matching: list[float], other: list[float]):
    holds, ties, _ = matches("a", value, ERROR, digits=digits).decide(trials(*matching, *other))
    assert holds.tolist() == [True] * len(matching) + [False] * len(other)
    assert not ties.any()


@pytest.mark.parametrize(("value", "digits"), [(0.0, 3), (NAN, 3), (INF, 1), (1.0, 0)])
def test_matches_refuses_value_without_digits(value: float, digits: int):
    with pytest.raises(ValueError, match=r"^x: needs a finite printed value other than 0 and at least 1 digit, got "):
        matches("a", value, ERROR, digits=digits)
