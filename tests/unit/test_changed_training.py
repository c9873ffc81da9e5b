"""A training detail that changes by accident is caught where the baseline was recorded, and the arm is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from labcheck import baselines, training
from labcheck.data import functions
from labcheck.data.examples import Examples
from labcheck.labs import stacked, trig
from labcheck.models.network import Network, mlp
from labcheck.optim import SGD
from labcheck.training import History

CLAIM = """
from labcheck.claims import Arm, Claim
from labcheck.labs.trig import VAL_MSE, Trig
from labcheck.relations import beats

claim = Claim(
    id="trig/base",
    statement="Two powers are better than one.",
    source="here",
    lab=Trig,
    arms={"base": Arm({"max_epochs": 4}), "one power": Arm({"max_epochs": 4, "powers": 1})},
    relations=[beats("base", "one power", VAL_MSE)],
    seeds={"quick": 20},
)
"""


@pytest.fixture
def recorded(pytester: pytest.Pytester) -> Callable[[], pytest.RunResult]:
    """Runs a project whose baseline has just been written, and holds."""
    pytester.makepyfile(test_base=CLAIM)
    pytester.runpytest_inprocess("--claims-update", "for the test")
    pytester.runpytest_inprocess().assert_outcomes(passed=3)
    return pytester.runpytest_inprocess


def leaking(network: Network, parts: dict[str, Examples], *args: Any, **settings: Any) -> History:
    train, val = parts["train"], parts["val"]
    both = Examples(torch.cat([train.x[:, 200:], val.x], 1), torch.cat([train.y[:, 200:], val.y], 1))
    return train_honestly(network, {**parts, "train": both}, *args, **settings)


def drawn_otherwise(*args: Any, **settings: Any) -> dict[str, Examples]:
    return {name: Examples(part.x, -part.y) for name, part in split_honestly(*args, **settings).items()}


train_honestly, split_honestly = training.train, functions.split
OTHERWISE = "val_mse: 20 of 20 seeds differ"
CHANGES: dict[str, tuple[object, str, object, str]] = {
    "momentum 0.8": (stacked, "OPTIMIZERS", {**stacked.OPTIMIZERS, "sgd": lambda momentum: SGD(0.8)}, OTHERWISE),
    "running statistics": (
        trig,
        "mlp",
        lambda widths, **settings: mlp(widths, **{**settings, "running": True}),
        OTHERWISE,
    ),
    "validation data leaks into training": (training, "train", leaking, OTHERWISE),
    "other data": (functions, "split", drawn_otherwise, "trained on other data (digest "),
}


@pytest.mark.parametrize("change", CHANGES)
def test_on_the_same_machine(
    change: str, recorded: Callable[[], pytest.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    *patch, told = CHANGES[change]
    monkeypatch.setattr(*patch)
    result = recorded()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*arm 'base' has drifted: {told}*"])


def test_an_honest_rerun_elsewhere_passes(recorded: Callable[[], pytest.RunResult], pytester: pytest.Pytester) -> None:
    file = pytester.path / "baselines/trig/base/quick-drawn.json"
    stored = baselines.read(file)
    baselines.write(replace(stored, environment={**stored.environment, "cpu": "another"}), file)
    result = recorded()
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["measured elsewhere (cpu another*"])
