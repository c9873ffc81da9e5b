"""Relations that compare arms with each other or with a threshold.

A share is relative: `by=0.1` is 10 % of an error that is compared by ratio, and 0.1 of a score that is compared by
difference. In every function, `label` is a prefix for the relation's name, where a report states several similar
sentences, and `other` is the metric of the second arm, if it is not that of the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from labcheck.core.curve_metrics import largest_decrease, largest_growth, last_value, mean_rebound, minimum, value_at
from labcheck.core.metrics import Metric
from labcheck.core.relations import Bools, Relation, Term
from labcheck.core.trials import Floats, MetricError


def advantage(metric: Metric, a: Floats, b: Floats) -> Floats:
    """Return by how much a (n,) is better than b (n,) for each seed: a log ratio or a difference, positive if better.

    A non-finite value is the worst possible one; two of them cannot be compared (NaN).

    Raises:
        MetricError: The metric is compared by ratio and has negative values.
    """
    if metric.ratio and any((np.isfinite(values) & (values < 0)).any() for values in (a, b)):
        raise MetricError(f"{metric} has negative values: compare it with ratio=False")
    sign = 1 if metric.higher_is_better else -1
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (np.log(a), np.log(b)) if metric.ratio else (a, b)
        gap = np.where(a == b, 0.0, sign * (x - y))
    lost_a, lost_b = ~np.isfinite(a), ~np.isfinite(b)
    return np.select([lost_a & lost_b, lost_a, lost_b], [np.nan, -np.inf, np.inf], gap)


def threshold(metric: Metric, amount: float, better: bool) -> float:
    """Convert a share or an amount to a threshold for `advantage`.

    Args:
        metric: The compared metric.
        amount: A share (0.1 for 10 %) of a metric that is compared by ratio, otherwise an amount.
        better: Whether the share is measured in the better direction.

    Raises:
        ValueError: The amount is negative, or it is a share of 1 or more that would leave nothing.
    """
    if not amount >= 0:
        raise ValueError(f"{metric}: a margin must be at least 0, got {amount}")
    if not metric.ratio:
        return amount
    more = better == metric.higher_is_better
    if not more and amount >= 1:
        raise ValueError(
            f"{metric}: the share by which it is {'better' if better else 'worse'} must be below 1, got {amount:g}"
        )
    return float(np.log1p(amount) if more else -np.log1p(-amount))


def labeled(name: str, label: str) -> str:
    """Return a relation's name with its label, if it has one."""
    return f"{label}: {name}" if label else name


def _name(a: str, verb: str, b: str, metric: Metric, other: Metric | None, limit: str) -> str:
    """Return the name of a comparison of two arms by a metric, or of two metrics of one arm.

    Raises:
        ValueError: A metric is compared with itself.
    """
    if a == b and other in (None, metric):
        raise ValueError(f"{metric} of '{a}' is compared with itself: name two arms, or two metrics")
    if a == b:
        return f"{a}: {metric} {verb} {other}{limit}"
    return f"{a} {verb} {b} on {metric}" + (f" against {other}" if other else "") + limit


def beats(a: str, b: str, metric: Metric, *, by: float = 0.0, other: Metric | None = None, label: str = "") -> Relation:
    """Assert that arm a is better than arm b by more than `by`. Equal values are a tie, as are two non-finite ones.

    `by` is a share of an error, which is compared by ratio, or an amount of a score, which is compared by difference.

    Raises:
        ValueError: `by` is negative or too large, or a metric is compared with itself.
    """
    terms = Term(a, metric), Term(b, other or metric)
    required = threshold(metric, by, better=True)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        gap = advantage(metric, x, y)
        return gap > required, np.isnan(gap) | (gap == 0)

    name = _name(a, "beats", b, metric, other, f" by {by:g}" if by else "")
    return Relation(labeled(name, label), terms, rule)


def no_worse(
    a: str, b: str, metric: Metric, *, margin: float = 0.0, other: Metric | None = None, label: str = ""
) -> Relation:
    """Assert that arm a is not worse than arm b by more than the margin. Two non-finite values are a tie.

    The margin is a share of an error, which is compared by ratio, or an amount of a score, which is compared by
    difference.

    Raises:
        ValueError: The margin is negative or too large, or a metric is compared with itself.
    """
    terms = Term(a, metric), Term(b, other or metric)
    allowed = threshold(metric, margin, better=False)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        gap = advantage(metric, x, y)
        return gap >= -allowed, np.isnan(gap)

    name = _name(a, "is no worse than", b, metric, other, f" (margin {margin:g})" if margin else "")
    return Relation(labeled(name, label), terms, rule)


