"""--claims-resume: trained blocks are stored, identified by all that they depend on, and survive accidents."""

import random
import shutil
import signal
import subprocess
import sys
from typing import Any

import pytest

from labcheck.engine import environment
from tests.helpers.project import LAB, Project, count_lines, is_in_one_line, limited_file_size

pytestmark = pytest.mark.slow

RESUME = "--claims-resume"
STORED = "--claims-resume: {} blocks of seeds are kept, "
BLOCKS = 6
"""The number of blocks that decide the project's claims: two of each of the arms low, high and top."""
OF_LOW = 2
"""The number of those of the arm low."""
MOST = 8
"""The number of blocks of the project's claims if they remain undecided."""


def resume(project: Project, *args: str) -> pytest.RunResult:
    """Run the project with --claims-resume; pytest's cache is in the project."""
    return project.pytester.runpytest_inprocess(RESUME, "--claims-report", "out", *args)


def timeless_report(project: Project) -> dict[str, Any]:
    """Return the content of report.json without times."""
    return {key: value for key, value in project.report().items() if key != "times"}


@pytest.fixture
def partly_trained(project: Project) -> Project:
    """Return a project with baselines, one arm of which has been trained with --claims-resume."""
    resume(project.recorded(), "test_order.py::arm[low-quick]")
    return project


def count_trained(project: Project) -> int:
    """Return the number of blocks that were trained since the baselines were recorded."""
    return len(project.trained()) - BLOCKS


def test_resumed_run_does_not_train_stored_blocks_again(partly_trained: Project):
    first = resume(partly_trained)
    assert first.ret == pytest.ExitCode.OK
    assert count_lines(first, f"{OF_LOW} of {BLOCKS} blocks of seeds are available from an earlier run") == 1
    assert count_lines(first, STORED.format(BLOCKS) + "0.0 MB in ") == 1
    assert count_trained(partly_trained) == BLOCKS
    expected = timeless_report(partly_trained)
    again = resume(partly_trained)
    assert count_lines(again, f"{BLOCKS} of {BLOCKS} blocks") == 1
    assert count_trained(partly_trained) == BLOCKS
    assert timeless_report(partly_trained) == expected
    partly_trained.run("--claims-report", "out")
    assert timeless_report(partly_trained) == expected


def test_run_without_option_does_not_use_stored_blocks(partly_trained: Project):
    before = len(partly_trained.trained())
    result = partly_trained.run()
    assert len(partly_trained.trained()) == before + BLOCKS
    assert count_lines(result, "--claims-resume") == count_lines(result, "earlier run") == 0


def test_resumed_run_shares_stored_blocks_with_workers(partly_trained: Project):
    result = resume(partly_trained, "-n", "1")
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, f"{OF_LOW} of {BLOCKS} blocks") == count_lines(result, STORED.format(BLOCKS)) == 1
    assert count_trained(partly_trained) == BLOCKS


def test_cache_clear_removes_stored_blocks(partly_trained: Project):
    result = resume(partly_trained, "--cache-clear")
    assert count_lines(result, f"0 of {BLOCKS} blocks") == 1
    assert count_trained(partly_trained) == BLOCKS + OF_LOW


@pytest.mark.parametrize("changed", ["code", "data", "environment", "settings"])
def test_resumed_run_does_not_use_blocks_after_change(partly_trained: Project, changed: str):
    options: list[str] = []
    if changed == "code":
        (partly_trained.folder / "toy.py").write_text(LAB + "# changed\n")
    elif changed == "data":
        new = "from toy import Data, Toy\nToy.data = lambda self=None: Data('drawn', 'new')\n"
        (partly_trained.folder / "conftest.py").write_text(new)
    elif changed == "environment":
        elsewhere = {**environment.fingerprint("cpu"), "cpu": "another"}
        partly_trained.monkeypatch.setattr(environment, "fingerprint", lambda *circumstances, **others: elsewhere)
    else:
        options = ["--claims-set", "toy.noise=0.2"]
    planned = MOST if options else BLOCKS  # results with overrides are not compared, so that no number is stored
    assert count_lines(resume(partly_trained, *options), f"0 of {planned} blocks") == 1
    assert count_trained(partly_trained) == BLOCKS + OF_LOW


