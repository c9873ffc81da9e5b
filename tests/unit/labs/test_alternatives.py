"""The alternatives of the settings that the reports do not state: each trains, changes the result and has a reason."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from labcheck import Lab
from labcheck.labs.boston import Boston
from labcheck.labs.curve import Curve
from labcheck.labs.sine import Sine
from labcheck.labs.trig import Trig
from tests.helpers.labs import CIFAR, FASHION, MNIST, equal

BRIEF: list[Lab] = [
    Trig(max_epochs=2),
    Curve(epochs=20),
    Boston(epochs=2),
    Sine(epochs=2, samples=500),
    FASHION,
    MNIST,
    CIFAR,
]
"""Labs that train briefly."""
DEAD_BOSTON = {"epochs": 13, "lr": 3e-8}
"""A training in which the rate is too small for any progress."""
NEEDED: dict[tuple[str, str], dict[str, Any]] = {
    # a dead network, whose loss does not change
    ("boston", "epochs"): {"epochs": 30},
    ("boston", "patience"): DEAD_BOSTON,
    ("boston", "factor"): DEAD_BOSTON,
    ("fashion", "loader"): {"engine": "torch"},  # the engine "scratch" has no loader
    ("fashion", "smallest_batch"): {"smallest": True},
    ("mnist", "dropout_place"): {"dropout": "moderate"},
    ("mnist", "dropout_rates"): {"dropout": "low"},
    ("mnist", "variation"): {"varied": True, "channels": (2, 3, 4, 5), "kernel": 5},
    ("sine", "amsgrad"): {"epochs": 200, "lr": 0.02},
    ("sine", "deep"): {"net": "deep"},
    ("sine", "every"): {"scheduled": True, "epochs": 101},
    ("sine", "best_every"): {"epochs": 101, "lr": 0.3},
    ("trig", "patience"): {"init": "zeros", "norm": False, "lr": 1e-3, "stop_lr": 0.0, "max_epochs": 13},
}
"""Other settings without which a setting has no effect in a brief training."""


TIME_ONLY = {("fashion", "loader")}
"""Settings that change nothing but the time of a training."""


def alternatives() -> Iterator[Any]:
    """Yield each brief lab with the name of a setting and an alternative value."""
    for lab in BRIEF:
        for setting, justification in lab.unstated().items():
            for other in justification.alternatives:
                yield pytest.param(lab, setting, other.value, id=f"{lab.name}-{setting}-{other.value}")


every_lab = pytest.mark.parametrize("lab", BRIEF, ids=[lab.name for lab in BRIEF])


@pytest.mark.parametrize(("lab", "setting", "value"), list(alternatives()))
def test_alternative_trains_and_changes_result(lab: Lab, setting: str, value: Any):
    lab = replace(lab, **NEEDED.get((lab.name, setting), {}))
    other = replace(lab, **{setting: value})
    assert getattr(other, setting) == value
    assert equal(lab.train([0]), other.train([0])) is ((lab.name, setting) in TIME_ONLY)


@every_lab
def test_alternatives_have_reasons(lab: Lab):
    for setting, justification in lab.unstated().items():
        for other in justification.alternatives:
            assert len(other.reason) > 15, setting
            assert other.reason[0].isupper(), setting
            assert not other.reason.endswith("."), setting


@every_lab
def test_defaults_are_plausible(lab: Lab):
    assert lab.is_plausible()


@pytest.mark.parametrize(
    ("output", "norm_last", "output_norm", "plausible"),
    [
        (True, True, True, True), (True, True, False, False), (True, False, True, False), (True, False, False, False),
        (False, True, True, True), (False, True, False, True), (False, False, True, True), (False, False, False, True),
    ],
)  # fmt: skip
def test_activation_as_last_step_is_implausible(output: bool, norm_last: bool, output_norm: bool, plausible: bool):
    lab = Trig(output_activation=output, norm_last=norm_last, output_norm=output_norm)
    assert lab.is_plausible() is plausible


def test_training_that_all_seeds_share_is_implausible():
    assert Curve(lr=0.001).is_plausible()
    assert not Curve(draw="course").is_plausible()


def test_split_of_seed_needs_no_validation_split():
    assert Boston(split="seed").is_plausible()
    assert Boston(validation="seed").is_plausible()
    assert not Boston(split="seed", validation="seed").is_plausible()


def test_deep_network_has_more_layers_than_shallow_one():
    assert Sine(shallow=(32, 32), deep=(32, 32, 32)).is_plausible()
    assert not Sine(shallow=(8, 16, 8), deep=(32, 32, 32)).is_plausible()
