"""The store of trials: each block of seeds is trained once, however many tests, workers or sessions need it."""

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
from labcheck.core.trials import MetricError, Trials
from labcheck.data import DataError
from labcheck.engine import results
from labcheck.engine.files import write_atomically
from labcheck.engine.progress import ProgressFiles
from labcheck.engine.provenance import Provenance


@dataclass(frozen=True)
class Block:
    """The seeds index · stack to (index + 1) · stack of a lab, which are trained and stored together.

    Attributes:
        lab: The lab.
        index: The number of the block.
        device: "cpu", "cuda" or "cuda:<i>".
    """

    lab: Lab
    index: int
    device: str

    @property
    def seeds(self) -> range:
        """The seeds of the block."""
        size = self.lab.stack(self.device)
        return range(self.index * size, (self.index + 1) * size)

    def __str__(self) -> str:
        first, last = self.seeds[0], self.seeds[-1]
        return f"seed {first}" if first == last else f"seeds {first}-{last}"


def blocks(lab: Lab, seeds: range, device: str) -> list[Block]:
    """Return the blocks that contain these seeds; whole ones, since a value may depend on the other seeds."""
    size = lab.stack(device)
    first, stop = seeds.start // size, -(-seeds.stop // size)
    return [Block(lab, index, device) for index in range(first, stop)]


class TrainingError(Exception):
    """Seeds that could not be trained.

    Args:
        seeds: A description of the seeds, such as "seeds 0-19".
        reason: The reason in one line.
        traceback: The traceback within the lab's own code; "" if the reason is sufficient.
    """

    def __init__(self, seeds: str, reason: str, traceback: str = ""):
        super().__init__(f"{seeds}: {reason}")
        self.seeds, self.reason, self.traceback = seeds, reason, traceback

    @staticmethod
    def of(error: Exception, seeds: str) -> "TrainingError":
        """Return the error that describes an exception during the training of these seeds."""
        if isinstance(error, results.ResultError | MetricError | DataError):
            return TrainingError(seeds, " ".join(str(error).split()))
        return TrainingError(seeds, line(error), _traceback(error))


