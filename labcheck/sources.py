"""The source code that results depend on, as one digest."""

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path


def digest(*modules: str) -> str:
    """Of the source of modules and of all that they import, at their heads or within a function.

    Other packages that are installed, and the standard library, are left out; the packages that the modules belong to
    are not.
    """
    ours = {module.partition(".")[0] for module in modules}
    found: dict[str, bytes] = {}
    ahead = list(modules)
    while ahead:
        name = ahead.pop()
        spec = None if name in found else _spec(name, ours)
        if spec is None or spec.origin is None:
            continue
        found[name] = Path(spec.origin).read_bytes()
        ahead += _imports(found[name], spec.name if spec.submodule_search_locations else spec.parent or "")
    whole = hashlib.sha256()
    for name in sorted(found):
        whole.update(f"{name} {len(found[name])} ".encode() + found[name])
    return whole.hexdigest()[:16]


def _spec(name: str, ours: set[str]) -> ModuleSpec | None:
    """Of a module with source code that counts."""
    top = name.partition(".")[0]
    if top not in ours and (spec := _find(top)) is not None and _installed(spec):
        return None  # without looking for the module itself, which would import the package
    spec = _find(name)
    return spec if spec is not None and spec.origin is not None and spec.origin.endswith(".py") else None


def _find(name: str) -> ModuleSpec | None:
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    if isinstance(loaded, ModuleSpec):
        return loaded
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # what is imported from a module need not be a module
        return None


def _installed(spec: ModuleSpec) -> bool:
    places = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    files = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or [])
    return not files or any(Path(file or "").is_relative_to(place) for file in files for place in places)


def _imports(source: bytes, package: str) -> Iterator[str]:
    """The modules, and what else may be one, that a source imports, with the packages around them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: depth + 1]) for depth in range(len(parts)))
