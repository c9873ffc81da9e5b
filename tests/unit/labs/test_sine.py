"""The lab sine: its samples, metrics and settings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from labcheck.labs.sine import Sine
from labcheck.nn.as_torch import as_torch
from tests.helpers.labs import equal, train_error

# samples


def test_samples_are_equally_spaced_in_random_order():
    splits = Sine().splits(range(2), torch.float64)
    assert {name: split.x.shape for name, split in splits.items()} == {
        "train": (2, 6000, 1), "val": (2, 2000, 1), "test": (2, 2000, 1), "grid": (2, 1000, 1),
    }  # fmt: skip
    for split in splits.values():
        torch.testing.assert_close(split.y, split.x.sin())
    x = torch.cat([splits[name].x for name in ("train", "val", "test")], 1).squeeze(2)
    np.testing.assert_allclose(x.sort(1).values, [np.linspace(0, 2 * np.pi, 10_000)] * 2, atol=1e-12)
    assert not torch.equal(x[0], x[1])
    np.testing.assert_allclose(splits["grid"].x[0, :, 0], np.arange(1000) * 2 * np.pi / 1000)


def test_batches_have_same_order_in_all_epochs():
    orders = Sine().orders([5, 3])
    assert [order(4).tolist() for order in orders * 2] == [[0, 1, 2, 3]] * 4


def test_inputs_are_standardized_if_set():
    splits = Sine(standardized=True).splits([0], torch.float64)
    x = torch.cat([splits[name].x for name in ("train", "val", "test")], 1)
    assert (x.mean().item(), x.std().item()) == pytest.approx((0, 1))
    assert torch.equal(splits["train"].y, Sine().splits([0], torch.float64)["train"].y)


# training and metrics


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"every": 2}, [1, 1, 1, 1, 1]),
        ({"scheduled": True}, [1, 1, 1, 1, 1]),
        ({"scheduled": True, "every": 2}, [1, 1, 0.8, 0.8, 0.64]),
        ({"scheduled": True, "every": 3, "factor": 0.5}, [1, 1, 1, 0.5, 0.5]),
    ],
)
def test_learning_rate_follows_schedule(settings: Mapping[str, Any], rates: list[float]):
    trials = Sine(samples=50, epochs=5, lr=1e-7, **settings).train([0])
    assert trials.curves["lr"][0] == pytest.approx(np.array(rates) * 1e-7, abs=0)


def test_metrics_are_consistent_and_complete():
    trials = Sine(epochs=3, samples=300).train(range(3))
    np.testing.assert_allclose(trials.metrics["val_mse"], trials.curves["val_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["final_loss"], trials.curves["batch_loss"][:, -1])
    measured = {f"{split}_{kind}" for split in ("train", "val", "test") for kind in ("mse", "sum")} | {"grid_mse"}
    assert set(trials.metrics) == measured | {f"final_{name}" for name in measured} | {"epochs", "final_loss"}


@pytest.mark.parametrize("every", [1, 2, 4, 100])
def test_best_of_inspected_weights_are_restored(every: int):
    trials = Sine(epochs=9, samples=300, batch=16, lr=0.1, best_every=every).train(range(4))
    losses = trials.curves["val_loss"]
    every = min(every, 9)
    np.testing.assert_allclose(trials.metrics["val_mse"], losses[:, every - 1 :: every].min(1), rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["final_val_mse"], losses[:, -1], rtol=1e-5)


@pytest.mark.slow
def test_sums_add_mean_errors_of_batches():
    """There are 94 training batches, and 32 each for validation and test; the last ones have 48 and 16 examples."""
    lab = Sine(epochs=1)
    trials, splits = lab.train([5, 3], dtype=torch.float64), lab.splits([5, 3], torch.float64)
    model = as_torch(lab.network([3], torch.float64), 0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, weight_decay=5e-4, amsgrad=True)
    x, y = splits["train"].x[1], splits["train"].y[1]
    for batch in range(94):
        rows = slice(64 * batch, 64 * batch + 64)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
    for name, batches in (("train", 94), ("val", 32), ("test", 32)):
        split = splits[name]
        losses = [
            nn.functional.mse_loss(model(split.x[1, first : first + 64]), split.y[1, first : first + 64]).item()
            for first in range(0, len(split), 64)
        ]
        assert len(losses) == batches
        assert trials.metrics[f"{name}_sum"][1] == pytest.approx(sum(losses), rel=1e-9)


# settings

SCHEDULED = {"scheduled": True, "every": 1}
UNSTATED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"lr": 0.001}),
    ({}, {"optimizer": "sgd"}),
    ({}, {"weight_decay": 0.0}),
    ({"optimizer": "sgd"}, {"weight_decay": 0.0}),
    ({"epochs": 200, "lr": 0.02}, {"amsgrad": False}),
    ({"optimizer": "sgd"}, {"momentum": 0.9}),
    ({}, {"samples": 60}),
    ({}, {"sampling": "random"}),
    ({"batch": 8}, {"shuffled": True}),
    ({}, {"shallow": (16,)}),
    ({"net": "deep"}, {"deep": (32, 32)}),
    ({}, {"standardized": True}),
    (SCHEDULED, {"every": 2}),
    (SCHEDULED, {"factor": 0.5}),
    ({"epochs": 9, "lr": 0.3}, {"best_every": 1}),
]
"""Other settings of a lab, and the changed one."""


def test_all_unstated_settings_are_tested():
    assert {name for _, setting in UNSTATED for name in setting} == set(Sine.unstated())


@pytest.mark.parametrize(
    ("others", "setting"),
    [
        *UNSTATED,
        ({}, {"net": "deep"}),
        ({}, {"activation": "tanh"}),
        ({}, {"batch": 10}),
        (SCHEDULED, {"scheduled": False}),
    ],
    ids=str,
)
def test_setting_changes_training(others: dict[str, Any], setting: dict[str, Any]):
    short = {"epochs": 4, "samples": 50, **others}
    assert train_error(Sine(**short)) != train_error(Sine(**{**short, **setting}))


@pytest.mark.parametrize("setting", [{"every": 1}, {"factor": 0.5}, {"momentum": 0.9}, {"deep": (16,)}], ids=str)
def test_setting_of_unused_part_changes_nothing(setting: dict[str, Any]):
    short: dict[str, Any] = {"epochs": 4, "samples": 50}
    assert equal(Sine(**short).train([0]), Sine(**short, **setting).train([0]))
