"""What a claim's tests do: train what they need, judge it, and compare it with the baseline."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from labcheck import baselines, environment, timing, verdicts
from labcheck.baselines import Baseline
from labcheck.claims import Claim, Quoted
from labcheck.labs.lab import Lab, Settings
from labcheck.metrics import CPU_SECONDS, Trials
from labcheck.relations import Relation, Term
from labcheck.report import tensorboard
from labcheck.report.findings import Finding
from labcheck.report.summary import summary
from labcheck.trials import Block, TrialStore, blocks


class CheckFailedError(Exception):
    """A check's answer is not what it should be; each argument is a line that says why."""


@dataclass(frozen=True)
class Answer:
    """What a check found, and what it makes of it, in lines.

    Attributes:
        drifts: in what it is not the stored answer; the check fails.
        failures: why the check fails besides.
        notes: what is only worth saying.
    """

    finding: Finding
    drifts: list[str]
    failures: list[str]
    notes: list[str]


@dataclass
class Bench:
    """How this session trains and compares.

    Attributes:
        store: the session's trials.
        baselines: their folder.
        device: "cpu", "cuda[:i]", or "auto": the CPU at quick scale, else a GPU.
        seeds: instead of each claim's own number.
        overrides: open settings by lab.
        source: of the data, "embedded" or "real", for labs that have both.
        update: measure only, because the baselines are to be written.
        strict: anything but REPRODUCED fails.
        tensorboard: where curves go, if anywhere.
    """

    store: TrialStore
    baselines: Path
    device: str = "auto"
    seeds: int | None = None
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: str = "embedded"
    update: bool = False
    strict: bool = False
    tensorboard: Path | None = None


