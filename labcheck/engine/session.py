"""A session: how it trains and compares, and what each of its claims comes to in it."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labcheck.core.claims import Claim
from labcheck.core.lab import Data, Lab, Settings
from labcheck.core.settings import plain
from labcheck.engine import baselines
from labcheck.engine.baselines import Baseline
from labcheck.engine.environment import Fingerprint
from labcheck.engine.store import Block, TrialStore, blocks


@dataclass
class Session:
    """How a session trains and compares.

    Attributes:
        store: the session's trials.
        baselines: their folder.
        device: "cpu", "cuda[:i]", or "auto": the CPU at quick scale, else a GPU.
        seeds: instead of each claim's own number.
        overrides: open settings by lab.
        source: of the data, "embedded" or "real", for labs that have both.
        update: measure only, because the baselines are to be written.
        strict: anything but REPRODUCED fails.
        tensorboard: where curves are written, if anywhere.
    """

    store: TrialStore
    baselines: Path
    device: str = "auto"
    seeds: int | None = None
    overrides: Mapping[str, Settings] = field(default_factory=dict)
    source: str = "embedded"
    update: bool = False
    strict: bool = False
    tensorboard: Path | None = None
    _experiments: dict[tuple[str, str], "Experiment"] = field(default_factory=dict, repr=False)

    def experiment(self, claim: Claim, scale: str) -> "Experiment":
        """Return a claim at a scale as this session checks it, resolved on the first request.

        Raises:
            ValueError: an arm cannot be trained with the overrides.
            DataError: some data is missing.
        """
        key = claim.id, scale
        if key not in self._experiments:
            self._experiments[key] = self._resolve(claim, scale)
        return self._experiments[key]

    def _resolve(self, claim: Claim, scale: str) -> "Experiment":
        overrides = self.overrides.get(claim.lab.name, {})
        labs = {
            name: claim.lab.configure(scale, overrides, arm.settings, self.source) for name, arm in claim.arms.items()
        }
        device = self.device if self.device != "auto" else "cpu" if scale == "quick" else "cuda"
        provenance = self.store.provenance
        data = provenance.data_of(labs.values())
        stored, problem = None, ""
        try:
            stored = baselines.read(baselines.path(self.baselines, claim.id, scale, data.name))
        except baselines.BaselineError as error:
            problem = str(error)
        return Experiment(
            claim=claim,
            scale=scale,
            labs=labs,
            seeds=self.seeds or claim.seeds[scale],
            device=device,
            overrides=overrides,
            data=data,
            data_by_arm={name: provenance.data(lab) for name, lab in labs.items()},
            fingerprint=provenance.fingerprint(labs.values(), device),
            resumable=all(map(provenance.resumable, labs.values())),
            stored=stored,
            problem=problem,
        )


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A claim at a scale, resolved: what its checks read.

    Attributes:
        labs: by arm.
        seeds: of each arm.
        device: "cpu" or "cuda[:i]".
        overrides: settings of its lab that the session overrides.
        data: that of all arms, or a name and digest of several.
        data_by_arm: each arm's own.
        fingerprint: what results are measured on.
        resumable: whether its trials can be kept for a later session.
        stored: its baseline, if there is one that can be read.
        problem: why there is none.
    """

    claim: Claim
    scale: str
    labs: Mapping[str, Lab]
    seeds: int
    device: str
    overrides: Settings
    data: Data
    data_by_arm: Mapping[str, Data]
    fingerprint: Fingerprint
    resumable: bool
    stored: Baseline | None
    problem: str

    def blocks(self, arm: str) -> list[Block]:
        """Return what has to be trained of an arm."""
        return blocks(self.labs[arm], self.seeds, self.device)

    def describe_arm(self, arm: str) -> str:
        """Return an arm's name and settings for a message."""
        settings = ", ".join(f"{name}={value!r}" for name, value in self.claim.arms[arm].settings.items())
        return f"arm '{arm}' ({settings or 'as the lab is'})"

    def overridden(self, arms: Iterable[str]) -> Settings:
        """Return the overrides that change anything, which is what not each of these arms sets itself."""
        given = self.claim.given(arms)
        return {f"{self.claim.lab.name}.{name}": value for name, value in self.overrides.items() if name not in given}

    def describe(self) -> dict[str, Any]:
        """Return the claim's own text, and the evidence for the settings that its report does not state."""
        claim, overrides, given = self.claim, self.overrides, self.claim.given(self.claim.arms)
        scale = claim.lab.scales.get(self.scale, {})
        defaults = {
            field.name: field.default
            for field in dataclasses.fields(claim.lab)
            if field.default is not dataclasses.MISSING
        }
        scaled = {
            name: value
            for name, value in scale.items()
            if name in defaults and name not in {*overrides, *given, "source"}
        }
        values = {**defaults, **scale, **overrides}
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
            "overridden": plain(self.overridden(claim.arms)),
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
