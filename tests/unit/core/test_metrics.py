"""Metrics: values per seed, and how they are compared."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from labcheck import Metric, MetricError, Trials, last_value, mean_rebound, score
from labcheck.core.trials import Floats, Ints
from tests.helpers.claims import ACCURACY, EPOCHS, ERROR, INF, NAN, SCORE


def test_metric_is_refused_without_direction():
    with pytest.raises(ValueError, match=r"^Metric\('x'\) must state which direction is better: higher_is_better=True"):
        Metric("x")


def test_metric_values_have_precision_of_float32():
    values = Metric("mse", higher_is_better=False).of(
        Trials({"epochs": np.ones(4), "mse": np.array([0.1, 1 + 1e-12, NAN, 1e300])}, {})
    )
    assert values.dtype == np.float64
    assert_array_equal(values, [float(np.float32(0.1)), 1, NAN, INF])


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (
            Metric("loss", higher_is_better=False),
            "no metric 'loss', but there is a curve of that name: use last_value('loss', rising=False); available: "
            "epochs",
        ),
        (Metric("mse", higher_is_better=False), "no metric 'mse'; available: epochs"),
        (mean_rebound("val_mse", rising=False), "no curve 'val_mse'; available: loss"),
        (
            last_value("epochs", rising=False),
            "no curve 'epochs', but there is a metric of that name: use error('epochs'); available: loss",
        ),
        (
            score("loss"),
            "no metric 'loss', but there is a curve of that name: use last_value('loss', rising=True); available: "
            "epochs",
        ),
    ],
)
def test_metric_is_refused_if_trials_lack_it(metric: Metric, message: str):
    with pytest.raises(MetricError) as caught:
        metric.of(Trials({"epochs": np.ones(1)}, {"loss": np.ones((1, 1))}))
    assert str(caught.value) == message


def test_metric_names_seed_whose_reduction_raises():
    def reduce(values: Floats, after: Ints) -> float:
        if values[0] == 2:
            raise KeyError("no\nluck")
        return float(values[0])

    metric = Metric("loss", higher_is_better=False, reduction=reduce, label="odd")
    with pytest.raises(MetricError) as caught:
        metric.of(Trials({"epochs": np.ones(2)}, {"loss": np.array([[1.0], [2.0]])}))
    assert str(caught.value).startswith("odd: seed 1: KeyError: ")
    assert "\n" not in str(caught.value)


def test_metric_of_diverged_seed_is_nan():
    trials = Trials({"epochs": np.ones(2)}, {"loss": np.array([[1.0], [NAN]])}, diverged={1: "OverflowError"})
    assert_array_equal(last_value("loss", rising=False).of(trials), [1, NAN])
    assert_array_equal(ERROR.of(Trials({}, {}, diverged={0: "OverflowError", 1: "OverflowError"})), [NAN, NAN])


@pytest.mark.parametrize(("metric", "worst"), [(ERROR, INF), (EPOCHS, INF), (SCORE, -INF), (ACCURACY, 0)])
def test_metric_fill_replaces_non_finite_values_by_worst(metric: Metric, worst: float):
    assert_array_equal(metric.fill(np.array([3.0, NAN, INF, -INF])), [3, worst, worst, worst])


@pytest.mark.parametrize(
    ("metric", "values", "median"),
    [(ERROR, [1, 2, NAN], 2), (SCORE, [1, 2, NAN], 1), (ERROR, [1, NAN, INF], NAN), (ACCURACY, [1, NAN, INF], 0)],
)
def test_metric_median_counts_non_finite_values_as_worst(metric: Metric, values: list[float], median: float):
    assert metric.median(np.array(values)) == pytest.approx(median, nan_ok=True)


def test_metric_has_id_by_label_or_name():
    assert (ERROR.id, str(ERROR)) == ("x", "x")
    assert last_value("loss", rising=False).id == "last loss"
