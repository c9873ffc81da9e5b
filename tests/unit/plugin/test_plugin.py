"""The plugin in a project of somebody else's: what it collects, what it refuses, and that it stays out of the way."""

import importlib.util

import pytest
import torch

from tests.helpers.project import ORDER, Project, count_lines

IDS = [
    "test_order.py::arm[low-quick]",
    "test_order.py::arm[high-quick]",
    "test_order.py::relation[low beats high on error-quick]",
    "test_top.py::arm[low-quick]",
    "test_top.py::arm[top-quick]",
    "test_top.py::relation[top beats low on error-quick]",
    "test_top.py::relation[low beats top on error-quick]",
]
SPY = """
import sys

def pytest_unconfigure(config):
    heavy = {"numpy", "scipy", "scipy.special", "scipy.stats", "tensorboard", "torch", "tqdm"}
    with open("seen", "w") as file:
        file.write(" ".join(sorted(heavy & {*sys.modules})))
"""


def in_one_line(result: pytest.RunResult, line: str) -> bool:
    """Whether a run was refused for a reason that stands on one line, without a traceback."""
    assert (
        count_lines(result, "Traceback")
        == count_lines(result, "INTERNALERROR")
        == count_lines(result, "labcheck/")
        == 0
    )
    return count_lines(result, line) == 1


def ids(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line]


# what is collected


def test_a_claim_is_a_test_of_each_arm_and_relation_at_each_scale(project: Project):
    result = project.run("--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    assert ids(result) == IDS


def test_a_claim_at_full_size_is_marked_gpu(project: Project):
    project.write("test_order.py", ORDER.replace('seeds={"quick": 16}', 'seeds={"quick": 2, "full": 3}'))
    full = [name.replace("quick", "full") for name in IDS[:3]]
    assert ids(project.run("--collect-only", "-q", "test_order.py")) == [*IDS[:3], *full]
    assert ids(project.run("--collect-only", "-q", "test_order.py", "-m", "not gpu")) == IDS[:3]
    assert ids(project.run("--collect-only", "-q", "-m", "gpu")) == full


def test_scales_have_files_rows_and_settings_of_their_own(project: Project):
    project.write("test_order.py", ORDER.replace('seeds={"quick": 16}', 'seeds={"quick": 2, "full": 3}'))
    project.recorded("test_order.py", "--claims-device", "cpu", "--claims-report", "out")
    full, quick = project.report()["claims"]
    assert [(claim["scale"], claim["seeds"], claim["arms"][0]["settings"]["epochs"]) for claim in (full, quick)] == [
        ("full", 3, 9),
        ("quick", 2, 3),
    ]
    assert sorted(file.name for file in project.file("order").parent.iterdir()) == [
        "full-drawn.json",
        "quick-drawn.json",
    ]
    assert project.run("test_order.py").ret == pytest.ExitCode.OK


def test_claims_and_other_tests_live_together(project: Project):
    project.recorded()
    project.write("test_order.py", ORDER + "\n\ndef test_that(tmp_path):\n    assert claim.arms\n")
    project.run("-v").assert_outcomes(passed=8)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            'beats("low", "high", ERROR)', 'beats("low", "hihg", ERROR)',
            "toy/order: relation 'low beats hihg on error' needs arm 'hihg'; arms are low, high",
        ),
        ('[beats("low", "high", ERROR)]', "[]", "toy/order: a claim needs at least one relation"),
        (
            'beats("low", "high", ERROR)', 'beats("low", "high", ERROR), beats("low", "high", ERROR)',
            "toy/order: two relations are called 'low beats high on error'",
        ),
        (
            '"level": 2.0', '"levle": 2.0',
            "toy/order: arm 'high': toy has no setting 'levle'; it has level, epochs, widths, noise, loud",
        ),
        ('id="toy/order"', 'id="../order"', "'../order': an id is <lab>/<claim>, of letters, digits, "),
        ('id="toy/order"', 'id="order"', "'order': an id is <lab>/<claim>, of letters, digits, "),
        ('id="toy/order"', "id=5", "5: an id is <lab>/<claim>, of letters, digits, "),
        ('"high": Arm', "16: Arm", "toy/order: arms are an Arm for each name, such as "),
        ('Arm({"level": 1.0}, {"Table 1": {ERROR: 1.0}})', '{"level": 1.0}', "toy/order: arms are an Arm for each"),
        ('[beats("low", "high", ERROR)]', 'beats("low", "high", ERROR)', "toy/order: relations are a list of them"),
        ("ERROR: 1.0", 'ERROR: "1.0"', "toy/order: arm 'low': what 'Table 1' prints is a number for each Metric, not"),
        ('["An error is what Toy calls one."]', '"An error."', "toy/order: notes are a list of sentences"),
    ],
)  # fmt: skip
def test_a_claim_that_cannot_be_judged_is_a_collection_error(project: Project, before: str, after: str, says: str):
    assert before in ORDER
    project.write("test_order.py", ORDER.replace(before, after))
    result = project.run("-rN")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert in_one_line(result, says)
    assert project.trained() == []


