"""The convolutional net of the report boston-mnist: blocks of convolution and pooling, then two fully connected layers.

Each module has a descriptive name instead of a number, from which its random stream is derived. Nets that differ in one
module therefore have equal initial weights in the others.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from labcheck.nn.torch_model import BFloat16, Standardize

DROPOUT_PLACES = ("hidden", "features", "both")


def cnn(
    channels: Sequence[int],
    kernel: int,
    *,
    hidden: int,
    dropout: float,
    norm: bool,
    standardize: Standardize,
    bfloat16: bool,
    dropout_place: str = "hidden",
) -> nn.Sequential:
    """Build a net that maps images (B, 1, 28, 28) to logits (B, 10).

    Args:
        channels: The number of channels of each convolution. The pooling that follows each of them halves width and
            height, rounded down.
        kernel: The width and height of the kernels, odd; padding preserves the size of the image.
        hidden: The width of the first fully connected layer.
        dropout: The probability with which dropout sets a value to 0.
        norm: Whether BatchNorm follows each convolution.
        standardize: The module that standardizes the images.
        bfloat16: Whether the convolutions and the first fully connected layer multiply bfloat16 numbers. Everything
            else is float32.
        dropout_place: "hidden" for dropout after the first fully connected layer, "features" for dropout before it, or
            "both".
    """
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    size, last = 28, 1
    for i, width in enumerate(channels, 1):
        blocks[f"conv{i}"] = nn.Conv2d(last, width, kernel, padding="same")
        if norm:
            blocks[f"norm{i}"] = nn.BatchNorm2d(width)
        # max pooling and ReLU commute, and in this order the ReLU has a quarter of the work
        blocks[f"pool{i}"] = nn.MaxPool2d(2)
        blocks[f"relu{i}"] = nn.ReLU()
        size, last = size // 2, width
    blocks["flatten"] = nn.Flatten()
    if dropout_place != "hidden":
        blocks["dropout"] = nn.Dropout(dropout)
    blocks["full1"] = nn.Linear(last * size**2, hidden)
    return nn.Sequential(
        OrderedDict(
            standardize=standardize,
            features=(BFloat16 if bfloat16 else nn.Sequential)(blocks),
            relu=nn.ReLU(),
            dropout=nn.Dropout(dropout if dropout_place != "features" else 0.0),
            full2=nn.Linear(hidden, 10),
        )
    )
