"""The rooms of the package: which module may import which, and what the public names are.

Rooms are on floors, and imports lead down only: `core` below `data` below `engine` below `nn` and `report` below `labs`
and `plugin`. Rooms of one floor do not import each other.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import labcheck
from labcheck import Lab
from tests.helpers.project import ORDER, Project
from tests.helpers.report import ROOT

PACKAGE = ROOT / "labcheck"
FLOORS = [["core"], ["data"], ["engine"], ["nn", "report"], ["labs", "plugin"]]
"""The rooms from the lowest floor to the highest."""
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ABOVE_ALL = {"__init__", "__main__"}
"""The modules outside of all rooms, which may import any room."""
RESTRICTED = {"core": {"glob", "io", "os", "pathlib", "shutil", "tempfile", "torch", "torchvision"}}
"""The packages that a room must not import."""
ALLOWED = {
    "core/errors.py": {"pathlib"},  # the path of the package, without access to files
    "core/settings.py": {"pathlib"},  # paths as settings
}
"""Exceptions to `RESTRICTED`, by module."""

Imports = list[tuple[int, str]]


def imports(source: str, module: str) -> Imports:
    """Return line and absolute name of everything that a source imports, also in functions and for types only.

    Args:
        source: The source.
        module: The name of the module, to which relative imports refer; that of a package ends with ".__init__".
    """
    package = module.split(".")[:-1]
    names: Imports = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            origin = base if node.level else node.module or ""
            names += [(node.lineno, f"{origin}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names += [(node.lineno, ast.literal_eval(node.args[0]))] if isinstance(node.args[0], ast.Constant) else []
    return names


def violations(file: str, source: str) -> Iterator[str]:
    """Yield a line for each import of a module that leads up or sideways, or to a package that its room must not use.

    Args:
        file: The path of the module within the package, such as "core/lab.py".
        source: Its source.
    """
    parts = Path(file).with_suffix("").parts
    room = parts[0]
    for line, name in imports(source, ".".join(["labcheck", *parts])):
        top, *rest = name.split(".")
        place = f"{file}:{line} imports {name}"
        if top == "labcheck" and room not in ABOVE_ALL and rest and rest[0] in FLOOR:
            if rest[0] != room and FLOOR[rest[0]] >= FLOOR[room]:
                yield place
        elif top == "labcheck" and room not in ABOVE_ALL and rest != ["__version__"]:
            yield f"{place}, which is above all rooms"
        if top in RESTRICTED.get(room, set()) - ALLOWED.get(file, set()):
            yield place
        if top in ("pytest", "_pytest", "pluggy", "xdist") and room != "plugin":
            yield place


MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


# imports


@pytest.mark.slow
@pytest.mark.parametrize("file", MODULES)
def test_imports_lead_down(file: str) -> None:
    assert list(violations(file, (PACKAGE / file).read_text(encoding="utf-8"))) == []


def test_every_room_has_floor() -> None:
    rooms = {Path(file).with_suffix("").parts[0] for file in MODULES}
    assert rooms == set(FLOOR) | ABOVE_ALL


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("core/lab.py", "from labcheck.engine import session", "imports labcheck.engine.session"),
        ("core/lab.py", "import labcheck.data.boston", "imports labcheck.data.boston"),
        ("core/lab.py", "def f():\n    from labcheck.data import boston", ":2 imports labcheck.data.boston"),
        ("core/lab.py", "if TYPE_CHECKING:\n    import labcheck.nn.cnn", ":2 imports labcheck.nn.cnn"),
        ("core/lab.py", "from ..engine.store import Block", "imports labcheck.engine.store.Block"),
        ("core/lab.py", "from .. import engine", "imports labcheck.engine"),
        ("core/lab.py", "import_module('labcheck.engine.store')", "imports labcheck.engine.store"),
        ("core/lab.py", "from labcheck import Claim", "imports labcheck.Claim, which is above all rooms"),
        ("core/lab.py", "import labcheck", "imports labcheck, which is above all rooms"),
        ("core/lab.py", "import torch", "imports torch"),
        ("core/lab.py", "def f():\n    from torch import nn", ":2 imports torch.nn"),
        ("core/lab.py", "import os.path", "imports os.path"),
        ("core/lab.py", "from pathlib import Path", "imports pathlib.Path"),
        ("data/boston.py", "from labcheck.engine import files", "imports labcheck.engine.files"),
        ("engine/checks.py", "from labcheck.report.summary import median", "imports labcheck.report.summary.median"),
        ("engine/checks.py", "from labcheck.labs import trig", "imports labcheck.labs.trig"),
        ("engine/checks.py", "import pytest", "imports pytest"),
        ("report/page.py", "from labcheck.nn import cnn", "imports labcheck.nn.cnn"),
        ("nn/cnn.py", "from labcheck.report import page", "imports labcheck.report.page"),
        ("nn/scratch/layers.py", "from ...labs import trig", "imports labcheck.labs.trig"),
        ("labs/trig.py", "from labcheck.plugin import hooks", "imports labcheck.plugin.hooks"),
        ("labs/trig.py", "from pytest import mark", "imports pytest.mark"),
        ("plugin/hooks.py", "import labcheck.labs.trig", "imports labcheck.labs.trig"),
        ("__main__.py", "import pytest", "imports pytest"),
    ],
)
def test_import_in_wrong_direction_is_reported(file: str, source: str, message: str) -> None:
    [violation] = violations(file, source)
    assert violation.endswith(message)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("core/lab.py", "from labcheck.core import settings\nfrom . import metrics\nimport numpy as np"),
        ("core/errors.py", "from pathlib import Path"),
        ("data/__init__.py", "from .boston import load"),
        ("engine/checks.py", "from labcheck.core.lab import Lab\nfrom labcheck.data import DataError"),
        ("labs/trig.py", "import torch\nfrom labcheck.nn import cnn\nfrom labcheck.labs import supervised"),
        ("report/document.py", "from labcheck import __version__"),
        ("plugin/hooks.py", "import pytest\nfrom labcheck.report.document import gather"),
        ("__main__.py", "from labcheck.report import comparison"),
        ("__init__.py", "import lazy_loader\nfrom labcheck.plugin import hooks"),
    ],
)
def test_import_in_right_direction_is_accepted(file: str, source: str) -> None:
    assert list(violations(file, source)) == []


@pytest.mark.slow
def test_imports_have_no_cycle() -> None:
    """Between modules, imports for types and in functions included."""
    names = {file: ".".join(["labcheck", *Path(file).with_suffix("").parts]) for file in MODULES}
    files = {name.removesuffix(".__init__"): file for file, name in names.items()}
    arrows: dict[str, set[str]] = {}
    for file in MODULES:
        if file in ("__init__.py", "__main__.py"):
            continue
        text = (PACKAGE / file).read_text(encoding="utf-8")
        targets = {files.get(name) or files.get(name.rpartition(".")[0]) for _, name in imports(text, names[file])}
        arrows[file] = {target for target in targets if target and target not in ("__init__.py", file)}
    while leaves := {file for file, targets in arrows.items() if not targets & arrows.keys()}:
        arrows = {file: targets for file, targets in arrows.items() if file not in leaves}
    assert arrows == {}


# public names


def stub() -> dict[str, str]:
    """Return the public names of the stub, with the modules that define them."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: f"labcheck.{node.module}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_public_names_are_those_of_stub() -> None:
    names: dict[str, object] = {}
    exec("from labcheck import *", names)
    public: list[str] = vars(labcheck)["__all__"]
    assert set(public) == set(stub()) == set(names) - {"__builtins__"}
    assert len(set(public)) == len(public)


