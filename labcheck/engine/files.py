"""Files that are there whole or not at all, and values that any process and file can take."""

import os
from pathlib import Path
from typing import Any


def write(file: Path, content: str | bytes) -> Path:
    """Write a file; what it was before stays until all of it is written.

    Raises:
        OSError: it cannot be written.
    """
    part = file.with_suffix(".part")
    try:
        with part.open("wb") as stream:
            stream.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except BaseException:  # a keyboard interrupt too
        part.unlink(missing_ok=True)
        raise
    return file


def portable(value: Any) -> Any:
    """Return a value made of what JSON and every process know: dicts, lists, texts in UTF-8, numbers of Python.

    A lone surrogate, as in a file name that is no UTF-8, is written with a backslash; anything unknown is text.
    """
    if isinstance(value, str):
        return str(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {portable(str(key)): portable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [portable(part) for part in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return portable(value.item()) if hasattr(value, "item") else portable(repr(value))
