"""Handwritten digits with a small convolutional network (report boston-mnist, part 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from labcheck.core.assumptions import Alternative, assumed
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
"""The settings that each value of `Mnist.variation` changes."""
MAX_LAYERS = 4
"""The largest number of convolutions: after four poolings, one of the 28 pixels is left."""


@dataclass(frozen=True, kw_only=True)
class Mnist(ConvolutionLab):
    """A convolutional network on random subsets of MNIST, trained with cross-entropy.

    The weights with the lowest validation loss are restored after training. The metrics and confusion matrices are
    those of the splits train, val and test, for these weights and, as `final_<name>`, for the last ones.

    Attributes:
        layers: The number of convolutions.
        kernel: The width and height of the kernels.
        dropout: "none", or "low", "moderate" or "high" for one of the `dropout_rates`.
        norm: Whether a BatchNorm follows each convolution.
        varied: Whether `variation` is applied, for the second of the two settings in which BatchNorm was tried.
        augmented: Whether training images are rotated, shifted and changed in brightness.
        train_size: The number of training images.
        val_size: The number of validation images.
        test_size: The number of test images.
        optimizer: "adam" or "sgd".
        channels: The channels of the convolutions, from the first to the last.
        hidden: The width of the first fully connected layer.
        lr: The learning rate.
        batch: The batch size.
        epochs: The number of epochs.
        dropout_rates: The low, moderate and high dropout rate.
        dropout_place: "hidden" for dropout after the first fully connected layer, "features" for dropout before it, or
            "both".
        variation: "dropout", "kernel" or "depth".
        momentum: The momentum of SGD.
    """

    name: ClassVar[str] = "mnist"
    dataset: ClassVar[str] = "mnist"
    # 300 images in batches of 16 make 19 steps per epoch, half of the report's 38
    scales: ClassVar = {
        "quick": {"channels": (8, 16, 32, 64), "train_size": 300, "val_size": 150, "batch": 16},
        "full": {"data_source": "real"},
    }

    layers: int = 2  # the default in the report's model
    kernel: int = 5  # the report's choice after comparing kernel sizes
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
        "The channels of the convolutions are not stated; here they double when a pooling quarters the image",
        Alternative((8, 16, 32, 64), "Half the channels, for a report that trains on a small computer"),
        Alternative((32, 64, 128, 256), "Twice the channels; 32 and 64 are those of many examples on MNIST"),
    )
    hidden: int = assumed(
        128,
        "The width of the first fully connected layer is not stated",
        Alternative(64, "The next smaller power of two"),
        Alternative(256, "The next larger power of two"),
    )
    lr: float = assumed(
        1e-3,
        "The learning rate is not stated; this is torch's default for Adam",
        Alternative(5e-4, "Half of torch's default, a common choice if the validation loss rises again"),
        Alternative(1e-2, "The best rate in a table of the same report, that of SGD on housing"),
    )
    batch: int = assumed(
        64,
        "The batch size is not stated; this is a common choice",
        Alternative(32, "The batch size that the numbers of the same report's experiment on housing fit"),
        Alternative(128, "A common choice for images"),
    )
    epochs: int = assumed(
        16,
        "The number of epochs is not stated; it is at least 15, the epoch after which two curves have met according to "
        "the report",
        Alternative(20, "The next round number, with which the report can see what follows after epoch 15"),
    )
    dropout_rates: tuple[float, ...] = assumed(
        (0.25, 0.5, 0.75),
        "The low, moderate and high rate; the report compares four rates without naming them, one of which is assumed "
        "to be 0",
        Alternative((0.2, 0.4, 0.8), "Rates that double"),
        Alternative((0.3, 0.5, 0.9), "Rates whose highest removes almost all information, as the report describes it"),
    )
    dropout_place: str = assumed(
        "hidden",
        "The place of dropout is not stated; 'hidden' is the usual one, after the first fully connected layer, "
        "'features' is before that layer, and 'both' is before and after it",
        Alternative("features", "Dropout between the convolutions and the fully connected layers"),
        Alternative("both", "Dropout before each fully connected layer"),
    )
    variation: str = assumed(
        "dropout",
        "BatchNorm is tried in two settings that are not stated; here they are the base network and the base network "
        "with a moderate dropout rate, with 3×3 kernels or with four convolutions",
        Alternative("kernel", "The report has compared kernel sizes before it tries BatchNorm"),
        Alternative("depth", "The report has compared depths before it tries BatchNorm"),
    )
    momentum: float = assumed(0.0, "The momentum of SGD, if that is the optimizer; this is torch's default")

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
            raise ValueError(f"{self.name}.kernel must be odd, got {self.kernel!r}")
        if self.layers > MAX_LAYERS:
            raise ValueError(
                f"{self.name}.layers must be at most {MAX_LAYERS}, since a fifth pooling would leave no pixel, got "
                f"{self.layers!r}"
            )
        if self.layers > len(self.channels):
            raise ValueError(
                f"{self.name}.layers must be at most {len(self.channels)}, the length of {self.name}.channels, got "
                f"{self.layers!r}"
            )

    @property
    def rate(self) -> float:
        """The dropout rate."""
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
        """Return a recipe with the curves `batch_loss`, `batch_accuracy`, `val_loss`, `val_accuracy` and `lr`."""
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
    """Augment images as in the report's listing: rotations by 10°, shifts by 10 %, changes of brightness by 20 %."""
    return augment.change_brightness(augment.rotate_and_shift(x, degrees=10, shift=0.1), by=0.2)


TEST_IMAGES = 500
"""The number of test images in the report, except for the full set, where it is 10,000."""
TRAIN_ACCURACY = accuracy("train")
VAL_ACCURACY = accuracy("val")
TEST_ACCURACY = accuracy("test")
VAL_LOSS = Metric("val_loss", higher_is_better=False)
LATE_VAL_ACCURACY = geometric_mean("val_accuracy", -5, rising=True)
"""The mean validation accuracy over the last five epochs."""
ONE_POINT = 0.011
"""One percentage point of accuracy, five of 500 images, with a tolerance for rounding."""


def table_row(total: float, *digits: float) -> Mapping[Metric, float]:
    """Return the numbers in a row of the report's tables by metric.

    Args:
        total: The test accuracy.
        digits: The precision of each digit from 0 to 9.
    """
    return {TEST_ACCURACY: total} | {precision("test", digit): value for digit, value in enumerate(digits)}
