"""Examples in memory, and the random streams that draw, split and shuffle them."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


def generators(seeds: Sequence[int], stream: str) -> list[torch.Generator]:
    """Return one generator per seed, independent of the generators of any other stream (NumPy's SeedSequence).

    Data, initial weights and batch orders have a stream each, so that arms are paired by seed: an arm that changes one
    of the three has the same other two.

    Args:
        seeds: The seeds.
        stream: The name of the stream, such as "data".
    """
    key = tuple(stream.encode())
    states = [np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0] for seed in seeds]
    return [torch.Generator().manual_seed(int(state) % 2**63) for state in states]


def substream(rng: torch.Generator, name: str) -> torch.Generator:
    """Return a generator that depends only on a name and on the seed of another generator, not on its state."""
    return generators([rng.initial_seed()], name)[0]


class Split(Protocol):
    """The examples of K models in one split, such as "train", on the device that trains."""

    @property
    def y(self) -> Tensor:
        """The targets (K, N, out)."""

    def __len__(self) -> int:
        """Return the number N of examples of each model."""

    def batch(self, index: Tensor) -> "Examples":
        """Return a minibatch (K, B, …), (K, B, out) of the examples with index (K, B)."""

    def batches(self, order: Tensor, size: int) -> Iterator["Examples"]:
        """Yield all examples in minibatches of a size, in an order (K, N) of each model's own."""

    def chunks(self) -> Iterator["Examples"]:
        """Yield all examples in their order, in chunks that fit in memory."""

    def select(self, rows: Tensor) -> "Split":
        """Return the split of these models only."""

    def to(self, device: str) -> "Split":
        """Return the split on a device."""


@dataclass(frozen=True)
class Examples:
    """A split whose examples are stored for each model.

    Attributes:
        x: The inputs (K, N, …).
        y: The targets (K, N, out).
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return self.x.shape[1]

    def batch(self, index: Tensor) -> "Examples":
        models, n = self.x.shape[:2]
        rows = index + torch.arange(0, models * n, n, device=index.device).unsqueeze(1)
        return Examples(self.x.flatten(0, 1)[rows], self.y.flatten(0, 1)[rows])

    def batches(self, order: Tensor, size: int) -> Iterator["Examples"]:
        ordered = self.batch(order)  # one indexing for all batches: the calls cost more than copying small examples
        yield from map(Examples, torch.split(ordered.x, size, dim=1), torch.split(ordered.y, size, dim=1))

    def chunks(self) -> Iterator["Examples"]:
        yield self

    def select(self, rows: Tensor) -> "Examples":
        return Examples(self.x[rows], self.y[rows])

    def to(self, device: str) -> "Examples":
        return Examples(self.x.to(device), self.y.to(device))


def digest(*tensors: Tensor) -> str:
    """Return a short hash of the types, shapes and values of tensors."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


Order = Callable[[int], Tensor]
"""The number n of one model's examples → the order (n,) of its next epoch."""


def permutations(n: int, generators: list[torch.Generator]) -> Tensor:
    """Return a random permutation of n elements for each generator, (K, n)."""
    return ordered(n, [shuffled(rng) for rng in generators])


def ordered(n: int, orders: Sequence[Order]) -> Tensor:
    """Return the next order of n elements for each model, (K, n)."""
    rows = torch.empty(len(orders), n, dtype=torch.int64)
    for row, order in zip(rows, orders, strict=True):
        row.copy_(order(n))
    return rows


def shuffled(rng: torch.Generator) -> Order:
    """Return a function that draws a new random order for each epoch from one generator."""
    return lambda n: torch.randperm(n, generator=rng)


def loader_shuffled(rng: torch.Generator) -> Order:
    """Return a function that draws orders as a shuffling torch DataLoader does if this is the global generator.

    At the start of each epoch, the loader draws a seed for its workers and its sampler draws one for the order.
    """

    def order(n: int) -> Tensor:
        _, seed = (int(torch.empty((), dtype=torch.int64).random_(generator=rng)) for _ in range(2))
        return torch.randperm(n, generator=torch.Generator().manual_seed(seed))

    return order
