"""The lab boston: its metrics and settings. The data has tests of its own."""

from typing import Any

import numpy as np
import pytest

from labcheck.labs.boston import Boston
from tests.helpers.labs import equal


def test_metrics_are_consistent():
    trials = Boston(epochs=30).train(range(4))
    assert (trials.metrics["test_mae"] ** 2 < trials.metrics["test_mse"]).all()
    assert (trials.metrics["test_r2"] < 1).all()
    np.testing.assert_allclose(trials.metrics["val_mse"], trials.curves["val_loss"].min(1), rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["final_loss"], trials.curves["batch_loss"][:, -1])
    assert (trials.metrics["val_mse"] < trials.metrics["mean_val_mse"]).all()


UNSTATED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *(({}, setting) for setting in ({"width": 32}, {"batch": 16}, {"momentum": 0.9}, {"lr": 0.02}, {"epochs": 4})),
    *(({}, setting) for setting in ({"patience": 0}, {"split": "seed"}, {"validation": "seed"})),
    *(({}, setting) for setting in ({"optimizer": "adam"}, {"standardize": "all"})),
    ({"patience": 0}, {"factor": 0.5}),
]
"""Other settings of a lab, and the changed one."""


def test_all_unstated_settings_are_tested():
    assert {name for _, setting in UNSTATED for name in setting} == set(Boston.unstated())


@pytest.mark.parametrize(("others", "setting"), UNSTATED, ids=str)
def test_unstated_setting_changes_training(others: dict[str, Any], setting: dict[str, Any]):
    base = {"epochs": 25, "lr": 0.01, **others}
    assert not equal(Boston(**base).train([0]), Boston(**{**base, **setting}).train([0]))
