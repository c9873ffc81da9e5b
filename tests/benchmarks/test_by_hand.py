"""By hand against torch.nn: every layer, and an epoch of the fashion report's net."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from labcheck import training
from labcheck.data.examples import generators, permutations
from labcheck.data.images import Selection
from labcheck.labs.fashion import Fashion
from labcheck.models.as_torch import as_torch

from .pairs import times_faster

LAB = Fashion(epochs=1)
IMAGES = 60_000

Epoch = Callable[[], float]
"""Trains the net of seed 0 for an epoch and gives the mean loss of its minibatches."""


def images(n: int) -> tuple[Tensor, Tensor]:
    """Random ones (n, 28, 28, 1), uint8, and classes (n,): what they show costs no time."""
    rng = torch.Generator().manual_seed(0)
    shape = (n, 28, 28, 1)
    return torch.randint(256, shape, generator=rng, dtype=torch.uint8), torch.randint(10, (n,), generator=rng)


def in_memory(n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same as people keep them: pixels from 0 to 1 (n, 784), and classes (n,)."""
    pixels, labels = images(n)
    return pixels.flatten(1).to(dtype).div_(255), labels


def order(n: int) -> Tensor:
    """Seed 0's of the first epoch (n,), as labcheck's loop draws it."""
    return permutations(n, generators([0], "order"))[0]


def by_hand(n: int, dtype: torch.dtype) -> Epoch:
    """labcheck's loop and layers."""
    part = Selection(*images(n), torch.arange(n).unsqueeze(0), dtype, flat=True)
    recipe = replace(LAB.recipe(), watch=())

    def epoch() -> float:
        model = LAB.model([0], dtype)
        return training.train(model, {"train": part}, generators([0], "order"), recipe).curves["batch_loss"].item()

    return epoch


def torch_nn(dtype: torch.dtype, batches: Callable[[], Iterable[tuple[Tensor, Tensor]]]) -> float:
    """An epoch as every tutorial has it."""
    model = as_torch(LAB.network([0], dtype), 0)
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=LAB.lr)
    total = seen = 0.0
    for x, y in batches():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total, seen = total + loss.item() * len(y), seen + len(y)
    return total / seen


def torch_nn_in_memory(n: int, dtype: torch.dtype) -> Epoch:
    x, y = in_memory(n, dtype)
    return lambda: torch_nn(dtype, lambda: ((x[rows], y[rows]) for rows in order(n).split(LAB.batch)))


def torch_nn_dataloader(n: int, dtype: torch.dtype) -> Epoch:
    data = TensorDataset(*in_memory(n, dtype))
    return lambda: torch_nn(dtype, lambda: DataLoader(data, LAB.batch, sampler=order(n).tolist()))


def autograd_raw(n: int, dtype: torch.dtype) -> Epoch:
    """Tensors and autograd, without modules."""
    x, y = in_memory(n, dtype)

    def epoch() -> float:
        parameters = list(as_torch(LAB.network([0], dtype), 0).parameters())
        w1, b1, w2, b2 = parameters
        total = 0.0
        for rows in order(n).split(LAB.batch):
            hidden = torch.addmm(b1, x[rows], w1.T).relu()
            loss = functional.cross_entropy(torch.addmm(b2, hidden, w2.T), y[rows])
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(gradient, alpha=LAB.lr)
            total += loss.item() * len(rows)
        return total / n

    return epoch


def products(n: int, dtype: torch.dtype) -> Epoch:
    """The floor: taking the images of each batch, and the matrix products that nobody gets around."""
    x, hidden = in_memory(n, dtype)[0], LAB.hidden
    w1, w2 = torch.zeros(hidden, 784, dtype=dtype), torch.zeros(10, hidden, dtype=dtype)
    h, p = torch.zeros(hidden, LAB.batch, dtype=dtype), torch.zeros(10, LAB.batch, dtype=dtype)

    def epoch() -> float:
        for rows in order(n).split(LAB.batch):
            batch, size = x.index_select(0, rows), len(rows)
            torch.mm(w1, batch.T, out=h[:, :size])
            torch.mm(w2, h[:, :size], out=p[:, :size])
            torch.mm(p[:, :size], h[:, :size].T, out=w2)
            torch.mm(w2.T, p[:, :size], out=h[:, :size])
            torch.mm(h[:, :size], batch, out=w1)
        return 0.0

    return epoch


EPOCHS = {f.__name__: f for f in (by_hand, torch_nn_in_memory, torch_nn_dataloader, autograd_raw, products)}


@pytest.mark.benchmark(group="epoch", timer=time.process_time)
@pytest.mark.parametrize("name", EPOCHS)
def test_epoch(benchmark: Any, name: str) -> None:
    if name != "products":
        assert EPOCHS[name](2000, torch.float64)() == pytest.approx(by_hand(2000, torch.float64)(), rel=1e-12)
    told = times_faster(benchmark, EPOCHS[name](IMAGES, torch.float32), torch_nn_in_memory(IMAGES, torch.float32))
    print(f"\nepoch, {name}: {told} as torch_nn_in_memory")
