"""Checks: the tests of a claim, one for each arm and one for each relation.

`build_checks` lists the checks of a claim when it is collected. `CheckSpec.resolve` turns one of them into a `Check`
under the options of a session, which trains, judges and compares with the baseline.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from labcheck.core import verdicts
from labcheck.core.claims import Claim, ClaimError, Quote
from labcheck.core.lab import Lab
from labcheck.core.metrics import CPU_SECONDS, round_to_float32
from labcheck.core.relations import Relation, Term
from labcheck.core.scales import Scale
from labcheck.core.trials import MetricError, Trials
from labcheck.core.verdicts import Verdict
from labcheck.engine import baselines, timing
from labcheck.engine.baselines import Baseline
from labcheck.engine.claim_results import ClaimResult
from labcheck.engine.provenance import identity
from labcheck.engine.session import Experiment, NotMeasuredError, Session
from labcheck.engine.store import Block

MIN_SEEDS = 3
"""The number of seeds from which equal results are no coincidence."""


class CheckFailedError(Exception):
    """A check that ran and failed; each argument is a reason in one line."""


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    Attributes:
        result: What was measured and judged.
        trials: The trials of each arm that the check is about, by name.
        drifts: How the result differs from the baseline; each line fails the check.
        failures: Other reasons for which the check fails.
        notes: Lines for the summary of the run.
    """

    result: ClaimResult
    trials: Mapping[str, Trials]
    drifts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CheckSpec:
    """A test of a claim as it is collected, before the options of the session are known.

    Attributes:
        claim: The claim.
        scale: The scale.
        labs: The lab of each arm at this scale.
        subject: The name of an arm, or a relation.
    """

    claim: Claim
    scale: Scale
    labs: Mapping[str, Lab]
    subject: str | Relation

    @property
    def name(self) -> str:
        """A readable name for the test."""
        if isinstance(self.subject, Relation):
            return f"relation[{self.subject.name}-{self.scale}]"
        return f"arm[{self.subject}-{self.scale}]"

    @property
    def id(self) -> str:
        """A name that is unique in a session."""
        return f"{self.claim.id} {self.name}"

    def resolve(self, session: Session) -> "Check":
        """Return the check under the options of a session.

        Raises:
            ValueError: An arm cannot have the session's overrides.
            DataError: Some data is missing.
        """
        experiment = session.experiment(self.claim, self.scale, self.labs)
        if isinstance(self.subject, Relation):
            return RelationCheck(self.id, experiment, self.subject)
        return ArmCheck(self.id, experiment, self.subject)


def build_checks(claim: Claim) -> list[CheckSpec]:
    """Return all checks of a claim.

    Raises:
        ClaimError: The claim is invalid.
    """
    claim.validate()
    subjects: list[str | Relation] = [*claim.arms, *claim.relations]
    labs = {scale: claim.configure(scale) for scale in claim.scales}
    return [CheckSpec(claim, scale, labs[scale], subject) for scale in labs for subject in subjects]


def require_different_arms(specs: Iterable[CheckSpec]) -> None:
    """Check that no relation compares one metric of two arms with equal settings.

    Raises:
        ClaimError: One does; every seed would be a tie, so that no number of seeds decides it.
    """
    for spec in specs:
        if not isinstance(relation := spec.subject, Relation) or len(relation.terms) != 2 or relation.timed:
            continue
        a, b = relation.terms
        labs = [spec.labs[term.arm] for term in relation.terms]
        if a.arm != b.arm and a.metric.id == b.metric.id and identity(labs[0]) == identity(labs[1]):
            raise ClaimError(
                f"{spec.claim.id}: arms '{a.arm}' and '{b.arm}' have equal settings, so '{relation.name}' is a tie in "
                "every seed; give one of them another setting"
            )


