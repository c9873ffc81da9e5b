"""Tables of results that were recorded earlier, as labs: nothing is trained."""

import csv
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from labcheck.core import settings
from labcheck.core.lab import Data, Lab, Settings
from labcheck.data import DataError

Row = Mapping[str, Any]
SHARES = re.compile(r"acc|precision|recall|f1|auc", re.IGNORECASE)
"""Names of columns whose values may be fractions or percent."""
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+\s*%?")
VALUES_SHOWN = 5
"""The number of values of a column up to which a message lists all of them."""


SEED_REMEDY = 'name it, such as Table("runs.csv", seed="random_state")'


@dataclass(frozen=True, kw_only=True)
class TableLab(Lab):
    """A lab whose results are the rows of a table; see `Table`.

    Attributes:
        rows: The rows of the table, as dicts by column.
        seed: The column with the label of each row's seed.
        where: The columns, with their values, by which an arm selects its rows.
    """

    recorded: ClassVar[bool] = True
    rows: ClassVar[Sequence[Row]]
    seed: ClassVar[str]

    where: Mapping[str, Any]

    @classmethod
    def configure(cls, scale: str, arm: Settings) -> Self:
        """Return the lab with the rows of an arm.

        Raises:
            ValueError: There is no such column or row, or there are several rows of one seed.
        """
        lab = cls(where=arm)
        _ = lab._selected  # refuses an arm without rows
        return lab

    def plain(self) -> dict[str, Any]:
        """Return the columns and values that select the rows."""
        return {name: settings.plain(value) for name, value in self.where.items()}

    def stack(self, device: str) -> int:
        """Return the number of all seeds, since nothing is trained."""
        return len(self.seed_labels())

    def precision(self, device: str) -> str:
        """Return a description of where the values come from."""
        return "values of a table"

    def data(self) -> Data:
        """Return the name of the table. It has no digest, since a changed value must be reported as drift."""
        return Data(self.name, "")

    def seed_labels(self) -> list[str]:
        """Return the label of each seed: numbers in ascending order, then others in alphabetical order."""
        return list(self._selected)

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Any:
        """Return the numbers of these seeds by column, without columns that are empty or no number in a row."""
        columns = {
            name: [*self._column(name).values()] for name in self.rows[0] if name not in {self.seed, *self.where}
        }
        return {name: [values[seed] for seed in seeds] for name, values in columns.items() if None not in values}

    @classmethod
    def validate_arms(cls, labs: Mapping[str, Any], needed: Mapping[str, Sequence[str]]) -> None:
        """Check that the arms of a claim have the same seeds, and a number in each column that the claim needs.

        Raises:
            ValueError: They do not, or a column has fractions in one arm and percent in another.
        """
        labels = {arm: lab.seed_labels() for arm, lab in labs.items()}
        for arm, own in labels.items():
            for other, theirs in labels.items():
                if missing := [label for label in theirs if label not in own]:
                    raise ValueError(
                        f"arm '{arm}' lacks {_seeds(missing)}, which arm '{other}' has; the arms of a claim must "
                        "have the same seeds"
                    )
        for column in sorted({name for names in needed.values() for name in names}):
            values = {arm: lab._column(column) for arm, lab in labs.items() if column in needed[arm]}
            for arm, numbers in values.items():
                if empty := [label for label, number in numbers.items() if number is None]:
                    raise ValueError(f"arm '{arm}' has {labs[arm]._why_not_number(column, empty)}")
            if SHARES.search(column):
                _require_one_unit(column, {arm: max(map(abs, map(float, one.values()))) for arm, one in values.items()})

    @classmethod
    def is_identified(cls) -> bool:
        """Return True, since a table is identified by its name."""
        return True

    def _column(self, name: str) -> dict[str, float | None]:
        """Return the numbers of a column by the label of the seed; None for an empty cell or one without a number.

        Raises:
            ValueError: There is no such column.
        """
        self._require_column(name)
        return {label: _number(row[name]) for label, row in self._selected.items()}

    def _why_not_number(self, column: str, labels: Sequence[str]) -> str:
        """Return what the cells of a column contain for these seeds, which have no number, and what to do."""
        texts = [text for label in labels if (text := str(self._selected[label][column]).strip())]
        if not texts:
            return f"no number in the column '{column}' for {_seeds(labels)}; write nan if such a run diverged"
        remedy = "write decimal points" if DECIMAL_COMMA.fullmatch(texts[0]) else "a metric must be a column of numbers"
        return f"text in the column '{column}' for {_seeds(labels)}, such as {settings.shown(texts[0])}; {remedy}"

    def _require_column(self, name: str) -> None:
        if name not in self.rows[0]:
            raise ValueError(f"{self.name} has no column {name!r}; it has {', '.join(map(str, self.rows[0]))}")

    @cached_property
    def _selected(self) -> dict[str, Row]:
        """Return the row of each seed, in the order of `seed_labels`."""
        selected: dict[str, Row] = {}
        rows = list(self.rows)
        for name, value in self.where.items():
            self._require_column(name)
            values = list(dict.fromkeys(str(row[name]) for row in rows))
            rows = [row for row in rows if _equal(row[name], value)]
            if not rows:
                raise ValueError(f"{self.name}: no row has {name}={value!r}; '{name}' has {_listed(values)}")
        for row in rows:
            label = _label(row[self.seed])
            if not label:
                raise ValueError(f"{self.name}: a row has no value in the column of seeds, '{self.seed}'")
            if label in selected:
                other = selected[label]
                odd = [name for name in row if str(row[name]) != str(other[name])]
                fewest = min(odd, key=lambda name: len({str(one[name]) for one in rows}), default="")
                remedy = f"choose one of them by another column, such as '{fewest}'" if odd else "remove one of them"
                raise ValueError(f"{self.name}: two rows have the seed {label}; {remedy}")
            selected[label] = row
        return dict(sorted(selected.items(), key=lambda item: _order(item[0])))


