"""Trials: selecting and joining seeds. What a lab may return is tested with `labcheck.engine.results`."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from labcheck import Trials
from tests.helpers.claims import NAN


def numbered(*seeds: int) -> Trials:
    """Return trials whose values follow from these numbers."""
    column = np.array(seeds, float)
    recorded = np.array([3, 20])
    return Trials({"epochs": column + 1, "mse": column * 10}, {"loss": column[:, None] + [0, 0.5]}, recorded)


def are_equal(a: Trials, b: Trials) -> bool:
    return np.array_equal(a.after("loss"), b.after("loss")) and all(
        arrays.keys() == others.keys() and all(np.array_equal(arrays[name], others[name]) for name in arrays)
        for arrays, others in ((a.metrics, b.metrics), (a.curves, b.curves))
    )


def test_frame_has_metrics_and_ends_of_curves():
    frame = numbered(5, 3).to_frame()
    assert {name: list(values) for name, values in frame.items()} == {"loss": [5, 3], "epochs": [6, 4], "mse": [50, 30]}
    late = Trials({"epochs": np.array([20, 0])}, {"loss": np.array([[5, 4], [NAN, NAN]])}, np.array([3, 20]))
    assert_array_equal(late.to_frame()["loss"], [4, NAN])


@pytest.mark.parametrize(
    ("metrics", "curves", "expected"),
    [
        ({"x": [1, 1, 1]}, {}, True),
        ({"x": [1, 1, 1 + 1e-15]}, {}, False),
        ({"x": [1, NAN, 1]}, {}, False),
        ({"x": [1, 1, 1]}, {"l": [[2, NAN]] * 3}, True),
        ({"x": [1, 1, 1], "y": [NAN] * 3}, {}, False),
        ({}, {"l": [[2, 1]] * 3}, True),
        ({"x": [1, 1, 1]}, {"l": [[2, 3], [2, 3], [2, 4]]}, False),
        ({"x": [NAN] * 3}, {}, False),
        ({}, {}, False),
    ],
)
def test_trials_are_constant_if_all_seeds_are_equal(metrics: Any, curves: Any, expected: bool):
    one, two = ({name: np.array(values, float) for name, values in part.items()} for part in (metrics, curves))
    assert Trials(one, two).is_constant is expected


def test_trials_first_selects_first_seeds():
    assert are_equal(numbered(5, 3, 8).rows(0, 2), numbered(5, 3))
    assert len(numbered(5, 3, 8).rows(0, 2)) == 2


def test_trials_first_selects_diverged_seeds():
    trials = Trials({"x": np.ones(3)}, {}, diverged={0: "one", 2: "two"})
    assert trials.rows(0, 2).diverged == {0: "one"}


def test_trials_join_keeps_order_of_blocks():
    joined = Trials.join([numbered(5, 3), numbered(8), numbered(1, 2)])
    assert are_equal(joined, numbered(5, 3, 8, 1, 2))
    assert len(joined) == 5


def test_trials_have_record_after_each_epoch_by_default():
    trials = numbered(5, 3)
    assert trials.after("loss").tolist() == [3, 20]
    assert Trials(trials.metrics, trials.curves).after("loss").tolist() == [1, 2]
