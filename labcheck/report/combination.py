"""The combination of reports about different seeds: their evidence multiplies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

from labcheck.core import verdicts
from labcheck.engine.baselines import Baseline
from labcheck.engine.claim_results import ClaimResult
from labcheck.report.summary import median

Report = Mapping[str, Any]
ALIKE = {
    "data": "the data",
    "overridden": "overridden settings",
    "settings": "the settings of arms",
    "relations": "relations",
}
"""Descriptions of what the entries of a claim must have in common, by the keys of `_identity`."""


def combine(reports: Sequence[Report]) -> tuple[list[ClaimResult], list[str]]:
    """Combine the claims of several reports.

    Returns:
        The result of each claim that at least two reports have for different seeds, sorted by id, and a line for each
        claim that cannot be combined.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: A report is incomplete.
    """
    results, problems = [], []
    names = sorted({(claim["id"], claim["scale"]) for report in reports for claim in report["claims"]})
    for name, scale in names:
        entries = [
            claim for report in reports for claim in report["claims"] if (claim["id"], claim["scale"]) == (name, scale)
        ]
        if obstacle := next(_obstacles(entries), ""):
            problems.append(f"{name} ({scale}): not combined: {obstacle}")
        else:
            results.append(_joined(entries))
    return results, problems


def _obstacles(entries: Sequence[Report]) -> Iterator[str]:
    """Return the reasons why the entries of a claim cannot be combined."""
    if len(entries) < 2:
        yield "only one report has it"
    first, *others = map(_identity, entries)
    for key, description in ALIKE.items():
        if any(other[key] != first[key] for other in others):
            yield f"{description} differ between the reports"
    for one, other in combinations(map(_seeds, entries), 2):
        if common := range(max(one.start, other.start), min(one.stop, other.stop)):
            free = max(one.stop, other.stop)
            yield (
                f"both reports have seeds {common[0]} to {common[-1]}; run one of them again with --claims-seeds "
                f"{free}-{free + len(other) - 1}"
            )


def _identity(entry: Report) -> dict[str, Any]:
    """Return what entries must have in common for their seeds to be those of one experiment."""
    return {
        **{key: entry[key] for key in ("data", "overridden")},
        "settings": {arm["name"]: arm["settings"] for arm in entry["arms"]},
        "relations": [relation["name"] for relation in entry["relations"]],
    }


def _seeds(entry: Report) -> range:
    return range(entry["first_seed"], entry["first_seed"] + entry["seeds"])


def _joined(entries: Sequence[Report]) -> ClaimResult:
    """Return the result of a claim over the seeds of all entries."""
    first = entries[0]
    seeds = sum(entry["seeds"] for entry in entries)
    claim = {"id": first["id"], "relations": [relation["name"] for relation in first["relations"]], "arms": []}
    current = Baseline(first["id"], first["scale"], first["data"], seeds, first["environment"])
    relations = [_judged(entries, index) for index in range(len(first["relations"]))]
    return ClaimResult(claim, current, judged=dict(zip(claim["relations"], relations, strict=True)))


def _judged(entries: Sequence[Report], index: int) -> dict[str, Any]:
    """Judge one relation by its counts over all entries."""
    parts = [entry["relations"][index] for entry in entries]
    m = parts[0]["relations"]

    def total(name: str) -> int:
        return sum(part[name] for part in parts)

    if parts[0]["kind"] == "number":
        number = verdicts.judge_number(total("below"), total("equal"), total("n"), m)
        groups = verdicts.seeds_for_a_number(number, m)
        judged = {**asdict(number), "seeds_to_decide": groups and groups * parts[0]["best_of"]}
    else:
        share = verdicts.judge(total("holds"), total("ties"), total("n"), m)
        judged = {**asdict(share), "seeds_to_decide": verdicts.seeds_to_decide(share, m)}
    return {**judged, "relations": m, "terms": [_term(entries, term) for term in parts[0]["terms"]]}


def _term(entries: Sequence[Report], term: Report) -> dict[str, Any]:
    """Return a term of a relation with its median over the seeds of all entries; None if it was not measured."""
    arms = [arm for entry in entries for arm in entry["arms"] if arm["name"] == term["arm"]]
    values = [value for arm in arms for value in arm["metrics"].get(term["metric"], [])]
    kind = entries[0]["metrics"].get(term["metric"])
    return {**term, "median": median(values, kind) if values and kind else None}
