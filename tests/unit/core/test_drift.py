"""Drift: p-values compared with those of SciPy and with enumeration, and error rates by simulation."""

from collections.abc import Callable, Hashable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import binom, hypergeom, mannwhitneyu, rankdata

from labcheck.core import drift
from labcheck.core.drift import (
    ALWAYS_EXACT,
    FALSE_ALARM_RATE,
    describe_shift,
    rank_sum_p,
    smallest_detectable_shift,
)

Floats = NDArray[np.float64]
SMALL = st.lists(st.integers(0, 6), min_size=1, max_size=6).map(lambda values: np.array(values, float))


def normal(rng: Generator, n: int) -> Floats:
    return rng.normal(size=n)


def tied(rng: Generator, n: int) -> Floats:
    """Draw values that are one of three."""
    return np.rint(rng.normal(size=n)).clip(-1, 1)


def nearly_constant(rng: Generator, n: int) -> Floats:
    return (rng.random(n) < 0.1).astype(float)


def sometimes_not_finite(rng: Generator, n: int) -> Floats:
    return np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 8), (3, 5), (10, 10), (10, 60), (60, 10), (40, 40)])
def test_p_without_ties_is_that_of_exact_test(n: int, m: int):
    rng = np.random.default_rng(n)
    assert n * m <= ALWAYS_EXACT
    for shift in (0, 0.5, 1, 3, -3):
        a, b = rng.normal(size=n), rng.normal(size=m) + shift
        assert rank_sum_p(a, b) == pytest.approx(mannwhitneyu(a, b, method="exact").pvalue, rel=1e-9)


@pytest.mark.slow
@given(SMALL, SMALL)
def test_p_with_ties_is_share_of_splits_that_are_as_extreme(a: Floats, b: Floats):
    ranks = rankdata(np.concatenate([a, b]))
    sums = np.array([sum(split) for split in combinations(ranks, len(a))])
    far = np.abs(sums - len(a) * ranks.mean())
    assert rank_sum_p(a, b) == pytest.approx(np.mean(far >= far[0] - 1e-9), rel=1e-12)


@pytest.mark.slow
@given(st.lists(st.integers(0, 4), min_size=7, max_size=7), st.integers(2, 5))
def test_p_is_valid_at_each_level(values: list[int], n: int):
    pooled = np.array(values, float)
    splits = [np.isin(np.arange(7), split) for split in combinations(range(7), n)]
    p = np.array([rank_sum_p(pooled[chosen], pooled[~chosen]) for chosen in splits])
    assert all(np.mean(p <= level + 1e-12) <= level + 1e-9 for level in p)


@pytest.mark.parametrize(("n", "m"), [(41, 40), (60, 60), (60, 90), (90, 60)])
@pytest.mark.parametrize("draw", [normal, tied, nearly_constant])
def test_p_of_many_values_is_that_of_asymptotic_test(n: int, m: int, draw: Callable[[Generator, int], Floats]):
    rng = np.random.default_rng(n)
    assert n * m > ALWAYS_EXACT
    for shift in (0, 0.25, 0.5, -1):
        a, b = draw(rng, n), draw(rng, m) + shift
        assert rank_sum_p(a, b) == pytest.approx(mannwhitneyu(a, b, method="asymptotic").pvalue, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(240, 480), (60, 480), (300, 1500), (900, 2100)])
def test_p_of_unequal_samples_is_that_of_asymptotic_test(n: int, m: int):
    rng = np.random.default_rng(n)
    for draw in normal, tied:
        a, b = draw(rng, n), draw(rng, m) + 0.1
        assert rank_sum_p(a, b) == pytest.approx(mannwhitneyu(a, b, method="asymptotic").pvalue, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(60, 480), (240, 480), (250, 2500)])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.45, 0.55, 0.99])
