"""The source code, installed packages and named files that results depend on, determined without importing anything.

Own source is code that belongs neither to the standard library nor to an installed distribution, unless that
distribution is under development. It is identified by the content of its files; other distributions are identified by
name and version.
"""

import ast
import glob
import hashlib
import inspect
import json
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import resolve_name
from pathlib import Path
from typing import Any, NamedTuple

from labcheck.engine.distributions import Distribution, named, once_per_state, owners

LABCHECK = __name__.partition(".")[0]
NOT_FOREIGN = {LABCHECK, "numpy", "torch", "pytest"}
"""Distributions whose version is in every fingerprint, or on which no result depends."""
NO_SOURCE = {*sys.builtin_module_names, "distutils"}  # setuptools imports itself to find distutils
IMPORTERS = {"import_module", "__import__", "importorskip"}
STANDARD_LIBRARY = {
    os.path.realpath(folder)
    for folder in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.dirname(os.__file__))
}


@dataclass(frozen=True)
class ModuleSource:
    """The code that modules depend on through imports, at module level or within functions.

    Attributes:
        digest: 16 hex digits that change with the own source.
        modules: The names of all modules of own source, sorted.
        packages: The version of each installed distribution that one of `modules` imports, by name.
        foreign: The part of `packages` that modules outside labcheck import, without NOT_FOREIGN.
    """

    digest: str
    modules: tuple[str, ...]
    packages: dict[str, str]
    foreign: dict[str, str]


@dataclass(frozen=True)
class Dependencies:
    """The dependencies that a lab declares because its imports do not show them.

    Attributes:
        files_digest: 16 hex digits that change with the names and contents of the files; "" if there are none.
        packages: The version of each declared distribution, by name.
    """

    files_digest: str
    packages: dict[str, str]


def find_source(*modules: str, also: Iterable[str] = ()) -> ModuleSource:
    """Follow the imports of modules through all own source.

    The distributions that contain the modules themselves count as own source.

    Args:
        modules: The names of the modules.
        also: Names of modules that count as if the others imported them.
    """
    known: dict[str, _Module] = {}
    paths = [_path_to(name, known) for name in modules]
    own_distributions = {owner.name for path in paths for _, module in path for owner in module.owners}
    own: dict[str, _Source] = {}
    packages: dict[str, str] = {}
    foreign: dict[str, str] = {}
    ahead = [("", name) for name in (*modules, *also)]
    while ahead:
        importer, imported = ahead.pop()
        for name, module in _path_to(imported, known):
            versions = {owner.name: owner.version for owner in module.owners if owner.name not in own_distributions}
            packages |= versions
            if importer.partition(".")[0] != LABCHECK:
                foreign |= {key: version for key, version in versions.items() if key.lower() not in NOT_FOREIGN}
            if versions:
                break
            if module.file and name not in own:
                own[name] = _source(module.file)
                package = name if Path(module.file).stem == "__init__" else name.rpartition(".")[0]
                ahead += [(name, target) for target in _resolve(own[name].imports, package)]
    digest = _digest((name, source.digest) for name, source in sorted(own.items()))
    return ModuleSource(digest, tuple(sorted(own)), dict(sorted(packages.items())), dict(sorted(foreign.items())))


def find_dependencies(module: str, depends: Sequence[str]) -> Dependencies:
    """Find the packages and files that a lab declares.

    Args:
        module: The name of the lab's module.
        depends: Names of installed distributions or of their top-level packages ("transformers"), and globs of files
            ("configs/*.yaml"), absolute or relative to the folder of the module's file.

    Raises:
        ValueError: `depends` is not a sequence of strings, or an entry is not an installed package and matches no file.
    """
    if isinstance(depends, str) or not isinstance(depends, Sequence):
        raise ValueError(f"depends: must be a sequence of strings, got {depends!r}")
    contents: list[tuple[str, str]] = []
    packages: dict[str, str] = {}
    for entry in depends:
        if not isinstance(entry, str | os.PathLike):
            raise ValueError(f"depends: each entry must be a string, got {entry!r}")
        entry = os.fspath(entry)
        if installed := named(entry):
            packages |= {distribution.name: distribution.version for distribution in installed}
            editable = [package for one in installed if one.under_development for package in sorted(one.packages)]
            contents += [(entry, find_source(*editable).digest)] if editable else []
        else:
            contents += _matches(entry, module)
    return Dependencies(_digest(contents) if contents else "", dict(sorted(packages.items())))


