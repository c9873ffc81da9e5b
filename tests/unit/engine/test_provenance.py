"""Provenance: the data, files, packages and settings that results depend on, and which labs share results."""

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

from labcheck import Data, DataError, Lab, Trials
from labcheck.engine.provenance import Provenance, identity
from labcheck.labs.sine import Sine

DRAWN = Data("drawn", "0")
SCIPY = f"scipy {metadata.version('scipy')}"
MODULE = """
from dataclasses import dataclass
from typing import Any, ClassVar
IMPORTS

from labcheck import Data, Lab


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
    """A lab whose data is a setting; an exception class is raised."""

    name: ClassVar[str] = "known"

    dataset: Any = DRAWN
    x: Any = 0

    def data(self) -> Data:
        if isinstance(self.dataset, type):
            raise self.dataset("no\nluck")
        data: Data = self.dataset
        return data

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class Slotted(Known):
    y: Any = 0


@dataclass
class Writer:
    """A writer of a user's module, which is written and imported again each time."""

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


def data_of(*datasets: Any) -> Data:
    return Provenance().data_of([Known(dataset=dataset) for dataset in datasets])


def test_data_of_equal_arms_is_theirs():
    assert data_of(Data("a", "0"), Data("a", "0")) == Data("a", "0")


def test_data_of_several_arms_has_all_names():
    both = data_of(Data("b", "1"), Data("a", "0"), Data("b", "1"))
    assert both.name == "a+b"
    assert len(both.digest) == 16
    assert data_of(Data("a", "0"), Data("b", "1")) == both
    assert data_of(Data("a", "0"), Data("b", "2")).digest != both.digest


def test_data_of_one_name_has_digest_of_all():
    both = data_of(Data("a", "0"), Data("a", "1"))
    assert both.name == "a"
    assert both.digest not in ("0", "1", "")


@pytest.mark.parametrize(("count", "name"), [(3, "a+b+c"), (4, "a+3 more"), (5, "a+4 more")])
def test_data_of_many_arms_has_short_name(count: int, name: str):
    assert data_of(*(Data(letter, letter) for letter in "abcde"[:count])).name == name


def test_data_of_several_arms_has_no_digest_if_one_has_none():
    assert data_of(Data("a", "0"), Data("b", "")) == Data("a+b", "")


@pytest.mark.parametrize("stand_ins", [(False, False), (True, False), (False, True), (True, True)])
def test_data_of_several_arms_is_stand_in_if_one_is(stand_ins: tuple[bool, bool]):
    datasets = [Data(name, name, stand_in) for name, stand_in in zip("ab", stand_ins, strict=True)]
    assert data_of(*datasets).stand_in is any(stand_ins)
    assert [data_of(dataset).stand_in for dataset in datasets] == list(stand_ins)


def test_data_depends_on_settings_of_arm():
    names = [Provenance().data(Known(dataset=Data(name, name))).name for name in ("a", "b")]
    assert names == ["a", "b"]


def test_data_is_called_once_per_lab(monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []

    def data(lab: Known) -> Data:
        calls.append(repr(lab.x))
        return Data("a", "0")

    monkeypatch.setattr(Known, "data", data)
    provenance = Provenance()
    for x in (0, 0, 1, 1.0, True, 0):
        provenance.data(Known(x=x))
    assert calls == ["0", "1", "1.0", "True"]


@pytest.mark.parametrize(
    "returned",
    [None, "drawn", ("drawn",), ("drawn", 0), ("drawn", None), (1, "0"), ["drawn", "0"], ("drawn", "0", "yes")],
)
def test_data_is_refused_unless_two_strings(returned: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Known, "data", lambda self: returned)
    with pytest.raises(DataError) as caught:
        Provenance().data(Known())
    assert str(caught.value) == f"known: data() must return Data(name, digest), two strings, got {returned!r}"


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "a\nb", "a\ud800", "a:b", "-a"], ids=ascii)
def test_data_name_is_refused_unless_part_of_file_name(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Known, "data", lambda self: Data(name, "0"))
    with pytest.raises(DataError) as caught:
        Provenance().data(Known())
    assert str(caught.value).startswith("known: the name of data must consist of letters, digits, ' ', ")
    assert str(caught.value).endswith(f"got {name!a}")


@pytest.mark.parametrize("name", ["a", "größe", "my data-2_x.csv", "a+b"])
def test_data_name_is_accepted_as_part_of_file_name(name: str):
    assert Provenance().data(Known(dataset=Data(name, "0"))).name == name


@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError, "known: data() raised ValueError: no luck"), (OSError, "known: data() raised OSError: no luck")],
)
def test_data_error_is_described_in_one_line(error: type[Exception], message: str):
    with pytest.raises(DataError) as caught:
        Provenance().data(Known(dataset=error))
    assert str(caught.value) == message


def test_data_error_of_missing_data_is_raised_unchanged():
    with pytest.raises(DataError, match=r"^no\nluck$"):
        Provenance().data(Known(dataset=DataError))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_data_interrupt_is_raised_unchanged(error: type[BaseException]):
    with pytest.raises(error):
        Provenance().data(Known(dataset=error))


@pytest.mark.parametrize(("digest", "resumable"), [("0", True), ("", False)])
def test_lab_is_resumable_if_data_has_digest(digest: str, resumable: bool):
    assert Provenance().resumable(Known(dataset=Data("a", digest))) is resumable


# files and packages that a lab declares


