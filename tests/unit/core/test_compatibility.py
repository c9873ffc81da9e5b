"""The posterior over universes, given the numbers that a report prints."""

from collections.abc import Sequence

import numpy as np
import pytest

from labcheck.core.compatibility import (
    TRIES,
    PrintedRun,
    averaged,
    bayes_factor,
    compatibility,
    credible_set,
    unit_of_last_digit,
)
from labcheck.core.trials import Floats
from labcheck.core.verdicts import Verdict

RNG = np.random.default_rng


def errors(rng: np.random.Generator, median: float, n: int, spread: float = 0.3) -> Floats:
    """Draw errors of seeds (n, 1)."""
    return median * np.exp(spread * rng.normal(size=(n, 1)))


def run(printed: Sequence[float], samples: Sequence[Floats], **changes: object) -> PrintedRun:
    values = np.array(printed, dtype=np.float64)
    units = np.array([unit_of_last_digit(value) if np.isfinite(value) else 0.0 for value in values])
    default = {"log": [True] * len(values), "higher_is_better": False}
    return PrintedRun("arm", values, units, samples=samples, **{**default, **changes})  # type: ignore[arg-type]


def rounded(values: Floats) -> list[float]:
    return [float(f"{value:.3g}") for value in values]


@pytest.mark.parametrize(
    ("value", "unit"),
    [(0.00273, 1e-5), (97.0, 1.0), (0.97, 0.01), (1e-05, 1e-5), (1.5e-7, 1e-8), (np.float64(416.76), 0.01)],
)
def test_unit_of_last_digit(value: float, unit: float):
    assert unit_of_last_digit(value) == pytest.approx(unit)


def test_universe_that_prints_the_number_is_found():
    rng = RNG(1)
    medians = (0.01, 0.02, 0.1)
    runs = [run([0.0203], [errors(rng, median, 20) for median in medians]) for _ in range(6)]
    posterior = compatibility(runs, 3).posterior
    assert posterior[1] > 0.9
    assert posterior.sum() == pytest.approx(1)
    assert credible_set(posterior) == [1]


def test_equal_universes_share_the_posterior():
    sample = errors(RNG(2), 0.01, 12)
    posterior = compatibility([run([0.011], [sample, sample, 50 * sample])], 3).posterior
    assert posterior[0] == posterior[1]
    assert posterior[2] < posterior[0]


def test_without_printed_numbers_the_prior_remains():
    result = compatibility([], 4)
    assert result.posterior == pytest.approx(np.full(4, 0.25))
    assert result.tries == pytest.approx(np.full(len(TRIES), 1 / len(TRIES)))
    assert list(result.p_values) == [1] * 4


def test_units_of_an_error_do_not_matter():
    rng = RNG(3)
    samples = [errors(rng, median, 15) for median in (0.01, 0.03)]
    one = compatibility([run([0.0215], samples)], 2)
    thousand = compatibility([run([21.5], [1000 * sample for sample in samples])], 2)
    assert thousand.posterior == pytest.approx(one.posterior)


def test_one_odd_number_does_not_exclude_a_universe():
    rng = RNG(4)
    samples = [[errors(rng, median, 20) for median in (0.01, 0.02)] for _ in range(6)]
    runs = [run([0.0101], two) for two in samples[:5]]
    odd = run([50.0], samples[5])
    assert compatibility([*runs, odd], 2).posterior[0] > 0.9


def test_numbers_that_no_universe_prints_have_a_small_p_value():
    rng = RNG(5)
    samples = [[errors(rng, median, 20) for median in (0.01, 0.02)] for _ in range(4)]
    usual = compatibility([run(rounded(errors(rng, 0.01, 1)[0]), two) for two in samples], 2)
    odd = compatibility([run([3.0], two) for two in samples], 2)
    assert usual.p_values[0] > 0.05
    assert odd.p_values.max() < 0.01


def test_numbers_of_one_run_are_one_draw():
    rng = RNG(6)
    draws = errors(rng, 0.01, 20)
    together, apart = np.hstack([draws, 2 * draws]), np.hstack([draws, 2 * errors(rng, 0.01, 20)])
    low, high = float(np.quantile(draws, 0.1)), float(np.quantile(draws, 0.9))
    posterior = compatibility([run(rounded(np.array([low, 2 * high])), [together, apart])], 2).posterior
    assert posterior[1] > 0.8  # a low number beside a high one is no draw of the first universe


