"""Summaries: the curves and tables of an arm over all seeds, small enough for a report."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from labcheck.core.lab import Lab
from labcheck.core.metrics import Metric
from labcheck.core.trainers import TrainerLab
from labcheck.core.trials import Floats, Trials
from labcheck.engine.checks import Check, CheckResult

MAX_RECORDS = 120
QUANTILES = {"low": 0.1, "median": 0.5, "high": 0.9}
DIGITS = 4


def summarize(
    trials: Trials, unit: Callable[[str], str], first: int = 0, compared: Collection[str] = ()
) -> dict[str, Any]:
    """Return what a report contains about an arm besides its metrics.

    Args:
        trials: The trials of the arm.
        unit: A function that returns the unit of a curve.
        first: The first seed.
        compared: The names of the metrics that a report contains anyway.

    Returns:
        "after": the numbers of epochs of up to 120 records. "curves": the unit of each curve, and at each of the
        records the median over seeds and the 10th and 90th percentile; a seed that has stopped keeps its last value,
        and a curve with fewer records than others, such as one per epoch beside one per step, is stretched.
        "tables": the same three for a row of numbers (n, P), the mean for a matrix (n, …). "diverged": the seeds whose
        training raised an exception that counts as divergence, with the error. "others": the median over seeds of each
        metric that is not among `compared`; a value that is not finite counts as infinite.
    """
    others = {name: values[:, None] for name, values in trials.metrics.items() if name not in compared}
    return {
        **_curves(trials, unit),
        "tables": {name: _table(table) for name, table in trials.tables.items()},
        "diverged": [{"seed": first + index, "error": error} for index, error in sorted(trials.diverged.items())],
        "others": {name: spread(column)["median"][0] for name, column in sorted(others.items())},
    }


def add_summaries(check: Check, result: CheckResult) -> None:
    """Add the summary of each measured arm, and the source code of a function as lab, to the result of a check."""
    experiment = check.experiment
    if code := source_code(experiment.claim.lab):
        result.result.claim["code"] = code
    for arm in result.result.current.arms:
        unit, first = experiment.labs[arm].unit, experiment.seeds.start
        compared = [metric.name for metric in experiment.claim.metrics(arm) if not metric.reduction]
        result.result.summaries[arm] = summarize(result.trials[arm], unit, first, compared)


def source_code(lab: type[Lab]) -> str:
    """Return the source code of a lab that is a function; "" for other labs, or if it cannot be found."""
    if issubclass(lab, TrainerLab):
        with suppress(OSError):
            return inspect.getsource(lab.function)
    return ""


def spread(values: Floats) -> dict[str, list[Any]]:
    """Return the median and the 10th and 90th percentile over seeds (n, P), each (P,); None if it is not finite."""
    ordered = np.sort(np.where(np.isfinite(values), values, np.inf), axis=0)
    return {name: _short(_quantile(ordered, share)) for name, share in QUANTILES.items()}


def median(values: Sequence[float | None], metric: Mapping[str, Any]) -> float:
    """Return the median of a metric over seeds, both in the form of a report; see `Metric.median`."""
    direction = Metric("", metric["higher_is_better"], metric["ratio"])
    return direction.median(np.array(values, dtype=np.float64))  # None becomes NaN


def _quantile(ordered: Floats, share: float) -> Floats:
    """Return a quantile as NumPy does, except that an infinity with weight 0 has no effect."""
    place = round(share * (len(ordered) - 1), 9)
    row = int(place)
    weight = place - row
    quantile: Floats = (1 - weight) * ordered[row] + weight * ordered[row + 1] if weight else ordered[row]
    return quantile


def _curves(trials: Trials, unit: Callable[[str], str]) -> dict[str, Any]:
    if not trials.curves:
        return {"after": [], "curves": {}}
    after = trials.after(next(iter(trials.curves)))
    records = {name: np.maximum(trials.records(name), 1) for name in trials.curves}
    longest = np.max([*records.values()], axis=0)
    columns = np.unique(np.linspace(0, longest.max() - 1, MAX_RECORDS).round().astype(int))
    shown = np.minimum(columns + 1, longest[:, None])
    curves = {}
    for name, curve in trials.curves.items():
        # a curve that is shorter than others of its seed is stretched to their length
        index = np.maximum(shown * records[name][:, None] // longest[:, None], 1) - 1
        curves[name] = {"unit": unit(name), **spread(np.take_along_axis(curve, index, 1))}
    return {"after": after[columns].tolist(), "curves": curves}


def _table(table: Floats) -> dict[str, Any]:
    return spread(table) if table.ndim == 2 else {"mean": [_short(row) for row in table.mean(0)]}


def _short(values: Floats) -> list[Any]:
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values]
