"""The check that the value of an option does not change pytest's root directory.

Pytest determines its root directory before it knows the options of plugins. It treats the value in
`--claims-report out` like any other argument, and if that path exists, as a place of tests.
"""

import inspect
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import findpaths

FLAGS = ("--claims-resume", "--claims-strict")
"""The options of labcheck that have no value."""


def validate(config: pytest.Config, args: Sequence[str]) -> None:
    """Check that no option of labcheck has changed the root directory.

    Raises:
        pytest.UsageError: One has; the message names the option and how to write it.
    """
    for option, value in _values(args):
        current, expected = (config.rootpath, config.inipath), _setup(config)
        if expected != current:
            raise pytest.UsageError(
                f"{option} {value}: pytest takes this existing path for a place of tests, and its root directory is "
                f"{_described(*current)} instead of {_described(*expected)}; write {option}={value}"
            )


def _values(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield options of labcheck whose value is a separate argument and an existing path, with the value."""
    for option, value in pairwise(args):
        if option.startswith("--claims-") and "=" not in option and option not in FLAGS:
            path = Path(value.partition("::")[0])
            try:
                if value and path.exists():
                    yield option, value
            except OSError:  # too long for a path
                continue


def _described(rootdir: Path, inipath: Path | None) -> str:
    return f"{rootdir} ({inipath.name if inipath else 'no configuration file'})"


def _setup(config: pytest.Config) -> tuple[Path, Path | None]:
    """Return the root directory and configuration file that pytest finds if it knows which arguments are paths."""
    known = config.known_args_namespace
    values: dict[str, Any] = {
        "inifile": known.inifilename,
        "override_ini": known.override_ini,
        "args": known.file_or_dir,
        "rootdir_cmd_arg": known.rootdir or None,
        "invocation_dir": config.invocation_params.dir,
    }
    accepted = inspect.signature(findpaths.determine_setup).parameters  # they differ between versions of pytest
    rootdir, inipath, *_ = findpaths.determine_setup(**{name: values[name] for name in accepted if name in values})
    return rootdir, inipath
