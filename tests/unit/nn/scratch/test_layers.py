"""Tests of the layers from scratch, and of networks of them, against torch's autograd in float64."""

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from labcheck.nn import scratch
from labcheck.nn.as_torch import as_torch
from labcheck.nn.scratch.activations import ACTIVATIONS, LogSoftmax
from labcheck.nn.scratch.initializers import INITS
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from labcheck.nn.scratch.losses import MSE, NLL, CrossEntropy
from labcheck.nn.scratch.network import Network, mlp
from labcheck.nn.scratch.optimizers import SGD
from tests.helpers.nets import SCALES, SEEDS, check_backward, close, every_precision, largest, network, normal

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7), st.integers(2, 9))
"""The numbers of models, inputs, outputs and examples."""


# no autograd and no torch.nn


@pytest.mark.parametrize("file", sorted(Path(scratch.__file__).parent.glob("*.py")), ids=lambda file: file.stem)
def test_scratch_uses_no_name_of_torch_nn_or_autograd(file: Path) -> None:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                parents = node.module if isinstance(node, ast.ImportFrom) else None
                for path in [parents or "", *(alias.name for alias in aliases)]:
                    names.update(path.removeprefix("labcheck.nn.").split("."))
            case ast.Attribute(attr=name) | ast.Name(id=name):
                names.add(name)
    assert "Tensor" in names or file.stem == "__init__"
    assert not names & {"nn", "autograd", "functional", "func", "optim", "grad", "requires_grad", "requires_grad_"}


# the linear layer


@given(SHAPES, st.booleans(), SCALES, SEEDS)
def test_linear_layer_equals_torch(shape: tuple[int, int, int, int], bias: bool, scale: float, seed: int) -> None:
    models, inputs, outputs, n = shape
    layer = Linear(inputs, outputs, bias)
    network([layer], models)
    x = normal(models, inputs, n, seed=seed).mul_(scale).requires_grad_()
    parameters = [value.clone().requires_grad_() for value in layer.values]
    biases = [b.squeeze(1) for b in parameters[1]] if bias else [None] * models
    y = torch.stack([functional.linear(a.mT, w, b).mT for a, w, b in zip(x, parameters[0], biases, strict=True)])
    close(layer.forward(x.detach().clone(), True), y, 1 + scale)
    check_backward(layer, x, y, parameters, seed=seed + 1, terms=1 + scale)


def test_first_layer_computes_no_input_gradient() -> None:
    for first in (False, True):
        layer = Linear(3, 5, first=first)
        network([layer], 2)
        layer.forward(normal(2, 3, 4), True)
        g = normal(2, 5, 4, seed=1)
        assert (layer.backward(g) is g) == first


# batch normalization


@pytest.mark.slow
@given(SHAPES, st.booleans(), SCALES, st.floats(-100, 100), SEEDS)
def test_batch_norm_equals_torch(
    shape: tuple[int, int, int, int], running: bool, scale: float, offset: float, seed: int
) -> None:
    models, features, _, n = shape
    layer = BatchNorm(features, running)
    net = network([layer], models)
    net.state.copy_(normal(*net.state.shape, seed=seed))
    parameters = [value.clone().requires_grad_() for value in layer.values]
    buffers = layer.buffers if running else layer.values  # without running statistics, torch gets any tensors
    variances, means = (buffer.flatten().clone() for buffer in buffers)
    x = (scale * (normal(models, features, n, seed=seed + 1) + offset)).requires_grad_()
    weight, bias = (parameter.flatten() for parameter in parameters)
    y = functional.batch_norm(x.reshape(1, -1, n), means, variances, weight, bias, training=True).view_as(x)
    inverse = (x.detach().var(2, correction=0).min() + 1e-5).rsqrt()
    terms = (1 + largest(x) * inverse.item()) * (
        1 + inverse.item()
    )  # x and its mean share digits, which their difference loses
    close(layer.forward(x.detach().clone(), True), y, terms)
    check_backward(layer, x, y, parameters, seed=seed + 2, terms=terms)
    if running:
        close(layer.buffers[1].flatten(), means, largest(x))
        close(layer.buffers[0].flatten(), variances, largest(x) ** 2)


@pytest.mark.parametrize("running", [True, False])
def test_batch_norm_evaluates_with_selected_statistics(running: bool) -> None:
    layer = BatchNorm(3, running)
    network([layer], 2)
    reference = nn.BatchNorm1d(6, dtype=torch.float64)
    for batch in range(5):
        x = normal(2, 3, 8, seed=batch) * 2 + 1
        layer.forward(x.clone(), True)
        reference(x.reshape(1, 6, 8))
    reference.train(not running)
    x = normal(2, 3, 8, seed=5)
    close(layer.forward(x.clone(), False), reference(x.reshape(1, 6, 8)).view(2, 3, 8))


