"""The specification curve: a relation in all universes, in ascending order, above their settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from labcheck.core.verdicts import REQUIRED_FRACTION, Verdict
from labcheck.report.figures import ARM_COLORS, TEXT_COLOR, Panel, svg
from labcheck.report.formatting import format_setting

COLORS = {Verdict.REPRODUCED: ARM_COLORS[2], Verdict.NOT_REPRODUCED: ARM_COLORS[1], Verdict.INCONCLUSIVE: TEXT_COLOR}
MARKERS = {Verdict.REPRODUCED: "o", Verdict.NOT_REPRODUCED: "X", Verdict.INCONCLUSIVE: "$?$"}
CURVE_HEIGHT, ROW_HEIGHT = 110, 15
Universe = Mapping[str, Any]


def specification_curve(claim: Mapping[str, Any]) -> list[Panel]:
    """Return a figure of the share of seeds in which the decisive relation of a claim holds, in each universe.

    Above is the share with its interval, the mark shows the verdict on the claim. Below is a row for each value of each
    setting that differs between the universes, with a dot for each universe that has it.
    """
    described = claim["universes"]
    if not described or not described["relation"] or len(described["universes"]) < 2:
        return []
    universes = [universe for universe in described["universes"] if "n" in universe]
    rows = [
        (setting, value)
        for setting, values in described["grid"].items()
        for value in values
        if any(setting in universe["settings"] for universe in universes)
    ]

    def draw(axes: Axes) -> None:
        top = len(rows) * ROW_HEIGHT
        for x, universe in enumerate(universes):
            _share(axes, x, universe, top)
        for mark in (0.5, REQUIRED_FRACTION):
            axes.axhline(_height(mark, top), color=TEXT_COLOR, lw=0.5, ls=(0, (1, 3)))
        for y, (setting, value) in enumerate(reversed(rows)):
            has = [x for x, universe in enumerate(universes) if _value(described, universe, setting) == value]
            axes.plot(has, [(y + 0.4) * ROW_HEIGHT] * len(has), ".", color=TEXT_COLOR, ms=3.5)
        ticks = [
            ((y + 0.4) * ROW_HEIGHT, f"{setting} {format_setting(value)}")
            for y, (setting, value) in enumerate(reversed(rows))
        ]
        ticks += [(_height(share, top), f"{100 * share:.0f} %") for share in (0, 0.5, 1)]
        axes.set_yticks(*zip(*ticks, strict=True))
        axes.tick_params(axis="y", length=0, labelsize=9)
        axes.set(xlim=(-0.7, len(universes) - 0.3), ylim=(0, top + CURVE_HEIGHT), xticks=[])
        axes.set_xlabel(f"{len(universes)} universes")

    height = 50 + CURVE_HEIGHT + ROW_HEIGHT * len(rows)
    drawing = svg(draw, f"{claim['id']}: {described['relation']}, in each universe", height, left=150)
    notes = ["● reproduced, ✕ not reproduced, ? inconclusive. Dotted lines: 1/2 and 3/4 of the seeds."]
    return [Panel(f"share of seeds in which {described['relation']}", drawing, notes)]


def _share(axes: Axes, x: int, universe: Universe, top: float) -> None:
    verdict = Verdict(universe["verdict"])
    axes.plot(
        [x, x], [_height(universe[end], top) for end in ("lower", "upper")], color=COLORS[verdict], lw=1, alpha=0.6
    )
    share = _height(universe["holds"] / universe["n"], top)
    axes.plot([x], [share], marker=MARKERS[verdict], color=COLORS[verdict], ms=5, mew=0.6, ls="")


def _height(share: float, top: float) -> float:
    """Return the vertical place of a share of seeds above the rows of settings."""
    return top + 8 + share * (CURVE_HEIGHT - 16)


def _value(described: Mapping[str, Any], universe: Universe, setting: str) -> Any:
    values: Sequence[Any] = described["grid"][setting]
    return universe["settings"].get(setting, values[0])
