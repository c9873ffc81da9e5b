"""Files for TensorBoard: curves, learning rates and the graph of the network, one run for each arm and seed."""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from labcheck.core.lab import Lab
from labcheck.core.trials import Trials


def write(folder: Path, lab: Lab, trials: Trials, first: int = 0) -> None:
    """Write one run for each seed from `first` on, `<folder>/seed-<number>`, in place of earlier ones.

    The steps of a curve are epochs, up to the last one of each seed.

    Raises:
        OSError: A file cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    for file in folder.glob("seed-*/events.out.tfevents.*"):
        file.unlink()
    graph = lab.graph()
    for seed, epochs in enumerate(trials.metrics.get("epochs", np.zeros(len(trials))), first):
        with _errors_raised_once(), SummaryWriter(folder / f"seed-{seed:03d}") as writer:
            if graph:
                with warnings.catch_warnings():  # add_graph uses what torch itself calls deprecated
                    warnings.filterwarnings("ignore", "`torch.jit")
                    writer.add_graph(*graph)
            for name, curves in trials.curves.items():
                after = trials.after(name)
                for column in np.flatnonzero(after <= epochs):
                    writer.add_scalar(name, curves[seed - first, column], after[column])


@contextmanager
def _errors_raised_once() -> Iterator[None]:
    """Prevent the writer's thread from printing an error that is also raised where the writer is used."""
    before, threading.excepthook = threading.excepthook, lambda args: None
    try:
        yield
    finally:
        threading.excepthook = before


def folder_name(arm: str) -> str:
    """Return an arm's name with the characters that folder names cannot have percent-encoded, so that it is unique."""
    return re.sub(r'[\\/<>:"|?*%\x00-\x1f]|^\.', lambda match: f"%{ord(match[0]):02X}", arm) or "%"
