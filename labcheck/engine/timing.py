"""How much CPU time arms take, beside each other."""

import time
from collections.abc import Mapping

import numpy as np

from labcheck.core.lab import Lab
from labcheck.core.metrics import CPU_SECONDS, Trials
from labcheck.engine import results
from labcheck.engine.store import TrainingError


def in_turn(labs: Mapping[str, Lab], repetitions: int, device: str) -> dict[str, Trials]:
    """The CPU seconds of each lab's brief training, one seed at a time.

    All labs train once before any trains again, so that a machine that is slow for a while is slow for all of them; the
    first time is not counted. Never wall time, which others' work makes longer.

    Returns:
        `cpu_seconds` and `epochs`, with repetitions in the place of seeds; NaN for a seed that diverged.

    Raises:
        TimingError: a lab could not be trained.
    """
    brief = {name: lab.brief() for name, lab in labs.items()}
    for name, lab in brief.items():
        _trained(name, lab, 0, device)
    seconds: dict[str, list[float]] = {name: [] for name in brief}
    epochs: dict[str, list[float]] = {name: [] for name in brief}
    for seed in range(repetitions):
        for name, lab in brief.items():
            start = time.process_time()
            trials = _trained(name, lab, seed, device)
            taken = time.process_time() - start
            seconds[name].append(np.nan if trials.diverged else taken)
            epochs[name].extend(trials.metrics.get("epochs", [np.nan]))
    return {
        name: Trials({CPU_SECONDS.name: np.array(seconds[name]), "epochs": np.array(epochs[name])}, {})
        for name in brief
    }


class TimingError(Exception):
    """A lab that could not be trained: its name, and a TrainingError."""


def _trained(name: str, lab: Lab, seed: int, device: str) -> Trials:
    try:
        return results.train(lab, [seed], device)
    except Exception as error:
        raise TimingError(name, TrainingError.of(error, f"seed {seed}")) from error
