"""Handwritten digits with a small convolutional net (report boston-mnist, part 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from labcheck.data import augment
from labcheck.data.examples import generators
from labcheck.data.images import Selection
from labcheck.labs.images import ConvolutionLab, accuracy
from labcheck.labs.lab import assumed
from labcheck.metrics import Metric
from labcheck.models.cnn import cnn
from labcheck.models.scratch.losses import CrossEntropy
from labcheck.models.torch_model import initialize
from labcheck.training import Recipe


@dataclass(frozen=True, kw_only=True)
class Mnist(ConvolutionLab):
    """3000 digits at random, 2400 to train on and 600 to validate with; cross-entropy, best-validation weights kept.

    It measures losses, accuracies and confusion tables of train, val and test, and the same of the last weights.
    """

    name: ClassVar[str] = "mnist"
    scales: ClassVar = {"full": {"source": "real"}}

    layers: int = 2  # the default in the report's model
    kernel: int = 5  # what the report settles on
    dropout: float = 0.0
    norm: bool = False
    augmented: bool = False
    train_size: int = 2400
    val_size: int = 600
    optimizer: str = "adam"
    channels: tuple[int, ...] = assumed(
        (16, 32, 64, 128), "of the convolutions, not stated; doubled where a pooling quarters the image"
    )
    hidden: int = assumed(128, "width of the first fully connected layer, not stated")
    lr: float = assumed(1e-3, "not stated; torch's default for Adam")
    batch: int = assumed(64, "not stated; a common choice")
    epochs: int = assumed(16, "not stated; at least 15, after which two curves are said to have met")
    momentum: float = assumed(0.0, "of SGD, should that be the optimizer; torch's default")
    test_size: int = assumed(2000, "500 in the report; more tell finer differences apart")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "layers", "kernel", "train_size", "val_size", "channels", "hidden", "batch", "epochs")
        self.at_least(1, "test_size")
        self.at_least(0, "dropout")
        if self.dropout >= 1:
            raise ValueError(f"{self.name}.dropout is below 1, not {self.dropout!r}")
        if self.kernel % 2 == 0:
            raise ValueError(f"{self.name}.kernel is odd, not {self.kernel!r}")
        if self.layers > min(len(self.channels), 4):
            raise ValueError(
                f"{self.name}.layers is at most 4, as a fifth pooling would leave nothing, and at most the "
                f"{len(self.channels)} of channels, not {self.layers!r}"
            )

    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Selection]:
        sizes = {"train": self.train_size, "val": self.val_size, "test": self.test_size}
        return self.images.parts(sizes, generators(seeds, "data"), dtype)

    def module(self, seed: int, device: str = "cpu") -> nn.Module:
        net = cnn(
            self.channels[: self.layers],
            self.kernel,
            hidden=self.hidden,
            dropout=self.dropout,
            norm=self.norm,
            standardise=self.standardise(),
            bfloat16=self.bfloat16(device),
        )
        return initialize(net, seed)

    def recipe(self) -> Recipe:
        """Curves `batch_loss`, `batch_accuracy`, `val_loss`, `val_accuracy`, `lr`."""
        return Recipe(
            optimizer=self.new_optimizer(),
            lr=self.lr,
            batch=self.batch,
            epochs=self.epochs,
            loss=CrossEntropy(),
            augment=augmented if self.augmented else None,
            best=True,
        )


def augmented(x: Tensor) -> Tensor:
    """As in the report's listing: turned by up to 10°, shifted by up to a tenth, brightness times up to 1 ± 0.2."""
    return augment.brightened(augment.turned_and_shifted(x, degrees=10, shift=0.1), by=0.2)


TEST_ACCURACY = accuracy("test")
VAL_ACCURACY = accuracy("val")
VAL_LOSS = Metric("val_loss")
FINAL_LOSS = Metric("final_loss")


def by_digit(total: float, *digits: float) -> dict[Metric, float]:
    """A row of the report's tables: the test accuracy of all digits, and those of 0 to 9."""
    return {TEST_ACCURACY: total} | {accuracy("test", digit): value for digit, value in enumerate(digits)}