def test_evaluation_preserves_running_statistics() -> None:
    layer = BatchNorm(3, running=True)
    net = network([layer], 2)
    before = net.state.clone()
    layer.forward(normal(2, 3, 8), False)
    assert torch.equal(net.state, before)


def test_batch_norm_of_constant_feature_equals_torch() -> None:
    layer = BatchNorm(2, running=False)
    network([layer], 1)
    for value in layer.values:
        value.copy_(normal(*value.shape))
    x = torch.tensor([[[0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 0.0, 0.0]]], dtype=torch.float64).requires_grad_()
    parameters = [value.clone().requires_grad_() for value in layer.values]
    weight, bias = (parameter.flatten() for parameter in parameters)
    y = functional.batch_norm(x, None, None, weight, bias, training=True)
    close(layer.forward(x.detach().clone(), True), y)
    check_backward(layer, x, y, parameters, seed=1, terms=1e3)


@pytest.mark.parametrize("running", [True, False])
def test_batch_norm_of_one_example_returns_bias(running: bool) -> None:
    layer = BatchNorm(3, running)
    net = network([layer], 2)
    net.values.copy_(normal(*net.values.shape))
    assert torch.equal(layer.forward(normal(2, 3, 1, seed=1), True), layer.values[1])
    assert not layer.backward(normal(2, 3, 1, seed=2)).any()
    assert net.state.isfinite().all()


def test_float32_batch_norm_is_exact_far_from_zero() -> None:
    layer = BatchNorm(1, running=False)
    network([layer], 1, torch.float32)
    x = torch.tensor([[[4096.0, 4096.5, 4097.0, 4097.5]]])
    expected = functional.batch_norm(x.double(), None, None, training=True)
    torch.testing.assert_close(layer.forward(x, True).double(), expected, rtol=1e-6, atol=0)


# networks


@pytest.mark.parametrize("activation", ACTIVATIONS)
@settings(max_examples=25)
@given(
    widths=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    norms=st.sampled_from([(False, False), (True, False), (False, True), (True, True)]),
    last=st.booleans(),
    activated=st.booleans(),
    running=st.booleans(),
    seed=SEEDS,
)
@example([3, 4, 4, 2], (True, True), True, True, False, 0)  # the net of the report trig
@example([3, 4, 4, 2], (False, False), False, True, False, 0)
def test_network_gradients_equal_autograd(
    activation: str, widths: list[int], norms: tuple[bool, bool], last: bool, activated: bool, running: bool, seed: int
) -> None:
    """All parameters are random, because the initial γ = 1 and β = 0 would hide errors."""
    if any(norms):
        widths = [max(width, 2) for width in widths]  # a single feature would make all later features nearly equal
    layers = mlp(
        widths, activation=activation, norm=norms[0], norm_last=last, output_activation=activated,
        output_norm=norms[1], running=running,
    )  # fmt: skip
    net = network(layers, 2)
    net.values.copy_(normal(*net.values.shape, seed=seed))
    x, y = normal(2, 9, widths[0], seed=seed + 1), normal(2, 9, widths[-1], seed=seed + 2)
    models = [as_torch(net, model) for model in range(2)]
    losses = [functional.mse_loss(model(x[k]), y[k]) for k, model in enumerate(models)]
    by_parameter = [
        torch.autograd.grad(loss, list(model.parameters())) for loss, model in zip(losses, models, strict=True)
    ]
    gradients = torch.stack([torch.cat([gradient.flatten() for gradient in each]) for each in by_parameter])
    terms = (1000 if any(norms) else 10) * max(
        largest(gradients), 1
    )  # BatchNorm amplifies small variation by up to 1 / √ε
    close(net.gradient(x, y, MSE())["loss"], torch.stack(losses).detach(), terms)
    close(net.gradients, gradients, terms)