@dataclass(frozen=True)
class Check(ABC):
    """One test of a claim at a scale."""

    claim: Claim
    scale: str

    @property
    @abstractmethod
    def name(self) -> str:
        """A readable test name."""

    @property
    @abstractmethod
    def arms(self) -> Sequence[str]:
        """The arms that it needs."""

    @abstractmethod
    def measure(self, trials: Mapping[str, Trials], bench: Bench, finding: Finding) -> None:
        """Add to the finding what these trials of its arms show."""

    @abstractmethod
    def compare(self, stored: Baseline, today: Baseline) -> tuple[list[str], list[str]]:
        """What fails, and what is only worth saying."""

    def device(self, bench: Bench) -> str:
        """Where it trains."""
        if bench.device != "auto":
            return bench.device
        return "cpu" if self.scale == "quick" else "cuda"

    def seeds(self, bench: Bench) -> int:
        """How many it needs of each arm."""
        return bench.seeds or self.claim.seeds[self.scale]

    def lab(self, bench: Bench, arm: str | None = None) -> Lab:
        """With an arm's settings, or, for what all arms share, without."""
        settings = {} if arm is None else self.claim.arms[arm].settings
        return self.claim.lab.configure(self.scale, self._overrides(bench), settings, bench.source)

    def blocks(self, bench: Bench, arm: str) -> list[Block]:
        """What has to be trained of an arm."""
        return blocks(self.lab(bench, arm), self.seeds(bench), self.device(bench))

    def trials(self, bench: Bench) -> Mapping[str, Trials]:
        """Of its arms, trained now unless they have been in this session."""
        n = self.seeds(bench)
        return {arm: bench.store.trials(self.lab(bench, arm), n, self.device(bench)) for arm in self.arms}

    def stored(self, bench: Bench, data: str) -> Baseline:
        """The claim's baseline at this scale, on the data of this name.

        Raises:
            BaselineError: there is none that can be read.
        """
        return baselines.read(baselines.path(bench.baselines, self.claim.id, self.scale, data))

    def run(self, bench: Bench) -> Answer:
        """Train, judge and compare."""
        n = self.seeds(bench)
        trials = self.trials(bench)
        lab, device = self.lab(bench), self.device(bench)
        fingerprint = environment.fingerprint(device, lab.precision(device))
        today = Baseline(self.claim.id, self.scale, lab.data()._asdict(), n, fingerprint)
        finding = Finding(self._claim(bench), today)
        self.measure(trials, bench, finding)
        answer = self._against_baseline(finding, bench)
        if bench.strict:
            answer.failures.extend(
                f"{name}: {verdict['verdict']}, {verdicts.tally(verdict)}"
                for name, verdict in today.relations.items()
                if verdict["verdict"] != verdicts.Word.REPRODUCED
            )
        answer.notes.extend(filter(None, [bench.store.problem]))
        return answer

    def _overrides(self, bench: Bench) -> Settings:
        return bench.overrides.get(self.claim.lab.name, {})

    def _overridden(self, bench: Bench, arms: Iterable[str]) -> Settings:
        """The overrides that change anything, which is what not each of these arms sets itself."""
        given, overrides = self.claim.given(arms), self._overrides(bench)
        return {f"{self.claim.lab.name}.{name}": value for name, value in overrides.items() if name not in given}

    def _claim(self, bench: Bench) -> dict[str, Any]:
        """Return the claim's own text, and the evidence for the settings that its report does not state."""
        claim, overrides = self.claim, self._overrides(bench)
        given, lab = claim.given(claim.arms), self.lab(bench)
        defaults = {
            field.name: field.default
            for field in dataclasses.fields(claim.lab)
            if field.default is not dataclasses.MISSING
        }
        scaled = {
            name: value
            for name, value in claim.lab.scales.get(self.scale, {}).items()
            if name in defaults and name not in {*overrides, *given, "source"}
        }
        return {
            "id": claim.id,
            "statement": claim.statement,
            "source": claim.source,
            "notes": list(claim.notes),
            "arms": list(claim.arms),
            "replays": [name for name, arm in claim.arms.items() if arm.replay],
            "relations": [relation.name for relation in claim.relations],
            "metrics": {
                str(metric): {"higher_is_better": metric.higher_is_better, "ratio": metric.ratio}
                for arm in claim.arms
                for metric in claim.metrics(arm)
            },
            "units": dict(claim.lab.units),
            "overridden": baselines.plain(self._overridden(bench, claim.arms)),
            "scaled": [
                baselines.plain({"setting": name, "value": value, "report": defaults[name]})
                for name, value in sorted(scaled.items())
            ],
            "evidence": [
                baselines.plain({"setting": name, "value": getattr(lab, name), **asdict(evidence)})
                for name, evidence in claim.lab.evidence().items()
                if name not in given
            ],
        }

    def _against_baseline(self, finding: Finding, bench: Bench) -> Answer:
        overridden = self._overridden(bench, self.arms)
        if overridden:
            settings = ", ".join(f"{name}={value}" for name, value in overridden.items())
            return Answer(finding, [], [], [f"{settings} overridden: nothing is compared with the baselines"])
        if bench.update:
            return Answer(finding, [], [], [])
        try:
            stored = self.stored(bench, finding.today.data["name"])
        except baselines.BaselineError as error:
            return Answer(finding, [], [str(error)], [])
        drifts, notes = self.compare(stored, finding.today)
        drifts += baselines.compare_names(stored, self.claim.names)
        if bench.seeds is None and stored.seeds != finding.today.seeds:
            drifts.append(f"{finding.today.seeds} seeds, stored {stored.seeds}; {baselines.HOW}")
        return Answer(finding, drifts, [], notes)


