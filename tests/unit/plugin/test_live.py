"""What a run says while it trains: how long it will take, and on a terminal in one line how far it is."""

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

from labcheck.engine import baselines, progress
from labcheck.engine.baselines import Baseline
from labcheck.engine.progress import PlannedBlock, ProgressFiles, tell
from labcheck.plugin import live
from labcheck.plugin.live import UP, Line, Live
from tests.helpers.project import FILES, Project, count_lines

TOLD = "training takes about"
BAR = "%|"
"""How the line starts, up to 99 percent."""
FREE = ["--claims-set", "toy.noise=0.5"]
"""Nothing is compared, so all tests pass."""
WAITS = """
import time
from labcheck.engine.progress import tell
while not os.path.exists("go"):
    tell(3, 10)
    time.sleep(.02)
"""
QUICK = """
import contextlib, os, time
from labcheck.engine import environment
from labcheck.plugin import live

environment.deterministic = lambda *args: contextlib.nullcontext()
environment.fingerprint = lambda *args: {}
live.INTERVAL = 0.05
if os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
    time.sleep(0.5)
"""
"""Torch need not be imported, the line is drawn often, and of two workers one is late."""
EAGER = """
import labcheck.engine.progress, labcheck.plugin.live
labcheck.plugin.live.SETTLED, labcheck.engine.progress.WORTHWHILE = 0.0, -1.0
"""
"""Estimates are corrected from the first test on to the last one."""
SLOW = """
import labcheck.engine.progress
labcheck.engine.progress.time.now += 500
"""
"""Each block takes five times the seconds that its baseline has, by a clock that nothing else moves."""
STEP = re.compile(r"\x1b\[([\d;]*)([AKCm])|([\r\n])|([^\x1b\r\n]+)")
WIDTH = 200


def frames(output: str, columns: int) -> Iterator[list[str]]:
    """The rows that a terminal shows after each step of an output."""
    rows, row, column, place = [""], 0, 0, 0
    while place < len(output):
        found = STEP.match(output, place)
        assert found, f"a terminal does not know {output[place : place + 10]!r}"
        place = found.end()
        number, command, control, text = found.groups()
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
    """The rows that stand there in the end."""
    *_, last = frames(output, columns)
    return last


class Watched(NamedTuple):
    """What a run wrote on a terminal, and how it ended."""

    output: str
    code: int

    def line(self) -> str:
        """The line as it was first, once something was trained."""
        return next(row for rows in self.frames() for row in rows if BAR in row and "epoch 3/10" in row)

    def frames(self) -> Iterator[list[str]]:
        return frames(self.output, WIDTH)

    def rows(self) -> list[str]:
        return screen(self.output, WIDTH)


class Piped(NamedTuple):
    """What a run wrote into a pipe."""

    workers: int
    lines: list[str]


def prepared(folder: Path, toy: str, *args: str) -> tuple[list[str], dict[str, str]]:
    """How to run pytest in a new project: command and environment."""
    for name, text in {**FILES, "conftest.py": QUICK}.items():
        (folder / name).write_text(text)
    recorded(folder)
    unset = ("LABCHECK_DATA", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS")
    env = {name: value for name, value in os.environ.items() if name not in unset and not name.startswith("PYTEST_")}
    env |= {"TOY": toy, "TERM": "xterm", "PYTHONWARNINGS": "always::ResourceWarning"}
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:benchmark", *FREE, *args], env


def watch(
    folder: Path,
    *args: str,
    until: str,
    interrupted: bool = False,
    toy: str = WAITS,
) -> Watched:
    """Run pytest in a new project, in a terminal; once a text was written twice, loops may end, or all of it does."""
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (50, WIDTH))
    command, env = prepared(folder, toy, *args)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts these tests may have it ignored
    run = subprocess.Popen(command, cwd=folder, env=env, stdin=there, stdout=there, stderr=there)
    signal.signal(signal.SIGINT, before)
    os.close(there)
    try:
        output, start, told = b"", time.monotonic(), False
        while chunk := _read(here):
            assert time.monotonic() - start < 100, output
            output += chunk
            if output.count(until.encode()) >= 2:
                if not interrupted:
                    (folder / "go").touch()
                elif not told:
                    run.send_signal(signal.SIGINT)
                told = True
        return Watched(output.decode(), run.wait(60))
    finally:
        run.kill()
        run.wait()
        os.close(here)


