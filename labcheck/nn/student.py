"""A multilayer perceptron as the textbook writes it: raw tensors, autograd, and torch's DataLoader.

It stands for what students write by hand, whose cost is another one than that of `labcheck.nn.scratch`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from labcheck.data.examples import Examples
from labcheck.data.images import Selection
from labcheck.nn.model import Model
from labcheck.nn.scratch.layers import Linear
from labcheck.nn.scratch.network import Network


def relu(x: Tensor) -> Tensor:
    """Return the larger of each number and 0."""
    return torch.max(x, torch.zeros_like(x))


class Student(Model):
    """One net of linear layers with ReLUs in between, of raw tensors; a stack of one.

    Args:
        weights: a matrix (in, out) and a bias (out,) for each layer.
    """

    def __init__(self, weights: Sequence[Tensor]):
        self.shapes = [weight.shape for weight in weights]
        self.size = sum(weight.numel() for weight in weights)
        self.bind(torch.cat([weight.detach().flatten() for weight in weights]).unsqueeze(0))

    @staticmethod
    def like(network: Network) -> "Student":
        """Return a net that starts with the weights of a network of one model, whose activations are ReLUs."""
        linear = [layer for layer in network.layers if isinstance(layer, Linear)]
        weights = [(weight[0].mT, bias[0].squeeze(1)) for layer in linear for weight, bias in [layer.values]]
        return Student([tensor for pair in weights for tensor in pair])

    def bind(self, state: Tensor) -> None:
        super().bind(state)
        sizes = [shape.numel() for shape in self.shapes]
        values, gradients = (torch.split(numbers[0], sizes) for numbers in (self.values, self.gradients))
        self.parameters = [
            value.view(shape).detach().requires_grad_() for value, shape in zip(values, self.shapes, strict=True)
        ]
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.view(parameter.shape)

    def net(self, x: Tensor) -> Tensor:
        """Return logits (B, out) of examples (B, in)."""
        *hidden, last = zip(self.parameters[::2], self.parameters[1::2], strict=True)
        for weight, bias in hidden:
            x = relu(torch.matmul(x, weight) + bias)
        weight, bias = last
        logits: Tensor = torch.matmul(x, weight) + bias
        return logits

    def predict(self, x: Tensor, training: bool = False) -> Tensor:
        with torch.set_grad_enabled(training):
            self.output = self.net(x[0])
        return self.output.detach().mT.unsqueeze(0)

    def backward(self, g: Tensor) -> None:
        self.gradients.zero_()
        torch.autograd.backward(self.output, g[0].mT)


class StudentSGD:
    """Stochastic gradient descent as the textbook writes it; for one model."""

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        with torch.no_grad():
            values -= lr.item() * gradients

    def select(self, rows: Tensor) -> None:
        """Do nothing: there is one model, which stays."""


@dataclass(frozen=True)
class LoadedSelection(Selection):
    """A split whose minibatches come from torch's DataLoader over a TensorDataset; for one model.

    All of its images are floating-point numbers in memory, and each is fetched and stacked one by one. Evaluation reads
    from memory, as that of every split does.
    """

    @cached_property
    def dataset(self) -> TensorDataset:
        """All images, as models see them, and their labels."""
        every = self.to("cpu")._take(self.rows.cpu())
        return TensorDataset(every.x[0], every.y[0, :, 0])

    def batches(self, order: Tensor, size: int) -> Iterator[Examples]:
        # with a stream of the loader's own, torch's stays where it is
        loader = DataLoader(self.dataset, size, sampler=order[0].tolist(), generator=torch.Generator())
        for x, y in loader:
            yield Examples(x.unsqueeze(0).to(order.device), y.view(1, -1, 1).to(order.device))
