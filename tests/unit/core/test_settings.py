"""Settings: values that can be written and read back, and values that are refused in one line."""

import copy
import dataclasses
import datetime
import functools
import json
import math
import operator
import pickle
import re
import types
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import pytest
import torch

from labcheck import Data, Lab, Trials, freeze
from labcheck.core import settings
from labcheck.engine import provenance

HERE = __name__


class Color(Enum):
    RED = 1


class Access(Flag):
    READ = 1
    WRITE = 2


class Activation(StrEnum):
    TANH = "tanh"


class Level(IntEnum):
    LOW = 1


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass(frozen=True)
class Sgd:
    lr: Any = 0.1
    log: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Adam:
    lr: Any = 0.1


@dataclass
class Mutable:
    lr: float = 0.1


class Shape(settings.Described):
    def describe(self) -> str:
        return "a shape"


def square(x: Any) -> Any:
    return x * x


@functools.cache
def cached(x: Any) -> Any:
    return x


class Net:
    @staticmethod
    def build() -> None: ...

    def method(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Flexible(Lab):
    """A lab with one setting of any type."""

    name: ClassVar[str] = "any"

    x: Any = 0

    def data(self) -> Data:
        return Data("none", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        raise NotImplementedError


def configure(value: Any) -> Lab:
    return Flexible.configure("", {"x": value})


def make_local_function() -> Any:
    def function() -> None: ...

    return function


WRITTEN: dict[str, tuple[Any, Any]] = {
    "none": (None, None),
    "true": (True, True),
    "int": (1, 1),
    "float": (1.0, 1.0),
    "large int": (2**70, 2**70),
    "minus zero": (-0.0, -0.0),
    "nan": (math.nan, "nan"),
    "inf": (-math.inf, "-inf"),
    "string": ("größe", "größe"),
    "np.float64": (np.logspace(-3, -1, 3)[0], 0.001),
    "np.float32": (np.float32(0.5), 0.5),
    "np.float16 nan": (np.float16("nan"), "nan"),
    "np.int64": (np.int64(3), 3),
    "np.uint8": (np.uint8(3), 3),
    "np.bool": (np.True_, True),
    "np.str": (np.str_("x"), "x"),
    "list": ([1, 2], [1, 2]),
    "nested lists": ([[1, [np.int64(2)]], 3], [[1, [2]], 3]),
    "tuple": ((1, 2.0), [1, 2.0]),
    "named tuple": (Pair([1], np.float64(2)), {f"{HERE}.Pair": {"a": [1], "b": 2.0}}),
    "set": ({3, 1, 2}, [1, 2, 3]),
    "mixed set": ({"a", (1, 2)}, [[1, 2], "a"]),
    "dict": ({"b": 1, "a": [np.int64(2)]}, {"a": [2], "b": 1}),
    "nested dicts": ({"a": {"b": {"c": [1]}}}, {"a": {"b": {"c": [1]}}}),
    "ordered dict": (OrderedDict(a=1), {"a": 1}),
    "dict proxy": (types.MappingProxyType({"a": [1]}), {"a": [1]}),
    "path": (Path("a") / "b", "a/b"),
    "Windows path": (PureWindowsPath("a\\b"), "a/b"),
    "enum": (Color.RED, f"{HERE}.Color.RED"),
    "flags": (Access.READ | Access.WRITE, f"{HERE}.Access.READ|WRITE"),
    "string enum": (Activation.TANH, "tanh"),
    "int enum": (Level.LOW, 1),
    "dataclass": (Sgd(0.5, log=object()), {f"{HERE}.Sgd": {"lr": 0.5}}),
    "dataclasses in list": ([Sgd(), Adam()], [{f"{HERE}.Sgd": {"lr": 0.1}}, {f"{HERE}.Adam": {"lr": 0.1}}]),
    "described": (Shape(), "a shape"),
    "function": (square, f"{HERE}.square"),
    "decorated function": (cached, f"{HERE}.cached"),
    "static method": (Net.build, f"{HERE}.Net.build"),
    "class": (Net, f"{HERE}.Net"),
    "type": (int, "builtins.int"),
    "dataclass type": (Sgd, f"{HERE}.Sgd"),
    "built-in function": (math.sin, "math.sin"),
    "torch function": (torch.nn.functional.relu, "torch.nn.functional.relu"),
    "torch module": (torch.nn.ReLU, "torch.nn.modules.activation.ReLU"),
    "NumPy function": (np.tanh, "numpy.tanh"),
}


@pytest.mark.parametrize(("value", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_setting_is_written_as_json(value: Any, expected: Any):
    lab = configure(value)
    (written,) = lab.plain().values()
    assert repr(written) == repr(expected)
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert hash(lab) == hash(configure(value)) or value != value


REFUSED: dict[str, tuple[Any, str]] = {
    "complex": (1j, "1j cannot be written and read back; use numbers, strings, "),
    "bytes": (b"x", "b'x' cannot be written and read back; use numbers, strings, "),
    "np.bytes": (np.bytes_(b"x"), "np.bytes_(b'x') cannot be written"),
    "np.datetime64": (np.datetime64("2020-01-01", "ns"), "np.datetime64('2020-01-01T00:00:00.000000000') cannot be "),
    "np.longdouble": (np.longdouble("0.5"), "np.longdouble('0.5') cannot be written"),
    "np.clongdouble": (np.clongdouble(1), "np.clongdouble('1+0j') cannot be written"),
    "date": (datetime.date(2020, 1, 1), "datetime.date(2020, 1, 1) cannot be written"),
    "decimal": (Decimal("0.1"), "Decimal('0.1') cannot be written"),
    "fraction": (Fraction(1, 3), "Fraction(1, 3) cannot be written"),
    "range": (range(3), "range(0, 3) cannot be written"),
    "deque": (deque([1]), "deque([1]) cannot be written"),
    "array": (np.arange(2), "array([0, 1]) cannot be written and read back; use a tuple of numbers"),
    "two-dimensional array": (np.zeros((3, 2)), "array([[0., 0.], [0., 0.], [0., 0.]]) cannot be written"),
    "tensor": (torch.zeros(2), "tensor([0., 0.]) cannot be written"),
    "torch dtype": (torch.float32, "torch.float32 cannot be written and read back; use numbers, strings, "),
    "torch device": (torch.device("cpu"), "device(type='cpu') cannot be written"),
    "NumPy dtype": (np.dtype("f4"), "dtype('float32') cannot be written"),
    "lambda": (lambda: 0, "function cannot be written and read back; use a function that a module defines under "),
    "local function": (make_local_function(), "function cannot be written and read back; use a function that "),
    "method": (Net().method, "method cannot be written and read back; use a function that a module defines"),
    "partial": (functools.partial(square, 1), "partial cannot be written and read back; use a function that "),
    "getter": (operator.itemgetter(1), "operator.itemgetter(1) cannot be written and read back; use a function "),
    "object": (Net(), "Net cannot be written and read back; use numbers, strings, booleans, "),
    "object in list": ([1, [Net()]], "Net cannot be written and read back; use numbers, "),
    "object in dict": ({"a": {"b": Net()}}, "Net cannot be written and read back; use numbers, "),
    "object in dataclass": (Sgd(Net()), "Net cannot be written and read back; use numbers, "),
    "mutable dataclass": (Mutable(), "Mutable(lr=0.1) is mutable; use a dataclass with frozen=True"),
    "mutable dataclass in dataclass": (Sgd(Mutable()), "Mutable(lr=0.1) is mutable; use a dataclass with frozen=True"),
    "integer keys": ({0: 0.1}, "the keys of a dict must be strings, got 0; use a tuple of pairs"),
    "surrogate": ("\ud800", r"'\ud800' cannot be encoded as UTF-8; use another string"),
    "surrogate in key": ({"\ud800": 1}, r"'\ud800' cannot be encoded as UTF-8; use another string"),
    "surrogate in path": (Path("\ud800"), r"'\ud800' cannot be encoded as UTF-8; use another string"),
    "too many digits": (10**5000, "Exceeds the limit (4300 digits)"),
}


@pytest.mark.parametrize("value", [[1], {"a": [1]}, {1}, np.float64(1), Adam({"a": {"b": 1}})], ids=repr)
def test_fields_of_frozen_dataclass_are_frozen(value: Any):
    given = Sgd(value)
    one, other = (cast(Any, configure(setting)).x for setting in (given, Sgd(value)))
    assert hash(one) == hash(other)
    assert settings.plain(one) == settings.plain(settings.freeze(given))
    assert given == Sgd(value)
    assert isinstance(one.lr, type(settings.freeze(value)))


@pytest.mark.parametrize(("value", "message"), REFUSED.values(), ids=REFUSED)
def test_setting_is_refused_in_line_that_names_it(value: Any, message: str):
    with pytest.raises(ValueError, match=rf"^any\.x: {re.escape(message)}") as caught:
        configure(value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


EQUAL = [1, 1.0, True, Pair(1, 2), -0.0, 0.0, False, "1", "true", None, "None"]


def test_identity_differs_for_equal_settings_of_other_types():
    values = [
        *EQUAL,
        *([value] for value in EQUAL),
        *({"a": value} for value in EQUAL),
        Sgd(),
        Adam(),
        Sgd(1),
        Sgd(1.0),
    ]
    assert len({provenance.identity(configure(value)) for value in values}) == len(values)


def test_identity_differs_for_enumerations_of_two_modules():
    make_enumeration: Any = Enum
    other = make_enumeration("Color", ["RED"], module="elsewhere")
    assert provenance.identity(configure(other["RED"])) != provenance.identity(configure(Color.RED))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.True_, True),
        (np.str_("x"), "x"),
        ([np.int64(1), [2]], (1, (2,))),
        (Pair([1], 2), Pair((1,), 2)),
        ({1, 2}, frozenset({1, 2})),
        ({"a": [1]}, {"a": (1,)}),
        (PurePosixPath("a"), PurePosixPath("a")),
    ],
)
def test_freeze_returns_immutable_values_of_python(value: Any, expected: Any):
    frozen = freeze(value)
    assert frozen == expected
    assert type(frozen) is (settings.FrozenDict if isinstance(expected, dict) else type(expected))
    assert freeze(frozen) == frozen


def test_freeze_returns_other_objects_unchanged():
    for value in (Mutable(), np.arange(2), np.datetime64("2020", "ns"), square, 1j):
        assert freeze(value) is value


@pytest.mark.parametrize(
    "values", [[0.5, np.float64(0.5)], [(1, 2), [1, 2], [np.int64(1), 2]], [{"a": [1]}, {"a": (1,)}]]
)
def test_setting_is_equal_as_list_tuple_or_array_scalar(values: list[Any]):
    labs = [configure(value) for value in values]
    assert len(set(labs)) == len({provenance.identity(lab) for lab in labs}) == 1


CHANGES = {
    "set": lambda value: value.__setitem__("a", 2),
    "delete": lambda value: value.__delitem__("a"),
    "update": lambda value: value.update(a=2),
    "or": lambda value: operator.ior(value, {"a": 2}),
    "pop": lambda value: value.pop("a"),
    "clear": lambda value: value.clear(),
    "default": lambda value: value.setdefault("b", 2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_frozen_dict_is_immutable(change: Any):
    value = freeze({"a": 1})
    with pytest.raises(TypeError, match=r"^settings are immutable: copy the dict first$"):
        change(value)
    assert value == {"a": 1}


def test_frozen_dict_is_dict():
    value = freeze({"a": 1, "b": {"c": [2]}})
    assert value == {"a": 1, "b": {"c": (2,)}}
    assert {**value, "a": 2} == value | {"a": 2} == {"a": 2, "b": {"c": (2,)}}
    for copied in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert (copied, type(copied), hash(copied)) == (value, settings.FrozenDict, hash(value))
    assert hash(freeze({"b": 2, "a": 1})) == hash(freeze({"a": 1, "b": 2}))


@pytest.mark.parametrize(
    ("value", "modules"),
    [
        (1, []),
        ("text", []),
        (square, [HERE]),
        ([math.sin, {"a": torch.nn.ReLU}], ["math", "torch.nn.modules.activation"]),
        (Color.RED, [HERE]),
        (Shape(), [HERE]),
        (Sgd(), [HERE]),
        (Sgd((math.sin, Adam(np.tanh))), [HERE, "math", HERE, "numpy"]),
        (Sgd(log=math.sin), [HERE]),
    ],
)
def test_modules_yields_modules_of_functions_and_classes(value: Any, modules: list[str]):
    assert list(settings.modules(value)) == modules


def test_setting_is_equal_in_replaced_lab():
    lab = configure({"a": [1, np.float64(2)]})
    assert dataclasses.replace(lab) == lab
    assert lab.plain() == {"x": {"a": [1, 2.0]}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        (float("inf"), "inf"),
        ("a/b", Path("a/b")),
        ((1, 2), frozenset({1, 2})),
        ((1, 2), Pair(1, 2)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (f"{HERE}.Color.RED", Color.RED),
        (f"{HERE}.square", square),
    ],
)
def test_identity_differs_where_trainer_could_see_difference(one: Any, other: Any):
    identities = {settings.identity(freeze(value)) for value in (one, other)}
    assert len(identities) == 2
    assert settings.identity(freeze(one)) in identities


def test_identity_of_set_does_not_depend_on_order():
    assert settings.identity(frozenset("abc")) == settings.identity(frozenset("cba"))
