"""Functions as labs: `lab`, a decorator that makes a lab of a function that trains."""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass
from types import FunctionType
from typing import Any, ClassVar

from labcheck.core import settings
from labcheck.core.lab import Data, Lab, Settings

DEVICE = "device"
"""The parameter of a function that is no setting: it receives the device on which to train."""
RESERVED = {name for name in dir(Lab) if not name.startswith("_")} | {"name", "function"}
"""Names that no setting can have, since labs use them."""
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
SEED_NAMES = ("seed", "seeds", "random_state", "random_seed", "rng_seed")
"""Names of parameters that are evidently a seed."""
POSITIONAL = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


@dataclass(frozen=True, kw_only=True)
class TrainerLab(Lab):
    """A lab that calls a function; see `lab`.

    Attributes:
        function: The function.
        source: Its data.
        seeds_per_call: The number of seeds that it trains at a time; None for one, which it receives as a number.
        takes_device: Whether it has a parameter for the device.
    """

    function: ClassVar[Callable[..., Any]]
    source: ClassVar[Data]
    seeds_per_call: ClassVar[int | None]
    takes_device: ClassVar[bool]

    def stack(self, device: str) -> int:
        """Return the number of seeds that the function trains at a time."""
        return self.seeds_per_call or 1

    def precision(self, device: str) -> str:
        """Return a placeholder, since the arithmetic of the function is unknown."""
        return "as in the function"

    def data(self) -> Data:
        """Return the declared data."""
        return self.source

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Any:
        """Call the function, and return what it returns."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if self.takes_device:
            values[DEVICE] = device
        return type(self).function(seeds[0] if self.seeds_per_call is None else list(seeds), **values)


def lab(
    name: str,
    *,
    data: str | Data = "generated",
    stack: int | None = None,
    scales: Mapping[str, Settings] | None = None,
    units: Mapping[str, str] | None = None,
    depends: Sequence[str] = (),
    diverged: type[Exception] | Collection[type[Exception]] = (),
) -> Callable[[Any], Any]:
    """Return a decorator that makes a lab of a function, so that it can be the `lab` of a claim.

    The function receives a seed, and the settings of an arm by their names: all its other parameters, with their
    defaults. A default can be declared with `assumed` or `known`. If it has a parameter `device`, it receives the
    device on which to train. It returns a dict of results by name: numbers become metrics, sequences curves, and arrays
    with more axes tables. A generator yields such a dict after each epoch, whose numbers become curves, and may return
    the others at its end.

    It remains a function, which can be called as before.

    Args:
        name: The first half of the ids of its claims.
        data: The name of the data, if the function's code, the packages that it imports and the files in `depends`
            determine it; otherwise also a digest.
        stack: The number of seeds that the function trains at a time. It then receives a list of seeds, and returns an
            array with a row for each of them. None for one seed, which it receives as a number.
        scales: The settings that differ at a scale, such as {"quick": {"epochs": 3}}.
        units: The unit of each metric and curve, by its name or by a word of it.
        depends: What results depend on besides imported code: names of installed packages, and globs of files relative
            to the folder of the function's module.
        diverged: The exceptions by which the function reports that a seed diverged. Such a seed has no finite number.

    Raises:
        TypeError: The decorated object is not a function with a seed and named settings, or `data` or `diverged` has
            the wrong type.
        ValueError: A setting has the name of an attribute of labs, or a default that cannot be stored.
    """
    if not isinstance(name, str):
        raise TypeError(f'@lab needs a name and parentheses, such as @lab("digits"), got {settings.shown(name)}')
    if not isinstance(data, str | Data):
        raise TypeError(f"@lab({name!r}): data must be the name of the data, a string, got {settings.shown(data)}")
    source = data if isinstance(data, Data) else Data(data, data)
    kinds = tuple(diverged) if isinstance(diverged, list | tuple | set | frozenset) else (diverged,)
    if odd := [kind for kind in kinds if not (isinstance(kind, type) and issubclass(kind, Exception))]:
        raise TypeError(
            f"@lab({name!r}): diverged must be an exception class, such as FloatingPointError, or several in a tuple, "
            f"got {settings.shown(odd[0])}"
        )

    def decorate(function: Any) -> Any:
        if not isinstance(function, FunctionType):
            raise TypeError(f"@lab({name!r}) must decorate a function, got {settings.shown(function)}")
        parameters = _settings(function)
        attributes = {
            "name": name,
            "scales": scales or {},
            "units": units or {},
            "depends": depends,
            "diverged": kinds,
            "function": staticmethod(function),
            "source": source,
            "seeds_per_call": stack,
            "takes_device": DEVICE in inspect.signature(function).parameters,
            "__doc__": function.__doc__,
            "__module__": function.__module__,
        }
        made = dataclasses.make_dataclass(
            function.__name__, _fields(function, parameters), bases=(TrainerLab,), namespace=attributes,
            frozen=True, kw_only=True,
        )  # fmt: skip
        made.__qualname__ = f"{function.__qualname__}.lab"
        _set_defaults(function, parameters)
        function.lab = made  # type: ignore[attr-defined]
        return function

    return decorate


def _settings(function: FunctionType) -> list[inspect.Parameter]:
    """Return the parameters of a function that are settings.

    Raises:
        TypeError: It has no parameter for the seed, or parameters without a name.
        ValueError: A setting has a name that labs use.
    """
    parameters = list(inspect.signature(function).parameters.values())
    if not _starts_with_seed(parameters):
        raise TypeError(
            f"{function.__qualname__} must have the seed as its first parameter, such as def train(seed, *, lr=0.1), "
            f"got def {function.__name__}({', '.join(parameter.name for parameter in parameters)})"
        )
    parameters = [parameter for parameter in parameters[1:] if parameter.name != DEVICE]
    for parameter in parameters:
        if parameter.kind not in NAMED:
            raise TypeError(f"{function.__qualname__} must name each setting, got the parameter {parameter}")
        if parameter.name in RESERVED or parameter.name.startswith("_"):
            raise ValueError(
                f"{function.__qualname__}: a setting must not have the name '{parameter.name}', which labs use; rename "
                "the parameter"
            )
    return parameters


def _starts_with_seed(parameters: Sequence[inspect.Parameter]) -> bool:
    """Return whether the first parameter may be a seed, which has no default unless it has the name of a seed."""
    if not parameters or parameters[0].kind not in POSITIONAL or parameters[0].name == DEVICE:
        return False
    if parameters[0].name in SEED_NAMES:
        return True
    has_default = parameters[0].default is not inspect.Parameter.empty
    return not has_default and not any(parameter.name in SEED_NAMES for parameter in parameters)


def _fields(function: FunctionType, parameters: Iterable[inspect.Parameter]) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, type and dataclass field of each setting."""
    for parameter in parameters:
        default, annotation = parameter.default, parameter.annotation
        if annotation is inspect.Parameter.empty or _default(parameter) is None:
            annotation = Any
        if default is inspect.Parameter.empty:
            yield parameter.name, annotation, dataclasses.field()
            continue
        metadata = default.metadata if isinstance(default, Field) else {}
        value = settings.freeze(_default(parameter))
        try:
            settings.plain(value)
            settings.require_hashable(value)
        except ValueError as error:
            raise ValueError(f"{function.__qualname__}: the default of '{parameter.name}': {error}") from None
        yield parameter.name, annotation, dataclasses.field(default=value, metadata=metadata)


def _default(parameter: inspect.Parameter) -> Any:
    """Return the default of a parameter, also if it is declared with `assumed` or `known`."""
    return parameter.default.default if isinstance(parameter.default, Field) else parameter.default


def _set_defaults(function: FunctionType, parameters: Iterable[inspect.Parameter]) -> None:
    """Replace declarations by the values that they declare, so that the function can be called without a lab."""
    values = {parameter.name: _default(parameter) for parameter in parameters}
    if function.__kwdefaults__:
        function.__kwdefaults__ |= {name: values[name] for name in function.__kwdefaults__.keys() & values.keys()}
    if function.__defaults__:
        positional = inspect.getfullargspec(function).args[-len(function.__defaults__) :]
        pairs = zip(positional, function.__defaults__, strict=True)
        function.__defaults__ = tuple(values.get(name, default) for name, default in pairs)
