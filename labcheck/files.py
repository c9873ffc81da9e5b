"""Files that are there whole or not at all."""

import os
from pathlib import Path


def write(file: Path, content: str | bytes) -> Path:
    """Write a file; what it was before stays until all of it is written.

    Raises:
        OSError: it cannot be written.
    """
    part = file.with_suffix(".part")
    try:
        with part.open("wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except BaseException:  # a keyboard interrupt too
        part.unlink(missing_ok=True)
        raise
    return file
