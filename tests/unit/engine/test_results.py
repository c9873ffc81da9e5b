"""Return values of `Lab.train`: which are accepted, and the line that describes one that is not."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from labcheck import Data, Lab, Metric, MetricError, Trials, last_value, value_at
from labcheck.engine import results
from labcheck.engine.progress import progress_callback
from labcheck.engine.results import ResultError
from tests.helpers.claims import INF, NAN

SEEDS = range(4, 6)


class DivergedError(Exception):
    """An exception of the trainer's own."""


@dataclass(frozen=True, kw_only=True)
class Returning(Lab):
    """A lab that returns the value of a function of the seeds."""

    name: ClassVar[str] = "returning"
    diverged: ClassVar = (DivergedError,)

    make: Callable[[Sequence[int]], Any] = field(compare=False)
    calls: list[list[int]] = field(default_factory=list, compare=False)

    def data(self) -> Data:
        return Data("none", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Any:
        self.calls.append(list(seeds))
        return self.make(seeds)


class Name(StrEnum):
    LOSS = "loss"


class Mixed(str, Enum):  # noqa: UP042 - str() gives another text
    LOSS = "loss"


def content(trials: Trials) -> dict[str, Any]:
    """Return all arrays of trials as lists, in which NaN is None."""
    arrays = {**trials.metrics, **trials.curves, **trials.tables}
    return {name: np.ma.array(array, mask=np.isnan(array)).tolist() for name, array in arrays.items()}


def untyped_trials(*parts: Any) -> Trials:
    """Return trials as user code may construct them, with parts of any type."""
    return Trials(*parts)


def tensor(*values: complex, **options: Any) -> torch.Tensor:
    return torch.tensor(values, **{"dtype": None if 1j in values else torch.float32, **options})


# metrics

METRICS = {
    "list": [1, 2.5],
    "tuple": (1, 2.5),
    "array": np.array([1, 2.5]),
    "float16": np.array([1, 2.5], np.float16),
    "NumPy numbers": [np.float32(1), np.float64(2.5)],
    "NumPy scalars": [np.array(1), np.array(2.5)],
    "tensor": tensor(1, 2.5),
    "tensor of bfloat16": tensor(1, 2.5, dtype=torch.bfloat16),
    "tensor with gradients": tensor(1, 2.5, requires_grad=True) * 1,
    "tensors with gradients": [tensor(1, requires_grad=True)[0], tensor(2.5, requires_grad=True)[0]],
}


@pytest.mark.parametrize("value", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize(
    "make", [lambda value: {"a": value}, lambda value: untyped_trials({"a": value}, {})], ids=["dict", "Trials"]
)
def test_metric_is_accepted_as(value: Any, make: Callable[[Any], Any]):
    trials = results.checked(make(value), SEEDS)
    assert content(trials) == {"a": [1.0, 2.5]}
    assert trials.metrics["a"].dtype == np.float64


@pytest.mark.parametrize("value", [3, 3.0, [3], np.float32(3), np.array(3), np.array([3.0]), tensor(3), tensor(3)[0]])
def test_metric_of_one_seed_may_be_number(value: Any):
    assert content(results.checked({"a": value}, [7])) == {"a": [3.0]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([True, False], [1.0, 0.0]),
        ([NAN, INF], [None, INF]),
        ([10**20, 1], [1e20, 1.0]),
        (np.array([2**63, 1], np.uint64), [2.0**63, 1.0]),
        (np.array([np.longdouble(10) ** 400, 1]), [INF, 1.0]),
        (np.ma.array([1, 2], mask=[False, True]), [1.0, None]),
        ([0.5, np.ma.masked], [0.5, None]),
    ],
)
def test_metric_accepts_numbers_that_are_not_finite_or_large(value: Any, expected: list[float | None]):
    assert content(results.checked({"a": value}, SEEDS)) == {"a": expected}


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ([1], "1 numbers"),
        ([1, 2, 3], "3 numbers"),
        ([], "0 numbers"),
        (1.0, "one number"),
        ([[1], [2]], "an array of shape (2, 1)"),
        ([[1], [2, 3]], "2 rows of different lengths"),
    ],
)
def test_metric_is_refused_unless_one_number_per_seed(value: Any, got: str):
    message = (
        f"metric 'a' must have one number for each of the 2 seeds from 4 to 5, got {got}; a seed that diverged must "
        "be NaN instead of being left out"
    )
    with pytest.raises(results.ResultError, match=f"^{re.escape(message)}$"):
        results.checked(untyped_trials({"a": value}, {}), SEEDS)


