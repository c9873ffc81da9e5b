"""Stopping: how many seeds a claim needs until it is decided."""

from collections.abc import Iterable, Mapping

from labcheck.core import verdicts
from labcheck.core.claims import Claim
from labcheck.core.lab import Lab
from labcheck.core.trials import Trials
from labcheck.core.verdicts import Verdict


def looks(labs: Iterable[Lab], max_seeds: int, device: str) -> list[int]:
    """Return the numbers of seeds after which a claim is judged while its arms train, in ascending order.

    Looks before the last one are at whole blocks of seeds. The first one is at the fewest seeds with which a relation
    can be reproduced, rounded up to whole blocks.

    Args:
        labs: The labs of the claim's arms.
        max_seeds: The largest number of seeds, at which the last look is.
        device: The device on which the arms train.
    """
    step = max(lab.stack(device) for lab in labs)
    first = -(-verdicts.MIN_SEEDS // step) * step
    return [*range(first, max_seeds, step), max_seeds]


def is_decided(claim: Claim, trials: Mapping[str, Trials]) -> bool:
    """Return whether a claim needs no more seeds, given the trials of all arms by name.

    Evidence is valid at every look, so the final verdict has the same error rates as one from a number of seeds that
    is fixed beforehand. Relations about CPU time are not judged here, because they have trainings of their own.

    Raises:
        MetricError: The trials lack a metric.
    """
    judged = [relation.judge(trials, len(claim.relations)) for relation in claim.relations if not relation.timed]
    verdict = verdicts.combine([Verdict(result.stored["verdict"]) for result in judged] or [Verdict.REPRODUCED])
    return verdict is not Verdict.INCONCLUSIVE
