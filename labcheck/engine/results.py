"""What a lab's `train` returns, checked at one boundary: one result for each seed, or a line of what is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labcheck.core.errors import line
from labcheck.core.lab import Lab
from labcheck.core.metrics import Floats, Ints, Trials
from labcheck.engine import environment

ACCEPTED = "`train` must return Trials, or a dict of numbers and curves by name"
NOT_NUMBERS = (TypeError, ValueError, OverflowError)


class ResultError(ValueError):
    """What a lab returned is not one result for each seed; the message is one line."""


def train(lab: Lab, seeds: Sequence[int], device: str = "cpu") -> Trials:
    """Train a lab's seeds, whatever global state this process is in, and check what it returns.

    A seed that raises one of the lab's `diverged` exceptions has no finite number. Where one of several seeds that
    train side by side does, all of them are trained once more, each alone.

    Raises:
        ResultError: what the lab returned is not one result for each seed.
        Exception: any that the lab raises.
    """
    with environment.pinned(device, seeds[0]):
        try:
            returned = lab.train(seeds, device)
        except lab.diverged as error:
            if len(seeds) == 1:
                return Trials({}, {}, diverged={0: line(error)})
        else:
            return checked(returned, seeds)
    return Trials.join([train(lab, [seed], device) for seed in seeds])


@np.errstate(all="ignore")  # of a cast beyond the range of float64, or of NaN
def checked(returned: Any, seeds: Sequence[int]) -> Trials:
    """Return a lab's results as Trials.

    A dict is accepted in its place: one number for each seed (n,) is a metric, one row for each seed (n, E) or a list
    of rows of unlike lengths is a curve, and anything with more axes a table. Of a single seed, a number is a metric
    and a row is a curve. `recorded`, after how many epochs each record was taken, is not one of each seed.

    Raises:
        ResultError: it is not one result for each seed; the message names what is wrong, and with which seed.
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
    curves = {name: _padded(curve, epochs, recorded) for name, curve in rows.items()}
    return Trials({**metrics, "epochs": epochs}, curves, recorded, tables)


def _sorted(returned: Mapping[Any, Any], seeds: Sequence[int]) -> Trials:
    """Results given as a dict, sorted into metrics, curves and tables by their shapes."""
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
        raise ResultError(f"names of metrics and curves must be printable texts, got {name!a}")
    return str.__str__(name)  # the text itself, also of an enumeration's member


def _metric(name: str, value: Any, seeds: Sequence[int]) -> Floats:
    """One number for each seed, (n,)."""
    numbers = _numbers(name, value, seeds)
    if not isinstance(numbers, list) and numbers.ndim == 0 and len(seeds) == 1:
        numbers = numbers.reshape(1)
    if isinstance(numbers, list) or numbers.shape != (len(seeds),):
        raise ResultError(
            f"metric '{name}' must have one number for {_described(seeds)}, got {_shape(numbers)}; a seed "
            "that diverged is NaN, and is not left out"
        )
    return numbers


def _table(name: str, value: Any, seeds: Sequence[int]) -> Floats:
    """Several numbers for each seed, (n, …)."""
    numbers = _numbers(name, value, seeds)
    if isinstance(numbers, list) or numbers.ndim < 2 or len(numbers) != len(seeds):
        raise ResultError(f"table '{name}' must have one array for {_described(seeds)}, got {_shape(numbers)}")
    return numbers


def _rows(name: str, value: Any, seeds: Sequence[int]) -> list[Floats]:
    """The records of each seed, n arrays (E,), of unlike lengths where seeds stop early."""
    numbers = _numbers(name, value, seeds)
    if not isinstance(numbers, list) and numbers.ndim < 2 and len(seeds) == 1:
        numbers = numbers.reshape(1, -1)
    if not (isinstance(numbers, list) or numbers.ndim == 2) or len(numbers) != len(seeds):
        raise ResultError(f"curve '{name}' must have a row for {_described(seeds)}, got {_shape(numbers)}")
    return list(numbers)


def _recorded(given: Any, rows: Mapping[str, Sequence[Floats]]) -> Ints | None:
    """After how many epochs each record was taken, (E,), if the lab says so."""
    if given is None:
        return None
    recorded = _numbers("recorded", given, ())
    longest = max(len(row) for curve in rows.values() for row in curve)
    if (
        isinstance(recorded, list)
        or recorded.ndim != 1
        or not (np.isfinite(recorded) & (recorded % 1 == 0) & (np.diff(recorded, prepend=-1) > 0)).all()
    ):
        raise ResultError(f"`recorded` must be ascending whole numbers of epochs, got {_repr(given)}")
    if len(recorded) != longest:
        raise ResultError(f"`recorded` must name the epochs of all {longest} records, got {len(recorded)}")
    return recorded.astype(np.int64)


