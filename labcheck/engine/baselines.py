"""Stored results: what an arm's seeds gave and what was judged of them, on which environment and why recorded.

A file is read whole, checked against its own digest, and written whole or not at all. It is meant to be reviewed as a
diff: keys are sorted, a line holds one metric of one arm, floats are the shortest that give the same float32.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from labcheck.core import drift
from labcheck.core.metrics import Floats, rounded
from labcheck.core.verdicts import Word, tally
from labcheck.engine import files
from labcheck.engine.environment import Fingerprint

SCHEMA = 1
HOW = "if the change is meant, record it with --claims-update REASON"
Numbers = list[float | None]


class BaselineError(Exception):
    """A stored result that cannot be used, and what to do about it."""


class StoredArm(TypedDict):
    """settings: of the lab; metrics: a number per seed, None where not finite; data: where arms differ in it."""

    settings: dict[str, Any]
    metrics: dict[str, Numbers]
    data: NotRequired[dict[str, str]]


StoredRelation = dict[str, Any]
"""verdict, tag and n, with holds and ties, or of a printed number with below, equal and p."""


@dataclass
class Baseline:
    """One claim at one scale on one data set.

    Attributes:
        cpu_seconds: what training each arm took when this was recorded; compared with nothing, it helps to estimate.
    """

    claim: str
    scale: str
    data: dict[str, str]
    seeds: int
    environment: Fingerprint
    arms: dict[str, StoredArm] = field(default_factory=dict)
    relations: dict[str, StoredRelation] = field(default_factory=dict)
    update: dict[str, Any] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    def measured_on(self, other: "Baseline") -> bool:
        """Whether the other one's values can be expected to be the same numbers, or to stand beside these."""
        return (self.environment, self.data) == (other.environment, other.data)


def path(folder: Path, claim: str, scale: str, data: str) -> Path:
    """Where a claim's results are kept: <folder>/<lab>/<claim>/<scale>-<data>.json."""
    return folder / claim / f"{scale}-{data}.json"


def numbers(values: Floats) -> Numbers:
    """(n,) → what a file holds."""
    return [float(str(value)) if np.isfinite(value) else None for value in rounded(values).astype(np.float32)]


def floats(values: Numbers) -> Floats:
    """And back: None is NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def read(file: Path) -> Baseline:
    """A stored baseline.

    Raises:
        BaselineError: it is missing, cannot be read, or was edited by hand.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        digest = content.pop("digest")
        schema = content.pop("schema")
        if schema != SCHEMA:
            raise BaselineError(
                f"{file}: schema {schema} is not one that this labcheck reads ({SCHEMA}); "
                "use the labcheck that recorded it, or remove it and record it anew"
            )
        if digest != _digest(content):
            raise BaselineError(
                f"{file}: edited by hand; restore it from version control, or remove it and record it anew"
            )
        return Baseline(**content)
    except FileNotFoundError:
        raise BaselineError(f"{file}: no baseline; record one with --claims-update REASON") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a whole baseline"
        raise BaselineError(
            f"{file}: {reason}; restore it from version control, or remove it and record it anew"
        ) from None


def write(baseline: Baseline, file: Path) -> None:
    """Store a baseline, whole or not at all.

    Raises:
        BaselineError: the folder cannot be written, or is full.
    """
    content = dataclasses.asdict(baseline)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, _dump({**content, "schema": SCHEMA, "digest": _digest(content)}))
    except OSError as error:
        raise BaselineError(f"{file}: not written: {error.strerror}; make the folder writable and run again") from None


def compare_arm(stored: Baseline, today: Baseline, arm: str) -> tuple[list[str], list[str]]:
    """Today's values of an arm against the stored ones.

    Args:
        today: as it would be stored; of more or fewer seeds, those that both have are compared.

    Returns:
        What fails, and what is only worth saying.
    """
    if arm not in stored.arms:
        return [f"no baseline for arm '{arm}'; {HOW}"], []
    if stored.data != today.data:
        return [f"arm '{arm}' has drifted: trained on other data ({_differing(stored, today)}); {HOW}"], []
    old, new = stored.arms[arm], today.arms[arm]
    failures = [
        f"setting {name} is {new['settings'].get(name)!r}, stored {old['settings'].get(name)!r}"
        for name in sorted(old["settings"].keys() | new["settings"].keys())
        if old["settings"].get(name) != new["settings"].get(name)
    ]
    for name in sorted(old["metrics"].keys() ^ new["metrics"].keys()):
        failures.append(f"{name} is {'no longer measured' if name in old['metrics'] else 'not stored'}")
    same = stored.environment == today.environment
    common = sorted(old["metrics"].keys() & new["metrics"].keys())
    for name in common:
        before, after = floats(old["metrics"][name]), floats(new["metrics"][name])
        change = _changed(before, after) if same else drift.moved(before, after)
        if change:
            failures.append(f"{name}: {change}")
    notes = [] if same else [_elsewhere(stored, today)]
    return [f"arm '{arm}' has drifted: {failure}" for failure in failures], notes


