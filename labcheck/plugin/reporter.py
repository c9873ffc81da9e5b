"""The reporter: it turns the results of all tests into the table, the report and the baselines."""

from __future__ import annotations

import copy
import datetime
import subprocess
import time
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labcheck.engine.files import portable
from labcheck.engine.progress import ProgressFiles
from labcheck.plugin.attempts import PROPERTIES, Attempt, crash
from labcheck.plugin.options import describe_seeds

if TYPE_CHECKING:
    from labcheck.engine.claim_results import ClaimResult, ResultKey
    from labcheck.engine.multiverse import Multiverse
    from labcheck.report.document import RunResults


NARROWING = ("lf", "ignore", "ignore_glob", "pyargs")
"""The options with which not all claims of a folder are collected."""


class Reporter:
    """A plugin that writes the table, the report and the baselines, in the process that receives all test reports.

    Args:
        config: The configuration of pytest.
        baselines: The folder of the baselines.
        files: The progress files of the session.
        trials: The folder of trials that outlast the session; None if they are not kept.
    """

    def __init__(self, config: pytest.Config, baselines: Path, files: ProgressFiles, trials: Path | None = None):
        self.config = config
        self.option = config.option
        self.folder = config.option.claims_report
        self.reason = config.option.claims_update
        self.baselines = baselines
        self.files = files
        self.trials = trials
        self.started = time.time()
        self.attempts: dict[str, Attempt] = {}
        self.problems: list[dict[str, Any]] = []
        self.results: RunResults | None = None
        self.lines: list[str] = []
        self.usage_error = ""
        self.deaths = 0
        self.ended: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        claim = getattr(report, "claim", None)
        if claim is None:
            return
        if report.when == "setup" or report.nodeid not in self.attempts:
            self.attempts[report.nodeid] = Attempt(claim["id"], claim["scale"], report.nodeid.partition("::")[2])
        attempt = self.attempts[report.nodeid]
        attempt.repeated |= str(report.outcome) == "rerun"
        if attempt.repeated:  # JUnit XML contains every attempt, and only the last one counts
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
        """Note how a worker of xdist ended."""
        self.deaths += bool(error)
        self.usage_error = getattr(node, "workeroutput", {}).get("claims_error", self.usage_error)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """Note that a worker of xdist died in a test."""
        self.deaths -= 1
        test = next((test for test in self.files.tests() if test.nodeid == crashitem), None)
        name = crashitem.partition("::")[2] if test else crashitem
        attempt = Attempt.lost(test.claim if test else "", test.scale if test else "", name)
        self.attempts[crashitem] = attempt
        if test:
            self.files.finish(test.check)

    @cached_property
    def selected(self) -> dict[tuple[str, str], list[str]]:
        """The node ids of the selected tests of each claim, by id and scale; complete once a test has started."""
        selected: dict[tuple[str, str], list[str]] = {}
        for test in self.files.tests():
            if test.selected:
                selected.setdefault((test.claim, test.scale), []).append(test.nodeid)
        return selected

    def verdict_on(self, nodeid: str) -> str:
        """Return the verdict on a claim in one line if this test was its last one to end; "" otherwise."""
        attempt = self.attempts.get(nodeid)
        if attempt is None or attempt.repeated:
            return ""
        self.ended.add(nodeid)
        tests = self.selected[attempt.claim, attempt.scale]
        if not self.ended.issuperset(tests):
            return ""
        from labcheck.report.document import gather
        from labcheck.report.terminal import sentence

        # copies, since the results of the whole run are gathered from the same records
        records = [copy.deepcopy(self.attempts[test].record) for test in tests]
        claims = gather(record for record in records if record is not None).claims
        return "\n".join(sentence(result) for result in claims if result.judged)

    @property
    def measured(self) -> list[Attempt]:
        """The attempts that measured something."""
        return [attempt for attempt in self.attempts.values() if attempt.record is not None]

    @property
    def crashed(self) -> set[str]:
        """The ids of claims of which a test could not be run."""
        return {attempt.claim for attempt in self.attempts.values() if attempt.crashed and attempt.claim}

    @property
    def died(self) -> bool:
        """Whether a worker process died."""
        return self.deaths > 0 or any(attempt.died for attempt in self.attempts.values())

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.usage_error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if session.exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if not (self.measured or self.crashed or self.reason or self.folder):
            return
        from labcheck.report.document import gather

        self.results = results = gather(attempt.record for attempt in self.measured if attempt.record is not None)
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        for attempt in self.attempts.values():
            for kind, text in attempt.problems:
                where = {"claim": attempt.claim or None, "scale": attempt.scale or None}
                self._problem(kind, text, test=attempt.test, **where)
        if interrupted:
            self._problem("error", "the run was interrupted")
        if self.deaths > 0:
            self._problem("error", "a worker process died between two tests")
        succeeded = self._update(results, interrupted) & self._report(results)
        if not succeeded and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _report(self, results: RunResults) -> bool:
        """Write report.json and its page, if requested; return False if that failed."""
        if not self.folder:
            return True
        from labcheck.report import document, page

        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        times = {
            "finished": now,
            "seconds": round(time.time() - self.started, 1),
            "cpu_seconds": {
                f"{result.current.claim} ({result.current.scale})": result.current.cpu_seconds
                for result in results.claims
            },
        }
        modules = {attempt.claim: nodeid.partition("::")[0] for nodeid, attempt in self.attempts.items()}
        run = document.RunInfo(modules, self._options(), self.problems, self._skipped(), times)
        content = document.document(results, run, self._multiverses(results))
        try:
            document.write(content, Path(self.folder))
            file = page.write(content, Path(self.folder))
        except OSError as error:
            self.lines.append(f"--claims-report: no report was written: {error}; name another folder")
            return False
        self.lines.append(f"report: {file}")
        return True

    def _multiverses(self, results: RunResults) -> dict[ResultKey, Multiverse]:
        """Return the results of claims in several universes, of this run if it has any, otherwise the stored ones."""
        from labcheck.engine import baselines, multiverse

        if results.universes:
            return {
                key: multiverse.Multiverse.of(universes)
                for key, universes in results.universes.items()
                if multiverse.has_assumed(universes)
            }
        stored = {}
        for result in results.claims:
            try:
                stored[result.key] = multiverse.read(multiverse.path(self.baselines, *result.key))
            except baselines.BaselineError as error:
                self.lines.append(str(error))
        return {key: found for key, found in stored.items() if found}

    def _options(self) -> list[str]:
        """Return the options of the run on which results depend."""
        option = self.option
        values = {
            "--claims-seeds": option.claims_seeds and describe_seeds(option.claims_seeds),
            "--claims-device": None if option.claims_device == "auto" else option.claims_device,
            "--claims-data": None if option.claims_data == "embedded" else option.claims_data,
            "--claims-data-root": option.claims_data_root,
        }
        texts = [text for name, value in values.items() if value is not None for text in (name, str(value))]
        return texts + [
            text for lab, name, value in option.claims_set for text in ("--claims-set", f"{lab}.{name}={value}")
        ]

    def _skipped(self) -> Counter[str]:
        """Return the number of skipped tests of claims, by reason."""
        return Counter(attempt.skipped for attempt in self.attempts.values() if attempt.skipped)

    def _update(self, results: RunResults, interrupted: bool) -> bool:
        """Write the baselines, if requested; return False then, since such a run exits with status 1 on purpose."""
        if not self.reason:
            return True
        if interrupted or self.died:
            self.lines.append(f"{'interrupted' if interrupted else 'a worker process died'}: no baseline was written")
            return False
        if not self.measured and not self.crashed:
            self.lines.append("nothing was measured: no baseline was written")
            return False
        commit = _commit(self.baselines)
        self.lines += [f"{claim}: not written: one of its tests could not be run" for claim in sorted(self.crashed)]
        for result in results.claims if not results.universes else ():
            if result.current.claim not in self.crashed:
                self.lines += self._write_baseline(result, commit)
        for universes in results.universes.values():
            if universes[0].current.claim not in self.crashed:
                self.lines += self._write_multiverse(universes, commit)
        self.lines.append(
            "--claims-update exits with status 1 on purpose: review the changes, then run again without it"
        )
        return False

    def _write_baseline(self, result: ClaimResult, commit: dict[str, Any]) -> list[str]:
        """Write the baseline of a claim; return lines about what changed, or why it was not written."""
        from labcheck.engine import baselines

        current = result.current
        name = f"{current.claim} ({current.scale})"
        if unfinished := self._unfinished(result):
            return [f"{name}: not written: the run ended before {', '.join(unfinished)}"]
        file = baselines.path(self.baselines, current.claim, current.scale, current.data["name"])
        try:
            stored = baselines.read(file) if file.exists() else None
            new = baselines.merge(stored, current) if stored and result.missing else current
            changes = baselines.changes(stored, new)
            if changes:
                new.update = {"reason": self.reason, "changes": changes, **commit}
                baselines.write(new, file)
        except baselines.BaselineError as error:
            return [str(error)]
        lines = [f"{name}: {change}" for change in changes or ["unchanged"]]
        if result.missing and not stored:
            lines.append(f"{name}: stored without {', '.join(result.missing)}, whose tests were not selected")
        return lines

    def _write_multiverse(self, universes: list[ClaimResult], commit: dict[str, Any]) -> list[str]:
        """Write the results of a claim in all measured universes; return lines about what changed, or why not."""
        from labcheck.engine import baselines, multiverse

        current = universes[0].current
        name = f"{current.claim} ({current.scale})"
        if unfinished := self._unfinished(universes[0]):
            return [f"{name}: not written: the run ended before {', '.join(unfinished)}"]
        file = multiverse.path(self.baselines, current.claim, current.scale, current.data["name"])
        try:
            stored = multiverse.read(file)
            new = multiverse.merge(stored, universes)
            changes = multiverse.changes(stored, new)
            if changes:
                new.update = {"reason": self.reason, "changes": changes, **commit}
                multiverse.write(new, file)
        except baselines.BaselineError as error:
            return [f"{name}: {error}"]
        return [f"{name}: {change}" for change in changes or ["unchanged"]]

    def _unfinished(self, result: ClaimResult) -> list[str]:
        """Return the selected tests of a claim that have not run, since -x ends a run at the first failure."""
        current = result.current
        tests = self.selected[current.claim, current.scale]
        return [nodeid.partition("::")[2] for nodeid in tests if nodeid not in self.attempts]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.usage_error:
            terminalreporter.line(f"ERROR: {self.usage_error}", red=True)
        lines = [*self._notes(), *self.lines]
        if self.results:
            from labcheck.report.terminal import table

            fits = [str(fit) for fit in self.results.fits if fit.sufficient]
            lines = [*table(self.results.claims), *fits, *self._universes(self.results), *lines]
        if lines:
            terminalreporter.section("claims")
        for line in lines:
            terminalreporter.line(line)

    def _universes(self, results: RunResults) -> list[str]:
        """Return a line for each claim that was trained in several universes."""
        if not results.universes:
            return []
        from labcheck.report.origins import origins
        from labcheck.report.universes import describe

        multiverses = self._multiverses(results).values()
        return [
            *(f"{multiverse.claim}: {describe(multiverse)['summary']}" for multiverse in multiverses),
            *(f"{origin['lab']}: {origin['summary']}" for origin in origins(multiverses)),
        ]

    def _notes(self) -> list[str]:
        """Return the notes of all tests without repetition, and notes about the run."""
        notes = list(dict.fromkeys(note for attempt in self.measured for note in attempt.notes))
        notes += [f"{count} tests of claims skipped: {reason}" for reason, count in self._skipped().items()]
        notes += self._unused_baselines()
        if self.trials and (self.measured or self.crashed):
            sizes = [file.stat().st_size for file in self.trials.glob("*.npz")]
            notes.append(
                f"--claims-resume: {len(sizes)} blocks of seeds are kept, {sum(sizes) / 1e6:.1f} MB in {self.trials}; "
                "--cache-clear removes them"
            )
        return notes

    def _unused_baselines(self) -> list[str]:
        """Return a line for each baseline that no claim uses, if whole folders of claims were collected."""
        tests, option = self.files.tests(), self.option
        whole = all(Path(arg).is_dir() for arg in self.config.args)
        if not tests or not whole or any(getattr(option, name, None) for name in NARROWING):
            return []
        from labcheck.engine import baselines

        used = {
            file
            for test in tests
            for kind in ("", "universes-")
            for file in (self.baselines / test.claim).glob(f"{kind}{test.scale}-*")
        }
        return [
            f"{file}: no collected claim uses this baseline; remove it if its claim no longer exists"
            for lab in sorted({test.claim.partition("/")[0] for test in tests})
            for file in baselines.unused(self.baselines / lab, used)
        ]


def _commit(folder: Path) -> dict[str, Any]:
    """Return the checked-out commit, and whether there are uncommitted changes; None without git."""
    try:
        outputs = [
            subprocess.run(["git", *command], cwd=folder.parent, capture_output=True, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": outputs[0].decode("ascii", "replace").strip(), "dirty": bool(outputs[1].strip())}
