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
class Justification:
    """The reason for the default of a setting that the report does not state.

    Attributes:
        grade: How the value is known, one of Grade.
        reason: The source of the value, or why it was chosen.
        alternatives: Other plausible values; only `likely` and `open` settings have any.
    """

    grade: str
    reason: str
    alternatives: tuple[Any, ...] = ()


def known(default: Any, grade: str, reason: str) -> Any:
    """Declare a setting that the report does not state, but its script or its printed numbers do.

    Args:
        default: The value.
        grade: "script" or "numbers".
        reason: What was read or computed.

    Returns:
        A dataclass field.

    Raises:
        ValueError: The grade is another one, or the reason is not a string.
    """
    if grade not in (Grade.SCRIPT, Grade.NUMBERS):
        raise ValueError(f"a known setting must have the grade script or numbers, got {grade!r}; use `assumed`")
    return _declare(default, Justification(str(Grade(grade)), reason))


def assumed(default: Any, reason: str, *alternatives: Any, grade: str = Grade.OPEN) -> Any:
    """Declare a setting that the report leaves open.

    Args:
        default: The most plausible value.
        reason: Why it was chosen.
        alternatives: Other plausible values.
        grade: "open", or "likely" if the value explains the printed numbers best.

    Returns:
        A dataclass field.

    Raises:
        ValueError: The grade is another one, the reason is not a string, or an alternative equals the default.
    """
    if grade not in (Grade.LIKELY, Grade.OPEN):
        raise ValueError(f"an assumed setting must have the grade likely or open, got {grade!r}; use `known`")
    if any(other == default and type(other) is type(default) for other in alternatives):
        raise ValueError(f"an alternative must differ from the default, got {default!r}")
    return _declare(default, Justification(str(Grade(grade)), reason, alternatives))


def _declare(default: Any, justification: Justification) -> Any:
    if not isinstance(justification.reason, str):
        raise ValueError(f"the reason for a setting must be a string, got {settings.shown(justification.reason)}")
    return dataclasses.field(default=default, metadata={"justification": justification})
