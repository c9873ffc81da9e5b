"""Metrics, trials and labs that several test modules use.

Names: E, INF, NAN; ERROR, SCORE, ACCURACY, EPOCHS (metrics with the name "x"), METRICS, METRIC_IDS; SEEDS, a strategy;
of, metric_trials, curve_trials, decide, signs; TEST_ERROR, a metric with the name "error"; Counted, a lab.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import ClassVar

import numpy as np
from hypothesis import strategies as st

from labcheck import Data, Lab, Metric, Relation, Trials
from labcheck.core.relations import Outcome

E, INF, NAN = np.e, np.inf, np.nan

ERROR = Metric("x", higher_is_better=False)
SCORE = Metric("x", higher_is_better=True, ratio=False)
ACCURACY = Metric("x", higher_is_better=True)
EPOCHS = Metric("x", higher_is_better=False, ratio=False)
METRICS = [ERROR, SCORE, ACCURACY, EPOCHS]
"""One metric for each direction and each kind of comparison."""
METRIC_IDS = ["error", "score", "accuracy", "epochs"]

VALUES = [0.0, 0.25, 0.5, 0.625, 1.0, 1.25, 2.0, NAN, INF]
# one draw for each seed, which takes a fraction of the time of four
SEEDS = st.lists(st.sampled_from(list(product(VALUES, repeat=4))), min_size=1, max_size=12)
"""A value of each of four arms for each seed."""

TEST_ERROR = Metric("error", higher_is_better=False)
"""The metric of `Counted`."""


def of(metric: Metric, *curves: Sequence[float], recorded: Sequence[int] | None = None) -> list[float]:
    """Return a metric's value for each of these curves, one per seed, which are padded after their last record."""
    after = np.array(range(1, 7) if recorded is None else recorded)
    padded = np.array([[*curve, *[NAN] * (len(after) - len(curve))] for curve in curves])
    epochs = np.array([after[len(curve) - 1] for curve in curves], float)
    values = metric.of(Trials({"epochs": epochs}, {"loss": padded}, None if recorded is None else after))
    return [float(value) for value in values]


def metric_trials(values: Sequence[float]) -> Trials:
    """Return trials with these values of the metric "x"."""
    return Trials({"epochs": np.ones(len(values)), "x": np.array(values, float)}, {})


def curve_trials(*rows: Sequence[float], epochs: int = 0) -> Trials:
    """Return trials with these values of the curve "loss", one row per seed, padded to a number of epochs."""
    epochs = max(epochs, *map(len, rows))
    padded = np.array([[*row, *[NAN] * (epochs - len(row))] for row in rows], float)
    return Trials({"epochs": np.array([len(row) for row in rows], float)}, {"loss": padded})


def decide(relation: Relation, *arms: Sequence[float]) -> Outcome:
    """Return the outcome of a relation, given the values of the metric "x" of the arms a, b, c and d."""
    return relation.decide({name: metric_trials(values) for name, values in zip("abcd", arms, strict=False)})


def signs(outcome: Outcome) -> str:
    """Return a sign for each seed: + holds, = tie, - fails, ! holds and is a tie."""
    return "".join("-+=!"[held + 2 * tied] for held, tied in zip(outcome.holds, outcome.ties, strict=True))


@dataclass(frozen=True, kw_only=True)
class Counted(Lab):
    """A lab that remembers which seeds it trained, four of them side by side.

    Attributes:
        level: The error of seed 0; that of seed 1 is twice as large, and so on.
        calls: The level and the seeds of each call of `train`.
    """

    name: ClassVar[str] = "counted"

    level: float = 1.0
    calls: list[tuple[float, list[int]]] = field(default_factory=list, compare=False, repr=False)

    def stack(self, device: str) -> int:
        """The number of seeds that are trained side by side."""
        return 4

    @classmethod
    def data(cls) -> Data:
        """Return data without content."""
        return Data("none", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        """Return an error that is proportional to the level and grows with the seed."""
        self.calls.append((self.level, list(seeds)))
        values = self.level * (1.0 + np.array(seeds))
        curve = np.outer(values, [1.0, np.nan])
        return Trials({"error": values, "epochs": np.ones(len(seeds))}, {"loss": curve})