def equivalent(
    a: str, b: str, metric: Metric, *, margin: float, other: Metric | None = None, label: str = ""
) -> Relation:
    """Assert that neither arm is worse than the other by more than the margin. Two non-finite values are a tie.

    The margin is a share of an error, which is compared by ratio, or an amount of a score, which is compared by
    difference.

    Raises:
        ValueError: The margin is negative or too large, or a metric is compared with itself.
    """
    terms = Term(a, metric), Term(b, other or metric)
    allowed = threshold(metric, margin, better=False)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        gap = advantage(metric, x, y)
        return np.abs(gap) <= allowed, np.isnan(gap)

    name = _name(a, "is equivalent to", b, metric, other, f" (margin {margin:g})")
    return Relation(labeled(name, label), terms, rule)


def differs(a: str, b: str, metric: Metric, *, margin: float, label: str = "") -> Relation:
    """Assert that one of the arms, whichever it is, is worse than the other by more than the margin.

    Two non-finite values are a tie. The margin is a share of an error, which is compared by ratio, or an amount of a
    score, which is compared by difference.

    Raises:
        ValueError: The margin is negative or too large, or a metric is compared with itself.
    """
    terms = Term(a, metric), Term(b, metric)
    allowed = threshold(metric, margin, better=False)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        gap = advantage(metric, x, y)
        return np.abs(gap) > allowed, np.isnan(gap)

    name = _name(a, "differs from", b, metric, None, f" (margin {margin:g})")
    return Relation(labeled(name, label), terms, rule)


def improves_more(better: tuple[str, str], than: tuple[str, str], metric: Metric, *, label: str = "") -> Relation:
    """Assert that in one pair of arms, the first is further ahead of the second than in another pair.

    Equal leads are a tie, and so is a seed in which neither arm of a pair is finite.

    Args:
        better: The pair whose lead is larger: an arm, and the arm that it is ahead of.
        than: The pair whose lead is smaller.
        metric: The metric, which decides whether a lead is a ratio or a difference.
        label: A prefix for the relation's name.
    """

    def rule(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Bools, Bools]:
        one, two = advantage(metric, a, b), advantage(metric, c, d)
        unknown = np.isnan(one) | np.isnan(two)
        return one > two, unknown | (one == two)

    name = f"{better[0]} improves more on {better[1]} than {than[0]} on {than[1]} by {metric}"
    return Relation(labeled(name, label), tuple(Term(arm, metric) for arm in (*better, *than)), rule)


def takes_about_times(a: str, b: str, metric: Metric, times: float, *, within: float, label: str = "") -> Relation:
    """Assert that arm a takes about N times as much as arm b, such as ten times the epochs to a level.

    Two non-finite values are a tie; a single one fails.

    Args:
        a: The arm that takes more.
        b: The arm that takes less.
        metric: What they take.
        times: How many times as much, N.
        within: The factor by which the ratio may differ from N.
        label: A prefix for the relation's name.

    Raises:
        ValueError: `times` is not positive, or `within` is not above 1.
    """
    terms = Term(a, metric), Term(b, metric)
    if not (times > 0 and within > 1):
        raise ValueError(f"{metric}: times must be positive and within above 1, got {times:g} and {within:g}")
    ratios = tuple(replace(term, metric=replace(metric, ratio=True)) for term in terms)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.abs(np.log(x / y / times))
        return off <= np.log(within), ~np.isfinite(x) & ~np.isfinite(y)

    name = f"{a} takes about {times:g} times as much as {b} on {metric} (within a factor of {within:g})"
    return Relation(labeled(name, label), ratios, rule)


def reaches(arm: str, value: float, metric: Metric, *, label: str = "") -> Relation:
    """Assert that an arm is at least as good as a value; a non-finite result is not. There are no ties."""
    term = Term(arm, metric)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return advantage(metric, x, np.full_like(x, np.float32(value))) >= 0, np.zeros(len(x), bool)

    sign = "≥" if metric.higher_is_better else "≤"
    return Relation(labeled(f"{arm} has {metric} {sign} {value:g}", label), (term,), rule)


def stays_worse_than(arm: str, value: float, metric: Metric, *, label: str = "") -> Relation:
    """Assert that an arm is worse than a value; a non-finite result is worse. There are no ties."""
    term = Term(arm, metric)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return advantage(metric, x, np.full_like(x, np.float32(value))) < 0, np.zeros(len(x), bool)

    sign = "<" if metric.higher_is_better else ">"
    return Relation(labeled(f"{arm} has {metric} {sign} {value:g}", label), (term,), rule)


