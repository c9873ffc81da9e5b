"""Metrics that reduce the curve of each seed to one number.

A number of epochs always means completed epochs: the first record of a curve is usually after 1 epoch. The functions
that take `rising` need to know whether the curve should rise, as an accuracy does, or fall, as a loss does.
"""

from collections.abc import Sequence

import numpy as np

from labcheck.core.metrics import Metric, Requirement
from labcheck.core.trials import Floats, Ints

EPOCHS = "epochs"
SHARE = "share"
LOG_PER_RECORD = "mean ln ratio per record"


def epochs_to(curve: str, below: float) -> Metric:
    """Return a metric: the number of epochs until a curve first falls to a level; infinite if it never does."""

    def reduce(values: Floats, after: Ints) -> float:
        reached = np.flatnonzero(values <= below)
        return float(after[reached[0]]) if reached.size else np.inf

    label = f"epochs to {curve} ≤ {below:g}"
    return Metric(curve, higher_is_better=False, ratio=False, reduction=reduce, label=label, unit=EPOCHS)


def epochs_to_settle(curve: str, within: float = 0.1) -> Metric:
    """Return a metric: the number of epochs until a curve first comes within a share of its own minimum."""

    def reduce(values: Floats, after: Ints) -> float:
        reached = np.flatnonzero(np.isfinite(values) & (values <= np.nanmin(values, initial=np.inf) * (1 + within)))
        return float(after[reached[0]]) if reached.size else np.inf

    label = f"epochs to {curve} within {100 * within:g}% of its minimum"
    return Metric(curve, higher_is_better=False, ratio=False, reduction=reduce, label=label, unit=EPOCHS)


def minimum(curve: str, start: int, stop: int | None = None) -> Metric:
    """Return a metric: the smallest finite value of a curve after `start` to `stop` epochs, or to the end of training.

    Both numbers of epochs must have a record.
    """

    def reduce(values: Floats, after: Ints) -> float:
        window = values[(after >= start) & (after <= (after[-1] if stop is None else stop))]
        return float(window[np.isfinite(window)].min(initial=np.inf))

    label = f"minimum of {curve} after {start} {'or more' if stop is None else f'to {stop}'} epochs"
    epochs = [start] if stop is None else [start, stop]
    return Metric(curve, higher_is_better=False, reduction=reduce, label=label, requires=_records(*epochs))


def last_value(curve: str, *, rising: bool) -> Metric:
    """Return a metric: the value of a curve after the last epoch that a seed trained."""

    def reduce(values: Floats, after: Ints) -> float:
        return float(values[-1])

    return Metric(curve, rising, not rising, reduction=reduce, label=f"last {curve}")


def value_at(curve: str, epoch: int, *, rising: bool) -> Metric:
    """Return a metric: the value of a curve after a number of epochs; the last value for a seed that stopped before."""

    def reduce(values: Floats, after: Ints) -> float:
        return float(values[min(int(np.searchsorted(after, epoch)), len(after) - 1)])

    label = f"{curve} after {epoch} epochs"
    return Metric(curve, rising, not rising, reduction=reduce, label=label, requires=_records(epoch))


def remaining_decrease(curve: str, epoch: int) -> Metric:
    """Return a metric: how far a curve decreases after a number of epochs, in its own unit.

    It is 0 for a seed that did not train longer, and NaN if the curve is not finite.
    """

    def reduce(values: Floats, after: Ints) -> float:
        rest = values[min(int(np.searchsorted(after, epoch)), len(after) - 1) :]
        return float(rest[0] - rest.min()) if np.isfinite(rest).all() else np.nan

    label = f"decrease of {curve} after {epoch} epochs"
    return Metric(curve, higher_is_better=False, ratio=False, reduction=reduce, label=label, requires=_records(epoch))


def share_of_decrease(curve: str, epoch: int) -> Metric:
    """Return a metric: the share of a curve's decrease that is done after a number of epochs.

    The whole decrease is that from the first value to the minimum. The share is NaN if the curve is not finite or never
    decreases.
    """

    def reduce(values: Floats, after: Ints) -> float:
        until = values[after <= epoch]
        whole = values[0] - values.min()
        return float((values[0] - until.min()) / whole) if np.isfinite(values).all() and whole > 0 else np.nan

    label = f"share of the decrease of {curve} after {epoch} epochs"
    return Metric(
        curve, higher_is_better=True, ratio=False, reduction=reduce, label=label, requires=_records(epoch), unit=SHARE
    )


def largest_growth(curve: str, epochs: Sequence[int]) -> Metric:
    """Return a metric: the largest growth factor of a positive curve from one of these numbers of epochs to the next.

    The end of a longer training is one more point. The result is below 1 if the curve decreases from each point to
    the next. It is NaN for a seed that stopped before the last point, or whose curve is not finite at one.
    """

    def reduce(values: Floats, after: Ints) -> float:
        value = dict(zip(after.tolist(), values.tolist(), strict=True))
        end = [int(after[-1])] if after[-1] > epochs[-1] else []
        points = np.array([value.get(int(epoch), np.nan) for epoch in [*epochs, *end]])
        return float((points[1:] / points[:-1]).max())

    label = f"largest growth of {curve} between {', '.join(map(str, epochs))} epochs and the end"
    return Metric(
        curve, higher_is_better=False, reduction=reduce, label=label, requires=_records(*epochs), unit="ratio"
    )