# values that are not numbers

NO_NUMBERS = {
    "string": ("0.5", "'a' must be numbers, got str"),
    "strings": (["0.5", "x"], "'a' of seed 4 must be numbers, got '0.5'"),
    "string after number": ([0.5, "x"], "'a' of seed 5 must be numbers, got 'x'"),
    "none": (None, "'a' must be numbers, got NoneType"),
    "none after number": ([0.5, None], "'a' of seed 5 must be numbers, got None"),
    "none in row": ([[1, 2], [1, None]], "'a' of seed 5 must be numbers, got [1, None]"),
    "complex": ([1, 1j], "'a' of seed 5 must be numbers, got 1j"),
    "complex array": (np.array([1j, 1]), "'a' must be numbers, got complex128"),
    "complex masked array": (np.ma.array([1j, 1]), "'a' must be numbers, got complex128"),
    "complex tensor": (tensor(1, 1j), "'a' must be numbers, got complex64"),
    "objects": (np.array([None, 1]), "'a' must be numbers, got object"),
    "dates": (np.array([0, 1], "datetime64[s]"), "'a' must be numbers, got datetime64[s]"),
    "dict": ({"b": 1}, "'a' must be numbers, got dict"),
    "set": ({1, 2}, "'a' must be numbers, got set"),
    "generator": ((x for x in (1, 2)), "'a' must be numbers, got generator"),
    "beyond float64": ([10**400, 1], "'a' of seed 4 must be numbers, got 1000"),
    "mixture": ([1, [2, 3]], "'a' of seed 4 must be a row of numbers, since lengths differ, got one number"),
    "meta tensor": (tensor(1, 2).to("meta"), "'a' must be numbers, got a tensor that has none: NotImplementedError: "),
    "sparse tensor": (tensor(1, 2).to_sparse(), "'a' must be numbers, got a tensor that has none: TypeError: "),
}


@pytest.mark.parametrize(("value", "message"), NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize("kind", ["dict", "metrics", "curves", "tables"])
def test_value_is_refused_in_one_line_unless_numbers(value: Any, message: str, kind: str):
    if kind == "tables":
        returned: Any = untyped_trials({"b": [1, 2]}, {}, None, {"a": value})
    else:
        returned = {
            "dict": {"a": value},
            "metrics": untyped_trials({"a": value}, {}),
            "curves": untyped_trials({}, {"a": value}),
        }[kind]
    with pytest.raises(results.ResultError, match=f"^{re.escape(message)}") as caught:
        results.checked(returned, SEEDS)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", [0, None, ("a",), "", "a\nb", "a\ud800", b"a"])
@pytest.mark.parametrize("kind", ["dict", "metrics", "curves"])
def test_name_is_refused_unless_printable_string(name: Any, kind: str):
    returned = {
        "dict": {name: [1, 2]},
        "metrics": untyped_trials({name: [1, 2]}, {}),
        "curves": untyped_trials({}, {name: [[1], [2]]}),
    }[kind]
    message = f"names of metrics and curves must be printable strings, got {name!a}"
    with pytest.raises(results.ResultError, match=f"^{re.escape(message)}$"):
        results.checked(returned, SEEDS)


@pytest.mark.parametrize("name", [Name.LOSS, Mixed.LOSS, np.str_("loss"), "loss"])
def test_name_of_enumeration_is_its_value(name: str):
    (accepted,) = results.checked({name: [1, 2]}, SEEDS).metrics
    assert f"{accepted}" == "loss"


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (None, "NoneType"),
        (0.5, "float"),
        ([{"a": 1}, {"a": 2}], "list"),
        (({"a": [1, 2]}, {}), "tuple"),
        ({}, "no number for seed 4"),
        (untyped_trials({}, {}), "no number for seed 4"),
        (untyped_trials({}, {}, None, {"t": np.ones((2, 3))}), "no number for seed 4"),
    ],
)
def test_result_is_refused_unless_trials_or_dict(returned: Any, got: str):
    with pytest.raises(results.ResultError, match=f"^{re.escape(results.ACCEPTED)}, got {got}$"):
        results.checked(returned, SEEDS)


