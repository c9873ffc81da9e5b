"""Functions of one variable to fit, samples of them, and grids of points on which a fit is evaluated."""

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
"""An array of points (n,) → the values at them (n,)."""
PERIOD = 2 * math.pi
TABLE_POINTS = 200
"""The largest number of points in a table of a fit."""


def sine(x: Array) -> Array:
    """Return sin x."""
    y: Array = np.sin(x)
    return y


def trig(x: Array) -> Array:
    """Return sin x + cos x + sin x cos x."""
    y: Array = np.sin(x) + np.cos(x) + np.sin(x) * np.cos(x)
    return y


def f(x: Array) -> Array:
    """Return x² + 2 sin x + cos(x − 1) − 5 (report curve-cifar, exercise 1)."""
    y: Array = x**2 + 2 * np.sin(x) + np.cos(x - 1) - 5
    return y


def g(x: Array) -> Array:
    """Return x² + x + 1 + sin(x² + 1) − ln(x² + 1), which the script of report curve-cifar fits in exercise 1.C."""
    y: Array = x**2 + x + 1 + np.sin(x**2 + 1) - np.log(x**2 + 1)
    return y


def g_printed(x: Array) -> Array:
    """Return (x + 1)² + sin(x² + 1) − ln(x² + 1), which report curve-cifar prints in exercise 1.C."""
    y: Array = (x + 1) ** 2 + np.sin(x**2 + 1) - np.log(x**2 + 1)
    return y


def evaluate(function: Function, x: Tensor) -> Tensor:
    """Return the values of a function at points of any shape, in that shape and in float64.

    Raises:
        ValueError: The function raised, or did not return one finite number for each point.
    """
    points = x.double().flatten().numpy()
    try:
        with np.errstate(all="ignore"):  # non-finite values are reported below
            values = np.asarray(function(points.copy()))
    except Exception as error:
        raise ValueError(
            f"the function raised {type(error).__name__}: {error}; it is called with all points in one NumPy array, "
            "so use np.sin, np.where and similar functions"
        ) from error
    if values.shape != points.shape:
        returned = f"an array of shape {values.shape}" if values.shape else f"{values!s:.20}"
        raise ValueError(
            f"the function must return one number per point, an array of shape {points.shape}, got {returned}"
        )
    if values.dtype.kind not in "bfiu":
        raise ValueError(f"the function must return real numbers, got values of type {values.dtype}")
    invalid = ~(np.abs(values.astype(np.float64)) <= np.finfo(np.float32).max)
    if invalid.any():
        raise ValueError(
            f"the function must return finite float32 numbers, got {values[invalid][0]} at x = {points[invalid][0]:g}"
        )
    return torch.from_numpy(values.astype(np.float64)).view_as(x)


class UserFunction(Described):
    """A function that a user wrote; two of them are equal if their names and their values at some points are.

    Attributes:
        function: The function.
        name: The name of the function with a digest of its values.
    """

    def __init__(self, function: Function, points: Tensor):
        """Evaluate the function at points (n, 1).

        Raises:
            ValueError: `evaluate` raises it, or the value at a point depends on something other than the point.
        """
        values = evaluate(function, points)
        largest = float(values.abs().max())
        for first in (0, 1):
            half = torch.arange(first, len(points), 2).flip(0)
            if ((evaluate(function, points[half]) - values[half]).abs() > 1e-6 * largest).any():
                raise ValueError(
                    "the function must return the same value for a point in each call, whatever the other points are; "
                    "it returned different ones"
                )
        self.function = function
        # rounded, so that all processors agree; 0 is added since -0 has another digest
        shape = (values / (largest or 1.0) * 1e6).round() + 0.0
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
    """Draw n numbers from the uniform distribution on [low, high) with each generator, (K, n, 1), float64."""
    low, high = interval
    return torch.stack([torch.rand(n, 1, generator=rng, dtype=torch.float64) for rng in rngs]) * (high - low) + low


def grid(n: int, interval: tuple[float, float]) -> Tensor:
    """Return n equally spaced points of [low, high), (n, 1), float64."""
    low, high = interval
    return low + torch.arange(n, dtype=torch.float64).unsqueeze(1) * ((high - low) / n)


def grid_tables(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tables `grid_<name>` of numbers at up to 200 equally spaced points of a grid, (K, points).

    Args:
        columns: The numbers at all points of the grid by name, (K, N), or (1, N) if they are equal for all models.
    """
    models = max(len(column) for column in columns.values())
    return {
        f"grid_{name}": column.expand(models, -1)[:, :: -(-column.shape[1] // TABLE_POINTS)]
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
        function: The function, whose values are the targets.
        x: The samples of each model (K, n, 1), in random order.
        points: The number of equally spaced points of [0, 2π) in the additional split "grid".
        powers: The highest power of x among the inputs x, x², …
        standardized: Whether inputs are powers of x minus its mean, divided by its standard deviation, over all n
            samples.
        dtype: The precision of the examples.

    Returns:
        The inputs (K, N, powers) and targets (K, N, 1) of each split.
    """
    models, n, _ = x.shape
    mean, std = x.mean(1, keepdim=True), x.std(1, keepdim=True)
    exponents = torch.arange(1, powers + 1)

    def examples(x: Tensor) -> Examples:
        inputs = (x - mean) / std if standardized else x
        return Examples((inputs**exponents).to(dtype), evaluate(function, x).to(dtype))

    train, val, test = torch.split(x, [n - 2 * (n // 5), n // 5, n // 5], dim=1)
    even = grid(points, (0, PERIOD)).expand(models, -1, -1)
    return {name: examples(x) for name, x in {"train": train, "val": val, "test": test, "grid": even}.items()}


def shuffled_draws(n: int, rngs: list[torch.Generator]) -> Tensor:
    """Draw n numbers from the uniform distribution on [0, 2π) with each generator and shuffle them, (K, n, 1), float64.

    The shuffle takes its random numbers from the same generator.
    """
    x = uniform(n, (0, PERIOD), rngs)
    return x.take_along_dim(permutations(n, rngs).unsqueeze(2), 1)


def shuffled_points(n: int, rngs: list[torch.Generator]) -> Tensor:
    """Return n equally spaced points of [0, 2π], both ends included, shuffled by each generator, (K, n, 1), float64."""
    x = torch.linspace(0, PERIOD, n, dtype=torch.float64)
    return x[permutations(n, rngs)].unsqueeze(2)


def digest_splits(splits: Mapping[str, Examples]) -> str:
    """Return a digest of examples rounded to four decimals, so that it is the same on all processors."""
    return digest(*((numbers * 1e4).round() for split in splits.values() for numbers in (split.x, split.y)))
