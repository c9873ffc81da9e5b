"""Sensitivity: on which unstated settings the share of seeds in which a relation holds depends, and its verdict.

All of it is computed from the results in the universes that were trained. The share k/n of a universe has the sampling
variance of a proportion, p (1 - p) / n. It is estimated by k/n (1 - k/n) / (n - 1) and taken off: without that, noise
would look like a dependence on every setting.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labcheck.core.trials import Floats
from labcheck.core.universes import Grid, Levels
from labcheck.core.verdicts import Verdict

MIN_FLIPPED = 2
"""The fewest universes with another verdict for which a setting is said to decide it alone."""


class Counts(NamedTuple):
    """The result of a relation, or of a claim, in one universe.

    Attributes:
        holds: The number of seeds in which it holds.
        n: The number of seeds.
        verdict: The verdict.
    """

    holds: int
    n: int
    verdict: Verdict

    @property
    def share(self) -> float:
        """The share of seeds in which it holds."""
        return self.holds / self.n

    @property
    def noise(self) -> float:
        """The estimated sampling variance of the share; that of an even share if there is one seed only."""
        return self.share * (1 - self.share) / (self.n - 1) if self.n > 1 else 0.25


Results = Mapping[Levels, Counts]


@dataclass(frozen=True)
class VarianceShare:
    """A part of the variance between universes.

    Attributes:
        settings: A setting, or two that interact.
        share: The share of the variance that it explains beyond all single settings; slightly negative if it explains
            less than noise does on average.
    """

    settings: tuple[str, ...]
    share: float


def variance_shares(grid: Grid, results: Results) -> list[VarianceShare] | None:
    """Return the share of the variance between universes that each setting and each pair of settings explains.

    The variance is that of the share of seeds in which a relation holds. That of a setting is what it explains in
    addition to all other settings (sums of squares of type II), and that of a pair what its interaction explains in
    addition to all settings, so no order of the settings matters. In the whole grid, these are the parts of the
    functional analysis of variance. The expected part of noise is taken off. Settings and pairs whose effects cannot be
    separated from others in these universes are left out.

    Returns:
        The shares in descending order; None if the universes differ by no more than noise.
    """
    universes = list(results)
    shares = np.array([results[universe].share for universe in universes])
    noise = np.array([results[universe].noise for universe in universes])
    rows = np.array(universes, dtype=int).reshape(len(universes), -1)
    mean = np.ones((len(rows), 1))
    columns = {setting: _contrasts(rows[:, index]) for index, setting in enumerate(grid.values)}
    varied = {setting: contrasts for setting, contrasts in columns.items() if contrasts.shape[1]}
    total = _explained(mean, np.eye(len(rows)), shares, noise)
    if total <= 0:
        return None
    every = np.hstack([mean, *varied.values()])
    parts = []
    for setting, contrasts in varied.items():
        rest = np.hstack([mean, *(other for name, other in varied.items() if name != setting)])
        if _adds(rest, contrasts):
            parts.append(VarianceShare((setting,), _explained(rest, every, shares, noise) / total))
    for one, other in itertools.combinations(varied, 2):
        products = (varied[one][:, :, None] * varied[other][:, None, :]).reshape(len(rows), -1)
        if _adds(every, products):
            explained = _explained(every, np.hstack([every, products]), shares, noise)
            parts.append(VarianceShare((one, other), explained / total))
    return sorted(parts, key=lambda part: -part.share)


def _contrasts(levels: NDArray[np.int_]) -> Floats:
    """Return a column for each value of a setting but the first that occurs, (U, values - 1)."""
    return np.array([levels == level for level in np.unique(levels)[1:]], dtype=np.float64).reshape(-1, len(levels)).T


def _adds(columns: Floats, others: Floats) -> bool:
    """Return whether columns span as many more dimensions with others as those have columns."""
    rank = np.linalg.matrix_rank
    return bool(rank(np.hstack([columns, others])) == rank(columns) + others.shape[1])


def _explained(smaller: Floats, larger: Floats, values: Floats, noise: Floats) -> float:
    """Return the sum of squares that a larger linear model explains beyond a smaller one, without that of noise."""
    difference = larger @ np.linalg.pinv(larger) - smaller @ np.linalg.pinv(smaller)
    return float(values @ difference @ values - difference.diagonal() @ noise)


@dataclass(frozen=True)
class Contribution:
    """The contribution of a setting to the difference between two universes.

    Attributes:
        setting: The setting.
        value: Its Shapley value, in shares of seeds.
        error: The standard error of the value, from the sampling variances of all corners, as if they had no seeds in
            common.
    """

    setting: str
    value: float
    error: float


def corners(grid: Grid, target: Levels) -> dict[frozenset[str], Levels]:
    """Return the universes between the assumed one and a target, by the settings that have the target's values."""
    changed = grid.settings(target)
    chosen = (part for number in range(len(changed) + 1) for part in itertools.combinations(changed, number))
    return {
        frozenset(part): tuple(
            level if setting in part else 0 for setting, level in zip(grid.values, target, strict=True)
        )
        for part in chosen
    }