@settings(max_examples=20)
@given(SHAPES, SEEDS)
def test_log_softmax_and_nll_equal_cross_entropy(shape: tuple[int, int, int, int], seed: int) -> None:
    models, inputs, outputs, n = shape
    plain = network(mlp([inputs, 4, outputs], activation="tanh"), models)
    logged = network([*mlp([inputs, 4, outputs], activation="tanh"), LogSoftmax()], models)
    plain.values.mul_(3)
    logged.values.mul_(3)
    x = normal(models, n, inputs, seed=seed)
    labels = torch.randint(outputs, (models, n, 1), generator=torch.Generator().manual_seed(seed))
    expected, scores = plain.gradient(x, labels, CrossEntropy()), logged.gradient(x, labels, NLL())
    for name in ("loss", "accuracy"):
        close(scores[name], expected[name])
    close(logged.gradients, plain.gradients)


@pytest.mark.parametrize("last", [False, True], ids=["norm first", "norm last"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_batches_of_two_sizes_can_alternate(activation: str, last: bool) -> None:
    def layers() -> list[Layer]:
        return mlp(
            [3, 4, 4, 2], activation=activation, norm=True, norm_last=last, output_activation=last, output_norm=last,
            running=False,
        )  # fmt: skip

    net = network(layers(), 2)
    for turn, n in enumerate([9, 4, 9, 4]):
        x, y = normal(2, n, 3, seed=turn), normal(2, n, 2, seed=turn + 10)
        fresh = network(layers(), 2)
        assert torch.equal(net.gradient(x, y, MSE())["loss"], fresh.gradient(x, y, MSE())["loss"])
        assert torch.equal(net.gradients, fresh.gradients)


@every_precision
def test_all_tensors_have_precision_of_network(dtype: torch.dtype) -> None:
    net = network(mlp([3, 4, 2], activation="relu", norm=True), 2, dtype)
    x, y = normal(2, 9, 3).to(dtype), normal(2, 9, 2, seed=1).to(dtype)
    assert net.gradient(x, y, MSE())["loss"].dtype == dtype
    assert (net.state.dtype, net.gradients.dtype, net.predict(x).dtype) == (dtype,) * 3


def test_network_without_activation_is_affine() -> None:
    net, x = network(mlp([1, 4, 4, 1], activation="none"), 2), normal(2, 3, 1)
    points = torch.cat([x, x.mean(1, keepdim=True)], 1)
    y = net.predict(points)
    close(y[:, :, 3], y[:, :, :3].mean(2))


@pytest.mark.parametrize("running", [False, True])
def test_evaluation_differs_only_with_running_averages(running: bool) -> None:
    net = network(mlp([3, 4, 2], activation="tanh", norm=True, output_norm=True, running=running), 2)
    x = normal(2, 9, 3)
    trained = net.predict(x, training=True).clone()
    assert torch.equal(net.predict(x), trained) == (not running)


@pytest.mark.parametrize("running", [False, True])
def test_bias_is_omitted_only_if_it_changes_nothing(running: bool) -> None:
    layers = mlp([3, 4, 1], activation="relu", norm=True, running=running)
    first, *others = as_torch(network(layers, 1), 0).train(not running)
    assert isinstance(first, nn.Linear)
    biased = nn.Linear(3, 4, dtype=torch.float64)
    biased.weight.data.copy_(first.weight)
    x = normal(9, 3)
    outputs, biased_outputs = (nn.Sequential(linear, *others)(x) for linear in (first, biased))
    cancels = torch.allclose(biased_outputs, outputs, rtol=1e-9, atol=1e-9)
    assert cancels == (not running)
    assert (len(layers[0].shapes) == 1) == cancels


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "Linear ReLU Linear"),
        ({"norm": True}, "Linear BatchNorm ReLU Linear"),
        ({"norm": True, "norm_last": True}, "Linear ReLU BatchNorm Linear"),
        ({"output_activation": True}, "Linear ReLU Linear ReLU"),
        ({"norm": True, "output_norm": True}, "Linear BatchNorm ReLU Linear BatchNorm"),
        ({"norm": True, "output_norm": True, "norm_last": True}, "Linear ReLU BatchNorm Linear BatchNorm"),
        (
            {"norm": True, "output_norm": True, "output_activation": True},
            "Linear BatchNorm ReLU Linear BatchNorm ReLU",
        ),
        (
            {"norm": True, "output_norm": True, "output_activation": True, "norm_last": True},
            "Linear ReLU BatchNorm Linear ReLU BatchNorm",
        ),
        ({"norm_last": True, "output_activation": True}, "Linear ReLU Linear ReLU"),
    ],
    ids=str,
)
def test_mlp_layers_are_ordered_by_settings(settings: dict[str, Any], expected: str) -> None:
    layers = mlp([3, 4, 1], activation="relu", **settings)
    assert " ".join(type(layer).__name__ for layer in layers) == expected
    modules = [type(module).__name__ for module in as_torch(network(layers, 1), 0)]
    assert " ".join(modules).replace("BatchNorm1d", "BatchNorm") == expected


