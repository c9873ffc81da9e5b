"""Metrics of curves, on curves that are short enough for a calculation by hand."""

import numpy as np
import pytest

from labcheck import (
    Metric,
    MetricError,
    Trials,
    epochs_to,
    epochs_to_settle,
    geometric_mean,
    increase,
    largest_growth,
    last_value,
    mean_rebound,
    minimum,
    remaining_decrease,
    share_of_decrease,
    value_at,
)
from tests.helpers.claims import INF, NAN, E, of


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([0.25], 1),
        ([0.5, 0.25], 1),
        ([4, 2, 0.5, 0.25, 4, 4], 3),
        ([4, 0.25, 4, 0.25], 2),
        ([4, 2, 1], INF),
        ([4, NAN, 0.25], 3),
        ([INF, 2, 0.5], 3),
        ([NAN, NAN, NAN], INF),
        ([4, INF, NAN], INF),
    ],
)
def test_epochs_to_is_first_epoch_at_or_below_level(curve: list[float], expected: float):
    assert of(epochs_to("loss", 0.5), curve) == [expected]


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([3], 1),
        ([8, 4, 2, 1], 4),
        ([8, 1.25, 1, 1.25], 2),
        ([8, 1.375, 1.25, 1], 3),
        ([1, 2, 4], 1),
        ([8, NAN, 1, 1], 3),
        ([INF, 8, 1], 3),
        ([1, NAN, NAN], 1),
        ([NAN, NAN], INF),
    ],
)
def test_epochs_to_settle_is_first_epoch_near_minimum(curve: list[float], expected: float):
    assert of(epochs_to_settle("loss", within=0.25), curve) == [expected]


@pytest.mark.parametrize(
    ("start", "stop", "curve", "expected"),
    [
        (1, 6, [3], 3),
        (1, 6, [4, 2, 8], 2),
        (1, 1, [4, 2, 8], 4),
        (3, 6, [4, 2, 8], 8),
        (1, 6, [4, NAN, 2], 2),
        (1, 6, [INF, 4, NAN], 4),
        (1, 6, [1, -1, 0], -1),
        (1, 6, [NAN, INF], INF),
        (4, 6, [4, 2, 8], INF),
    ],
)
def test_minimum_is_smallest_finite_value_of_window(start: int, stop: int, curve: list[float], expected: float):
    assert of(minimum("loss", start, stop), curve) == [expected]


@pytest.mark.parametrize(
    ("curve", "lowest_from_2", "end"),
    [([4, 2, 8], 2, 8), ([1, 8, 4], 4, 4), ([4, 2, NAN], 2, NAN), ([4], INF, 4), ([4, INF], INF, INF)],
)
def test_minimum_without_stop_includes_end_of_curve(curve: list[float], lowest_from_2: float, end: float):
    assert of(minimum("loss", 2), curve) == [lowest_from_2]
    assert of(last_value("loss", rising=False), curve) == pytest.approx([end], nan_ok=True)


def test_minimum_accepts_curve_of_integers():
    trials = Trials({"epochs": np.array([3.0])}, {"errors": np.array([[4, 1, 4]])})
    assert minimum("errors", 1, 3).of(trials) == [1]


@pytest.mark.parametrize(
    ("curve", "expected"), [([4, 2, 8], 2), ([4, 2], 2), ([4], 4), ([4, NAN], NAN), ([NAN], NAN), ([4, INF, 1], INF)]
)
def test_value_at_is_last_value_of_seed_that_stopped_before(curve: list[float], expected: float):
    assert of(value_at("loss", 2, rising=False), curve) == pytest.approx([expected], nan_ok=True)


