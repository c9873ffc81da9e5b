"""Messages about errors that user code raises."""

import re
from collections.abc import Container
from pathlib import Path
from types import TracebackType

GENERATED = ("dataclasses", "inspect", "typing")
"""Modules of the standard library between a user's call and the function of labcheck that refuses it."""
CALLED = re.compile(r"(\w+)(?:\.__init__|\.__new__)?\(\) ")
"""The start of Python's message about arguments that do not fit a function."""

PACKAGE = Path(__file__).parents[1]


def line(error: BaseException) -> str:
    """Return the type and message of an error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def refused_call(
    error: BaseException, public: Container[str], kinds: tuple[type[Exception], ...] = (TypeError, ValueError)
) -> tuple[str, int] | None:
    """Return the file and line of the user's call that labcheck refused with an error; None if it did not.

    Args:
        error: The error, with its traceback.
        public: The names of labcheck's functions and classes, which may not fit the arguments of a call.
        kinds: The exceptions by which labcheck refuses arguments.
    """
    if not isinstance(error, kinds) or isinstance(error, UnicodeError):
        return None
    place, refused = None, False
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        code, module = traceback.tb_frame.f_code, str(traceback.tb_frame.f_globals.get("__name__"))
        if is_own(code.co_filename):
            refused = place is not None
        elif module.partition(".")[0] in ("_pytest", "pluggy"):
            place, refused = None, False
        elif not (code.co_filename == "<string>" or module in GENERATED):
            place, refused = (code.co_filename, traceback.tb_lineno), False
        traceback = traceback.tb_next
    match = CALLED.match(str(error)) if isinstance(error, TypeError) else None
    return place if refused or (match and match[1] in public) else None


def is_own(file: str | Path) -> bool:
    """Return whether a file belongs to labcheck, whose calls are left out of the tracebacks of user code."""
    return Path(file).is_relative_to(PACKAGE)
