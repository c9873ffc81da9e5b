"""Variance shares: how much of the variance of a fraction between universes each open setting explains.

The fraction of all seeds in which a relation holds is a function on the grid of universes. Its functional analysis of
variance divides its variance over the grid, all universes being equally likely, among the settings (main effects),
pairs of settings (interactions) and interactions of more (Hoeffding 1948; Sobol 1993; Hutter et al. 2014 for
hyperparameters). The observed fractions differ from it by the noise of finitely many seeds.

Effects are coefficients of orthonormal contrasts, so that the variance of each is a sum of squares. They are fitted to
the trained universes by least squares, whichever these are, and the shares depend on no order of the settings. The
squares of estimates are too large by their sampling variances, which are subtracted:

- the noise of the seeds. In a universe with n seeds it is s / n, where s is the mean over the universes of the unbiased
  estimate n p (1 − p) / (n − 1) of the variance of one seed;
- the effects that are not fitted, as if they were drawn at random among all functions orthogonal to those that are.
  Their variance is estimated from the residuals. In a whole grid, nothing is subtracted for them.

So the estimates can be slightly negative. They need the same number of seeds in all universes: if each universe is
trained until its verdict is decided, the fractions at that time vary far more than those of n seeds do, and the excess
looks like interactions. `common_counts` leaves out the later seeds, and with them most of the excess. All universes are
trained with the same seeds, which often makes their noise positively correlated; then too much is subtracted, and the
total is rather too small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy

from labcheck.core.sensitivity import Count
from labcheck.core.trials import Floats
from labcheck.core.universes import Grid, Levels
from labcheck.core.verdicts import ERROR_RATE

MIN_EFFICIENCY = 0.1
"""The smallest precision of any combination of effects, relative to that in as many universes of a balanced grid."""

Term = tuple[str, ...]
"""The settings of an effect; () is the mean."""


@dataclass(frozen=True)
class VarianceShares:
    """The variance of a fraction between all universes of a grid, divided among the settings, without noise.

    All are variances; `share` returns their shares of the total.

    Attributes:
        settings: The variance that each setting explains by itself; None if only one of its values was trained.
        pairs: The variance that the interaction of two settings explains; None if it cannot be estimated.
        higher: The variance of the interactions of more settings; None if not all pairs can be estimated together, in
            which case each pair is estimated as if it were the only one, and may include the effects of others.
        total: The variance of the fraction.
        noise: The mean variance of the observed fractions that is due to finitely many seeds, not part of the total.
        p: The p-value of the hypothesis that the fraction is the same in all universes, by Pearson's χ² test.
    """

    settings: Mapping[str, float | None]
    pairs: Mapping[tuple[str, str], float | None]
    higher: float | None
    total: float
    noise: float
    p: float

    def share(self, variance: float | None) -> float | None:
        """Return the share of the total of a variance, not clipped at 0.

        It is None if the variance is, or if the universes do not differ by more than noise.
        """
        if variance is None or self.p > ERROR_RATE or self.total <= 0:
            return None
        return variance / self.total


def common_counts(holds: Mapping[Levels, Sequence[bool]]) -> dict[Levels, Count]:
    """Return the counts of the first n seeds in each universe, where n is the smallest number of seeds of any.

    Args:
        holds: For each universe, whether the relation holds in each seed, from the first one on.
    """
    n = min(map(len, holds.values()), default=0)
    return {universe: Count(sum(map(bool, seeds[:n])), n) for universe, seeds in holds.items()}


def variance_shares(grid: Grid, counts: Mapping[Levels, Count]) -> VarianceShares | None:
    """Divide the variance of the fraction of seeds that hold among the settings and their interactions.

    Values of settings that occur in no universe are left out of the grid, and so are universes with a single seed.

    Args:
        grid: The values of all open settings.
        counts: The counts of each trained universe, of the same number of seeds.

    Returns:
        The variances; None if the universes are too few, or too unbalanced, to estimate the effects of the settings.
    """
    used = {universe: count for universe, count in counts.items() if count.n > 1}  # one seed has no variance
    if len(used) < 2:
        return None
    terms, size = _contrasts(grid, list(used))
    alone = [term for term in terms if len(term) <= 1]
    pairs = [term for term in terms if len(term) == 2]
    data = _Data(terms, size, list(used.values()))
    together = data.fit([*alone, *pairs])
    fitted = together or data.fit(alone)
    if fitted is None:
        return None
    of_pairs: dict[tuple[str, str], float | None] = {}
    for one, other in pairs:
        fit = together or data.fit([*alone, (one, other)])
        of_pairs[one, other] = fit.variances[one, other] if fit and terms[one, other].size else None
    return VarianceShares(
        settings={term[0]: fitted.variances[term] if terms[term].size else None for term in alone if term},
        pairs=of_pairs,
        higher=together.rest if together else None,
        total=sum(fitted.variances.values()) + fitted.rest,
        noise=float(data.noise.mean()),
        p=_p_of_equal_fractions(list(used.values())),
    )


def _contrasts(grid: Grid, universes: Sequence[Levels]) -> tuple[dict[Term, Floats], int]:
    """Return the columns of each term, orthonormal over the grid of levels that occur, and its size."""
    terms: dict[Term, Floats] = {(): np.ones((len(universes), 1))}
    size = 1
    for name, levels in zip(grid.levels, zip(*universes, strict=True), strict=True):
        occurring, codes = np.unique(levels, return_inverse=True)
        size *= len(occurring)
        terms[name,] = len(occurring) ** 0.5 * scipy.linalg.helmert(len(occurring)).T[codes]
    for one, other in combinations(grid.levels, 2):
        columns = terms[one,][:, :, None] * terms[other,][:, None, :]
        terms[one, other] = columns.reshape(len(universes), -1)
    return terms, size


@dataclass(frozen=True)
class _Fit:
    """The variances of the fitted terms except the mean, and the variance of all others over the grid."""

    variances: dict[Term, float]
    rest: float


class _Data:
    """The observed fractions of N universes, and what they are regressed on."""

    def __init__(self, terms: dict[Term, Floats], size: int, counts: Sequence[Count]) -> None:
        self.terms = terms
        self.size = size
        self.fractions = np.array([count.fraction for count in counts])
        n = np.array([count.n for count in counts])
        self.noise = (self.fractions * (1 - self.fractions) * n / (n - 1)).mean() / n  # (N,)

    def fit(self, terms: Sequence[Term]) -> _Fit | None:
        """Estimate the variances of these terms; None if they cannot be estimated."""
        n, parameters = len(self.noise), sum(self.terms[term].shape[1] for term in terms)
        if n < parameters or n == parameters < self.size:
            return None
        x = np.hstack([self.terms[term] for term in terms])  # (N, parameters)
        products = x.T @ x
        if np.linalg.eigvalsh(products)[0] < MIN_EFFICIENCY * n:
            return None
        inverse = np.linalg.inv(products)
        estimator = inverse @ x.T
        coefficients = estimator @ self.fractions
        residuals = self.fractions - x @ coefficients
        leverages = (x * estimator.T).sum(1)
        rest = (residuals @ residuals - (1 - leverages) @ self.noise) / (n - parameters) if n > parameters else 0.0
        excess = estimator**2 @ self.noise + rest * (np.diag(inverse) - 1 / self.size)
        squares = np.split(coefficients**2 - excess, np.cumsum([self.terms[term].shape[1] for term in terms])[:-1])
        variances = {term: float(part.sum()) for term, part in zip(terms, squares, strict=True) if term}
        return _Fit(variances, float(rest) * (1 - parameters / self.size))


def _p_of_equal_fractions(counts: Sequence[Count]) -> float:
    """Return the p-value of Pearson's test that all universes have the same fraction."""
    table = np.array([(count.holds, count.n - count.holds) for count in counts])
    return float(scipy.stats.chi2_contingency(table, correction=False).pvalue) if table.any(0).all() else 1.0
