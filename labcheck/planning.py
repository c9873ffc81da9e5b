"""What a session will train, and how long that took before."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from labcheck import baselines
from labcheck.baselines import Baseline
from labcheck.checks import Bench, Check
from labcheck.environment import Fingerprint
from labcheck.progress import Planned
from labcheck.trials import Block, blocks

SPEED = ("capability", "cpu", "device", "precision")
"""What of an environment decides how long training takes."""


@dataclass(frozen=True)
class Plan:
    """What a session has to train, in the order of need.

    Attributes:
        blocks: each with what is known of its time.
        needs: the ids of the checks that need each block.
    """

    blocks: dict[Block, Planned] = field(default_factory=dict)
    needs: dict[Block, set[str]] = field(default_factory=dict)


def plan(checks: Sequence[Check], bench: Bench) -> Plan:
    """Return what a session with these checks has to train.

    Raises:
        DataError: some data is missing.
    """
    planned = Plan()
    recorded: dict[tuple[str, str], tuple[Baseline | None, bool]] = {}
    for check in checks:
        if (key := (check.claim.id, check.scale)) not in recorded:
            recorded[key] = _recorded(check, bench)
        for arm in check.arms:
            for block in check.blocks(bench, arm):
                planned.needs.setdefault(block, set()).add(check.id)
                if block not in planned.blocks or planned.blocks[block].seconds is None:
                    planned.blocks[block] = _planned(bench.store.key(block), block, check, arm, *recorded[key])
    return planned


def _recorded(check: Check, bench: Bench) -> tuple[Baseline | None, bool]:
    """The baseline of a check, if there is one, and whether it was recorded on a machine of another speed."""
    fingerprint = check.fingerprint(bench)
    try:
        stored = check.stored(bench)
    except baselines.BaselineError:
        return None, False
    return stored, _speed(stored.environment) != _speed(fingerprint)


def _speed(environment: Fingerprint) -> list[str | int | None]:
    return [environment.get(name) for name in SPEED]


def _planned(key: str, block: Block, check: Check, arm: str, stored: Baseline | None, elsewhere: bool) -> Planned:
    seconds = stored.cpu_seconds.get(arm) if stored else None
    if stored and seconds is not None:
        seconds /= len(blocks(block.lab, stored.seeds, block.device))
    return Planned(key, f"{check.claim.id} {arm} {block}", seconds, elsewhere and seconds is not None)
