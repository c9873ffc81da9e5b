"""Relations between an arm and a number that a report prints."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from labcheck.core import verdicts
from labcheck.core.comparisons import labeled
from labcheck.core.metrics import Metric, round_to_float32
from labcheck.core.relations import Bools, Relation, RelationResult, Term, effect_of
from labcheck.core.trials import Floats, MetricError, Trials


@dataclass(frozen=True)
class PrintedNumber(Relation):
    """A printed number that is judged as one more draw from the distribution of our seeds.

    Attributes:
        printed: The number.
        best_of: The number of tries of which the report chose the best; our seeds are grouped accordingly.
        images: The number of images on which a printed accuracy was measured; None for other metrics.
    """

    printed: float
    best_of: int = 1
    images: int | None = None

    @property
    def sequential(self) -> bool:
        """False: a p-value is valid for one look at a number of seeds that was fixed beforehand."""
        return False

    def draws(self, trials: Mapping[str, Trials]) -> Floats:
        """Return one value for each seed, or the best of each group of seeds; non-finite values count as the worst.

        Raises:
            MetricError: There are fewer seeds than the report had tries, or the trials lack the metric.
        """
        [term] = self.terms
        values: Floats = term.metric.fill(term.of(trials))
        groups = len(values) // self.best_of
        if not groups:
            raise MetricError(
                f"{self.name}: the best of {self.best_of} tries needs at least {self.best_of} seeds, got {len(values)}"
            )
        tries = values[: groups * self.best_of].reshape(groups, self.best_of)
        best: Floats = tries.max(1) if term.metric.higher_is_better else tries.min(1)
        return best

    def judge(self, trials: Mapping[str, Trials], relations: int) -> RelationResult:
        """Judge the number among all seeds; see `Relation.judge`."""
        metric = self.terms[0].metric
        values, printed = self.draws(trials), metric.fill(round_to_float32(np.array([self.printed])))
        judgment = verdicts.judge_number(
            int((values < printed).sum()), int((values == printed).sum()), len(values), relations
        )
        stored = asdict(judgment) | {"verdict": str(judgment.verdict)}
        groups = verdicts.seeds_for_a_number(judgment, relations)
        details = {
            "kind": "number",
            "relations": relations,
            "printed": self.printed if np.isfinite(self.printed) else None,
            "best_of": self.best_of,
            "sampling_error": (self.printed * (1 - self.printed) / self.images) ** 0.5 if self.images else None,
            "seeds_to_decide": groups and groups * self.best_of,
        }
        return RelationResult(stored, details, effect_of(metric, [values]))


def consistent_with(
    arm: str, value: float, metric: Metric, *, best_of: int = 1, images: int | None = None, label: str = ""
) -> PrintedNumber:
    """Assert that a printed value looks like one more draw from the distribution of our seeds.

    Args:
        arm: The arm whose only run printed the value.
        value: The printed value.
        metric: What the value measures.
        best_of: The number of tries of which the report chose the best.
        images: The number of images behind a printed accuracy, whose sampling error is then shown.
        label: A prefix for the relation's name, where a report states several similar sentences.

    Raises:
        ValueError: `best_of` or `images` is below 1, or `images` is given for a value that is not a share.
    """
    if best_of < 1:
        raise ValueError(f"{metric}: best_of must be at least 1, got {best_of}")
    if images is not None and not (images > 0 and 0 <= value <= 1):
        raise ValueError(
            f"{metric}: with `images`, the value must be a share of 1 image or more, got {value} of {images}"
        )
    tries = f", best of {best_of}" if best_of > 1 else ""
    name = labeled(f"{arm} is consistent with the printed {metric} {value:g}{tries}", label)
    return PrintedNumber(name, (Term(arm, metric),), _decide_no_seed, value, best_of, images)


def matches(arm: str, value: float, metric: Metric, *, digits: int, label: str = "") -> Relation:
    """Assert that a replay of the report's own run gives the printed value to N significant digits.

    The tolerance is half a unit of the last digit: ± 0.0005 for 0.159 and three digits. There are no ties.

    Args:
        arm: The arm that replays the run.
        value: The printed value.
        metric: What the value measures.
        digits: The number of significant digits.
        label: A prefix for the relation's name.

    Raises:
        ValueError: The value is 0 or not finite, so that it has no significant digits, or `digits` is below 1.
    """
    if not (np.isfinite(value) and value and digits >= 1):
        raise ValueError(
            f"{metric}: needs a finite printed value other than 0 and at least 1 digit, got {value} and {digits}"
        )
    tolerance = 0.5 * 10.0 ** (np.floor(np.log10(abs(value))) + 1 - digits)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return np.abs(x - value) <= tolerance, np.zeros(len(x), bool)

    name = labeled(f"{arm} matches the printed {metric} {value:.{digits}g} to {digits} digits", label)
    return Relation(name, (Term(arm, metric),), rule)


def _decide_no_seed(values: Floats) -> tuple[Bools, Bools]:
    """Return a tie for every seed: a printed number is judged over all seeds at once."""
    return np.zeros(len(values), bool), np.ones(len(values), bool)
