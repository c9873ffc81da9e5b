"""Tests of the compiled losses against those from scratch."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings

from labcheck.nn.scratch.losses import MSE, Huber, Loss
from tests.helpers.nets import SCALES, SEEDS
from tests.unit.nn.compiled.twins import Twins, chain

LOSSES: dict[str, Callable[[], Loss]] = {
    "mse": MSE,
    "huber": Huber,
    "huber 0.3": partial(Huber, 0.3),
    "huber 20": partial(Huber, 20.0),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@every_loss
@pytest.mark.parametrize("outputs", [1, 3])
@settings(max_examples=10)
@given(scale=SCALES, seed=SEEDS)
def test_losses_and_gradients_equal_scratch(loss: Callable[[], Loss], outputs: int, scale: float, seed: int) -> None:
    twins = Twins(chain([2, outputs]), loss=loss)
    split = twins.examples(33, seed, scale)
    twins.train(split, 10, lr=0.0)
    twins.compare_gradients(split)
