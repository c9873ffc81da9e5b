"""The origin of printed numbers, calibrated with stored trials: a seed of a known universe takes the report's place."""

from collections.abc import Iterator

import numpy as np
import pytest

from labcheck.core.compatibility import PrintedRun, compatibility, credible_set, unit_of_last_digit
from labcheck.core.universes import Grid, Levels
from labcheck.engine import multiverse
from labcheck.engine.multiverse import Multiverse
from labcheck.report.origins import printed_runs, universes_of
from tests.helpers.report import ROOT

STORED = ROOT / "baselines"


def multiverses(lab: str) -> list[Multiverse]:
    """Return all stored multiverses of a lab."""
    read = (multiverse.read(file) for file in sorted((STORED / lab).glob("*/universes-quick-*.json")))
    return [one for one in read if one is not None]


def replaced(runs: list[PrintedRun], truth: int, rng: np.random.Generator) -> Iterator[PrintedRun]:
    """Yield runs whose printed numbers are those of one seed of the true universe, to three digits.

    This seed is left out in all universes: where a setting has no effect on an arm, they have the same numbers for it,
    and a report shares its seed with none of them.
    """
    for run in runs:
        if len(run.samples[truth]) < 2:
            continue
        seed = int(rng.integers(len(run.samples[truth])))
        printed = np.array([float(f"{value:.3g}") for value in run.samples[truth][seed]])
        samples = [np.delete(sample, seed, axis=0) if len(sample) > seed else sample for sample in run.samples]
        units = np.array([unit_of_last_digit(value) if np.isfinite(value) else 0.0 for value in printed])
        yield PrintedRun(run.name, printed, units, run.log, run.higher_is_better, samples)


@pytest.mark.slow
@pytest.mark.parametrize("lab", ["sine", "trig"])
def test_universe_in_the_place_of_the_report_is_found_again(lab: str):
    stored = multiverses(lab)
    assert stored, f"no stored universes of {lab}"
    grid = Grid({setting: tuple(values) for setting, values in stored[0].grid.items()})
    universes: list[Levels] = universes_of(grid, stored)
    runs = list(printed_runs(grid, stored, universes))
    rng = np.random.default_rng(0)
    inside, probabilities = [], []
    for _ in range(20):
        truth = int(rng.integers(len(universes)))
        posterior = compatibility(list(replaced(runs, truth, rng)), len(universes)).posterior
        inside.append(truth in credible_set(posterior, 0.9))
        probabilities.append(posterior[truth])
    assert np.mean(inside) >= 0.76  # two standard errors of 20 draws below 0.9
    assert np.mean(probabilities) > 2 / len(universes)  # the numbers are informative
