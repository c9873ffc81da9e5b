"""Universes: which combinations of a lab's open settings are trained for the multiverse of a claim.

A universe is one choice of all settings that a report leaves open (Steegen et al. 2016). A grid that is too large is
represented by a fraction of it, whose imbalance is measured by its word lengths (Xu and Wu 2001). A_1 is 0 if all
levels of each setting are equally frequent, A_2 if all pairs of levels of any two settings are, apart from A_1, and so
on. With A_2 = 0, the effects of two settings are estimated independently of each other; with A_3 = 0, so are the effect
of a setting and the interaction of two others.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, islice
from typing import Any

import numpy as np

from labcheck.core import settings
from labcheck.core.trials import Floats

Levels = tuple[int, ...]
"""A universe by the index of the level of each setting; 0 is the assumed value."""
IsPlausible = Callable[[Mapping[str, Any]], bool]
"""A function that returns whether settings can be trained together, given the values of all open settings."""

ASSUMED = "assumed"
"""The name of the universe in which all settings have their assumed values."""
MAX_COMPANY = 2
"""The largest number of other changes with which an alternative is tried that is implausible alone."""
MAX_GRID = 100_000
"""The largest grid of which all plausible universes can be requested."""
MAX_CANDIDATES = 2048
"""The number of universes among which a fraction is chosen; twice the limit if that is larger."""
MAX_PASSES = 10
"""The largest number of times that each universe of a fraction is exchanged."""
MAX_ORDER = 3
"""The largest number of settings whose joint balance a plan reports."""
WEIGHT = 1 / 4
"""The weight of A_j relative to A_(j − 1) when a fraction is chosen.

With a power of 2, sums of up to 12 settings do not round, so that ties are decided in the same way on all machines.
"""


@dataclass(frozen=True)
class Grid:
    """All combinations of the values of settings.

    Attributes:
        levels: The values of each setting, by name; the first one is the assumed value.

    Raises:
        ValueError: A setting has no value.
    """

    levels: Mapping[str, tuple[Any, ...]]

    def __post_init__(self) -> None:
        if empty := [name for name, values in self.levels.items() if not values]:
            raise ValueError(f"the setting {empty[0]!r} has no value; add the assumed one")

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of levels of each setting."""
        return tuple(map(len, self.levels.values()))

    @property
    def size(self) -> int:
        """The number of universes, plausible or not."""
        return math.prod(self.shape)

    @property
    def assumed(self) -> Levels:
        """The universe in which every setting has its assumed value."""
        return (0,) * len(self.levels)

    def alternatives(self) -> Iterator[Levels]:
        """Yield the universes in which one setting differs from its assumed value."""
        for index, size in enumerate(self.shape):
            for level in range(1, size):
                yield (*self.assumed[:index], level, *self.assumed[index + 1 :])

    def values(self, universe: Levels) -> dict[str, Any]:
        """Return the values of all settings in a universe."""
        pairs = zip(self.levels.items(), universe, strict=True)
        return {name: values[level] for (name, values), level in pairs}

    def plain(self) -> dict[str, list[Any]]:
        """Return the values of each setting as JSON values."""
        return {setting: [settings.plain(value) for value in values] for setting, values in self.levels.items()}

    def universe(self, changes: Mapping[str, Any]) -> Levels:
        """Return the universe that differs from the assumed one in these settings.

        Raises:
            ValueError: A value is not in the grid.
            KeyError: A setting is not in the grid.
        """
        levels = {setting: self.levels[setting].index(value) for setting, value in changes.items()}
        return tuple(levels.get(setting, 0) for setting in self.levels)

    def changes(self, universe: Levels) -> dict[str, Any]:
        """Return the values of the settings that differ from their assumed values in a universe."""
        levels = zip(self.values(universe).items(), universe, strict=True)
        return {name: value for (name, value), level in levels if level}

    def name(self, universe: Levels) -> str:
        """Return a universe as text: "assumed", or its changes, such as "batch=32, norm=false"."""
        changes = self.changes(universe).items()
        return ", ".join(f"{setting}={_text(value)}" for setting, value in changes) or ASSUMED


def _text(value: Any) -> str:
    """Return a value as on a command line."""
    written = settings.plain(value)
    if isinstance(written, bool):
        return str(written).lower()
    return "-".join(map(_text, written)) if isinstance(written, list) else str(written)


