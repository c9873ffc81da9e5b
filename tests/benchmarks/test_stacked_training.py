"""Trials per second: labcheck's stacked loop against the loops that students write.

Trig's base net, 600 training samples, batch 64, 100 epochs, a learning rate that drops on a validation plateau. Every
round is preceded by one of the DataLoader loop: speeds are compared pair by pair, and a noisy machine slows both.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from labcheck import environment
from labcheck.data import functions
from labcheck.data.examples import Examples, generators, permutations
from labcheck.models.layers import MSE
from labcheck.models.network import Network, mlp
from labcheck.optim import SGD, PlateauSchedule
from labcheck.training import train

WIDTHS = [2, 10, 100, 10, 1]
BATCH = 64
ROUNDS = 5


class Shuffled(Sampler[int]):
    """The order in which labcheck visits the samples of one seed."""

    def __init__(self, n: int, seed: int):
        self.n, self.rngs = n, generators([seed], "order")

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        return iter(permutations(self.n, self.rngs)[0].tolist())


def data(seeds: range, dtype: torch.dtype) -> dict[str, Examples]:
    parts = functions.split(functions.trig, 1000, 1, generators(seeds, "data"), powers=2, dtype=dtype)
    return {name: parts[name] for name in ("train", "val")}


def network(seeds: range, dtype: torch.dtype) -> Network:
    layers = mlp(WIDTHS, activation="relu", norm=True, running=False, init="xavier_normal")
    return Network(layers, generators(seeds, "init"), dtype)


def sequential(dtype: torch.dtype) -> nn.Sequential:
    """The net of seed 0 with torch.nn, biases included, although the BatchNorm that follows cancels them."""
    modules: list[nn.Module] = []
    for inputs, outputs in pairwise(WIDTHS[:-1]):
        modules += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    model = nn.Sequential(*modules, nn.Linear(WIDTHS[-2], WIDTHS[-1])).to(dtype)
    linears = [module for module in model if isinstance(module, nn.Linear)]
    ours = [layer for layer in network(range(1), dtype).layers if type(layer).__name__ == "Linear"]
    with torch.no_grad():
        for module, layer in zip(linears, ours, strict=True):
            module.weight.copy_(layer.values[0][0])
        linears[-1].bias.copy_(ours[-1].values[1][0, :, 0])
    return model


def plainly(batches: Callable[[Tensor, Tensor], Iterable[Any]], epochs: int, dtype: torch.dtype) -> list[float]:
    """Train one model the usual way; the validation loss after each epoch."""
    parts = data(range(1), dtype)
    (x, y), (x_val, y_val) = ((part.x[0], part.y[0]) for part in parts.values())
    model, criterion = sequential(dtype), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=10)
    loader = batches(x, y)
    losses = []
    for _ in range(epochs):
        for samples, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(samples), labels)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            val_loss = criterion(model(x_val), y_val)
        scheduler.step(val_loss)
        losses.append(val_loss.item())
    return losses


def dataloader(epochs: int = 100, dtype: torch.dtype = torch.float32) -> list[float]:
    """The students' way."""
    return plainly(
        lambda x, y: DataLoader(TensorDataset(x, y), batch_size=BATCH, sampler=Shuffled(len(x), 0)), epochs, dtype
    )


class InMemory:
    """Minibatches as rows of the tensors that are there anyway."""

    def __init__(self, x: Tensor, y: Tensor):
        self.x, self.y, self.rngs = x, y, generators([0], "order")

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in permutations(len(self.x), self.rngs)[0].split(BATCH):
            yield self.x[rows], self.y[rows]


def in_memory(epochs: int = 100, dtype: torch.dtype = torch.float32) -> list[float]:
    """The same without DataLoader."""
    return plainly(InMemory, epochs, dtype)


def stacked(models: int, epochs: int = 100, dtype: torch.dtype = torch.float32) -> list[float]:
    """labcheck's loop; the losses of seed 0."""
    seeds = range(models)
    history = train(
        network(seeds, dtype),
        data(seeds, dtype),
        generators(seeds, "order"),
        loss=MSE(),
        optimizer=SGD(0.9),
        schedule=PlateauSchedule(10),
        lr=0.1,
        batch=BATCH,
        epochs=epochs,
    )
    return history.curves["val_loss"][0].tolist()


CONTESTANTS: dict[str, tuple[int, Callable[..., list[float]]]] = {
    "dataloader": (1, dataloader),
    "in_memory": (1, in_memory),
    **{f"labcheck_{k}": (k, lambda *args, k=k: stacked(k, *args)) for k in (1, 8, 32, 128)},
}


@pytest.mark.benchmark(group="trig base net, 100 epochs", timer=time.process_time)
@pytest.mark.parametrize("name", CONTESTANTS)
def test_trials_per_second(benchmark: Any, name: str) -> None:
    environment.pin()
    models, run = CONTESTANTS[name]
    assert run(3, torch.float64) == pytest.approx(dataloader(3, torch.float64), rel=1e-9)
    reference = []

    def before() -> None:
        start = time.process_time()
        dataloader()
        reference.append(time.process_time() - start)

    benchmark.pedantic(run, setup=before, rounds=ROUNDS, warmup_rounds=1)
    seconds = benchmark.stats.stats.data
    ratios = [models * theirs / ours for theirs, ours in zip(reference[-ROUNDS:], seconds, strict=True)]
    benchmark.extra_info["trials_per_second"] = models / statistics.median(seconds)
    benchmark.extra_info["times_dataloader"] = statistics.median(ratios)
    benchmark.extra_info["times_dataloader_range"] = [min(ratios), max(ratios)]
    benchmark.extra_info.update(environment.fingerprint("cpu"))
    print(f"\n{name}: {statistics.median(ratios):.1f} times the dataloader's trials per second")
