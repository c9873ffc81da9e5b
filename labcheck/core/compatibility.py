"""Compatibility: which universe the numbers that a report prints most likely come from.

Each arm of a report was trained once, so its printed numbers are one draw from the distribution of that arm's seeds,
of which we have a sample in each universe. If all universes were equally probable before, Bayes' rule gives their
posterior. It states which of the universes that were tried fits best, not that any of them is the report's; whether one
fits at all is shown by the p-value.

The distribution of one more draw is a kernel density around our seeds: with n seeds, each has a share of 1/(n + 1),
and the last share is that of an unseen draw. Half of it is distributed like the seeds of the other universes, since
settings often share the basins in which trainings end, and a basin that few seeds reach may be missing among ours. The
other half is a wide distribution around all values, so that one odd run cannot exclude a universe. All numbers of a run
belong to the same draw, and those that an earlier one determines are left out, so that nothing counts twice. Runs are
independent, which is only approximately true if they share data. A report that chose the best of k tries prints a draw
in which better seeds have larger shares.

The densities of a few seeds are uncertain, and their errors add up over many runs. So the likelihood is raised to a
power of at most 1, which is chosen by reports that are simulated from our seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from labcheck.core.trials import Floats
from labcheck.core.verdicts import Verdict

TRIES = (1, 3, 10)
"""The numbers of tries of which a report may have printed the best."""
UNSEEN = 1.0
"""The number of seeds whose share an unseen draw has."""
FREEDOM = 3
"""The degrees of freedom of the kernels, Student's t."""
SHARPNESS = np.linspace(1, 0.02, 50)
"""The powers of the likelihood that are tried."""
REPORTS = 500
"""The number of simulated reports by which the power is chosen."""
DRAWS = 2000
"""The number of draws by which a p-value is computed."""
DETERMINED = 0.9
"""The rank correlation over seeds above which one number of a run determines another one."""
UNUSUAL = 0.01
"""The p-value below which no universe prints such numbers."""


@dataclass(frozen=True)
class PrintedRun:
    """The numbers that a report prints for an arm, and ours for it in each universe.

    Attributes:
        name: The name of the arm.
        printed: The numbers (Q,), NaN for one that is not finite. By the first one, a report would choose the best try.
        units: The unit of the last printed digit of each number (Q,). The value that a report has rounded or cut is
            within one unit.
        log: Whether each number is an error, whose ratios make sense, (Q,).
        higher_is_better: Whether a larger first number is better.
        samples: For each universe, the values of our seeds (n, Q); n is 0 where the arm was not trained.
    """

    name: str
    printed: Floats
    units: Floats
    log: Sequence[bool]
    higher_is_better: bool
    samples: Sequence[Floats]


@dataclass(frozen=True)
class Compatibility:
    """The posterior over universes, given the numbers of a report.

    Attributes:
        posterior: The probability of each universe (U,).
        tries: The probability of each number of tries, those of `TRIES`.
        p_values: For each universe (U,), the probability that a report of its own prints numbers that are as unlikely;
            the largest one over the numbers of tries.
    """

    posterior: Floats
    tries: Floats
    p_values: Floats


def unit_of_last_digit(value: float) -> float:
    """Return the unit of the last digit of a number as Python prints it. Trailing zeros of a report are unknown."""
    digits, _, exponent = f"{float(value)!r}".partition("e")
    decimals = len(digits.partition(".")[2]) if not digits.endswith(".0") else 0
    return float(10.0 ** (int(exponent or 0) - decimals))


def compatibility(runs: Sequence[PrintedRun], universes: int) -> Compatibility:
    """Return the posterior over equally probable universes, given the printed numbers.

    A run that was not trained in a universe has the mean log-likelihood of the others there, which favors none.

    Args:
        runs: The printed runs.
        universes: The number of universes, U.

    Raises:
        ValueError: The samples of a run are not those of all universes, or have other numbers than it prints.
    """
    fits = [_samples(run, universes) for run in runs]
    likelihood = np.zeros((universes, len(TRIES)))
    p_values = np.ones((universes, len(TRIES)))
    for place, tries in enumerate(TRIES):
        for samples in fits:
            logs = np.array([sample.log_likelihood(tries) for sample in samples])
            known = np.array([len(sample.first) > 0 for sample in samples])
            likelihood[:, place] += np.where(known, logs, logs[known].mean() if known.any() else 0.0)
        for universe in range(universes):
            p_values[universe, place] = _p_value([samples[universe] for samples in fits], tries)
    joint = scipy.special.softmax(_sharpness(fits, universes) * likelihood)
    return Compatibility(joint.sum(1), joint.sum(0), p_values.max(1))