@dataclass(frozen=True)
class Plan:
    """The universes to train.

    Attributes:
        universes: The universes in order of training: the assumed one, each alternative alone, and the others. Those of
            a full grid have ever more changes; those of a fraction are ordered such that its beginnings are balanced.
        size: The number of universes of the whole grid, plausible or not.
        is_full: Whether the universes are all plausible ones of the grid.
        word_lengths: A_1, A_2 and A_3 of all these universes together.
        resolution: Their generalized resolution; None if they are the whole grid.
    """

    universes: tuple[Levels, ...]
    size: int
    is_full: bool
    word_lengths: tuple[float, ...]
    resolution: float | None


def plan(grid: Grid, limit: int | None = None, is_plausible: IsPlausible = lambda values: True) -> Plan:
    """Choose the universes to train.

    An alternative that is implausible alone is combined with the fewest others. If more universes are plausible than
    the limit allows, these are completed by a fraction of the grid, chosen so that all of them together are as balanced
    as possible. The choice is deterministic.

    Args:
        grid: The values of all open settings.
        limit: The largest number of universes; None for all plausible ones.
        is_plausible: Returns whether a universe can be trained, given the values of all open settings. It is called for
            every universe of the grid if the limit is None, and otherwise only until enough are found.

    Raises:
        ValueError: The assumed universe is implausible, the limit is too low for it and the single alternatives, or
            there is none and the grid is too large.
    """
    if not is_plausible(grid.values(grid.assumed)):
        raise ValueError("the assumed values must be plausible together; change an assumption or the condition")
    first = [grid.assumed, *_each_alternative(grid, is_plausible)]
    if limit is not None and limit < len(first):
        raise ValueError(
            f"must be at least {len(first)}, the assumed universe and one for each alternative, got {limit}"
        )
    if limit is None and grid.size > MAX_GRID:
        raise ValueError(f"the whole grid has {grid.size:,} universes: give a number, at least {len(first)}")
    plausible = (universe for universe in scattered(grid) if is_plausible(grid.values(universe)))
    found = list(islice(plausible, None if limit is None else limit + 1))
    is_full = limit is None or len(found) <= limit
    if limit is None or is_full:
        rest = sorted(set(found) - set(first), key=lambda universe: (np.count_nonzero(universe), universe))
    else:
        found += islice(plausible, max(MAX_CANDIDATES, 2 * limit) - len(found))
        rest = _fraction(grid, first, [universe for universe in found if universe not in first], limit - len(first))
    universes = (*first, *rest)
    return Plan(universes, grid.size, is_full, word_lengths(grid, universes, MAX_ORDER), resolution(grid, universes))


def _each_alternative(grid: Grid, is_plausible: IsPlausible) -> list[Levels]:
    """Return plausible universes with each alternative, each with the fewest changes."""
    chosen: list[Levels] = []
    missing = list(grid.alternatives())
    for company in range(MAX_COMPANY + 1):
        for others in combinations(list(grid.alternatives()), company) if missing else ():
            for universe in map(partial(_together, others), list(missing)):
                if np.count_nonzero(universe) == company + 1 and is_plausible(grid.values(universe)):
                    chosen.append(universe)
                    missing = [alone for alone in missing if not _has(universe, alone)]
    return list(dict.fromkeys(chosen))


def _together(others: Iterable[Levels], universe: Levels) -> Levels:
    """Return the universe with the changes of several universes."""
    return tuple(max(levels) for levels in zip(universe, *others, strict=True))


def _has(universe: Levels, alone: Levels) -> bool:
    """Return whether a universe has the only alternative of another one."""
    return all(level in (0, own) for own, level in zip(universe, alone, strict=True))


def scattered(grid: Grid) -> Iterator[Levels]:
    """Yield each universe of a grid once, such that the first ones are spread evenly over the grid."""
    step = round(grid.size * (5**0.5 - 1) / 2)  # the golden ratio spreads the multiples of a step most evenly
    while math.gcd(step, grid.size) != 1:
        step += 1
    for index in range(grid.size):
        yield tuple(map(int, np.unravel_index(index * step % grid.size, grid.shape)))


