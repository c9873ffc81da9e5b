"""A session: its options, and each claim as they resolve it."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from labcheck.core.claims import Claim
from labcheck.core.lab import Data, Lab, Settings
from labcheck.core.scales import Scale
from labcheck.core.settings import plain
from labcheck.core.trials import MetricError, Trials
from labcheck.engine import baselines, stopping
from labcheck.engine.baselines import Baseline
from labcheck.engine.environment import Fingerprint
from labcheck.engine.store import Block, TrainingError, TrialStore, blocks

DATA_SOURCE = "data_source"
"""The setting of a lab that has embedded and real data."""


class NotMeasuredError(Exception):
    """A result that cannot be measured: an arm cannot be trained, or does not provide a metric that the claim needs.

    Args:
        reason: One line that names the arm, its settings and the seeds.
        traceback: The traceback within the lab's own code; "" if the line is sufficient.
    """

    def __init__(self, reason: str, traceback: str = ""):
        super().__init__(reason)
        self.traceback = traceback


@dataclass
class Session:
    """The options of a session.

    Attributes:
        store: The session's trials.
        baselines: The folder of the baselines.
        device: "cpu", "cuda" or "cuda:<i>", or "auto" for the device of each scale.
        seeds: The seeds of every arm; None for the number that each claim needs.
        overrides: Open settings by lab.
        data_source: "embedded" or "real", for labs that have both.
        update: Whether results are recorded instead of compared.
        strict: Whether a check fails for any verdict other than REPRODUCED.
    """

    store: TrialStore
    baselines: Path
    device: str = "auto"
    seeds: range | None = None
    overrides: Mapping[str, Settings] = field(default_factory=dict)
    data_source: str = "embedded"
    update: bool = False
    strict: bool = False
    _experiments: dict[tuple[str, Scale], "Experiment"] = field(default_factory=dict, repr=False)

    def experiment(self, claim: Claim, scale: Scale, labs: Mapping[str, Lab]) -> "Experiment":
        """Return a claim at a scale under the session's options; it is resolved on the first request.

        Args:
            claim: The claim.
            scale: The scale.
            labs: The lab of each arm at this scale, as the claim configures it.

        Raises:
            ValueError: An arm cannot have the overrides.
            DataError: Some data is missing.
        """
        key = claim.id, scale
        if key not in self._experiments:
            self._experiments[key] = self._resolve(claim, scale, labs)
        return self._experiments[key]

    def _resolve(self, claim: Claim, scale: Scale, labs: Mapping[str, Lab]) -> "Experiment":
        overrides = self.overrides.get(claim.lab.name, {})
        labs = {name: lab.override(self._changes(claim, scale, name)) for name, lab in labs.items()}
        device = scale.device if self.device == "auto" else self.device
        provenance = self.store.provenance
        data = provenance.data_of(labs.values())
        stored, problem = None, ""
        try:
            stored = baselines.read(baselines.path(self.baselines, claim.id, scale, data.name))
        except baselines.BaselineError as error:
            problem = str(error)
        return Experiment(
            session=self,
            claim=claim,
            scale=scale,
            labs=labs,
            looks=self._looks(claim, scale, labs, device, None if overrides else stored),
            device=device,
            overrides=overrides,
            data=data,
            data_by_arm={name: provenance.data(lab) for name, lab in labs.items()},
            fingerprint=provenance.fingerprint(labs.values(), device),
            resumable=all(map(provenance.resumable, labs.values())),
            stored=stored,
            problem=problem,
        )

    def _looks(
        self, claim: Claim, scale: Scale, labs: Mapping[str, Lab], device: str, stored: Baseline | None
    ) -> list[int]:
        """Return the numbers of seeds after which a claim is judged while it trains; one if that is fixed."""
        most = claim.seeds[scale]
        if (labels := next(iter(labs.values())).seed_labels()) is not None:
            return [min(self.seeds.stop, len(labels)) if self.seeds else len(labels)]
        if self.seeds is not None:
            return [self.seeds.stop]
        if stored and not self.update:
            return [min(stored.seeds, most)]
        if not all(relation.sequential for relation in claim.relations):
            return [most]
        return stopping.looks(labs.values(), most, device)

    def _changes(self, claim: Claim, scale: Scale, arm: str) -> Settings:
        """Return the settings of an arm that the session's options change; those of the arm itself take precedence."""
        changes = dict(self.overrides.get(claim.lab.name, {}))
        has_source = any(field.name == DATA_SOURCE for field in dataclasses.fields(claim.lab))
        if has_source and DATA_SOURCE not in claim.lab.scales.get(scale, {}):
            changes.setdefault(DATA_SOURCE, self.data_source)
        return {name: value for name, value in changes.items() if name not in claim.arms[arm].settings}


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A claim at a scale under a session's options: all that its checks read.

    Attributes:
        session: The session.
        claim: The claim.
        scale: The scale.
        labs: The lab of each arm, by name.
        looks: The numbers of seeds after which it is judged while it trains, in ascending order.
        device: "cpu", "cuda" or "cuda:<i>".
        overrides: The settings of the lab that the session overrides.
        data: The data of all arms; one name and digest for several data sets if they differ.
        data_by_arm: The data of each arm.
        fingerprint: The environment on which results are measured.
        resumable: Whether trials can be kept for a later session.
        stored: The baseline, if there is one that can be read.
        problem: The reason why there is none.
    """

    session: Session
    claim: Claim
    scale: Scale
    labs: Mapping[str, Lab]
    looks: Sequence[int]
    device: str
    overrides: Settings
    data: Data
    data_by_arm: Mapping[str, Data]
    fingerprint: Fingerprint
    resumable: bool
    stored: Baseline | None
    problem: str

    @property
    def sequential(self) -> bool:
        """Whether the claim is judged while it trains, so that the number of seeds depends on all arms."""
        return len(self.looks) > 1

    @property
    def all_seeds(self) -> range:
        """The seeds of each arm if the claim is decided at the last look only, or not at all."""
        return range(self.session.seeds.start if self.session.seeds else 0, self.looks[-1])

    @property
    def rounds(self) -> range:
        """The seeds of relations about CPU time, whose number does not depend on when the claim is decided."""
        return self.session.seeds or range(self.claim.seeds[self.scale])

    @cached_property
    def seeds(self) -> range:
        """The seeds of each arm. If the claim is judged while it trains, all its arms are trained now.

        If an arm cannot be trained, or lacks a metric, no more seeds are trained, and its tests report why.
        """
        if not self.sequential:
            return self.all_seeds
        for look in self.looks:
            try:
                if stopping.is_decided(self.claim, {arm: self.train(arm, range(look)) for arm in self.labs}):
                    break
            except (NotMeasuredError, MetricError):
                break
        for later in self.looks:
            if later > look:
                self.session.store.progress.finish(self.need(later))
        return range(look)

    def need(self, look: int) -> str:
        """Return the name, unique in the session, of the need for the seeds of a look."""
        return f"{self.claim.id} ({self.scale}): {look} seeds"

    def train(self, arm: str, seeds: range) -> Trials:
        """Return the trials of an arm; they are trained now unless the session has them.

        Raises:
            NotMeasuredError: The arm cannot be trained.
        """
        try:
            return self.session.store.trials(self.labs[arm], seeds, self.device)
        except TrainingError as error:
            raise NotMeasuredError(f"{self.describe_arm(arm)}, {error}", error.traceback) from None
        except MetricError as error:
            raise NotMeasuredError(f"{self.describe_arm(arm)}: {error}") from None

    def blocks(self, arm: str) -> dict[Block, int]:
        """Return the blocks of seeds that an arm may need, each with the index of the look that needs it first."""
        needed: dict[Block, int] = {}
        for index, look in enumerate(self.looks):
            for block in blocks(self.labs[arm], range(self.all_seeds.start, look), self.device):
                needed.setdefault(block, index)
        return needed

    def empty_baseline(self) -> Baseline:
        """Return a baseline without results, to which checks add what they measure."""
        data = {"name": self.data.name, "digest": self.data.digest}
        return Baseline(self.claim.id, str(self.scale), data, len(self.seeds), self.fingerprint)

    def describe_arm(self, arm: str) -> str:
        """Return an arm's name and settings for a message."""
        settings = ", ".join(f"{name}={value!r}" for name, value in self.claim.arms[arm].settings.items())
        return f"arm '{arm}' ({settings or 'defaults'})"

    def overridden(self, arms: Iterable[str]) -> Settings:
        """Return the overrides that affect any of these arms: those that at least one of them does not set itself."""
        common = self.claim.common_settings(arms)
        return {f"{self.claim.lab.name}.{name}": value for name, value in self.overrides.items() if name not in common}

    def describe(self) -> dict[str, Any]:
        """Return the description of the claim for a report: its text, metrics, and settings that are not stated."""
        claim, overrides, common = self.claim, self.overrides, self.claim.common_settings(self.claim.arms)
        scale = claim.lab.scales.get(self.scale, {})
        defaults = {
            field.name: field.default
            for field in dataclasses.fields(claim.lab)
            if field.default is not dataclasses.MISSING
        }
        scaled = {
            name: value
            for name, value in scale.items()
            if name in defaults and name not in {*overrides, *common, DATA_SOURCE}
        }
        values = {**defaults, **scale, **overrides}
        return {
            "id": claim.id,
            "statement": claim.statement,
            "citation": claim.citation,
            "notes": list(claim.notes),
            "arms": list(claim.arms),
            "replays": [name for name, arm in claim.arms.items() if arm.replay],
            "relations": [relation.name for relation in claim.relations],
            "metrics": {
                metric.id: {
                    "higher_is_better": metric.higher_is_better,
                    "ratio": metric.ratio,
                    "unit": claim.lab.unit(metric.name) if metric.unit is None else metric.unit,
                    "curve": metric.curve or ("" if metric.reduction else metric.name),
                }
                for arm in claim.arms
                for metric in claim.metrics(arm)
            },
            "stand_in": self.data.stand_in,
            "first_seed": self.seeds.start,
            "overridden": plain(self.overridden(claim.arms)),
            "scaled": [
                plain({"setting": name, "value": value, "report": defaults[name]})
                for name, value in sorted(scaled.items())
            ],
            "unstated": [
                plain(
                    {"setting": name, "value": values[name], **vars(justification)}
                    | {"alternatives": [vars(other) for other in justification.alternatives]}
                )
                for name, justification in claim.lab.unstated().items()
                if name not in common
            ],
        }
