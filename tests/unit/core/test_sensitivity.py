import math
from collections.abc import Callable, Sequence
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcheck.core.sensitivity import Count, LoneFlip, corners, flips_alone, shapley, shares, smallest_flips
from labcheck.core.universes import Grid, Levels, plan
from labcheck.core.variance import VarianceShares, common_counts, variance_shares
from labcheck.core.verdicts import Verdict, judge

REPRODUCED, INCONCLUSIVE, NOT_REPRODUCED = Verdict.REPRODUCED, Verdict.INCONCLUSIVE, Verdict.NOT_REPRODUCED
MANY = 10**12
"""A number of seeds whose noise is smaller than the tolerance of the tests."""


def grid_of(*shape: int) -> Grid:
    return Grid({name: tuple(range(size)) for name, size in zip("abcdefgh", shape, strict=False)})


def all_of(grid: Grid) -> list[Levels]:
    return list(product(*map(range, grid.shape)))


def exact(universes: Sequence[Levels], fraction: Callable[[Levels], float]) -> dict[Levels, Count]:
    return {universe: Count(round(fraction(universe) * MANY), MANY) for universe in universes}


def drawn(
    universes: Sequence[Levels], fraction: Callable[[Levels], float], n: int, rng: np.random.Generator
) -> dict[Levels, Count]:
    return {universe: Count(int(rng.binomial(n, fraction(universe))), n) for universe in universes}


def decompose(grid: Grid, counts: dict[Levels, Count]) -> VarianceShares:
    result = variance_shares(grid, counts)
    assert result is not None
    return result


# one setting flips the verdict, one interacts with it, one does nothing

TRIO = Grid({"split": ("random", "by patient"), "lr": (0.1, 0.01), "batch": (64, 32, 128)})


def leak(universe: Levels) -> float:
    """Return a fraction that the split decides; the learning rate matters with the alternative split only."""
    split, lr, _ = universe
    return (0.3 if lr else 0.05) if split else 0.95


def test_flipping_setting_is_found_in_binomial_draws():
    rng = np.random.default_rng(0)
    counts = drawn(all_of(TRIO), leak, 20, rng)
    verdicts = {universe: judge(count.holds, 0, count.n).verdict for universe, count in counts.items()}
    assert shares(list(verdicts.values())) == {REPRODUCED: 0.5, INCONCLUSIVE: 0, NOT_REPRODUCED: 0.5}
    assert flips_alone(TRIO, verdicts) == (LoneFlip("split", ("by patient",), ("random",), 12),)
    flips = smallest_flips(TRIO, verdicts)
    assert flips is not None
    assert [TRIO.changes(universe) for universe in flips.universes] == [{"split": "by patient"}]
    assert (flips.changes, flips.unknown) == (1, 0)

    result = decompose(TRIO, counts)
    total = np.var([leak(universe) for universe in all_of(TRIO)])
    assert result.share(result.settings["split"]) == pytest.approx((0.95 - 0.175) ** 2 / 4 / total, abs=0.05)
    assert result.share(result.pairs["split", "lr"]) == pytest.approx(0.0625**2 / total, abs=0.02)
    assert result.share(result.settings["batch"]) == pytest.approx(0, abs=0.01)
    assert result.total == pytest.approx(total, rel=0.1)

    parts = shapley(TRIO, counts, (1, 1, 2))
    assert parts is not None
    for name, expected in {"split": -0.775, "lr": 0.125, "batch": 0}.items():
        assert parts.values[name] == pytest.approx(expected, abs=3 * parts.errors[name])
    assert parts.values["split"] < -10 * parts.errors["split"]


# shares of verdicts


def test_shares_include_verdicts_of_no_universe():
    verdicts = [REPRODUCED, NOT_REPRODUCED, REPRODUCED, REPRODUCED]
    assert shares(verdicts) == {REPRODUCED: 0.75, INCONCLUSIVE: 0, NOT_REPRODUCED: 0.25}
    assert shares([]) is None


# variance shares


def test_additive_fraction_has_no_interactions():
    grid, a, b = grid_of(3, 4), (0.1, 0.2, 0.4), (0.0, 0.3, 0.1, 0.5)
    result = decompose(grid, exact(all_of(grid), lambda u: a[u[0]] + b[u[1]]))
    assert result.settings == pytest.approx({"a": np.var(a), "b": np.var(b)})
    assert result.pairs == pytest.approx({("a", "b"): 0}, abs=1e-9)
    assert (result.higher, result.noise) == pytest.approx((0, 0), abs=1e-9)
    assert result.total == pytest.approx(np.var(a) + np.var(b))
    assert result.share(result.settings["a"]) == pytest.approx(np.var(a) / (np.var(a) + np.var(b)))


