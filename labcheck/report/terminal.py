"""The table that a run ends with: each claim, and under it each of its relations."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labcheck.core.verdicts import Word, tally
from labcheck.report.findings import Finding, number

WIDTH = 120
HEADER = ("claim", "verdict", "yes / no / open", "seeds", "data")
INDENT = " " * 35


def table(findings: Sequence[Finding]) -> list[str]:
    """Return the lines of the table, at most 120 columns wide where no word is longer; none if nothing was judged.

    A claim's line counts its relations that are reproduced, not reproduced, and open. A relation's line has its
    verdict, in how many seeds it holds (or the p-value of a printed number), its name, the report's numbers and our
    medians. The decisive relation of a claim that is not reproduced or open is marked with ">".
    """
    judged = [finding for finding in findings if finding.judged]
    if not judged:
        return []
    several = len({finding.today.scale for finding in judged}) > 1
    rows = [HEADER, *(_row(finding, several) for finding in judged)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    heads = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines = heads[:1]
    for head, finding in zip(heads[1:], judged, strict=True):
        names = [name for name in finding.claim["relations"] if name in finding.judged]
        lines += [head, *(line for name in names for line in _relation(finding, name))]
    return lines


def _row(finding: Finding, several: bool) -> tuple[str, ...]:
    """A claim's line, with the scale where there are several."""
    counts = Counter(judged["verdict"] for judged in finding.judged.values())
    return (
        finding.claim["id"] + (f" ({finding.today.scale})" if several else ""),
        str(finding.verdict or "not all measured"),
        " / ".join(str(counts[word]) for word in (Word.REPRODUCED, Word.NOT_REPRODUCED, Word.INCONCLUSIVE)),
        str(finding.today.seeds),
        finding.today.data["name"],
    )


def _relation(finding: Finding, name: str) -> list[str]:
    """A relation's line, wrapped."""
    judged = finding.judged[name]
    decisive = finding.verdict != Word.REPRODUCED and len(finding.judged) > 1 and finding.deciding[0] == name
    verdict = judged["verdict"] + (f" ({judged['tag']})" if judged["tag"] else "")
    told = [name, _numbers(judged["terms"])]
    if judged["seeds_to_decide"]:
        needed = judged["seeds_to_decide"]
        told.append(f"about {needed} seeds would decide: --claims-seeds {needed}")
    start = f"{'>' if decisive else ' '} {verdict:26} {tally(judged):>6}"
    return textwrap.wrap(
        f"{start}  {'; '.join(filter(None, told))}", WIDTH, subsequent_indent=INDENT + "  ", break_on_hyphens=False
    )


def _numbers(terms: Sequence[Mapping[str, Any]]) -> str:
    """Our medians of the first two terms, and what the report prints for them."""
    shown = terms[:2]
    ours = " : ".join(number(term["median"]) for term in shown)
    if not any(term["quoted"] for term in shown):
        return f"ours {ours}"
    return f"ours {ours}, printed {' : '.join(_short(term['quoted']) for term in shown)}"


def _short(values: Sequence[Any]) -> str:
    """Numbers with three digits; a dash where there are none."""
    return ", ".join(map(number, values)) or "-"
