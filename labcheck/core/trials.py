"""Trials: the results of training one arm with several seeds."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class MetricError(LookupError):
    """A metric that the trials do not provide; the message is one line."""


def own_epochs(curve: str) -> str:
    """Return the name of the metric with the number of records of a curve that is shorter than others of its seed."""
    return f"epochs of {curve}"


@dataclass(frozen=True)
class Trials:
    """The results of one arm, trained once with each of n seeds.

    Attributes:
        metrics: One number per seed, (n,), by name, such as "test_mse". Trials with curves also have "epochs", the
            number of epochs that each seed trained. A curve that has fewer records than that, such as one per epoch
            beside one per step, has a metric of its own for them; see `own_epochs`.
        curves: One number per seed and record, (n, E), by name. Values after a seed's last epoch are NaN.
        recorded: The number of epochs completed at each record, (E,); None if there is a record after every epoch.
        tables: Several numbers per seed, (n, …), by name, such as "test_confusion" (n, true class, predicted class).
        diverged: For each seed whose training raised one of its lab's `diverged` exceptions, by its index, the error
            in one line. All numbers of such a seed are NaN.
    """

    metrics: dict[str, Floats]
    curves: dict[str, Floats]
    recorded: Ints | None = None
    tables: dict[str, Floats] = field(default_factory=dict)
    diverged: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of seeds."""
        arrays = [*self.metrics.values(), *self.curves.values()]
        return len(arrays[0]) if arrays else len(self.diverged)

    @property
    def is_constant(self) -> bool:
        """Whether all seeds have the same numbers to the bit.

        Seeds of which a metric is not finite have diverged. They are equal, too, but prove nothing.
        """
        arrays = [*self.metrics.values(), *self.curves.values(), *self.tables.values()]
        equal = all(np.array_equal(array, np.broadcast_to(array[:1], array.shape), equal_nan=True) for array in arrays)
        measured = self.metrics or self.curves
        return equal and bool(measured) and all(np.isfinite(array).all() for array in measured.values())

    def to_frame(self) -> Any:
        """Return the metrics as a pandas DataFrame with a row for each seed, from the first one on.

        A curve is a column with its value at each seed's last record, unless there is a metric of that name.
        """
        import pandas

        ends = {
            name: [_last(row, records) for row, records in zip(curve, self.records(name), strict=True)]
            for name, curve in self.curves.items()
        }
        return pandas.DataFrame({**ends, **self.metrics}, index=pandas.RangeIndex(len(self), name="seed"))

    def records(self, curve: str) -> Ints:
        """Return the number of records of a curve up to its last one for each seed, (n,)."""
        last = self.metrics.get(own_epochs(curve), self.metrics["epochs"])
        return np.searchsorted(self.after(curve), np.nan_to_num(last), "right").astype(np.int64)

    def after(self, curve: str) -> Ints:
        """Return the number of epochs completed at each record of a curve, (E,)."""
        return np.arange(self.curves[curve].shape[1]) + 1 if self.recorded is None else self.recorded

    def rows(self, start: int, stop: int) -> "Trials":
        """Return the trials from one index (inclusive) to another (exclusive)."""
        metrics, curves, tables = (
            {name: array[start:stop] for name, array in arrays.items()}
            for arrays in (self.metrics, self.curves, self.tables)
        )
        diverged = {index - start: error for index, error in self.diverged.items() if start <= index < stop}
        return Trials(metrics, curves, self.recorded, tables, diverged)

    def with_curves(self, names: set[str]) -> "Trials":
        """Return trials in which metrics of these names, unless they are curves already, are curves of one record."""
        moved = {name: self.metrics[name] for name in names & self.metrics.keys() - self.curves.keys()}
        if not moved:
            return self
        metrics = {name: value for name, value in self.metrics.items() if name not in moved}
        curves = {**self.curves, **{name: value.reshape(-1, 1) for name, value in moved.items()}}
        epochs = np.full(len(self), 1.0 if self.recorded is None else self.recorded[0])
        if "epochs" in metrics and not np.array_equal(metrics["epochs"], epochs):  # other curves are longer
            metrics |= {own_epochs(name): epochs for name in moved}
        return Trials({"epochs": epochs, **metrics}, curves, self.recorded, self.tables, self.diverged)

    def with_own_epochs(self, names: set[str]) -> "Trials":
        """Return trials in which each curve has a metric for its number of records, if it is among these names."""
        own = {name: own_epochs(name) for name in self.curves}
        missing = {name: self.metrics["epochs"] for name in own.values() if name in names - self.metrics.keys()}
        return dataclasses.replace(self, metrics={**self.metrics, **missing}) if missing else self

    @staticmethod
    def join(blocks: Sequence["Trials"]) -> "Trials":
        """Concatenate blocks of seeds; shorter curves are padded with NaN.

        Raises:
            MetricError: The blocks provide different metrics, or their curves have records after different epochs.
        """
        blocks = [block.with_own_epochs({name for other in blocks for name in other.metrics}) for block in blocks]
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
                raise MetricError("curves must be recorded after the same epochs for all seeds")
        curves, metrics, tables = (_joined(kind, blocks) for kind in ("curves", "metrics", "tables"))
        return Trials(metrics, curves, longest, tables, diverged)


def _last(row: Floats, records: int) -> float:
    return float(row[records - 1]) if records else np.nan


def _joined(kind: str, blocks: Sequence[Trials]) -> dict[str, Floats]:
    """Concatenate the arrays of blocks by name; diverged blocks and the ends of short curves are NaN."""
    measured: list[dict[str, Floats]] = []
    first = earlier = 0
    for block in blocks:
        if len(block.diverged) < len(block):
            arrays = getattr(block, kind)
            if measured and (odd := sorted(arrays.keys() ^ measured[0].keys())):
                seeds = (first, earlier) if odd[0] in arrays else (earlier, first)
                raise MetricError(f"{kind}: '{odd[0]}' was returned for seed {seeds[0]} and not for seed {seeds[1]}")
            earlier = earlier if measured else first
            measured.append(arrays)
        first += len(block)
    joined = {}
    for name in measured[0] if measured else ():
        shapes = {arrays[name].shape[1:] for arrays in measured}
        if len(shapes) > 1 and kind != "curves":
            raise MetricError(f"{kind}: '{name}' must have the same shape for all seeds")
        whole = np.full((sum(map(len, blocks)), *max(shapes)), np.nan)
        first = 0
        for block in blocks:
            if (rows := getattr(block, kind).get(name)) is not None:
                whole[(slice(first, first + len(block)), *map(slice, rows.shape[1:]))] = rows
            first += len(block)
        joined[name] = whole
    return joined
