"""The table on the terminal: each claim with its verdict, and below it each of its relations."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labcheck.core.verdicts import Verdict, tally
from labcheck.engine.claim_results import ClaimResult
from labcheck.report.formatting import INCOMPLETE, format_number

WIDTH = 120
HEADER = ("claim", "verdict", "reproduced / not / open", "seeds", "data")


def table(results: Sequence[ClaimResult]) -> list[str]:
    """Return the lines of the table, up to 120 columns wide unless a word is longer; none if nothing was judged.

    The line of a claim counts its relations that are reproduced, not reproduced, and open (INCONCLUSIVE). The line of a
    relation has its verdict, the seeds in which it holds (or the p-value of a printed number), its name, the ties, our
    medians and the report's numbers. ">" marks the decisive relation of a claim that is not REPRODUCED.
    """
    judged = [result for result in results if result.judged]
    if not judged:
        return []
    several = len({result.current.scale for result in judged}) > 1
    rows = [HEADER, *(_row(result, several) for result in judged)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    heads = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    evidence = max(6, *(len(tally(one)) for result in judged for one in result.judged.values()))
    lines = heads[:1]
    for head, result in zip(heads[1:], judged, strict=True):
        names = [name for name in result.claim["relations"] if name in result.judged]
        lines += [head, *(line for name in names for line in _relation(result, name, evidence))]
    return lines


def sentence(result: ClaimResult) -> str:
    """Return the verdict on a claim and the relation on which it rests, in one line."""
    verdict, decisive = result.verdict or INCOMPLETE, result.decisive
    evidence = f", {tally(result.judged[decisive])} {decisive}" if decisive else ""
    return f"{result.claim['id']}: {verdict}{evidence}"


def _row(result: ClaimResult, several: bool) -> tuple[str, ...]:
    """Return the cells of a claim, which name the scale if the run has several."""
    counts = Counter(judged["verdict"] for judged in result.judged.values())
    return (
        result.claim["id"] + (f" ({result.current.scale})" if several else ""),
        str(result.verdict or INCOMPLETE),
        " / ".join(str(counts[word]) for word in (Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE)),
        str(result.current.seeds),
        result.current.data["name"],
    )


def _relation(result: ClaimResult, name: str, evidence: int) -> list[str]:
    """Return the line of a relation, wrapped; `evidence` is the width of the column of counts and p-values."""
    judged = result.judged[name]
    decisive = result.verdict != Verdict.REPRODUCED and len(result.judged) > 1 and result.decisive == name
    verdict = judged["verdict"] + (f" ({judged['tag']})" if judged["tag"] else "")
    ties = judged.get("ties") and f"{judged['ties']} ties"
    parts = [name, ties, _medians(name, judged["terms"])]
    if judged["seeds_to_decide"]:
        needed = judged["seeds_to_decide"]
        in_table = any("labels" in arm for arm in result.current.arms.values())
        parts.append(f"about {needed} seeds would decide" + ("" if in_table else f": --claims-seeds {needed}"))
    start = f"{'>' if decisive else ' '} {verdict:26} {tally(judged):>{evidence}}"
    return textwrap.wrap(
        f"{start}  {'; '.join(filter(None, parts))}",
        WIDTH,
        subsequent_indent=" " * (len(start) + 2),
        break_on_hyphens=False,
    )


def _medians(name: str, terms: Sequence[Mapping[str, Any]]) -> str:
    """Return our medians of the first two terms, and the report's numbers for them.

    A median has the name of its metric, unless the relation's name states it.
    """
    shown = terms[:2]
    metrics = ["" if term["metric"] in name else term["metric"] for term in shown]
    ours = " : ".join(
        f"{metric} {format_number(term['median'])}".lstrip() for metric, term in zip(metrics, shown, strict=True)
    )
    if not any(term["quoted"] for term in shown):
        return f"ours {ours}"
    return f"ours {ours}, printed {' : '.join(_printed(term['quoted']) for term in shown)}"


def _printed(values: Sequence[Any]) -> str:
    """Return the report's numbers for a term; a dash if there are none."""
    return ", ".join(map(format_number, values)) or "-"
