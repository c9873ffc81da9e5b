"""The boundary to user code: what `Lab.train` returns is checked here, so that there is one result for each seed."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from labcheck.core.errors import line
from labcheck.core.lab import Lab
from labcheck.core.trainers import TrainerLab
from labcheck.core.trials import Floats, Ints, Trials, own_epochs
from labcheck.data import DataError
from labcheck.engine import environment
from labcheck.engine.progress import report_progress


class ResultError(ValueError):
    """A return value of `Lab.train` that is not one result for each seed; the message is one line."""


ACCEPTED = "`train` must return Trials, or a dict of numbers and curves by name"
NEVER_DIVERGENCE = (
    AssertionError, AttributeError, ImportError, LookupError, MemoryError, NameError, NotImplementedError, OSError,
    SyntaxError, TypeError, ResultError, DataError,
)  # fmt: skip
"""Exceptions that are mistakes in a lab or its environment, and say nothing about a seed."""
NOT_NUMBERS = (TypeError, ValueError, OverflowError)


def train(lab: Lab, seeds: Sequence[int], device: str = "cpu") -> Trials:
    """Train a lab's seeds under a fixed global state, and check what the lab returns.

    A seed that raises one of the lab's `diverged` exceptions has no finite number. If one of several seeds that train
    side by side raises it, each of them is trained again alone.

    Args:
        lab: The lab.
        seeds: The seeds.
        device: The device on which to train.

    Raises:
        ResultError: The lab did not return one result for each seed, or imported torch without naming it.
        Exception: Any other exception of the lab.
    """
    before = environment.has_imported_torch()
    with environment.deterministic(device, seeds[0]), environment.single_threaded():
        try:
            returned = _collected(lab.train(seeds, device), seeds, getattr(lab, "epochs", None))
        except lab.diverged as error:
            if len(seeds) == 1:
                return Trials({}, {}, diverged={0: line(error)})
        except Exception as error:
            if not isinstance(error, NEVER_DIVERGENCE):
                error.add_note(_advice_on_divergence(lab, error))
            raise
        else:
            if environment.has_imported_torch() and not before:
                raise ResultError(
                    "`train` imported torch, whose state was therefore not set; name torch in `depends` of the lab"
                )
            return checked(returned, seeds)
    return Trials.join([train(lab, [seed], device) for seed in seeds])


def _advice_on_divergence(lab: Lab, error: Exception) -> str:
    kind = type(error).__name__
    place = f"@lab({lab.name!r}, diverged={kind})" if isinstance(lab, TrainerLab) else f"diverged: ClassVar = ({kind},)"
    return f"If this is how a seed diverges, declare it: {place}; it then counts as the worst result."


def _collected(returned: Any, seeds: Sequence[int], epochs: Any) -> Any:
    """Return the results of a generator, which yields a dict of numbers after each epoch, as a dict of curves.

    What it returns at its end is added. Anything but a generator is returned unchanged.

    Args:
        returned: What the lab returned.
        seeds: The seeds.
        epochs: The value of the lab's setting of that name, for the progress.

    Raises:
        ResultError: The generator does not yield dicts with the same names.
    """
    if not isinstance(returned, Generator):
        return returned
    records: list[Mapping[Any, Any]] = []
    while True:
        try:
            record = next(returned)
        except StopIteration as end:
            last = {} if end.value is None else end.value
            break
        if not isinstance(record, Mapping):
            raise ResultError(f"a generator must yield a dict of numbers by name, got {_repr(record)}")
        if records and record.keys() != records[0].keys():
            odd = sorted(map(str, record.keys() ^ records[0].keys()))[0]
            raise ResultError(f"a generator must yield the same names after each epoch, got '{odd}' in some only")
        for name, value in record.items():
            if (shape := np.shape(value)) != (() if len(seeds) == 1 else (len(seeds),)):
                raise ResultError(
                    f"a generator must yield one number for {_described(seeds)}, got '{name}' of shape {shape}"
                )
        records.append(record)
        report_progress(len(records), max(len(records), epochs if isinstance(epochs, int) else 0))
    if not isinstance(last, Mapping):
        raise ResultError(f"a generator must return a dict of numbers by name, or nothing, got {_repr(last)}")
    curves = {name: [record[name] for record in records] for name in (records[0] if records else ())}
    if both := sorted(map(str, curves.keys() & last.keys())):
        raise ResultError(f"'{both[0]}' is yielded and returned by the generator; give one of them another name")
    if len(seeds) > 1:  # from a row for each epoch to a row for each seed
        curves = {name: [list(row) for row in zip(*values, strict=True)] for name, values in curves.items()}
    return {**curves, **last}


@np.errstate(all="ignore")  # casts of NaN, or beyond the range of float64
def checked(returned: Any, seeds: Sequence[int]) -> Trials:
    """Return a lab's results as Trials.

    A dict is accepted, too: an array of one number per seed (n,) is a metric, one row per seed (n, E) or a list of rows
    of different lengths is a curve, and an array with more axes is a table. For a single seed, a number is a metric and
    a row is a curve. `recorded`, the numbers of epochs completed at each record, is the same for all seeds and curves.
    Without it, and without `epochs`, curves of one seed may have different numbers of records.

    Raises:
        ResultError: There is not one result for each seed; the message names the seed and what is wrong.
    """
    if isinstance(returned, Mapping):
        returned = _sorted(returned, seeds)
    if not isinstance(returned, Trials):
        raise ResultError(f"{ACCEPTED}, got {type(returned).__name__}")
    for part in (returned.metrics, returned.curves, returned.tables):
        if not isinstance(part, Mapping):
            raise ResultError(f"metrics, curves and tables of Trials must be dicts by name, got {type(part).__name__}")
    metrics = {_name(name): _metric(name, value, seeds) for name, value in returned.metrics.items()}
    tables = {_name(name): _table(name, value, seeds) for name, value in returned.tables.items()}
    rows = {_name(name): _rows(name, value, seeds) for name, value in returned.curves.items()}
    if not (metrics or rows):
        raise ResultError(f"{ACCEPTED}, got no number for seed {seeds[0]}")
    if not rows:
        recorded = None if returned.recorded is None else _recorded(returned.recorded, {"": [np.zeros(1)]})
        return Trials(metrics, {}, recorded, tables)
    recorded = _recorded(returned.recorded, rows)
    epochs = _epochs(metrics.get("epochs"), returned.curves, rows, recorded, seeds)
    own = {} if "epochs" in metrics or recorded is not None else _own_epochs(rows, epochs)
    if both := sorted(own.keys() & metrics.keys()):
        raise ResultError(f"'{both[0]}' is the name of what labcheck derives from a curve; give it another name")
    curves = {name: _padded(curve, epochs, recorded) for name, curve in rows.items()}
    return Trials({**metrics, "epochs": epochs, **own}, curves, recorded, tables)


def _own_epochs(rows: Mapping[str, Sequence[Floats]], epochs: Floats) -> dict[str, Floats]:
    """Return the numbers of records (n,) of each curve that is shorter than the longest one of some seed."""
    lengths = {name: np.array([len(row) for row in curve], dtype=np.float64) for name, curve in rows.items()}
    return {own_epochs(name): length for name, length in lengths.items() if (length < epochs).any()}


def _sorted(returned: Mapping[Any, Any], seeds: Sequence[int]) -> Trials:
    """Sort the entries of a dict into metrics, curves and tables by their shapes."""
    parts: dict[str, dict[str, Any]] = {"metrics": {}, "curves": {}, "tables": {}}
    returned = dict(returned)
    recorded = returned.pop("recorded", None)
    if returned and all(name in parts and isinstance(part, Mapping) for name, part in returned.items()):
        parts |= {name: dict(part) for name, part in returned.items()}
        return Trials(parts["metrics"], parts["curves"], recorded, parts["tables"])
    for name, value in returned.items():
        numbers = _numbers(_name(name), value, seeds)
        if isinstance(numbers, list):
            kind = "curves"
        elif numbers.ndim < 2:
            kind = "curves" if len(seeds) == 1 and numbers.ndim == 1 and len(numbers) != 1 else "metrics"
        else:
            kind = "curves" if numbers.ndim == 2 else "tables"
        parts[kind][name] = value
    return Trials(parts["metrics"], parts["curves"], recorded, parts["tables"])


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.isprintable() or not name:
        raise ResultError(f"names of metrics and curves must be printable strings, got {name!a}")
    return str.__str__(name)  # the string itself, also for a member of an enumeration


def _metric(name: str, value: Any, seeds: Sequence[int]) -> Floats:
    """Return one number for each seed, (n,)."""
    numbers = _numbers(name, value, seeds)
    if not isinstance(numbers, list) and numbers.ndim == 0 and len(seeds) == 1:
        numbers = numbers.reshape(1)
    if isinstance(numbers, list) or numbers.shape != (len(seeds),):
        raise ResultError(
            f"metric '{name}' must have one number for {_described(seeds)}, got {_shape(numbers)}; a seed "
            "that diverged must be NaN instead of being left out"
        )
    return numbers


def _table(name: str, value: Any, seeds: Sequence[int]) -> Floats:
    """Return several numbers for each seed, (n, …)."""
    numbers = _numbers(name, value, seeds)
    if isinstance(numbers, list) or numbers.ndim < 2 or len(numbers) != len(seeds):
        raise ResultError(f"table '{name}' must have one array for {_described(seeds)}, got {_shape(numbers)}")
    return numbers


def _rows(name: str, value: Any, seeds: Sequence[int]) -> list[Floats]:
    """Return the records of each seed, n arrays (E,), which have different lengths if seeds stop early."""
    numbers = _numbers(name, value, seeds)
    if not isinstance(numbers, list) and numbers.ndim < 2 and len(seeds) == 1:
        numbers = numbers.reshape(1, -1)
    if not (isinstance(numbers, list) or numbers.ndim == 2) or len(numbers) != len(seeds):
        raise ResultError(f"curve '{name}' must have a row for {_described(seeds)}, got {_shape(numbers)}")
    return list(numbers)


def _recorded(returned: Any, rows: Mapping[str, Sequence[Floats]]) -> Ints | None:
    """Return the number of epochs completed at each record, (E,); None if the lab does not state it."""
    if returned is None:
        return None
    recorded = _numbers("recorded", returned, ())
    longest = max(len(row) for curve in rows.values() for row in curve)
    if (
        isinstance(recorded, list)
        or recorded.ndim != 1
        or not (np.isfinite(recorded) & (recorded % 1 == 0) & (np.diff(recorded, prepend=-1) > 0)).all()
    ):
        raise ResultError(f"`recorded` must be ascending whole numbers of epochs, got {_repr(returned)}")
    if len(recorded) != longest:
        raise ResultError(f"`recorded` must name the epochs of all {longest} records, got {len(recorded)}")
    return recorded.astype(np.int64)


def _epochs(
    stated: Floats | None,
    returned: Mapping[str, Any],
    rows: Mapping[str, Sequence[Floats]],
    recorded: Ints | None,
    seeds: Sequence[int],
) -> Floats:
    """Return the number of epochs that each seed trained, (n,), as stated or the length of its longest curve."""
    epochs = np.empty(len(seeds))
    for index, seed in enumerate(seeds):
        lengths = {name: len(curve[index]) for name, curve in rows.items()}
        if stated is None:
            if len({*lengths.values()}) > 1 and recorded is not None:
                got = ", ".join(f"'{name}' {length}" for name, length in sorted(lengths.items()))
                raise ResultError(
                    f"curves of seed {seed} must have the same number of records, since `recorded` is that of all, "
                    f"got {got}"
                )
            for name, curve in rows.items():
                if np.isnan(curve[index][-1:]).any() and hasattr(returned[name], "shape") and len(seeds) > 1:
                    raise ResultError(
                        f"curve '{name}' of seed {seed} ends with NaN, and `epochs` is missing: return `epochs`, or "
                        "lists that end where a seed stopped"
                    )
            records = max(lengths.values())
            epochs[index] = records if recorded is None or not records else recorded[records - 1]
        elif np.isnan(stated[index]) and all(np.isnan(curve[index]).all() for curve in rows.values()):
            epochs[index] = 0  # it diverged immediately
        else:
            epochs[index] = stated[index]
            for name, curve in rows.items():
                _match(name, curve[index], stated[index], stated.max(), recorded, seed)
    return epochs


def _match(name: str, row: Floats, epochs: float, longest: float, recorded: Ints | None, seed: int) -> None:
    """Check that a curve has one record for each epoch, or for each one in `recorded`, that its seed trained.

    Values after a seed's last epoch are ignored if another seed trained that long.

    Raises:
        ResultError: It does not.
    """
    if not (epochs >= 0 and float(epochs).is_integer()):
        raise ResultError(f"'epochs' of seed {seed} must be a whole number, got {epochs:g}")
    after = np.arange(len(row)) + 1 if recorded is None else recorded[: len(row)]
    beyond = np.flatnonzero((after > longest) & ~np.isnan(row))
    if len(beyond):
        raise ResultError(
            f"curve '{name}' of seed {seed} has a record after {after[beyond[-1]]} epochs, and 'epochs' is {epochs:g}: "
            "a curve must end with its seed's last epoch, or be NaN after it"
        )
    following = [len(row) + 1] if recorded is None else recorded[len(row) :]
    if len(following) and following[0] <= epochs:
        advice = (
            "`recorded`, the number of epochs completed at each record" if recorded is None else "a record after each"
        )
        raise ResultError(
            f"curve '{name}' of seed {seed} ends after {after[-1]} epochs, and 'epochs' is {epochs:g}; return {advice}"
        )


def _padded(rows: Sequence[Floats], epochs: Floats, recorded: Ints | None) -> Floats:
    """Return rows of different lengths as one array (n, E), NaN after each seed's last epoch."""
    padded = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    after = np.arange(padded.shape[1]) + 1 if recorded is None else recorded[: padded.shape[1]]
    padded[after > epochs[:, None]] = np.nan
    return padded