def test_product_has_known_interactions():
    """The variance of an effect of independent factors is the product of their variances and other squared means."""
    factors = {"a": (0.5, 1.0), "b": (0.3, 0.6, 1.0), "c": (0.2, 0.8, 0.9, 1.0)}
    mean, variance = ({name: f(values) for name, values in factors.items()} for f in (np.mean, np.var))
    grid = Grid(factors)
    result = decompose(grid, exact(all_of(grid), lambda u: math.prod(grid.values(u).values())))
    a, b, c = factors
    assert result.settings == pytest.approx(
        {
            a: variance[a] * (mean[b] * mean[c]) ** 2,
            b: variance[b] * (mean[a] * mean[c]) ** 2,
            c: variance[c] * (mean[a] * mean[b]) ** 2,
        }
    )
    assert result.pairs == pytest.approx(
        {
            (a, b): variance[a] * variance[b] * mean[c] ** 2,
            (a, c): variance[a] * variance[c] * mean[b] ** 2,
            (b, c): variance[b] * variance[c] * mean[a] ** 2,
        }
    )
    assert result.higher == pytest.approx(variance[a] * variance[b] * variance[c])


def test_main_effects_of_unbalanced_universes_are_those_of_grid():
    grid, limit = grid_of(2, 3, 2, 4, 2, 3), 40
    effects = [np.linspace(0, 0.05 * index, size) ** 1.5 for index, size in enumerate(grid.shape, 1)]
    universes = plan(grid, limit).universes
    counts = exact(universes[:-3], lambda u: sum(effect[level] for effect, level in zip(effects, u, strict=True)))
    result = decompose(grid, counts)
    assert result.settings == pytest.approx(
        {name: np.var(effect) for name, effect in zip("abcdef", effects, strict=True)}, abs=1e-9
    )
    assert result.higher is None
    assert [variance for variance in result.pairs.values() if variance is not None] == pytest.approx([0] * 15, abs=1e-9)


def test_pairs_of_fraction_are_fitted_together_if_possible():
    grid = grid_of(*(2,) * 7)
    assert plan(grid, 100).is_full is False
    result = decompose(grid, exact(plan(grid, 100).universes, lambda u: 0.1 + 0.2 * u[0] + 0.3 * u[1] * u[2]))
    assert result.higher == pytest.approx(0, abs=1e-9)
    assert result.settings["a"] == pytest.approx(0.2**2 / 4)
    assert result.settings["b"] == pytest.approx(0.15**2 / 4)
    assert {pair: v for pair, v in result.pairs.items() if v is not None and v > 1e-9} == pytest.approx(
        {("b", "c"): 0.3**2 / 16}
    )


def test_strong_interaction_is_found_in_small_fraction():
    grid = grid_of(*(2,) * 8)
    result = decompose(grid, exact(plan(grid, 32).universes, lambda u: 0.1 + 0.8 * (u[1] ^ u[4])))
    assert result.higher is None
    assert result.pairs["b", "e"] == pytest.approx(0.16, rel=0.01)
    assert max(v for pair, v in result.pairs.items() if v is not None and pair != ("b", "e")) < 0.05
    assert max(v for v in result.settings.values() if v is not None) < 0.02


@pytest.mark.parametrize(
    "universes",
    [
        [],
        [(0, 0, 0)],
        [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)],  # a residual is needed to know what interactions add
        [(0, 0, 0), (0, 0, 1), (1, 1, 0), (1, 1, 1)],  # two settings are always changed together
    ],
)
def test_variance_shares_of_too_few_universes_are_none(universes: list[Levels]):
    assert variance_shares(grid_of(2, 2, 2), exact(universes, lambda u: 0.1 + 0.2 * sum(u))) is None


def test_universes_with_one_seed_are_left_out():
    grid = grid_of(2, 2)
    counts = {**exact(all_of(grid), lambda u: 0.2 * sum(u)), (1, 1): Count(1, 1)}
    assert variance_shares(grid, counts) is None


def test_setting_with_one_trained_value_has_no_share():
    grid = grid_of(2, 2, 3)
    counts = exact([u for u in all_of(grid) if u[1] == 0 and u[2] < 2], lambda u: 0.2 + 0.3 * u[0] + 0.1 * u[2])
    result = decompose(grid, counts)
    assert result.settings == pytest.approx({"a": 0.15**2, "b": None, "c": 0.05**2})
    assert result.pairs == {("a", "b"): None, ("a", "c"): pytest.approx(0, abs=1e-9), ("b", "c"): None}


