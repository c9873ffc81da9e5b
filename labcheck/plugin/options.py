"""Command-line options: their parsing and validation, and the session that results from them."""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labcheck.data import ROOT, DataError

if TYPE_CHECKING:
    from labcheck.core.claims import Claim
    from labcheck.engine.checks import Check, CheckSpec
    from labcheck.engine.session import Session
    from labcheck.engine.store import TrialStore


NO_UNIVERSES = 0
"""The number of universes in a session that trains the claims with the assumed settings only."""


def _seeds(text: str) -> range:
    first, dash, last = text.partition("-") if "-" in text else ("0", "", text)
    if not (first.isdecimal() and last.isdecimal() and (seeds := range(int(first), int(last) + bool(dash)))):
        raise argparse.ArgumentTypeError(f"must be a positive number, or the first and last seed, A-B, got {text!r}")
    return seeds


def _universes(text: str) -> int | None:
    if text == "all":
        return None
    if text.isdecimal() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a positive number, or all, got {text!r}")


def describe_seeds(seeds: range) -> str:
    """Return seeds as a value of --claims-seeds."""
    return f"{seeds.start}-{seeds.stop - 1}" if seeds.start else str(seeds.stop)


def _device(text: str) -> str:
    kind, colon, index = text.partition(":")
    if text in ("auto", "cpu", "cuda") or (kind == "cuda" and colon and index.isdecimal()):
        return text
    raise argparse.ArgumentTypeError(f"must be auto, cpu, cuda or cuda:<number>, got {text!r}")


def _setting(text: str) -> tuple[str, str, str]:
    name, equals, value = text.partition("=")
    lab, dot, setting = name.partition(".")
    if not (lab and dot and setting and equals and value):
        raise argparse.ArgumentTypeError(f"must be lab.setting=value, got {text!r}")
    return lab, setting, value


