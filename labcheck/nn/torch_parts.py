"""Losses and optimizers of torch in the training loop, for comparison with those from scratch."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from labcheck.nn.scratch.losses import ClassLoss
from labcheck.nn.scratch.optimizers import Optimizer


class TorchLoss(ClassLoss):
    """A loss of torch.nn for one model (K = 1), with its gradient by autograd.

    Args:
        module: A module that maps predictions (B, classes) and class indices (B,) to the mean loss.
    """

    def __init__(self, module: nn.Module):
        self.module = module

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.prediction = prediction[0].mT.detach().requires_grad_()
        self.loss = self.module(self.prediction, target[0, 0])
        value: Tensor = self.loss.detach().view(1)
        return value

    def backward(self) -> Tensor:
        [g] = torch.autograd.grad(self.loss, self.prediction)
        return g.mT.unsqueeze(0)


class TorchOptimizer(Optimizer):
    """An optimizer of torch.optim for one model (K = 1).

    Args:
        make: A function that makes the optimizer of a list of parameters.
    """

    def __init__(self, make: Callable[[Iterable[Tensor]], torch.optim.Optimizer]):
        self.make = make
        self.optimizer: torch.optim.Optimizer | None = None

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        if self.optimizer is None:
            self.parameter = nn.Parameter(values)
            self.optimizer = self.make([self.parameter])
        self.parameter.grad = gradients
        for group in self.optimizer.param_groups:
            group["lr"] = lr.item()
        self.optimizer.step()

    def select(self, rows: Tensor) -> None:
        """Do nothing, because the only model is never dropped."""


TORCH_LOSSES: dict[str, Callable[[], ClassLoss]] = {
    "cross_entropy": lambda: TorchLoss(nn.CrossEntropyLoss()),
    "multi_margin": lambda: TorchLoss(nn.MultiMarginLoss()),
}
"""Factories of torch's losses, by the names of those from scratch in `CLASS_LOSSES`."""
TORCH_OPTIMIZERS: dict[str, Callable[[float], TorchOptimizer]] = {
    "sgd": lambda momentum: TorchOptimizer(partial(torch.optim.SGD, momentum=momentum)),
    "nesterov": lambda momentum: TorchOptimizer(partial(torch.optim.SGD, momentum=momentum, nesterov=True)),
    "adagrad": lambda momentum: TorchOptimizer(torch.optim.Adagrad),
    "rmsprop": lambda momentum: TorchOptimizer(torch.optim.RMSprop),
    "adam": lambda momentum: TorchOptimizer(torch.optim.Adam),
}
"""Factories of torch's optimizers, by the names of those from scratch in `OPTIMIZERS`, and with the same argument."""