@pytest.mark.parametrize(
    "returned",
    [untyped_trials(None, {}), untyped_trials({}, None), untyped_trials([1, 2], {}), untyped_trials({}, {}, None, 3)],
)
def test_result_is_refused_unless_its_parts_are_dicts(returned: Trials):
    with pytest.raises(
        results.ResultError, match=r"^metrics, curves and tables of Trials must be dicts by name, got \w+$"
    ):
        results.checked(returned, SEEDS)


# curves

CURVES = {
    "lists": ([[3, 2], [3, 1]], [[3, 2], [3, 1]], [2, 2]),
    "lists of different lengths": ([[3, 2, 1], [3]], [[3, 2, 1], [3, None, None]], [3, 1]),
    "arrays of different lengths": ([np.array([3, 2, 1]), np.array([3])], [[3, 2, 1], [3, None, None]], [3, 1]),
    "tensors of different lengths": ([tensor(3, 2), tensor(3, requires_grad=True)], [[3, 2], [3, None]], [2, 1]),
    "one record": ([[3], [2]], [[3], [2]], [1, 1]),
    "NaN at end of list": ([[3, NAN], [3, 1]], [[3, None], [3, 1]], [2, 2]),
    "NaN within array": (np.array([[NAN, 2], [3, 1]]), [[None, 2], [3, 1]], [2, 2]),
    "masked rows": ([np.ma.array([3, 2], mask=[True, False]), np.ma.array([3, 1])], [[None, 2], [3, 1]], [2, 2]),
}


@pytest.mark.parametrize(("value", "expected", "epochs"), CURVES.values(), ids=CURVES)
@pytest.mark.parametrize(
    "make", [lambda value: {"l": value}, lambda value: untyped_trials({}, {"l": value})], ids=["dict", "Trials"]
)
def test_curve_determines_epochs_if_missing(value: Any, expected: Any, epochs: Any, make: Callable[[Any], Any]):
    assert content(results.checked(make(value), SEEDS)) == {"l": expected, "epochs": epochs}


@pytest.mark.parametrize("value", [[3, 2], [[3, 2]], np.array([3, 2]), tensor(3, 2), (3, 2)])
def test_curve_of_one_seed_may_be_row(value: Any):
    assert content(results.checked({"l": value, "a": 5}, [7])) == {"l": [[3, 2]], "a": [5], "epochs": [2]}


