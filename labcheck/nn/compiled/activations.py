"""Activations of one model: y = f(x) in place, and ∂loss/∂x = g · y', where y' is the derivative dy/dx.

Most derivatives are functions of y, so that x need not be kept. Arrays are vectors of all numbers of a layer,
(features · B,), since each number is computed separately.

No formula has a branch, because a compiler vectorizes no loop with one of two long branches. Comparisons are such that
NaN remains NaN, and a product with the derivative 0 is computed, because 0 · NaN is NaN as it is from scratch.
"""

from labcheck.nn.compiled.elementary import expm1, sigmoid, tanh
from labcheck.nn.compiled.jit import Array, Real, jit

RELU, LEAKY_RELU, ELU, TANH, SIGMOID, SWISH = range(2, 8)
"""The numbers of the activations; those before are the layers in `labcheck.nn.compiled.epoch`."""


@jit
def forward(kind: int, setting: Real, y: Array, slope: Array) -> None:
    """Apply an activation in place.

    Args:
        kind: The number of the activation.
        setting: The slope of a LeakyReLU, or α of an ELU.
        y: The input, which becomes the output.
        slope: Memory for the derivative of Swish; empty for all others.
    """
    if kind == RELU:
        relu(y)
    elif kind == LEAKY_RELU:
        leaky_relu(y, setting)
    elif kind == ELU:
        elu(y, setting)
    elif kind == TANH:
        hyperbolic_tangent(y)
    elif kind == SIGMOID:
        logistic_sigmoid(y)
    elif kind == SWISH:
        swish(y, slope)


@jit
def backward(kind: int, setting: Real, y: Array, slope: Array, g: Array) -> None:
    """Turn g = ∂loss/∂y into ∂loss/∂x in place.

    Args:
        kind: The number of the activation.
        setting: The slope of a LeakyReLU, or α of an ELU.
        y: The output.
        slope: The derivative of Swish; empty for all others.
        g: The gradient.
    """
    if kind == RELU:
        relu_backward(y, g)
    elif kind == LEAKY_RELU:
        leaky_relu_backward(y, setting, g)
    elif kind == ELU:
        elu_backward(y, setting, g)
    elif kind == TANH:
        tanh_backward(y, g)
    elif kind == SIGMOID:
        sigmoid_backward(y, g)
    elif kind == SWISH:
        swish_backward(slope, g)


@jit
def relu(y: Array) -> None:
    """Compute the rectified linear unit, y = max(x, 0) (Nair and Hinton 2010)."""
    zero = y.dtype.type(0)
    for j in range(len(y)):
        y[j] = zero if y[j] < zero else y[j]


@jit
def relu_backward(y: Array, g: Array) -> None:
    """Multiply g by y' = 1 where x > 0, which is where y > 0, else 0."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    for j in range(len(y)):
        g[j] *= one if y[j] > zero else zero


@jit
def leaky_relu(y: Array, slope: Real) -> None:
    """Compute the leaky rectified linear unit, y = x where x > 0, else slope · x (Maas, Hannun and Ng 2013)."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    for j in range(len(y)):
        y[j] *= one if y[j] > zero else slope


@jit
def leaky_relu_backward(y: Array, slope: Real, g: Array) -> None:
    """Multiply g by y' = 1 where x > 0, which is where y > 0, else slope."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    for j in range(len(y)):
        g[j] *= one if y[j] > zero else slope


@jit
def elu(y: Array, alpha: Real) -> None:
    """Compute the exponential linear unit, y = x where x > 0, else α (eˣ − 1) (Clevert et al. 2016)."""
    zero = y.dtype.type(0)
    for j in range(len(y)):
        x = y[j]
        positive, negative = zero if x < zero else x, zero if x > zero else x
        y[j] = positive + alpha * expm1(negative)


@jit
def elu_backward(y: Array, alpha: Real, g: Array) -> None:
    """Multiply g by y' = 1 where x > 0, else α eˣ = y + α."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    for j in range(len(y)):
        g[j] *= one if y[j] > zero else y[j] + alpha


@jit
def hyperbolic_tangent(y: Array) -> None:
    """Compute y = tanh x."""
    for j in range(len(y)):
        y[j] = tanh(y[j])


@jit
def tanh_backward(y: Array, g: Array) -> None:
    """Multiply g by y' = 1 − y²."""
    one = y.dtype.type(1)
    for j in range(len(y)):
        g[j] *= one - y[j] * y[j]


@jit
def logistic_sigmoid(y: Array) -> None:
    """Compute the logistic sigmoid, y = σ(x) = 1 / (1 + e⁻ˣ)."""
    for j in range(len(y)):
        y[j] = sigmoid(y[j])


@jit
def sigmoid_backward(y: Array, g: Array) -> None:
    """Multiply g by y' = y (1 − y)."""
    one = y.dtype.type(1)
    for j in range(len(y)):
        g[j] *= y[j] * (one - y[j])


@jit
def swish(y: Array, slope: Array) -> None:
    """Compute y = x σ(x) and its derivative, y' = σ(x) (1 + x (1 − σ(x))) (Ramachandran, Zoph and Le 2017)."""
    one = y.dtype.type(1)
    for j in range(len(y)):
        x = y[j]
        s = sigmoid(x)
        y[j] = x * s
        slope[j] = s * (one + x * (one - s))


@jit
def swish_backward(slope: Array, g: Array) -> None:
    """Multiply g by y'."""
    for j in range(len(g)):
        g[j] *= slope[j]
