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
    """

    key: str
    label: str
    seconds: float | None


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

    def plan(self, blocks: list[Planned]) -> None:
        """Write down what the session will train; every process finds the same."""
        _replace(self.folder / "plan.json", [asdict(block) for block in blocks])

    @contextmanager
    def training(self, key: str) -> Iterator[None]:
        """Note, while a block is trained, how far it is."""
        due = 0.0

        def note(epochs: int, of: int) -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + INTERVAL
                _replace(self._own, [key, int(epochs), int(of)])

        try:
            with listening(note):
                yield
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
        return {path.stem for path in self.trials.glob("*.npz")}

    def state(self, plan: list[Planned]) -> State:
        """Where it stands now."""
        usual = expected(plan) / max(len(plan), 1) or 1.0
        costs = {block.key: usual if block.seconds is None else block.seconds for block in plan}
        labels = {block.key: block.label for block in plan}
        finished = costs.keys() & self.finished()
        done = sum(costs[key] for key in finished)
        running = []
        for key, epochs, of in filter(None, map(_read, sorted(self.folder.glob("*.now")))):
            if key in costs and key not in finished:
                running.append((labels[key], epochs, of))
                done += costs[key] * min(epochs / max(of, 1), 1)
        # not above 1, as it may be by the rounding of two sums, at which tqdm warns
        return State(min(done / max(sum(costs.values()), 1e-9), 1.0), running)


def expected(plan: list[Planned]) -> float:
    """CPU seconds; blocks that were never timed are taken for usual ones. 0 if none was timed."""
    known = [block.seconds for block in plan if block.seconds is not None]
    return sum(known) / len(known) * len(plan) if known else 0.0


def estimate(plan: list[Planned], workers: int) -> str:
    """How long the session will train, in words; nothing if it cannot be told or is not worth telling."""
    longest = max((block.seconds or 0 for block in plan), default=0)
    seconds = max(expected(plan) / max(min(workers, os.cpu_count() or 1), 1), longest)
    if seconds < 20:
        return ""
    unknown = sum(block.seconds is None for block in plan)
    told = f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
    return f"training takes {told}" + (f" ({unknown} of {len(plan)} blocks were never timed)" if unknown else "")


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
