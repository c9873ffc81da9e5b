"""Optimizers of K stacked models, step for step those of torch.optim with the same settings.

Parameters w and gradients g are matrices (K, P), a row a model; learning rates are float64 vectors (K,). Each row moves
as it would alone.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        """Move values (K, P) in place against gradients (K, P), each row at its rate, lr (K,)."""

    def select(self, rows: Tensor) -> None:
        """Forget all models but these."""


class SGD:
    """Stochastic gradient descent: v ← momentum · v + g + weight_decay · w, w ← w − lr · v.

    Momentum is Polyak's (1964), in the form of Sutskever et al. (2013). Nesterov's (1983) looks where it leads: w moves
    against g + momentum · v instead, with the new v.
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
        values.addcmul_(direction, _rates(lr, values), value=-1)

    def select(self, rows: Tensor) -> None:
        if self.velocity is not None:
            self.velocity = self.velocity[rows]


class AdaGrad:
    """s ← s + g², w ← w − lr · g / (√s + ε) (Duchi, Hazan and Singer 2011)."""

    epsilon = 1e-10

    def __init__(self) -> None:
        self.squares: Tensor | None = None

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        if self.squares is None:
            self.squares = torch.zeros_like(values)
        self._add(self.squares, gradients)
        root = _root(self.squares).add_(self.epsilon)
        values.addcmul_(torch.div(gradients, root, out=root), _rates(lr, values), value=-1)

    def _add(self, squares: Tensor, gradients: Tensor) -> None:
        """The new gradients' squares to s, (K, P)."""
        squares.addcmul_(gradients, gradients)

    def select(self, rows: Tensor) -> None:
        if self.squares is not None:
            self.squares = self.squares[rows]


class RMSprop(AdaGrad):
    """s ← α s + (1 − α) g², w ← w − lr · g / (√s + ε): AdaGrad that forgets (Tieleman and Hinton 2012)."""

    alpha = 0.99
    epsilon = 1e-8

    def _add(self, squares: Tensor, gradients: Tensor) -> None:
        squares.mul_(self.alpha).addcmul_(gradients, gradients, value=1 - self.alpha)


class Adam:
    """m ← β₁ m + (1 − β₁) g, s ← β₂ s + (1 − β₂) g², w ← w − lr · m̂ / (√ŝ + ε) (Kingma and Ba 2015).

    m̂ = m / (1 − β₁ᵗ) and ŝ = s / (1 − β₂ᵗ) make up for the zeros that both begin with. The rows of a stack have made
    equally many steps t.

    Args:
        weight_decay: what is added to the gradient, as a multiple of the weights (L2, not decoupled as in AdamW).
        amsgrad: divide by the root of the largest s so far instead of the current one (Reddi, Kale and Kumar 2018).
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
        first, second, *largest = self.moments
        beta1, beta2 = self.betas
        first.lerp_(gradients, 1 - beta1)
        second.mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        for most in largest:
            second = torch.maximum(most, second, out=most)
        root = _root(second).div_((1 - beta2**self.steps) ** 0.5).add_(self.epsilon)
        values.addcmul_(torch.div(first, root, out=root), _rates(lr / (1 - beta1**self.steps), values), value=-1)

    def select(self, rows: Tensor) -> None:
        if self.moments is not None:
            self.moments = tuple(moment[rows] for moment in self.moments)


class LBFGS:
    """Limited-memory BFGS with steps of the length lr, without line search (Liu and Nocedal 1989, algorithm 2.1).

    Of the last moves s and of how the gradient changed by them, y, it makes the direction −H g, H an estimate of the
    inverse Hessian. A pair without curvature, s · y ≤ 1e-10, is left out, and a move that would descend by less than
    1e-9 is not made. The first move is along −g and no longer than lr. It is torch.optim.LBFGS with max_iter=1, which
    goes on from where the last step has led.

    Args:
        history: pairs that are kept.
    """

    least_curvature = 1e-10
    least_descent = 1e-9

    def __init__(self, history: int = 10):
        self.history = history
        self.move: Tensor | None = None

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        if self.move is None:
            models, size = values.shape
            self.move, self.gradient = torch.zeros_like(values), torch.zeros_like(values)  # the last ones, (K, P)
            self.begun, self.scale = values.new_zeros(models, 1, dtype=torch.bool), values.new_ones(models, 1)
            self.s, self.y = values.new_zeros(2, self.history, models, size)  # oldest first, (history, K, P)
            self.inverse = values.new_zeros(self.history, models, 1)  # 1 / (s · y), 0 where there is no pair yet
        known = gradients.any(1, keepdim=True)  # a batch without any gradient tells nothing
        self._remember(gradients, known)
        direction = self._direction(gradients)
        first = gradients.abs().sum(1, keepdim=True).reciprocal_().clamp_(max=1)
        rate = _rates(lr, values) * torch.where(self.begun, 1.0, first)
        descends = _dot(direction, gradients) <= -self.least_descent
        move = torch.where(descends, rate * direction, 0.0)
        values.add_(move)
        self.move, self.gradient = torch.where(known, move, self.move), torch.where(known, gradients, self.gradient)
        self.begun |= known

    def _remember(self, gradients: Tensor, known: Tensor) -> None:
        """Let the last move's pair take the place of the oldest, in the rows where it tells something.

        Before the first move it is 0, and tells nothing.
        """
        assert self.move is not None
        s, y = self.move, gradients - self.gradient
        curvature = _dot(s, y)
        curved = known & (curvature > self.least_curvature)
        self.scale = torch.where(curved, curvature / _dot(y, y), self.scale)
        for old, new in ((self.s, s), (self.y, y), (self.inverse, 1 / curvature)):
            old.copy_(torch.where(curved, torch.cat([old[1:], new.unsqueeze(0)]), old))

    def _direction(self, gradients: Tensor) -> Tensor:
        """−H g by the two loops over the pairs (Nocedal 1980), from the newest back and from the oldest on."""
        d = -gradients
        shares = torch.empty_like(self.inverse)
        for i in reversed(range(self.history)):
            shares[i] = self.inverse[i] * _dot(self.s[i], d)
            d.addcmul_(self.y[i], shares[i], value=-1)
        d *= self.scale
        for i in range(self.history):
            d.addcmul_(self.s[i], shares[i] - self.inverse[i] * _dot(self.y[i], d))
        return d

    def select(self, rows: Tensor) -> None:
        if self.move is not None:
            self.move, self.gradient, self.begun, self.scale = (
                split[rows] for split in (self.move, self.gradient, self.begun, self.scale)
            )
            self.s, self.y, self.inverse = (split[:, rows] for split in (self.s, self.y, self.inverse))


def _root(squares: Tensor) -> Tensor:
    """The square roots, up to 1e-15: of 0, and of the smallest numbers, processors need five to thirty times as long.

    Squares of dead units' gradients are such numbers.
    """
    return squares.add(1e-30).sqrt_()


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(K, P), (K, P) → (K, 1)."""
    return (a * b).sum(1, keepdim=True)


def _rates(lr: Tensor, values: Tensor) -> Tensor:
    """(K,) → (K, 1), in the precision of the values."""
    return lr.to(values.dtype).unsqueeze(1)


OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "sgd": SGD,
    "nesterov": lambda momentum: SGD(momentum, nesterov=True),
    "adagrad": lambda momentum: AdaGrad(),
    "rmsprop": lambda momentum: RMSprop(),
    "adam": lambda momentum: Adam(),
    "lbfgs": lambda momentum: LBFGS(),
}
"""By name, as labs' settings have it; each is made from the momentum that it may not have."""
