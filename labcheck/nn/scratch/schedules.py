"""Learning-rate schedules of K stacked models.

Rates are float64 vectors (K,): a threshold may lie between two roundings, as 0.1 times three tenths, which is
1.0000000000000003e-4 there and not below 1e-4.
"""

from math import cos, pi

import torch
from torch import Tensor


class Schedule:
    """A learning rate that stays as it is; base class of those that do not."""

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        """The rates (K,) after an epoch (counted from 0) that ended with these validation losses (K,)."""
        return lr

    def select(self, rows: Tensor) -> None:
        """Forget all models but these."""


class StepSchedule(Schedule):
    """lr ← factor · lr after every `every` epochs (torch's StepLR)."""

    def __init__(self, every: int, factor: float = 0.1):
        self.every, self.factor = every, factor

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        return lr * self.factor if (epoch + 1) % self.every == 0 else lr


class ExponentialSchedule(Schedule):
    """Exponential decay, lr = lr₀ · factorᵗ after t epochs (torch's ExponentialLR)."""

    def __init__(self, factor: float):
        self.factor = factor

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        return lr * self.factor


class TimeSchedule(Schedule):
    """Time-based decay, lr = lr₀ / (1 + decay · t) after t epochs (Robbins and Monro 1951)."""

    def __init__(self, decay: float):
        self.decay = decay

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        return lr * ((1 + self.decay * epoch) / (1 + self.decay * (epoch + 1)))


class CosineSchedule(Schedule):
    """Cosine annealing, lr = lr₀ (1 + cos(π t / epochs)) / 2 after t of so many epochs (Loshchilov and Hutter 2017)."""

    def __init__(self, epochs: int):
        self.epochs = epochs

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        if epoch + 1 >= self.epochs:
            return torch.zeros_like(lr)
        return lr * ((1 + cos(pi * (epoch + 1) / self.epochs)) / (1 + cos(pi * epoch / self.epochs)))


class PlateauSchedule(Schedule):
    """torch's ReduceLROnPlateau with its defaults: lr ← factor · lr after more than `patience` epochs without progress.

    Progress is a loss below the model's best one by 1 in 10,000. No rate falls below `least`.
    """

    threshold = 1e-4
    smallest_change = 1e-8

    def __init__(self, patience: int = 10, factor: float = 0.1, least: float = 0.0):
        self.patience, self.factor, self.least = patience, factor, least
        self.best: Tensor | None = None

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        if self.best is None:
            self.best, self.bad = torch.full_like(loss, torch.inf), torch.zeros_like(loss, dtype=torch.int64)
        better = loss < self.best * (1 - self.threshold)
        self.best = torch.where(better, loss, self.best)
        self.bad = torch.where(better, 0, self.bad + 1)
        waited = self.bad > self.patience
        self.bad.masked_fill_(waited, 0)
        reduced = (lr * self.factor).clamp(min=self.least)
        return torch.where(waited & (lr - reduced > self.smallest_change), reduced, lr)

    def select(self, rows: Tensor) -> None:
        if self.best is not None:
            self.best, self.bad = self.best[rows], self.bad[rows]