@dataclass(frozen=True)
class Check(ABC):
    """A test of a claim under the options of a session.

    Attributes:
        id: A name that is unique in the session.
        experiment: The claim at a scale under the session's options.
    """

    id: str
    experiment: Experiment

    @property
    @abstractmethod
    def arms(self) -> Sequence[str]:
        """The names of the arms that the check needs."""

    @abstractmethod
    def measure(self, trials: Mapping[str, Trials], result: ClaimResult) -> None:
        """Add to the result what these trials, by arm, show.

        Raises:
            MetricError: The trials lack a metric.
        """

    @abstractmethod
    def compare(self, stored: Baseline, current: Baseline) -> tuple[list[str], list[str]]:
        """Compare with the baseline; return the lines that fail the check, and notes."""

    def blocks(self) -> dict[str, dict[Block, int]]:
        """Return the blocks of seeds that may be trained, by arm, each with the index of the look that needs it.

        The number of seeds depends on all arms if the claim is judged while it trains.
        """
        arms = self.experiment.labs if self.experiment.sequential else self.arms
        return {arm: self.experiment.blocks(arm) for arm in arms}

    def retry(self) -> None:
        """Allow blocks that could not be trained to be trained again."""
        for blocks in self.blocks().values():
            self.experiment.session.store.retry(blocks)

    def trials(self) -> Mapping[str, Trials]:
        """Return the trials of the arms, by name; they are trained now unless the session has them.

        Raises:
            NotMeasuredError: An arm cannot be trained.
        """
        experiment = self.experiment
        return {arm: experiment.train(arm, experiment.seeds) for arm in self.arms}

    def run(self) -> CheckResult:
        """Train, judge, and compare with the baseline.

        Raises:
            NotMeasuredError: An arm cannot be trained, or does not provide a metric that the claim needs.
        """
        experiment, session = self.experiment, self.experiment.session
        trials = self.trials()
        result = ClaimResult(experiment.describe(), experiment.empty_baseline())
        try:
            self.measure(trials, result)
        except MetricError as error:
            raise NotMeasuredError(str(error)) from None
        check_result = CheckResult(result, trials)
        self._compare(check_result)
        check_result.notes.extend(filter(None, [self._note_on_seeds(arm, trials[arm]) for arm in result.current.arms]))
        if session.strict:
            check_result.failures.extend(
                f"{name}: {judged['verdict']}, {verdicts.tally(judged)}"
                for name, judged in result.current.relations.items()
                if judged["verdict"] != Verdict.REPRODUCED
            )
        if session.store.problem:
            check_result.notes.append(session.store.problem)
        if session.store.lasting and not experiment.resumable:
            check_result.notes.append(
                f"{experiment.claim.lab.name}: trials are not kept for --claims-resume, because data() returns no "
                "digest, without which a change of the data goes unnoticed"
            )
        return check_result

    def _note_on_seeds(self, arm: str, trials: Trials) -> str:
        """Return a line if an arm's results evidently do not depend on the seed; otherwise ""."""
        claim, lab = self.experiment.claim, self.experiment.labs[arm]
        if lab.recorded or claim.arms[arm].replay or len(trials) < MIN_SEEDS or not trials.is_constant:
            return ""
        return (
            f"{claim.id} ({self.experiment.scale}): arm '{arm}' gives equal results for all {len(trials)} seeds, to "
            "the bit: train with the seed that it receives, such as for initial weights and the order of examples; "
            "otherwise this is one training, and its verdict says nothing about seeds"
        )

    def _compare(self, check_result: CheckResult) -> None:
        """Compare a result with the baseline, unless settings are overridden or the baselines are to be written."""
        experiment, session, result = self.experiment, self.experiment.session, check_result.result
        if overridden := experiment.overridden(self.arms):
            settings = ", ".join(f"{name}={value}" for name, value in overridden.items())
            check_result.notes.append(f"{settings} overridden: results are not compared with the baselines")
            return
        if session.update:
            return
        stored = experiment.stored
        if first := experiment.seeds.start:
            check_result.notes.append(f"seeds from {first} on: results are not compared with the baselines")
            return
        if stored is None:
            if experiment.problem:
                check_result.failures.append(experiment.problem)
            else:
                check_result.notes.append(
                    f"{experiment.claim.id} ({experiment.scale}): universes without stored results are not compared; "
                    "--claims-update REASON records them"
                )
            return
        drifts, notes = self.compare(stored, result.current)
        if experiment.universe:
            drifts = [f"universe '{experiment.universe.name}': {drift}" for drift in drifts]
        check_result.drifts.extend(drifts + baselines.compare_names(stored, experiment.claim.names))
        check_result.notes.extend(notes)
        if stored.seeds != result.current.seeds:
            remedy = "; --claims-update REASON records them" if session.seeds is None else ""
            check_result.notes.append(
                f"{experiment.claim.id} ({experiment.scale}): {result.current.seeds} seeds, {stored.seeds} stored; "
                f"verdicts are not compared{remedy}"
            )


