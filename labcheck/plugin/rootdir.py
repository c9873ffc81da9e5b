"""Pytest's root directory, which an option's value must not move.

Pytest looks for it before it knows the options of plugins. The value in `--claims-report out` is then an argument like
any other, and if such a file or folder exists, pytest takes it for the place of tests.
"""

import inspect
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import findpaths

FLAGS = ("--claims-resume", "--claims-strict")
"""Options of labcheck without a value."""


def validate(config: pytest.Config, args: Sequence[str]) -> None:
    """Refuse a run whose root directory an option of labcheck has moved.

    Raises:
        pytest.UsageError: naming the option, and how to write it.
    """
    for option, value in _values(args):
        if (found := _setup(config)) != (config.rootpath, config.inipath):
            raise pytest.UsageError(
                f"{option} {value}: as this exists, pytest takes it for the place of tests, and its root directory is "
                f"{_described(config.rootpath, config.inipath)} instead of {_described(*found)}; write {option}={value}"
            )


def _values(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options of labcheck and their values, where these are arguments of their own and exist as paths."""
    for option, value in pairwise(args):
        if option.startswith("--claims-") and "=" not in option and option not in FLAGS:
            path = Path(value.partition("::")[0])
            try:
                if value and path.exists():
                    yield option, value
            except OSError:  # a text too long for a path
                continue


def _described(rootdir: Path, inipath: Path | None) -> str:
    return f"{rootdir} ({inipath.name if inipath else 'no configuration file'})"


def _setup(config: pytest.Config) -> tuple[Path, Path | None]:
    """The root directory and configuration file that pytest finds when it knows which arguments are paths."""
    known = config.known_args_namespace
    given: dict[str, Any] = {
        "inifile": known.inifilename,
        "override_ini": known.override_ini,
        "args": known.file_or_dir,
        "rootdir_cmd_arg": known.rootdir or None,
        "invocation_dir": config.invocation_params.dir,
    }
    taken = inspect.signature(findpaths.determine_setup).parameters  # not the same in every version of pytest
    rootdir, inipath, *_ = findpaths.determine_setup(**{name: given[name] for name in taken if name in given})
    return rootdir, inipath
