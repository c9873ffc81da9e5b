"""Functions to fit, functions of users, and samples of them."""

from collections.abc import Callable, Sequence
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


# functions of the reports


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
def test_functions_match_reports(function: Function, x: float, y: float):
    np.testing.assert_allclose(function(np.array([x])), [y], rtol=1e-12)


# values


@given(st.lists(st.integers(1, 4), max_size=3))
def test_evaluate_keeps_shape_of_points(shape: list[int]):
    x = torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)
    y = functions.evaluate(lambda points: points**2, x)
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
    "NumPy": (np.abs, [2, 0, 1.5]),
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
    "boolean": (lambda x: x > 0, [0, 0, 1]),
    "large": (lambda x: x * 1e38, [-2e38, 0, 1.5e38]),
    "NaN in unused branch": (lambda x: np.where(x > 0, np.sqrt(x), 0), [0, 0, 1.5**0.5]),
}


@pytest.mark.parametrize(("function", "expected"), SOUND.values(), ids=SOUND)
def test_evaluate_accepts_any_function_of_points(function: Function, expected: list[float]):
    x = points(-2, 0, 1.5)
    assert functions.evaluate(function, x).squeeze(1).tolist() == expected
    assert torch.equal(x, points(-2, 0, 1.5))


def failing(x: Array) -> Array:
    raise RuntimeError("no tea")


def of_one_number(x: Array) -> Any:
    return x if x > 0 else -x


ONE_NUMBER = r"must return one number per point, an array of shape \(3,\), got "
REAL_NUMBERS = "must return real numbers, got values of type "
FINITE = "must return finite float32 numbers, got "
SAME_VALUE = r"^the function must return the same value for a point in each call, whatever the other points are;"
UNSOUND: dict[str, tuple[Any, str]] = {
    "scalar": (lambda x: 1.0, ONE_NUMBER + r"1\.0$"),
    "nothing": (lambda x: None, ONE_NUMBER + "None$"),
    "too few": (lambda x: x[1:], ONE_NUMBER + r"an array of shape \(2,\)$"),
    "column": (lambda x: x[:, None], ONE_NUMBER + r"an array of shape \(3, 1\)$"),
    "complex": (lambda x: x * 1j, REAL_NUMBERS + "complex128$"),
    "objects": (lambda x: x.astype(object), REAL_NUMBERS + "object$"),
    "words": (lambda x: x.astype(str), REAL_NUMBERS + "<U32$"),
    "NaN": (np.sqrt, FINITE + "nan at x = -2$"),
    "infinite": (lambda x: 1 / x, FINITE + "inf at x = 0$"),
    "too large": (lambda x: -np.exp(600 * x), FINITE + r"-inf at x = 1\.5$"),
    "too large for float32": (lambda x: 1e39 * x, FINITE + r"-2e\+39 at x = -2$"),
    "failing": (failing, "raised RuntimeError: no tea;"),
    "of one number": (of_one_number, "raised ValueError: .*truth value.*;"),
    "without argument": (lambda: 1, "raised TypeError: .* takes 0 positional arguments .*;"),
    "ragged": (lambda x: [[1], [1, 2]], "raised ValueError: "),
}


@pytest.mark.parametrize(("function", "message"), UNSOUND.values(), ids=UNSOUND)
def test_evaluate_refuses_unsound_function(function: Function, message: str):
    with pytest.raises(ValueError, match=f"^the function {message}"):
        functions.evaluate(function, points(-2, 0, 1.5))


def test_evaluate_chains_exception_of_function():
    with pytest.raises(ValueError, match="no tea") as error:
        functions.evaluate(failing, points(0))
    assert isinstance(error.value.__cause__, RuntimeError)


# functions of users


@pytest.mark.parametrize(
    ("function", "name"),
    [(np.sin, "sin"), (lambda x: x, "<lambda>"), (Parabola(), "Parabola"), (integers, "integers")],
)
def test_user_function_has_name_and_values_of_function(function: Function, name: str):
    user_function = UserFunction(function, GRID)
    assert repr(user_function).split(" ")[0] == name
    x = np.linspace(-5, 5, 7)
    np.testing.assert_array_equal(user_function(x), function(x))


def test_user_functions_with_same_values_are_equal():
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
def test_user_functions_with_other_values_or_names_differ(one: Function, other: Function):
    assert UserFunction(one, GRID) != UserFunction(other, GRID)
    assert repr(UserFunction(one, GRID)) != repr(UserFunction(other, GRID))


def test_user_function_differs_from_other_types():
    user_function = UserFunction(np.sin, GRID)
    assert user_function != repr(user_function)
    assert user_function != np.sin


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e-5, 1, 1e30])
def test_user_functions_of_any_scale_are_distinguished(scale: float):
    def user_function(slope: float) -> UserFunction:
        return UserFunction(lambda x: slope * scale * x, GRID)

    assert user_function(1.0) == user_function(1 + 1e-12)
    assert len({user_function(1.0), user_function(1.00001), user_function(-1.0), user_function(10.0)}) == 4


