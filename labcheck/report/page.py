"""report.html: one self-contained page, rendered from the content of report.json alone."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from labcheck.core.verdicts import Verdict, tally
from labcheck.engine.files import write_atomically
from labcheck.report import figures
from labcheck.report.formatting import (
    INCOMPLETE,
    evidence_share,
    format_bayes_factor,
    format_effect,
    format_evidence,
    format_number,
    format_setting,
)
from labcheck.report.specification import specification_curve
from labcheck.report.summary import median

ClaimEntry = Mapping[str, Any]

VERDICTS = [*Verdict, None]
MEANINGS = {
    "reversed": "it fails in more seeds than it holds",
    "no effect": "it fails too often; the seeds do not show whether it holds in more or in fewer than half",
    "weak": "it holds in most seeds, but in fewer than 3/4 of them",
    "too low": "the printed number is lower than those of nearly all of our seeds",
    "too high": "the printed number is higher than those of nearly all of our seeds",
    "in doubt": "our settings are probably not the report's, and cannot refute it",
}
GRADES = {
    "script": "from its script",
    "numbers": "computed from its printed numbers",
    "likely": "likely",
    "open": "assumed",
}
PROBLEMS = {"drift": "Drifted", "failure": "Failed", "error": "Could not be run"}


def write(content: Mapping[str, Any], folder: Path) -> Path:
    """Write report.html into a folder, which is created if necessary.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return write_atomically(folder / "report.html", render(content))


def render(report: Mapping[str, Any]) -> str:
    """Return the page of a report as HTML."""
    claims = [_card(claim, report) for claim in report["claims"]]
    known = {(claim["id"], claim["scale"]) for claim in report["claims"]}
    page: str = _template().render(
        report=report,
        claims=claims,
        labs=list(dict.fromkeys(claim["lab"] for claim in claims)),
        counts=Counter(claim["verdict"] for claim in claims),
        problems=[problem for problem in report["problems"] if (problem["claim"], problem["scale"]) not in known],
        dashes=figures.DASHES,
        colors=len(figures.ARM_COLORS),
        VERDICTS=VERDICTS,
        INCOMPLETE=INCOMPLETE,
        MEANINGS=MEANINGS,
        PROBLEMS=PROBLEMS,
        GRADES=GRADES,
    )
    return page


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("labcheck.report", "template"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "number": format_number,
        "effect": format_effect,
        "bayes_factor": format_bayes_factor,
        "setting": format_setting,
        "tally": tally,
        "evidence": format_evidence,
        "evidence_share": evidence_share,
    }
    loader = environment.loader
    assert loader is not None
    environment.globals["include_raw"] = lambda name: Markup(loader.get_source(environment, name)[0])
    return environment.get_template("report.html")


def _card(claim: ClaimEntry, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows about a claim: its entry in the report, its figures and tables."""
    arms = [arm["settings"] for arm in claim["arms"]]
    common = {
        name: value for name, value in (arms[0] if arms else {}).items() if all(arm[name] == value for arm in arms)
    }
    return {
        **claim,
        "anchor": re.sub(r"[^\w-]+", "-", f"{claim['id']}-{claim['scale']}-{claim['data']['name']}"),
        "lab": claim["id"].partition("/")[0],
        "decisive": next((relation for relation in claim["relations"] if relation["name"] == claim["decisive"]), None),
        "problems": [
            problem
            for problem in report["problems"]
            if (problem["claim"], problem["scale"]) == (claim["id"], claim["scale"])
        ],
        "numbers": [row for arm in claim["arms"] for row in _numbers(claim, arm)],
        "strips": figures.strips(claim),
        "curves": figures.curves(claim),
        "grids": figures.grids(claim),
        "specification": specification_curve(claim),
        "averaged": next((one["claims"][claim["id"]] for one in report["origins"] if _is_about(one, claim)), None),
        "classes": _classes(claim),
        "confusion": _confusion(claim),
        "others": sorted({name for arm in claim["arms"] for name in arm.get("others", {})}),
        "common": common,
        "own": [{name: value for name, value in arm.items() if name not in common} for arm in arms],
    }


def _is_about(origin: Mapping[str, Any], claim: ClaimEntry) -> bool:
    """Return whether the origin of a lab's numbers was computed from the universes of a claim."""
    return claim["id"] in origin["claims"] and (origin["scale"], origin["data"]) == (
        claim["scale"], claim["data"]["name"],
    )  # fmt: skip


def _numbers(claim: ClaimEntry, arm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the report's numbers for an arm beside ours, without those of single classes."""
    return [
        {**quote, "arm": arm["name"], "ours": median(arm["metrics"][name], claim["metrics"][name])}
        for quote in arm["quoted"]
        for name in [quote["metric"]]
        if not figures.CLASS_METRIC.search(name)
    ]


def _confusion(claim: ClaimEntry) -> dict[str, list[tuple[str, list[list[float | None]]]]]:
    """Return, for each split, each arm's confusion table in percent of the true class (row)."""
    tables = {name: None for arm in claim["arms"] for name in arm["tables"] if name.endswith("_confusion")}
    return {
        name.removesuffix("_confusion"): [
            (arm["name"], [_percent(row) for row in arm["tables"][name]["mean"]])
            for arm in claim["arms"]
            if name in arm["tables"]
        ]
        for name in tables
        if not name.startswith("final_")
    }


def _percent(row: list[float]) -> list[float | None]:
    whole = sum(row)
    return [100 * count / whole if whole else None for count in row]


def _classes(claim: ClaimEntry) -> dict[str, Any]:
    """Return a measure of each class on test images in percent, ours and the report's, one row per arm.

    The measure is precision if the report prints any, otherwise accuracy.
    """
    arms = [arm for arm in claim["arms"] if "test_confusion" in arm["tables"]]
    printed = {arm["name"]: {quote["metric"]: quote["value"] for quote in arm["quoted"]} for arm in arms}
    measure = "accuracy"
    if any(metric.startswith("test_precision_") for numbers in printed.values() for metric in numbers):
        measure = "precision"
    rows = []
    for arm in arms:
        table = arm["tables"]["test_confusion"]["mean"]
        groups = [list(column) for column in zip(*table, strict=True)] if measure == "precision" else table
        ours = [_percent(group)[label] for label, group in enumerate(groups)]
        theirs = [printed[arm["name"]].get(f"test_{measure}_{label}") for label in range(len(ours))]
        rows.append({"arm": arm["name"], "classes": list(zip(ours, theirs, strict=True))})
    return {"measure": measure, "rows": rows}