def test_confounded_pair_has_no_share():
    """In half of a grid with c = ab, each interaction is a main effect."""
    grid = grid_of(2, 2, 2, 2)
    universes = [u for u in all_of(grid) if u[2] == u[0] ^ u[1]]
    result = decompose(grid, exact(universes, lambda u: 0.2 + 0.3 * u[0] + 0.1 * u[3]))
    assert {pair for pair, variance in result.pairs.items() if variance is None} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert result.settings["a"] == pytest.approx(0.15**2)


@pytest.mark.parametrize("holds", [0, 10, 20])
def test_equal_fractions_have_no_shares(holds: int):
    grid = grid_of(2, 3)
    result = decompose(grid, dict.fromkeys(all_of(grid), Count(holds, 20)))
    assert result.p == pytest.approx(1)
    assert result.share(result.settings["a"]) is None
    assert result.share(None) is None


def test_noise_is_that_of_binomial_counts():
    """With fractions 1/4 and 3/4 of 4 seeds each, (1/4 · 3/4) / 3 for each, and the variance 1/16 less that."""
    result = decompose(grid_of(2), {(0,): Count(1, 4), (1,): Count(3, 4)})
    assert result.noise == pytest.approx(1 / 16)
    assert result.settings["a"] == pytest.approx(1 / 16 - 1 / 16 / 2)


