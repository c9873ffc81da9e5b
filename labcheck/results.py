"""What a lab's `train` returns, checked at one boundary: one result for each seed, or a line of what is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labcheck import environment
from labcheck.labs.lab import Lab
from labcheck.metrics import Floats, Ints, Trials

ACCEPTED = "`train` must return Trials, or a dict of numbers and curves by name"


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


def checked(returned: Any, seeds: Sequence[int]) -> Trials:
    """Return a lab's results as Trials.

    A dict is accepted in its place: one number for each seed (n,) is a metric, one row for each seed (n, E) or a list
    of rows of unlike lengths is a curve, and anything with more axes a table. Of a single seed, a number is a metric
    and a row is a curve.

    Raises:
        ResultError: it is not one result for each seed; the message names what is wrong, and with which seed.
    """
    if isinstance(returned, Mapping):
        returned = _sorted(returned, seeds)
    if not isinstance(returned, Trials):
        raise ResultError(f"{ACCEPTED}, got {type(returned).__name__}")
    metrics = {_name(name): _metric(name, value, seeds) for name, value in returned.metrics.items()}
    tables = {_name(name): _table(name, value, seeds) for name, value in returned.tables.items()}
    rows = {_name(name): _rows(name, value, seeds) for name, value in returned.curves.items()}
    if not (metrics or rows):
        raise ResultError(f"{ACCEPTED}, got no number for seed {seeds[0]}")
    if not rows:
        return Trials(metrics, {}, None, tables)
    recorded = _recorded(returned.recorded, rows)
    epochs = _epochs(metrics.get("epochs"), returned.curves, rows, recorded, seeds)
    curves = {name: _padded(curve) for name, curve in rows.items()}
    return Trials({**metrics, "epochs": epochs}, curves, recorded, tables)


def _sorted(returned: Mapping[Any, Any], seeds: Sequence[int]) -> Trials:
    """Results given as a dict, sorted into metrics, curves and tables by their shapes."""
    parts: dict[str, dict[str, Any]] = {"metrics": {}, "curves": {}, "tables": {}}
    if returned and all(name in parts and isinstance(part, Mapping) for name, part in returned.items()):
        parts |= {name: dict(part) for name, part in returned.items()}
        return Trials(parts["metrics"], parts["curves"], None, parts["tables"])
    for name, value in returned.items():
        numbers = _numbers(name, value, seeds)
        if isinstance(numbers, list):
            kind = "curves"
        elif numbers.ndim < 2:
            kind = "curves" if len(seeds) == 1 and numbers.ndim == 1 and len(numbers) != 1 else "metrics"
        else:
            kind = "curves" if numbers.ndim == 2 else "tables"
        parts[kind][name] = value
    return Trials(parts["metrics"], parts["curves"], None, parts["tables"])


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.isprintable() or not name:
        raise ResultError(f"names of metrics and curves must be printable texts, got {name!a}")
    return name


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
        raise ResultError(
            f"table '{name}' must have one array for {_described(seeds)}, got {_shape(numbers)}"
        )
    return numbers


def _rows(name: str, value: Any, seeds: Sequence[int]) -> list[Floats]:
    """The records of each seed, n arrays (E,), of unlike lengths where seeds stop early."""
    numbers = _numbers(name, value, seeds)
    if not isinstance(numbers, list) and numbers.ndim < 2 and (len(seeds) == 1 or not numbers.ndim):
        numbers = numbers.reshape(1, -1)
    if len(numbers) != len(seeds) or not (isinstance(numbers, list) or numbers.ndim == 2):
        raise ResultError(f"curve '{name}' must have a row for {_described(seeds)}, got {_shape(numbers)}")
    rows = list(numbers)
    for seed, row in zip(seeds, rows, strict=True):
        if not len(row):
            raise ResultError(f"curve '{name}' of seed {seed} must have one record or more, got none")
    return rows


def _recorded(given: Any, rows: Mapping[str, Sequence[Floats]]) -> Ints | None:
    """After how many epochs each record was taken, (E,), if the lab says so."""
    if given is None:
        return None
    recorded = np.asarray(given)
    longest = max(len(row) for curve in rows.values() for row in curve)
    if recorded.dtype.kind not in "iu" or recorded.ndim != 1 or (np.diff(recorded) <= 0).any() or (recorded < 0).any():
        raise ResultError(f"`recorded` must be ascending whole numbers of epochs, got {given!r:.60}")
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
                if np.isnan(curve[index][-1]) and hasattr(returned[name], "shape") and len(seeds) > 1:
                    raise ResultError(
                        f"curve '{name}' of seed {seed} ends with NaN, and `epochs` is missing: return `epochs`, or "
                        "lists that end where a seed stopped"
                    )
            last = lengths.popitem()[1] - 1
            found[index] = last + 1 if recorded is None else recorded[last]
        else:
            found[index] = given[index]
            for name, curve in rows.items():
                _match(name, curve[index], given[index], recorded, seed)
    return found


def _match(name: str, row: Floats, epochs: float, recorded: Ints | None, seed: int) -> None:
    """Refuse a curve that has not one record for each epoch, or for each one in `recorded`, that its seed trained."""
    if not (epochs >= 0 and epochs == int(epochs)):
        raise ResultError(f"'epochs' of seed {seed} must be a whole number, got {epochs:g}")
    after = np.arange(len(row)) + 1 if recorded is None else recorded[: len(row)]
    beyond = np.flatnonzero((after > epochs) & ~np.isnan(row))
    if len(beyond):
        raise ResultError(
            f"curve '{name}' of seed {seed} has a record after {after[beyond[-1]]} epochs, and 'epochs' is {epochs:g}; "
            "after a seed's last epoch it must be NaN"
        )
    if epochs > after[-1]:
        raise ResultError(
            f"curve '{name}' of seed {seed} ends after {after[-1]} epochs, and 'epochs' is {epochs:g}; return "
            "`recorded`, after how many epochs each record was taken"
        )


def _padded(rows: Sequence[Floats]) -> Floats:
    """Rows of unlike lengths as one array (n, E), NaN after each row's end."""
    padded = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded


def _numbers(name: Any, value: Any, seeds: Sequence[int]) -> Floats | list[Floats]:
    """A value as an array of float64, or rows of unlike lengths as a list of arrays."""
    value = _host(value)
    try:
        return _floats(value)
    except (TypeError, ValueError):
        pass
    if isinstance(value, list | tuple):
        rows = []
        for index, row in enumerate(value):
            try:
                array = _floats(row)
            except (TypeError, ValueError):
                array = np.zeros(())
            if array.ndim != 1:
                seed = f" of seed {seeds[index]}" if len(value) == len(seeds) else ""
                raise ResultError(f"'{name}'{seed} must be numbers, got {' '.join(repr(row).split())!s:.40}")
            rows.append(array)
        return rows
    raise ResultError(f"'{name}' must be numbers, got {type(value).__name__}")


def _host(value: Any) -> Any:
    """Tensors, on whatever device and with whatever gradients, as arrays; also those in a list."""
    if isinstance(value, list | tuple):
        return [_host(part) for part in value]
    return value.detach().cpu().double().numpy() if hasattr(value, "detach") else value


def _floats(value: Any) -> Floats:
    """An array of float64.

    Raises:
        TypeError: the value is no array of real numbers.
        ValueError: its rows have unlike lengths.
    """
    array = np.ma.filled(value.astype(np.float64), np.nan) if np.ma.isMaskedArray(value) else np.asarray(value)
    if array.dtype.kind not in "biuf":
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


def line(error: BaseException) -> str:
    """Return an error's type and text in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
