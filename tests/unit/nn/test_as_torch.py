"""Networks by hand in modules of torch.nn."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from labcheck.nn.as_torch import as_torch
from labcheck.nn.scratch.activations import ACTIVATIONS, ELU, LeakyReLU
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from labcheck.nn.scratch.network import Network, mlp

from .test_scratch_layers import close, every_precision, network, normal


class Kind(NamedTuple):
    """A layer of three features, and the module that it is: its type and what it was made with."""

    make: Callable[[], Layer]
    module: type[nn.Module]
    made: dict[str, Any]


MODULES: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "none": (nn.Identity, {}),
    "relu": (nn.ReLU, {"inplace": False}),
    "leaky_relu": (nn.LeakyReLU, {"negative_slope": 0.01}),
    "elu": (nn.ELU, {"alpha": 1.0}),
    "tanh": (nn.Tanh, {}),
    "sigmoid": (nn.Sigmoid, {}),
    "swish": (nn.SiLU, {}),
    "softmax": (nn.Softmax, {"dim": 1}),
    "log_softmax": (nn.LogSoftmax, {"dim": 1}),
}
KINDS = {
    "linear": Kind(lambda: Linear(3, 3), nn.Linear, {"in_features": 3, "out_features": 3}),
    "linear without bias": Kind(lambda: Linear(3, 3, bias=False), nn.Linear, {"bias": None}),
    "batch norm": Kind(lambda: BatchNorm(3, running=False), nn.BatchNorm1d, {"running_var": None, "eps": 1e-5}),
    "running batch norm": Kind(
        lambda: BatchNorm(3, running=True), nn.BatchNorm1d, {"num_features": 3, "momentum": 0.1, "eps": 1e-5}
    ),
    "leaky_relu 0.3": Kind(partial(LeakyReLU, 0.3), nn.LeakyReLU, {"negative_slope": 0.3}),
    "elu 0.5": Kind(partial(ELU, 0.5), nn.ELU, {"alpha": 0.5}),
    **{name: Kind(ACTIVATIONS[name], *module) for name, module in MODULES.items()},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def drawn(kind: Kind) -> Network:
    """Two models with a layer of this kind between two others, all numbers drawn, running variances included."""
    net = network([Linear(2, 3), kind.make(), Linear(3, 1, bias=False)], 2)
    net.state.copy_(normal(*net.state.shape).abs() + 0.1)
    net.values.mul_(torch.where(normal(*net.values.shape, seed=1) > 0, 1, -1))
    return net


def test_every_activation_has_its_module() -> None:
    assert MODULES.keys() == ACTIVATIONS.keys()


@every_kind
def test_a_layer_is_the_module_of_its_name(kind: Kind) -> None:
    module = as_torch(drawn(kind), 1)[1]
    assert type(module) is kind.module
    for name, value in kind.made.items():
        assert getattr(module, name) == value


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@every_kind
def test_a_module_predicts_what_its_model_predicts(kind: Kind, training: bool) -> None:
    net, x = drawn(kind), normal(2, 9, 2)
    modules = [as_torch(net, model).train(training) for model in range(2)]
    close(net.predict(x, training).mT, torch.stack([module(x[k]) for k, module in enumerate(modules)]).detach())
    for model, module in enumerate(modules):
        after = as_torch(net, model).state_dict()
        for name, numbers in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                close(after[name], numbers)


@every_kind
def test_a_module_has_numbers_of_its_own(kind: Kind) -> None:
    net, x = drawn(kind), normal(9, 2)
    module, before = as_torch(net, 1).eval(), net.state.clone()
    expected = module(x)
    net.state.zero_()
    assert torch.equal(module(x), expected)
    net.state.copy_(before)
    for numbers in module.state_dict().values():
        numbers.add_(1)
    assert torch.equal(net.state, before)


@every_precision
def test_a_module_is_made_of_layers_of_torch_in_the_precision_of_the_network(dtype: torch.dtype) -> None:
    module = as_torch(network(mlp([2, 4, 1], activation="tanh", norm=True), 1, dtype), 0)
    assert [type(layer) for layer in module] == [nn.Linear, nn.BatchNorm1d, nn.Tanh, nn.Linear]
    assert {numbers.dtype for numbers in module.state_dict().values()} == {dtype, torch.int64}
    assert all(parameter.requires_grad for parameter in module.parameters())
