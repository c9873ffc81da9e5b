"""Baselines: stored results of claims, with the environment on which they were measured.

A file is checked against its own digest when it is read, and written atomically. It is meant to be reviewed as a diff:
keys are sorted, each line holds one metric of one arm, and floats are the shortest that give the same float32.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar

import numpy as np

from labcheck.core import drift
from labcheck.core.metrics import round_to_float32
from labcheck.core.trials import Floats
from labcheck.core.verdicts import Verdict, tally
from labcheck.engine import files
from labcheck.engine.environment import Fingerprint

SCHEMA = 1
UPDATE_HINT = "if the change is intentional, record it with --claims-update REASON"
LABELS_SHOWN = 5
"""The number of labels of seeds up to which a message lists all of them."""
Numbers = list[float | None]
Stored = TypeVar("Stored")


class BaselineError(Exception):
    """A baseline that cannot be used; the message states what to do."""


class StoredArm(TypedDict):
    """The stored results of an arm.

    Attributes:
        settings: The settings of its lab.
        metrics: One number per seed for each metric, None if it is not finite.
        data: Name and digest of its data, if the arms of the claim differ in it.
        labels: The label of each seed, if they come from a table; values are then compared by label.
    """

    settings: dict[str, Any]
    metrics: dict[str, Numbers]
    data: NotRequired[dict[str, str]]
    labels: NotRequired[list[str]]


StoredRelation = dict[str, Any]
"""verdict, tag and n, with holds and ties, or, for a printed number, with below, equal and p."""


@dataclass
class Baseline:
    """The stored results of one claim at one scale on one data set.

    Attributes:
        claim: The id of the claim.
        scale: The scale.
        data: Name and digest of the data.
        seeds: The number of seeds.
        environment: The environment on which the results were measured.
        arms: The results of each arm.
        relations: The verdict on each relation, with its counts.
        update: Why, and from which commit, the file was last written, and what changed.
        cpu_seconds: The CPU time that training each arm took, for estimates only.
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
        """Return whether both were measured on the same environment and data, so that equal seeds give equal values."""
        return (self.environment, self.data) == (other.environment, other.data)


def path(folder: Path, claim: str, scale: str, data: str) -> Path:
    """Return the file of a claim's baseline: <folder>/<lab>/<claim>/<scale>-<data>.json."""
    return folder / claim / f"{scale}-{data}.json"


def numbers(values: Floats) -> Numbers:
    """Return values (n,) as JSON: the shortest floats that give the same float32, None if not finite."""
    return [float(str(value)) if np.isfinite(value) else None for value in round_to_float32(values).astype(np.float32)]


def floats(values: Numbers) -> Floats:
    """Return numbers of JSON as an array (n,), in which None is NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def read(file: Path) -> Baseline:
    """Read a baseline.

    Raises:
        BaselineError: The file is missing, cannot be read, or was edited by hand.
    """
    return load(file, lambda content: Baseline(**content))


def load(file: Path, make: Callable[[dict[str, Any]], Stored]) -> Stored:
    """Read a file of stored results, and check its schema and digest.

    Args:
        file: The file.
        make: A function that returns what the content of the file represents.

    Raises:
        BaselineError: The file is missing, cannot be read, or was edited by hand.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        digest = content.pop("digest")
        schema = content.pop("schema")
        if schema != SCHEMA:
            raise BaselineError(
                f"{file}: schema {schema}, this version of labcheck reads {SCHEMA}; "
                "use the version that recorded it, or remove the file and record it again"
            )
        if digest != _digest(content):
            raise BaselineError(
                f"{file}: edited by hand; restore it from version control, or remove it and record it again"
            )
        return make(content)
    except FileNotFoundError:
        raise BaselineError(f"{file}: no baseline; record one with --claims-update REASON") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a complete baseline"
        raise BaselineError(
            f"{file}: {reason}; restore it from version control, or remove it and record it again"
        ) from None


def cost(folder: Path, claim: str, scale: str) -> float:
    """Return the CPU seconds that all arms of a claim took when it was recorded; infinity if that is unknown."""
    costs = []
    for file in (folder / claim).glob(f"{scale}-*.json"):
        with suppress(BaselineError):
            costs.append(sum(read(file).cpu_seconds.values()))
    return max(costs, default=math.inf)


def write(baseline: Baseline, file: Path) -> None:
    """Write a baseline atomically.

    Raises:
        BaselineError: The folder cannot be written, or the disk is full.
    """
    save(dataclasses.asdict(baseline), file)