@pytest.mark.parametrize(
    ("settings", "biases"),
    [
        ({"norm": True, "running": False}, [False, True]),
        ({"norm": True, "running": True}, [True, True]),
        ({"norm": True, "running": False, "norm_last": True}, [True, True]),
        ({"norm": True, "running": False, "output_norm": True}, [False, False]),
        ({"norm": True, "running": False, "output_norm": True, "norm_last": True}, [True, False]),
        (
            {"norm": True, "running": False, "output_norm": True, "norm_last": True, "output_activation": True},
            [True] * 2,
        ),
    ],
    ids=str,
)
def test_bias_is_omitted_if_batch_norm_directly_follows(settings: dict[str, Any], biases: list[bool]) -> None:
    linear = [layer for layer in mlp([3, 4, 1], activation="relu", **settings) if isinstance(layer, Linear)]
    assert [len(layer.shapes) == 2 for layer in linear] == biases


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_training_with_batch_norm_last_equals_torch(activation: str, running: bool) -> None:
    layers = mlp(
        [3, 5, 4, 2], activation=activation, norm=True, norm_last=True, output_activation=True, output_norm=True,
        running=running,
    )  # fmt: skip
    net, optimizer = network(layers, 2), SGD(0.9)
    models = [as_torch(net, model) for model in range(2)]
    references = [torch.optim.SGD(model.parameters(), 0.01, momentum=0.9) for model in models]
    for step in range(10):
        x, y = normal(2, 9, 3, seed=step), normal(2, 9, 2, seed=step + 100)
        net.gradient(x, y, MSE())
        optimizer.step(net.values, net.gradients, torch.full((2,), 0.01, dtype=torch.float64))
        for k, (model, reference) in enumerate(zip(models, references, strict=True)):
            reference.zero_grad()
            functional.mse_loss(model(x[k]), y[k]).backward()
            reference.step()
    x = normal(2, 7, 3, seed=999)
    expected = torch.stack([model.train(not running)(x[k]) for k, model in enumerate(models)]).detach()
    torch.testing.assert_close(net.predict(x).mT, expected, rtol=1e-9, atol=1e-9)
    for k, model in enumerate(models):
        parameters = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
        torch.testing.assert_close(net.values[k], parameters, rtol=1e-9, atol=1e-9)


# initial weights


def linear_weights(seed: int, widths: list[int], **settings: Any) -> list[Tensor]:
    layers = mlp(widths, **{"activation": "relu", "init": "xavier_normal", **settings})
    net = Network(layers, [torch.Generator().manual_seed(seed)])
    return [layer.values[0][0] for layer in net.layers if isinstance(layer, Linear)]


@pytest.mark.parametrize("init", INITS)
def test_initial_weights_do_not_depend_on_norm(init: str) -> None:
    plain = linear_weights(3, [2, 5, 4, 1], init=init)
    for norm in ({"norm": True}, {"norm": True, "running": False}, {"norm": True, "norm_last": True}):
        normed = linear_weights(3, [2, 5, 4, 1], init=init, **norm)
        assert all(torch.equal(a, b) for a, b in zip(plain, normed, strict=True))


@pytest.mark.parametrize("width", [1, 3, 50])
def test_initial_weights_of_other_layers_ignore_width(width: int) -> None:
    one, other = linear_weights(3, [2, 5, 4, 6, 1]), linear_weights(3, [2, 5, width, 6, 1])
    assert [torch.equal(a, b) for a, b in zip(one, other, strict=True)] == [True, False, False, True]


@pytest.mark.parametrize("hidden", [[5], [5, 5], [5, 5, 5, 5]])
def test_first_and_last_initial_weights_ignore_depth(hidden: list[int]) -> None:
    one, other = linear_weights(3, [2, 5, 5, 5, 1]), linear_weights(3, [2, *hidden, 1])
    for i in range(min(len(one), len(other)) - 1):
        assert torch.equal(one[i], other[i])
    assert torch.equal(one[-1], other[-1])


def test_layers_of_equal_shape_have_different_weights() -> None:
    _, two, three, four, _ = linear_weights(3, [2, 5, 5, 5, 5, 1])
    assert len({tuple(weight.flatten().tolist()) for weight in (two, three, four)}) == 3
    assert not torch.equal(two, linear_weights(4, [2, 5, 5, 1])[1])