def shapley(grid: Grid, results: Results, target: Levels) -> list[Contribution] | None:
    """Return how much each setting contributes to the difference between the assumed universe and a target.

    The contribution is the Shapley value (1953): the change of the share of seeds when the setting takes its value in
    the target, averaged over all orders in which the settings can change. The values add up to the whole difference.

    Returns:
        The contributions, the largest first; None if not all universes between the two were trained.
    """
    universes = corners(grid, target)
    if not all(universe in results for universe in universes.values()):
        return None
    changed = list(grid.settings(target))
    contributions = []
    for setting in changed:
        weights: dict[frozenset[str], float] = dict.fromkeys(universes, 0.0)
        for before in universes:
            if setting not in before:
                orders = math.factorial(len(before)) * math.factorial(len(changed) - len(before) - 1)
                weights[before] -= orders / math.factorial(len(changed))
                weights[before | {setting}] += orders / math.factorial(len(changed))
        terms = [(weight, results[universes[part]]) for part, weight in weights.items()]
        value = sum(weight * counts.share for weight, counts in terms)
        variance = sum(weight**2 * counts.noise for weight, counts in terms)
        contributions.append(Contribution(setting, value, math.sqrt(variance)))
    return sorted(contributions, key=lambda contribution: -abs(contribution.value))


def smallest_flips(grid: Grid, results: Results) -> list[Levels]:
    """Return the universes with the fewest changes in which the verdict is a decided one other than the assumed one."""
    flipped = sorted(_flipped(grid, results), key=lambda universe: (len(grid.settings(universe)), universe))
    fewest = len(grid.settings(flipped[0])) if flipped else 0
    return [universe for universe in flipped if len(grid.settings(universe)) == fewest]


def decides_alone(grid: Grid, results: Results) -> dict[str, list[int]]:
    """Return each setting on which alone the verdict depends, with the levels at which it is not the assumed one.

    In all universes with a decided verdict, it is another one than in the assumed universe if and only if the setting
    has one of these levels. At least two universes must have another verdict.
    """
    flipped = set(_flipped(grid, results))
    if len(flipped) < MIN_FLIPPED:
        return {}
    alone = {}
    for index, setting in enumerate(grid.values):
        levels = {universe[index] for universe in flipped}
        others = {
            universe[index]
            for universe, counts in results.items()
            if counts.verdict is not Verdict.INCONCLUSIVE and universe not in flipped
        }
        if not levels & others:
            alone[setting] = sorted(levels)
    return alone


def _flipped(grid: Grid, results: Results) -> Sequence[Levels]:
    """Return the universes whose verdict is decided, and another one than in the assumed universe."""
    usual = {results[grid.assumed].verdict, Verdict.INCONCLUSIVE} if grid.assumed in results else set(Verdict)
    return [universe for universe, counts in results.items() if counts.verdict not in usual]
