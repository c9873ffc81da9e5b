"""Curves and tables of an arm's seeds, small enough for a report: what most seeds do, and how far they differ."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labcheck.core.metrics import Floats, Metric, Trials

RECORDS = 120
SHARES = {"low": 0.1, "median": 0.5, "high": 0.9}
DIGITS = 4


def summary(trials: Trials) -> dict[str, Any]:
    """What a report keeps of an arm beside its metrics.

    Returns:
        "after": how many epochs, of up to 120 records from the first to the last that a seed trained; "curves": at
        each of them the median over seeds and the 10th and 90th percentile, where a seed that has stopped keeps its
        last number; "tables": of a row of numbers (n, P) the same three, of a matrix (n, …) the mean; "diverged": the
        seeds whose training raised what the lab counts as divergence, with the error.
    """
    return {
        **_curves(trials),
        "tables": {name: _table(table) for name, table in trials.tables.items()},
        "diverged": [{"seed": seed, "error": error} for seed, error in sorted(trials.diverged.items())],
    }


def spread(values: Floats) -> dict[str, list[Any]]:
    """The median over seeds (n, P) and the 10th and 90th percentile, each (P,); None where that seed is not finite."""
    ordered = np.sort(np.where(np.isfinite(values), values, np.inf), axis=0)
    return {name: _short(_quantile(ordered, share)) for name, share in SHARES.items()}


def median(values: Sequence[float | None], metric: Mapping[str, Any]) -> float:
    """Of a metric over seeds, both as a report has them (`labcheck.core.metrics.Metric.median`)."""
    return Metric("", **metric).median(np.array(values, dtype=np.float64))  # None becomes NaN


def _quantile(ordered: Floats, share: float) -> Floats:
    """As NumPy's, which would mix an infinity in where it has no weight."""
    place = round(share * (len(ordered) - 1), 9)
    row = int(place)
    weight = place - row
    found: Floats = (1 - weight) * ordered[row] + weight * ordered[row + 1] if weight else ordered[row]
    return found


def _curves(trials: Trials) -> dict[str, Any]:
    if not trials.curves:
        return {"after": [], "curves": {}}
    after = trials.after(next(iter(trials.curves)))
    lasts = np.maximum(np.searchsorted(after, trials.metrics["epochs"], "right") - 1, 0)
    columns = np.unique(np.linspace(0, lasts.max(), RECORDS).round().astype(int))
    shown = np.minimum(columns, lasts[:, None])
    curves = {name: spread(np.take_along_axis(curve, shown, 1)) for name, curve in trials.curves.items()}
    return {"after": after[columns].tolist(), "curves": curves}


def _table(table: Floats) -> dict[str, Any]:
    return spread(table) if table.ndim == 2 else {"mean": [_short(row) for row in table.mean(0)]}


def _short(values: Floats) -> list[Any]:
    return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in values]
