"""The run of everything: what its exit code tells apart."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.helpers.project import Project


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("full", Path(__file__).parents[2] / ".ci" / "full.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setattr(loaded, "REPORT", tmp_path / "report")
    return loaded


@pytest.mark.parametrize(
    ("change", "options", "outcome", "counted"),
    [
        ("", [], "well", "7 passed"),
        ("metrics['error'] *= 1.01 if lab.level == 2 else 1", [], "drift", "6 passed, 1 drifted"),
        ("if lab.level == 2: raise ValueError('no luck')", [], "failure", "5 passed, 2 failed"),
        (
            "metrics['error'] *= 1.01 if lab.level == 3 else 1\nif lab.level == 2: raise ValueError('no luck')", [],
            "failure", "4 passed, 1 drifted, 2 failed",
        ),
        ("", ["--claims-set", "toy.nosie=1"], "error", "nothing ran; pytest ended with 4"),
        ("", ["--no-such-option"], "error", "pytest ended with 4 and counted nothing"),
        ("", ["-k", "nothing"], "error", "nothing ran; pytest ended with 5"),
    ],
)  # fmt: skip
def test_drift_failure_and_error_are_told_apart(
    full: ModuleType, project: Project, change: str, options: list[str], outcome: str, counted: str
) -> None:
    project.recorded().change(change)
    result = project.run("--junitxml=results.xml", *options)
    assert full.told(int(result.ret), project.folder / "results.xml") == (outcome, counted)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [({}, 0), ({"claims, quick": ("drift", "")}, 1), ({"types": ("failure", ""), "claims, quick": ("drift", "")}, 2),
     ({"unit tests": ("error", ""), "types": ("failure", "")}, 3)],
)  # fmt: skip
def test_every_step_runs_and_the_worst_decides(
    full: ModuleType, codes: dict[str, Any], expected: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    outcomes = dict(zip((str(command) for command in full.STEPS.values()), full.STEPS, strict=True))
    monkeypatch.setattr(full, "run", lambda command, junit: codes.get(outcomes[str(command)], ("well", "1 passed")))
    assert full.main() == expected
    summary = capsys.readouterr().out.partition("=== summary\n")[2].splitlines()
    assert [row[:18].strip() for row in summary] == list(full.STEPS)


def test_a_program_that_is_not_there_is_an_error(full: ModuleType, tmp_path: Path) -> None:
    assert full.run(["no-such-program"], tmp_path / "x.xml")[0] == "error"


@pytest.mark.parametrize(("code", "outcome"), [(0, "well"), (1, "failure")])
def test_a_step_that_counts_nothing_fails_by_its_exit_code(
    full: ModuleType, tmp_path: Path, code: int, outcome: str
) -> None:
    assert full.run([sys.executable, "-c", f"raise SystemExit({code})"], tmp_path / "x.xml") == (outcome, "")


def test_an_interrupt_ends_it_with_what_is_known(
    full: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    assert full.main() == 3
    assert "lint               error" in capsys.readouterr().out
