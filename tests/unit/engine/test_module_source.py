"""Module source: the code, packages and files that results depend on."""

import ast
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from labcheck.engine import module_source as module
from labcheck.engine.module_source import find_dependencies, find_source

FILES = {
    "lab.py": "from parts import NUMBER\nimport numpy\n",
    "parts/__init__.py": "from .deep.numbers import NUMBER\n",
    "parts/deep/__init__.py": "",
    "parts/deep/numbers.py": "def f():\n    import later\n\nNUMBER = 1\n",
    "later.py": "",
    "other.py": "",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    importlib.invalidate_caches()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project in which lab.py imports all files but other.py."""
    project = tmp_path / "project"
    write(project, FILES)
    monkeypatch.syspath_prepend(project)
    return project


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a distribution in a new folder, which becomes the first of sys.path."""

    def install(name: str, version: str, files: dict[str, str], **metadata: str) -> Path:
        site = tmp_path / f"{name} {version}"
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        record = "".join(f"{file},,\n" for file in files)
        write(site, files | {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"})
        write(site / info, {"RECORD": record} | {key.replace("__", "."): text for key, text in metadata.items()})
        monkeypatch.syspath_prepend(site)
        return site

    return install


def changes(folder: Path, file: str, *modules: str) -> bool:
    """Return whether the digest of modules, by default of lab, changes with a file."""
    before = find_source(*modules or ["lab"]).digest
    with (folder / file).open("a") as opened:
        opened.write("# changed\n")
    return find_source(*modules or ["lab"]).digest != before


# own source


@pytest.mark.parametrize("file", FILES)
def test_digest_changes_with_imported_files_only(file: str, folder: Path):
    assert find_source("lab") == find_source("lab")
    assert changes(folder, file) is (file != "other.py")


def test_digest_changes_with_indirect_import(folder: Path):
    write(folder, {"later.py": "import other\n"})
    assert changes(folder, "other.py")


def test_digest_changes_when_code_moves(folder: Path):
    before = find_source("lab").digest
    write(folder, {"later.py": FILES["parts/deep/numbers.py"], "parts/deep/numbers.py": FILES["later.py"]})
    assert find_source("lab").digest != before


@pytest.mark.parametrize(
    ("imported", "counts"),
    [("labcheck.nn.training", True), ("labcheck.nn.scratch.layers", True), ("labcheck", True), ("labcheck.labs", True),
     ("labcheck.engine.checks", False), ("labcheck.plugin.reporter", False), ("labcheck.labs.mnist", False),
     ("torch", False)]
)  # fmt: skip
def test_modules_of_shipped_lab_are_those_that_it_imports(imported: str, counts: bool):
    assert (imported in find_source("labcheck.labs.trig").modules) is counts


@pytest.mark.parametrize(
    "text",
    [
        "import tree.branch.leaf",
        "import tree.branch.leaf as leaf",
        "from tree.branch import leaf",
        "from tree.branch.leaf import green",
        "import importlib\nleaf = importlib.import_module('tree.branch.leaf')",
        "from importlib import import_module\ndef f(): import_module(name='.leaf', package='tree.branch')",
        "__import__('tree.branch.leaf')",
        "import pytest\nleaf = pytest.importorskip('tree.branch.leaf', reason='no leaf')",
    ],
)
@pytest.mark.parametrize("package", ["regular", "namespace"])
def test_digest_follows_each_form_of_import(text: str, package: str, folder: Path):
    write(folder, {"lab.py": text, "tree/branch/leaf.py": ""})
    if package == "regular":
        write(folder, {"tree/__init__.py": "", "tree/branch/__init__.py": ""})
        assert changes(folder, "tree/branch/__init__.py")
    assert changes(folder, "tree/branch/leaf.py")


@pytest.mark.parametrize(
    "text",
    [
        "from . import leaf",
        "from .leaf import green",
        "from .. import fruit",
        "from ..fruit import red",
        "from importlib import import_module\nimport_module('..fruit', __package__)",
    ],
)
def test_digest_follows_relative_import(text: str, folder: Path):
    write(folder, {"lab.py": "import tree.branch.twig", "tree/fruit.py": "", "tree/branch/leaf.py": ""})
    write(folder, {"tree/branch/twig.py": text})
    assert changes(folder, "tree/fruit.py" if "fruit" in text else "tree/branch/leaf.py")


def test_digest_changes_with_extension_module(folder: Path):
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    write(folder, {"lab.py": "import fast", f"fast{suffix}": "import later"})
    assert find_source("lab").modules == ("fast", "lab")
    assert changes(folder, f"fast{suffix}")


@pytest.mark.parametrize(
    "content", [b"def f(:\n", b"import later\nx = '\xff'\n", b"# coding: klingon\n", b"x = 1\0\n", b"(" * 1000]
)
def test_digest_changes_with_file_that_does_not_parse(content: bytes, folder: Path):
    (folder / "lab.py").write_bytes(content)
    assert find_source("lab").modules == ("lab",)
    assert changes(folder, "lab.py")


def test_digest_reads_source_in_declared_encoding(folder: Path):
    (folder / "lab.py").write_bytes("# coding: latin-1\nimport later\nx = 'é'\n".encode("latin-1"))
    assert find_source("lab").modules == ("lab", "later")


def test_digest_ignores_warnings_of_parser(folder: Path):
    write(folder, {"lab.py": "import later\nx = '\\d'\n"})  # pytest turns the SyntaxWarning into an error
    assert find_source("lab").modules == ("lab", "later")


def test_digest_ignores_imports_of_missing_modules(folder: Path):
    write(folder, {"lab.py": "from ..... import x\nimport nowhere.at.all\nfrom later import *\n"})
    assert find_source("lab").modules == ("lab", "later")


def test_digest_accepts_file_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path) -> bytes:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert find_source("lab").modules == ("lab",)


def test_own_module_may_have_name_of_standard_module(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    write(folder, {"lab.py": "import this, os.path, sys, json.decoder, distutils.core", "this.py": ""})
    assert find_source("lab").modules == ("lab", "this")
    assert changes(folder, "this.py")


def test_file_is_parsed_once_per_state(folder: Path, monkeypatch: pytest.MonkeyPatch):
    parsed: list[object] = []
    parse = module._imports

    def count_and_parse(tree: ast.Module) -> Iterator[str]:
        parsed.append(tree)
        return parse(tree)

    monkeypatch.setattr(module, "_imports", count_and_parse)
    find_source("lab")
    first = len(parsed)
    find_source("lab", "later")
    assert first == len(parsed) == len(FILES) - 1
    assert changes(folder, "lab.py")
    assert len(parsed) == first + 1


# no imports


def test_find_source_imports_nothing(folder: Path):
    package = "from pathlib import Path\nPath(__file__).with_name('executed').touch()\n"
    write(folder, {"lab.py": "def f():\n    import a.b\nimport antigravity, distutils, later\nfrom sys import path\n"})
    write(folder, {"a/__init__.py": package, "a/b/__init__.py": package, "a/b/c.py": ""})
    find_source("lab")  # fills caches, which imports modules of the standard library
    before = set(sys.modules)
    assert find_source("lab").modules == ("a", "a.b", "lab", "later")
    assert changes(folder, "a/b/__init__.py")
    assert set(sys.modules) == before
    assert not {"lab", "a", "antigravity", "setuptools"} & before
    assert not list(folder.rglob("executed"))


def test_module_outside_of_path_has_file_of_loaded_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, {"far/__init__.py": "", "far/away.py": "from . import near\n", "far/near.py": ""})
    for name, file in (("far", "far/__init__.py"), ("far.away", "far/away.py")):
        spec = importlib.util.spec_from_file_location(name, tmp_path / file)
        assert spec is not None
        monkeypatch.setitem(sys.modules, name, importlib.util.module_from_spec(spec))
    assert find_source("far.away").modules == ("far", "far.away", "far.near")
    assert changes(tmp_path, "far/near.py", "far.away")


class Hostile:
    """An object each of whose attributes raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    __eq__ = __hash__ = __bool__ = __iter__ = None  # type: ignore[assignment]


class Lazy(ModuleType):
    """A module that each access of an attribute would load."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)


REPLACEMENTS: dict[str, Callable[[], object]] = {
    "int": lambda: 0,
    "None": lambda: None,
    "mock": MagicMock,
    "hostile object": Hostile,
    "hostile class": lambda: Hostile,
    "lazy module": lambda: Lazy("parts"),
    "bare module": lambda: ModuleType("parts"),
    "wrong attributes": lambda: SimpleNamespace(__file__=3, __path__=4, __spec__=5),
    "wrong file": lambda: SimpleNamespace(__file__="/nowhere/parts.py"),
}


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.parametrize("replaced", ["lab", "parts", "parts.deep"])
def test_find_source_ignores_object_in_place_of_module(
    replaced: str, replacement: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    before = find_source("lab")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, replaced, REPLACEMENTS[replacement]())
        after = find_source("lab")
    assert after == before


# packages


@pytest.mark.parametrize("where", ["lab.py", "later.py", "parts/deep/numbers.py"])
def test_packages_have_versions_in_any_importing_module(where: str, folder: Path, install: Install):
    write(folder, {where: FILES[where] + "\ndef f():\n    from extra.part import x\n"})
    install("Extra-Lib", "1.0", {"extra/__init__.py": "import other", "extra/part.py": ""})
    first = find_source("lab")
    assert first.packages["Extra-Lib"] == first.foreign["Extra-Lib"] == "1.0"
    assert not {"extra", "other"} & set(first.modules)
    install("Extra-Lib", "2.0", {"extra/__init__.py": "", "extra/part.py": ""})
    second = find_source("lab")
    assert (second.packages["Extra-Lib"], second.digest) == ("2.0", first.digest)


def test_packages_are_known_by_name_without_list_of_files(folder: Path, install: Install):
    site = install("extra", "1.0", {"extra.py": ""})
    (site / "extra-1.0.dist-info" / "RECORD").unlink()
    write(folder, {"lab.py": "import extra"})
    assert find_source("lab").packages == {"extra": "1.0"}


def test_packages_are_sorted(folder: Path, install: Install):
    write(folder, {"lab.py": "import zebra, ape, numpy"})
    for name in ("zebra", "ape"):
        install(name, "1", {f"{name}.py": ""})
    assert list(find_source("lab").packages) == ["ape", "numpy", "zebra"]


def test_packages_of_shared_namespace_are_distinguished(folder: Path, install: Install):
    write(folder, {"lab.py": "import shared.one, shared.mine", "shared/mine.py": ""})
    one = install("shared-one", "1", {"shared/one.py": ""})
    write(one, {"shared_two-2.dist-info/METADATA": "Name: shared-two\nVersion: 2\n", "shared/two.py": ""})
    write(one, {"shared_two-2.dist-info/RECORD": "shared/two.py,,\n"})
    source = find_source("lab")
    assert source.packages == {"shared-one": "1"}
    assert source.modules == ("lab", "shared.mine")


@pytest.mark.parametrize("kind", ["editable", "beside its metadata", "named", "shadowed", "broken"])
def test_distribution_under_development_counts_as_source(kind: str, folder: Path, install: Install):
    write(folder, {"lab.py": "import extra"})
    editable = json.dumps({"url": "file:///extra", "dir_info": {"editable": True}})
    metadata = {"direct_url__json": editable} if kind == "editable" else {}
    place = install("extra", "1.0", {"extra.py": "import later\n"}, **metadata)
    if kind == "beside its metadata":  # left by python -m build and by pip install --editable
        write(place, {"extra.egg-info/PKG-INFO": "Name: extra\nVersion: 1.0\n"})
    elif kind == "shadowed":
        write(folder, {"extra.py": "import later\n"})
        sys.path.insert(0, str(folder))
        place = folder
    elif kind == "broken":
        (place / "extra-1.0.dist-info" / "METADATA").unlink()
    modules = ["lab", "extra"] if kind == "named" else ["lab"]
    source = find_source(*modules)
    assert (source.packages, source.modules) == ({}, ("extra", "lab", "later"))
    assert changes(place, "extra.py", *modules)


def test_foreign_packages_are_those_of_modules_outside_labcheck(folder: Path, install: Install):
    install("extra", "1.0", {"extra.py": ""})
    text = "import numpy, torch, pytest\nfrom labcheck.labs.mnist import Mnist\n"
    write(folder, {"lab.py": text})
    source = find_source("lab")
    assert {"numpy", "torch", "pytest", "torchvision"} <= source.packages.keys()
    assert source.foreign == {}
    write(folder, {"lab.py": text + "import extra, torchvision\n"})
    foreign = find_source("lab").foreign
    assert foreign == {"extra": "1.0", "torchvision": source.packages["torchvision"]}


# declared dependencies


def test_dependencies_have_packages_by_either_name(folder: Path, install: Install):
    install("Extra-Lib", "1.0", {"extra/__init__.py": ""})
    for name in ("Extra-Lib", "extra-lib", "extra"):
        assert find_dependencies("lab", [name]).packages == {"Extra-Lib": "1.0"}
        assert find_dependencies("lab", [name]).files_digest == ""
    assert list(find_dependencies("lab", ("pytest", "numpy", "extra")).packages) == ["Extra-Lib", "numpy", "pytest"]
    assert find_dependencies("lab", ()).packages == {}


@pytest.mark.parametrize("entry", ["data/*.csv", "data/a.csv", "data/**", "../project/data/?.csv", "{folder}/data/*"])
def test_dependencies_change_with_declared_files(entry: str, folder: Path):
    write(folder, {"data/a.csv": "1", "data/b.txt": "2"})
    entries = [entry.format(folder=folder)]
    states = [find_dependencies("lab", entries)]
    write(folder, {"data/a.csv": "3"})
    states.append(find_dependencies("lab", entries))
    write(folder, {"other.txt": "4"})
    assert find_dependencies("lab", entries) == states[-1]
    assert states[0] != states[1]
    assert len(states[0].files_digest) == len(find_source("lab").digest) == 16


def test_dependencies_change_when_file_is_renamed(folder: Path):
    write(folder, {"data/a.csv": "1"})
    before = find_dependencies("lab", ["data/*"])
    (folder / "data/a.csv").rename(folder / "data/b.csv")
    assert find_dependencies("lab", ["data/*"]) != before


def test_dependencies_are_equal_in_moved_project(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write(folder, {"data/a.csv": "1", "data/b.csv": "2"})
    before = [find_dependencies("lab", ["data/*"]), find_dependencies("lab", [f"{folder}/data/*"])]
    moved = folder.rename(folder.with_name("moved"))
    monkeypatch.syspath_prepend(moved)
    assert [find_dependencies("lab", ["data/*"]), find_dependencies("lab", [f"{moved}/data/*"])] == before


@pytest.mark.parametrize("entry", ["configs/*.yaml", "parts", "nowhere.csv", ""])
def test_dependencies_refuse_entry_without_match(entry: str, folder: Path):
    with pytest.raises(ValueError, match=r"^depends: ") as caught:
        find_dependencies("lab", ["numpy", entry])
    remedy = "; for a folder, name its files: 'parts/*'" if entry == "parts" else ""
    assert (
        str(caught.value) == f"depends: {entry!r} matches no file in {folder} and is not an installed package{remedy}"
    )


@pytest.mark.parametrize(
    ("depends", "message"),
    [
        ("data.csv", "depends: must be a sequence of strings, got 'data.csv'"),
        (None, "depends: must be a sequence of strings, got None"),
        ({"numpy"}, "depends: must be a sequence of strings, got {'numpy'}"),
        (["numpy", 3], "depends: each entry must be a string, got 3"),
    ],
)
def test_dependencies_refuse_other_types(depends: Any, message: str, folder: Path):
    with pytest.raises(ValueError, match=r"^depends: ") as caught:
        find_dependencies("lab", depends)
    assert str(caught.value) == message


def test_dependencies_refuse_file_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(file: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "_file_digest", refuse)
    with pytest.raises(ValueError, match=r"^depends: 'lab.py' cannot be read: .*Permission denied$"):
        find_dependencies("lab", ["lab.py"])
