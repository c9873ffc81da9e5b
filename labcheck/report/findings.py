"""What a run found, put together from the records of its tests."""

import json
import math
import re
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labcheck import __version__
from labcheck.core import verdicts
from labcheck.core.verdicts import Word
from labcheck.engine import files
from labcheck.engine.baselines import Baseline

SCHEMA = 4
INSIDE = (0.5, 99.5)
"""The percentiles of our seeds between which a printed number is as expected."""
ENOUGH_NUMBERS = 5
ENOUGH_SEEDS = 8
"""The fewest seeds that say anything of settings: of eight, all are on one side of a typical number twice in nine."""
DOUBT = "in doubt"
STAND_IN = "stand-in-"
"""How the name of data begins that are not the report's, and on which its numbers mean nothing."""


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

        def rank(item: tuple[str, dict[str, Any]]) -> tuple[int, float]:
            judged = item[1]
            support = judged["p"] if "p" in judged else judged["holds"] / judged["n"]
            return order.index(Word(judged["verdict"])), -support

        return max(self.judged.items(), key=rank)

    @property
    def printed(self) -> dict[tuple[str, str, float | None], float]:
        """The percentile among our seeds of each number that the report prints: by arm's settings, metric and value.

        Those of a replay are left out, whose seeds are not draws.
        """
        return {
            (json.dumps(self.today.arms[arm]["settings"], sort_keys=True), number["metric"], number["value"]): number[
                "percentile"
            ]
            for arm, numbers in self.quoted.items()
            if arm not in self.claim["replays"]
            for number in numbers
        }

    def doubt(self) -> None:
        """Withdraw every NOT_REPRODUCED: the settings are probably not the report's."""
        for judged in self.judged.values():
            if judged["verdict"] == Word.NOT_REPRODUCED:
                judged |= {"verdict": str(Word.INCONCLUSIVE), "tag": DOUBT, "seeds_to_decide": None}

    def document(self, run: "Run") -> dict[str, Any]:
        """Its entry in report.json."""
        claim, today = self.claim, self.today
        relations = [{"name": name, **self.judged[name]} for name in claim["relations"] if name in self.judged]
        arms = [
            {
                "name": name,
                "replay": name in claim["replays"],
                **today.arms[name],
                "quoted": self.quoted[name],
                **self.shown[name],
            }
            for name in claim["arms"]
            if name in today.arms
        ]
        return {
            **{key: value for key, value in claim.items() if key not in ("arms", "relations", "replays")},
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
    findings = [found[key] for key in sorted(found)]
    for fit in fits(findings):
        if fit.doubted:
            for finding in findings:
                if fit.covers(finding):
                    finding.doubt()
    return findings


@dataclass(frozen=True)
class Fit:
    """How the numbers that a report prints for a lab lie among our seeds.

    Attributes:
        lab, scale, data: whose, and what they were measured on.
        numbers: how many different ones were compared.
        inside: how many lie within [0.5, 99.5] % of our seeds.
    """

    lab: str
    scale: str
    data: str
    numbers: int
    inside: int

    @property
    def enough(self) -> bool:
        """Whether there are enough of them to say anything of the settings."""
        return self.numbers >= ENOUGH_NUMBERS

    @property
    def doubted(self) -> bool:
        """Whether most of enough of them lie outside: then our settings are probably not the report's."""
        return self.enough and 2 * self.inside < self.numbers

    def covers(self, finding: Finding) -> bool:
        """Whether a claim is of this lab, at this scale and on these data."""
        return (self.lab, self.scale, self.data) == _place(finding)

    def __str__(self) -> str:
        text = f"{self.lab}: {self.inside} of {self.numbers} printed numbers lie within [0.5, 99.5] % of our seeds"
        if not self.doubted:
            return text
        return f"{text}: these settings are probably not the report's, and nothing is judged NOT_REPRODUCED meanwhile"


def fits(findings: Iterable[Finding]) -> list[Fit]:
    """Return one fit for each lab, scale and data set of which any printed number was compared.

    An arm that several claims have counts once, with the seeds of the claim that has the most. What was measured on
    stand-in data has no fit.
    """
    printed: dict[tuple[str, str, str], dict[tuple[str, str, float | None], float]] = {}
    for finding in sorted(findings, key=lambda finding: finding.today.seeds):
        today = finding.today
        if finding.printed and today.seeds >= ENOUGH_SEEDS and not today.data["name"].startswith(STAND_IN):
            printed.setdefault(_place(finding), {}).update(finding.printed)
    return [
        Fit(*place, len(numbers), sum(INSIDE[0] <= percentile <= INSIDE[1] for percentile in numbers.values()))
        for place, numbers in sorted(printed.items())
    ]


def _place(finding: Finding) -> tuple[str, str, str]:
    return finding.today.claim.partition("/")[0], finding.today.scale, finding.today.data["name"]


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
        "fits": [{**asdict(fit), "doubted": fit.doubted} for fit in fits(findings)],
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
