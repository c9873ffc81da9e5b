"""What trials measured, and the numbers that claims take from it: one per seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labcheck.core.errors import line

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Reduction = Callable[[Floats, Ints], float]
"""The curve of one seed, up to its last epoch, and after how many epochs each of its numbers was taken → a number."""
Needs = Callable[[Ints], str]
"""After how many epochs each record of a full training is taken (E,) → what is missing there, in words, or ""."""


@dataclass(frozen=True)
class Trials:
    """One arm, trained once with each of n seeds.

    Attributes:
        metrics: one number per seed (n,), such as "test_mse"; "epochs", which trials with curves have, is how many
            epochs each seed trained.
        curves: one number per seed and record (n, E) of a full training, NaN after a seed's last epoch.
        recorded: after how many epochs each record was taken (E,); None where that was after every one.
        tables: several numbers per seed (n, …), such as "test_confusion", images (n, true class, predicted class).
        diverged: for seeds whose training raised what the lab counts as divergence, by place, the error in a line;
            all their numbers are NaN.
    """

    metrics: dict[str, Floats]
    curves: dict[str, Floats]
    recorded: Ints | None = None
    tables: dict[str, Floats] = field(default_factory=dict)
    diverged: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        arrays = [*self.metrics.values(), *self.curves.values()]
        return len(arrays[0]) if arrays else len(self.diverged)

    def after(self, curve: str) -> Ints:
        """Return after how many epochs each number of a curve was taken, (E,)."""
        return np.arange(self.curves[curve].shape[1]) + 1 if self.recorded is None else self.recorded

    def first(self, n: int) -> "Trials":
        """Return the trials of the first n seeds."""
        metrics, curves, tables = (
            {name: array[:n] for name, array in part.items()} for part in (self.metrics, self.curves, self.tables)
        )
        diverged = {seed: error for seed, error in self.diverged.items() if seed < n}
        return Trials(metrics, curves, self.recorded, tables, diverged)

    def with_curves(self, names: set[str]) -> "Trials":
        """Return the same with metrics of these names, unless they are curves already, as curves of one record."""
        moved = {name: self.metrics[name] for name in names & self.metrics.keys() - self.curves.keys()}
        if not moved:
            return self
        metrics = {name: value for name, value in self.metrics.items() if name not in moved}
        curves = {**self.curves, **{name: value.reshape(-1, 1) for name, value in moved.items()}}
        epochs = np.full(len(self), 1.0 if self.recorded is None else self.recorded[0])
        return Trials({"epochs": epochs, **metrics}, curves, self.recorded, self.tables, self.diverged)

    @staticmethod
    def join(blocks: Sequence["Trials"]) -> "Trials":
        """Return blocks of seeds, one after the other; curves that end early are filled up with NaN.

        Raises:
            MetricError: blocks measured different things, or at different epochs.
        """
        curves_of_any = {name for block in blocks for name in block.curves}
        blocks = [block.with_curves(curves_of_any) if len(block) == 1 else block for block in blocks]
        diverged: dict[int, str] = {}
        first = 0
        for block in blocks:
            diverged |= {first + seed: error for seed, error in block.diverged.items()}
            first += len(block)
        records = [block.recorded for block in blocks if block.curves]
        longest = max((record for record in records if record is not None), key=len, default=None)
        for record in records:
            if (record is None) != (longest is None) or (
                record is not None and longest is not None and not np.array_equal(record, longest[: len(record)])
            ):
                raise MetricError("curves were recorded after different epochs for some seeds than for others")
        curves, metrics, tables = (_joined(kind, blocks) for kind in ("curves", "metrics", "tables"))
        return Trials(metrics, curves, longest, tables, diverged)


class MetricError(LookupError):
    """A metric that trials do not have, in a line."""


def _joined(kind: str, blocks: Sequence[Trials]) -> dict[str, Floats]:
    """Arrays of blocks one after the other, by name: NaN for blocks that have diverged and at the ends of curves."""
    measured: list[dict[str, Floats]] = []
    first = earlier = 0
    for block in blocks:
        if len(block.diverged) < len(block):
            part = getattr(block, kind)
            if measured and (odd := sorted(part.keys() ^ measured[0].keys())):
                seeds = (first, earlier) if odd[0] in part else (earlier, first)
                raise MetricError(f"{kind}: '{odd[0]}' was returned for seed {seeds[0]} and not for seed {seeds[1]}")
            earlier = earlier if measured else first
            measured.append(part)
        first += len(block)
    joined = {}
    for name in measured[0] if measured else ():
        shapes = {part[name].shape[1:] for part in measured}
        if len(shapes) > 1 and kind != "curves":
            raise MetricError(f"{kind}: '{name}' has another shape for some seeds than for others")
        whole = np.full((sum(map(len, blocks)), *max(shapes)), np.nan)
        first = 0
        for block in blocks:
            if (rows := getattr(block, kind).get(name)) is not None:
                whole[(slice(first, first + len(block)), *map(slice, rows.shape[1:]))] = rows
            first += len(block)
        joined[name] = whole
    return joined


@dataclass(frozen=True)
class Metric:
    """A number per seed that arms are compared by.

    Attributes:
        name: of a metric of the trials, or of a curve where there is a reduction.
        higher_is_better: True for scores such as accuracies, False for errors and losses; it must be said.
        ratio: arms are compared by ratio, as errors are, which have no negative values; else by difference.
        reduction: turns the curve of one seed into a number; `label` says what it does.
        needs: what it needs of the records, which seeds that have stopped early need not have.

    Raises:
        ValueError: the direction is not said.
    """

    name: str
    higher_is_better: bool = None  # type: ignore[assignment]  # so that the message can say what is missing
    ratio: bool = True
    reduction: Reduction | None = None
    label: str = ""
    needs: Needs | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.higher_is_better, bool):
            raise ValueError(
                f"Metric({self.name!r}) must say which direction is better: higher_is_better=True for a score such as "
                "an accuracy, higher_is_better=False for an error or a loss"
            )

    def __str__(self) -> str:
        return self.label or self.name

    def filled(self, values: Floats) -> Floats:
        """Return values with the worst one, 0 or an infinity, in the place of those that are not finite."""
        worst = np.inf if not self.higher_is_better else 0.0 if self.ratio else -np.inf
        return np.where(np.isfinite(values), values, worst)

    def median(self, values: Floats) -> float:
        """Return the median over seeds, one that is not finite counted as the worst; NaN where it is infinite."""
        middle = float(np.median(self.filled(values)))
        return middle if np.isfinite(middle) else np.nan

    def of(self, trials: Trials) -> Floats:
        """Return its values (n,), rounded to float32, the precision that baselines keep; NaN for diverged seeds.

        Raises:
            MetricError: the trials have no metric or curve of that name, or none of its epochs, or the reduction fails.
        """
        if len(trials.diverged) == len(trials):
            return np.full(len(trials), np.nan)
        if self.reduction and not trials.curves:  # all seeds may have trained for one record
            trials = trials.with_curves({self.name})
        parts = {"metric": trials.metrics, "curve": trials.curves}
        kind, other = ("curve", "metric") if self.reduction else ("metric", "curve")
        known = parts[kind]
        if self.name not in known:
            odd = f", but a {other} of that name" if self.name in parts[other] else ""
            raise MetricError(f"there is no {kind} '{self.name}'{odd}; there are {', '.join(sorted(known)) or 'none'}")
        if self.reduction is None:
            return rounded(trials.metrics[self.name])
        after = trials.after(self.name)
        if missing := self.needs(after) if self.needs else "":
            raise MetricError(f"there is no {self}: {self.name} {missing}")
        values = np.full(len(trials), np.nan)
        for seed, curve in enumerate(trials.curves[self.name].astype(np.float64)):
            if seed not in trials.diverged:
                last = np.searchsorted(after, trials.metrics["epochs"][seed], "right")
                values[seed] = self._reduced(seed, curve[:last], after[:last]) if last else np.nan
        return rounded(values)

    def _reduced(self, seed: int, curve: Floats, after: Ints) -> float:
        assert self.reduction is not None
        try:
            with np.errstate(all="ignore"):
                return float(self.reduction(curve, after))
        except Exception as error:  # whatever a reduction of the user's raises
            raise MetricError(f"{self}: seed {seed}: {line(error)}") from error


def rounded(values: Floats) -> Floats:
    """Return values rounded to float32, beyond whose range they are infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)


