"""What a layer is, and the two that have parameters: the linear one and batch normalization."""

from collections.abc import Sequence

import torch
from torch import Tensor

from labcheck.nn.scratch.initializers import INITS
from labcheck.nn.scratch.products import product

NARROW = 32
"""Inputs below which a tall product takes the BLAS up to twice as long as its transpose, to be turned after."""


class Layer:
    """A step of a network; this base class is the one without parameters.

    A layer owns what it is given and works in place where it can, for a fresh large tensor costs more in page faults
    than the arithmetic that fills it. `backward` follows its `forward`, once: it takes the gradient of the loss by the
    layer's output, writes those by its parameters to `gradients`, returns the one by its input, and uses up what
    `forward` kept.

    Attributes:
        shapes: the shape of each parameter, for one model.
        buffer_shapes: the shape of each number that is kept but not trained.
        values, gradients, buffers: views (K, *shape) into the network's storage, set by `bind`.
    """

    shapes: tuple[tuple[int, ...], ...] = ()
    buffer_shapes: tuple[tuple[int, ...], ...] = ()
    values: Sequence[Tensor] = ()
    gradients: Sequence[Tensor] = ()
    buffers: Sequence[Tensor] = ()

    def bind(self, values: Sequence[Tensor], gradients: Sequence[Tensor], buffers: Sequence[Tensor]) -> None:
        self.values, self.gradients, self.buffers = values, gradients, buffers
        self._kept: dict[tuple[str, torch.Size], Tensor] = {}

    def memory(self, x: Tensor, features: int, use: str = "") -> Tensor:
        """Return memory for N features of the examples of x (K, in, B), (K, N, B): the same for a shape and a use."""
        key = use, torch.Size((x.shape[0], features, x.shape[2]))
        if key not in self._kept:
            self._kept[key] = x.new_empty(key[1])
        return self._kept[key]

    def initialize(self, model: int, rng: torch.Generator) -> None:
        """Draw the parameters of one of the K models, as a script does that makes a module and then initializes it."""
        self.construct(model, rng)
        self.reset(model, rng)

    def construct(self, model: int, rng: torch.Generator) -> None:
        """Draw the parameters of one of the K models as torch does when it makes the module."""

    def reset(self, model: int, rng: torch.Generator) -> None:
        """Draw those again that have an initialization of their own."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """(K, in, B) → (K, out, B)."""
        raise NotImplementedError

    def backward(self, g: Tensor) -> Tensor:
        """(K, out, B) → (K, in, B)."""
        raise NotImplementedError


class Linear(Layer):
    """y = W x + b; ∂loss/∂W = g xᵀ, ∂loss/∂b = Σ g over the batch, ∂loss/∂x = Wᵀ g, where g is ∂loss/∂y.

    Args:
        inputs, outputs: features in and out.
        bias: False where a BatchNorm with batch statistics follows, which subtracts any bias again.
        init: a name in INITS. Anything but "default" fills the weights and leaves the bias as torch.nn.Linear draws it.
        zero_bias: the bias starts at 0 instead.
        first: the first layer of a network, by whose input nobody needs the gradient.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool = True,
        init: str = "default",
        zero_bias: bool = False,
        first: bool = False,
    ):
        self.shapes = ((outputs, inputs), (outputs, 1))[: 1 + bias]
        self.init = INITS[init]
        self.zero_bias = zero_bias
        self.first = first

    def construct(self, model: int, rng: torch.Generator) -> None:
        outputs, inputs = self.shapes[0]
        bound = inputs**-0.5
        weight, *bias = self.values
        weight[model].uniform_(-bound, bound, generator=rng)
        # drawn without a bias too, so that an init then draws the same weights
        drawn = bias[0][model] if bias else weight.new_empty(outputs, 1)
        drawn.uniform_(-bound, bound, generator=rng)

    def reset(self, model: int, rng: torch.Generator) -> None:
        if self.init is not None:
            self.init(self.values[0][model], rng)
        if self.zero_bias:
            for bias in self.values[1:]:
                bias[model] = 0

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.x = x
        weight, *bias = self.values
        return product(weight, x, self.memory(x, weight.shape[1]), *bias)

    def backward(self, g: Tensor) -> Tensor:
        weight, *bias = self.gradients
        if self.x.shape[1] < NARROW and self.x.shape[1] < g.shape[1]:
            weight.copy_(product(self.x, g.mT, g.new_empty(weight.mT.shape)).mT)
        else:
            product(g, self.x.mT, weight)  # (K, out, B) (K, B, in) → (K, out, in)
        if bias:
            torch.sum(g, 2, keepdim=True, out=bias[0])
        return g if self.first else product(self.values[0].mT, g, self.memory(g, self.x.shape[1]))


class BatchNorm(Layer):
    """y = γ x̂ + β with x̂ = (x − mean) / √(var + ε) over the batch (Ioffe and Szegedy 2015), with torch's defaults.

    With g for ∂loss/∂y: ∂loss/∂γ = Σ g x̂, ∂loss/∂β = Σ g, ∂loss/∂x = γ / √(var + ε) · (g − mean g − x̂ · mean g x̂). What
    is taken from g there would move the batch's mean and spread, which the layer takes away again.

    Args:
        features: features in and out.
        running: evaluate with running averages, as `model.eval()` does; else with the statistics of the evaluated
            batch, as a model does whose author forgot that call.
    """

    epsilon = 1e-5
    momentum = 0.1

    def __init__(self, features: int, running: bool):
        self.shapes = ((features, 1), (features, 1))
        self.running = running
        self.buffer_shapes = self.shapes if running else ()

    def construct(self, model: int, rng: torch.Generator) -> None:
        weight, bias = self.values
        weight[model], bias[model] = 1, 0
        if self.running:
            var, mean = self.buffers
            var[model], mean[model] = 1, 0

    def forward(self, x: Tensor, training: bool) -> Tensor:
        weight, bias = self.values
        if self.running and not training:
            var, mean = self.buffers
            x = x - mean
        else:
            mean = x.mean(2, keepdim=True)
            # two passes: the variance of float32 numbers far from zero needs it; not in place, for an activation
            # before this layer needs its output once more
            x = torch.sub(x, mean, out=self.memory(x, x.shape[1], "centred"))
            var = torch.linalg.vector_norm(x, dim=2, keepdim=True).square_().div_(x.shape[2])
            if self.running:
                n = x.shape[2]
                self.buffers[0].lerp_(var * (n / max(n - 1, 1)), self.momentum)
                self.buffers[1].lerp_(mean, self.momentum)
        self.inverse = (var + self.epsilon).rsqrt_()
        self.centred, self.y = x, self.memory(x, x.shape[1])
        return torch.mul(x, self.inverse * weight, out=self.y).add_(bias)

    def backward(self, g: Tensor) -> Tensor:
        weight, inverse, centred, n = self.values[0], self.inverse, self.centred, g.shape[2]
        g_weight, g_bias = self.gradients
        torch.sum(g, 2, keepdim=True, out=g_bias)
        torch.sum(torch.mul(g, centred, out=self.y), 2, keepdim=True, out=g_weight).mul_(inverse)
        centred.mul_(g_weight * inverse / n).add_(g_bias / n)
        return g.sub_(centred).mul_(inverse * weight)
