"""What the command line takes, what of it is refused, and how a session trains in consequence."""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labcheck.data import ROOT, DataError

if TYPE_CHECKING:
    from labcheck.engine.checks import Check
    from labcheck.engine.session import Session
    from labcheck.engine.store import TrialStore


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


def _folder(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a folder, not an empty name")
    return absolute(text)


def absolute(folder: str) -> str:
    """Return a folder's path as it is meant now: a test may change the working directory, and a shell leaves "=~"."""
    return os.path.abspath(os.path.expanduser(folder))


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a reason that a reviewer can read")
    return text


def add(parser: pytest.Parser) -> None:
    """Teach a parser labcheck's options."""
    group = parser.getgroup("claims", "claims of reports (labcheck)")
    group.addoption("--claims-seeds", type=_seeds, metavar="N", help="seeds of every arm, instead of each claim's own")
    group.addoption("--claims-device", type=_device, default="auto", metavar="auto|cpu|cuda[:i]", help="where to train")
    group.addoption(
        "--claims-data", choices=("embedded", "real"), default="embedded", help="stand-ins, or the reports' own data"
    )
    group.addoption(
        "--claims-data-root", type=_folder, metavar="DIR", help="where real data lies (default: $LABCHECK_DATA)"
    )
    group.addoption(
        "--claims-set", type=_setting, action="append", default=[], metavar="LAB.SETTING=VALUE",
        help="override a setting that the report leaves open; nothing is compared with the baselines then",
    )  # fmt: skip
    group.addoption("--claims-report", type=_folder, metavar="DIR", help="write report.json and report.html")
    group.addoption("--claims-tensorboard", type=_folder, metavar="DIR", help="write TensorBoard's event files")
    group.addoption("--claims-update", type=_reason, metavar="REASON", help="record what the selected tests measure")
    group.addoption("--claims-resume", action="store_true", help="keep trained seeds, and use those that are kept")
    group.addoption("--claims-strict", action="store_true", help="anything but REPRODUCED fails")
    parser.addini("claims_baselines", "folder of the baselines", default="baselines")


def check(config: pytest.Config) -> None:
    """Refuse what no test of this session could do, before any of them trains.

    Raises:
        pytest.UsageError: what is wrong, and what to do about it.
    """
    option = config.option
    if option.claims_device.startswith("cuda"):
        from labcheck.engine.environment import has_device

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
        _make("--claims-update", baselines(config))
    if option.claims_report:
        _make("--claims-report", Path(option.claims_report))
    if option.claims_resume and not hasattr(config, "cache"):
        raise pytest.UsageError("--claims-resume keeps trained seeds in pytest's cache: leave out -p no:cacheprovider")
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


def trials(config: pytest.Config) -> Path | None:
    """The folder of trials that outlast a session, if they shall, made if it is not there.

    Raises:
        pytest.UsageError: it cannot be written.
    """
    if not config.option.claims_resume:
        return None
    try:
        folder = config.cache.mkdir("labcheck")
    except OSError as error:
        raise pytest.UsageError(f"--claims-resume: {error}; name another folder, -o cache_dir=DIR") from None
    _make("--claims-resume", folder)
    return folder


def baselines(config: pytest.Config) -> Path:
    """The folder of the baselines."""
    return config.rootpath / str(config.getini("claims_baselines"))


def session(config: pytest.Config, checks: list[Check], store: TrialStore) -> Session:
    """How this session trains; made once its claims are known, whose labs say what can be overridden.

    Raises:
        pytest.UsageError: a setting to override does not exist, or not with that value; or data is missing.
    """
    from labcheck.engine.planning import plan
    from labcheck.engine.session import Session

    option = config.option
    labs = {check.claim.lab.name: check.claim.lab for check in checks}
    overrides: dict[str, dict[str, Any]] = {}
    for name, setting, value in option.claims_set:
        if name not in labs:
            raise pytest.UsageError(f"--claims-set {name}.{setting}: the claims' labs are {', '.join(sorted(labs))}")
        try:
            overrides.setdefault(name, {})[setting] = labs[name].parse(setting, value)
        except ValueError as error:
            raise pytest.UsageError(f"--claims-set: {error}") from None
    found = Session(
        store=store,
        baselines=baselines(config),
        device=option.claims_device,
        seeds=option.claims_seeds,
        overrides=overrides,
        source=option.claims_data,
        update=bool(option.claims_update),
        strict=option.claims_strict,
        tensorboard=Path(option.claims_tensorboard) if option.claims_tensorboard else None,
    )
    for check in checks:
        try:
            found.experiment(check.claim, check.scale)
        except DataError as error:
            raise pytest.UsageError(str(error)) from None
        except Exception as error:  # whatever a lab's own check of its settings raises
            raise pytest.UsageError(f"--claims-set: an arm cannot be trained so: {error}") from None
    planned = plan(checks, found)
    # the longest first, as at the end nothing is left to train while one of them is waited for
    longest = sorted(planned.needs, key=lambda block: -(planned.blocks[block].seconds or math.inf))
    found.store.expect({block: planned.needs[block] for block in longest})
    found.store.notes.plan(list(planned.blocks.values()))
    return found