@pytest.mark.parametrize(
    ("curve", "got"),
    [
        ([[1, 2]], "an array of shape (1, 2)"),
        ([1, 2], "2 numbers"),
        (3.0, "one number"),
        ([[1], [2, 3], [4]], "3 rows of different lengths"),
        (np.ones((2, 2, 2)), "an array of shape (2, 2, 2)"),
    ],
)
def test_curve_is_refused_unless_one_row_per_seed(curve: Any, got: str):
    message = f"curve 'l' must have a row for each of the 2 seeds from 4 to 5, got {got}"
    with pytest.raises(results.ResultError, match=f"^{re.escape(message)}$"):
        results.checked(untyped_trials({}, {"l": curve}), SEEDS)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            {"l": [[1, 2], [1]], "m": [[1, 2], [1, 2]], "recorded": [1, 5]},
            "curves of seed 5 must have the same number of records, since `recorded` is that of all, got 'l' 1, 'm' 2",
        ),
        (
            {"l": [[1, 2], [1]], "m": [[1, 2], [1, 2]], "epochs of l": [1, 2]},
            "'epochs of l' is the name of what labcheck derives from a curve; give it another name",
        ),
        (
            {"l": np.array([[1, 2], [1, NAN]])},
            "curve 'l' of seed 5 ends with NaN, and `epochs` is missing: return `epochs`, or lists that end where a "
            "seed stopped",
        ),
        ({"l": [[1, 2], [1, 2]], "epochs": [2, 1.5]}, "'epochs' of seed 5 must be a whole number, got 1.5"),
        ({"l": [[1, 2], [1, 2]], "epochs": [2, NAN]}, "'epochs' of seed 5 must be a whole number, got nan"),
        ({"l": [[1, 2], [1, 2]], "epochs": [2, INF]}, "'epochs' of seed 5 must be a whole number, got inf"),
        ({"l": [[1, 2], [1, 2]], "epochs": [-1, 2]}, "'epochs' of seed 4 must be a whole number, got -1"),
        (
            {"l": [[1, 2, 3], [1, 2, NAN]], "epochs": [2, 1]},
            "curve 'l' of seed 4 has a record after 3 epochs, and 'epochs' is 2: a curve must end with its seed's last "
            "epoch, or be NaN after it",
        ),
        (
            {"l": [[1, 2], [1, 2]], "epochs": [2, 3]},
            "curve 'l' of seed 5 ends after 2 epochs, and 'epochs' is 3; return `recorded`, the number of epochs "
            "completed at each record",
        ),
        (
            {"l": [[1, 2], [1]], "epochs": [5, 9], "recorded": [1, 5]},
            "curve 'l' of seed 5 ends after 1 epochs, and 'epochs' is 9; return a record after each",
        ),
    ],
)
def test_epochs_are_refused_unless_they_match_records(returned: Any, message: str):
    with pytest.raises(results.ResultError, match=f"^{re.escape(message)}$"):
        results.checked(returned, SEEDS)


def test_curves_of_one_seed_may_have_different_lengths():
    trials = results.checked({"step": [[6, 5, 4, 3], [6, 5]], "epoch": [[5, 3], [NAN]]}, SEEDS)
    assert content(trials) == {
        "step": [[6, 5, 4, 3], [6, 5, None, None]], "epoch": [[5, 3], [None, None]],
        "epochs": [4, 2], "epochs of epoch": [2, 1],
    }  # fmt: skip
    assert last_value("step", rising=False).of(trials).tolist() == [3, 5]
    np.testing.assert_array_equal(last_value("epoch", rising=False).of(trials), [3, NAN])
    assert value_at("epoch", 1, rising=False).of(trials).tolist()[0] == 5


def test_curves_of_different_lengths_are_joined_with_equal_ones():
    parts = [{"step": [6, 5, 4], "epoch": [5, 3]}, {"step": [6, 5], "epoch": [5, 2]}, {"step": [6, 5], "epoch": [7]}]
    trials = Trials.join([results.checked(part, [seed]) for seed, part in enumerate(parts)])
    assert content(trials)["epochs of epoch"] == [2, 2, 1]
    assert last_value("epoch", rising=False).of(trials).tolist() == [3, 2, 7]
    assert last_value("step", rising=False).of(trials).tolist() == [4, 5, 5]


def test_records_after_last_epoch_are_removed():
    trials = results.checked({"l": [[3, 2, 1], [3, 0, 0]], "epochs": [3, 1]}, SEEDS)
    assert content(trials) == {"l": [[3, 2, 1], [3, None, None]], "epochs": [3, 1]}


def test_epochs_of_padded_arrays_are_those_returned():
    trials = results.checked({"l": np.array([[3, 2, NAN], [3, 2, 1]]), "epochs": tensor(2, 3)}, SEEDS)
    assert content(trials) == {"l": [[3, 2, None], [3, 2, 1]], "epochs": [2, 3]}
    assert last_value("l", rising=False).of(trials).tolist() == [2, 1]


# recorded


