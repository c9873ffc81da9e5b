"""--claims-resume: what is trained is kept, found again by all that it depends on, and lost to no accident."""

import random
import shutil
import signal
import subprocess
import sys
from typing import Any

import pytest

from labcheck.engine import environment
from tests.helpers.project import LAB, Project, count_lines, limited_file_size

RESUME = "--claims-resume"
KEPT = "kept for --claims-resume"
BLOCKS = 8
"""Of the project: those of the arms low, high and top."""


def resumed(project: Project, *args: str) -> pytest.RunResult:
    """A run that resumes; pytest's cache is in the project."""
    return project.pytester.runpytest_inprocess(RESUME, "--claims-report", "out", *args)


def evidence(project: Project) -> dict[str, Any]:
    """report.json but for times."""
    return {key: value for key, value in project.report().items() if key != "times"}


@pytest.fixture
def interrupted(project: Project) -> Project:
    """A project with baselines of which one arm was trained before a run was interrupted."""
    project.recorded()
    project.trained_before = len(project.trained())
    resumed(project, "test_order.py::arm[low-quick]")
    return project


def trained_since(project: Project) -> list[str]:
    return project.trained()[project.trained_before :]


def test_what_was_trained_is_not_trained_again(interrupted: Project):
    first = resumed(interrupted)
    assert first.ret == pytest.ExitCode.OK
    assert count_lines(first, f"3 of {BLOCKS} blocks of seeds are there from an earlier run") == 1
    assert count_lines(first, f"{KEPT}: {BLOCKS} blocks of seeds, 0.0 MB in ") == 1
    assert len(trained_since(interrupted)) == BLOCKS
    found = evidence(interrupted)
    again = resumed(interrupted)
    assert count_lines(again, f"{BLOCKS} of {BLOCKS} blocks") == 1
    assert len(trained_since(interrupted)) == BLOCKS
    assert evidence(interrupted) == found
    interrupted.run("--claims-report", "out")
    assert evidence(interrupted) == found


def test_without_the_option_nothing_of_an_earlier_run_is_used(interrupted: Project):
    before = len(interrupted.trained())
    result = interrupted.run()
    assert len(interrupted.trained()) == before + BLOCKS
    assert count_lines(result, KEPT) == count_lines(result, "earlier run") == 0


def test_workers_share_what_is_kept(interrupted: Project):
    result = resumed(interrupted, "-n", "1")
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, f"3 of {BLOCKS} blocks") == count_lines(result, f"{KEPT}: {BLOCKS} blocks") == 1
    assert len(trained_since(interrupted)) == BLOCKS


def test_cache_clear_forgets(interrupted: Project):
    result = resumed(interrupted, "--cache-clear")
    assert count_lines(result, f"0 of {BLOCKS} blocks") == 1
    assert len(trained_since(interrupted)) == BLOCKS + 3


@pytest.mark.parametrize("changed", ["code", "data", "environment", "settings"])
def test_a_result_of_other_circumstances_is_not_used(interrupted: Project, changed: str):
    options: list[str] = []
    if changed == "code":
        (interrupted.folder / "toy.py").write_text(LAB + "# changed\n")
    elif changed == "data":
        new = "from toy import Data, Toy\nToy.data = lambda self=None: Data('drawn', 'new')\n"
        (interrupted.folder / "conftest.py").write_text(new)
    elif changed == "environment":
        elsewhere = {**environment.fingerprint("cpu"), "cpu": "another"}
        interrupted.monkeypatch.setattr(environment, "fingerprint", lambda *circumstances: elsewhere)
    else:
        options = ["--claims-set", "toy.noise=0.2"]
    assert count_lines(resumed(interrupted, *options), f"0 of {BLOCKS} blocks") == 1
    assert len(trained_since(interrupted)) == BLOCKS + 3


def test_a_lab_without_a_digest_is_trained_again_and_says_so(project: Project):
    (project.folder / "toy.py").write_text(LAB.replace('Data("drawn", "0123456789abcdef")', 'Data("drawn", "")'))
    project.recorded()
    for workers in ("0", "2"):
        before = len(project.trained())
        result = resumed(project, "-n", workers)
        assert count_lines(result, f"0 of {BLOCKS} blocks") == 1
        assert count_lines(result, "toy: its trials are not kept for --claims-resume, as data() returns no digest") == 1
        assert len(project.trained()) == before + BLOCKS


