"""What a session will train, and how long that took before."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from labcheck.engine.checks import Check
from labcheck.engine.progress import Planned
from labcheck.engine.session import Experiment, Session
from labcheck.engine.store import Block, blocks

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


def plan(checks: Sequence[Check], session: Session) -> Plan:
    """Return what a session with these checks has to train.

    Raises:
        DataError: some data is missing.
    """
    planned = Plan()
    for check in checks:
        experiment = session.experiment(check.claim, check.scale)
        for arm, needed in check.blocks(session).items():
            for block in needed:
                planned.needs.setdefault(block, set()).add(check.id)
                if block not in planned.blocks or planned.blocks[block].seconds is None:
                    planned.blocks[block] = _planned(session.store.key(block), block, experiment, arm)
    return planned


def _planned(key: str, block: Block, experiment: Experiment, arm: str) -> Planned:
    """A block with the time that it took when the baseline was recorded, perhaps on a machine of another speed."""
    stored = experiment.stored
    seconds = stored.cpu_seconds.get(arm) if stored else None
    elsewhere = False
    if stored and seconds is not None:
        seconds /= len(blocks(block.lab, stored.seeds, block.device))
        elsewhere = any(stored.environment.get(name) != experiment.fingerprint.get(name) for name in SPEED)
    return Planned(key, f"{experiment.claim.id} {arm} {block}", seconds, elsewhere)
