"""How far a session's training is: told by the loop, kept in files, so that one process can show what others do."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Listener = Callable[[int, int], None]
INTERVAL = 0.5
"""Seconds between two notes of a process that trains."""
TOLERANCE = 1.5
"""Factor, in either direction, by which an estimate may be off before it is corrected."""
SETTLED = 20.0
"""Seconds since training began before which no estimate is corrected."""
WORTHWHILE = 60.0
"""Seconds that training must still take for an estimate to be corrected."""

_listener: Listener | None = None


def tell(epochs: int, of: int) -> None:
    """Say that so many epochs are done of so many. Loops call this; outside of a session nobody listens."""
    if _listener is not None:
        _listener(epochs, of)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have what is told passed on."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before


@dataclass(frozen=True)
class Planned:
    """A block of seeds that the session will train.

    Attributes:
        key: its name among the session's files.
        label: claim, arm and seeds.
        seconds: CPU time that it took when its baseline was recorded; None if it has none.
        elsewhere: whether that was on another processor or with other instructions than a session has now.
    """

    key: str
    label: str
    seconds: float | None
    elsewhere: bool = False


@dataclass(frozen=True)
class Collected:
    """A test of a claim that a session has collected.

    Attributes:
        nodeid: pytest's name of it.
        claim, scale: the claim's id, and the scale.
        selected: whether it is to run, as no -k or -m deselects it.
    """

    nodeid: str
    claim: str
    scale: str
    selected: bool


@dataclass(frozen=True)
class State:
    """Where a session stands.

    Attributes:
        share: of the expected time, done.
        running: label, epochs done and epochs in all of each block being trained.
    """

    share: float
    running: list[tuple[str, int, int]]


class Notes:
    """The files of a session that tell what is planned and what is going on.

    Args:
        folder: the session's own.
        trials: where finished blocks lie, if elsewhere.
    """

    def __init__(self, folder: Path, trials: Path | None = None):
        self.folder = folder
        self.trials = trials or folder
        self._own = folder / f"{os.getpid()}.now"
        self._times = folder / f"{os.getpid()}.times"

    def plan(self, blocks: list[Planned]) -> None:
        """Write down what the session will train; every process finds the same."""
        _replace(self.folder / "plan.json", [asdict(block) for block in blocks])

    def note_tests(self, tests: list[Collected]) -> None:
        """Write down which tests of claims there are; every process finds the same."""
        _replace(self.folder / "tests.json", [asdict(test) for test in tests])

    def tests(self) -> list[Collected]:
        """Return the tests of claims that have been collected; none as long as no process has."""
        return [Collected(**test) for test in _read(self.folder / "tests.json")]

    @contextmanager
    def training(self, key: str) -> Iterator[None]:
        """Note how far a block is while it is trained, and its CPU and wall seconds if it ends without an exception."""
        due = 0.0
        wall, cpu = time.monotonic(), time.process_time()

        def note(epochs: int, of: int) -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + INTERVAL
                _replace(self._own, [key, int(epochs), int(of)])

        try:
            with listening(note):
                yield
            taken = [key, time.process_time() - cpu, time.monotonic() - wall]
            _replace(self._times, [*_read(self._times), taken])
        finally:
            with suppress(OSError):
                self._own.unlink(missing_ok=True)

    def end(self) -> None:
        """Have no process begin what no test of its own needs."""
        with suppress(OSError):
            (self.folder / "ended").touch()

    @property
    def ended(self) -> bool:
        """Whether one has said so."""
        return (self.folder / "ended").exists()

    def planned(self) -> list[Planned]:
        """What the session will train; nothing as long as no process knows."""
        return [Planned(**block) for block in _read(self.folder / "plan.json") or []]

    def finished(self) -> set[str]:
        """The keys of blocks that are trained and stored."""
        return {path.stem for folder in (self.folder, self.trials) for path in folder.glob("*.npz")}

    def measured(self) -> dict[str, float]:
        """Return the wall seconds of each block that ended in this session, by its key."""
        times = [entry for path in sorted(self.folder.glob("*.times")) for entry in _read(path)]
        return {key: wall for key, _, wall in times}

    def state(self, plan: list[Planned]) -> State:
        """Where it stands now."""
        costs, shares, running = self._position(plan)
        done = sum(costs[key] * share for key, share in shares.items())
        # not above 1, as it may be by the rounding of two sums, at which tqdm warns
        return State(min(done / max(sum(costs.values()), 1e-9), 1.0), running)

    def left(self, plan: list[Planned], workers: int) -> float | None:
        """Return the wall seconds that training still takes on this machine; None before one of the blocks has ended.

        What blocks took in this session already shows that processes share cores.
        """
        if not self.measured().keys() & {block.key for block in plan}:
            return None
        costs, shares, _ = self._position(plan)
        rest = [cost * (1 - shares.get(key, 0.0)) for key, cost in costs.items()]
        return max(sum(rest) / workers, *rest)

    def _position(self, plan: list[Planned]) -> tuple[dict[str, float], dict[str, float], list[tuple[str, int, int]]]:
        """Return each block's cost, the share of each begun block that is done, and `State.running`."""
        measured = self.measured()
        costs, labels = _costs(plan, measured), {block.key: block.label for block in plan}
        ended = costs.keys() & (self.finished() | measured.keys())
        shares, running = dict.fromkeys(ended, 1.0), []
        for key, epochs, of in filter(None, map(_read, sorted(self.folder.glob("*.now")))):
            if key in costs and key not in ended:
                running.append((labels[key], epochs, of))
                shares[key] = min(epochs / max(of, 1), 1.0)
        return costs, shares, running