@pytest.mark.parametrize(
    ("after", "curve", "expected"),
    [
        (2, [8, 4, 1, 2], 3),
        (1, [8, 4, 1, 2], 7),
        (2, [8, 4, 5, 6], 0),
        (2, [8, 4], 0),
        (3, [8, 4], 0),
        (3, [8, NAN], NAN),
        (2, [8, NAN], NAN),
        (1, [8, 4, NAN], NAN),
        (2, [8, INF, 1], NAN),
        (2, [8, 4, 2, INF], NAN),
        (1, [8, 4, INF], NAN),
        (2, [NAN, 4, 1], 3),
    ],
)
def test_remaining_decrease_is_from_epoch_to_later_minimum(after: int, curve: list[float], expected: float):
    assert of(remaining_decrease("loss", after), curve) == pytest.approx([expected], nan_ok=True)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([9, 5, 1], 0.5),
        ([9, 5, 1, 8], 0.5),  # the minimum counts, not the last value
        ([9, 1, 3], 1),
        ([9, 9, 1], 0),
        ([9, 10, 1], 0),
        ([9, 3], 1),
        ([9, 9, 9], NAN),
        ([1, 2, 3], NAN),
        ([9], NAN),
        ([9, 5, NAN], NAN),
        ([INF, 5, 1], NAN),
    ],
)
def test_share_of_decrease_is_decrease_until_epoch_over_whole(curve: list[float], expected: float):
    assert of(share_of_decrease("loss", 2), curve) == pytest.approx([expected], nan_ok=True)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([8, 9, 4], 0.5),  # values between the epochs do not count
        ([8, 1, 4, 3], 0.75),
        ([8, 1, 4, 3, 2], 0.5),
        ([8, 1, 4, 6], 1.5),
        ([8, 1, 16, 1], 2),
        ([8, 1, 8], 1),
        ([8, 4], NAN),
        ([8, 1, NAN], NAN),
        ([8, 1, 4, NAN], NAN),
        ([8, NAN, 4], 0.5),
    ],
)
def test_largest_growth_is_between_named_epochs_and_end(curve: list[float], expected: float):
    assert of(largest_growth("loss", (1, 3)), curve) == pytest.approx([expected], nan_ok=True)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (epochs_to("loss", 2), [10, 10]),
        (epochs_to("loss", 1), [50, INF]),
        (epochs_to_settle("loss", 0.5), [50, 10]),
        (minimum("loss", 1, 100), [1, 2]),
        (minimum("loss", 1, 10), [2, 2]),
        (minimum("loss", 50), [1, INF]),
        (last_value("loss", rising=False), [3, 2]),
        (share_of_decrease("loss", 10), [6 / 7, 1]),
        (largest_growth("loss", (1, 50)), [3, NAN]),
        (value_at("loss", 10, rising=False), [2, 2]),
        (value_at("loss", 100, rising=False), [3, 2]),
        (remaining_decrease("loss", 1), [7, 6]),
        (remaining_decrease("loss", 10), [1, 0]),
        (remaining_decrease("loss", 50), [0, 0]),
        (increase("loss", 10, 100), [1, NAN]),
        (mean_rebound("loss", rising=False), [np.log(3) / 3, 0]),
        (geometric_mean("loss", rising=False), [48**0.25, 4]),
    ],
    ids=str,
)
def test_metric_counts_epochs_of_sparse_records(metric: Metric, expected: list[float]):
    assert of(metric, [8, 2, 1, 3], [8, 2], recorded=[1, 10, 50, 100]) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (value_at("loss", 20, rising=False), "has no record after 20 epochs"),
        (value_at("loss", 0, rising=False), "has no record after 0 epochs"),
        (value_at("loss", 101, rising=True), "has no record after 101 epochs"),
        (remaining_decrease("loss", 101), "has no record after 101 epochs"),
        (increase("loss", 1, 33), "has no record after 33 epochs"),
        (increase("loss", 0, 33), "has no record after 0 or 33 epochs"),
        (minimum("loss", 101, 120), "has no record after 101 or 120 epochs"),
        (minimum("loss", 1, 120), "has no record after 120 epochs"),
        (minimum("loss", 20), "has no record after 20 epochs"),
        (share_of_decrease("loss", 20), "has no record after 20 epochs"),
        (largest_growth("loss", (1, 20, 100)), "has no record after 20 epochs"),
        (mean_rebound("loss", -2, rising=False), "is not recorded after each epoch"),
        (geometric_mean("loss", 0, 2, rising=False), "is not recorded after each epoch"),
    ],
    ids=str,
)
def test_metric_is_refused_without_record_at_its_epochs(metric: Metric, message: str):
    for curves in [[8, 2]], [[8, 2, 1, 3], [NAN]]:
        with pytest.raises(MetricError) as error:
            of(metric, *curves, recorded=[1, 10, 50, 100])
        assert str(error.value) == f"no {metric}: loss {message}"


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (mean_rebound("loss", 7, rising=False), "has only 6 epochs"),
        (mean_rebound("loss", -7, rising=False), "has only 6 epochs"),
        (mean_rebound("loss", 0, 7, rising=False), "has only 6 epochs"),
        (mean_rebound("loss", 5, rising=False), "has fewer than 2 records there"),
        (mean_rebound("loss", -1, rising=False), "has fewer than 2 records there"),
        (geometric_mean("loss", 6, rising=False), "has fewer than 1 records there"),
        (geometric_mean("loss", 4, 3, rising=False), "has fewer than 1 records there"),
        (geometric_mean("loss", -3, -7, rising=False), "has only 6 epochs"),
    ],
    ids=str,
)
def test_metric_is_refused_beyond_longest_training(metric: Metric, message: str):
    with pytest.raises(MetricError) as error:
        of(metric, [8, 2, 1], [NAN])
    assert str(error.value) == f"no {metric}: loss {message}"


