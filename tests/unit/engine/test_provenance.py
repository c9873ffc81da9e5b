"""What a lab's results depend on: whose data, files and packages, and which labs share results."""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import scipy.special

from labcheck.core.lab import Data, Lab
from labcheck.core.trials import Trials
from labcheck.data import DataError
from labcheck.engine.provenance import Provenance, identity
from labcheck.labs.sine import Sine

DRAWN = Data("drawn", "0")
SCIPY = f"scipy {metadata.version('scipy')}"
MODULE = """
from dataclasses import dataclass
from typing import Any, ClassVar
IMPORTS

from labcheck.core.lab import Data, Lab


@dataclass(frozen=True, kw_only=True)
class User(Lab):
    name: ClassVar[str] = "user"
    depends: ClassVar = DEPENDS

    x: Any = 0

    def data(self):
        return Data("drawn", "DIGEST")

    def train(self, seeds, device="cpu"):
        return {"a": list(seeds)}
"""


@dataclass(frozen=True, kw_only=True)
class Known(Lab):
    """Its data is a setting."""

    name: ClassVar[str] = "known"

    found: Any = DRAWN
    x: Any = 0

    def data(self) -> Data:
        if isinstance(self.found, type):
            raise self.found("no\nluck")
        return self.found

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class Slotted(Known):
    y: Any = 0


@dataclass
class Writer:
    """Writes and imports a user's module, anew each time."""

    folder: Path

    def lab(self, imports: str = "", depends: Any = (), digest: str = "0", **settings: Any) -> Lab:
        text = MODULE.replace("IMPORTS", imports).replace("DEPENDS", repr(depends)).replace("DIGEST", digest)
        (self.folder / "users_lab.py").write_text(text)
        sys.modules.pop("users_lab", None)
        importlib.invalidate_caches()
        module: ModuleType = importlib.import_module("users_lab")
        lab: Lab = module.User(**settings)
        return lab


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, "users_lab", ModuleType("users_lab"))
    monkeypatch.syspath_prepend(tmp_path)
    return Writer(tmp_path)


def key(lab: Lab, *, lasting: bool = True, device: str = "cpu") -> str:
    return Provenance().key(lab, device, lasting)


# data


def data_of(*found: Any) -> Data:
    return Provenance().data_of([Known(found=one) for one in found])


def test_data_of_one_kind_is_itself():
    assert data_of(Data("a", "0"), Data("a", "0")) == Data("a", "0")


def test_data_of_several_arms_is_named_after_all():
    both = data_of(Data("b", "1"), Data("a", "0"), Data("b", "1"))
    assert both.name == "a+b"
    assert len(both.digest) == 16
    assert data_of(Data("a", "0"), Data("b", "1")) == both
    assert data_of(Data("a", "0"), Data("b", "2")).digest != both.digest


def test_data_of_one_name_has_the_digest_of_all():
    both = data_of(Data("a", "0"), Data("a", "1"))
    assert both.name == "a"
    assert both.digest not in ("0", "1", "")


@pytest.mark.parametrize(("count", "name"), [(3, "a+b+c"), (4, "a+3 more"), (5, "a+4 more")])
def test_data_of_many_arms_has_a_short_name(count: int, name: str):
    assert data_of(*(Data(letter, letter) for letter in "abcde"[:count])).name == name


def test_data_of_several_arms_has_no_digest_where_one_has_none():
    assert data_of(Data("a", "0"), Data("b", "")) == Data("a+b", "")


def test_data_is_of_each_arm_with_its_settings():
    found = [Provenance().data(Known(found=Data(name, name))).name for name in ("a", "b")]
    assert found == ["a", "b"]


def test_data_is_asked_once_a_lab(monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []
    monkeypatch.setattr(Known, "data", lambda self: asked.append(self.x) or Data("a", "0"))
    provenance = Provenance()
    for x in (0, 0, 1, 1.0, True, 0):
        provenance.data(Known(x=x))
    assert [repr(x) for x in asked] == ["0", "1", "1.0", "True"]


@pytest.mark.parametrize("found", [None, "drawn", ("drawn",), ("drawn", 0), ("drawn", None), (1, "0"), ["drawn", "0"]])
def test_data_is_refused_unless_two_texts(found: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Known, "data", lambda self: found)
    with pytest.raises(DataError) as caught:
        Provenance().data(Known())
    assert str(caught.value) == f"known: data() must return Data(name, digest), two texts, got {found!r}"


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "a\nb", "a\ud800", "a:b", "-a"], ids=ascii)
def test_name_of_data_is_refused_unless_of_a_file(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Known, "data", lambda self: Data(name, "0"))
    with pytest.raises(DataError) as caught:
        Provenance().data(Known())
    assert str(caught.value).startswith("known: the name of data is part of a file's name and must be of letters, ")
    assert str(caught.value).endswith(f"got {name!a}")


@pytest.mark.parametrize("name", ["a", "größe", "my data-2_x.csv", "a+b"])
def test_name_of_data_may_be_that_of_a_file(name: str):
    assert Provenance().data(Known(found=Data(name, "0"))).name == name


@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError, "known: data() raised ValueError: no luck"), (OSError, "known: data() raised OSError: no luck")],
)
def test_error_of_data_is_named_in_a_line(error: type[Exception], message: str):
    with pytest.raises(DataError) as caught:
        Provenance().data(Known(found=error))
    assert str(caught.value) == message


def test_error_of_missing_data_is_kept():
    with pytest.raises(DataError, match=r"^no\nluck$"):
        Provenance().data(Known(found=DataError))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupt_of_data_is_no_data_error(error: type[BaseException]):
    with pytest.raises(error):
        Provenance().data(Known(found=error))


