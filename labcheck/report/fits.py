"""Fits: whether our settings are those of a report, judged by the numbers that it prints."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from labcheck.engine.claim_results import ClaimResult

INSIDE = (0.5, 99.5)
"""The percentiles of our seeds between which a printed number is as expected."""
MIN_NUMBERS = 5
"""The fewest printed numbers by which settings are judged."""
MIN_SEEDS = 8
"""The fewest seeds that count: even with eight, all are on one side of a typical number in two cases of nine."""
Printed = tuple[str, str, float | None]
"""A printed number: the settings of its arm as JSON, the metric, and the value."""


@dataclass(frozen=True)
class Fit:
    """The number of a lab's printed numbers that are typical of our seeds.

    Attributes:
        lab: The name of the lab.
        scale: The scale at which they were compared.
        data: The name of the data on which they were compared.
        numbers: The number of different printed numbers that were compared.
        inside: The number of those within INSIDE.
    """

    lab: str
    scale: str
    data: str
    numbers: int
    inside: int

    @property
    def sufficient(self) -> bool:
        """Whether there are enough numbers to judge the settings."""
        return self.numbers >= MIN_NUMBERS

    @property
    def doubted(self) -> bool:
        """Whether there are enough numbers and most are outside: the settings are then probably not the report's."""
        return self.sufficient and 2 * self.inside < self.numbers

    def covers(self, result: ClaimResult) -> bool:
        """Return whether a result is of this lab, scale and data."""
        return (self.lab, self.scale, self.data) == _place(result)

    def __str__(self) -> str:
        counts = f"{self.lab}: {self.inside} of {self.numbers} printed numbers"
        text = f"{counts} are between the 0.5th and 99.5th percentiles of our seeds"
        if not self.doubted:
            return text
        return f"{text}: these settings are probably not the report's, so no verdict is NOT_REPRODUCED"


def fit_labs(results: Iterable[ClaimResult]) -> list[Fit]:
    """Return one fit for each lab, scale and data set for which a printed number was compared.

    An arm that several claims share counts once, with the seeds of the claim that has the most. Results on stand-in
    data, or with too few seeds, have no fit.
    """
    percentiles: dict[tuple[str, str, str], dict[Printed, float]] = {}
    for result in sorted(results, key=lambda result: result.current.seeds):
        printed = _percentiles(result)
        if printed and result.current.seeds >= MIN_SEEDS and not result.claim["stand_in"]:
            percentiles.setdefault(_place(result), {}).update(printed)
    return [
        Fit(*place, len(numbers), sum(INSIDE[0] <= percentile <= INSIDE[1] for percentile in numbers.values()))
        for place, numbers in sorted(percentiles.items())
    ]


def _percentiles(result: ClaimResult) -> dict[Printed, float]:
    """Return the percentile of each printed number, without those of replays, whose seeds differ in rounding only."""
    return {
        (json.dumps(result.current.arms[arm]["settings"], sort_keys=True), number["metric"], number["value"]): number[
            "percentile"
        ]
        for arm, numbers in result.quoted.items()
        if arm not in result.claim["replays"]
        for number in numbers
    }


def _place(result: ClaimResult) -> tuple[str, str, str]:
    return result.lab, result.current.scale, result.current.data["name"]
