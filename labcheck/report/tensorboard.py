"""Curves, learning rates and the network's graph for TensorBoard: a run for each arm and seed."""

import re
import warnings
from pathlib import Path

import numpy as np

from labcheck.labs.lab import Lab
from labcheck.metrics import Trials


def write(folder: Path, lab: Lab, trials: Trials) -> None:
    """One run a seed, `<folder>/seed-<number>`, in the place of what labcheck wrote there before.

    A curve's steps are epochs; nothing is written after a seed's last one.

    Raises:
        OSError: it cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    graph = lab.graph()
    for seed, epochs in enumerate(trials.metrics["epochs"]):
        run = folder / f"seed-{seed:03d}"
        for file in run.glob("events.out.tfevents.*"):
            file.unlink()
        with SummaryWriter(run) as writer:
            if graph:
                with warnings.catch_warnings():  # add_graph uses what torch itself calls deprecated
                    warnings.simplefilter("ignore", FutureWarning)
                    writer.add_graph(*graph)
            for name, curves in trials.curves.items():
                after = trials.after(name)
                for column in np.flatnonzero(after <= epochs):
                    writer.add_scalar(name, curves[seed, column], after[column])


def folder_name(arm: str) -> str:
    """An arm's name with nothing in it that a folder's name cannot have."""
    return re.sub(r"[^\w.=+-]+", "-", arm).strip("-.")