@pytest.mark.parametrize(
    "metric",
    [
        value_at("loss", 6, rising=False),
        remaining_decrease("loss", 6),
        increase("loss", 1, 6),
        minimum("loss", 6, 6),
        mean_rebound("loss", -6, rising=False),
        geometric_mean("loss", 5, rising=False),
    ],
    ids=str,
)
def test_metric_is_accepted_if_one_seed_could_reach_its_epochs(metric: Metric):
    assert len(of(metric, [8, 2, 1], [NAN])) == 2


def test_epochs_to_settle_has_default_share_of_one_tenth():
    assert of(epochs_to_settle("loss"), [8, 1.125, 1.0625, 1]) == [3]


def test_metric_uses_own_curve_and_epochs_of_each_seed():
    curves = [8, 4, 2, 1], [2, 1], [1, 8]
    assert of(epochs_to("loss", 1), *curves) == [4, 2, 1]
    assert of(epochs_to_settle("loss"), *curves) == [4, 2, 1]
    assert of(mean_rebound("loss", -2, rising=False), *curves) == pytest.approx([0, 0, np.log(8)])
    assert of(geometric_mean("loss", -2, rising=False), *curves) == pytest.approx([2**0.5, 2**0.5, 8**0.5])
    assert of(value_at("loss", 2, rising=False), *curves) == [4, 1, 8]
    assert of(remaining_decrease("loss", 2), *curves) == [3, 0, 0]


def test_metric_ignores_values_after_last_epoch():
    trials = Trials({"epochs": np.array([2.0])}, {"loss": np.array([[4.0, 2.0, 0.5, 64.0]])})
    metrics = (
        epochs_to("loss", 0.5),
        epochs_to_settle("loss"),
        mean_rebound("loss", rising=False),
        geometric_mean("loss", rising=False),
    )
    assert [metric.of(trials)[0] for metric in metrics] == pytest.approx([INF, 2, 0, 8**0.5])
    others = minimum("loss", 1, 4), value_at("loss", 3, rising=False), remaining_decrease("loss", 1)
    assert [metric.of(trials)[0] for metric in others] == [2, 2, 2]


@pytest.mark.parametrize(
    ("start", "stop", "curve", "expected"),
    [
        (0, None, [1, E, 1, E**2], 1),  # the logarithm increases by 1, 0 and 2
        (2, None, [1, E, 1, E**2], 2),
        (-2, None, [1, E, 1, E**2], 2),
        (-3, None, [1, E, 1, E**2], 1),
        (0, 3, [1, E, 1, E**2], 0.5),
        (1, 3, [1, E, 1, E**2], 0),
        (0, None, [8, 4, 0.001, 0.0001], 0),
        (0, None, [1, 0, 0.5], INF),
        (-6, None, [1, E], 1),
        (4, None, [1, E, E**2], NAN),
        (2, None, [1, E, E**2], NAN),
        (1, None, [1, E, E**2], 1),
        (4, None, [1, E, NAN], INF),
        (4, None, [1, E, INF], INF),
        (1, 3, [1, E, E**2, NAN], 1),
        (4, None, [1, NAN, E], NAN),
        (0, None, [1, NAN, 1], INF),
        (0, None, [E, 1, NAN], INF),
        (0, None, [1, INF, INF], INF),
        (0, None, [1, 2, INF], INF),
        (2, None, [NAN, 1, 1, E], 1),
        (0, None, [3], NAN),
        (0, None, [NAN], INF),
    ],
)
def test_mean_rebound_is_mean_increase_of_logarithm(start: int, stop: int | None, curve: list[float], expected: float):
    assert of(mean_rebound("loss", start, stop, rising=False), curve) == pytest.approx([expected], nan_ok=True)


