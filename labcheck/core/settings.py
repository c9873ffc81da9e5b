"""Settings: values that can be written, read back and compared."""

import copy
import dataclasses
import sys
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

LONGEST = 60
"""The number of characters up to which a message shows the whole value."""


class SettingType(NamedTuple):
    """A type of settings.

    Attributes:
        description: A noun phrase for error messages.
        accepts: A function that returns whether a value has this type.
        parse: A function that parses a value from a command line, and raises KeyError or ValueError.
    """

    description: str
    accepts: Callable[[Any], bool]
    parse: Callable[[str], Any]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TYPES: dict[Any, SettingType] = {
    bool: SettingType(
        "true or false",
        lambda value: isinstance(value, bool),
        lambda text: {"true": True, "false": False}[text.lower()],
    ),
    int: SettingType("a whole number", _whole, int),
    float: SettingType("a number", lambda value: isinstance(value, float) or _whole(value), float),
    str: SettingType("a word", lambda value: isinstance(value, str), str),
    tuple[int, ...]: SettingType(
        "a tuple of whole numbers, 32-32 on a command line",
        lambda value: isinstance(value, tuple) and all(map(_whole, value)),
        lambda text: tuple(map(int, text.split("-"))),
    ),
    tuple[float, ...]: SettingType(
        "a tuple of numbers, 0.2-0.5 on a command line",
        lambda value: isinstance(value, tuple) and all(isinstance(part, float) or _whole(part) for part in value),
        lambda text: tuple(map(float, text.split("-"))),
    ),
}


class Described(ABC):
    """An object that can be a setting because it describes itself; equal objects must have equal descriptions."""

    @abstractmethod
    def describe(self) -> str:
        """Return the text that represents this object in files and on pages."""


class FrozenDict(dict[str, Any]):
    """An immutable, hashable dict."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("settings are immutable: copy the dict first")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse


def freeze(value: Any) -> Any:
    """Return an immutable copy of a setting: NumPy scalars become Python's, lists tuples, dicts and sets frozen ones.

    So do those in the fields of a frozen dataclass. Any other value is returned unchanged.
    """
    if isinstance(value, np.generic):
        return _item(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(freeze, value))
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    if isinstance(value, set | frozenset):
        return frozenset(map(freeze, value))
    if isinstance(value, dict | types.MappingProxyType):
        return FrozenDict({freeze(key): freeze(part) for key, part in value.items()})
    if _is_immutable_dataclass(value):
        return _frozen_fields(value)
    return value


def _is_immutable_dataclass(value: Any) -> bool:
    options = None if isinstance(value, type) else getattr(value, "__dataclass_params__", None)
    return options is not None and bool(options.frozen and options.eq)


def _frozen_fields(value: Any) -> Any:
    """Return a copy of a dataclass whose fields are frozen."""
    frozen = copy.copy(value)
    for name, part in _compared(value).items():
        object.__setattr__(frozen, name, freeze(part))  # as the dataclass itself does in __init__
    return frozen


def plain(value: Any) -> Any:
    """Return a setting as a JSON value, which is the same for equal settings in any process.

    A function or class is written as module and name, a member of an enumeration as type and name, a path as a string,
    a dataclass as type and fields, a non-finite number as a string.

    Raises:
        ValueError: The value cannot be written and read back; the message names an alternative.
    """
    if isinstance(value, np.generic):
        value = _item(value)
    if isinstance(value, Enum) and not isinstance(value, int | float | str):
        return f"{_type(value)}.{value.name}"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(str(int(value)))  # raises if there are too many digits for a file
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else str(float(value))
    if isinstance(value, str):
        return _encodable(str(value))
    if isinstance(value, PurePath):
        return _encodable(value.as_posix())
    if isinstance(value, Described):
        return value.describe()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {_type(value): {name: plain(part) for name, part in _compared(value).items()}}
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise ValueError(f"the keys of a dict must be strings, got {odd[0]!r}; use a tuple of pairs")
        return {_encodable(key): plain(value[key]) for key in sorted(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {_type(value): plain(value._asdict())}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(part) for part in value), key=lambda part: (type(part).__name__, str(part)))
    if is_named(value):
        return f"{value.__module__}.{value.__qualname__}"
    raise ValueError(f"{shown(value)} cannot be written and read back; {_advice(value)}")


def identity(value: Any) -> str:
    """Return a text that is equal for two settings only if they are indistinguishable to a trainer.

    Unlike `plain`, it includes types and the order of dicts.
    """
    kind = _type(value)
    if isinstance(value, Mapping):
        return f"{kind}({', '.join(f'{key!a}: {identity(part)}' for key, part in value.items())})"
    if isinstance(value, set | frozenset):
        return f"{kind}({', '.join(sorted(map(identity, value)))})"
    if isinstance(value, tuple | list):
        return f"{kind}({', '.join(map(identity, value))})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"{kind}({identity(_compared(value))})"
    return f"{kind}({plain(value)!a})"


def modules(value: Any) -> Iterator[str]:
    """Yield the modules whose source a setting depends on: those of functions, of classes and of their instances."""
    if is_named(value):
        yield value.__module__
        return
    if type(value).__module__ != "builtins":
        yield type(value).__module__
    if isinstance(value, Mapping):
        value = tuple(value.values())
    elif dataclasses.is_dataclass(value):
        value = tuple(_compared(value).values())
    if isinstance(value, tuple | list | set | frozenset):
        for part in value:
            yield from modules(part)


def require_hashable(value: Any) -> None:
    """Check that a value is immutable.

    Raises:
        ValueError: The value has no hash; the message names an alternative.
    """
    try:
        hash(value)
    except TypeError:
        if dataclasses.is_dataclass(value) and isinstance(value, Hashable):  # a field is mutable
            for part in _compared(value).values():
                require_hashable(part)
        raise ValueError(f"{shown(value)} is mutable; {_advice(value)}") from None


def is_named(value: Any) -> bool:
    """Return whether this is a function or class that its module defines under its own name."""
    module, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not (callable(value) and isinstance(module, str) and isinstance(qualname, str)):
        return False
    attribute: Any = sys.modules.get(module)
    for name in qualname.split("."):
        attribute = getattr(attribute, name, None)
    return attribute is value


def _item(value: np.generic) -> Any:
    """Return a NumPy number or string as Python's; any other scalar, such as a date, unchanged."""
    return value.item() if value.dtype.kind in "biufU" else value


def _type(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _compared(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that take part in comparisons."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.compare}


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!a} cannot be encoded as UTF-8; use another string") from None
    return text


def shown(value: Any) -> str:
    """Return a short representation of a value for a message, in one line and without a memory address."""
    text = " ".join(ascii(value).split())
    if " at 0x" in text:
        return type(value).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _advice(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "use a tuple of numbers"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "use a dataclass with frozen=True"
    if isinstance(value, list | dict | set):
        return "use a tuple, or labcheck.freeze"
    if callable(value):
        return "use a function that a module defines under its own name, or a string that names it"
    return "use numbers, strings, booleans, tuples and dicts of them, paths, enumerations or frozen dataclasses"
