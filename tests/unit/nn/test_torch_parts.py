"""Tests of the losses and optimizers of torch in the training loop, against those from scratch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labcheck.nn.scratch.losses import CLASS_LOSSES
from labcheck.nn.scratch.optimizers import OPTIMIZERS
from labcheck.nn.torch_parts import TORCH_LOSSES, TORCH_OPTIMIZERS, TorchLoss
from tests.helpers.nets import SEEDS, close, labels, normal


def test_names_are_those_from_scratch() -> None:
    assert TORCH_LOSSES.keys() == CLASS_LOSSES.keys()
    assert TORCH_OPTIMIZERS.keys() == OPTIMIZERS.keys() - {"lbfgs"}


@pytest.mark.parametrize("name", TORCH_LOSSES)
@settings(max_examples=30)
@given(classes=st.integers(1, 7), n=st.integers(1, 9), seed=SEEDS)
def test_torch_losses_equal_scratch(name: str, classes: int, n: int, seed: int) -> None:
    prediction, target = normal(1, classes, n, seed=seed), labels((1, classes, n), seed + 1)
    scratch, torch_loss = CLASS_LOSSES[name](), TORCH_LOSSES[name]()
    expected, scores = (loss.scores(prediction.clone(), target) for loss in (scratch, torch_loss))
    assert list(scores) == list(expected) == ["accuracy", "loss"]
    for score in scores:
        assert not scores[score].requires_grad
        close(scores[score], expected[score])
    close(torch_loss.forward(prediction, target), scratch.forward(prediction, target))
    close(torch_loss.backward(), scratch.backward())


@pytest.mark.parametrize(
    ("name", "module"),
    [("cross_entropy", nn.CrossEntropyLoss), ("multi_margin", nn.MultiMarginLoss)],
)
def test_loss_is_module_of_torch(name: str, module: type[nn.Module]) -> None:
    loss = TORCH_LOSSES[name]()
    assert isinstance(loss, TorchLoss)
    assert type(loss.module) is module


@pytest.mark.parametrize("momentum", [0.5, 0.9])
@pytest.mark.parametrize("name", TORCH_OPTIMIZERS)
def test_twenty_torch_steps_equal_scratch(name: str, momentum: float) -> None:
    """The learning rate changes, and the values are a view into a larger state, which torch must update in place."""
    state = normal(1, 12)
    values, expected = state[:, :9], state[:, :9].clone()
    torch_optimizer, scratch = TORCH_OPTIMIZERS[name](momentum), OPTIMIZERS[name](momentum)
    gradients = torch.zeros_like(values)  # every step uses the same memory, as in training
    for step in range(20):
        lr = torch.tensor([0.3 / (1 + step % 7)], dtype=torch.float64)
        gradients.copy_(normal(1, 9, seed=step + 1))
        scratch.step(expected, gradients.clone(), lr)
        torch_optimizer.step(values, gradients, lr)
        torch_optimizer.select(torch.tensor([0]))
        close(values, expected)
    assert torch.equal(state[:, 9:], normal(1, 12)[:, 9:])


@pytest.mark.parametrize("name", ["sgd", "adagrad", "rmsprop", "adam"])
def test_torch_steps_without_momentum_equal_scratch(name: str) -> None:
    values, expected = normal(1, 9), normal(1, 9)
    torch_optimizer, scratch = TORCH_OPTIMIZERS[name](0.0), OPTIMIZERS[name](0.0)
    for step in range(5):
        gradients, lr = normal(1, 9, seed=step + 1), torch.tensor([0.1], dtype=torch.float64)
        scratch.step(expected, gradients.clone(), lr)
        torch_optimizer.step(values, gradients, lr)
        close(values, expected)