@pytest.mark.parametrize("recorded", [[1, 5, 10], (1, 5, 10), np.array([1.0, 5, 10]), tensor(1, 5, 10).int()])
@pytest.mark.parametrize("kind", ["dict", "dict of parts", "Trials"])
def test_recorded_states_epochs_of_records(recorded: Any, kind: str):
    curves = {"l": [[4, 3, 2], [4, 3]]}
    returned: Any = {
        "dict": {**curves, "recorded": recorded},
        "dict of parts": {"curves": curves, "recorded": recorded},
        "Trials": untyped_trials({}, curves, recorded),
    }[kind]
    trials = results.checked(returned, SEEDS)
    assert content(trials) == {"l": [[4, 3, 2], [4, 3, None]], "epochs": [10, 5]}
    assert trials.recorded is not None
    assert trials.recorded.tolist() == [1, 5, 10]
    assert trials.recorded.dtype == np.int64
    assert value_at("l", 10, rising=False).of(trials).tolist() == [2, 3]


def test_recorded_of_one_seed_is_not_curve():
    trials = results.checked({"l": [4, 3, 2], "recorded": [1, 5, 10]}, [7])
    assert content(trials) == {"l": [[4, 3, 2]], "epochs": [10]}


@pytest.mark.parametrize(
    ("curve", "epochs"), [([[4, 3, 2], [4, 3, 2]], [12, 10]), ([[4, 3], [4, 3, NAN]], [7, 9]), ([[4, 3], [4]], [5, 4])]
)
def test_recorded_allows_epochs_after_last_record(curve: Any, epochs: Any):
    longest = max(map(len, curve))
    trials = results.checked({"l": curve, "epochs": epochs, "recorded": [1, 5, 10][:longest]}, SEEDS)
    assert trials.metrics["epochs"].tolist() == epochs


@pytest.mark.parametrize(
    "recorded",
    [[5, 1], [1, 1], [-1, 1], [0.5, 1], [1, NAN], [1, INF], 1, [[1, 5]], [[1], [1, 5]], np.array([5, 1], np.uint64)],
    ids=str,
)
def test_recorded_is_refused_unless_ascending(recorded: Any):
    message = f"`recorded` must be ascending whole numbers of epochs, got {recorded!r}"
    with pytest.raises(results.ResultError, match=f"^{re.escape(message)}$"):
        results.checked(untyped_trials({}, {"l": [[1, 2], [3, 4]]}, recorded), SEEDS)


@pytest.mark.parametrize(("recorded", "count"), [([], 0), ([1], 1), ([1, 5, 9], 3)])
def test_recorded_is_refused_unless_it_names_all_records(recorded: Any, count: int):
    with pytest.raises(results.ResultError, match=f"^`recorded` must name the epochs of all 2 records, got {count}$"):
        results.checked({"l": [[1, 2], [3, 4]], "recorded": recorded}, SEEDS)


# dicts


def test_dict_is_sorted_by_shapes():
    table = np.ones((2, 3, 3))
    trials = results.checked({"a": [1, 2], "l": [[1, 2], [3]], "t": table, "epochs": [2, 1]}, SEEDS)
    assert (set(trials.metrics), set(trials.curves), set(trials.tables)) == ({"a", "epochs"}, {"l"}, {"t"})


def test_dict_of_parts_is_not_sorted():
    trials = results.checked({"metrics": {"a": [1, 2]}, "tables": {"t": np.ones((2, 3))}}, SEEDS)
    assert (set(trials.metrics), set(trials.curves), set(trials.tables)) == ({"a"}, set(), {"t"})


def test_result_is_copy_of_returned_arrays():
    returned = np.array([1.0, 2.0])
    trials = results.checked({"a": returned}, SEEDS)
    returned[:] = 0
    assert trials.metrics["a"].tolist() == [1, 2]


def test_table_is_refused_unless_one_array_per_seed():
    message = "table 't' must have one array for each of the 2 seeds from 4 to 5, got an array of shape (3, 2)"
    with pytest.raises(results.ResultError, match=f"^{re.escape(message)}$"):
        results.checked(untyped_trials({"a": [1, 2]}, {}, None, {"t": np.ones((3, 2))}), SEEDS)


# trainers that raise


