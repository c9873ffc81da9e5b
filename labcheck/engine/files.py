"""Atomic writing of files, and values that JSON and any process can represent."""

import os
from pathlib import Path
from typing import Any


def write_atomically(file: Path, content: str | bytes, *, durable: bool = True) -> Path:
    """Write a file, which keeps its previous content until all of the new one is written.

    Args:
        file: The file.
        content: Bytes, or text that is written as UTF-8.
        durable: Whether the content must survive a crash of the machine.

    Raises:
        OSError: The file cannot be written.
    """
    temporary = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:  # a keyboard interrupt too
        temporary.unlink(missing_ok=True)
        raise
    return file


def portable(value: Any) -> Any:
    """Return a value made of dicts, lists, numbers and UTF-8 strings, which JSON and any process can represent.

    A lone surrogate, as in a file name that is not UTF-8, is escaped; a value of any other type becomes its `repr`.
    """
    if isinstance(value, str):
        return str(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {portable(str(key)): portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return portable(value.item()) if hasattr(value, "item") else portable(repr(value))
