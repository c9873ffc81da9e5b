"""`python -m labcheck`: what is done with reports that have been written."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from labcheck.report import comparison


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0; 1 where two reports differ; 2 where a file cannot be read or written.
    """
    parser = argparse.ArgumentParser(prog="python -m labcheck", description="Reports of claims that have been checked.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    page = commands.add_parser("render", help="write report.html from a report.json")
    page.add_argument("report", type=Path, metavar="report.json")
    page.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="where to (default: beside it)")
    page.set_defaults(run=_render)
    both = commands.add_parser(
        "compare", help="which verdicts and which arms differ between two reports; 1 if any does"
    )
    both.add_argument("old", type=Path, metavar="a.json")
    both.add_argument("new", type=Path, metavar="b.json")
    both.set_defaults(run=_compare)
    told = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may have no arrows; exit status 1 means "moved"
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(told.run(told))
    except comparison.ReportError as error:
        print(f"labcheck: {error}", file=sys.stderr)
    except OSError as error:
        print(f"labcheck: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
    return 2


def _render(told: argparse.Namespace) -> int:
    content = comparison.read(told.report)
    from jinja2 import TemplateError

    from labcheck.report import page

    try:
        print(page.write(content, told.folder or told.report.parent))
    except (LookupError, TypeError, AttributeError, ValueError, TemplateError) as error:
        raise comparison.ReportError(f"{told.report}: not a whole report ({type(error).__name__}: {error})") from None
    return 0


def _compare(told: argparse.Namespace) -> int:
    reports = [comparison.read(file) for file in (told.old, told.new)]
    try:
        differing, moved = comparison.measured_on(*reports), comparison.compare(*reports)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        files = f"{told.old}, {told.new}"
        raise comparison.ReportError(f"{files}: not whole reports ({type(error).__name__}: {error})") from None
    print(*differing, *(moved or ["no verdict and no arm has moved"]), sep="\n")
    return 1 if moved else 0


if __name__ == "__main__":
    sys.exit(main())