def diverge_in_seed_5(seeds: Sequence[int]) -> Any:
    if 5 in seeds:
        raise DivergedError("loss is\nNaN")
    return {"a": list(seeds), "l": [[float(seed)] * seed for seed in seeds]}


def test_diverged_seed_has_no_numbers():
    trials = results.train(Returning(make=diverge_in_seed_5), [5])
    assert (content(trials), trials.diverged, len(trials)) == ({}, {0: "DivergedError: loss is NaN"}, 1)
    assert np.isnan(Metric("a", higher_is_better=True).of(trials)).tolist() == [True]


def test_diverged_seed_does_not_affect_others_of_block():
    lab = Returning(make=diverge_in_seed_5)
    trials = results.train(lab, [4, 5, 3])
    assert lab.calls == [[4, 5, 3], [4], [5], [3]]
    assert content(trials) == {
        "a": [4, None, 3],
        "epochs": [4, None, 3],
        "l": [[4, 4, 4, 4], [None] * 4, [3, 3, 3, None]],
    }
    assert trials.diverged == {1: "DivergedError: loss is NaN"}
    values = last_value("l", rising=False).of(trials)
    assert np.array_equal(values, [4, NAN, 3], equal_nan=True)


@pytest.mark.parametrize("error", [ValueError("no"), results.ResultError("no"), KeyboardInterrupt()])
def test_other_errors_of_trainer_are_raised(error: BaseException):
    def make(seeds: Sequence[int]) -> Any:
        raise error

    lab = Returning(make=make)
    with pytest.raises(type(error)):
        results.train(lab, SEEDS)
    assert lab.calls == [[4, 5]]


def test_diverged_does_not_include_refused_results(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Returning, "diverged", (Exception,))
    with pytest.raises(results.ResultError, match=r"^metric 'a' must have one number"):
        results.train(Returning(make=lambda seeds: {"a": [1, 2, 3]}), SEEDS)


# blocks


def joined(*returned: Any) -> Trials:
    return Trials.join([results.checked(one, [seed]) for seed, one in enumerate(returned)])


def test_join_pads_shorter_curves_with_nan():
    trials = joined({"l": [3, 2, 1]}, {"l": [3, 2]})
    assert content(trials) == {"l": [[3, 2, 1], [3, 2, None]], "epochs": [3, 2]}
    assert last_value("l", rising=False).of(trials).tolist() == [1, 2]


@pytest.mark.parametrize("single", [{"l": [3]}, {"l": 3}, {"l": [[3]]}, {"l": [3], "epochs": 1}], ids=str)
@pytest.mark.parametrize("first", [True, False])
def test_join_accepts_curve_of_one_record(single: Any, first: bool):
    trials = joined(*[single, {"l": [3, 2]}][:: 1 if first else -1])
    rows = [([3, None], 1), ([3, 2], 2)][:: 1 if first else -1]
    assert content(trials) == {"l": [row for row, _ in rows], "epochs": [epochs for _, epochs in rows]}


def test_join_uses_longest_recorded():
    trials = joined({"l": [3, 2], "recorded": [1, 5]}, {"l": [3, 2, 1], "recorded": [1, 5, 9]})
    assert trials.recorded is not None
    assert (trials.recorded.tolist(), trials.metrics["epochs"].tolist()) == ([1, 5, 9], [5, 9])


@pytest.mark.parametrize("other", [{"l": [3, 2]}, {"l": [3, 2], "recorded": [1, 4]}], ids=["none", "others"])
def test_join_refuses_records_of_other_epochs(other: Any):
    with pytest.raises(MetricError, match=r"^curves must be recorded after the same epochs for all seeds$"):
        joined({"l": [3, 2], "recorded": [1, 5]}, other)


