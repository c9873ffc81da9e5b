"""Claim results: what the checks of a claim have measured and judged."""

from dataclasses import dataclass, field
from typing import Any

from labcheck.core import verdicts
from labcheck.core.verdicts import Verdict
from labcheck.engine.baselines import Baseline

ResultKey = tuple[str, str, str]
"""The id of a claim, the scale and the name of the data."""
IN_DOUBT = "in doubt"
"""The tag of a verdict that was withdrawn, because the settings are probably not the report's."""


@dataclass
class ClaimResult:
    """The results of one or all checks of a claim at one scale on one data set.

    Attributes:
        claim: The description of the claim, from `Experiment.describe`.
        current: The results as a baseline would store them.
        quoted: For each arm, the report's numbers and their percentiles among our seeds.
        summaries: For each arm, its curves and tables over all seeds, from `labcheck.report.summary`.
        judged: For each relation, its verdict with all details.
        universe: The universe in which they were measured: its `name` and `settings`, the `grid` of all settings that
            are left open, and the settings that each arm sets itself, `own`; None in a session without universes.
    """

    claim: dict[str, Any]
    current: Baseline
    quoted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    judged: dict[str, dict[str, Any]] = field(default_factory=dict)
    universe: dict[str, Any] | None = None

    @staticmethod
    def from_record(record: dict[str, Any]) -> "ClaimResult":
        """Return the result that `dataclasses.asdict` turned into a record, which a worker sends to the controller."""
        return ClaimResult(**{**record, "current": Baseline(**record["current"])})

    def merge(self, other: "ClaimResult") -> None:
        """Add the results of another check of the same claim."""
        self.current.arms |= other.current.arms
        self.current.relations |= other.current.relations
        self.current.cpu_seconds |= other.current.cpu_seconds
        self.quoted |= other.quoted
        self.summaries |= other.summaries
        self.judged |= other.judged

    @property
    def key(self) -> ResultKey:
        """What identifies the result in a run without universes."""
        return self.current.claim, self.current.scale, self.current.data["name"]

    @property
    def lab(self) -> str:
        """The name of the claim's lab."""
        return self.current.claim.partition("/")[0]

    @property
    def missing(self) -> list[str]:
        """The arms and relations whose checks did not run."""
        return [name for name in self.claim["arms"] if name not in self.current.arms] + [
            name for name in self.claim["relations"] if name not in self.judged
        ]

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the claim; None while a missing relation could change it."""
        judged = [Verdict(relation["verdict"]) for relation in self.judged.values()]
        if len(judged) == len(self.claim["relations"]) or Verdict.NOT_REPRODUCED in judged:
            return verdicts.combine(judged)
        return None

    @property
    def decisive(self) -> str | None:
        """The relation with the least support of those with the worst verdict; None if none has been judged."""
        return verdicts.decisive(self.judged)

    def withdraw(self) -> None:
        """Make every NOT_REPRODUCED relation INCONCLUSIVE, because the settings are probably not the report's."""
        for judged in self.judged.values():
            if judged["verdict"] == Verdict.NOT_REPRODUCED:
                judged |= {"verdict": str(Verdict.INCONCLUSIVE), "tag": IN_DOUBT, "seeds_to_decide": None}
