"""Settings that a report does not state: how their values are known, and which others are plausible."""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from labcheck.core import settings


class Grade(StrEnum):
    """How the value of a setting is known, from the most to the least certain.

    Attributes:
        STATED: The report states it.
        SCRIPT: It was read in the public script of the report or of its course.
        NUMBERS: It was computed: the printed numbers fit it and refute the alternatives.
        LIKELY: It explains the printed numbers best; the alternatives remain possible.
        OPEN: It is an assumption without evidence.
    """

    STATED = "stated"
    SCRIPT = "script"
    NUMBERS = "numbers"
    LIKELY = "likely"
    OPEN = "open"


@dataclass(frozen=True)
class Alternative:
    """Another value of a setting that a reader of the report may find plausible.

    Attributes:
        value: The value.
        reason: Why it is plausible; "" if no reason was given.
    """

    value: Any
    reason: str = ""


@dataclass(frozen=True)
class Justification:
    """The reason for the default of a setting that the report does not state.

    Attributes:
        grade: How the value is known, one of Grade.
        reason: The source of the value, or why it was chosen.
        alternatives: Other plausible values. Those of `script` and `numbers` settings are readings of the report that
            the evidence makes unlikely.
    """

    grade: str
    reason: str
    alternatives: tuple[Alternative, ...] = ()


def known(default: Any, grade: str, reason: str, *alternatives: Any) -> Any:
    """Declare a setting that the report does not state, but its script or its printed numbers do.

    Args:
        default: The value.
        grade: "script" or "numbers".
        reason: What was read or computed.
        alternatives: Other values that a critic would ask about although the evidence makes them unlikely, each a bare
            value or an `Alternative` with a reason.

    Returns:
        A dataclass field.

    Raises:
        ValueError: The grade is another one, a reason is not a string, or the default and the alternatives are not all
            different.
    """
    if grade not in (Grade.SCRIPT, Grade.NUMBERS):
        raise ValueError(f"a known setting must have the grade script or numbers, got {grade!r}; use `assumed`")
    return _declare(default, grade, reason, alternatives)


def assumed(default: Any, reason: str, *alternatives: Any, grade: str = Grade.OPEN) -> Any:
    """Declare a setting that the report leaves open.

    Args:
        default: The most plausible value.
        reason: Why it was chosen.
        alternatives: Other plausible values, each a bare value or an `Alternative` with a reason.
        grade: "open", or "likely" if the value explains the printed numbers best.

    Returns:
        A dataclass field.

    Raises:
        ValueError: The grade is another one, a reason is not a string, or the default and the alternatives are not all
            different.
    """
    if grade not in (Grade.LIKELY, Grade.OPEN):
        raise ValueError(f"an assumed setting must have the grade likely or open, got {grade!r}; use `known`")
    return _declare(default, grade, reason, alternatives)


def _declare(default: Any, grade: str, reason: str, alternatives: tuple[Any, ...]) -> Any:
    others = tuple(other if isinstance(other, Alternative) else Alternative(other) for other in alternatives)
    for text in (reason, *(other.reason for other in others)):
        if not isinstance(text, str):
            raise ValueError(f"the reason for a setting must be a string, got {settings.shown(text)}")
    values = [default]
    for value in (other.value for other in others):
        if any(value == earlier and type(value) is type(earlier) for earlier in values):
            raise ValueError(
                f"an alternative must differ from the default and from the others, got {settings.shown(value)}"
            )
        values.append(value)
    justification = Justification(str(Grade(grade)), reason, others)
    return dataclasses.field(default=default, metadata={"justification": justification})