def _folder(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must name a folder, got an empty string")
    return absolute(text)


def absolute(folder: str) -> str:
    """Return an absolute path. A test may change the working directory later, and a shell does not expand "=~"."""
    return os.path.abspath(os.path.expanduser(folder))


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must state a reason, got an empty string")
    return text


def add_options(parser: pytest.Parser) -> None:
    """Add labcheck's options to a parser."""
    group = parser.getgroup("claims", "claims of reports (labcheck)")
    group.addoption(
        "--claims-seeds", type=_seeds, metavar="N|A-B",
        help="number of seeds of every arm, or the seeds A to B, instead of the number that each claim needs",
    )  # fmt: skip
    group.addoption(
        "--claims-device", type=_device, default="auto", metavar="auto|cpu|cuda[:i]", help="device to train on"
    )
    group.addoption(
        "--claims-data",
        choices=("embedded", "real"),
        default="embedded",
        help="data without downloads, with stand-ins, or the reports' own",
    )
    group.addoption(
        "--claims-data-root", type=_folder, metavar="DIR", help="folder of real data (default: $LABCHECK_DATA)"
    )
    group.addoption(
        "--claims-set", type=_setting, action="append", default=[], metavar="LAB.SETTING=VALUE",
        help="override a setting that the report does not state; results are then not compared",
    )  # fmt: skip
    group.addoption(
        "--claims-universes", type=_universes, default=NO_UNIVERSES, metavar="N|all",
        help="train each claim in up to N universes: choices of all settings that its report does not state",
    )  # fmt: skip
    group.addoption("--claims-report", type=_folder, metavar="DIR", help="write report.json and report.html")
    group.addoption("--claims-tensorboard", type=_folder, metavar="DIR", help="write event files for TensorBoard")
    group.addoption(
        "--claims-update", type=_reason, metavar="REASON", help="record the results of the selected tests as baselines"
    )
    group.addoption("--claims-resume", action="store_true", help="keep trained seeds, and reuse those of earlier runs")
    group.addoption("--claims-strict", action="store_true", help="fail for any verdict but REPRODUCED")
    parser.addini("claims_baselines", "folder of the baselines", default="baselines")


def validate(config: pytest.Config) -> None:
    """Check the options before anything is trained.

    Raises:
        pytest.UsageError: An option cannot be satisfied; the message states what to do.
    """
    option = config.option
    if option.claims_device.startswith("cuda"):
        from labcheck.engine.environment import has_device

        if not has_device(option.claims_device):
            raise pytest.UsageError(
                f"--claims-device {option.claims_device}: no such GPU is visible to torch; use cpu or auto"
            )
    root = option.claims_data_root or (os.environ.get(ROOT) if option.claims_data == "real" else None)
    if root is not None and not Path(root).is_dir():
        raise pytest.UsageError(f"no folder {root}: --claims-data-root or {ROOT} must name the folder of real data")
    if option.claims_data == "real" and root is None:
        raise pytest.UsageError(f"--claims-data real: needs --claims-data-root DIR or {ROOT}")
    if option.claims_update and option.claims_set:
        raise pytest.UsageError("--claims-update: overridden settings are not recorded; leave out --claims-set")
    if option.claims_update and option.claims_seeds and option.claims_seeds.start:
        raise pytest.UsageError("--claims-update: baselines begin with seed 0; --claims-seeds must be a number")
    if option.claims_universes != NO_UNIVERSES and (option.claims_set or option.claims_tensorboard):
        other = "--claims-set" if option.claims_set else "--claims-tensorboard"
        raise pytest.UsageError(f"--claims-universes: varies the unstated settings itself; leave out {other}")
    if option.claims_update:
        _create("--claims-update", baselines_folder(config))
    if option.claims_report:
        if not _is_installed("matplotlib"):
            raise pytest.UsageError("--claims-report: needs Matplotlib; pip install 'labcheck[page]'")
        _create("--claims-report", Path(option.claims_report))
    if option.claims_resume and not hasattr(config, "cache"):
        raise pytest.UsageError("--claims-resume: needs pytest's cache; leave out -p no:cacheprovider")
    if option.claims_tensorboard:
        if not _is_installed("tensorboard"):
            raise pytest.UsageError("--claims-tensorboard: needs TensorBoard; pip install 'labcheck[tensorboard]'")
        _create("--claims-tensorboard", Path(option.claims_tensorboard))


def _is_installed(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None  # a folder of that name is not a package


def _create(option: str, folder: Path) -> None:
    """Create a folder and check that it is writable.

    Raises:
        pytest.UsageError: It is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise pytest.UsageError(f"{option}: cannot write to {folder}: {error.strerror}; name another folder") from None


def trials_folder(config: pytest.Config) -> Path | None:
    """Create and return the folder of trials that outlast the session; None if they are not kept.

    Raises:
        pytest.UsageError: It is not writable.
    """
    if not config.option.claims_resume:
        return None
    try:
        folder = config.cache.mkdir("labcheck")
    except OSError as error:
        raise pytest.UsageError(f"--claims-resume: {error}; name another folder, -o cache_dir=DIR") from None
    _create("--claims-resume", folder)
    return folder


def baselines_folder(config: pytest.Config) -> Path:
    """Return the folder of the baselines."""
    return config.rootpath / str(config.getini("claims_baselines"))


def checks_of(config: pytest.Config, claim: Claim) -> list[CheckSpec]:
    """Return the checks of a claim: of its arms and relations, or of its universes if they are requested.

    Raises:
        ClaimError: The claim is invalid.
    """
    limit: int | None = config.option.claims_universes
    if limit == NO_UNIVERSES:
        from labcheck.engine.checks import build_checks, require_different_arms

        specs = build_checks(claim)
        require_different_arms(specs)
        return specs
    from labcheck.engine.universe_checks import build_universe_checks

    return build_universe_checks(claim, limit)


def start_session(config: pytest.Config, specs: Sequence[CheckSpec], store: TrialStore) -> tuple[Session, list[Check]]:
    """Return the session and its checks, and announce the blocks of seeds that they need.

    Raises:
        pytest.UsageError: A setting cannot be overridden, or not with that value, or data is missing.
    """
    from labcheck.engine.planning import plan
    from labcheck.engine.session import Session

    option = config.option
    session = Session(
        store=store,
        baselines=baselines_folder(config),
        device=option.claims_device,
        seeds=option.claims_seeds,
        overrides=_overrides(config, specs),
        data_source=option.claims_data,
        update=bool(option.claims_update),
        strict=option.claims_strict,
    )
    try:
        checks = [spec.resolve(session) for spec in specs]
    except DataError as error:
        raise pytest.UsageError(str(error)) from None
    except Exception as error:  # whatever a lab's own validation raises
        name = "--claims-set" if option.claims_set else f"--claims-data {option.claims_data}"
        raise pytest.UsageError(f"{name}: an arm refuses the value: {error}") from None
    planned = plan(checks)
    store.expect(planned.ahead())
    store.progress.write_plan(list(planned.blocks.values()))
    return session, checks


def _overrides(config: pytest.Config, specs: Sequence[CheckSpec]) -> dict[str, dict[str, Any]]:
    """Return the overridden settings by lab.

    Raises:
        pytest.UsageError: There is no such lab or setting, or a value has the wrong type.
    """
    labs = {spec.claim.lab.name: spec.claim.lab for spec in specs}
    overrides: dict[str, dict[str, Any]] = {}
    for name, setting, value in config.option.claims_set:
        if name not in labs:
            raise pytest.UsageError(
                f"--claims-set {name}.{setting}: the labs of the claims are {', '.join(sorted(labs))}"
            )
        try:
            overrides.setdefault(name, {})[setting] = labs[name].parse(setting, value)
        except ValueError as error:
            raise pytest.UsageError(f"--claims-set: {error}") from None
    return overrides
