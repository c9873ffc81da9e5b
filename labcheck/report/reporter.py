"""What the controlling process does with what its tests found: the table, the report, the baselines."""

from __future__ import annotations

import datetime
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from labcheck.report.findings import Finding


class Reporter:
    """A pytest plugin object, registered in the one process that hears of all tests.

    Args:
        baselines: their folder.
        trials: the folder of those that outlast the session, if they do.
    """

    def __init__(self, config: pytest.Config, baselines: Path, trials: Path | None = None):
        self.option = config.option
        self.folder = config.option.claims_report
        self.reason = config.option.claims_update
        self.baselines = baselines
        self.trials = trials
        self.skipped: Counter[str] = Counter()
        self.started = time.time()
        self.claims: list[dict[str, Any]] = []
        self.crashed: set[str] = set()
        self.modules: dict[str, str] = {}
        self.problems: list[dict[str, Any]] = []
        self.findings: list[Finding] = []
        self.lines: list[str] = []
        self.usage_error = ""
        self.died = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        claim = getattr(report, "claim", None)
        if claim is None:
            return
        self.modules[claim["id"]], _, test = report.nodeid.partition("::")
        if report.skipped and isinstance(report.longrepr, tuple):
            self.skipped[report.longrepr[2].removeprefix("Skipped: ")] += 1
        elif report.when == "call" and "record" in claim:
            self.claims.append(claim)
        else:
            self.crashed.add(claim["id"])
        if report.failed:
            said = {
                kind: "\n".join(str(text) for name, text in report.user_properties if name == kind)
                for kind in ("drift", "failure")
            }
            for kind, text in (said if any(said.values()) else {"error": _crash(report)}).items():
                if text:
                    self._problem(kind, text, claim=claim["id"], scale=claim["scale"], test=test)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._problem("error", _crash(report), test=report.nodeid)

    def _problem(self, kind: str, text: str, test: str = "", **where: str | None) -> None:
        self.problems.append({"claim": None, "scale": None, **where, "test": test, "kind": kind, "text": text})

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """xdist: a worker has finished."""
        if error:
            self._problem("error", "a worker died, and with it the test that it was at")
            self.died = True
        self.usage_error = getattr(node, "workeroutput", {}).get("claims_error", self.usage_error)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.usage_error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if session.exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if not (self.claims or self.crashed or self.reason or self.folder):
            return
        from labcheck.report.findings import gather

        self.findings = gather(claim["record"] for claim in self.claims)
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        if interrupted:
            self._problem("error", "the run was interrupted")
        well = self._update(whole=not interrupted and not self.died) & self._report()
        if not well and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _report(self) -> bool:
        """Write report.json and the page of it if that was asked for; False if it failed."""
        if not self.folder:
            return True
        from labcheck.report import findings, page

        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        times = {
            "finished": now,
            "seconds": round(time.time() - self.started, 1),
            "cpu_seconds": {
                f"{finding.today.claim} ({finding.today.scale})": finding.today.cpu_seconds for finding in self.findings
            },
        }
        run = findings.Run(self.modules, self._options(), self.problems, self.skipped, times)
        content = findings.document(self.findings, run)
        try:
            findings.write(content, Path(self.folder))
            file = page.write(content, Path(self.folder))
        except OSError as error:
            self.lines.append(f"no report written: {error}; name another folder with --claims-report")
            return False
        self.lines.append(f"report: {file}")
        return True

    def _options(self) -> list[str]:
        """Those given that results depend on."""
        option = self.option
        given = {
            "--claims-seeds": option.claims_seeds,
            "--claims-device": None if option.claims_device == "auto" else option.claims_device,
            "--claims-data": None if option.claims_data == "embedded" else option.claims_data,
            "--claims-data-root": option.claims_data_root,
        }
        told = [text for name, value in given.items() if value is not None for text in (name, str(value))]
        return told + [
            text for lab, name, value in option.claims_set for text in ("--claims-set", f"{lab}.{name}={value}")
        ]

    def _update(self, whole: bool) -> bool:
        """Write the baselines if that was asked for; such a run does not pass."""
        if not self.reason:
            return True
        if not whole:
            self.lines.append(f"{'a worker died' if self.died else 'interrupted'}: no baseline was written")
            return False
        if not self.findings and not self.crashed:
            self.lines.append("nothing was measured: no baseline was written")
            return False
        from labcheck import baselines

        version = _version(self.baselines)
        self.lines += [f"{claim}: not written: a test of it could not be run" for claim in sorted(self.crashed)]
        for finding in self.findings:
            today = finding.today
            if today.claim in self.crashed:
                continue
            file = baselines.path(self.baselines, today.claim, today.scale, today.data["name"])
            try:
                stored = baselines.read(file) if file.exists() else None
                new = baselines.merge(stored, today) if stored and finding.missing else today
                changes = baselines.changes(stored, new)
                if changes:
                    new.update = {"reason": self.reason, "changes": changes, **version}
                    baselines.write(new, file)
            except baselines.BaselineError as error:
                self.lines.append(str(error))
                continue
            self.lines += [f"{today.claim} ({today.scale}): {change}" for change in changes or ["as stored"]]
        self.lines.append("a run with --claims-update does not pass: review the changes and run without it")
        return False

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.usage_error:
            terminalreporter.line(f"ERROR: {self.usage_error}", red=True)
        lines = [*self._notes(), *self.lines]
        if self.findings:
            from labcheck.report.findings import fits
            from labcheck.report.terminal import table

            told = [str(fit) for fit in fits(self.findings) if fit.enough]
            lines = [*table(self.findings), *told, *lines]
        if lines:
            terminalreporter.section("claims")
        for line in lines:
            terminalreporter.line(line)

    def _notes(self) -> list[str]:
        """What the tests had to say, each thing once."""
        notes = list(dict.fromkeys(note for claim in self.claims for note in claim["notes"]))
        notes += [f"{count} tests of claims skipped: {reason}" for reason, count in self.skipped.items()]
        if self.trials and (self.claims or self.crashed):
            sizes = [file.stat().st_size for file in self.trials.glob("*.npz")]
            notes.append(
                f"kept for --claims-resume: {len(sizes)} blocks of seeds, {sum(sizes) / 1e6:.1f} MB in {self.trials}; "
                "a run with --cache-clear forgets them"
            )
        return notes


def _crash(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The line that says why something could not be run."""
    lines = str(report.longrepr).strip().splitlines() or ["no reason was given"]
    return next((line.removeprefix("E").strip() for line in lines if line.startswith("E  ")), lines[-1])


def _version(folder: Path) -> dict[str, Any]:
    """The commit that is checked out, and whether anything differs from it; neither where there is no git."""
    try:
        told = [
            subprocess.run(["git", *command], cwd=folder.parent, capture_output=True, text=True, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": told[0].strip(), "dirty": bool(told[1].strip())}
