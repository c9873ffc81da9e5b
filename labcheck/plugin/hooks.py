"""The pytest plugin: it collects module-level claims, runs their checks, and reports.

It is loaded in every project that has labcheck installed, so it imports nothing heavy until there is a claim: a module
that defines one has imported `labcheck.core.claims` itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labcheck.core.errors import is_own, refused_call
from labcheck.core.errors import line as line_of
from labcheck.data import ROOT, DataError
from labcheck.engine.files import portable
from labcheck.engine.progress import CollectedTest, ProgressFiles
from labcheck.engine.workspace import Workspace
from labcheck.plugin import captured, options, rootdir
from labcheck.plugin.attempts import PROPERTIES
from labcheck.plugin.live import Live
from labcheck.plugin.reporter import Reporter

if TYPE_CHECKING:
    from _pytest._code import Traceback, TracebackEntry

    from labcheck.engine.checks import Check, CheckResult, CheckSpec
    from labcheck.engine.session import Session

FOLDER = pytest.StashKey[Path]()
WORKSPACE = pytest.StashKey[Workspace]()
TRIALS: pytest.StashKey[Path | None] = pytest.StashKey()
SESSION: pytest.StashKey[Session] = pytest.StashKey()
ENVIRONMENT = pytest.StashKey[pytest.MonkeyPatch]()
COLLECTED: pytest.StashKey[list[ClaimItem]] = pytest.StashKey()
REFUSING = (TypeError, ValueError, LookupError, DataError)
"""The exceptions by which labcheck refuses the arguments of a call."""
NO_GPU = "claims at full size need a GPU, and none is available; --claims-device cpu runs them on the CPU"


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    rootdir.validate(early_config, args)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: a claim at full size, on a GPU unless another device is named")
    if config.option.help or config.option.collectonly:
        return
    config.stash[ENVIRONMENT] = pytest.MonkeyPatch()
    if root := config.option.claims_data_root or os.environ.get(ROOT):
        config.stash[ENVIRONMENT].setenv(ROOT, options.absolute(root))
    if hasattr(config, "workerinput"):
        folder, trials = config.workerinput["claims_folders"]
        config.stash[FOLDER], config.stash[TRIALS] = Path(folder), Path(trials) if trials else None
        return
    options.validate(config)
    config.stash[TRIALS] = trials = options.trials_folder(config)
    config.stash[WORKSPACE] = workspace = Workspace()
    config.stash[FOLDER] = folder = workspace.folder
    files = ProgressFiles(folder, trials)
    reporter = Reporter(config, options.baselines_folder(config), files, trials)
    config.pluginmanager.register(reporter, "labcheck-reporter")
    config.pluginmanager.register(Live(config, files, reporter), "labcheck-live")


def pytest_unconfigure(config: pytest.Config) -> None:
    if ENVIRONMENT in config.stash:
        config.stash[ENVIRONMENT].undo()
    if WORKSPACE in config.stash:
        config.stash[WORKSPACE].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send the folders of the session to a worker of xdist."""
    trials = node.config.stash[TRIALS]
    node.workerinput["claims_folders"] = str(node.config.stash[FOLDER]), str(trials) if trials else None


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[pytest.Item | pytest.Collector] | None:
    claims = sys.modules.get("labcheck.core.claims")
    if claims is None or not isinstance(obj, claims.Claim):
        _warn_of_uncollected(collector, name, obj)
        return None
    try:
        specs = options.checks_of(collector.config, obj.named(collector.name.removesuffix(".py"), name))
    except claims.ClaimError as error:
        raise collector.CollectError(portable(str(error))) from None
    names = {id(other): variable for variable, other in vars(collector.obj).items() if isinstance(other, claims.Claim)}
    if names[id(obj)] != name:
        return []  # another variable names the same claim
    prefix = f"{name} " if len(names) > 1 else ""
    return [
        # with a nodeid, since pytest would take brackets in the name for those of a parameter, and break --lf
        ClaimItem.from_parent(
            collector, name=f"{prefix}{spec.name}", nodeid=f"{collector.nodeid}::{prefix}{spec.name}", spec=spec
        )
        for spec in specs
    ]