def _fraction(grid: Grid, first: Sequence[Levels], candidates: Sequence[Levels], size: int) -> list[Levels]:
    """Choose candidates that, together with the first universes, minimize Σ_j WEIGHT^j A_j.

    This is a discrete discrepancy (Hickernell and Liu 2002), the squared error, in the worst case, of the mean over the
    universes as an estimate of the mean over the grid. Candidates are added one by one, and then exchanged until no
    exchange is an improvement.

    Returns:
        The chosen ones, in the order in which each is the best addition to those before it.
    """
    pool = _Pool(grid, first, candidates)
    chosen = [pool.add() for _ in range(size)]
    for _ in range(MAX_PASSES):
        before = set(chosen)
        chosen = [pool.exchange(universe) for universe in chosen]
        if set(chosen) == before:
            break
    ordered = _Pool(grid, first, chosen)
    return [ordered.add() for _ in range(size)]


class _Pool:
    """Candidates for a fraction, with how crowded their surroundings are by the universes chosen so far."""

    def __init__(self, grid: Grid, first: Sequence[Levels], candidates: Sequence[Levels]) -> None:
        self.candidates = candidates
        self.levels = np.array(candidates).reshape(len(candidates), len(grid.shape))
        self.same = 1 + WEIGHT * (np.array(grid.shape) - 1)
        self.index = {universe: index for index, universe in enumerate(candidates)}
        self.free = np.ones(len(candidates), bool)
        self.crowding = np.zeros(len(candidates))
        for universe in first:
            self.crowding += self.closeness(universe)

    def closeness(self, universe: Levels) -> Floats:
        """Return the kernel of the discrepancy between each candidate and a universe."""
        closeness: Floats = np.where(self.levels == universe, self.same, 1 - WEIGHT).prod(1)
        return closeness

    def add(self) -> Levels:
        """Choose the free candidate in the least crowded surroundings; of several, the first."""
        index = int(np.where(self.free, self.crowding, np.inf).argmin())
        return self._take(self.candidates[index])

    def exchange(self, universe: Levels) -> Levels:
        """Replace a chosen universe by a candidate in less crowded surroundings, if there is one."""
        self.crowding -= self.closeness(universe)
        index = self.index[universe]
        self.free[index] = True
        if np.any(self.crowding[self.free] < self.crowding[index]):
            return self.add()
        return self._take(universe)

    def _take(self, universe: Levels) -> Levels:
        self.free[self.index[universe]] = False
        self.crowding += self.closeness(universe)
        return universe


def word_lengths(grid: Grid, universes: Collection[Levels], order: int | None = None) -> tuple[float, ...]:
    """Return the generalized word-length pattern A_1, A_2, … of universes (Xu and Wu 2001).

    Args:
        grid: Their grid.
        universes: At least one universe.
        order: The largest j; None for the number of settings.
    """
    n = len(grid.levels)
    return tuple(sum(_imbalances(grid, universes, j)) for j in range(1, min(n, n if order is None else order) + 1))


def resolution(grid: Grid, universes: Collection[Levels]) -> float | None:
    """Return the generalized resolution of universes (Deng and Tang 1999; Grömping and Xu 2014).

    Its whole part R is the resolution, the smallest j with A_j > 0. Its fraction is larger if the worst imbalance of R
    settings is smaller: it is 1.9 if the levels of each setting are almost equally frequent, and 3.0 for a regular
    fraction of resolution III.

    Args:
        grid: The grid of the universes.
        universes: At least one universe.

    Returns:
        The resolution; None if all universes of the grid are equally frequent.
    """
    if len(universes) == grid.size == len(set(universes)):
        return None
    for order in range(1, len(grid.levels) + 1):
        worst = max(_imbalances(grid, universes, order, relative=True), default=0.0)
        if worst > 1e-9:  # above the rounding errors
            return order + 1 - math.sqrt(min(worst, 1))
    return None


def _imbalances(grid: Grid, universes: Collection[Levels], order: int, *, relative: bool = False) -> Iterator[float]:
    """Yield the contribution of each choice of settings to A_order, relative to its maximum if requested.

    It is the variance of the highest interaction in the table of the frequencies of all combinations of their levels.
    """
    levels = np.array(list(universes)).reshape(len(universes), len(grid.shape))
    for chosen in combinations([index for index, size in enumerate(grid.shape) if size > 1], order):
        shape = [grid.shape[index] for index in chosen]
        cells = np.ravel_multi_index([levels[:, index] for index in chosen], shape)
        density = np.bincount(cells, minlength=math.prod(shape)).reshape(shape) * math.prod(shape) / len(universes)
        for axis in range(order):
            density -= density.mean(axis, keepdims=True)
        yield float(np.mean(density**2)) / (min(shape) - 1 if relative else 1)
