"""Small figures of one claim of a report, as SVG that takes its colors from the surrounding page."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullLocator

from labcheck.core.trials import Floats
from labcheck.report.summary import median

ARM_COLORS = [f"#0000{50 + arm}" for arm in range(7)]
"""Placeholders for the page's colors --arm0 to --arm6, which differ in light and dark mode."""
DASHES: list[list[float]] = [[], [5, 2], [1.5, 1.5], [6, 2, 1.5, 2]]
TEXT_COLOR = "#000099"
"""The placeholder for the color of the page's text."""
WIDTH, PIXELS = 340, 72
MOST_DROPS = 10
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "path.simplify": False,
    "text.parse_math": False,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "axes.edgecolor": TEXT_COLOR,
    "axes.labelcolor": TEXT_COLOR,
    "xtick.color": TEXT_COLOR,
    "ytick.color": TEXT_COLOR,
    "text.color": TEXT_COLOR,
}
CLASS_METRIC = re.compile(r"_(accuracy|precision)_\d+$")
"""The metrics of single classes, which a table shows."""
LOG_RATIO = 20
"""The ratio of the largest to the smallest value of a curve above which its axis is logarithmic."""
Draw = Callable[[Axes], None]
ClaimEntry = Mapping[str, Any]


class Panel(NamedTuple):
    """A figure.

    Attributes:
        title: Its title.
        svg: The drawing.
        notes: Sentences below it.
    """

    title: str
    svg: str
    notes: Sequence[str] = ()


def strips(claim: ClaimEntry) -> list[Panel]:
    """Return a figure for each metric: the values of all seeds, a row per arm, with median and printed numbers."""
    names = [name for name in claim["metrics"] if not CLASS_METRIC.search(name)]
    return [panel for name in names if (panel := _strip(claim, name))]


def curves(claim: ClaimEntry) -> list[Panel]:
    """Return a figure for each curve over epochs: the median and a band over seeds, one line per arm."""
    names = list(dict.fromkeys(name for arm in claim["arms"] for name in arm["curves"]))
    shown = [name for name in names if name != "lr" and name.replace("batch_", "train_") not in {*names} - {name}]
    return [_curve(claim, name) for name in shown]


def grids(claim: ClaimEntry) -> list[Panel]:
    """Return figures of the function that each arm has learned, or of its error, over an interval."""
    arms = [(index, arm["tables"]) for index, arm in enumerate(claim["arms"]) if "grid_x" in arm["tables"]]
    fits = [(index, tables) for index, tables in arms if "grid_fit" in tables]
    errors = [(index, tables) for index, tables in arms if "grid_error" in tables]

    def fit(axes: Axes) -> None:
        for index, tables in fits:
            _band(axes, tables["grid_x"]["median"], tables["grid_fit"], index)
        tables = fits[0][1]
        axes.plot(tables["grid_x"]["median"], _floats(tables["grid_true"]["median"]), color=TEXT_COLOR, lw=0.8)
        axes.set(xlabel="x", ylabel="y")

    def error(axes: Axes) -> None:
        for index, tables in errors:
            logs = {name: np.log(np.maximum(_floats(values), 1e-30)) for name, values in tables["grid_error"].items()}
            _band(axes, tables["grid_x"]["median"], logs, index)
        axes.set(xlabel="x", ylabel="ln of squared error")

    panels = []
    if fits:
        panels.append(Panel("the fit; the thin line is the function", svg(fit, f"{claim['id']}: fit and function")))
    if errors:
        panels.append(Panel("squared error over the interval", svg(error, f"{claim['id']}: ln of squared error")))
    return panels


