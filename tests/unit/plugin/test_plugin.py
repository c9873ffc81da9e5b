"""The plugin in a user's project: collection, invalid options, and no effect where there are no claims."""

import importlib.util

import pytest
import torch

from tests.helpers.project import ORDER, Project, count_lines, is_in_one_line

IDS = [
    "test_order.py::arm[low-quick]",
    "test_order.py::arm[high-quick]",
    "test_order.py::relation[low beats high on error-quick]",
    "test_top.py::arm[low-quick]",
    "test_top.py::arm[top-quick]",
    "test_top.py::relation[top beats low on error-quick]",
    "test_top.py::relation[low beats top on error-quick]",
]
SEEDS = "argument --claims-seeds: must be a positive number, or the first and last seed, A-B"
SPY = """
import sys

def pytest_unconfigure(config):
    heavy = {"numpy", "scipy", "scipy.special", "scipy.stats", "tensorboard", "torch", "tqdm"}
    with open("imported", "w") as file:
        file.write(" ".join(sorted(heavy & {*sys.modules})))
"""


def ids(result: pytest.RunResult) -> list[str]:
    """Return the node ids that `--collect-only -q` prints."""
    return [line for line in result.outlines if "::" in line]


# collection


def test_claim_is_collected_as_arms_and_relations(project: Project):
    result = project.run("--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    assert ids(result) == IDS


def test_claim_at_full_scale_is_marked_gpu(project: Project):
    project.write("test_order.py", ORDER.replace('seeds={"quick": 16}', 'seeds={"quick": 2, "full": 3}'))
    full = [name.replace("quick", "full") for name in IDS[:3]]
    assert ids(project.run("--collect-only", "-q", "test_order.py")) == [*IDS[:3], *full]
    assert ids(project.run("--collect-only", "-q", "test_order.py", "-m", "not gpu")) == IDS[:3]
    assert ids(project.run("--collect-only", "-q", "-m", "gpu")) == full


@pytest.mark.slow
def test_scales_have_separate_baselines_and_settings(project: Project):
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


@pytest.mark.slow
def test_module_may_have_claim_and_functions(project: Project):
    project.recorded()
    project.write("test_order.py", ORDER + "\n\ndef test_arms(tmp_path):\n    assert claim.arms\n")
    project.run("-v").assert_outcomes(passed=8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            'beats("low", "high", ERROR)', 'beats("low", "hihg", ERROR)',
            "toy/order: relation 'low beats hihg on error' needs arm 'hihg'; arms are low, high",
        ),
        ('[beats("low", "high", ERROR)]', "[]", "toy/order: a claim must have at least one relation"),
        (
            'beats("low", "high", ERROR)', 'beats("low", "high", ERROR), beats("low", "high", ERROR)',
            "toy/order: two relations have the name 'low beats high on error'",
        ),
        (
            '"level": 2.0', '"levle": 2.0',
            "toy/order: arm 'high': toy has no setting 'levle'; it has level, epochs, widths, noise, loud",
        ),
        ('id="toy/order"', 'id="../order"', "'../order': an id must be <lab>/<claim>, of letters, digits, "),
        ('id="toy/order"', 'id="order"', "'order': an id must be <lab>/<claim>, of letters, digits, "),
        ('id="toy/order"', "id=5", "5: an id must be <lab>/<claim>, of letters, digits, "),
        ('"high": Arm', "16: Arm", "toy/order: arms must be a dict from names to Arms, such as "),
        (
            'Arm({"level": 1.0}, {"Table 1": {ERROR: 1.0}})', '{"level": 1.0}',
            "toy/order: arms must be a dict from names to Arms",
        ),
        ('[beats("low", "high", ERROR)]', 'beats("low", "high", ERROR)', "toy/order: relations must be a list of them"),
        (
            "ERROR: 1.0", 'ERROR: "1.0"',
            "toy/order: arm 'low': the numbers of 'Table 1' must be a dict from Metrics to numbers, got",
        ),
        ('["The error is that of Toy."]', '"An error."', "toy/order: notes must be a list of sentences"),
    ],
)  # fmt: skip
def test_invalid_claim_is_collection_error(project: Project, before: str, after: str, message: str):
    assert before in ORDER
    project.write("test_order.py", ORDER.replace(before, after))
    result = project.run("-rN")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert is_in_one_line(result, message)
    assert project.trained() == []