def _read(terminal: int) -> bytes:
    """What comes next, nothing at the end."""
    if not select.select([terminal], [], [], 60)[0]:
        raise TimeoutError
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def recorded(folder: Path, cpu_seconds: float = 300.0) -> None:
    """A baseline of toy/order with nothing in it but the time that its arms took, of three blocks each."""
    times = {"low": cpu_seconds, "high": cpu_seconds}
    stored = Baseline("toy/order", "quick", {"name": "drawn", "digest": "0"}, 16, {}, cpu_seconds=times)
    baselines.write(stored, baselines.path(folder / "baselines", "toy/order", "quick", "drawn"))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """All of the project, in one process."""
    return watch(tmp_path_factory.mktemp("one"), "-n", "0", until="epoch 3/10")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """All of the project, with two workers."""
    return watch(tmp_path_factory.mktemp("two"), "-n", "2", until="; epoch 3/10")


@pytest.fixture(scope="module", params=[0, 2])
def piped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Piped:
    """All of the project, in one process or with two workers."""
    folder = tmp_path_factory.mktemp("piped")
    command, env = prepared(folder, "import time; time.sleep(.1)", "-n", str(request.param))
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    return Piped(request.param, [*done.stderr.splitlines(), *done.stdout.splitlines()])


@pytest.fixture(params=["one", "two"])
def watched(request: pytest.FixtureRequest) -> Watched:
    run: Watched = request.getfixturevalue(request.param)
    return run


class Pseudo(NamedTuple):
    """A terminal: where programs write, and where a person reads."""

    there: TextIO
    here: int


@pytest.fixture
def pseudo() -> Iterator[Pseudo]:
    """A terminal of 40 columns."""
    here, there = pty.openpty()
    termios.tcsetwinsize(there, (24, 40))
    with open(there, "w") as stream:
        yield Pseudo(stream, here)
    os.close(here)


# how long training will take


def test_a_run_says_once_and_first_how_long_it_will_take(piped: Piped):
    minutes = 800 / min(piped.workers or 1, os.cpu_count() or 1) / 60
    (told,) = (number for number, line in enumerate(piped.lines) if "training" in line)
    assert piped.lines[told] == f"{TOLD} {minutes:.0f} min (2 of 8 blocks were never timed)"
    assert told < min(number for number, line in enumerate(piped.lines) if line.endswith("%]"))


@pytest.mark.parametrize("options", [["-q"], ["-qq"], ["--collect-only"], ["test_top.py", "-k", "arm and top"]])
def test_a_run_that_is_quiet_or_has_nothing_to_tell_says_nothing(project: Project, options: list[str]):
    recorded(project.folder)
    result = project.run(*options, *FREE)
    assert result.ret == pytest.ExitCode.OK
    assert count_lines(result, "training") == 0


@pytest.mark.parametrize("seconds", [None, 5.0])
def test_a_run_that_is_short_or_was_never_timed_says_nothing(project: Project, seconds: float | None):
    if seconds is not None:
        recorded(project.folder, seconds)
    assert count_lines(project.run(*FREE), "training") == 0


def test_a_run_of_what_was_recorded_says_how_long_it_took_then(project: Project):
    project.recorded().edit("order", lambda stored: stored.cpu_seconds.update(low=60.0, high=60.0))
    project.edit("top", lambda stored: stored.cpu_seconds.update(top=40.0))
    assert count_lines(project.run(), f"{TOLD} 3 min") == 1
    assert count_lines(project.run("test_order.py::arm[low-quick]"), f"{TOLD} 60 s") == 1
    assert count_lines(project.run("test_order.py::arm[low-quick]", "--claims-seeds", "6"), f"{TOLD} 20 s") == 1


