"""Initial weights: normal or uniform random numbers with a standard deviation that suits the width of the layer.

Weights that are too small or too large make activations and gradients shrink or grow from layer to layer. The rules of
LeCun, He and Xavier choose the standard deviation that prevents this for certain activations.
"""

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor

Init = Callable[[Tensor, torch.Generator], object]
"""A function that fills the weights of a layer (outputs, inputs) in place with random numbers of a generator."""
StdRule = Callable[[int, int], float]
"""The numbers of inputs and outputs of a layer → the standard deviation of its weights."""


def small(inputs: int, outputs: int) -> float:
    """Return 0.01 for any width, a common choice in introductions."""
    return 0.01


def lecun(inputs: int, outputs: int) -> float:
    """Return √(1 / inputs).

    Outputs then have the variance of the inputs, which suits linear and tanh activations (LeCun et al. 1998, section
    4.6).
    """
    return sqrt(1 / inputs)


def he(inputs: int, outputs: int) -> float:
    """Return √(2 / inputs).

    The factor 2 makes up for the half of the signal that a ReLU removes (He et al. 2015, equation 10; Kaiming in
    torch).
    """
    return sqrt(2 / inputs)


def xavier(inputs: int, outputs: int) -> float:
    """Return √(2 / (inputs + outputs)).

    This is a compromise between √(1 / inputs), which preserves the variance of activations in the forward pass, and
    √(1 / outputs), which preserves that of gradients in the backward pass (Glorot and Bengio 2010, equation 12).
    """
    return sqrt(2 / (inputs + outputs))


def normal(std: StdRule) -> Init:
    """Return an initialization with weights from the normal distribution N(0, std²)."""

    def fill(weight: Tensor, rng: torch.Generator) -> None:
        outputs, inputs = weight.shape
        weight.normal_(0, std(inputs, outputs), generator=rng)

    return fill


def uniform(std: StdRule) -> Init:
    """Return an initialization with weights from the uniform distribution U(−√3 std, √3 std).

    Its standard deviation is std.
    """

    def fill(weight: Tensor, rng: torch.Generator) -> None:
        outputs, inputs = weight.shape
        bound = sqrt(3) * std(inputs, outputs)
        weight.uniform_(-bound, bound, generator=rng)

    return fill


def zeros(weight: Tensor, rng: torch.Generator) -> None:
    """Set all weights to 0, an example of a bad initialization.

    If their biases are equal too, the units of a layer stay equal throughout training. With zero biases, a ReLU, and
    two such layers in a row, no weight ever changes.
    """
    weight.zero_()


INITS: dict[str, Init | None] = {
    "default": None,  # the initialization of torch.nn.Linear, which also draws the bias
    "zeros": zeros,
    "normal": normal(small),
    "uniform": uniform(small),
    "lecun_normal": normal(lecun),
    "lecun_uniform": uniform(lecun),
    "kaiming_normal": normal(he),
    "kaiming_uniform": uniform(he),
    "xavier_normal": normal(xavier),
    "xavier_uniform": uniform(xavier),
}
"""The initializations, by the names that settings of labs use."""
