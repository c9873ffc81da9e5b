"""The universes of a lab: names, the whole grid, single changes and balanced fractions."""

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcheck.core.universes import Grid, Levels, plan, resolution

TWO = Grid({"batch": (64, 32, 128), "norm": (True, False)})


def two_level(settings: int) -> Grid:
    return Grid({f"s{number}": (0, 1) for number in range(settings)})


def everything(settings: Mapping[str, Any]) -> bool:
    return True


def test_universe_is_named_by_its_changes():
    assert TWO.name((0, 0)) == "assumed"
    assert TWO.name((2, 1)) == "batch=128, norm=false"
    assert Grid({"widths": ((10, 100), (3,))}).name((1,)) == "widths=3"
    assert TWO.settings((2, 1)) == {"batch": 128, "norm": False}
    assert TWO.universe({"norm": False}) == (0, 1)


def test_whole_grid_is_planned_with_single_changes_first():
    planned = plan(TWO, None, everything)
    assert planned.universes == ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1))
    assert (planned.full, planned.size, planned.resolution) == (True, 6, None)
    assert plan(TWO, 6, everything) == planned


def test_implausible_universes_are_left_out():
    planned = plan(TWO, None, lambda settings: settings.get("batch") != 32 or "norm" in settings)
    assert planned.universes == ((0, 0), (2, 0), (0, 1), (1, 1), (2, 1))
    assert planned.full


def test_alternative_that_is_implausible_alone_has_company():
    planned = plan(two_level(4), 5, lambda settings: "s0" not in settings or "s2" in settings)
    assert planned.universes == ((0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 0, 1, 0))


def test_limit_below_number_of_alternatives_is_refused():
    with pytest.raises(ValueError, match="must be at least 4, the assumed universe and one for each alternative"):
        plan(TWO, 3, everything)


def test_whole_grid_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="the whole grid has 16,384 universes: give a number, at least 15"):
        plan(two_level(14), None, everything)


@pytest.mark.parametrize(("settings", "limit"), [(7, 16), (9, 26), (14, 47)])
def test_fraction_is_balanced(settings: int, limit: int):
    grid = two_level(settings)
    planned = plan(grid, limit, everything)
    added = planned.universes[1 + settings :]
    assert len(planned.universes) == len(set(planned.universes)) == limit
    assert planned.resolution == resolution(grid, added)
    for column in zip(*added, strict=True):
        assert abs(sum(column) - len(added) / 2) <= 1
    pairs = itertools.combinations(zip(*added, strict=True), 2)
    counts = [Counter(zip(one, other, strict=True))[1, 1] for one, other in pairs]
    assert max(abs(count - len(added) / 4) for count in counts) <= len(added) / 8  # half of the balanced number


@given(st.data())
def test_planned_universes_are_plausible_and_different(data: st.DataObject):
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    grid = Grid({f"s{number}": tuple(range(size)) for number, size in enumerate(sizes)})
    limit = data.draw(st.integers(1 + sum(sizes) - len(sizes), grid.size))
    planned = plan(grid, limit, lambda settings: sum(settings.values()) != 2)
    assert len(planned.universes) == len(set(planned.universes)) <= limit
    assert planned.universes[0] == grid.assumed
    assert all(sum(universe) != 2 for universe in planned.universes)


def test_resolution_of_known_designs():
    corners = list(itertools.product((0, 1), repeat=4))
    half: list[Levels] = [corner for corner in corners if sum(corner) % 2 == 0]
    assert resolution(two_level(4), corners) == 5
    assert resolution(two_level(4), half) == 4
    # s2 = s0 + s1: the main effect of each is that of the interaction of the two others
    assert resolution(two_level(3), [(a, b, (a + b) % 2) for a, b in itertools.product((0, 1), repeat=2)]) == 3
    assert resolution(two_level(2), [(0, 0), (1, 1)]) == 2
    assert resolution(two_level(2), [(0, 0), (0, 1)]) == 1
    latin = [(a, b, (a + b) % 3) for a, b in itertools.product(range(3), repeat=2)]
    assert resolution(Grid(dict.fromkeys("abc", (0, 1, 2))), latin) == 3
