"""Tests of compiled epochs of whole networks against training from scratch."""

import random
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from labcheck.data.examples import Examples, generators, permutations
from labcheck.nn.scratch.activations import ACTIVATIONS, ReLU
from labcheck.nn.scratch.layers import BatchNorm, Layer
from labcheck.nn.scratch.losses import MSE, Huber, Loss
from labcheck.nn.scratch.network import mlp
from labcheck.nn.scratch.optimizers import SGD, AdaGrad, Adam, Optimizer, RMSprop
from tests.helpers.nets import every_precision, normal
from tests.unit.nn.compiled.twins import ROUNDING, Twins, chain, scratch_epoch

NAMES = [name for name in ACTIVATIONS if name not in ("softmax", "log_softmax")]


def random_optimizer(rng: random.Random) -> Callable[[], Optimizer]:
    """Return a function that makes an optimizer with random settings."""
    decay, momentum, flag = rng.choice([0.0, 1e-3]), rng.choice([0.0, 0.5, 0.9]), rng.random() < 0.5
    makers: list[Callable[[], Optimizer]] = [
        lambda: SGD(momentum, decay, nesterov=flag),
        lambda: Adam(decay, flag),
        AdaGrad,
        RMSprop,
    ]
    return rng.choice(makers)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_random_networks_equal_scratch_for_hundred_steps(seed: int) -> None:
    rng = random.Random(seed)
    widths = [rng.randint(1, 13), *(rng.randint(1, 20) for _ in range(rng.randint(0, 4))), rng.randint(1, 3)]
    optimizer, activation = random_optimizer(rng), rng.choice(NAMES)
    norm, last, running, output_norm, activated = (rng.random() < p for p in (0.4, 0.5, 0.5, 0.3, 0.2))
    # where BatchNorm cancels a shift, its gradient is a rounding error, whose size only SGD respects
    adaptive = not isinstance(optimizer(), SGD)
    norm, last = norm and not (adaptive and activation == "none"), last or (adaptive and running)
    output_norm = norm and output_norm and not adaptive

    def layers() -> list[Layer]:
        return mlp(
            widths,
            activation=activation,
            norm=norm,
            norm_last=last,
            running=running,
            output_norm=output_norm,
            output_activation=activated,
        )

    loss: Callable[[], Loss] = rng.choice([MSE, Huber])
    twins = Twins(layers, optimizer, loss, models=2)
    batch = rng.randint(12, 40)
    split = twins.examples(batch * 4 + rng.choice([0, 2, 7]), seed)
    twins.train(split, batch, [1e-3, 2e-3], epochs=25)
    twins.compare_predictions(split.x)


@pytest.mark.parametrize("activation", NAMES)
def test_float32_is_close_to_scratch(activation: str) -> None:
    def layers() -> list[Layer]:
        return mlp([2, 10, 20, 1], activation=activation, norm=True)

    twins = Twins(layers, partial(SGD, 0.9), dtype=torch.float32)
    split = twins.examples(100)
    twins.train(split, 32, epochs=2)
    twins.compare_predictions(split.x)
    assert twins.predict(split.x).dtype == torch.float32


@every_precision
@pytest.mark.parametrize(("n", "batch"), [(7, 7), (7, 8), (64, 100), (33, 32), (10, 3), (5, 1)])
def test_batches_of_all_sizes_equal_scratch(n: int, batch: int, dtype: torch.dtype) -> None:
    twins = Twins(chain([3, 8, 2], lambda features: ReLU()), dtype=dtype)
    split = twins.examples(n)
    twins.train(split, batch, epochs=2)
    twins.compare_predictions(split.x)


# models


