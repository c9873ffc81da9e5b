"""Planning: the blocks of seeds that a session trains, and how long that took before."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from labcheck.engine.checks import Check
from labcheck.engine.progress import PlannedBlock
from labcheck.engine.session import Experiment
from labcheck.engine.store import Block, blocks

SPEED = ("capability", "cpu", "device", "precision")
"""The entries of a fingerprint that affect the speed of training."""


@dataclass(frozen=True)
class Plan:
    """The blocks of seeds that a session trains.

    Attributes:
        blocks: The blocks in the order in which tests need them, with the time that they took before.
        needs: The ids of the checks that need each block.
    """

    blocks: dict[Block, PlannedBlock] = field(default_factory=dict)
    needs: dict[Block, set[str]] = field(default_factory=dict)


def plan(checks: Sequence[Check]) -> Plan:
    """Return the blocks of seeds that these checks need."""
    planned = Plan()
    for check in checks:
        for arm, needed in check.blocks().items():
            for block in needed:
                planned.needs.setdefault(block, set()).add(check.id)
                if block not in planned.blocks or planned.blocks[block].seconds is None:
                    planned.blocks[block] = _planned(block, check.experiment, arm)
    return planned


def _planned(block: Block, experiment: Experiment, arm: str) -> PlannedBlock:
    """Return a block with the time that it took when the baseline was recorded, perhaps on another machine."""
    stored = experiment.stored
    seconds = stored.cpu_seconds.get(arm) if stored else None
    elsewhere = False
    if stored and seconds is not None:
        seconds /= len(blocks(block.lab, stored.seeds, block.device))
        elsewhere = any(stored.environment.get(name) != experiment.fingerprint.get(name) for name in SPEED)
    key = experiment.session.store.key(block)
    return PlannedBlock(key, f"{experiment.claim.id} {arm} {block}", seconds, elsewhere)
