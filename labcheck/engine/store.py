"""Trials: each block of seeds is trained once, whichever tests and workers, and if wanted sessions, ask for it."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import StackSummary, TracebackException
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from labcheck.core.errors import is_own, line
from labcheck.core.lab import Lab
from labcheck.core.metrics import MetricError, Trials
from labcheck.data import DataError
from labcheck.engine import files, results
from labcheck.engine.progress import Notes
from labcheck.engine.provenance import Provenance


@dataclass(frozen=True)
class Block:
    """The seeds index · stack to (index + 1) · stack of an arm: what is trained and stored as one piece."""

    lab: Lab
    index: int
    device: str

    @property
    def seeds(self) -> range:
        """The seeds of this block."""
        return range(self.index * self.lab.stack, (self.index + 1) * self.lab.stack)

    def __str__(self) -> str:
        first, last = self.seeds[0], self.seeds[-1]
        return f"seed {first}" if first == last else f"seeds {first}-{last}"


def blocks(lab: Lab, seeds: int, device: str) -> list[Block]:
    """Return those that hold an arm's first seeds; whole ones, since a value may depend on the block's other seeds."""
    return [Block(lab, index, device) for index in range(-(-seeds // lab.stack))]


class TrainingError(Exception):
    """Seeds that could not be trained.

    Args:
        seeds: which ones, in words.
        reason: one line.
        traceback: through the lab's own code; "" where the line says all.
    """

    def __init__(self, seeds: str, reason: str, traceback: str = ""):
        super().__init__(f"{seeds}: {reason}")
        self.seeds, self.reason, self.traceback = seeds, reason, traceback

    @staticmethod
    def of(error: Exception, seeds: str) -> "TrainingError":
        """Return what an error in the training of these seeds comes to."""
        if isinstance(error, results.ResultError | MetricError | DataError):
            return TrainingError(seeds, " ".join(str(error).split()))
        return TrainingError(seeds, line(error), _traceback(error))


class TrialStore:
    """Trained blocks in a folder that the workers of a session share.

    A worker that needs a block which another one is training does not wait: it trains one of those that an unfinished
    test of the session will need later. So does one whose tests are done. A block that cannot be trained is not tried
    again in the session, unless a test that has met its error runs once more; one whose test or process ended in the
    middle, as its time was over, only by a test that needs it.

    Args:
        session: a folder that exists, and is this session's own.
        lasting: one that outlasts it, if trials are to be resumed: blocks are then found again by whatever their
            results depend on, and not by their settings alone.

    Attributes:
        problem: why trials cannot be shared, if they cannot; they stay in this process then.
    """

    def __init__(self, session: Path, lasting: Path | None = None):
        self.folder, self.lasting = session, lasting
        self.notes = Notes(session, lasting)
        self.provenance = Provenance()
        self._loaded: dict[str, tuple[Trials, float]] = {}
        self._ahead: dict[Block, Collection[str]] = {}
        self.problem = ""

    def key(self, block: Block) -> str:
        """Return a file name of its own."""
        text = self.provenance.key(block.lab, block.device, self._lasts(block.lab))
        return hashlib.sha256(f"{text} {block.index}".encode()).hexdigest()[:24]

    def _lasts(self, lab: Lab) -> bool:
        return self.lasting is not None and self.provenance.resumable(lab)

    def _path(self, block: Block) -> Path:
        folder = self.lasting if self.lasting is not None and self._lasts(block.lab) else self.folder
        return folder / f"{self.key(block)}.npz"

    def _failed(self, block: Block) -> Path:
        return self.folder / f"{self.key(block)}.failed"

    def expect(self, needs: Mapping[Block, Collection[str]]) -> None:
        """Announce the blocks of this session, each with the tests that need it; the first are trained ahead first."""
        self._ahead = dict(needs)

    def finish(self, test: str) -> None:
        """Note, for all processes, that a test needs nothing more."""
        with suppress(OSError):
            self._finished(test).touch()

    def _finished(self, test: str) -> Path:
        return self.folder / f"{hashlib.sha256(test.encode()).hexdigest()[:24]}.finished"

    def retry(self, blocks: Iterable[Block]) -> None:
        """Forget that blocks could not be trained, as they are now, or as a test that has met this runs once more."""
        for block in blocks:
            with suppress(OSError):
                self._failed(block).unlink(missing_ok=True)

    def train_ahead(self) -> None:
        """Train those that nobody is at, until none is left, the session ends, or what is trained cannot be shared."""
        while not self.problem and not self.notes.ended and self._obtain_another():
            pass

    def trials(self, lab: Lab, seeds: int, device: str) -> Trials:
        """Return an arm's first seeds, trained now unless they have been in this session.

        Raises:
            TrainingError: they cannot be trained.
            MetricError: blocks of them measured different things.
        """
        return Trials.join([self._get(block)[0] for block in blocks(lab, seeds, device)]).first(seeds)

    def seconds(self, lab: Lab, seeds: int, device: str) -> float:
        """Return the CPU seconds that training them took."""
        return sum(self._get(block)[1] for block in blocks(lab, seeds, device))

    def _get(self, block: Block) -> tuple[Trials, float]:
        self._ahead.pop(block, None)
        key = self.key(block)
        while key not in self._loaded:
            if not self._obtain(block) and not self._obtain_another():
                self._obtain(block, wait=-1)
        return self._loaded[key]

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
            self._loaded[self.key(block)] = self._train(block)
            return True
        try:
            stored = _load(path)
            self._loaded[self.key(block)] = loaded = stored or self._train(block)
            if not stored:
                self._share(*loaded, path)
        finally:
            lock.release()
        return True

    def _train(self, block: Block) -> tuple[Trials, float]:
        failed = self._failed(block)
        if (failure := _read(failed)) is not None:
            raise TrainingError(*failure)
        with suppress(OSError):
            failed.touch()  # without a reason until it is trained: if its test or process ends, nobody trains it ahead
        try:
            with self.notes.training(self.key(block)):
                start = time.process_time()
                trials = results.train(block.lab, block.seeds, block.device)
                seconds = time.process_time() - start
        except Exception as error:
            found = TrainingError.of(error, str(block))
            with suppress(OSError):
                files.write(failed, json.dumps([found.seeds, found.reason, found.traceback]))
            raise found from error
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            self.retry([block])
            raise
        self.retry([block])
        return trials, seconds

    def _obtain_another(self) -> bool:
        """Train and store the next block that an unfinished test needs and nobody has begun; False if there is none."""
        while self._ahead:
            block, tests = next(iter(self._ahead.items()))
            del self._ahead[block]
            unneeded = all(self._finished(test).exists() for test in tests)
            if unneeded or self._path(block).exists() or self._failed(block).exists():
                continue
            try:
                if self._obtain(block):
                    return True
            except TrainingError:
                continue  # the test that needs this block will meet the error again, and report it
        return False

    def _share(self, trials: Trials, seconds: float, path: Path) -> None:
        """Write whole or not at all. A full disk costs the sharing, not the result: it stays in this process."""
        arrays: dict[str, NDArray[Any]] = {f"metric {name}": array for name, array in trials.metrics.items()}
        arrays |= {f"curve {name}": array for name, array in trials.curves.items()}
        arrays |= {f"table {name}": array for name, array in trials.tables.items()}
        arrays |= {} if trials.recorded is None else {"recorded": trials.recorded}
        arrays["seconds"] = np.array(seconds)
        arrays["diverged"] = np.array(json.dumps(trials.diverged))
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        try:
            files.write(path, content.getvalue())
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        self.problem = f"trials could not be shared, free some space in {self.lasting or self.folder}: {error}"


def _load(path: Path) -> tuple[Trials, float] | None:
    """A stored block; None if there is none, or none that is whole."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:  # NumPy leaves a broken file open
            arrays = {name.partition(" ")[::2]: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        return None
    recorded, seconds = arrays.pop(("recorded", ""), None), float(arrays.pop(("seconds", "")))
    diverged = json.loads(str(arrays.pop(("diverged", ""))))
    metrics, curves, tables = (
        {name: array for (kind, name), array in arrays.items() if kind == part} for part in ("metric", "curve", "table")
    )
    return Trials(metrics, curves, recorded, tables, {int(seed): error for seed, error in diverged.items()}), seconds


def _read(file: Path) -> tuple[str, str, str] | None:
    """Why a block could not be trained, if it could not."""
    try:
        seeds, reason, traceback = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return seeds, reason, traceback


def _traceback(error: BaseException) -> str:
    """An error's traceback from the lab's own code on; whole where all of it is labcheck's."""
    whole = TracebackException.from_exception(error)
    own = [frame for frame in whole.stack if not is_own(frame.filename)]
    if own:
        whole.stack = StackSummary.from_list(own)
    return "".join(whole.format())