@pytest.mark.parametrize(("digest", "resumable"), [("0", True), ("", False)])
def test_lab_is_resumable_with_a_digest(digest: str, resumable: bool):
    assert Provenance().resumable(Known(found=Data("a", digest))) is resumable


# files and packages that a lab names


def test_depends_on_files_changes_digest_and_key(writer: Writer):
    (writer.folder / "configs").mkdir()
    file = writer.folder / "configs" / "net.yaml"
    found, keys = [Provenance().data(writer.lab())], [key(writer.lab())]
    for text in ("lr: 1", "lr: 22"):
        file.write_text(text)
        lab = writer.lab(depends=["configs/*.yaml"])
        found.append(Provenance().data(lab))
        keys.append(key(lab))
    (file.parent / "more.yaml").write_text("")
    found.append(Provenance().data(lab))
    assert {data.name for data in found} == {"drawn"}
    assert len({data.digest for data in found}) == 4
    assert len(set(keys)) == 3


def test_depends_on_files_gives_no_digest_where_data_has_none(writer: Writer):
    (writer.folder / "net.yaml").write_text("")
    lab = writer.lab(depends=["net.yaml"], digest="")
    assert Provenance().data(lab) == Data("drawn", "")
    assert not Provenance().resumable(lab)


@pytest.mark.parametrize("name", ["scipy", "SciPy"])
def test_depends_on_packages_is_in_the_fingerprint(name: str, writer: Writer):
    lab = writer.lab(depends=[name])
    assert Provenance().fingerprint([lab], "cpu")["packages"] == SCIPY
    assert Provenance().data(lab) == Data("drawn", "0")
    assert key(lab) != key(writer.lab())


@pytest.mark.parametrize(
    ("depends", "message"),
    [
        ("scipy", "user: depends: must be a sequence of texts, got 'scipy'"),
        ([1], "user: depends: each entry must be a text, got 1"),
        (["no-such.yaml"], "user: depends: 'no-such.yaml' matches no file in "),
    ],
)
def test_depends_is_refused_in_a_line(depends: Any, message: str, writer: Writer):
    lab = writer.lab(depends=depends)
    for ask in (lambda: Provenance().data(lab), lambda: Provenance().fingerprint([lab], "cpu")):
        with pytest.raises(DataError) as caught:
            ask()
        assert str(caught.value).startswith(message)


# packages that a lab imports


def test_packages_of_a_users_lab_are_in_the_fingerprint(writer: Writer):
    plain, importing = writer.lab(), writer.lab("import numpy, torch, pytest\nimport scipy.special")
    assert Provenance().fingerprint([importing], "cpu")["packages"] == SCIPY
    found = Provenance().fingerprint([importing, Sine()], "cpu")
    assert found["packages"] == SCIPY
    assert "packages" not in Provenance().fingerprint([writer.lab()], "cpu")
    assert plain.name == "user"


def test_packages_of_a_shipped_lab_are_not_in_the_fingerprint():
    assert "packages" not in Provenance().fingerprint([Sine()], "cpu")


@pytest.mark.parametrize("value", [scipy.special.softmax, (scipy.special.softmax,), {"a": [scipy.special.softmax]}])
def test_package_of_a_setting_is_in_the_fingerprint(value: Any, writer: Writer):
    lab = writer.lab()
    configured = type(lab).configure("", {}, {"x": value})
    assert Provenance().fingerprint([configured], "cpu")["packages"] == SCIPY


def test_package_of_a_setting_in_a_slot_is_found():
    before, found = (
        str(Provenance().fingerprint([Slotted(y=value)], "cpu")["packages"])
        for value in (0, sys.modules["filelock"].FileLock)  # which nothing here imports
    )
    assert f"filelock {metadata.version('filelock')}" in found
    assert "filelock" not in before


def test_precision_of_all_labs_is_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Known, "precision", lambda self, device: f"float{self.x}")
    found = Provenance().fingerprint([Known(x=64), Known(x=32), Known(x=64)], "cpu")
    assert found["precision"] == "float32, float64, matmul highest"


# identities and keys


@pytest.mark.parametrize("lasting", [False, True])
def test_key_tells_settings_apart_that_are_equal(lasting: bool):
    values = [1, 1.0, True, "1", (1,), (1.0,), 0.0, -0.0, None, float("nan"), float("inf")]
    provenance = Provenance()
    keys = [provenance.key(Known(x=value), "cpu", lasting) for value in values]
    assert len(set(keys)) == len(values)
    assert keys == [provenance.key(Known(x=value), "cpu", lasting) for value in values]


def test_key_differs_with_the_device():
    assert key(Known(), lasting=False) != key(Known(), lasting=False, device="cuda")


def test_key_depends_on_data_only_where_lasting(monkeypatch: pytest.MonkeyPatch):
    keys = []
    for digest in ("0", "1"):
        monkeypatch.setattr(Known, "data", lambda self, digest=digest: Data("a", digest))
        keys.append((key(Known()), key(Known(), lasting=False)))
    (first, passing), (second, other) = keys
    assert first != second
    assert passing == other


def test_key_depends_on_source_where_lasting(writer: Writer):
    labs = [writer.lab("y = 1"), writer.lab("y = 22")]
    assert key(labs[0], lasting=False) == key(labs[1], lasting=False)
    first = key(writer.lab("y = 1"))
    assert first == key(writer.lab("y = 1"))
    assert first != key(writer.lab("y = 22"))


def test_identity_is_of_class_and_settings():
    @dataclass(frozen=True, kw_only=True)
    class Other(Known):
        pass

    assert identity(Known()) == identity(Known(x=0)) != identity(Other())
    assert identity(Known(x=0)).startswith(f"known {__name__}.Known ")