def test_number_that_is_not_finite_belongs_to_diverging_universe():
    rng = RNG(7)
    finite = errors(rng, 0.01, 20)
    posterior = compatibility([run([np.nan], [finite, np.full_like(finite, np.nan)])], 2).posterior
    assert posterior[1] > 0.9
    assert compatibility([run([0.01], [finite, np.full_like(finite, np.nan)])], 2).posterior[0] > 0.9


def test_best_of_several_tries_is_recognized():
    rng = RNG(8)
    samples = [[rng.normal(0.9, 0.02, size=(60, 1))] for _ in range(20)]
    best = [float(np.round(sample[0].max(), 3)) for sample in samples]
    runs = [run([value], one, log=[False], higher_is_better=True) for value, one in zip(best, samples, strict=True)]
    assert compatibility(runs, 1).tries[TRIES.index(10)] > 0.9
    runs = [run([0.893], one, log=[False], higher_is_better=True) for one in samples]
    assert compatibility(runs, 1).tries[TRIES.index(1)] > 0.9


def test_equal_seeds_and_untrained_universes_are_allowed():
    same = np.full((8, 1), 0.512)
    result = compatibility([run([0.512], [same, same + 0.1, np.empty((0, 1))])], 3)
    assert result.posterior[0] > 0.7  # one number of eight seeds is limited evidence
    assert np.isfinite(result.posterior).all()


def test_wrong_samples_are_refused():
    with pytest.raises(ValueError, match="arm: must have a sample for each of 2 universes, got 1"):
        compatibility([run([0.5], [np.ones((3, 1))])], 2)
    with pytest.raises(ValueError, match=r"arm: samples must have shape \(n, 1\), got \(3, 2\)"):
        compatibility([run([0.5], [np.ones((3, 2))])], 1)


def test_bayes_factor_compares_assumed_value_with_alternatives():
    assert bayes_factor(np.array([0.6, 0.2, 0.2]), [0, 1, 2]) == pytest.approx(3)
    assert bayes_factor(np.array([0.25, 0.25, 0.5]), [0, 0, 1]) == pytest.approx(0.5)
    assert np.isnan(bayes_factor(np.array([0.5, 0.5]), [0, 0]))


def test_verdicts_are_averaged_over_universes_that_have_one():
    result = averaged(np.array([0.6, 0.2, 0.2]), [Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, None])
    assert result[Verdict.REPRODUCED] == pytest.approx(0.75)
    assert result[Verdict.INCONCLUSIVE] == 0


def simulate(rng: np.random.Generator, tries: int) -> tuple[int, Floats, float]:
    """Return the true universe, its posterior and its p-value, of a report with 4 numbers from one of 6 universes."""
    medians = np.exp(rng.normal(size=(6, 4)) * 0.5)
    truth = int(rng.integers(6))
    runs = []
    for number in range(4):
        samples = [errors(rng, medians[universe, number], 16) for universe in range(6)]
        printed = errors(rng, medians[truth, number], tries).min()
        runs.append(run(rounded(np.array([printed])), samples))
    result = compatibility(runs, 6)
    return truth, result.posterior, float(result.p_values[truth])


@pytest.mark.slow
@pytest.mark.parametrize("tries", [1, 3])
def test_credible_sets_contain_the_truth_often_enough(tries: int):
    rng = RNG(9)
    results = [simulate(rng, tries) for _ in range(200)]
    for mass, least in ((0.5, 0.43), (0.9, 0.85)):  # two standard errors below the promise
        assert np.mean([truth in credible_set(posterior, mass) for truth, posterior, _ in results]) >= least
    probabilities = np.array([posterior[truth] for truth, posterior, _ in results])
    assert probabilities.mean() > 0.4  # instead of 1/6 without the printed numbers
    # the posterior is calibrated: its own expectation of the probability of the truth is what occurs
    expected = np.array([np.square(posterior).sum() for _, posterior, _ in results])
    assert abs((probabilities - expected).mean()) < 0.06
    # two standard errors above 5 %; the best of 16 seeds are too few for an exact p-value of the best of 3 tries
    assert np.mean([p <= 0.05 for *_, p in results]) <= {1: 0.08, 3: 0.12}[tries]
