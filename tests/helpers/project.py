"""A project that uses labcheck, with a lab whose trials are drawn at random instead of trained."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from filelock import FileLock

from labcheck.engine import baselines
from tests.helpers.report import visible_text

LAB = '''
"""The code in the environment variable TOY changes the results."""
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from labcheck import Alternative, Data, Lab, Metric, Trials, assumed, known

ERROR = Metric("error", higher_is_better=False)
ACCURACY = Metric("accuracy", higher_is_better=True, ratio=False)


@dataclass(frozen=True, kw_only=True)
class Toy(Lab):
    name: ClassVar[str] = "toy"
    scales: ClassVar = {"quick": {"epochs": 3}}

    level: float = 1.0
    epochs: int = 9
    widths: tuple = (3, 4)
    noise: float = assumed(0.1, "not stated", 0.2, Alternative(0.5, "as in a fog"))
    loud: bool = known(False, "script", "read in the script")

    def stack(self, device):
        return 6

    @classmethod
    def data(cls):
        return Data("drawn", "0123456789abcdef")

    def train(self, seeds, device="cpu"):
        with Path(__file__).with_name("trained.log").open("a") as log:
            log.write(f"{self.level:g} {list(seeds)}\\n")
        draws = [np.random.default_rng([seed, int(10 * self.level)]).normal() for seed in seeds]
        error = self.level * np.exp(self.noise * np.array(draws))
        metrics = {"error": error, "accuracy": 1 / (1 + error), "epochs": np.full(len(seeds), self.epochs)}
        # compiled separately, since Python handles an interrupt during exec of a string as unraisable
        change = compile(os.environ.get("TOY", ""), "TOY", "exec")
        exec(change, {"lab": self, "seeds": seeds, "metrics": metrics, "np": np, "os": os})
        return Trials(metrics, {"loss": np.outer(error, np.ones(self.epochs))})
'''
IMPORTS = """
from labcheck import Arm, Claim, beats
from toy import ACCURACY, ERROR, Toy
"""
ORDER = """
claim = Claim(
    id="toy/order",
    statement="Low has a smaller error than high.",
    citation="Table 1",
    lab=Toy,
    arms={
        "low": Arm({"level": 1.0}, {"Table 1": {ERROR: 1.0}}),
        "high": Arm({"level": 2.0}, {"Table 1": {ERROR: float("nan")}, "text": {ACCURACY: 0.5}}),
    },
    relations=[beats("low", "high", ERROR)],
    seeds={"quick": 16},
    notes=["The error is that of Toy."],
)
"""
TOP = """
claim = Claim(
    id="toy/top",
    statement="Top has a smaller error than low, and a larger one.",
    citation="page 7",
    lab=Toy,
    arms={"low": Arm({"level": 1.0}), "top": Arm({"level": 3.0})},
    relations=[beats("top", "low", ERROR), beats("low", "top", ERROR)],
    seeds={"quick": 10},
)
"""
FILES = {
    "pytest.ini": "[pytest]\npythonpath = .\nfilterwarnings = error\n"
    "addopts = --strict-markers -p no:hypothesispytest\n",
    "toy.py": LAB,
    "test_order.py": IMPORTS + ORDER,
    "test_top.py": IMPORTS + TOP,
}


class Project:
    """A project folder in which pytest can be run."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
        self.pytester = pytester
        self.folder = pytester.path
        self.monkeypatch = monkeypatch
        _write(self.folder)

    def run(self, *args: str, **options: Any) -> pytest.RunResult:
        """Run pytest in this process."""
        return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", *args, **options)

    def run_in_subprocess(self, *args: str) -> pytest.RunResult:
        """Run pytest in a separate process, with a timeout."""
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", *args, timeout=120)

    def recorded(self, *args: str) -> "Project":
        """Record the results as baselines, and return the project."""
        assert self.run("-q", "--claims-update", "first", *args).ret == pytest.ExitCode.TESTS_FAILED
        return self

    def change(self, code: str) -> None:
        """Set the code that changes the results, with access to lab, seeds, metrics and np."""
        self.monkeypatch.setenv("TOY", code)

    def write(self, name: str, text: str) -> None:
        """Write a file of the project; a test module starts with IMPORTS."""
        (self.folder / name).write_text((IMPORTS if name.startswith("test_") else "") + text)

    def file(self, claim: str) -> Path:
        """Return the file of a claim's baseline."""
        return self.folder / "baselines" / "toy" / claim / "quick-drawn.json"

    def edit(self, claim: str, change: Callable[[baselines.Baseline], object]) -> None:
        """Change a baseline and its digest."""
        stored = baselines.read(self.file(claim))
        change(stored)
        baselines.write(stored, self.file(claim))

    def trained(self) -> list[str]:
        """Return a line for each block that was trained: its level and its seeds."""
        return _lines(self.folder)

    def report(self, folder: str = "out") -> dict[str, Any]:
        """Return the content of report.json, which must not contain NaN."""
        return _json(self.folder / folder / "report.json")

    def page_text(self, folder: str = "out") -> str:
        """Return the visible text of report.html."""
        return visible_text((self.folder / folder / "report.html").read_text(encoding="utf-8"))


