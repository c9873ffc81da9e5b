"""The interface of layers, and the two layers that have parameters: the linear one and batch normalization."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from labcheck.nn.scratch.initializers import INITS
from labcheck.nn.scratch.products import product

NARROW = 32
"""The number of inputs below which BLAS needs up to twice as long for a tall gradient matrix as for its transpose."""


class Layer(ABC):
    """A step of a network, for K models.

    The defaults of this class are those of a layer without parameters. A layer owns the tensors that it receives: it
    may overwrite them, because the page faults of a new large tensor cost more than the arithmetic that fills it. Each
    call of `backward` belongs to the call of `forward` before it, whose intermediate results it overwrites.

    Attributes:
        shapes: The shape of each parameter for one model.
        buffer_shapes: The shape of each running statistic for one model; these are stored but not trained.
        values: The parameters, (K, *shape) each; views into the storage of the network, as are the next two.
        gradients: The gradients of the loss with respect to the parameters, (K, *shape) each.
        buffers: The running statistics, (K, *shape) each.
    """

    shapes: tuple[tuple[int, ...], ...] = ()
    buffer_shapes: tuple[tuple[int, ...], ...] = ()
    values: Sequence[Tensor] = ()
    gradients: Sequence[Tensor] = ()
    buffers: Sequence[Tensor] = ()

    def bind(self, values: Sequence[Tensor], gradients: Sequence[Tensor], buffers: Sequence[Tensor]) -> None:
        """Set the views into the storage of the network; see the attributes of these names."""
        self.values, self.gradients, self.buffers = values, gradients, buffers
        self._memory: dict[tuple[str, torch.Size], Tensor] = {}

    def memory(self, x: Tensor, features: int, use: str = "") -> Tensor:
        """Return memory that is reused in each call with the same shape and use.

        Args:
            x: A tensor (K, in, B) with the K, B, precision and device of the memory.
            features: The number of features of the memory.
            use: A name that separates several memories of one shape.

        Returns:
            A tensor (K, features, B) with arbitrary content.
        """
        key = use, torch.Size((x.shape[0], features, x.shape[2]))
        if key not in self._memory:
            self._memory[key] = x.new_empty(key[1])
        return self._memory[key]

    def initialize(self, model: int, rng: torch.Generator) -> None:
        """Draw the initial parameters of one model.

        The order of the draws is that of a script that constructs a module of torch and then initializes it.

        Args:
            model: The index of the model, 0 to K − 1.
            rng: The random stream.
        """
        self.construct(model, rng)
        self.reset(model, rng)

    def construct(self, model: int, rng: torch.Generator) -> None:  # noqa: B027 - most layers have no parameters
        """Draw the parameters of one model as torch does when it constructs the module."""

    def reset(self, model: int, rng: torch.Generator) -> None:  # noqa: B027 - most layers have no parameters
        """Draw again those parameters of one model that have a different initialization than torch's."""

    @abstractmethod
    def forward(self, x: Tensor, training: bool) -> Tensor:
        """Compute the output y, (K, out, B).

        Args:
            x: The input, (K, in, B).
            training: Whether the layer is in training mode.
        """

    @abstractmethod
    def backward(self, g: Tensor) -> Tensor:
        """Compute the gradient of the loss with respect to the input, ∂loss/∂x, (K, in, B).

        Also stores the gradients with respect to the parameters in `gradients`. A layer remembers what `forward`
        computed last, so a `forward` in training mode must precede.

        Args:
            g: The gradient of the loss with respect to the output, ∂loss/∂y, (K, out, B).
        """


class Linear(Layer):
    """A fully connected layer, y = W x + b.

    For one model, x is (in, B), W is (out, in), b is (out, 1), and y is (out, B). With g = ∂loss/∂y, the chain rule
    gives ∂loss/∂W = g xᵀ, ∂loss/∂b = Σ g over the batch, and ∂loss/∂x = Wᵀ g.

    Args:
        inputs: The number of input features.
        outputs: The number of output features.
        bias: Whether there is a bias. A BatchNorm with batch statistics that directly follows would cancel it.
        init: A name in INITS. Every choice but "default" sets the weights only; the bias is drawn as in
            torch.nn.Linear.
        zero_bias: Whether the bias starts at 0 instead.
        first: Whether this is the first layer of a network, for whose input no gradient is computed.
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
        # draw a bias even where there is none, so that a following `init` draws the same weights in both cases
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
    """Batch normalization, y = γ x̂ + β with x̂ = (x − mean) / √(var + ε) (Ioffe and Szegedy 2015).

    In training mode, mean and var are the mean and the variance of each feature over the batch. The constants are
    torch's defaults.

    With g = ∂loss/∂y, the gradients are ∂loss/∂γ = Σ g x̂ and ∂loss/∂β = Σ g over the batch, and, with means over the
    batch, ∂loss/∂x = γ / √(var + ε) · (g − mean(g) − x̂ · mean(g x̂)). The two subtracted terms are the parts of g that
    would change the mean and the variance of the batch. Normalization undoes such changes, so they have no effect on
    the loss.

    Args:
        features: The number of features.
        running: Whether evaluation uses running averages of mean and variance, as after `model.eval()`. Otherwise it
            uses the statistics of the evaluated batch, as in a program that lacks this call.
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
            # subtract the mean before squaring: E[x²] − mean² would lose all digits of float32 far from zero. This is
            # not in place, because an activation before this layer still needs its output
            x = torch.sub(x, mean, out=self.memory(x, x.shape[1], "centered"))
            var = torch.linalg.vector_norm(x, dim=2, keepdim=True).square_().div_(x.shape[2])
            if self.running:
                n = x.shape[2]
                self.buffers[0].lerp_(var * (n / max(n - 1, 1)), self.momentum)  # the unbiased variance, as in torch
                self.buffers[1].lerp_(mean, self.momentum)
        self.inverse_std = (var + self.epsilon).rsqrt_()
        self.centered, self.y = x, self.memory(x, x.shape[1])
        return torch.mul(x, self.inverse_std * weight, out=self.y).add_(bias)

    def backward(self, g: Tensor) -> Tensor:
        weight, inverse_std, centered, n = self.values[0], self.inverse_std, self.centered, g.shape[2]
        g_weight, g_bias = self.gradients
        torch.sum(g, 2, keepdim=True, out=g_bias)
        # the product overwrites y, which nothing needs any more: the layer after this one is done
        torch.sum(torch.mul(g, centered, out=self.y), 2, keepdim=True, out=g_weight).mul_(inverse_std)
        # x̂ · mean(g x̂) + mean(g), where x̂ = centered · inverse_std
        centered.mul_(g_weight * inverse_std / n).add_(g_bias / n)
        return g.sub_(centered).mul_(inverse_std * weight)