def test_depends_on_files_changes_digest_and_key(writer: Writer):
    (writer.folder / "configs").mkdir()
    file = writer.folder / "configs" / "net.yaml"
    datasets, keys = [Provenance().data(writer.lab())], [key(writer.lab())]
    for text in ("lr: 1", "lr: 22"):
        file.write_text(text)
        lab = writer.lab(depends=["configs/*.yaml"])
        datasets.append(Provenance().data(lab))
        keys.append(key(lab))
    (file.parent / "more.yaml").write_text("")
    datasets.append(Provenance().data(lab))
    assert {data.name for data in datasets} == {"drawn"}
    assert len({data.digest for data in datasets}) == 4
    assert len(set(keys)) == 3


def test_depends_on_files_adds_no_digest_if_data_has_none(writer: Writer):
    (writer.folder / "net.yaml").write_text("")
    lab = writer.lab(depends=["net.yaml"], digest="")
    assert Provenance().data(lab) == Data("drawn", "")
    assert not Provenance().resumable(lab)


@pytest.mark.parametrize("name", ["scipy", "SciPy"])
def test_depends_on_package_is_in_fingerprint(name: str, writer: Writer):
    lab = writer.lab(depends=[name])
    assert Provenance().fingerprint([lab], "cpu")["packages"] == SCIPY
    assert Provenance().data(lab) == Data("drawn", "0")
    assert key(lab) != key(writer.lab())


@pytest.mark.parametrize(
    ("depends", "message"),
    [
        ("scipy", "user: depends: must be a sequence of strings, got 'scipy'"),
        ([1], "user: depends: each entry must be a string, got 1"),
        (["no-such.yaml"], "user: depends: 'no-such.yaml' matches no file in "),
    ],
)
def test_depends_is_refused_in_one_line(depends: Any, message: str, writer: Writer):
    lab = writer.lab(depends=depends)
    for look_up in (lambda: Provenance().data(lab), lambda: Provenance().fingerprint([lab], "cpu")):
        with pytest.raises(DataError) as caught:
            look_up()
        assert str(caught.value).startswith(message)


# packages that a lab imports


def test_fingerprint_has_packages_of_lab_of_user(writer: Writer):
    importing = writer.lab("import numpy, torch, pytest\nimport scipy.special")
    assert Provenance().fingerprint([importing], "cpu")["packages"] == SCIPY
    assert Provenance().fingerprint([importing, Sine()], "cpu")["packages"] == SCIPY
    assert "packages" not in Provenance().fingerprint([writer.lab()], "cpu")


def test_fingerprint_has_no_packages_of_shipped_lab():
    assert "packages" not in Provenance().fingerprint([Sine()], "cpu")


@pytest.mark.parametrize("value", [scipy.special.softmax, (scipy.special.softmax,), {"a": [scipy.special.softmax]}])
def test_fingerprint_has_package_of_setting(value: Any, writer: Writer):
    lab = writer.lab()
    configured = type(lab).configure("", {"x": value})
    assert Provenance().fingerprint([configured], "cpu")["packages"] == SCIPY


def test_fingerprint_has_package_of_setting_in_slot():
    before, packages = (
        str(Provenance().fingerprint([Slotted(y=value)], "cpu")["packages"])
        for value in (0, sys.modules["filelock"].FileLock)  # imported by nothing here
    )
    assert f"filelock {metadata.version('filelock')}" in packages
    assert "filelock" not in before


def test_fingerprint_has_precision_of_all_labs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Known, "precision", lambda self, device: f"float{self.x}")
    fingerprint = Provenance().fingerprint([Known(x=64), Known(x=32), Known(x=64)], "cpu")
    assert fingerprint["precision"] == "float32, float64, matmul highest"


# identities and keys


@pytest.mark.parametrize("lasting", [False, True])
def test_key_differs_for_equal_settings_of_other_types(lasting: bool):
    values = [1, 1.0, True, "1", (1,), (1.0,), 0.0, -0.0, None, float("nan"), float("inf")]
    provenance = Provenance()
    keys = [provenance.key(Known(x=value), "cpu", lasting) for value in values]
    assert len(set(keys)) == len(values)
    assert keys == [provenance.key(Known(x=value), "cpu", lasting) for value in values]


def test_key_differs_with_device():
    assert key(Known(), lasting=False) != key(Known(), lasting=False, device="cuda")


def test_key_depends_on_data_only_if_lasting(monkeypatch: pytest.MonkeyPatch):
    keys = []
    for digest in ("0", "1"):
        monkeypatch.setattr(Known, "data", lambda self, digest=digest: Data("a", digest))
        keys.append((key(Known()), key(Known(), lasting=False)))
    (lasting, passing), (other_lasting, other_passing) = keys
    assert lasting != other_lasting
    assert passing == other_passing


def test_key_depends_on_source_only_if_lasting(writer: Writer):
    labs = [writer.lab("y = 1"), writer.lab("y = 22")]
    assert key(labs[0], lasting=False) == key(labs[1], lasting=False)
    first = key(writer.lab("y = 1"))
    assert first == key(writer.lab("y = 1"))
    assert first != key(writer.lab("y = 22"))


def test_identity_consists_of_class_and_settings():
    @dataclass(frozen=True, kw_only=True)
    class Other(Known):
        pass

    assert identity(Known()) == identity(Known(x=0)) != identity(Other())
    assert identity(Known(x=0)).startswith(f"known {__name__}.Known ")


# torch


@pytest.mark.parametrize(
    ("imported", "uses"),
    [
        ("", False),
        ("import numpy, scipy", False),
        ("import sklearn", False),
        ("import torch", True),
        ("import torchvision", True),
        ("def later():\n    import torch", True),
        ("import jsonschema", True),  # unknown, so that it may import torch
    ],
)
def test_environment_contains_torch_if_lab_may_use_it(writer: Writer, imported: str, uses: bool):
    fingerprint = Provenance().fingerprint([writer.lab(imported)], "cpu")
    assert ("torch" in fingerprint) == uses
    assert ("capability" in fingerprint) == uses
