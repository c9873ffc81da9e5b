"""A small network on noisy samples of a curve (report curve-cifar, exercise 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from labcheck.core.assumptions import Alternative, assumed, known
from labcheck.core.metrics import Metric
from labcheck.data import functions
from labcheck.data.examples import Examples, Split, generators
from labcheck.data.functions import Function, UserFunction
from labcheck.labs.supervised import FunctionLab, fit_tables
from labcheck.nn.model import Model
from labcheck.nn.scratch.layers import Layer
from labcheck.nn.scratch.network import Network, mlp
from labcheck.nn.training import Recipe

FUNCTIONS: dict[str, Function] = {"f": functions.f, "g": functions.g, "g as printed": functions.g_printed}
DRAWS = ("seed", "course")
INTERVAL = (-5.0, 5.0)
GRID = 1000
"""The number of points of the grid on which a fit is evaluated."""
COURSE_SEED = 2019
"""The seed of torch in the course's script."""


@dataclass(frozen=True, kw_only=True)
class Curve(FunctionLab):
    """A network that learns a function from noisy samples, all of them in each step, as in the course's script.

    The metric `train_mse` is the error on the noisy samples, and `grid_mse` the error with respect to the function at
    1000 equally spaced points. The curves `train_loss` and `grid_loss` are the same errors after each number of epochs
    in `checkpoints`. The tables `grid_x`, `grid_true` and `grid_fit` are the function and its fit at 200 of the points.

    Attributes:
        function: A name in `FUNCTIONS`, or a function of a NumPy array (n,) that returns the values (n,).
        epochs: The number of epochs.
        max_epochs: An upper bound on the number of epochs.
        lr: The learning rate.
        hidden: The widths of the hidden layers.
        activation: The activation of the hidden layers.
        noise: The standard deviation of the noise.
        samples: The number of samples.
        optimizer: "adam" or "sgd".
        momentum: The momentum of SGD.
        draw: "seed" for the samples and initial weights of each seed, or "course" for those of the course's script.
    """

    name: ClassVar[str] = "curve"
    scales: ClassVar = {"quick": {"max_epochs": 10_000}}

    function: str | Function = "f"
    epochs: int = 1000
    max_epochs: int = 100_000
    lr: float = known(
        0.01,
        "script",
        "The rate of exercise A in the course's script",
        Alternative(0.001, "The rate of exercise A is not stated; this is torch's default for Adam"),
        Alternative(0.1, "The rate of exercise A is not stated; this is one of the rates in exercise B"),
    )
    hidden: tuple[int, ...] = known(
        (64, 64),
        "script",
        "The widths in the course's model file, which students may not change; two other editions have the same",
        Alternative((10,), "The widths are not stated; one small hidden layer is a usual first example"),
        Alternative((32, 32), "The widths are not stated; this is a usual size for a function of one variable"),
    )
    activation: str = known(
        "sigmoid",
        "script",
        "The activation in the course's model file; only with it is f fitted best after about 200 epochs and ten times "
        "worse after 20,000, and is a rate of 0.1 better than 1, as in the report",
        Alternative("relu", "The activation is not stated; this is the most common one"),
        Alternative("tanh", "The activation is not stated; this is a common one for smooth functions"),
    )
    noise: float = known(
        3.0,
        "script",
        "The standard deviation in the course's script",
        Alternative(1.0, "The noise is not stated; this is the standard normal distribution"),
        Alternative(2.0, "The noise is not stated; this is between the script's and the standard normal distribution"),
    )
    samples: int = known(
        200,
        "script",
        "The number in the course's script, uniform on [-5, 5)",
        Alternative(100, "The number is not stated; this is a common one for a function of one variable"),
    )
    optimizer: str = known("adam", "script", "Adam with torch's defaults on the full batch, in the course's script")
    momentum: float = assumed(0.0, "The momentum of SGD, which the course does not use; this is torch's default")
    draw: str = assumed(
        "seed",
        "Each seed draws samples and initial weights, since a verdict needs several draws. With 'course', all seeds "
        "have those of torch's seed 2019 in the course's script, as does every student who does not change it, so that "
        "all seeds are one training",
        Alternative("course", "The one training that students see who run the course's script unchanged"),
        grade="likely",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if callable(self.function):
            object.__setattr__(self, "function", self._user_function(self.function))
        elif not (isinstance(self.function, str) and self.function in FUNCTIONS):
            raise ValueError(
                f"{self.name}.function must be one of {', '.join(FUNCTIONS)} or a function of a NumPy array, got "
                f"{self.function!r}"
            )
        self.require_choice("draw", DRAWS)
        self.require_at_least(0, "noise")
        self.require_at_least(1, "epochs", "max_epochs", "samples", "hidden")

    def is_plausible(self) -> bool:
        """Return whether each seed is a training of its own, without which there is no verdict over seeds.

        With the samples and initial weights of the course's script, all seeds are one training.
        """
        return self.draw == "seed"

    def _user_function(self, function: Function) -> UserFunction:
        try:
            return UserFunction(
                function.function if isinstance(function, UserFunction) else function, functions.grid(GRID, INTERVAL)
            )
        except ValueError as error:
            raise ValueError(f"{self.name}.function: {error}") from error.__cause__

    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        x, noise = self._draw_samples(seeds)
        points = functions.grid(GRID, INTERVAL)
        function = FUNCTIONS[self.function] if isinstance(self.function, str) else self.function
        true = functions.evaluate(function, points)
        return {
            "train": Examples(x.to(dtype), (functions.evaluate(function, x) + self.noise * noise).to(dtype)),
            "grid": Examples(*(column.to(dtype).expand(len(seeds), -1, -1) for column in (points, true))),
        }

    def _draw_samples(self, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Draw the points and standard normal noise of each seed, (K, n, 1) each, float64."""
        if self.draw == "course":
            rng = self._draw_weights(super().network(seeds[:1]), 0)
            x = torch.empty(self.samples).uniform_(*INTERVAL, generator=rng)
            noise = torch.randn(self.samples, generator=rng)
            drawn = torch.stack([x, noise]).double().view(2, 1, -1, 1).expand(-1, len(seeds), -1, -1)
            return drawn[0], drawn[1]
        rngs = generators(seeds, "data")
        x = functions.uniform(self.samples, INTERVAL, rngs)
        return x, torch.stack([torch.randn(self.samples, 1, generator=rng, dtype=torch.float64) for rng in rngs])

    def network(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Network:
        if self.draw == "seed":
            return super().network(seeds, dtype, device)
        return self.redrawn_network(
            seeds, lambda network, model, seed: self._draw_weights(network, model), dtype, device
        )

    def _draw_weights(self, network: Network, model: int) -> torch.Generator:
        """Draw the weights of a model as the course's script does, and return the generator, to draw the samples."""
        rng = torch.Generator().manual_seed(COURSE_SEED)
        network.redraw(model, rng)
        return rng

    def layers(self) -> list[Layer]:
        return mlp([1, *self.hidden, 1], activation=self.activation)

    def measure(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        """Return the errors of the models and the tables of their fits."""
        return super().measure(model, splits) | fit_tables(model, splits["grid"], functions.grid(GRID, INTERVAL))

    def recipe(self) -> Recipe:
        """Return a recipe with the curves `batch_loss`, `train_loss`, `grid_loss` and `lr`."""
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
    """Return the numbers up to `epochs` with at most two significant digits (1, …, 99, 100, 110, …), and `epochs`."""
    numbers = {digits * 10**power for digits in range(1, 100) for power in range(len(str(epochs)))}
    return sorted({number for number in numbers if number < epochs} | {epochs})


GRID_MSE = Metric("grid_mse", higher_is_better=False, curve="grid_loss")
