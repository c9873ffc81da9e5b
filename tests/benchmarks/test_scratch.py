"""Benchmarks of the network from scratch against torch.nn: each layer, and an epoch of the fashion report's net."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from labcheck.data.examples import generators, permutations, shuffled
from labcheck.data.images import Selection
from labcheck.labs.fashion import Fashion
from labcheck.nn import training
from labcheck.nn.as_torch import as_torch
from labcheck.nn.scratch.activations import ACTIVATIONS
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from labcheck.nn.scratch.network import Network
from labcheck.nn.scratch.products import product
from tests.benchmarks.pairs import times_faster

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def synchronize(device: str) -> None:
    """Wait for all work on the device."""
    if device != "cpu":
        torch.cuda.synchronize()


# a layer, forward and backward

SIZE = 256
"""The numbers of input features, output features and examples."""
REPETITIONS = 100
LAYERS: dict[str, Callable[[], Layer]] = {
    "linear": lambda: Linear(SIZE, SIZE),
    "batch_norm": lambda: BatchNorm(SIZE, running=True),
    **{name: layer for name, layer in ACTIVATIONS.items() if name != "none"},
}


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LAYERS)
def test_layer(benchmark: Any, name: str, device: str) -> None:
    network = Network([LAYERS[name]()], generators([0], "init"), device=device)
    [layer], module = network.layers, as_torch(network, 0)
    rng = torch.Generator().manual_seed(0)
    x, g = (torch.randn(SIZE, SIZE, generator=rng).to(device) for _ in range(2))
    h, slopes = (
        tensor.T.contiguous().unsqueeze(0) for tensor in (x, g)
    )  # the layout that each of the two has in a network
    parameters = list(module.parameters())

    def scratch() -> Tensor:
        layer.forward(h.clone(), True)  # a layer may overwrite its input
        return layer.backward(slopes.clone())

    def torch_nn() -> tuple[Tensor, ...]:
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(module(leaf), [leaf, *parameters], g)

    for actual, expected in zip([scratch().mT, *layer.gradients], torch_nn(), strict=True):
        torch.testing.assert_close(actual.squeeze(), expected, rtol=1e-3, atol=1e-4)

    def repeat(once: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(REPETITIONS):
                once()
            synchronize(device)

        return run

    benchmark.group = f"a layer of {SIZE} features, {SIZE} examples, {device}"
    comparison = times_faster(benchmark, repeat(scratch), repeat(torch_nn), device=device)
    print(f"\n{name} from scratch, {device}: {comparison} as torch.nn")


# an epoch: 784-256-10, 60,000 images in batches of 256

LAB = Fashion(epochs=1)
IMAGES = 60_000

Epoch = Callable[[], float]
"""A function that trains the net of seed 0 for an epoch and returns the mean loss of its minibatches."""


def images(n: int) -> tuple[Tensor, Tensor]:
    """Return random images (n, 28, 28, 1), uint8, and classes (n,); their content does not affect the time."""
    rng = torch.Generator().manual_seed(0)
    shape = (n, 28, 28, 1)
    return torch.randint(256, shape, generator=rng, dtype=torch.uint8), torch.randint(10, (n,), generator=rng)


def in_memory(n: int, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor]:
    """Return the images in the usual form: pixels from 0 to 1, (n, 784), and classes, (n,)."""
    pixels, labels = images(n)
    return pixels.flatten(1).to(dtype).div_(255).to(device), labels.to(device)


def order(n: int) -> Tensor:
    """Return the order of seed 0 in the first epoch, (n,), as the labs draw it."""
    return permutations(n, generators([0], "order"))[0]


def scratch(n: int, dtype: torch.dtype, device: str) -> Epoch:
    """Return an epoch with labcheck's training loop and layers from scratch."""
    split = Selection(*images(n), torch.arange(n).unsqueeze(0), dtype, flat=True).to(device)
    recipe = replace(LAB.recipe(), monitor=())

    def epoch() -> float:
        model = LAB.model([0], dtype, device)
        orders = [shuffled(rng) for rng in generators([0], "order")]
        return training.train(model, {"train": split}, orders, recipe).curves["batch_loss"].item()

    return epoch


