"""How far a session is while it runs: an estimate of its time, corrected as blocks end, and a line on a terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TextIO

import pytest

from labcheck.engine.progress import INTERVAL, SETTLED, Notes, Planned, correction, estimate, expected_wall

UP, ERASE = "\x1b[A", "\x1b[K"


class Live:
    """A pytest plugin object, registered in the one process that writes to the terminal."""

    def __init__(self, config: pytest.Config, notes: Notes):
        self.config, self.notes = config, notes
        self.terminal = _terminal()
        self.announced = False
        self.before = notes.finished()
        self.line: Line | None = None
        self.ahead: list[Planned] = []  # blocks whose time is estimated; none in a quiet run
        self.workers, self.started, self.expected = 1, 0.0, 0.0

    def _announce(self) -> None:
        """Say how long training will take, and show from then on how far it is."""
        self.announced = True
        option = self.config.option
        plan = self.notes.planned()
        reporter = self.config.pluginmanager.has_plugin("terminalreporter")
        if not plan or not reporter or option.verbose < -1 or getattr(option, "benchmark_only", False):
            return
        ahead = [block for block in plan if block.key not in self.before]
        if option.claims_resume:
            self._print(f"{len(plan) - len(ahead)} of {len(plan)} blocks of seeds are there from an earlier run")
        if option.verbose < 0:
            return
        self.ahead, self.workers = ahead, len(getattr(option, "tx", None) or ["this process"])
        self.started, self.expected = time.monotonic(), expected_wall(ahead, self.workers)
        self._print(estimate(ahead, self.workers))
        alone = option.capture != "no" and not option.usepdb  # else tests write where the line would be
        if ahead and self.terminal and alone:
            self.line = Line(self.notes, ahead, self.config, self.terminal)

    def _correct(self) -> None:
        """Print the estimate again if the blocks that ended show that it is far off."""
        elapsed = time.monotonic() - self.started
        if not self.ahead or elapsed < SETTLED or self.notes.ended:
            return
        left = self.notes.left(self.ahead, self.workers)
        if left is not None and (text := correction(elapsed, left, self.expected)):
            self._print(text)
            self.expected = elapsed + left

    def _print(self, text: str) -> None:
        """Print a whole line; pytest continues on the next one, where it names the file again."""
        if not text:
            return
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        writer = self.config.get_terminal_writer()
        if writer.width_of_current_line:  # ensure_newline would overlook the dots of xdist's workers
            writer.line()
        reporter.currentfspath = None
        reporter.line(text)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logstart(self) -> Generator[None]:
        if not self.announced:  # the first test starts: by now every worker knows what there is to train
            self._announce()
        return (yield from self._aside())

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_testnodeready(self) -> Generator[None]:
        return (yield from self._aside())

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_testnodedown(self) -> Generator[None]:
        return (yield from self._aside())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self) -> Generator[None]:
        return (yield from self._aside())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logfinish(self) -> Generator[None]:
        session: Any = self.config.pluginmanager.get_plugin("session")
        if session.shouldfail or session.shouldstop:
            self.notes.end()
        with self._hidden():
            result = yield
            self._correct()
            return result

    def _aside(self) -> Generator[None]:
        with self._hidden():
            return (yield)

    def _hidden(self) -> AbstractContextManager[None]:
        """Keep the line away while pytest or this plugin writes."""
        return self.line.hidden() if self.line else nullcontext()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if self.line:
            self.line.close()
            self.line = None

    def pytest_unconfigure(self) -> None:
        if self.terminal:
            self.terminal.close()


class Line:
    """Redrawn by a thread, because training leaves no other time for it."""

    def __init__(self, notes: Notes, plan: list[Planned], config: pytest.Config, terminal: TextIO):
        self.notes, self.plan, self.terminal = notes, plan, terminal
        self.writer = config.get_terminal_writer()
        self.lock = threading.Lock()
        self.shown = False
        self.started = time.monotonic()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Take the line away for good."""
        self.over.set()
        self.thread.join()
        with self.hidden():
            pass

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Keep the line away while something else is written."""
        with self.lock:
            if self.shown:
                self._below("")
                self.shown = False
            yield

    def _run(self) -> None:
        while not self.over.wait(INTERVAL):
            text = self._text()
            with self.lock:
                self._below(text)
                self.shown = True

    def _text(self) -> str:
        from tqdm import tqdm  # not at the top: this module loads in every project

        state = self.notes.state(self.plan)
        text: str = tqdm.format_meter(
            state.share,
            1.0,
            time.monotonic() - self.started,
            ncols=self._columns() - 1,
            ascii="▏".encode(self.terminal.encoding, "replace") == b"?",
            bar_format="{percentage:3.0f}%|{bar:10}| {remaining} left{postfix}",
            postfix="; ".join(f"epoch {done:,}/{of:,} of {label}" for label, done, of in state.running),
        )
        return text

    def _columns(self) -> int:
        return os.get_terminal_size(self.terminal.fileno()).columns or 80

    def _below(self, text: str) -> None:
        """Write on the next line, and put the cursor back where pytest left it."""
        column = max(self.writer.width_of_current_line, 0) % self._columns()
        self.terminal.write(f"\n{text}{ERASE}{UP}\r" + (f"\x1b[{column}C" if column else ""))
        self.terminal.flush()


def _terminal() -> TextIO | None:
    """A stream of its own, which pytest's capturing leaves alone, to the terminal; None where output goes elsewhere."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return None
    return open(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors="replace")
