"""A training detail that changes by accident is caught where the baseline was recorded, and the arm is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from labcheck.data import functions, image_sets
from labcheck.data.examples import Examples
from labcheck.data.images import ImageSet
from labcheck.engine import baselines
from labcheck.labs import cifar, curve, fashion, images, supervised, trig
from labcheck.nn import training
from labcheck.nn.scratch.network import Network, mlp
from labcheck.nn.scratch.optimizers import SGD, Adam
from labcheck.nn.training import History

CLAIM = """
from labcheck.core.claims import Arm, Claim
from labcheck.labs.{lab} import {name}
from labcheck.core.metrics import Metric
from labcheck.core.comparisons import beats

claim = Claim(
    id="{lab}/base",
    statement="One is better than the other.",
    citation="here",
    lab={name},
    arms={{"base": Arm({base}), "other": Arm({other})}},
    relations=[beats("base", "other", Metric("{metric}", False))],
    seeds={{"quick": {seeds}}},
)
"""
FEW_DIGITS = {"epochs": 2, "batch": 8, "train_size": 64, "val_size": 32, "test_size": 32, "channels": (2, 3)}
FEW_OBJECTS = {"epochs": 2, "drop": 1, "train_size": 16, "test_size": 16, "batch": 8}
PROJECTS: dict[str, dict[str, Any]] = {
    "trig": {"metric": "val_mse", "base": {"max_epochs": 4}, "other": {"max_epochs": 4, "powers": 1}},
    "sine": {"metric": "val_mse", "base": {"epochs": 2}, "other": {"epochs": 2, "net": "shallow"}},
    "curve": {"metric": "grid_mse", "base": {"epochs": 50}, "other": {"epochs": 40}},
    "mnist": {"metric": "val_loss", "base": {**FEW_DIGITS}, "other": {**FEW_DIGITS, "kernel": 3}, "seeds": 5},
    "fashion": {"metric": "test_loss", "base": {"epochs": 1, "hidden": 4}, "other": {"epochs": 1, "hidden": 3}},
    "cifar": {"metric": "test_loss", "base": {**FEW_OBJECTS}, "other": {**FEW_OBJECTS, "dropped": False}, "seeds": 5},
}


@pytest.fixture
def recorded(pytester: pytest.Pytester) -> Callable[[str], Callable[[], pytest.RunResult]]:
    """Runs a project of a lab whose baseline has just been written, and holds."""

    def record(lab: str) -> Callable[[], pytest.RunResult]:
        pytester.makepyfile(test_base=CLAIM.format(lab=lab, name=lab.capitalize(), **{"seeds": 20, **PROJECTS[lab]}))
        pytester.runpytest_inprocess("--claims-update", "for the test")
        pytester.runpytest_inprocess().assert_outcomes(passed=3)
        return pytester.runpytest_inprocess

    return record


def leaking(network: Network, parts: dict[str, Examples], *args: Any) -> History:
    train, val = parts["train"], parts["val"]
    both = Examples(torch.cat([train.x[:, 200:], val.x], 1), torch.cat([train.y[:, 200:], val.y], 1))
    return train_honestly(network, {**parts, "train": both}, *args)


def split_otherwise(*args: Any, **settings: Any) -> dict[str, Examples]:
    return {name: Examples(part.x, -part.y) for name, part in split_honestly(*args, **settings).items()}


def mirrored() -> ImageSet:
    digits = digits_honestly()
    return replace(digits, images=digits.images.flip(2))


digits_honestly = image_sets.EMBEDDED["mnist"]
train_honestly, split_honestly = training.train, functions.split
DIFFERENT = "all seeds differ"
OTHER_DATA = "trained on other data (digest "
LEAK = (training, "train", leaking, DIFFERENT)
MIRRORED = (functions, "split", split_otherwise, OTHER_DATA)
BETAS = (Adam, "betas", (0.8, 0.999), DIFFERENT)
CHANGES: dict[str, tuple[object, str, object, str]] = {
    "trig: momentum 0.8": (supervised, "OPTIMIZERS", {"sgd": lambda momentum: SGD(0.8)}, DIFFERENT),
    "trig: running statistics": (
        trig,
        "mlp",
        lambda widths, **settings: mlp(widths, **{**settings, "running": True}),
        DIFFERENT,
    ),
    "trig: validation data leaks into training": LEAK,
    "trig: other data": MIRRORED,
    "sine: other betas": BETAS,
    "sine: validation data leaks into training": LEAK,
    "sine: other data": MIRRORED,
    "curve: other betas": BETAS,
    "curve: judged against another function": (curve, "FUNCTIONS", {"f": functions.g}, OTHER_DATA),
    "curve: other initial weights": (
        curve,
        "mlp",
        lambda widths, **settings: mlp(widths, **settings, init="xavier_normal"),
        DIFFERENT,
    ),
    "mnist: other betas": BETAS,
    "mnist: pixels as they are": (images, "Standardize", lambda mean, std: nn.Identity(), DIFFERENT),
    "mnist: other data": (image_sets, "EMBEDDED", {"mnist": mirrored}, OTHER_DATA),
    "fashion: biases that do not start at zero": (
        fashion,
        "mlp",
        lambda widths, **settings: mlp(widths, **{**settings, "zero_bias": False}),
        DIFFERENT,
    ),
    "cifar: no weight decay": (cifar, "SGD", lambda momentum, weight_decay: SGD(momentum), DIFFERENT),
    "cifar: moments of other images": (cifar, "MEANS", (0.485, 0.456, 0.406), DIFFERENT),
}


@pytest.mark.parametrize("change", CHANGES)
def test_on_the_same_machine(change: str, recorded: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    lab = change.partition(":")[0]
    run = recorded(lab)
    *patch, told = CHANGES[change]
    monkeypatch.setattr(*patch)
    result = run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    seeds = PROJECTS[lab].get("seeds", 20)
    result.stdout.fnmatch_lines([f"*arm 'base' has drifted: *{told.replace('all', f'{seeds} of {seeds}')}*"])


def test_an_honest_rerun_elsewhere_passes(recorded: Callable[..., Any], pytester: pytest.Pytester) -> None:
    run = recorded("trig")
    file = pytester.path / "baselines/trig/base/quick-drawn.json"
    stored = baselines.read(file)
    baselines.write(replace(stored, environment={**stored.environment, "cpu": "another"}), file)
    result = run()
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["measured elsewhere (cpu another*"])