def _costs(plan: list[Planned], measured: dict[str, float]) -> dict[str, float]:
    """Return the seconds of each block on this machine, as far as the blocks that ended on it show them.

    Planned seconds are scaled by what ended blocks took, sum over sum. A block that no baseline timed counts as the
    mean of such blocks that ended here, or else as the mean of the timed ones.
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


def expected(plan: list[Planned]) -> float:
    """CPU seconds; blocks that were never timed are taken for usual ones. 0 if none was timed."""
    known = [block.seconds for block in plan if block.seconds is not None]
    return sum(known) / len(known) * len(plan) if known else 0.0


def expected_wall(plan: list[Planned], workers: int) -> float:
    """Return the wall seconds that training takes by the baselines' CPU seconds; 0 if no block was timed."""
    longest = max((block.seconds or 0 for block in plan), default=0)
    return max(expected(plan) / max(min(workers, os.cpu_count() or 1), 1), longest)


def estimate(plan: list[Planned], workers: int) -> str:
    """How long the session will train, in words; nothing if it cannot be told or is not worth telling."""
    seconds = expected_wall(plan, workers)
    if seconds < 20:
        return ""
    unknown = sum(block.seconds is None for block in plan)
    untimed = f" ({unknown} of {len(plan)} blocks were never timed)" if unknown else ""
    text = f"training takes about {_duration(seconds)}"
    if any(block.elsewhere and block.seconds is not None for block in plan):
        text += f" on the machine that recorded the baselines{untimed}"
        return f"{text}; the estimate is corrected for this one as blocks end"
    return text + untimed


def correction(elapsed: float, left: float, before: float) -> str:
    """Return the sentence that replaces an estimate that is far off; nothing if the estimate is good enough.

    Args:
        elapsed: seconds since training began.
        left: seconds that it still takes, from `Notes.left`.
        before: the last estimate of all seconds; 0 if there was none.
    """
    total = elapsed + left
    if left < WORTHWHILE or before / TOLERANCE <= total <= before * TOLERANCE:
        return ""
    expected = f" ({_duration(before)} were expected)" if before else ""
    return f"training takes about {_duration(total)} on this machine, {_duration(left)} of them left{expected}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _replace(path: Path, content: object) -> None:
    """Write whole or not at all; what cannot be written is only not shown."""
    part = path.with_suffix(f".{os.getpid()}")
    try:
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _read(path: Path) -> list[Any]:
    try:
        content: list[Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return content
