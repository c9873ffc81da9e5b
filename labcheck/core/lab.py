"""Labs: experiments as settings, data and a function that trains."""

import dataclasses
import inspect
import re
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from labcheck.core import settings
from labcheck.core.assumptions import Justification
from labcheck.core.trials import Trials

Settings = Mapping[str, Any]
NAME = re.compile(r"\w[\w.-]*")


def _is_dict_of(value: Any, kind: type) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(item, kind) for key, item in value.items()
    )


def _are_exceptions(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(kind, type) and issubclass(kind, Exception) for kind in value)


ATTRIBUTES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "scales": (lambda value: _is_dict_of(value, Mapping), 'settings by scale, such as {"quick": {"epochs": 3}}'),
    "units": (lambda value: _is_dict_of(value, str), 'units by name, such as {"mse": "m²"}'),
    "diverged": (_are_exceptions, "a tuple of exception classes"),
}
"""The requirements on the class attributes of a lab."""


class Data(NamedTuple):
    """The data that a lab trains on.

    Attributes:
        name: A name that can be part of a file name.
        digest: A text that changes whenever the data changes; "" if there is none.
        stand_in: Whether the data replaces the report's own, so that printed numbers are not comparable.
    """

    name: str
    digest: str
    stand_in: bool = False


@dataclass(frozen=True, kw_only=True)
class Lab(ABC):
    """An experiment. Subclasses are frozen dataclasses of settings with the methods `data` and `train`.

    Attributes:
        name: The first half of the ids of its claims.
        scales: The settings that differ at a scale, "quick" or "full".
        units: The unit of each metric and curve, by its name or by a word of it: that of "mse" applies to `test_mse`.
        depends: What results depend on besides imported code: names of installed packages, and globs of files relative
            to the module's folder, such as "configs/*.yaml".
        diverged: Exceptions by which `train` reports that a seed diverged; such a seed has no finite number.
        recorded: Whether `train` returns results that were recorded earlier, which depend on no machine.
    """

    name: ClassVar[str]
    scales: ClassVar[Mapping[str, Settings]] = {}
    units: ClassVar[Mapping[str, str]] = {}
    depends: ClassVar[Sequence[str]] = ()
    diverged: ClassVar[tuple[type[Exception], ...]] = ()
    recorded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Freeze the settings and check their types.

        Raises:
            ValueError: A value has the wrong type; the message names the setting and the required type.
        """
        for field in dataclasses.fields(self):
            if field.compare:
                object.__setattr__(self, field.name, settings.freeze(getattr(self, field.name)))
        for name, annotation in self._annotations().items():
            kind = settings.TYPES.get(annotation) if isinstance(annotation, typing.Hashable) else None
            if kind and not kind.accepts(getattr(self, name)):
                raise ValueError(
                    f"{self.name}.{name} must be {kind.description}, got {settings.shown(getattr(self, name))}"
                )

    def stack(self, device: str) -> int:
        """Return the number of seeds that are trained side by side on a device, as one block.

        Blocks are always trained whole, since the results of a seed may depend on the others.
        """
        return 1

    def seed_labels(self) -> Sequence[str] | None:
        """Return the label of each seed if their number is limited; None if any seed can be trained."""
        return None

    def precision(self, device: str) -> str:
        """Return a description of the arithmetic that `train` uses on a device."""
        return "float32"

    @abstractmethod
    def data(self) -> Data:
        """Return the name and digest of the data that `train` uses, and whether it is a stand-in.

        Raises:
            DataError: The data is missing or broken.
        """

    @abstractmethod
    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        """Train one model with each seed and return the results."""

    def brief(self) -> Self:
        """Return a lab that trains for a shorter time, for measuring the cost of an epoch.

        The costs of two brief labs must have the same ratio as those of the whole trainings.
        """
        return self

    def is_plausible(self) -> bool:
        """Return whether the combination of settings is plausible, as a reading of the report.

        Combinations of alternatives that are implausible or cannot be configured do not belong to the multiverse.
        """
        return True

    def graph(self) -> tuple[Any, Any] | None:
        """Return a torch module and an input for it, from which TensorBoard draws the model; None if there is none."""
        return None

    @classmethod
    def unit(cls, name: str) -> str:
        """Return the unit of a metric or curve; "" for a plain number."""
        if name in cls.units:
            return cls.units[name]
        return next((unit for word, unit in cls.units.items() if re.search(rf"_{re.escape(word)}(_|$)", name)), "")

    @classmethod
    def configure(cls, scale: str, arm: Settings) -> Self:
        """Return the lab of an arm, whose settings take precedence over those of the scale.

        Raises:
            ValueError: There is no such setting, a required one is missing, or a value is invalid.
        """
        values = {**cls.scales.get(scale, {}), **arm}
        names = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(values.keys() - set(names)):
            raise ValueError(f"{cls.name} has no setting {unknown[0]!r}; it has {', '.join(names)}")
        if missing := [name for name in cls.required_settings() if name not in values]:
            raise ValueError(f"{cls.name}.{missing[0]} has no default: each arm must set it")
        return cls(**values)._checked()

    def override(self, changes: Settings) -> Self:
        """Return the lab with other values of some settings; the lab itself if there are none.

        Raises:
            ValueError: A value is invalid.
        """
        return dataclasses.replace(self, **changes)._checked() if changes else self

    def _checked(self) -> Self:
        self.plain()
        if not callable(self.stack):
            raise ValueError(
                f"{self.name}.stack must be a method that takes the device, got {settings.shown(self.stack)}"
            )
        if type(size := self.stack("cpu")) is not int or size < 1:
            raise ValueError(f"{self.name}.stack must return a positive whole number, got {settings.shown(size)}")
        return self

    @classmethod
    def validate(cls) -> None:
        """Check the class itself.

        Raises:
            ValueError: It has no valid name, a class attribute has the wrong type, or it declares settings without
                being decorated as a dataclass.
        """
        name = getattr(cls, "name", None)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            got = f", got {name!r}" if name is not None else ""
            raise ValueError(
                f"{cls.__qualname__}.name must be a string of letters, digits, '-', '_' and '.', the first half of its "
                f'claims\' ids{got}: add name: ClassVar[str] = "…"'
            )
        if not cls.is_identified():
            raise ValueError(
                f"{cls.__qualname__} must be a class that its module defines under its own name, which identifies it"
            )
        for attribute, (accepts, required) in ATTRIBUTES.items():
            if not accepts(value := getattr(cls, attribute)):
                raise ValueError(f"{cls.__qualname__}.{attribute} must be {required}, got {settings.shown(value)}")
        for setting, justification in cls.unstated().items():
            try:
                settings.plain((justification.reason, [vars(other) for other in justification.alternatives]))
            except ValueError as error:
                raise ValueError(f"{cls.__qualname__}.{setting}: an alternative: {error}") from None
        fields = {field.name for field in dataclasses.fields(cls)}
        for owner in cls.__mro__:
            declared = inspect.get_annotations(owner) if issubclass(owner, Lab) else {}
            for setting, annotation in declared.items():
                if setting not in fields and "ClassVar" not in str(annotation):
                    raise ValueError(
                        f"{owner.__qualname__}.{setting} is not a setting yet: decorate the class with "
                        "@dataclass(frozen=True, kw_only=True)"
                    )

    @classmethod
    def is_identified(cls) -> bool:
        """Return whether the class can be told from others by the names of its module and its own."""
        return settings.is_named(cls)

    @classmethod  # noqa: B027 - most labs have nothing to check
    def validate_arms(cls, labs: Mapping[str, "Lab"], needed: Mapping[str, Sequence[str]]) -> None:
        """Check that the arms of a claim can be compared with each other.

        Args:
            labs: The lab of each arm.
            needed: The names of the metrics and curves that the claim needs of each arm.

        Raises:
            ValueError: They cannot; the message names an arm.
        """

    def plain(self) -> dict[str, Any]:
        """Return the settings as JSON values, without fields that do not take part in comparisons.

        Raises:
            ValueError: A value cannot be written and read back, or is mutable.
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
        """Return the type of each setting; the annotations as strings if one of them cannot be evaluated here."""
        try:
            hints = typing.get_type_hints(cls)
        except (NameError, TypeError):
            return {field.name: field.type for field in dataclasses.fields(cls)}
        return {field.name: hints[field.name] for field in dataclasses.fields(cls)}

    @classmethod
    def required_settings(cls) -> list[str]:
        """Return the names of the settings without a default."""
        return [
            field.name
            for field in dataclasses.fields(cls)
            if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        ]

    @classmethod
    def unstated(cls) -> dict[str, Justification]:
        """Return the settings that the report does not state, with the reasons for their values."""
        return {
            field.name: field.metadata["justification"]
            for field in dataclasses.fields(cls)
            if "justification" in field.metadata
        }

    @classmethod
    def parse(cls, name: str, text: str) -> Any:
        """Parse the value of an unstated setting from a command line.

        Raises:
            ValueError: The setting is not an unstated one, or the value has the wrong type.
        """
        if name not in cls.unstated():
            raise ValueError(
                f"{cls.name} has no setting {name!r} that its report leaves unstated; those are "
                f"{', '.join(cls.unstated()) or 'none'}"
            )
        kind = settings.TYPES.get(cls._annotations()[name])
        if kind is None:
            raise ValueError(f"{cls.name}.{name} cannot be set on a command line")
        try:
            return kind.parse(text)
        except (KeyError, ValueError):
            raise ValueError(f"{cls.name}.{name} must be {kind.description}, got {text!r}") from None

    def require_choice(self, setting: str, choices: Iterable[str]) -> None:
        """Check that a setting is one of several words.

        Raises:
            ValueError: It is not; the message names the setting and the choices.
        """
        value, choices = getattr(self, setting), list(choices)
        if value not in choices:
            raise ValueError(f"{self.name}.{setting} must be one of {', '.join(choices)}, got {value!r}")

    def require_at_least(self, minimum: float, *settings: str) -> None:
        """Check that numbers, or all numbers of tuples, are not too small.

        Raises:
            ValueError: One is; the message names the setting and the smallest valid value.
        """
        for setting in settings:
            value = getattr(self, setting)
            if not all(number >= minimum for number in (value if isinstance(value, tuple) else [value])):
                raise ValueError(f"{self.name}.{setting} must be at least {minimum:g}, got {value!r}")
