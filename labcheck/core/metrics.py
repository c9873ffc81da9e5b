"""Metrics: numbers per seed by which arms are compared."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from labcheck.core.errors import line
from labcheck.core.settings import shown
from labcheck.core.trials import Floats, Ints, MetricError, Trials

Reduction = Callable[[Floats, Ints], float]
"""The curve of one seed up to its last epoch (E,), and the epochs completed at each record (E,) → a number."""
Requirement = Callable[[Ints], str]
"""The epochs completed at each record of a full training (E,) → what is missing for a metric, or ""."""


@dataclass(frozen=True)
class Metric:
    """A number per seed, taken from the trials of an arm.

    Attributes:
        name: The name of a metric of the trials, or, with a reduction, the name of a curve.
        higher_is_better: True for scores such as accuracies, False for errors and losses. Required.
        ratio: Whether arms are compared by ratio, as errors are, which are never negative; otherwise by difference.
        reduction: A function that turns the curve of one seed into a number.
        label: The text that identifies a metric with a reduction in baselines and reports.
        requires: A function that checks which records the reduction needs; a seed that stopped early may lack them.
        unit: The unit of the values; None if it is the unit that the lab states for `name`.
        curve: The curve whose last or best value this metric is, if it has another name, such as "val_loss".

    Raises:
        TypeError: The name is not a string.
        ValueError: The direction is missing.
    """

    name: str
    higher_is_better: bool = None  # type: ignore[assignment]  # required, and checked below for a helpful message
    ratio: bool = True
    reduction: Reduction | None = None
    label: str = ""
    requires: Requirement | None = None
    unit: str | None = None
    curve: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(
                "a metric must have the name of a number that the lab returns, such as error('test_mse'), got "
                f"{shown(self.name)}"
            )
        if not isinstance(self.higher_is_better, bool):
            raise ValueError(
                f"Metric({self.name!r}) must state which direction is better: higher_is_better=True for a score such "
                "as an accuracy, higher_is_better=False for an error or a loss"
            )

    @property
    def id(self) -> str:
        """The text that identifies this metric within a claim, in baselines and in reports."""
        return self.label or self.name

    def __str__(self) -> str:
        return self.id

    def fill(self, values: Floats) -> Floats:
        """Return values (n,) with the worst possible one, 0 or an infinity, in place of non-finite ones."""
        worst = np.inf if not self.higher_is_better else 0.0 if self.ratio else -np.inf
        return np.where(np.isfinite(values), values, worst)

    def median(self, values: Floats) -> float:
        """Return the median over seeds, counting non-finite values as the worst; NaN if that median is infinite."""
        median = float(np.median(self.fill(values)))
        return median if np.isfinite(median) else np.nan

    def of(self, trials: Trials) -> Floats:
        """Return the values (n,) of this metric, rounded to float32 as in baselines; NaN for diverged seeds.

        Raises:
            MetricError: The trials lack the metric, the curve or its records, or the reduction raised.
        """
        if len(trials.diverged) == len(trials):
            return np.full(len(trials), np.nan)
        if self.reduction and not trials.curves:  # all seeds may have trained for one record
            trials = trials.with_curves({self.name})
        arrays = {"metric": trials.metrics, "curve": trials.curves}
        kind, other = ("curve", "metric") if self.reduction else ("metric", "curve")
        available = arrays[kind]
        if self.name not in available:
            hint = f", but there is a {other} of that name{self._remedy}" if self.name in arrays[other] else ""
            names = ", ".join(sorted(available)) or "none"
            raise MetricError(f"no {kind} '{self.name}'{hint}; available: {names}")
        if self.reduction is None:
            return round_to_float32(trials.metrics[self.name])
        after = trials.after(self.name)
        if missing := self.requires(after) if self.requires else "":
            raise MetricError(f"no {self}: {self.name} {missing}")
        values, records = np.full(len(trials), np.nan), trials.records(self.name)
        for seed, curve in enumerate(trials.curves[self.name].astype(np.float64)):
            if seed not in trials.diverged:
                end = records[seed]
                values[seed] = self._reduce(seed, curve[:end], after[:end]) if end else np.nan
        return round_to_float32(values)

    @property
    def _remedy(self) -> str:
        """What takes the number that was probably meant, if it is of the other kind."""
        if self.reduction is None:
            return f": use last_value({self.name!r}, rising={self.higher_is_better})"
        return f": use {'score' if self.higher_is_better else 'error'}({self.name!r})"

    def _reduce(self, seed: int, curve: Floats, after: Ints) -> float:
        assert self.reduction is not None
        try:
            with np.errstate(all="ignore"):
                return float(self.reduction(curve, after))
        except Exception as error:  # whatever a user's reduction raises
            raise MetricError(f"{self}: seed {seed}: {line(error)}") from error


def error(name: str, **options: Any) -> Metric:
    """Return a metric of which lower values are better and which is compared by ratio, such as an error or a loss.

    Args:
        name: The name of the number that the lab returns.
        options: Other attributes of Metric, such as `ratio=False` for values that can be negative.
    """
    return Metric(name, **{"higher_is_better": False, **options})


def score(name: str, **options: Any) -> Metric:
    """Return a metric of which higher values are better and which is compared by difference, such as an accuracy.

    Args:
        name: The name of the number that the lab returns.
        options: Other attributes of Metric.
    """
    return Metric(name, **{"higher_is_better": True, "ratio": False, **options})


def round_to_float32(values: Floats) -> Floats:
    """Return float64 values rounded to float32, whose overflow is infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)


CPU_SECONDS = Metric("cpu_seconds", higher_is_better=False, unit="s")
"""The CPU time of a short training of one seed; see `labcheck.engine.timing`."""
