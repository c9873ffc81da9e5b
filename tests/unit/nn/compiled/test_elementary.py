"""Tests of the elementary functions against NumPy, in higher precision."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from labcheck.nn.compiled import elementary
from labcheck.nn.compiled.jit import jit

EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
LIMITS = {np.float32: (-87.0, 88.7), np.float64: (-708.0, 709.7)}
"""The numbers between which the exponential is an ordinary number."""
HIGHER = {np.float32: np.float64, np.float64: np.longdouble}
every_function = pytest.mark.parametrize("name", EXACT)
every_type = pytest.mark.parametrize("dtype", LIMITS, ids=lambda dtype: dtype.__name__)


@cache
def loop(name: str) -> Callable[[Any, Any], None]:
    """Return a compiled loop that computes y = f(x) for vectors."""
    function = getattr(elementary, name)

    @jit
    def apply(x: Any, y: Any) -> None:
        for i in range(len(x)):
            y[i] = function(x[i])

    return apply


def compute(name: str, x: Any) -> Any:
    """Return a function of each number."""
    y = np.empty_like(x)
    loop(name)(x, y)
    return y


@pytest.mark.slow
@every_type
@every_function
def test_relative_errors_are_below_twice_the_precision(name: str, dtype: Any) -> None:
    lowest, highest = LIMITS[dtype]
    small = np.geomspace(1e-30, 1, 10_001)
    x = np.concatenate([np.linspace(lowest, highest, 200_001), np.linspace(-3, 3, 100_001), small, -small])
    x = x[x <= 80] if name == "expm1" else x
    x = x.astype(dtype)
    expected = EXACT[name](x.astype(HIGHER[dtype]))
    ordinary = abs(expected) >= np.finfo(dtype).tiny
    error = abs(compute(name, x)[ordinary] / expected[ordinary] - 1)
    assert error.max() < 2 * np.finfo(dtype).eps


@every_type
def test_exp_ends_in_infinity_and_zero(dtype: Any) -> None:
    lowest, highest = LIMITS[dtype]
    x = np.array([np.inf, 1e30, highest + 1, -np.inf, -1e30, lowest * 1.25], dtype)
    assert compute("exp", x).tolist() == [np.inf] * 3 + [0.0] * 3
    x = np.linspace(lowest - 20, lowest, 1001).astype(dtype)  # denormal numbers
    np.testing.assert_allclose(compute("exp", x), np.exp(x.astype(HIGHER[dtype])), atol=2 * np.finfo(dtype).tiny)


@every_type
def test_bounded_functions_reach_their_limits(dtype: Any) -> None:
    x = np.array([np.inf, 1e30, 50.0, -np.inf, -1e30, -200.0 if dtype is np.float32 else -800.0], dtype)
    assert compute("tanh", x).tolist() == [1.0] * 3 + [-1.0] * 3
    assert compute("sigmoid", x).tolist() == [1.0] * 3 + [0.0] * 3
    assert compute("expm1", x[3:]).tolist() == [-1.0] * 3


@every_type
@every_function
def test_nan_and_zero(name: str, dtype: Any) -> None:
    x = np.array([np.nan, 0.0, -0.0], dtype)
    y = compute(name, x)
    assert np.isnan(y[0])
    assert y[1] == y[2] == {"exp": 1.0, "sigmoid": 0.5}.get(name, 0.0)
    assert y.dtype == dtype


@every_function
def test_function_outside_of_kernels_raises_error(name: str) -> None:
    with pytest.raises(NotImplementedError, match=f"{name} is for use in kernels"):
        getattr(elementary, name)(1.0)
