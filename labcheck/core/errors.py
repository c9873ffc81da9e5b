"""Messages about errors that user code raises."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def line(error: BaseException) -> str:
    """Return the type and message of an error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_own(file: str | Path) -> bool:
    """Return whether a file belongs to labcheck, whose calls are left out of the tracebacks of user code."""
    return Path(file).is_relative_to(PACKAGE)
