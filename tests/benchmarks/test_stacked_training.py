"""Benchmarks of the stacked training loop against the loops that students write, in trials per second.

The cases are minibatches with BatchNorm (trig), minibatches with Adam (sine), and full batches (curve).
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Sampler, TensorDataset

from labcheck.data.examples import generators
from labcheck.labs.curve import Curve
from labcheck.labs.sine import Sine
from labcheck.labs.supervised import StackedLab
from labcheck.labs.trig import Trig
from labcheck.nn.as_torch import as_torch
from labcheck.nn.model import views
from labcheck.nn.scratch.activations import ReLU, Sigmoid, Tanh
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from labcheck.nn.scratch.losses import Loss
from labcheck.nn.scratch.network import Network
from labcheck.nn.training import Recipe, train
from tests.benchmarks.pairs import times_faster


@dataclass(frozen=True)
class Case:
    """A lab to measure, with fewer epochs.

    Attributes:
        lab: The lab.
        epochs: The name of its setting for the number of epochs, and the number to measure.
        usual: The loop with which the others are compared.
        stacks: The numbers of seeds that train side by side.
    """

    lab: StackedLab
    epochs: tuple[str, int]
    usual: str
    stacks: tuple[int, ...]

    def recipe(self, lab: StackedLab) -> Recipe:
        """Return the recipe of the lab, with a single split to evaluate."""
        return replace(lab.recipe(), monitor=lab.recipe().monitor[:1])


CASES = {
    "trig": Case(Trig(stop_lr=0.0), ("max_epochs", 20), "dataloader", (1, 8, 32, 128)),
    "sine": Case(Sine(), ("epochs", 10), "dataloader", (1, 20)),
    "curve": Case(Curve(), ("epochs", 1000), "in_memory", (1, 20)),
}


class InOrder(Sampler[int]):
    """The order of the samples of seed 0 in a lab."""

    def __init__(self, n: int, lab: StackedLab):
        self.n, [self.order] = n, lab.orders([0])

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(self.n).tolist())


class InMemory:
    """Minibatches that are rows of tensors in memory, or these tensors where a batch has all samples."""

    def __init__(self, x: Tensor, y: Tensor, lab: StackedLab, batch: int):
        self.x, self.y, self.batch, [self.order] = x, y, batch, lab.orders([0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.batch >= len(self.x):
            yield self.x, self.y
            return
        for rows in self.order(len(self.x)).split(self.batch):
            yield self.x[rows], self.y[rows]


def batches(name: str, x: Tensor, y: Tensor, lab: StackedLab, batch: int) -> Iterable[Any]:
    """Return the minibatches of an epoch, from a DataLoader or from memory."""
    if name == "dataloader":
        return DataLoader(TensorDataset(x, y), batch_size=batch, sampler=InOrder(len(x), lab))
    return InMemory(x, y, lab, batch)


def usual_net(lab: StackedLab, dtype: torch.dtype) -> nn.Sequential:
    """Return the net of seed 0, with the usual biases before BatchNorm, which cancels them."""
    model = as_torch(lab.network([0], dtype), 0)
    for module in model:
        if isinstance(module, nn.Linear) and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_features, dtype=dtype))
    return model


def usual_losses(name: str, case: Case, lab: Any, dtype: torch.dtype) -> list[float]:
    """Train seed 0 in the usual way, and return its monitored losses after the epochs that labcheck records."""
    recipe = case.recipe(lab)
    splits = lab.splits([0], dtype)
    (x, y), (x_monitored, y_monitored) = (
        (splits[split].x[0], splits[split].y[0]) for split in ("train", recipe.monitor[0])
    )
    model, criterion = usual_net(lab, dtype), nn.MSELoss()
    if isinstance(lab, Sine):
        optimizer: torch.optim.Optimizer = torch.optim.Adam(
            model.parameters(), lr=lab.lr, weight_decay=lab.weight_decay, amsgrad=lab.amsgrad
        )
    elif lab.optimizer == "adam":
        optimizer = torch.optim.Adam(model.parameters(), lr=lab.lr)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=lab.lr, momentum=lab.momentum)
    plateau = isinstance(lab, Trig) and torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=lab.least_lr)
    loader = batches(name, x, y, lab, recipe.batch)
    losses = []
    for epoch in range(1, recipe.epochs + 1):
        for samples, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(samples), labels)
            loss.backward()
            optimizer.step()
        if recipe.record_at and epoch not in recipe.record_at:
            continue
        with torch.no_grad():
            monitored = criterion(model(x_monitored), y_monitored)
        if plateau:
            plateau.step(monitored)
        losses.append(monitored.item())
    return losses


class AutogradNetwork(Network):
    """A stacked network whose gradients are computed by autograd."""

    def gradient(self, x: Tensor, y: Tensor, loss: Loss) -> dict[str, Tensor]:
        leaf, h, start = self.values.detach().requires_grad_(), x.mT, 0
        for layer in self.layers:
            values, start = views(leaf, layer.shapes, start)
            h = forward(layer, values, h)
        scores = loss.scores(h.detach(), y.mT)
        self.gradients.copy_(torch.autograd.grad(h, leaf, loss.backward())[0])
        return scores


def forward(layer: Layer, values: list[Tensor], h: Tensor) -> Tensor:
    """Return the output of a layer, computed with operations that autograd can differentiate."""
    match layer:
        case Linear():
            weight, *bias = values
            return torch.baddbmm(bias[0], weight, h) if bias else torch.bmm(weight, h)
        case BatchNorm():
            flat = h.reshape(1, -1, h.shape[2])
            scale, shift = (value.reshape(-1) for value in values)
            return functional.batch_norm(flat, None, None, scale, shift, training=True).view_as(h)
        case _:
            functions: dict[type[Layer], Callable[[Tensor], Tensor]] = {
                ReLU: torch.relu,
                Sigmoid: torch.sigmoid,
                Tanh: torch.tanh,
            }
            return functions[type(layer)](h)


def labcheck_losses(
    models: int, case: Case, lab: StackedLab, dtype: torch.dtype, network: type[Network] = Network
) -> list[float]:
    """Train a stack with labcheck's loop, and return the monitored losses of seed 0."""
    seeds, recipe = range(models), case.recipe(lab)
    splits = {name: split for name, split in lab.splits(seeds, dtype).items() if name in ("train", *recipe.monitor)}
    model = network(lab.layers(), generators(seeds, "init"), dtype)
    history = train(model, splits, lab.orders(seeds), recipe)
    return history.curves[f"{recipe.monitor[0]}_loss"][0].tolist()