def increase(curve: str, first: int, last: int) -> Metric:
    """Return a metric: how far a curve increases between two numbers of epochs, in its own unit.

    It is NaN for a seed that stopped before the second one.
    """

    def reduce(values: Floats, after: Ints) -> float:
        value = dict(zip(after.tolist(), values.tolist(), strict=True))
        return float(value.get(last, np.nan) - value.get(first, np.nan))

    label = f"increase of {curve} from {first} to {last} epochs"
    return Metric(
        curve, higher_is_better=True, ratio=False, reduction=reduce, label=label, requires=_records(first, last)
    )


def largest_decrease(curve: str) -> Metric:
    """Return a metric: the largest decrease of a curve from one record to the next, in its own unit.

    It is negative if the curve only rises, NaN for a seed with a single record, and infinite if the curve is not
    finite.
    """

    def reduce(values: Floats, after: Ints) -> float:
        if not np.isfinite(values).all():
            return np.inf
        return float(-np.diff(values).min()) if len(values) > 1 else np.nan

    label = f"largest decrease of {curve}"
    return Metric(curve, higher_is_better=False, ratio=False, reduction=reduce, label=label)


def mean_rebound(curve: str, start: int = 0, stop: int | None = None, *, rising: bool) -> Metric:
    """Return a metric: how much a positive curve moves in the wrong direction.

    It is the mean increase of the logarithm of the curve per record. For a curve that should rise, it is the mean
    decrease. Moves in the right direction count as 0, so a curve that only falls has no rebound, however steep it is.
    The rebound is NaN for a seed with fewer than two records in the slice, and infinite if the curve is not finite.

    Args:
        curve: The name of the curve.
        start: The first record, counted from 0 as in a slice; a negative one counts from the end. Unless all records
            are used, the curve must have one after every epoch.
        stop: The record after the last one; None for the end.
        rising: Whether the curve should rise.
    """
    window = slice(start, stop)

    def reduce(values: Floats, after: Ints) -> float:
        selected = values[window]
        if not np.isfinite(selected if len(selected) > 1 else values[-1]).all():
            return np.inf
        steps = np.diff(np.log(selected)) * (-1 if rising else 1)
        return float(np.maximum(steps, 0).mean()) if steps.size else np.nan

    label = f"mean rebound of {curve}{_span(window)}"
    return Metric(
        curve,
        higher_is_better=False,
        ratio=False,
        reduction=reduce,
        label=label,
        requires=_records_of(window, 2),
        unit=LOG_PER_RECORD,
    )


def geometric_mean(curve: str, start: int = 0, stop: int | None = None, *, rising: bool) -> Metric:
    """Return a metric: the geometric mean of a positive curve over a slice of its epochs.

    A seed that stopped before keeps its last value, as in `value_at`; epochs counted from the end are its own.

    Args:
        curve: The name of the curve.
        start: The first epoch, counted from 0 as in a slice; a negative one counts from the end.
        stop: The epoch after the last one; None for the end.
        rising: Whether the curve should rise, so that higher values are better.
    """
    window = slice(start, stop)
    length = start + 1 if stop is None else stop

    def reduce(values: Floats, after: Ints) -> float:
        if start >= 0 and length > len(values):
            values = np.append(values, np.full(length - len(values), values[-1]))
        return float(np.exp(np.log(values[window]).mean())) if values[window].size else np.nan

    label = f"geometric mean of {curve}{_span(window)}"
    return Metric(curve, rising, not rising, reduction=reduce, label=label, requires=_records_of(window, 1))


def _records(*epochs: int) -> Requirement:
    """Require a record after each of these numbers of epochs."""

    def missing(after: Ints) -> str:
        absent = sorted({*epochs} - {*after.tolist()})
        return f"has no record after {' or '.join(map(str, absent))} epochs" if absent else ""

    return missing


def _records_of(window: slice, n: int) -> Requirement:
    """Require n records or more in a slice of epochs, and, unless it is the whole curve, one after every epoch."""

    def missing(after: Ints) -> str:
        total = len(after)
        if window != slice(0, None) and not np.array_equal(after, np.arange(total) + 1):
            return "is not recorded after each epoch"
        if max(abs(end) for end in (window.start, window.stop) if end is not None) > total:
            return f"has only {total} epochs"
        return f"has fewer than {n} records there" if len(after[window]) < n else ""

    return missing


def _span(window: slice) -> str:
    start, stop = window.start, window.stop
    if stop is None:
        return f" over the last {-start} epochs" if start < 0 else f" from epoch {start}" if start else ""
    if stop >= 0:
        return f" over epochs {start} to {stop}"
    return f" from {f'{-start} to ' if start < 0 else f'epoch {start} to '}{-stop} epochs before the end"
