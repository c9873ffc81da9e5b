"""The progress of a running session: the estimate of its time, and the progress line on a terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, TextIO

import pytest

from labcheck.engine import baselines, environment, progress
from labcheck.engine.baselines import Baseline
from labcheck.engine.progress import PlannedBlock, ProgressFiles, report_progress
from labcheck.plugin import live
from labcheck.plugin.live import UP, Live, ProgressLine
from tests.helpers.project import FILES, Project, count_lines

ESTIMATE = "training takes about"
BAR = "%|"
"""What follows the percentage in the progress line."""
UNCOMPARED = ["--claims-set", "toy.noise=0.5"]
"""Options with which nothing is compared, so that all tests pass."""
FIXED = [*UNCOMPARED, "--claims-seeds", "12"]
"""Options with which, in addition, each arm trains two blocks, whatever they show."""
WAITS = """
import time
from labcheck import report_progress
while not os.path.exists("go"):
    report_progress(3, 10)
    time.sleep(.02)
"""
QUICK = """
import os, time
from labcheck.plugin import live

live.INTERVAL = 0.05
if os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
    time.sleep(0.5)
"""
"""A conftest with a line that is drawn often, and a second worker that starts late."""
HERE = environment.fingerprint("cpu", uses_torch=False)
EAGER = """
import labcheck.engine.progress, labcheck.plugin.live
labcheck.plugin.live.CORRECTION_DELAY, labcheck.engine.progress.MIN_REMAINING = 0.0, -1.0
"""
"""Code with which estimates are corrected from the first to the last test."""
SLOW = """
import labcheck.engine.progress
labcheck.engine.progress.time.now += 500
"""
"""Code with which each block takes five times the seconds of its baseline, by a clock that nothing else advances."""
STEP = re.compile(r"\x1b\[([\d;]*)([AKCm])|([\r\n])|([^\x1b\r\n]+)")
WIDTH = 200


def frames(output: str, columns: int) -> Iterator[list[str]]:
    """Yield the rows that a terminal shows after each step of an output."""
    rows, row, column, place = [""], 0, 0, 0
    while place < len(output):
        step = STEP.match(output, place)
        assert step, f"unknown control sequence: {output[place : place + 10]!r}"
        place = step.end()
        number, command, control, text = step.groups()
        match command or control:
            case "A":
                row -= int(number or 1)
                assert row >= 0
            case "C":
                column = min(column + int(number or 1), columns - 1)
            case "K":
                rows[row] = rows[row][:column]
            case "\r":
                column = 0
            case "\n":
                row += 1
        for char in text or "":
            if column == columns:
                row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
            rows[row] = rows[row].ljust(column)[:column] + char + rows[row][column + 1 :]
            column += 1
        rows += [""] * (row + 1 - len(rows))
        yield [line.rstrip() for line in rows]


def screen(output: str, columns: int) -> list[str]:
    """Return the rows that a terminal shows in the end."""
    *_, last = frames(output, columns)
    return last


class Watched(NamedTuple):
    """The output of a run on a terminal, and its exit status."""

    output: str
    code: int

    def line(self) -> str:
        """Return the first progress line that shows a number of epochs."""
        return next(row for rows in self.frames() for row in rows if BAR in row and "epoch 3/10" in row)

    def frames(self) -> Iterator[list[str]]:
        """Yield the rows after each step of the output."""
        return frames(self.output, WIDTH)

    def rows(self) -> list[str]:
        """Return the rows at the end."""
        return screen(self.output, WIDTH)


class Piped(NamedTuple):
    """The output of a run to a pipe."""

    workers: int
    lines: list[str]


def prepared(folder: Path, toy: str, *args: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and environment to run pytest in a new project."""
    for name, text in {**FILES, "conftest.py": QUICK}.items():
        (folder / name).write_text(text)
    recorded(folder)
    unset = ("LABCHECK_DATA", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS")
    env = {name: value for name, value in os.environ.items() if name not in unset and not name.startswith("PYTEST_")}
    env |= {"TOY": toy, "TERM": "xterm", "PYTHONWARNINGS": "always::ResourceWarning"}
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:benchmark", *UNCOMPARED, *args], env


def watch(
    folder: Path,
    *args: str,
    until: str,
    interrupted: bool = False,
    toy: str = WAITS,
) -> Watched:
    """Run pytest in a new project on a terminal.

    After the text `until` was written twice, the trainings end, or the run is interrupted.
    """
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (50, WIDTH))
    command, env = prepared(folder, toy, *args)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored in this process
    run = subprocess.Popen(command, cwd=folder, env=env, stdin=there, stdout=there, stderr=there)
    signal.signal(signal.SIGINT, before)
    os.close(there)
    try:
        output, start, signaled = b"", time.monotonic(), False
        while chunk := _read(here):
            assert time.monotonic() - start < 100, output
            output += chunk
            if output.count(until.encode()) >= 2:
                if not interrupted:
                    (folder / "go").touch()
                elif not signaled:
                    run.send_signal(signal.SIGINT)
                signaled = True
        return Watched(output.decode(), run.wait(60))
    finally:
        run.kill()
        run.wait()
        os.close(here)