# invalid options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--claims-seeds", "0"], f"{SEEDS}, got '0'"),
        (["--claims-seeds", "x"], f"{SEEDS}, got 'x'"),
        (["--claims-seeds=-3"], f"{SEEDS}, got '-3'"),
        (["--claims-seeds", "5-3"], f"{SEEDS}, got '5-3'"),
        (["--claims-seeds", "-"], f"{SEEDS}, got '-'"),
        (["--claims-device", "tpu"], "argument --claims-device: must be auto, cpu, cuda or cuda:<number>, got 'tpu'"),
        (
            ["--claims-device", "cuda:x"],
            "argument --claims-device: must be auto, cpu, cuda or cuda:<number>, got 'cuda:x'",
        ),
        (["--claims-device", "cuda"], "--claims-device cuda: no such GPU is visible to torch; use cpu or auto"),
        (["--claims-device", "cuda:0"], "--claims-device cuda:0: no such GPU is visible to torch; use cpu or auto"),
        (["--claims-data", "unreal"], "argument --claims-data: invalid choice: 'unreal'"),
        (["--claims-data", "real"], "--claims-data real: needs --claims-data-root DIR or LABCHECK_DATA"),
        (
            ["--claims-data-root", "nowhere"],
            "/nowhere: --claims-data-root or LABCHECK_DATA must name the folder of real data",
        ),
        (["--claims-report", ""], "argument --claims-report: must name a folder, got an empty string"),
        (["--claims-update", " "], "argument --claims-update: must state a reason, got an empty string"),
        (
            ["--claims-update", "x", "--claims-set", "toy.noise=1"],
            "--claims-update: overridden settings are not recorded; leave out --claims-set",
        ),
        (
            ["--claims-update", "x", "--claims-seeds", "6-11"],
            "--claims-update: baselines begin with seed 0; --claims-seeds must be a number",
        ),
        (["--claims-set", "noise=1"], "argument --claims-set: must be lab.setting=value, got 'noise=1'"),
        (["--claims-set", "toy.noise"], "argument --claims-set: must be lab.setting=value, got 'toy.noise'"),
        (["--claims-set", "yot.noise=1"], "--claims-set yot.noise: the labs of the claims are toy"),
        (
            ["--claims-set", "toy.nosie=1"],
            "--claims-set: toy has no setting 'nosie' that its report leaves unstated; those are noise, loud",
        ),
        (
            ["--claims-set", "toy.level=1"],
            "--claims-set: toy has no setting 'level' that its report leaves unstated; those are noise, loud",
        ),
        (["--claims-set", "toy.noise=loud"], "--claims-set: toy.noise must be a number, got 'loud'"),
        (["--claims-set", "toy.loud=1"], "--claims-set: toy.loud must be true or false, got '1'"),
    ],
)
def test_invalid_option_is_usage_error(project: Project, options: list[str], message: str):
    project.monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    result = project.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, message)
    assert project.trained() == []


@pytest.mark.slow
def test_invalid_override_is_usage_error_with_workers(project: Project):
    result = project.run("-n", "2", "--claims-set", "toy.nosie=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, "ERROR: --claims-set")
    assert project.trained() == []


def test_data_root_may_be_environment_variable(project: Project):
    project.monkeypatch.setenv("LABCHECK_DATA", "nowhere")
    assert is_in_one_line(project.run("--claims-data", "real"), f"no folder {project.folder / 'nowhere'}")
    assert project.run("--collect-only", "-q", "--claims-data-root", ".").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("place", ["taken", "taken/deeper"])
def test_report_folder_must_be_writable(project: Project, place: str):
    (project.folder / "taken").touch()
    result = project.run("--claims-report", place)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, f"--claims-report: cannot write to {project.folder / place}: ")
    assert project.trained() == []


@pytest.mark.parametrize("place", ["taken", "taken/deeper"])
def test_baselines_folder_must_be_writable_for_update(project: Project, place: str):
    (project.folder / "taken").touch()
    result = project.run("-o", f"claims_baselines={place}", "--claims-update", "a reason")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, f"--claims-update: cannot write to {project.folder / place}: ")
    assert project.trained() == []


def test_tensorboard_must_be_installed(project: Project):
    find = importlib.util.find_spec
    project.monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *args: None if name == "tensorboard" else find(name, *args)
    )
    result = project.run("--claims-tensorboard", "tb")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, "--claims-tensorboard: needs TensorBoard; pip install 'labcheck[tensorboard]'")
    assert project.trained() == []
    assert not (project.folder / "tb").exists()


def test_ini_option_names_baselines_folder(project: Project):
    project.recorded("-o", "claims_baselines=stored/results")
    assert len(list((project.folder / "stored" / "results" / "toy").iterdir())) == 2
    assert not (project.folder / "baselines").exists()


@pytest.mark.slow
def test_strict_fails_verdicts_other_than_reproduced(project: Project):
    result = project.recorded().run("--claims-strict")
    result.assert_outcomes(passed=6, failed=1)
    assert count_lines(result, "top beats low on error: NOT_REPRODUCED") == 1


# projects without claims


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--collect-only"], []])
def test_plugin_imports_nothing_heavy_without_claims(pytester: pytest.Pytester, options: list[str]):
    pytester.makeconftest(SPY)
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "labcheck-") == 1
    assert (pytester.path / "imported").read_text() == ""


@pytest.mark.slow
def test_collection_of_claims_imports_no_torch(project: Project):
    (project.folder / "conftest.py").write_text(SPY)
    assert project.run_in_subprocess("--collect-only").ret == pytest.ExitCode.OK
    assert (project.folder / "imported").read_text() == "numpy scipy"


def test_project_without_claims_is_unaffected(pytester: pytest.Pytester):
    pytester.makepyfile("def test_nothing(): pass")
    before = set(pytester.path.iterdir())
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:benchmark", "-q")
    result.assert_outcomes(passed=1)
    assert count_lines(result, "claims") == 0
    assert {path for path in pytester.path.iterdir() if path.name != "__pycache__"} == before
