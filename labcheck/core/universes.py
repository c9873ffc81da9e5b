"""Universes: choices of all settings that a report leaves open, and which of them to train."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labcheck.core.settings import plain

Levels = tuple[int, ...]
"""A universe: for each setting the index of its value, 0 for the assumed one."""
ASSUMED = "assumed"
"""The name of the universe in which all settings have their assumed values."""
MAX_GRID = 10_000
"""The largest grid of which all universes can be requested."""
MAX_RESOLUTION = 5
MAX_CHANGES = 3
"""The largest number of changes with which an alternative is tried that is implausible alone."""
CANDIDATES = 1000
"""The number of random universes among which those of a fraction are chosen."""
STARTS = 50
"""The number of searches for a fraction, of which the best result counts."""
PASSES = 10
"""The number of times that each universe of a fraction is replaced by the best one for the others."""


@dataclass(frozen=True)
class Grid:
    """The values of the settings that a report leaves open.

    Attributes:
        values: The values of each setting, the assumed one first.
    """

    values: Mapping[str, tuple[Any, ...]]

    @property
    def size(self) -> int:
        """The number of universes."""
        return math.prod(map(len, self.values.values()))

    @property
    def assumed(self) -> Levels:
        """The universe in which all settings have their assumed values."""
        return (0,) * len(self.values)

    def plain(self) -> dict[str, list[Any]]:
        """Return the values of each setting as JSON values."""
        return {setting: [plain(value) for value in values] for setting, values in self.values.items()}

    def settings(self, universe: Levels) -> dict[str, Any]:
        """Return the settings of a universe that differ from their assumed values."""
        pairs = zip(self.values.items(), universe, strict=True)
        return {setting: values[level] for (setting, values), level in pairs if level}

    def universe(self, settings: Mapping[str, Any]) -> Levels:
        """Return the universe that differs from the assumed one in these settings.

        Raises:
            ValueError: A value is not in the grid.
            KeyError: A setting is not in the grid.
        """
        levels = {setting: self.values[setting].index(value) for setting, value in settings.items()}
        return tuple(levels.get(setting, 0) for setting in self.values)

    def name(self, universe: Levels) -> str:
        """Return the settings of a universe that differ from their assumed values as text."""
        settings = self.settings(universe)
        return ", ".join(f"{setting}={_text(value)}" for setting, value in settings.items()) or ASSUMED

    def changes(self, number: int) -> Iterator[Levels]:
        """Yield the universes that differ from the assumed one in this number of settings."""
        sizes = [len(values) for values in self.values.values()]
        for chosen in itertools.combinations(range(len(sizes)), number):
            for levels in itertools.product(*(range(1, sizes[setting]) for setting in chosen)):
                changed = dict(zip(chosen, levels, strict=True))
                yield tuple(changed.get(setting, 0) for setting in range(len(sizes)))


@dataclass(frozen=True)
class Plan:
    """The universes to train.

    Attributes:
        universes: The universes, the assumed one first.
        size: The number of universes of the whole grid, including implausible ones.
        full: Whether all plausible universes are included.
        resolution: That of the fraction of the grid which was added to the universes of each alternative; see
            `resolution`. None if all universes are included, or if none was added.
    """

    universes: tuple[Levels, ...]
    size: int
    full: bool
    resolution: int | None


def plan(grid: Grid, limit: int | None, is_plausible: Callable[[Mapping[str, Any]], bool]) -> Plan:
    """Return the universes to train: the assumed one, each alternative alone, and then others up to a limit.

    An alternative that is implausible alone is combined with the fewest others. The others are the rest of the grid if
    it has at most `limit` universes, otherwise a balanced fraction of it.

    Args:
        grid: The grid.
        limit: The largest number of universes; None for the whole grid.
        is_plausible: A function of the settings that differ from their assumed values. Universes for which it returns
            False are left out.

    Raises:
        ValueError: The limit is smaller than the number of alternatives, or the whole grid is too large.
    """

    def plausible(universes: Iterable[Levels]) -> list[Levels]:
        return [universe for universe in universes if is_plausible(grid.settings(universe))]

    first = [grid.assumed, *_each_alternative(grid, plausible)]
    if limit is None and grid.size > MAX_GRID:
        raise ValueError(f"the whole grid has {grid.size:,} universes: give a number, at least {len(first)}")
    if limit is not None and limit < len(first):
        raise ValueError(
            f"must be at least {len(first)}, the assumed universe and one for each alternative, got {limit}"
        )
    if grid.size <= MAX_GRID:
        known = set(first)
        rest = [
            universe
            for universe in plausible(itertools.product(*(range(len(values)) for values in grid.values.values())))
            if universe not in known
        ]
        if limit is None or len(first) + len(rest) <= limit:
            return Plan((*first, *rest), grid.size, True, None)
    added = _fraction(grid, limit - len(first) if limit else 0, set(first), plausible)
    return Plan((*first, *added), grid.size, False, resolution(grid, added) if added else None)


def _each_alternative(grid: Grid, plausible: Callable[[Iterable[Levels]], list[Levels]]) -> list[Levels]:
    """Return plausible universes with each alternative, each with the fewest changes."""
    chosen: list[Levels] = []
    missing = set(grid.changes(1))
    for number in range(1, MAX_CHANGES + 1):
        for universe in plausible(grid.changes(number)) if missing else ():
            alternatives = {_alone(universe, setting) for setting, level in enumerate(universe) if level}
            if number == 1 or alternatives & missing:
                chosen.append(universe)
                missing -= alternatives
    return chosen


def _alone(universe: Levels, setting: int) -> Levels:
    """Return the universe that differs from the assumed one in this setting only, as the given one does."""
    return tuple(level if other == setting else 0 for other, level in enumerate(universe))


def resolution(grid: Grid, universes: Sequence[Levels]) -> int:
    """Return the generalized resolution of universes, at most 5.

    It is the smallest number of settings among whose levels there is a dependence. At resolution 3, each pair of values
    of two settings is equally frequent, so that the effect of a setting is not confused with that of another one, but
    with their interactions. At resolution 4, it is not confused with the interactions of two others, either. It is the
    smallest j for which the generalized word length A_j is positive (Xu and Wu, 2001, Annals of Statistics 29).
    """
    rows = np.array(universes)
    sizes = [len(values) for values in grid.values.values()]
    varied = [column for column, size in enumerate(sizes) if size > 1]
    balance: dict[tuple[int, ...], float] = {(): 1.0}
    for number in range(1, MAX_RESOLUTION):
        for chosen in itertools.combinations(varied, number):
            balance[chosen] = _concentration(rows[:, chosen]) * math.prod(sizes[column] for column in chosen)
            # the squared lengths of the contrasts of exactly these settings, by inclusion and exclusion
            words = sum(
                (-1) ** (number - len(part)) * balance[part]
                for count in range(number + 1)
                for part in itertools.combinations(chosen, count)
            )
            if words > 1e-9:
                return number
    return MAX_RESOLUTION


def _concentration(rows: NDArray[np.int_]) -> float:
    """Return the sum of the squared shares of equal rows."""
    counts = np.unique(rows, axis=0, return_counts=True)[1]
    return float(np.square(counts / len(rows)).sum())


def _fraction(
    grid: Grid, number: int, known: set[Levels], plausible: Callable[[Iterable[Levels]], list[Levels]]
) -> list[Levels]:
    """Return a balanced fraction of a grid, without known universes.

    It has a small sum, over all pairs of its universes, of squared numbers of equal levels, weighted by the numbers of
    levels, which is smallest for orthogonal arrays (Xu, 2002, Technometrics 44).
    """
    sizes = np.array([len(values) for values in grid.values.values()])
    drawn = np.random.default_rng(0).integers(0, sizes, (CANDIDATES, len(sizes)))  # the same ones in every process
    candidates = plausible(universe for universe in dict.fromkeys(map(tuple, drawn.tolist())) if universe not in known)
    rows = np.array(candidates, dtype=int).reshape(-1, len(sizes))
    equal = [size * (column[:, None] == column).astype(int) for size, column in zip(sizes, rows.T, strict=True)]
    overlap = np.square(np.sum(equal, axis=0))
    number = min(number, len(rows))
    best = min((_exchange(overlap, number, start) for start in range(min(STARTS, len(rows)))), default=None)
    return [candidates[index] for index in best[1]] if best and number else []


def _exchange(overlap: NDArray[np.int_], number: int, start: int) -> tuple[int, list[int]]:
    """Return the total overlap of a number of candidates, and their indices, after a search from a first candidate."""
    chosen = [start]
    sums = overlap[:, start].copy()
    for _ in range((PASSES + 1) * number - 1):
        if len(chosen) == number:
            sums -= overlap[:, chosen.pop(0)]  # the one that was chosen longest ago
        free = sums.copy()
        free[chosen] = np.iinfo(sums.dtype).max
        chosen.append(int(free.argmin()))
        sums += overlap[:, chosen[-1]]
    return int(overlap[np.ix_(chosen, chosen)].sum()), chosen


def _text(value: Any) -> str:
    """Return a value as on a command line."""
    written = plain(value)
    if isinstance(written, bool):
        return str(written).lower()
    return "-".join(map(_text, written)) if isinstance(written, list) else str(written)
