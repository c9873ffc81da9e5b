"""A change to training is detected by the stored baseline, which names the arm."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
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

pytestmark = pytest.mark.slow

CLAIM = """
from labcheck import Arm, Claim, Metric, beats
from labcheck.labs.{lab} import {name}

claim = Claim(
    id="{lab}/base",
    statement="One arm is better than the other.",
    citation="Table 1",
    lab={name},
    arms={{"base": Arm({base}), "other": Arm({other})}},
    relations=[beats("base", "other", Metric("{metric}", higher_is_better=False))],
    seeds={{"quick": {seeds}}},
)
"""
TRIG = {"max_epochs": 4, "samples": 500}
SINE = {"epochs": 2, "samples": 500}
DIGITS = {
    "epochs": 2, "batch": 8, "train_size": 32, "val_size": 16, "test_size": 16, "channels": (2, 3),
    "arithmetic": "float32",
}  # fmt: skip
PHOTOGRAPHS = {"epochs": 2, "drop": 1, "train_size": 8, "test_size": 8, "batch": 4, "arithmetic": "float32"}
PROJECTS: dict[str, dict[str, Any]] = {
    "trig": {"metric": "val_mse", "base": TRIG, "other": {**TRIG, "powers": 1}, "seeds": 20},
    "sine": {"metric": "val_mse", "base": SINE, "other": {**SINE, "net": "deep"}, "seeds": 20},
    "curve": {"metric": "grid_mse", "base": {"epochs": 20}, "other": {"epochs": 15}, "seeds": 20},
    "mnist": {"metric": "val_loss", "base": DIGITS, "other": {**DIGITS, "kernel": 3}, "seeds": 3},
    "fashion": {
        "metric": "test_loss", "base": {"epochs": 1, "hidden": 4}, "other": {"epochs": 1, "hidden": 3}, "seeds": 20
    },
    "cifar": {"metric": "test_loss", "base": PHOTOGRAPHS, "other": {**PHOTOGRAPHS, "dropped": False}, "seeds": 3},
}  # fmt: skip

Run = Callable[[], pytest.RunResult]


@pytest.fixture(scope="module")
def baseline_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of recorded baselines by lab; each lab is recorded by the first test that needs it."""
    return {lab: tmp_path_factory.mktemp("baselines") / lab for lab in PROJECTS}


@pytest.fixture
def recorded(pytester: pytest.Pytester, baseline_folders: dict[str, Path]) -> Callable[[str], Run]:
    """Return a function that makes a lab's project with its baseline, and returns a function that runs it."""

    def recorded(lab: str) -> Run:
        pytester.makepyfile(test_base=CLAIM.format(lab=lab, name=lab.capitalize(), **PROJECTS[lab]))
        folder = baseline_folders[lab]
        if folder.exists():
            shutil.copytree(folder, pytester.path / "baselines")
        else:
            pytester.runpytest_inprocess("--claims-update", "first")
            shutil.copytree(pytester.path / "baselines", folder)
        return pytester.runpytest_inprocess

    return recorded


original_train, original_split = training.train, functions.split_samples
original_digits = image_sets.EMBEDDED["mnist"]


def leaking_train(network: Network, splits: dict[str, Examples], *args: Any) -> History:
    """Train on validation data, too."""
    train, val = splits["train"], splits["val"]
    n = len(val)
    both = Examples(torch.cat([train.x[:, n:], val.x], 1), torch.cat([train.y[:, n:], val.y], 1))
    return original_train(network, {**splits, "train": both}, *args)


def negated_split(*args: Any, **settings: Any) -> dict[str, Examples]:
    return {name: Examples(split.x, -split.y) for name, split in original_split(*args, **settings).items()}


def mirrored_digits() -> ImageSet:
    digits = original_digits()
    return replace(digits, images=digits.images.flip(2))


def changed_mlp(**changes: Any) -> Callable[..., Any]:
    return lambda widths, **settings: mlp(widths, **{**settings, **changes})


DRIFT = "{n} of {n} seeds differ"
OTHER_DATA = "trained on different data (digest "
LEAK = (training, "train", leaking_train, DRIFT)
NEGATED = (functions, "split_samples", negated_split, OTHER_DATA)
BETAS = (Adam, "betas", (0.8, 0.999), DRIFT)
CHANGES: dict[str, tuple[object, str, object, str]] = {
    "trig: momentum 0.8": (supervised, "OPTIMIZERS", {"sgd": lambda momentum: SGD(0.8)}, DRIFT),
    "trig: running statistics": (trig, "mlp", changed_mlp(running=True), DRIFT),
    "trig: validation data leaks into training": LEAK,
    "trig: other data": NEGATED,
    "sine: other betas": BETAS,
    "sine: validation data leaks into training": LEAK,
    "sine: other data": NEGATED,
    "curve: other betas": BETAS,
    "curve: another function": (curve, "FUNCTIONS", {"f": functions.g}, OTHER_DATA),
    "curve: other initial weights": (curve, "mlp", changed_mlp(init="xavier_normal"), DRIFT),
    "mnist: other betas": BETAS,
    "mnist: no standardization": (images, "Standardize", lambda mean, std: nn.Identity(), DRIFT),
    "mnist: other data": (image_sets, "EMBEDDED", {"mnist": mirrored_digits}, OTHER_DATA),
    "fashion: biases that do not start at zero": (fashion, "mlp", changed_mlp(zero_bias=False), DRIFT),
    "cifar: no weight decay": (cifar, "SGD", lambda momentum, weight_decay: SGD(momentum), DRIFT),
    "cifar: moments of other images": (cifar, "MEANS", (0.485, 0.456, 0.406), DRIFT),
}
"""By lab and change: what is patched, and a text in the message."""


@pytest.mark.parametrize("lab", PROJECTS)
def test_unchanged_training_passes_on_same_machine(lab: str, recorded: Callable[[str], Run]):
    recorded(lab)().assert_outcomes(passed=3)


@pytest.mark.parametrize("change", CHANGES)
def test_change_is_detected_on_same_machine(
    change: str, recorded: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
):
    lab = change.partition(":")[0]
    run = recorded(lab)
    owner, name, value, text = CHANGES[change]
    monkeypatch.setattr(owner, name, value)
    result = run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*arm 'base' has drifted: *{text.format(n=PROJECTS[lab]['seeds'])}*"])


def test_unchanged_training_passes_on_another_machine(recorded: Callable[[str], Run], pytester: pytest.Pytester):
    run = recorded("trig")
    file = pytester.path / "baselines/trig/base/quick-drawn.json"
    stored = baselines.read(file)
    baselines.write(replace(stored, environment={**stored.environment, "cpu": "another"}), file)
    result = run()
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["another environment (cpu another*"])
