"""A small net on noisy samples of a curve (report curve-cifar, exercise 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from labcheck.data import functions
from labcheck.data.examples import Examples, Part, generators
from labcheck.data.functions import Function, Own
from labcheck.labs.lab import Data, assumed
from labcheck.labs.supervised import StackedLab, fit
from labcheck.metrics import Metric
from labcheck.models.model import Model
from labcheck.models.scratch.layers import Layer
from labcheck.models.scratch.network import mlp
from labcheck.training import Recipe

FUNCTIONS: dict[str, Function] = {"f": functions.f, "g": functions.g}
INTERVAL = (-5.0, 5.0)
GRID = 1000


@dataclass(frozen=True, kw_only=True)
class Curve(StackedLab):
    """The course's script: 200 noisy samples, all of them in every step.

    It measures `train_mse`, of the noisy samples, and `grid_mse`, over 1000 equally spaced points of the function
    itself; curve `grid_loss` is the latter after the epochs that `checkpoints` names. The tables `grid_x`, `grid_true`
    and `grid_fit` are the function and what was learned of it at 200 of the points.

    Attributes:
        function: "f" or "g", or any function of a NumPy array (n,) that gives the values there, (n,).
    """

    name: ClassVar[str] = "curve"

    function: str | Function = "f"
    epochs: int = 1000
    activation: str = "relu"
    lr: float = assumed(0.01, "of exercise A, not stated; in the middle of those of exercise B")
    hidden: tuple[int, ...] = assumed(
        (10,), "widths, not stated; the course's model file is unknown: (10,) or (32, 32)"
    )
    noise: float = assumed(3.0, "standard deviation, not stated; that of the course's script")
    samples: int = assumed(200, "not stated; those of the course's script, uniform in [-5, 5)")
    optimizer: str = assumed("adam", "not stated; that of the course's script")
    momentum: float = assumed(0.0, "of SGD, not stated; torch's default")

    def __post_init__(self) -> None:
        super().__post_init__()
        if callable(self.function):
            object.__setattr__(self, "function", self._own(self.function))
        elif not (isinstance(self.function, str) and self.function in FUNCTIONS):
            raise ValueError(f"{self.name}.function is f, g or a function of a NumPy array, not {self.function!r}")
        self.at_least(0, "noise")
        self.at_least(1, "epochs", "samples", "hidden")

    def _own(self, function: Function) -> Own:
        try:
            return Own(function.function if isinstance(function, Own) else function, functions.grid(GRID, INTERVAL))
        except ValueError as error:
            raise ValueError(f"{self.name}.function: {error}") from error.__cause__

    @property
    def stack(self) -> int:
        return 60 if sum(self.hidden) <= 10 else 20

    def data(self) -> Data:
        return Data("drawn", functions.drawn(type(self)().parts([0], torch.float64)))

    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        rngs = generators(seeds, "data")
        function = FUNCTIONS[self.function] if isinstance(self.function, str) else self.function
        x = functions.uniform(self.samples, INTERVAL, rngs)
        noise = torch.stack([torch.randn(self.samples, 1, generator=rng, dtype=torch.float64) for rng in rngs])
        points = functions.grid(GRID, INTERVAL)
        true = functions.values(function, points)
        return {
            "train": Examples(x.to(dtype), (functions.values(function, x) + self.noise * noise).to(dtype)),
            "grid": Examples(*(column.to(dtype).expand(len(seeds), -1, -1) for column in (points, true))),
        }

    def layers(self) -> list[Layer]:
        return mlp([1, *self.hidden, 1], activation=self.activation)

    def measure(self, model: Model, parts: Mapping[str, Part]) -> dict[str, Tensor]:
        return super().measure(model, parts) | fit(model, parts["grid"], functions.grid(GRID, INTERVAL))

    def recipe(self) -> Recipe:
        return Recipe(
            optimizer=self.new_optimizer(),
            lr=self.lr,
            batch=self.samples,
            epochs=self.epochs,
            watch=("grid",),
            record=checkpoints(self.epochs),
        )


def checkpoints(epochs: int) -> list[int]:
    """The numbers up to `epochs` that have two significant digits (1, …, 99, 100, 110, …), and `epochs`."""
    found = {digits * 10**power for digits in range(1, 100) for power in range(len(str(epochs)))}
    return sorted({number for number in found if number < epochs} | {epochs})


GRID_MSE = Metric("grid_mse")
