"""Optimizers and learning-rate schedules of K stacked models, step for step those of torch.

Parameters and gradients are matrices (K, P), a row a model; learning rates are float64 vectors (K,), because a
schedule's threshold may lie between two roundings: 0.1 times three tenths is 1.0000000000000003e-4 there and not below
1e-4.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        """Move values (K, P) in place against gradients (K, P), each row at its rate, lr (K,)."""

    def keep(self, rows: Tensor) -> None:
        """Forget all models but these."""


class SGD:
    """torch.optim.SGD: v ← momentum · v + g + weight_decay · w, w ← w − lr · v."""

    def __init__(self, momentum: float = 0.0, weight_decay: float = 0.0):
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.velocity: Tensor | None = None

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        if self.weight_decay:
            gradients.add_(values, alpha=self.weight_decay)
        direction = gradients
        if self.momentum:
            if self.velocity is None:
                self.velocity = torch.zeros_like(values)
            direction = self.velocity.mul_(self.momentum).add_(gradients)
        values.addcmul_(direction, lr.to(values.dtype).unsqueeze(1), value=-1)

    def keep(self, rows: Tensor) -> None:
        if self.velocity is not None:
            self.velocity = self.velocity[rows]


class Adam:
    """torch.optim.Adam (Kingma and Ba 2015) with its defaults; the rows of a stack have made equally many steps."""

    betas = (0.9, 0.999)
    epsilon = 1e-8

    def __init__(self) -> None:
        self.steps = 0
        self.moments: tuple[Tensor, Tensor] | None = None

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        if self.moments is None:
            self.moments = torch.zeros_like(values), torch.zeros_like(values)
        self.steps += 1
        first, second = self.moments
        beta1, beta2 = self.betas
        first.lerp_(gradients, 1 - beta1)
        second.mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        root = second.sqrt().div_((1 - beta2**self.steps) ** 0.5).add_(self.epsilon)
        rate = (lr / (1 - beta1**self.steps)).to(values.dtype).unsqueeze(1)
        values.addcmul_(first / root, rate, value=-1)

    def keep(self, rows: Tensor) -> None:
        if self.moments is not None:
            self.moments = self.moments[0][rows], self.moments[1][rows]


class Succession:
    """One optimizer for so many steps, then another, as where a script makes a new one halfway."""

    def __init__(self, first: Optimizer, steps: int, then: Optimizer):
        self.optimizers, self.left = (first, then), steps

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        self.optimizers[self.left <= 0].step(values, gradients, lr)
        self.left -= 1

    def keep(self, rows: Tensor) -> None:
        for optimizer in self.optimizers:
            optimizer.keep(rows)


OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {"sgd": SGD, "adam": lambda momentum: Adam()}
"""By name; each is made from the momentum that it may not have."""


class Schedule:
    """A learning rate that stays as it is; base class of those that do not."""

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        """The rates (K,) after an epoch (counted from 0) that ended with these validation losses (K,)."""
        return lr

    def keep(self, rows: Tensor) -> None:
        """Forget all models but these."""


class StepSchedule(Schedule):
    """torch.optim.lr_scheduler.StepLR: lr ← factor · lr after every `every` epochs."""

    def __init__(self, every: int, factor: float = 0.1):
        self.every, self.factor = every, factor

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        return lr * self.factor if (epoch + 1) % self.every == 0 else lr


class PlateauSchedule(Schedule):
    """torch.optim.lr_scheduler.ReduceLROnPlateau with its defaults, a best loss and a count of bad epochs per model."""

    threshold = 1e-4
    smallest_change = 1e-8

    def __init__(self, patience: int = 10, factor: float = 0.1):
        self.patience, self.factor = patience, factor
        self.best: Tensor | None = None

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        if self.best is None:
            self.best, self.bad = torch.full_like(loss, torch.inf), torch.zeros_like(loss, dtype=torch.int64)
        better = loss < self.best * (1 - self.threshold)
        self.best = torch.where(better, loss, self.best)
        self.bad = torch.where(better, 0, self.bad + 1)
        waited = self.bad > self.patience
        self.bad.masked_fill_(waited, 0)
        reduced = lr * self.factor
        return torch.where(waited & (lr - reduced > self.smallest_change), reduced, lr)

    def keep(self, rows: Tensor) -> None:
        if self.best is not None:
            self.best, self.bad = self.best[rows], self.bad[rows]
