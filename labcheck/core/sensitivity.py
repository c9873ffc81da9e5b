"""Sensitivity: which open settings the verdict on a claim depends on, given its verdicts in several universes.

INCONCLUSIVE is the lack of an answer. So a universe *flips* the verdict if it has the opposite one, REPRODUCED instead
of NOT_REPRODUCED or vice versa, and an INCONCLUSIVE universe supports no statement about flips. All statements are
about the trained universes, and the numbers of those that might change them are part of the results.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from labcheck.core.universes import Grid, Levels
from labcheck.core.verdicts import Verdict


class Count(NamedTuple):
    """The number of seeds in which a relation holds in a universe, and the number of seeds; a tie counts as failing."""

    holds: int
    n: int

    @property
    def fraction(self) -> float:
        """The fraction of the seeds in which the relation holds."""
        return self.holds / self.n

    @property
    def posterior_variance(self) -> float:
        """The variance of the fraction in all seeds, given the count, if all fractions are equally likely before.

        It is not 0 if the relation holds in all seeds or in none, and does not depend on why n was chosen.
        """
        a, b = 1 + self.holds, 1 + self.n - self.holds
        return a * b / ((a + b) ** 2 * (a + b + 1))


def shares(verdicts: Collection[Verdict]) -> dict[Verdict, float] | None:
    """Return the share of the universes with each verdict, including those that none has; None without universes.

    It is no probability: it depends on which alternatives were named.
    """
    if not verdicts:
        return None
    return {verdict: sum(other is verdict for other in verdicts) / len(verdicts) for verdict in Verdict}


# which settings explain the difference between two universes


@dataclass(frozen=True)
class Attribution:
    """The change of the fraction of seeds that hold between the assumed and another universe, divided among settings.

    Attributes:
        assumed: The fraction in the assumed universe.
        target: The fraction in the other universe.
        values: The Shapley value of each setting that differs; their sum is the difference of the fractions.
        errors: The standard error of each value.
    """

    assumed: float
    target: float
    values: Mapping[str, float]
    errors: Mapping[str, float]


def corners(grid: Grid, target: Levels) -> tuple[Levels, ...]:
    """Return all universes in which each setting has its assumed value or that of the target, 2^d for d changes.

    The first one is the assumed universe, and the last one the target.
    """
    return tuple(product(*([level] if level == 0 else [0, level] for level in target)))


def shapley(grid: Grid, counts: Mapping[Levels, Count], target: Levels) -> Attribution | None:
    """Divide the difference between the assumed and a target universe among the settings by their Shapley values.

    The value of a setting is the mean, over all orders in which the settings can be changed one after the other, of the
    change of the fraction when this setting is changed (Shapley 1953).

    The standard errors are those of independent seeds in each universe, by `Count.posterior_variance`. Since all
    universes are trained with the same seeds, those of settings that matter little are probably smaller.

    Args:
        grid: The values of all open settings.
        counts: The counts of each trained universe.
        target: The other universe.

    Returns:
        The Shapley values; None if one of the `corners` of the target is not trained.
    """
    universes = corners(grid, target)
    if any(universe not in counts for universe in universes):
        return None
    changed = [index for index, level in enumerate(target) if level]
    has = np.array(universes)[:, changed] != 0  # (2^d, d)
    before = has.sum(1, keepdims=True) - has  # the number of other settings that are changed
    d = len(changed)
    weight = 1 / (d * np.array([math.comb(d - 1, k) for k in range(d)])) if d else np.empty(0)
    weights = np.where(has, weight[before], -weight[before])
    fractions = np.array([counts[universe].fraction for universe in universes])
    variances = np.array([counts[universe].posterior_variance for universe in universes])
    names = [list(grid.levels)[index] for index in changed]
    return Attribution(
        float(fractions[0]),
        float(fractions[-1]),
        dict(zip(names, (fractions @ weights).tolist(), strict=True)),
        dict(zip(names, np.sqrt(variances @ weights**2).tolist(), strict=True)),
    )


# which settings flip the verdict


@dataclass(frozen=True)
class Flips:
    """The smallest changes of the assumed universe that flip the verdict.

    Attributes:
        universes: The universes with the opposite verdict that change the fewest settings, in the order of training.
        changes: The number of settings that they change; None if no universe flips the verdict.
        unknown: The number of universes with fewer changes, or of all if none flips the verdict, that are not trained
            or INCONCLUSIVE. If it is 0, there is certainly no smaller change. Implausible universes are included.
    """

    universes: tuple[Levels, ...]
    changes: int | None
    unknown: int


def smallest_flips(grid: Grid, verdicts: Mapping[Levels, Verdict]) -> Flips | None:
    """Return the smallest changes that flip the verdict of the assumed universe; None if that is undecided.

    Args:
        grid: The values of all open settings.
        verdicts: The verdict in each trained universe.
    """
    flips = _flips(grid, verdicts)
    if flips is None:
        return None
    changes = {universe: int(np.count_nonzero(universe)) for universe in flips}
    smallest = min((changes[universe] for universe in flips if flips[universe]), default=None)
    universes = tuple(universe for universe in flips if flips[universe] and changes[universe] == smallest)
    below = len(grid.levels) + 1 if smallest is None else smallest
    by_changes = np.array([1])  # the number of universes of the grid by their number of changes
    for size in grid.shape:
        by_changes = np.convolve(by_changes, [1, size - 1])
    unknown = int(by_changes[:below].sum()) - sum(number < below for number in changes.values())
    return Flips(universes, smallest, unknown)


@dataclass(frozen=True)
class LoneFlip:
    """A setting that alone decides the verdict in all trained universes that have one.

    Attributes:
        setting: Its name.
        flipped: Its values with which every decided universe has the opposite verdict, at least one.
        unchanged: Its values with which every decided universe has the verdict of the assumed one. Values that belong
            to neither have no decided universe.
        universes: The number of decided universes.
    """

    setting: str
    flipped: tuple[Any, ...]
    unchanged: tuple[Any, ...]
    universes: int


def flips_alone(grid: Grid, verdicts: Mapping[Levels, Verdict]) -> tuple[LoneFlip, ...]:
    """Return the settings of which some values flip the verdict in every decided universe, and the others in none.

    Several settings can do so if they are always changed together. There is none if the assumed universe is undecided.

    Args:
        grid: The values of all open settings.
        verdicts: The verdict in each trained universe.
    """
    flips = _flips(grid, verdicts) or {}
    found = []
    for index, (name, values) in enumerate(grid.levels.items()):
        outcomes = [{flips[universe] for universe in flips if universe[index] == level} for level in range(len(values))]
        flipped = tuple(value for value, outcome in zip(values, outcomes, strict=True) if outcome == {True})
        unchanged = tuple(value for value, outcome in zip(values, outcomes, strict=True) if outcome == {False})
        if flipped and not any(len(outcome) == 2 for outcome in outcomes):
            found.append(LoneFlip(name, flipped, unchanged, len(flips)))
    return tuple(found)


def _flips(grid: Grid, verdicts: Mapping[Levels, Verdict]) -> dict[Levels, bool] | None:
    """Return whether each decided universe has the opposite verdict of the assumed one; None if that is undecided."""
    assumed = verdicts.get(grid.assumed, Verdict.INCONCLUSIVE)
    if assumed is Verdict.INCONCLUSIVE:
        return None
    decided = {universe: verdict for universe, verdict in verdicts.items() if verdict is not Verdict.INCONCLUSIVE}
    return {universe: verdict.contradicts(assumed) for universe, verdict in decided.items()}
