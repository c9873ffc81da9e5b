"""Boston housing with a feedforward net (report boston-mnist, part 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from labcheck import training
from labcheck.data import boston
from labcheck.data.examples import Examples, Part, digest, generators
from labcheck.labs.lab import Data, assumed
from labcheck.labs.supervised import StackedLab
from labcheck.metrics import Metric
from labcheck.models.model import Model
from labcheck.models.scratch.layers import Layer
from labcheck.models.scratch.network import mlp
from labcheck.models.scratch.schedules import PlateauSchedule
from labcheck.training import Recipe


@dataclass(frozen=True, kw_only=True)
class Boston(StackedLab):
    """An FNN with `hidden_layers` layers of one width, SGD on the squared error, the best-validation weights kept."""

    name: ClassVar[str] = "boston"
    units: ClassVar = {"mse": "(1000 $)²", "loss": "(1000 $)²", "mae": "1000 $"}

    hidden_layers: int = 1  # the default in the report's listing
    activation: str = "relu"
    optimizer: str = "sgd"
    lr: float = assumed(0.01, "the best of the learning-rate runs; those of depth and activation do not state theirs")
    width: int = assumed(64, "not stated; a common choice for 13 features")
    batch: int = assumed(32, "not stated; a common choice for 338 rows")
    epochs: int = assumed(100, "not stated; tanh is said to have converged at 60 and sigmoid to be far from it")
    momentum: float = assumed(0.0, "not stated; the default of torch.optim.SGD")
    patience: int = assumed(10, "of ReduceLROnPlateau, not stated; torch's default")
    factor: float = assumed(0.1, "of ReduceLROnPlateau, not stated; torch's default")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(0, "hidden_layers", "patience", "factor")
        self.at_least(1, "width", "batch", "epochs")

    def data(self) -> Data:
        return Data("boston", digest(*boston.load()))

    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Examples]:
        return boston.split(generators(seeds, "data"), dtype)

    def layers(self) -> list[Layer]:
        return mlp([13, *[self.width] * self.hidden_layers, 1], activation=self.activation)

    def recipe(self) -> Recipe:
        """Curves `batch_loss`, which the report plots as training loss, `val_loss`, `lr`."""
        return Recipe(
            optimizer=self.new_optimizer(),
            schedule=PlateauSchedule(self.patience, self.factor),
            lr=self.lr,
            batch=self.batch,
            epochs=self.epochs,
            best=True,
        )

    def measure(self, model: Model, parts: Mapping[str, Part]) -> dict[str, Tensor]:
        """Of the best-validation weights.

        `test_mse` (1000 dollars squared), `test_mae`, `test_r2`, `val_mse`; and `mean_val_mse`, what predicting the
        training mean gets.
        """
        errors = {part: training.predict(model, parts[part]) - parts[part].y.mT for part in ("val", "test")}
        squared = errors["test"].square().mean((1, 2))
        centre = parts["train"].y.mean(1, keepdim=True)
        return {
            "val_mse": errors["val"].square().mean((1, 2)),
            "test_mse": squared,
            "test_mae": errors["test"].abs().mean((1, 2)),
            "test_r2": 1 - squared / parts["test"].y.var(1, correction=0).squeeze(1),
            "mean_val_mse": (parts["val"].y - centre).square().mean((1, 2)),
        }


VAL_MSE = Metric("val_mse")
MEAN_VAL_MSE = Metric("mean_val_mse")
TEST_MSE = Metric("test_mse")
TEST_MAE = Metric("test_mae")
TEST_R2 = Metric("test_r2", higher_is_better=True, ratio=False)
FINAL_LOSS = Metric("final_loss")
