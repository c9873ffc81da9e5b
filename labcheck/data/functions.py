"""Samples of a function of one variable, and the grid on which to look at a fit."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from labcheck.data.examples import Examples, permutations

Function = Callable[[Tensor], Tensor]
PERIOD = 2 * math.pi


def trig(x: Tensor) -> Tensor:
    """sin x + cos x + sin x cos x."""
    return x.sin() + x.cos() + x.sin() * x.cos()


def sample(
    function: Function, n: int, powers: int, grid: int, rngs: list[torch.Generator], dtype: torch.dtype = torch.float32
) -> dict[str, Examples]:
    """For each generator, n uniform draws of x in [0, 2π), shuffled and split 60/20/20 into train, val and test.

    x is standardised with the mean and standard deviation of all n samples; inputs are its powers 1 to `powers`.

    Args:
        grid: how many equally spaced points of [0, 2π) the part "grid" has.

    Returns:
        Inputs (K, N, powers) and targets (K, N, 1) of each part.
    """
    x = torch.stack([torch.rand(n, 1, generator=rng, dtype=torch.float64) for rng in rngs]) * PERIOD
    order = permutations(n, rngs)
    mean, std = x.mean(1, keepdim=True), x.std(1, keepdim=True)
    points = torch.arange(grid, dtype=torch.float64).view(1, grid, 1).expand(len(rngs), -1, -1) * (PERIOD / grid)
    exponents = torch.arange(1, powers + 1)

    def examples(x: Tensor) -> Examples:
        return Examples((((x - mean) / std) ** exponents).to(dtype), function(x).to(dtype))

    shuffled = x.take_along_dim(order.unsqueeze(2), 1)
    train, val, test = torch.split(shuffled, [n - 2 * (n // 5), n // 5, n // 5], dim=1)
    return {name: examples(x) for name, x in {"train": train, "val": val, "test": test, "grid": points}.items()}
