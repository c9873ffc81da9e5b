"""Drift between environments: p-values held against scipy's and against counting, error rates by simulation."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import binom, hypergeom, mannwhitneyu, rankdata

from labcheck.core.drift import EXACT_UP_TO, FALSE_ALARMS, moved, rank_sum_p

Floats = NDArray[np.float64]
SMALL = st.lists(st.integers(0, 6), min_size=1, max_size=6).map(lambda values: np.array(values, float))


def normal(rng: Generator, n: int) -> Floats:
    return rng.normal(size=n)


def lognormal(rng: Generator, n: int) -> Floats:
    return np.exp(2 * rng.normal(size=n))


def tied(rng: Generator, n: int) -> Floats:
    """Most of the values are one of three."""
    return np.rint(rng.normal(size=n))


def nearly_constant(rng: Generator, n: int) -> Floats:
    return (rng.random(n) < 0.1).astype(float)


def sometimes_lost(rng: Generator, n: int) -> Floats:
    return np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 8), (3, 5), (10, 10), (10, 60), (60, 10), (40, 40)])
def test_without_ties_p_is_that_of_the_exact_test(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    assert n * m <= EXACT_UP_TO
    for shift in (0, 0.5, 1, 3, -3):
        a, b = rng.normal(size=n), rng.normal(size=m) + shift
        assert rank_sum_p(a, b) == pytest.approx(mannwhitneyu(a, b, method="exact").pvalue, rel=1e-9)


@given(SMALL, SMALL)
def test_with_ties_p_is_the_share_of_splits_that_are_as_far_from_even(a: Floats, b: Floats) -> None:
    ranks = rankdata(np.concatenate([a, b]))
    sums = np.array([sum(split) for split in combinations(ranks, len(a))])
    far = np.abs(sums - len(a) * ranks.mean())
    assert rank_sum_p(a, b) == pytest.approx(np.mean(far >= far[0] - 1e-9), rel=1e-12)


@given(st.lists(st.integers(0, 4), min_size=8, max_size=8), st.integers(2, 6))
def test_p_is_below_a_level_in_no_more_of_the_splits_than_the_level(values: list[int], n: int) -> None:
    pooled = np.array(values, float)
    splits = [np.isin(np.arange(8), split) for split in combinations(range(8), n)]
    p = np.array([rank_sum_p(pooled[chosen], pooled[~chosen]) for chosen in splits])
    assert all(np.mean(p <= level + 1e-12) <= level + 1e-9 for level in p)


@pytest.mark.parametrize(("n", "m"), [(41, 40), (60, 60), (60, 90), (90, 60)])
@pytest.mark.parametrize("draw", [normal, tied, nearly_constant])
def test_with_many_values_p_is_that_of_the_asymptotic_test(
    n: int, m: int, draw: Callable[[Generator, int], Floats]
) -> None:
    rng = np.random.default_rng(n)
    assert n * m > EXACT_UP_TO
    for shift in (0, 0.25, 0.5, -1):
        a, b = draw(rng, n), draw(rng, m) + shift
        assert rank_sum_p(a, b) == pytest.approx(mannwhitneyu(a, b, method="asymptotic").pvalue, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(240, 480), (60, 480), (300, 1500), (900, 2100)])
def test_with_many_values_of_unlike_sizes_p_is_that_of_the_asymptotic_test_too(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    for draw in normal, tied:
        a, b = draw(rng, n), draw(rng, m) + 0.1
        assert rank_sum_p(a, b) == pytest.approx(mannwhitneyu(a, b, method="asymptotic").pvalue, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(60, 480), (240, 480), (250, 2500)])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.45, 0.55, 0.99])
@pytest.mark.parametrize("sign", [1, -1])
def test_of_two_values_p_is_that_of_a_hypergeometric_number(n: int, m: int, share: float, sign: int) -> None:
    ones = round(share * (n + m))
    numbers = hypergeom(n + m, ones, n)
    for among_a in {int(numbers.ppf(0.001)), int(numbers.ppf(0.9999))}:
        a, b = np.arange(n) < among_a, np.arange(m) < ones - among_a
        far = np.abs(np.arange(n + 1) - numbers.mean()) >= abs(among_a - numbers.mean()) - 1e-9
        expected = numbers.pmf(np.arange(n + 1))[far].sum()
        assert rank_sum_p(sign * a.astype(float), sign * b.astype(float)) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), max_size=8), st.lists(st.floats(-1e3, 1e3), max_size=8))
def test_p_is_a_probability_that_does_not_depend_on_order_or_side(a: list[float], b: list[float]) -> None:
    p = rank_sum_p(np.array(a), np.array(b))
    assert 0 < p <= 1 + 1e-12
    assert rank_sum_p(np.array(b), np.array(a)) == pytest.approx(p)
    assert rank_sum_p(np.array(a[::-1]), np.array(b)) == pytest.approx(p)
    assert rank_sum_p(-np.array(a), -np.array(b)) == pytest.approx(p)


def test_p_is_one_where_nothing_can_be_told() -> None:
    assert rank_sum_p(np.array([]), np.array([1.0])) == rank_sum_p(np.array([1.0]), np.array([])) == 1
    assert rank_sum_p(np.full(10, 2.0), np.full(10, 2.0)) == 1
    assert rank_sum_p(np.full(60, 2.0), np.full(60, 2.0)) == 1


def alarms(repetitions: int, find: Callable[[Generator], str]) -> int:
    rng = np.random.default_rng(0)
    return sum(bool(find(rng)) for _ in range(repetitions))


@pytest.mark.slow
@pytest.mark.parametrize(("stored", "today", "repetitions"), [(10, 10, 10_000), (60, 60, 5_000), (10, 60, 1_000)])
@pytest.mark.parametrize("draw", [normal, lognormal, tied, nearly_constant, sometimes_lost])
def test_false_alarms(draw: Callable[[Generator, int], Floats], stored: int, today: int, repetitions: int) -> None:
    assert FALSE_ALARMS == 0.001
    if draw is sometimes_lost:
        repetitions //= 4
    count = alarms(repetitions, lambda rng: describe_shift(draw(rng, stored), draw(rng, today)))
    assert count <= binom.ppf(0.999, repetitions, 0.001)


@pytest.mark.slow
@pytest.mark.parametrize(("stored", "today"), [(161, 10), (10, 161), (20, 100), (60, 480), (480, 240)])
@pytest.mark.parametrize("values", [np.sign, lambda x: x], ids=["tied", "few"])
def test_false_alarms_of_rare_ties_in_samples_of_unlike_size(
    values: Callable[[Floats], Floats], stored: int, today: int
) -> None:
    def rare(rng: Generator) -> str:
        return moved(*(values(np.maximum(rng.random(n) - 0.98, 0)) for n in (stored, today)))

    repetitions = 1_000 if stored * today > 10_000 else 2_000
    assert alarms(repetitions, rare) <= binom.ppf(0.999, repetitions, 0.001)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("stored", "today", "repetitions"), [(10, 10, 3_000), (10, 60, 200)])
@pytest.mark.parametrize(
    "values",
    [lambda x: x, lambda x: np.exp(2 * x), lambda x: np.rint(2 * x) / 2],
    ids=["normal", "lognormal", "tied"],
)
def test_three_standard_deviations_are_found_95_times_in_100(
    values: Callable[[Floats], Floats], stored: int, today: int, repetitions: int, sign: int
) -> None:
    def shifted(rng: Generator) -> str:
        return describe_shift(values(rng.normal(size=stored)), values(rng.normal(size=today) + 3 * sign))

    assert alarms(repetitions, shifted) >= 0.95 * repetitions


def test_lost_seeds_are_a_drift_however_the_others_do() -> None:
    values = np.linspace(1, 2, 10)
    lost = np.where(np.arange(10) < 9, np.inf, values)
    assert describe_shift(values, lost) == "non-finite in 9 of 10 seeds, stored 0 of 10"
    assert describe_shift(np.tile(lost, 2), values) == "non-finite in 0 of 10 seeds, stored 18 of 20"
    assert describe_shift(values, np.full(10, np.nan)) == "non-finite in 10 of 10 seeds, stored 0 of 10"


def test_lost_seeds_hide_no_shift_of_the_others() -> None:
    stored, today = np.linspace(1, 2, 60), np.linspace(3, 4, 60)
    stored[:20], today[40:] = np.nan, np.inf
    stored_median, median = np.median(stored[20:]), np.median(today[:40])
    assert describe_shift(stored, today) == f"median {median:.4g}, stored {stored_median:.4g}"


def test_seeds_that_were_always_lost_are_no_drift() -> None:
    assert describe_shift(np.full(10, np.nan), np.full(60, np.inf)) == ""


def test_equal_values_are_no_drift_and_separate_ones_are() -> None:
    values = np.linspace(1, 2, 10)
    assert describe_shift(values, values) == ""
    assert describe_shift(values, values + 2) == "median 3.5, stored 1.5"
    assert describe_shift(values, values - 2) == "median -0.5, stored 1.5"


@pytest.mark.slow
def test_the_smallest_shift_that_is_found_falls_with_seeds() -> None:
    shifts = [smallest_detectable_shift(n, n) for n in (2, 4, 8, 10, 12, 20, 30)]
    assert shifts[:2] == [np.inf, np.inf]
    assert shifts[2:] == sorted(shifts[2:], reverse=True)
    assert 8 > shifts[2] > shifts[-1]
    assert 2.5 <= smallest_detectable_shift(10, 10) <= 3


@pytest.mark.slow
def test_the_smallest_shift_falls_with_stored_seeds() -> None:
    assert smallest_detectable_shift(20, 5) < smallest_detectable_shift(5, 5)
    assert smallest_detectable_shift(2, 60) == np.inf
