"""Planning: the blocks of seeds that a session trains, and how long that took before."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
        needs: For each block, the ids of the checks that need it, and the names of the looks that may need it.
        order: For each block, the index of the look that needs it, 0 if it is trained in any case.
    """

    blocks: dict[Block, PlannedBlock] = field(default_factory=dict)
    needs: dict[Block, set[str]] = field(default_factory=dict)
    order: dict[Block, int] = field(default_factory=dict)

    def ahead(self) -> dict[Block, set[str]]:
        """Return the needs of all blocks, in the order of training ahead.

        Blocks of early looks come first, because later ones may not be needed. Among those of one look, the longest
        come first, so that at the end no worker waits for a long block.
        """
        order = sorted(self.needs, key=lambda block: (self.order[block], -(self.blocks[block].seconds or math.inf)))
        return {block: self.needs[block] for block in order}


def plan(checks: Sequence[Check]) -> Plan:
    """Return the blocks of seeds that these checks need."""
    planned = Plan()
    for check in checks:
        for arm, needed in check.blocks().items():
            for block, look in needed.items():
                need = check.experiment.need(check.experiment.looks[look]) if look else check.id
                planned.needs.setdefault(block, set()).add(need)
                planned.order[block] = min(planned.order.get(block, look), look)
                known = planned.blocks.get(block)
                if known is None or known.seconds is None or known.need:
                    planned.blocks[block] = _merged(known, _planned(block, check.experiment, arm, look))
    return planned


def _merged(known: PlannedBlock | None, new: PlannedBlock) -> PlannedBlock:
    """Return the plan of a block that two checks need: timed if either is, and certain if either is."""
    if known is None:
        return new
    timed = new if known.seconds is None else known
    return replace(timed, optional=known.optional and new.optional, need=known.need and new.need)


def _planned(block: Block, experiment: Experiment, arm: str, look: int) -> PlannedBlock:
    """Return a block with the time that it took when the baseline was recorded, perhaps on another machine.

    A block of a later look is optional, unless the baseline includes its first seed.
    """
    stored = experiment.reference
    seconds = stored.cpu_seconds.get(arm) if stored else None
    elsewhere = False
    if stored and seconds is not None:
        seconds /= len(blocks(block.lab, range(stored.seeds), block.device))
        elsewhere = any(stored.environment.get(name) != experiment.fingerprint.get(name) for name in SPEED)
    key = experiment.session.store.key(block)
    optional = look > 0 and not (stored and block.seeds[0] < stored.seeds)
    need = experiment.need(experiment.looks[look]) if look else ""
    universe = f" in {experiment.universe.name}" if experiment.universe else ""
    return PlannedBlock(key, f"{experiment.claim.id} {arm} {block}{universe}", seconds, elsewhere, optional, need)
