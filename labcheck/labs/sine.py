"""An MLP on sin x (report sine)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from labcheck.data import functions
from labcheck.data.examples import Examples, Part, generators
from labcheck.labs.lab import Data, assumed
from labcheck.labs.supervised import StackedLab, fit
from labcheck.metrics import Metric
from labcheck.models.model import Model
from labcheck.models.scratch.layers import Layer
from labcheck.models.scratch.network import mlp
from labcheck.models.scratch.schedules import PlateauSchedule, Schedule, StepSchedule
from labcheck.training import Recipe

NETS = ("shallow", "deep")
SCHEDULES = ("step", "plateau")
GRID = 1000


@dataclass(frozen=True, kw_only=True)
class Sine(StackedLab):
    """The deep net, ReLU, 1000 epochs in batches of 64, at the rate that the report ends with.

    It measures `train_mse`, `val_mse`, `test_mse` and `grid_mse`, over 1000 equally spaced points, of the last weights;
    the tables `grid_x`, `grid_true` and `grid_fit` are what it has learned at 200 of the points.
    """

    name: ClassVar[str] = "sine"

    net: str = "deep"
    activation: str = "relu"
    scheduled: bool = False
    batch: int = 64
    epochs: int = 1000
    lr: float = assumed(
        1e-4,
        "the rate that gave a proper loss curve; that of the runs on depth, activation and scheduler is not stated",
    )
    optimizer: str = assumed("adam", "not stated; plain SGD at a rate of 1e-4 would hardly move in 1000 epochs")
    momentum: float = assumed(0.0, "of SGD, not stated; torch's default")
    samples: int = assumed(8000, "400 epochs are 30,000 steps: 75 batches of 64, 4800 samples, here 60 % of all")
    shallow: tuple[int, ...] = assumed(
        (32,), "hidden widths, not stated; a small net that can fit one period of a sine"
    )
    deep: tuple[int, ...] = assumed((32, 32, 32), "hidden widths, not stated; three of the shallow net's layers")
    standardised: bool = assumed(False, "whether x is scaled is not stated")
    schedule: str = assumed("step", "adjusted by epoch, the report says, and not how; a common choice is StepLR")
    every: int = assumed(250, "epochs between two drops of StepLR, not stated; three drops in 1000 epochs")
    factor: float = assumed(0.1, "of a drop, not stated; torch's default")
    patience: int = assumed(10, "of ReduceLROnPlateau, should that be the schedule; torch's default")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("net", NETS)
        self.check("schedule", SCHEDULES)
        self.at_least(0, "factor", "patience")
        self.at_least(1, "batch", "epochs", "every", "shallow", "deep")
        self.at_least(10, "samples")

    def data(self) -> Data:
        return Data("drawn", functions.drawn(type(self)().parts([0], torch.float64)))

    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        x = functions.shuffled_draws(self.samples, generators(seeds, "data"))
        return functions.split(functions.sine, x, GRID, standardized=self.standardised, dtype=dtype)

    def measure(self, model: Model, parts: Mapping[str, Part]) -> dict[str, Tensor]:
        return super().measure(model, parts) | fit(model, parts["grid"], functions.grid(GRID, (0, functions.PERIOD)))

    def layers(self) -> list[Layer]:
        hidden = self.deep if self.net == "deep" else self.shallow
        return mlp([1, *hidden, 1], activation=self.activation)

    def recipe(self) -> Recipe:
        return Recipe(
            optimizer=self.new_optimizer(),
            schedule=self._schedule(),
            lr=self.lr,
            batch=self.batch,
            epochs=self.epochs,
        )

    def _schedule(self) -> Schedule:
        if not self.scheduled:
            return Schedule()
        if self.schedule == "step":
            return StepSchedule(self.every, self.factor)
        return PlateauSchedule(self.patience, self.factor)


VAL_MSE = Metric("val_mse")
TEST_MSE = Metric("test_mse")
