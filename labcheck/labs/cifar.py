"""CIFAR-10 with ResNet-20 (report curve-cifar, exercise 2)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from labcheck.core.assumptions import Alternative, known
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
"""The moments of the red, green and blue pixels in the course's script."""


@dataclass(frozen=True, kw_only=True)
class Cifar(ConvolutionLab):
    """ResNet-20, trained for five epochs with a learning rate of 0.1 and then for five with 0.01.

    The optimizer is SGD with weight decay and without momentum. The report's script makes a new optimizer after five
    epochs; without momentum there is nothing to reset, so the two optimizers differ only in their learning rates.

    The metrics and confusion matrices are those of the splits train and test for the last weights.

    Attributes:
        dropped: Whether the learning rate drops.
        width: The number of channels of the first blocks.
        train_size: The number of random training images, or all if there are fewer.
        test_size: The number of random test images, or all if there are fewer.
        batch: The batch size.
        epochs: The number of epochs.
        drop: The number of epochs before the learning rate drops.
        lr: The initial learning rate.
        factor: The factor by which it drops.
        optimizer: "sgd".
        weight_decay: The weight decay.
        momentum: The momentum.
        augmented: Whether training images are cropped and mirrored at random.
        normalization: "report" for the moments of pixels in the course's script, or "data" for those of the images.
    """

    name: ClassVar[str] = "cifar"
    dataset: ClassVar[str] = "cifar"
    # 5000 images in batches of 16 make 313 steps per epoch, close to the report's 391; the stand-in's 640 make 40. Half
    # the width costs less than half; narrower or shallower networks cost little less and learn next to nothing
    scales: ClassVar = {
        "quick": {"width": 8, "train_size": 5000, "test_size": 2000, "batch": 16},
        "full": {"data_source": "real"},
    }

    dropped: bool = True
    width: int = 16  # as in He et al. 2016
    train_size: int = 50_000
    test_size: int = 10_000
    batch: int = 128
    epochs: int = 10
    drop: int = 5
    lr: float = 0.1
    factor: float = 0.1
    optimizer: str = "sgd"
    weight_decay: float = known(
        5e-4,
        "script",
        "The weight decay of both phases: the report's listing has it for the second phase, its script for the first, "
        "too",
        Alternative(1e-4, "The weight decay of the authors of ResNet; the listing has another one for one phase only"),
    )
    momentum: float = known(
        0.0,
        "script",
        "Neither optimizer in the report's script has momentum",
        Alternative(0.9, "The momentum of the authors of ResNet, and of most programs that train it"),
    )
    augmented: bool = known(
        True,
        "script",
        "Random crops with a black border of 4 pixels, half of which are mirrored, in the course's script",
        Alternative(False, "The text does not mention that images are changed"),
    )
    normalization: str = known(
        "report",
        "script",
        "The course's script subtracts .4914, .4822 and .4465 from pixels and divides them by .2023, .1994 and .2010; "
        "'data' uses the moments of the training images instead",
        Alternative("data", "The text does not state the moments; those of the data set itself are usual"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("normalization", NORMALIZATIONS)
        self.require_at_least(0, "factor", "weight_decay")
        self.require_at_least(1, "width", "train_size", "test_size", "batch", "epochs", "drop")

    @property
    def optimizers(self) -> Mapping[str, Callable[[float], Optimizer]]:
        return {"sgd": lambda momentum: SGD(momentum, self.weight_decay)}

    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Selection]:
        images = self.images
        sizes = {
            "train": min(self.train_size, images.train_size),
            "test": min(self.test_size, images.test_size),
        }
        return images.splits(sizes, generators(seeds, "data"), dtype)

    def standardize(self) -> Standardize:
        if self.normalization == "data":
            return super().standardize()
        return Standardize(*(torch.tensor(moments, dtype=torch.float64) for moments in (MEANS, DEVIATIONS)))

    def module(self, seed: int, device: str = "cpu") -> nn.Module:
        net = resnet20(standardize=self.standardize(), bfloat16=self.bfloat16(device), width=self.width)
        return initialize(net, seed)

    def recipe(self) -> Recipe:
        """Return a recipe with the curves `batch_loss`, `batch_accuracy`, `test_loss`, `test_accuracy` and `lr`.

        The report calls `batch_accuracy` the training accuracy.
        """
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
    """Augment images as in the course's script: random crops with a black border of 4 pixels, half of them mirrored."""
    return augment.crop_and_flip(x, padding=4)


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
"""The accuracies in public logs and checkpoints of classmates with the same script, by curve and number of epochs."""


def logged(*metrics: Metric) -> dict[str, dict[Metric, float]]:
    """Return the values of metrics in the logs of classmates, as the quoted numbers of an arm.

    Args:
        metrics: Reductions of curves. A log that lacks the curve or its records has no value.
    """
    quoted: dict[str, dict[Metric, float]] = {}
    for place, curves in LOGS.items():
        for metric in metrics:
            curve = curves.get(metric.name, {})
            after = np.array(list(curve), dtype=np.int64)
            if metric.reduction is not None and curve and not (metric.requires and metric.requires(after)):
                value = round(metric.reduction(np.array(list(curve.values())), after), 4)
                quoted.setdefault(place, {})[metric] = value
    return quoted