def _read(terminal: int) -> bytes:
    """Return the next part of the output; empty at its end."""
    if not select.select([terminal], [], [], 60)[0]:
        raise TimeoutError
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def recorded(folder: Path, cpu_seconds: float = 300.0, seeds: int = 16) -> None:
    """Write a baseline of toy/order that contains only the CPU time of its arms, of three blocks each by default."""
    times = {"low": cpu_seconds, "high": cpu_seconds}
    stored = Baseline("toy/order", "quick", {"name": "drawn", "digest": "0"}, seeds, HERE, cpu_seconds=times)
    baselines.write(stored, baselines.path(folder / "baselines", "toy/order", "quick", "drawn"))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Return the whole project in one process on a terminal."""
    return watch(tmp_path_factory.mktemp("one"), "-n", "0", until="epoch 3/10")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Return the whole project with two workers on a terminal."""
    return watch(tmp_path_factory.mktemp("two"), "-n", "2", until="; epoch 3/10")


@pytest.fixture(scope="module", params=[0, 2])
def piped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Piped:
    """Return the whole project in one process, or with two workers, whose output is a pipe."""
    folder = tmp_path_factory.mktemp("piped")
    command, env = prepared(folder, "import time; time.sleep(.1)", "-n", str(request.param))
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    return Piped(request.param, [*done.stderr.splitlines(), *done.stdout.splitlines()])


@pytest.fixture(params=["one", "two"])
def watched(request: pytest.FixtureRequest) -> Watched:
    """Return the whole project on a terminal."""
    run: Watched = request.getfixturevalue(request.param)
    return run


class Pseudo(NamedTuple):
    """A terminal: the end to which programs write, and the end from which their output is read."""

    there: TextIO
    here: int


@pytest.fixture
def pseudo() -> Iterator[Pseudo]:
    """Return a terminal of 40 columns."""
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (24, 40))
    with open(there, "w") as stream:
        yield Pseudo(stream, here)
    os.close(here)


# estimates


@pytest.mark.slow
def test_estimate_is_printed_once_before_tests(piped: Piped):
    minutes = 800 / min(piped.workers or 1, os.cpu_count() or 1) / 60
    [place] = [number for number, line in enumerate(piped.lines) if "training" in line]
    assert piped.lines[place] == f"{ESTIMATE} {minutes:.0f} min (2 of 8 blocks have never been timed)"
    assert place < min(number for number, line in enumerate(piped.lines) if line.endswith("%]"))


@pytest.mark.slow
@pytest.mark.parametrize("options", [["-q"], ["-qq"], ["--collect-only"], ["test_top.py", "-k", "arm and top"]])
def test_no_estimate_in_quiet_run_or_without_blocks(project: Project, options: list[str]):
    recorded(project.folder)
    result = project.run(*options, *UNCOMPARED)
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "training") == 0


@pytest.mark.parametrize("seconds", [None, 5.0])
def test_no_estimate_if_short_or_never_timed(project: Project, seconds: float | None):
    if seconds is not None:
        recorded(project.folder, seconds)
    assert count_lines(project.run(*UNCOMPARED), "training") == 0


@pytest.mark.slow
def test_estimate_counts_selected_tests_and_seeds(project: Project):
    project.recorded().edit("order", lambda stored: stored.cpu_seconds.update(low=60.0, high=60.0))
    project.edit("top", lambda stored: stored.cpu_seconds.update(low=60.0, top=40.0))
    assert count_lines(project.run(), f"{ESTIMATE} 3 min") == 1
    assert count_lines(project.run("test_order.py::arm[low-quick]"), f"{ESTIMATE} 60 s") == 1
    assert count_lines(project.run("test_order.py::arm[low-quick]", "--claims-seeds", "6"), f"{ESTIMATE} 30 s") == 1


