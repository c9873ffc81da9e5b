"""Tests of the conversion of networks from scratch to modules of torch.nn."""

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
from tests.helpers.nets import close, every_precision, network, normal


class Kind(NamedTuple):
    """A layer of three features, and the type and the attributes of the equal module."""

    make: Callable[[], Layer]
    module: type[nn.Module]
    attributes: dict[str, Any]


ACTIVATION_MODULES: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
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
    **{name: Kind(ACTIVATIONS[name], *module) for name, module in ACTIVATION_MODULES.items()},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def random_network(kind: Kind) -> Network:
    """Return two models with a layer of this kind between two others, with random parameters and statistics."""
    net = network([Linear(2, 3), kind.make(), Linear(3, 1, bias=False)], 2)
    net.state.copy_(normal(*net.state.shape).abs() + 0.1)
    net.values.mul_(torch.where(normal(*net.values.shape, seed=1) > 0, 1, -1))
    return net


def test_all_activations_are_tested() -> None:
    assert ACTIVATION_MODULES.keys() == ACTIVATIONS.keys()


@every_kind
def test_layer_becomes_module_of_its_kind(kind: Kind) -> None:
    module = as_torch(random_network(kind), 1)[1]
    assert type(module) is kind.module
    for name, value in kind.attributes.items():
        assert getattr(module, name) == value


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@every_kind
def test_module_predicts_what_model_predicts(kind: Kind, training: bool) -> None:
    net, x = random_network(kind), normal(2, 9, 2)
    modules = [as_torch(net, model).train(training) for model in range(2)]
    close(net.predict(x, training).mT, torch.stack([module(x[k]) for k, module in enumerate(modules)]).detach())
    for model, module in enumerate(modules):
        after = as_torch(net, model).state_dict()
        for name, values in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                close(after[name], values)


@every_kind
def test_module_shares_no_memory_with_network(kind: Kind) -> None:
    net, x = random_network(kind), normal(9, 2)
    module, before = as_torch(net, 1).eval(), net.state.clone()
    expected = module(x)
    net.state.zero_()
    assert torch.equal(module(x), expected)
    net.state.copy_(before)
    for values in module.state_dict().values():
        values.add_(1)
    assert torch.equal(net.state, before)


@every_precision
def test_module_has_precision_of_network(dtype: torch.dtype) -> None:
    module = as_torch(network(mlp([2, 4, 1], activation="tanh", norm=True), 1, dtype), 0)
    assert [type(layer) for layer in module] == [nn.Linear, nn.BatchNorm1d, nn.Tanh, nn.Linear]
    assert {values.dtype for values in module.state_dict().values()} == {dtype, torch.int64}
    assert all(parameter.requires_grad for parameter in module.parameters())