def _warn_of_uncollected(collector: pytest.Module | pytest.Class, name: str, obj: object) -> None:
    """Warn of claims in a container, which are not collected unless variables name them."""
    claims = sys.modules.get("labcheck.core.claims")
    if claims is None or not isinstance(obj, list | tuple | dict):
        return
    contained = [one for one in (obj.values() if isinstance(obj, dict) else obj) if isinstance(one, claims.Claim)]
    variables = {id(one) for one in vars(collector.obj).values()}
    if any(id(one) not in variables for one in contained):
        kind = type(obj).__name__
        text = f"{name}: claims in a {kind} are not collected; give each a variable of its own"
        collector.warn(pytest.PytestCollectionWarning(text))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remember all collected claims, including deselected tests, and put the cheapest ones first.

    The first verdicts then appear early. Claims without a baseline come last, other tests keep their places, and
    plugins that order tests run later.
    """
    config.stash[COLLECTED] = claims = [item for item in items if isinstance(item, ClaimItem)]
    if not claims:
        return
    from labcheck.engine import baselines

    cost = cache(partial(baselines.cost, options.baselines_folder(config)))
    ordered = iter(sorted(claims, key=lambda item: cost(item.spec.claim.id, str(item.spec.scale))))
    items[:] = [next(ordered) if isinstance(item, ClaimItem) else item for item in items]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    items = [item for item in session.items if isinstance(item, ClaimItem)]
    if FOLDER not in config.stash:
        return
    _write_tests(config, items)
    if not items:
        return
    try:
        _require_unique_ids(items)
        if items := [item for item in _select_trainable(config, items) if not item.get_closest_marker("skip")]:
            import scipy.special  # noqa: F401 - like torch, before the clock of any test starts

            from labcheck.engine import environment
            from labcheck.engine.store import TrialStore

            shared = hasattr(config, "workerinput")
            store = TrialStore(config.stash[FOLDER], config.stash[TRIALS], shared=shared)
            with environment.deterministic():
                config.stash[SESSION], checks = options.start_session(config, [item.spec for item in items], store)
            for item, check in zip(items, checks, strict=True):
                item.check = check
    except pytest.UsageError as error:
        if not hasattr(config, "workeroutput"):
            raise
        config.workeroutput["claims_error"] = str(error)  # pytest-xdist reports a worker that raises as crashed
        session.items.clear()


def _write_tests(config: pytest.Config, selected: list[ClaimItem]) -> None:
    """Write the collected tests of claims for the controlling process."""
    nodeids = {item.nodeid for item in selected}
    ProgressFiles(config.stash[FOLDER]).write_tests(
        [
            CollectedTest(item.nodeid, item.spec.id, item.spec.claim.id, str(item.spec.scale), item.nodeid in nodeids)
            for item in config.stash.get(COLLECTED, selected)
        ]
    )


def _require_unique_ids(items: list[ClaimItem]) -> None:
    """Check that no two claims have the same id, since they would share a baseline.

    Raises:
        pytest.UsageError: Two claims have the same id.
    """
    modules: dict[str, ClaimItem] = {}
    for item in items:
        first = modules.setdefault(item.spec.claim.id, item)
        if first.spec.claim is not item.spec.claim:
            files = " and ".join(one.nodeid.partition("::")[0] for one in (first, item))
            raise pytest.UsageError(f"{first.spec.claim.id} is the id of two claims, in {files}; rename one of them")


def _select_trainable(config: pytest.Config, items: list[ClaimItem]) -> list[ClaimItem]:
    """Return the items that can be trained; claims at full size are skipped if there is no GPU and no device is named.

    Raises:
        pytest.UsageError: A worker cannot be assigned a GPU.
    """
    from labcheck.engine import environment

    device, worker = config.option.claims_device, getattr(config, "workerinput", {}).get("workerid")
    large = [item for item in items if item.spec.scale.needs_gpu]
    if device == "auto" and large and not environment.has_device("cuda"):
        for item in large:
            item.add_marker(pytest.mark.skip(reason=NO_GPU))
        return [item for item in items if item not in large]
    if worker and (device == "cuda" or (device == "auto" and large)):
        try:
            gpu = environment.assign_gpu(int(worker.removeprefix("gw")))
        except RuntimeError as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[ENVIRONMENT].setenv(environment.VISIBLE_GPUS, gpu)
    return items


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Let a worker of xdist whose tests are done train what the others still need."""
    result = yield
    config = session.config
    if hasattr(config, "workerinput") and SESSION in config.stash and not (session.shouldfail or session.shouldstop):
        config.stash[SESSION].store.train_ahead()
    return result


