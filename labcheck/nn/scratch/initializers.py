"""Initial weights: normal or uniform numbers whose spread suits the width of a layer.

An `Init` fills one weight matrix (outputs, inputs) in place with numbers of a generator. A spread is the standard
deviation that the weights of a layer of so many inputs and outputs shall have.
"""

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor

Init = Callable[[Tensor, torch.Generator], object]
Spread = Callable[[int, int], float]


def small(inputs: int, outputs: int) -> float:
    """0.01 for any width, as textbooks begin."""
    return 0.01


def lecun(inputs: int, outputs: int) -> float:
    """√(1 / inputs): outputs vary as inputs do, where the activation is linear or tanh (LeCun et al. 1998, §4.6)."""
    return sqrt(1 / inputs)


def he(inputs: int, outputs: int) -> float:
    """√(2 / inputs), as a ReLU takes half of the variance away (He et al. 2015, equation 10; torch's Kaiming)."""
    return sqrt(2 / inputs)


def xavier(inputs: int, outputs: int) -> float:
    """√(2 / (inputs + outputs)), between what keeps activations and what keeps gradients (Glorot, Bengio 2010, 12)."""
    return sqrt(2 / (inputs + outputs))


def normal(spread: Spread) -> Init:
    """Weights of N(0, spread²)."""

    def fill(weight: Tensor, rng: torch.Generator) -> None:
        outputs, inputs = weight.shape
        weight.normal_(0, spread(inputs, outputs), generator=rng)

    return fill


def uniform(spread: Spread) -> Init:
    """Weights of U(−√3 spread, √3 spread), whose standard deviation is the spread."""

    def fill(weight: Tensor, rng: torch.Generator) -> None:
        outputs, inputs = weight.shape
        bound = sqrt(3) * spread(inputs, outputs)
        weight.uniform_(-bound, bound, generator=rng)

    return fill


def zeros(weight: Tensor, rng: torch.Generator) -> None:
    """All weights 0: units of a layer stay alike for ever, and behind a second layer of zeros nothing moves at all."""
    weight.zero_()


INITS: dict[str, Init | None] = {
    "default": None,  # what torch.nn.Linear does, the bias included
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
"""By name, as labs' settings have it."""
