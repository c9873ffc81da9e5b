"""Trials per second: labcheck's stacked loop against the loops that students write.

Minibatches with BatchNorm (trig), minibatches with Adam (sine), and all samples in every step (curve).
"""

import time
from collections.abc import Iterable, Iterator
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

from .pairs import times_faster


@dataclass(frozen=True)
class Case:
    """A lab, cut short.

    Attributes:
        epochs: the name of its setting for them, and how many are timed.
        usual: the loop that the others are compared with.
        stacks: how many seeds at once.
    """

    lab: StackedLab
    epochs: tuple[str, int]
    usual: str
    stacks: tuple[int, ...]

    def recipe(self, lab: StackedLab) -> Recipe:
        """The lab's, with one part to evaluate."""
        return replace(lab.recipe(), monitor=lab.recipe().watch[:1])


CASES = {
    "trig": Case(Trig(stop_lr=0.0), ("max_epochs", 20), "dataloader", (1, 8, 32, 128)),
    "sine": Case(Sine(), ("epochs", 10), "dataloader", (1, 20)),
    "curve": Case(Curve(), ("epochs", 1000), "in_memory", (1, 20)),
}


class InOrder(Sampler[int]):
    """The order in which a lab visits the samples of seed 0."""

    def __init__(self, n: int, lab: StackedLab):
        self.n, [self.order] = n, lab.orders([0])

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(self.n).tolist())


class InMemory:
    """Minibatches as rows of the tensors that are there anyway; all of them at once where that is the batch."""

    def __init__(self, x: Tensor, y: Tensor, lab: StackedLab, batch: int):
        self.x, self.y, self.batch, [self.order] = x, y, batch, lab.orders([0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.batch >= len(self.x):
            yield self.x, self.y
            return
        for rows in self.order(len(self.x)).split(self.batch):
            yield self.x[rows], self.y[rows]


def batches(name: str, x: Tensor, y: Tensor, lab: StackedLab, batch: int) -> Iterable[Any]:
    if name == "dataloader":
        return DataLoader(TensorDataset(x, y), batch_size=batch, sampler=InOrder(len(x), lab))
    return InMemory(x, y, lab, batch)


def usual_net(lab: StackedLab, dtype: torch.dtype) -> nn.Sequential:
    """Seed 0's, with the biases that people write before BatchNorm, which cancels them."""
    model = as_torch(lab.network([0], dtype), 0)
    for module in model:
        if isinstance(module, nn.Linear) and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_features, dtype=dtype))
    return model


def plainly(name: str, case: Case, lab: StackedLab, dtype: torch.dtype) -> list[float]:
    """Train seed 0 the usual way; its losses, after as many epochs as labcheck takes them."""
    recipe = case.recipe(lab)
    parts = lab.splits([0], dtype)
    (x, y), (x_seen, y_seen) = ((parts[part].x[0], parts[part].y[0]) for part in ("train", recipe.monitor[0]))
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
            seen = criterion(model(x_seen), y_seen)
        if plateau:
            plateau.step(seen)
        losses.append(seen.item())
    return losses


class ByAutograd(Network):
    """The same stack, its gradients not derived by hand."""

    def gradient(self, x: Tensor, y: Tensor, loss: Loss) -> dict[str, Tensor]:
        leaf, h, start = self.values.detach().requires_grad_(), x.mT, 0
        for layer in self.layers:
            values, start = views(leaf, layer.shapes, start)
            h = forward(layer, values, h)
        scores = loss.scores(h.detach(), y.mT)
        self.gradients.copy_(torch.autograd.grad(h, leaf, loss.backward())[0])
        return scores


def forward(layer: Layer, values: list[Tensor], h: Tensor) -> Tensor:
    match layer:
        case Linear():
            weight, *bias = values
            return torch.baddbmm(bias[0], weight, h) if bias else torch.bmm(weight, h)
        case BatchNorm():
            flat = h.reshape(1, -1, h.shape[2])
            weight, bias = (value.reshape(-1) for value in values)
            return functional.batch_norm(flat, None, None, weight, bias, training=True).view_as(h)
        case _:
            return {ReLU: torch.relu, Sigmoid: torch.sigmoid, Tanh: torch.tanh}[type(layer)](h)


def stacked(
    models: int, case: Case, lab: StackedLab, dtype: torch.dtype, network: type[Network] = Network
) -> list[float]:
    """labcheck's loop; the losses of seed 0."""
    seeds, recipe = range(models), case.recipe(lab)
    parts = {name: part for name, part in lab.splits(seeds, dtype).items() if name in ("train", *recipe.monitor)}
    model = network(lab.layers(), generators(seeds, "init"), dtype)
    history = train(model, parts, lab.orders(seeds), recipe)
    return history.curves[f"{recipe.monitor[0]}_loss"][0].tolist()


def cut(case: Case, epochs: int) -> StackedLab:
    """The lab with so many epochs, or with those that are timed if that is 0."""
    setting, timed = case.epochs
    return replace(case.lab, **{setting: epochs or timed})


def run(name: str, case: Case, epochs: int = 0, dtype: torch.dtype = torch.float32) -> list[float]:
    lab = cut(case, epochs)
    if name.isdecimal():
        return stacked(int(name), case, lab, dtype)
    return plainly(name, case, lab, dtype)


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
    told = times_faster(benchmark, lambda: run(name, case), lambda: run(case.usual, case), models=models)
    benchmark.extra_info["trials_per_second"] = models / benchmark.stats.stats.median
    print(f"\n{group} {name}: {told} as {case.usual}, {models / benchmark.stats.stats.median:.1f} trials per second")


@pytest.mark.benchmark(group="a stack's backward pass derived by hand, against autograd", timer=time.process_time)
@pytest.mark.parametrize("models", [1, 20])
@pytest.mark.parametrize("group", CASES)
def test_derived_backward(benchmark: Any, group: str, models: int) -> None:
    case = CASES[group]

    def losses(network: type[Network], epochs: int = 0, dtype: torch.dtype = torch.float32) -> list[float]:
        return stacked(models, case, cut(case, epochs), dtype, network)

    assert losses(Network, 3, torch.float64) == pytest.approx(losses(ByAutograd, 3, torch.float64), rel=1e-9)
    told = times_faster(benchmark, lambda: losses(Network), lambda: losses(ByAutograd))
    print(f"\n{group}, a stack of {models}: {told} as with autograd")
