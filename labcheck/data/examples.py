"""Examples in memory, and the random streams that draw, split and shuffle them."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


def generators(seeds: Sequence[int], stream: str) -> list[torch.Generator]:
    """One random stream per seed, independent of those with another name (NumPy's SeedSequence).

    An arm's data, initial weights and batch order come from streams of their own, so that arms are paired by seed:
    a change to one of the three leaves the other two as they were.
    """
    key = tuple(stream.encode())
    states = [np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0] for seed in seeds]
    return [torch.Generator().manual_seed(int(state) % 2**63) for state in states]


def substream(rng: torch.Generator, name: str) -> torch.Generator:
    """Return a stream that depends on the seed of another one and on a name, whatever has been drawn from that one."""
    return generators([rng.initial_seed()], name)[0]


class Split(Protocol):
    """The examples of one split of K models' data, such as "train", on the device that trains."""

    @property
    def y(self) -> Tensor:
        """Targets (K, N, out)."""

    def __len__(self) -> int:
        """How many each model has, N."""

    def batch(self, index: Tensor) -> "Examples":
        """Each model's own examples: index (K, B) → (K, B, …), (K, B, out)."""

    def batches(self, order: Tensor, size: int) -> Iterator["Examples"]:
        """All examples, each model's in an order of its own (K, N), in minibatches of so many."""

    def chunks(self) -> Iterator["Examples"]:
        """All examples, in their order, in pieces that fit in memory."""

    def select(self, rows: Tensor) -> "Split":
        """Those of some models only."""

    def to(self, device: str) -> "Split":
        """The same on a device."""


@dataclass(frozen=True)
class Examples:
    """A split whose models have examples of their own: inputs x (K, N, …) and targets y (K, N, out)."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return self.x.shape[1]

    def batch(self, index: Tensor) -> "Examples":
        models, n = self.x.shape[:2]
        rows = index + torch.arange(0, models * n, n, device=index.device).unsqueeze(1)
        return Examples(self.x.flatten(0, 1)[rows], self.y.flatten(0, 1)[rows])

    def batches(self, order: Tensor, size: int) -> Iterator["Examples"]:
        whole = self.batch(order)  # at once: to take small examples batch by batch costs more than it moves
        yield from map(Examples, torch.split(whole.x, size, dim=1), torch.split(whole.y, size, dim=1))

    def chunks(self) -> Iterator["Examples"]:
        yield self

    def select(self, rows: Tensor) -> "Examples":
        return Examples(self.x[rows], self.y[rows])

    def to(self, device: str) -> "Examples":
        return Examples(self.x.to(device), self.y.to(device))


def digest(*tensors: Tensor) -> str:
    """A short name for these numbers, the same wherever they are the same."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


def permutations(n: int, generators: list[torch.Generator]) -> Tensor:
    """Return a random order of n things for each generator, (K, n)."""
    return ordered(n, [shuffled(rng) for rng in generators])


Order = Callable[[int], Tensor]
"""The number n of one model's examples → the order (n,) in which its next epoch takes them."""


def ordered(n: int, orders: Sequence[Order]) -> Tensor:
    """Return the next order of n things for each model, (K, n)."""
    rows = torch.empty(len(orders), n, dtype=torch.int64)
    for row, order in zip(rows, orders, strict=True):
        row.copy_(order(n))
    return rows


def shuffled(rng: torch.Generator) -> Order:
    """Return a new random order for each epoch, drawn from one stream."""
    return lambda n: torch.randperm(n, generator=rng)


def loader_shuffled(rng: torch.Generator) -> Order:
    """Return the orders of a shuffling torch DataLoader whose process has this stream as torch's own.

    At the start of each epoch the loader draws a seed for its workers, and its sampler one for the order.
    """

    def order(n: int) -> Tensor:
        _, seed = (int(torch.empty((), dtype=torch.int64).random_(generator=rng)) for _ in range(2))
        return torch.randperm(n, generator=torch.Generator().manual_seed(seed))

    return order
