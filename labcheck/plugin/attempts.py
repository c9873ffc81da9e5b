"""Attempts: the outcome of each test of a claim, of which the last attempt counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

PROPERTIES = ("verdict", "tag", "p", "holds", "drift", "failure")
"""The properties of tests in JUnit XML. A repeated test has only those of its last attempt."""


@dataclass
class Attempt:
    """The last attempt at a test of a claim; plugins may repeat a test.

    Attributes:
        claim: The id of the claim.
        scale: The scale.
        test: The name of the test within its module.
        record: What it measured; None if it measured nothing.
        notes: Lines for the summary.
        problems: The kind and text of each problem.
        crashed: Whether it could not be run completely.
        skipped: The reason for which it was skipped; "" if it was not.
        repeated: Whether pytest-rerunfailures repeats it.
        died: Whether the worker process died in it.
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
        """Return the attempt at a test in which the worker process died."""
        problem = "error", "the worker process died in this test"
        return Attempt(claim, scale, test, problems=[problem], crashed=True, died=True)

    def add(self, report: pytest.TestReport, outcome: dict[str, Any]) -> None:
        """Add the report of a phase of the test, with what the check measured in it."""
        expected = getattr(report, "wasxfail", None)
        if report.skipped and expected is None:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.skipped = reason.removeprefix("Skipped: ")
            return
        if report.when == "call" and "record" in outcome:
            self.record, self.notes = outcome["record"], outcome["notes"]
        elif not report.passed:
            self.crashed = True
        if report.failed or (report.skipped and expected is not None):
            self.problems += [(kind, self._expected(text, expected)) for kind, text in _failures(report, outcome)]

    @staticmethod
    def _expected(text: str, reason: str | None) -> str:
        if reason is None:
            return text
        reason = reason.removeprefix("reason: ")
        return f"{text} (expected to fail{': ' if reason else ''}{reason})"


def _failures(report: pytest.TestReport, outcome: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the kind and text of each failure in a phase of a test."""
    if report.when != "call":
        return [("error", crash(report))]
    texts = {
        kind: "\n".join(str(text) for name, text in report.user_properties if name == kind)
        for kind in ("drift", "failure")
    }
    if any(texts.values()):
        return [(kind, text) for kind, text in texts.items() if text]
    return [("failure" if "record" in outcome else "error", outcome.get("error") or crash(report))]


def crash(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the line that states why something could not be run."""
    lines = str(report.longrepr).strip().splitlines() or ["unknown reason"]
    return next((line.removeprefix("E").strip() for line in lines if line.startswith("E  ")), lines[-1])
