"""The layers by hand, held against torch's autograd in float64."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from labcheck.models.as_torch import as_torch
from labcheck.models.scratch.activations import ACTIVATIONS
from labcheck.models.scratch.initializers import INITS
from labcheck.models.scratch.layers import BatchNorm, Layer, Linear
from labcheck.models.scratch.losses import MSE
from labcheck.models.scratch.network import Network, mlp

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7), st.integers(2, 9))
"""Models, inputs, outputs, examples."""


def network(layers: list[Layer], models: int) -> Network:
    generators = [torch.Generator().manual_seed(model) for model in range(models)]
    return Network(layers, generators, torch.float64)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape)))


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def check_backward(layer: Layer, x: torch.Tensor, y: torch.Tensor, inputs: list[torch.Tensor]) -> None:
    """The layer's gradients by x and by its parameters against autograd's, which made y of `inputs`."""
    g = normal(*y.shape)
    expected = torch.autograd.grad(y, [x, *inputs], g)
    close(layer.backward(g.clone()), expected[0])
    for gradient, value in zip(layer.gradients, expected[1:], strict=True):
        close(gradient, value)


@given(SHAPES, st.booleans())
def test_linear(shape: tuple[int, int, int, int], bias: bool) -> None:
    models, inputs, outputs, n = shape
    layer = Linear(inputs, outputs, bias)
    network([layer], models)
    x = normal(models, inputs, n).requires_grad_()
    parameters = [value.clone().requires_grad_() for value in layer.values]
    y = parameters[0] @ x + (parameters[1] if bias else 0)
    close(layer.forward(x.detach(), True), y)
    check_backward(layer, x, y, parameters)


@given(SHAPES, st.booleans(), st.floats(-100, 100))
def test_batch_norm_trains(shape: tuple[int, int, int, int], running: bool, offset: float) -> None:
    models, features, _, n = shape
    layer = BatchNorm(features, running)
    network([layer], models)
    for value in layer.values:
        value.copy_(normal(*value.shape))
    parameters = [value.clone().requires_grad_() for value in layer.values]
    x = (normal(models, features, n) * 3 + offset).requires_grad_()
    means, variances = torch.zeros(models * features).double(), torch.ones(models * features).double()
    y = nn.functional.batch_norm(
        x.reshape(1, -1, n), means, variances, *(p.reshape(-1) for p in parameters), training=True
    ).view_as(x)
    torch.testing.assert_close(layer.forward(x.detach().clone(), True), y, rtol=1e-9, atol=1e-9)
    g = normal(*y.shape)
    expected = torch.autograd.grad(y, [x, *parameters], g)
    found = [layer.backward(g.clone()), *layer.gradients]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)
    if running:
        close(layer.buffers[1].reshape(-1), means)
        torch.testing.assert_close(layer.buffers[0].reshape(-1), variances, rtol=1e-9, atol=0)


@pytest.mark.parametrize("running", [True, False])
def test_batch_norm_evaluates_with_what_it_was_told_to(running: bool) -> None:
    layer = BatchNorm(3, running)
    network([layer], 2)
    reference = nn.BatchNorm1d(6, dtype=torch.float64)
    for _ in range(5):
        x = normal(2, 3, 8) * 2 + 1
        layer.forward(x.clone(), True)
        reference(x.reshape(1, 6, 8))
    reference.train(not running)
    x = normal(2, 3, 8)
    close(layer.forward(x.clone(), False), reference(x.reshape(1, 6, 8)).view(2, 3, 8))


def test_evaluation_leaves_running_statistics_alone() -> None:
    layer = BatchNorm(3, running=True)
    net = network([layer], 2)
    before = net.state.clone()
    layer.forward(normal(2, 3, 8), False)
    assert torch.equal(net.state, before)


@pytest.mark.parametrize(
    ("name", "function"),
    [("none", torch.clone), ("relu", torch.relu), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid)],
    ids=ACTIVATIONS,
)
@given(st.lists(st.floats(-50, 50) | st.just(0.0), min_size=1, max_size=20))
def test_activations(name: str, function: object, values: list[float]) -> None:
    layer = ACTIVATIONS[name]()
    x = torch.tensor(values, dtype=torch.float64).view(1, 1, -1).requires_grad_()
    y = function(x)
    close(layer.forward(x.detach().clone(), True), y)
    check_backward(layer, x, y, [])


@given(SHAPES)
def test_mse(shape: tuple[int, int, int, int]) -> None:
    models, _, outputs, n = shape
    loss = MSE()
    prediction = normal(models, outputs, n).requires_grad_()
    target = torch.flip(normal(models, outputs, n), (2,))
    expected = torch.stack([nn.functional.mse_loss(p, t) for p, t in zip(prediction, target, strict=True)])
    close(loss.forward(prediction.detach(), target), expected)
    close(loss.backward(), torch.autograd.grad(expected.sum(), prediction)[0])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norms", [(False, False), (True, False), (True, True)], ids=["plain", "hidden", "all"])
@pytest.mark.parametrize("running", [False, True])
@settings(max_examples=10)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_network_gradient(activation: str, norms: tuple[bool, bool], running: bool, widths: list[int]) -> None:
    layers = mlp(widths, activation=activation, norm=norms[0], output_norm=norms[1], running=running)
    net = network(layers, 2)
    x, y = normal(2, 9, widths[0]), normal(2, 9, widths[-1]) + 1
    models = [as_torch(net, model) for model in range(2)]
    losses = torch.stack([nn.functional.mse_loss(model(x[k]), y[k]) for k, model in enumerate(models)])
    torch.testing.assert_close(net.gradient(x, y, MSE())["loss"], losses, rtol=1e-9, atol=1e-12)
    losses.sum().backward()
    gradients = [torch.cat([p.grad.reshape(-1) for p in model.parameters()]) for model in models]
    torch.testing.assert_close(net.gradients, torch.stack(gradients), rtol=1e-7, atol=1e-9)


KINDS: dict[str, Callable[[], Layer]] = {
    "linear": lambda: Linear(3, 3),
    "linear without bias": lambda: Linear(3, 3, bias=False),
    "batch norm": lambda: BatchNorm(3, running=False),
    "running batch norm": lambda: BatchNorm(3, running=True),
    **ACTIVATIONS,
}


def drawn(kind: str) -> Network:
    """Two models with a layer of this kind between two others, all numbers drawn, running variances included."""
    net = network([Linear(2, 3), KINDS[kind](), Linear(3, 1, bias=False)], 2)
    net.state.copy_(normal(*net.state.shape).abs() + 0.1)
    net.values.mul_(torch.where(normal(*net.values.shape) > 0, 1, -1))
    return net


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_module_predicts_what_its_model_predicts(kind: str, training: bool) -> None:
    net, x = drawn(kind), normal(2, 9, 2)
    modules = [as_torch(net, model).train(training) for model in range(2)]
    close(net.predict(x, training).mT, torch.stack([module(x[k]) for k, module in enumerate(modules)]))
    for model, module in enumerate(modules):
        after = as_torch(net, model).state_dict()
        for name, numbers in module.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                close(after[name], numbers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_has_numbers_of_its_own(kind: str) -> None:
    net, x = drawn(kind), normal(9, 2)
    module, before = as_torch(net, 1).eval(), net.state.clone()
    expected = module(x)
    net.state.zero_()
    assert torch.equal(module(x), expected)
    net.state.copy_(before)
    for numbers in module.state_dict().values():
        numbers.add_(1)
    assert torch.equal(net.state, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_is_made_of_layers_of_torch_in_the_precision_of_the_network(dtype: torch.dtype) -> None:
    layers = mlp([2, 4, 1], activation="tanh", norm=True)
    module = as_torch(Network(layers, [torch.Generator()], dtype), 0)
    assert [type(layer) for layer in module] == [nn.Linear, nn.BatchNorm1d, nn.Tanh, nn.Linear]
    assert {numbers.dtype for numbers in module.state_dict().values()} == {dtype, torch.int64}


def test_without_activation_a_network_is_affine() -> None:
    net, x = network(mlp([1, 4, 4, 1], activation="none"), 2), normal(2, 3, 1)
    points = torch.cat([x, x.mean(1, keepdim=True)], 1)
    y = net.predict(points)
    close(y[:, :, 3], y[:, :, :3].mean(2))


@pytest.mark.parametrize("running", [False, True])
def test_a_bias_before_batch_norm_is_left_out_only_where_it_changes_nothing(running: bool) -> None:
    layers = mlp([3, 4, 1], activation="relu", norm=True, running=running)
    net = network(layers, 1)
    model = as_torch(net, 0)
    biased = nn.Sequential(nn.Linear(3, 4, dtype=torch.float64), *list(model)[1:])
    biased[0].weight.data.copy_(model[0].weight)
    model.train(not running)
    x = normal(9, 3)
    same = torch.allclose(biased(x), model(x), rtol=1e-9, atol=1e-9)
    assert same == (not running)
    assert (len(layers[0].shapes) == 1) == same


@pytest.mark.parametrize("init", INITS)
def test_initial_weights_have_the_stated_spread(init: str) -> None:
    inputs, outputs = 200, 100
    layer = Linear(inputs, outputs, init=init)
    network([layer], 3)
    variances = {
        "default": 1 / (3 * inputs),
        "kaiming_normal": 2 / inputs,
        "xavier_normal": 2 / (inputs + outputs),
        "normal": 1e-4,
        "zeros": 0,
    }
    weight, bias = layer.values
    torch.testing.assert_close(weight.var((1, 2)), torch.full((3,), variances[init]).double(), rtol=0.03, atol=0)
    assert bias.abs().max() <= inputs**-0.5
    assert 0.4 / (3 * inputs) < bias.var() < 2 / (3 * inputs)
    assert torch.equal(weight[0], weight[1]) == (init == "zeros")


def test_a_bias_can_start_at_zero() -> None:
    layer = Linear(20, 10, init="xavier_normal", zero_bias=True)
    network([layer], 3)
    assert layer.values[0].all()
    assert not layer.values[1].any()
    bare = Linear(20, 10, bias=False, zero_bias=True)
    network([bare], 3)
    assert bare.values[0].all()


def test_a_seed_starts_with_the_same_weights_in_any_stack() -> None:
    alone, stacked = (
        Network(mlp([2, 5, 1], activation="relu"), [torch.Generator().manual_seed(s) for s in seeds])
        for seeds in ([3], [1, 2, 3])
    )
    assert torch.equal(alone.state[0], stacked.state[2])
