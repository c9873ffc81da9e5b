"""The pytest plugin: collects module-level claims, runs their checks, and reports.

It loads in every project that has labcheck installed, so it imports nothing heavy until a claim is there: a module that
defines one has imported `labcheck.claims` itself.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labcheck.data import ROOT, DataError
from labcheck.progress import Notes
from labcheck.report.live import Live
from labcheck.report.reporter import Reporter

if TYPE_CHECKING:
    from labcheck.checks import Bench, Check

TRIALS = pytest.StashKey[Path]()
BENCH = pytest.StashKey["Bench"]()
ENVIRONMENT = pytest.StashKey[pytest.MonkeyPatch]()


def _seeds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number of seeds from 1 up, not {text!r}")
    return int(text)


def _device(text: str) -> str:
    kind, colon, index = text.partition(":")
    if text in ("auto", "cpu", "cuda") or (kind == "cuda" and colon and index.isdecimal()):
        return text
    raise argparse.ArgumentTypeError(f"auto, cpu, cuda or cuda:<number>, not {text!r}")


def _setting(text: str) -> tuple[str, str, str]:
    name, equals, value = text.partition("=")
    lab, dot, setting = name.partition(".")
    if not (lab and dot and setting and equals and value):
        raise argparse.ArgumentTypeError(f"lab.setting=value, not {text!r}")
    return lab, setting, value


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a reason that a reviewer can read")
    return text


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("claims", "claims of reports (labcheck)")
    group.addoption("--claims-seeds", type=_seeds, metavar="N", help="seeds of every arm, instead of each claim's own")
    group.addoption("--claims-device", type=_device, default="auto", metavar="auto|cpu|cuda[:i]", help="where to train")
    group.addoption(
        "--claims-data", choices=("embedded", "real"), default="embedded", help="stand-ins, or the reports' own data"
    )
    group.addoption("--claims-data-root", metavar="DIR", help="where real data lies (default: $LABCHECK_DATA)")
    group.addoption(
        "--claims-set", type=_setting, action="append", default=[], metavar="LAB.SETTING=VALUE",
        help="override a setting that the report leaves open; nothing is compared with the baselines then",
    )  # fmt: skip
    group.addoption("--claims-report", metavar="DIR", help="write report.json there")
    group.addoption("--claims-tensorboard", metavar="DIR", help="write every seed's curves there, for TensorBoard")
    group.addoption("--claims-update", type=_reason, metavar="REASON", help="record what the selected tests measure")
    group.addoption("--claims-strict", action="store_true", help="anything but REPRODUCED fails")
    parser.addini("claims_baselines", "folder of the baselines", default="baselines")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: a claim at full size, on a GPU unless told otherwise")
    if config.option.help or config.option.collectonly:
        return
    config.stash[ENVIRONMENT] = pytest.MonkeyPatch()
    if config.option.claims_data_root:
        config.stash[ENVIRONMENT].setenv(ROOT, config.option.claims_data_root)
    if hasattr(config, "workerinput"):
        config.stash[TRIALS] = Path(config.workerinput["claims_trials"])
        return
    _check_options(config)
    config.stash[TRIALS] = Path(tempfile.mkdtemp(prefix="labcheck-"))
    config.pluginmanager.register(Reporter(config, _baselines(config)), "labcheck-reporter")
    config.pluginmanager.register(Live(config, Notes(config.stash[TRIALS])), "labcheck-live")


def pytest_unconfigure(config: pytest.Config) -> None:
    if ENVIRONMENT in config.stash:
        config.stash[ENVIRONMENT].undo()
    if TRIALS in config.stash and not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[TRIALS], ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: tell a worker where this session's trials are."""
    node.workerinput["claims_trials"] = str(node.config.stash[TRIALS])


def _check_options(config: pytest.Config) -> None:
    """Refuse what no test of this session could do, before any of them trains.

    Raises:
        pytest.UsageError: what is wrong, and what to do about it.
    """
    option = config.option
    if option.claims_device.startswith("cuda"):
        from labcheck.environment import has_device

        if not has_device(option.claims_device):
            raise pytest.UsageError(f"--claims-device {option.claims_device}: torch sees no such GPU; use cpu or auto")
    root = option.claims_data_root or (os.environ.get(ROOT) if option.claims_data == "real" else None)
    if root is not None and not Path(root).is_dir():
        raise pytest.UsageError(f"no folder {root}: --claims-data-root, or {ROOT}, names where real data lies")
    if option.claims_data == "real" and root is None:
        raise pytest.UsageError(f"--claims-data real needs --claims-data-root DIR, or {ROOT}")
    if option.claims_update and option.claims_set:
        raise pytest.UsageError("--claims-update records no overridden settings: leave out --claims-set")
    if option.claims_update:
        _make("--claims-update", _baselines(config))
    if option.claims_tensorboard:
        found = importlib.util.find_spec("tensorboard")
        if found is None or found.origin is None:  # a folder of that name is no package
            raise pytest.UsageError("--claims-tensorboard needs TensorBoard: pip install 'labcheck[tensorboard]'")
        _make("--claims-tensorboard", Path(option.claims_tensorboard))