class Recorded(NamedTuple):
    """The result of a run of the project with --claims-update and --claims-report."""

    output: str
    code: int
    baselines: dict[str, str]
    report: dict[str, Any]
    trained: list[str]


@contextmanager
def limited_file_size(size: int) -> Iterator[None]:
    """Prevent files from growing beyond a size in bytes, as on a full disk."""
    sizes = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, sizes[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, sizes)


def count_lines(result: pytest.RunResult, text: str) -> int:
    """Return the number of lines of the output that contain a text."""
    return sum(text in line for line in [*result.outlines, *result.errlines])


def output(result: pytest.RunResult) -> str:
    """Return everything that a run printed."""
    return "\n".join([*result.outlines, *result.errlines])


def assert_no_internals(result: pytest.RunResult) -> None:
    """Assert that the output has no internal error, and no frame of labcheck except of its labs and nets."""
    text = output(result)
    assert "INTERNALERROR" not in text
    assert "labcheck/" not in re.sub(r"labcheck/(labs|nn)/\w+\.py", "", text.replace("/labcheck/\n", ""))


def is_in_one_line(result: pytest.RunResult, text: str) -> bool:
    """Return whether exactly one line of the output contains a text, in an output without a traceback.

    Raises:
        AssertionError: The output has a traceback, or names a file of the package.
    """
    for internal in ("Traceback", "INTERNALERROR", "labcheck/"):
        assert count_lines(result, internal) == 0
    return count_lines(result, text) == 1


def folder_of_all_workers(factory: pytest.TempPathFactory) -> Path:
    """Return a temporary folder that all workers of this run share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def record(folder: Path, workers: str) -> Recorded:
    """Run the project once for all workers of this run, and return the result."""
    with FileLock(folder.with_suffix(".lock")):
        ended = folder / "ended.json"
        if not ended.exists():
            folder.mkdir()
            _write(folder)
            command = [sys.executable, "-m", "pytest", "-n", workers, "--claims-update", "first"]
            unset = ("LABCHECK_DATA", "PYTEST_ADDOPTS", "TOY")
            clean = {name: value for name, value in os.environ.items() if name not in unset}
            done = subprocess.run(
                [*command, "--claims-report", "out"], cwd=folder, env=clean, capture_output=True, text=True, timeout=120
            )
            ended.write_text(json.dumps([done.stdout, done.returncode]))
    written = {str(file.relative_to(folder)): file.read_text() for file in (folder / "baselines").rglob("*.*")}
    output, code = json.loads(ended.read_text())
    return Recorded(output, code, written, _json(folder / "out" / "report.json"), _lines(folder))


def _write(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text)


def _lines(folder: Path) -> list[str]:
    log = folder / "trained.log"
    return log.read_text().splitlines() if log.exists() else []


def _json(file: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    content: dict[str, Any] = json.loads(file.read_text(), parse_constant=refuse)
    return content
