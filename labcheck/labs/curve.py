"""A small net on noisy samples of a curve (report curve-cifar, exercise 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from labcheck.core.assumptions import assumed, known
from labcheck.core.lab import Data
from labcheck.core.metrics import Metric
from labcheck.data import functions
from labcheck.data.examples import Examples, Split, generators
from labcheck.data.functions import Function, UserFunction
from labcheck.labs.supervised import StackedLab, fit
from labcheck.nn.model import Model
from labcheck.nn.scratch.layers import Layer
from labcheck.nn.scratch.network import Network, mlp
from labcheck.nn.training import Recipe

FUNCTIONS: dict[str, Function] = {"f": functions.f, "g": functions.g, "g as printed": functions.g_printed}
DRAWS = ("seed", "course")
INTERVAL = (-5.0, 5.0)
GRID = 1000
COURSE_SEED = 2019
"""The course's seed of torch."""


@dataclass(frozen=True, kw_only=True)
class Curve(StackedLab):
    """The course's script: 200 noisy samples, all of them in every step.

    It measures `train_mse`, of the noisy samples, and `grid_mse`, over 1000 equally spaced points of the function
    itself; the curves `train_loss` and `grid_loss` are the two after the epochs that `checkpoints` names. The tables
    `grid_x`, `grid_true` and `grid_fit` are the function and what was learned of it at 200 of the points.

    Attributes:
        function: a name in FUNCTIONS, or any function of a NumPy array (n,) that gives the values there, (n,).
        max_epochs: training is cut after this number of epochs.
    """

    name: ClassVar[str] = "curve"
    scales: ClassVar = {"quick": {"max_epochs": 10_000}}

    function: str | Function = "f"
    epochs: int = 1000
    max_epochs: int = 100_000
    lr: float = known(0.01, "script", "of exercise A; the course's script")
    hidden: tuple[int, ...] = known(
        (64, 64),
        "script",
        "widths in the course's model file, which students may not change; two other editions agree",
    )
    activation: str = known(
        "sigmoid",
        "script",
        "the course's model file; with it alone f is fitted best after about 200 epochs and ten times worse after "
        "20,000, and rate 0.1 beats 1, as the report says",
    )
    noise: float = known(3.0, "script", "standard deviation; the course's script")
    samples: int = known(200, "script", "uniform in [-5, 5); the course's script")
    optimizer: str = known("adam", "script", "with torch's defaults, on the full batch; the course's script")
    momentum: float = assumed(0.0, "of SGD, which the course does not use; torch's default")
    draw: str = assumed(
        "seed",
        "samples and initial weights of each seed, for a verdict needs several; 'course' draws those of the course's "
        "script, torch's seed 2019, which every student has who leaves it, and every seed is the same training",
        "course",
        grade="likely",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if callable(self.function):
            object.__setattr__(self, "function", self._user_function(self.function))
        elif not (isinstance(self.function, str) and self.function in FUNCTIONS):
            raise ValueError(
                f"{self.name}.function is {', '.join(FUNCTIONS)} or a function of a NumPy array, not {self.function!r}"
            )
        self.require_choice("draw", DRAWS)
        self.require_at_least(0, "noise")
        self.require_at_least(1, "epochs", "max_epochs", "samples", "hidden")

    def _user_function(self, function: Function) -> UserFunction:
        try:
            return UserFunction(
                function.function if isinstance(function, UserFunction) else function, functions.grid(GRID, INTERVAL)
            )
        except ValueError as error:
            raise ValueError(f"{self.name}.function: {error}") from error.__cause__

    @property
    def stack(self) -> int:
        """Return how many seeds train side by side: more where one step is so small that its overhead counts."""
        return 60 if sum(self.hidden) <= 10 else 20

    def data(self) -> Data:
        return Data("drawn", functions.drawn(type(self)().splits([0], torch.float64)))

    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        x, noise = self._draw_samples(seeds)
        points = functions.grid(GRID, INTERVAL)
        function = FUNCTIONS[self.function] if isinstance(self.function, str) else self.function
        true = functions.values(function, points)
        return {
            "train": Examples(x.to(dtype), (functions.values(function, x) + self.noise * noise).to(dtype)),
            "grid": Examples(*(column.to(dtype).expand(len(seeds), -1, -1) for column in (points, true))),
        }

    def _draw_samples(self, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Draw points and standard normal noise, (K, n, 1) each, float64."""
        if self.draw == "course":
            rng = self._draw_weights(super().network(seeds[:1]), 0)
            x = torch.empty(self.samples).uniform_(*INTERVAL, generator=rng)
            noise = torch.randn(self.samples, generator=rng)
            drawn = torch.stack([x, noise]).double().view(2, 1, -1, 1).expand(-1, len(seeds), -1, -1)
            return drawn[0], drawn[1]
        rngs = generators(seeds, "data")
        x = functions.uniform(self.samples, INTERVAL, rngs)
        return x, torch.stack([torch.randn(self.samples, 1, generator=rng, dtype=torch.float64) for rng in rngs])

    def _draw_weights(self, net: Network, model: int) -> torch.Generator:
        """Draw a model's weights as the course's script does before the samples; return the stream behind them."""
        rng = torch.Generator().manual_seed(COURSE_SEED)
        net.redraw(model, rng)
        return rng

    def network(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Network:
        if self.draw == "seed":
            return super().network(seeds, dtype, device)
        net = super().network(seeds)  # in float32, as torch draws them
        for model in range(len(seeds)):
            self._draw_weights(net, model)
        net.bind(net.state.to(device, dtype))
        return net

    def layers(self) -> list[Layer]:
        return mlp([1, *self.hidden, 1], activation=self.activation)

    def measure(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        return super().measure(model, splits) | fit(model, splits["grid"], functions.grid(GRID, INTERVAL))

    def recipe(self) -> Recipe:
        epochs = min(self.epochs, self.max_epochs)
        return Recipe(
            optimizer=self.new_optimizer,
            lr=self.lr,
            batch=self.samples,
            epochs=epochs,
            monitor=("grid", "train"),
            record_at=checkpoints(epochs),
        )


def checkpoints(epochs: int) -> list[int]:
    """The numbers up to `epochs` that have two significant digits (1, …, 99, 100, 110, …), and `epochs`."""
    found = {digits * 10**power for digits in range(1, 100) for power in range(len(str(epochs)))}
    return sorted({number for number in found if number < epochs} | {epochs})


GRID_MSE = Metric("grid_mse", higher_is_better=False, curve="grid_loss")
