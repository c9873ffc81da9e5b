"""What a claim's tests do: train what they need, judge it, and compare it with the baseline."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from labcheck import baselines, timing, verdicts
from labcheck.baselines import Baseline
from labcheck.claims import Claim, Quoted
from labcheck.environment import Fingerprint
from labcheck.labs.lab import Data, Lab, Settings
from labcheck.metrics import CPU_SECONDS, MetricError, Trials, rounded
from labcheck.relations import Relation, Term
from labcheck.report import tensorboard
from labcheck.report.findings import Finding
from labcheck.report.summary import summary
from labcheck.settings import plain
from labcheck.trials import Block, TrainingError, TrialStore, blocks


class CheckFailedError(Exception):
    """A check's answer is not what it should be; each argument is a line that says why."""


class NotMeasuredError(Exception):
    """A check has no answer: an arm cannot be trained, or does not measure what the claim needs.

    Args:
        reason: one line that names the arm, its settings and the seeds.
        traceback: through the lab's own code; "" where the line says all.
    """

    def __init__(self, reason: str, traceback: str = ""):
        super().__init__(reason)
        self.traceback = traceback


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
    def id(self) -> str:
        """A name that no other check of a session has."""
        return f"{self.claim.id} {self.name}"

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

    def lab(self, bench: Bench, arm: str) -> Lab:
        """Return the lab with an arm's settings."""
        settings = self.claim.arms[arm].settings
        return self.claim.lab.configure(self.scale, self._overrides(bench), settings, bench.source)

    def validate(self, bench: Bench) -> None:
        """Check that the arms take the settings that are overridden.

        Raises:
            ValueError: one of them cannot be trained so.
        """
        for arm in self.claim.arms:
            self.lab(bench, arm)

    def data(self, bench: Bench) -> Data:
        """Return the data of all arms of the claim.

        Raises:
            DataError: some data is missing.
        """
        return bench.store.provenance.data_of(self._labs(bench))

    def fingerprint(self, bench: Bench) -> Fingerprint:
        """Return what the results of all arms of the claim are measured on."""
        return bench.store.provenance.fingerprint(self._labs(bench), self.device(bench))

    def blocks(self, bench: Bench, arm: str) -> list[Block]:
        """Return what has to be trained of an arm."""
        return blocks(self.lab(bench, arm), self.seeds(bench), self.device(bench))

    def trials(self, bench: Bench) -> Mapping[str, Trials]:
        """Return the trials of its arms, trained now unless they have been in this session.

        Raises:
            NotMeasuredError: an arm cannot be trained.
        """
        return {arm: self._trained(bench, arm) for arm in self.arms}

    def retry(self, bench: Bench) -> None:
        """Have what could not be trained trained again."""
        for arm in self.arms:
            bench.store.retry(self.blocks(bench, arm))

    def stored(self, bench: Bench) -> Baseline:
        """Return the claim's baseline at this scale, on its data.

        Raises:
            BaselineError: there is none that can be read.
            DataError: some data is missing.
        """
        return baselines.read(baselines.path(bench.baselines, self.claim.id, self.scale, self.data(bench).name))

    def run(self, bench: Bench) -> Answer:
        """Train, judge and compare.

        Raises:
            NotMeasuredError: an arm cannot be trained, or does not measure what the claim needs.
        """
        n = self.seeds(bench)
        trials = self.trials(bench)
        today = Baseline(self.claim.id, self.scale, self.data(bench)._asdict(), n, self.fingerprint(bench))
        finding = Finding(self._claim(bench), today)
        try:
            self.measure(trials, bench, finding)
        except MetricError as error:
            raise NotMeasuredError(str(error)) from None
        answer = self._against_baseline(finding, bench)
        if bench.strict:
            answer.failures.extend(
                f"{name}: {verdict['verdict']}, {verdicts.tally(verdict)}"
                for name, verdict in today.relations.items()
                if verdict["verdict"] != verdicts.Word.REPRODUCED
            )
        answer.notes.extend(filter(None, [bench.store.problem, *self._not_resumed(bench)]))
        return answer

    def _not_resumed(self, bench: Bench) -> list[str]:
        if not bench.store.lasting or all(map(bench.store.provenance.resumable, self._labs(bench))):
            return []
        return [
            f"{self.claim.lab.name}: its trials are not kept for --claims-resume, as data() returns no digest by which "
            "a change of the data would show"
        ]

    def _labs(self, bench: Bench) -> list[Lab]:
        """The labs of all arms of the claim."""
        return [self.lab(bench, arm) for arm in self.claim.arms]

    def _trained(self, bench: Bench, arm: str) -> Trials:
        try:
            return bench.store.trials(self.lab(bench, arm), self.seeds(bench), self.device(bench))
        except TrainingError as error:
            raise NotMeasuredError(f"{self._shown(arm)}, {error}", error.traceback) from None
        except MetricError as error:
            raise NotMeasuredError(f"{self._shown(arm)}: {error}") from None

    def _shown(self, arm: str) -> str:
        """An arm's name and settings, for messages."""
        settings = ", ".join(f"{name}={value!r}" for name, value in self.claim.arms[arm].settings.items())
        return f"arm '{arm}' ({settings or 'as the lab is'})"

    def _overrides(self, bench: Bench) -> Settings:
        return bench.overrides.get(self.claim.lab.name, {})

    def _overridden(self, bench: Bench, arms: Iterable[str]) -> Settings:
        """The overrides that change anything, which is what not each of these arms sets itself."""
        given, overrides = self.claim.given(arms), self._overrides(bench)
        return {f"{self.claim.lab.name}.{name}": value for name, value in overrides.items() if name not in given}

    def _claim(self, bench: Bench) -> dict[str, Any]:
        """Return the claim's own text, and the evidence for the settings that its report does not state."""
        claim, overrides = self.claim, self._overrides(bench)
        given = claim.given(claim.arms)
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
        values = {**defaults, **claim.lab.scales.get(self.scale, {}), **overrides}
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
            "overridden": plain(self._overridden(bench, claim.arms)),
            "scaled": [
                plain({"setting": name, "value": value, "report": defaults[name]})
                for name, value in sorted(scaled.items())
            ],
            "evidence": [
                plain({"setting": name, "value": values[name], **vars(evidence)})
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
            stored = self.stored(bench)
        except baselines.BaselineError as error:
            return Answer(finding, [], [str(error)], [])
        drifts, notes = self.compare(stored, finding.today)
        drifts += baselines.compare_names(stored, self.claim.names)
        if stored.seeds != finding.today.seeds:
            remedy = "; --claims-update REASON records all" if bench.seeds is None else ""
            notes.append(
                f"{self.claim.id} ({self.scale}): {finding.today.seeds} seeds where {stored.seeds} are stored: those "
                f"that both have are compared, verdicts are shown{remedy}"
            )
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
        values = {str(metric): Term(self.arm, metric).of(trials) for metric in self.claim.metrics(self.arm)}
        lab = self.lab(bench, self.arm)
        finding.today.arms[self.arm] = {
            "settings": lab.plain(),
            "metrics": {name: baselines.numbers(value) for name, value in values.items()},
        }
        if (data := bench.store.provenance.data(lab)._asdict()) != finding.today.data:
            finding.today.arms[self.arm]["data"] = data
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
        labs = {arm: self.lab(bench, arm) for arm in self.arms}
        try:
            return timing.in_turn(labs, self.seeds(bench), self.device(bench))
        except timing.TimingError as error:
            arm, found = error.args
            raise NotMeasuredError(f"{self._shown(arm)}, {found}", found.traceback) from None

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
            "median": _plain(term.metric.median(term.of({term.arm: trials}))),
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
    value = number.metric.filled(rounded(np.array([number.value])))[0]
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
