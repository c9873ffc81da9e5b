"""Figures of a claim: positions, remarks and colors."""

import re
from typing import Any

import numpy as np
import pytest

from labcheck.report import figures

DOT = re.compile(r"M ([\d.]+) ([\d.]+) \1 \2\b")


def arm(name: str = "a", **content: Any) -> dict[str, Any]:
    """Return the entry of an arm in a report."""
    return {"name": name, "metrics": {}, "quoted": [], "after": [], "curves": {}, "tables": {}, **content}


def claim(*arms: dict[str, Any], ratio: bool = True, unit: str = "", curve: str = "") -> dict[str, Any]:
    """Return the entry of a claim in a report, whose metrics are all of one kind."""
    metric = {"ratio": ratio, "higher_is_better": False, "unit": unit, "curve": curve}
    return {"id": "toy/one", "metrics": {name: metric for one in arms for name in one["metrics"]}, "arms": list(arms)}


def quote(value: float | None, metric: str = "error") -> dict[str, Any]:
    """Return the entry of a printed number in a report."""
    return {"metric": metric, "value": value, "where": "Table 1", "percentile": 50.0}


def table(*values: float | None) -> dict[str, Any]:
    """Return the entry of a table that is equal for all seeds."""
    return {name: list(values) for name in ("low", "median", "high")}


def level(*values: float | None, unit: str = "") -> dict[str, Any]:
    """Return the entry of a curve that is equal for all seeds."""
    return {"unit": unit, **table(*values)}


def dots(svg: str) -> list[float]:
    """Return the horizontal positions of seeds."""
    return [float(x) for x, _ in DOT.findall(svg)]


def diamonds(svg: str) -> list[float]:
    """Return the horizontal positions of printed numbers and ticks."""
    return [
        float(x) for x in re.findall(r'<use [^>]*?x="([\d.]+)"[^>]*var\(|<use [^>]*?x="([\d.]+)"', svg) for x in x if x
    ]


# each seed


def test_errors_have_log_axis_with_printed_number() -> None:
    (panel,) = figures.strips(claim(arm(metrics={"error": [1.0, 10.0, 100.0]}, quoted=[quote(10.0)])))
    one, ten, hundred = dots(panel.svg)
    assert ten - one == pytest.approx(hundred - ten, abs=0.2)
    assert any(abs(x - ten) < 0.2 for x in diamonds(panel.svg))


def test_differences_have_linear_axis() -> None:
    (panel,) = figures.strips(claim(arm(metrics={"score": [1.0, 10.0, 19.0]}), ratio=False))
    one, ten, nineteen = dots(panel.svg)
    assert ten - one == pytest.approx(nineteen - ten, abs=0.2)


@pytest.mark.slow
def test_error_of_zero_has_dot() -> None:
    (panel,) = figures.strips(claim(arm(metrics={"error": [0.0, 1.0, 2.0]})))
    assert len(dots(panel.svg)) == 3


def test_distant_printed_number_is_within_figure() -> None:
    (panel,) = figures.strips(claim(arm(metrics={"error": [1.0, 2.0]}, quoted=[quote(1e6)])))
    assert all(0 < x < figures.WIDTH for x in diamonds(panel.svg))
    assert len(diamonds(panel.svg)) > len(diamonds(figures.strips(claim(arm(metrics={"error": [1.0, 2.0]})))[0].svg))


def test_non_finite_values_are_counted() -> None:
    broken = arm(metrics={"error": [1.0, None, None]}, quoted=[quote(None)])
    (panel,) = figures.strips(claim(broken))
    assert "2 of 3 not finite, report: not finite" in panel.svg


def test_metric_without_finite_value_has_no_figure() -> None:
    assert figures.strips(claim(arm(metrics={"error": [None, None]}))) == []


def test_metrics_of_classes_have_no_figure() -> None:
    names = ("test_accuracy", "test_accuracy_3", "test_precision_3")
    both = arm(metrics={name: [0.5, 0.6] for name in names})
    assert [panel.title for panel in figures.strips(claim(both))] == ["test_accuracy"]


@pytest.mark.parametrize(("unit", "label"), [("m²", "m²"), ("", "score")])
def test_axis_of_seeds_has_unit_or_name(unit: str, label: str) -> None:
    (panel,) = figures.strips(claim(arm(metrics={"score": [1.0, 2.0]}), unit=unit))
    assert f">{label}</text>" in panel.svg


# curves


def test_every_curve_except_learning_rate_has_figure() -> None:
    names = ("batch_loss", "train_loss", "val_loss", "batch_accuracy", "lr")
    panels = figures.curves(claim(arm(after=[1, 2], curves={name: level(1, 2) for name in names})))
    assert [panel.title for panel in panels] == ["train_loss", "val_loss", "batch_accuracy"]


