"""Numbers and settings as text, the same on the terminal and on the page."""

import math
from collections.abc import Mapping
from typing import Any

INCOMPLETE = "INCOMPLETE"
"""The text in place of a verdict while a relation that could change it is missing."""


def format_number(value: float | None, digits: int = 3) -> str:
    """Return a number with N significant digits; None and NaN are "not finite"."""
    return "not finite" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def format_effect(effect: Mapping[str, Any]) -> str:
    """Return the effect of a relation with its interval, one end of which may be infinite (None)."""
    text = f"{effect['kind']} {format_number(effect['median'])}"
    low, high = effect["low"], effect["high"]
    if low is high is None:
        return text
    if high is None:
        return f"{text} (95 % interval: at least {format_number(low)}; some seeds have no finite number)"
    if low is None:
        return f"{text} (95 % interval: at most {format_number(high)}; some seeds have no finite number)"
    return f"{text} (95 % interval {format_number(low)} to {format_number(high)})"


def format_setting(value: Any) -> str:
    """Return the value of a setting as on a command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{name}: {format_setting(item)}" for name, item in value.items())
    return "-".join(map(format_setting, value)) if isinstance(value, list) else str(value)
