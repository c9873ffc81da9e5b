"""An MLP on sin x (report sine)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from labcheck.core.assumptions import assumed, known
from labcheck.core.lab import Data
from labcheck.core.metrics import Metric
from labcheck.data import functions
from labcheck.data.examples import Examples, Order, Split, generators
from labcheck.labs.supervised import StackedLab, fit
from labcheck.nn import training
from labcheck.nn.model import Model
from labcheck.nn.scratch.layers import Layer
from labcheck.nn.scratch.network import mlp
from labcheck.nn.scratch.optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from labcheck.nn.scratch.schedules import Schedule, StepSchedule
from labcheck.nn.training import Recipe

NETS = ("shallow", "deep")
GRID = 1000


@dataclass(frozen=True, kw_only=True)
class Sine(StackedLab):
    """The base run that all comparisons share: the shallow net, ReLU, 1000 epochs at a constant rate of 1e-4.

    Training takes its batches in one fixed order; only the initial weights and the split depend on the seed.
    """

    name: ClassVar[str] = "sine"

    net: str = "shallow"
    activation: str = "relu"
    scheduled: bool = False
    batch: int = 64
    epochs: int = 1000
    lr: float = known(
        1e-4,
        "script",
        "the report's script; the runs on depth and activation share the base run, as its curves show",
    )
    optimizer: str = known("adam", "script", "the report's script")
    weight_decay: float = known(5e-4, "script", "of Adam and SGD; the report's script")
    amsgrad: bool = known(True, "script", "of Adam; the report's script")
    momentum: float = assumed(0.0, "of SGD, which the report does not use; torch's default")
    samples: int = known(
        10_000,
        "numbers",
        "equally spaced points of [0, 2π], split at random 6000/2000/2000 (the report's script): the last step of its "
        "curves is 93,996 = 999 · 94 + 90, of 94 batches of 64 an epoch",
    )
    shallow: tuple[int, ...] = known((8, 16, 8), "script", "hidden widths, in the report's picture of its nets")
    deep: tuple[int, ...] = known((8, 16, 32, 16, 8), "script", "hidden widths, in the report's picture of its nets")
    standardized: bool = assumed(False, "whether x is scaled is not stated; nothing speaks for it", True)
    every: int = known(250, "script", "epochs between two drops of StepLR, which the report's script counts in batches")
    factor: float = known(0.8, "script", "of a drop; the report's script")
    best_every: int = assumed(
        100,
        "epochs between looks for the lowest validation loss, whose weights are tested (the report's script); its "
        "curves have a validation loss every 100 epochs",
        1,
        grade="likely",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("net", NETS)
        self.require_at_least(0, "factor", "weight_decay")
        self.require_at_least(1, "batch", "epochs", "every", "best_every", "shallow", "deep")
        self.require_at_least(10, "samples")

    @property
    def optimizers(self) -> Mapping[str, Callable[[float], Optimizer]]:
        return {
            **OPTIMIZERS,
            "sgd": lambda momentum: SGD(momentum, self.weight_decay),
            "adam": lambda momentum: Adam(self.weight_decay, self.amsgrad),
        }

    def data(self) -> Data:
        return Data("drawn", functions.drawn(type(self)().splits([0], torch.float64)))

    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        x = functions.shuffled_points(self.samples, generators(seeds, "data"))
        return functions.split_samples(functions.sine, x, GRID, standardized=self.standardized, dtype=dtype)

    def orders(self, seeds: Sequence[int]) -> list[Order]:
        """Return the order of every epoch, in which the split has left the examples: the script does not shuffle."""
        return [lambda n: torch.arange(n)] * len(seeds)

    def measure(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        """Measure the weights of the lowest validation loss.

        `train_mse`, `val_mse`, `test_mse` and `grid_mse`, over 1000 equally spaced points; `train_sum`, `val_sum` and
        `test_sum`, which the report prints: the sum over minibatches, of 64 and a smaller last one, of their mean
        squared errors; the tables `grid_x`, `grid_true` and `grid_fit`, the function and what was learned of it at 200
        of the points.
        """
        errors = {
            name: (training.predict(model, split) - split.y.mT).square().squeeze(1) for name, split in splits.items()
        }
        printed = ("train", "val", "test")
        return {
            **{f"{name}_mse": squared.mean(1) for name, squared in errors.items()},
            **{f"{name}_sum": sum_of_means(errors[name], self.batch) for name in printed},
            **fit(model, splits["grid"], functions.grid(GRID, (0, functions.PERIOD))),
        }

    def layers(self) -> list[Layer]:
        hidden = self.deep if self.net == "deep" else self.shallow
        return mlp([1, *hidden, 1], activation=self.activation)

    def recipe(self) -> Recipe:
        return Recipe(
            optimizer=self.new_optimizer,
            schedule=partial(StepSchedule, self.every, self.factor) if self.scheduled else Schedule,
            lr=self.lr,
            batch=self.batch,
            epochs=self.epochs,
            restore_best=True,
            best_every=min(self.best_every, self.epochs),
        )


def sum_of_means(errors: Tensor, batch: int) -> Tensor:
    """Sum the means of consecutive minibatches of errors (K, N) → (K,)."""
    return torch.stack([chunk.mean(1) for chunk in torch.split(errors, batch, 1)]).sum(0)


TEST_MSE = Metric("test_mse", higher_is_better=False)
TEST_SUM = Metric("test_sum", higher_is_better=False)
"""The printed test loss, of the weights of the lowest validation loss."""
FINAL_TRAIN_SUM = Metric("final_train_sum", higher_is_better=False)
FINAL_VAL_SUM = Metric("final_val_sum", higher_is_better=False)
"""The last losses of a run's curves."""
