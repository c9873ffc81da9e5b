"""Trials: each block of seeds is trained once, whichever tests and workers, and if wanted sessions, ask for it."""

import hashlib
import io
import os
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from labcheck import environment, files, sources
from labcheck.labs.lab import Lab
from labcheck.metrics import Trials
from labcheck.progress import Notes


@dataclass(frozen=True)
class Block:
    """The seeds index · stack to (index + 1) · stack of an arm: what is trained and stored as one piece."""

    lab: Lab
    index: int
    device: str

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
    will need later. So does one whose tests are done.

    Args:
        session: a folder that exists, and is this session's own.
        lasting: one that outlasts it, if trials shall: blocks are then found again by whatever their results depend on,
            and not by their settings alone.

    Attributes:
        problem: why trials cannot be shared, if they cannot; they stay in this process then.
    """

    def __init__(self, session: Path, lasting: Path | None = None):
        self.folder = lasting or session
        self.notes = Notes(session, lasting)
        self.lasting = lasting is not None
        self._keys: dict[tuple[Lab, str], str] = {}
        self._loaded: dict[Block, tuple[Trials, float]] = {}
        self._ahead: dict[Block, None] = {}
        self.problem = ""

    def key(self, block: Block) -> str:
        """A file name of its own."""
        of = block.lab, block.device
        if of not in self._keys:
            self._keys[of] = self._key(*of)
        return hashlib.sha256(f"{self._keys[of]} {block.index}".encode()).hexdigest()[:24]

    def _path(self, block: Block) -> Path:
        return self.folder / f"{self.key(block)}.npz"

    def _key(self, lab: Lab, device: str) -> str:
        """A lab's repr tells all its settings; one with an address in it is another in each process."""
        module, settings = type(lab).__module__, repr(lab)
        text = f"{module} {settings} {device}"
        if self.lasting:
            text += f" {sources.digest(module, __name__)} {lab.data()} "
            text += str(environment.fingerprint(device, lab.precision(device)))
            text += f" {os.getpid()} {time.time_ns()}" if " at 0x" in settings else ""
        return text

    def expect(self, blocks: Iterable[Block]) -> None:
        """Blocks that this session will need; those that come first are trained ahead first."""
        self._ahead = dict.fromkeys(blocks)

    def train_ahead(self) -> None:
        """Train those that nobody is at, until none is left, the session ends, or what is trained cannot be shared."""
        while not self.problem and not self.notes.ended and self._obtain_another():
            pass

    def trials(self, lab: Lab, seeds: int, device: str) -> Trials:
        """An arm's first seeds, trained now unless they have been in this session."""
        return Trials.join([self._get(block)[0] for block in blocks(lab, seeds, device)]).first(seeds)

    def seconds(self, lab: Lab, seeds: int, device: str) -> float:
        """The CPU seconds that training them took."""
        return sum(self._get(block)[1] for block in blocks(lab, seeds, device))

    def _get(self, block: Block) -> tuple[Trials, float]:
        self._ahead.pop(block, None)
        while block not in self._loaded:
            if not self._obtain(block) and not self._obtain_another():
                self._obtain(block, wait=-1)
        return self._loaded[block]

    def _obtain(self, block: Block, wait: float = 0) -> bool:
        """Load a block, or train and store it; False if another worker is at it for longer than `wait` seconds."""
        path = self._path(block)
        lock = FileLock(path.with_suffix(".lock"), timeout=wait)
        try:
            lock.acquire()
        except Timeout:
            return False
        except OSError as error:
            self._complain(error)
            self._loaded[block] = self._train(block)
            return True
        try:
            stored = _load(path)
            self._loaded[block] = stored or self._train(block)
            if not stored:
                self._share(*self._loaded[block], path)
        finally:
            lock.release()
        return True

    def _train(self, block: Block) -> tuple[Trials, float]:
        environment.pin(block.device)  # before the clock starts: it imports torch
        start = time.process_time()
        with self.notes.training(self.key(block)):
            trials = block.train()
        return trials, time.process_time() - start

    def _obtain_another(self) -> bool:
        """Train and store the next block of the session that nobody has begun; False if there is none."""
        while self._ahead:
            block = next(iter(self._ahead))
            del self._ahead[block]
            if self._path(block).exists():
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
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        try:
            files.write(path, content.getvalue())
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        self.problem = f"trials could not be shared, free some space in {self.folder}: {error}"


def _load(path: Path) -> tuple[Trials, float] | None:
    """A stored block; None if there is none, or none that is whole."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:  # NumPy leaves a broken file open
            arrays = {name.partition(" ")[::2]: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        return None
    recorded, seconds = arrays.pop(("recorded", ""), None), float(arrays.pop(("seconds", "")))
    metrics, curves, tables = (
        {name: array for (kind, name), array in arrays.items() if kind == part} for part in ("metric", "curve", "table")
    )
    return Trials(metrics, curves, recorded, tables), seconds
