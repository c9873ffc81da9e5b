"""Multiverses: the results of a claim in each universe, a choice of all settings that its report leaves open."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

from labcheck.core.lab import Lab, Settings
from labcheck.core.universes import ASSUMED, Grid
from labcheck.core.verdicts import Verdict, combine
from labcheck.engine import baselines
from labcheck.engine.baselines import Baseline, BaselineError, Numbers, StoredRelation
from labcheck.engine.claim_results import ClaimResult
from labcheck.engine.environment import Fingerprint


class Universe(NamedTuple):
    """A choice of all settings that a report leaves open.

    Attributes:
        name: Its name, which identifies it in files and tests.
        settings: The settings that differ from their assumed values.
    """

    name: str
    settings: Settings


class StoredUniverse(TypedDict):
    """The stored results of a claim in one universe.

    Attributes:
        settings: The settings that differ from their assumed values.
        seeds: The number of seeds.
        metrics: One number per seed for each metric of each arm, None if it is not finite.
        relations: The verdict on each relation, with its counts.
        outcomes: For each relation that is decided for each seed, a digit for each seed: 1 if it holds.
        cpu_seconds: The CPU time that training each arm took.
        data: Name and digest of the data, if they differ from those of the multiverse.
        environment: The environment, if it differs from that of the multiverse.
    """

    settings: dict[str, Any]
    seeds: int
    metrics: dict[str, dict[str, Numbers]]
    relations: dict[str, StoredRelation]
    outcomes: dict[str, str]
    cpu_seconds: dict[str, float]
    data: NotRequired[dict[str, str]]
    environment: NotRequired[Fingerprint]


@dataclass
class Multiverse:
    """The results of one claim at one scale in several universes.

    Attributes:
        claim: The id of the claim.
        scale: The scale.
        data: Name and digest of the data.
        environment: The environment on which the results were measured.
        grid: The values of each setting that the report leaves open, the assumed one first.
        arms: The settings of each arm in the assumed universe.
        own: The settings that each arm sets itself, which are the same in all universes.
        quoted: The numbers that the report prints for each arm, from one of its own seeds and comparable with ours:
            metric and value, with the direction of the metric and whether ratios of it make sense.
        universes: The results in each universe, by its name.
        update: Why, and from which commit, the file was last written, and what changed.
    """

    claim: str
    scale: str
    data: dict[str, str]
    environment: Fingerprint
    grid: dict[str, list[Any]]
    arms: dict[str, dict[str, Any]]
    own: dict[str, list[str]]
    quoted: dict[str, list[dict[str, Any]]]
    universes: dict[str, StoredUniverse] = field(default_factory=dict)
    update: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(results: Sequence[ClaimResult]) -> "Multiverse":
        """Return the multiverse of a claim from its results in universes, one of which is the assumed one."""
        [assumed] = [result for result in results if not _universe(result)["settings"]]
        current, universe = assumed.current, _universe(assumed)
        multiverse = Multiverse(
            current.claim,
            current.scale,
            current.data,
            current.environment,
            universe["grid"],
            {name: arm["settings"] for name, arm in current.arms.items()},
            universe["own"],
            _quoted(assumed),
        )
        for result in results:
            multiverse.add(_universe(result), result.current)
        return multiverse

    def add(self, universe: Mapping[str, Any], result: Baseline) -> None:
        """Add the results in a universe, with its `name`, `settings` and `outcomes`."""
        stored: StoredUniverse = {
            "settings": dict(universe["settings"]),
            "seeds": result.seeds,
            "metrics": {name: arm["metrics"] for name, arm in result.arms.items()},
            "relations": result.relations,
            "outcomes": universe["outcomes"],
            "cpu_seconds": result.cpu_seconds,
        }
        if result.data != self.data:
            stored["data"] = result.data
        if result.environment != self.environment:
            stored["environment"] = result.environment
        self.universes[universe["name"]] = stored

    def result(self, name: str) -> Baseline | None:
        """Return the results in one universe as a baseline; None if there are none."""
        stored = self.universes.get(name)
        if stored is None:
            return None
        arms: dict[str, baselines.StoredArm] = {
            arm: {"settings": {**self.arms[arm], **self._changes(arm, stored["settings"])}, "metrics": metrics}
            for arm, metrics in stored["metrics"].items()
        }
        return Baseline(
            self.claim,
            self.scale,
            stored.get("data", self.data),
            stored["seeds"],
            stored.get("environment", self.environment),
            arms,
            stored["relations"],
            cpu_seconds=stored["cpu_seconds"],
        )

    def _changes(self, arm: str, settings: Settings) -> Settings:
        return {name: value for name, value in settings.items() if name not in self.own[arm]}

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on the claim in each universe, by name."""
        return {
            name: combine([Verdict(relation["verdict"]) for relation in stored["relations"].values()])
            for name, stored in self.universes.items()
        }


