"""An MLP on sin x + cos x + sin x cos x (report trig)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from labcheck import training
from labcheck.data import functions
from labcheck.data.examples import Examples, Part, generators
from labcheck.labs.lab import Data, assumed
from labcheck.labs.supervised import StackedLab
from labcheck.metrics import Metric
from labcheck.models.model import Model
from labcheck.models.scratch.initializers import INITS
from labcheck.models.scratch.layers import Layer
from labcheck.models.scratch.network import mlp
from labcheck.models.scratch.schedules import PlateauSchedule, Schedule, StepSchedule
from labcheck.training import Recipe

SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "constant": Schedule,
    "step": lambda: StepSchedule(every=10),
    "plateau": lambda: PlateauSchedule(patience=10),
}
GRID = 10_000
CHECK_EVERY = 10
"""Epochs between looks at the learning rate, as in the report's listing."""


@dataclass(frozen=True, kw_only=True)
class Trig(StackedLab):
    """The report's base net and training, as its Table 1 ends: BatchNorm, Xavier, two powers, widths 10-100-10."""

    name: ClassVar[str] = "trig"
    scales: ClassVar = {"quick": {"max_epochs": 300}}

    powers: int = 2
    hidden: tuple[int, ...] = (10, 100, 10)
    activation: str = "relu"
    norm: bool = True
    init: str = "xavier_normal"
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    schedule: str = "plateau"
    stop_lr: float = 1e-4
    max_epochs: int = 10_000
    train_curve: bool = False  # whether the training part is looked at after each epoch, which takes a while
    samples: int = assumed(1000, "not stated; the argument num_samples has no default in the listing")
    batch: int = assumed(32, "not stated; a common choice for 600 training samples")
    output_norm: bool = assumed(
        False,
        "whether the output layer has BatchNorm where the hidden ones do is not stated; it seldom has. But without it "
        "learning rate 1 and momentum 0.99 diverge, for which the report prints ordinary losses",
    )
    running: bool = assumed(
        False, "the listing never calls model.eval(), so BatchNorm validates with the statistics of what it is shown"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("init", INITS)
        self.check("schedule", SCHEDULES)
        self.at_least(0, "stop_lr")
        self.at_least(1, "powers", "max_epochs", "hidden")
        self.at_least(2, "batch")
        self.at_least(10, "samples")  # two to validate with

    @property
    def widths(self) -> list[int]:
        """Of every layer, input and output included, as the report counts depth."""
        return [self.powers, *self.hidden, 1]

    @property
    def stack(self) -> int:
        """Fewer side by side where the weights of twenty would not stay in a processor's cache."""
        return 20 if sum(a * b for a, b in pairwise(self.widths)) < 20_000 else 5

    def data(self) -> Data:
        return Data("drawn", functions.drawn(type(self)().parts([0], torch.float64)))

    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        rngs = generators(seeds, "data")
        return functions.split(functions.trig, self.samples, GRID, rngs, powers=self.powers, dtype=dtype)

    def layers(self) -> list[Layer]:
        return mlp(
            self.widths,
            activation=self.activation,
            norm=self.norm,
            output_norm=self.norm and self.output_norm,
            running=self.running,
            init=self.init,
        )

    def recipe(self) -> Recipe:
        """Curves `val_loss` and, if wanted, `train_loss` as the report plots them, `batch_loss`, `lr`."""
        return Recipe(
            optimizer=self.new_optimizer(),
            schedule=SCHEDULES[self.schedule](),
            lr=self.lr,
            batch=self.batch,
            epochs=self.max_epochs,
            watch=("val", "train") if self.train_curve else ("val",),
            finished=self._finished,
        )

    def measure(self, model: Model, parts: Mapping[str, Part]) -> dict[str, Tensor]:
        """Of the last weights.

        `train_mse`, `val_mse`, `test_mse` and `grid_mse` (over 10,000 equally spaced points); the largest and smallest
        squared error there, `grid_max` and `grid_min`; `grid_below`, the share of points with ln of it below −5; the
        tables `grid_x` and `grid_error`, the squared error at 200 of the points.
        """
        errors = {name: (training.predict(model, part) - part.y.mT).square().squeeze(1) for name, part in parts.items()}
        grid = errors["grid"]
        return {
            **{f"{name}_mse": squared.mean(1) for name, squared in errors.items()},
            "grid_max": grid.amax(1),
            "grid_min": grid.amin(1),
            "grid_below": torch.where(grid.isfinite().all(1), (grid.log() < -5).double().mean(1), torch.nan),
            **functions.shown({"x": functions.grid(GRID, (0, functions.PERIOD)).mT, "error": grid}),
        }

    def _finished(self, epoch: int, lr: Tensor) -> Tensor:
        return lr < self.stop_lr if epoch % CHECK_EVERY == 0 else torch.zeros_like(lr, dtype=torch.bool)


VAL_MSE = Metric("val_mse")
