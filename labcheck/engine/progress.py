"""Progress: the plan of a session and the state of its training, in files that its processes share."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labcheck.engine.files import write_atomically

ProgressCallback = Callable[[int, int], None]
"""A function of the number of epochs that are done and the total number of epochs."""
INTERVAL = 0.5
"""Seconds between two updates by a process that trains."""
TOLERANCE = 1.5
"""Factor, in either direction, by which an estimate may be wrong before it is corrected."""
CORRECTION_DELAY = 20.0
"""Seconds of training before which no estimate is corrected."""
MIN_REMAINING = 60.0
"""Seconds of remaining training below which an estimate is not corrected."""

_callback: ProgressCallback | None = None


def report_progress(done: int, total: int) -> None:
    """Report that a training has done this number of epochs, of this total. Outside of a session it has no effect."""
    if _callback is not None:
        _callback(done, total)


@contextmanager
def progress_callback(callback: ProgressCallback) -> Iterator[None]:
    """Call a function for each report of progress within the context."""
    global _callback
    before, _callback = _callback, callback
    try:
        yield
    finally:
        _callback = before


@dataclass(frozen=True)
class PlannedBlock:
    """A block of seeds that the session will train.

    Attributes:
        key: The name of its file.
        label: Claim, arm and seeds.
        seconds: The CPU time that it took when the baseline was recorded; None if that is unknown.
        elsewhere: Whether that was on another processor or with other instructions.
        optional: Whether it will probably not be needed, because earlier seeds decide its claim.
        need: The name of the look that may need it, if earlier seeds may decide its claim; otherwise "".
    """

    key: str
    label: str
    seconds: float | None
    elsewhere: bool = False
    optional: bool = False
    need: str = ""


@dataclass(frozen=True)
class CollectedTest:
    """A test of a claim that a session has collected.

    Attributes:
        nodeid: Its name in pytest.
        check: The id of its check.
        claim: The id of the claim.
        scale: The scale.
        selected: Whether it runs, that is, neither -k nor -m deselects it.
    """

    nodeid: str
    check: str
    claim: str
    scale: str
    selected: bool


@dataclass(frozen=True)
class State:
    """The progress of a session.

    Attributes:
        share: The share of the expected time that is done.
        running: For each block that is being trained, its label, the epochs that are done and their total.
    """

    share: float
    running: list[tuple[str, int, int]]


class ProgressFiles:
    """The files by which the processes of a session share their progress.

    Args:
        folder: The folder of the session.
        trials: The folder of trained blocks that outlast the session, if there is one.
    """

    def __init__(self, folder: Path, trials: Path | None = None):
        self.folder = folder
        self.trials = trials or folder
        self._current = folder / f"{os.getpid()}.current"
        self._times = folder / f"{os.getpid()}.times"

    def write_plan(self, blocks: list[PlannedBlock]) -> None:
        """Write the blocks that the session will train, which are the same in every process."""
        _write(self.folder / "plan.json", [asdict(block) for block in blocks])

    def plan(self) -> list[PlannedBlock]:
        """Return the blocks that the session will train; none until a process has written them."""
        return [PlannedBlock(**block) for block in _read(self.folder / "plan.json")]

    def write_tests(self, tests: list[CollectedTest]) -> None:
        """Write the collected tests of claims, which are the same in every process."""
        _write(self.folder / "tests.json", [asdict(test) for test in tests])

    def tests(self) -> list[CollectedTest]:
        """Return the collected tests of claims; none until a process has written them."""
        return [CollectedTest(**test) for test in _read(self.folder / "tests.json")]

    @contextmanager
    def training(self, key: str) -> Iterator[None]:
        """Record the progress of a block while it trains, and its CPU and wall seconds unless it raises."""
        due = 0.0
        wall, cpu = time.monotonic(), time.process_time()

        def record(done: int, total: int) -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + INTERVAL
                _write(self._current, [key, int(done), int(total)])

        try:
            with progress_callback(record):
                yield
            times = [key, time.process_time() - cpu, time.monotonic() - wall]
            with suppress(OSError), self._times.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(times) + "\n")
        finally:
            with suppress(OSError):
                self._current.unlink(missing_ok=True)

    def finish(self, need: str) -> None:
        """Record, for all processes, that a test or a look needs no more blocks."""
        with suppress(OSError):
            self._finished(need).touch()

    def is_finished(self, need: str) -> bool:
        """Return whether a process has called `finish` for this need."""
        return self._finished(need).exists()

    def _finished(self, need: str) -> Path:
        return self.folder / f"{hashlib.sha256(need.encode()).hexdigest()[:24]}.finished"

    def end(self) -> None:
        """Stop all processes from training what none of their own tests needs."""
        with suppress(OSError):
            (self.folder / "ended").touch()

    @property
    def ended(self) -> bool:
        """Whether a process has called `end`."""
        return (self.folder / "ended").exists()

    def finished(self) -> set[str]:
        """Return the keys of the blocks that are trained and stored."""
        return {path.stem for folder in (self.folder, self.trials) for path in folder.glob("*.npz")}

    def measured(self) -> dict[str, float]:
        """Return the wall seconds of each block that was trained in this session, by key."""
        lines = [line for path in sorted(self.folder.glob("*.times")) for line in _lines(path)]
        return {key: wall for key, _, wall in map(json.loads, lines)}

    def state(self, plan: list[PlannedBlock]) -> State:
        """Return the current progress."""
        costs, shares, running = self._position(plan)
        done = sum(costs[key] * share for key, share in shares.items())
        # rounding may give more than 1, at which tqdm warns
        return State(min(done / max(sum(costs.values()), 1e-9), 1.0), running)

    def remaining(self, plan: list[PlannedBlock], workers: int) -> float | None:
        """Return the estimated wall seconds until training ends; None before the first block has ended.

        The times of this session's blocks already include the effect of processes that share cores.
        """
        if not self.measured().keys() & {block.key for block in plan}:
            return None
        costs, shares, _ = self._position(plan)
        rest = [cost * (1 - shares.get(key, 0.0)) for key, cost in costs.items()]
        return max(sum(rest) / workers, *rest)

    def _position(
        self, plan: list[PlannedBlock]
    ) -> tuple[dict[str, float], dict[str, float], list[tuple[str, int, int]]]:
        """Return the cost of each block, the share that is done of each started one, and `State.running`.

        A block that is probably, or certainly, not needed has a cost only if it has started.
        """
        measured = self.measured()
        costs, labels = _costs(plan, measured), {block.key: block.label for block in plan}
        ended = costs.keys() & (self.finished() | measured.keys())
        shares, running = dict.fromkeys(ended, 1.0), []
        for key, done, total in filter(None, map(_read, sorted(self.folder.glob("*.current")))):
            if key in costs and key not in ended:
                running.append((labels[key], done, total))
                shares[key] = min(done / max(total, 1), 1.0)
        needs = {need: self.is_finished(need) for need in {block.need for block in plan} - {""}}
        unneeded = {block.key for block in plan if block.optional or needs.get(block.need)} - shares.keys()
        return {key: cost for key, cost in costs.items() if key not in unneeded}, shares, running


def _costs(plan: list[PlannedBlock], measured: dict[str, float]) -> dict[str, float]:
    """Return the estimated seconds of each block on this machine.

    Planned seconds are scaled by the ratio of measured to planned seconds, summed over the blocks that have ended. A
    block without planned seconds counts as the mean of such blocks that have ended, or else as the mean of the others.
    """
    planned = {block.key: block.seconds for block in plan if block.seconds is not None}
    both = planned.keys() & measured.keys()
    before = sum(planned[key] for key in both)
    scale = sum(measured[key] for key in both) / before if before else 1.0
    known = {key: scale * seconds for key, seconds in planned.items()}
    alike = [measured[block.key] for block in plan if block.seconds is None and block.key in measured]
    alike = alike or list(known.values())
    usual = sum(alike) / len(alike) if alike else 0.0
    return {block.key: measured.get(block.key, known.get(block.key, usual or 1.0)) for block in plan}


def expected(plan: list[PlannedBlock]) -> float:
    """Return the expected CPU seconds; untimed blocks count as the mean of the others. It is 0 if none was timed."""
    known = [block.seconds for block in plan if block.seconds is not None]
    return sum(known) / len(known) * len(plan) if known else 0.0


def expected_wall(plan: list[PlannedBlock], workers: int) -> float:
    """Return the expected wall seconds of the blocks that are not optional; 0 if none of them has been timed."""
    plan = [block for block in plan if not block.optional]
    longest = max((block.seconds or 0 for block in plan), default=0)
    return max(expected(plan) / max(min(workers, os.cpu_count() or 1), 1), longest)


def estimate(plan: list[PlannedBlock], workers: int) -> str:
    """Return a sentence about how long the session will train; "" if that is unknown or short."""
    seconds = expected_wall(plan, workers)
    if seconds < 20:
        return ""
    needed = [block for block in plan if not block.optional]
    unknown = sum(block.seconds is None for block in needed)
    untimed = f" ({unknown} of {len(needed)} blocks have never been timed)" if unknown else ""
    longer = ", and longer if claims need more seeds" if len(needed) < len(plan) else ""
    text = f"training takes about {_duration(seconds)}{longer}"
    if any(block.elsewhere and block.seconds is not None for block in plan):
        text += f" on the machine that recorded the baselines{untimed}"
        return f"{text}; the estimate is corrected for this machine as blocks finish"
    return text + untimed


def correction(elapsed: float, remaining: float, before: float) -> str:
    """Return a sentence that corrects an estimate; "" if the estimate is good enough.

    Args:
        elapsed: The seconds since training began.
        remaining: The remaining seconds, from `ProgressFiles.remaining`.
        before: The previous estimate of all seconds; 0 if there was none.
    """
    total = elapsed + remaining
    if remaining < MIN_REMAINING or before / TOLERANCE <= total <= before * TOLERANCE:
        return ""
    expected = f" ({_duration(before)} were expected)" if before else ""
    return f"training takes about {_duration(total)} on this machine, {_duration(remaining)} of it remaining{expected}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _write(path: Path, content: object) -> None:
    """Write JSON. Progress that cannot be written is not shown."""
    with suppress(OSError):
        write_atomically(path, json.dumps(content), durable=False)


def _lines(path: Path) -> list[str]:
    """Return the lines of a file that are complete, since another process may be writing the last one."""
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    except OSError:
        return []


def _read(path: Path) -> list[Any]:
    try:
        content: list[Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return content