@dataclass(frozen=True)
class _Sample:
    """A printed run in one universe, on a scale on which kernels have the same width everywhere.

    Attributes:
        first: The first number of each of our seeds (n,).
        printed: The log density of the printed numbers around each seed, and as an unseen draw, (1, n) and (1,).
        seeds: The same for each seed instead of the printed numbers, (n, n) and (n,).
        everywhere: The log density of each of our seeds in each universe (n, U), without this seed; NaN in a universe
            in which the run was not trained.
        higher_is_better: Whether a larger first number is better.
    """

    first: Floats
    printed: tuple[Floats, Floats]
    seeds: tuple[Floats, Floats]
    everywhere: Floats
    higher_is_better: bool

    def log_likelihood(self, tries: int) -> float:
        """Return the log-likelihood of the printed numbers; 0 if there are no seeds."""
        if not len(self.first):
            return 0.0
        weights = _shares(self.first, tries, self.higher_is_better)[None]
        return float(_log_density(*self.printed, weights, len(self.first))[0])

    def left_out(self, tries: int) -> tuple[Floats, Floats]:
        """Return the log-likelihood of each of our seeds (n,) by the others, and the share of each (n,)."""
        shares = _shares(self.first, tries, self.higher_is_better)
        weights = shares * _others((len(shares), len(shares)))
        return _log_density(*self.seeds, weights, len(shares) - 1), shares


def _log_density(kernels: Floats, unseen: Floats, weights: Floats, seeds: Floats | int) -> Floats:
    """Return the log density of draws (M,).

    Args:
        kernels: The log density around each seed (M, n).
        unseen: The log density as unseen draws (M,).
        weights: The weight of each seed (M, n), 0 for one that is left out.
        seeds: The number of seeds that are not left out, (M,) or the same for all draws.
    """
    with np.errstate(divide="ignore"):  # the logarithm of a weight of 0
        shares = np.log(weights / np.maximum(weights.sum(1, keepdims=True), 1e-300))
        seen = scipy.special.logsumexp(kernels + shares, axis=1) + np.log(seeds)
    return np.asarray(np.logaddexp(seen, unseen + np.log(UNSEEN)) - np.log(seeds + UNSEEN))


def _others(shape: tuple[int, ...]) -> Floats:
    """Return weights (M, n) that leave out the seed with the number of the row."""
    return np.asarray(1 - np.eye(shape[0], shape[1]))


def _sharpness(fits: Sequence[Sequence[_Sample]], universes: int) -> float:
    """Return the power of the likelihood with which simulated reports are explained best.

    Each simulated report comes from a known universe: its runs are our seeds there, one each. The power maximizes the
    mean logarithm of the posterior probability of this universe.
    """
    rng = np.random.default_rng(0)
    truths = rng.integers(universes, size=REPORTS)
    logs = np.zeros((REPORTS, universes))
    for samples in fits:
        for report, truth in enumerate(truths):
            everywhere = samples[truth].everywhere
            if len(everywhere) > 1:
                row = everywhere[rng.integers(len(everywhere))]
                logs[report] += np.where(np.isnan(row), np.nanmean(row), row)
    scores = [scipy.special.log_softmax(power * logs, axis=1)[np.arange(REPORTS), truths].mean() for power in SHARPNESS]
    return float(SHARPNESS[int(np.argmax(scores))])


