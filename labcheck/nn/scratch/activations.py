"""Activations: layers without parameters, each with its derivative.

In all formulas, g is ∂loss/∂y, the gradient of the loss with respect to an activation's output. For an activation that
acts on each number separately, `backward` returns ∂loss/∂x = g · y', where y' is the derivative dy/dx. Inputs, outputs
and gradients all have the shape (K, features, B).
"""

from torch import Tensor

from labcheck.nn.scratch.layers import Layer


class Identity(Layer):
    """The absence of an activation, y = x."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        return x

    def backward(self, g: Tensor) -> Tensor:
        return g


class ReLU(Layer):
    """The rectified linear unit, y = max(x, 0) (Nair and Hinton 2010).

    y' = 1 where x > 0, else 0. At the kink, x = 0, the derivative is that from the left, 0.
    """

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.y = x.relu_()
        return self.y

    def backward(self, g: Tensor) -> Tensor:
        return g.mul_(self.y.sign_())


class LeakyReLU(Layer):
    """The leaky rectified linear unit, y = x where x > 0, else slope · x (Maas, Hannun and Ng 2013).

    y' = 1 where x > 0, else slope.

    Args:
        slope: The slope for negative inputs, from 0 to 1.
    """

    def __init__(self, slope: float = 0.01):
        self.slope = slope

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.slopes = x.sign().clamp_(min=self.slope)
        return x.mul_(self.slopes)

    def backward(self, g: Tensor) -> Tensor:
        return g.mul_(self.slopes)


class ELU(Layer):
    """The exponential linear unit, y = x where x > 0, else α (eˣ − 1) (Clevert, Unterthiner and Hochreiter 2016).

    y' = 1 where x > 0, else α eˣ.

    Args:
        alpha: α, the distance from 0 of the limit for very negative inputs.
    """

    def __init__(self, alpha: float = 1.0):
        self.alpha = alpha

    def forward(self, x: Tensor, training: bool) -> Tensor:
        negative = x.clamp(max=0)
        # where x > 0, negative is 0, and the sum is α + (1 − α) = 1
        self.slopes = negative.exp().mul_(self.alpha).add_(x.sign().clamp_(min=0), alpha=1 - self.alpha)
        return x.relu_().add_(negative.expm1_(), alpha=self.alpha)

    def backward(self, g: Tensor) -> Tensor:
        return g.mul_(self.slopes)


class Tanh(Layer):
    """The hyperbolic tangent, y = tanh x.

    y' = 1 − y².
    """

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.y = x.tanh_()
        return self.y

    def backward(self, g: Tensor) -> Tensor:
        return g.addcmul_(g, self.y.square_(), value=-1)


class Sigmoid(Layer):
    """The logistic sigmoid, y = σ(x) = 1 / (1 + e⁻ˣ).

    y' = y (1 − y).
    """

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.y = x.sigmoid_()
        return self.y

    def backward(self, g: Tensor) -> Tensor:
        # compute 1 − y before multiplying: y − y² would lose all digits where y is close to 1
        return g.mul_(self.y).mul_(self.y.neg_().add_(1))


class Swish(Layer):
    """The sigmoid-weighted linear unit, y = x σ(x) (Ramachandran, Zoph and Le 2017; SiLU in torch).

    y' = σ(x) (1 + x (1 − σ(x))).
    """

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.x, self.sigmoid = x, x.sigmoid()
        return x * self.sigmoid

    def backward(self, g: Tensor) -> Tensor:
        slope = (1 - self.sigmoid).mul_(self.x).add_(1).mul_(self.sigmoid)
        return g.mul_(slope)


class Softmax(Layer):
    """The softmax over the features of each example, yᵢ = e^xᵢ / Σⱼ e^xⱼ.

    Each output depends on all inputs, ∂yⱼ/∂xᵢ = yⱼ ([i = j] − yᵢ), so that ∂loss/∂xᵢ = yᵢ (gᵢ − Σⱼ gⱼ yⱼ).
    """

    def forward(self, x: Tensor, training: bool) -> Tensor:
        # subtracting the largest input changes no output, and prevents overflow
        e = x.sub_(x.amax(1, keepdim=True)).exp_()
        self.y = e.div_(e.sum(1, keepdim=True))
        return self.y

    def backward(self, g: Tensor) -> Tensor:
        common = (g * self.y).sum(1, keepdim=True)
        return g.sub_(common).mul_(self.y)


class LogSoftmax(Layer):
    """The logarithm of the softmax over the features of each example, yᵢ = xᵢ − ln Σⱼ e^xⱼ.

    Each output depends on all inputs, ∂yⱼ/∂xᵢ = [i = j] − e^yᵢ, so that ∂loss/∂xᵢ = gᵢ − e^yᵢ Σⱼ gⱼ.
    """

    def forward(self, x: Tensor, training: bool) -> Tensor:
        x = x.sub_(x.amax(1, keepdim=True))
        self.y = x.sub_(x.exp().sum(1, keepdim=True).log_())
        return self.y

    def backward(self, g: Tensor) -> Tensor:
        return g.sub_(self.y.exp_().mul_(g.sum(1, keepdim=True)))


ACTIVATIONS: dict[str, type[Layer]] = {
    "none": Identity,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "swish": Swish,
    "softmax": Softmax,
    "log_softmax": LogSoftmax,
}
"""The activations, by the names that settings of labs use."""