def shorten(case: Case, epochs: int) -> StackedLab:
    """Return the lab with this number of epochs, or with the number to measure if it is 0."""
    setting, measured = case.epochs
    changes: dict[str, Any] = {setting: epochs or measured}
    return replace(case.lab, **changes)


def run(name: str, case: Case, epochs: int = 0, dtype: torch.dtype = torch.float32) -> list[float]:
    """Train with a contestant, the number of seeds of a stack or the name of a usual loop, and return the losses."""
    lab = shorten(case, epochs)
    if name.isdecimal():
        return labcheck_losses(int(name), case, lab, dtype)
    return usual_losses(name, case, lab, dtype)


CONTESTANTS = [
    pytest.param(group, name, id=f"{group}-{'labcheck_' * name.isdecimal()}{name}")
    for group, case in CASES.items()
    for name in dict.fromkeys((case.usual, "in_memory", *map(str, case.stacks)))
]


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize(("group", "name"), CONTESTANTS)
def test_trials_per_second(benchmark: Any, group: str, name: str) -> None:
    case = CASES[group]
    benchmark.group = f"{group}, {case.epochs[1]} epochs"
    assert run(name, case, 3, torch.float64) == pytest.approx(run(case.usual, case, 3, torch.float64), rel=1e-9)
    models = int(name) if name.isdecimal() else 1
    comparison = times_faster(benchmark, lambda: run(name, case), lambda: run(case.usual, case), models=models)
    benchmark.extra_info["trials_per_second"] = models / benchmark.stats.stats.median
    print(
        f"\n{group} {name}: {comparison} as {case.usual}, {models / benchmark.stats.stats.median:.1f} trials per second"
    )


@pytest.mark.benchmark(group="backward pass of a stack from scratch, against autograd", timer=time.process_time)
@pytest.mark.parametrize("models", [1, 20])
@pytest.mark.parametrize("group", CASES)
def test_backward_from_scratch(benchmark: Any, group: str, models: int) -> None:
    case = CASES[group]

    def losses(network: type[Network], epochs: int = 0, dtype: torch.dtype = torch.float32) -> list[float]:
        return labcheck_losses(models, case, shorten(case, epochs), dtype, network)

    assert losses(Network, 3, torch.float64) == pytest.approx(losses(AutogradNetwork, 3, torch.float64), rel=1e-9)
    comparison = times_faster(benchmark, lambda: losses(Network), lambda: losses(AutogradNetwork))
    print(f"\n{group}, a stack of {models}: {comparison} as with autograd")