def _samples(run: PrintedRun, universes: int) -> list[_Sample]:
    """Return a printed run in each universe.

    Raises:
        ValueError: The samples are not those of all universes, or have other numbers than the run prints.
    """
    if len(run.samples) != universes:
        raise ValueError(f"{run.name}: must have a sample for each of {universes} universes, got {len(run.samples)}")
    for sample in run.samples:
        if sample.ndim != 2 or sample.shape[1] != len(run.printed):
            raise ValueError(f"{run.name}: samples must have shape (n, {len(run.printed)}), got {sample.shape}")
    log = np.array(run.log)
    samples = [_transform(sample, log) for sample in run.samples]
    new = _not_determined(samples)
    samples = [sample[:, new] for sample in samples]
    printed = _transform(run.printed, log)[None, new]
    units = np.where(log, run.units / np.maximum(np.abs(run.printed), run.units), run.units)[new]
    units = np.where(np.isfinite(units), units, 0.0)
    low, center, high = (_quantile(np.concatenate([*samples, printed]), share) for share in (0.05, 0.5, 0.95))
    spread = np.maximum((high - low) / 2, units) + 1e-12
    widths = [_bandwidth(sample, units) for sample in samples]

    def densities(numbers: Floats, *, ours: bool = False) -> tuple[list[Floats], Floats]:
        """Return the log density of numbers (M, Q) around each seed of each universe, and as unseen draws (M, U).

        If the numbers are our own, each belongs to the seed of its row, which is left out in all universes.
        """
        kernels = [_log_kernels(numbers, *pair) for pair in zip(samples, widths, strict=True)]
        means = []
        for kernel in kernels:
            weights = _others(kernel.shape) if ours else np.ones(kernel.shape)
            with np.errstate(divide="ignore", invalid="ignore"):  # no seed, or none that is not left out
                means.append(scipy.special.logsumexp(kernel, axis=1, b=weights) - np.log(weights.sum(1)))
        wide = _log_unseen(numbers, center, spread)
        unseen = []
        for place in range(universes):
            others = [mean for other, mean in enumerate(means) if other != place and len(samples[other]) > 1]
            elsewhere = scipy.special.logsumexp(others, axis=0) - np.log(len(others)) if others else wide
            unseen.append(np.logaddexp(elsewhere, wide) - np.log(2))
        return kernels, np.stack(unseen, axis=1)

    around_printed, unseen_printed = densities(printed)
    fits = []
    for place, sample in enumerate(samples):
        kernels, unseen = densities(sample, ours=True)
        everywhere = np.full((len(sample), universes), np.nan)
        for other, kernel in enumerate(kernels):
            if kernel.shape[1] > 1:
                weights = _others(kernel.shape)
                everywhere[:, other] = _log_density(kernel, unseen[:, other], weights, weights.sum(1))
        fits.append(
            _Sample(
                sample[:, 0],
                (around_printed[place], unseen_printed[:, place]),
                (kernels[place], unseen[:, place]),
                everywhere,
                run.higher_is_better,
            )
        )
    return fits


def _not_determined(samples: Sequence[Floats]) -> list[int]:
    """Return the columns of samples (n, Q) that no earlier column determines, by their ranks within universes."""
    ranks = [scipy.stats.rankdata(sample, axis=0) for sample in samples if len(sample) > 1]  # NaN has a rank, too
    pooled = np.concatenate([rank - rank.mean(0) for rank in ranks]) if ranks else np.zeros((1, samples[0].shape[1]))
    norms = np.linalg.norm(pooled, axis=0)
    with np.errstate(invalid="ignore"):
        correlations = np.abs(np.nan_to_num(pooled.T @ pooled / np.outer(norms, norms)))
    new: list[int] = []
    for column in range(len(norms)):
        if not (correlations[column, new] > DETERMINED).any():
            new.append(column)
    return new


def _transform(values: Floats, log: Floats) -> Floats:
    """Return errors as logarithms; a number that is not finite, or an error that is not positive, is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        transformed = np.where(log, np.log(values), values)
    return np.where(np.isfinite(transformed), transformed, np.nan)


def _quantile(values: Floats, share: float) -> Floats:
    """Return a quantile of each column without NaN; 0 for a column that has nothing else."""
    quantiles = np.zeros(values.shape[1])
    for column, numbers in enumerate(values.T):
        if (finite := numbers[~np.isnan(numbers)]).size:
            quantiles[column] = np.quantile(finite, share)
    return quantiles


def _bandwidth(sample: Floats, units: Floats) -> Floats:
    """Return the width of the kernels of each number (Q,), by Silverman's rule (1986), at least half a printed unit."""
    middle = _quantile(sample, 0.75) - _quantile(sample, 0.25)
    finite = [column[~np.isnan(column)] for column in sample.T]
    deviations = np.array([column.std() if column.size else 0.0 for column in finite])
    spread = np.where(middle > 0, np.minimum(deviations, middle / 1.34), deviations)
    return np.asarray(np.maximum(0.9 * spread * max(len(sample), 1) ** (-1 / (4 + sample.shape[1])), units / 2) + 1e-12)