@pytest.mark.parametrize(("unit", "label"), [("m²", "m²"), ("", "loss")])
def test_axis_of_curve_has_unit_or_name(unit: str, label: str) -> None:
    (panel,) = figures.curves(claim(arm(after=[1, 2], curves={"loss": level(1, 2, unit=unit)})))
    assert f">{label}</text>" in panel.svg


def test_rate_change_of_all_seeds_is_marked() -> None:
    at_once = {"loss": level(3, 2, 1), "lr": level(0.1, 0.1, 0.01)}
    apart = {**at_once, "lr": {"low": [0.1, 0.01, 0.01], "median": [0.1, 0.1, 0.01], "high": [0.1, 0.1, 0.1]}}
    for curves, notes in ((at_once, ["Vertical dotted line: the learning rate changes."]), (apart, [])):
        (panel,) = figures.curves(claim(arm(after=[1, 2, 3], curves=curves)))
        assert panel.notes == notes


def test_frequent_rate_changes_are_not_marked() -> None:
    curves = {"loss": level(*[1.0] * 20), "lr": level(*[1 / (1 + epoch) for epoch in range(20)])}
    (panel,) = figures.curves(claim(arm(after=list(range(1, 21)), curves=curves)))
    assert panel.notes == []


def test_non_finite_median_is_named() -> None:
    tame = arm("tame", after=[1, 2, 3], curves={"loss": level(3, 2, 1)})
    wild = arm("wild", after=[1, 2], curves={"loss": level(3, None)})
    (panel,) = figures.curves(claim(tame, wild))
    assert panel.notes == ["The median is not finite at the end: wild."]


def test_curve_without_finite_value_has_figure() -> None:
    (panel,) = figures.curves(claim(arm(after=[1, 2], curves={"loss": level(None, None)})))
    assert panel.svg.startswith("<svg")


@pytest.mark.parametrize(("curve", "drawn"), [("val_loss", True), ("train_loss", False), ("", False)])
def test_printed_number_is_drawn_into_curve_of_metric(curve: str, drawn: bool) -> None:
    one = arm(
        metrics={"val_mse": [1.0]}, quoted=[quote(0.5, "val_mse")], after=[1, 2], curves={"val_loss": level(2, 1)}
    )
    (panel,) = figures.curves(claim(one, curve=curve))
    assert panel.notes == ["Horizontal dotted line: the report's number."] * drawn


@pytest.mark.parametrize("after", [[1, 2, 3, 4, 5], [1, 10, 100, 1000, 10_000]])
def test_distant_epochs_have_log_axis(after: list[int]) -> None:
    (panel,) = figures.curves(claim(arm(after=after, curves={"accuracy": level(1, 2, 3, 4, 5)})))
    line = max(re.findall(r'd="M ([^"Mz]*)"', panel.svg), key=len)
    x = [float(number) for number in line.split()[::2]]
    assert np.diff(x) == pytest.approx(np.full(4, np.diff(x)[0]), abs=0.3)


# learned functions


def test_fit_has_function_and_error_has_log() -> None:
    tables = {"grid_x": table(0, 1, 2), "grid_true": table(0, 1, 4), "grid_fit": table(0, 1, 3)}
    error = {"grid_x": table(0, 1, 2), "grid_error": table(0, 1e-3, None)}
    fit, logs = figures.grids(claim(arm(tables=tables), arm("b", tables=error)))
    assert "the function" in fit.title
    assert "ln of squared error" in logs.svg
    assert figures.grids(claim(arm())) == []


# all figures


def test_figure_takes_colors_from_page_and_shares_no_id() -> None:
    names = {"error": [1.0, 2.0], "loss": [1.0, 2.0]}
    arms = [arm(f"arm {index}", metrics=names, quoted=[quote(1.5), quote(1.5, "loss")]) for index in range(9)]
    drawings = [panel.svg for panel in figures.strips(claim(*arms))]
    for svg in drawings:
        assert not re.search(r"#0000[59]\d", svg)
        assert {f"var(--arm{index})" for index in range(7)} <= set(re.findall(r"var\(--arm\d\)", svg))
        assert "currentColor" in svg
    one, two = (set(re.findall(r' id="(\w+)"', svg)) for svg in drawings)
    assert one
    assert not one & two


def test_names_are_escaped() -> None:
    (panel,) = figures.strips({**claim(arm('<b> & "c"', metrics={"error": [1.0, 2.0]})), "id": 'toy/<i> & "j"'})
    assert "<b>" not in panel.svg
    assert 'aria-label="toy/&lt;i> &amp; &quot;j&quot;: error of each seed, by arm"' in panel.svg


def test_dollars_are_no_formula() -> None:
    (panel,) = figures.strips(claim(arm("$x$", metrics={"test_mse": [1.0, 2.0]}), unit="(1000 $)²"))
    assert "$x$" in panel.svg
    assert "(1000 $)²" in panel.svg
