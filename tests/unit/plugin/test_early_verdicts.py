"""Cheap claims run first, and the verdict on each claim is printed as soon as its tests have ended."""

import re
from itertools import groupby

import pytest

from labcheck.engine.baselines import Baseline
from tests.helpers.project import Project, count_lines

pytestmark = pytest.mark.slow

ORDER = "toy/order: REPRODUCED, 12/12 low beats high on error"
TOP = "toy/top: NOT_REPRODUCED, 0/10 top beats low on error"


def lines(result: pytest.RunResult) -> list[str]:
    """Return the lines about verdicts that precede the table."""
    output = [*result.outlines]
    table = next((i for i, line in enumerate(output) if line.startswith("claim  ")), len(output))
    return [line for line in output[:table] if re.match(r"toy/\w+: ", line)]


def order_of_tests(result: pytest.RunResult) -> list[str]:
    """Return the name of each test's file, in the order in which the tests ran verbosely."""
    files = [line.partition("::")[0] for line in result.outlines if "::" in line and "PASSED" in line]
    return [file for file, _ in groupby(files)]


def set_seconds(project: Project, **seconds: float) -> None:
    """Set the CPU seconds that the arm low of each claim took."""
    for claim, value in seconds.items():

        def change(stored: Baseline, value: float = value) -> None:
            stored.cpu_seconds["low"] = value

        project.edit(claim, change)


@pytest.mark.parametrize(
    ("seconds", "first"), [({"order": 9.0, "top": 1.0}, "test_top.py"), ({"order": 1.0, "top": 9.0}, "test_order.py")]
)
def test_claim_that_costs_least_runs_first(project: Project, seconds: dict[str, float], first: str):
    set_seconds(project.recorded(), **seconds)
    result = project.run("-v")
    assert order_of_tests(result) == [first, "test_order.py" if first == "test_top.py" else "test_top.py"]


def test_claim_without_baseline_runs_last(project: Project):
    set_seconds(project.recorded("test_top.py"), top=999.0)
    result = project.run("-v")
    assert lines(result) == [TOP, ORDER]  # not in the order of their files


def test_other_tests_keep_their_places(project: Project):
    set_seconds(project.recorded(), order=9.0, top=1.0)
    for name in ("test_a.py", "test_z.py"):
        project.write(name, "def test_one(): pass")
    assert order_of_tests(project.run("-v")) == ["test_a.py", "test_top.py", "test_order.py", "test_z.py"]


@pytest.mark.parametrize("options", [[], ["-v"], ["-n", "2"]])
def test_verdict_on_each_claim_is_printed_once(project: Project, options: list[str]):
    result = project.recorded().run(*options)
    assert sorted(lines(result)) == [ORDER, TOP]


def test_verdict_is_printed_before_other_claims_end(project: Project):
    set_seconds(project.recorded(), order=1.0, top=9.0)
    output = project.run("-v").outlines
    assert output.index(ORDER) < next(i for i, line in enumerate(output) if line.startswith("test_top.py::"))


@pytest.mark.parametrize("options", [["test_order.py"], ["-q"], ["-k", "order"]])
def test_verdict_on_single_claim_is_in_table_only(project: Project, options: list[str]):
    assert lines(project.recorded().run(*options)) == []


def test_claim_with_error_is_incomplete(project: Project):
    project.recorded().change("if lab.level == 2: raise ValueError('no luck')")
    result = project.run()
    assert sorted(lines(result)) == [TOP]
    assert count_lines(result, "ValueError: no luck") > 0


def test_selected_tests_of_claim_are_sufficient(project: Project):
    project.recorded()
    tests = [
        "test_order.py::relation[low beats high on error-quick]", "test_top.py::relation[top beats low on error-quick]"
    ]  # fmt: skip
    assert sorted(lines(project.run(*tests))) == [ORDER, TOP]


def test_table_is_that_of_run_without_lines(project: Project):
    """What the lines show is computed from copies of the results."""

    def table(result: pytest.RunResult) -> list[str]:
        return [line for line in result.outlines if re.match(r"(claim|toy/\w+)  ", line)]

    project.recorded()
    assert len(table(project.run())) == 3
    assert table(project.run()) == table(project.run("-q"))
