"""Messages about errors of user code."""

from collections.abc import Callable

import numpy as np
import pytest

import labcheck
from labcheck import Claim, DataError, Metric, Table, beats
from labcheck.core import errors


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("a\n  b"), "ValueError: a b"),
        (KeyError(), "KeyError"),
        (OSError(2, "x"), "FileNotFoundError: [Errno 2] x"),
    ],
)
def test_error_is_described_in_one_line(error: Exception, expected: str):
    assert errors.line(error) == expected


@pytest.mark.parametrize(
    ("call", "refused"),
    [
        (lambda: Metric("x"), True),
        (lambda: beats("a", "b", "x"), True),  # type: ignore[arg-type]
        (lambda: Claim(lab=None), True),  # type: ignore[call-arg,arg-type]
        (lambda: int("x"), False),
        (lambda: np.ones(2).reshape(3), False),
        (lambda: Table("none.csv"), False),  # DataError is not among the kinds
        (lambda: min(), False),  # type: ignore[call-overload]
    ],
)
def test_call_that_labcheck_refuses_is_found(call: Callable[[], object], refused: bool):
    with pytest.raises((TypeError, ValueError, DataError)) as caught:
        call()
    place = errors.refused_call(caught.value, ["Claim"])
    assert (place is not None) is refused
    if place is not None:
        assert place == (__file__, call.__code__.co_firstlineno)


def test_file_is_own_if_in_package():
    assert errors.is_own(errors.__file__)
    assert errors.is_own(labcheck.__file__)
    assert not errors.is_own(__file__)
    assert not errors.is_own(pytest.__file__)
