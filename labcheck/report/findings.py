"""What a run found, put together from the records of its tests."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labcheck import __version__, verdicts
from labcheck.baselines import Baseline
from labcheck.verdicts import Word

SCHEMA = 1


@dataclass
class Finding:
    """What one test, or all tests of a run, found of one claim at one scale on one data set.

    Attributes:
        claim: what the claim says of itself.
        today: what was measured, as it would be stored.
        quoted: per arm, the report's numbers and their percentiles.
        judged: per relation, the verdict in full.
    """

    claim: dict[str, Any]
    today: Baseline
    quoted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
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

    def document(self) -> dict[str, Any]:
        """Its entry in report.json."""
        claim, today = self.claim, self.today
        relations = [{"name": name, **self.judged[name]} for name in claim["relations"] if name in self.judged]
        arms = [
            {"name": name, **today.arms[name], "quoted": self.quoted[name]}
            for name in claim["arms"]
            if name in today.arms
        ]
        return {
            **{key: claim[key] for key in ("id", "statement", "source", "notes", "assumptions", "overridden")},
            "scale": today.scale,
            "data": today.data,
            "seeds": today.seeds,
            "verdict": self.verdict,
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


def document(findings: list[Finding], times: dict[str, Any]) -> dict[str, Any]:
    """report.json: the same for the same environment, but for `times`."""
    return {
        "schema": SCHEMA,
        "labcheck": __version__,
        "environment": findings[0].today.environment if findings else {},
        "claims": [finding.document() for finding in findings],
        "times": times,
    }


def write(content: dict[str, Any], folder: Path) -> Path:
    """Write report.json into a folder, made if it is not there.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "report.json"
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(file)
    return file
