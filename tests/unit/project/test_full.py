"""The run of all checks, `.ci/full.py`, and its exit status."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.helpers.project import Project
from tests.helpers.report import ROOT


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Return the script as a module that writes its reports to a temporary folder."""
    spec = importlib.util.spec_from_file_location("full", ROOT / ".ci" / "full.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setattr(loaded, "REPORT", tmp_path / "report")
    return loaded


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "options", "outcome", "counts"),
    [
        ("", [], "passed", "7 passed"),
        ("metrics['error'] *= 1.01 if lab.level == 2 else 1", [], "drift", "6 passed, 1 drifted"),
        ("if lab.level == 2: raise ValueError('no luck')", [], "failure", "5 passed, 2 failed"),
        (
            "metrics['error'] *= 1.01 if lab.level == 3 else 1\nif lab.level == 2: raise ValueError('no luck')", [],
            "failure", "4 passed, 1 drifted, 2 failed",
        ),
        ("", ["--claims-set", "toy.nosie=1"], "error", "nothing ran; pytest exited with status 4"),
        ("", ["--no-such-option"], "error", "pytest exited with status 4 and left no results"),
        ("", ["-k", "nothing"], "error", "nothing ran; pytest exited with status 5"),
    ],
)  # fmt: skip
def test_drift_failure_and_error_are_distinguished(
    full: ModuleType, project: Project, change: str, options: list[str], outcome: str, counts: str
) -> None:
    project.recorded().change(change)
    result = project.run("--junitxml=results.xml", *options)
    assert full.count_tests(int(result.ret), project.folder / "results.xml") == (outcome, counts)


@pytest.mark.parametrize(
    ("results", "expected"),
    [({}, 0), ({"claims, quick": ("drift", "")}, 1), ({"types": ("failure", ""), "claims, quick": ("drift", "")}, 2),
     ({"unit tests": ("error", ""), "types": ("failure", "")}, 3)],
)  # fmt: skip
def test_every_step_runs_and_worst_one_sets_exit_status(
    full: ModuleType, results: dict[str, Any], expected: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    steps = dict(zip(map(str, full.STEPS.values()), full.STEPS, strict=True))
    monkeypatch.setattr(full, "run", lambda command, junit: results.get(steps[str(command)], ("passed", "1 passed")))
    assert full.main() == expected
    summary = capsys.readouterr().out.partition("=== summary\n")[2].splitlines()
    assert [row[:18].strip() for row in summary] == list(full.STEPS)


def test_missing_program_is_error(full: ModuleType, tmp_path: Path) -> None:
    assert full.run(["no-such-program"], tmp_path / "x.xml")[0] == "error"


@pytest.mark.parametrize(("status", "outcome"), [(0, "passed"), (1, "failure")])
def test_step_without_tests_fails_by_exit_status(full: ModuleType, tmp_path: Path, status: int, outcome: str) -> None:
    assert full.run([sys.executable, "-c", f"raise SystemExit({status})"], tmp_path / "x.xml") == (outcome, "")


def test_interrupt_ends_run_with_summary(full: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupt)
    assert full.main() == 3
    assert "lint               error" in capsys.readouterr().out
