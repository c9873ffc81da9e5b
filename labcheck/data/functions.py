"""Functions of one variable to fit, samples of them, and the grid on which to look at a fit."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labcheck.core.settings import Described
from labcheck.data.examples import Examples, digest, permutations

Array = NDArray[np.float64]
Function = Callable[[Array], Array]
"""An array (n,) → the values there, (n,)."""
PERIOD = 2 * math.pi
SHOWN = 200


def sine(x: Array) -> Array:
    """sin x."""
    y: Array = np.sin(x)
    return y


def trig(x: Array) -> Array:
    """sin x + cos x + sin x cos x."""
    y: Array = np.sin(x) + np.cos(x) + np.sin(x) * np.cos(x)
    return y


def f(x: Array) -> Array:
    """x² + 2 sin x + cos(x − 1) − 5 (report curve-cifar, exercise 1)."""
    y: Array = x**2 + 2 * np.sin(x) + np.cos(x - 1) - 5
    return y


def g(x: Array) -> Array:
    """x² + x + 1 + sin(x² + 1) − ln(x² + 1), which the script of report curve-cifar fits in exercise 1.C."""
    y: Array = x**2 + x + 1 + np.sin(x**2 + 1) - np.log(x**2 + 1)
    return y


def g_printed(x: Array) -> Array:
    """(x + 1)² + sin(x² + 1) − ln(x² + 1), which report curve-cifar prints in exercise 1.C."""
    y: Array = (x + 1) ** 2 + np.sin(x**2 + 1) - np.log(x**2 + 1)
    return y


def values(function: Function, x: Tensor) -> Tensor:
    """A function at points of any shape, float64.

    Raises:
        ValueError: it fails, or gives anything but one finite number for each point.
    """
    points = x.double().flatten().numpy()
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused below
            found = np.asarray(function(points.copy()))
    except Exception as error:
        raise ValueError(
            f"the function raised {type(error).__name__}: {error}; it gets all points in one NumPy array: use "
            "np.sin, np.where and the like"
        ) from error
    if found.shape != points.shape:
        given = f"an array of shape {found.shape}" if found.shape else f"just {found!s:.20}"
        raise ValueError(
            f"the function gets an array of shape {points.shape} and gave {given}; it must give one number a point"
        )
    if found.dtype.kind not in "bfiu":
        raise ValueError(f"the function gave values of type {found.dtype}, not real numbers")
    wrong = ~(np.abs(found.astype(np.float64)) <= np.finfo(np.float32).max)
    if wrong.any():
        raise ValueError(f"the function is {found[wrong][0]} at x = {points[wrong][0]:g}, no finite float32")
    return torch.from_numpy(found.astype(np.float64)).view_as(x)


class UserFunction(Described):
    """A function of the user's, told from others by its name and its values at some points (n, 1).

    Raises:
        ValueError: `values` does, or what it gives for a point depends on anything but that point.
    """

    def __init__(self, function: Function, points: Tensor):
        seen = values(function, points)
        largest = float(seen.abs().max())
        for first in (0, 1):
            half = torch.arange(first, len(points), 2).flip(0)
            if ((values(function, points[half]) - seen[half]).abs() > 1e-6 * largest).any():
                raise ValueError(
                    "the function gives a point other values when it is called again, or with other points"
                )
        self.function = function
        shape = (seen / (largest or 1.0) * 1e6).round() + 0.0  # without signs of zero; as on any processor
        self.name = f"{getattr(function, '__name__', type(function).__name__)} {largest:.6g} {digest(shape)}"

    def __call__(self, x: Array) -> Array:
        return self.function(x)

    def describe(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UserFunction) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def uniform(n: int, interval: tuple[float, float], rngs: list[torch.Generator]) -> Tensor:
    """n draws from [low, high) with each generator, (K, n, 1), float64."""
    low, high = interval
    return torch.stack([torch.rand(n, 1, generator=rng, dtype=torch.float64) for rng in rngs]) * (high - low) + low


def grid(n: int, interval: tuple[float, float]) -> Tensor:
    """n equally spaced points of [low, high), (n, 1), float64."""
    low, high = interval
    return low + torch.arange(n, dtype=torch.float64).unsqueeze(1) * ((high - low) / n)


def shown(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Numbers at the points of a grid, (K, N) or (1, N) → tables `grid_<name>` (K, 200) at equally spaced ones."""
    models = max(len(column) for column in columns.values())
    return {
        f"grid_{name}": column.expand(models, -1)[:, :: -(-column.shape[1] // SHOWN)]
        for name, column in columns.items()
    }


def split_samples(
    function: Function,
    x: Tensor,
    points: int,
    *,
    powers: int = 1,
    standardized: bool = True,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Examples]:
    """Split samples of a function on [0, 2π) 60/20/20 into train, val and test, in their order.

    Args:
        x: the samples of each model (K, n, 1), in random order.
        points: how many equally spaced points of [0, 2π) the split "grid" has.
        powers: inputs are x, x², … up to this power.
        standardized: of x less its mean over all n samples, by their standard deviation.

    Returns:
        Inputs (K, N, powers) and targets (K, N, 1) of each split.
    """
    models, n, _ = x.shape
    mean, std = x.mean(1, keepdim=True), x.std(1, keepdim=True)
    exponents = torch.arange(1, powers + 1)

    def examples(x: Tensor) -> Examples:
        inputs = (x - mean) / std if standardized else x
        return Examples((inputs**exponents).to(dtype), values(function, x).to(dtype))

    train, val, test = torch.split(x, [n - 2 * (n // 5), n // 5, n // 5], dim=1)
    shown = grid(points, (0, PERIOD)).expand(models, -1, -1)
    return {name: examples(x) for name, x in {"train": train, "val": val, "test": test, "grid": shown}.items()}


def shuffled_draws(n: int, rngs: list[torch.Generator]) -> Tensor:
    """Return n uniform draws from [0, 2π) with each generator, shuffled by it once more, (K, n, 1), float64."""
    x = uniform(n, (0, PERIOD), rngs)
    return x.take_along_dim(permutations(n, rngs).unsqueeze(2), 1)


def shuffled_points(n: int, rngs: list[torch.Generator]) -> Tensor:
    """Return n equally spaced points of [0, 2π], both ends included, shuffled by each generator, (K, n, 1), float64."""
    x = torch.linspace(0, PERIOD, n, dtype=torch.float64)
    return x[permutations(n, rngs)].unsqueeze(2)


def drawn(splits: dict[str, Examples]) -> str:
    """A digest of drawn examples that other processors give as well."""
    return digest(*(_rounded(number) for split in splits.values() for number in (split.x, split.y)))


def _rounded(numbers: Tensor) -> Tensor:
    return (numbers * 1e4).round()
