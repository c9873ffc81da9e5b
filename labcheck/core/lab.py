"""What a lab is: settings, data and a function that trains. Imports no torch."""

import dataclasses
import inspect
import re
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Self

from labcheck.core import settings
from labcheck.core.metrics import Trials

Settings = Mapping[str, Any]
NAME = re.compile(r"\w[\w.-]*")


def _by_name(value: Any, kind: type) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(part, kind) for key, part in value.items()
    )


def _all_exceptions(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(kind, type) and issubclass(kind, Exception) for kind in value)


ATTRIBUTES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "scales": (lambda value: _by_name(value, Mapping), 'settings by scale, such as {"quick": {"epochs": 3}}'),
    "units": (lambda value: _by_name(value, str), "texts by name"),
    "diverged": (_all_exceptions, "a tuple of exception classes"),
}
"""What the attributes of a lab class must be."""


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
    return _declared(default, Evidence(str(Grade(grade)), reason))


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
    return _declared(default, Evidence(str(Grade(grade)), reason, alternatives))


def _declared(default: Any, evidence: Evidence) -> Any:
    if not isinstance(evidence.reason, str):
        raise ValueError(f"the reason for a setting must be a text, got {settings.shown(evidence.reason)}")
    return dataclasses.field(default=default, metadata={"evidence": evidence})


@dataclass(frozen=True, kw_only=True)
class Lab(ABC):
    """One experiment of a report. Subclasses are frozen dataclasses of settings with a `train` method.

    Attributes:
        name: the first half of its claims' ids.
        scales: the settings that a scale changes.
        units: of what is measured, by the last word of a metric's or a curve's name; none where it is a plain number.
        depends: what else results depend on and imports do not show: names of installed packages, and globs of files
            relative to the module's folder, such as "configs/*.yaml".
        diverged: exceptions by which `train` says that a seed has diverged; such a seed has no finite number.
    """

    name: ClassVar[str]
    scales: ClassVar[Mapping[str, Settings]] = {}
    units: ClassVar[Mapping[str, str]] = {}
    depends: ClassVar[Sequence[str]] = ()
    diverged: ClassVar[tuple[type[Exception], ...]] = ()

    def __post_init__(self) -> None:
        """Freeze the settings, and refuse values of another type than their setting's.

        Raises:
            ValueError: the message names the setting and its type.
        """
        for field in dataclasses.fields(self):
            if field.compare:
                object.__setattr__(self, field.name, settings.freeze(getattr(self, field.name)))
        for name, annotation in self._annotations().items():
            kind = settings.TYPES.get(annotation) if isinstance(annotation, typing.Hashable) else None
            if kind and not kind.accepts(getattr(self, name)):
                raise ValueError(f"{self.name}.{name} is {kind.description}, not {settings.shown(getattr(self, name))}")

    @property
    def stack(self) -> int:
        """Number of seeds that train side by side: settings alone decide, so that they alone decide a seed's result.

        With more than one, blocks of this number of seeds are trained whole.
        """
        return 1

    def precision(self, device: str) -> str:
        """Return the arithmetic of `train` on a device, as far as that is the lab's choice."""
        return "float32"

    @abstractmethod
    def data(self) -> Data:
        """Return name and digest of the data that `train` uses.

        Raises:
            DataError: the data is missing, or is not what it should be.
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
        """Return the lab of an arm, whose settings precede overrides, and these the settings of the scale.

        A lab that has the setting `source` takes its data from there.

        Raises:
            ValueError: the class is no proper lab, has no such setting, or a value is one that it cannot have.
        """
        cls.validate()
        names = [field.name for field in dataclasses.fields(cls)]
        chosen = {"source": source} if "source" in names else {}
        given = {**chosen, **cls.scales.get(scale, {}), **overrides, **arm}
        if unknown := sorted(given.keys() - set(names)):
            raise ValueError(f"{cls.name} has no setting {unknown[0]!r}; it has {', '.join(names)}")
        if missing := [field.name for field in dataclasses.fields(cls) if _required(field) and field.name not in given]:
            raise ValueError(f"{cls.name}.{missing[0]} has no default: each arm must set it")
        lab = cls(**given)
        lab.plain()
        if type(lab.stack) is not int or lab.stack < 1:
            raise ValueError(f"{cls.name}.stack must be a whole number from 1 up, got {settings.shown(lab.stack)}")
        return lab

    @classmethod
    def validate(cls) -> None:
        """Check what a subclass must have.

        Raises:
            ValueError: it has no name, or settings of a class that is not decorated as a dataclass.
        """
        name = getattr(cls, "name", None)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            given = f", got {name!r}" if name is not None else ""
            raise ValueError(
                f"{cls.__qualname__}.name must be a text of letters, digits, '-', '_' and '.', the first half of its "
                f'claims\' ids{given}: add name: ClassVar[str] = "…"'
            )
        if not settings.is_named(cls):
            raise ValueError(
                f"{cls.__qualname__} must be a class that its module defines under its own name: others of its name "
                "could not be told from it"
            )
        for attribute, (accepts, required) in ATTRIBUTES.items():
            if not accepts(value := getattr(cls, attribute)):
                raise ValueError(f"{cls.__qualname__}.{attribute} must be {required}, got {settings.shown(value)}")
        for setting, evidence in cls.evidence().items():
            try:
                settings.plain((evidence.reason, *evidence.alternatives))
            except ValueError as error:
                raise ValueError(f"{cls.__qualname__}.{setting}: an alternative: {error}") from None
        fields = {field.name for field in dataclasses.fields(cls)}
        for owner in cls.__mro__:
            declared = inspect.get_annotations(owner) if issubclass(owner, Lab) else {}
            for setting, annotation in declared.items():
                if setting not in fields and "ClassVar" not in str(annotation):
                    raise ValueError(
                        f"{owner.__qualname__}.{setting} is no setting yet: decorate the class with "
                        "@dataclass(frozen=True, kw_only=True)"
                    )

    def plain(self) -> dict[str, Any]:
        """Return the settings as files have them; fields that do not take part in comparisons are left out.

        Raises:
            ValueError: a value cannot be written down and read back, or can be changed later.
        """
        written = {}
        for field in dataclasses.fields(self):
            if field.compare:
                try:
                    written[field.name] = settings.plain(getattr(self, field.name))
                    settings.require_hashable(getattr(self, field.name))
                except ValueError as error:
                    raise ValueError(f"{self.name}.{field.name}: {error}") from None
        return written

    @classmethod
    def _annotations(cls) -> dict[str, Any]:
        """Types by setting; where one is a text that means nothing here, the texts as they are."""
        try:
            hints = typing.get_type_hints(cls)
        except (NameError, TypeError):
            return {field.name: field.type for field in dataclasses.fields(cls)}
        return {field.name: hints[field.name] for field in dataclasses.fields(cls)}

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
                f"{', '.join(cls.evidence()) or 'none'}"
            )
        kind = settings.TYPES.get(cls._annotations()[name])
        if kind is None:
            raise ValueError(f"{cls.name}.{name} cannot be given on a command line")
        try:
            return kind.parse(text)
        except (KeyError, ValueError):
            raise ValueError(f"{cls.name}.{name} is {kind.description}, not {text!r}") from None

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


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