def save(content: dict[str, Any], file: Path) -> None:
    """Write stored results with schema and digest, atomically.

    Raises:
        BaselineError: The folder cannot be written, or the disk is full.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(file, _dump({**content, "schema": SCHEMA, "digest": _digest(content)}))
    except OSError as error:
        raise BaselineError(f"{file}: not written: {error.strerror}; make the folder writable and run again") from None


def compare_arm(stored: Baseline, current: Baseline, arm: str) -> tuple[list[str], list[str]]:
    """Compare the current values of an arm with the stored ones.

    Args:
        stored: The baseline.
        current: The current results as a baseline would store them. If the numbers of seeds differ, the values of
            the common seeds are compared; in another environment, the distributions over all seeds.
        arm: The name of the arm.

    Returns:
        The lines that fail the check, and notes.
    """
    if arm not in stored.arms:
        return [f"no baseline for arm '{arm}'; {UPDATE_HINT}"], []
    if stored.data != current.data:
        return [
            f"arm '{arm}' has drifted: trained on different data ({_differing(stored, current)}); {UPDATE_HINT}"
        ], []
    old, new = stored.arms[arm], current.arms[arm]
    failures = [f"setting {change}" for change in _changed_settings(old["settings"], new["settings"])]
    for name in sorted(old["metrics"].keys() ^ new["metrics"].keys()):
        failures.append(f"{name} is {'no longer measured' if name in old['metrics'] else 'not in the baseline'}")
    same = stored.environment == current.environment
    common = sorted(old["metrics"].keys() & new["metrics"].keys())
    for name in common:
        before, after = floats(old["metrics"][name]), floats(new["metrics"][name])
        labels = _common_labels(old, new)
        if labels:
            before, after = (
                values[[arm["labels"].index(label) for label in labels]]
                for values, arm in ((before, old), (after, new))
            )
        change = _changed(before, after, labels) if same else drift.describe_shift(before, after)
        if change:
            failures.append(f"{name}: {change}")
    notes = [] if same else [_note_on_environment(stored, current)]
    return [f"arm '{arm}' has drifted: {failure}" for failure in failures], notes


def lost_labels(stored: Baseline, arm: str, labels: Sequence[str]) -> list[str]:
    """Return a line if the baseline of an arm has seeds whose labels are not among these, those of its whole table."""
    before = stored.arms[arm].get("labels", []) if arm in stored.arms else []
    lost = [label for label in before if label not in labels]
    if not lost:
        return []
    shown = ", ".join(lost[:LABELS_SHOWN]) + (f" and {more} more" if (more := len(lost) - LABELS_SHOWN) > 0 else "")
    seeds = f"seeds {shown} are" if len(lost) > 1 else f"seed {shown} is"
    return [f"arm '{arm}' has drifted: {seeds} in the baseline, but no longer in the table; {UPDATE_HINT}"]


def compare_relation(stored: Baseline, current: Baseline, relation: str) -> tuple[list[str], list[str]]:
    """Compare the current verdict on a relation with the stored one; return the lines that fail, and notes."""
    if relation not in stored.relations:
        return [f"no baseline for relation '{relation}'; {UPDATE_HINT}"], []
    if stored.data != current.data:
        return [f"{relation}: judged on different data ({_differing(stored, current)}); {UPDATE_HINT}"], []
    if current.seeds != stored.seeds:
        return [], []  # verdicts from different numbers of seeds are not comparable
    old, new = (Verdict(baseline.relations[relation]["verdict"]) for baseline in (stored, current))
    if old.contradicts(new):
        return [f"{relation}: {new}, stored {old}; {UPDATE_HINT}"], []
    return [], [] if old == new else [f"{relation}: {new}, stored {old}"]


def compare_names(stored: Baseline, names: Iterable[str]) -> list[str]:
    """Return a line for each stored arm and relation that is not among the names of the claim; each fails."""
    gone = (stored.arms.keys() | stored.relations.keys()) - set(names)
    return [f"'{name}' is in the baseline, but no longer in the claim; {UPDATE_HINT}" for name in sorted(gone)]


def merge(stored: Baseline, current: Baseline) -> Baseline:
    """Return the stored baseline with the current results in place of the corresponding stored ones.

    Raises:
        BaselineError: The other results were measured on another environment, data or number of seeds.
    """
    rest = (stored.arms.keys() - current.arms.keys()) | (stored.relations.keys() - current.relations.keys())
    if rest and not (stored.measured_on(current) and stored.seeds == current.seeds):
        raise BaselineError(
            f"{current.claim}: not written: {', '.join(sorted(rest))} was measured on another environment, data or "
            "number of seeds; run all tests of the claim with --claims-update"
        )
    return dataclasses.replace(
        current,
        arms={**stored.arms, **current.arms},
        relations={**stored.relations, **current.relations},
        cpu_seconds={**stored.cpu_seconds, **current.cpu_seconds},
    )


def changes(stored: Baseline | None, new: Baseline) -> list[str]:
    """Return a line "old → new" for every difference between the stored baseline and a new one."""
    if stored is None:
        stored = dataclasses.replace(new, arms={}, relations={})
    lines = [f"measured on: {stored.seeds} seeds → {new.seeds} seeds"] if stored.seeds != new.seeds else []
    if not stored.measured_on(new):
        lines.append(f"measured on: {_differing(stored, new)}")
    for name in sorted(stored.relations.keys() | new.relations.keys()):
        old, now = stored.relations.get(name), new.relations.get(name)
        if old != now:
            lines.append(f"{name}: {_describe(old)} → {_describe(now)}")
    for name in sorted(stored.arms.keys() | new.arms.keys()):
        if stored.arms.get(name) != new.arms.get(name):
            change = "new" if name not in stored.arms else "changed" if name in new.arms else "removed"
            lines.append(f"arm {name}: {change}")
    if stored.cpu_seconds.keys() != new.cpu_seconds.keys():
        lines.append("arms timed: " + ", ".join(sorted(stored.cpu_seconds.keys() ^ new.cpu_seconds.keys())))
    return lines


def unused(folder: Path, used: Iterable[Path]) -> list[Path]:
    """Return the files under a folder that no claim uses."""
    return sorted({path for path in folder.rglob("*") if path.is_file()} - set(used))


def _describe(relation: StoredRelation | None) -> str:
    return f"{relation['verdict']} {tally(relation)}" if relation else "none"


def _changed_settings(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield "name is new, stored old" for each setting that differs, or for each entry of a dict that does."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            is_type = "." in name and len(old) == len(new) == 1  # a dataclass is its type and a dict of its fields
            yield from _changed_settings(before, after, prefix if is_type else f"{prefix}{name}.")
        elif before != after or (name in old) != (name in new):
            values = [repr(one[name]) if name in one else "missing" for one in (new, old)]
            yield f"{prefix}{name} is {values[0]}, stored {values[1]}"


def _common_labels(old: StoredArm, new: StoredArm) -> list[str]:
    """Return the labels of the seeds that two results of an arm have in common; none if seeds are numbered."""
    return [label for label in old.get("labels", []) if label in new.get("labels", [])]


def _changed(before: Floats, after: Floats, labels: Sequence[str] = ()) -> str:
    """Return a description of the seeds whose values differ beyond float32 rounding; "" if there are none."""
    before = before[: len(after)]
    same = np.isclose(after[: len(before)], before, rtol=1e-6, atol=0, equal_nan=True)
    if same.all():
        return ""
    seed = int(np.argmin(same))
    return (
        f"{np.count_nonzero(~same)} of {len(same)} seeds differ, first seed {labels[seed] if labels else seed}: "
        f"{after[seed]:.6g}, stored {before[seed]:.6g}; {UPDATE_HINT}"
    )


def _note_on_environment(stored: Baseline, current: Baseline) -> str:
    note = f"another environment ({_differing(stored, current)}): distributions are compared, not values"
    if current.seeds < drift.MIN_SEEDS:
        shift = drift.smallest_detectable_shift(stored.seeds, current.seeds)
        power = f"reveal a shift of {shift:g} sd" if np.isfinite(shift) else "are too few to reveal any shift"
        note += f"; {current.seeds} seeds {power}"
    return note


def _differing(stored: Baseline, current: Baseline) -> str:
    """Return the differences between two environments, or data, as "name old → new"."""
    old, new = ({**base.environment, **base.data} for base in (stored, current))
    differing = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    return ", ".join(f"{key} {old.get(key, 'none')} → {new.get(key, 'none')}" for key in differing)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _dump(content: Any, indent: str = "") -> str:
    """Return JSON with sorted keys and every list of numbers on one line."""
    if isinstance(content, dict) and content:
        inner = indent + "  "
        lines = [inner + _dump(key) + ": " + _dump(content[key], inner) for key in sorted(content)]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}" + ("" if indent else "\n")
    return json.dumps(content, ensure_ascii=False)
