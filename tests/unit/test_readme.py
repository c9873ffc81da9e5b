"""What the README shows runs."""

import re
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[-1])
def test_an_example_runs(example: str) -> None:
    exec(example, {})


def test_the_network_by_hand_learns_what_no_line_can_tell_apart() -> None:
    found: dict[str, Any] = {}
    [example] = [example for example in EXAMPLES if "models.scratch" in example]
    exec(example, found)
    assert found["scores"]["accuracy"].item() > 0.9
