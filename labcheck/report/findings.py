"""What a run found, put together from the records of its tests."""

import json
import math
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labcheck import __version__, files, verdicts
from labcheck.baselines import Baseline
from labcheck.verdicts import Word

SCHEMA = 2


@dataclass
class Finding:
    """What one test, or all tests of a run, found of one claim at one scale on one data set.

    Attributes:
        claim: what the claim says of itself.
        today: what was measured, as it would be stored.
        quoted: per arm, the report's numbers and their percentiles.
        shown: per arm, its curves and tables over all seeds (`labcheck.report.summary`).
        judged: per relation, the verdict in full.
    """

    claim: dict[str, Any]
    today: Baseline
    quoted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    judged: dict[str, dict[str, Any]] = field(default_factory=dict)

    @staticmethod
    def of(record: dict[str, Any]) -> "Finding":
        """What asdict made a record of, to travel from worker to controller."""
        return Finding(**{**record, "today": Baseline(**record["today"])})

    def add(self, other: "Finding") -> None:
        """Take in what another test found of the same."""
        self.today.arms |= other.today.arms
        self.today.relations |= other.today.relations
        self.today.cpu_seconds |= other.today.cpu_seconds
        self.quoted |= other.quoted
        self.shown |= other.shown
        self.judged |= other.judged

    @property
    def missing(self) -> list[str]:
        """Arms and relations whose tests did not run."""
        return [name for name in self.claim["arms"] if name not in self.today.arms] + [
            name for name in self.claim["relations"] if name not in self.judged
        ]

    @property
    def verdict(self) -> Word | None:
        """The claim's, or None while a relation that could change it is missing."""
        words = [Word(judged["verdict"]) for judged in self.judged.values()]
        if len(words) == len(self.claim["relations"]) or Word.NOT_REPRODUCED in words:
            return verdicts.combine(words)
        return None

    @property
    def deciding(self) -> tuple[str, dict[str, Any]]:
        """The relation that the claim's verdict hangs on, of several the one that holds in the fewest seeds."""
        order = list(Word)
        return max(
            self.judged.items(),
            key=lambda item: (order.index(Word(item[1]["verdict"])), -item[1]["holds"] / item[1]["n"]),
        )

    def document(self, run: "Run") -> dict[str, Any]:
        """Its entry in report.json."""
        claim, today = self.claim, self.today
        relations = [{"name": name, **self.judged[name]} for name in claim["relations"] if name in self.judged]
        arms = [
            {"name": name, **today.arms[name], "quoted": self.quoted[name], **self.shown[name]}
            for name in claim["arms"]
            if name in today.arms
        ]
        return {
            **{key: value for key, value in claim.items() if key not in ("arms", "relations")},
            "scale": today.scale,
            "data": today.data,
            "seeds": today.seeds,
            "environment": today.environment,
            "command": run.command(today.claim, today.scale),
            "verdict": self.verdict,
            "deciding": self.deciding[0] if self.judged else None,
            "missing": self.missing,
            "arms": arms,
            "relations": relations,
        }


def gather(records: Iterable[dict[str, Any]]) -> list[Finding]:
    """The findings of a run, in the order of their ids."""
    found: dict[tuple[str, str, str], Finding] = {}
    for record in records:
        finding = Finding.of(record)
        today = finding.today
        found.setdefault((today.claim, today.scale, today.data["name"]), finding).add(finding)
    return [found[key] for key in sorted(found)]


@dataclass
class Run:
    """What a report tells of the run itself.

    Attributes:
        modules: the file of each claim's tests.
        options: those given that results depend on.
        problems: what failed or could not be run: claim and scale, or None, test, kind and text, as the schema says.
        skipped: how many tests of claims, by reason.
        times: the only part that a repetition gives anew.
    """

    modules: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)

    def command(self, claim: str, scale: str) -> str:
        """What runs one claim again."""
        marker = "gpu" if scale == "full" else "not gpu"
        return shlex.join(["pytest", *filter(None, [self.modules.get(claim)]), "-m", marker, *self.options])


def document(findings: list[Finding], run: Run) -> dict[str, Any]:
    """report.json, described by `report.schema.json`: the same for the same environment, but for `times`."""
    problems = {json.dumps(problem): problem for problem in run.problems}  # workers tell some of them each
    return {
        "schema": SCHEMA,
        "labcheck": __version__,
        "claims": [finding.document(run) for finding in findings],
        "problems": [problems[key] for key in sorted(problems)],
        "skipped": [{"reason": reason, "tests": run.skipped[reason]} for reason in sorted(run.skipped)],
        "times": run.times,
    }


def write(content: dict[str, Any], folder: Path) -> Path:
    """Write report.json into a folder, made if it is not there.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    rows = re.sub(r"\[\n[^][{}\"]*\]", lambda found: " ".join(found[0].split()), text)  # numbers in a line
    folder.mkdir(parents=True, exist_ok=True)
    return files.write(folder / "report.json", rows)


def number(value: float | None, digits: int = 3) -> str:
    """A number as text; None and NaN are "not finite"."""
    return "not finite" if value is None or math.isnan(value) else f"{value:.{digits}g}"
