"""Tests of compiled batch normalization against the one from scratch."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labcheck.data.examples import Examples
from labcheck.nn.scratch.activations import ReLU
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from tests.helpers.nets import SEEDS, normal
from tests.unit.nn.compiled.twins import MODELS, Twins, chain, same

RUNNING = partial(BatchNorm, running=True)
BATCH = partial(BatchNorm, running=False)
every_kind = pytest.mark.parametrize("norm", [RUNNING, BATCH], ids=["running", "batch"])


@every_kind
@settings(max_examples=20)
@given(
    width=st.integers(1, 19),
    n=st.integers(5, 40),
    scale=st.sampled_from([1.0, 30.0, 1e3]),
    offset=st.floats(-3, 3),
    seed=SEEDS,
)
def test_gradients_equal_scratch(
    norm: partial[Layer], width: int, n: int, scale: float, offset: float, seed: int
) -> None:
    twins = Twins(chain([3, width, 2], norm))
    split = twins.examples(n, seed, scale)
    split = Examples(split.x + offset, split.y)
    for model in (twins.scratch, twins.compiled):
        model.values.copy_(normal(*model.values.shape, seed=seed))
    twins.compare_gradients(split)
    twins.compare_predictions(split.x)


def test_running_averages_follow_batches() -> None:
    twins = Twins(chain([3, 5, 2], RUNNING))
    before = twins.compiled.state[:, twins.compiled.size :].clone()
    split = twins.examples(30)
    for epochs in range(3):
        twins.train(split, 8)
        twins.compare_predictions(split.x)
        assert not torch.equal(twins.compiled.state[:, twins.compiled.size :], before), epochs
    after = twins.compiled.state.clone()
    twins.predict(split.x)
    assert torch.equal(twins.compiled.state, after)


def test_batch_of_one_example_equals_scratch() -> None:
    """The variance of one example is 0, and its unbiased estimate is taken to be 0, too."""
    twins = Twins(chain([3, 5, 2], RUNNING))
    twins.train(twins.examples(9), 4)


@every_kind
def test_first_layer_may_be_batch_norm(norm: partial[Layer]) -> None:
    twins = Twins(lambda: [norm(4), Linear(4, 3), ReLU(), Linear(3, 2)], inputs=4)
    split = twins.examples(20)
    twins.train(split, 6, epochs=5)
    twins.compare_predictions(split.x)


def test_batch_statistics_are_those_of_all_examples() -> None:
    """Predictions with running averages are made in blocks; those with batch statistics cannot be."""
    twins = Twins(chain([3, 5, 2], BATCH))
    twins.compare_predictions(normal(MODELS, 1000, 3))


def test_settings_of_an_instance_are_used() -> None:
    def norm(features: int) -> Layer:
        layer = BatchNorm(features, running=True)
        layer.epsilon, layer.momentum = 0.1, 0.5
        return layer

    twins = Twins(chain([3, 5, 2], norm))
    twins.train(twins.examples(20), 5, epochs=3)
    usual = Twins(chain([3, 5, 2], RUNNING))
    usual.train(usual.examples(20), 5, epochs=3)
    with pytest.raises(AssertionError):
        same(twins.compiled.state, usual.compiled.state)
