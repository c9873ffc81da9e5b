"""How far a session is, while it runs: one line that says how long it will take, and one that lives on a terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import pytest

from labcheck.progress import INTERVAL, Notes, Planned, estimate

UP, ERASE = "\x1b[A", "\x1b[K"


class Live:
    """A pytest plugin object, registered in the one process that writes to the terminal."""

    def __init__(self, config: pytest.Config, notes: Notes):
        self.config, self.notes = config, notes
        self.terminal = _terminal()
        self.announced = False
        self.before = notes.finished()
        self.line: Line | None = None

    def _announce(self) -> None:
        """Say how long training will take, and show from then on how far it is."""
        self.announced = True
        option = self.config.option
        plan = self.notes.planned()
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if not plan or not reporter or option.verbose < 0 or getattr(option, "benchmark_only", False):
            return
        ahead = [block for block in plan if block.key not in self.before]
        told = [estimate(ahead, workers=len(getattr(option, "tx", None) or ["this process"]))]
        if option.claims_resume:
            told.insert(0, f"{len(plan) - len(ahead)} of {len(plan)} blocks of seeds are there from an earlier run")
        for line in filter(None, told):
            reporter.ensure_newline()
            reporter.line(line)
        alone = option.capture != "no" and not option.usepdb  # else tests write where the line would be
        if ahead and self.terminal and alone:
            self.line = Line(self.notes, ahead, self.config, self.terminal)

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
        return (yield from self._aside())

    def _aside(self) -> Generator[None]:
        """Keep the line away while pytest writes."""
        if not self.line:
            return (yield)
        with self.line.hidden():
            return (yield)

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
    return open(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
