"""The table that a run ends with: one row a claim."""

from collections.abc import Sequence
from typing import Any

from labcheck.report.findings import Finding, number

HEADER = ("claim", "data", "verdict", "holds", "quoted", "measured", "the relation it hangs on")


def table(findings: Sequence[Finding]) -> list[str]:
    """Lines of text: a header and a row for each finding that has a relation judged, or nothing if none has."""
    judged = [finding for finding in findings if finding.judged]
    if not judged:
        return []
    scales = {finding.today.scale for finding in judged}
    rows = [HEADER, *(_row(finding, several=len(scales) > 1) for finding in judged)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(finding: Finding, several: bool) -> tuple[str, ...]:
    """With the scale where there are several."""
    name, judged = finding.deciding
    word = str(finding.verdict or "not all measured")
    told = f"{word} ({judged['tag']})" if judged["tag"] else word
    if judged["seeds_to_decide"]:
        told += f" (about {judged['seeds_to_decide']} seeds would decide)"
    terms = judged["terms"][:2]
    return (
        finding.claim["id"] + (f" ({finding.today.scale})" if several else ""),
        finding.today.data["name"],
        told,
        f"{judged['holds']}/{judged['n']}",
        " : ".join(_short(term["quoted"]) for term in terms) if any(term["quoted"] for term in terms) else "-",
        " : ".join(_short([term["median"]]) for term in terms),
        name,
    )


def _short(values: Sequence[Any]) -> str:
    """Numbers with three digits; a dash where there are none."""
    return ", ".join(map(number, values)) or "-"