def path(folder: Path, claim: str, scale: str, data: str) -> Path:
    """Return the file of a claim's multiverse: <folder>/<lab>/<claim>/universes-<scale>-<data>.json."""
    return folder / claim / f"universes-{scale}-{data}.json"


def read(file: Path) -> Multiverse | None:
    """Read a multiverse; return None if there is no file.

    Raises:
        BaselineError: The file cannot be read, or was edited by hand.
    """
    return baselines.load(file, lambda content: Multiverse(**content)) if file.exists() else None


def write(multiverse: Multiverse, file: Path) -> None:
    """Write a multiverse atomically.

    Raises:
        BaselineError: The folder cannot be written, or the disk is full.
    """
    baselines.save(asdict(multiverse), file)


def merge(stored: Multiverse | None, results: Sequence[ClaimResult]) -> Multiverse:
    """Return the stored multiverse with the current results in place of the corresponding stored ones.

    Stored universes with values that are no longer in the grid are left out.

    Raises:
        BaselineError: The assumed universe was not measured.
    """
    if not has_assumed(results):
        raise BaselineError(f"not written: the universe '{ASSUMED}' was not measured; select its test, too")
    merged = Multiverse.of(results)
    for name, universe in stored.universes.items() if stored else ():
        kept = stored.result(name) if stored and name not in merged.universes else None
        if kept and all(value in merged.grid.get(setting, ()) for setting, value in universe["settings"].items()):
            merged.add({"name": name, **universe}, kept)
    return merged


def has_assumed(results: Sequence[ClaimResult]) -> bool:
    """Return whether the assumed universe is among the results of a claim, without which there is no multiverse."""
    return any(not _universe(result)["settings"] for result in results)


def changes(stored: Multiverse | None, new: Multiverse) -> list[str]:
    """Return a line "old → new" for every universe that differs between the stored multiverse and a new one."""
    old = stored.verdicts if stored else {}
    lines = [
        f"universe {name}: {old.get(name, 'none')} → {new.verdicts.get(name, 'none')}"
        for name in sorted(old.keys() | new.universes.keys())
        if stored is None or stored.result(name) != new.result(name)
    ]
    if stored and stored.grid != new.grid:
        lines.append("the values of the settings that the report leaves open have changed")
    return lines


def _quoted(result: ClaimResult) -> dict[str, list[dict[str, Any]]]:
    """Return the numbers that a report prints for each arm, without those of replays and those for other data.

    A number that the report chose as the best of several tries is left out.
    """
    if result.claim["stand_in"]:
        return {}
    judged = [relation for relation in result.judged.values() if relation.get("best_of") == 1]
    numbers = [(arm, quote["metric"], quote["value"]) for arm, quotes in result.quoted.items() for quote in quotes]
    numbers += [(term["arm"], term["metric"], one["printed"]) for one in judged for term in one["terms"]]
    quoted: dict[str, list[dict[str, Any]]] = {}
    for arm, metric, value in dict.fromkeys(numbers):
        if arm not in result.claim["replays"]:
            direction = {name: result.claim["metrics"][metric][name] for name in ("higher_is_better", "ratio")}
            quoted.setdefault(arm, []).append({"metric": metric, "value": value, **direction})
    return quoted


def _universe(result: ClaimResult) -> dict[str, Any]:
    assert result.universe is not None
    return result.universe


def grid_of(lab: type[Lab], scale: str) -> Grid:
    """Return the values of all settings that a lab's report leaves open, except for those that a scale sets."""
    scaled = lab.scales.get(scale, {})
    defaults = lab.defaults()
    return Grid(
        {
            name: (defaults[name], *(other.value for other in justification.alternatives))
            for name, justification in lab.unstated().items()
            if justification.alternatives and name not in scaled
        }
    )
