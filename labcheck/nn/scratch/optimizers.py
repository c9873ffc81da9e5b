"""Optimizers for K stacked models, equal step by step to those of torch.optim with the same settings.

Parameters w and gradients g are matrices (K, P) with one row per model; learning rates are float64 vectors (K,). Each
row changes as it would without the others. The formulas are those of one parameter, unless they contain vectors.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor


class Optimizer(ABC):
    """A rule that updates the parameters of K models from their gradients."""

    @abstractmethod
    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        """Update the parameters in place.

        Args:
            values: The parameters, (K, P).
            gradients: The gradients of the loss with respect to the parameters, (K, P); they may be overwritten.
            lr: The learning rate of each model, (K,), float64.
        """

    @abstractmethod
    def select(self, rows: Tensor) -> None:
        """Drop the state of all models except those with the indices `rows`."""


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and weight decay.

    v ← momentum · v + g + weight_decay · w, w ← w − lr · v.

    This is the momentum of Polyak (1964) in the form of Sutskever et al. (2013). That of Nesterov (1983) anticipates
    the next step: w moves against g + weight_decay · w + momentum · v, with the new v.

    Args:
        momentum: The fraction of the last step's direction that is added to the gradient.
        weight_decay: The multiple of the weights that is added to the gradient (L2 regularization).
        nesterov: Whether to use Nesterov's momentum.
    """

    def __init__(self, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False):
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.velocity: Tensor | None = None

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        if self.weight_decay:
            gradients.add_(values, alpha=self.weight_decay)
        direction = gradients
        if self.momentum:
            if self.velocity is None:
                self.velocity = torch.zeros_like(values)
            velocity = self.velocity.mul_(self.momentum).add_(gradients)
            direction = gradients.add_(velocity, alpha=self.momentum) if self.nesterov else velocity
        values.addcmul_(direction, _column(lr, values), value=-1)

    def select(self, rows: Tensor) -> None:
        if self.velocity is not None:
            self.velocity = self.velocity[rows]


class AdaGrad(Optimizer):
    """AdaGrad, whose steps shrink with the sum of all squared gradients so far (Duchi, Hazan and Singer 2011).

    s ← s + g², w ← w − lr · g / (√s + ε).
    """

    epsilon = 1e-10

    def __init__(self) -> None:
        self.squares: Tensor | None = None

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        if self.squares is None:
            self.squares = torch.zeros_like(values)
        self._update(self.squares, gradients)
        root = _root(self.squares).add_(self.epsilon)
        values.addcmul_(torch.div(gradients, root, out=root), _column(lr, values), value=-1)

    def _update(self, squares: Tensor, gradients: Tensor) -> None:
        """Update s, (K, P), in place from the gradients, (K, P)."""
        squares.addcmul_(gradients, gradients)

    def select(self, rows: Tensor) -> None:
        if self.squares is not None:
            self.squares = self.squares[rows]


class RMSprop(AdaGrad):
    """RMSprop, which replaces AdaGrad's sum by a moving average (Tieleman and Hinton 2012).

    s ← α s + (1 − α) g², w ← w − lr · g / (√s + ε).
    """

    alpha = 0.99
    epsilon = 1e-8

    def _update(self, squares: Tensor, gradients: Tensor) -> None:
        squares.mul_(self.alpha).addcmul_(gradients, gradients, value=1 - self.alpha)


class Adam(Optimizer):
    """Adam, which divides a moving average of gradients by the root of one of their squares (Kingma and Ba 2015).

    m ← β₁ m + (1 − β₁) g, s ← β₂ s + (1 − β₂) g², w ← w − lr · m̂ / (√ŝ + ε).

    Both averages start at 0. After t steps, m̂ = m / (1 − β₁ᵗ) and ŝ = s / (1 − β₂ᵗ) correct the bias that results. All
    rows of a stack have taken the same number of steps.

    Args:
        weight_decay: The multiple of the weights that is added to the gradient (L2 regularization, which is not the
            decoupled weight decay of AdamW).
        amsgrad: Whether to use the largest s so far instead of the current one (Reddi, Kale and Kumar 2018).
    """

    betas = (0.9, 0.999)
    epsilon = 1e-8

    def __init__(self, weight_decay: float = 0.0, amsgrad: bool = False) -> None:
        self.weight_decay = weight_decay
        self.amsgrad = amsgrad
        self.steps = 0
        self.moments: tuple[Tensor, ...] | None = None

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        if self.weight_decay:
            gradients.add_(values, alpha=self.weight_decay)
        if self.moments is None:
            self.moments = tuple(torch.zeros_like(values) for _ in range(2 + self.amsgrad))
        self.steps += 1
        first, second, *maxima = self.moments
        beta1, beta2 = self.betas
        first.lerp_(gradients, 1 - beta1)
        second.mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        for maximum in maxima:
            second = torch.maximum(maximum, second, out=maximum)
        root = _root(second).div_((1 - beta2**self.steps) ** 0.5).add_(self.epsilon)
        values.addcmul_(torch.div(first, root, out=root), _column(lr / (1 - beta1**self.steps), values), value=-1)

    def select(self, rows: Tensor) -> None:
        if self.moments is not None:
            self.moments = tuple(moment[rows] for moment in self.moments)


