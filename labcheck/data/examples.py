"""Examples in memory, and the random streams that draw, split and shuffle them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Examples:
    """Inputs x (K, N, in) and targets y (K, N, out), in memory, on the device that trains."""

    x: Tensor
    y: Tensor

    def batch(self, index: Tensor) -> "Examples":
        """Each model's own examples: index (K, B) → (K, B, in), (K, B, out)."""
        models, n = self.x.shape[:2]
        rows = index + torch.arange(0, models * n, n, device=index.device).unsqueeze(1)
        return Examples(self.x.flatten(0, 1)[rows], self.y.flatten(0, 1)[rows])

    def keep(self, rows: Tensor) -> "Examples":
        """Those of some models only."""
        return Examples(self.x[rows], self.y[rows])

    def to(self, device: str) -> "Examples":
        """The same on a device."""
        return Examples(self.x.to(device), self.y.to(device))


def digest(*tensors: Tensor) -> str:
    """A short name for these numbers, the same wherever they are the same."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


def permutations(n: int, generators: list[torch.Generator]) -> Tensor:
    """A random order of n things for each generator, (K, n)."""
    return torch.stack([torch.randperm(n, generator=rng) for rng in generators])
