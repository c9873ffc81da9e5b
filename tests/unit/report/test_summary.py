"""Summaries of curves and tables over seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from labcheck import Metric, Trials
from labcheck.report.summary import MAX_RECORDS, median, spread, summarize

INF, NAN = np.inf, np.nan


def trials(
    curve: Sequence[Sequence[float]], epochs: Sequence[int] | None = None, recorded: Sequence[int] | None = None
) -> Trials:
    """Return trials with one curve, which by default has a record after each of equally many epochs."""
    rows = np.array(curve, dtype=float)
    lasts = [rows.shape[1]] * len(rows) if epochs is None else epochs
    return Trials({"epochs": np.array(lasts)}, {"loss": rows}, None if recorded is None else np.array(recorded))


def summary(measured: Trials) -> dict[str, Any]:
    """Return a summary in which all curves have the unit "m"."""
    return summarize(measured, lambda name: "m")


def test_curve_has_unit_median_and_percentiles() -> None:
    content = summary(trials([[seed, 10 * seed] for seed in range(11)]))
    assert content["after"] == [1, 2]
    assert content["curves"]["loss"] == {"unit": "m", "low": [1, 10], "median": [5, 50], "high": [9, 90]}


def test_unit_belongs_to_curve_of_that_name() -> None:
    measured = trials([[1, 2]])
    measured.curves["accuracy"] = measured.curves["loss"]
    curves = summarize(measured, {"loss": "m²", "accuracy": "share"}.__getitem__)["curves"]
    assert {name: curve["unit"] for name, curve in curves.items()} == {"loss": "m²", "accuracy": "share"}


def test_stopped_seed_keeps_last_value() -> None:
    content = summary(trials([[5, 4, 3], [9, NAN, NAN], [7, 6, NAN]], epochs=[3, 1, 2]))
    assert content["curves"]["loss"]["median"] == [7, 6, 6]


def test_shorter_curve_is_stretched_to_longest() -> None:
    content = summary(
        Trials(
            {"epochs": np.array([6.0]), "epochs of epoch": np.array([2.0])},
            {"step": np.arange(6.0)[None], "epoch": np.array([[8, 9, NAN, NAN, NAN, NAN]])},
        )
    )
    assert content["curves"]["step"]["median"] == [0, 1, 2, 3, 4, 5]
    assert content["curves"]["epoch"]["median"] == [8, 8, 8, 8, 8, 9]


def test_curve_ends_with_last_seed() -> None:
    content = summary(trials([[5, 4, NAN, NAN], [9, NAN, NAN, NAN]], epochs=[2, 1]))
    assert content["after"] == [1, 2]


def test_sparse_records_keep_their_epochs() -> None:
    content = summary(trials([[5, 4, 3]], epochs=[100], recorded=[1, 10, 100]))
    assert (content["after"], content["curves"]["loss"]["median"]) == ([1, 10, 100], [5, 4, 3])


def test_long_curve_is_thinned_evenly_with_both_ends() -> None:
    content = summary(trials([list(range(1, 10_001))]))
    after = content["after"]
    assert len(after) == MAX_RECORDS
    assert (after[0], after[-1]) == (1, 10_000)
    assert content["curves"]["loss"]["median"] == pytest.approx(after, rel=1e-3)  # which has four digits
    steps = np.diff(after)
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
def test_non_finite_seed_is_largest_in_quantiles(values: list[float], expected: tuple[float | None, ...]) -> None:
    quantiles = spread(np.array(values)[:, None])
    assert tuple(quantiles[name][0] for name in ("low", "median", "high")) == pytest.approx(expected)


def test_row_has_quantiles_and_matrix_has_mean() -> None:
    tables = {"fit": np.array([[1.0, NAN], [3.0, 4.0]]), "confusion": np.array([[[3, 1]], [[4, 0]]])}
    metrics = {"epochs": np.array([1, 1]), "mse": np.array([2.0, 3.0]), "gap": np.array([NAN, NAN])}
    assert summarize(Trials(metrics, {}, None, tables), str, compared=["epochs"]) == {
        "after": [],
        "curves": {},
        "tables": {
            "fit": {"low": [1.2, None], "median": [2, None], "high": [2.8, None]},
            "confusion": {"mean": [[3.5, 0.5]]},
        },
        "diverged": [],
        "others": {"mse": 2.5, "gap": None},
    }


def test_diverged_seeds_are_listed_with_error() -> None:
    measured = Trials({"epochs": np.ones(3)}, {}, diverged={2: "b", 0: "a"})
    assert summary(measured)["diverged"] == [{"seed": 0, "error": "a"}, {"seed": 2, "error": "b"}]


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
def test_non_finite_seed_is_worst_in_median(
    values: list[float | None], higher_is_better: bool, ratio: bool, expected: float
) -> None:
    np.testing.assert_equal(median(values, {"higher_is_better": higher_is_better, "ratio": ratio}), expected)
    metric = Metric("error", higher_is_better, ratio)
    measured = Trials({"epochs": np.ones(len(values)), "error": np.array(values, float)}, {})
    np.testing.assert_equal(metric.median(metric.of(measured)), expected)
