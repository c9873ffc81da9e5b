"""Loss and optimizer of torch in the training loop, where a lab compares its own with them."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from labcheck.nn.scratch.losses import ClassLoss


class TorchLoss(ClassLoss):
    """A loss of torch.nn on predictions (B, classes) and class numbers (B,), by autograd; for one model."""

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


class TorchOptimizer:
    """An optimizer of torch.optim, made by `make` of parameters; for one model."""

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
        """There is one model, which stays."""


TORCH_LOSSES: dict[str, Callable[[], ClassLoss]] = {
    "cross_entropy": lambda: TorchLoss(nn.CrossEntropyLoss()),
    "multi_margin": lambda: TorchLoss(nn.MultiMarginLoss()),
}
TORCH_OPTIMIZERS: dict[str, Callable[[float], TorchOptimizer]] = {
    "sgd": lambda momentum: TorchOptimizer(partial(torch.optim.SGD, momentum=momentum)),
    "nesterov": lambda momentum: TorchOptimizer(partial(torch.optim.SGD, momentum=momentum, nesterov=True)),
    "adagrad": lambda momentum: TorchOptimizer(torch.optim.Adagrad),
    "rmsprop": lambda momentum: TorchOptimizer(torch.optim.RMSprop),
    "adam": lambda momentum: TorchOptimizer(torch.optim.Adam),
}
"""By the names of those by hand, made as they are."""
