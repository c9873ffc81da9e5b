"""Trials of a session: each block of seeds is trained once, whichever tests and workers ask for it."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from labcheck import environment
from labcheck.labs.lab import Lab
from labcheck.metrics import Trials
from labcheck.progress import Notes


@dataclass(frozen=True)
class Block:
    """The seeds index · stack to (index + 1) · stack of an arm: what is trained and stored as one piece."""

    lab: Lab
    index: int
    device: str

    @property
    def key(self) -> str:
        """A file name of its own. A lab's repr tells all its settings."""
        text = f"{type(self.lab).__module__} {self.lab!r} {self.index} {self.device}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def train(self) -> Trials:
        """Train its seeds side by side, in a process that is pinned."""
        start = self.index * self.lab.stack
        return self.lab.train(range(start, start + self.lab.stack), self.device)


def blocks(lab: Lab, seeds: int, device: str) -> list[Block]:
    """Those that hold an arm's first seeds; always whole ones, since a value may depend on the block's other seeds."""
    return [Block(lab, index, device) for index in range(-(-seeds // lab.stack))]


class TrialStore:
    """Trained blocks in a folder that the workers of a session share.

    A worker that needs a block which another one is training does not wait: it trains one of those that the session
    will need later.
    """

    def __init__(self, folder: Path):
        """folder exists, and is this session's own."""
        self.folder = folder
        self.notes = Notes(folder)
        self._loaded: dict[Block, tuple[Trials, float]] = {}
        self._ahead: list[Block] = []
        self.problem = ""

    def expect(self, blocks: Iterable[Block]) -> None:
        """Blocks that this session will need, in the order of need."""
        self._ahead = list(dict.fromkeys(blocks))

    def trials(self, lab: Lab, seeds: int, device: str) -> Trials:
        """An arm's first seeds, trained now unless they have been in this session."""
        return Trials.join([self._get(block)[0] for block in blocks(lab, seeds, device)]).first(seeds)

    def seconds(self, lab: Lab, seeds: int, device: str) -> float:
        """The CPU seconds that training them took."""
        return sum(self._get(block)[1] for block in blocks(lab, seeds, device))

    def _get(self, block: Block) -> tuple[Trials, float]:
        while block not in self._loaded:
            if not self._obtain(block) and not self._obtain_another():
                self._obtain(block, wait=-1)
        return self._loaded[block]

    def _obtain(self, block: Block, wait: float = 0) -> bool:
        """Load a block, or train and store it; False if another worker is at it for longer than `wait` seconds."""
        path = self.folder / f"{block.key}.npz"
        try:
            with FileLock(path.with_suffix(".lock"), timeout=wait):
                if path.exists():
                    self._loaded[block] = _load(path)
                else:
                    self._loaded[block] = self._train(block)
                    self._share(*self._loaded[block], path)
        except Timeout:
            return False
        return True

    def _train(self, block: Block) -> tuple[Trials, float]:
        environment.pin()  # before the clock starts: it imports torch
        start = time.process_time()
        with self.notes.training(block.key):
            trials = block.train()
        return trials, time.process_time() - start

    def _obtain_another(self) -> bool:
        """The same for the next block of the session that can be had at once; False if there is none."""
        while self._ahead:
            block = self._ahead.pop(0)
            if block in self._loaded:
                continue
            try:
                if self._obtain(block):
                    return True
            except Exception:
                continue  # the test that needs this block will meet the error again, and report it
        return False

    def _share(self, trials: Trials, seconds: float, path: Path) -> None:
        """Write whole or not at all. A full disk costs the sharing, not the result: it stays in this process."""
        arrays: dict[str, NDArray[Any]] = {f"metric {name}": array for name, array in trials.metrics.items()}
        arrays |= {f"curve {name}": array for name, array in trials.curves.items()}
        arrays |= {f"table {name}": array for name, array in trials.tables.items()}
        arrays |= {} if trials.recorded is None else {"recorded": trials.recorded}
        arrays["seconds"] = np.array(seconds)
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            self.problem = f"trials could not be shared, free some space: {error}"


def _load(path: Path) -> tuple[Trials, float]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name.partition(" ")[::2]: file[name] for name in file.files}
    recorded, seconds = arrays.pop(("recorded", ""), None), float(arrays.pop(("seconds", "")))
    metrics, curves, tables = (
        {name: array for (kind, name), array in arrays.items() if kind == part} for part in ("metric", "curve", "table")
    )
    return Trials(metrics, curves, recorded, tables), seconds
