"""Messages about errors of user code."""

import pytest

import labcheck
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


def test_file_is_own_if_in_package():
    assert errors.is_own(errors.__file__)
    assert errors.is_own(labcheck.__file__)
    assert not errors.is_own(__file__)
    assert not errors.is_own(pytest.__file__)
