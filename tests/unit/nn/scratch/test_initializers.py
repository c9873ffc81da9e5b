"""Tests of initial weights against their stated distributions and, draw by draw, against torch.nn.init."""

from collections.abc import Callable
from functools import partial
from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from labcheck.data.examples import substream
from labcheck.nn.scratch.initializers import INITS
from labcheck.nn.scratch.layers import Linear
from labcheck.nn.scratch.network import Network, mlp
from tests.helpers.nets import close, network

INPUTS, OUTPUTS = 300, 100
VARIANCES = {
    "default": 1 / (3 * INPUTS),
    "zeros": 0.0,
    "normal": 0.01**2,
    "uniform": 0.01**2,
    "lecun_normal": 1 / INPUTS,
    "lecun_uniform": 1 / INPUTS,
    "kaiming_normal": 2 / INPUTS,
    "kaiming_uniform": 2 / INPUTS,
    "xavier_normal": 2 / (INPUTS + OUTPUTS),
    "xavier_uniform": 2 / (INPUTS + OUTPUTS),
}
BOUNDED = {name: sqrt(3 * variance) for name, variance in VARIANCES.items() if "uniform" in name or name == "default"}
TORCH_INITS: dict[str, Callable[..., object]] = {
    "zeros": lambda weight, generator: nn.init.zeros_(weight),
    "normal": partial(nn.init.normal_, std=0.01),
    "uniform": partial(nn.init.uniform_, a=-0.01 * sqrt(3), b=0.01 * sqrt(3)),
    "lecun_normal": partial(nn.init.kaiming_normal_, nonlinearity="linear"),
    "lecun_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="linear"),
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "xavier_normal": nn.init.xavier_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
}
every_init = pytest.mark.parametrize("init", INITS)


def draw(init: str, models: int = 3) -> tuple[Tensor, Tensor]:
    """Return the weights and biases of a layer; the mean square of 90,000 weights has an error of half a percent."""
    layer = Linear(INPUTS, OUTPUTS, init=init)
    network([layer], models)
    weight, bias = layer.values
    return weight, bias


def test_all_inits_are_tested() -> None:
    assert INITS.keys() == VARIANCES.keys() == {"default", *TORCH_INITS}


@every_init
def test_weights_have_zero_mean_and_stated_variance(init: str) -> None:
    weight, _ = draw(init)
    std = sqrt(VARIANCES[init])
    assert weight.square().mean().item() == pytest.approx(std**2, rel=0.03)
    assert abs(weight.mean().item()) <= 0.02 * std
    assert weight.mean((1, 2)).abs().max() <= 0.04 * std


@pytest.mark.parametrize("init", BOUNDED)
def test_uniform_weights_are_uniform_between_bounds(init: str) -> None:
    weight, bound = draw(init)[0].flatten(), BOUNDED[init]
    assert 0.999 * bound < weight.max() <= bound
    assert -bound <= weight.min() < -0.999 * bound
    fractions = torch.histc(weight, 10, -bound, bound) / len(weight)
    assert fractions.sub(0.1).abs().max() < 0.005
    assert (weight.pow(4).mean() / weight.square().mean() ** 2).item() == pytest.approx(9 / 5, rel=0.02)


@pytest.mark.parametrize("init", ["normal", "lecun_normal", "kaiming_normal", "xavier_normal"])
def test_normal_weights_have_normal_quantiles(init: str) -> None:
    weight = draw(init)[0].flatten() / sqrt(VARIANCES[init])
    probabilities = torch.tensor([0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999], dtype=torch.float64)
    expected = torch.distributions.Normal(0.0, 1.0).icdf(probabilities)
    torch.testing.assert_close(weight.quantile(probabilities)[1:-1], expected[1:-1], rtol=0, atol=0.03)
    torch.testing.assert_close(weight.quantile(probabilities), expected, rtol=0, atol=0.2)
    assert (weight.pow(4).mean() / weight.square().mean() ** 2).item() == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("init", TORCH_INITS)
def test_weights_equal_draws_of_torch(init: str) -> None:
    actual, expected = torch.empty(2, OUTPUTS, INPUTS, dtype=torch.float64)
    fill = INITS[init]
    assert fill is not None
    fill(actual, torch.Generator().manual_seed(1))
    TORCH_INITS[init](expected, generator=torch.Generator().manual_seed(1))
    close(actual, expected, terms=0.001)


def test_default_weights_and_biases_equal_torch_layer() -> None:
    weight, bias = draw("default", 1)
    with torch.random.fork_rng():
        torch.manual_seed(substream(torch.Generator().manual_seed(0), "output").initial_seed())
        layer = nn.Linear(INPUTS, OUTPUTS, dtype=torch.float64)
    close(weight[0], layer.weight.detach(), terms=0.001)
    close(bias[0].squeeze(1), layer.bias.detach(), terms=0.001)


@every_init
def test_biases_do_not_depend_on_init(init: str) -> None:
    _, bias = draw(init)
    assert torch.equal(bias, draw("default")[1])
    assert bias.abs().max() <= INPUTS**-0.5
    assert 0.8 / (3 * INPUTS) < bias.var() < 1.25 / (3 * INPUTS)


@every_init
def test_models_have_different_weights_except_zeros(init: str) -> None:
    weight, _ = draw(init)
    assert torch.equal(weight[0], weight[1]) == (init == "zeros")
    assert weight.any() == (init != "zeros")


def test_zero_bias_starts_at_zero() -> None:
    layer = Linear(20, 10, init="xavier_normal", zero_bias=True)
    network([layer], 3)
    assert layer.values[0].all()
    assert not layer.values[1].any()
    bare = Linear(20, 10, bias=False, zero_bias=True)
    network([bare], 3)
    assert bare.values[0].all()


def test_init_of_mlp_applies_to_all_layers() -> None:
    net = network(mlp([3, 4, 2], activation="relu", init="zeros", zero_bias=True), 2)
    assert not net.state.any()
    assert network(mlp([3, 4, 2], activation="relu", init="normal"), 2).state.all()


def test_seed_has_equal_weights_alone_and_stacked() -> None:
    alone, stacked = (
        Network(mlp([2, 5, 1], activation="relu"), [torch.Generator().manual_seed(s) for s in seeds])
        for seeds in ([3], [1, 2, 3])
    )
    assert torch.equal(alone.state[0], stacked.state[2])