def _strip(claim: ClaimEntry, name: str) -> Panel | None:
    rows = [(index, arm) for index, arm in enumerate(claim["arms"]) if name in arm["metrics"]]
    quoted = [[quote["value"] for quote in arm["quoted"] if quote["metric"] == name] for _, arm in rows]
    values = [_floats(arm["metrics"][name]) for _, arm in rows]
    finite = [array[np.isfinite(array)] for array in values]
    every = np.concatenate([*finite, _floats([value for row in quoted for value in row if value is not None])])
    if not len(every):
        return None

    def draw(axes: Axes) -> None:
        for row, ((index, arm), array, numbers) in enumerate(zip(rows, finite, quoted, strict=True)):
            axes.text(0, row - 0.32, arm["name"], transform=axes.get_yaxis_transform(), size=9.5, va="center")
            _dots(axes, array, row + 0.14, index)
            center = median(arm["metrics"][name], claim["metrics"][name])
            axes.plot([center] * 2, [row - 0.16, row + 0.44], color=TEXT_COLOR, lw=1.6, zorder=1)
            lost = len(arm["metrics"][name]) - len(array)
            remarks = [f"{lost} of {lost + len(array)} not finite"] if lost else []
            remarks += ["report: not finite"] if None in numbers else []
            axes.text(1, row - 0.32, ", ".join(remarks), transform=axes.get_yaxis_transform(), ha="right", va="center")
            shown = [number for number in numbers if number is not None]
            axes.plot(shown, [row + 0.14] * len(shown), "D", ms=6.5, mfc="none", mec=TEXT_COLOR, mew=1.4)
        _scale(axes, "x", every, log=claim["metrics"][name]["ratio"])
        axes.set(ylim=(len(rows) - 0.4, -0.6), yticks=[], xlabel=claim["metrics"][name]["unit"] or name)
        axes.spines["left"].set_visible(False)

    drawing = svg(draw, f"{claim['id']}: {name} of each seed, by arm", 52 + 38 * len(rows), left=12)
    return Panel(name, drawing)


def _dots(axes: Axes, values: Floats, row: float, arm: int) -> None:
    """Draw all seeds as one path of lines without length but with round ends."""
    places = row + 0.36 * (np.arange(len(values)) * 0.618 % 1 - 0.5)
    gaps = np.full(len(values), np.nan)
    x, y = np.stack([values, values, gaps], 1).ravel(), np.stack([places, places, gaps], 1).ravel()
    axes.plot(x, y, color=_color(arm), lw=4.5, alpha=0.7, solid_capstyle="round")


