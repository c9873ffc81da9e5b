"""An MLP on sin x + cos x + sin x cos x (report trig)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from labcheck import training
from labcheck.data import functions
from labcheck.data.examples import Examples, digest, generators
from labcheck.labs.lab import Data, Lab, assumed
from labcheck.metrics import Metric, Trials
from labcheck.models.layers import ACTIVATIONS, INITS, MSE
from labcheck.models.network import Network, mlp
from labcheck.optim import OPTIMIZERS, PlateauSchedule, Schedule, StepSchedule

SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "constant": Schedule,
    "step": lambda: StepSchedule(every=10),
    "plateau": lambda: PlateauSchedule(patience=10),
}
GRID = 10_000
CHECK_EVERY = 10
"""Epochs between looks at the learning rate, as in the report's listing."""


@dataclass(frozen=True, kw_only=True)
class Trig(Lab):
    """The report's base net and training, as its Table 1 ends: BatchNorm, Xavier, two powers, widths 10-100-10."""

    name: ClassVar[str] = "trig"
    scales: ClassVar = {"quick": {"max_epochs": 300}}

    powers: int = 2
    hidden: Sequence[int] = (10, 100, 10)
    activation: str = "relu"
    norm: bool = True
    init: str = "xavier_normal"
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    schedule: str = "plateau"
    stop_lr: float = 1e-4
    max_epochs: int = 10_000
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
        self.check("activation", ACTIVATIONS)
        self.check("init", INITS)
        self.check("optimizer", OPTIMIZERS)
        self.check("schedule", SCHEDULES)
        self.at_least(0, "lr", "momentum", "stop_lr")
        self.at_least(1, "powers", "max_epochs")
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

    @classmethod
    def data(cls) -> Data:
        parts = cls()._parts([0], torch.float64).values()
        rounded = [(number * 1e4).round() for part in parts for number in (part.x, part.y)]  # as on any processor
        return Data("drawn", digest(*rounded))

    def _parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        rngs = generators(seeds, "data")
        return functions.sample(functions.trig, self.samples, self.powers, GRID, rngs, dtype)

    def train(self, seeds: Sequence[int], device: str = "cpu", dtype: torch.dtype = torch.float32) -> Trials:
        """Train one net with each seed.

        Returns:
            Metrics `train_mse`, `val_mse`, `test_mse` and `grid_mse` (over 10,000 equally spaced points) of the last
            weights, `grid_max` and `grid_min`, the largest and smallest squared error of those points, `grid_below`,
            the share of them with ln of it below −5; curves `batch_loss`, and `train_loss` and
            `val_loss` as the report plots them, after each epoch, and `lr`.
        """
        parts = {name: part.to(device) for name, part in self._parts(seeds, dtype).items()}
        layers = mlp(
            self.widths,
            activation=self.activation,
            norm=self.norm,
            output_norm=self.norm and self.output_norm,
            running=self.running,
            init=self.init,
        )
        network = Network(layers, generators(seeds, "init"), dtype, device)
        history = training.train(
            network,
            parts,
            generators(seeds, "order"),
            loss=MSE(),
            optimizer=OPTIMIZERS[self.optimizer](self.momentum),
            schedule=SCHEDULES[self.schedule](),
            lr=self.lr,
            batch=self.batch,
            epochs=self.max_epochs,
            watch=("val", "train"),
            finished=self._finished,
        )
        errors = {name: (network.predict(part.x) - part.y.mT).square().squeeze(1) for name, part in parts.items()}
        grid = errors["grid"]
        return history.trials(
            **{f"{name}_mse": squared.mean(1) for name, squared in errors.items()},
            grid_max=grid.amax(1),
            grid_min=grid.amin(1),
            grid_below=torch.where(grid.isfinite().all(1), (grid.log() < -5).double().mean(1), torch.nan),
        )

    def _finished(self, epoch: int, lr: Tensor) -> Tensor:
        return lr < self.stop_lr if epoch % CHECK_EVERY == 0 else torch.zeros_like(lr, dtype=torch.bool)


VAL_MSE = Metric("val_mse")
