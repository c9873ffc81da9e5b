"""Handwritten digits with a small convolutional net (report boston-mnist, part 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from labcheck.core.assumptions import assumed
from labcheck.core.curve_metrics import geometric_mean
from labcheck.core.metrics import Metric
from labcheck.data import augment
from labcheck.data.examples import generators
from labcheck.data.images import Selection
from labcheck.labs.images import ConvolutionLab, accuracy, precision
from labcheck.nn.cnn import DROPOUT_PLACES, cnn
from labcheck.nn.scratch.losses import CrossEntropy
from labcheck.nn.torch_model import initialize
from labcheck.nn.training import Recipe

DROPOUTS = ("none", "low", "moderate", "high")
VARIATIONS: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": "moderate"},
    "kernel": {"kernel": 3},
    "depth": {"layers": 4},
}


@dataclass(frozen=True, kw_only=True)
class Mnist(ConvolutionLab):
    """3000 digits at random, 2400 to train on and 600 to validate with; cross-entropy, best-validation weights kept.

    It measures losses, accuracies, precisions and confusion tables of train, val and test, and the same of the last
    weights.

    Attributes:
        dropout: "none", or "low", "moderate" or "high" for one of `dropout_rates`.
        varied: whether `variation` is made, for the second of the two settings in which BatchNorm was tried.
    """

    name: ClassVar[str] = "mnist"
    dataset: ClassVar[str] = "mnist"
    scales: ClassVar = {"full": {"data_source": "real"}}

    layers: int = 2  # the default in the report's model
    kernel: int = 5  # what the report settles on
    dropout: str = "none"
    norm: bool = False
    varied: bool = False
    augmented: bool = False
    train_size: int = 2400
    val_size: int = 600
    test_size: int = 500
    optimizer: str = "adam"
    channels: tuple[int, ...] = assumed(
        (16, 32, 64, 128),
        "of the convolutions, not stated; doubled where a pooling quarters the image",
        (8, 16, 32, 64),
        (32, 64, 128, 256),
    )
    hidden: int = assumed(128, "width of the first fully connected layer, not stated", 64, 256)
    lr: float = assumed(1e-3, "not stated; torch's default for Adam", 5e-4, 1e-2)
    batch: int = assumed(64, "not stated; a common choice", 32, 128)
    epochs: int = assumed(16, "not stated; at least 15, after which two curves are said to have met", 20)
    dropout_rates: tuple[float, ...] = assumed(
        (0.25, 0.5, 0.75),
        "low, moderate and high; the report tries four rates and names none, one of them is taken to be 0",
        (0.2, 0.4, 0.8),
        (0.3, 0.5, 0.9),
    )
    dropout_place: str = assumed(
        "hidden",
        "not stated; after the first fully connected layer, the usual place: 'features' is before it, 'both' is both",
        "features",
        "both",
    )
    variation: str = assumed(
        "dropout",
        "BatchNorm is tried in two settings that are not stated: the base one, and one with a moderate dropout rate, "
        "with 3×3 kernels or with four convolutions",
        "kernel",
        "depth",
    )
    momentum: float = assumed(0.0, "of SGD, should that be the optimizer; torch's default")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("dropout", DROPOUTS)
        self.require_choice("dropout_place", DROPOUT_PLACES)
        self.require_choice("variation", VARIATIONS)
        self.require_at_least(1, "layers", "kernel", "train_size", "val_size", "channels", "hidden", "batch", "epochs")
        self.require_at_least(1, "test_size")
        self.require_at_least(0, "dropout_rates")
        if len(self.dropout_rates) != len(DROPOUTS) - 1 or max(self.dropout_rates) >= 1:
            raise ValueError(
                f"{self.name}.dropout_rates must be three rates below 1, for low, moderate and high, got "
                f"{self.dropout_rates!r}"
            )
        if self.kernel % 2 == 0:
            raise ValueError(f"{self.name}.kernel is odd, not {self.kernel!r}")
        if self.layers > min(len(self.channels), 4):
            raise ValueError(
                f"{self.name}.layers is at most 4, as a fifth pooling would leave nothing, and at most the "
                f"{len(self.channels)} of channels, not {self.layers!r}"
            )

    @property
    def rate(self) -> float:
        """Return the dropout rate."""
        return (0.0, *self.dropout_rates)[DROPOUTS.index(self.dropout)]

    def brief(self) -> Self:
        return replace(self, epochs=1)

    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Selection]:
        sizes = {"train": self.train_size, "val": self.val_size, "test": self.test_size}
        return self.images.splits(sizes, generators(seeds, "data"), dtype)

    def module(self, seed: int, device: str = "cpu") -> nn.Module:
        lab = replace(self, varied=False, **VARIATIONS[self.variation]) if self.varied else self
        net = cnn(
            lab.channels[: lab.layers],
            lab.kernel,
            hidden=lab.hidden,
            dropout=lab.rate,
            dropout_place=lab.dropout_place,
            norm=lab.norm,
            standardize=lab.standardize(),
            bfloat16=lab.bfloat16(device),
        )
        return initialize(net, seed)

    def recipe(self) -> Recipe:
        """Curves `batch_loss`, `batch_accuracy`, `val_loss`, `val_accuracy`, `lr`."""
        return Recipe(
            optimizer=self.new_optimizer,
            lr=self.lr,
            batch=self.batch,
            epochs=self.epochs,
            loss=CrossEntropy,
            augment=augmented if self.augmented else None,
            restore_best=True,
        )


def augmented(x: Tensor) -> Tensor:
    """As in the report's listing: turned by up to 10°, shifted by up to a tenth, brightness times up to 1 ± 0.2."""
    return augment.brightened(augment.turned_and_shifted(x, degrees=10, shift=0.1), by=0.2)


TESTED = 500
"""The report's test images; on the full set it has 10,000."""
TRAIN_ACCURACY = accuracy("train")
VAL_ACCURACY = accuracy("val")
TEST_ACCURACY = accuracy("test")
VAL_LOSS = Metric("val_loss", higher_is_better=False)
LATE_VAL_ACCURACY = geometric_mean("val_accuracy", -5, rising=True)
"""The validation accuracy that a training ends with: the mean over its last five epochs."""
POINT = 0.011
"""One point of accuracy: five of 500 images, and a little, so that rounding does not decide."""


def by_digit(total: float, *digits: float) -> Mapping[Metric, float]:
    """Return a row of the report's tables: the test accuracy of all digits, and the precision of each from 0 to 9."""
    return {TEST_ACCURACY: total} | {precision("test", digit): value for digit, value in enumerate(digits)}
