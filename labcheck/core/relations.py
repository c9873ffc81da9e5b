"""Relations: what a claim asserts about its arms, decided for each seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from labcheck.core import verdicts
from labcheck.core.errors import line
from labcheck.core.metrics import CPU_SECONDS, Metric
from labcheck.core.settings import shown
from labcheck.core.trials import Floats, MetricError, Trials

Bools = NDArray[np.bool_]
Rule = Callable[..., tuple[Bools, Bools]]
"""The values of each term (n,), one array per term → whether the relation holds, and whether it is a tie, (n,) each."""


@dataclass(frozen=True)
class Term:
    """A metric of an arm.

    Raises:
        TypeError: `metric` is not a Metric.
    """

    arm: str
    metric: Metric

    def __post_init__(self) -> None:
        if not isinstance(self.metric, Metric):
            raise TypeError(
                "arms must be compared by a Metric, such as error('test_mse') or score('test_accuracy'), got "
                f"{shown(self.metric)}"
            )

    def of(self, trials: Mapping[str, Trials]) -> Floats:
        """Return the metric's values (n,) for this arm, given the trials by arm.

        Raises:
            MetricError: The arm's trials lack the metric; the message names the arm.
        """
        try:
            return self.metric.of(trials[self.arm])
        except MetricError as error:
            raise MetricError(f"arm '{self.arm}': {error}") from error.__cause__


class Effect(NamedTuple):
    """The median over seeds of what a relation compares, with its 95 % confidence interval.

    With fewer than six seeds, even the whole range covers the median too rarely, so `low` and `high` are NaN.

    Attributes:
        kind: "ratio" or "difference" of the first term and the second, or "value" if there is one term only.
        median: The median.
        low: The lower end of the interval.
        high: The upper end of the interval.
    """

    kind: str
    median: float
    low: float
    high: float


class Outcome(NamedTuple):
    """The outcome for each seed (n,): the relation holds, is a tie, or, if neither is set, fails.

    Attributes:
        holds: Whether the relation holds.
        ties: Whether it is a tie.
        effect: The effect over all seeds.
    """

    holds: Bools
    ties: Bools
    effect: Effect


class RelationResult(NamedTuple):
    """A judged relation.

    Attributes:
        stored: Verdict, tag and counts, which a baseline stores.
        details: What a report shows as well: the kind of evidence, its strength, and the number of seeds that would
            decide the relation.
        effect: The effect over all seeds.
    """

    stored: dict[str, Any]
    details: dict[str, Any]
    effect: Effect


@dataclass(frozen=True)
class Relation:
    """An assertion about arms that is decided for each seed.

    Attributes:
        name: The text that identifies the relation in its claim, in tests, tables and baselines.
        terms: The numbers that it compares. The effect is that of the first term against the second, if there is one.
        rule: The function that decides each seed.
    """

    name: str
    terms: tuple[Term, ...]
    rule: Rule

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of the arms that it compares, without repetition."""
        return tuple(dict.fromkeys(term.arm for term in self.terms))

    @property
    def sequential(self) -> bool:
        """Whether its verdict has the same error rates if seeds are added until it is decided."""
        return True

    @property
    def timed(self) -> bool:
        """Whether it compares CPU time."""
        return any(term.metric == CPU_SECONDS for term in self.terms)

    def decide(self, trials: Mapping[str, Trials]) -> Outcome:
        """Decide the relation for each seed, given the trials of its arms, paired by seed.

        Raises:
            MetricError: A term is missing, or the rule raised or returned no outcome for some seed.
        """
        values = [term.of(trials) for term in self.terms]
        try:
            with np.errstate(all="ignore"):
                returned = self.rule(*values)
            if not isinstance(returned, tuple) or len(returned) != 2:
                raise MetricError(f"{self.name}: its rule must return (holds, ties), got {type(returned).__name__}")
            holds, ties = (np.asarray(array, dtype=bool) for array in returned)
        except MetricError:
            raise
        except Exception as error:  # whatever a user's rule raises
            raise MetricError(f"{self.name}: its rule raised {line(error)}") from error
        if not holds.shape == ties.shape == values[0].shape:
            raise MetricError(f"{self.name}: its rule must decide each of {len(values[0])} seeds, got {holds.shape}")
        return Outcome(holds & ~ties, ties, effect_of(self.terms[0].metric, values))

    def judge(self, trials: Mapping[str, Trials], relations: int) -> RelationResult:
        """Judge the relation over all seeds, given the trials by arm, as one of `relations` relations of a claim.

        Raises:
            MetricError: As `decide` does.
        """
        holds, ties, effect = self.decide(trials)
        judgment = verdicts.judge(int(holds.sum()), int(ties.sum()), len(holds), relations)
        stored = {
            "verdict": str(judgment.verdict),
            "tag": judgment.tag,
            "holds": judgment.holds,
            "ties": judgment.ties,
            "n": judgment.n,
        }
        details = {
            "kind": "share",
            "log10_for": judgment.log10_for,
            "log10_against": judgment.log10_against,
            "relations": relations,
            "lower": judgment.lower,
            "upper": judgment.upper,
            "seeds_to_decide": verdicts.seeds_to_decide(judgment, relations),
        }
        return RelationResult(stored, details, effect)


def effect_of(metric: Metric, values: Sequence[Floats]) -> Effect:
    """Return the median effect of terms (n,) and its distribution-free 95 % interval.

    The ends of the interval are two order statistics: the number of seeds below the median is binomial with p = 1/2.
    """
    first = metric.fill(values[0])
    if len(values) == 1:
        kind, numbers = "value", first
    else:
        second = metric.fill(values[1])
        kind = "ratio" if metric.ratio else "difference"
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = first / second if metric.ratio else first - second
        numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return Effect(kind, np.nan, np.nan, np.nan)
    numbers = np.sort(numbers)
    n = len(numbers)
    # the number of values on either side of the interval; -1 if there is no interval
    outside = int(np.ceil(scipy.special.bdtrik(0.025, n, 0.5))) - 1
    low, high = (numbers[outside], numbers[n - 1 - outside]) if outside >= 0 else (np.nan, np.nan)
    with np.errstate(invalid="ignore"):
        return Effect(kind, float(np.median(numbers)), float(low), float(high))