def torch_nn(dtype: torch.dtype, device: str, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Train for an epoch as tutorials do, and return the mean loss."""
    model = as_torch(LAB.network([0], dtype, device), 0)
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=LAB.lr)
    total = examples = 0.0
    for x, y in batches:
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total, examples = total + loss.item() * len(y), examples + len(y)
    return total / examples


def torch_nn_in_memory(n: int, dtype: torch.dtype, device: str) -> Epoch:
    """Return an epoch with torch.nn and minibatches from tensors in memory."""
    x, y = in_memory(n, dtype, device)
    return lambda: torch_nn(dtype, device, ((x[rows], y[rows]) for rows in order(n).to(device).split(LAB.batch)))


def torch_nn_dataloader(n: int, dtype: torch.dtype, device: str) -> Epoch:
    """Return an epoch with torch.nn and a DataLoader."""
    data = TensorDataset(*in_memory(n, dtype, "cpu"))
    return lambda: torch_nn(dtype, device, DataLoader(data, LAB.batch, sampler=order(n).tolist()))


def autograd_raw(n: int, dtype: torch.dtype, device: str) -> Epoch:
    """Return an epoch with raw tensors and autograd, without modules."""
    x, y = in_memory(n, dtype, device)

    def epoch() -> float:
        parameters = list(as_torch(LAB.network([0], dtype, device), 0).parameters())
        w1, b1, w2, b2 = parameters
        total = 0.0
        for rows in order(n).to(device).split(LAB.batch):
            hidden = torch.addmm(b1, x[rows], w1.T).relu()
            loss = functional.cross_entropy(torch.addmm(b2, hidden, w2.T), y[rows])
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(gradient, alpha=LAB.lr)
            total += loss.item() * len(rows)
        return total / n

    return epoch


def products(n: int, dtype: torch.dtype, device: str) -> Epoch:
    """Return the lower bound for networks from scratch: only the images of each batch and the matrix products."""
    split = Selection(*images(n), torch.arange(n).unsqueeze(0), dtype, flat=True).to(device)
    shapes = (LAB.hidden, 784), (10, LAB.hidden), (LAB.hidden, LAB.batch), (10, LAB.batch)
    w1, w2, h, p = (torch.zeros(1, *shape, dtype=dtype, device=device) for shape in shapes)

    def epoch() -> float:
        for examples in split.batches(order(n).unsqueeze(0).to(device), LAB.batch):
            batch, size = examples.x, len(examples)
            product(w1, batch.mT, h[..., :size])
            product(w2, h[..., :size], p[..., :size])
            product(p[..., :size], h[..., :size].mT, w2)
            product(w2.mT, p[..., :size], h[..., :size])
            product(h[..., :size], batch, w1)
        synchronize(device)
        return torch.nan

    return epoch


EPOCHS = {epoch.__name__: epoch for epoch in (scratch, torch_nn_in_memory, torch_nn_dataloader, autograd_raw, products)}


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", EPOCHS)
def test_epoch(benchmark: Any, name: str, device: str) -> None:
    epoch = EPOCHS[name]
    if epoch is not products:
        assert epoch(2000, torch.float64, device)() == pytest.approx(scratch(2000, torch.float64, device)(), rel=1e-12)
    benchmark.group = f"an epoch of 784-{LAB.hidden}-10, {device}"
    reference = torch_nn_in_memory(IMAGES, torch.float32, device)
    comparison = times_faster(benchmark, epoch(IMAGES, torch.float32, device), reference, device=device)
    print(f"\nepoch, {name}, {device}: {comparison} as torch_nn_in_memory")
