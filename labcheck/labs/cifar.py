"""CIFAR-10 with ResNet-20 (report curve-cifar, exercise 2)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from labcheck.core.assumptions import known
from labcheck.core.metrics import Metric
from labcheck.data import augment
from labcheck.data.examples import generators
from labcheck.data.images import Selection
from labcheck.labs.images import ConvolutionLab, accuracy
from labcheck.nn.resnet import resnet20
from labcheck.nn.scratch.losses import CrossEntropy
from labcheck.nn.scratch.optimizers import SGD, Optimizer
from labcheck.nn.scratch.schedules import Schedule, StepSchedule
from labcheck.nn.torch_model import Standardize, initialize
from labcheck.nn.training import Recipe

NORMALIZATIONS = ("report", "data")
MEANS, DEVIATIONS = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""Of the red, green and blue pixels, as the course's script has them."""


@dataclass(frozen=True, kw_only=True)
class Cifar(ConvolutionLab):
    """Five epochs at a learning rate of .1, then five at .01; SGD with weight decay, and without momentum.

    The report's script makes a new optimizer after five epochs. Without momentum it has nothing to forget, so that the
    old and the new one differ in the rate alone.

    It trains on `train_size` images at random, or on all where there are no more, and so it tests.
    It measures losses, accuracies, precisions and confusion tables of train and test, of the last weights.

    Attributes:
        dropped: whether the rate drops to a tenth.
        drop: epochs before it does.
    """

    name: ClassVar[str] = "cifar"
    dataset: ClassVar[str] = "cifar"
    # in batches of 16, 5000 images make 313 steps an epoch, about the report's 391, and the stand-in's 640 make 40
    scales: ClassVar = {"quick": {"train_size": 5000, "test_size": 2000, "batch": 16}, "full": {"data_source": "real"}}

    dropped: bool = True
    train_size: int = 50_000
    test_size: int = 10_000
    batch: int = 128
    epochs: int = 10
    drop: int = 5
    lr: float = 0.1
    factor: float = 0.1
    optimizer: str = "sgd"
    weight_decay: float = known(
        5e-4, "script", "in both phases: in the report's listing for the second one, in its script for the first too"
    )
    momentum: float = known(0.0, "script", "in both phases: neither optimizer of the report's script is given any")
    augmented: bool = known(
        True, "script", "random crops with a black border of 4 pixels, half of them mirrored (the course's script)"
    )
    normalization: str = known(
        "report",
        "script",
        "pixels less .4914, .4822, .4465 and by .2023, .1994, .2010 (the course's script); 'data' takes the moments of "
        "the training images at hand",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("normalization", NORMALIZATIONS)
        self.require_at_least(0, "factor", "weight_decay")
        self.require_at_least(1, "train_size", "test_size", "batch", "epochs", "drop")

    @property
    def optimizers(self) -> Mapping[str, Callable[[float], Optimizer]]:
        return {"sgd": lambda momentum: SGD(momentum, self.weight_decay)}

    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Selection]:
        sizes = {"train": min(self.train_size, self.images.known), "test": min(self.test_size, self.images.tests)}
        return self.images.splits(sizes, generators(seeds, "data"), dtype)

    def standardize(self) -> Standardize:
        if self.normalization == "data":
            return super().standardize()
        return Standardize(*(torch.tensor(numbers, dtype=torch.float64) for numbers in (MEANS, DEVIATIONS)))

    def module(self, seed: int, device: str = "cpu") -> nn.Module:
        return initialize(resnet20(standardize=self.standardize(), bfloat16=self.bfloat16(device)), seed)

    def recipe(self) -> Recipe:
        """Curves `batch_loss`, `batch_accuracy` (the report's of training), `test_loss`, `test_accuracy`, `lr`."""
        return Recipe(
            optimizer=self.new_optimizer,
            schedule=partial(StepSchedule, self.drop, self.factor) if self.dropped else Schedule,
            lr=self.lr,
            batch=self.batch,
            epochs=self.epochs,
            loss=CrossEntropy,
            augment=augmented if self.augmented else None,
            monitor=("test",),
        )


def augmented(x: Tensor) -> Tensor:
    """The usual: crops of the image with a black border of 4 pixels, half of them mirrored."""
    return augment.cropped_and_flipped(x, padding=4)


TEST_ACCURACY = accuracy("test")
LOGS: dict[str, dict[str, dict[int, float]]] = {
    "classmate 1": {
        "test_accuracy": dict(enumerate((0.479, 0.505, 0.621, 0.606, 0.655, 0.736, 0.741, 0.743, 0.746, 0.748), 1)),
        "batch_accuracy": dict(enumerate((0.374, 0.541, 0.614, 0.658, 0.692, 0.732, 0.742, 0.746, 0.749, 0.754), 1)),
    },
    "classmate 2": {
        "test_accuracy": dict(enumerate((0.427, 0.454, 0.580, 0.608, 0.629, 0.735, 0.740, 0.743, 0.746, 0.750), 1))
    },
    "classmate 3": {
        "test_accuracy": dict(enumerate((0.484, 0.549, 0.454, 0.559, 0.627, 0.730, 0.739, 0.744, 0.747, 0.753), 1))
    },
    "classmate 4": {"test_accuracy": {5: 0.640}},
    "classmate 5": {"test_accuracy": {5: 0.633}},
}
"""Public logs and checkpoints of classmates with the same script, by curve and number of epochs."""


def logged(*metrics: Metric) -> dict[str, dict[Metric, float]]:
    """Return what classmates' logs have of metrics that are reductions of curves, as numbers quoted for an arm."""
    found: dict[str, dict[Metric, float]] = {}
    for place, curves in LOGS.items():
        for metric in metrics:
            curve = curves.get(metric.name, {})
            after = np.array(list(curve), dtype=np.int64)
            if metric.reduction is not None and curve and not (metric.requires and metric.requires(after)):
                value = round(metric.reduction(np.array(list(curve.values())), after), 4)
                found.setdefault(place, {})[metric] = value
    return found