# what is refused


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--claims-seeds", "0"], "argument --claims-seeds: a number of seeds from 1 up, not '0'"),
        (["--claims-seeds", "x"], "argument --claims-seeds: a number of seeds from 1 up, not 'x'"),
        (["--claims-seeds=-3"], "argument --claims-seeds: a number of seeds from 1 up, not '-3'"),
        (["--claims-device", "tpu"], "argument --claims-device: auto, cpu, cuda or cuda:<number>, not 'tpu'"),
        (["--claims-device", "cuda:x"], "argument --claims-device: auto, cpu, cuda or cuda:<number>, not 'cuda:x'"),
        (["--claims-device", "cuda"], "--claims-device cuda: torch sees no such GPU; use cpu or auto"),
        (["--claims-device", "cuda:0"], "--claims-device cuda:0: torch sees no such GPU; use cpu or auto"),
        (["--claims-data", "unreal"], "argument --claims-data: invalid choice: 'unreal'"),
        (["--claims-data", "real"], "--claims-data real needs --claims-data-root DIR, or LABCHECK_DATA"),
        (["--claims-data-root", "nowhere"], "/nowhere: --claims-data-root, or LABCHECK_DATA, names where"),
        (["--claims-report", ""], "argument --claims-report: a folder, not an empty name"),
        (["--claims-update", " "], "argument --claims-update: a reason that a reviewer can read"),
        (["--claims-update", "x", "--claims-set", "toy.noise=1"], "--claims-update records no overridden settings"),
        (["--claims-set", "noise=1"], "argument --claims-set: lab.setting=value, not 'noise=1'"),
        (["--claims-set", "toy.noise"], "argument --claims-set: lab.setting=value, not 'toy.noise'"),
        (["--claims-set", "yot.noise=1"], "--claims-set yot.noise: the claims' labs are toy"),
        (
            ["--claims-set", "toy.nosie=1"],
            "--claims-set: toy has no setting 'nosie' that its report leaves unstated; those are noise, loud",
        ),
        (
            ["--claims-set", "toy.level=1"],
            "--claims-set: toy has no setting 'level' that its report leaves unstated; those are noise, loud",
        ),
        (["--claims-set", "toy.noise=loud"], "--claims-set: toy.noise is a number, not 'loud'"),
        (["--claims-set", "toy.loud=1"], "--claims-set: toy.loud is true or false, not '1'"),
    ],
)
def test_what_no_test_could_do_is_a_usage_error(project: Project, options: list[str], says: str):
    project.monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    result = project.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, says)
    assert project.trained() == []


def test_workers_refuse_it_too(project: Project):
    result = project.run("-n", "2", "--claims-set", "toy.nosie=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, "ERROR: --claims-set")
    assert project.trained() == []


def test_the_folder_of_real_data_may_stand_in_the_environment(project: Project):
    project.monkeypatch.setenv("LABCHECK_DATA", "nowhere")
    assert in_one_line(project.run("--claims-data", "real"), f"no folder {project.folder / 'nowhere'}")
    assert project.run("--collect-only", "-q", "--claims-data-root", ".").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("place", ["taken", "taken/deeper"])
def test_a_report_that_could_not_be_written_is_a_usage_error(project: Project, place: str):
    (project.folder / "taken").touch()
    result = project.run("--claims-report", place)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, f"--claims-report cannot write to {project.folder / place}: ")
    assert project.trained() == []


@pytest.mark.parametrize("place", ["taken", "taken/deeper"])
def test_an_update_that_could_not_be_written_is_a_usage_error(project: Project, place: str):
    (project.folder / "taken").touch()
    result = project.run("-o", f"claims_baselines={place}", "--claims-update", "in vain")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, f"--claims-update cannot write to {project.folder / place}: ")
    assert project.trained() == []


def test_curves_for_tensorboard_are_a_usage_error_where_it_is_not_installed(project: Project):
    find = importlib.util.find_spec
    project.monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *args: None if name == "tensorboard" else find(name, *args)
    )
    result = project.run("--claims-tensorboard", "tb")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, "--claims-tensorboard needs TensorBoard: pip install 'labcheck[tensorboard]'")
    assert project.trained() == []
    assert not (project.folder / "tb").exists()


def test_baselines_lie_where_the_project_wants_them(project: Project):
    project.recorded("-o", "claims_baselines=stored/results")
    assert len(list((project.folder / "stored" / "results" / "toy").iterdir())) == 2
    assert not (project.folder / "baselines").exists()


def test_strict_fails_what_is_not_reproduced(project: Project):
    result = project.recorded().run("--claims-strict")
    result.assert_outcomes(passed=6, failed=1)
    assert count_lines(result, "top beats low on error: NOT_REPRODUCED") == 1


# staying out of the way


@pytest.mark.parametrize("options", [["--collect-only"], []])
def test_the_plugin_imports_nothing_heavy_where_no_claim_is(pytester: pytest.Pytester, options: list[str]):
    pytester.makeconftest(SPY)
    pytester.makepyfile("def test_that(): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "labcheck-") == 1
    assert (pytester.path / "seen").read_text() == ""


def test_collecting_claims_imports_nothing_that_takes_long(project: Project):
    (project.folder / "conftest.py").write_text(SPY)
    assert project.run_in_subprocess("--collect-only").ret == pytest.ExitCode.OK
    assert (project.folder / "seen").read_text() == "numpy scipy"


def test_a_project_without_claims_sees_no_trace_of_the_plugin(pytester: pytest.Pytester):
    pytester.makepyfile("def test_that(): pass")
    before = set(pytester.path.iterdir())
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:benchmark", "-q")
    result.assert_outcomes(passed=1)
    assert count_lines(result, "claims") == 0
    assert {path for path in pytester.path.iterdir() if path.name != "__pycache__"} == before
