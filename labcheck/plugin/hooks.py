"""The pytest plugin: collects module-level claims, runs their checks, and reports.

It loads in every project that has labcheck installed, so it imports nothing heavy until a claim is there: a module that
defines one has imported `labcheck.core.claims` itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labcheck.core.errors import is_own
from labcheck.data import ROOT
from labcheck.engine.files import portable
from labcheck.engine.progress import Collected, Notes
from labcheck.engine.workspace import Workspace
from labcheck.plugin import options, rootdir
from labcheck.plugin.attempts import PROPERTIES
from labcheck.plugin.live import Live
from labcheck.plugin.reporter import Reporter

if TYPE_CHECKING:
    from _pytest._code import Traceback, TracebackEntry

    from labcheck.engine.checks import Check
    from labcheck.engine.session import Session

SESSION = pytest.StashKey[Path]()
WORKSPACE = pytest.StashKey[Workspace]()
TRIALS: pytest.StashKey[Path | None] = pytest.StashKey()
TRAINING: pytest.StashKey[Session] = pytest.StashKey()
NO_GPU = "no GPU was found, on which claims are checked at full size; --claims-device cpu checks them without"
ENVIRONMENT = pytest.StashKey[pytest.MonkeyPatch]()
COLLECTED: pytest.StashKey[list[ClaimItem]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    rootdir.validate(early_config, args)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: a claim at full size, on a GPU unless told otherwise")
    if config.option.help or config.option.collectonly:
        return
    config.stash[ENVIRONMENT] = pytest.MonkeyPatch()
    if root := config.option.claims_data_root or os.environ.get(ROOT):
        config.stash[ENVIRONMENT].setenv(ROOT, options.absolute(root))
    if hasattr(config, "workerinput"):
        session, trials = config.workerinput["claims_trials"]
        config.stash[SESSION], config.stash[TRIALS] = Path(session), Path(trials) if trials else None
        return
    options.check(config)
    config.stash[TRIALS] = trials = options.trials(config)
    config.stash[WORKSPACE] = workspace = Workspace()
    config.stash[SESSION] = session = workspace.folder
    reporter = Reporter(config, options.baselines(config), Notes(session, trials), trials)
    config.pluginmanager.register(reporter, "labcheck-reporter")
    config.pluginmanager.register(Live(config, Notes(session, trials)), "labcheck-live")


def pytest_unconfigure(config: pytest.Config) -> None:
    if ENVIRONMENT in config.stash:
        config.stash[ENVIRONMENT].undo()
    if WORKSPACE in config.stash:
        config.stash[WORKSPACE].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: tell a worker where this session's trials are."""
    trials = node.config.stash[TRIALS]
    node.workerinput["claims_trials"] = str(node.config.stash[SESSION]), str(trials) if trials else None


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[pytest.Item | pytest.Collector] | None:
    claims = sys.modules.get("labcheck.core.claims")
    if claims is None or not isinstance(obj, claims.Claim):
        return None
    from labcheck.engine.checks import checks

    try:
        obj.validate()
    except claims.ClaimError as error:
        raise collector.CollectError(portable(str(error))) from None
    if any(other is not obj for other in vars(collector.obj).values() if isinstance(other, claims.Claim)):
        raise collector.CollectError(f"{obj.id}: a module has one claim, whose tests its name tells apart")
    return [
        # told whole, or pytest takes the brackets for a name's and --lf does not find it again
        ClaimItem.from_parent(collector, name=check.name, nodeid=f"{collector.nodeid}::{check.name}", check=check)
        for check in checks(obj)
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remember the claims that were collected, whichever tests of them are selected."""
    config.stash[COLLECTED] = [item for item in items if isinstance(item, ClaimItem)]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    items = [item for item in session.items if isinstance(item, ClaimItem)]
    if SESSION not in config.stash:
        return
    _note_tests(config, items)
    if not items:
        return
    try:
        _tell_apart(items)
        if items := [item for item in _on_a_device(config, items) if not item.get_closest_marker("skip")]:
            import scipy.special  # noqa: F401 - like torch before any test's clock starts

            from labcheck.engine import environment
            from labcheck.engine.store import TrialStore

            store = TrialStore(config.stash[SESSION], config.stash[TRIALS])
            with environment.pinned():
                config.stash[TRAINING] = options.session(config, [item.check for item in items], store)
    except pytest.UsageError as error:
        if not hasattr(config, "workeroutput"):
            raise
        config.workeroutput["claims_error"] = str(error)  # a worker that raises is reported as crashed
        session.items.clear()


def _note_tests(config: pytest.Config, selected: list[ClaimItem]) -> None:
    """Write down, for the controlling process, which tests of claims there are."""
    chosen = {item.nodeid for item in selected}
    Notes(config.stash[SESSION]).note_tests(
        [
            Collected(item.nodeid, item.check.claim.id, item.check.scale, item.nodeid in chosen)
            for item in config.stash.get(COLLECTED, selected)
        ]
    )


def _tell_apart(items: list[ClaimItem]) -> None:
    """Two claims with one id would share a baseline.

    Raises:
        pytest.UsageError: there are such.
    """
    modules: dict[str, ClaimItem] = {}
    for item in items:
        first = modules.setdefault(item.check.claim.id, item)
        if first.check.claim is not item.check.claim:
            files = " and of ".join(one.nodeid.partition("::")[0] for one in (first, item))
            raise pytest.UsageError(f"{first.check.claim.id} is a claim of {files}: give one of them another id")


def _on_a_device(config: pytest.Config, items: list[ClaimItem]) -> list[ClaimItem]:
    """Those that can be trained: claims at full size are skipped where there is no GPU and nothing is said of where.

    Raises:
        pytest.UsageError: a worker cannot have a GPU of its own.
    """
    from labcheck.engine import environment

    device, worker = config.option.claims_device, getattr(config, "workerinput", {}).get("workerid")
    full = [item for item in items if item.check.scale == "full"]
    if device == "auto" and full and not environment.has_device("cuda"):
        for item in full:
            item.add_marker(pytest.mark.skip(reason=NO_GPU))
        return [item for item in items if item not in full]
    if worker and (device == "cuda" or (device == "auto" and full)):
        try:
            own = environment.gpu(int(worker.removeprefix("gw")))
        except RuntimeError as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[ENVIRONMENT].setenv(environment.GPUS, own)
    return items


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """xdist: a worker whose tests are done trains what the others still need."""
    ended = yield
    config = session.config
    if hasattr(config, "workerinput") and TRAINING in config.stash and not (session.shouldfail or session.shouldstop):
        config.stash[TRAINING].store.train_ahead()
    return ended


class ClaimItem(pytest.Item):
    """One check of a claim."""

    def __init__(self, *, check: Check, **kwargs: Any):
        super().__init__(**kwargs)
        self.check = check
        self.found: dict[str, Any] = {}
        self.attempts = 0
        if check.scale == "full":
            self.add_marker("gpu")

    def runtest(self) -> None:
        from labcheck.engine import environment
        from labcheck.engine.checks import CheckFailedError, NotMeasuredError

        session = self.config.stash[TRAINING]
        self.attempts += 1
        if self.attempts > 1:  # a plugin repeats the test
            self.check.retry(session)
        try:
            with environment.pinned():
                answer = self.check.run(session)
        except NotMeasuredError as error:
            self.found = {"error": portable(str(error))}
            raise
        self.found = portable({"record": asdict(answer.finding), "notes": answer.notes})
        for judged in answer.finding.judged.values():  # JUnit XML has these as properties
            held = ("p", f"{judged['p']:.3g}") if "p" in judged else ("holds", f"{judged['holds']} of {judged['n']}")
            self.user_properties += [("verdict", judged["verdict"]), ("tag", judged["tag"]), held]
        self.user_properties += [("drift", portable(text)) for text in answer.drifts]
        self.user_properties += [("failure", portable(text)) for text in answer.failures]
        if failures := answer.drifts + answer.failures:
            raise CheckFailedError(*failures)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from labcheck.engine.checks import CheckFailedError, NotMeasuredError

        error, name = excinfo.value, f"{self.check.claim.id} ({self.check.scale}): "
        if isinstance(error, CheckFailedError):
            return portable(name + "\n".join(map(str, error.args)))
        if isinstance(error, NotMeasuredError):
            return portable("\n".join(filter(None, [name + str(error), error.traceback.rstrip()])))
        return super().repr_failure(excinfo, style)

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Traceback:
        """As pytest does for functions, without the calls that lead to the user's code."""
        others = excinfo.traceback.filter(lambda call: _package(call) not in ("labcheck", "pluggy", "_pytest"))
        return others or excinfo.traceback

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.check.claim.id} {self.name}"


