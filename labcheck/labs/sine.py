"""A multilayer perceptron on sin x (report sine)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from labcheck.core.assumptions import Alternative, assumed, known
from labcheck.core.metrics import Metric
from labcheck.data import functions
from labcheck.data.examples import Examples, Order, Split, generators
from labcheck.labs.supervised import FunctionLab, fit_tables, squared_errors
from labcheck.nn.model import Model
from labcheck.nn.scratch.layers import Layer
from labcheck.nn.scratch.network import mlp
from labcheck.nn.scratch.optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from labcheck.nn.scratch.schedules import Schedule, StepSchedule
from labcheck.nn.training import Recipe

NETS = ("shallow", "deep")
SAMPLINGS = ("spaced", "random")
GRID = 1000
"""The number of points of the grid on which a fit is evaluated."""


@dataclass(frozen=True, kw_only=True)
class Sine(FunctionLab):
    """A multilayer perceptron that learns sin x; the defaults are the base run, which all comparisons share.

    Each epoch has the same batches unless they are shuffled. Only the initial weights and the split depend on the seed.

    Attributes:
        net: "shallow" or "deep".
        activation: The activation of the hidden layers.
        scheduled: Whether the learning rate drops.
        batch: The batch size.
        epochs: The number of epochs.
        lr: The initial learning rate.
        optimizer: "adam" or "sgd".
        weight_decay: The weight decay of Adam and SGD.
        amsgrad: Whether Adam uses the AMSGrad variant.
        momentum: The momentum of SGD.
        samples: The number of samples.
        sampling: "spaced" for equally spaced samples, or "random" for those that each seed draws uniformly.
        shuffled: Whether each epoch has its own random batches.
        shallow: The widths of the hidden layers of the shallow network.
        deep: The widths of the hidden layers of the deep network.
        standardized: Whether inputs are standardized.
        every: The number of epochs between two drops of the learning rate.
        factor: The factor by which the learning rate drops.
        best_every: The number of epochs between two checks for the lowest validation loss.
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
        "The rate in the report's script; its curves show that the runs on depth and activation share the base run",
        Alternative(1e-3, "The text names 1e-4 only where it compares rates; this is torch's default for Adam"),
    )
    optimizer: str = known("adam", "script", "The optimizer in the report's script")
    weight_decay: float = known(
        5e-4,
        "script",
        "The weight decay of Adam in the report's script, also used for SGD",
        Alternative(0.0, "The text does not mention weight decay; this is torch's default"),
    )
    amsgrad: bool = known(
        True,
        "script",
        "The variant of Adam in the report's script",
        Alternative(False, "The text does not mention the variant; this is torch's default"),
    )
    momentum: float = assumed(0.0, "The momentum of SGD, which the report does not use; this is torch's default")
    samples: int = known(
        10_000,
        "numbers",
        "Equally spaced points of [0, 2π], split at random into 6000, 2000 and 2000 (the report's script): with 94 "
        "batches of 64 per epoch, the last step of its curves, 93,996, is 999 · 94 + 90",
    )
    sampling: str = known(
        "spaced",
        "script",
        "The report's script takes equally spaced points; with 'random', each seed draws them uniformly from [0, 2π)",
        Alternative("random", "The text says only that there are enough samples; random ones are as common"),
    )
    shuffled: bool = known(
        False,
        "script",
        "The report's script does not shuffle its batches",
        Alternative(True, "The text does not mention the order of the batches; to shuffle them is usual"),
    )
    shallow: tuple[int, ...] = known(
        (8, 16, 8),
        "script",
        "The hidden widths in the report's picture of the networks",
        Alternative((32,), "The text does not state the widths; a network with one hidden layer is called shallow"),
        Alternative((32, 32), "The text does not state the widths; this is a usual size for such a function"),
    )
    deep: tuple[int, ...] = known(
        (8, 16, 32, 16, 8),
        "script",
        "The hidden widths in the report's picture of the networks",
        Alternative((32, 32, 32, 32), "The text does not state the widths; equal ones are the usual choice"),
    )
    standardized: bool = assumed(
        False,
        "Whether x is standardized is not stated, and there is no sign that it is",
        Alternative(True, "A usual step before training, which a short text may leave out"),
    )
    every: int = known(
        250,
        "script",
        "The number of epochs between two drops of StepLR, for which the report's script counts batches",
        Alternative(100, "The text refers to epochs without a number; its curves have a record every 100 epochs"),
    )
    factor: float = known(0.8, "script", "The factor of StepLR in the report's script")
    best_every: int = assumed(
        100,
        "The report's script tests the weights with the lowest validation loss, and its curves have a validation loss "
        "every 100 epochs",
        Alternative(1, "The usual check of the validation loss is after each epoch"),
        Alternative(1000, "The text does not say that the best weights are tested; these are the last ones"),
        grade="likely",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("net", NETS)
        self.require_choice("sampling", SAMPLINGS)
        self.require_at_least(0, "factor", "weight_decay")
        self.require_at_least(1, "batch", "epochs", "every", "best_every", "shallow", "deep")
        self.require_at_least(10, "samples")  # so that there are two for validation

    def is_plausible(self) -> bool:
        """Return whether the deep network has more hidden layers than the shallow one."""
        return len(self.deep) > len(self.shallow)

    @property
    def optimizers(self) -> Mapping[str, Callable[[float], Optimizer]]:
        return {
            **OPTIMIZERS,
            "sgd": lambda momentum: SGD(momentum, self.weight_decay),
            "adam": lambda momentum: Adam(self.weight_decay, self.amsgrad),
        }

    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        draw = functions.shuffled_draws if self.sampling == "random" else functions.shuffled_points
        x = draw(self.samples, generators(seeds, "data"))
        return functions.split_samples(functions.sine, x, GRID, standardized=self.standardized, dtype=dtype)

    def orders(self, seeds: Sequence[int]) -> list[Order]:
        """Return the order of the split for each epoch unless batches are shuffled, as the report's script does not."""
        return super().orders(seeds) if self.shuffled else [lambda n: torch.arange(n)] * len(seeds)

    def measure(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        """Return the errors of the models and the tables of their fits.

        The metrics are `train_mse`, `val_mse`, `test_mse` and `grid_mse`, on 1000 equally spaced points, and
        `train_sum`, `val_sum` and `test_sum`, which the report prints: the sum over minibatches, the last of which is
        smaller, of their mean squared errors. The tables `grid_x`, `grid_true` and `grid_fit` are the function and its
        fit at 200 of the points.
        """
        errors = squared_errors(model, splits)
        return {
            **{f"{name}_mse": squared.mean(1) for name, squared in errors.items()},
            **{f"{name}_sum": sum_of_means(errors[name], self.batch) for name in ("train", "val", "test")},
            **fit_tables(model, splits["grid"], functions.grid(GRID, (0, functions.PERIOD))),
        }

    def layers(self) -> list[Layer]:
        hidden = self.deep if self.net == "deep" else self.shallow
        return mlp([1, *hidden, 1], activation=self.activation)

    def recipe(self) -> Recipe:
        """Return a recipe with the curves `batch_loss`, `val_loss` and `lr`."""
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
    """Return the sum (K,) of the means of consecutive minibatches of errors (K, N)."""
    return torch.stack([chunk.mean(1) for chunk in torch.split(errors, batch, 1)], 1).sum(1)


TEST_MSE = Metric("test_mse", higher_is_better=False)
TEST_SUM = Metric("test_sum", higher_is_better=False)
"""The printed test loss, of the weights with the lowest validation loss."""
FINAL_TRAIN_SUM = Metric("final_train_sum", higher_is_better=False)
FINAL_VAL_SUM = Metric("final_val_sum", higher_is_better=False)
"""The last validation loss of a curve; `FINAL_TRAIN_SUM` is the last training loss."""