def _make(option: str, folder: Path) -> None:
    """Make a folder that can be written to.

    Raises:
        pytest.UsageError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise pytest.UsageError(f"{option} cannot write to {folder}: {error.strerror}") from None


def _baselines(config: pytest.Config) -> Path:
    return config.rootpath / str(config.getini("claims_baselines"))


def _bench(config: pytest.Config, checks: list[Check]) -> Bench:
    """How this session trains; made once its claims are known, whose labs say what can be overridden.

    Raises:
        pytest.UsageError: a setting to override does not exist, or not with that value; or data is missing.
    """
    from labcheck.checks import Bench
    from labcheck.planning import plan
    from labcheck.trials import TrialStore

    option = config.option
    labs = {check.claim.lab.name: check.claim.lab for check in checks}
    claims: dict[str, Any] = {}
    for claim in (check.claim for check in checks):
        if claims.setdefault(claim.id, claim) is not claim:
            raise pytest.UsageError(f"two claims are called {claim.id}, and would share a baseline")
    overrides: dict[str, dict[str, Any]] = {}
    for name, setting, value in option.claims_set:
        if name not in labs:
            raise pytest.UsageError(f"--claims-set {name}.{setting}: the claims' labs are {', '.join(sorted(labs))}")
        try:
            overrides.setdefault(name, {})[setting] = labs[name].parse(setting, value)
            labs[name].configure("", overrides[name], {})
        except ValueError as error:
            raise pytest.UsageError(f"--claims-set: {error}") from None
    bench = Bench(
        store=TrialStore(config.stash[TRIALS]),
        baselines=_baselines(config),
        device="cpu" if option.claims_device == "auto" else option.claims_device,
        seeds=option.claims_seeds,
        overrides=overrides,
        source=option.claims_data,
        update=bool(option.claims_update),
        strict=option.claims_strict,
        tensorboard=Path(option.claims_tensorboard) if option.claims_tensorboard else None,
    )
    try:
        planned = plan(checks, bench)
    except DataError as error:
        raise pytest.UsageError(str(error)) from None
    bench.store.expect(planned)
    bench.store.notes.plan(list(planned.values()))
    return bench


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[pytest.Item | pytest.Collector] | None:
    claims = sys.modules.get("labcheck.claims")
    if claims is None or not isinstance(obj, claims.Claim):
        return None
    from labcheck.checks import checks

    try:
        obj.validate()
    except claims.ClaimError as error:
        raise collector.CollectError(str(error)) from None
    if any(other is not obj for other in vars(collector.obj).values() if isinstance(other, claims.Claim)):
        raise collector.CollectError(f"{obj.id}: a module has one claim, whose tests its name tells apart")
    return [
        # told whole, or pytest takes the brackets for a name's and --lf does not find it again
        ClaimItem.from_parent(collector, name=check.name, nodeid=f"{collector.nodeid}::{check.name}", check=check)
        for check in checks(obj)
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    checks = [item.check for item in session.items if isinstance(item, ClaimItem)]
    if not checks or TRIALS not in config.stash:
        return
    try:
        config.stash[BENCH] = _bench(config, checks)
    except pytest.UsageError as error:
        if not hasattr(config, "workeroutput"):
            raise
        config.workeroutput["claims_error"] = str(error)  # a worker that raises is reported as crashed
        session.items.clear()


class ClaimItem(pytest.Item):
    """One check of a claim."""

    def __init__(self, *, check: Check, **kwargs: Any):
        super().__init__(**kwargs)
        self.check = check
        self.found: dict[str, Any] = {}
        if check.scale == "full":
            self.add_marker("gpu")

    def runtest(self) -> None:
        from labcheck.checks import CheckFailedError

        finding, failures, notes = self.check.run(self.config.stash[BENCH])
        self.found = {"record": asdict(finding), "notes": notes}
        if failures:
            raise CheckFailedError(*failures)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from labcheck.checks import CheckFailedError

        if isinstance(excinfo.value, CheckFailedError):
            return f"{self.check.claim.id} ({self.check.scale}): " + "\n".join(map(str, excinfo.value.args))
        excinfo.traceback = excinfo.traceback.cut(path=__file__)  # without pytest's own calls
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{self.check.claim.id} {self.name}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if isinstance(item, ClaimItem) and (report.when == "call" or report.failed):
        # whatever a report carries travels from an xdist worker to the controller
        report.claim = {"id": item.check.claim.id, **item.found}  # type: ignore[attr-defined]
    return report
