"""K models of one architecture, trained side by side."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from labcheck.models.layers import ACTIVATIONS, MSE, BatchNorm, Layer, Linear


class Network:
    """A chain of layers for K models.

    All numbers of a model lie in one row of `state`: first what is trained (`values`), then running statistics. So an
    optimizer is a few operations on one matrix, keeping the best weights is copying rows, and a model that has stopped
    is a row that goes.

    Attributes:
        state: (K, P + S).
        values: (K, P), its trained part.
        gradients: (K, P), as the last `gradient` call left them.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        generators: Sequence[torch.Generator],
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ):
        """Initialize one model from each generator; they live on the CPU, so that every device starts alike."""
        self.layers = layers
        self.size = sum(prod(shape) for layer in layers for shape in layer.shapes)
        extra = sum(prod(shape) for layer in layers for shape in layer.buffer_shapes)
        self.hold(torch.empty(len(generators), self.size + extra, dtype=dtype))
        for model, rng in enumerate(generators):
            for layer in layers:
                layer.initialize(model, rng)
        self.hold(self.state.to(device))

    def hold(self, state: Tensor) -> None:
        """Make `state` this network's storage and hand every layer its views."""
        self.state = state
        self.values = state[:, : self.size]
        self.gradients = torch.zeros_like(self.values)
        value = gradient = 0
        buffer = self.size
        for layer in self.layers:
            values, value = _views(state, layer.shapes, value)
            gradients, gradient = _views(self.gradients, layer.shapes, gradient)
            buffers, buffer = _views(state, layer.buffer_shapes, buffer)
            layer.bind(values, gradients, buffers)

    def keep(self, rows: Tensor) -> None:
        """Go on with these of the models only."""
        self.hold(self.state[rows])

    def predict(self, x: Tensor, training: bool = False) -> Tensor:
        """(K, B, in) examples → (K, out, B) outputs, good until the next call."""
        h = x.mT
        for layer in self.layers:
            h = layer.forward(h, training)
        return h

    def module(self, model: int) -> nn.Sequential:
        """One of the models in modules of torch.nn, with numbers of its own; it takes examples (B, in)."""
        return nn.Sequential(*(layer.module(model) for layer in self.layers))

    def gradient(self, x: Tensor, y: Tensor, loss: MSE) -> Tensor:
        """Fill `gradients` with those of the loss on a minibatch (K, B, in), (K, B, out); return the losses (K,)."""
        value = loss.forward(self.predict(x, training=True), y.mT)
        g = loss.backward()
        for layer in reversed(self.layers):
            g = layer.backward(g)
        return value


def _views(storage: Tensor, shapes: Sequence[tuple[int, ...]], start: int) -> tuple[list[Tensor], int]:
    """Cut (K, *shape) views out of the columns of storage from `start` on; also return where they end."""
    views = []
    for shape in shapes:
        views.append(storage[:, start : start + prod(shape)].view(-1, *shape))
        start += prod(shape)
    return views, start


def mlp(
    widths: Sequence[int],
    *,
    activation: str,
    norm: bool = False,
    output_norm: bool = False,
    running: bool = True,
    init: str = "default",
) -> list[Layer]:
    """The layers of a multilayer perceptron.

    Args:
        widths: of every layer, input and output included.
        activation: a name in ACTIVATIONS, after every layer but the last.
        norm: BatchNorm between each hidden layer and its activation.
        output_norm: BatchNorm on the output as well.
        running: evaluate BatchNorm with running averages.
        init: a name in INITS, for the weights.
    """
    layers: list[Layer] = []
    last = len(widths) - 2
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        normed = norm if i < last else output_norm
        layers.append(Linear(inputs, outputs, bias=not normed or running, init=init, first=i == 0))
        if normed:
            layers.append(BatchNorm(outputs, running))
        if i < last:
            layers.append(ACTIVATIONS[activation]())
    return layers
