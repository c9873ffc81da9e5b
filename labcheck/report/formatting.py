"""Numbers and settings as text, the same on the terminal and on the page."""

import math
from collections.abc import Mapping
from typing import Any

from labcheck.core.verdicts import NEEDED

INCOMPLETE = "INCOMPLETE"
"""The text in place of a verdict while a relation that could change it is missing."""
MAX_FACTOR = 1000
"""The Bayes factor above which, or below whose inverse, no number is shown."""
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def format_number(value: float | None, digits: int = 3) -> str:
    """Return a number with N significant digits; None and NaN are "not finite"."""
    return "not finite" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def format_evidence(relation: Mapping[str, Any]) -> str:
    """Return the evidence for or against a relation, whichever there is, and how much of it decides."""
    for side, needed in evidence_needed(relation):
        if (log10 := relation[f"log10_{side}"]) > 0:
            return f"evidence {side} it {_power(log10)} ({needed} decides)"
    return "no evidence for or against it"


def _power(log10: float) -> str:
    """Return 10^x with two or three significant digits."""
    if log10 < 3:
        return f"{10**log10:.3g}"
    exponent, mantissa = int(log10), round(10 ** (log10 % 1), 1)  # 10**log10 may be beyond the range of floats
    exponent, mantissa = (exponent + 1, 1.0) if mantissa == 10 else (exponent, mantissa)
    return f"{mantissa} · 10{str(exponent).translate(SUPERSCRIPTS)}"


def evidence_share(relation: Mapping[str, Any]) -> float:
    """Return the evidence as a share of what decides, on a logarithmic scale.

    It is positive, up to 1, for a relation, and negative, down to -1, against it.
    """
    reached: dict[str, float] = {
        side: min(max(relation[f"log10_{side}"], 0.0) / math.log10(needed), 1.0)
        for side, needed in evidence_needed(relation)
    }
    return reached["for"] - reached["against"]


def evidence_needed(relation: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the evidence that decides for a relation, and against it."""
    return [("for", NEEDED), ("against", NEEDED * relation["relations"])]


def format_bayes_factor(factor: float) -> str:
    """Return a Bayes factor; beyond a factor of 1000, it depends on the tails of distributions and not on our seeds."""
    if factor > MAX_FACTOR:
        return f"more than {MAX_FACTOR}"
    return f"less than 1/{MAX_FACTOR}" if factor < 1 / MAX_FACTOR else format_number(factor)


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