CPU_SECONDS = Metric("cpu_seconds", higher_is_better=False)
"""Of a training, short and unstacked: see `labcheck.engine.timing`."""


def epochs_to(curve: str, below: float) -> Metric:
    """How many epochs until a curve first reaches a level; infinite when it never does."""

    def reduce(values: Floats, after: Ints) -> float:
        reached = np.flatnonzero(values <= below)
        return float(after[reached[0]]) if reached.size else np.inf

    return Metric(curve, higher_is_better=False, ratio=False, reduction=reduce, label=f"epochs to {curve} ≤ {below:g}")


def epochs_to_settle(curve: str, within: float = 0.1) -> Metric:
    """How many epochs until a curve first comes within a share of its own minimum: when it has about converged."""

    def reduce(values: Floats, after: Ints) -> float:
        reached = np.flatnonzero(np.isfinite(values) & (values <= np.nanmin(values, initial=np.inf) * (1 + within)))
        return float(after[reached[0]]) if reached.size else np.inf

    label = f"epochs to {curve} within {100 * within:g}% of its best"
    return Metric(curve, higher_is_better=False, ratio=False, reduction=reduce, label=label)


def lowest(curve: str, start: int, stop: int | None = None) -> Metric:
    """The lowest finite number of a curve from one number of epochs to another, both of which have records.

    Without a second number it is to the end of training.
    """

    def reduce(values: Floats, after: Ints) -> float:
        seen = values[(after >= start) & (after <= (after[-1] if stop is None else stop))]
        return float(seen[np.isfinite(seen)].min(initial=np.inf))

    label = f"lowest {curve} after {start} {'epochs or more' if stop is None else f'to {stop} epochs'}"
    needed = [start] if stop is None else [start, stop]
    return Metric(curve, higher_is_better=False, reduction=reduce, label=label, needs=_records(*needed))


