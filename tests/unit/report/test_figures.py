"""Figures of a claim: where things stand in them, and what they say in words."""

import re
from typing import Any

import numpy as np
import pytest

from labcheck.report import figures

DOT = re.compile(r"M ([\d.]+) ([\d.]+) \1 \2\b")


def arm(name: str = "a", **content: Any) -> dict[str, Any]:
    return {"name": name, "metrics": {}, "quoted": [], "after": [], "curves": {}, "tables": {}, **content}


def claim(*arms: dict[str, Any], ratio: bool = True, units: dict[str, str] | None = None) -> dict[str, Any]:
    metrics = {name: {"ratio": ratio, "higher_is_better": False} for each in arms for name in each["metrics"]}
    return {"id": "toy/one", "metrics": metrics, "units": units or {}, "arms": list(arms)}


def quote(value: float | None, metric: str = "error") -> dict[str, Any]:
    return {"metric": metric, "value": value, "where": "Table 1", "percentile": 50.0}


def level(*values: float | None) -> dict[str, list[float | None]]:
    return {name: list(values) for name in ("low", "median", "high")}


def dots(svg: str) -> list[float]:
    return [float(x) for x, _ in DOT.findall(svg)]


def diamonds(svg: str) -> list[float]:
    return [
        float(x) for x in re.findall(r'<use [^>]*?x="([\d.]+)"[^>]*var\(|<use [^>]*?x="([\d.]+)"', svg) for x in x if x
    ]


# each seed


def test_errors_stand_on_a_logarithmic_axis_and_the_printed_number_among_them() -> None:
    (panel,) = figures.strips(claim(arm(metrics={"error": [1.0, 10.0, 100.0]}, quoted=[quote(10.0)])))
    one, ten, hundred = dots(panel.svg)
    assert ten - one == pytest.approx(hundred - ten, abs=0.2)
    assert any(abs(x - ten) < 0.2 for x in diamonds(panel.svg))


def test_other_metrics_stand_on_a_linear_axis() -> None:
    (panel,) = figures.strips(claim(arm(metrics={"score": [1.0, 10.0, 19.0]}), ratio=False))
    one, ten, nineteen = dots(panel.svg)
    assert ten - one == pytest.approx(nineteen - ten, abs=0.2)


def test_an_error_of_zero_has_a_place() -> None:
    (panel,) = figures.strips(claim(arm(metrics={"error": [0.0, 1.0, 2.0]})))
    assert len(dots(panel.svg)) == 3


def test_a_number_far_from_our_seeds_is_within_the_figure() -> None:
    (panel,) = figures.strips(claim(arm(metrics={"error": [1.0, 2.0]}, quoted=[quote(1e6)])))
    assert all(0 < x < figures.WIDTH for x in diamonds(panel.svg))
    assert len(diamonds(panel.svg)) > len(diamonds(figures.strips(claim(arm(metrics={"error": [1.0, 2.0]})))[0].svg))


def test_what_is_not_finite_is_told() -> None:
    broken = arm(metrics={"error": [1.0, None, None]}, quoted=[quote(None)])
    (panel,) = figures.strips(claim(broken))
    assert "2 of 3 not finite, report: not finite" in panel.svg


def test_a_metric_that_is_never_finite_has_no_figure() -> None:
    assert figures.strips(claim(arm(metrics={"error": [None, None]}))) == []


def test_single_classes_are_left_to_a_table() -> None:
    names = ("test_accuracy", "test_accuracy_3", "test_precision_3")
    both = arm(metrics={name: [0.5, 0.6] for name in names})
    assert [panel.title for panel in figures.strips(claim(both))] == ["test_accuracy"]


# curves


def test_each_curve_but_the_learning_rate_has_a_figure() -> None:
    names = ("batch_loss", "train_loss", "val_loss", "batch_accuracy", "lr")
    found = figures.curves(claim(arm(after=[1, 2], curves={name: level(1, 2) for name in names})))
    assert [panel.title for panel in found] == ["train_loss", "val_loss", "batch_accuracy"]


def test_a_rate_that_all_seeds_change_at_once_is_marked() -> None:
    at_once = {"loss": level(3, 2, 1), "lr": level(0.1, 0.1, 0.01)}
    apart = {**at_once, "lr": {"low": [0.1, 0.01, 0.01], "median": [0.1, 0.1, 0.01], "high": [0.1, 0.1, 0.1]}}
    for curves, told in ((at_once, True), (apart, False)):
        (panel,) = figures.curves(claim(arm(after=[1, 2, 3], curves=curves)))
        assert any("the learning rate changes" in note for note in panel.notes) is told


