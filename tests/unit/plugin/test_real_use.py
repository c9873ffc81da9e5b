"""Mistakes of real users in whole sessions: each ends in one line that names the remedy, or in the right number."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from labcheck.engine import workspace
from labcheck.engine.workspace import Workspace
from tests.helpers.project import LAB, ORDER, Project, assert_no_internals, count_lines, is_in_one_line, output
from tests.helpers.report import SCHEMA

pytestmark = pytest.mark.slow

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])
"""For results and errors that take another way from a worker to the report."""
SINGLE = LAB.replace("        return 6\n", "        return 1\n")
"""The lab with blocks of one seed."""


# results of a lab


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("Trials({'error': error[1:]}, {})", "metric 'error' must have one number for each of the 6 seeds from 0 to 5"),
        ("Trials({'error': error[:1]}, {})", "metric 'error' must have one number for each of the 6 seeds from 0 to 5"),
        ("Trials({'error': error.mean()}, {})", "metric 'error' must have one number for each of the 6 seeds from 0"),
        ("Trials({'error': error}, {'loss': error})", "curve 'loss' must have a row for each of the 6 seeds from 0 to"),
        ("Trials({'error': [None] * 6}, {})", "'error' of seed 0 must be numbers, got None"),
        ("None", "`train` must return Trials, or a dict of numbers and curves by name, got NoneType"),
    ],
)
def test_results_must_be_one_for_each_seed(project: Project, returned: str, message: str):
    (project.folder / "toy.py").write_text(re.sub(r"return Trials\(metrics.*", f"return {returned}", LAB))
    result = project.run("--claims-report", "out", "--claims-update", "first")
    assert count_lines(result, f"toy/order (quick): arm 'low' (level=1.0), seeds 0-5: {message}") >= 1
    assert_no_internals(result)
    assert not project.file("order").exists()
    jsonschema.validate(project.report(), SCHEMA)
    assert any(message in problem["text"] for problem in project.report()["problems"])


def test_seeds_are_not_shifted_by_one_that_is_left_out(project: Project):
    """A trainer that drops diverged seeds is refused, and judged correctly once it returns NaN for them."""
    drop = "metrics.update({name: value[np.array(seeds) != 3] for name, value in metrics.items()})"
    project.change(drop)
    assert count_lines(project.run("test_order.py"), "must have one number for each of the 6 seeds") >= 1
    project.change("metrics['error'][np.array(seeds) == 3] = np.nan if lab.level == 2 else 1")
    result = project.run("test_order.py", "--claims-update", "first")
    assert count_lines(result, "low beats high on error: none → REPRODUCED 12/12") == 1


def test_dict_with_curves_of_different_lengths(project: Project):
    returned = "return {'error': error[0], 'loss': [3.0, 2.0, 1.0][: 1 + seeds[0] % 3]}"
    (project.folder / "toy.py").write_text(re.sub(r"return Trials\(metrics.*", returned, SINGLE))
    claim = ORDER.replace('"high", ERROR)]', '"high", ERROR), beats("low", "high", last_value("loss", rising=False))]')
    project.write(
        "test_order.py",
        "from labcheck import last_value\n" + claim.replace(', "text": {ACCURACY: 0.5}', ""),
    )
    result = project.run("test_order.py", "--claims-report", "out", "--claims-update", "first")
    assert count_lines(result, "0/16  low beats high on last loss; 16 ties; ours 2 : 2") == 1
    assert project.report()["claims"][0]["arms"][0]["curves"]["loss"]["median"] == [3, 2, 2]


@WORKERS
def test_only_requested_seeds_are_trained(project: Project, workers: str):
    (project.folder / "toy.py").write_text(re.sub(r"    def stack\(self, device\):\n        return 6\n", "", LAB))
    project.run("test_order.py", "-n", workers, "--claims-seeds", "3")
    assert sorted(project.trained()) == [f"{level} [{seed}]" for level in (1, 2) for seed in range(3)]


# a lab that raises


@WORKERS
def test_seed_that_raises_is_named_and_trained_once(project: Project, workers: str):
    (project.folder / "toy.py").write_text(SINGLE)
    project.change("if seeds[0] == 2 and lab.level == 2: raise ValueError('loss is NaN')")
    result = project.run("test_order.py", "-n", workers, "--claims-report", "out")
    message = "toy/order (quick): arm 'high' (level=2.0), seed 2: ValueError: loss is NaN"
    assert count_lines(result, message) == 2  # of the arm, and of the relation
    assert project.trained().count("2 [2]") == 1
    assert_no_internals(result)
    problems = [problem["text"] for problem in project.report()["problems"] if problem["kind"] == "error"]
    assert problems == [message.partition(": ")[2]] * 2


@WORKERS
def test_seed_that_raises_divergence_is_not_finite(project: Project, workers: str):
    lab = SINGLE.replace("    level: float", "    diverged: ClassVar = (ArithmeticError,)\n\n    level: float", 1)
    (project.folder / "toy.py").write_text(lab)
    project.change("if seeds[0] == 2 and lab.level == 2: raise FloatingPointError('loss is NaN')")
    result = project.run("test_order.py", "-n", workers, "--claims-report", "out", "--claims-update", "first")
    assert count_lines(result, "REPRODUCED                    8/8") == 1
    report = project.report()
    jsonschema.validate(report, SCHEMA)
    [high] = [arm for arm in report["claims"][0]["arms"] if arm["name"] == "high"]
    assert high["diverged"] == [{"seed": 2, "error": "FloatingPointError: loss is NaN"}]
    assert [seed for seed, value in enumerate(high["metrics"]["error"]) if value is None] == [2]
    assert "seed 2: FloatingPointError: loss is NaN" in (project.folder / "out" / "report.html").read_text()
    assert project.run("test_order.py").ret == pytest.ExitCode.OK


def test_value_beyond_float32_is_not_finite(project: Project):
    project.change("metrics['error'][np.array(seeds) == 3] = 1e300; metrics['accuracy'][:] = -1e300")
    result = project.run("test_order.py", "--claims-report", "out", "--claims-update", "first")
    assert count_lines(result, "low beats high on error: none → REPRODUCED 11/12") == 1
    assert_no_internals(result)


# settings


SETTINGS = {
    "np.float64(2)": 2.0,
    "np.int64(2)": 2,
    "np.bool_(True)": True,
    "[[1, 2], [3]]": [[1, 2], [3]],
    "{'lr': np.float32(0.5), 'betas': [1, 2]}": {"lr": 0.5, "betas": [1, 2]},
    "{3, 1}": [1, 3],
    "Path('a') / 'b'": "a/b",
    "Color.RED": "test_order.Color.RED",
    "None": None,
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_setting_of_supported_type_is_stored(project: Project, setting: str):
    (project.folder / "toy.py").write_text(LAB.replace("    epochs: int", "    extra: object = 0\n    epochs: int"))
    claim = ORDER.replace('{"level": 2.0}', f'{{"level": 2.0, "extra": {setting}}}')
    imports = "import enum\nimport numpy as np\nfrom pathlib import Path\nColor = enum.Enum('Color', 'RED GREEN')\n"
    project.write("test_order.py", imports + claim)
    project.run("test_order.py", "--claims-update", "first", "--claims-report", "out")
    result = project.run("test_order.py")
    assert result.ret == pytest.ExitCode.OK, output(result)
    jsonschema.validate(project.report(), SCHEMA)
    assert project.report()["claims"][0]["arms"][1]["settings"]["extra"] == SETTINGS[setting]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("np.zeros(2)", "array([0., 0.]) cannot be written and read back; use a tuple of numbers"),
        ("functools.partial(max, 2)", "cannot be written and read back; use a function that a module defines"),
        ("1j", "1j cannot be written and read back; use numbers"),
        ("b'a'", "b'a' cannot be written and read back; use numbers"),
        ("Mutable()", "use a dataclass with frozen=True"),
        ("'\\udcff'", "cannot be encoded as UTF-8"),
    ],
)
def test_setting_of_another_type_is_collection_error(project: Project, setting: str, message: str):
    (project.folder / "toy.py").write_text(LAB.replace("    epochs: int", "    extra: object = 0\n    epochs: int"))
    claim = ORDER.replace('{"level": 2.0}', f'{{"level": 2.0, "extra": {setting}}}')
    imports = "import functools\nfrom dataclasses import dataclass\nimport numpy as np\n"
    imports += "@dataclass\nclass Mutable: x: int = 1\n"
    project.write("test_order.py", imports + claim)
    result = project.run("--continue-on-collection-errors")
    assert count_lines(result, "toy/order: arm 'high': toy.extra: ") >= 1
    assert count_lines(result, message) >= 1
    assert_no_internals(result)
    assert not any(line.startswith("2 ") for line in project.trained())


# incomplete labs and claims


@pytest.mark.parametrize(
    ("lab", "message"),
    [
        (LAB.replace('    name: ClassVar[str] = "toy"\n', ""), "toy/order: Toy.name must be a string"),
        (LAB.replace('ClassVar[str] = "toy"', 'ClassVar[str] = "a/b"'), "toy/order: Toy.name must be a string"),
        (LAB.replace('ClassVar[str] = "toy"', 'ClassVar[str] = "train"'), "must be the lab's name, 'train'"),
        (
            LAB.replace("@dataclass(frozen=True, kw_only=True)\n", ""),
            "Toy.level is not a setting yet: decorate the class",
        ),
        (LAB.replace("epochs: int = 9", "epochs: int\n    must: int"), "toy.must has no default: each arm must set it"),
        (
            LAB + "\ndef train(seed): pass\nToy = train\n",
            "or a subclass of labcheck.Lab, got the function train without it",
        ),
        (LAB + "\nToy = Toy()\n", "or a subclass of labcheck.Lab, got Toy(level=1.0"),
        (LAB.replace("return 6", "return 0"), "toy.stack must return a positive whole number, got 0"),
        (LAB.replace("return 6", "return 2.0"), "toy.stack must return a positive whole number, got 2.0"),
        (
            LAB.replace("def stack(self, device):\n        return", "stack ="),
            "toy.stack must be a method that takes the",
        ),
        (
            LAB.replace("    level: float", "    units: ClassVar = {'error': 3}\n    level: float", 1),
            "Toy.units must be",
        ),
        (LAB.replace('{"quick": {"epochs": 3}}', '{"quick": 3}'), "Toy.scales must be settings by scale"),
        (LAB.replace('"not stated", 0.2,', '["no string"], 0.2,'), "the reason for a setting must be a string"),
        (LAB.replace('"not stated", 0.2,', '"not stated", lambda: 0,'), "Toy.noise: an alternative: "),
        (
            f"def make():\n    {LAB.strip().replace(chr(10), chr(10) + '    ')}\n    return Toy, ERROR, ACCURACY\n"
            "Toy, ERROR, ACCURACY = make()\n",
            "must be a class that its module defines under its own name",
        ),
        (LAB.replace("def data(cls)", "def datum(cls)"), "arm 'low': Can't instantiate abstract class Toy"),
        (
            LAB.replace("    level: float", "    diverged: ClassVar = ('NaN',)\n    level: float", 1),
            "must be a tuple of exception classes",
        ),
    ],
)
def test_incomplete_lab_is_collection_error(project: Project, lab: str, message: str):
    (project.folder / "toy.py").write_text(lab)
    (project.folder / "test_other.py").write_text("1 / 0")
    result = project.run()
    assert count_lines(result, message) >= 1
    assert count_lines(result, "ZeroDivisionError") >= 1  # other errors are still reported
    assert_no_internals(result)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{ERROR: 1.0}", "{Metric('accuracy'): 1.0}", "Metric('accuracy') must state which direction is better"),
        ('beats("low", "high", ERROR)', 'beats("low", "high", "error")', "arms must be compared by a Metric"),
        ('{"Table 1": {ERROR: 1.0}}', "[1.0]", "arm 'low': settings must be a dict, and quoted a dict of the numbers"),
        (
            'Arm({"level": 1.0}',
            'Arm(["level"]',
            "arm 'low': settings must be a dict, and quoted a dict of the numbers",
        ),
        ('"low"', '"lo\\nw"', "names of arms and relations must be printable strings, got 'lo\\nw'"),
    ],
)
def test_invalid_claim_shows_no_frame_of_labcheck(project: Project, old: str, new: str, message: str):
    project.write("test_order.py", "from labcheck import Metric\n" + ORDER.replace(old, new))
    result = project.run("test_order.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert count_lines(result, message) >= 1
    assert_no_internals(result)


@WORKERS
def test_lab_whose_precision_raises_is_usage_error(project: Project, workers: str):
    lab = LAB.replace("    def train(", "    def precision(self):\n        return 'float32'\n\n    def train(")
    (project.folder / "toy.py").write_text(lab)
    result = project.run("-n", workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, "ERROR: toy: precision('cpu') raised TypeError: ")


def test_timed_arm_that_raises_is_named(project: Project):
    timed = ORDER.replace('"high", ERROR)', '"high", CPU_SECONDS)')
    project.write("test_order.py", "from labcheck import CPU_SECONDS\n" + timed)
    project.change("if lab.level == 2: raise ValueError('no luck')")
    result = project.run("test_order.py::relation[low beats high on cpu_seconds-quick]")
    assert count_lines(result, "toy/order (quick): arm 'high' (level=2.0), seed 0: ValueError: no luck") == 1
    assert_no_internals(result)


def test_diverged_seed_is_not_fast(project: Project):
    lab = LAB.replace("    level: float", "    diverged: ClassVar = (ValueError,)\n    level: float", 1)
    (project.folder / "toy.py").write_text(lab)
    timed = ORDER.replace('"high", ERROR)', '"high", CPU_SECONDS)')
    project.write("test_order.py", "from labcheck import CPU_SECONDS\n" + timed)
    project.change("if lab.level == 2: raise ValueError('no luck')")
    project.run("test_order.py", "--claims-report", "out")
    [relation] = project.report()["claims"][0]["relations"]
    assert (relation["holds"], relation["n"]) == (16, 16)


@pytest.mark.parametrize("recorded", ["", ", 'recorded': [10, 20, 30][: 1 + seeds[0] % 3]"])
def test_curves_of_one_record_are_curves(project: Project, recorded: str):
    for count, expected in (("1", "ours 3 : 3"), ("1 + seeds[0] % 3", "ours 2 : 2")):
        if recorded and count == "1":
            continue
        returned = f"return {{'error': error[0], 'loss': [3.0, 2.0, 1.0][: {count}]{recorded}}}"
        (project.folder / "toy.py").write_text(re.sub(r"return Trials\(metrics.*", returned, SINGLE))
        claim = ORDER.replace('"high", ERROR)]', '"high", last_value("loss", rising=False))]')
        claim = claim.replace(', "text": {ACCURACY: 0.5}', "")
        project.write("test_order.py", "from labcheck import last_value\n" + claim)
        assert count_lines(project.run("test_order.py"), expected) == 1


def test_seed_that_diverges_immediately_is_nan(project: Project):
    returned = (
        "return {'error': [np.nan], 'loss': [], 'epochs': 0} if seeds[0] == 2 else {'error': error[0], 'loss': [2, 1]}"
    )
    (project.folder / "toy.py").write_text(re.sub(r"return Trials\(metrics.*", returned, SINGLE))
    claim = ORDER.replace('"high", ERROR)]', '"high", last_value("loss", rising=False))]')
    project.write(
        "test_order.py",
        "from labcheck import last_value\n" + claim.replace(', "text": {ACCURACY: 0.5}', ""),
    )
    result = project.run("test_order.py", "--claims-report", "out")
    assert count_lines(result, "0/16  low beats high on last loss; 16 ties; ours 1 : 1") == 1
    [relation] = project.report()["claims"][0]["relations"]
    assert relation["ties"] == 16


def test_dependencies_of_base_class_invalidate_trials(project: Project):
    package = project.folder / "base"
    (package / "configs").mkdir(parents=True)
    (package / "__init__.py").write_text(
        LAB.replace("    level: float", '    depends: ClassVar = ("configs/*",)\n    level: float', 1)
    )
    (package / "configs" / "a.yaml").write_text("1")
    sub = "from base import *\nfrom base import Toy as Base\n"
    sub += "@dataclass(frozen=True, kw_only=True)\nclass Toy(Base):\n    pass\n"
    (project.folder / "toy.py").write_text(sub)
    run = ("--claims-resume", "--claims-seeds", "16", "test_order.py")
    first = project.pytester.runpytest_inprocess(*run)
    assert count_lines(first, "0 of 6 blocks") == 1
    assert count_lines(project.pytester.runpytest_inprocess(*run), "6 of 6 blocks") == 1
    (package / "configs" / "a.yaml").write_text("2")
    assert count_lines(project.pytester.runpytest_inprocess(*run), "0 of 6 blocks") == 1


def test_required_setting_may_be_set_by_each_arm(project: Project):
    (project.folder / "toy.py").write_text(LAB.replace("level: float = 1.0", "level: float"))
    project.recorded("--claims-report", "out")
    assert project.run("--claims-set", "toy.noise=0.2").ret == pytest.ExitCode.OK
    assert project.run().ret == pytest.ExitCode.OK


def test_metric_without_direction_is_collection_error(project: Project):
    project.write("test_order.py", ORDER.replace("ACCURACY: 0.5", "Metric('accuracy'): 0.5"))
    text = (project.folder / "test_order.py").read_text()
    (project.folder / "test_order.py").write_text("from labcheck import Metric\n" + text)
    result = project.run()
    assert (
        count_lines(
            result, "Metric('accuracy') must state which direction is better: higher_is_better=True for a score"
        )
        >= 1
    )


# data


def test_different_data_of_arms_are_shown(project: Project):
    lab = LAB.replace("    @classmethod\n    def data(cls):", "    def data(self):")
    lab = lab.replace('Data("drawn", "0123456789abcdef")', 'Data(f"level {self.level:g}", f"digest {self.level:g}")')
    (project.folder / "toy.py").write_text(lab)
    project.run("test_order.py", "--claims-update", "first", "--claims-report", "out")
    assert project.run("test_order.py").ret == pytest.ExitCode.OK
    assert (project.folder / "baselines/toy/order/quick-level 1+level 2.json").exists()
    report = project.report()
    jsonschema.validate(report, SCHEMA)
    assert [arm["data"]["name"] for arm in report["claims"][0]["arms"]] == ["level 1", "level 2"]
    assert "level 2, digest digest 2" in (project.folder / "out/report.html").read_text()
    (project.folder / "toy.py").write_text(lab.replace("digest {self", "other {self"))
    assert count_lines(project.run("test_order.py"), "trained on different data (digest") >= 1


def test_data_without_digest_are_shown_without_one(project: Project):
    (project.folder / "toy.py").write_text(LAB.replace('"0123456789abcdef"', '""'))
    project.run("test_order.py", "--claims-report", "out")
    page = (project.folder / "out/report.html").read_text()
    assert "<dd>drawn</dd>" in page
    assert "drawn, digest" not in page


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 'drawn'", "toy: data() must return Data(name, digest), two strings, got 'drawn'"),
        ("return Data('a/b', '0')", "toy: the name of data must consist of letters"),
        (
            "return open('nowhere')",
            "toy: data() raised FileNotFoundError: [Errno 2] No such file or directory: 'nowhere'",
        ),
    ],
)
def test_invalid_data_are_usage_error(project: Project, body: str, message: str):
    (project.folder / "toy.py").write_text(LAB.replace('return Data("drawn", "0123456789abcdef")', body))
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, f"ERROR: {message}")


# folders


@pytest.mark.parametrize("option", ["--claims-data-root", "--claims-report", "--claims-tensorboard", "--claims-update"])
def test_value_that_changes_rootdir_is_usage_error(project: Project, option: str):
    outside = project.folder / "outside"
    work = outside.parent / "work"
    for folder in (outside, work):
        folder.mkdir()
    for name in ("pytest.ini", "toy.py", "test_order.py"):
        (project.folder / name).rename(work / name)
    project.monkeypatch.chdir(work)
    refused = project.run(option, "../outside")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(
        refused, f"{option} ../outside: pytest takes this existing path for a place of tests, and its"
    )
    assert is_in_one_line(refused, f"write {option}=../outside")
    assert project.run(f"{option}=../outside", "--collect-only").ret == pytest.ExitCode.OK
    assert (
        project.run("--rootdir=.", "-c", "pytest.ini", option, "../outside", "--collect-only").ret == pytest.ExitCode.OK
    )


def test_value_that_does_not_change_rootdir_is_accepted(project: Project):
    for _ in range(2):  # in the second run the folder exists
        result = project.run("test_order.py", "--claims-report", "out", "--claims-update", "test_order.py")
        assert count_lines(result, f"report: {project.folder / 'out' / 'report.html'}") == 1
    assert project.file("order").exists()


@WORKERS
def test_folders_are_absolute_if_test_changes_directory(project: Project, workers: str):
    project.write("test_aaa.py", "import os\ndef test_it(tmp_path): os.chdir(tmp_path)")
    (project.folder / "data").mkdir()
    project.change("import os; open(os.environ['LABCHECK_DATA'] + '/used', 'w').close()")
    here = os.getcwd()
    try:
        project.run(
            "-n", workers, "--claims-report", "out", "--claims-tensorboard", "tb", "--claims-data-root=data",
            "--claims-update", "first",
        )  # fmt: skip
    finally:
        os.chdir(here)
    for name in ("out/report.json", "tb/toy", "baselines/toy", "data/used"):
        assert (project.folder / name).exists()


def test_folder_of_killed_session_is_removed_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = "import os, labcheck.engine.workspace as w; print(w.Workspace().folder, flush=True); os.kill(os.getpid(), 9)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    abandoned = Path(killed.stdout.strip())
    living, foreign = Workspace(), tmp_path / "labcheck-notes"
    foreign.mkdir()
    assert abandoned.exists()  # it is too new to be removed
    for folder in (abandoned, living.folder):
        os.utime(folder / workspace.OWNER, (time.time() - 3600,) * 2)
    workspace.remove_abandoned()
    assert (abandoned.exists(), living.folder.exists(), foreign.exists()) == (False, True, True)
    living.close()
    assert not living.folder.exists()


# text


@WORKERS
def test_lone_surrogate_in_error_is_reported(project: Project, workers: str):
    project.change("if lab.level == 2: raise ValueError('no file \\udcff')")
    result = project.run("-n", workers, "--claims-report", "out", "--claims-update", "first")
    assert "INTERNALERROR" not in output(result)
    assert count_lines(result, "report: ") == 1
    assert any("no file \\udcff" in problem["text"] for problem in project.report()["problems"])


def test_update_in_repository_with_undecodable_names(project: Project):
    subprocess.run(["git", "init", "-q"], cwd=project.folder, check=True)
    for name in ("größe.txt".encode(), b"gr\xf6\xdfe.txt"):
        Path(os.fsdecode(os.path.join(os.fsencode(project.folder), name))).touch()
    subprocess.run(["git", "config", "core.quotepath", "off"], cwd=project.folder, check=True)
    subprocess.run(["git", "add", "."], cwd=project.folder, check=True)
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]
    subprocess.run(commit, cwd=project.folder, check=True)
    Path(os.fsdecode(os.path.join(os.fsencode(project.folder), b"\xfc"))).touch()
    project.monkeypatch.setenv("LC_ALL", "C")
    project.recorded()
    assert '"dirty": true' in project.file("order").read_text()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_compare_on_terminal_without_arrows(project: Project, encoding: str):
    project.recorded("--claims-report", "one")
    project.change("metrics['error'] *= 100")
    project.run("--claims-report", "two")
    (project.folder / "three").mkdir()
    text = (project.folder / "one/report.json").read_text()
    (project.folder / "three/report.json").write_text(text.replace("toy/order", "toy/größe → 1"))
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for other, code in (("one", 0), ("two", 1), ("three", 1)):
        command = [sys.executable, "-m", "labcheck", "compare", "one/report.json", f"{other}/report.json"]
        ended = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, check=False)
        assert (ended.returncode, ended.stderr) == (code, b"")


# reports


@WORKERS
def test_drift_of_xfailed_test_is_reported(project: Project, workers: str):
    project.recorded()
    project.write("test_order.py", ORDER + "\nimport pytest\npytestmark = pytest.mark.xfail(reason='known')\n")
    project.change("metrics['error'] *= 1.01 if lab.level == 2 else 1")
    result = project.run("test_order.py", "-n", workers, "--claims-report", "out")
    result.assert_outcomes(xfailed=1, xpassed=2)
    [problem] = project.report()["problems"]
    assert (problem["kind"], problem["test"]) == ("drift", "arm[high-quick]")
    assert problem["text"].startswith("arm 'high' has drifted")
    assert problem["text"].endswith("(expected to fail: known)")
    assert "(expected to fail: known)" in (project.folder / "out/report.html").read_text()


def test_strict_xfail_that_passes_is_failure(project: Project):
    project.recorded()
    project.write("test_order.py", ORDER + "\nimport pytest\npytestmark = pytest.mark.xfail(strict=True)\n")
    project.run("test_order.py", "--claims-report", "out").assert_outcomes(failed=3)
    assert {problem["kind"] for problem in project.report()["problems"]} == {"failure"}


def test_update_that_ends_early_writes_no_part_of_claim(project: Project):
    result = project.run("-x", "--claims-strict", "--claims-update", "first", "test_top.py")
    assert (
        count_lines(result, "toy/top (quick): not written: the run ended before relation[low beats top on error-quick]")
        == 1
    )
    assert not project.file("top").exists()


def test_update_of_selected_tests_names_missing_ones(project: Project):
    result = project.run("test_order.py::arm[low-quick]", "--claims-update", "first")
    assert (
        count_lines(result, "toy/order (quick): stored without high, low beats high on error, whose tests were not")
        == 1
    )


def test_baseline_of_removed_claim_is_reported(project: Project):
    project.recorded()
    (project.folder / "test_top.py").unlink()
    unused = f"{project.file('top')}: no collected claim uses this baseline; remove it if its claim no longer exists"
    for options in ([], ["-n", "2"], ["-k", "low"], [str(project.folder)]):
        result = project.run(*options)
        assert result.ret == pytest.ExitCode.OK
        assert count_lines(result, unused) == 1
    assert count_lines(project.run("test_order.py"), "no collected claim uses this baseline") == 0


def test_death_of_worker_is_reported_with_its_test(project: Project):
    project.recorded()  # without a baseline, the test of low trains high, too
    project.change("if lab.level == 2: os._exit(1)")
    result = project.run_in_subprocess(
        "-n", "2", "--max-worker-restart", "0", "--claims-report", "out", "test_order.py"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    problems = project.report()["problems"]
    died = [problem for problem in problems if problem["text"] == "the worker process died in this test"]
    assert {problem["claim"] for problem in died} == {"toy/order"}
    assert {problem["test"] for problem in died} <= {"arm[high-quick]", "relation[low beats high on error-quick]"}


def test_inconclusive_claim_names_option_for_more_seeds(project: Project):
    project.write("test_order.py", ORDER.replace('{"quick": 16}', '{"quick": 3}'))
    result = project.run("test_order.py", "--claims-report", "out")
    assert re.search(r"seeds\s+would\s+decide:\s+--claims-seeds\s+\d+", output(result))
    assert "<code>--claims-seeds " in (project.folder / "out/report.html").read_text()


STATE = """
import numpy as np
import torch

