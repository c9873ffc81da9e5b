"""Trials: selecting and joining seeds. What a lab may return is tested with `labcheck.engine.results`."""

import numpy as np

from labcheck import Trials


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
