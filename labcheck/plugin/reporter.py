"""What the controlling process does with what its tests found: the table, the report, the baselines."""

from __future__ import annotations

import datetime
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labcheck.engine.files import portable
from labcheck.engine.progress import Notes
from labcheck.plugin.attempts import PROPERTIES, Attempt, crash

if TYPE_CHECKING:
    from labcheck.report.findings import Finding


NARROWING = ("lf", "ignore", "ignore_glob", "pyargs")
"""Options with which not all claims of a folder are collected."""


class Reporter:
    """A pytest plugin object, registered in the one process that hears of all tests.

    Args:
        baselines: their folder.
        notes: what the session's processes write down.
        trials: the folder of those that outlast the session, if they do.
    """

    def __init__(self, config: pytest.Config, baselines: Path, notes: Notes, trials: Path | None = None):
        self.config = config
        self.option = config.option
        self.folder = config.option.claims_report
        self.reason = config.option.claims_update
        self.baselines = baselines
        self.notes = notes
        self.trials = trials
        self.started = time.time()
        self.attempts: dict[str, Attempt] = {}
        self.problems: list[dict[str, Any]] = []
        self.findings: list[Finding] = []
        self.lines: list[str] = []
        self.usage_error = ""
        self.deaths = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        claim = getattr(report, "claim", None)
        if claim is None:
            return
        if report.when == "setup" or report.nodeid not in self.attempts:
            self.attempts[report.nodeid] = Attempt(claim["id"], claim["scale"], report.nodeid.partition("::")[2])
        attempt = self.attempts[report.nodeid]
        attempt.repeated |= str(report.outcome) == "rerun"
        if attempt.repeated:  # JUnit XML has every attempt, and only the last one counts
            report.user_properties = [known for known in report.user_properties if known[0] not in PROPERTIES]
        else:
            attempt.add(report, claim)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._problem("error", crash(report), test=report.nodeid)

    def _problem(self, kind: str, text: str, test: str = "", **where: str | None) -> None:
        problem = {"claim": None, "scale": None, **where, "test": test, "kind": kind, "text": text}
        self.problems.append(portable(problem))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """xdist: a worker has finished."""
        self.deaths += bool(error)
        self.usage_error = getattr(node, "workeroutput", {}).get("claims_error", self.usage_error)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """xdist: a worker has died in this test."""
        from labcheck.engine.store import TrialStore

        self.deaths -= 1
        test = next((test for test in self.notes.tests() if test.nodeid == crashitem), None)
        name = crashitem.partition("::")[2] if test else crashitem
        attempt = Attempt.lost(test.claim if test else "", test.scale if test else "", name)
        self.attempts[crashitem] = attempt
        TrialStore(self.notes.folder).finish(f"{attempt.claim} {name.rpartition('::')[2]}")  # the check's id

    @property
    def claims(self) -> list[Attempt]:
        """The tests that measured something."""
        return [attempt for attempt in self.attempts.values() if attempt.record is not None]

    @property
    def crashed(self) -> set[str]:
        """The claims of which a test could not be run."""
        return {attempt.claim for attempt in self.attempts.values() if attempt.crashed and attempt.claim}

    @property
    def died(self) -> bool:
        """Whether a worker has."""
        return self.deaths > 0 or any(attempt.died for attempt in self.attempts.values())

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.usage_error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if session.exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if not (self.claims or self.crashed or self.reason or self.folder):
            return
        from labcheck.report.findings import gather

        self.findings = gather(attempt.record for attempt in self.claims if attempt.record is not None)
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        for attempt in self.attempts.values():
            for kind, text in attempt.problems:
                where = {"claim": attempt.claim or None, "scale": attempt.scale or None}
                self._problem(kind, text, test=attempt.test, **where)
        if interrupted:
            self._problem("error", "the run was interrupted")
        if self.deaths > 0:
            self._problem("error", "a worker process died between two tests")
        well = self._update(interrupted) & self._report()
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
        modules = {attempt.claim: nodeid.partition("::")[0] for nodeid, attempt in self.attempts.items()}
        run = findings.Run(modules, self._options(), self.problems, self._skipped(), times)
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

    def _skipped(self) -> Counter[str]:
        """How many tests of claims were skipped, by reason."""
        return Counter(attempt.skipped for attempt in self.attempts.values() if attempt.skipped)

    def _update(self, interrupted: bool) -> bool:
        """Write the baselines if that was asked for; such a run does not pass."""
        if not self.reason:
            return True
        if interrupted or self.died:
            self.lines.append(f"{'interrupted' if interrupted else 'a worker died'}: no baseline was written")
            return False
        if not self.findings and not self.crashed:
            self.lines.append("nothing was measured: no baseline was written")
            return False
        version = _version(self.baselines)
        self.lines += [f"{claim}: not written: a test of it could not be run" for claim in sorted(self.crashed)]
        for finding in self.findings:
            if finding.today.claim not in self.crashed:
                self.lines += self._written(finding, version)
        self.lines.append(
            "a run with --claims-update exits with status 1 on purpose: review the changes, and run again without it"
        )
        return False

    def _written(self, finding: Finding, version: dict[str, Any]) -> list[str]:
        """Write the baseline of one claim; what changed, or why it was not written, in lines."""
        from labcheck.engine import baselines

        today = finding.today
        name = f"{today.claim} ({today.scale})"
        if unfinished := self._unfinished(finding):
            return [f"{name}: not written: the run ended before {', '.join(unfinished)}"]
        file = baselines.path(self.baselines, today.claim, today.scale, today.data["name"])
        try:
            stored = baselines.read(file) if file.exists() else None
            new = baselines.merge(stored, today) if stored and finding.missing else today
            changes = baselines.changes(stored, new)
            if changes:
                new.update = {"reason": self.reason, "changes": changes, **version}
                baselines.write(new, file)
        except baselines.BaselineError as error:
            return [str(error)]
        lines = [f"{name}: {change}" for change in changes or ["as stored"]]
        if finding.missing and not stored:
            lines.append(f"{name}: stored without {', '.join(finding.missing)}, whose tests were not selected")
        return lines

    def _unfinished(self, finding: Finding) -> list[str]:
        """The selected tests of a claim that have not run, as a run with -x ends at the first failure."""
        today = finding.today
        return [
            test.nodeid.partition("::")[2]
            for test in self.notes.tests()
            if (test.claim, test.scale) == (today.claim, today.scale)
            and test.selected
            and test.nodeid not in self.attempts
        ]

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
        notes = list(dict.fromkeys(note for attempt in self.claims for note in attempt.notes))
        notes += [f"{count} tests of claims skipped: {reason}" for reason, count in self._skipped().items()]
        notes += self._orphans()
        if self.trials and (self.claims or self.crashed):
            sizes = [file.stat().st_size for file in self.trials.glob("*.npz")]
            notes.append(
                f"kept for --claims-resume: {len(sizes)} blocks of seeds, {sum(sizes) / 1e6:.1f} MB in {self.trials}; "
                "a run with --cache-clear forgets them"
            )
        return notes

    def _orphans(self) -> list[str]:
        """Stored results that no claim uses, of labs whose claims were collected from whole folders."""
        tests, option = self.notes.tests(), self.option
        whole = all(Path(arg).is_dir() for arg in self.config.args)
        if not tests or not whole or any(getattr(option, name, None) for name in NARROWING):
            return []
        from labcheck.engine import baselines

        used = {file for test in tests for file in (self.baselines / test.claim).glob(f"{test.scale}-*")}
        return [
            f"{file}: no claim of this run uses it; remove it if its claim is gone"
            for lab in sorted({test.claim.partition("/")[0] for test in tests})
            for file in baselines.unused(self.baselines / lab, used)
        ]


def _version(folder: Path) -> dict[str, Any]:
    """The commit that is checked out, and whether anything differs from it; neither where there is no git."""
    try:
        outputs = [
            subprocess.run(["git", *command], cwd=folder.parent, capture_output=True, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": outputs[0].decode("ascii", "replace").strip(), "dirty": bool(outputs[1].strip())}
