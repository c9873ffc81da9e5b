"""Curves, learning rates and the network's graph for TensorBoard: a run for each arm and seed."""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from labcheck.core.lab import Lab
from labcheck.core.metrics import Trials


def write(folder: Path, lab: Lab, trials: Trials) -> None:
    """One run a seed, `<folder>/seed-<number>`, in the place of what labcheck wrote there before.

    A curve's steps are epochs; nothing is written after a seed's last one.

    Raises:
        OSError: it cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    for file in folder.glob("seed-*/events.out.tfevents.*"):
        file.unlink()
    graph = lab.graph()
    for seed, epochs in enumerate(trials.metrics.get("epochs", np.zeros(len(trials)))):
        with _errors_told_once(), SummaryWriter(folder / f"seed-{seed:03d}") as writer:
            if graph:
                with warnings.catch_warnings():  # add_graph uses what torch itself calls deprecated
                    warnings.filterwarnings("ignore", "`torch.jit")
                    writer.add_graph(*graph)
            for name, curves in trials.curves.items():
                after = trials.after(name)
                for column in np.flatnonzero(after <= epochs):
                    writer.add_scalar(name, curves[seed, column], after[column])


@contextmanager
def _errors_told_once() -> Iterator[None]:
    """An error of the writer's thread is raised where the writer is used, too; the thread shall not print it."""
    before, threading.excepthook = threading.excepthook, lambda args: None
    try:
        yield
    finally:
        threading.excepthook = before


def folder_name(arm: str) -> str:
    """An arm's name, with what the name of a folder cannot have written as in a URL: no two arms share one."""
    return re.sub(r'[\\/<>:"|?*%\x00-\x1f]|^\.', lambda found: f"%{ord(found[0]):02X}", arm) or "%"
