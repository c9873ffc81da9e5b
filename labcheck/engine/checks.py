"""What a claim's tests do: train what they need, judge it, and compare it with the baseline."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from labcheck.core import verdicts
from labcheck.core.claims import Claim, Quoted
from labcheck.core.metrics import CPU_SECONDS, MetricError, Trials, rounded
from labcheck.core.relations import Relation, Term
from labcheck.engine import baselines, timing
from labcheck.engine.baselines import Baseline
from labcheck.engine.session import Session
from labcheck.engine.store import Block, TrainingError
from labcheck.report import tensorboard
from labcheck.report.findings import Finding
from labcheck.report.summary import summary


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
    def measure(self, trials: Mapping[str, Trials], session: Session, finding: Finding) -> None:
        """Add to the finding what these trials of its arms show."""

    @abstractmethod
    def compare(self, stored: Baseline, today: Baseline) -> tuple[list[str], list[str]]:
        """Return what fails, and what is only worth saying."""

    def blocks(self, session: Session) -> dict[str, list[Block]]:
        """Return what has to be trained of each arm."""
        experiment = session.experiment(self.claim, self.scale)
        return {arm: experiment.blocks(arm) for arm in self.arms}

    def retry(self, session: Session) -> None:
        """Have what could not be trained trained again."""
        for blocks in self.blocks(session).values():
            session.store.retry(blocks)

    def trials(self, session: Session) -> Mapping[str, Trials]:
        """Return the trials of its arms, trained now unless they have been in this session.

        Raises:
            NotMeasuredError: an arm cannot be trained.
        """
        experiment = session.experiment(self.claim, self.scale)
        trained = {}
        for arm in self.arms:
            try:
                trained[arm] = session.store.trials(experiment.labs[arm], experiment.seeds, experiment.device)
            except TrainingError as error:
                raise NotMeasuredError(f"{experiment.describe_arm(arm)}, {error}", error.traceback) from None
            except MetricError as error:
                raise NotMeasuredError(f"{experiment.describe_arm(arm)}: {error}") from None
        return trained

    def run(self, session: Session) -> Answer:
        """Train, judge and compare.

        Raises:
            NotMeasuredError: an arm cannot be trained, or does not measure what the claim needs.
        """
        experiment = session.experiment(self.claim, self.scale)
        trials = self.trials(session)
        data, seeds = experiment.data._asdict(), experiment.seeds
        today = Baseline(self.claim.id, self.scale, data, seeds, experiment.fingerprint)
        finding = Finding(experiment.describe(), today)
        try:
            self.measure(trials, session, finding)
        except MetricError as error:
            raise NotMeasuredError(str(error)) from None
        answer = self._against_baseline(finding, session)
        if session.strict:
            answer.failures.extend(
                f"{name}: {verdict['verdict']}, {verdicts.tally(verdict)}"
                for name, verdict in today.relations.items()
                if verdict["verdict"] != verdicts.Word.REPRODUCED
            )
        if session.store.problem:
            answer.notes.append(session.store.problem)
        if session.store.lasting and not experiment.resumable:
            answer.notes.append(
                f"{self.claim.lab.name}: its trials are not kept for --claims-resume, as data() returns no digest by "
                "which a change of the data would show"
            )
        return answer

    def _against_baseline(self, finding: Finding, session: Session) -> Answer:
        experiment = session.experiment(self.claim, self.scale)
        if overridden := experiment.overridden(self.arms):
            settings = ", ".join(f"{name}={value}" for name, value in overridden.items())
            return Answer(finding, [], [], [f"{settings} overridden: nothing is compared with the baselines"])
        if session.update:
            return Answer(finding, [], [], [])
        stored = experiment.stored
        if stored is None:
            return Answer(finding, [], [experiment.problem], [])
        drifts, notes = self.compare(stored, finding.today)
        drifts += baselines.compare_names(stored, self.claim.names)
        if stored.seeds != finding.today.seeds:
            remedy = "; --claims-update REASON records all" if session.seeds is None else ""
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

    def measure(self, trials: Mapping[str, Trials], session: Session, finding: Finding) -> None:
        experiment = session.experiment(self.claim, self.scale)
        values = {str(metric): Term(self.arm, metric).of(trials) for metric in self.claim.metrics(self.arm)}
        lab = experiment.labs[self.arm]
        finding.today.arms[self.arm] = {
            "settings": lab.plain(),
            "metrics": {name: baselines.numbers(value) for name, value in values.items()},
        }
        if (data := experiment.data_by_arm[self.arm]) != experiment.data:
            finding.today.arms[self.arm]["data"] = data._asdict()
        seconds = session.store.seconds(lab, experiment.seeds, experiment.device)
        finding.today.cpu_seconds[self.arm] = float(f"{seconds:.3g}")
        finding.shown[self.arm] = summary(trials[self.arm])
        quotes = [number for number in self.claim.quotes(self.arm, self.scale) if number.metric != CPU_SECONDS]
        finding.quoted[self.arm] = [_quote(number, trials[self.arm]) for number in quotes]

    def compare(self, stored: Baseline, today: Baseline) -> tuple[list[str], list[str]]:
        return baselines.compare_arm(stored, today, self.arm)

    def run(self, session: Session) -> Answer:
        answer = super().run(session)
        if session.tensorboard:
            experiment = session.experiment(self.claim, self.scale)
            lab = experiment.labs[self.arm]
            folder = session.tensorboard / self.claim.id / self.scale / tensorboard.folder_name(self.arm)
            try:
                tensorboard.write(folder, lab, session.store.trials(lab, experiment.seeds, experiment.device))
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

    def blocks(self, session: Session) -> dict[str, list[Block]]:
        return {} if self.relation.timed else super().blocks(session)

    def trials(self, session: Session) -> Mapping[str, Trials]:
        if not self.relation.timed:
            return super().trials(session)
        experiment = session.experiment(self.claim, self.scale)
        labs = {arm: experiment.labs[arm] for arm in self.arms}
        try:
            return timing.in_turn(labs, experiment.seeds, experiment.device)
        except timing.TimingError as error:
            arm, failure = error.args
            raise NotMeasuredError(f"{experiment.describe_arm(arm)}, {failure}", failure.traceback) from None

    def measure(self, trials: Mapping[str, Trials], session: Session, finding: Finding) -> None:
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
