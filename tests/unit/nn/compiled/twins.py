"""Networks that train twice, from scratch and by compiled kernels, for comparison."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from labcheck.data.examples import Examples, generators, permutations
from labcheck.nn.compiled.training import CompiledPrediction, CompiledTraining
from labcheck.nn.scratch.layers import Layer, Linear
from labcheck.nn.scratch.losses import MSE, Loss
from labcheck.nn.scratch.network import Network
from labcheck.nn.scratch.optimizers import SGD, Optimizer
from tests.helpers.nets import largest, network, normal

pytest.importorskip("numba")

MODELS = 3
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3}
"""The relative difference that is accepted, by precision."""


def same(actual: Tensor, expected: Tensor) -> None:
    """Assert that two tensors agree, with an error relative to the largest numbers where there was cancellation."""
    rounding, magnitude = ROUNDING[expected.dtype], max(1.0, largest(expected.nan_to_num(0.0, 0.0, 0.0)))
    torch.testing.assert_close(actual, expected, rtol=rounding, atol=rounding / 100 * magnitude, equal_nan=True)


def scratch_epoch(
    model: Network, loss: Loss, optimizer: Optimizer, split: Examples, order: Tensor, batch: int, lrs: Tensor
) -> Tensor:
    """Train for an epoch from scratch, and return the mean losses of the minibatches, (K,)."""
    total = torch.zeros(len(model.state), dtype=model.state.dtype)
    for part in split.batches(order, batch):
        total += model.gradient(part.x, part.y, loss)["loss"] * len(part)
        optimizer.step(model.values, model.gradients, lrs)
    return total / len(split)


class Twins:
    """A network that trains twice.

    Args:
        layers: A function that makes new layers.
        optimizer: A function that makes a new optimizer.
        loss: A function that makes a new loss.
        models: The number of models.
        dtype: The precision.
        inputs: The number of features of the examples, if the first layer is not linear.
    """

    def __init__(
        self,
        layers: Callable[[], list[Layer]],
        optimizer: Callable[[], Optimizer] = SGD,
        loss: Callable[[], Loss] = MSE,
        models: int = MODELS,
        dtype: torch.dtype = torch.float64,
        inputs: int = 0,
    ):
        self.scratch, self.compiled = (network(layers(), models, dtype) for _ in range(2))
        self.optimizer, self.compiled_optimizer, self.loss = optimizer(), optimizer(), loss()
        self.training = CompiledTraining(self.compiled, loss(), self.compiled_optimizer)
        self.predict = CompiledPrediction(self.compiled)
        shapes = [layer.shapes[0] for layer in layers() if layer.shapes]
        self.inputs, self.outputs = inputs or shapes[0][1], shapes[-1][0]
        self.epoch = 0

    def examples(self, n: int, seed: int = 0, scale: float = 1.0) -> Examples:
        """Return n random examples for each model."""
        models, dtype = self.scratch.state.shape[0], self.scratch.state.dtype
        x, y = (normal(models, n, size, seed=seed + i) for i, size in enumerate((self.inputs, self.outputs)))
        return Examples((x * scale).to(dtype), y.to(dtype))

    def train(self, split: Examples, batch: int, lr: float | Sequence[float] = 0.01, epochs: int = 1) -> Tensor:
        """Train both networks, compare them after each epoch, and return the losses of all epochs, (epochs, K)."""
        models = len(split.x)
        lrs = torch.tensor([lr] * models if isinstance(lr, float) else lr, dtype=torch.float64)
        losses = []
        for _ in range(epochs):
            self.epoch += 1
            order = permutations(len(split), generators(range(self.epoch, self.epoch + models), "order"))
            expected = scratch_epoch(self.scratch, self.loss, self.optimizer, split, order, batch, lrs)
            scores = self.training.train_epoch(split, None if batch >= len(split) else order, batch, lrs)
            assert scores.keys() == {"loss"}
            same(scores["loss"], expected)
            same(self.compiled.state, self.scratch.state)
            losses.append(scores["loss"])
        return torch.stack(losses)

    def compare_gradients(self, split: Examples) -> None:
        """Compare the gradients on all examples."""
        lrs = torch.zeros(len(split.x), dtype=torch.float64)
        self.training.train_epoch(split, None, len(split), lrs)
        self.scratch.gradient(split.x, split.y, self.loss)
        same(self.compiled.gradients, self.scratch.gradients)

    def compare_predictions(self, x: Tensor) -> None:
        """Compare the outputs in evaluation mode."""
        same(self.predict(x), self.scratch.predict(x))


def chain(widths: Sequence[int], *between: Callable[[int], Layer], bias: bool = True) -> Callable[[], list[Layer]]:
    """Return a function that makes linear layers of some widths, with new layers of each kind after all but the last.

    Args:
        widths: The numbers of features.
        between: Functions of the number of features.
        bias: Whether linear layers have a bias.
    """

    def layers() -> list[Layer]:
        made: list[Layer] = []
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            made.append(Linear(inputs, outputs, bias, first=i == 0))
            made += [make(outputs) for make in between] if i < len(widths) - 2 else []
        return made

    return layers
