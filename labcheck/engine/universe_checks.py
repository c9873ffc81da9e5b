"""Checks of universes: one for each choice of the settings that the report of a claim leaves open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from labcheck.core import universes
from labcheck.core.claims import Claim, ClaimError
from labcheck.core.lab import Lab
from labcheck.core.relations import Relation
from labcheck.core.scales import Scale
from labcheck.core.settings import plain
from labcheck.core.trials import Trials
from labcheck.core.universes import Plan
from labcheck.engine import multiverse
from labcheck.engine.baselines import Baseline
from labcheck.engine.checks import ArmCheck, Check, CheckSpec, RelationCheck
from labcheck.engine.claim_results import ClaimResult
from labcheck.engine.multiverse import Universe
from labcheck.engine.session import Session


@dataclass(frozen=True)
class UniverseSpec(CheckSpec):
    """A test of a claim in one universe, before the options of the session are known.

    Attributes:
        universe: The universe; `subject` is its name.
        grid: The values of each setting that the report leaves open, the assumed one first, as JSON values.
    """

    universe: Universe
    grid: Mapping[str, Sequence[Any]]

    @property
    def name(self) -> str:
        """A readable name for the test."""
        return f"universe[{self.universe.name}-{self.scale}]"

    def resolve(self, session: Session) -> Check:
        """Return the check under the options of a session.

        Raises:
            ValueError: An arm cannot have the session's overrides.
            DataError: Some data is missing.
        """
        experiment = session.experiment(self.claim, self.scale, self.labs, self.universe)
        return UniverseCheck(self.id, experiment, self.universe, self.grid)


def build_universe_checks(claim: Claim, limit: int | None) -> list[CheckSpec]:
    """Return a check of a claim for each universe, for relations that are not about CPU time.

    Universes that differ only in settings that all arms set themselves are one; those with settings that an arm
    refuses are left out.

    Args:
        claim: The claim.
        limit: The largest number of universes of its lab; None for all of them.

    Raises:
        ClaimError: The claim is invalid, or the limit is too small for its lab.
    """
    claim.validate()
    if not untimed(claim):
        return []
    checks: list[CheckSpec] = []
    for scale in claim.scales:
        labs = claim.configure(scale)
        grid = multiverse.grid_of(claim.lab, scale)
        try:
            planned = plan(claim.lab, scale, limit)
        except ValueError as error:
            raise ClaimError(f"{claim.lab.name}: --claims-universes: {error}") from None
        seen: set[tuple[Lab, ...]] = set()
        for levels in planned.universes:
            settings = grid.changes(levels)
            try:
                changed = {arm: lab.override(_changes(claim, arm, settings)) for arm, lab in labs.items()}
            except ValueError:
                continue
            if (key := tuple(changed.values())) not in seen:
                seen.add(key)
                name = grid.name(levels)
                universe = Universe(name, {setting: plain(value) for setting, value in settings.items()})
                checks.append(UniverseSpec(claim, scale, changed, name, universe, grid.plain()))
    return checks


def untimed(claim: Claim) -> list[Relation]:
    """Return the relations of a claim that are not about CPU time, which no setting is expected to change."""
    return [relation for relation in claim.relations if not relation.timed]


@cache
def plan(lab: type[Lab], scale: Scale, limit: int | None) -> Plan:
    """Return the universes of a lab at a scale.

    Raises:
        ValueError: The limit is too small.
    """

    def is_plausible(settings: Mapping[str, Any]) -> bool:
        if lab.required_settings():
            return True  # the settings of no arm are complete without those that each arm sets itself
        try:
            return lab.configure(scale, {}).override(settings).is_plausible()
        except ValueError:
            return False

    return universes.plan(multiverse.grid_of(lab, scale), limit, is_plausible)


def _changes(claim: Claim, arm: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in claim.arms[arm].settings}


@dataclass(frozen=True)
class UniverseCheck(Check):
    """Judge a claim in a universe, and check whether its results have drifted.

    Attributes:
        universe: The universe.
        grid: The values of each setting that the report leaves open.
    """

    universe: Universe
    grid: Mapping[str, Sequence[Any]]

    @property
    def arms(self) -> Sequence[str]:
        """The names of all arms."""
        return list(self.experiment.labs)

    @property
    def parts(self) -> list[Check]:
        """The checks of the arms and relations in this universe."""
        experiment = self.experiment
        arms = [ArmCheck(self.id, experiment, arm) for arm in self.arms]
        return [*arms, *(RelationCheck(self.id, experiment, relation) for relation in untimed(experiment.claim))]

    def measure(self, trials: Mapping[str, Trials], result: ClaimResult) -> None:
        """Add the values of all arms and the verdicts on all relations."""
        for part in self.parts:
            part.measure(trials, result)
        own = {name: sorted(arm.settings) for name, arm in self.experiment.claim.arms.items()}
        shares = [relation for relation in untimed(self.experiment.claim) if relation.sequential]
        outcomes = {relation.name: relation.decide(trials).holds for relation in shares}
        result.universe = {
            **self.universe._asdict(),
            "grid": dict(self.grid),
            "own": own,
            "outcomes": {name: "".join("01"[int(held)] for held in holds) for name, holds in outcomes.items()},
        }

    def compare(self, stored: Baseline, current: Baseline) -> tuple[list[str], list[str]]:
        """Compare all values and verdicts with the stored ones."""
        compared = [part.compare(stored, current) for part in self.parts]
        drifts = [drift for failures, _ in compared for drift in failures]
        return drifts, list(dict.fromkeys(note for _, notes in compared for note in notes))
