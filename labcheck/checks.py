"""What a claim's tests do: train what they need, judge it, and compare it with the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from labcheck import baselines, environment, verdicts
from labcheck.baselines import Baseline, StoredRelation
from labcheck.claims import Claim, Quoted
from labcheck.labs.lab import Lab
from labcheck.metrics import Floats, Metric, Trials
from labcheck.relations import Relation, Term
from labcheck.trials import Block, TrialStore, blocks

Record = dict[str, Any]
"""What one test found, in JSON's types: it travels from worker to controller."""


class CheckFailedError(Exception):
    """A check's answer is not what it should be; each argument is a line that says why."""


@dataclass
class Bench:
    """How this session trains and compares.

    Attributes:
        store: the session's trials.
        baselines: their folder.
        device: "cpu" or "cuda[:i]".
        seeds: instead of each claim's own number.
        overrides: open settings by lab.
        update: measure only, because the baselines are to be written.
        strict: anything but REPRODUCED fails.
    """

    store: TrialStore
    baselines: Path
    device: str = "cpu"
    seeds: int | None = None
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    update: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Check:
    """One test of a claim at a scale: of an arm (drift) or of a relation (verdict)."""

    claim: Claim
    scale: str
    subject: str | Relation

    @property
    def name(self) -> str:
        """A readable test name."""
        kind, subject = ("relation", self.subject.name) if isinstance(self.subject, Relation) else ("arm", self.subject)
        return f"{kind}[{subject}-{self.scale}]"

    @property
    def arms(self) -> Sequence[str]:
        """The arms that it needs."""
        return self.subject.arms if isinstance(self.subject, Relation) else (self.subject,)

    def seeds(self, bench: Bench) -> int:
        """How many it needs of each."""
        return bench.seeds or self.claim.seeds[self.scale]

    def lab(self, bench: Bench, arm: str) -> Lab:
        """An arm's settings."""
        lab = self.claim.lab
        return lab.configure(self.scale, bench.overrides.get(lab.name, {}), self.claim.arms[arm].settings)

    def blocks(self, bench: Bench) -> list[Block]:
        """What has to be trained for it."""
        return [block for arm in self.arms for block in blocks(self.lab(bench, arm), self.seeds(bench), bench.device)]

    def run(self, bench: Bench) -> tuple[Record, list[str], list[str]]:
        """Train, judge and compare.

        Returns:
            The record, what fails, and what is only worth saying.
        """
        n = self.seeds(bench)
        trials = {arm: bench.store.trials(self.lab(bench, arm), n, bench.device) for arm in self.arms}
        data = self.claim.lab.data()._asdict()
        today = Baseline(self.claim.id, self.scale, data, n, environment.fingerprint(bench.device))
        record = {"claim": self._claim(bench), "quoted": {}, "judged": {}}
        if isinstance(self.subject, Relation):
            judged = self._judge(self.subject, trials, record)
            today.relations[self.subject.name] = StoredRelation(
                verdict=judged["verdict"], tag=judged["tag"], holds=judged["holds"], ties=judged["ties"], n=judged["n"]
            )
        else:
            self._measure(self.subject, trials[self.subject], bench, today, record)
        record["today"] = asdict(today)
        failures, notes = self._compare(today, bench)
        return record, failures, [*notes, *filter(None, [bench.store.problem])]

    def _claim(self, bench: Bench) -> Record:
        claim, overrides = self.claim, bench.overrides.get(self.claim.lab.name, {})
        stated = set.intersection(*(set(arm.settings) for arm in claim.arms.values()))
        assumed = claim.lab.configure(self.scale, overrides, {}).assumptions()
        capped = {name: {"value": value, "why": f"{self.scale} scale"} for name, value in self._scale().items()}
        return {
            "id": claim.id,
            "statement": claim.statement,
            "source": claim.source,
            "notes": list(claim.notes),
            "arms": list(claim.arms),
            "relations": [relation.name for relation in claim.relations],
            "overridden": {f"{claim.lab.name}.{name}": value for name, value in overrides.items()},
            "assumptions": [
                {"setting": name, **said} for name, said in sorted({**assumed, **capped}.items()) if name not in stated
            ],
        }

    def _scale(self) -> Mapping[str, Any]:
        return self.claim.lab.scales.get(self.scale, {})

    def _measure(self, arm: str, trials: Trials, bench: Bench, today: Baseline, record: Record) -> None:
        values = {str(metric): metric.of(trials) for metric in self.claim.metrics(arm)}
        today.arms[arm] = {
            "settings": baselines.plain(asdict(self.lab(bench, arm))),
            "metrics": {name: baselines.numbers(value) for name, value in values.items()},
        }
        record["quoted"][arm] = [_quote(number, trials) for number in self.claim.arms[arm].quotes]

    def _judge(self, relation: Relation, trials: Mapping[str, Trials], record: Record) -> Record:
        holds, ties, effect = relation.judge(trials)
        count = len(self.claim.relations)
        verdict = verdicts.judge(int(holds.sum()), int(ties.sum()), len(holds), count)
        judged = asdict(verdict)
        judged["verdict"] = str(judged.pop("word"))
        judged["effect"] = {name: _plain(value) for name, value in effect._asdict().items()}
        undecided = verdict.word is verdicts.Word.INCONCLUSIVE
        judged["seeds_to_decide"] = verdicts.seeds_to_decide(verdict, count) if undecided else None
        judged["terms"] = [self._term(term, trials[term.arm]) for term in relation.terms]
        record["judged"][relation.name] = judged
        return judged

    def _term(self, term: Term, trials: Trials) -> Record:
        quoted = [number.value for number in self.claim.arms[term.arm].quotes if number.metric == term.metric]
        median = float(np.median(_worst(term.metric, term.metric.of(trials))))
        return {
            "arm": term.arm,
            "metric": str(term.metric),
            "median": _plain(median),
            "quoted": [_plain(value) for value in quoted],
        }

    def _compare(self, today: Baseline, bench: Bench) -> tuple[list[str], list[str]]:
        failures: list[str] = []
        notes: list[str] = []
        overridden = bench.overrides.get(self.claim.lab.name)
        if overridden:
            settings = ", ".join(f"{self.claim.lab.name}.{name}={value}" for name, value in overridden.items())
            notes.append(f"{settings} overridden: nothing is compared with the baselines")
        elif not bench.update:
            try:
                stored = baselines.read(baselines.path(bench.baselines, today.claim, today.scale, today.data["name"]))
                if isinstance(self.subject, Relation):
                    failures, notes = baselines.compare_relation(stored, today, self.subject.name)
                else:
                    failures, notes = baselines.compare_arm(stored, today, self.subject)
                failures += baselines.compare_names(stored, self.claim.names)
            except baselines.BaselineError as error:
                failures = [str(error)]
        for name, judged in today.relations.items():
            if bench.strict and judged["verdict"] != verdicts.Word.REPRODUCED:
                failures.append(f"{name}: {judged['verdict']}, holds in {judged['holds']} of {judged['n']} seeds")
        return failures, notes


def checks(claim: Claim) -> list[Check]:
    """All of a claim's checks."""
    subjects: list[str | Relation] = [*claim.arms, *claim.relations]
    return [Check(claim, scale, subject) for scale in claim.seeds for subject in subjects]


def _worst(metric: Metric, values: Floats) -> Floats:
    """Non-finite values as the infinity that is worst."""
    return np.where(np.isfinite(values), values, -np.inf if metric.higher_is_better else np.inf)


def _quote(number: Quoted, trials: Trials) -> Record:
    """The report's number and the share of our seeds that lie below it, in percent, half of the equal ones counted."""
    values = _worst(number.metric, number.metric.of(trials))
    value = _worst(number.metric, np.array([number.value]))[0]
    percentile = 100 * float(np.mean(values < value) + np.mean(values == value) / 2)
    return {
        "metric": str(number.metric),
        "value": _plain(number.value),
        "where": number.where,
        "percentile": round(percentile, 1),
    }


def _plain(value: Any) -> Any:
    """A float as the shortest number that gives the same float32, None where it is not finite; all else as it is."""
    return baselines.numbers(np.array([value]))[0] if isinstance(value, float) else value
