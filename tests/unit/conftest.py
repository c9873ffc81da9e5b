"""A project that has installed labcheck, with a lab of its own whose trials are drawn and not trained."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import scipy.stats  # noqa: F401 - pytester forgets what its runs are the first to import, and scipy loads only once
from filelock import FileLock

import labcheck.engine.checks
import labcheck.report.page
import labcheck.report.terminal  # noqa: F401
from labcheck.engine import baselines, environment

FINGERPRINT = json.dumps(environment.fingerprint("cpu"))

LAB = '''
"""What stands in TOY is done to the results."""
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from labcheck.core.assumptions import assumed, known
from labcheck.core.lab import Data, Lab
from labcheck.core.metrics import Metric
from labcheck.core.trials import Trials

ERROR = Metric("error", higher_is_better=False)
ACCURACY = Metric("accuracy", higher_is_better=True, ratio=False)


@dataclass(frozen=True, kw_only=True)
class Toy(Lab):
    name: ClassVar[str] = "toy"
    scales: ClassVar = {"quick": {"epochs": 3}}

    level: float = 1.0
    epochs: int = 9
    widths: tuple = (3, 4)
    noise: float = assumed(0.1, "not stated", 0.2, 0.5)
    loud: bool = known(False, "script", "read in the script")

    @property
    def stack(self):
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
        # compiled first, or Python takes an interrupt that passes here for one that nobody handles
        change = compile(os.environ.get("TOY", ""), "TOY", "exec")
        exec(change, {"lab": self, "seeds": seeds, "metrics": metrics, "np": np, "os": os})
        return Trials(metrics, {"loss": np.outer(error, np.ones(self.epochs))})
'''
IMPORTS = """
from labcheck.core.claims import Arm, Claim
from labcheck.core.comparisons import beats
from toy import ACCURACY, ERROR, Toy
"""
ORDER = """
claim = Claim(
    id="toy/order",
    statement="Low errs less than high.",
    citation="Table 1",
    lab=Toy,
    arms={
        "low": Arm({"level": 1.0}, {"Table 1": {ERROR: 1.0}}),
        "high": Arm({"level": 2.0}, {"Table 1": {ERROR: float("nan")}, "text": {ACCURACY: 0.5}}),
    },
    relations=[beats("low", "high", ERROR)],
    seeds={"quick": 16},
    notes=["An error is what Toy calls one."],
)
"""
TOP = """
claim = Claim(
    id="toy/top",
    statement="Top errs less than low, which errs less than top.",
    citation="a dream",
    lab=Toy,
    arms={"low": Arm({"level": 1.0}), "top": Arm({"level": 3.0})},
    relations=[beats("top", "low", ERROR), beats("low", "top", ERROR)],
    seeds={"quick": 10},
)
"""
WITHOUT_TORCH = """
import contextlib, json, os, sys
from labcheck.engine import environment

if "torch" not in sys.modules:  # in a process of its own, where importing it would take the longest
    environment.deterministic = lambda *args: contextlib.nullcontext()
    environment.fingerprint = lambda *args: json.loads(os.environ["FINGERPRINT"])
"""
FILES = {
    "conftest.py": WITHOUT_TORCH,
    "pytest.ini": "[pytest]\npythonpath = .\nfilterwarnings = error\n"
    "addopts = --strict-markers -p no:hypothesispytest\n",
    "toy.py": LAB,
    "test_order.py": IMPORTS + ORDER,
    "test_top.py": IMPORTS + TOP,
}


class Project:
    """Runs pytest in the project, and reads what it leaves there."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
        self.pytester = pytester
        self.folder = pytester.path
        self.monkeypatch = monkeypatch
        _write(self.folder)

    def run(self, *args: str, **options: Any) -> pytest.RunResult:
        """In this process."""
        return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", *args, **options)

    def run_apart(self, *args: str) -> pytest.RunResult:
        """In a process of its own, which must not hang."""
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", *args, timeout=120)

    def recorded(self, *args: str) -> "Project":
        """The same project, its results recorded as baselines."""
        assert self.run("-q", "--claims-update", "first", *args).ret == pytest.ExitCode.TESTS_FAILED
        return self

    def change(self, code: str) -> None:
        """What is done to results from now on: code that sees lab, seeds, metrics and np."""
        self.monkeypatch.setenv("TOY", code)

    def write(self, name: str, text: str) -> None:
        """A file of the project; a claim finds its imports there."""
        (self.folder / name).write_text((IMPORTS if name.startswith("test_") else "") + text)

    def file(self, claim: str) -> Path:
        """A claim's baseline."""
        return self.folder / "baselines" / "toy" / claim / "quick-drawn.json"

    def edit(self, claim: str, change: Callable[[baselines.Baseline], object]) -> None:
        """Change a baseline as labcheck would: the digest fits."""
        stored = baselines.read(self.file(claim))
        change(stored)
        baselines.write(stored, self.file(claim))

    def trained(self) -> list[str]:
        """A line for each block that was trained: its level and its seeds."""
        return _lines(self.folder)

    def report(self, folder: str = "out") -> dict[str, Any]:
        """report.json, where NaN is no number."""
        return _json(self.folder / folder / "report.json")


class Recorded(NamedTuple):
    """What one recording run of the project left."""

    output: str
    code: int
    baselines: dict[str, str]
    report: dict[str, Any]
    trained: list[str]


@pytest.fixture(autouse=True)
def _at_a_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a build server pytest tells failures at greater length, and so twice."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("LABCHECK_DATA", raising=False)
    monkeypatch.setenv("FINGERPRINT", FINGERPRINT)
    return Project(pytester, monkeypatch)


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """All of the project, in one process."""
    return _record(_for_all_workers(tmp_path_factory) / "alone", "0")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """All of the project, with two workers."""
    return _record(_for_all_workers(tmp_path_factory) / "shared", "2")


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file can grow larger, as on a disk that is full."""
    sizes = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, sizes[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, sizes)


def said(result: pytest.RunResult, text: str) -> int:
    """How many lines of the output hold a text."""
    return sum(text in line for line in [*result.outlines, *result.errlines])


def _for_all_workers(factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of this run share, if it has any."""
    mine = factory.getbasetemp()
    return mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine


def _record(folder: Path, workers: str) -> Recorded:
    with FileLock(folder.with_suffix(".lock")):
        ended = folder / "ended.json"
        if not ended.exists():
            folder.mkdir()
            _write(folder)
            command = [sys.executable, "-m", "pytest", "-n", workers, "--claims-update", "first"]
            unset = ("LABCHECK_DATA", "PYTEST_ADDOPTS", "TOY")
            clean = {name: value for name, value in os.environ.items() if name not in unset}
            clean["FINGERPRINT"] = FINGERPRINT
            done = subprocess.run(
                [*command, "--claims-report", "out"], cwd=folder, env=clean, capture_output=True, text=True, timeout=120
            )
            ended.write_text(json.dumps([done.stdout, done.returncode]))
    written = {str(file.relative_to(folder)): file.read_text() for file in (folder / "baselines").rglob("*.*")}
    return Recorded(*json.loads(ended.read_text()), written, _json(folder / "out" / "report.json"), _lines(folder))


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