def Table(table: Any, *, seed: str = "seed", name: str = "") -> type[TableLab]:  # noqa: N802 - it makes a class
    """Return a lab whose results are the rows of a table, such as one exported from an experiment tracker.

    The settings of an arm are columns with their values, which select its rows; each row is one seed. All other columns
    with a number in each of these rows are metrics. Arms are paired by the labels of their seeds.

    Args:
        table: A CSV, TSV or Parquet file, relative to the folder of the calling module, or a pandas DataFrame.
        seed: The column with the labels of the seeds, numbers or words.
        name: The name of the lab, the first half of its claims' ids; by default that of the file, required for a
            DataFrame.

    Raises:
        DataError: The file is missing or cannot be read, it has no rows, or no such column.
        TypeError: `table` is neither a file nor a DataFrame, or `seed` or `name` is no string.
        ValueError: A DataFrame has no name.
    """
    if not isinstance(seed, str) or not isinstance(name, str):
        raise TypeError(f"Table: seed and name must be strings, got {settings.shown(seed)} and {settings.shown(name)}")
    if isinstance(table, str | Path):
        caller = inspect.stack()[1].frame.f_globals.get("__file__")
        return of_file(Path(caller).parent / table if caller else Path(table), seed=seed, name=name)
    if not hasattr(table, "to_dict"):
        raise TypeError(f"Table needs the name of a file or a pandas DataFrame, got {settings.shown(table)}")
    if not name:
        raise ValueError('Table: a DataFrame needs a name, such as Table(frame, name="runs")')
    return _of_rows(_records(table), seed, name, SEED_REMEDY)


