"""Errors that other people's code raises, as messages show them."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def line(error: BaseException) -> str:
    """Return an error's type and text in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_own(file: str | Path) -> bool:
    """Return whether a file is labcheck's: calls in it say nothing to whoever wrote the code that they run."""
    return Path(file).is_relative_to(PACKAGE)
