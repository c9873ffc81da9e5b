"""Activations: layers without parameters, each with its derivative.

Throughout, g is ∂loss/∂y, the gradient of the loss by an activation's output, and what `backward` returns is
∂loss/∂x = g · y'. All are (K, features, B).
"""

from torch import Tensor

from labcheck.nn.scratch.layers import Layer


class Identity(Layer):
    """y = x: no activation."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        return x

    def backward(self, g: Tensor) -> Tensor:
        return g


class ReLU(Layer):
    """y = max(x, 0); y' = 1 where x > 0, else 0, also at 0 (Nair and Hinton 2010)."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.y = x.relu_()
        return self.y

    def backward(self, g: Tensor) -> Tensor:
        return g.mul_(self.y.sign_())


class LeakyReLU(Layer):
    """y = x where x > 0, else slope · x; y' = 1 or slope, which it also is at 0 (Maas, Hannun and Ng 2013).

    Args:
        slope: from 0 to 1.
    """

    def __init__(self, slope: float = 0.01):
        self.slope = slope

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.slopes = x.sign().clamp_(min=self.slope)
        return x.mul_(self.slopes)

    def backward(self, g: Tensor) -> Tensor:
        return g.mul_(self.slopes)


class ELU(Layer):
    """y = x where x > 0, else α (eˣ − 1); y' = 1 or α eˣ (Clevert, Unterthiner and Hochreiter 2016)."""

    def __init__(self, alpha: float = 1.0):
        self.alpha = alpha

    def forward(self, x: Tensor, training: bool) -> Tensor:
        negative = x.clamp(max=0)
        self.slopes = negative.exp().mul_(self.alpha).add_(x.sign().clamp_(min=0), alpha=1 - self.alpha)
        return x.relu_().add_(negative.expm1_(), alpha=self.alpha)

    def backward(self, g: Tensor) -> Tensor:
        return g.mul_(self.slopes)


class Tanh(Layer):
    """y = tanh x; y' = 1 − y²."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.y = x.tanh_()
        return self.y

    def backward(self, g: Tensor) -> Tensor:
        return g.addcmul_(g, self.y.square_(), value=-1)


class Sigmoid(Layer):
    """y = σ(x) = 1 / (1 + e⁻ˣ); y' = y (1 − y)."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.y = x.sigmoid_()
        return self.y

    def backward(self, g: Tensor) -> Tensor:
        # 1 − y first: y − y² has lost all digits where y is nearly 1
        return g.mul_(self.y).mul_(self.y.neg_().add_(1))


class Swish(Layer):
    """y = x σ(x); y' = σ(x) (1 + x (1 − σ(x))) (Ramachandran, Zoph and Le 2017; torch calls it SiLU)."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.x, self.sigmoid = x, x.sigmoid()
        return x * self.sigmoid

    def backward(self, g: Tensor) -> Tensor:
        slope = (1 - self.sigmoid).mul_(self.x).add_(1).mul_(self.sigmoid)
        return g.mul_(slope)


class Softmax(Layer):
    """yᵢ = e^xᵢ / Σⱼ e^xⱼ over the features of an example; ∂loss/∂xᵢ = yᵢ (gᵢ − Σⱼ gⱼ yⱼ)."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        e = x.sub_(x.amax(1, keepdim=True)).exp_()  # the same for any number that is taken from all; none is too large
        self.y = e.div_(e.sum(1, keepdim=True))
        return self.y

    def backward(self, g: Tensor) -> Tensor:
        common = (g * self.y).sum(1, keepdim=True)
        return g.sub_(common).mul_(self.y)


class LogSoftmax(Layer):
    """yᵢ = xᵢ − ln Σⱼ e^xⱼ over the features of an example; ∂loss/∂xᵢ = gᵢ − e^yᵢ Σⱼ gⱼ."""

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
"""By name, as labs' settings have it."""
