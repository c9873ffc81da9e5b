"""Random tensors, tolerances and reference networks for the tests of `labcheck.nn` and of the labs that train nets."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from labcheck.nn.scratch.layers import Layer
from labcheck.nn.scratch.network import Network

SEEDS = st.integers(0, 9999)
SCALES = st.sampled_from([1e-3, 1.0, 30.0, 1e3])
"""Factors by which inputs are multiplied."""
every_precision = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


# tensors


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return numbers from the standard normal distribution, in float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def labels(shape: tuple[int, int, int], seed: int) -> Tensor:
    """Return a random class index for each example, (K, 1, B), for predictions of shape (K, classes, B)."""
    models, classes, n = shape
    return torch.randint(classes, (models, 1, n), generator=torch.Generator().manual_seed(seed))


def largest(*tensors: Tensor) -> float:
    """Return the largest absolute value in all tensors."""
    return max(tensor.abs().max().item() for tensor in tensors)


def close(actual: Tensor, expected: Tensor, terms: float = 1.0) -> None:
    """Assert that two tensors agree to ten digits.

    Args:
        actual: The tensor to test.
        expected: The reference.
        terms: The magnitude of the terms of a sum. Where the sum has lost digits to cancellation, an error of up to
            1e-13 times this magnitude is accepted.
    """
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-13 * terms)


# networks from scratch


def network(layers: list[Layer], models: int, dtype: torch.dtype = torch.float64) -> Network:
    """Return a network whose models are initialized from the seeds 0, 1, …"""
    return Network(layers, [torch.Generator().manual_seed(model) for model in range(models)], dtype)


def check_backward(
    layer: Layer, x: Tensor, y: Tensor, parameters: Sequence[Tensor] = (), *, seed: int, terms: float
) -> None:
    """Assert that a layer's gradients agree with autograd's, for a random gradient with respect to its output.

    Args:
        layer: The layer, after its forward pass.
        x: The input, which requires a gradient.
        y: The output, computed by torch from `x` and `parameters`.
        parameters: Copies of the layer's parameters that require a gradient.
        seed: The seed of the random gradient.
        terms: The magnitude of the terms of sums, as in `close`.
    """
    g = normal(*y.shape, seed=seed)
    expected = torch.autograd.grad(y, [x, *parameters], g)
    for actual, reference in zip([layer.backward(g.clone()), *layer.gradients], expected, strict=True):
        close(actual, reference, terms)


# convolutional nets in plain torch


class PlainCnn(nn.Module):
    """The convolutional net of the report boston-mnist in the usual order: convolution, BatchNorm, ReLU, pooling.

    Its parameters are registered in the order of the layers.
    """

    def __init__(self, channels: tuple[int, ...], kernel: int, hidden: int, norm: bool, mean: Tensor, std: Tensor):
        super().__init__()
        self.blocks = nn.ModuleList()
        inputs, size = 1, 28
        for width in channels:
            convolution = nn.Conv2d(inputs, width, kernel, padding=kernel // 2)
            self.blocks.append(nn.ModuleList([convolution, nn.BatchNorm2d(width)] if norm else [convolution]))
            inputs, size = width, size // 2
        self.full1, self.full2 = nn.Linear(inputs * size * size, hidden), nn.Linear(hidden, 10)
        self.mean, self.std = mean, std

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        for block in self.blocks:
            assert isinstance(block, nn.ModuleList)
            for module in block:
                x = module(x)
            x = functional.max_pool2d(functional.relu(x), 2)
        h: Tensor = self.full2(functional.relu(self.full1(x.flatten(1))))
        return h


class PlainBlock(nn.Module):
    """A residual block with a shortcut of option A."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.stride, self.added = (1, 0) if inputs == outputs else (2, outputs - inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        shortcut = x
        if self.added:
            shortcut = x[:, :, ::2, ::2]
            n, _, height, width = shortcut.shape
            zeros = torch.zeros(n, self.added // 2, height, width, dtype=x.dtype)
            shortcut = torch.cat([zeros, shortcut, zeros], dim=1)
        return functional.relu(residual + shortcut)


class PlainResNet(nn.Module):
    """ResNet-20 of He et al. 2016 (table 6 with n = 3, shortcuts of option A).

    Its parameters are registered in the order of the layers.
    """

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = nn.ModuleList([PlainBlock(*pair) for pair in pairwise(widths)])
        self.fc = nn.Linear(64, 10)
        self.mean, self.std = mean.view(3, 1, 1), std.view(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.bn(self.conv((x - self.mean) / self.std)))
        for block in self.blocks:
            h = block(h)
        logits: Tensor = self.fc(functional.avg_pool2d(h, 8).flatten(1))
        return logits


def numbers(module: nn.Module) -> int:
    """Return the number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def with_numbers_of(plain: nn.Module, module: nn.Module) -> nn.Module:
    """Copy the weights, running statistics and precision of `module` to `plain`, and return `plain`.

    Both modules must hold the same tensors in the same order; their names may differ.
    """
    plain.to(next(module.parameters()).dtype)
    values = (value.clone() for value in module.state_dict().values())
    plain.load_state_dict(dict(zip(plain.state_dict(), values, strict=True)))
    return plain