class TrialStore:
    """Trained blocks in a folder that the workers of a session share.

    A worker that needs a block that another worker is training does not wait: it trains another block that an
    unfinished test of the session may need. A worker whose tests are done does the same. A block that could not be
    trained is not tried again in the session, unless a test that failed because of it runs again. A block whose test or
    process ended during its training, such as by a timeout, is trained again only by a test that needs it.

    Args:
        session: The folder of the session.
        lasting: A folder that outlasts the session, if trials are to be kept for later sessions. Blocks are then
            identified by everything that their results depend on, instead of by their settings alone.
        shared: Whether there are other processes. Otherwise blocks that do not last remain in this process.

    Attributes:
        problem: The reason why trials cannot be shared; "" if they can. They remain in this process then.
    """

    def __init__(self, session: Path, lasting: Path | None = None, *, shared: bool = True):
        self.folder, self.lasting, self.shared = session, lasting, shared
        self.progress = ProgressFiles(session, lasting)
        self.provenance = Provenance()
        self._loaded: dict[str, tuple[Trials, float]] = {}
        self._ahead: dict[Block, Collection[str]] = {}
        self.problem = ""

    def key(self, block: Block) -> str:
        """Return the name of a block's file, without its suffix."""
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
        """Announce the blocks of this session, each with the tests and looks that may need it, in order of training."""
        self._ahead = dict(needs)

    def retry(self, blocks: Iterable[Block]) -> None:
        """Forget that blocks could not be trained."""
        for block in blocks:
            with suppress(OSError):
                self._failed(block).unlink(missing_ok=True)

    def train_ahead(self) -> None:
        """Train announced blocks that no worker is training, until none remains, the session ends or sharing fails."""
        while not self.problem and not self.progress.ended and self._obtain_another():
            pass

    def trials(self, lab: Lab, seeds: range, device: str) -> Trials:
        """Return the trials of these seeds of a lab, which are trained now unless they are stored.

        Raises:
            TrainingError: A block cannot be trained.
            MetricError: Blocks provide different metrics.
        """
        needed = blocks(lab, seeds, device)
        before = seeds.start - needed[0].seeds.start
        return Trials.join([self._get(block)[0] for block in needed]).rows(before, before + len(seeds))

    def seconds(self, lab: Lab, seeds: range, device: str) -> float:
        """Return the CPU seconds that training the blocks of these seeds took."""
        return sum(self._get(block)[1] for block in blocks(lab, seeds, device))

    def _get(self, block: Block) -> tuple[Trials, float]:
        self._ahead.pop(block, None)
        key = self.key(block)
        while key not in self._loaded:
            if not self._obtain(block) and not self._obtain_another():
                self._obtain(block, wait=-1)
        return self._loaded[key]

    def _obtain(self, block: Block, wait: float = 0) -> bool:
        """Load a block, or train and store it; return False if another worker holds it for more than `wait` seconds."""
        if not (self.shared or self._lasts(block.lab)):
            self._loaded[self.key(block)] = self._train(block)
            return True
        path = self._path(block)
        # for files that others may write, filelock tests the file system each time, as long as a short training takes
        lock = FileLock(path.with_suffix(".lock"), timeout=wait, mode=0o644)
        try:
            lock.acquire()
        except Timeout:
            return False
        except OSError as error:
            self._report_problem(error)
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
        if (recorded := _read(failed)) is not None:
            raise TrainingError(*recorded)
        if self.shared:
            with suppress(OSError):
                failed.touch()  # if its test or process ends now, no other worker trains it ahead
        try:
            with self.progress.training(self.key(block)):
                start = time.process_time()
                trials = results.train(block.lab, block.seeds, block.device)
                seconds = time.process_time() - start
        except Exception as error:
            failure = TrainingError.of(error, str(block))
            with suppress(OSError):
                write_atomically(failed, json.dumps([failure.seeds, failure.reason, failure.traceback]))
            raise failure from error
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            self.retry([block])
            raise
        self.retry([block])
        return trials, seconds

    def _obtain_another(self) -> bool:
        """Train and store the next block that may still be needed and that no worker holds; False if there is none."""
        while self._ahead:
            block, needs = next(iter(self._ahead.items()))
            del self._ahead[block]
            unneeded = all(map(self.progress.is_finished, needs))
            if unneeded or self._path(block).exists() or self._failed(block).exists():
                continue
            try:
                if self._obtain(block):
                    return True
            except TrainingError:
                continue  # the test that needs this block reports it
        return False

    def _share(self, trials: Trials, seconds: float, path: Path) -> None:
        """Store a block for the other processes. If that fails, it remains in this process."""
        arrays: dict[str, NDArray[Any]] = {f"metric {name}": array for name, array in trials.metrics.items()}
        arrays |= {f"curve {name}": array for name, array in trials.curves.items()}
        arrays |= {f"table {name}": array for name, array in trials.tables.items()}
        arrays |= {} if trials.recorded is None else {"recorded": trials.recorded}
        arrays["seconds"] = np.array(seconds)
        arrays["diverged"] = np.array(json.dumps(trials.diverged))
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        try:
            write_atomically(path, content.getvalue(), durable=path.parent == self.lasting)
        except OSError as error:
            self._report_problem(error)

    def _report_problem(self, error: OSError) -> None:
        self.problem = f"trials could not be shared: {error}; free some space in {self.lasting or self.folder}"


def _load(path: Path) -> tuple[Trials, float] | None:
    """Return a stored block; None if there is none, or if it is incomplete."""
    try:
        # opened here, since NumPy does not close a broken file
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name.partition(" ")[::2]: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        return None
    recorded, seconds = arrays.pop(("recorded", ""), None), float(arrays.pop(("seconds", "")))
    diverged = json.loads(str(arrays.pop(("diverged", ""))))
    metrics, curves, tables = (
        {name: array for (kind, name), array in arrays.items() if kind == expected}
        for expected in ("metric", "curve", "table")
    )
    return Trials(metrics, curves, recorded, tables, {int(seed): error for seed, error in diverged.items()}), seconds


def _read(file: Path) -> tuple[str, str, str] | None:
    """Return the arguments of the TrainingError that a file records; None if it records none."""
    try:
        seeds, reason, traceback = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return seeds, reason, traceback


def _traceback(error: BaseException) -> str:
    """Return an error's traceback without labcheck's own frames, unless there are no others."""
    whole = TracebackException.from_exception(error)
    frames = [frame for frame in whole.stack if not is_own(frame.filename)]
    if frames:
        whole.stack = StackSummary.from_list(frames)
    return "".join(whole.format())
