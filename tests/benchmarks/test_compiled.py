"""Benchmarks of compiled training, one seed at a time, against the stacked loop, two loops of torch.nn, and JAX.

The contestants train for the same number of epochs, without an evaluation. The time is that of a processor. JAX is
measured where it is installed.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from labcheck.data.examples import ordered
from labcheck.labs.boston import Boston
from labcheck.labs.curve import Curve
from labcheck.labs.sine import Sine
from labcheck.labs.supervised import StackedLab
from labcheck.labs.trig import Trig
from labcheck.nn.scratch.activations import ReLU, Sigmoid, Tanh
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from labcheck.nn.scratch.optimizers import SGD, Adam, Optimizer
from labcheck.nn.torch_training import TorchTraining
from tests.benchmarks.pairs import times_faster
from tests.benchmarks.test_stacked_training import batches, usual_net

pytest.importorskip("numba")

from labcheck.nn.compiled.training import CompiledTraining

STACK = 20
VMAPPED = 32


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


def usual(name: str, lab: Any, dtype: torch.dtype = torch.float32) -> Epochs:
    """Return the loop of tutorials, with torch.nn and minibatches from a source that `batches` knows by its name."""
    recipe, split = lab.recipe(), lab.splits([0], dtype)["train"]
    model, criterion = usual_net(lab, dtype), nn.MSELoss()
    loader = batches(name, split.x[0], split.y[0], lab, recipe.batch)
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


def import_jax() -> Any:
    """Import JAX with one thread on the CPU, or skip the test where it is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        # XLA reads both when it starts; further threads would spend CPU time waiting for work
        patch.setenv("JAX_PLATFORMS", "cpu")
        patch.setenv("NPROC", "1")
        jax = pytest.importorskip("jax", reason="JAX is not installed")
        jax.devices()
    return jax


def jax_loss(jax: Any, layers: Sequence[Layer]) -> Callable[..., Any]:
    """Return the loss as a function of the parameters (P,) of one model, inputs (B, in) and targets (B, out)."""
    jnp, shapes = jax.numpy, [shape for layer in layers for shape in layer.shapes]
    *ends, _ = accumulate(map(prod, shapes))
    activations = {ReLU: jax.nn.relu, Tanh: jnp.tanh, Sigmoid: jax.nn.sigmoid}

    def loss(w: Any, x: Any, y: Any) -> Any:
        parameters = iter([part.reshape(shape) for part, shape in zip(jnp.split(w, ends), shapes, strict=True)])
        h = x.T
        for layer in layers:
            values = [next(parameters) for _ in layer.shapes]
            if isinstance(layer, Linear):
                h = values[0] @ h + (values[1] if len(values) > 1 else 0)
            elif isinstance(layer, BatchNorm):
                assert not layer.running  # running averages would be further numbers to update
                centered = h - h.mean(1, keepdims=True)
                var = jnp.square(centered).mean(1, keepdims=True)
                h = centered * (values[0] * jax.lax.rsqrt(var + layer.epsilon)) + values[1]
            else:
                h = activations[type(layer)](h)
        return jnp.square(h - y.T).mean()

    return loss


def jax_update(jax: Any, optimizer: Optimizer, lr: float) -> Callable[..., Any]:
    """Return a step of SGD or Adam as a function of its number from 1, parameters, gradients and three memories (P,).

    It returns the new parameters and the new memories, of which SGD needs only the first.
    """
    assert isinstance(optimizer, SGD | Adam)

    def update(number: Any, w: Any, g: Any, memories: Any) -> Any:
        first, second, largest = memories
        if optimizer.weight_decay:
            g = g + optimizer.weight_decay * w
        if isinstance(optimizer, SGD):
            velocity = optimizer.momentum * first + g if optimizer.momentum else g
            return w - lr * velocity, (velocity, second, largest)
        beta1, beta2 = optimizer.betas
        first, second = beta1 * first + (1 - beta1) * g, beta2 * second + (1 - beta2) * g * g
        largest = jax.numpy.maximum(largest, second) if optimizer.amsgrad else second
        root = jax.numpy.sqrt(largest) / jax.numpy.sqrt(1 - beta2**number) + optimizer.epsilon
        return w - lr / (1 - beta1**number) * first / root, (first, second, largest)

    return update


def vmapped(lab: Any, dtype: torch.dtype = torch.float32) -> Epochs:
    """Return the loop of JAX: one jitted function trains an epoch of 32 seeds."""
    jax = import_jax()
    seeds, recipe = range(VMAPPED), lab.recipe()
    split, orders, network = lab.splits(seeds, dtype)["train"], lab.orders(seeds), lab.network(seeds, dtype)
    n, size = len(split), recipe.batch
    if size >= n:
        pytest.skip("an epoch is a single step, so that a loop over epochs in Python would measure its calls")
    loss, update = jax_loss(jax, network.layers), jax_update(jax, recipe.optimizer(), recipe.lr)
    full = n // size * size  # the number of examples in full minibatches

    def step(state: Any, batch: Any) -> Any:
        number, w, memories = state
        value, g = jax.value_and_grad(loss)(w, *batch)
        return (number + 1, *update(number + 1, w, g, memories)), value

    def epoch(state: Any, x: Any, y: Any, order: Any) -> Any:
        x, y = x[order], y[order]
        minibatches = tuple(part[:full].reshape(-1, size, part.shape[1]) for part in (x, y))
        state, losses = jax.lax.scan(step, state, minibatches)
        total = size * losses.sum()
        if full < n:
            state, last = step(state, (x[full:], y[full:]))
            total += (n - full) * last
        return state, total / n

    with jax.enable_x64(dtype is torch.float64):
        x, y, w = (jax.numpy.asarray(tensor.numpy()) for tensor in (split.x, split.y, network.values))
        state = (jax.numpy.zeros(VMAPPED, int), w, (jax.numpy.zeros_like(w),) * 3)
        run = jax.jit(jax.vmap(epoch))
        run(state, x, y, jax.numpy.zeros((VMAPPED, n), int))  # compiles it

    def train(epochs: int) -> list[float]:
        nonlocal state
        means = []
        with jax.enable_x64(dtype is torch.float64):
            for _ in range(epochs):
                state, mean = run(state, x, y, jax.numpy.asarray(ordered(n, orders).numpy()))
                means.append(float(np.asarray(mean)[0]))
        return means

    return train


REFERENCES: dict[str, tuple[Callable[..., Epochs], int]] = {
    "stacked": (stacked, STACK),
    "dataloader": (partial(usual, "dataloader"), 1),
    "memory": (partial(usual, "memory"), 1),
    "jax": (vmapped, VMAPPED),
}
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