def test_join_refuses_metric_of_some_seeds_only():
    with pytest.raises(MetricError, match=r"^metrics: 'b' was returned for seed 1 and not for seed 0$"):
        joined({"a": 1}, {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ({"loss": [3.0, 2.0], "epochs": 2}, {"epochs": 1}, "curves: 'loss' was returned for seed 0 and not for seed 1"),
        ({"x": 1.0}, {"x": 1.0, "y": 1.0}, "metrics: 'y' was returned for seed 1 and not for seed 0"),
        (
            {"x": 1.0, "t": np.zeros((1, 2, 2))},
            {"x": 1.0, "t": np.zeros((1, 3, 3))},
            "tables: 't' must have the same shape for all seeds",
        ),
    ],
)
def test_join_refuses_seeds_with_different_results(one: Any, other: Any, message: str):
    with pytest.raises(MetricError, match=f"^{re.escape(message)}"):
        Trials.join([results.checked(one, [0]), results.checked(other, [1])])


def test_join_fills_diverged_seeds_with_nan():
    diverged = Trials({}, {}, diverged={0: "ValueError: no luck"})
    joined = Trials.join([diverged, results.checked({"x": 1.0, "loss": [3.0, 2.0]}, [1]), diverged])
    assert (len(joined), sorted(joined.diverged)) == (3, [0, 2])
    np.testing.assert_array_equal(joined.metrics["x"], [np.nan, 1, np.nan])
    np.testing.assert_array_equal(joined.curves["loss"], [[np.nan, np.nan], [3, 2], [np.nan, np.nan]])
    assert len(Trials.join([diverged, diverged])) == 2


# generators


def generated(*records: Any, last: Any = None, epochs: Any = None, seeds: Sequence[int] = (7,)) -> Trials:
    """Return the checked results of a generator that yields these records and returns the last one."""

    def generate() -> Any:
        yield from records
        return last

    return results.checked(results._collected(generate(), seeds, epochs), seeds)


def test_yielded_numbers_are_curves_and_returned_ones_metrics():
    trials = generated({"loss": 3.0}, {"loss": tensor(2)[0]}, {"loss": np.float32(1)}, last={"error": 0.5})
    assert content(trials) == {"error": [0.5], "epochs": [3.0], "loss": [[3.0, 2.0, 1.0]]}


def test_generator_may_return_nothing():
    assert content(generated({"loss": 3.0}, {"loss": 2.0})) == {"epochs": [2.0], "loss": [[3.0, 2.0]]}


def test_generator_of_several_seeds_yields_number_of_each():
    trials = generated({"loss": [3, 30]}, {"loss": np.array([2, 20])}, last={"error": [1, 2]}, seeds=[0, 1])
    assert content(trials)["loss"] == [[3.0, 2.0], [30.0, 20.0]]


def test_generator_reports_progress_with_epochs_of_setting():
    reports: list[tuple[int, int]] = []
    with progress_callback(lambda done, total: reports.append((done, total))):
        generated({"loss": 1.0}, {"loss": 1.0}, epochs=5)
        generated({"loss": 1.0}, {"loss": 1.0})
    assert reports == [(1, 5), (2, 5), (1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("records", "options", "message"),
    [
        ([3.0], {}, "a generator must yield a dict of numbers by name, got 3.0"),
        ([{"a": 1}, {"a": 1, "b": 2}], {}, "a generator must yield the same names after each epoch, got 'b' in some"),
        ([{"a": 1}], {"last": 5}, "a generator must return a dict of numbers by name, or nothing, got 5"),
        ([{"a": 1}], {"last": {"a": 5}}, "'a' is yielded and returned by the generator; give one of them another name"),
        ([{"a": "x"}], {}, "'a' of seed 7 must be numbers, got 'x'"),
        ([{"a": [1, 2]}], {}, "a generator must yield one number for seed 7, got 'a' of shape (2,)"),
        ([{"a": 1}], {"seeds": [0, 1]}, "one number for each of the 2 seeds from 0 to 1, got 'a' of shape ()"),
        (
            [{"a": [1, 2, 3]}],
            {"seeds": [0, 1]},
            "one number for each of the 2 seeds from 0 to 1, got 'a' of shape (3,)",
        ),
        ([], {}, "`train` must return Trials, or a dict of numbers and curves by name, got no number for seed 7"),
    ],
)
def test_generator_is_refused_in_one_line(records: list[Any], options: dict[str, Any], message: str):
    with pytest.raises(ResultError, match=re.escape(message)):
        generated(*records, **options)
