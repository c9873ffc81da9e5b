"""Universes: on which of the settings that a report leaves open the verdict on a claim depends, in words."""

from collections import Counter
from collections.abc import Iterable

from labcheck.core.verdicts import Verdict


def tally(verdicts: Iterable[Verdict]) -> str:
    """Return the number of universes with each verdict, the most frequent one first."""
    counts = Counter(verdicts)
    number = counts.total()
    if len(counts) == 1:
        [verdict] = counts
        return f"{verdict} in {f'all {number} universes' if number > 1 else 'the only universe'}"
    [(verdict, most), *others] = counts.most_common()
    rest = ", ".join(f"{verdict} in {count}" for verdict, count in others)
    return f"{verdict} in {most} of {number} universes, {rest}"
