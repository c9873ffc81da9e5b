"""Numbers, effects and settings as text."""

import math
from dataclasses import asdict
from typing import Any

import pytest

from labcheck.core.verdicts import judge
from labcheck.report.formatting import (
    evidence_share,
    format_bayes_factor,
    format_effect,
    format_evidence,
    format_number,
    format_setting,
)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.12345, 3, "0.123"), (1234567.0, 4, "1.235e+06"), (None, 3, "not finite"), (float("nan"), 3, "not finite")],
)
def test_number_has_significant_digits(value: float | None, digits: int, text: str) -> None:
    assert format_number(value, digits) == text


def judged(holds: int, ties: int, n: int, relations: int) -> dict[str, Any]:
    """Return the entry of a relation in a report."""
    return {**asdict(judge(holds, ties, n, relations)), "relations": relations}


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((8, 0, 8, 9), "evidence for it 25.6 (20 decides)"),
        ((7, 0, 7, 9), "evidence for it 17.1 (20 decides)"),
        ((0, 0, 5, 1), "evidence against it 32 (20 decides)"),
        ((0, 0, 5, 7), "evidence against it 32 (140 decides)"),
        ((57, 0, 60, 7), "evidence for it 1.4 · 10⁹ (20 decides)"),
        ((12, 0, 60, 10), "evidence against it 2.2 · 10¹² (200 decides)"),
        ((0, 0, 2000, 1), "evidence against it 1.1 · 10⁶⁰² (20 decides)"),
        ((0, 20, 20, 1), "no evidence for or against it"),
    ],
)
def test_evidence_has_side_and_what_decides(counts: tuple[int, int, int, int], text: str) -> None:
    assert format_evidence(judged(*counts)) == text


def test_large_evidence_is_rounded_to_next_power() -> None:
    relation = {"log10_for": 5.999, "log10_against": -5.999, "relations": 1}
    assert format_evidence(relation) == "evidence for it 1.0 · 10⁶ (20 decides)"


@pytest.mark.parametrize(
    ("counts", "share"),
    [((8, 0, 8, 9), 1.0), ((0, 0, 8, 1), -1.0), ((0, 20, 20, 1), 0.0), ((0, 0, 1, 5), -math.log(2) / math.log(100))],
)
def test_evidence_is_share_of_what_decides(counts: tuple[int, int, int, int], share: float) -> None:
    assert evidence_share(judged(*counts)) == pytest.approx(share)


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


@pytest.mark.parametrize(
    ("factor", "text"),
    [(30.0, "30"), (0.0166, "0.0166"), (1e12, "more than 1000"), (1e-9, "less than 1/1000"), (0.0, "less than 1/1000")],
)
def test_bayes_factors_are_bounded(factor: float, text: str):
    assert format_bayes_factor(factor) == text