@pytest.mark.parametrize(("name", "module"), stub().items())
def test_public_name_resolves(name: str, module: str) -> None:
    assert getattr(labcheck, name) is getattr(sys.modules[module], name)
    assert name in dir(labcheck)


def imported(code: str) -> set[str]:
    """Return the modules that a new Python process has imported after running code."""
    script = f"import sys\n{code}\nprint(*sys.modules, sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(ended.stdout.split())


def test_package_and_plugin_import_neither_torch_nor_numpy() -> None:
    modules = imported("import labcheck, labcheck.plugin.hooks")
    assert {"labcheck", "labcheck.plugin.hooks"} <= modules
    assert modules & {"torch", "numpy", "scipy", "matplotlib", "jinja2", "labcheck.core.claims"} == set()


def test_public_names_import_no_torch() -> None:
    modules = imported("from labcheck import *")
    assert "numpy" in modules
    assert modules & {"torch", "matplotlib", "pytest"} == set()


# resolved once


@pytest.mark.slow
def test_session_configures_every_arm_once(project: Project) -> None:
    """Through collection, planning, checks and report, for a claim of two arms at one scale."""
    calls: list[str] = []
    configure = Lab.configure.__func__  # type: ignore[attr-defined]

    def counted(cls: type[Lab], scale: str, arm: dict[str, object]) -> Lab:
        calls.append(f"{cls.name} {scale} {arm}")
        lab: Lab = configure(cls, scale, arm)
        return lab

    project.monkeypatch.setattr(Lab, "configure", classmethod(counted))
    project.write("test_order.py", ORDER)
    for args in (["--claims-update", "first"], [], ["--claims-set", "toy.noise=0.5"]):
        calls.clear()
        result = project.run("test_order.py", "--claims-report", "out", *args)
        assert sum(result.parseoutcomes().values()) == 3
        assert calls == ["toy quick {'level': 1.0}", "toy quick {'level': 2.0}"]