@dataclass(frozen=True)
class ArmCheck(Check):
    """Has this arm drifted?"""

    arm: str

    @property
    def name(self) -> str:
        return f"arm[{self.arm}-{self.scale}]"

    @property
    def arms(self) -> Sequence[str]:
        return [self.arm]

    def measure(self, trials: Mapping[str, Trials], bench: Bench, finding: Finding) -> None:
        values = {str(metric): metric.of(trials[self.arm]) for metric in self.claim.metrics(self.arm)}
        finding.today.arms[self.arm] = {
            "settings": baselines.plain(asdict(self.lab(bench, self.arm))),
            "metrics": {name: baselines.numbers(value) for name, value in values.items()},
        }
        seconds = bench.store.seconds(self.lab(bench, self.arm), self.seeds(bench), self.device(bench))
        finding.today.cpu_seconds[self.arm] = float(f"{seconds:.3g}")
        finding.shown[self.arm] = summary(trials[self.arm])
        quotes = [number for number in self.claim.quotes(self.arm, self.scale) if number.metric != CPU_SECONDS]
        finding.quoted[self.arm] = [_quote(number, trials[self.arm]) for number in quotes]

    def compare(self, stored: Baseline, today: Baseline) -> tuple[list[str], list[str]]:
        return baselines.compare_arm(stored, today, self.arm)

    def run(self, bench: Bench) -> Answer:
        answer = super().run(bench)
        if bench.tensorboard:
            lab = self.lab(bench, self.arm)
            folder = bench.tensorboard / self.claim.id / self.scale / tensorboard.folder_name(self.arm)
            try:
                tensorboard.write(folder, lab, bench.store.trials(lab, self.seeds(bench), self.device(bench)))
            except OSError as error:
                answer.failures.append(f"no TensorBoard files: {error}; name another folder with --claims-tensorboard")
        return answer


@dataclass(frozen=True)
class RelationCheck(Check):
    """Does this relation hold?"""

    relation: Relation

    @property
    def name(self) -> str:
        return f"relation[{self.relation.name}-{self.scale}]"

    @property
    def arms(self) -> Sequence[str]:
        return self.relation.arms

    def blocks(self, bench: Bench, arm: str) -> list[Block]:
        return [] if self.relation.timed else super().blocks(bench, arm)

    def trials(self, bench: Bench) -> Mapping[str, Trials]:
        if not self.relation.timed:
            return super().trials(bench)
        return timing.in_turn({arm: self.lab(bench, arm) for arm in self.arms}, self.seeds(bench), self.device(bench))

    def measure(self, trials: Mapping[str, Trials], bench: Bench, finding: Finding) -> None:
        stored, shown, effect = self.relation.conclude(trials, len(self.claim.relations))
        finding.today.relations[self.relation.name] = stored
        finding.judged[self.relation.name] = {
            **stored,
            **shown,
            "effect": {name: _plain(value) for name, value in effect._asdict().items()},
            "terms": [self._term(term, trials[term.arm]) for term in self.relation.terms],
        }

    def _term(self, term: Term, trials: Trials) -> dict[str, Any]:
        quotes = self.claim.quotes(term.arm, self.scale)
        quoted = [number.value for number in quotes if str(number.metric) == str(term.metric)]
        return {
            "arm": term.arm,
            "metric": str(term.metric),
            "median": _plain(term.metric.median(term.metric.of(trials))),
            "quoted": [_plain(value) for value in quoted],
        }

    def compare(self, stored: Baseline, today: Baseline) -> tuple[list[str], list[str]]:
        return baselines.compare_relation(stored, today, self.relation.name)


def checks(claim: Claim) -> list[Check]:
    """All of a claim's checks."""
    return [
        check
        for scale in claim.seeds
        for check in (
            *(ArmCheck(claim, scale, arm) for arm in claim.arms),
            *(RelationCheck(claim, scale, relation) for relation in claim.relations),
        )
    ]


def _quote(number: Quoted, trials: Trials) -> dict[str, Any]:
    """The report's number and the share of our seeds that lie below it, in percent, half of the equal ones counted."""
    values = number.metric.filled(number.metric.of(trials))
    value = number.metric.filled(np.array([number.value], dtype=np.float32))[0]
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