def last(curve: str, *, rising: bool) -> Metric:
    """The last number of a curve, after the last epoch that a seed has trained.

    Of a curve that should be `rising`, such as an accuracy, more is better.
    """
    return Metric(curve, rising, not rising, reduction=lambda values, after: float(values[-1]), label=f"last {curve}")


def at(curve: str, epoch: int, *, rising: bool) -> Metric:
    """A curve after so many epochs; its last number for a seed that has stopped before, and goes on as it was.

    Of a curve that should be `rising`, such as an accuracy, more is better.
    """

    def reduce(values: Floats, after: Ints) -> float:
        return float(values[min(int(np.searchsorted(after, epoch)), len(after) - 1)])

    return Metric(
        curve, rising, not rising, reduction=reduce, label=f"{curve} after {epoch} epochs", needs=_records(epoch)
    )


def fall(curve: str, after: int) -> Metric:
    """How far a curve still falls after so many epochs, in its own unit; 0 for a seed that has trained no longer.

    NaN where the curve is not finite.
    """

    def reduce(values: Floats, epochs: Ints) -> float:
        rest = values[min(int(np.searchsorted(epochs, after)), len(epochs) - 1) :]
        return float(rest[0] - rest.min()) if np.isfinite(rest).all() else np.nan

    label = f"fall of {curve} after epoch {after}"
    return Metric(curve, higher_is_better=False, ratio=False, reduction=reduce, label=label, needs=_records(after))


def share_of_fall(curve: str, epoch: int) -> Metric:
    """The share of a curve's whole fall, from its first number to its lowest, that it has done by some epoch.

    NaN where the curve is not finite, or never falls.
    """

    def reduce(values: Floats, after: Ints) -> float:
        by_then = values[after <= epoch]
        whole = values[0] - values.min()
        return float((values[0] - by_then.min()) / whole) if np.isfinite(values).all() and whole > 0 else np.nan

    label = f"share of the fall of {curve} by epoch {epoch}"
    return Metric(curve, higher_is_better=True, ratio=False, reduction=reduce, label=label, needs=_records(epoch))


def largest_growth(curve: str, epochs: Sequence[int]) -> Metric:
    """The largest ratio of a positive curve after one of these numbers of epochs to that after the one before.

    The end of a longer training is one more. It is below 1 for a curve that falls from each to the next. NaN for a seed
    that has stopped before the last of them, or whose curve is not finite at one.
    """

    def reduce(values: Floats, after: Ints) -> float:
        seen: dict[int, float] = dict(zip(after.tolist(), values.tolist(), strict=True))
        ends = [after[-1]] if after[-1] > epochs[-1] else []
        numbers = np.array([seen.get(int(epoch), np.nan) for epoch in [*epochs, *ends]])
        return float((numbers[1:] / numbers[:-1]).max())

    label = f"largest growth of {curve} between {', '.join(map(str, epochs))} epochs and the end"
    return Metric(curve, higher_is_better=False, reduction=reduce, label=label, needs=_records(*epochs))


