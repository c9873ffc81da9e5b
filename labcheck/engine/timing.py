"""Timing: the CPU time of arms, measured in turn."""

import time
from collections.abc import Mapping

import numpy as np

from labcheck.core.lab import Lab
from labcheck.core.metrics import CPU_SECONDS
from labcheck.core.trials import Trials
from labcheck.engine import results
from labcheck.engine.store import TrainingError


class TimingError(Exception):
    """A lab that could not be trained; its arguments are the lab's name and a TrainingError."""


def measure_in_turn(labs: Mapping[str, Lab], seeds: range, device: str) -> dict[str, Trials]:
    """Measure the CPU seconds of each lab's brief training, one seed at a time.

    All labs train once before any trains again, so that a machine that is slow for a while is slow for all of them; a
    first round is not counted. Wall time is never used, because other processes make it longer.

    Args:
        labs: The labs by name.
        seeds: The seed of each round.
        device: The device.

    Returns:
        For each lab, `cpu_seconds` and `epochs` with rounds in place of seeds; NaN for a seed that diverged.

    Raises:
        TimingError: A lab could not be trained.
    """
    brief = {name: lab.brief() for name, lab in labs.items()}
    for name, lab in brief.items():
        _train(name, lab, seeds[0], device)
    seconds: dict[str, list[float]] = {name: [] for name in brief}
    epochs: dict[str, list[float]] = {name: [] for name in brief}
    for seed in seeds:
        for name, lab in brief.items():
            start = time.process_time()
            trials = _train(name, lab, seed, device)
            elapsed = time.process_time() - start
            seconds[name].append(np.nan if trials.diverged else elapsed)
            epochs[name].extend(trials.metrics.get("epochs", [np.nan]))
    return {
        name: Trials({CPU_SECONDS.name: np.array(seconds[name]), "epochs": np.array(epochs[name])}, {})
        for name in brief
    }


def _train(name: str, lab: Lab, seed: int, device: str) -> Trials:
    try:
        return results.train(lab, [seed], device)
    except Exception as error:
        raise TimingError(name, TrainingError.of(error, f"seed {seed}")) from error
