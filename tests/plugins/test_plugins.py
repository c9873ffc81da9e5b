"""Sessions with other plugins: a test that they repeat, time out, shuffle, cover or show counts once."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import jsonschema
import pytest

for plugin in ("pytest_cov", "pytest_html", "pytest_randomly", "pytest_rerunfailures", "pytest_timeout"):
    pytest.importorskip(plugin)

from tests.helpers.project import Project, Recorded, assert_no_internals  # noqa: E402
from tests.helpers.report import SCHEMA  # noqa: E402
from tests.unit.conftest import _not_on_a_build_server, alone, project  # noqa: E402, F401

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])
DRIFT = "metrics['error'] *= 1.01 if lab.level == 2 else 1"
HIGH = "arm[high-quick]"
LOST = """
with open("where.log", "a") as log:
    log.write(f"{{lab.level:g}} {{os.environ.get('PYTEST_CURRENT_TEST')}}\\n")
if lab.level == 2:
    {end}
"""
"""Code that logs the test in which each block is trained, and ends the test or process of the second arm."""
SHAKY = """
import pytest

ran = []


def pytest_runtest_setup(item):
    if item.name == "arm[high-quick]":
        ran.append(item)
        {setup}


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
    if item.name == "arm[high-quick]":
        {teardown}
"""
"""A conftest that fails in setup or teardown of an arm's test."""


@pytest.fixture
def recorded(project: Project, alone: Recorded) -> Project:  # noqa: F811
    """Return the project with its baselines."""
    project.monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name, text in alone.baselines.items():
        file = project.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return project


def run(project: Project, *args: str) -> pytest.RunResult:  # noqa: F811
    """Run pytest in a separate process, without the plugin flaky, which would replace pytest-rerunfailures."""
    result = project.run_in_subprocess("-p", "no:randomly", "-p", "no:flaky", "-p", "no:benchmark", *args)
    assert_no_internals(result)
    return result


def once(code: str) -> str:
    """Return code that runs when the second arm is first trained."""
    return f"if lab.level == 2 and not os.path.exists('happened'):\n    open('happened', 'w').close()\n    {code}"


def problems(project: Project) -> list[tuple[str, str]]:  # noqa: F811
    """Return test and kind of each problem in the report."""
    report = project.report()
    jsonschema.validate(report, SCHEMA)
    return [(problem["test"], problem["kind"]) for problem in report["problems"]]


def drifts(file: Path) -> int:
    """Return the number of properties in JUnit XML that describe a drift."""
    return sum(entry.get("name") == "drift" for entry in ElementTree.parse(file).iter("property"))


def values(file: Path) -> dict[str, Any]:
    """Return the content of a baseline without CPU times."""
    stored: dict[str, Any] = json.loads(file.read_text())
    return {name: value for name, value in stored.items() if name not in ("cpu_seconds", "digest")}


# pytest-rerunfailures


@WORKERS
def test_repeated_drift_is_reported_once(recorded: Project, workers: str):
    recorded.change(DRIFT)
    options = ("--reruns", "3", "--claims-report", "out", "--junitxml", "results.xml")
    result = run(recorded, "-n", workers, *options)
    assert result.parseoutcomes() == {"failed": 1, "passed": 6, "rerun": 3}
    assert drifts(recorded.folder / "results.xml") == 1
    assert problems(recorded) == [(HIGH, "drift")]
    assert (recorded.folder / "out/report.html").read_text().count("has drifted") == 1


@WORKERS
def test_claim_that_passes_on_second_try_is_recorded(recorded: Project, workers: str):
    before = values(recorded.file("order"))
    recorded.file("order").unlink()
    recorded.change(once("raise ValueError('no luck')"))
    # by file, or both workers meet the error, each in another test
    options = ("--dist", "loadfile", "--reruns", "2", "--claims-update", "first", "--claims-report", "out")
    result = run(recorded, "-n", workers, *options)
    assert result.parseoutcomes() == {"passed": 7, "rerun": 1}
    assert values(recorded.file("order")) == before
    assert problems(recorded) == []


def test_worker_that_dies_once_loses_no_result(recorded: Project):
    before = values(recorded.file("order"))
    recorded.file("order").unlink()
    recorded.change(once("os._exit(3)"))
    run(recorded, "-n", "2", "--reruns", "2", "--claims-update", "first", "--claims-report", "out")
    assert values(recorded.file("order")) == before
    assert problems(recorded) == []