def _numbers(name: Any, value: Any, seeds: Sequence[int]) -> Floats | list[Floats]:
    """Return a value as an array of float64, or rows of different lengths as a list of arrays."""
    value = _host(name, value)
    try:
        return _floats(value)
    except NOT_NUMBERS:
        pass
    if not isinstance(value, list):
        raise ResultError(f"'{name}' must be numbers, got {getattr(value, 'dtype', type(value).__name__)}")
    rows = []
    seed = [f" of seed {seed}" for seed in seeds] if len(value) == len(seeds) else [""] * len(value)
    for index, row in enumerate(value):
        try:
            rows.append(_floats(row))
        except NOT_NUMBERS:
            raise ResultError(f"'{name}'{seed[index]} must be numbers, got {_repr(row)}") from None
    for index, row in enumerate(rows):
        if row.ndim != 1:
            raise ResultError(
                f"'{name}'{seed[index]} must be a row of numbers, since lengths differ, got {_shape(row)}"
            )
    return rows


def _host(name: Any, value: Any) -> Any:
    """Return tensors and masked arrays, also those in a list, as NumPy arrays."""
    if isinstance(value, list | tuple):
        return [_host(name, part) for part in value]
    if np.ma.isMaskedArray(value) and value.dtype.kind in "biuf":
        return np.ma.filled(value.astype(np.float64), np.nan)
    if not hasattr(value, "detach"):
        return value
    try:
        tensor = value.detach().cpu()
        return (tensor if tensor.is_complex() else tensor.double()).numpy()
    except (RuntimeError, TypeError) as error:  # such as a sparse tensor, or one without data
        raise ResultError(f"'{name}' must be numbers, got a tensor that has none: {line(error):.80}") from None


def _floats(value: Any) -> Floats:
    """Return a value as an array of float64.

    Raises:
        TypeError: It is not an array of real numbers.
        ValueError: Its rows have different lengths.
        OverflowError: A whole number is beyond the range of float64.
    """
    array = np.asarray(value)
    whole = array.dtype == object and all(isinstance(number, int) for number in array.flat)  # beyond 64 bits
    if not whole and array.dtype.kind not in "biuf":
        raise TypeError(f"{array.dtype} is not a real type")
    return array.astype(np.float64)


def _described(seeds: Sequence[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"each of the {len(seeds)} seeds from {seeds[0]} to {seeds[-1]}"


def _shape(numbers: Floats | list[Floats]) -> str:
    if isinstance(numbers, list):
        return f"{len(numbers)} rows of different lengths"
    if numbers.ndim == 0:
        return "one number"
    return f"{len(numbers)} numbers" if numbers.ndim == 1 else f"an array of shape {numbers.shape}"


def _repr(value: Any) -> str:
    return f"{' '.join(repr(value).split()):.60}"
