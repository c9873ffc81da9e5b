"""Benchmarks of compiled training, one seed at a time, against the stacked loop and the loop that students write.

The contestants train for the same number of epochs, without an evaluation. The time is that of a processor.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from labcheck.data.examples import ordered
from labcheck.labs.boston import Boston
from labcheck.labs.curve import Curve
from labcheck.labs.sine import Sine
from labcheck.labs.supervised import StackedLab
from labcheck.labs.trig import Trig
from labcheck.nn.torch_training import TorchTraining
from tests.benchmarks.pairs import times_faster
from tests.benchmarks.test_stacked_training import batches, usual_net

pytest.importorskip("numba")

from labcheck.nn.compiled.training import CompiledTraining

STACK = 20


@dataclass(frozen=True)
class Case:
    """A lab to measure.

    Attributes:
        lab: The lab.
        epochs: The number of epochs to measure, those of all seeds together.
    """

    lab: Any
    epochs: int


CASES = {
    "trig": Case(Trig(), 20),
    "trig_tanh": Case(Trig(activation="tanh"), 20),
    "sine_deep": Case(Sine(net="deep"), 20),
    "sine_shallow": Case(Sine(), 20),
    "curve": Case(Curve(), 400),
    "boston_1": Case(Boston(), 100),
    "boston_8": Case(Boston(hidden_layers=8), 20),
}
Epochs = Callable[[int], list[float]]
"""A function that trains for a number of epochs, and returns the mean loss of seed 0 in each of them."""


def compiled(lab: Any, dtype: torch.dtype = torch.float32) -> Epochs:
    """Return compiled training of one seed."""
    recipe, split = lab.recipe(), lab.splits([0], dtype)["train"]
    training = CompiledTraining(lab.network([0], dtype), recipe.loss(), recipe.optimizer())
    orders, lrs = lab.orders([0]), torch.full((1,), recipe.lr, dtype=torch.float64)

    def train(epochs: int) -> list[float]:
        losses = []
        for _ in range(epochs):
            order = None if recipe.batch >= len(split) else ordered(len(split), orders)
            losses.append(training.train_epoch(split, order, recipe.batch, lrs)["loss"].item())
        return losses

    return train


def stacked(lab: StackedLab, dtype: torch.dtype = torch.float32) -> Epochs:
    """Return the loop from scratch with 20 seeds."""
    seeds, recipe = range(STACK), lab.recipe()
    split, orders = lab.splits(seeds, dtype)["train"], lab.orders(seeds)
    training = TorchTraining(lab.network(seeds, dtype), recipe.loss(), recipe.optimizer())
    lrs = torch.full((STACK,), recipe.lr, dtype=torch.float64)

    def train(epochs: int) -> list[float]:
        losses = []
        for _ in range(epochs):
            order = None if recipe.batch >= len(split) else ordered(len(split), orders)
            losses.append(training.train_epoch(split, order, recipe.batch, lrs)["loss"][0].item())
        return losses

    return train


def dataloader(lab: Any, dtype: torch.dtype = torch.float32) -> Epochs:
    """Return the loop of tutorials, with torch.nn and a DataLoader."""
    recipe, split = lab.recipe(), lab.splits([0], dtype)["train"]
    model, criterion = usual_net(lab, dtype), nn.MSELoss()
    loader = batches("dataloader", split.x[0], split.y[0], lab, recipe.batch)
    if lab.optimizer == "adam":
        decay, amsgrad = (lab.weight_decay, lab.amsgrad) if isinstance(lab, Sine) else (0.0, False)
        optimizer: torch.optim.Optimizer = torch.optim.Adam(
            model.parameters(), lr=lab.lr, weight_decay=decay, amsgrad=amsgrad
        )
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=lab.lr, momentum=lab.momentum)

    def train(epochs: int) -> list[float]:
        losses = []
        for _ in range(epochs):
            total = 0.0
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(x)
            losses.append(total / len(split))
        return losses

    return train


REFERENCES: dict[str, tuple[Callable[..., Epochs], int]] = {"stacked": (stacked, STACK), "dataloader": (dataloader, 1)}
"""The loops to compare with, and the number of seeds that they train."""


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("group", CASES)
def test_epochs_per_second(benchmark: Any, group: str, reference: str) -> None:
    case, (make, models) = CASES[group], REFERENCES[reference]
    losses = compiled(case.lab, torch.float64)(2)
    assert losses == pytest.approx(make(case.lab, torch.float64)(2), rel=1e-7)
    benchmark.group = f"{group}, {case.epochs} epochs"
    measured, other = compiled(case.lab), make(case.lab)
    measured(1)  # loads the kernels
    # the reference trains all of its seeds for fewer epochs, as many epochs of a seed in total
    fewer = max(1, case.epochs // models)
    comparison = times_faster(benchmark, lambda: measured(fewer * models), lambda: other(fewer))
    milliseconds = 1000 * statistics.median(benchmark.stats.stats.data) / (fewer * models)
    benchmark.extra_info["milliseconds_per_epoch"] = milliseconds
    print(f"\n{group}: {comparison} as {reference}, {milliseconds:.3f} ms per epoch")