def of_file(path: Path, *, seed: str, name: str = "", remedy: str = SEED_REMEDY) -> type[TableLab]:
    """Return a lab whose results are the rows of a file; see `Table`.

    Args:
        path: The file.
        seed: The column with the labels of the seeds.
        name: The name of the lab; "" for that of the file.
        remedy: The advice if there is no such column.

    Raises:
        DataError: As `Table` does.
    """
    return _of_rows(_read(path), seed, name or re.sub(r"[^\w.-]", "-", path.stem), remedy)


def _of_rows(rows: Sequence[Row], seed: str, name: str, remedy: str) -> type[TableLab]:
    if not rows:
        raise DataError(f"{name}: the table has no rows")
    if seed not in rows[0]:
        raise DataError(f"{name} has no column {seed!r} for the seeds; it has {', '.join(map(str, rows[0]))}: {remedy}")
    namespace = {"name": name, "rows": rows, "seed": seed, "__doc__": f"The table {name}."}
    return type(name, (TableLab,), namespace)


def _records(frame: Any) -> list[Row]:
    """Return the rows of a pandas DataFrame, in which NaN is an empty cell."""
    return [
        {str(name): "" if cell is None or cell != cell else cell for name, cell in row.items()}
        for row in frame.to_dict("records")
    ]


def _read(path: Path) -> list[Row]:
    """Return the rows of a file.

    Raises:
        DataError: It is missing or cannot be read.
    """
    if not path.is_file():
        raise DataError(f"no file {path}: a table must be a CSV, TSV or Parquet file")
    if path.suffix == ".parquet":
        try:
            import pandas
        except ModuleNotFoundError:
            raise DataError(f"{path}: a Parquet file needs pandas; pip install pandas pyarrow") from None
        return _records(pandas.read_parquet(path))
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            header = stream.readline()
            stream.seek(0)
            lines = csv.DictReader(stream, delimiter=_delimiter(path, header), strict=True)
            rows: list[Row] = list(lines)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from None
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise DataError(f"{path}: row {number} has another number of columns than the header")
    return rows


def _delimiter(path: Path, header: str) -> str:
    """Return what separates the columns: a tab, or else a comma, or a semicolon if that separates more columns."""
    if path.suffix == ".tsv":
        return "\t"
    return ";" if header.count(";") > header.count(",") else ","


def _require_one_unit(column: str, largest: Mapping[str, float]) -> None:
    """Check that the largest values of a column by arm are all fractions, or all percent.

    Raises:
        ValueError: They are not.
    """
    low, high = min(largest, key=largest.__getitem__), max(largest, key=largest.__getitem__)
    if 0 < largest[low] <= 1 and 2 < largest[high] <= 100:
        raise ValueError(
            f"column '{column}' has fractions in arm '{low}' ({largest[low]:g}) and percent in arm '{high}' "
            f"({largest[high]:g}); write both in one unit"
        )


def _number(cell: Any) -> float | None:
    """Return the number in a cell, in which 5 % is 0.05; None if it is empty or no number."""
    text = str(cell).strip()
    scale = 100 if text.endswith("%") else 1
    try:
        return float(text.removesuffix("%")) / scale
    except ValueError:
        return None


def _equal(cell: Any, value: Any) -> bool:
    """Return whether a cell has the value of a setting: the same number, or the same text."""
    if isinstance(value, bool):
        return str(cell).strip().lower() == str(value).lower()
    number = _number(value)
    return _number(cell) == number if number is not None else str(cell).strip() == str(value)


def _label(cell: Any) -> str:
    """Return the label of a seed, without the ".0" that pandas adds to whole numbers."""
    number = _number(cell)
    return f"{number:.0f}" if number is not None and number.is_integer() else str(cell).strip()


def _order(label: str) -> tuple[float, str]:
    number = _number(label)
    return (math.inf if number is None else number), label


def _seeds(labels: Sequence[str]) -> str:
    return f"seed{'s' if len(labels) > 1 else ''} {_listed(labels)}"


def _listed(values: Sequence[str]) -> str:
    rest = len(values) - VALUES_SHOWN
    return ", ".join(values[:VALUES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