def rise(curve: str, first: int, last: int) -> Metric:
    """How far a curve that should rise has risen between two numbers of epochs, in its own unit.

    NaN for a seed that has stopped before.
    """

    def reduce(values: Floats, after: Ints) -> float:
        seen: dict[int, float] = dict(zip(after.tolist(), values.tolist(), strict=True))
        return seen.get(last, np.nan) - seen.get(first, np.nan)

    label = f"rise of {curve} from {first} to {last} epochs"
    return Metric(curve, higher_is_better=True, ratio=False, reduction=reduce, label=label, needs=_records(first, last))


def largest_fall(curve: str) -> Metric:
    """The largest fall of a curve from one record to the next, in its own unit; negative where it always rises.

    NaN for a seed with a single record, infinite where the curve is not finite.
    """

    def reduce(values: Floats, after: Ints) -> float:
        if not np.isfinite(values).all():
            return np.inf
        return float(-np.diff(values).min()) if len(values) > 1 else np.nan

    return Metric(curve, higher_is_better=False, ratio=False, reduction=reduce, label=f"largest fall of {curve}")


def swing(curve: str, start: int = 0, stop: int | None = None, *, rising: bool) -> Metric:
    """How much a positive curve climbs back: the mean over records of the rise of its logarithm, falls counted as 0.

    Of a curve that should be `rising`, such as an accuracy, it is how much it falls back.

    A curve that only falls has none, however steeply. A seed whose training ended before these epochs has NaN, unless
    its curve is not finite, which swings without bound (inf). Epochs, of a curve with a record after each, are counted
    from 0 and may be negative, as in a slice.
    """
    epochs = slice(start, stop)

    def reduce(values: Floats, after: Ints) -> float:
        seen = values[epochs]
        if not np.isfinite(seen if len(seen) > 1 else values[-1]).all():
            return np.inf
        steps = np.diff(np.log(seen)) * (-1 if rising else 1)
        return float(np.maximum(steps, 0).mean()) if steps.size else np.nan

    label = f"swing of {curve}{_span(epochs)}"
    return Metric(
        curve, higher_is_better=False, ratio=False, reduction=reduce, label=label, needs=_records_of(epochs, 2)
    )


def average(curve: str, start: int = 0, stop: int | None = None, *, rising: bool) -> Metric:
    """The geometric mean of a positive curve over some epochs; more is better of one that should be `rising`.

    A seed that has stopped before keeps its last number, as in `at`; epochs counted from the end are its own last ones.
    """
    epochs = slice(start, stop)
    until = start + 1 if stop is None else stop

    def reduce(values: Floats, after: Ints) -> float:
        if start >= 0 and until > len(values):
            values = np.append(values, np.full(until - len(values), values[-1]))
        return float(np.exp(np.log(values[epochs]).mean())) if values[epochs].size else np.nan

    label = f"mean {curve}{_span(epochs)}"
    return Metric(curve, rising, not rising, reduction=reduce, label=label, needs=_records_of(epochs, 1))


def _records(*epochs: int) -> Needs:
    """A record after each of these numbers of epochs."""

    def missing(after: Ints) -> str:
        absent = sorted({*epochs} - {*after.tolist()})
        return f"has no record after {' or '.join(map(str, absent))} epochs" if absent else ""

    return missing


def _records_of(epochs: slice, least: int) -> Needs:
    """All epochs of a slice, so many at least; of the whole curve, whatever has been recorded."""

    def missing(after: Ints) -> str:
        n = len(after)
        if epochs != slice(0, None) and not np.array_equal(after, np.arange(n) + 1):
            return "is not recorded after each epoch"
        if max(abs(end) for end in (epochs.start, epochs.stop) if end is not None) > n:
            return f"has only {n} epochs"
        return f"has fewer than {least} records there" if len(after[epochs]) < least else ""

    return missing


def _span(epochs: slice) -> str:
    start, stop = epochs.start, epochs.stop
    if stop is None:
        return f" over the last {-start} epochs" if start < 0 else f" from epoch {start}" if start else ""
    if stop >= 0:
        return f" over epochs {start} to {stop}"
    return f" from {f'{-start} to ' if start < 0 else f'epoch {start} to '}{-stop} epochs before the end"