@pytest.mark.parametrize(
    ("setup", "teardown", "expected"),
    [
        ("assert len(ran) < 2, 'shaky'", "pass", [(HIGH, "error")]),
        ("pass", "assert len(ran) > 1, 'shaky'", [(HIGH, "drift")]),
    ],
)
def test_only_last_attempt_is_reported(recorded: Project, setup: str, teardown: str, expected: list[Any]):
    conftest = SHAKY.format(setup=setup, teardown=teardown)
    (recorded.folder / "conftest.py").write_text(conftest)
    recorded.change(DRIFT)
    run(recorded, "test_order.py", "--reruns", "1", "--claims-report", "out", "--junitxml", "results.xml")
    assert problems(recorded) == expected
    assert drifts(recorded.folder / "results.xml") == (expected == [(HIGH, "drift")])


def test_error_after_drift_is_reported_too(recorded: Project):
    conftest = SHAKY.format(setup="pass", teardown="assert False, 'shaky'")
    (recorded.folder / "conftest.py").write_text(conftest)
    recorded.change(DRIFT)
    run(recorded, "test_order.py", "--claims-report", "out")
    assert problems(recorded) == [(HIGH, "drift"), (HIGH, "error")]


def test_expected_drift_is_not_repeated(recorded: Project):
    mark = f"def pytest_itemcollected(item): item.name == '{HIGH}' and item.add_marker('xfail')\n"
    (recorded.folder / "conftest.py").write_text(mark)
    recorded.change(DRIFT)
    result = run(recorded, "test_order.py", "--reruns", "2", "--claims-report", "out")
    assert result.parseoutcomes() == {"passed": 2, "xfailed": 1}
    assert problems(recorded) == [(HIGH, "drift")]


# pytest-timeout


@pytest.mark.parametrize(
    ("workers", "end", "method"),
    [
        ("0", "import time; time.sleep(100)", "signal"),
        ("1", "import time; time.sleep(100)", "thread"),
        ("1", "os._exit(3)", "signal"),
    ],
)
def test_block_that_ends_its_test_is_not_trained_ahead(recorded: Project, workers: str, end: str, method: str):
    """The worker that replaces one that died does not train it; with two, the other might train it ahead at first."""
    recorded.change(LOST.format(end=end))
    run(recorded, "-n", workers, "--timeout", "3", "--timeout-method", method, "--claims-report", "out")
    failed = {test for test, kind in problems(recorded)}
    assert failed >= {HIGH, "relation[low beats high on error-quick]"}  # and of tests that need it
    trained = (recorded.folder / "where.log").read_text().splitlines()
    tests = [line.partition("::")[2].removesuffix(" (call)") for line in trained if line.startswith("2 ")]
    assert sorted(tests) == sorted(failed)


def test_torch_is_imported_before_first_test(recorded: Project):
    """The import takes longer than the timeout of a short test."""
    toy = recorded.folder / "toy.py"
    toy.write_text(toy.read_text() + "\n\ndef later():\n    import torch\n")
    watch = (
        "import pytest, sys\n@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_runtest_protocol(): assert 'torch' in sys.modules\n"
    )
    (recorded.folder / "conftest.py").write_text(watch)
    result = run(recorded, "-n", "2", "--timeout", "60", "test_order.py")
    assert result.parseoutcomes() == {"passed": 3}


# pytest-randomly


def test_order_of_tests_changes_nothing(recorded: Project):
    before = [values(recorded.file(name)) for name in ("order", "top")]
    for name in ("order", "top"):
        recorded.file(name).unlink()
    recorded.run_in_subprocess("-p", "no:flaky", "--randomly-seed=3", "--claims-update", "first")
    assert [values(recorded.file(name)) for name in ("order", "top")] == before


# pytest-cov, pytest-html


@WORKERS
def test_pages_of_other_plugins_show_failures(recorded: Project, workers: str):
    recorded.change(DRIFT)
    options = ("--cov", "toy", "--cov-report", "json", "--html", "page.html", "--claims-report", "out")
    result = run(recorded, "-n", workers, "test_order.py", *options)
    assert result.parseoutcomes() == {"failed": 1, "passed": 2}
    assert problems(recorded) == [(HIGH, "drift")]
    assert "has drifted" in (recorded.folder / "page.html").read_text()
    assert json.loads((recorded.folder / "coverage.json").read_text())["files"]["toy.py"]["summary"]["covered_lines"]
