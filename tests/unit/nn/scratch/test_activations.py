"""Tests of the activations from scratch against torch's autograd."""

from collections.abc import Callable
from functools import partial
from math import cosh, exp
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from labcheck.nn.scratch.activations import ACTIVATIONS, ELU, LeakyReLU
from labcheck.nn.scratch.layers import Layer
from tests.helpers.nets import SCALES, SEEDS, check_backward, close, every_precision, normal

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 9))
"""The numbers of models, features and examples."""
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": torch.clone,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "tanh": functional.tanh,
    "sigmoid": functional.sigmoid,
    "swish": functional.silu,
    "softmax": partial(functional.softmax, dim=1),
    "log_softmax": partial(functional.log_softmax, dim=1),
}


class Kind(NamedTuple):
    """An activation from scratch, and torch's."""

    scratch: Callable[[], Layer]
    reference: Callable[[Tensor], Tensor]


KINDS = {name: Kind(ACTIVATIONS[name], function) for name, function in FUNCTIONS.items()}
KINDS |= {
    f"leaky_relu {a}": Kind(partial(LeakyReLU, a), partial(functional.leaky_relu, negative_slope=a)) for a in (0.0, 0.3)
}
KINDS |= {f"elu {a}": Kind(partial(ELU, a), partial(functional.elu, alpha=a)) for a in (0.1, 0.5, 3.0)}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
ELEMENTWISE = {name: kind for name, kind in KINDS.items() if "softmax" not in name}
EDGES = [0.0, -0.0, 1e-300, -1e-300, 1e-20, -1e-20, 1e-8, -1e-8, 0.5, -0.5, 5.0, -5.0, 30.0, -30.0, 40.0, -40.0]
EDGES += [12.0, -12.0, 16.0, -16.0, 18.0, -18.0, 700.0, -700.0, 1e4, -1e4, 1e300, -1e300]
SMALLEST = 1e-287
"""The magnitude of terms for results without cancellation: only denormal numbers have fewer digits."""


def test_all_activations_are_tested() -> None:
    assert FUNCTIONS.keys() == ACTIVATIONS.keys()


@pytest.mark.slow
@every_kind
@given(shape=SHAPES, scale=SCALES, seed=SEEDS)
def test_values_and_gradients_equal_torch(kind: Kind, shape: tuple[int, int, int], scale: float, seed: int) -> None:
    layer = kind.scratch()
    x = normal(*shape, seed=seed).mul_(scale).requires_grad_()
    y = kind.reference(x)
    close(layer.forward(x.detach().clone(), True), y)
    check_backward(layer, x, y, seed=seed + 1, terms=10)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_kinks_and_tails_equal_torch(name: str) -> None:
    kind = KINDS[name]
    layer = kind.scratch()
    x = torch.tensor(EDGES, dtype=torch.float64).view(1, 2, -1).requires_grad_()
    y = kind.reference(x)
    close(layer.forward(x.detach().clone(), True), y, SMALLEST)
    check_backward(layer, x, y, seed=0, terms=0.1 if name == "tanh" else SMALLEST)  # 1 − y² cancels


@pytest.mark.parametrize(
    ("name", "slope"), [("relu", 0.0), ("leaky_relu", 0.01), ("leaky_relu 0.3", 0.3), ("elu", 1.0), ("elu 0.5", 0.5)]
)
def test_slope_at_kink_is_slope_from_left(name: str, slope: float) -> None:
    layer = KINDS[name].scratch()
    layer.forward(torch.zeros(1, 1, 2, dtype=torch.float64), True)
    assert layer.backward(torch.tensor([[[1.0, -2.0]]], dtype=torch.float64)).flatten().tolist() == [slope, -2 * slope]


@pytest.mark.parametrize(
    ("name", "slope"),
    [("elu", exp(-30)), ("elu 3.0", 3 * exp(-30)), ("sigmoid", 0.25 / cosh(15) ** 2), ("swish", -29 * exp(-30))],
)
def test_left_tails_have_exact_slopes(name: str, slope: float) -> None:
    """The right tail of a sigmoid has the few digits of 1 − σ(x), as in torch."""
    layer = KINDS[name].scratch()
    layer.forward(torch.full((1, 1, 1), -30.0, dtype=torch.float64), True)
    actual = layer.backward(torch.ones(1, 1, 1, dtype=torch.float64)).item()
    assert actual == pytest.approx(slope, rel=1e-11, abs=0)  # the slope of the swish lacks a term e⁻³⁰ smaller


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(shape=SHAPES, seed=SEEDS)
def test_tiny_softmax_gradients_have_ten_digits(name: str, shape: tuple[int, int, int], seed: int) -> None:
    """The loss depends on one output, and the gradient is with respect to the other inputs, so that nothing cancels."""
    kind, layer = KINDS[name], KINDS[name].scratch()
    x = normal(*shape, seed=seed).mul_(30).requires_grad_()
    g = torch.zeros(shape, dtype=torch.float64)
    g[:, 0] = normal(shape[0], shape[2], seed=seed + 1)
    [expected] = torch.autograd.grad(kind.reference(x), x, g)
    layer.forward(x.detach().clone(), True)
    close(layer.backward(g)[:, 1:], expected[:, 1:], SMALLEST)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(st.lists(st.tuples(*[st.sampled_from([-1e30, -1e4, 0.0, 1.0, 1e4, 1e30])] * 3), min_size=1, max_size=5), SEEDS)
def test_huge_and_equal_logits_equal_torch(name: str, rows: list[tuple[float, ...]], seed: int) -> None:
    kind, layer = KINDS[name], KINDS[name].scratch()
    x = torch.tensor(rows, dtype=torch.float64).mT.unsqueeze(0).requires_grad_()
    y = kind.reference(x)
    close(layer.forward(x.detach().clone(), True), y)
    check_backward(layer, x, y, seed=seed, terms=10)


@every_kind
def test_huge_float32_inputs_give_finite_results(kind: Kind) -> None:
    layer = kind.scratch()
    x = torch.tensor([-1e38, -1e30, -1e4, -89.0, -1.0, 0.0, 1.0, 89.0, 1e4, 1e30, 1e38, 1e38]).view(1, 3, -1)
    x.requires_grad_()
    y, g = kind.reference(x), normal(*x.shape).float()
    [expected] = torch.autograd.grad(y, x, g)
    value, gradient = layer.forward(x.detach().clone(), True).clone(), layer.backward(g)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    torch.testing.assert_close(value, y.detach(), rtol=1e-5, atol=1e-37)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6)


@every_precision
@every_kind
def test_activations_preserve_precision(kind: Kind, dtype: torch.dtype) -> None:
    layer = kind.scratch()
    assert layer.forward(normal(2, 3, 4).to(dtype), True).dtype == dtype
    assert layer.backward(normal(2, 3, 4).to(dtype)).dtype == dtype


@every_kind
def test_model_has_equal_results_alone_and_stacked(kind: Kind) -> None:
    x, g = normal(3, 4, 5), normal(3, 4, 5, seed=1)
    stacked = kind.scratch()
    y, slopes = stacked.forward(x.clone(), True).clone(), stacked.backward(g.clone())
    for k in range(3):
        alone = kind.scratch()
        close(alone.forward(x[k : k + 1].clone(), True), y[k : k + 1])
        close(alone.backward(g[k : k + 1].clone()), slopes[k : k + 1])