class LBFGS(Optimizer):
    """Limited-memory BFGS with steps of length lr and no line search (Liu and Nocedal 1989, algorithm 2.1).

    The direction of a step is −H g. H is an estimate of the inverse of the Hessian matrix, made of the last pairs (s,
    y) of a step s and the resulting change y of the gradient. It equals torch.optim.LBFGS with max_iter=1.

    - A pair with too little curvature, s · y ≤ 1e-10, is not stored.
    - A step is not taken if its slope, −H g · g, is greater than −1e-9.
    - The first step is along −g, and its length in the 1-norm is at most lr.

    Args:
        history: The number of pairs to store.
    """

    min_curvature = 1e-10
    min_descent = 1e-9

    def __init__(self, history: int = 10):
        self.history = history
        self.move: Tensor | None = None

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        if self.move is None:
            models, size = values.shape
            # the last step and the gradient before it, (K, P)
            self.move, self.gradient = torch.zeros_like(values), torch.zeros_like(values)
            # whether a model has taken a step, and the scale of its first estimate of H, (K, 1)
            self.started, self.scale = values.new_zeros(models, 1, dtype=torch.bool), values.new_ones(models, 1)
            # the pairs, oldest first, (history, K, P), and 1 / (s · y), (history, K, 1), which is 0 for a missing pair
            self.s, self.y = values.new_zeros(2, self.history, models, size)
            self.inverse = values.new_zeros(self.history, models, 1)
        informative = gradients.any(1, keepdim=True)  # a batch with zero gradient carries no information
        self._store_pair(gradients, informative)
        direction = self._direction(gradients)
        first = gradients.abs().sum(1, keepdim=True).reciprocal_().clamp_(max=1)
        rate = _column(lr, values) * torch.where(self.started, 1.0, first)
        descends = _dot(direction, gradients) <= -self.min_descent
        move = torch.where(descends, rate * direction, 0.0)
        values.add_(move)
        self.move = torch.where(informative, move, self.move)
        self.gradient = torch.where(informative, gradients, self.gradient)
        self.started |= informative

    def _store_pair(self, gradients: Tensor, informative: Tensor) -> None:
        """Replace the oldest pair of each model by that of its last step.

        Models whose gradient is zero keep their pairs, and so do models whose new pair has too little curvature. The
        latter includes models that have not taken a step, whose s is 0.

        Args:
            gradients: The gradients after the last step, (K, P).
            informative: Whether they differ from zero, (K, 1).
        """
        assert self.move is not None
        s, y = self.move, gradients - self.gradient
        curvature = _dot(s, y)
        usable = informative & (curvature > self.min_curvature)
        self.scale = torch.where(usable, curvature / _dot(y, y), self.scale)
        for old, new in ((self.s, s), (self.y, y), (self.inverse, 1 / curvature)):
            old.copy_(torch.where(usable, torch.cat([old[1:], new.unsqueeze(0)]), old))

    def _direction(self, gradients: Tensor) -> Tensor:
        """Return −H g, (K, P), by the two-loop recursion over the pairs (Nocedal 1980)."""
        d = -gradients
        coefficients = torch.empty_like(self.inverse)
        for i in reversed(range(self.history)):
            coefficients[i] = self.inverse[i] * _dot(self.s[i], d)
            d.addcmul_(self.y[i], coefficients[i], value=-1)
        d *= self.scale
        for i in range(self.history):
            d.addcmul_(self.s[i], coefficients[i] - self.inverse[i] * _dot(self.y[i], d))
        return d

    def select(self, rows: Tensor) -> None:
        if self.move is not None:
            self.move, self.gradient, self.started, self.scale = (
                tensor[rows] for tensor in (self.move, self.gradient, self.started, self.scale)
            )
            self.s, self.y, self.inverse = (tensor[:, rows] for tensor in (self.s, self.y, self.inverse))


def _root(squares: Tensor) -> Tensor:
    """Return √(squares + 1e-30), which differs from √squares by at most 1e-15.

    Processors need five to thirty times as long for the root of 0 or of a denormal number. Squared gradients of dead
    units are such numbers.
    """
    return squares.add(1e-30).sqrt_()


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the dot product of each row of two matrices (K, P), as a column (K, 1)."""
    return (a * b).sum(1, keepdim=True)


def _column(lr: Tensor, values: Tensor) -> Tensor:
    """Return the learning rates (K,) as a column (K, 1), in the precision of the parameters."""
    return lr.to(values.dtype).unsqueeze(1)


OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "sgd": SGD,
    "nesterov": lambda momentum: SGD(momentum, nesterov=True),
    "adagrad": lambda momentum: AdaGrad(),
    "rmsprop": lambda momentum: RMSprop(),
    "adam": lambda momentum: Adam(),
    "lbfgs": lambda momentum: LBFGS(),
}
"""Factories of the optimizers, by the names that settings of labs use.

Their argument is the momentum, which optimizers without momentum ignore.
"""
