"""Misuse and bad luck: what a run does when claims, settings, files or workers are not as they should be."""

from pathlib import Path

import numpy as np
import pytest

from labcheck.core.comparisons import reaches
from labcheck.core.metrics import Metric
from labcheck.core.trials import Trials
from labcheck.engine import baselines
from labcheck.report import tensorboard
from tests.helpers.project import LAB, ORDER, Project, count_lines

from .test_plugin import in_one_line
from .test_report import ERROR, Arm, found

CRASHED = "toy/order: not written: a test of it could not be run"


@pytest.mark.parametrize("mark", ["skip", "skipif(True, reason='no')"])
def test_a_claim_can_be_skipped(project: Project, mark: str):
    hook = f"def pytest_collection_modifyitems(items):\n    for item in items: item.add_marker(pytest.mark.{mark})\n"
    (project.folder / "conftest.py").write_text(f"import pytest\n{hook}")
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=7)


def test_benchmarks_run_only_when_asked_for_and_claims_do_not_then(project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # with workers, pytest-benchmark is off
    folder = project.folder / "benchmarks"
    folder.mkdir()
    repository = Path(__file__).parents[1] / "benchmarks" / "conftest.py"
    (folder / "conftest.py").write_text(repository.read_text())
    (folder / "test_speed.py").write_text("def test_speed(benchmark):\n    benchmark(sum, [1])\n")
    project.recorded()
    project.run().assert_outcomes(passed=7, skipped=1)
    before = len(project.trained())
    project.run("--benchmark-only", "--benchmark-disable-gc").assert_outcomes(passed=1, skipped=7)
    assert len(project.trained()) == before


def test_benchmarks_share_the_machine_with_nobody(project: Project):
    repository = Path(__file__).parents[2] / "conftest.py"
    (project.folder / "conftest.py").write_text(repository.read_text())
    result = project.run("--benchmark-only", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert count_lines(result, "benchmarks are timed one at a time: leave out -n") == 1


@pytest.mark.parametrize("workers", ["0", "2"])
def test_two_claims_have_two_names(project: Project, workers: str):
    project.write("test_again.py", ORDER)
    result = project.run("-n", workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, "ERROR: toy/order is a claim of test_again.py and of test_order.py: give one of")
    assert project.trained() == []


def test_a_metric_that_is_not_measured_is_told_in_a_line(project: Project):
    project.write(
        "test_order.py",
        "from labcheck.core.metrics import Metric\n"
        + ORDER.replace("ERROR: 1.0", "Metric('eror', higher_is_better=False): 1.0"),
    )
    result = project.run("test_order.py::arm[low-quick]")
    assert (
        count_lines(
            result, "toy/order (quick): arm 'low': there is no metric 'eror'; there are accuracy, epochs, error"
        )
        == 1
    )
    assert count_lines(result, "Traceback") + count_lines(result, "metrics.py") == 0


def test_the_last_failed_claim_can_be_run_alone(project: Project):
    project.recorded()
    project.change("metrics['error'] *= 1.01 if lab.level == 2 else 1")
    for options, failed, passed in (([], 1, 6), (["--lf"], 1, 0)):
        result = project.pytester.runpytest_inprocess(*options)
        result.assert_outcomes(failed=failed, passed=passed)


def test_an_update_writes_nothing_of_a_claim_whose_worker_died(project: Project):
    project.change("if lab.level == 2: os._exit(1)")
    result = project.run_in_subprocess("-n", "2", "--max-worker-restart", "0", "--claims-update", "it dies")
    assert result.ret != pytest.ExitCode.OK
    assert not project.file("order").exists()


@pytest.mark.parametrize("when", ["setup", "teardown"])
def test_an_update_writes_nothing_of_a_claim_with_an_error_around_it(project: Project, when: str):
    hook = f"def pytest_runtest_{when}(item):\n    if item.name.startswith('arm[high'): raise OSError('no luck')\n"
    (project.folder / "conftest.py").write_text(hook)
    result = project.run("--claims-update", "it fails")
    assert count_lines(result, CRASHED) == 1
    assert not project.file("order").exists()


def test_an_update_of_a_claim_of_which_every_test_crashes_says_so(project: Project):
    project.change("raise ValueError('no luck')")
    result = project.run("--claims-update", "it crashes", "test_order.py")
    assert count_lines(result, CRASHED) == 1
    assert count_lines(result, "a run with --claims-update exits with status 1 on purpose") == 1


@pytest.mark.parametrize("setting", ["noise=nan", "noise=inf"])
def test_a_setting_that_is_not_finite_is_reported_or_refused(project: Project, setting: str):
    result = project.run("--claims-set", f"toy.{setting}", "--claims-report", "out")
    assert count_lines(result, "Traceback") == 0
    if result.ret != pytest.ExitCode.USAGE_ERROR:
        assert project.report()["claims"]


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_default_that_is_not_finite_is_stored_and_found_again(project: Project, value: str):
    default = f"    level: float = 1.0\n    clip: float = float('{value}')\n"
    (project.folder / "toy.py").write_text(LAB.replace("    level: float = 1.0\n", default))
    project.recorded("--claims-report", "out")
    assert project.report()["claims"]
    assert "Infinity" not in project.file("order").read_text()
    assert project.run().ret == pytest.ExitCode.OK


def test_a_folder_is_no_unused_file(tmp_path: Path):
    used = baselines.path(tmp_path, "toy/v1.5", "quick", "drawn")
    used.parent.mkdir(parents=True)
    used.touch()
    (tmp_path / "stray").touch()
    assert baselines.unused(tmp_path, [used]) == [tmp_path / "stray"]


@pytest.mark.parametrize("kind", ["int | None", "tuple[str, ...]", "list"])
def test_a_setting_of_a_type_that_has_no_words_is_a_usage_error(project: Project, kind: str):
    (project.folder / "toy.py").write_text(LAB.replace("    loud", f"    clip: {kind} = assumed(None, '')\n    loud"))
    result = project.run("--claims-set", "toy.clip=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert count_lines(result, "toy.clip") == 1


def test_an_overridden_setting_of_a_scale_is_reported_as_it_was(project: Project):
    (project.folder / "toy.py").write_text(LAB.replace('{"epochs": 3}', '{"epochs": 3, "noise": 0.2}'))
    project.run("test_top.py", "--claims-set", "toy.noise=0.5", "--claims-report", "out")
    (top,) = project.report()["claims"]
    assert {told["setting"]: told["value"] for told in top["evidence"]} == {"noise": 0.5, "loud": False}
    assert top["scaled"] == [{"setting": "epochs", "value": 3, "report": 9}]


def test_an_override_of_what_every_arm_sets_changes_nothing_and_all_is_compared(project: Project):
    project.write("test_order.py", ORDER.replace('"level": 1.0', '"level": 1.0, "noise": 0.2'))
    project.recorded()
    project.change("metrics['error'] *= 1.01")
    result = project.run("test_order.py::arm[low-quick]", "--claims-set", "toy.noise=0.5")
    result.assert_outcomes(failed=1)
    assert count_lines(result, "overridden") == 0
    project.run("test_order.py", "--claims-set", "toy.noise=0.5").assert_outcomes(failed=1, passed=2)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_override_that_an_arm_cannot_have_is_refused(project: Project, workers: str):
    check = """
    def __post_init__(self):
        if self.loud and self.level == 3:
            raise ValueError("toy.loud is for levels below 3")

    @property
"""
    (project.folder / "toy.py").write_text(LAB.replace("\n    @property\n", check, 1))
    result = project.run("-n", workers, "--claims-set", "toy.loud=true")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, "--claims-set: an arm cannot be trained so: toy.loud is for levels below 3")
    assert project.trained() == []


def test_a_claim_with_another_number_of_seeds_is_compared_in_those_that_both_have(project: Project):
    project.recorded("--claims-seeds", "5")
    result = project.run()
    result.assert_outcomes(passed=7)
    told = "toy/order (quick): 16 seeds where 5 are stored: those that both have are compared, verdicts are shown"
    assert count_lines(result, f"{told}; --claims-update REASON records all") == 1
    project.run("--claims-seeds", "4").assert_outcomes(passed=7)
    project.change("metrics['error'] *= 1.01 if lab.level == 2 and seeds[0] == 0 else 1")
    project.run("test_order.py").assert_outcomes(passed=2, failed=1)


def test_what_was_asked_for_is_told_and_written_where_nothing_ran(project: Project):
    result = project.run("-k", "nothing", "--claims-update", "none", "--claims-report", "out")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert count_lines(result, "nothing was measured: no baseline was written") == 1
    assert project.report()["claims"] == []
    assert (project.folder / "out" / "report.html").exists()


def test_an_update_in_which_all_is_skipped_does_not_pass(project: Project):
    hook = "def pytest_collection_modifyitems(items):\n    for item in items: item.add_marker(pytest.mark.skip)\n"
    (project.folder / "conftest.py").write_text(f"import pytest\n{hook}")
    assert project.run("--claims-update", "none").ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("options", [["--claims-strict"], ["--claims-tensorboard", "out"], []])
def test_a_failure_that_is_no_drift_is_not_called_one(project: Project, options: list[str]):
    if options == ["--claims-strict"]:
        project.recorded()
    elif options:
        project.recorded().monkeypatch.setattr(tensorboard, "write", _full)
    project.run("--claims-report", "out", "--junitxml=all.xml", *options)
    assert {problem["kind"] for problem in project.report()["problems"]} == {"failure"}
    assert "Failed: " in (project.folder / "out/report.html").read_text().replace("<b>", "").replace("</b>", "")
    assert 'name="drift"' not in (project.folder / "all.xml").read_text()


def _full(*_: object) -> None:
    raise OSError("no space left")


def test_the_advice_for_an_edited_file_helps(project: Project):
    file = project.recorded().file("order")
    file.write_text(file.read_text().replace('"seeds": 16', '"seeds": 15'))
    result = project.run("test_order.py")
    assert count_lines(result, "edited by hand; restore it from version control, or remove it and record it anew") == 3


def test_two_claims_of_one_id_are_refused(project: Project):
    project.write("test_two.py", ORDER.replace('"level": 2.0', '"level": 4.0'))
    result = project.run("--claims-update", "both")
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    assert not project.file("order").exists()


def test_tests_of_two_claims_in_a_module_have_ids_of_their_own_or_are_refused(project: Project):
    project.write("test_order.py", ORDER + ORDER.replace("claim =", "other =").replace("toy/order", "toy/other"))
    result = project.run("--collect-only", "-q", "test_order.py")
    ids = [line for line in result.outlines if "::" in line]
    assert result.ret != pytest.ExitCode.OK or len(set(ids)) == len(ids) == 6


def test_a_quoted_number_equals_the_result_that_it_is(tmp_path: Path):
    arm = Arm({"values": (0.1, 0.1)}, {"text": {ERROR: 0.1}})
    assert found(tmp_path, "arm[a", {"a": arm, "b": arm}, seeds=2)["quoted"]["a"][0]["percentile"] == 50


@pytest.mark.parametrize(("value", "higher"), [(0.9, True), (0.1, False)])
def test_what_equals_a_value_reaches_it(value: float, higher: bool):
    trials = Trials({"share": np.array([value]), "epochs": np.ones(1)}, {})
    assert reaches("a", value, Metric("share", higher, ratio=False)).judge({"a": trials}).holds.all()


def test_a_crash_shows_the_lab_and_not_pytest(project: Project):
    project.change("raise ValueError('no luck')")
    result = project.run("test_order.py::arm[low-quick]")
    assert count_lines(result, "toy.py") >= 1
    assert count_lines(result, "pluggy/_callers.py") + count_lines(result, "_multicall") == 0


def test_the_short_summary_says_why(project: Project):
    result = project.run("test_order.py::arm[low-quick]", "-q")
    (line,) = (line for line in result.outlines if line.startswith("FAILED"))
    assert line.rpartition(" - ")[2].strip() != "toy/order (quick):"


@pytest.mark.parametrize("seeds", ['{"quick": 0}', "{}"])
def test_a_claim_without_seeds_is_a_collection_error(project: Project, seeds: str):
    project.write("test_order.py", ORDER.replace('{"quick": 16}', seeds))
    assert project.run("test_order.py").ret == pytest.ExitCode.INTERRUPTED


def test_a_number_quoted_of_a_curve_stands_beside_its_relation(project: Project):
    claim = ORDER.replace("{ERROR: 1.0}", "{geometric_mean('loss', rising=False): 1.0}").replace(
        '"high", ERROR', '"high", geometric_mean("loss", rising=False)'
    )
    project.write("test_order.py", "from labcheck.core.metrics import geometric_mean\n" + claim)
    project.run("test_order.py", "--claims-report", "out")
    (order,) = project.report()["claims"]
    assert order["relations"][0]["terms"][0]["quoted"] == [1.0]


def test_a_stale_data_root_does_not_concern_projects_without_claims(pytester, monkeypatch):
    monkeypatch.setenv("LABCHECK_DATA", "nowhere")
    pytester.makepyfile("def test_that(): pass")
    assert pytester.runpytest_inprocess().ret == pytest.ExitCode.OK
