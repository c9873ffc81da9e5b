"""What a session will train, and how long that took before."""

from collections.abc import Sequence

from labcheck import baselines
from labcheck.baselines import Baseline
from labcheck.checks import Bench, Check
from labcheck.progress import Planned
from labcheck.trials import Block, blocks


def plan(checks: Sequence[Check], bench: Bench) -> dict[Block, Planned]:
    """What a session with these checks has to train, in the order of need.

    Raises:
        DataError: some data is not there.
    """
    planned: dict[Block, Planned] = {}
    recorded: dict[tuple[str, str], Baseline | None] = {}
    for check in checks:
        if (key := (check.claim.id, check.scale)) not in recorded:
            try:
                recorded[key] = check.stored(bench, check.lab(bench).data().name)
            except baselines.BaselineError:
                recorded[key] = None
        for arm in check.arms:
            for block in check.blocks(bench, arm):
                if block not in planned or planned[block].seconds is None:
                    planned[block] = _planned(bench.store.key(block), block, check, arm, recorded[key])
    return planned


def _planned(key: str, block: Block, check: Check, arm: str, stored: Baseline | None) -> Planned:
    first = block.index * block.lab.stack
    label = f"{check.claim.id} {arm} seeds {first}-{first + block.lab.stack - 1}"
    seconds = stored.cpu_seconds.get(arm) if stored else None
    if stored and seconds is not None:
        seconds /= len(blocks(block.lab, stored.seeds, block.device))
    return Planned(key, label, seconds)
