"""report.json: what a run has measured and judged, as `report.schema.json` describes it."""

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labcheck import __version__
from labcheck.core.scales import Scale
from labcheck.engine.claim_results import ClaimResult
from labcheck.engine.files import write_atomically
from labcheck.report.fits import Fit, fit_labs

SCHEMA = 7


@dataclass
class RunInfo:
    """The information about the run itself that a report contains.

    Attributes:
        modules: The file of each claim's tests, by the claim's id.
        options: The options of the run on which results depend.
        problems: The failures and errors of the run, as the schema describes them.
        skipped: The number of skipped tests of claims, by reason.
        times: Times, the only part that differs when a run is repeated.
    """

    modules: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)

    def command(self, claim: str, scale: str) -> str:
        """Return the command that runs the module of a claim again."""
        module = [self.modules[claim]] if claim in self.modules else []
        return shlex.join(["pytest", *module, "-m", Scale(scale).markers, *self.options])


@dataclass(frozen=True)
class RunResults:
    """The results of all claims of a run.

    Attributes:
        claims: The result of each claim, sorted by id, scale and data.
        fits: For each lab, how many of its printed numbers are typical of our seeds.
    """

    claims: list[ClaimResult]
    fits: list[Fit]


def gather(records: Iterable[dict[str, Any]]) -> RunResults:
    """Merge the records of checks into the results of claims.

    Where the settings of a lab are probably not its report's, its NOT_REPRODUCED verdicts are withdrawn.
    """
    merged: dict[tuple[str, str, str], ClaimResult] = {}
    for record in records:
        result = ClaimResult.from_record(record)
        current = result.current
        merged.setdefault((current.claim, current.scale, current.data["name"]), result).merge(result)
    claims = [merged[key] for key in sorted(merged)]
    fits = fit_labs(claims)
    for fit in fits:
        if fit.doubted:
            for result in claims:
                if fit.covers(result):
                    result.withdraw()
    return RunResults(claims, fits)


def document(results: RunResults, run: RunInfo) -> dict[str, Any]:
    """Return the content of report.json, which is the same in the same environment except for `times`."""
    problems = {json.dumps(problem): problem for problem in run.problems}  # several workers may report the same one
    return {
        "schema": SCHEMA,
        "labcheck": __version__,
        "claims": [_claim_entry(result, run) for result in results.claims],
        "fits": [{**asdict(fit), "doubted": fit.doubted} for fit in results.fits],
        "problems": [problems[key] for key in sorted(problems)],
        "skipped": [{"reason": reason, "tests": run.skipped[reason]} for reason in sorted(run.skipped)],
        "times": run.times,
    }


def _claim_entry(result: ClaimResult, run: RunInfo) -> dict[str, Any]:
    claim, current = result.claim, result.current
    relations = [{"name": name, **result.judged[name]} for name in claim["relations"] if name in result.judged]
    arms = [
        {
            "name": name,
            "replay": name in claim["replays"],
            **current.arms[name],
            "quoted": result.quoted[name],
            **result.summaries[name],
        }
        for name in claim["arms"]
        if name in current.arms
    ]
    return {
        **_without(claim, ["arms", "relations", "replays", "stand_in"]),
        "scale": current.scale,
        "data": {**current.data, "stand_in": claim["stand_in"]},
        "seeds": current.seeds,
        "environment": current.environment,
        "command": run.command(current.claim, current.scale),
        "verdict": result.verdict,
        "decisive": result.decisive,
        "missing": result.missing,
        "arms": arms,
        "relations": relations,
    }


def _without(content: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in keys}


def write(content: dict[str, Any], folder: Path) -> Path:
    """Write report.json into a folder, which is created if necessary.

    Raises:
        OSError: It cannot be written.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    rows = re.sub(r"\[\n[^][{}\"]*\]", lambda match: " ".join(match[0].split()), text)  # lists of numbers on one line
    folder.mkdir(parents=True, exist_ok=True)
    return write_atomically(folder / "report.json", rows)
