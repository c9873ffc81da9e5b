"""Which captured output a failing test of a claim shows."""

import pytest

from labcheck.engine.checks import CheckFailedError
from labcheck.engine.session import NotMeasuredError
from labcheck.plugin.captured import shown

SETUP = ("Captured stdout setup", "of a fixture\n")
STDOUT = ("Captured stdout call", "epoch 1\nepoch 2\n")
STDERR = ("Captured stderr call", "loading\n 10 %\r 50 %\r100 %\r\n")
OTHER = ("Remarks", "of a plugin")


@pytest.mark.parametrize("error", [CheckFailedError("drifted"), NotMeasuredError("no metric 'x'")])
def test_output_of_training_is_dropped_unless_it_raised(error: Exception):
    assert shown([SETUP, STDOUT, STDERR, OTHER], error) == [SETUP, OTHER]


@pytest.mark.parametrize("error", [NotMeasuredError("seed 3", "Traceback"), KeyError("x")])
def test_output_of_training_that_raised_is_shown(error: Exception):
    expected = [SETUP, (STDOUT[0], "epoch 1\nepoch 2"), (STDERR[0], "loading\n100 %")]
    assert shown([SETUP, STDOUT, STDERR], error) == expected


def test_long_output_is_cut_to_its_end():
    text = "".join(f"epoch {epoch}\n" for epoch in range(1, 26))
    [(_, short)] = shown([("Captured stdout call", text)], KeyError("x"))
    assert short.splitlines() == ["(5 earlier lines are left out)", *(f"epoch {epoch}" for epoch in range(6, 26))]
