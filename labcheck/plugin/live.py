"""The progress of a running session: an estimate of its time, which is corrected as blocks end, and a progress line."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from labcheck.engine.progress import (
    CORRECTION_DELAY,
    INTERVAL,
    PlannedBlock,
    ProgressFiles,
    correction,
    estimate,
    expected_wall,
)

if TYPE_CHECKING:
    from labcheck.plugin.reporter import Reporter

UP, ERASE = "\x1b[A", "\x1b[K"


class Live:
    """A plugin that prints estimates, progress and early verdicts, in the process that writes to the terminal.

    Args:
        config: The configuration of pytest.
        files: The progress files of the session.
        reporter: The plugin that receives the results.
    """

    def __init__(self, config: pytest.Config, files: ProgressFiles, reporter: Reporter):
        self.config, self.files, self.reporter = config, files, reporter
        self.terminal = _terminal()
        self.announced = False
        self.early = False  # whether the verdict on each claim is printed as soon as its tests have ended
        self.before = files.finished()
        self.line: ProgressLine | None = None
        self.ahead: list[PlannedBlock] = []  # blocks whose time is estimated; none in a quiet run
        self.workers, self.started, self.expected = 1, 0.0, 0.0

    def _announce(self) -> None:
        """Print how long training will take, and start the progress line."""
        self.announced = True
        option = self.config.option
        plan = self.files.plan()
        reporter = self.config.pluginmanager.has_plugin("terminalreporter")
        if not plan or not reporter or option.verbose < -1 or getattr(option, "benchmark_only", False):
            return
        ahead = [block for block in plan if block.key not in self.before]
        if option.claims_resume:
            self._print(f"{len(plan) - len(ahead)} of {len(plan)} blocks of seeds are available from an earlier run")
        if option.verbose < 0:
            return
        self.early = len(self.reporter.selected) > 1
        self.ahead, self.workers = ahead, len(getattr(option, "tx", None) or ["this process"])
        self.started, self.expected = time.monotonic(), expected_wall(ahead, self.workers)
        self._print(estimate(ahead, self.workers))
        alone = option.capture != "no" and not option.usepdb  # otherwise tests write to the same place
        if ahead and self.terminal and alone:
            self.line = ProgressLine(self.files, ahead, self.config, self.terminal)

    def _correct(self) -> None:
        """Print a corrected estimate if the blocks that have ended show that it is wrong."""
        elapsed = time.monotonic() - self.started
        if not self.ahead or elapsed < CORRECTION_DELAY or self.files.ended:
            return
        remaining = self.files.remaining(self.ahead, self.workers)
        if remaining is not None and (text := correction(elapsed, remaining, self.expected)):
            self._print(text)
            self.expected = elapsed + remaining

    def _print(self, text: str) -> None:
        """Print a line; pytest continues on the next one, where it repeats the name of the file."""
        if not text:
            return
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        writer = self.config.get_terminal_writer()
        if writer.width_of_current_line:  # ensure_newline ignores the dots of xdist's workers
            writer.line()
        reporter.currentfspath = None
        reporter.line(text)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logstart(self) -> Generator[None]:
        if not self.announced:  # when the first test starts, every worker has written its plan
            self._announce()
        return (yield from self._pass_on())

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_testnodeready(self) -> Generator[None]:
        return (yield from self._pass_on())

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_testnodedown(self) -> Generator[None]:
        return (yield from self._pass_on())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self) -> Generator[None]:
        return (yield from self._pass_on())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> Generator[None]:
        session: Any = self.config.pluginmanager.get_plugin("session")
        if session.shouldfail or session.shouldstop:
            self.files.end()
        with self._hidden():
            result = yield
            self._correct()
            if self.early:
                self._print(self.reporter.verdict_on(nodeid))
            return result

    def _pass_on(self) -> Generator[None]:
        with self._hidden():
            return (yield)

    def _hidden(self) -> AbstractContextManager[None]:
        """Hide the progress line while pytest or this plugin writes."""
        return self.line.hidden() if self.line else nullcontext()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if self.line:
            self.line.close()
            self.line = None

    def pytest_unconfigure(self) -> None:
        if self.terminal:
            self.terminal.close()


class ProgressLine:
    """A line that a thread redraws, since the main thread trains."""

    def __init__(self, files: ProgressFiles, plan: list[PlannedBlock], config: pytest.Config, terminal: TextIO):
        self.files, self.plan, self.terminal = files, plan, terminal
        self.writer = config.get_terminal_writer()
        self.lock = threading.Lock()
        self.shown = False
        self.started = time.monotonic()
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Remove the line for good."""
        self.closed.set()
        self.thread.join()
        with self.hidden():
            pass

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the line while something else is written."""
        with self.lock:
            if self.shown:
                self._write_below("")
                self.shown = False
            yield

    def _run(self) -> None:
        while not self.closed.wait(INTERVAL):
            text = self._text()
            with self.lock:
                self._write_below(text)
                self.shown = True

    def _text(self) -> str:
        from tqdm import tqdm  # not at the top, since this module is loaded in every project

        state = self.files.state(self.plan)
        text: str = tqdm.format_meter(
            state.share,
            1.0,
            time.monotonic() - self.started,
            ncols=self._columns() - 1,
            ascii="▏".encode(self.terminal.encoding, "replace") == b"?",
            bar_format="{percentage:3.0f}%|{bar:10}| {remaining} remaining{postfix}",
            postfix="; ".join(f"epoch {done:,}/{total:,} of {label}" for label, done, total in state.running),
        )
        return text

    def _columns(self) -> int:
        return os.get_terminal_size(self.terminal.fileno()).columns or 80

    def _write_below(self, text: str) -> None:
        """Write on the next line, and return the cursor to where pytest left it."""
        column = max(self.writer.width_of_current_line, 0) % self._columns()
        self.terminal.write(f"\n{text}{ERASE}{UP}\r" + (f"\x1b[{column}C" if column else ""))
        self.terminal.flush()


def _terminal() -> TextIO | None:
    """Return a stream to the terminal that pytest does not capture; None if the output is not a terminal."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return None
    return open(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors="replace")