@pytest.mark.parametrize("sign", [1, -1])
def test_p_of_binary_values_is_hypergeometric(n: int, m: int, share: float, sign: int):
    ones = round(share * (n + m))
    numbers = hypergeom(n + m, ones, n)
    for among_a in {int(numbers.ppf(0.001)), int(numbers.ppf(0.9999))}:
        a, b = np.arange(n) < among_a, np.arange(m) < ones - among_a
        far = np.abs(np.arange(n + 1) - numbers.mean()) >= abs(among_a - numbers.mean()) - 1e-9
        expected = numbers.pmf(np.arange(n + 1))[far].sum()
        assert rank_sum_p(sign * a.astype(float), sign * b.astype(float)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@given(st.lists(st.floats(-1e3, 1e3), max_size=8), st.lists(st.floats(-1e3, 1e3), max_size=8))
def test_p_does_not_depend_on_order_or_sign(a: list[float], b: list[float]):
    p = rank_sum_p(np.array(a), np.array(b))
    assert 0 < p <= 1 + 1e-12
    assert rank_sum_p(np.array(b), np.array(a)) == pytest.approx(p)
    assert rank_sum_p(np.array(a[::-1]), np.array(b)) == pytest.approx(p)
    assert rank_sum_p(-np.array(a), -np.array(b)) == pytest.approx(p)


@pytest.mark.slow
@given(st.lists(st.integers(-99, 99), max_size=12), st.lists(st.integers(-99, 99), max_size=12))
def test_p_does_not_depend_on_scale(a: list[int], b: list[int]):
    """The error rates below are those of normal values and, as ranks are equal, of log-normal ones."""
    x, y = np.array(a, float), np.array(b, float)
    assert rank_sum_p(np.exp(x / 9), np.exp(y / 9)) == rank_sum_p(x, y)


def test_p_is_one_without_information():
    assert rank_sum_p(np.array([]), np.array([1.0])) == rank_sum_p(np.array([1.0]), np.array([])) == 1
    assert rank_sum_p(np.full(10, 2.0), np.full(10, 2.0)) == 1
    assert rank_sum_p(np.full(60, 2.0), np.full(60, 2.0)) == 1


P_VALUES: dict[Hashable, float | None] = {}


@pytest.fixture
def _each_p_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute an exact p-value once for equal pooled ranks and rank sums, on which alone it depends."""
    exact_p = drift._exact_p

    def stored_p(ranks: Floats, n: int, limit: float) -> float | None:
        key = n, limit, np.sort(ranks).tobytes(), float(ranks[:n].sum())
        if key not in P_VALUES:
            P_VALUES[key] = exact_p(ranks, n, limit)
        return P_VALUES[key]

    monkeypatch.setattr(drift, "_exact_p", stored_p)


def count_alarms(repetitions: int, describe: Callable[[Generator], str]) -> int:
    """Return how often a comparison of random values describes a shift."""
    rng = np.random.default_rng(0)
    return sum(bool(describe(rng)) for _ in range(repetitions))


@pytest.mark.slow
@pytest.mark.usefixtures("_each_p_once")
@pytest.mark.parametrize(("stored", "current", "repetitions"), [(10, 10, 10_000), (60, 60, 5_000), (10, 60, 1_000)])
@pytest.mark.parametrize("draw", [normal, tied, nearly_constant, sometimes_not_finite])
def test_false_alarms_are_rare(draw: Callable[[Generator, int], Floats], stored: int, current: int, repetitions: int):
    assert FALSE_ALARM_RATE == 0.001
    if draw is sometimes_not_finite:
        repetitions //= 4
    count = count_alarms(repetitions, lambda rng: describe_shift(draw(rng, stored), draw(rng, current)))
    assert count <= binom.ppf(0.999, repetitions, 0.001)


@pytest.mark.slow
@pytest.mark.usefixtures("_each_p_once")
@pytest.mark.parametrize(("stored", "current"), [(161, 10), (10, 161), (20, 100), (60, 480), (480, 240)])
@pytest.mark.parametrize("values", [np.sign, lambda x: x], ids=["tied", "rare"])
def test_false_alarms_are_rare_in_unequal_samples_with_ties(
    values: Callable[[Floats], Floats], stored: int, current: int
):
    def rare(rng: Generator) -> str:
        return describe_shift(*(values(np.maximum(rng.random(n) - 0.98, 0)) for n in (stored, current)))

    repetitions = 1_000 if stored * current > 10_000 else 2_000
    assert count_alarms(repetitions, rare) <= binom.ppf(0.999, repetitions, 0.001)


@pytest.mark.slow
@pytest.mark.usefixtures("_each_p_once")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("stored", "current", "repetitions"), [(10, 10, 3_000), (10, 60, 200)])
@pytest.mark.parametrize(
    "values",
    [lambda x: x, lambda x: np.rint(2 * x) / 2],
    ids=["normal", "tied"],
)
def test_shift_of_three_deviations_is_detected_in_95_percent(
    values: Callable[[Floats], Floats], stored: int, current: int, repetitions: int, sign: int
):
    def shifted(rng: Generator) -> str:
        return describe_shift(values(rng.normal(size=stored)), values(rng.normal(size=current) + 3 * sign))

    assert count_alarms(repetitions, shifted) >= 0.95 * repetitions


def test_non_finite_seeds_are_shift_if_others_are_equal():
    values = np.linspace(1, 2, 10)
    mostly_infinite = np.where(np.arange(10) < 9, np.inf, values)
    assert describe_shift(values, mostly_infinite) == "non-finite in 9 of 10 seeds, stored 0 of 10"
    assert describe_shift(np.tile(mostly_infinite, 2), values) == "non-finite in 0 of 10 seeds, stored 18 of 20"
    assert describe_shift(values, np.full(10, np.nan)) == "non-finite in 10 of 10 seeds, stored 0 of 10"


def test_non_finite_seeds_do_not_hide_shift_of_others():
    stored, current = np.linspace(1, 2, 60), np.linspace(3, 4, 60)
    stored[:20], current[40:] = np.nan, np.inf
    stored_median, median = np.median(stored[20:]), np.median(current[:40])
    assert describe_shift(stored, current) == f"median {median:.4g}, stored {stored_median:.4g}"


def test_seeds_that_never_were_finite_are_no_shift():
    assert describe_shift(np.full(10, np.nan), np.full(60, np.inf)) == ""


def test_separate_values_are_shift_and_equal_ones_are_not():
    values = np.linspace(1, 2, 10)
    assert describe_shift(values, values) == ""
    assert describe_shift(values, values + 2) == "median 3.5, stored 1.5"
    assert describe_shift(values, values - 2) == "median -0.5, stored 1.5"


@pytest.mark.slow
@pytest.mark.usefixtures("_each_p_once")
def test_smallest_detectable_shift_decreases_with_seeds():
    shifts = [smallest_detectable_shift(n, n) for n in (2, 4, 8, 10, 12, 20, 30)]
    assert shifts[:2] == [np.inf, np.inf]
    assert shifts[2:] == sorted(shifts[2:], reverse=True)
    assert 8 > shifts[2] > shifts[-1]
    assert 2.5 <= smallest_detectable_shift(10, 10) <= 3


@pytest.mark.slow
@pytest.mark.usefixtures("_each_p_once")
def test_smallest_detectable_shift_decreases_with_stored_seeds():
    assert smallest_detectable_shift(20, 5) < smallest_detectable_shift(5, 5)
    assert smallest_detectable_shift(2, 60) == np.inf
