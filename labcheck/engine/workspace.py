"""The temporary folder that the processes of a session share."""

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # not on Windows, where abandoned folders are not recognized
    fcntl = None  # type: ignore[assignment]

PREFIX = "labcheck-"
OWNER = "owner.lock"
LOCK_DELAY = 60.0
"""Seconds within which a new folder may not be locked yet."""


class Workspace:
    """A new temporary folder, which is locked as long as its process lives.

    It is removed with the session, or by a later session if the process is killed.

    Attributes:
        folder: The path of the folder.
    """

    def __init__(self) -> None:
        remove_abandoned()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._owner = (self.folder / OWNER).open("w")
        _lock(self._owner)

    def close(self) -> None:
        """Remove the folder."""
        self._owner.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove the folders of sessions whose process was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            owner = folder / OWNER
            if time.time() - owner.stat().st_mtime > LOCK_DELAY:
                with owner.open("r+") as file:
                    if _lock(file):
                        shutil.rmtree(folder, ignore_errors=True)


def _lock(file: TextIO) -> bool:
    """Lock a file until it is closed, and return whether that was possible."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
