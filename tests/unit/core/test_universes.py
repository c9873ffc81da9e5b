import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcheck.core.universes import Grid, Levels, plan, resolution, scattered, word_lengths

SETTINGS = Grid({"batch": (64, 32, 128), "norm_last": (True, False), "optimizer": ("sgd", "adam")})


def grid_of(*shape: int) -> Grid:
    return Grid({f"s{index}": tuple(range(size)) for index, size in enumerate(shape)})


def all_of(grid: Grid) -> list[Levels]:
    return list(product(*map(range, grid.shape)))


def shapes(largest: int = 5) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, 4), max_size=largest)


# grids


def test_grid_describes_universe():
    assert SETTINGS.shape == (3, 2, 2)
    assert SETTINGS.size == 12
    assert SETTINGS.assumed == (0, 0, 0)
    assert SETTINGS.values((1, 0, 1)) == {"batch": 32, "norm_last": True, "optimizer": "adam"}
    assert SETTINGS.changes((1, 0, 1)) == {"batch": 32, "optimizer": "adam"}
    assert SETTINGS.name((1, 1, 1)) == "batch=32, norm_last=false, optimizer=adam"
    assert SETTINGS.name((0, 0, 0)) == "assumed"


def test_alternatives_change_one_setting():
    assert list(SETTINGS.alternatives()) == [(1, 0, 0), (2, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_grid_refuses_setting_without_value():
    with pytest.raises(ValueError, match=r"^the setting 'batch' has no value; add the assumed one$"):
        Grid({"lr": (0.1,), "batch": ()})


@given(shapes())
def test_scattered_yields_every_universe_once(shape: list[int]):
    grid = grid_of(*shape)
    assert sorted(scattered(grid)) == all_of(grid)


def test_scattered_begins_with_all_levels():
    grid = grid_of(*(4,) * 10)
    beginning = [universe for universe, _ in zip(scattered(grid), range(256), strict=False)]
    for levels in zip(*beginning, strict=True):
        assert np.bincount(levels) == pytest.approx([64] * 4, abs=8)


# word lengths and resolution


@given(shapes(4), st.data())
def test_word_lengths_are_sums_over_pairs_of_universes(shape: list[int], data: st.DataObject):
    """By definition: with orthonormal contrasts, a level has the product l − 1 with itself, and −1 with another."""
    grid = grid_of(*shape)
    universes = data.draw(st.lists(st.sampled_from(all_of(grid)), min_size=1, max_size=12))
    expected = np.zeros(len(shape))
    for one, other in product(universes, repeat=2):
        polynomial = np.array([1.0])  # the coefficient of x^j is the sum over all choices of j settings
        for size, a, b in zip(shape, one, other, strict=True):
            polynomial = np.convolve(polynomial, [1, size - 1 if a == b else -1])
        expected += polynomial[1:] / len(universes) ** 2
    assert word_lengths(grid, universes) == pytest.approx(expected)


@given(shapes(), st.data())
def test_word_lengths_of_distinct_universes_have_known_sum(shape: list[int], data: st.DataObject):
    grid = grid_of(*shape)
    universes = data.draw(st.sets(st.sampled_from(all_of(grid)), min_size=1))
    assert sum(word_lengths(grid, universes)) == pytest.approx(grid.size / len(universes) - 1)


@given(shapes())
def test_whole_grid_is_balanced_in_all_respects(shape: list[int]):
    grid = grid_of(*shape)
    assert word_lengths(grid, all_of(grid)) == pytest.approx([0.0] * len(shape))
    assert resolution(grid, all_of(grid)) is None
    assert resolution(grid, all_of(grid) * 2) is None


def regular(*generators: Sequence[int], base: int) -> list[Levels]:
    """Return a regular two-level fraction, whose generated settings are sums of basic ones, modulo 2."""
    return [
        (*row, *(sum(row[index] for index in chosen) % 2 for chosen in generators))
        for row in product(range(2), repeat=base)
    ]


@pytest.mark.parametrize(
    ("universes", "lengths", "expected"),
    [
        (regular((0, 1, 2), base=3), (0, 0, 0, 1), 4),  # 2^(4 − 1), D = ABC
        (regular((0, 1), (0, 2), base=3), (0, 0, 2, 1, 0), 3),  # 2^(5 − 2), D = AB and E = AC, so BCDE
        (regular((0, 1, 2), (1, 2, 3), base=4), (0, 0, 0, 3, 0, 0), 4),  # 2^(6 − 2), E = ABC and F = BCD
        (regular((0,), base=2), (0, 1, 0), 2),  # C = A
        ([(0, 0), (0, 1)], (1, 0), 1),
    ],
)
def test_resolution_of_regular_fraction(universes: list[Levels], lengths: tuple[int, ...], expected: int):
    grid = grid_of(*(2,) * len(lengths))
    assert word_lengths(grid, universes) == pytest.approx(lengths)
    assert resolution(grid, universes) == pytest.approx(expected)


def test_resolution_of_latin_squares_is_3():
    """Four settings of three levels in nine runs; each choice of three of them has a third of their grid."""
    latin = [(a, b, (a + b) % 3, (a + 2 * b) % 3) for a, b in product(range(3), repeat=2)]
    assert word_lengths(grid_of(3, 3, 3, 3), latin) == pytest.approx((0, 0, 8, 0))
    assert resolution(grid_of(3, 3, 3, 3), latin) == pytest.approx(3)


def test_resolution_of_plackett_and_burman_is_fractional():
    """Deng and Tang (1999): 3 2/3 for 12 runs, any three columns of which have the product ±1 in 8 : 4 of them."""
    row = [1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0]
    runs = [tuple(row[-shift:] + row[:-shift]) for shift in range(11)] + [(0,) * 11]
    assert word_lengths(grid_of(*(2,) * 11), runs, 3) == pytest.approx((0, 0, math.comb(11, 3) / 9))
    assert resolution(grid_of(*(2,) * 11), runs) == pytest.approx(3 + 2 / 3)


# plans


@pytest.mark.parametrize("limit", [None, 12, 100])
def test_small_grid_is_planned_whole(limit: int | None):
    planned = plan(SETTINGS, limit)
    assert planned.universes[:5] == ((0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 1, 0), (0, 0, 1))
    assert [np.count_nonzero(universe) for universe in planned.universes] == [0] + [1] * 4 + [2] * 5 + [3] * 2
    assert sorted(planned.universes) == all_of(SETTINGS)
    assert (planned.size, planned.is_full, planned.resolution) == (12, True, None)
    assert planned.word_lengths == pytest.approx((0, 0, 0))


def test_limit_below_whole_grid_gives_fraction():
    planned = plan(SETTINGS, 11)
    assert (len(set(planned.universes)), planned.size, planned.is_full) == (11, 12, False)
    assert planned.resolution is not None


def test_lowest_limit_gives_single_alternatives():
    assert plan(SETTINGS, 5).universes == (SETTINGS.assumed, *SETTINGS.alternatives())


@pytest.mark.parametrize("limit", [4, 0, -1])
def test_limit_too_low_for_alternatives_is_refused(limit: int):
    with pytest.raises(
        ValueError,
        match=rf"^must be at least 5, the assumed universe and one for each alternative, got {limit}$",
    ):
        plan(SETTINGS, limit)


def without_adam_at_32(values: Mapping[str, Any]) -> bool:
    return (values["batch"], values["optimizer"]) != (32, "adam")


def test_implausible_universes_are_left_out_of_whole_grid():
    for limit in (None, 10):
        planned = plan(SETTINGS, limit, without_adam_at_32)
        assert (len(planned.universes), planned.size, planned.is_full) == (10, 12, True)
        assert set(all_of(SETTINGS)) - set(planned.universes) == {(1, 0, 1), (1, 1, 1)}
        assert planned.resolution is not None


def test_implausible_universes_are_left_out_of_fraction():
    planned = plan(SETTINGS, 9, without_adam_at_32)
    assert (len(set(planned.universes)), planned.is_full) == (9, False)
    assert all(without_adam_at_32(SETTINGS.values(universe)) for universe in planned.universes)


def test_implausible_alternative_needs_no_place():
    assert plan(SETTINGS, 4, lambda values: values["batch"] != 32).universes == (
        (0, 0, 0),
        (2, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
    )


def test_implausible_assumed_universe_is_refused():
    with pytest.raises(
        ValueError,
        match=r"^the assumed values must be plausible together; change an assumption or the condition$",
    ):
        plan(SETTINGS, None, lambda values: values["batch"] != 64)


def test_grid_without_settings_has_one_universe():
    planned = plan(Grid({}), 1)
    assert (planned.universes, planned.size, planned.is_full, planned.resolution) == (((),), 1, True, None)


# balance of fractions

LARGE = [
    ((2,) * 12, 200),
    ((3, 2, 2, 3, 4, 2, 3, 2, 2, 3, 2, 2), 200),
    ((2, 3, 2, 3, 2, 2), 40),
    ((2,) * 7, 32),
    ((4,) * 10, 120),
]


@pytest.mark.parametrize(("shape", "limit"), LARGE)
def test_fraction_is_more_balanced_than_random_ones(shape: tuple[int, ...], limit: int):
    grid = grid_of(*shape)
    planned = plan(grid, limit)
    assert len(set(planned.universes)) == limit
    first = [grid.assumed, *grid.alternatives()]
    assert planned.universes[: len(first)] == tuple(first)
    rng = np.random.default_rng(0)
    half = planned.universes[: (len(first) + limit) // 2]
    for _ in range(20):
        drawn = [tuple(map(int, row)) for row in rng.integers(0, shape, (limit - len(first), len(shape)))]
        random = word_lengths(grid, [*first, *drawn], 2)
        assert planned.word_lengths[0] < random[0] / 2
        assert planned.word_lengths[1] < random[1]
        random = word_lengths(grid, [*first, *drawn][: len(half)], 2)
        assert word_lengths(grid, half, 1)[0] < random[0] * 2 / 3


def test_first_addition_compensates_for_assumed_values():
    assert plan(grid_of(2, 2, 2, 2), 6).universes[5:] == ((1, 1, 1, 1),)


def test_levels_of_two_level_fraction_are_equally_frequent():
    planned = plan(grid_of(*(2,) * 12), 200)
    levels = np.array(planned.universes)
    assert levels.sum(0) == pytest.approx([100] * 12, abs=2)
    both = (levels.T @ levels)[~np.eye(12, dtype=bool)]
    assert both == pytest.approx([50] * len(both), abs=5)


def test_fraction_is_same_in_every_call():
    grid = grid_of(3, 2, 4, 2, 3, 2)
    np.random.seed(1)
    planned = plan(grid, 30)
    np.random.seed(2)
    assert plan(grid, 30) == planned


def test_large_grid_is_not_enumerated():
    calls = 0

    def is_plausible(values: Mapping[str, Any]) -> bool:
        nonlocal calls
        calls += 1
        return bool(values["s0"] or not values["s1"])

    planned = plan(grid_of(*(4,) * 10), 50, is_plausible)
    assert (len(planned.universes), planned.size) == (50, 4**10)
    assert calls < 3000


def test_alternative_that_is_implausible_alone_has_company():
    planned = plan(SETTINGS, 6, lambda values: values["norm_last"] or values["optimizer"] == "adam")
    assert planned.universes[:5] == ((0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 0, 1), (0, 1, 1))


def test_large_grid_needs_a_limit():
    grid = Grid({f"s{index}": (0, 1) for index in range(17)})
    with pytest.raises(ValueError, match=r"^the whole grid has 131,072 universes: give a number, at least 18$"):
        plan(grid)


def test_universe_is_found_by_its_changes():
    assert SETTINGS.universe({"optimizer": "adam", "batch": 32}) == (1, 0, 1)
    assert Grid({"widths": ((10, 100), (3, 4))}).name((1,)) == "widths=3-4"
    assert Grid({"widths": ((10, 100), (3, 4))}).plain() == {"widths": [[10, 100], [3, 4]]}