def _package(call: TracebackEntry) -> str:
    """The package whose code makes a call of a traceback."""
    return str(call.frame.f_globals.get("__name__")).partition(".")[0]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Show of an error in a module the module's own lines and the message, without the calls within labcheck."""
    report = yield
    for traceback, *_ in getattr(report.longrepr, "chain", ()):
        entries = traceback.reprentries
        others = [entry for entry in entries if not _is_own(entry, collector.config.invocation_params.dir)]
        if others and entries[-1] not in others:
            message = [line for line in entries[-1].lines if line.startswith("E ")]
            others[-1].lines = [*others[-1].lines, *message]
            traceback.reprentries = others
    return report


def _is_own(entry: Any, folder: Path) -> bool:
    """Whether a call of a traceback is within labcheck."""
    place = getattr(entry, "reprfileloc", None)
    return place is not None and is_own((folder / place.path).resolve())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note that a test needs nothing more, whatever became of it."""
    ended = yield
    if isinstance(item, ClaimItem) and TRAINING in item.config.stash:
        item.config.stash[TRAINING].store.finish(item.check.id)
    return ended


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget an earlier attempt, as a plugin may repeat a test."""
    if isinstance(item, ClaimItem):
        item.found = {}
        item.user_properties[:] = [known for known in item.user_properties if known[0] not in PROPERTIES]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if isinstance(item, ClaimItem):
        found = item.found if report.when == "call" else {}
        # whatever a report carries travels from an xdist worker to the controller
        report.claim = {"id": item.check.claim.id, "scale": item.check.scale, **found}  # type: ignore[attr-defined]
    return report