@pytest.mark.slow
@pytest.mark.parametrize(("option", "times"), [("-v", 1), ("-q", 1), ("-qq", 0)])
def test_resumption_is_reported_unless_twice_quiet(project: Project, option: str, times: int):
    recorded(project.folder)
    project.pytester.runpytest_inprocess("--claims-resume", *FIXED)  # pytest's cache is in the project
    result = project.pytester.runpytest_inprocess("--claims-resume", option, *FIXED)
    assert count_lines(result, "6 of 6 blocks of seeds are available from an earlier run") == times
    assert count_lines(result, "training takes") == 0


# corrected estimates


@pytest.fixture
def clock(project: Project, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return the clock of a project with six blocks in FIXED, most of which have 100 seconds in their baseline."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = clock.process_time = lambda: clock.now
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(live, "time", clock)
    recorded(project.folder)
    project.change(SLOW)
    return clock


def estimates(result: pytest.RunResult) -> list[str]:
    """Return the estimates that a run printed, without their first words."""
    return [line.removeprefix("training takes about ") for line in result.outlines if "training takes" in line]


@pytest.mark.usefixtures("clock")
def test_estimate_is_corrected_after_first_test(project: Project):
    result = project.run(*FIXED)
    first, second = estimates(result)
    assert first.startswith("10 min ")
    assert second == "50 min on this machine, 33 min of it remaining (10 min were expected)"  # it is 6 · 500 s
    start = next(number for number, line in enumerate(result.outlines) if line.startswith("test_order.py"))
    assert result.outlines[start] == "test_order.py ."
    assert result.outlines[start + 1].startswith("training takes about 50 min")
    assert result.outlines[start + 2] == ""
    assert result.outlines[start + 3] == "test_order.py .."
    assert result.outlines[start + 4].startswith("toy/order: ")


@pytest.mark.usefixtures("clock")
def test_correction_is_separate_line_if_verbose(project: Project):
    result = project.run("-v", *FIXED)
    assert len(estimates(result)) == 2
    assert all(line.startswith("training takes") for line in result.outlines if "training takes" in line)
    assert sum(bool(re.fullmatch(r"test_\w+\.py::.+ PASSED +\[.+%\]", line)) for line in result.outlines) == 7


@pytest.mark.usefixtures("clock")
def test_estimate_is_corrected_again_if_wrong_again(project: Project):
    project.change(SLOW.replace("500", "500 if lab.level == 1 else 5000"))
    assert estimates(project.run(*FIXED))[1:] == [
        "50 min on this machine, 33 min of it remaining (10 min were expected)",
        "275 min on this machine, 92 min of it remaining (50 min were expected)",
    ]


@pytest.mark.usefixtures("clock")
def test_estimate_follows_first_test_if_never_timed(project: Project):
    project.file("order").unlink()
    assert estimates(project.run(*FIXED)) == ["50 min on this machine, 33 min of it remaining"]


@pytest.mark.usefixtures("clock")
def test_estimate_omits_blocks_that_may_be_unneeded(project: Project):
    recorded(project.folder, 200.0, seeds=12)
    first, second = estimates(project.run(*UNCOMPARED))
    assert first.startswith("10 min, and longer if claims need more seeds")
    # the first test trains four of six blocks, since it needs the verdict, which needs both arms
    assert second == "50 min on this machine, 17 min of it remaining (10 min were expected)"


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ("140", []),  # within the tolerance
        ("70", []),
        ("30", ["3 min on this machine, 2 min of it remaining (10 min were expected)"]),
        ("10", []),  # less than a minute remains
    ],
)
def test_estimate_is_corrected_only_if_far_off(project: Project, seconds: str, expected: list[str]):
    project.change(SLOW.replace("500", seconds))
    assert estimates(project.run(*FIXED))[1:] == expected


@pytest.mark.usefixtures("clock")
def test_estimate_is_not_corrected_in_first_seconds(project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "CORRECTION_DELAY", 1001.0)  # the first test takes 1000
    assert estimates(project.run(*FIXED, "-k", "low-quick and arm or test_top"))[1:] == []


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("options", [["-q"], ["-p", "no:terminal"]])
def test_estimate_is_not_corrected_in_quiet_run(project: Project, options: list[str]):
    result = project.run(*options, *FIXED)
    assert result.ret == pytest.ExitCode.OK
    assert estimates(result) == []