def _curve(claim: ClaimEntry, name: str) -> Panel:
    arms = [(index, arm) for index, arm in enumerate(claim["arms"]) if name in arm["curves"]]
    quoted = [
        (index, quote["value"])
        for index, arm in arms
        for quote in arm["quoted"]
        if quote["value"] is not None and claim["metrics"][quote["metric"]]["curve"] == name
    ]
    medians = [_floats(arm["curves"][name]["median"]) for _, arm in arms]
    every = np.concatenate([*medians, [value for _, value in quoted]])
    every = every[np.isfinite(every)]
    drops = [(index, drop) for index, arm in arms for drop in _drops(arm)]

    def draw(axes: Axes) -> None:
        for index, arm in arms:
            _band(axes, arm["after"], arm["curves"][name], index)
        for index, value in quoted:
            axes.axhline(value, color=_color(index), lw=1, ls=(0, (1, 2)))
        for index, drop in drops:
            axes.axvline(drop, color=_color(index), lw=1, ls=(0, (1, 2)))
        _scale(axes, "y", every, log=len(every) > 0 and every.max() > LOG_RATIO * every.min() > 0)
        after = max((arm["after"] for _, arm in arms), key=len)
        _scale(axes, "x", np.array([after[0], after[-1]]), log=after[len(after) // 2] * 4 < after[-1], whole=True)
        axes.set(xlabel="epochs", ylabel=arms[0][1]["curves"][name]["unit"] or name)

    lost = [arm["name"] for _, arm in arms if arm["curves"][name]["median"][-1] is None]
    notes = [f"The median is not finite at the end: {', '.join(lost)}."] if lost else []
    notes += ["Vertical dotted line: the learning rate changes."] if drops else []
    notes += ["Horizontal dotted line: the report's number."] if quoted else []
    return Panel(name, svg(draw, f"{claim['id']}: {name} over epochs, by arm"), notes)


def _drops(arm: Mapping[str, Any]) -> list[float]:
    """Return the epochs at which the learning rate changes, if it does so rarely and for all seeds at once."""
    rates = arm["curves"].get("lr")
    if rates is None or rates["low"] != rates["high"] or None in rates["median"]:
        return []
    changes = np.flatnonzero(np.diff(rates["median"]))
    if len(changes) > MOST_DROPS:
        return []
    return [(arm["after"][change] + arm["after"][change + 1]) / 2 for change in changes]


def _band(axes: Axes, x: Sequence[float], spread: Mapping[str, Any], arm: int) -> None:
    """Draw the median over seeds, and the 10th to 90th percentile as a band that is open where seeds are not finite."""
    low, center, high = (_floats(spread[name]) for name in ("low", "median", "high"))
    top = np.nanmax(np.concatenate([center, high, [0]])) * 1e3 + 1
    high = np.where(np.isfinite(low) & ~np.isfinite(high), top, high)
    axes.fill_between(x, low, high, color=_color(arm), alpha=0.14, lw=0)
    dashes = DASHES[arm % len(DASHES)]
    axes.plot(x, center, color=_color(arm), ls=(0, tuple(dashes)) if dashes else "-")


def _scale(axes: Axes, which: str, values: Floats, *, log: bool, whole: bool = False) -> None:
    """Set limits of the axis "x" or "y" that include these values, and a few round ticks, perhaps at integers only."""
    if not len(values):
        return
    low, high = float(values.min()), float(values.max())
    room = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    limits = low - room, high + room
    ticks: Locator = MaxNLocator(4, integer=whole)
    if log and low > 0:
        room = max((high / low) ** 0.06, 1.02)
        limits = low / room, high * room
        axes.set(**{f"{which}scale": "log"})
        if high > 4 * low:
            ticks = LogLocator(subs=(1.0,) if high > 50 * low else (1.0, 2.0, 5.0), numticks=6)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(ticks)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.set(**{f"{which}lim": limits})


def _color(arm: int) -> str:
    return ARM_COLORS[arm % len(ARM_COLORS)]


def _floats(values: Any) -> Floats:
    return np.array(values, dtype=np.float64)  # None becomes NaN


def svg(draw: Draw, description: str, height: int = 230, left: int = 56) -> str:
    """Return a drawing as SVG with a description for screen readers, without parts that the page does not need."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": description}):
        figure = Figure(figsize=(WIDTH / PIXELS, height / PIXELS), dpi=PIXELS)
        figure.patch.set_visible(False)
        axes = figure.add_axes((left / WIDTH, 40 / height, 1 - (left + 12) / WIDTH, 1 - 50 / height))
        axes.patch.set_visible(False)
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _clean(file.getvalue(), description, height)


def _clean(text: str, description: str, height: int) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    used = set(re.findall(r'[("]#([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", text)
    text = re.sub(r"<svg[^>]*>", "", text, count=1)
    text = re.sub(r' (d|x|y|transform)="[^"]*"', lambda match: _shorten(match[0]), text)
    for arm, color in enumerate(ARM_COLORS):
        text = text.replace(color, f"var(--arm{arm})")
    text = re.sub(r"\s+", " ", text.replace(TEXT_COLOR, "currentColor")).replace("> <", "><")
    escaped = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escaped}">{text}'


def _shorten(attribute: str) -> str:
    """Round numbers to a tenth of a pixel, and drop the letters of lines in a path, which are implied."""
    return re.sub(r"(\.[1-9])\d+|\.0\d*", r"\1", re.sub(r"\s+L ", " ", attribute))
