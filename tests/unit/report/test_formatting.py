"""Numbers, effects and settings as text."""

from typing import Any

import pytest

from labcheck.report.formatting import format_effect, format_number, format_setting


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.12345, 3, "0.123"), (1234567.0, 4, "1.235e+06"), (None, 3, "not finite"), (float("nan"), 3, "not finite")],
)
def test_number_has_significant_digits(value: float | None, digits: int, text: str) -> None:
    assert format_number(value, digits) == text


@pytest.mark.parametrize(
    ("low", "high", "interval"),
    [
        (0.5, 2.0, " (95 % interval 0.5 to 2)"),
        (0.5, None, " (95 % interval: at least 0.5; some seeds have no finite number)"),
        (None, 0.5, " (95 % interval: at most 0.5; some seeds have no finite number)"),
        (None, None, ""),
    ],
)
def test_effect_has_interval_if_finite(low: float | None, high: float | None, interval: str) -> None:
    assert format_effect({"kind": "ratio", "median": 1.0, "low": low, "high": high}) == f"ratio 1{interval}"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), ([32, 16], "32-16"), ({"lr": 0.5, "betas": [1, 2]}, "lr: 0.5, betas: 1-2"),
     ("adam", "adam"), (None, "None")],
)  # fmt: skip
def test_setting_is_written_as_on_command_line(value: Any, text: str) -> None:
    assert format_setting(value) == text