@pytest.mark.parametrize(("option", "times"), [("-v", 1), ("-q", 1), ("-qq", 0)])
def test_resumption_is_reported_unless_twice_quiet(project: Project, option: str, times: int):
    recorded(project.folder)
    project.pytester.runpytest_inprocess("--claims-resume", *FREE)  # pytest's cache is in the project
    result = project.pytester.runpytest_inprocess("--claims-resume", option, *FREE)
    assert count_lines(result, "8 of 8 blocks of seeds are there from an earlier run") == times
    assert count_lines(result, "training takes") == 0


# how long it takes after all


@pytest.fixture
def clock(project: Project, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of a project whose eight blocks are timed at 100 seconds, or for the most part so."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = clock.process_time = lambda: clock.now
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(live, "time", clock)
    recorded(project.folder)
    project.change(SLOW)
    return clock


def estimates(result: pytest.RunResult) -> list[str]:
    return [line.removeprefix("training takes about ") for line in result.outlines if "training takes" in line]


@pytest.mark.usefixtures("clock")
def test_estimate_is_corrected_once_the_first_test_has_ended(project: Project):
    result = project.run(*FREE)
    first, second = estimates(result)
    assert first.startswith("13 min ")
    assert second == "67 min on this machine, 42 min of them left (13 min were expected)"  # it is 8 · 500 s
    start = next(number for number, line in enumerate(result.outlines) if line.startswith("test_order.py"))
    assert result.outlines[start] == "test_order.py ."
    assert result.outlines[start + 1].startswith("training takes about 67 min")
    assert result.outlines[start + 2] == ""
    assert re.fullmatch(r"test_order.py \.\. +\[ 42%\]", result.outlines[start + 3])


@pytest.mark.usefixtures("clock")
def test_estimate_is_corrected_on_a_line_of_its_own_with_v(project: Project):
    result = project.run("-v", *FREE)
    assert len(estimates(result)) == 2
    assert all(line.startswith("training takes") for line in result.outlines if "training takes" in line)
    assert sum(bool(re.fullmatch(r"test_\w+\.py::.+ PASSED +\[.+%\]", line)) for line in result.outlines) == 7


@pytest.mark.usefixtures("clock")
def test_estimate_is_corrected_again_when_it_is_off_again(project: Project):
    project.change(SLOW.replace("500", "500 if lab.level == 1 else 5000"))
    assert estimates(project.run(*FREE))[1:] == [
        "67 min on this machine, 42 min of them left (13 min were expected)",
        "367 min on this machine, 92 min of them left (67 min were expected)",
    ]


@pytest.mark.usefixtures("clock")
def test_estimate_is_made_after_a_test_if_nothing_was_timed(project: Project):
    project.file("order").unlink()
    assert estimates(project.run(*FREE)) == ["67 min on this machine, 42 min of them left"]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ("140", []),  # not far off
        ("70", []),
        ("25", ["3 min on this machine, 2 min of them left (13 min were expected)"]),
        ("10", []),  # less than a minute remains
    ],
)
def test_estimate_is_corrected_only_where_that_helps(project: Project, seconds: str, expected: list[str]):
    project.change(SLOW.replace("500", seconds))
    assert estimates(project.run(*FREE))[1:] == expected


@pytest.mark.usefixtures("clock")
def test_estimate_stands_in_the_first_seconds(project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "SETTLED", 1501.0)  # the first test takes 1500
    assert estimates(project.run(*FREE, "-k", "low-quick and arm or test_top"))[1:] == []


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("options", [["-q"], ["-p", "no:terminal"]])
def test_estimate_is_not_corrected_in_a_quiet_run(project: Project, options: list[str]):
    result = project.run(*options, *FREE)
    assert result.ret == pytest.ExitCode.OK
    assert estimates(result) == []


@pytest.mark.usefixtures("clock")
def test_estimate_is_not_corrected_when_the_session_stops(project: Project):
    project.change(SLOW + "\n1 // 0 if seeds[0] == 12 else 0")
    assert len(estimates(project.run("-x", *FREE))) == 1


