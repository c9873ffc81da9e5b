"""Installed distributions: the packages that they contain, and whether they are under development."""

import csv
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import machinery, metadata
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")
MODULE_SUFFIXES = tuple(machinery.all_suffixes())


def once_per_state(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return a function that reads a file again only if its size or modification time has changed."""

    @cache
    def read_state(file: str, mtime_ns: int, size: int) -> T:
        return read(file)

    def read_current(file: str) -> T:
        state = os.stat(file)
        return read_state(file, state.st_mtime_ns, state.st_size)

    return read_current


class Distribution(NamedTuple):
    """An installed distribution.

    Attributes:
        name: Its name.
        version: Its version.
        folder: The folder that contains its files.
        packages: Its top-level packages.
        under_development: Whether it is installed in editable mode or beside its source.
    """

    name: str
    version: str
    folder: str
    packages: frozenset[str]
    under_development: bool


def owners(top: str, file: str) -> tuple[Distribution, ...]:
    """Return the distributions, not under development, that contain a file of the top-level package `top`."""
    candidates = [
        distribution
        for distribution in _installed().values()
        if top in distribution.packages
        and not distribution.under_development
        and Path(file).is_relative_to(distribution.folder)
    ]
    if len(candidates) > 1:  # several may share a namespace package
        listing = [one for one in candidates if os.path.relpath(file, one.folder) in _files(one.name, one.folder)]
        candidates = listing or candidates
    return tuple(candidates)


def named(name: str) -> list[Distribution]:
    """Return the distribution with this name, or else those that contain a top-level package with this name."""
    installed = _installed()
    if distribution := installed.get(_normalize(name)):
        return [distribution]
    return [distribution for distribution in installed.values() if name in distribution.packages]


def _installed() -> dict[str, Distribution]:
    """Return all distributions by normalized name."""
    installed: dict[str, Distribution] = {}
    for entry in sys.path:
        with suppress(OSError):
            installed = _installed_in(os.path.abspath(entry)) | installed
    return installed


@once_per_state
def _installed_in(folder: str) -> dict[str, Distribution]:
    installed: dict[str, Distribution] = {}
    for distribution in metadata.distributions(path=[folder]):
        with suppress(OSError, ValueError, TypeError):  # broken metadata
            fields = distribution.metadata
            if "Name" in fields and "Version" in fields:
                name = fields["Name"]
                installed.setdefault(_normalize(name), _describe(distribution, name, fields["Version"]))
    return installed


def _describe(distribution: metadata.Distribution, name: str, version: str) -> Distribution:
    folder = os.path.abspath(str(distribution.locate_file("")))
    packages = set((distribution.read_text("top_level.txt") or "").split())
    packages = packages or set(_top_level_names(distribution))
    packages = packages or {name, name.lower().replace("-", "_")}  # Debian's packages may list nothing
    direct_url = json.loads(distribution.read_text("direct_url.json") or "{}")
    # setuptools leaves such a folder, without a version, beside source that it builds or installs in editable mode
    beside_source = Path(folder, re.sub("[^A-Za-z0-9.]+", "_", name) + ".egg-info")
    editable = bool(direct_url.get("dir_info", {}).get("editable"))
    return Distribution(name, version, folder, frozenset(packages), editable or beside_source.is_dir())


def _top_level_names(distribution: metadata.Distribution) -> Iterator[str]:
    """Yield the first part of the path of each module of a distribution."""
    record = distribution.read_text("RECORD")
    paths: Iterable[str]
    if record is None:
        paths = map(str, distribution.files or ())
    else:  # `distribution.files` makes an object of each line, which takes ten times as long
        paths = (
            next(csv.reader([line]))[0] if line[:1] == '"' else line.partition(",")[0] for line in record.splitlines()
        )
    for path in paths:
        if path.endswith(MODULE_SUFFIXES):
            first, slash, _ = path.partition("/")
            yield first if slash else inspect.getmodulename(first) or ""


@cache
def _files(name: str, folder: str) -> frozenset[str]:
    distributions = metadata.distributions(name=name, path=[folder])
    return frozenset(os.path.normpath(file) for distribution in distributions for file in distribution.files or ())


def _normalize(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()
