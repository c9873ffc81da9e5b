"""Relations: what claims assert about arms, each decided seed by seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from labcheck.core import verdicts
from labcheck.core.errors import line
from labcheck.core.metrics import (
    CPU_SECONDS,
    Floats,
    Metric,
    MetricError,
    Trials,
    at,
    largest_fall,
    largest_growth,
    last,
    lowest,
    rounded,
    swing,
)

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Term:
    """A metric of an arm.

    Raises:
        TypeError: it is no Metric.
    """

    arm: str
    metric: Metric

    def __post_init__(self) -> None:
        if not isinstance(self.metric, Metric):
            raise TypeError(
                "arms are compared on a Metric, such as Metric('test_mse', higher_is_better=False), not on "
                f"{self.metric!r}"
            )

    def of(self, trials: Mapping[str, Trials]) -> Floats:
        """Return the metric's values (n,) of this arm.

        Raises:
            MetricError: the arm's trials do not have it; the message names the arm.
        """
        try:
            return self.metric.of(trials[self.arm])
        except MetricError as error:
            raise MetricError(f"arm '{self.arm}': {error}") from error.__cause__


class Effect(NamedTuple):
    """The median over seeds of what a relation compares, with its 95 % interval.

    Fewer than six seeds have no such interval: not even all of them cover the median so often. Its bounds are NaN then.

    Attributes:
        kind: "ratio" or "difference" of the first term and the second, or "value" of the only one.
    """

    kind: str
    median: float
    low: float
    high: float


class Outcome(NamedTuple):
    """Each seed's answer (n,): holds, tie, or, where neither is set, no."""

    holds: Bools
    ties: Bools
    effect: Effect


class Conclusion(NamedTuple):
    """The verdict on a relation.

    Attributes:
        stored: verdict, tag and counts, which a baseline keeps.
        shown: what a report shows beside them.
        effect: what is compared, over the seeds.
    """

    stored: dict[str, Any]
    shown: dict[str, Any]
    effect: Effect


Rule = Callable[..., tuple[Bools, Bools]]
"""The terms' values (n,), one array each → (holds, ties)."""


