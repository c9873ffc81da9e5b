"""Networks as chains of layers, and the layers of a multilayer perceptron."""

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
    """A chain of layers for K models, in which the output of each layer is the input of the next one.

    The models are initialized on the CPU, so that their weights do not depend on the device. Each layer draws from a
    random stream derived from its position: networks that differ in depth, width or normalization have equal initial
    weights in all layers of equal position and shape.

    Args:
        layers: The layers, from input to output.
        generators: One random generator per model.
        dtype: The precision of all numbers.
        device: The device that stores them and computes with them.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        generators: Sequence[torch.Generator],
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ):
        self.layers = layers
        self.size = sum(prod(shape) for layer in layers for shape in layer.shapes)
        buffers = sum(prod(shape) for layer in layers for shape in layer.buffer_shapes)
        self.bind(torch.empty(len(generators), self.size + buffers, dtype=dtype))
        for model, rng in enumerate(generators):
            for name, layer in zip(_stream_names(layers), layers, strict=True):
                layer.initialize(model, substream(rng, name))
        self.bind(self.state.to(device))

    def redraw(self, model: int, rng: torch.Generator) -> None:
        """Initialize a model again, with all layers drawing from one stream.

        The order of the draws is that of a script that first constructs all layers and then initializes each of them.

        Args:
            model: The index of the model, 0 to K − 1.
            rng: The stream.
        """
        for layer in self.layers:
            layer.construct(model, rng)
        for layer in self.layers:
            layer.reset(model, rng)

    def bind(self, state: Tensor) -> None:
        """Use `state`, (K, P + S), as the storage of this network, and give each layer its views into it."""
        super().bind(state)
        value = gradient = 0
        buffer = self.size
        for layer in self.layers:
            values, value = views(state, layer.shapes, value)
            gradients, gradient = views(self.gradients, layer.shapes, gradient)
            buffers, buffer = views(state, layer.buffer_shapes, buffer)
            layer.bind(values, gradients, buffers)

    def predict(self, x: Tensor, training: bool = False) -> Tensor:
        """Map examples (K, B, in) to outputs (K, out, B), which the next call may overwrite."""
        h = x.mT
        for layer in self.layers:
            h = layer.forward(h, training)
        return h

    def backward(self, g: Tensor) -> None:
        """Apply the chain rule from the last layer to the first, and store the gradients of all parameters.

        Each layer turns the gradient with respect to its output into that with respect to its input, which is the
        output of the layer before it.

        Args:
            g: The gradient of the loss with respect to the network's output, (K, out, B).
        """
        for layer in reversed(self.layers):
            g = layer.backward(g)


def _stream_names(layers: Sequence[Layer]) -> list[str]:
    """Return the name of each layer's random stream.

    Linear layers are numbered, except for the last one, which is "output"; the other layers draw no random numbers.
    """
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
    """Return the layers of a multilayer perceptron.

    Args:
        widths: The number of features of the input, of each hidden layer and of the output.
        activation: A name in ACTIVATIONS; the activation after each hidden layer.
        norm: Whether each hidden layer has a BatchNorm.
        norm_last: Whether BatchNorm follows the activation instead of preceding it.
        output_activation: Whether the activation follows the output, too.
        output_norm: Whether the output has a BatchNorm.
        running: Whether BatchNorm evaluates with running averages.
        init: A name in INITS; the initialization of the weights.
        zero_bias: Whether biases start at 0.
    """
    layers: list[Layer] = []
    last = len(widths) - 2
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        normed, activated = (norm, True) if i < last else (output_norm, output_activation)
        # a BatchNorm that directly follows and always uses batch statistics cancels any bias
        cancels_bias = normed and not running and not (activated and norm_last)
        layers.append(Linear(inputs, outputs, bias=not cancels_bias, init=init, zero_bias=zero_bias, first=i == 0))
        after: list[Layer] = [BatchNorm(outputs, running)] if normed else []
        if activated:
            after.insert(0 if norm_last else len(after), ACTIVATIONS[activation]())
        layers += after
    return layers