def test_lab_without_digest_is_trained_again_with_note(project: Project):
    (project.folder / "toy.py").write_text(LAB.replace('Data("drawn", "0123456789abcdef")', 'Data("drawn", "")'))
    project.recorded()
    for workers in ("0", "2"):
        before = len(project.trained())
        result = resume(project, "-n", workers)
        assert count_lines(result, f"0 of {BLOCKS} blocks") == 1
        note = "toy: trials are not kept for --claims-resume, because data() returns no digest"
        assert count_lines(result, note) == 1
        assert len(project.trained()) == before + BLOCKS


@pytest.mark.parametrize(("file", "workers"), [("toy.yaml", "0"), ("tables/one.csv", "2")])
def test_resumed_run_notices_change_of_declared_file(project: Project, file: str, workers: str):
    path = project.folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("level: 1")
    declaring = LAB.replace("    level: float", '    depends: ClassVar = ["*.yaml", "tables/*"]\n\n    level: float')
    (project.folder / "toy.py").write_text(declaring if file == "toy.yaml" else declaring.replace('"*.yaml", ', ""))
    if file == "toy.yaml":
        (project.folder / "tables").mkdir()
        (project.folder / "tables" / "two.csv").touch()
    project.recorded()
    resume(project)
    assert count_lines(resume(project), f"{BLOCKS} of {BLOCKS} blocks") == 1
    path.write_text("level: 2")
    result = resume(project)
    assert count_lines(result, f"0 of {BLOCKS} blocks") == 1
    assert count_lines(result, "arm 'low' has drifted: trained on different data (digest") > 0
    path.unlink()
    missing = resume(project, "-n", workers)
    assert missing.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(missing, "ERROR: toy: depends: ")


@pytest.mark.parametrize("content", ["empty", "truncated", "one byte changed", "another format"])
def test_broken_block_is_trained_again(partly_trained: Project, content: str):
    for file in (partly_trained.folder / ".pytest_cache" / "d" / "labcheck").glob("*.npz"):
        whole = file.read_bytes()
        place = len(whole) // 3
        contents = {
            "empty": b"",
            "truncated": whole[:-100],
            "one byte changed": whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :],
            "another format": b"something else",
        }
        file.write_bytes(contents[content])
    assert resume(partly_trained).ret == pytest.ExitCode.OK
    expected = timeless_report(partly_trained)
    partly_trained.run("--claims-report", "out")
    assert timeless_report(partly_trained) == expected


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["-o", "cache_dir=toy.py/cache"], "name another folder, -o cache_dir=DIR"),
        (["-p", "no:cacheprovider"], "leave out -p no:cacheprovider"),
    ],
)
def test_run_is_refused_if_blocks_cannot_be_stored(project: Project, options: list[str], remedy: str):
    result = resume(project, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert count_lines(result, remedy) == 1
    assert project.trained() == []


def test_full_disk_loses_no_results(project: Project):
    project.recorded()
    project.change("metrics.update({f'large {i}': metrics['error'] for i in range(200)})")
    with limited_file_size(30_000):
        result = project.pytester.runpytest_inprocess(RESUME)
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "trials could not be shared: [Errno 27] File too large; free some space in ") == 1
    assert count_lines(result, STORED.format(0)) == 1


# killed processes

HARNESS = """
import gc, os, signal, sys, time
import pytest, scipy.special, torch, labcheck.engine.checks, labcheck.report.terminal
from labcheck.engine.module_source import find_source
from labcheck.report import page

find_source("labcheck.engine.results")  # caches the installed distributions, so that kills hit what follows
page._template()
gc.freeze()  # a collection in a child would copy all of this memory

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


def test_kills_lose_only_block_in_training(project: Project):
    project.recorded("--claims-report", "whole")
    project.change("import time; time.sleep(.03)")
    command = [sys.executable, "-c", HARNESS, RESUME, "-q", "-p", "no:benchmark", "--claims-report", "out"]
    unkilled = project.report("whole")
    rng = random.Random()
    project.monkeypatch.setenv("TMPDIR", str(project.folder))  # a killed session leaves its folder
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


def test_killed_worker_loses_only_block_in_training(project: Project):
    project.recorded()
    before = len(project.trained())
    once = "if lab.level == 2 and not os.path.exists('died'): open('died', 'w').close(); os.kill(os.getpid(), 9)"
    project.change(once)
    killed = project.pytester.runpytest_subprocess(RESUME, "-n", "2", "--max-worker-restart", "0", timeout=120)
    assert killed.ret == pytest.ExitCode.TESTS_FAILED
    assert resume(project).ret == pytest.ExitCode.OK
    assert len(project.trained()) - before == BLOCKS + 1
