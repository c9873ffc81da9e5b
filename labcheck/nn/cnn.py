"""The convolutional net of the report boston-mnist: blocks of convolution and pooling, then two fully connected layers.

Modules have names and not numbers, so that nets that differ in one of them start alike in the others.
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
    """A net from images (B, 1, 28, 28) to logits (B, 10).

    Args:
        channels: of each convolution; a pooling after each halves the image, rounded down.
        kernel: width and height, odd; padding keeps the size.
        hidden: width of the first fully connected layer.
        dropout: the rate.
        norm: BatchNorm after each convolution.
        bfloat16: convolutions and the first fully connected layer multiply numbers of bfloat16; all else is float32.
        dropout_place: "hidden" for dropout after the first fully connected layer, "features" for before it, or "both".
    """
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    size, last = 28, 1
    for i, width in enumerate(channels, 1):
        blocks[f"conv{i}"] = nn.Conv2d(last, width, kernel, padding="same")
        if norm:
            blocks[f"norm{i}"] = nn.BatchNorm2d(width)
        blocks[f"pool{i}"] = nn.MaxPool2d(2)  # before the ReLU, which it commutes with, for a quarter of the work
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