def mean_of(results: Sequence[VarianceShares]) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of all estimated variances over simulations, the total last, and their standard errors."""
    rows = [[*r.settings.values(), *r.pairs.values(), r.higher, r.total] for r in results]
    values = np.array([[value for value in row if value is not None] for row in rows])
    return values.mean(0), values.std(0) / len(values) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("limit", [None, 20, 12])
@pytest.mark.parametrize("fraction", [0.5, 0.9])
def test_noise_alone_has_no_variance_on_average(limit: int | None, fraction: float):
    grid, rng = grid_of(2, 3, 2, 3), np.random.default_rng(0)
    universes = plan(grid, limit).universes
    results = [decompose(grid, drawn(universes, lambda _: fraction, 10, rng)) for _ in range(2000)]
    means, errors = mean_of(results)
    assert np.all(np.abs(means) <= 4 * errors)
    assert np.mean([result.share(result.total) is not None for result in results]) <= 0.07


@pytest.mark.slow
def test_variances_are_unbiased_in_spite_of_noise():
    grid, rng = grid_of(2, 3, 2), np.random.default_rng(0)

    def fraction(universe: Levels) -> float:
        a, b, c = universe
        return 0.3 + 0.3 * a + 0.1 * b * c

    true = [*mean_of([decompose(grid, exact(all_of(grid), fraction))])[0]]
    results = [decompose(grid, drawn(all_of(grid), fraction, 8, rng)) for _ in range(3000)]
    means, errors = mean_of(results)
    assert np.all(np.abs(means - true) <= 4 * errors)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [24, 60])
def test_variances_of_fraction_are_unbiased_on_average(limit: int):
    """Over functions whose interactions are random; pairs are fitted together in 60 of 72 universes, not in 24."""
    grid, rng = grid_of(2, 3, 2, 3, 2), np.random.default_rng(0)
    universes = plan(grid, limit).universes
    estimated, true = [], []
    for _ in range(1000):
        values = dict(zip(all_of(grid), rng.uniform(0.2, 0.8, grid.size), strict=True))
        estimated.append(decompose(grid, drawn(universes, values.__getitem__, 20, rng)))
        true.append(decompose(grid, exact(all_of(grid), values.__getitem__)))
    assert (estimated[0].higher is None) == (limit == 24)
    rows = [[[*r.settings.values(), r.total] for r in results] for results in (estimated, true)]
    errors = np.array(rows[0], float) - np.array(rows[1], float)
    assert np.all(np.abs(errors.mean(0)) <= 4 * errors.std(0) / len(errors) ** 0.5)


@pytest.mark.slow
def test_common_counts_remove_excess_of_stopping():
    """Fractions at the time of a verdict differ by more than noise; those of the first seeds do not."""
    grid, rng = grid_of(2, 2, 2, 2), np.random.default_rng(0)
    verdicts = {(k, n): judge(k, 0, n).verdict for n in range(4, 61, 4) for k in range(n + 1)}
    stopped, common = [], []
    for _ in range(500):
        holds: dict[Levels, list[bool]] = {}
        for universe in all_of(grid):
            seeds = rng.random(60) < 0.65
            looks = (n for n in range(4, 61, 4) if verdicts[int(seeds[:n].sum()), n] is not INCONCLUSIVE)
            holds[universe] = seeds[: next(looks, 60)].tolist()
        stopped.append(decompose(grid, {u: Count(sum(seeds), len(seeds)) for u, seeds in holds.items()}))
        common.append(decompose(grid, common_counts(holds)))
    false_alarms = [np.mean([result.p < 0.05 for result in results]) for results in (stopped, common)]
    assert false_alarms[0] > 0.3
    assert false_alarms[1] < 0.1
    totals = [np.mean([result.total for result in results]) for results in (stopped, common)]
    assert abs(totals[1]) < totals[0] / 5


def test_common_counts_are_of_first_seeds():
    holds: dict[Levels, list[bool]] = {(0,): [True, False, True], (1,): [False, False, True, True]}
    assert common_counts(holds) == {(0,): Count(2, 3), (1,): Count(1, 3)}
    assert common_counts({}) == {}


# Shapley values


def tables(d: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 100), min_size=2**d, max_size=2**d)


def counts_of(values: Sequence[int], d: int) -> dict[Levels, Count]:
    return {u: Count(value, 100) for u, value in zip(product((0, 1), repeat=d), values, strict=True)}


def values_of(counts: dict[Levels, Count], d: int) -> dict[str, float]:
    parts = shapley(grid_of(*(2,) * d), counts, (1,) * d)
    assert parts is not None
    return dict(parts.values)


def test_corners_have_assumed_or_target_levels():
    grid = grid_of(3, 2, 4)
    assert corners(grid, (2, 0, 3)) == ((0, 0, 0), (0, 0, 3), (2, 0, 0), (2, 0, 3))
    assert corners(grid, (0, 0, 0)) == ((0, 0, 0),)


def test_shapley_values_of_sum_are_its_terms():
    grid, target = grid_of(3, 2, 4), (2, 0, 3)
    parts = shapley(grid, exact(corners(grid, target), lambda u: 0.1 + 0.2 * u[0] + 0.1 * u[2]), target)
    assert parts is not None
    assert parts.values == pytest.approx({"a": 0.4, "c": 0.3})
    assert (parts.assumed, parts.target) == pytest.approx((0.1, 0.8))


def test_shapley_values_of_product_are_known():
    grid = grid_of(2, 2)
    x, y = (0.4, 1.0), (0.3, 0.9)
    parts = shapley(grid, exact(all_of(grid), lambda u: x[u[0]] * y[u[1]]), (1, 1))
    assert parts is not None
    assert parts.values == pytest.approx({"a": 0.6 * (0.3 + 0.9) / 2, "b": 0.6 * (0.4 + 1.0) / 2})


@given(tables(3))
def test_shapley_values_are_means_over_orders(values: list[int]):
    counts = counts_of(values, 3)
    expected = np.zeros(3)
    for order in permutations(range(3)):
        for place, setting in enumerate(order):
            before, after = (tuple(int(index in order[:stop]) for index in range(3)) for stop in (place, place + 1))
            expected[setting] += (counts[after].fraction - counts[before].fraction) / math.factorial(3)
    assert list(values_of(counts, 3).values()) == pytest.approx(expected)


@given(tables(4))
def test_shapley_values_are_efficient(values: list[int]):
    assert sum(values_of(counts_of(values, 4), 4).values()) == pytest.approx((values[-1] - values[0]) / 100)


@given(tables(4))
def test_shapley_values_of_symmetric_settings_are_equal(values: list[int]):
    counts = counts_of(values, 4)
    symmetric = {u: counts[min(u, (u[1], u[0], *u[2:]))] for u in counts}
    parts = values_of(symmetric, 4)
    assert parts["a"] == pytest.approx(parts["b"])


@given(tables(3))
def test_shapley_value_of_dummy_setting_is_0(values: list[int]):
    counts = counts_of(values, 3)
    parts = values_of({u: counts[u[0], u[1], u[3]] for u in product((0, 1), repeat=4)}, 4)
    assert parts["c"] == pytest.approx(0)
    assert [parts[name] for name in "abd"] == pytest.approx(list(values_of(counts, 3).values()))


def test_shapley_values_of_assumed_universe_are_empty():
    parts = shapley(grid_of(2, 2), {(0, 0): Count(7, 10)}, (0, 0))
    assert parts is not None
    assert (parts.values, parts.assumed, parts.target) == ({}, 0.7, 0.7)


def test_shapley_values_need_all_corners():
    grid = grid_of(2, 2)
    counts = exact(all_of(grid), lambda u: 0.5)
    del counts[1, 0]
    assert shapley(grid, counts, (1, 1)) is None
    assert shapley(grid, counts, (0, 1)) is not None


def test_shapley_errors_are_of_independent_universes():
    """The weights of one of two settings are ±1/2 in all four universes, those of a single one ±1 in both."""
    variance = 6 * 6 / (12**2 * 13)  # of a beta distribution with both parameters 6
    counts = dict.fromkeys(all_of(grid_of(2, 2)), Count(5, 10))
    parts, single = (shapley(grid_of(2, 2), counts, target) for target in ((1, 1), (0, 1)))
    assert parts is not None
    assert single is not None
    assert parts.errors == pytest.approx({"a": math.sqrt(variance), "b": math.sqrt(variance)})
    assert single.errors == pytest.approx({"b": math.sqrt(2 * variance)})


def test_shapley_errors_are_positive_if_all_seeds_hold():
    parts = shapley(grid_of(2), {(0,): Count(8, 8), (1,): Count(8, 8)}, (1,))
    assert parts is not None
    assert parts.errors["a"] == pytest.approx(math.sqrt(2 * 9 / (10**2 * 11)))


# flips


def test_smallest_flips_are_all_of_smallest_size():
    grid = grid_of(3, 2, 2)
    flipping = {(1, 1, 0), (2, 0, 1), (1, 1, 1)}
    verdicts = {u: NOT_REPRODUCED if u in flipping else REPRODUCED for u in all_of(grid)}
    flips = smallest_flips(grid, verdicts)
    assert flips is not None
    assert flips.universes == ((1, 1, 0), (2, 0, 1))
    assert (flips.changes, flips.unknown) == (2, 0)


def test_smallest_flips_count_unknown_universes_with_fewer_changes():
    grid = grid_of(3, 2, 2)
    alone: dict[Levels, Verdict] = {(0, 0, 0): NOT_REPRODUCED, (1, 0, 0): INCONCLUSIVE, (0, 1, 0): NOT_REPRODUCED}
    verdicts = {**alone, (1, 1, 0): REPRODUCED}
    flips = smallest_flips(grid, verdicts)
    assert flips is not None
    assert (flips.universes, flips.changes) == (((1, 1, 0),), 2)
    assert flips.unknown == 3  # (1, 0, 0), (2, 0, 0) and (0, 0, 1)


def test_smallest_flips_without_flip_are_empty():
    grid = grid_of(2, 2)
    flips = smallest_flips(grid, {(0, 0): REPRODUCED, (0, 1): INCONCLUSIVE, (1, 1): REPRODUCED})
    assert flips is not None
    assert (flips.universes, flips.changes, flips.unknown) == ((), None, 2)


@pytest.mark.parametrize("verdicts", [{}, {(0, 0): INCONCLUSIVE, (1, 0): NOT_REPRODUCED}, {(1, 0): NOT_REPRODUCED}])
def test_undecided_assumed_universe_has_no_flips(verdicts: dict[Levels, Verdict]):
    assert smallest_flips(grid_of(2, 2), verdicts) is None
    assert flips_alone(grid_of(2, 2), verdicts) == ()


def test_flips_alone_need_every_universe_with_value():
    grid = grid_of(3, 2)
    verdicts = {u: NOT_REPRODUCED if u[0] == 2 else REPRODUCED for u in all_of(grid)}
    assert flips_alone(grid, verdicts) == (LoneFlip("a", (2,), (0, 1), 6),)
    assert flips_alone(grid, {**verdicts, (2, 1): REPRODUCED}) == ()
    assert flips_alone(grid, {**verdicts, (1, 1): NOT_REPRODUCED}) == ()


def test_flips_alone_ignore_inconclusive_universes():
    grid = grid_of(3, 2)
    verdicts = {u: NOT_REPRODUCED if u[0] == 2 else REPRODUCED for u in all_of(grid)}
    verdicts |= {(2, 1): INCONCLUSIVE, (1, 0): INCONCLUSIVE, (1, 1): INCONCLUSIVE}
    assert flips_alone(grid, verdicts) == (LoneFlip("a", (2,), (0,), 3),)


def test_flips_alone_are_none_without_flip():
    grid = grid_of(2, 2)
    assert flips_alone(grid, dict.fromkeys(all_of(grid), REPRODUCED)) == ()


def test_settings_always_changed_together_both_flip_alone():
    flips = flips_alone(grid_of(2, 2), {(0, 0): REPRODUCED, (1, 1): NOT_REPRODUCED})
    assert [flip.setting for flip in flips] == ["a", "b"]
