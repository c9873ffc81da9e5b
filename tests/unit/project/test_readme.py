"""What the README shows runs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .test_stored_claims import MODULES, claim

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_ci_installs_and_tests_as_the_readme_does() -> None:
    commands = re.findall(r"^    (python3 -m venv .*|\.venv/bin/.*)$", README, re.MULTILINE)
    ci = (ROOT / ".ci" / "run").read_text()
    assert [command for command in commands if f"step {command}\n" in ci] == [
        "python3 -m venv .venv",
        '.venv/bin/pip install -q -e ".[test]"',
        '.venv/bin/pytest tests/unit -n 2 -m "not slow"',
    ]


COMMANDS = re.findall(r"^    (pytest .*--claims-set.*)$", README.replace("\\\n", ""), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[1])
def test_every_arm_can_be_trained_with_a_shown_override(command: str) -> None:
    settings = re.findall(r"--claims-set (\w+)\.(\w+)=(\S+)", command)
    claims = [found for found in map(claim, MODULES) if found.lab.name == settings[0][0]]
    overrides = {name: claims[0].lab.parse(name, value) for _, name, value in settings}
    assert claims
    for found in claims:
        for arm in found.arms.values():
            found.lab.configure("quick", overrides, arm.settings)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[-1])
def test_an_example_runs(example: str) -> None:
    exec(example, {})


def test_a_claim_in_a_project_of_its_own_is_recorded_and_holds(pytester: pytest.Pytester) -> None:
    [example] = [example for example in EXAMPLES if "boston-dropout/rate" in example]
    assert len([line for line in example.splitlines() if line]) < 30
    pytester.makepyfile(test_dropout=example)
    first, second = (
        pytester.runpytest_inprocess("--claims-seeds", "2", *options) for options in (["--claims-update", "a look"], [])
    )
    assert first.ret == pytest.ExitCode.TESTS_FAILED
    second.assert_outcomes(passed=3)
    second.stdout.fnmatch_lines(
        ["boston-dropout/rate  INCONCLUSIVE  0 / 0 / 1 *2  *boston", "* with beats without on test_mse; ours *"]
    )


OWN_CLAIM = """
from labcheck.core.claims import Arm, Claim
from labcheck.core.curve_metrics import value_at
from labcheck.core.metrics import Metric
from labcheck.core.comparisons import beats

claim = Claim(
    id="digits/loss", statement="The logistic loss is better.", source="our lab book", lab=Digits,
    arms={"hinge": Arm(), "log": Arm({"loss": "log_loss", "epochs": 3})},
    relations=[
        beats("log", "hinge", Metric("test_accuracy", higher_is_better=True)),
        beats("log", "hinge", value_at("val_accuracy", 3, rising=True)),
    ],
    seeds={"quick": 4},
)
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_lab_of_ones_own_is_trained_and_resumed(pytester: pytest.Pytester, workers: str) -> None:
    [example] = [example for example in EXAMPLES if "class Digits(Lab)" in example]
    pytester.makepyfile(test_digits=example + OWN_CLAIM)
    first, second = (
        pytester.runpytest_inprocess("-n", workers, "--claims-resume", *options)
        for options in (["--claims-update", "a look"], [])
    )
    assert first.ret == pytest.ExitCode.TESTS_FAILED
    second.assert_outcomes(passed=4)
    second.stdout.fnmatch_lines(["8 of 8 blocks of seeds are there from an earlier run"])
    stored = json.loads((pytester.path / "baselines/digits/loss/quick-sklearn-digits.json").read_text())
    assert "scikit-learn " in stored["environment"]["packages"]


def test_the_network_by_hand_learns_what_no_line_can_tell_apart() -> None:
    found: dict[str, Any] = {}
    [example] = [example for example in EXAMPLES if "models.scratch" in example]
    exec(example, found)
    assert found["scores"]["accuracy"].item() > 0.9
