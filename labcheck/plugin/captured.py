"""What trainings print: pytest captures it, and a failing test shows its end only if a training raised."""

from __future__ import annotations

from collections.abc import Sequence

MAX_LINES = 20
"""The number of lines of output that a failing test shows."""

Sections = Sequence[tuple[str, str]]
"""The titles and texts of a report."""


def shown(sections: Sections, error: BaseException) -> list[tuple[str, str]]:
    """Return the sections of a report that help to understand why a test of a claim failed.

    Drift and a wrong return value are described by their messages, below which the output of many trainings would be
    noise. If a training raised, the last lines of its output may show why.

    Args:
        sections: The sections of the report, as pytest captured them.
        error: The exception with which the test failed.
    """
    from labcheck.engine.checks import CheckFailedError
    from labcheck.engine.session import NotMeasuredError

    if isinstance(error, CheckFailedError) or (isinstance(error, NotMeasuredError) and not error.traceback):
        return [(title, text) for title, text in sections if not _is_of_training(title)]
    return [(title, _end(text) if _is_of_training(title) else text) for title, text in sections]


def _is_of_training(title: str) -> bool:
    return title.startswith("Captured ") and title.endswith(" call")


def _end(text: str) -> str:
    """Return the last lines of an output; of a progress bar, which overwrites itself, the last state."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip("\n").split("\n")]
    omitted = len(lines) - MAX_LINES
    return "\n".join([f"({omitted} earlier lines are left out)", *lines[-MAX_LINES:]] if omitted > 0 else lines)