@dataclass(frozen=True)
class Relation:
    """What a claim asserts about arms, decided for each seed.

    Attributes:
        name: as tests and tables show it.
        terms: the numbers that it compares; the effect is that of the first against the second, if there is one.
        rule: decides.
    """

    name: str
    terms: tuple[Term, ...]
    rule: Rule

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that it needs, each once."""
        return tuple(dict.fromkeys(term.arm for term in self.terms))

    @property
    def timed(self) -> bool:
        """Whether it is about time."""
        return any(term.metric == CPU_SECONDS for term in self.terms)

    def judge(self, trials: Mapping[str, Trials]) -> Outcome:
        """Decide it for each seed, given the trials of its arms, paired by seed."""
        values = [term.of(trials) for term in self.terms]
        try:
            with np.errstate(all="ignore"):
                answers = self.rule(*values)
            if not isinstance(answers, tuple) or len(answers) != 2:
                raise MetricError(f"{self.name}: its rule must return (holds, ties), got {type(answers).__name__}")
            holds, ties = (np.asarray(answer, dtype=bool) for answer in answers)
        except MetricError:
            raise
        except Exception as error:  # whatever a rule of the user's raises
            raise MetricError(f"{self.name}: its rule raised {line(error)}") from error
        if not holds.shape == ties.shape == values[0].shape:
            raise MetricError(f"{self.name}: its rule must decide each of {len(values[0])} seeds, got {holds.shape}")
        return Outcome(holds & ~ties, ties, _effect(self.terms[0].metric, values))

    def conclude(self, trials: Mapping[str, Trials], relations: int) -> Conclusion:
        """Judge it over the seeds of its arms, as one of N relations of a claim."""
        holds, ties, effect = self.judge(trials)
        verdict = verdicts.judge(int(holds.sum()), int(ties.sum()), len(holds), relations)
        stored = {"verdict": str(verdict.word), "tag": verdict.tag, "holds": verdict.holds, "ties": verdict.ties}
        bounds = {"lower": verdict.lower, "upper": verdict.upper}
        needed = verdicts.seeds_to_decide(verdict, relations)
        return Conclusion({**stored, "n": verdict.n}, {"kind": "share", **bounds, "seeds_to_decide": needed}, effect)


@dataclass(frozen=True)
class PrintedNumber(Relation):
    """A number that the report prints, as one more draw beside those of our seeds.

    Attributes:
        printed: the number.
        best_of: of how many tries the report chose the best; our seeds are then taken in groups of so many.
        images: of an accuracy, on how many images it was measured.
    """

    printed: float
    best_of: int = 1
    images: int | None = None

    def draws(self, trials: Mapping[str, Trials]) -> Floats:
        """Return what our seeds give, one number for each try or group of tries; the worst where it is not finite.

        Raises:
            MetricError: there are fewer seeds than the report had tries.
        """
        [term] = self.terms
        values: Floats = term.metric.filled(term.of(trials))
        groups = len(values) // self.best_of
        if not groups:
            raise MetricError(f"{self.name}: the best of {self.best_of} tries needs as many seeds, got {len(values)}")
        tries = values[: groups * self.best_of].reshape(groups, self.best_of)
        best: Floats = tries.max(1) if term.metric.higher_is_better else tries.min(1)
        return best

    def conclude(self, trials: Mapping[str, Trials], relations: int) -> Conclusion:
        metric = self.terms[0].metric
        values, printed = self.draws(trials), metric.filled(rounded(np.array([self.printed])))
        verdict = verdicts.judge_number(
            int((values < printed).sum()), int((values == printed).sum()), len(values), relations
        )
        stored = asdict(verdict) | {"verdict": str(verdict.word)}
        del stored["word"]
        groups = verdicts.seeds_for_a_number(verdict, relations)
        shown = {
            "kind": "number",
            "printed": self.printed if np.isfinite(self.printed) else None,
            "best_of": self.best_of,
            "sampling_error": (self.printed * (1 - self.printed) / self.images) ** 0.5 if self.images else None,
            "seeds_to_decide": groups and groups * self.best_of,
        }
        return Conclusion(stored, shown, _effect(metric, [values]))


def number(
    a: str, value: float, metric: Metric, *, best_of: int = 1, images: int | None = None, says: str = ""
) -> PrintedNumber:
    """Arm a of the report's only run printed this value, which is judged as one more draw from our seeds.

    Args:
        best_of: of how many tries the report chose the best.
        images: of an accuracy, on how many images it was measured: its sampling error is shown beside it.

    Raises:
        ValueError: fewer than one try, or images for a number that is no share.
    """
    if best_of < 1:
        raise ValueError(f"{metric}: a number is the best of 1 try or more, got {best_of}")
    if images is not None and not (images > 0 and 0 <= value <= 1):
        raise ValueError(f"{metric}: an accuracy is a share from 0 to 1 of 1 image or more, got {value} of {images}")
    tries = f", the best of {best_of}" if best_of > 1 else ""
    name = _said(f"{a}: {metric} is {value:g} as printed{tries}", says)
    return PrintedNumber(name, (Term(a, metric),), _undecided, value, best_of, images)


def _undecided(values: Floats) -> tuple[Bools, Bools]:
    """A number is judged over all seeds at once: no seed decides it."""
    return np.zeros(len(values), bool), np.ones(len(values), bool)


def matches(a: str, value: float, metric: Metric, *, digits: int, says: str = "") -> Relation:
    """Arm a, a replay of the report's own run, gives the printed value to N significant digits.

    That is to within half a unit of the last of them: of 0.159 and three digits, ± 0.0005. There are no ties.

    Raises:
        ValueError: the value is 0 or not finite, which has no significant digits, or N is below 1.
    """
    if not (np.isfinite(value) and value and digits >= 1):
        raise ValueError(f"{metric}: a printed value and at least 1 significant digit, got {value} and {digits}")
    tolerance = 0.5 * 10.0 ** (np.floor(np.log10(abs(value))) + 1 - digits)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return np.abs(x - value) <= tolerance, np.zeros(len(x), bool)

    return Relation(_said(f"{a}: {metric} is {value:.{digits}g} to {digits} digits", says), (Term(a, metric),), rule)


def advantage(metric: Metric, a: Floats, b: Floats) -> Floats:
    """By how much a is better than b, for each seed: a log ratio or a difference, positive where a is better.

    A non-finite result is the worst there is; two of them cannot be told apart (NaN).

    Raises:
        MetricError: a ratio of negative values would say nothing.
    """
    if metric.ratio and any((np.isfinite(values) & (values < 0)).any() for values in (a, b)):
        raise MetricError(f"{metric} has negative values: compare it with ratio=False")
    sign = 1 if metric.higher_is_better else -1
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (np.log(a), np.log(b)) if metric.ratio else (a, b)
        gap = np.where(a == b, 0.0, sign * (x - y))
    lost_a, lost_b = ~np.isfinite(a), ~np.isfinite(b)
    return np.select([lost_a & lost_b, lost_a, lost_b], [np.nan, -np.inf, np.inf], gap)


def slack(metric: Metric, amount: float, better: bool) -> float:
    """A share (of an error, 0.1 for 10 %) or an amount as an advantage: how far better, or worse, that is.

    Raises:
        ValueError: it is negative, or a share that would leave nothing, or less.
    """
    if not amount >= 0:
        raise ValueError(f"{metric}: by how much is a number from 0 on, not {amount}")
    if not metric.ratio:
        return amount
    more = better == metric.higher_is_better
    if not more and amount >= 1:
        raise ValueError(f"{metric}: a share {'better' if better else 'worse'} is less than 1, not {amount:g}")
    return float(np.log1p(amount) if more else -np.log1p(-amount))


def _said(name: str, says: str) -> str:
    return f"{says}: {name}" if says else name


def _compared(a: str, b: str, how: str, amount: float, metric: Metric, other: Metric | None) -> str:
    """How a comparison is called: of two arms on a metric, or, of one arm, of two of its metrics.

    Raises:
        ValueError: it is of a number with itself.
    """
    if a == b and other in (None, metric):
        raise ValueError(f"{metric} of '{a}' is compared with itself: name two arms, or two metrics")
    limit = f" (by {amount:g})" if amount else ""
    if a == b:
        return f"{a}: {metric} {how} {other}{limit}"
    return f"{a} {how} {b}{limit} on {metric}" + (f" against {other}" if other else "")


def beats(a: str, b: str, metric: Metric, *, by: float = 0.0, other: Metric | None = None, says: str = "") -> Relation:
    """Arm a is better than arm b by more than `by`: a share for metrics compared by ratio, else an amount.

    Args:
        other: the metric of b, where it is not that of a.
        says: whose sentence it is, where a report says several.
    """
    terms = Term(a, metric), Term(b, other or metric)
    least = slack(metric, by, better=True)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        gap = advantage(metric, x, y)
        return gap > least, np.isnan(gap) | (gap == 0)

    name = _compared(a, b, "beats", by, metric, other)
    return Relation(_said(name, says), terms, rule)


def no_worse(
    a: str, b: str, metric: Metric, *, margin: float = 0.0, other: Metric | None = None, says: str = ""
) -> Relation:
    """Arm a is not worse than arm b by more than the margin. Equal numbers hold; two non-finite ones are a tie."""
    terms = Term(a, metric), Term(b, other or metric)
    most = slack(metric, margin, better=False)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        gap = advantage(metric, x, y)
        return gap >= -most, np.isnan(gap)

    name = _compared(a, b, "no worse than", margin, metric, other)
    return Relation(_said(name, says), terms, rule)


def equivalent(
    a: str, b: str, metric: Metric, *, margin: float, other: Metric | None = None, says: str = ""
) -> Relation:
    """Neither arm is worse than the other by more than the margin."""
    terms = Term(a, metric), Term(b, other or metric)
    most = slack(metric, margin, better=False)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        gap = advantage(metric, x, y)
        return np.abs(gap) <= most, np.isnan(gap)

    name = _compared(a, b, "equivalent to", margin, metric, other)
    return Relation(_said(name, says), terms, rule)


def differs(a: str, b: str, metric: Metric, *, margin: float, says: str = "") -> Relation:
    """One of the arms is worse than the other by more than the margin, whichever it is."""
    terms = Term(a, metric), Term(b, metric)
    most = slack(metric, margin, better=False)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        gap = advantage(metric, x, y)
        return np.abs(gap) > most, np.isnan(gap)

    name = _compared(a, b, "differs from", margin, metric, None)
    return Relation(_said(name, says), terms, rule)


def reaches(a: str, value: float, metric: Metric, *, says: str = "") -> Relation:
    """Arm a gets at least as good as a value. There are no ties."""
    term = Term(a, metric)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return advantage(metric, x, np.full_like(x, np.float32(value))) >= 0, np.zeros(len(x), bool)

    sign = "≥" if metric.higher_is_better else "≤"
    return Relation(_said(f"{a} has {metric} {sign} {value:g}", says), (term,), rule)


def misses(a: str, value: float, metric: Metric, *, says: str = "") -> Relation:
    """Arm a stays worse than a value. There are no ties; a non-finite result is worse."""
    term = Term(a, metric)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return advantage(metric, x, np.full_like(x, np.float32(value))) < 0, np.zeros(len(x), bool)

    sign = "<" if metric.higher_is_better else ">"
    return Relation(_said(f"{a} has {metric} {sign} {value:g}", says), (term,), rule)


def some_miss(arms: Sequence[str], limits: Mapping[Metric, float], *, says: str = "") -> Relation:
    """At least one of several arms stays worse than its value on some metric. There are no ties.

    A non-finite result is worse.

    Raises:
        ValueError: no arm or no metric.
    """
    if not arms or not limits:
        raise ValueError(f"some_miss must name at least one arm and one metric, got {list(arms)} and {len(limits)}")
    terms = tuple(Term(arm, metric) for metric in limits for arm in arms)
    values = [value for value in limits.values() for _ in arms]

    def rule(*found: Floats) -> tuple[Bools, Bools]:
        worse = [
            advantage(term.metric, x, np.full_like(x, np.float32(value))) < 0
            for term, x, value in zip(terms, found, values, strict=True)
        ]
        return np.any(worse, axis=0), np.zeros(len(found[0]), bool)

    limit = " or ".join(f"{metric} {'<' if metric.higher_is_better else '>'} {limits[metric]:g}" for metric in limits)
    return Relation(_said(f"one of {', '.join(arms)} has {limit}", says), terms, rule)


def never_falls(a: str, curve: str, *, says: str = "") -> Relation:
    """A curve of arm a rises, or stays level, from each of its records to the next. A seed with one record is a tie."""
    metric = largest_fall(curve)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return x <= 0, np.isnan(x)

    return Relation(_said(f"{a}: {curve} never falls from one epoch to the next", says), (Term(a, metric),), rule)


def settled(a: str, curve: str, *, start: int, below: float, rising: bool, says: str = "") -> Relation:
    """From some epoch on, a curve climbs back by at most a share an epoch; one that should be `rising`, falls back.

    A seed whose training has ended before says neither yes nor no: it is a tie.
    """
    metric = swing(curve, start, rising=rising)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return x <= np.float32(below), np.isnan(x)

    return Relation(_said(f"{a} has {metric} ≤ {below:g}", says), (Term(a, metric),), rule)


def unsettled(a: str, curve: str, *, last: int, above: float, rising: bool, says: str = "") -> Relation:
    """In the last epochs a curve still climbs back by more than a share an epoch, or is not finite.

    One that should be `rising` falls back.
    """
    return misses(a, above, swing(curve, -last, rising=rising), says=says)


def diverges(a: str, loss: Metric, validation: Metric, mean: Metric, *, says: str = "") -> Relation:
    """Training arm a ends non-finite, or it never does better than predicting the mean. There are no ties.

    Args:
        loss: the last training loss.
        validation: the best validation error.
        mean: that of predicting the mean.
    """

    def rule(last: Floats, lowest: Floats, constant: Floats) -> tuple[Bools, Bools]:
        return ~np.isfinite(last) | ~(lowest < constant), np.zeros(len(last), bool)

    return Relation(_said(f"{a} diverges", says), (Term(a, loss), Term(a, validation), Term(a, mean)), rule)


def turns(a: str, curve: str, *, start: int, stop: int | None = None, by: float, says: str = "") -> Relation:
    """A curve of arm a improves and then gets worse again: lowest in between, by more than a share on either side.

    Args:
        start, stop: after how many epochs its sides are; the end of training, if there is no `stop`. A side that is not
            finite is higher than anything.
    """
    first, between = at(curve, start, rising=False), lowest(curve, start, stop)
    final = last(curve, rising=False) if stop is None else at(curve, stop, rising=False)
    least = slack(between, by, better=True)

    def rule(low: Floats, end: Floats, begin: Floats) -> tuple[Bools, Bools]:
        falls, rises = advantage(between, low, begin), advantage(between, low, end)
        return (falls > least) & (rises > least), np.isnan(falls) | np.isnan(rises)

    until = "the end" if stop is None else stop
    name = f"{a}: {curve} falls from {start} epochs on and rises again until {until} (each by {by:g})"
    return Relation(_said(name, says), (Term(a, between), Term(a, final), Term(a, first)), rule)


def falls_throughout(a: str, curve: str, epochs: Sequence[int], *, says: str = "") -> Relation:
    """A positive curve of arm a is lower after each of these numbers of epochs than after the one before.

    At the end of a longer training it is lower again. There are no ties; a curve that is not finite does not fall.
    """
    growth = largest_growth(curve, epochs)

    def rule(x: Floats) -> tuple[Bools, Bools]:
        return x < 1, np.zeros(len(x), bool)

    name = f"{a}: {curve} falls from each of {', '.join(map(str, epochs))} epochs to the next, and to the end"
    return Relation(_said(name, says), (Term(a, growth),), rule)


def takes_times(a: str, b: str, metric: Metric, times: float, *, within: float, says: str = "") -> Relation:
    """Arm a takes about N times what arm b takes, such as epochs to a level: N times it to within a factor.

    Two results that are not finite are a tie; one of them is no ratio, and does not hold.

    Raises:
        ValueError: the number is not positive, or the factor is not above 1.
    """
    if not (times > 0 and within > 1):
        raise ValueError(f"{metric}: N times to within a factor above 1, got {times:g} times to within {within:g}")
    ratio = replace(metric, ratio=True)

    def rule(x: Floats, y: Floats) -> tuple[Bools, Bools]:
        with np.errstate(divide="ignore", invalid="ignore"):
            off = np.abs(np.log(x / y / times))
        return off <= np.log(within), ~np.isfinite(x) & ~np.isfinite(y)

    name = f"{a} takes about {times:g} times as much as {b} on {metric} (to within a factor of {within:g})"
    return Relation(_said(name, says), (Term(a, ratio), Term(b, ratio)), rule)


def gains_more(better: tuple[str, str], than: tuple[str, str], metric: Metric, *, says: str = "") -> Relation:
    """The first arm of one pair is further ahead of the second than the first of the other pair is of its second."""

    def rule(a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Bools, Bools]:
        one, two = advantage(metric, a, b), advantage(metric, c, d)
        unknown = np.isnan(one) | np.isnan(two)
        return one > two, unknown | (one == two)

    name = f"{better[0]} over {better[1]} gains more than {than[0]} over {than[1]} on {metric}"
    return Relation(_said(name, says), tuple(Term(arm, metric) for arm in (*better, *than)), rule)


def _effect(metric: Metric, values: Sequence[Floats]) -> Effect:
    """The median and its distribution-free 95 % interval: two order statistics (binomial with p = 1/2)."""
    first = metric.filled(values[0])
    if len(values) == 1:
        kind, numbers = "value", first
    else:
        second = metric.filled(values[1])
        kind = "ratio" if metric.ratio else "difference"
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = first / second if metric.ratio else first - second
        numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return Effect(kind, np.nan, np.nan, np.nan)
    numbers = np.sort(numbers)
    n = len(numbers)
    # so many lie below the interval, and as many above; -1 where there is none
    outside = int(np.ceil(scipy.special.bdtrik(0.025, n, 0.5))) - 1
    low, high = (numbers[outside], numbers[n - 1 - outside]) if outside >= 0 else (np.nan, np.nan)
    with np.errstate(invalid="ignore"):
        return Effect(kind, float(np.median(numbers)), float(low), float(high))
