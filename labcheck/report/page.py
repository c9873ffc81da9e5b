"""report.html: one page that needs nothing but itself, made of report.json alone."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from labcheck.core.verdicts import tally
from labcheck.engine import files
from labcheck.report import figures
from labcheck.report.findings import STAND_IN, number
from labcheck.report.summary import median

Claim = Mapping[str, Any]

WORDS = {
    "REPRODUCED": "Reproduced",
    "NOT_REPRODUCED": "Not reproduced",
    "INCONCLUSIVE": "Inconclusive",
    None: "Not all measured",
}
MEANINGS = {
    "reversed": "it fails in more seeds than it holds in",
    "no effect": "it holds about as often as not",
    "weak": "the direction is right, but too many seeds do not show it",
    "too low": "the printed number is lower than what our seeds give",
    "too high": "the printed number is higher than what our seeds give",
    "in doubt": "our settings are probably not the report's, so that it cannot be refuted with them",
}
GRADES = {
    "script": "read in its script",
    "numbers": "computed from its numbers",
    "likely": "likely",
    "open": "assumed",
}
KINDS = {"drift": "Drifted", "failure": "Failed", "error": "Could not be run"}


def write(content: Mapping[str, Any], folder: Path) -> Path:
    """Write report.html into a folder, made if it is not there.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return files.write(folder / "report.html", render(content))


def render(report: Mapping[str, Any]) -> str:
    """The page of a report."""
    claims = [_card(claim, report) for claim in report["claims"]]
    known = {(claim["id"], claim["scale"]) for claim in report["claims"]}
    page: str = _template().render(
        report=report,
        claims=claims,
        labs=list(dict.fromkeys(claim["lab"] for claim in claims)),
        counts=Counter(claim["verdict"] for claim in claims),
        problems=[found for found in report["problems"] if (found["claim"], found["scale"]) not in known],
        dashes=figures.DASHES,
        colours=len(figures.ARMS),
        WORDS=WORDS,
        MEANINGS=MEANINGS,
        KINDS=KINDS,
        GRADES=GRADES,
        STAND_IN=STAND_IN,
    )
    return page


@cache
def _template() -> Any:
    found = Environment(
        loader=PackageLoader("labcheck.report", "template"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    found.filters |= {"number": number, "effect": effect, "setting": setting, "tally": tally}
    found.globals["source"] = lambda name: Markup(found.loader.get_source(found, name)[0])  # type: ignore[union-attr]
    return found.get_template("report.html")


def effect(found: Mapping[str, Any]) -> str:
    """Return the effect of a relation in words; one end of an interval may be infinite."""
    told = f"{found['kind']} {number(found['median'])}"
    low, high = found["low"], found["high"]
    if low is high is None:
        return told
    if high is None:
        return f"{told} (95 % interval: {number(low)} or more; some seeds have no finite number)"
    if low is None:
        return f"{told} (95 % interval: {number(high)} or less; some seeds have no finite number)"
    return f"{told} (95 % interval {number(low)} to {number(high)})"


def setting(value: Any) -> str:
    """A value as a command line has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{name}: {setting(part)}" for name, part in value.items())
    return "-".join(map(setting, value)) if isinstance(value, list) else str(value)


def _card(claim: Claim, report: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of a claim, beside its entry in the report."""
    arms = [arm["settings"] for arm in claim["arms"]]
    common = {
        name: value for name, value in (arms[0] if arms else {}).items() if all(arm[name] == value for arm in arms)
    }
    return {
        **claim,
        "anchor": re.sub(r"[^\w-]+", "-", f"{claim['id']}-{claim['scale']}-{claim['data']['name']}"),
        "lab": claim["id"].partition("/")[0],
        "hangs_on": next((found for found in claim["relations"] if found["name"] == claim["deciding"]), None),
        "problems": [
            found for found in report["problems"] if (found["claim"], found["scale"]) == (claim["id"], claim["scale"])
        ],
        "numbers": [row for arm in claim["arms"] for row in _numbers(claim, arm)],
        "strips": figures.strips(claim),
        "curves": figures.curves(claim),
        "grids": figures.grids(claim),
        "classes": _classes(claim),
        "confusion": _confusion(claim),
        "common": common,
        "own": [{name: value for name, value in arm.items() if name not in common} for arm in arms],
    }


def _numbers(claim: Claim, arm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The report's numbers of an arm beside ours, but for those of single classes."""
    return [
        {**quote, "arm": arm["name"], "ours": median(arm["metrics"][name], claim["metrics"][name])}
        for quote in arm["quoted"]
        for name in [quote["metric"]]
        if not figures.OF_A_CLASS.search(name)
    ]


def _confusion(claim: Claim) -> dict[str, list[tuple[str, list[list[float | None]]]]]:
    """For each part, arms and how often, in percent, a true class (row) was taken for which."""
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


def _classes(claim: Claim) -> dict[str, Any]:
    """A measure and a row an arm: that of each class on test images, ours and what the report prints, in percent.

    The measure is precision where the report prints any, else accuracy.
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
