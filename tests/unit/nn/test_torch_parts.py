"""Losses and optimizers of torch in the training loop, held against those by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labcheck.nn.scratch.losses import CLASS_LOSSES
from labcheck.nn.scratch.optimizers import OPTIMIZERS
from labcheck.nn.torch_parts import TORCH_LOSSES, TORCH_OPTIMIZERS, TorchLoss

from .test_scratch_layers import SEEDS, close, normal
from .test_scratch_losses import labels


def test_torch_knows_the_names_of_what_is_by_hand() -> None:
    assert TORCH_LOSSES.keys() == CLASS_LOSSES.keys()
    assert TORCH_OPTIMIZERS.keys() == OPTIMIZERS.keys() - {"lbfgs"}


@pytest.mark.parametrize("name", TORCH_LOSSES)
@settings(max_examples=30)
@given(classes=st.integers(1, 7), n=st.integers(1, 9), seed=SEEDS)
def test_losses_of_torch_are_those_by_hand(name: str, classes: int, n: int, seed: int) -> None:
    prediction, target = normal(1, classes, n, seed=seed), labels((1, classes, n), seed + 1)
    ours, theirs = CLASS_LOSSES[name](), TORCH_LOSSES[name]()
    expected, found = (loss.scores(prediction.clone(), target) for loss in (ours, theirs))
    assert list(found) == list(expected) == ["accuracy", "loss"]
    for score in found:
        assert not found[score].requires_grad
        close(found[score], expected[score])
    close(theirs.forward(prediction, target), ours.forward(prediction, target))
    close(theirs.backward(), ours.backward())


@pytest.mark.parametrize(
    ("name", "module"),
    [("cross_entropy", nn.CrossEntropyLoss), ("multi_margin", nn.MultiMarginLoss)],
)
def test_they_are_modules_of_torch(name: str, module: type[nn.Module]) -> None:
    loss = TORCH_LOSSES[name]()
    assert isinstance(loss, TorchLoss)
    assert type(loss.module) is module


@pytest.mark.parametrize("momentum", [0.5, 0.9])
@pytest.mark.parametrize("name", TORCH_OPTIMIZERS)
def test_twenty_steps_of_torch_are_those_by_hand(name: str, momentum: float) -> None:
    """At a rate that changes, of a model whose values are a part of its state; torch moves them where they lie."""
    state = normal(1, 12)
    values, expected = state[:, :9], state[:, :9].clone()
    theirs, ours = TORCH_OPTIMIZERS[name](momentum), OPTIMIZERS[name](momentum)
    gradients = torch.zeros_like(values)  # the same memory for every step, as a model's
    for step in range(20):
        lr = torch.tensor([0.3 / (1 + step % 7)], dtype=torch.float64)
        gradients.copy_(normal(1, 9, seed=step + 1))
        ours.step(expected, gradients.clone(), lr)
        theirs.step(values, gradients, lr)
        theirs.select(torch.tensor([0]))
        close(values, expected)
    assert torch.equal(state[:, 9:], normal(1, 12)[:, 9:])


@pytest.mark.parametrize("name", ["sgd", "adagrad", "rmsprop", "adam"])
def test_without_momentum_too(name: str) -> None:
    values, expected = normal(1, 9), normal(1, 9)
    theirs, ours = TORCH_OPTIMIZERS[name](0.0), OPTIMIZERS[name](0.0)
    for step in range(5):
        gradients, lr = normal(1, 9, seed=step + 1), torch.tensor([0.1], dtype=torch.float64)
        ours.step(expected, gradients.clone(), lr)
        theirs.step(values, gradients, lr)
        close(values, expected)
