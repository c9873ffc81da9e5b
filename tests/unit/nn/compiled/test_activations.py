"""Tests of the compiled activations against those from scratch."""

from collections.abc import Callable
from functools import partial
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings

from labcheck.data.examples import Examples
from labcheck.nn.scratch.activations import ACTIVATIONS, ELU, LeakyReLU
from labcheck.nn.scratch.layers import Layer, Linear
from tests.helpers.nets import SCALES, SEEDS, normal
from tests.unit.nn.compiled.twins import MODELS, Twins, chain, same

KINDS: dict[str, Callable[[], Layer]] = {
    name: ACTIVATIONS[name] for name in ACTIVATIONS if name not in ("softmax", "log_softmax")
}
KINDS |= {f"leaky_relu {a}": partial(LeakyReLU, a) for a in (0.0, 0.3, 1.0)}
KINDS |= {f"elu {a}": partial(ELU, a) for a in (0.0, 0.5, 3.0)}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
EDGES = [0.0, -0.0, 1e-300, -1e-300, 1e-20, -1e-20, 1e-8, -1e-8, 0.5, -0.5, 5.0, -5.0, 30.0, -30.0, 40.0, -40.0]
EDGES += [12.0, -12.0, 16.0, -16.0, 18.0, -18.0, 700.0, -700.0, 1e4, -1e4, 1e300, -1e300]
NOT_FINITE = [torch.nan, torch.inf, -torch.inf]


def single(kind: Callable[[], Layer]) -> Twins:
    """Return networks that apply an activation to a number: y = f(1 · x), then 1 · y."""
    twins = Twins(lambda: [Linear(1, 1, bias=False, first=True), kind(), Linear(1, 1, bias=False)], models=1)
    for model in (twins.scratch, twins.compiled):
        model.values.fill_(1)
    return twins


@every_kind
@settings(max_examples=10)
@given(scale=SCALES, seed=SEEDS)
def test_gradients_equal_scratch(kind: Callable[[], Layer], scale: float, seed: int) -> None:
    twins = Twins(chain([3, 7, 5, 2], lambda features: kind()))
    split = twins.examples(19, seed, scale)
    twins.compare_gradients(split)
    twins.compare_predictions(split.x)


@every_kind
@pytest.mark.parametrize("x", EDGES)
def test_edges_equal_scratch(kind: Callable[[], Layer], x: float) -> None:
    twins = single(kind)
    inputs = torch.full((1, 1, 1), x, dtype=torch.float64)
    expected = twins.scratch.predict(inputs).item()
    assert twins.predict(inputs).item() == pytest.approx(expected, rel=1e-12, abs=0)


@every_kind
@pytest.mark.parametrize("x", NOT_FINITE)
def test_nan_and_infinity_equal_scratch(kind: Callable[[], Layer], x: float) -> None:
    twins = single(kind)
    split = Examples(*torch.tensor([[[[x]]], [[[0.0]]]], dtype=torch.float64))
    twins.compare_predictions(split.x)
    twins.compare_gradients(split)


@every_kind
def test_activation_of_output_equals_scratch(kind: Callable[[], Layer]) -> None:
    twins = Twins(lambda: [*chain([3, 4, 2])(), kind()])
    split = twins.examples(20)
    twins.train(split, 6, epochs=3)
    twins.compare_predictions(normal(MODELS, 700, 3))


def test_settings_of_activations_differ() -> None:
    results = []
    for name in ("leaky_relu", "leaky_relu 0.3", "elu", "elu 0.5", "elu 3.0"):
        kind = KINDS[name]
        twins = Twins(lambda kind=kind: [Linear(3, 7), kind(), Linear(7, 2)])  # type: ignore[misc]
        twins.train(twins.examples(20), 5)
        results.append(twins.compiled.state)
    for one, other in combinations(results, 2):
        with pytest.raises(AssertionError):
            same(one, other)