torch.set_num_threads(2)
torch.set_default_dtype(torch.float64)
torch.set_default_device("meta")
torch.backends.mkldnn.enabled = False
torch.set_grad_enabled(False)
torch.manual_seed(5)
np.seterr(all="raise")
"""
SMALL = """
from labcheck import Arm, Claim, Metric, beats
from labcheck.labs.{module} import {name}

small = {settings}
claim = Claim(
    id="{module}/small", statement="", citation="", lab={name},
    arms={{"a": Arm(small), "b": Arm({{**small, **{other}}})}},
    relations=[beats("a", "b", Metric("{metric}", higher_is_better=False))], seeds={{"quick": 2}},
)
"""
SMALL_LABS = {
    "boston": ("Boston", {"epochs": 2}, {"activation": "tanh"}, "test_mse"),
    "sine": ("Sine", {"epochs": 2}, {"net": "deep"}, "val_mse"),
    "mnist": (
        "Mnist",
        {"epochs": 1, "train_size": 64, "val_size": 32, "test_size": 32, "channels": (2, 3)},
        {"kernel": 3},
        "val_loss",
    ),
}


def test_global_state_does_not_affect_values(project: Project):
    """A test and a conftest set state on which training could depend; all values must equal the recorded ones."""
    for file in project.folder.glob("*.py"):
        file.unlink()
    for module, (name, settings, other, metric) in SMALL_LABS.items():
        claim = SMALL.format(module=module, name=name, settings=settings, other=other, metric=metric)
        (project.folder / f"test_{module}.py").write_text(claim)
    assert project.run_in_subprocess("--claims-update", "first").ret == pytest.ExitCode.TESTS_FAILED
    (project.folder / "test_aaa.py").write_text(
        f"def test_state():\n    {STATE.strip().replace(chr(10), chr(10) + '    ')}\n"
    )
    project.run_in_subprocess().assert_outcomes(passed=10)
    (project.folder / "conftest.py").write_text(STATE)
    result = project.run_in_subprocess()
    result.assert_outcomes(passed=10)
    assert count_lines(result, "another environment") == 0
