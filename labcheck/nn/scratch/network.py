"""A chain of layers, and the multilayer perceptron made of them."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor

from labcheck.data.examples import substream
from labcheck.nn.model import Model, views
from labcheck.nn.scratch.activations import ACTIVATIONS
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear


class Network(Model):
    """A chain of layers for K models."""

    def __init__(
        self,
        layers: Sequence[Layer],
        generators: Sequence[torch.Generator],
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ):
        """Initialize one model from each generator, on the CPU, so that every device starts alike.

        Each layer draws from a stream of its own place: networks that differ in depth, width or normalization start
        alike in every layer of the same place and shape.
        """
        self.layers = layers
        self.size = sum(prod(shape) for layer in layers for shape in layer.shapes)
        extra = sum(prod(shape) for layer in layers for shape in layer.buffer_shapes)
        self.bind(torch.empty(len(generators), self.size + extra, dtype=dtype))
        for model, rng in enumerate(generators):
            for name, layer in zip(_names(layers), layers, strict=True):
                layer.initialize(model, substream(rng, name))
        self.bind(self.state.to(device))

    def redraw(self, model: int, rng: torch.Generator) -> None:
        """Draw a model again from one stream, as a script does that makes all layers and then initializes each."""
        for layer in self.layers:
            layer.construct(model, rng)
        for layer in self.layers:
            layer.reset(model, rng)

    def bind(self, state: Tensor) -> None:
        """Make `state` this network's storage and hand every layer its views."""
        super().bind(state)
        value = gradient = 0
        buffer = self.size
        for layer in self.layers:
            values, value = views(state, layer.shapes, value)
            gradients, gradient = views(self.gradients, layer.shapes, gradient)
            buffers, buffer = views(state, layer.buffer_shapes, buffer)
            layer.bind(values, gradients, buffers)

    def predict(self, x: Tensor, training: bool = False) -> Tensor:
        """(K, B, in) examples → (K, out, B) outputs, good until the next call."""
        h = x.mT
        for layer in self.layers:
            h = layer.forward(h, training)
        return h

    def backward(self, g: Tensor) -> None:
        """The chain rule: each layer turns the gradient by its output, (K, out, B), into that by its input."""
        for layer in reversed(self.layers):
            g = layer.backward(g)


def _names(layers: Sequence[Layer]) -> list[str]:
    """Name the linear layers of a network by their place, the last one "output"; the others draw nothing."""
    linear = [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]
    names = {i: f"hidden {place}" for place, i in enumerate(linear, 1)} | dict.fromkeys(linear[-1:], "output")
    return [names.get(i, f"layer {i}") for i in range(len(layers))]


def mlp(
    widths: Sequence[int],
    *,
    activation: str,
    norm: bool = False,
    norm_last: bool = False,
    output_activation: bool = False,
    output_norm: bool = False,
    running: bool = True,
    init: str = "default",
    zero_bias: bool = False,
) -> list[Layer]:
    """The layers of a multilayer perceptron.

    Args:
        widths: of every layer, input and output included.
        activation: a name in ACTIVATIONS, after every hidden layer.
        norm: BatchNorm with each hidden layer.
        norm_last: BatchNorm after the activation instead of before it.
        output_activation: the activation on the output as well.
        output_norm: BatchNorm on the output as well.
        running: evaluate BatchNorm with running averages.
        init: a name in INITS of `initializers`, for the weights.
        zero_bias: biases start at 0.
    """
    layers: list[Layer] = []
    last = len(widths) - 2
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        normed, activated = (norm, True) if i < last else (output_norm, output_activation)
        at_once = normed and not running and not (activated and norm_last)  # BatchNorm takes any bias away again
        layers.append(Linear(inputs, outputs, bias=not at_once, init=init, zero_bias=zero_bias, first=i == 0))
        after: list[Layer] = [BatchNorm(outputs, running)] if normed else []
        if activated:
            after.insert(0 if norm_last else len(after), ACTIVATIONS[activation]())
        layers += after
    return layers