def trained(models: list[int], epochs: int = 3, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Train some of three models with their own examples and orders; return their losses, state and predictions."""
    twins = Twins(chain([2, 10, 17, 1], ReLUs, partial(BatchNorm, running=True)), Adam, dtype=dtype)
    split, rows = twins.examples(77), torch.tensor(models)
    twins.compiled.select(rows)
    orders = [permutations(77, generators(range(10 * epoch, 10 * epoch + 3), "order")) for epoch in range(epochs)]
    lrs = torch.tensor([0.01, 0.001, 0.02], dtype=torch.float64)
    selected = split.select(rows)
    for order in orders:
        losses = twins.training.train_epoch(selected, order[rows], 16, lrs[rows])["loss"]
    return losses, twins.compiled.state, twins.predict(selected.x)


def ReLUs(features: int) -> Layer:  # noqa: N802 - named as what it returns
    """Return a ReLU for any number of features."""
    return ReLU()


@every_precision
def test_model_alone_equals_model_among_others(dtype: torch.dtype) -> None:
    together = trained([0, 1, 2], dtype=dtype)
    for model in range(3):
        for alone, among in zip(trained([model], dtype=dtype), together, strict=True):
            assert torch.equal(alone[0], among[model])


@every_precision
def test_repeated_training_is_equal(dtype: torch.dtype) -> None:
    for first, second in zip(trained([0, 1, 2], dtype=dtype), trained([0, 1, 2], dtype=dtype), strict=True):
        assert torch.equal(first, second)


def test_models_share_expanded_examples() -> None:
    twins = Twins(chain([3, 8, 2], ReLUs))
    own = twins.examples(30)
    twins.train(Examples(*(tensor[:1].expand(3, -1, -1) for tensor in (own.x, own.y))), 8, epochs=3)
    twins.compare_predictions(own.x[:1].expand(3, -1, -1))


# divergence


@every_precision
def test_training_diverges_as_from_scratch(dtype: torch.dtype) -> None:
    twins = Twins(chain([2, 10, 10, 1], ReLUs), models=3, dtype=dtype)
    split, lrs = twins.examples(40), torch.tensor([10.0, 0.01, 1e5], dtype=torch.float64)
    finite = []
    for epoch in range(30):
        order = permutations(40, generators(range(epoch, epoch + 3), "order"))
        expected = scratch_epoch(twins.scratch, twins.loss, twins.optimizer, split, order, 8, lrs)
        actual = twins.training.train_epoch(split, order, 8, lrs)["loss"]
        assert torch.equal(actual.isfinite(), expected.isfinite())
        assert torch.equal(twins.compiled.state.isfinite(), twins.scratch.state.isfinite())
        torch.testing.assert_close(actual[1], expected[1], rtol=ROUNDING[dtype], atol=0)
        finite.append(actual.isfinite().tolist())
    assert finite[-1] == [False, True, False]
    assert torch.equal(twins.predict(split.x).isnan(), twins.scratch.predict(split.x).isnan())


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("norm", [False, True])
def test_nan_among_examples_reaches_all_weights(activation: str, norm: bool) -> None:
    def layers() -> list[Layer]:
        return mlp([2, 5, 4, 1], activation=activation, norm=norm)

    twins = Twins(layers, models=2)
    split = twins.examples(20)
    split.x[0, 3, 1] = torch.nan
    order = torch.arange(20).repeat(2, 1)
    expected = scratch_epoch(
        twins.scratch, twins.loss, twins.optimizer, split, order, 6, torch.full((2,), 0.01, dtype=torch.float64)
    )
    actual = twins.training.train_epoch(split, order, 6, torch.full((2,), 0.01, dtype=torch.float64))["loss"]
    assert actual.isnan().tolist() == expected.isnan().tolist() == [True, False]
    assert torch.equal(twins.compiled.state.isnan(), twins.scratch.state.isnan())


# compilation


def test_one_kernel_is_compiled_for_each_precision() -> None:
    for dtype in (torch.float32, torch.float64):
        for models, n in ((1, 1), (1, 9), (3, 20)):
            twins = Twins(chain([3, 4, 2], ReLUs), Adam, models=models, dtype=dtype)
            twins.train(twins.examples(n), 4)
            twins.predict(normal(models, n, 3).to(dtype))
    assert len(twins.training._train_epoch.overloads) <= 2
    assert len(twins.predict._predict.overloads) <= 2
