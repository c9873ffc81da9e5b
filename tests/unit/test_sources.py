"""The digest of source code: what changes it, and what does not."""

import sys
from pathlib import Path

import pytest

from labcheck import sources

FILES = {
    "lab.py": "from parts import NUMBER\nimport numpy\n",
    "parts/__init__.py": "from .deep.numbers import NUMBER\n",
    "parts/deep/__init__.py": "",
    "parts/deep/numbers.py": "def f():\n    import later\n\nNUMBER = 1\n",
    "later.py": "",
    "other.py": "",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which lab.py imports all the others but one."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in list(sys.modules):
        if name.partition(".")[0] in ("lab", "parts", "later", "other"):
            monkeypatch.delitem(sys.modules, name)
    return tmp_path


@pytest.mark.parametrize("file", FILES)
def test_it_changes_with_what_is_imported_and_with_nothing_else(file: str, folder: Path) -> None:
    before = sources.digest("lab")
    assert sources.digest("lab") == before
    (folder / file).write_text(FILES[file] + "# otherwise\n")
    assert (sources.digest("lab") == before) is (file == "other.py")


def test_it_changes_with_what_is_imported_in_several_steps(folder: Path) -> None:
    (folder / "later.py").write_text("import other\n")
    before = sources.digest("lab")
    (folder / "other.py").write_text("x = 1\n")
    assert sources.digest("lab") != before


def test_it_imports_nothing(folder: Path) -> None:
    (folder / "lab.py").write_text("import antigravity, nowhere.to_be.found, later\nfrom sys import path\n")
    sources.digest("lab")
    assert not {"lab", "later", "antigravity"} & sys.modules.keys()


def test_code_that_moves_to_another_module_counts(folder: Path) -> None:
    before = sources.digest("lab")
    (folder / "later.py").write_text(FILES["parts/deep/numbers.py"])
    (folder / "parts/deep/numbers.py").write_text(FILES["later.py"])
    assert sources.digest("lab") != before


@pytest.mark.parametrize(
    ("module", "counts"),
    [("labcheck.training", True), ("labcheck.models.scratch.layers", True), ("labcheck.checks", False),
     ("labcheck.report.reporter", False), ("labcheck.labs.mnist", False), ("torch", False)]
)  # fmt: skip
def test_what_a_lab_of_ours_depends_on(module: str, counts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    imports = sources._imports

    def noted(source: bytes, package: str):
        seen.append(source.decode())
        return imports(source, package)

    monkeypatch.setattr(sources, "_imports", noted)
    sources.digest("labcheck.labs.trig")
    __import__(module)
    file = sys.modules[module].__file__
    assert file is not None
    assert (Path(file).read_text() in seen) is counts