@pytest.mark.parametrize("verbose", [[], ["-v"]])
def test_correction_leaves_the_lines_of_workers_whole(tmp_path: Path, verbose: list[str]):
    command, env = prepared(tmp_path, "", "-n", "2", *verbose)
    (tmp_path / "conftest.py").write_text(QUICK + EAGER)
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    corrected = [line for line in lines if "on this machine" in line]
    assert corrected
    assert all(re.fullmatch(rf"{TOLD} \d+ \w+ on this machine, .+ expected\)", line) for line in corrected)
    if verbose:
        assert sum(bool(re.fullmatch(r"\[gw\d\] \[.+%\] PASSED \S.+", line)) for line in lines) == 7
    else:
        assert sum(line.count(".") for line in lines if re.fullmatch(r"\.+( *\[.+%\])?", line)) == 7


# the line


def test_no_line_is_drawn_where_output_is_no_terminal(piped: Piped):
    assert not any("\x1b" in line or "epoch" in line for line in piped.lines)
    assert "7 passed" in piped.lines[-1]


@pytest.mark.parametrize(("term", "shown"), [("xterm", True), ("dumb", False)])
def test_no_line_is_drawn_on_a_terminal_that_cannot_move_its_cursor(
    pseudo: Pseudo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, term: str, shown: bool
):
    monkeypatch.setattr(sys, "stdout", pseudo.there)
    monkeypatch.setenv("TERM", term)
    plugin = Live(SimpleNamespace(), ProgressFiles(tmp_path))  # type: ignore[arg-type]
    assert bool(plugin.terminal) == shown
    plugin.pytest_unconfigure()


def test_no_line_is_drawn_without_a_terminal_reporter(
    project: Project, pseudo: Pseudo, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "_terminal", lambda: os.fdopen(os.dup(pseudo.there.fileno()), "w"))
    recorded(project.folder)
    assert project.run("-p", "no:terminal", *FREE).ret == pytest.ExitCode.OK
    assert len(project.trained()) == 8


def test_the_line_says_what_is_trained_how_far_it_is_and_how_long_it_will_take(one: Watched):
    # 3 of 10 epochs of the first of eight blocks
    assert re.fullmatch(r"  4%\|.{10}\| \d[\d:]+ left, epoch 3/10 of toy/order low seeds 0-5", one.line())


def test_the_line_shows_what_all_workers_train(two: Watched):
    (line, *_) = (row for rows in two.frames() for row in rows if "; epoch 3/10" in row)
    labels = re.findall(r"epoch 3/10 of (toy/\w+ \w+ seeds \d+-\d+)", line)
    assert len(set(labels)) == 2
    assert re.match("  [78]%", line)  # twice 3 of 10 epochs of eight blocks


def test_the_line_is_one_that_is_redrawn_in_place(watched: Watched):
    assert watched.output.count(BAR) >= 2
    assert max(sum(BAR in row for row in rows) for rows in watched.frames()) == 1


def test_the_line_is_gone_in_the_end(watched: Watched):
    assert watched.code == 0
    assert not any("epoch" in row or BAR in row or "left" in row for row in watched.rows())


def test_the_line_harms_nothing_that_pytest_writes(one: Watched, two: Watched):
    after = [row for row in one.rows() if row and TOLD not in row]
    start = after.index("collected 7 items")
    assert after[start + 1 : start + 3] == [
        "test_order.py ...".ljust(WIDTH - 7) + "[ 42%]",
        "test_top.py ....".ljust(WIDTH - 7) + "[100%]",
    ]
    assert after[start + 3].startswith("====")
    after = [row for row in two.rows() if row and TOLD not in row]
    start = after.index("2 workers [7 items]")
    assert after[start + 1] == ".......".ljust(WIDTH - 7) + "[100%]"
    assert after[start + 2].startswith("====")
    for watched in (one, two):
        assert all(re.match(r" *\d+%\|", row) for rows in watched.frames() for row in rows if "epoch" in row)
        assert sum("7 passed in" in row for row in watched.rows()) == 1
        assert sum(row.startswith("toy/") for row in watched.rows()) == 2


def test_on_a_terminal_the_time_that_training_takes_stands_on_a_line_of_its_own(watched: Watched):
    (told,) = (row for row in watched.rows() if TOLD in row)
    assert told.startswith(TOLD)