@pytest.mark.usefixtures("clock")
def test_estimate_is_not_corrected_after_stop(project: Project):
    project.change(SLOW + "\n1 // 0 if seeds[0] == 6 else 0")
    assert len(estimates(project.run("-x", *FIXED))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("verbose", [[], ["-v"]])
def test_correction_does_not_split_lines_of_workers(tmp_path: Path, verbose: list[str]):
    command, env = prepared(tmp_path, "", "-n", "2", *verbose)
    (tmp_path / "conftest.py").write_text(QUICK + EAGER)
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    corrected = [line for line in lines if "on this machine" in line]
    assert corrected
    assert all(re.fullmatch(rf"{ESTIMATE} \d+ \w+ on this machine, .+ expected\)", line) for line in corrected)
    if verbose:
        assert sum(bool(re.fullmatch(r"\[gw\d\] \[.+%\] PASSED \S.+", line)) for line in lines) == 7
    else:
        assert sum(line.count(".") for line in lines if re.fullmatch(r"\.+( *\[.+%\])?", line)) == 7


# the progress line


@pytest.mark.slow
def test_no_line_if_output_is_not_terminal(piped: Piped):
    assert not any("\x1b" in line or "epoch" in line for line in piped.lines)
    assert "7 passed" in piped.lines[-1]


@pytest.mark.parametrize(("term", "shown"), [("xterm", True), ("dumb", False)])
def test_no_line_on_dumb_terminal(
    pseudo: Pseudo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, term: str, shown: bool
):
    monkeypatch.setattr(sys, "stdout", pseudo.there)
    monkeypatch.setenv("TERM", term)
    plugin = Live(SimpleNamespace(), ProgressFiles(tmp_path), SimpleNamespace())  # type: ignore[arg-type]
    assert bool(plugin.terminal) == shown
    plugin.pytest_unconfigure()


def test_no_line_without_terminal_reporter(project: Project, pseudo: Pseudo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "_terminal", lambda: os.fdopen(os.dup(pseudo.there.fileno()), "w"))
    recorded(project.folder)
    assert project.run("-p", "no:terminal", *UNCOMPARED).ret == pytest.ExitCode.OK
    assert len(project.trained()) == 6


@pytest.mark.slow
def test_line_shows_share_time_and_current_block(one: Watched):
    # 3 of 10 epochs of the first of eight blocks
    assert re.fullmatch(r"  4%\|.{10}\| \d[\d:]+ remaining, epoch 3/10 of toy/order low seeds 0-5", one.line())


@pytest.mark.slow
def test_line_shows_blocks_of_all_workers(two: Watched):
    line, *_ = (row for rows in two.frames() for row in rows if "; epoch 3/10" in row)
    labels = re.findall(r"epoch 3/10 of (toy/\w+ \w+ seeds \d+-\d+)", line)
    assert len(set(labels)) == 2
    assert re.match("  [78]%", line)  # twice 3 of 10 epochs of eight blocks


@pytest.mark.slow
def test_line_is_redrawn_in_place(watched: Watched):
    assert watched.output.count(BAR) >= 2
    assert max(sum(BAR in row for row in rows) for rows in watched.frames()) == 1


@pytest.mark.slow
def test_line_is_removed_at_end(watched: Watched):
    assert watched.code == 0
    assert not any("epoch" in row or BAR in row or "remaining" in row for row in watched.rows())


@pytest.mark.slow
def test_line_does_not_affect_output_of_pytest(one: Watched, two: Watched):
    after = [row for row in one.rows() if row and ESTIMATE not in row]
    start = after.index("collected 7 items")
    order, top = (
        "toy/order: REPRODUCED, 11/12 low beats high on error",
        "toy/top: NOT_REPRODUCED, 2/10 top beats low on error",
    )
    assert after[start + 1 : start + 5] == ["test_order.py ...", order, "test_top.py ....", top]
    assert after[start + 5].strip() == "[100%]"
    assert after[start + 6].startswith("====")
    after = [row for row in two.rows() if row and ESTIMATE not in row]
    start = after.index("2 workers [7 items]")
    shown = after[start + 1 : after.index(next(row for row in after[start:] if row.startswith("====")))]
    assert sorted(row for row in shown if row.startswith("toy/")) == [order, top]
    assert "".join(row for row in shown if not row.startswith("toy/")).split() == [".......", "[100%]"]
    for watched in (one, two):
        assert all(re.match(r" *\d+%\|", row) for rows in watched.frames() for row in rows if "epoch" in row)
        assert sum("7 passed in" in row for row in watched.rows()) == 1
        assert sum(row.startswith("toy/") for row in watched.rows()) == 2 * 2


@pytest.mark.slow
def test_estimate_on_terminal_is_separate_line(watched: Watched):
    [row] = [row for row in watched.rows() if ESTIMATE in row]
    assert row.startswith(ESTIMATE)


@pytest.mark.slow
def test_correction_on_terminal_remains(tmp_path: Path):
    run = watch(tmp_path, "-n", "0", until="epoch 3/10", toy=EAGER + WAITS)
    assert run.code == 0
    corrected = [row for row in run.rows() if "on this machine" in row]
    assert corrected
    assert all(re.fullmatch(rf"{ESTIMATE} \d+ \w+ on this machine, .+ expected\)", row) for row in corrected)
    assert not any("epoch" in row or BAR in row for row in run.rows())


@pytest.mark.slow
def test_line_leaves_no_open_file(watched: Watched):
    assert "ResourceWarning" not in watched.output


@pytest.mark.slow
def test_line_is_removed_after_interrupt(tmp_path: Path):
    run = watch(tmp_path, "-n", "0", "test_order.py", until="epoch 3/10", interrupted=True)
    assert run.code == pytest.ExitCode.INTERRUPTED
    assert not any("epoch" in row or BAR in row for row in run.rows())
    assert sum("KeyboardInterrupt" in row and row.startswith("!!!") for row in run.rows()) == 1
    assert sum("no tests ran in" in row for row in run.rows()) == 1


@pytest.mark.slow
def test_no_line_if_output_is_not_captured(tmp_path: Path):
    toy = f"print('hello hello', flush=True)\n{WAITS}\ntime.sleep(.2)\nprint('bye', flush=True)"
    run = watch(
        tmp_path, "-n", "0", "-s", "test_order.py::arm[low-quick]", "--claims-seeds", "6", until="hello", toy=toy
    )
    assert run.code == 0
    assert [row for row in run.rows() if "hello" in row or "bye" in row] == ["test_order.py hello hello", "bye"]
    assert not any("epoch" in row or BAR in row for row in run.rows())


# the progress line by itself


def draw(terminal: Pseudo, files: ProgressFiles, before: str = "", label: str = "label") -> str:
    """Return the output on a terminal: some text, three drawings of the line, and its removal."""
    config: Any = SimpleNamespace(get_terminal_writer=lambda: SimpleNamespace(width_of_current_line=len(before)))
    print(before, end="", file=terminal.there, flush=True)
    line = ProgressLine(files, [PlannedBlock("key", label, None)], config, terminal.there)
    output = b""
    while output.count(UP.encode()) < 3:
        output += _read(terminal.here)
    line.close()
    print("\0", end="", file=terminal.there, flush=True)
    while not output.endswith(b"\0"):
        output += _read(terminal.here)
    return output.decode().rstrip("\0")


@pytest.mark.parametrize("before", [0, 1, 14, 39, 57, 100])
def test_output_continues_where_it_was(pseudo: Pseudo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int):
    monkeypatch.setattr(live, "INTERVAL", 0.01)
    written = "abcdefghij" * 10
    output = draw(pseudo, ProgressFiles(tmp_path), before=written[:before])
    assert [row for row in screen(output + "here", 40) if row] == [
        row for row in screen(written[:before] + "here", 40) if row
    ]


def test_line_is_not_longer_than_terminal(pseudo: Pseudo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "INTERVAL", 0.01)
    files = ProgressFiles(tmp_path)
    with files.training("key"):
        report_progress(1, 2)
        for rows in frames(draw(pseudo, files, label="a rather long name " * 4), 40):
            assert len([row for row in rows if row]) <= 1


def test_line_that_was_never_drawn_writes_nothing(pseudo: Pseudo, tmp_path: Path):
    config: Any = SimpleNamespace(get_terminal_writer=lambda: SimpleNamespace(width_of_current_line=0))
    line = ProgressLine(ProgressFiles(tmp_path), [], config, pseudo.there)
    with line.hidden():
        pass
    line.close()
    assert select.select([pseudo.here], [], [], 0) == ([], [], [])


def test_line_uses_encoding_of_terminal(pseudo: Pseudo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "INTERVAL", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    termios.tcsetwinsize(pseudo.here, (24, 80))
    files = ProgressFiles(tmp_path)
    with open(os.dup(pseudo.there.fileno()), "w", encoding="ascii") as stdout, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        terminal = live._terminal()
    assert terminal
    with terminal, files.training("key"):
        report_progress(1, 2)
        output = draw(Pseudo(terminal, pseudo.here), files, label="größer → b")
    assert " 50%|#####     |" in output
    assert "epoch 1/2 of gr??er ? b" in output