def test_a_rate_that_changes_all_the_time_is_not_marked() -> None:
    curves = {"loss": level(*[1.0] * 20), "lr": level(*[1 / (1 + epoch) for epoch in range(20)])}
    (panel,) = figures.curves(claim(arm(after=list(range(1, 21)), curves=curves)))
    assert panel.notes == []


def test_a_median_that_does_not_stay_finite_is_told() -> None:
    tame = arm("tame", after=[1, 2, 3], curves={"loss": level(3, 2, 1)})
    wild = arm("wild", after=[1, 2], curves={"loss": level(3, None)})
    (panel,) = figures.curves(claim(tame, wild))
    assert panel.notes == ["The median seed does not stay finite: wild."]


def test_curves_that_are_nowhere_finite_are_drawn_all_the_same() -> None:
    (panel,) = figures.curves(claim(arm(after=[1, 2], curves={"loss": level(None, None)})))
    assert panel.svg.startswith("<svg")


@pytest.mark.parametrize(("metric", "drawn"), [("val_mse", True), ("val_loss", True), ("test_mse", False)])
def test_the_printed_number_is_drawn_into_its_curve(metric: str, drawn: bool) -> None:
    one = arm(metrics={metric: [1.0]}, quoted=[quote(0.5, metric)], after=[1, 2], curves={"val_loss": level(2, 1)})
    (panel,) = figures.curves(claim(one))
    assert any("the report's number" in note for note in panel.notes) is drawn


@pytest.mark.parametrize("after", [[1, 2, 3, 4, 5], [1, 10, 100, 1000, 10_000]])
def test_epochs_far_apart_stand_on_a_logarithmic_axis(after: list[int]) -> None:
    (panel,) = figures.curves(claim(arm(after=after, curves={"accuracy": level(1, 2, 3, 4, 5)})))
    line = max(re.findall(r'd="M ([^"Mz]*)"', panel.svg), key=len)
    x = [float(number) for number in line.split()[::2]]
    assert np.diff(x) == pytest.approx(np.full(4, np.diff(x)[0]), abs=0.3)


# what was learned


def test_a_fit_is_drawn_with_its_function_and_an_error_as_its_logarithm() -> None:
    tables = {"grid_x": level(0, 1, 2), "grid_true": level(0, 1, 4), "grid_fit": level(0, 1, 3)}
    error = {"grid_x": level(0, 1, 2), "grid_error": level(0, 1e-3, None)}
    fit, logs = figures.grids(claim(arm(tables=tables), arm("b", tables=error)))
    assert "the function" in fit.title
    assert "ln of squared error" in logs.svg
    assert figures.grids(claim(arm())) == []


# all of them


def test_a_figure_takes_its_colours_from_the_page_and_shares_no_name_with_another() -> None:
    names = {"error": [1.0, 2.0], "loss": [1.0, 2.0]}
    arms = [arm(f"arm {index}", metrics=names, quoted=[quote(1.5), quote(1.5, "loss")]) for index in range(9)]
    found = [panel.svg for panel in figures.strips(claim(*arms))]
    for svg in found:
        assert not re.search(r"#0000[59]\d", svg)
        assert {f"var(--arm{index})" for index in range(7)} <= set(re.findall(r"var\(--arm\d\)", svg))
        assert "currentColor" in svg
    one, two = (set(re.findall(r' id="(\w+)"', svg)) for svg in found)
    assert one
    assert not one & two


def test_names_cannot_break_a_figure() -> None:
    (panel,) = figures.strips({**claim(arm('<b> & "c"', metrics={"error": [1.0, 2.0]})), "id": 'toy/<i> & "j"'})
    assert "<b>" not in panel.svg
    assert 'aria-label="toy/&lt;i> &amp; &quot;j&quot;: error of each seed, by arm"' in panel.svg


def test_dollars_in_a_name_are_dollars() -> None:
    (panel,) = figures.strips(claim(arm("$x$", metrics={"test_mse": [1.0, 2.0]}), units={"mse": "(1000 $)²"}))
    assert "$x$" in panel.svg
    assert "(1000 $)²" in panel.svg


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_mse", "(1000 $)²"),
        ("mean batch_loss over the last 7 epochs", "$"),
        ("epochs to val_loss ≤ 20", "epochs"),
        ("swing of val_loss", "mean step of ln"),
        ("test_r2", ""),
        ("test_accuracy_3", "share"),
        ("cpu_seconds", ""),
    ],
)
def test_a_unit_is_that_of_what_a_name_says(name: str, expected: str) -> None:
    assert figures.unit(name, {"mse": "(1000 $)²", "loss": "$", "accuracy": "share"}) == expected
