"""Tests of the compiled optimizers against those from scratch."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from labcheck.nn.scratch.activations import ReLU, Tanh
from labcheck.nn.scratch.optimizers import SGD, AdaGrad, Adam, Optimizer, RMSprop
from tests.unit.nn.compiled.twins import Twins, chain, scratch_epoch

OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": SGD,
    "momentum": partial(SGD, 0.9),
    "weight decay": partial(SGD, 0.0, 0.1),
    "momentum, weight decay": partial(SGD, 0.5, 0.1),
    "nesterov": partial(SGD, 0.9, nesterov=True),
    "nesterov, weight decay": partial(SGD, 0.9, 0.1, nesterov=True),
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adam, weight decay": partial(Adam, 0.1),
    "adam, amsgrad": partial(Adam, amsgrad=True),
    "adam, weight decay, amsgrad": partial(Adam, 5e-4, amsgrad=True),
}
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
RATES = [0.001, 0.01, 0.003]


@every_optimizer
def test_hundred_steps_equal_scratch(optimizer: Callable[[], Optimizer]) -> None:
    twins = Twins(chain([2, 9, 6, 1], lambda features: Tanh()), optimizer)
    losses = twins.train(twins.examples(75), 8, RATES, epochs=10)
    assert (losses[-1] < losses[0]).all()


@every_optimizer
def test_dead_units_equal_scratch(optimizer: Callable[[], Optimizer]) -> None:
    twins = Twins(chain([2, 9, 6, 1], lambda features: ReLU()), optimizer)
    for model in (twins.scratch, twins.compiled):
        model.layers[0].values[1][:, :5] = -100
    twins.train(twins.examples(40), 8, RATES, epochs=5)


@pytest.mark.slow
@every_optimizer
def test_options_change_steps(optimizer: Callable[[], Optimizer]) -> None:
    for name, other in OPTIMIZERS.items():
        twins, others = (Twins(chain([2, 6, 1], lambda features: Tanh()), make) for make in (optimizer, other))
        for each in (twins, others):
            split = each.examples(75)
            split.y[:, :10] *= 30  # the largest square is then not the last one
            each.train(split, 8, RATES, epochs=2)
        assert torch.allclose(twins.compiled.state, others.compiled.state, rtol=1e-6) == (optimizer is other), name


@every_optimizer
def test_scratch_and_compiled_steps_alternate(optimizer: Callable[[], Optimizer]) -> None:
    """Each continues with the parameters and the state that the other one left."""
    twins = Twins(chain([2, 6, 1], lambda features: Tanh()), optimizer)
    split, lrs = twins.examples(30), torch.tensor(RATES, dtype=torch.float64)
    order = torch.arange(30).repeat(3, 1)
    for epoch in range(6):
        scratch_epoch(twins.scratch, twins.loss, twins.optimizer, split, order, 7, lrs)
        if epoch % 2:
            twins.training.train_epoch(split, order, 7, lrs)
        else:
            scratch_epoch(twins.compiled, twins.loss, twins.compiled_optimizer, split, order, 7, lrs)
        torch.testing.assert_close(twins.compiled.state, twins.scratch.state, rtol=1e-9, atol=1e-12)


@every_optimizer
@pytest.mark.parametrize("compiled_first", [False, True])
def test_select_keeps_state_of_models(optimizer: Callable[[], Optimizer], compiled_first: bool) -> None:
    twins = Twins(chain([2, 6, 1], lambda features: Tanh()), optimizer)
    split, rows = twins.examples(30), torch.tensor([0, 2])
    if compiled_first:
        twins.train(split, 7, RATES)
    for stateful in (twins.scratch, twins.compiled, twins.optimizer, twins.compiled_optimizer):
        stateful.select(rows)
    twins.train(split.select(rows), 7, RATES[::2], epochs=2)


@every_optimizer
def test_state_is_created_as_from_scratch(optimizer: Callable[[], Optimizer]) -> None:
    twins = Twins(chain([2, 6, 1]), optimizer)
    twins.train(twins.examples(30), 7)
    for name, expected in vars(twins.optimizer).items():
        actual = vars(twins.compiled_optimizer)[name]
        if isinstance(expected, torch.Tensor | tuple):
            tensors = (expected,) if isinstance(expected, torch.Tensor) else expected
            for one, other in zip((actual,) if isinstance(actual, torch.Tensor) else actual, tensors, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
        else:
            assert actual == expected, name
