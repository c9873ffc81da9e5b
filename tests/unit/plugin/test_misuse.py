"""Runs in which claims, settings, files or workers are not as they should be."""

from pathlib import Path

import numpy as np
import pytest

from labcheck import Metric, Trials, reaches
from labcheck.engine import baselines
from labcheck.report import tensorboard
from tests.helpers.project import LAB, ORDER, Project, count_lines, is_in_one_line

ROOT = Path(__file__).parents[3]
CRASHED = "toy/order: not written: one of its tests could not be run"
NO_LUCK = "raise ValueError('no luck')"


@pytest.mark.slow
@pytest.mark.parametrize("mark", ["skip", "skipif(True, reason='no')"])
def test_claim_can_be_skipped(project: Project, mark: str):
    hook = f"def pytest_collection_modifyitems(items):\n    for item in items: item.add_marker(pytest.mark.{mark})\n"
    (project.folder / "conftest.py").write_text(f"import pytest\n{hook}")
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=7)


@pytest.mark.slow
def test_benchmarks_run_only_with_their_option(project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # with workers, pytest-benchmark is off
    folder = project.folder / "benchmarks"
    folder.mkdir()
    (folder / "conftest.py").write_text((ROOT / "tests" / "benchmarks" / "conftest.py").read_text())
    (folder / "test_speed.py").write_text("def test_speed(benchmark):\n    benchmark(sum, [1])\n")
    project.recorded()
    project.run().assert_outcomes(passed=7, skipped=1)
    before = len(project.trained())
    project.run("--benchmark-only", "--benchmark-disable-gc").assert_outcomes(passed=1, skipped=7)
    assert len(project.trained()) == before


def test_benchmarks_refuse_workers(project: Project):
    (project.folder / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    result = project.run("--benchmark-only", "-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert count_lines(result, "benchmarks must run one at a time; leave out -n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_claims_must_have_different_ids(project: Project, workers: str):
    project.write("test_again.py", ORDER)
    result = project.run("-n", workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(
        result, "ERROR: toy/order is the id of two claims, in test_again.py and test_order.py; rename one of them"
    )
    assert project.trained() == []


def test_missing_metric_is_reported_in_one_line(project: Project):
    project.write(
        "test_order.py",
        "from labcheck import Metric\n" + ORDER.replace("ERROR: 1.0", "Metric('eror', higher_is_better=False): 1.0"),
    )
    result = project.run("test_order.py::arm[low-quick]")
    message = "toy/order (quick): arm 'low': no metric 'eror'; available: accuracy, epochs, error"
    assert count_lines(result, message) == 1
    assert count_lines(result, "Traceback") + count_lines(result, "metrics.py") == 0


@pytest.mark.slow
def test_last_failed_claim_can_be_run_alone(project: Project):
    project.recorded()
    project.change("metrics['error'] *= 1.01 if lab.level == 2 else 1")
    for options, failed, passed in (([], 1, 6), (["--lf"], 1, 0)):
        result = project.pytester.runpytest_inprocess(*options)
        result.assert_outcomes(failed=failed, passed=passed)


@pytest.mark.slow
def test_update_writes_no_claim_whose_worker_died(project: Project):
    project.change("if lab.level == 2: os._exit(1)")
    result = project.run_in_subprocess("-n", "2", "--max-worker-restart", "0", "--claims-update", "it dies")
    assert count_lines(result, "a worker process died: no baseline was written") == 1
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert not project.file("order").exists()


@pytest.mark.parametrize("when", ["setup", "teardown"])
def test_update_writes_no_claim_with_error(project: Project, when: str):
    hook = f"def pytest_runtest_{when}(item):\n    if item.name.startswith('arm[high'): raise OSError('no luck')\n"
    (project.folder / "conftest.py").write_text(hook)
    result = project.run("--claims-update", "it fails")
    assert count_lines(result, CRASHED) == 1
    assert not project.file("order").exists()


def test_update_reports_claim_whose_tests_all_crash(project: Project):
    project.change(NO_LUCK)
    result = project.run("--claims-update", "it crashes", "test_order.py")
    assert count_lines(result, CRASHED) == 1
    assert count_lines(result, "--claims-update exits with status 1 on purpose") == 1


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["noise=nan", "noise=inf"])
def test_non_finite_override_is_reported(project: Project, setting: str):
    result = project.run("--claims-set", f"toy.{setting}", "--claims-report", "out")
    assert count_lines(result, "Traceback") == 0
    order, top = project.report()["claims"]
    assert order["overridden"] == top["overridden"] == {"toy.noise": setting.partition("=")[2]}


@pytest.mark.slow
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_non_finite_default_is_stored_and_compared(project: Project, value: str):
    default = f"    level: float = 1.0\n    clip: float = float('{value}')\n"
    (project.folder / "toy.py").write_text(LAB.replace("    level: float = 1.0\n", default))
    project.recorded("--claims-report", "out")
    assert project.report()["claims"]
    assert "Infinity" not in project.file("order").read_text()
    assert project.run().ret == pytest.ExitCode.OK


def test_folder_is_not_unused_baseline(tmp_path: Path):
    used = baselines.path(tmp_path, "toy/v1.5", "quick", "drawn")
    used.parent.mkdir(parents=True)
    used.touch()
    (tmp_path / "stray").touch()
    assert baselines.unused(tmp_path, [used]) == [tmp_path / "stray"]


@pytest.mark.parametrize("kind", ["int | None", "tuple[str, ...]", "list"])
def test_override_of_unparsable_type_is_usage_error(project: Project, kind: str):
    (project.folder / "toy.py").write_text(LAB.replace("    loud", f"    clip: {kind} = assumed(None, '')\n    loud"))
    result = project.run("--claims-set", "toy.clip=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert count_lines(result, "toy.clip") == 1


def test_overridden_setting_of_scale_is_reported(project: Project):
    (project.folder / "toy.py").write_text(LAB.replace('{"epochs": 3}', '{"epochs": 3, "noise": 0.2}'))
    project.run("test_top.py", "--claims-set", "toy.noise=0.5", "--claims-report", "out")
    (top,) = project.report()["claims"]
    assert {entry["setting"]: entry["value"] for entry in top["unstated"]} == {"noise": 0.5, "loud": False}
    assert top["scaled"] == [{"setting": "epochs", "value": 3, "report": 9}]


@pytest.mark.slow
def test_override_of_what_each_arm_sets_has_no_effect(project: Project):
    project.write("test_order.py", ORDER.replace('"level": 1.0', '"level": 1.0, "noise": 0.2'))
    project.recorded()
    project.change("metrics['error'] *= 1.01")
    result = project.run("test_order.py::arm[low-quick]", "--claims-set", "toy.noise=0.5")
    result.assert_outcomes(failed=1)
    assert count_lines(result, "overridden") == 0
    project.run("test_order.py", "--claims-set", "toy.noise=0.5").assert_outcomes(failed=1, passed=2)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_override_that_arm_refuses_is_usage_error(project: Project, workers: str):
    check = """
    def __post_init__(self):
        if self.loud and self.level == 3:
            raise ValueError("toy.loud is for levels below 3")

    def stack(
"""
    (project.folder / "toy.py").write_text(LAB.replace("\n    def stack(", check, 1))
    result = project.run("-n", workers, "--claims-set", "toy.loud=true")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, "--claims-set: an arm refuses the value: toy.loud is for levels below 3")
    assert project.trained() == []


@pytest.mark.slow
def test_data_source_that_lab_refuses_is_usage_error(project: Project):
    refusing = """
    data_source: str = "embedded"

    def __post_init__(self):
        self.require_choice("data_source", ["embedded"])

    def stack(
"""
    (project.folder / "toy.py").write_text(LAB.replace("\n    def stack(", refusing, 1))
    project.run("--claims-data-root", ".", "--claims-update", "first").assert_outcomes(passed=7)
    result = project.run("--claims-data", "real", "--claims-data-root", ".")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = "--claims-data real: an arm refuses the value: toy.data_source must be one of embedded, got 'real'"
    assert is_in_one_line(result, message)


@pytest.mark.slow
def test_common_seeds_are_compared_if_numbers_differ(project: Project):
    project.recorded("--claims-seeds", "5")
    result = project.run("--claims-seeds", "16")
    result.assert_outcomes(passed=7)
    note = "toy/order (quick): 16 seeds, 5 stored; verdicts are not compared"
    assert [line for line in result.outlines if "5 stored" in line and "toy/order" in line] == [note]
    project.run("--claims-seeds", "4").assert_outcomes(passed=7)
    project.change("metrics['error'] *= 1.01 if lab.level == 2 and seeds[0] == 0 else 1")
    project.run("test_order.py", "--claims-seeds", "16").assert_outcomes(passed=2, failed=1)


@pytest.mark.slow
def test_claim_with_fewer_seeds_than_stored_names_update(project: Project):
    project.recorded("--claims-seeds", "16")
    project.write("test_order.py", ORDER.replace('{"quick": 16}', '{"quick": 8}'))
    result = project.run("test_order.py")
    result.assert_outcomes(passed=3)
    note = "toy/order (quick): 8 seeds, 16 stored; verdicts are not compared"
    assert is_in_one_line(result, f"{note}; --claims-update REASON records them")
    project.run("test_order.py", "--claims-update", "fewer").assert_outcomes(passed=3)
    assert count_lines(project.run("test_order.py"), "stored;") == 0


@pytest.mark.slow
def test_block_of_seeds_is_trained_without_comparison(project: Project):
    before = len(project.recorded("test_order.py").trained())
    project.change("metrics['error'] *= 1.01")
    result = project.run("test_order.py", "--claims-seeds", "6-11", "--claims-report", "out")
    result.assert_outcomes(passed=3)
    assert is_in_one_line(result, "seeds from 6 on: results are not compared with the baselines")
    assert count_lines(result, "stored") == 0
    assert project.trained()[before:] == ["1 [6, 7, 8, 9, 10, 11]", "2 [6, 7, 8, 9, 10, 11]"]
    [order] = project.report()["claims"]
    assert (order["first_seed"], order["seeds"]) == (6, 6)
    assert [relation["n"] for relation in order["relations"]] == [6]


def test_update_and_report_without_tests_are_reported(project: Project):
    result = project.run("-k", "nothing", "--claims-update", "none", "--claims-report", "out")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert count_lines(result, "nothing was measured: no baseline was written") == 1
    assert project.report()["claims"] == []
    assert (project.folder / "out" / "report.html").exists()


def test_update_with_all_tests_skipped_fails(project: Project):
    hook = "def pytest_collection_modifyitems(items):\n    for item in items: item.add_marker(pytest.mark.skip)\n"
    (project.folder / "conftest.py").write_text(f"import pytest\n{hook}")
    result = project.run("--claims-update", "none")
    assert count_lines(result, "nothing was measured: no baseline was written") == 1
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--claims-strict"], ["--claims-tensorboard", "out"], []])
def test_failure_other_than_drift_is_not_reported_as_drift(project: Project, options: list[str]):
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


@pytest.mark.slow
def test_edited_baseline_is_reported_with_remedy(project: Project):
    file = project.recorded().file("order")
    assert '"seeds": 12' in file.read_text()
    file.write_text(file.read_text().replace('"seeds": 12', '"seeds": 11'))
    result = project.run("test_order.py")
    assert count_lines(result, "edited by hand; restore it from version control, or remove it and record it again") == 3


def test_update_of_two_claims_with_one_id_is_usage_error(project: Project):
    project.write("test_two.py", ORDER.replace('"level": 2.0', '"level": 4.0'))
    result = project.run("--claims-update", "both")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not project.file("order").exists()


def test_module_may_have_two_claims(project: Project):
    """Their tests are named after their variables, from which ids are derived, too."""
    project.write("test_order.py", ORDER + ORDER.replace("claim =", "far_apart =").replace('id="toy/order",', ""))
    project.run("test_order.py", "--claims-update", "first", "--claims-report", "out")
    assert project.file("order").exists()
    assert project.file("far-apart").exists()
    result = project.run("test_order.py::far_apart relation[low beats high on error-quick]")
    result.assert_outcomes(passed=1)
    by_id = {claim["id"]: claim["command"] for claim in project.report()["claims"]}
    assert by_id.keys() == {"toy/order", "toy/far-apart"}


def test_two_variables_may_name_one_claim(project: Project):
    project.write("test_order.py", ORDER + "same = claim\n")
    project.run("test_order.py", "--claims-update", "first").assert_outcomes(passed=3)


def test_quoted_number_equal_to_all_seeds_is_at_percentile_50(project: Project):
    project.change("metrics['error'][:] = 0.1")
    project.write("test_order.py", ORDER.replace("{ERROR: 1.0}", "{ERROR: 0.1}"))
    project.run("test_order.py", "--claims-report", "out")
    [order] = project.report()["claims"]
    assert order["arms"][0]["quoted"][0]["percentile"] == 50


@pytest.mark.parametrize(("value", "higher"), [(0.9, True), (0.1, False)])
def test_value_equal_to_limit_reaches_it(value: float, higher: bool):
    trials = Trials({"share": np.array([value]), "epochs": np.ones(1)}, {})
    assert reaches("a", value, Metric("share", higher, ratio=False)).decide({"a": trials}).holds.all()


def test_crash_shows_frames_of_lab_only(project: Project):
    project.change(NO_LUCK)
    result = project.run("test_order.py::arm[low-quick]")
    assert count_lines(result, "toy.py") >= 1
    assert count_lines(result, "pluggy/_callers.py") + count_lines(result, "_multicall") == 0


def test_short_summary_states_reason(project: Project):
    result = project.run("test_order.py::arm[low-quick]", "-q")
    [line] = [line for line in result.outlines if line.startswith("FAILED")]
    assert " - toy/order (quick): " in line
    assert not line.endswith("toy/order (quick): ")


@pytest.mark.parametrize("seeds", ['{"quick": 0}', "{}"])
def test_claim_without_seeds_is_collection_error(project: Project, seeds: str):
    project.write("test_order.py", ORDER.replace('{"quick": 16}', seeds))
    result = project.run("test_order.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert is_in_one_line(result, "toy/order: seeds must be a positive number for each scale")


def test_quoted_number_of_curve_is_shown_at_its_relation(project: Project):
    claim = ORDER.replace("{ERROR: 1.0}", "{geometric_mean('loss', rising=False): 1.0}").replace(
        '"high", ERROR', '"high", geometric_mean("loss", rising=False)'
    )
    project.write("test_order.py", "from labcheck import geometric_mean\n" + claim)
    project.run("test_order.py", "--claims-report", "out")
    (order,) = project.report()["claims"]
    assert order["relations"][0]["terms"][0]["quoted"] == [1.0]


def test_missing_data_root_is_ignored_without_claims(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABCHECK_DATA", "nowhere")
    pytester.makepyfile("def test_nothing(): pass")
    assert pytester.runpytest_inprocess().ret == pytest.ExitCode.OK
