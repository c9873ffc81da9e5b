"""Functions to fit: their values, those of the user's own, and what is drawn from them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from labcheck.data import functions
from labcheck.data.examples import Examples, generators
from labcheck.data.functions import PERIOD, Array, Function, UserFunction

GRID = functions.grid(1000, (-5.0, 5.0))


def points(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64).unsqueeze(1)


# The functions of the reports.


@pytest.mark.parametrize(
    ("function", "x", "y"),
    [
        (functions.sine, np.pi / 2, 1),
        (functions.sine, np.pi / 6, 0.5),
        (functions.trig, 0, 1),
        (functions.trig, np.pi / 4, 2**0.5 + 0.5),
        (functions.f, 0, np.cos(1) - 5),
        (functions.f, 1, 2 * np.sin(1) - 3),
        (functions.f, -2, 4 - 2 * np.sin(2) + np.cos(3) - 5),
        (functions.g, 0, 1 + np.sin(1)),
        (functions.g, -1, 1 + np.sin(2) - np.log(2)),
        (functions.g, 2, 7 + np.sin(5) - np.log(5)),
        (functions.g_printed, 0, 1 + np.sin(1)),
        (functions.g_printed, -1, np.sin(2) - np.log(2)),
        (functions.g_printed, 2, 9 + np.sin(5) - np.log(5)),
    ],
)
def test_functions_are_those_of_the_reports(function: Function, x: float, y: float) -> None:
    np.testing.assert_allclose(function(np.array([x])), [y], rtol=1e-12)


# Values.


@given(st.lists(st.integers(1, 4), max_size=3))
def test_values_have_the_shape_of_the_points(shape: list[int]) -> None:
    x = torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)
    y = functions.values(lambda points: points**2, x)
    assert y.dtype == torch.float64
    assert torch.equal(y, x.double() ** 2)


def integers(x: Array) -> Any:
    return np.floor(x).astype(int)


def in_place(x: Array) -> Array:
    x *= 2
    return x


class Parabola:
    def __call__(self, x: Array) -> Array:
        return x**2


class Bound:
    def values(self, x: Array) -> Array:
        return x + 1


SOUND: dict[str, tuple[Any, list[float]]] = {
    "of NumPy": (np.abs, [2, 0, 1.5]),
    "lambda": (lambda x: x / 2, [-1, 0, 0.75]),
    "callable object": (Parabola(), [4, 0, 2.25]),
    "method": (Bound().values, [-1, 1, 2.5]),
    "partial": (partial(np.power, 2.0), [0.25, 1, 2**1.5]),
    "integers": (integers, [-2, 0, 1]),
    "in place": (in_place, [-4, 0, 3]),
    "list": (lambda x: [float(number) for number in x], [-2, 0, 1.5]),
    "tensor": (lambda x: torch.from_numpy(x) + 1, [-1, 1, 2.5]),
    "float16": (lambda x: x.astype(np.float16), [-2, 0, 1.5]),
    "constant": (np.ones_like, [1, 1, 1]),
    "true or false": (lambda x: x > 0, [0, 0, 1]),
    "large": (lambda x: x * 1e38, [-2e38, 0, 1.5e38]),
    "NaN where it does not count": (lambda x: np.where(x > 0, np.sqrt(x), 0), [0, 0, 1.5**0.5]),
}


@pytest.mark.parametrize(("function", "expected"), SOUND.values(), ids=SOUND)
def test_a_function_may_be_anything_that_gives_a_number_for_each_point(
    function: Function, expected: list[float]
) -> None:
    x = points(-2, 0, 1.5)
    assert functions.values(function, x).squeeze(1).tolist() == expected
    assert torch.equal(x, points(-2, 0, 1.5))


def failing(x: Array) -> Array:
    raise RuntimeError("no tea")


def asked_for_one_number(x: Array) -> Any:
    return x if x > 0 else -x


UNSOUND: dict[str, tuple[Any, str]] = {
    "scalar": (lambda x: 1.0, r"gets an array of shape \(3,\) and gave just 1\.0;"),
    "nothing": (lambda x: None, r"gets an array of shape \(3,\) and gave just None;"),
    "too few": (lambda x: x[1:], r"gets an array of shape \(3,\) and gave an array of shape \(2,\);"),
    "column": (lambda x: x[:, None], r"gets an array of shape \(3,\) and gave an array of shape \(3, 1\);"),
    "complex": (lambda x: x * 1j, "gave values of type complex128, not real numbers"),
    "objects": (lambda x: x.astype(object), "gave values of type object, not real numbers"),
    "words": (lambda x: x.astype(str), "gave values of type <U32, not real numbers"),
    "NaN": (np.sqrt, "is nan at x = -2,"),
    "infinite": (lambda x: 1 / x, "is inf at x = 0,"),
    "too large": (lambda x: -np.exp(600 * x), r"is -inf at x = 1\.5,"),
    "too large for float32": (lambda x: 1e39 * x, r"is -2e\+39 at x = -2,"),
    "failing": (failing, "raised RuntimeError: no tea;"),
    "of one number": (asked_for_one_number, "raised ValueError: .*truth value.*;"),
    "without argument": (lambda: 1, "raised TypeError: .* takes 0 positional arguments .*;"),
    "ragged": (lambda x: [[1], [1, 2]], "raised ValueError: "),
}


@pytest.mark.parametrize(("function", "message"), UNSOUND.values(), ids=UNSOUND)
def test_what_does_not_give_a_number_for_each_point_is_refused(function: Function, message: str) -> None:
    with pytest.raises(ValueError, match=f"^the function {message}"):
        functions.values(function, points(-2, 0, 1.5))


def test_what_a_function_raised_is_the_cause() -> None:
    with pytest.raises(ValueError, match="no tea") as error:
        functions.values(failing, points(0))
    assert isinstance(error.value.__cause__, RuntimeError)


# Functions of the user's own.


@pytest.mark.parametrize(
    ("function", "name"),
    [(np.sin, "sin"), (lambda x: x, "<lambda>"), (Parabola(), "Parabola"), (integers, "integers")],
)
def test_an_own_function_is_called_by_its_name_and_its_values(function: Function, name: str) -> None:
    own = UserFunction(function, GRID)
    assert repr(own).split(" ")[0] == name
    x = np.linspace(-5, 5, 7)
    np.testing.assert_array_equal(own(x), function(x))


def test_one_function_is_one_however_often_it_is_written() -> None:
    one, other = UserFunction(lambda x: x**2 + 1, GRID), UserFunction(lambda x: 1 + x * x, GRID)
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x, lambda x: x + 0.001),
        (lambda x: x, lambda x: -x),
        (lambda x: np.where(x < 4.9, x, 0), lambda x: np.where(x < 4.8, x, 0)),
        (Parabola(), lambda x: x**2),
    ],
    ids=["shifted", "mirrored", "at the end", "name"],
)
def test_functions_that_differ_are_told_apart(one: Function, other: Function) -> None:
    assert UserFunction(one, GRID) != UserFunction(other, GRID)
    assert repr(UserFunction(one, GRID)) != repr(UserFunction(other, GRID))


def test_an_own_function_is_no_word_and_no_other_thing() -> None:
    own = UserFunction(np.sin, GRID)
    assert own != repr(own)
    assert own != np.sin


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e-5, 1, 1e30])
def test_functions_of_any_size_are_told_apart_by_a_millionth(scale: float) -> None:
    def own(slope: float) -> UserFunction:
        return UserFunction(lambda x: slope * scale * x, GRID)

    assert own(1.0) == own(1 + 1e-12)
    assert len({own(1.0), own(1.00001), own(-1.0), own(10.0)}) == 4


def test_zero_is_zero_however_it_is_written() -> None:
    assert (
        UserFunction(lambda x: 0 * x, GRID)
        == UserFunction(lambda x: np.abs(0 * x), GRID)
        != UserFunction(lambda x: 1e-30 + 0 * x, GRID)
    )


def test_a_random_function_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^the function gives a point other values"):
        UserFunction(lambda x: x + rng.normal(size=x.shape), GRID)


OF_OTHER_POINTS: dict[str, Function] = {
    "mean": lambda x: x - x.mean(),
    "spread": lambda x: x / x.std(),
    "lowest": lambda x: x - x.min(),
    "highest": lambda x: x - x.max(),
    "farthest": lambda x: x / np.abs(x).max(),
    "highest value": lambda x: np.sin(x) / np.sin(x).max(),
    "first": lambda x: x - x[0],
    "last": lambda x: x - x[-1],
    "neighbours": np.gradient,
    "number": lambda x: x * len(x),
    "sorted": np.sort,
    "reversed": lambda x: x[::-1],
    "running": np.cumsum,
}


@pytest.mark.parametrize("function", OF_OTHER_POINTS.values(), ids=OF_OTHER_POINTS)
def test_a_function_that_depends_on_other_points_is_refused(function: Function) -> None:
    with pytest.raises(ValueError, match=r"^the function gives a point other values"):
        UserFunction(function, GRID)


WEIGHTS = np.random.default_rng(0).normal(size=(30, 30))
OF_EACH_POINT: dict[str, Function] = {
    "rows": lambda x: np.tanh(np.tanh(x[:, None] @ WEIGHTS[:1]) @ WEIGHTS) @ WEIGHTS[0],
    "columns": lambda x: WEIGHTS[0] @ np.tanh(WEIGHTS @ np.tanh(WEIGHTS[:, :1] @ x[None])),
    "float32": lambda x: np.sin(x.astype(np.float32)),
    "step": lambda x: np.where(x < 0, -1, 1),
    "constant": np.ones_like,
}


@pytest.mark.parametrize("function", OF_EACH_POINT.values(), ids=OF_EACH_POINT)
def test_a_function_may_round_otherwise_among_other_points(function: Function) -> None:
    assert UserFunction(function, GRID) == UserFunction(function, GRID)


def test_an_own_function_is_tried_at_all_of_its_points() -> None:
    UserFunction(np.log, functions.grid(400, (1.0, 5.0)))
    for low, number in ((-1.0, "nan"), (0.0, "-inf")):
        with pytest.raises(ValueError, match=f"^the function is {number} at x = {low:g},"):
            UserFunction(np.log, functions.grid(400, (low, 5.0)))
    with pytest.raises(ValueError, match=r"^the function is nan at x = 4\.99,"):
        UserFunction(lambda x: np.where(x < 4.985, x, np.nan), GRID)


# Samples.


def test_uniform_draws_fill_their_interval() -> None:
    x = functions.uniform(2000, (-5, 5), generators(range(3), "data"))
    assert (x.shape, x.dtype) == ((3, 2000, 1), torch.float64)
    assert x.min() >= -5
    assert x.max() < 5
    assert all(kstest(column, "uniform", (-5, 10)).pvalue > 1e-4 for column in x.squeeze(2).numpy())


def test_uniform_draws_are_each_seeds_own() -> None:
    together = functions.uniform(50, (0, 1), generators(range(3), "data"))
    assert torch.equal(together[1:2], functions.uniform(50, (0, 1), generators([1], "data")))
    assert len(together.unique()) == 150


@given(st.integers(1, 2000), st.floats(-100, 100), st.floats(0.1, 100))
def test_a_grid_is_even_and_ends_a_step_before_the_interval(n: int, low: float, width: float) -> None:
    x = functions.grid(n, (low, low + width))
    assert (x.shape, x.dtype) == ((n, 1), torch.float64)
    expected = np.linspace(low, low + width, n, endpoint=False)
    np.testing.assert_allclose(x.squeeze(1), expected, rtol=0, atol=1e-10)


def split(function: Function = functions.trig, n: int = 1000, seeds: int = 2, **settings: Any) -> dict[str, Examples]:
    x = functions.shuffled_draws(n, generators(range(seeds), "data"))
    return functions.split_samples(function, x, 4, **{"dtype": torch.float64, **settings})


def samples(parts: dict[str, Examples]) -> Examples:
    names = ("train", "val", "test")
    return Examples(*(torch.cat([getattr(parts[name], side) for name in names], 1) for side in "xy"))


def test_samples_are_split_60_20_20_and_standardized_over_all() -> None:
    parts = split(powers=3)
    assert [parts[name].x.shape for name in ("train", "val", "test")] == [(2, 600, 3), (2, 200, 3), (2, 200, 3)]
    x = samples(parts).x
    torch.testing.assert_close(x[:, :, 0].mean(1), torch.zeros(2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(x[:, :, 0].std(1), torch.ones(2).double())
    torch.testing.assert_close(x[:, :, 1], x[:, :, 0] ** 2)
    torch.testing.assert_close(x[:, :, 2], x[:, :, 0] ** 3)
    assert len(x[0, :, 0].unique()) == 1000


def test_samples_are_of_one_period_and_clean() -> None:
    found = samples(split(functions.sine, standardized=False))
    assert found.x.min() >= 0
    assert found.x.max() < PERIOD
    assert all(kstest(column, "uniform", (0, PERIOD)).pvalue > 1e-4 for column in found.x.squeeze(2).numpy())
    torch.testing.assert_close(found.y, found.x.sin())


def test_standardizing_changes_the_inputs_only() -> None:
    plain, scaled = split(standardized=False), split(standardized=True)
    x = samples(plain).x
    for name, part in plain.items():
        assert torch.equal(scaled[name].y, part.y)
        expected = (part.x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
        torch.testing.assert_close(scaled[name].x, expected)


def test_each_part_is_drawn_from_all_of_the_period() -> None:
    parts = split(n=5000, standardized=False)
    for name in ("train", "val", "test"):
        assert all(kstest(column, "uniform", (0, PERIOD)).pvalue > 1e-4 for column in parts[name].x[:, :, 0].numpy())


def test_the_grid_covers_one_period_evenly() -> None:
    grid = split()["grid"]
    torch.testing.assert_close(grid.y[:, :, 0], torch.tensor([[1.0, 1.0, -1.0, -1.0]] * 2, dtype=torch.float64))
    torch.testing.assert_close(grid.x[0, :, 0].diff(), grid.x[0, :, 0].diff()[:1].expand(3))


@pytest.mark.parametrize(("n", "train", "others"), [(1003, 603, 200), (10, 6, 2), (14, 10, 2)])
def test_the_number_of_samples_is_kept_where_it_is_no_multiple_of_five(n: int, train: int, others: int) -> None:
    parts = split(n=n)
    assert [parts[name].x.shape[1] for name in ("train", "val", "test")] == [train, others, others]


def test_a_seed_has_the_same_samples_in_any_stack() -> None:
    together, alone = (
        split(seeds=3),
        functions.split_samples(
            functions.trig, functions.shuffled_draws(1000, generators([2], "data")), 4, dtype=torch.float64
        ),
    )
    for name, part in together.items():
        torch.testing.assert_close(part.x[2:], alone[name].x)
        assert torch.equal(part.y[2:], alone[name].y)


def test_samples_are_split_in_their_order() -> None:
    x = torch.arange(10, dtype=torch.float64).view(1, 10, 1) / 2
    parts = functions.split_samples(functions.sine, x, 4, standardized=False, dtype=torch.float64)
    assert torch.equal(samples(parts).x, x)


def test_shuffled_points_are_even_with_both_ends_and_in_an_order_of_each_seeds_own() -> None:
    x = functions.shuffled_points(1000, generators(range(2), "data"))
    assert (x.shape, x.dtype) == ((2, 1000, 1), torch.float64)
    for column in x:
        np.testing.assert_allclose(column.sort(0).values.squeeze(1), np.linspace(0, PERIOD, 1000), atol=1e-12)
        assert kstest(column[:100, 0].numpy(), "uniform", (0, PERIOD)).pvalue > 1e-4
    assert not torch.equal(x[0], x[1])
    assert torch.equal(x[1:], functions.shuffled_points(1000, generators([1], "data")))


def test_draws_are_shuffled_once_more() -> None:
    rngs, again = generators(range(2), "data"), generators(range(2), "data")
    shuffled, drawn = functions.shuffled_draws(50, rngs), functions.uniform(50, (0, PERIOD), again)
    assert torch.equal(shuffled.sort(1).values, drawn.sort(1).values)
    assert not torch.equal(shuffled, drawn)


# What tells drawn examples apart.


@pytest.mark.parametrize("side", ["x", "y"])
@pytest.mark.parametrize("name", ["train", "grid"])
def test_a_digest_tells_of_a_change_and_not_of_a_rounding(name: str, side: str) -> None:
    def changed(change: Callable[[torch.Tensor], torch.Tensor]) -> str:
        parts = split()
        part = {"x": parts[name].x, "y": parts[name].y}
        return functions.drawn({**parts, name: Examples(**(part | {side: change(part[side])}))})

    before = functions.drawn(split())
    assert changed(lambda numbers: numbers) == before
    assert changed(lambda numbers: numbers * (1 + 1e-15)) == before
    assert changed(lambda numbers: numbers + 0.001) != before
    assert changed(lambda numbers: numbers.flip(1)) != before
