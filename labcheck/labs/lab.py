"""What a lab is: settings, data and a function that trains. Imports no torch."""

import dataclasses
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Self

from labcheck.metrics import Trials

Settings = Mapping[str, Any]


class Data(NamedTuple):
    """What a lab trains on: its name, and a digest that changes when it does."""

    name: str
    digest: str


class Grade(StrEnum):
    """How the value of a setting is known, from the surest grade to the least sure."""

    STATED = "stated"  # by the report
    SCRIPT = "script"  # read in the report's own script, or in the course's, where these are public
    NUMBERS = "numbers"  # computed: the printed numbers fit it and refute the alternatives
    LIKELY = "likely"  # the best joint explanation; alternatives stay open
    OPEN = "open"  # nothing tells; the default is an assumption


@dataclass(frozen=True)
class Evidence:
    """Where the default of a setting comes from that the report does not state.

    Attributes:
        grade: how surely it is known, a value of Grade.
        reason: the source of the value, or why it was chosen.
        alternatives: other values that a reader would accept; only `likely` and `open` settings have any.
    """

    grade: str
    reason: str
    alternatives: tuple[Any, ...] = ()


def known(default: Any, grade: str, reason: str) -> Any:
    """Declare a setting that the report does not state, but its script or its printed numbers do.

    Args:
        grade: "script" or "numbers".
        reason: what was read or computed.

    Raises:
        ValueError: another grade.
    """
    if grade not in (Grade.SCRIPT, Grade.NUMBERS):
        raise ValueError(f"a known setting has the grade script or numbers, not {grade!r}: use assumed for others")
    return dataclasses.field(default=default, metadata={"evidence": Evidence(str(Grade(grade)), reason)})


def assumed(default: Any, reason: str, *alternatives: Any, grade: str = Grade.OPEN) -> Any:
    """Declare a setting that the report leaves open: the most plausible value, the reason, and other plausible values.

    Args:
        grade: "open", or "likely" where the value explains the printed numbers best.

    Raises:
        ValueError: another grade, or an alternative that is the default.
    """
    if grade not in (Grade.LIKELY, Grade.OPEN):
        raise ValueError(f"an assumed setting has the grade likely or open, not {grade!r}: use known for others")
    if any(other == default and type(other) is type(default) for other in alternatives):
        raise ValueError(f"{default!r} is the default, and cannot be an alternative to itself")
    return dataclasses.field(default=default, metadata={"evidence": Evidence(str(Grade(grade)), reason, alternatives)})


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Kind(NamedTuple):
    """A type of settings: what its values are called, which fit, and how they are read from a command line."""

    told: str
    fits: Callable[[Any], bool]
    read: Callable[[str], Any]


KINDS: dict[Any, Kind] = {
    bool: Kind(
        "true or false",
        lambda value: isinstance(value, bool),
        lambda text: {"true": True, "false": False}[text.lower()],
    ),
    int: Kind("a whole number", _whole, int),
    float: Kind("a number", lambda value: isinstance(value, float) or _whole(value), float),
    str: Kind("a word", lambda value: isinstance(value, str), str),
    tuple[int, ...]: Kind(
        "a tuple of whole numbers, 32-32 on a command line",
        lambda value: isinstance(value, tuple) and all(map(_whole, value)),
        lambda text: tuple(map(int, text.split("-"))),
    ),
    tuple[float, ...]: Kind(
        "a tuple of numbers, 0.2-0.5 on a command line",
        lambda value: isinstance(value, tuple) and all(isinstance(part, float) or _whole(part) for part in value),
        lambda text: tuple(map(float, text.split("-"))),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Lab(ABC):
    """One experiment of a report. Subclasses are frozen dataclasses of settings with a `train` method.

    Attributes:
        name: the first half of its claims' ids.
        scales: the settings that a scale changes.
        units: of what is measured, by the last word of a metric's or a curve's name; none where it is a plain number.
    """

    name: ClassVar[str]
    scales: ClassVar[Mapping[str, Settings]] = {}
    units: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        """Refuse values of another type than their setting's.

        Raises:
            ValueError: naming the setting and what it is.
        """
        for name, kind in typing.get_type_hints(type(self)).items():
            if kind in KINDS and not KINDS[kind].fits(getattr(self, name)):
                raise ValueError(f"{self.name}.{name} is {KINDS[kind].told}, not {getattr(self, name)!r}")

    @property
    def stack(self) -> int:
        """How many seeds train side by side: settings alone decide, so that they alone decide a seed's result."""
        return 20

    def precision(self, device: str) -> str:
        """What `train` computes with there, as far as that is the lab's choice."""
        return "float32"

    @abstractmethod
    def data(self) -> Data:
        """The data that `train` uses.

        Raises:
            DataError: it is not there, or not what it should be.
        """

    @abstractmethod
    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        """Train one model with each seed."""

    def brief(self) -> Self:
        """The same with a shorter training; of two labs, their costs keep the ratio that the whole trainings have."""
        return self

    def graph(self) -> tuple[Any, Any] | None:
        """A torch module and an input for it, from which TensorBoard draws the model; None where there is none."""
        return None

    @classmethod
    def configure(cls, scale: str, overrides: Settings, arm: Settings, source: str = "embedded") -> Self:
        """The lab of an arm: what the arm says goes before what is overridden, and that before what the scale says.

        A lab that has the setting `source` takes its data from there.

        Raises:
            ValueError: no such setting, or a value that it cannot have.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        chosen = {"source": source} if "source" in names else {}
        settings = {**chosen, **cls.scales.get(scale, {}), **overrides, **arm}
        unknown = sorted(settings.keys() - set(names))
        if unknown:
            raise ValueError(f"{cls.name} has no setting {unknown[0]!r}; it has {', '.join(names)}")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})

    @classmethod
    def evidence(cls) -> dict[str, Evidence]:
        """The evidence for every setting that the report does not state, by name."""
        return {
            field.name: field.metadata["evidence"] for field in dataclasses.fields(cls) if "evidence" in field.metadata
        }

    @classmethod
    def parse(cls, name: str, text: str) -> Any:
        """Parse the value of a setting from a command line.

        Raises:
            ValueError: the report states this setting, or the value is not of its type.
        """
        if name not in cls.evidence():
            raise ValueError(
                f"{cls.name} has no setting {name!r} that its report leaves unstated; those are "
                f"{', '.join(cls.evidence())}"
            )
        kind = typing.get_type_hints(cls)[name]
        if kind not in KINDS:
            raise ValueError(f"{cls.name}.{name} cannot be given on a command line")
        try:
            return KINDS[kind].read(text)
        except (KeyError, ValueError):
            raise ValueError(f"{cls.name}.{name} is {KINDS[kind].told}, not {text!r}") from None

    def check(self, setting: str, allowed: typing.Iterable[str]) -> None:
        """Refuse a word that is not one of those allowed.

        Raises:
            ValueError: naming the setting and the words.
        """
        value, allowed = getattr(self, setting), list(allowed)
        if value not in allowed:
            raise ValueError(f"{self.name}.{setting} is one of {', '.join(allowed)}, not {value!r}")

    def at_least(self, least: float, *settings: str) -> None:
        """Refuse a number that is too small, or several if one is.

        Raises:
            ValueError: naming the setting and the least that it can be.
        """
        for setting in settings:
            value = getattr(self, setting)
            if not all(number >= least for number in (value if isinstance(value, tuple) else [value])):
                raise ValueError(f"{self.name}.{setting} is at least {least:g}, not {value!r}")