class ClaimItem(pytest.Item):
    """A pytest item for one check of a claim."""

    check: Check

    def __init__(self, *, spec: CheckSpec, **kwargs: Any):
        super().__init__(**kwargs)
        self.spec = spec
        self.outcome: dict[str, Any] = {}
        self.attempts = 0
        if spec.scale.needs_gpu:
            self.add_marker("gpu")

    def runtest(self) -> None:
        from labcheck.engine import environment
        from labcheck.engine.checks import CheckFailedError
        from labcheck.engine.session import NotMeasuredError

        self.attempts += 1
        if self.attempts > 1:  # a plugin repeats the test
            self.check.retry()
        try:
            with environment.deterministic():
                result = self.check.run()
        except NotMeasuredError as error:
            self.outcome = {"error": portable(str(error))}
            raise
        universe = result.result.universe
        if universe is None or not universe["settings"]:
            self._summarize(result)
        self.outcome = portable({"record": asdict(result.result), "notes": result.notes})
        for judged in result.result.judged.values():  # JUnit XML shows these as properties
            counts = ("p", f"{judged['p']:.3g}") if "p" in judged else ("holds", f"{judged['holds']} of {judged['n']}")
            self.user_properties += [("verdict", judged["verdict"]), ("tag", judged["tag"]), counts]
        self.user_properties += [("drift", portable(text)) for text in result.drifts]
        self.user_properties += [("failure", portable(text)) for text in result.failures]
        if failures := result.drifts + result.failures:
            raise CheckFailedError(*failures)

    def _summarize(self, result: CheckResult) -> None:
        """Add the summaries of the measured arms to a result, and write their TensorBoard files."""
        from labcheck.report import tensorboard
        from labcheck.report.summary import add_summaries

        add_summaries(self.check, result)
        experiment, root = self.check.experiment, self.config.option.claims_tensorboard
        for arm in result.result.current.arms if root else ():
            folder = Path(root, experiment.claim.id, experiment.scale, tensorboard.folder_name(arm))
            try:
                tensorboard.write(folder, experiment.labs[arm], result.trials[arm], experiment.seeds.start)
            except OSError as error:
                result.failures.append(f"--claims-tensorboard: {error}; name another folder")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from labcheck.engine.checks import CheckFailedError
        from labcheck.engine.session import NotMeasuredError

        error, name = excinfo.value, f"{self.spec.claim.id} ({self.spec.scale}): "
        if isinstance(error, CheckFailedError):
            return portable(name + "\n".join(map(str, error.args)))
        if isinstance(error, NotMeasuredError):
            return portable("\n".join(filter(None, [name + str(error), error.traceback.rstrip()])))
        return super().repr_failure(excinfo, style)

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Traceback:
        """Leave out the frames that lead to the user's code, as pytest does for functions."""
        others = excinfo.traceback.filter(lambda entry: _package(entry) not in ("labcheck", "pluggy", "_pytest"))
        return others or excinfo.traceback

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.spec.claim.id} {self.name}"


def _package(entry: TracebackEntry) -> str:
    """Return the package that contains the code of an entry of a traceback."""
    return str(entry.frame.f_globals.get("__name__")).partition(".")[0]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Report a call that labcheck refuses in one line, and leave its frames out of tracebacks of other errors."""
    report = yield
    if (line := _refusal(collector, report)) is not None:
        report.longrepr = line
        return report
    for traceback, *_ in getattr(report.longrepr, "chain", ()):
        entries = traceback.reprentries
        others = [entry for entry in entries if not _is_own(entry, collector.config.invocation_params.dir)]
        if others and entries[-1] not in others:
            message = [line for line in entries[-1].lines if line.startswith("E ")]
            others[-1].lines = [*others[-1].lines, *message]
            traceback.reprentries = others
    return report


def _refusal(collector: pytest.Collector, report: pytest.CollectReport) -> str | None:
    """Return the place and message of an error by which labcheck refused a call in a module; None if it did not."""
    if not report.failed:
        return None
    call = vars(report).get("call")  # as pytest's own collect_one_node uses it
    error = call.excinfo.value if call is not None and call.excinfo is not None else None
    if error is None or (place := refused_call(error, dir(sys.modules["labcheck"]), REFUSING)) is None:
        return None
    file = os.path.relpath(place[0], collector.config.invocation_params.dir)
    return str(portable(f"{file}:{place[1]}: {line_of(error)}"))


def _is_own(entry: Any, folder: Path) -> bool:
    """Return whether an entry of a traceback is in labcheck."""
    place = getattr(entry, "reprfileloc", None)
    return place is not None and is_own((folder / place.path).resolve())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Record that a test needs no more blocks, whatever its outcome."""
    result = yield
    if isinstance(item, ClaimItem) and SESSION in item.config.stash:
        item.config.stash[SESSION].store.progress.finish(item.spec.id)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget an earlier attempt, since a plugin may repeat a test."""
    if isinstance(item, ClaimItem):
        item.outcome = {}
        item.user_properties[:] = [known for known in item.user_properties if known[0] not in PROPERTIES]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if isinstance(item, ClaimItem):
        outcome = item.outcome if report.when == "call" else {}
        # attributes of a report travel from a worker of xdist to the controller
        claim = {"id": item.spec.claim.id, "scale": str(item.spec.scale), **outcome}
        report.claim = claim  # type: ignore[attr-defined]
        if call.excinfo is not None and report.failed:
            report.sections = captured.shown(report.sections, call.excinfo.value)
    return report