@pytest.mark.parametrize("file", ["toy.yaml", "tables/one.csv"])
def test_a_file_that_a_lab_names_is_looked_at(project: Project, file: str):
    path = project.folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("level: 1")
    names = LAB.replace("    level: float", '    depends: ClassVar = ["*.yaml", "tables/*"]\n\n    level: float')
    (project.folder / "toy.py").write_text(names if file == "toy.yaml" else names.replace('"*.yaml", ', ""))
    if file == "toy.yaml":
        (project.folder / "tables").mkdir()
        (project.folder / "tables" / "two.csv").touch()
    project.recorded()
    resumed(project)
    assert count_lines(resumed(project), f"{BLOCKS} of {BLOCKS} blocks") == 1
    path.write_text("level: 2")
    result = resumed(project)
    assert count_lines(result, f"0 of {BLOCKS} blocks") == 1
    assert count_lines(result, "arm 'low' has drifted: trained on other data (digest") > 0
    path.unlink()
    gone = resumed(project, "-n", "2")
    assert gone.ret == pytest.ExitCode.USAGE_ERROR
    assert count_lines(gone, "ERROR: toy: depends: ") == 1


@pytest.mark.parametrize("how", ["empty", "cut", "one byte", "no results"])
def test_a_broken_file_is_trained_again(interrupted: Project, how: str):
    for file in (interrupted.folder / ".pytest_cache" / "d" / "labcheck").glob("*.npz"):
        content = file.read_bytes()
        middle = len(content) // 3
        flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        file.write_bytes(
            {"empty": b"", "cut": content[:-100], "one byte": flipped, "no results": b"something else"}[how]
        )
    assert resumed(interrupted).ret == pytest.ExitCode.OK
    found = evidence(interrupted)
    interrupted.run("--claims-report", "out")
    assert evidence(interrupted) == found


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-o", "cache_dir=toy.py/cache"], "name another folder, -o cache_dir=DIR"),
        (["-p", "no:cacheprovider"], "leave out -p no:cacheprovider"),
    ],
)
def test_where_nothing_can_be_kept_nothing_is_trained(project: Project, options: list[str], told: str):
    result = resumed(project, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert count_lines(result, told) == 1
    assert project.trained() == []


def test_a_disk_that_fills_up_costs_no_results(project: Project):
    project.recorded()
    project.change("metrics.update({f'large {i}': metrics['error'] for i in range(2000)})")
    with limited_file_size(200_000):
        result = resumed(project)
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "trials could not be shared, free some space in") == 1
    assert count_lines(result, f"{KEPT}: 0 blocks") == 1


# kill -9

HARNESS = """
import os, signal, sys, time
import pytest, torch, labcheck.engine.checks, labcheck.report.terminal

def session():
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os._exit(pytest.main([*sys.argv[1:], "-W", "ignore::pytest.PytestAssertRewriteWarning"]))

for line in sys.stdin:
    child = session()
    after = float(line)
    if after > 0:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.slow
def test_kills_at_any_moment_lose_the_block_in_flight_and_change_nothing(project: Project):
    project.recorded("--claims-report", "whole")
    project.change("import time; time.sleep(.03)")
    command = [sys.executable, "-c", HARNESS, RESUME, "-q", "-p", "no:benchmark", "--claims-report", "out"]
    unkilled = project.report("whole")
    rng = random.Random()
    project.monkeypatch.setenv("TMPDIR", str(project.folder))  # what is killed leaves its session's folder
    with subprocess.Popen(
        command, cwd=project.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as harness:

        def run(seconds: float) -> int:
            assert harness.stdin is not None
            assert harness.stdout is not None
            print(seconds, file=harness.stdin, flush=True)
            return int(harness.stdout.readline())

        killed = 0
        while killed < 20:
            before = len(project.trained())
            shutil.rmtree(project.folder / ".pytest_cache", ignore_errors=True)
            kills = 0
            while kills < 5 and run(rng.uniform(0.05, 0.6)) == -signal.SIGKILL:
                kills += 1
            assert run(0) == pytest.ExitCode.OK
            assert BLOCKS <= len(project.trained()) - before <= BLOCKS + kills
            assert project.report()["claims"] == unkilled["claims"]
            killed += kills


def test_a_killed_worker_costs_the_block_in_flight(project: Project):
    project.recorded()
    before = len(project.trained())
    once = "if lab.level == 2 and not os.path.exists('died'): open('died', 'w').close(); os.kill(os.getpid(), 9)"
    project.change(once)
    killed = project.pytester.runpytest_subprocess(RESUME, "-n", "2", "--max-worker-restart", "0", timeout=120)
    assert killed.ret == pytest.ExitCode.TESTS_FAILED
    assert resumed(project).ret == pytest.ExitCode.OK
    assert len(project.trained()) - before == BLOCKS + 1