def compare_relation(stored: Baseline, today: Baseline, relation: str) -> tuple[list[str], list[str]]:
    """Today's verdict on a relation against the stored one; what fails, and what is only worth saying."""
    if relation not in stored.relations:
        return [f"no baseline for relation '{relation}'; {HOW}"], []
    if stored.data != today.data:
        return [f"{relation}: judged on other data ({_differing(stored, today)}); {HOW}"], []
    if today.seeds != stored.seeds:
        return [], []  # verdicts of unlike numbers of seeds are shown and not compared
    words = [Word(baseline.relations[relation]["verdict"]) for baseline in (stored, today)]
    if words[0].contradicts(words[1]):
        return [f"{relation}: {words[1]}, stored {words[0]}; {HOW}"], []
    return [], [] if words[0] == words[1] else [f"{relation}: {words[1]}, stored {words[0]}"]


def compare_names(stored: Baseline, names: Iterable[str]) -> list[str]:
    """Stored arms and relations that the claim, which has these names, has no more; each fails."""
    gone = (stored.arms.keys() | stored.relations.keys()) - set(names)
    return [f"'{name}' is stored, but the claim has it no more; {HOW}" for name in sorted(gone)]


def merge(stored: Baseline, today: Baseline) -> Baseline:
    """What was measured today in the place of what was stored, the rest as it is.

    Raises:
        BaselineError: the rest was measured elsewhere or of other seeds, and would not fit.
    """
    kept = (stored.arms.keys() - today.arms.keys()) | (stored.relations.keys() - today.relations.keys())
    if kept and not (stored.measured_on(today) and stored.seeds == today.seeds):
        raise BaselineError(
            f"{today.claim}: not written: {', '.join(sorted(kept))} was measured on another environment, data or "
            "number of seeds; update all of the claim's tests together"
        )
    return dataclasses.replace(
        today,
        arms={**stored.arms, **today.arms},
        relations={**stored.relations, **today.relations},
        cpu_seconds={**stored.cpu_seconds, **today.cpu_seconds},
    )


def changes(stored: Baseline | None, new: Baseline) -> list[str]:
    """Old → new, a line for everything in which the baseline to write differs from the stored one."""
    if stored is None:
        stored = dataclasses.replace(new, arms={}, relations={})
    lines = [f"measured on: {stored.seeds} seeds → {new.seeds} seeds"] if stored.seeds != new.seeds else []
    if not stored.measured_on(new):
        lines.append(f"measured on: {_differing(stored, new)}")
    for name in sorted(stored.relations.keys() | new.relations.keys()):
        old, now = stored.relations.get(name), new.relations.get(name)
        if old != now:
            lines.append(f"{name}: {_told(old)} → {_told(now)}")
    for name in sorted(stored.arms.keys() | new.arms.keys()):
        if stored.arms.get(name) != new.arms.get(name):
            how = "new" if name not in stored.arms else "changed" if name in new.arms else "gone"
            lines.append(f"arm {name}: {how}")
    if stored.cpu_seconds.keys() != new.cpu_seconds.keys():
        lines.append("arms timed: " + ", ".join(sorted(stored.cpu_seconds.keys() ^ new.cpu_seconds.keys())))
    return lines


def unused(folder: Path, used: Iterable[Path]) -> list[Path]:
    """Return the files under a folder that no claim uses."""
    return sorted({path for path in folder.rglob("*") if path.is_file()} - set(used))


def _told(relation: StoredRelation | None) -> str:
    return f"{relation['verdict']} {tally(relation)}" if relation else "none"


def _changed(before: Floats, after: Floats) -> str:
    """How values differ beyond the rounding of float32, today's being those of the same seeds or of the first ones."""
    before = before[: len(after)]
    same = np.isclose(after[: len(before)], before, rtol=1e-6, atol=0, equal_nan=True)
    if same.all():
        return ""
    seed = int(np.argmin(same))
    return (
        f"{np.count_nonzero(~same)} of {len(same)} seeds differ, first seed {seed}: "
        f"{after[seed]:.6g}, stored {before[seed]:.6g}; {HOW}"
    )


def _elsewhere(stored: Baseline, today: Baseline) -> str:
    note = f"measured elsewhere ({_differing(stored, today)}): distributions are compared, not values"
    if today.seeds < drift.ENOUGH:
        shift = drift.smallest_shift(stored.seeds, today.seeds)
        shown = f"show a shift of {shift:g} sd" if np.isfinite(shift) else "are too few to show any shift"
        note += f"; {today.seeds} seeds {shown}"
    return note


def _differing(stored: Baseline, today: Baseline) -> str:
    """In what two environments, or data, differ."""
    old, new = ({**base.environment, **base.data} for base in (stored, today))
    return ", ".join(f"{key} {old.get(key)} → {new.get(key)}" for key in sorted(new) if old.get(key) != new[key])


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _dump(content: Any, indent: str = "") -> str:
    """JSON with sorted keys, and every list of numbers on a line of its own."""
    if isinstance(content, dict) and content:
        inner = indent + "  "
        lines = [inner + _dump(key) + ": " + _dump(content[key], inner) for key in sorted(content)]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}" + ("" if indent else "\n")
    return json.dumps(content, ensure_ascii=False)