def some_stay_worse_than(arms: Sequence[str], limits: Mapping[Metric, float], *, label: str = "") -> Relation:
    """Assert that at least one of several arms is worse than a limit on at least one metric.

    A non-finite result is worse. There are no ties.

    Args:
        arms: The names of the arms.
        limits: The limit of each metric.
        label: A prefix for the relation's name.

    Raises:
        ValueError: There is no arm or no metric.
    """
    if not arms or not limits:
        raise ValueError(f"needs at least one arm and one metric, got {len(arms)} and {len(limits)}")
    terms = tuple(Term(arm, metric) for metric in limits for arm in arms)
    values = [value for value in limits.values() for _ in arms]

    def rule(*columns: Floats) -> tuple[Bools, Bools]:
        worse = [
            advantage(term.metric, x, np.full_like(x, np.float32(value))) < 0
            for term, x, value in zip(terms, columns, values, strict=True)
        ]
        return np.any(worse, axis=0), np.zeros(len(columns[0]), bool)

    limit = " or ".join(f"{metric} {'<' if metric.higher_is_better else '>'} {limits[metric]:g}" for metric in limits)
    return Relation(labeled(f"one of {', '.join(arms)} has {limit}", label), terms, rule)


def diverges(arm: str, loss: Metric, validation: Metric, mean: Metric, *, label: str = "") -> Relation:
    """Assert that training ends non-finite or never does better than predicting the mean. There are no ties.

    Args:
        arm: The arm.
        loss: The last training loss.
        validation: The lowest validation error.
        mean: The validation error of predicting the mean.
        label: A prefix for the relation's name.
    """

    def rule(last: Floats, lowest: Floats, constant: Floats) -> tuple[Bools, Bools]:
        return ~np.isfinite(last) | ~(lowest < constant), np.zeros(len(last), bool)

    terms = Term(arm, loss), Term(arm, validation), Term(arm, mean)
    return Relation(labeled(f"{arm} diverges", label), terms, rule)


def never_decreases(arm: str, curve: str, *, label: str = "") -> Relation:
    """Assert that a curve never decreases from one record to the next. A seed with one record is a tie."""

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return x <= 0, np.isnan(x)

    name = f"{arm}: {curve} never decreases"
    return Relation(labeled(name, label), (Term(arm, largest_decrease(curve)),), rule)


def decreases_throughout(arm: str, curve: str, epochs: Sequence[int], *, label: str = "") -> Relation:
    """Assert that a positive curve is lower after each of these numbers of epochs than after the previous one.

    The end of a longer training must be lower again. There are no ties; a curve that is not finite fails.
    """

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return x < 1, np.zeros(len(x), bool)

    name = f"{arm}: {curve} decreases between {', '.join(map(str, epochs))} epochs and the end"
    return Relation(labeled(name, label), (Term(arm, largest_growth(curve, epochs)),), rule)


def has_interior_minimum(
    arm: str, curve: str, *, start: int, stop: int | None = None, by: float, label: str = ""
) -> Relation:
    """Assert that a curve falls and rises again: its minimum is below both ends by more than a share.

    Args:
        arm: The arm.
        curve: The name of the curve.
        start: The number of epochs at the left end.
        stop: The number of epochs at the right end; None for the end of training.
        by: The share by which the minimum must be below either end. An end that is not finite is higher than anything.
        label: A prefix for the relation's name.
    """
    left, lowest = value_at(curve, start, rising=False), minimum(curve, start, stop)
    right = last_value(curve, rising=False) if stop is None else value_at(curve, stop, rising=False)
    required = threshold(lowest, by, better=True)

    def rule(low: Floats, end: Floats, begin: Floats) -> tuple[Bools, Bools]:
        falls, rises = advantage(lowest, low, begin), advantage(lowest, low, end)
        return (falls > required) & (rises > required), np.isnan(falls) | np.isnan(rises)

    until = "the end" if stop is None else f"{stop} epochs"
    name = f"{arm}: {curve} has a minimum between {start} epochs and {until}, below both by {by:g}"
    return Relation(labeled(name, label), (Term(arm, lowest), Term(arm, right), Term(arm, left)), rule)


def settles(arm: str, curve: str, *, start: int, below: float, rising: bool, label: str = "") -> Relation:
    """Assert that from some epoch on a curve rebounds by at most a share per epoch; see `mean_rebound`.

    A seed whose training ended before that epoch is a tie.
    """
    metric = mean_rebound(curve, start, rising=rising)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return x <= np.float32(below), np.isnan(x)

    return Relation(labeled(f"{arm} has {metric} ≤ {below:g}", label), (Term(arm, metric),), rule)


def oscillates(arm: str, curve: str, *, last: int, above: float, rising: bool, label: str = "") -> Relation:
    """Assert that over its final `last` epochs, a curve rebounds by more than a share per epoch, or is not finite."""
    return stays_worse_than(arm, above, mean_rebound(curve, -last, rising=rising), label=label)
