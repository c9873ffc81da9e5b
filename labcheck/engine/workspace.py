"""A session's folder for what its processes share: removed with the session, or, if that is killed, by a later one."""

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # not on Windows, where no folder is recognized as abandoned
    fcntl = None  # type: ignore[assignment]

PREFIX = "labcheck-"
OWNER = "owner.lock"
YOUNG = 60.0
"""Seconds in which a folder may not have its lock yet."""


class Workspace:
    """A new temporary folder, which stays locked as long as its process lives.

    Attributes:
        folder: its path.
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
            if time.time() - owner.stat().st_mtime > YOUNG:
                with owner.open("r+") as file:
                    if _lock(file):
                        shutil.rmtree(folder, ignore_errors=True)


def _lock(file: TextIO) -> bool:
    """Whether this process could lock a file, which it then has until it closes it."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
