"""Metrics of curves that should rise, such as accuracies."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcheck import Metric, geometric_mean, increase, largest_decrease, mean_rebound, never_decreases, value_at
from tests.helpers.claims import INF, NAN, E, of

# increases


@pytest.mark.parametrize(
    ("first", "last", "curve", "expected"),
    [
        (1, 2, [0.25, 0.75, 0.5], 0.5),
        (1, 3, [0.25, 0.75, 0.5], 0.25),
        (2, 3, [0.25, 0.75, 0.5], -0.25),
        (2, 2, [0.25, 0.75, 0.5], 0),
        (2, 4, [0.25, 0.75, 0.5], NAN),
        (2, 3, [0.25, 0.75], NAN),
        (1, 2, [0.25, NAN], NAN),
        (1, 3, [0.25, NAN, 0.5], 0.25),
    ],
)
def test_increase_compares_two_epochs(first: int, last: int, curve: list[float], expected: float):
    assert of(increase("loss", first, last), curve) == pytest.approx([expected], nan_ok=True)


def test_increase_compares_records_of_its_epochs():
    metric = increase("loss", 5, 20)
    assert of(metric, [1, 2, 4], recorded=[1, 5, 20]) == [2]
    assert np.isnan(of(metric, [1, 2], recorded=[1, 5, 20])).all()


def test_seed_without_increase_is_worst():
    metric = increase("loss", 1, 2)
    assert metric.fill(np.array([-3.0, NAN])).tolist() == [-3.0, -INF]


# rebounds


@pytest.mark.parametrize(
    ("curve", "up", "down"),
    [
        ([1, E, 1, E], 2 / 3, 1 / 3),
        ([1, 2, 4, 8], np.log(2), 0),
        ([8, 4, 2, 1], 0, np.log(2)),
        ([4, 4, 4], 0, 0),
        ([3], NAN, NAN),
        ([NAN], INF, INF),
    ],
)
def test_rebound_of_rising_curve_is_mean_decrease(curve: list[float], up: float, down: float):
    for rising, expected in ((False, up), (True, down)):
        assert of(mean_rebound("loss", rising=rising), curve) == pytest.approx([expected], nan_ok=True, abs=1e-7)


@pytest.mark.slow
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=6))
def test_rebounds_in_both_directions_add_up_to_change(curve: list[float]):
    up, down = (of(mean_rebound("loss", rising=rising), curve)[0] for rising in (False, True))
    assert up - down == pytest.approx((np.log(curve[-1]) - np.log(curve[0])) / (len(curve) - 1), abs=1e-5)
    assert of(mean_rebound("loss", rising=True), [1 / value for value in curve])[0] == pytest.approx(up, abs=1e-5)


def test_smaller_rebound_is_better_for_any_direction():
    assert not mean_rebound("loss", rising=False).higher_is_better
    assert not mean_rebound("loss", rising=True).higher_is_better
    assert mean_rebound("loss", -3, rising=True).label == "mean rebound of loss over the last 3 epochs"


# directions


@pytest.mark.parametrize(
    "make", [lambda rising: value_at("loss", 2, rising=rising), lambda rising: geometric_mean("loss", rising=rising)]
)
def test_rising_curve_is_compared_by_difference(make: Callable[[bool], Metric]):
    falling, rising = make(False), make(True)
    assert (falling.higher_is_better, falling.ratio) == (False, True)
    assert (rising.higher_is_better, rising.ratio) == (True, False)
    assert of(rising, [2, 8], [3, 3, 3]) == of(falling, [2, 8], [3, 3, 3])
    assert str(rising) == str(falling)
    assert (increase("loss", 1, 2).higher_is_better, increase("loss", 1, 2).ratio) == (True, False)


@pytest.mark.parametrize(
    ("curve", "expected", "sign"),
    [
        ([1, 2, 4], -1, "+"),
        ([1, 1, 2], 0, "+"),
        ([1, 4, 3.5, 5], 0.5, "-"),
        ([4, 3, 1], 2, "-"),
        ([1], NAN, "="),
        ([1, NAN, 2], INF, "-"),
    ],
)
def test_curve_never_decreases_if_largest_decrease_is_zero(curve: list[float], expected: float, sign: str):
    relation = never_decreases("a", "loss")
    [term] = relation.terms
    value = of(largest_decrease("loss"), curve)
    assert value == pytest.approx([expected], nan_ok=True)
    assert np.array_equal(of(term.metric, curve), value, equal_nan=True)
    holds, ties = relation.rule(np.array(value))
    assert ("=" if ties[0] else "-+"[int(holds[0])]) == sign
    assert relation.name == "a: loss never decreases"