@dataclass(frozen=True)
class ArmCheck(Check):
    """Check whether an arm has drifted.

    Attributes:
        arm: The name of the arm.
    """

    arm: str

    @property
    def arms(self) -> Sequence[str]:
        """The name of the arm."""
        return [self.arm]

    def measure(self, trials: Mapping[str, Trials], result: ClaimResult) -> None:
        """Add the arm's per-seed values, its CPU time and the percentiles of its quoted numbers."""
        experiment, arm = self.experiment, self.arm
        lab, claim = experiment.labs[arm], experiment.claim
        values = {metric.id: Term(arm, metric).of(trials) for metric in claim.metrics(arm)}
        result.current.arms[arm] = {
            "settings": lab.plain(),
            "metrics": {name: baselines.numbers(value) for name, value in values.items()},
        }
        if (labels := lab.seed_labels()) is not None:
            result.current.arms[arm]["labels"] = list(labels[: len(experiment.seeds)])
        if (data := experiment.data_by_arm[arm]) != experiment.data:
            result.current.arms[arm]["data"] = {"name": data.name, "digest": data.digest}
        seconds = experiment.session.store.seconds(lab, experiment.seeds, experiment.device)
        result.current.cpu_seconds[arm] = float(f"{seconds:.3g}")
        quotes = [quote for quote in claim.quotes(arm, experiment.scale) if quote.metric != CPU_SECONDS]
        result.quoted[arm] = [_compare_quote(quote, trials[arm]) for quote in quotes]

    def compare(self, stored: Baseline, current: Baseline) -> tuple[list[str], list[str]]:
        """Compare the arm's values with the stored ones; every stored seed of a table must still be in it."""
        drifts, notes = baselines.compare_arm(stored, current, self.arm)
        labels = self.experiment.labs[self.arm].seed_labels()
        lost = baselines.lost_labels(stored, self.arm, labels) if labels is not None else []
        return lost + drifts, notes


@dataclass(frozen=True)
class RelationCheck(Check):
    """Judge a relation, and check whether its verdict contradicts the stored one.

    Attributes:
        relation: The relation.
    """

    relation: Relation

    @property
    def arms(self) -> Sequence[str]:
        """The names of the arms that the relation compares."""
        return self.relation.arms

    def blocks(self) -> dict[str, dict[Block, int]]:
        """Return the blocks of seeds that may be trained, by arm.

        A relation about CPU time needs none of them, unless the claim is judged while it trains.
        """
        return {} if self.relation.timed and not self.experiment.sequential else super().blocks()

    def trials(self) -> Mapping[str, Trials]:
        """Return the trials of the arms; for a relation about CPU time, those of brief trainings in turn."""
        if not self.relation.timed:
            return super().trials()
        experiment = self.experiment
        labs = {arm: experiment.labs[arm] for arm in self.arms}
        try:
            return timing.measure_in_turn(labs, experiment.rounds, experiment.device)
        except timing.TimingError as error:
            arm, failure = error.args
            raise NotMeasuredError(f"{experiment.describe_arm(arm)}, {failure}", failure.traceback) from None

    def measure(self, trials: Mapping[str, Trials], result: ClaimResult) -> None:
        """Add the verdict on the relation."""
        stored, details, effect = self.relation.judge(trials, len(self.experiment.claim.relations))
        result.current.relations[self.relation.name] = stored
        result.judged[self.relation.name] = {
            **stored,
            **details,
            "effect": {name: _plain(value) for name, value in effect._asdict().items()},
            "terms": [self._describe_term(term, trials[term.arm]) for term in self.relation.terms],
        }

    def _describe_term(self, term: Term, trials: Trials) -> dict[str, Any]:
        quotes = self.experiment.claim.quotes(term.arm, self.experiment.scale)
        quoted = [quote.value for quote in quotes if quote.metric.id == term.metric.id]
        return {
            "arm": term.arm,
            "metric": term.metric.id,
            "median": _plain(term.metric.median(term.of({term.arm: trials}))),
            "quoted": [_plain(value) for value in quoted],
        }

    def compare(self, stored: Baseline, current: Baseline) -> tuple[list[str], list[str]]:
        """Compare the verdict with the stored one."""
        return baselines.compare_relation(stored, current, self.relation.name)


def _compare_quote(quote: Quote, trials: Trials) -> dict[str, Any]:
    """Return a quoted number with its percentile among our seeds; equal values count half."""
    values = quote.metric.fill(quote.metric.of(trials))
    value = quote.metric.fill(round_to_float32(np.array([quote.value])))[0]
    percentile = 100 * float(np.mean(values < value) + np.mean(values == value) / 2)
    return {
        "metric": quote.metric.id,
        "value": _plain(quote.value),
        "where": quote.where,
        "percentile": round(percentile, 1),
    }


def _plain(value: Any) -> Any:
    """Return a float as baselines store it, None if it is not finite; any other value unchanged."""
    return baselines.numbers(np.array([value]))[0] if isinstance(value, float) else value
