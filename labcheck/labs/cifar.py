"""CIFAR-10 with ResNet-20 (report curve-cifar, exercise 2)."""

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
from labcheck.models.resnet import resnet20
from labcheck.models.scratch.losses import CrossEntropy
from labcheck.models.scratch.optimizers import SGD, Succession
from labcheck.models.scratch.schedules import Schedule, StepSchedule
from labcheck.models.torch_model import initialize
from labcheck.training import Recipe


@dataclass(frozen=True, kw_only=True)
class Cifar(ConvolutionLab):
    """Five epochs, then a new optimizer, without momentum and with weight decay, for five more.

    It trains on `train_size` images at random, or on all where there are no more, and so it tests.
    It measures losses, accuracies and confusion tables of train and test, of the last weights.
    """

    name: ClassVar[str] = "cifar"
    scales: ClassVar = {"quick": {"train_size": 5000, "test_size": 2000}, "full": {"source": "real"}}

    dropped: bool = True  # whether the new optimizer has a tenth of the learning rate
    train_size: int = 50_000
    test_size: int = 10_000
    batch: int = 128
    epochs: int = 10
    drop: int = 5  # epochs before it
    lr: float = 0.1
    factor: float = 0.1
    weight_decay: float = 5e-4  # of the new optimizer
    optimizer: str = "sgd"
    momentum: float = assumed(0.9, "of the first optimizer, not stated; the usual one with ResNets, 0.9")
    augmented: bool = assumed(True, "not stated; crops and mirror images are usual on CIFAR-10")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(0, "factor", "weight_decay")
        self.at_least(1, "train_size", "test_size", "batch", "epochs", "drop")

    @property
    def _trained(self) -> int:
        return min(self.train_size, self.images.known)

    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Selection]:
        sizes = {"train": self._trained, "test": min(self.test_size, self.images.tests)}
        return self.images.parts(sizes, generators(seeds, "data"), dtype)

    def module(self, seed: int, device: str = "cpu") -> nn.Module:
        return initialize(resnet20(standardise=self.standardise(), bfloat16=self.bfloat16(device)), seed)

    def recipe(self) -> Recipe:
        """Curves `batch_loss`, `batch_accuracy` (the report's of training), `test_loss`, `test_accuracy`, `lr`."""
        steps = -(-self._trained // self.batch)
        new = SGD(weight_decay=self.weight_decay)
        return Recipe(
            optimizer=Succession(self.new_optimizer(), self.drop * steps, new),
            schedule=StepSchedule(self.drop, self.factor) if self.dropped else Schedule(),
            lr=self.lr,
            batch=self.batch,
            epochs=self.epochs,
            loss=CrossEntropy(),
            augment=augmented if self.augmented else None,
            watch=("test",),
        )


def augmented(x: Tensor) -> Tensor:
    """The usual: crops of the image with a black border of 4 pixels, half of them mirrored."""
    return augment.cropped_and_flipped(x, padding=4)


TEST_ACCURACY = accuracy("test")
