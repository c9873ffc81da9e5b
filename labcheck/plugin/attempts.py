"""What the tests of claims came to, of each the last attempt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

PROPERTIES = ("verdict", "tag", "p", "holds", "drift", "failure")
"""Properties of tests in JUnit XML; a repeated test has only those of its last attempt."""


@dataclass
class Attempt:
    """What a test of a claim came to the last time that it ran; plugins may run it several times.

    Attributes:
        claim, scale, test: which one it is.
        record: what it measured, if it did.
        notes: lines for the summary.
        problems: kind and text of what failed.
        crashed: whether it could not be run, wholly.
        skipped: the reason for which it was skipped, if it was.
        repeated: whether pytest-rerunfailures runs it again.
        died: whether the worker process died in it.
    """

    claim: str
    scale: str
    test: str
    record: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    crashed: bool = False
    skipped: str = ""
    repeated: bool = False
    died: bool = False

    @staticmethod
    def lost(claim: str, scale: str, test: str) -> Attempt:
        """Return the attempt of a test in which its worker process died."""
        problem = "error", "the worker process died in this test"
        return Attempt(claim, scale, test, problems=[problem], crashed=True, died=True)

    def add(self, report: pytest.TestReport, found: dict[str, Any]) -> None:
        """Take in the report of one of its phases."""
        expected = getattr(report, "wasxfail", None)
        if report.skipped and expected is None:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.skipped = reason.removeprefix("Skipped: ")
            return
        if report.when == "call" and "record" in found:
            self.record, self.notes = found["record"], found["notes"]
        elif not report.passed:
            self.crashed = True
        if report.failed or (report.skipped and expected is not None):
            self.problems += [(kind, self._expected(text, expected)) for kind, text in _failures(report, found)]

    @staticmethod
    def _expected(text: str, reason: str | None) -> str:
        if reason is None:
            return text
        reason = reason.removeprefix("reason: ")
        return f"{text} (expected to fail{': ' if reason else ''}{reason})"


def _failures(report: pytest.TestReport, found: dict[str, Any]) -> list[tuple[str, str]]:
    """Kind and text of what failed in a test."""
    if report.when != "call":
        return [("error", crash(report))]
    texts = {
        kind: "\n".join(str(text) for name, text in report.user_properties if name == kind)
        for kind in ("drift", "failure")
    }
    if any(texts.values()):
        return [(kind, text) for kind, text in texts.items() if text]
    return [("failure" if "record" in found else "error", found.get("error") or crash(report))]


def crash(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The line that says why something could not be run."""
    lines = str(report.longrepr).strip().splitlines() or ["no reason was given"]
    return next((line.removeprefix("E").strip() for line in lines if line.startswith("E  ")), lines[-1])
