"""Learning-rate schedules for K stacked models.

Learning rates are float64 vectors (K,), because a threshold may be between two roundings: 0.1 multiplied three times by
0.1 is 1.0000000000000003e-4 in float64, which is not below 1e-4.
"""

from math import cos, pi

import torch
from torch import Tensor


class Schedule:
    """The constant schedule, and the base class of all others."""

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        """Return the learning rates after an epoch, (K,), as a new tensor or `lr` itself.

        Args:
            lr: The learning rates of this epoch, (K,), float64.
            epoch: The number of the epoch, counted from 0.
            loss: The monitored loss of each model after this epoch, (K,).
        """
        return lr

    def select(self, rows: Tensor) -> None:
        """Drop the state of all models except those with the indices `rows`."""


class StepSchedule(Schedule):
    """Step decay, lr ← factor · lr after every `every` epochs (StepLR in torch).

    Args:
        every: The number of epochs between two steps.
        factor: The factor of a step.
    """

    def __init__(self, every: int, factor: float = 0.1):
        self.every, self.factor = every, factor

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        return lr * self.factor if (epoch + 1) % self.every == 0 else lr


class ExponentialSchedule(Schedule):
    """Exponential decay, lr = lr₀ · factorᵗ after t epochs (ExponentialLR in torch).

    Args:
        factor: The factor of each epoch.
    """

    def __init__(self, factor: float):
        self.factor = factor

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        return lr * self.factor


class TimeSchedule(Schedule):
    """Time-based decay, lr = lr₀ / (1 + decay · t) after t epochs (Robbins and Monro 1951).

    Args:
        decay: The speed of the decay per epoch.
    """

    def __init__(self, decay: float):
        self.decay = decay

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        return lr * ((1 + self.decay * epoch) / (1 + self.decay * (epoch + 1)))


class CosineSchedule(Schedule):
    """Cosine annealing, lr = lr₀ (1 + cos(π t / epochs)) / 2 after t epochs (Loshchilov and Hutter 2017).

    Args:
        epochs: The number of epochs after which the learning rate is, and stays, 0.
    """

    def __init__(self, epochs: int):
        self.epochs = epochs

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        if epoch + 1 >= self.epochs:
            return torch.zeros_like(lr)
        return lr * ((1 + cos(pi * (epoch + 1) / self.epochs)) / (1 + cos(pi * epoch / self.epochs)))


class PlateauSchedule(Schedule):
    """Decay on plateaus, lr ← factor · lr after more than `patience` epochs without an improvement of the loss.

    It is ReduceLROnPlateau in torch, with the same defaults. An improvement is a loss below the model's best one by
    more than 1 in 10,000.

    Args:
        patience: The number of epochs without improvement that are accepted.
        factor: The factor of a decay.
        min_lr: The lower bound of the learning rate.
    """

    threshold = 1e-4
    min_decrease = 1e-8

    def __init__(self, patience: int = 10, factor: float = 0.1, min_lr: float = 0.0):
        self.patience, self.factor, self.min_lr = patience, factor, min_lr
        self.best: Tensor | None = None

    def step(self, lr: Tensor, epoch: int, loss: Tensor) -> Tensor:
        if self.best is None:
            self.best, self.bad_epochs = torch.full_like(loss, torch.inf), torch.zeros_like(loss, dtype=torch.int64)
        better = loss < self.best * (1 - self.threshold)
        self.best = torch.where(better, loss, self.best)
        self.bad_epochs = torch.where(better, 0, self.bad_epochs + 1)
        exhausted = self.bad_epochs > self.patience
        self.bad_epochs.masked_fill_(exhausted, 0)
        reduced = (lr * self.factor).clamp(min=self.min_lr)
        return torch.where(exhausted & (lr - reduced > self.min_decrease), reduced, lr)

    def select(self, rows: Tensor) -> None:
        if self.best is not None:
            self.best, self.bad_epochs = self.best[rows], self.bad_epochs[rows]