def test_user_functions_ignore_sign_of_zero():
    assert (
        UserFunction(lambda x: 0 * x, GRID)
        == UserFunction(lambda x: np.abs(0 * x), GRID)
        != UserFunction(lambda x: 1e-30 + 0 * x, GRID)
    )


def test_user_function_refuses_random_values():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=SAME_VALUE):
        UserFunction(lambda x: x + rng.normal(size=x.shape), GRID)


DEPENDENT: dict[str, Function] = {
    "mean": lambda x: x - x.mean(),
    "spread": lambda x: x / x.std(),
    "lowest": lambda x: x - x.min(),
    "highest": lambda x: x - x.max(),
    "farthest": lambda x: x / np.abs(x).max(),
    "highest value": lambda x: np.sin(x) / np.sin(x).max(),
    "first": lambda x: x - x[0],
    "last": lambda x: x - x[-1],
    "neighbors": np.gradient,
    "number": lambda x: x * len(x),
    "sorted": np.sort,
    "reversed": lambda x: x[::-1],
    "running": np.cumsum,
}


@pytest.mark.parametrize("function", DEPENDENT.values(), ids=DEPENDENT)
def test_user_function_refuses_dependence_on_other_points(function: Function):
    with pytest.raises(ValueError, match=SAME_VALUE):
        UserFunction(function, GRID)


WEIGHTS = np.random.default_rng(0).normal(size=(30, 30))
INDEPENDENT: dict[str, Function] = {
    "rows": lambda x: np.tanh(np.tanh(x[:, None] @ WEIGHTS[:1]) @ WEIGHTS) @ WEIGHTS[0],
    "columns": lambda x: WEIGHTS[0] @ np.tanh(WEIGHTS @ np.tanh(WEIGHTS[:, :1] @ x[None])),
    "float32": lambda x: np.sin(x.astype(np.float32)),
    "step": lambda x: np.where(x < 0, -1, 1),
    "constant": np.ones_like,
}


@pytest.mark.parametrize("function", INDEPENDENT.values(), ids=INDEPENDENT)
def test_user_function_accepts_rounding_by_other_points(function: Function):
    assert UserFunction(function, GRID) == UserFunction(function, GRID)


def test_user_function_is_evaluated_at_all_points():
    UserFunction(np.log, functions.grid(400, (1.0, 5.0)))
    for low, number in ((-1.0, "nan"), (0.0, "-inf")):
        with pytest.raises(ValueError, match=rf"^the function {FINITE}{number} at x = {low:g}$"):
            UserFunction(np.log, functions.grid(400, (low, 5.0)))
    with pytest.raises(ValueError, match=rf"^the function {FINITE}nan at x = 4\.99$"):
        UserFunction(lambda x: np.where(x < 4.985, x, np.nan), GRID)


# samples


def test_uniform_draws_fill_interval():
    x = functions.uniform(2000, (-5, 5), generators(range(3), "data"))
    assert (x.shape, x.dtype) == ((3, 2000, 1), torch.float64)
    assert x.min() >= -5
    assert x.max() < 5
    assert all(kstest(column, "uniform", (-5, 10)).pvalue > 1e-4 for column in x.squeeze(2).numpy())


def test_uniform_draws_depend_on_seed_only():
    together = functions.uniform(50, (0, 1), generators(range(3), "data"))
    assert torch.equal(together[1:2], functions.uniform(50, (0, 1), generators([1], "data")))
    assert len(together.unique()) == 150


@given(st.integers(1, 2000), st.floats(-100, 100), st.floats(0.1, 100))
def test_grid_is_even_and_excludes_end_of_interval(n: int, low: float, width: float):
    x = functions.grid(n, (low, low + width))
    assert (x.shape, x.dtype) == ((n, 1), torch.float64)
    expected = np.linspace(low, low + width, n, endpoint=False)
    np.testing.assert_allclose(x.squeeze(1), expected, rtol=0, atol=1e-10)


def make_splits(
    function: Function = functions.trig, n: int = 1000, seeds: Sequence[int] = (0, 1), **settings: Any
) -> dict[str, Examples]:
    x = functions.shuffled_draws(n, generators(seeds, "data"))
    return functions.split_samples(function, x, 4, **{"dtype": torch.float64, **settings})


def join(splits: dict[str, Examples]) -> Examples:
    names = ("train", "val", "test")
    return Examples(*(torch.cat([getattr(splits[name], side) for name in names], 1) for side in "xy"))