def _log_kernels(numbers: Floats, sample: Floats, widths: Floats) -> Floats:
    """Return the log density of rows of numbers (M, Q) around each seed (n, Q), (M, n).

    A number that is not finite has the density 1 around its like, and 0 around others.
    """
    rows = numbers[:, None]
    densities = scipy.stats.t.logpdf(rows, FREEDOM, sample, widths)
    densities = np.where(np.isnan(rows) & np.isnan(sample), 0.0, densities)
    return np.asarray(np.where(np.isnan(rows) ^ np.isnan(sample), -np.inf, densities).sum(2))


def _log_unseen(numbers: Floats, center: Floats, spread: Floats) -> Floats:
    """Return the log density of rows of numbers (M, Q) as unseen draws, each finite or not with equal probability."""
    densities = scipy.stats.cauchy.logpdf(numbers, center, spread)
    return np.asarray((np.where(np.isnan(numbers), 0.0, densities) - np.log(2)).sum(1))


def _shares(values: Floats, tries: int, higher_is_better: bool) -> Floats:
    """Return the probability that each seed (n,) is the best of several random ones; ties have equal shares."""
    filled = np.where(np.isnan(values), np.inf, -values if higher_is_better else values)
    at_least = (filled[:, None] >= filled).mean(0)  # the share of seeds that are no better, (n,)
    worse = (filled[:, None] > filled).mean(0)
    shares = (at_least**tries - worse**tries) / (filled[:, None] == filled).sum(0)
    return np.asarray(shares)


def _p_value(samples: Sequence[_Sample], tries: int) -> float:
    """Return the probability that a report of a universe prints numbers with such a low likelihood.

    The draws are our seeds, each judged by the others. For the best of several tries it is slightly too small, since
    the best of our seeds are few.
    """
    samples = [sample for sample in samples if len(sample.first) > 1]
    observed = sum(sample.log_likelihood(tries) for sample in samples)
    rng = np.random.default_rng(0)
    total = np.zeros(DRAWS)
    for sample in samples:
        logs, shares = sample.left_out(tries)
        total += rng.choice(logs, DRAWS, p=shares / shares.sum())
    return float((1 + (total <= observed).sum()) / (1 + DRAWS))


def bayes_factor(posterior: Floats, levels: Sequence[int]) -> float:
    """Return the evidence for the assumed value of a setting against its alternatives.

    Args:
        posterior: The probability of each universe (U,), all of which had the same one before.
        levels: The level of the setting in each universe (U,), 0 for the assumed value.

    Returns:
        The ratio of the posterior odds and the prior odds; NaN if all universes have the same level.
    """
    assumed = np.array(levels) == 0
    if assumed.all() or not assumed.any():
        return float("nan")
    return float(posterior[assumed].mean() / max(posterior[~assumed].mean(), 1e-300))


def credible_set(posterior: Floats, mass: float = 0.9) -> list[int]:
    """Return the fewest universes that have this posterior probability together, the most probable one first."""
    order = np.argsort(-posterior, kind="stable")
    count = int(np.searchsorted(posterior[order].cumsum(), mass * (1 - 1e-9))) + 1
    return [int(index) for index in order[:count]]


def averaged(posterior: Floats, verdicts: Sequence[Verdict | None]) -> Mapping[Verdict, float]:
    """Return the probability of each verdict, averaged over the posterior of the universes that have one."""
    known = np.array([verdict is not None for verdict in verdicts])
    total = posterior[known].sum()
    return {
        verdict: float(posterior[[one is verdict for one in verdicts]].sum() / total) if total else float("nan")
        for verdict in Verdict
    }
