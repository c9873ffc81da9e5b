"""A multilayer perceptron as textbooks write it: raw tensors, autograd, and torch's DataLoader.

It represents the programs that students write from scratch, whose cost differs from that of `labcheck.nn.scratch`.
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
from labcheck.nn.scratch.optimizers import Optimizer


def relu(x: Tensor) -> Tensor:
    """Return max(x, 0) of each number in a tensor."""
    return torch.max(x, torch.zeros_like(x))


class Student(Model):
    """One model (K = 1) that consists of linear layers with ReLUs between them, made of raw tensors.

    Args:
        weights: A matrix (in, out) and a bias (out,) for each layer.
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
        """Use `state`, (1, P), as the storage of the parameters, and set all gradients to 0."""
        super().bind(state)
        sizes = [shape.numel() for shape in self.shapes]
        values, gradients = (torch.split(matrix[0], sizes) for matrix in (self.values, self.gradients))
        self.parameters = [
            value.view(shape).detach().requires_grad_() for value, shape in zip(values, self.shapes, strict=True)
        ]
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.view(parameter.shape)

    def net(self, x: Tensor) -> Tensor:
        """Return the logits (B, out) of examples (B, in)."""
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


class StudentSGD(Optimizer):
    """Stochastic gradient descent as textbooks write it, w ← w − lr · g, for one model (K = 1)."""

    def step(self, values: Tensor, gradients: Tensor, lr: Tensor) -> None:
        with torch.no_grad():
            values -= lr.item() * gradients

    def select(self, rows: Tensor) -> None:
        """Do nothing, because the only model is never dropped."""


@dataclass(frozen=True)
class LoadedSelection(Selection):
    """A split whose minibatches come from torch's DataLoader over a TensorDataset, for one model (K = 1).

    All images are converted to floating-point numbers in memory, and the loader fetches them one by one and stacks
    them. Evaluation does not use the loader.
    """

    @cached_property
    def dataset(self) -> TensorDataset:
        """All images of the split as models receive them, with their labels."""
        examples = self.to("cpu")._take(self.rows.cpu())
        return TensorDataset(examples.x[0], examples.y[0, :, 0])

    def batches(self, order: Tensor, size: int) -> Iterator[Examples]:
        """Yield minibatches of `size` examples in the order of the indices `order`, (1, N)."""
        # the loader draws from its generator; a new one preserves the state of torch's global stream
        loader = DataLoader(self.dataset, size, sampler=order[0].tolist(), generator=torch.Generator())
        for x, y in loader:
            yield Examples(x.unsqueeze(0).to(order.device), y.view(1, -1, 1).to(order.device))
