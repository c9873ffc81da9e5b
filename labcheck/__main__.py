"""The command `labcheck`, also `python -m labcheck`: commands for earlier runs, and for tables of results."""

import argparse
import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from labcheck.report import comparison

CONFIGURATIONS = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""The files that determine pytest's root folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    It is 0, 1 if two reports differ or cannot be combined, or 2 if a file cannot be read or written.
    """
    parser = argparse.ArgumentParser(
        prog="labcheck", description="Commands for reports of earlier runs, and for tables of results."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    page = commands.add_parser("render", help="write report.html from a report.json")
    page.add_argument("report", type=Path, metavar="report.json")
    page.add_argument(
        "folder", type=Path, nargs="?", metavar="DIR", help="output folder (default: that of report.json)"
    )
    page.set_defaults(run=_render)
    both = commands.add_parser(
        "compare", help="list verdicts and arms that differ between two reports; exit status 1 if any does"
    )
    both.add_argument("old", type=Path, metavar="a.json")
    both.add_argument("new", type=Path, metavar="b.json")
    both.set_defaults(run=_compare)
    several = commands.add_parser(
        "combine",
        help="multiply the evidence of reports about different seeds; exit status 1 if a claim cannot be combined",
    )
    several.add_argument("reports", type=Path, nargs="+", metavar="report.json")
    several.set_defaults(run=_combine)
    new = commands.add_parser("new", help="write a module with a claim about a function, to be filled in")
    new.add_argument("name", help="the name of the lab, such as digits")
    new.set_defaults(run=_new)
    verdict = commands.add_parser("judge", help="print the verdict on a table of results, or on counts, in one line")
    verdict.add_argument("table", type=Path, nargs="?", metavar="runs.csv", help="one row for each arm and seed")
    verdict.add_argument("--seed", default="seed", metavar="COLUMN", help="column of the seeds (default: seed)")
    verdict.add_argument("--arms", metavar="COLUMN=A,B", help="whether the rows with A beat those with B")
    verdict.add_argument("--metric", metavar="COLUMN", help="the column to compare")
    direction = verdict.add_mutually_exclusive_group()
    direction.add_argument("--higher", action="store_true", help="higher values are better")
    direction.add_argument("--lower", action="store_true", help="lower values are better")
    verdict.add_argument("--holds", type=int, metavar="K", help="without a table: the seeds in which a relation holds")
    verdict.add_argument("--of", type=int, metavar="N", help="the number of seeds")
    verdict.add_argument("--ties", type=int, default=0, metavar="T", help="the seeds in which it is a tie")
    verdict.set_defaults(run=_judge)
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may be unable to print arrows
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(options.run(options))
    except comparison.ReportError as error:
        print(f"labcheck: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        print(f"labcheck: needs {error.name}; pip install 'labcheck[page]'", file=sys.stderr)
    except OSError as error:
        print(f"labcheck: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
    return 2


@contextmanager
def _complete(*files: Path) -> Iterator[None]:
    """Report an error in the content of reports in one line that names their files."""
    from jinja2 import TemplateError

    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, TemplateError) as error:
        names, kind = ", ".join(map(str, files)), "complete reports" if len(files) > 1 else "a complete report"
        raise comparison.ReportError(f"{names}: not {kind} ({type(error).__name__}: {error})") from None


def _render(options: argparse.Namespace) -> int:
    from labcheck.report import page

    content = comparison.read(options.report)
    with _complete(options.report):
        print(page.write(content, options.folder or options.report.parent))
    return 0


def _compare(options: argparse.Namespace) -> int:
    reports = [comparison.read(file) for file in (options.old, options.new)]
    with _complete(options.old, options.new):
        differing, changes = comparison.measured_on(*reports), comparison.compare(*reports)
    print(*differing, *(changes or ["no verdict and no arm has changed"]), sep="\n")
    return 1 if changes else 0


def _combine(options: argparse.Namespace) -> int:
    from labcheck.report import combination, terminal

    reports = [comparison.read(file) for file in options.reports]
    with _complete(*options.reports):
        results, problems = combination.combine(reports)
    print(*terminal.table(results), *problems, sep="\n")
    return 1 if problems else 0


def _new(options: argparse.Namespace) -> int:
    from importlib.resources import files

    from labcheck.core.lab import NAME

    if not NAME.fullmatch(options.name):
        raise comparison.ReportError(f"a name must consist of letters, digits, '-', '_' and '.', got {options.name!r}")
    module, ini = Path(f"test_{re.sub('[-.]', '_', options.name)}.py"), Path("pytest.ini")
    if module.exists():
        raise comparison.ReportError(f"{module} exists; choose another name")
    text = files("labcheck.report").joinpath("template", "new_claim.txt").read_text(encoding="utf-8")
    module.write_text(text.replace('@lab("NAME"', f'@lab("{options.name}"'), encoding="utf-8")
    written = [str(module)]
    if not any((folder / name).exists() for folder in (Path.cwd(), *Path.cwd().parents) for name in CONFIGURATIONS):
        ini.write_text("[pytest]\n", encoding="utf-8")  # the folder of baselines is beside it
        written.append(str(ini))
    print(f"{' and '.join(written)} written; pytest --claims-update 'a first look' trains and judges the claim")
    return 0


def _judge(options: argparse.Namespace) -> int:
    from labcheck.core.trials import MetricError
    from labcheck.data import DataError
    from labcheck.report import judging

    if problem := _missing(options):
        raise comparison.ReportError(
            f"judge needs either a table with --arms, --metric and --higher or --lower, or --holds and --of; {problem}"
        )
    try:
        if not options.table:
            print(judging.judge_counts(options.holds, options.of, options.ties))
        else:
            print(judging.judge_table(options.table, options.seed, options.arms, options.metric, options.higher))
    except (DataError, MetricError, ValueError) as error:
        raise comparison.ReportError(str(error)) from None
    return 0


def _missing(options: argparse.Namespace) -> str:
    """Return which options of `labcheck judge` are missing, or superfluous; "" if none is."""
    of_table = {
        "--arms": options.arms,
        "--metric": options.metric,
        "--higher or --lower": options.higher or options.lower,
    }
    of_counts = {"--holds": options.holds, "--of": options.of}
    given = [name for name, value in of_counts.items() if value is not None]
    if options.table and given:
        return f"{' and '.join(given)} cannot be combined with a table"
    if options.table:
        missing = [name for name, value in of_table.items() if not value]
    elif given:
        missing = [name for name, value in of_counts.items() if value is None]
    else:
        missing = ["the table"] if any(of_table.values()) else ["all of them"]
    return f"missing: {', '.join(missing)}" if missing else ""


if __name__ == "__main__":
    sys.exit(main())