def _matches(entry: str, module: str) -> list[tuple[str, str]]:
    """Return the files that a glob matches, by names that are the same on any machine, with their digests."""
    *_, (_, lab_module) = _path_to(module, {})
    folder = os.path.dirname(lab_module.file) or os.getcwd()
    paths = [os.path.join(folder, name) for name in sorted(glob.glob(entry, root_dir=folder, recursive=True))]
    files = [path for path in paths if os.path.isfile(path)]
    if not files:
        remedy = (
            f"; for a folder, name its files: '{entry}/*'"
            if entry and os.path.isdir(os.path.join(folder, entry))
            else ""
        )
        raise ValueError(f"depends: {entry!r} matches no file in {folder} and is not an installed package{remedy}")
    start = os.path.commonpath([os.path.dirname(file) for file in files]) if os.path.isabs(entry) else folder
    try:
        return [(Path(os.path.relpath(file, start)).as_posix(), _file_digest(file)) for file in files]
    except OSError as error:
        raise ValueError(f"depends: {entry!r} cannot be read: {error}") from error


def _digest(contents: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(list(contents)).encode()).hexdigest()[:16]


# Modules: their files and distributions


class _Module(NamedTuple):
    """The file of a module, the folders of its submodules, and the distributions that it belongs to.

    All are empty for a module of the standard library or one that is not found.
    """

    file: str = ""
    folders: tuple[str, ...] = ()
    owners: tuple["Distribution", ...] = ()


def _path_to(name: str, known: dict[str, _Module]) -> Iterator[tuple[str, _Module]]:
    """Yield the packages that contain a module, outermost first, and the module itself, and add them to `known`."""
    parent = ""
    for part in name.split("."):
        path = f"{parent}.{part}" if parent else part
        if path not in known:
            known[path] = _module(path, known[parent].folders if parent else None)
        yield path, known[path]
        parent = path


def _module(name: str, path: tuple[str, ...] | None) -> _Module:
    """Look a module up in the folders of its package, or in sys.path if it is a top-level module."""
    top = name.partition(".")[0]
    file, folders = ("", ()) if top in NO_SOURCE else _locate(name, path)
    if not file:
        return _Module(folders=folders)
    return _Module() if _is_standard(file) else _Module(file, folders, owners(top, file))


def _locate(name: str, path: tuple[str, ...] | None) -> tuple[str, tuple[str, ...]]:
    """Return a module's file and the folders of its submodules; empty if there are none."""
    loaded = inspect.getattr_static(sys.modules.get(name), "__file__", None)  # runs no code of the object
    if isinstance(loaded, str) and loaded.endswith(".py") and os.path.isfile(loaded):
        file = os.path.abspath(loaded)
        return file, (os.path.dirname(file),) if os.path.basename(file) == "__init__.py" else ()
    others: list[Any] = [finder for finder in sys.meta_path if finder is not PathFinder]
    for finder in [PathFinder, *others] if path != () else []:
        # PathFinder needs only the last part of a name; with all of it, the parent may have to be in sys.modules
        part = name.rpartition(".")[2] if finder is PathFinder else name
        with suppress(Exception):  # finders may be user code
            if (spec := finder.find_spec(part, path)) is not None:
                file = spec.origin if spec.has_location and os.path.isfile(spec.origin) else ""
                return file and os.path.abspath(file), tuple(spec.submodule_search_locations or ())
    return "", ()


@cache
def _is_standard(file: str) -> bool:
    path = Path(os.path.realpath(file))
    parts = [path.relative_to(folder).parts[0] for folder in STANDARD_LIBRARY if path.is_relative_to(folder)]
    return any(part not in ("site-packages", "dist-packages") for part in parts)


# Files


class _Source(NamedTuple):
    """The digest of a file and the names that it imports, with the dots of relative imports."""

    digest: str
    imports: tuple[str, ...]


def _source(file: str) -> _Source:
    with suppress(OSError):
        return _parsed(file)
    return _Source("unreadable", ())


@once_per_state
def _parsed(file: str) -> _Source:
    content = Path(file).read_bytes()
    imports: tuple[str, ...] = ()
    if file.endswith(".py"):
        # the user sees warnings of the parser when the module is imported
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError), warnings.catch_warnings(action="ignore"):
            imports = tuple(dict.fromkeys(_imports(ast.parse(content))))
    return _Source(hashlib.sha256(content).hexdigest(), imports)


@once_per_state
def _file_digest(file: str) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a source imports, which may be modules."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                base = "." * node.level + (node.module or "")
                yield base
                yield from (f"{base}.{alias.name}" if node.module else base + alias.name for alias in node.names)
            case ast.Call(func=ast.Name(id=function) | ast.Attribute(attr=function)) if function in IMPORTERS:
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
                constants = [value.value for value in values if isinstance(value, ast.Constant)]
                texts = [text for text in constants if isinstance(text, str)]
                yield from _resolve(texts[:1], texts[1]) if len(texts) > 1 else texts


def _resolve(names: Iterable[str], package: str) -> Iterator[str]:
    """Yield the absolute names of imports in a package, without those beyond its top-level package."""
    for name in names:
        with suppress(ImportError):
            yield resolve_name(name, package)