def test_samples_are_split_60_20_20_and_standardized():
    splits = make_splits(powers=3)
    assert [splits[name].x.shape for name in ("train", "val", "test")] == [(2, 600, 3), (2, 200, 3), (2, 200, 3)]
    x = join(splits).x
    torch.testing.assert_close(x[:, :, 0].mean(1), torch.zeros(2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(x[:, :, 0].std(1), torch.ones(2).double())
    torch.testing.assert_close(x[:, :, 1], x[:, :, 0] ** 2)
    torch.testing.assert_close(x[:, :, 2], x[:, :, 0] ** 3)
    assert len(x[0, :, 0].unique()) == 1000


def test_samples_cover_one_period_without_noise():
    samples = join(make_splits(functions.sine, standardized=False))
    assert samples.x.min() >= 0
    assert samples.x.max() < PERIOD
    assert all(kstest(column, "uniform", (0, PERIOD)).pvalue > 1e-4 for column in samples.x.squeeze(2).numpy())
    torch.testing.assert_close(samples.y, samples.x.sin())


def test_standardizing_changes_inputs_only():
    plain, standardized = make_splits(standardized=False), make_splits(standardized=True)
    x = join(plain).x
    for name, split in plain.items():
        assert torch.equal(standardized[name].y, split.y)
        expected = (split.x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
        torch.testing.assert_close(standardized[name].x, expected)


def test_each_split_covers_whole_period():
    splits = make_splits(n=5000, standardized=False)
    for name in ("train", "val", "test"):
        assert all(kstest(column, "uniform", (0, PERIOD)).pvalue > 1e-4 for column in splits[name].x[:, :, 0].numpy())


def test_grid_of_splits_covers_period_evenly():
    grid = make_splits()["grid"]
    torch.testing.assert_close(grid.y[:, :, 0], torch.tensor([[1.0, 1.0, -1.0, -1.0]] * 2, dtype=torch.float64))
    torch.testing.assert_close(grid.x[0, :, 0].diff(), grid.x[0, :, 0].diff()[:1].expand(3))


@pytest.mark.parametrize(("n", "train", "others"), [(1003, 603, 200), (10, 6, 2), (14, 10, 2)])
def test_splits_lose_no_sample_if_n_is_no_multiple_of_five(n: int, train: int, others: int):
    splits = make_splits(n=n)
    assert [splits[name].x.shape[1] for name in ("train", "val", "test")] == [train, others, others]


def test_seed_has_same_samples_in_any_stack():
    together, alone = make_splits(seeds=range(3)), make_splits(seeds=[2])
    for name, split in together.items():
        torch.testing.assert_close(split.x[2:], alone[name].x)
        assert torch.equal(split.y[2:], alone[name].y)


def test_samples_are_split_in_order():
    x = torch.arange(10, dtype=torch.float64).view(1, 10, 1) / 2
    splits = functions.split_samples(functions.sine, x, 4, standardized=False, dtype=torch.float64)
    assert torch.equal(join(splits).x, x)


def test_shuffled_points_are_even_in_order_of_each_seed():
    x = functions.shuffled_points(1000, generators(range(2), "data"))
    assert (x.shape, x.dtype) == ((2, 1000, 1), torch.float64)
    for column in x:
        np.testing.assert_allclose(column.sort(0).values.squeeze(1), np.linspace(0, PERIOD, 1000), atol=1e-12)
        assert kstest(column[:100, 0].numpy(), "uniform", (0, PERIOD)).pvalue > 1e-4
    assert not torch.equal(x[0], x[1])
    assert torch.equal(x[1:], functions.shuffled_points(1000, generators([1], "data")))


def test_shuffled_draws_are_uniform_draws_in_another_order():
    rngs, again = generators(range(2), "data"), generators(range(2), "data")
    shuffled, drawn = functions.shuffled_draws(50, rngs), functions.uniform(50, (0, PERIOD), again)
    assert torch.equal(shuffled.sort(1).values, drawn.sort(1).values)
    assert not torch.equal(shuffled, drawn)


# tables and digests


@pytest.mark.parametrize(("n", "step"), [(4, 1), (200, 1), (201, 2), (1000, 5), (10_000, 50)])
def test_grid_tables_have_equally_spaced_points_of_each_model(n: int, step: int):
    x, fit = torch.arange(float(n)).view(1, n), torch.randn(3, n)
    tables = functions.grid_tables({"x": x, "fit": fit})
    assert torch.equal(tables["grid_x"], x.expand(3, -1)[:, ::step])
    assert torch.equal(tables["grid_fit"], fit[:, ::step])
    assert tables["grid_x"].shape[1] <= functions.TABLE_POINTS


@pytest.mark.parametrize("side", ["x", "y"])
@pytest.mark.parametrize("name", ["train", "grid"])
def test_digest_changes_with_values_but_not_with_rounding(name: str, side: str):
    def digest(change: Callable[[torch.Tensor], torch.Tensor]) -> str:
        splits = make_splits()
        sides = {"x": splits[name].x, "y": splits[name].y}
        return functions.digest_splits({**splits, name: Examples(**(sides | {side: change(sides[side])}))})

    before = functions.digest_splits(make_splits())
    assert digest(lambda numbers: numbers) == before
    assert digest(lambda numbers: numbers * (1 + 1e-15)) == before
    assert digest(lambda numbers: numbers + 0.001) != before
    assert digest(lambda numbers: numbers.flip(1)) != before
