"""Curves and tables as a report keeps them."""

from collections.abc import Sequence

import numpy as np
import pytest

from labcheck.core.metrics import Metric
from labcheck.core.trials import Trials
from labcheck.report.summary import RECORDS, median, spread, summary

INF, NAN = np.inf, np.nan


def trials(
    curve: Sequence[Sequence[float]], epochs: Sequence[int] | None = None, recorded: Sequence[int] | None = None
) -> Trials:
    rows = np.array(curve, dtype=float)
    lasts = [rows.shape[1]] * len(rows) if epochs is None else epochs
    return Trials({"epochs": np.array(lasts)}, {"loss": rows}, None if recorded is None else np.array(recorded))


def test_a_curve_is_the_median_over_seeds_and_where_most_lie() -> None:
    found = summary(trials([[seed, 10 * seed] for seed in range(11)]))
    assert found["after"] == [1, 2]
    assert found["curves"]["loss"] == {"low": [1, 10], "median": [5, 50], "high": [9, 90]}


def test_a_seed_that_has_stopped_keeps_its_last_number() -> None:
    found = summary(trials([[5, 4, 3], [9, NAN, NAN], [7, 6, NAN]], epochs=[3, 1, 2]))
    assert found["curves"]["loss"]["median"] == [7, 6, 6]


def test_a_curve_ends_where_the_last_seed_does() -> None:
    found = summary(trials([[5, 4, NAN, NAN], [9, NAN, NAN, NAN]], epochs=[2, 1]))
    assert found["after"] == [1, 2]


def test_records_that_were_not_taken_after_each_epoch_keep_their_place() -> None:
    found = summary(trials([[5, 4, 3]], epochs=[100], recorded=[1, 10, 100]))
    assert (found["after"], found["curves"]["loss"]["median"]) == ([1, 10, 100], [5, 4, 3])


def test_a_long_curve_is_thinned_out_from_its_first_record_to_its_last() -> None:
    found = summary(trials([list(range(1, 10_001))]))
    assert len(found["after"]) == RECORDS
    assert (found["after"][0], found["after"][-1]) == (1, 10_000)
    assert (
        found["curves"]["loss"]["median"] == found["after"]
        or max(abs(a - b) / a for a, b in zip(found["after"], found["curves"]["loss"]["median"], strict=True)) < 1e-3
    )
    steps = np.diff(found["after"])
    assert steps.max() <= steps.min() + 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4, NAN], (1.4, 3, None)),
        ([1, 2, NAN], (1.2, 2, None)),
        ([1, NAN, INF], (None, None, None)),
        ([NAN, NAN], (None, None, None)),
        ([*range(70), INF], (7, 35, 63)),
        ([*range(8), *[INF] * 63], (7, None, None)),
        ([1, 3], (1.2, 2, 2.8)),
        ([-INF, 1, 2], (1.2, 2, None)),
        ([1e38, 3e38], (1.2e38, 2e38, 2.8e38)),
        ([0.123456], (0.1235,) * 3),
    ],
)
def test_a_seed_that_is_not_finite_is_the_worst(values: list[float], expected: tuple[float | None, ...]) -> None:
    found = spread(np.array(values)[:, None])
    assert tuple(found[name][0] for name in ("low", "median", "high")) == pytest.approx(expected)


def test_a_row_of_numbers_is_spread_and_a_matrix_averaged() -> None:
    tables = {"fit": np.array([[1.0, NAN], [3.0, 4.0]]), "confusion": np.array([[[3, 1]], [[4, 0]]])}
    found = summary(Trials({"epochs": np.array([1, 1])}, {}, None, tables))
    assert found == {
        "after": [],
        "curves": {},
        "tables": {
            "fit": {"low": [1.2, None], "median": [2, None], "high": [2.8, None]},
            "confusion": {"mean": [[3.5, 0.5]]},
        },
        "diverged": [],
    }


@pytest.mark.parametrize(
    ("values", "higher_is_better", "ratio", "expected"),
    [
        ([9, 1, 2], False, True, 2),
        ([1, 2, None], False, True, 2),
        ([1, 2, None], False, False, 2),
        ([1, 2, None], True, False, 1),
        ([1, 2, None], True, True, 1),
        ([1, None, None], False, True, NAN),
        ([1, None], True, False, NAN),
        ([1, None], True, True, 0.5),
        ([1, None, None], True, True, 0),
        ([None], True, False, NAN),
    ],
)
def test_a_seed_that_is_not_finite_is_the_worst_in_a_median(
    values: list[float | None], higher_is_better: bool, ratio: bool, expected: float
) -> None:
    np.testing.assert_equal(median(values, {"higher_is_better": higher_is_better, "ratio": ratio}), expected)
    metric = Metric("error", higher_is_better, ratio)
    measured = Trials({"epochs": np.ones(len(values)), "error": np.array(values, float)}, {})
    np.testing.assert_equal(metric.median(metric.of(measured)), expected)