@pytest.mark.parametrize(
    ("start", "stop", "curve", "expected"),
    [
        (0, None, [1, 4], 2),
        (0, None, [1, 2, 4, 8, 16, 32], 2**2.5),
        (-1, None, [1, 4, 9], 9),
        (1, None, [1, 4, 9], 6),
        (1, 3, [1, 4, 9, 64], 6),
        (-3, -1, [1, 4, 9, 64], 6),
        (-2, -1, [1, 4, 9, 64], 9),
        (-3, -1, [1, 4], 1),
        (-3, -1, [1], NAN),
        (-6, None, [1, 4], 2),
        (3, None, [1, 4, 9], 9),
        (1, 4, [1, 4, 9], 6.868285455319991),
        (4, 6, [1, 4, 9], 9),
        (4, 6, [1, 4, NAN], NAN),
        (0, None, [1, NAN, 4], NAN),
        (0, None, [1, 4, INF], INF),
        (0, None, [1, 0, 4], 0),
    ],
)
def test_geometric_mean_is_exponential_of_mean_logarithm(
    start: int, stop: int | None, curve: list[float], expected: float
):
    assert of(geometric_mean("loss", start, stop, rising=False), curve) == pytest.approx([expected], nan_ok=True)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (Metric("test_mse", higher_is_better=False), "test_mse"),
        (epochs_to("val_mse", 0.05), "epochs to val_mse ≤ 0.05"),
        (epochs_to_settle("val_mse", 0.25), "epochs to val_mse within 25% of its minimum"),
        (epochs_to_settle("val_mse", 0.07), "epochs to val_mse within 7% of its minimum"),
        (epochs_to_settle("val_mse", 0.104), "epochs to val_mse within 10.4% of its minimum"),
        (mean_rebound("loss", rising=False), "mean rebound of loss"),
        (mean_rebound("loss", 20, rising=False), "mean rebound of loss from epoch 20"),
        (mean_rebound("loss", -20, rising=False), "mean rebound of loss over the last 20 epochs"),
        (geometric_mean("loss", 0, 20, rising=False), "geometric mean of loss over epochs 0 to 20"),
        (geometric_mean("loss", -20, -10, rising=False), "geometric mean of loss from 20 to 10 epochs before the end"),
        (geometric_mean("loss", -10, rising=False), "geometric mean of loss over the last 10 epochs"),
        (minimum("loss", 10, 1000), "minimum of loss after 10 to 1000 epochs"),
        (mean_rebound("loss", 5, -2, rising=False), "mean rebound of loss from epoch 5 to 2 epochs before the end"),
        (minimum("loss", 10), "minimum of loss after 10 or more epochs"),
        (last_value("loss", rising=False), "last loss"),
        (share_of_decrease("loss", 400), "share of the decrease of loss after 400 epochs"),
        (largest_growth("loss", (1, 10)), "largest growth of loss between 1, 10 epochs and the end"),
        (value_at("loss", 3500, rising=False), "loss after 3500 epochs"),
        (remaining_decrease("loss", 400), "decrease of loss after 400 epochs"),
    ],
)
def test_metric_has_label(metric: Metric, name: str):
    assert str(metric) == name


@pytest.mark.parametrize(
    ("metric", "ratio"),
    [
        (epochs_to("loss", 1), False),
        (epochs_to_settle("loss"), False),
        (mean_rebound("loss", rising=False), False),
        (remaining_decrease("loss", 1), False),
        (geometric_mean("loss", rising=False), True),
        (minimum("loss", 1, 2), True),
        (last_value("loss", rising=False), True),
        (largest_growth("loss", (1, 2)), True),
        (value_at("loss", 1, rising=False), True),
    ],
    ids=str,
)
def test_metric_is_compared_by_ratio_only_if_it_is_level(metric: Metric, ratio: bool):
    assert metric.ratio is ratio
    assert not metric.higher_is_better