def test_correction_on_a_terminal_is_a_line_that_stays(tmp_path: Path):
    run = watch(tmp_path, "-n", "0", until="epoch 3/10", toy=EAGER + WAITS)
    assert run.code == 0
    corrected = [row for row in run.rows() if "on this machine" in row]
    assert corrected
    assert all(re.fullmatch(rf"{TOLD} \d+ \w+ on this machine, .+ expected\)", row) for row in corrected)
    assert not any("epoch" in row or BAR in row for row in run.rows())


def test_a_line_leaves_nothing_open(watched: Watched):
    assert "ResourceWarning" not in watched.output


def test_an_interrupted_run_leaves_the_terminal_clean(tmp_path: Path):
    run = watch(tmp_path, "-n", "0", "test_order.py", until="epoch 3/10", interrupted=True)
    assert run.code == pytest.ExitCode.INTERRUPTED
    assert not any("epoch" in row or BAR in row for row in run.rows())
    assert sum("KeyboardInterrupt" in row and row.startswith("!!!") for row in run.rows()) == 1
    assert sum("no tests ran in" in row for row in run.rows()) == 1


def test_no_line_is_drawn_between_what_tests_write_themselves(tmp_path: Path):
    toy = f"print('hello hello', flush=True)\n{WAITS}\ntime.sleep(.2)\nprint('bye', flush=True)"
    run = watch(
        tmp_path, "-n", "0", "-s", "test_order.py::arm[low-quick]", "--claims-seeds", "6", until="hello", toy=toy
    )
    assert run.code == 0
    assert [row for row in run.rows() if "hello" in row or "bye" in row] == ["test_order.py hello hello", "bye"]
    assert not any("epoch" in row or BAR in row for row in run.rows())


# by itself


def drawn(terminal: Pseudo, notes: ProgressFiles, before: str = "", label: str = "label") -> str:
    """What a terminal got: what pytest wrote there, the line until it was drawn for the third time, its removal."""
    config: Any = SimpleNamespace(get_terminal_writer=lambda: SimpleNamespace(width_of_current_line=len(before)))
    print(before, end="", file=terminal.there, flush=True)
    line = Line(notes, [PlannedBlock("key", label, None)], config, terminal.there)
    output = b""
    while output.count(UP.encode()) < 3:
        output += _read(terminal.here)
    line.close()
    print("\0", end="", file=terminal.there, flush=True)
    while not output.endswith(b"\0"):
        output += _read(terminal.here)
    return output.decode().rstrip("\0")


@pytest.mark.parametrize("before", [0, 1, 14, 39, 57, 100])
def test_pytest_writes_on_where_it_was(pseudo: Pseudo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int):
    monkeypatch.setattr(live, "INTERVAL", 0.01)
    written = "abcdefghij" * 10
    output = drawn(pseudo, ProgressFiles(tmp_path), before=written[:before])
    assert [row for row in screen(output + "here", 40) if row] == [
        row for row in screen(written[:before] + "here", 40) if row
    ]


def test_the_line_is_no_longer_than_the_terminal_is_wide(
    pseudo: Pseudo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "INTERVAL", 0.01)
    notes = ProgressFiles(tmp_path)
    with notes.training("key"):
        tell(1, 2)
        for rows in frames(drawn(pseudo, notes, label="a rather long name " * 4), 40):
            assert len([row for row in rows if row]) <= 1


def test_a_line_that_was_never_drawn_writes_nothing(pseudo: Pseudo, tmp_path: Path):
    config: Any = SimpleNamespace(get_terminal_writer=lambda: SimpleNamespace(width_of_current_line=0))
    line = Line(ProgressFiles(tmp_path), [], config, pseudo.there)
    with line.hidden():
        pass
    line.close()
    assert select.select([pseudo.here], [], [], 0) == ([], [], [])


def test_terminal_is_written_in_its_own_encoding(pseudo: Pseudo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "INTERVAL", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    termios.tcsetwinsize(pseudo.here, (24, 80))
    notes = ProgressFiles(tmp_path)
    with open(os.dup(pseudo.there.fileno()), "w", encoding="ascii") as stdout, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        terminal = live._terminal()
    assert terminal
    with terminal, notes.training("key"):
        tell(1, 2)
        output = drawn(Pseudo(terminal, pseudo.here), notes, label="größer → b")
    assert " 50%|#####     |" in output
    assert "epoch 1/2 of gr??er ? b" in output