def _epochs(
    given: Floats | None,
    returned: Mapping[str, Any],
    rows: Mapping[str, Sequence[Floats]],
    recorded: Ints | None,
    seeds: Sequence[int],
) -> Floats:
    """How many epochs each seed trained, (n,): as given, or from the lengths of its curves."""
    found = np.empty(len(seeds))
    for index, seed in enumerate(seeds):
        lengths = {name: len(curve[index]) for name, curve in rows.items()}
        if given is None:
            if len({*lengths.values()}) > 1:
                told = ", ".join(f"'{name}' {length}" for name, length in sorted(lengths.items()))
                raise ResultError(f"curves of seed {seed} must have equally many records, got {told}")
            for name, curve in rows.items():
                if np.isnan(curve[index][-1:]).any() and hasattr(returned[name], "shape") and len(seeds) > 1:
                    raise ResultError(
                        f"curve '{name}' of seed {seed} ends with NaN, and `epochs` is missing: return `epochs`, or "
                        "lists that end where a seed stopped"
                    )
            records = lengths.popitem()[1]
            found[index] = records if recorded is None or not records else recorded[records - 1]
        elif np.isnan(given[index]) and all(np.isnan(curve[index]).all() for curve in rows.values()):
            found[index] = 0  # diverged at once
        else:
            found[index] = given[index]
            for name, curve in rows.items():
                _match(name, curve[index], given[index], given.max(), recorded, seed)
    return found


def _match(name: str, row: Floats, epochs: float, longest: float, recorded: Ints | None, seed: int) -> None:
    """Refuse a curve that has not one record for each epoch, or for each one in `recorded`, that its seed trained.

    Whatever follows a seed's last epoch is no record, as far as other seeds have trained longer.
    """
    if not (epochs >= 0 and float(epochs).is_integer()):
        raise ResultError(f"'epochs' of seed {seed} must be a whole number, got {epochs:g}")
    after = np.arange(len(row)) + 1 if recorded is None else recorded[: len(row)]
    beyond = np.flatnonzero((after > longest) & ~np.isnan(row))
    if len(beyond):
        raise ResultError(
            f"curve '{name}' of seed {seed} has a record after {after[beyond[-1]]} epochs, and 'epochs' is {epochs:g}: "
            "a curve must end with its seed's last epoch, or be NaN from there on"
        )
    following = [len(row) + 1] if recorded is None else recorded[len(row) :]
    if len(following) and following[0] <= epochs:
        advice = (
            "`recorded`, after how many epochs each record was taken" if recorded is None else "a record after each"
        )
        raise ResultError(
            f"curve '{name}' of seed {seed} ends after {after[-1]} epochs, and 'epochs' is {epochs:g}; return {advice}"
        )


def _padded(rows: Sequence[Floats], epochs: Floats, recorded: Ints | None) -> Floats:
    """Rows of unlike lengths as one array (n, E), NaN after each seed's last epoch."""
    padded = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    after = np.arange(padded.shape[1]) + 1 if recorded is None else recorded[: padded.shape[1]]
    padded[after > epochs[:, None]] = np.nan
    return padded


def _numbers(name: Any, value: Any, seeds: Sequence[int]) -> Floats | list[Floats]:
    """A value as an array of float64, or rows of unlike lengths as a list of arrays."""
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
            raise ResultError(f"'{name}'{seed[index]} must be a row of numbers where lengths differ, got {_shape(row)}")
    return rows


def _host(name: Any, value: Any) -> Any:
    """Tensors, on whatever device and with whatever gradients, and masked arrays as arrays; also those in a list."""
    if isinstance(value, list | tuple):
        return [_host(name, part) for part in value]
    if np.ma.isMaskedArray(value) and value.dtype.kind in "biuf":
        return np.ma.filled(value.astype(np.float64), np.nan)
    if not hasattr(value, "detach"):
        return value
    try:
        tensor = value.detach().cpu()
        return (tensor if tensor.is_complex() else tensor.double()).numpy()
    except (RuntimeError, TypeError) as error:  # such as one without data, or a sparse one
        raise ResultError(f"'{name}' must be numbers, got a tensor that has none: {line(error):.80}") from None


def _floats(value: Any) -> Floats:
    """An array of float64.

    Raises:
        TypeError: the value is no array of real numbers.
        ValueError: its rows have unlike lengths.
        OverflowError: a whole number is beyond the range of float64.
    """
    array = np.asarray(value)
    whole = array.dtype == object and all(isinstance(number, int) for number in array.flat)  # beyond 64 bits
    if not whole and array.dtype.kind not in "biuf":
        raise TypeError(f"{array.dtype} is no real number")
    return array.astype(np.float64)


def _described(seeds: Sequence[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"each of the {len(seeds)} seeds from {seeds[0]} to {seeds[-1]}"


def _shape(numbers: Floats | list[Floats]) -> str:
    if isinstance(numbers, list):
        return f"{len(numbers)} rows of unlike lengths"
    if numbers.ndim == 0:
        return "one number"
    return f"{len(numbers)} numbers" if numbers.ndim == 1 else f"an array of shape {numbers.shape}"


def _repr(value: Any) -> str:
    return f"{' '.join(repr(value).split()):.60}"
