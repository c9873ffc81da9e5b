"""Relations, on trials of a few seeds with the answers written beside them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import binom

from labcheck.core.claims import Arm, Claim, ClaimError
from labcheck.core.comparisons import (
    beats,
    decreases_throughout,
    differs,
    diverges,
    equivalent,
    has_interior_minimum,
    improves_more,
    no_worse,
    oscillates,
    reaches,
    settles,
    stays_worse_than,
    takes_about_times,
)
from labcheck.core.curve_metrics import epochs_to, geometric_mean
from labcheck.core.lab import Data, Lab
from labcheck.core.metrics import Metric
from labcheck.core.relations import Outcome, Relation
from labcheck.core.trials import MetricError, Trials

NAN, INF = np.nan, np.inf
ERROR = Metric("x", higher_is_better=False)
SCORE = Metric("x", higher_is_better=True, ratio=False)
ACCURACY = Metric("x", higher_is_better=True)
EPOCHS = Metric("x", higher_is_better=False, ratio=False)
METRICS = [ERROR, SCORE, ACCURACY, EPOCHS]
METRIC_IDS = ["error", "score", "accuracy", "epochs"]

Form = Callable[[Metric], Relation]
FORMS: dict[str, Form] = {
    "beats": lambda metric: beats("a", "b", metric),
    "beats by": lambda metric: beats("a", "b", metric, by=0.25),
    "no_worse": lambda metric: no_worse("a", "b", metric),
    "no_worse by": lambda metric: no_worse("a", "b", metric, margin=0.25),
    "equivalent": lambda metric: equivalent("a", "b", metric, margin=0.25),
    "reaches": lambda metric: reaches("a", 1.0, metric),
    "misses": lambda metric: stays_worse_than("a", 1.0, metric),
    "gains_more": lambda metric: improves_more(("a", "b"), ("c", "d"), metric),
}


def trials(values: Sequence[float]) -> Trials:
    return Trials({"epochs": np.ones(len(values)), "x": np.array(values, float)}, {})


def curves(*rows: Sequence[float], epochs: int = 0) -> Trials:
    epochs = max(epochs, *map(len, rows))
    padded = np.array([[*row, *[NAN] * (epochs - len(row))] for row in rows], float)
    return Trials({"epochs": np.array([len(row) for row in rows], float)}, {"loss": padded})


def decide(relation: Relation, *arms: Sequence[float]) -> Outcome:
    return relation.judge({name: trials(values) for name, values in zip("abcd", arms, strict=False)})


def said(outcome: Outcome) -> str:
    """A sign for each seed: + holds, = tie, - neither, ! both."""
    return "".join("-+=!"[held + 2 * tied] for held, tied in zip(outcome.holds, outcome.ties, strict=True))


VALUES = st.sampled_from([0.0, 0.25, 0.5, 0.625, 1.0, 1.25, 2.0, NAN, INF])
SEEDS = st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), min_size=1, max_size=12)


# Two arms: what each seed of a and b has, and what is said of them.


@pytest.mark.parametrize(
    ("metric", "by", "expected"),
    [
        # a:              1, 2, 1, 4, 3
        # b:              2, 1, 1, 8, 8
        (ERROR, 0.0, "+-=++"),
        (ERROR, 0.4, "+-=++"),
        (ERROR, 0.5, "--=-+"),
        (ERROR, 0.6, "--=-+"),
        (ERROR, 0.7, "--=--"),
        (EPOCHS, 0.0, "+-=++"),
        (EPOCHS, 1.0, "--=++"),
        (EPOCHS, 4.0, "--=-+"),
        (SCORE, 0.0, "-+=--"),
        (SCORE, 0.5, "-+=--"),
        (SCORE, 1.0, "--=--"),
        (ACCURACY, 0.9, "-+=--"),
        (ACCURACY, 1.1, "--=--"),
    ],
)
def test_beats(metric: Metric, by: float, expected: str) -> None:
    assert said(decide(beats("a", "b", metric, by=by), [1, 2, 1, 4, 3], [2, 1, 1, 8, 8])) == expected


@pytest.mark.parametrize(
    ("metric", "margin", "expected"),
    [
        # a:                1, 5, 1, 9
        # b:                2, 4, 1, 8
        (ERROR, 0.0, "+-+-"),
        (ERROR, 0.25, "++++"),
        (ERROR, 0.2, "+-++"),
        (EPOCHS, 0.0, "+-+-"),
        (EPOCHS, 1.0, "++++"),
        (SCORE, 0.0, "-+++"),
        (SCORE, 1.0, "++++"),
        (SCORE, 0.9, "-+++"),
        (ACCURACY, 0.5, "++++"),
        (ACCURACY, 0.4, "-+++"),
    ],
)
def test_no_worse(metric: Metric, margin: float, expected: str) -> None:
    assert said(decide(no_worse("a", "b", metric, margin=margin), [1, 5, 1, 9], [2, 4, 1, 8])) == expected


@pytest.mark.parametrize(
    ("metric", "margin", "expected"),
    [
        # a:                1, 5, 1, 4, 8
        # b:                2, 4, 1, 5, 9
        (ERROR, 0.25, "-++++"),
        (ERROR, 0.2, "--+-+"),
        (ERROR, 1.0, "+++++"),
        (ACCURACY, 0.2, "-++++"),
        (ACCURACY, 0.15, "--+-+"),
        (SCORE, 1.0, "+++++"),
        (SCORE, 0.9, "--+--"),
        (EPOCHS, 0.0, "--+--"),
    ],
)
def test_equivalent(metric: Metric, margin: float, expected: str) -> None:
    assert said(decide(equivalent("a", "b", metric, margin=margin), [1, 5, 1, 4, 8], [2, 4, 1, 5, 9])) == expected


@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # a: 1,   NAN, INF, NAN, INF, NAN
        # b: NAN, 1,   1,   NAN, INF, INF
        ("beats", "+--==="),
        ("beats by", "+--==="),
        ("no_worse", "+--==="),
        ("no_worse by", "+--==="),
        ("equivalent", "---==="),
    ],
)
def test_a_non_finite_number_is_the_worst_and_two_are_a_tie(form: str, expected: str, metric: Metric) -> None:
    outcome = decide(FORMS[form](metric), [1, NAN, INF, NAN, INF, NAN], [NAN, 1, 1, NAN, INF, INF])
    assert said(outcome) == expected


@pytest.mark.parametrize("of", [{}, {"other": ERROR}])
def test_a_number_is_not_compared_with_itself(of: dict[str, Metric]) -> None:
    with pytest.raises(ValueError, match="x of 'a' is compared with itself: name two arms, or two metrics"):
        beats("a", "a", ERROR, **of)


def test_a_negative_infinity_is_no_good_error_either() -> None:
    assert said(decide(beats("a", "b", EPOCHS), [-INF, 1, -INF], [1, -INF, INF])) == "-+="


def test_an_error_of_zero_is_the_best() -> None:
    assert said(decide(beats("a", "b", ERROR, by=0.99), [0, 1, 0, 0], [1, 0, 0, NAN])) == "+-=+"
    assert said(decide(no_worse("a", "b", ERROR), [0, 1, 0, 0], [1, 0, 0, NAN])) == "+-++"


def test_the_arms_may_be_compared_on_different_metrics() -> None:
    both = {
        arm: Trials({"epochs": np.ones(3), "train": np.array(train), "test": np.array(test)}, {})
        for arm, train, test in (("a", [1.0, 2, 3], [9.0, 9, 9]), ("b", [9.0, 9, 9], [2.0, 2, 2]))
    }
    train, test = Metric("train", higher_is_better=False), Metric("test", higher_is_better=False)
    assert said(beats("a", "b", train, other=test).judge(both)) == "+=-"
    assert said(no_worse("a", "b", train, other=test).judge(both)) == "++-"
    assert said(beats("a", "a", train, other=test).judge(both)) == "+++"


@pytest.mark.parametrize("form", [beats, no_worse, equivalent, differs])
@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@pytest.mark.parametrize("amount", [-0.1, -2, NAN])
def test_by_how_much_is_not_negative(form: Any, metric: Metric, amount: float) -> None:
    with pytest.raises(ValueError, match=rf"^x: by how much is a number from 0 on, not {amount}$"):
        form("a", "b", metric, **{"by" if form is beats else "margin": amount})


@pytest.mark.parametrize("amount", [1, 1.5, INF])
@pytest.mark.parametrize(
    "relate",
    [
        partial(beats, "a", "b", ERROR),
        partial(no_worse, "a", "b", ACCURACY),
        partial(equivalent, "a", "b", ACCURACY),
        partial(differs, "a", "b", ACCURACY),
    ],
    ids=lambda relate: relate.func.__name__,
)
def test_a_share_leaves_something(relate: Any, amount: float) -> None:
    with pytest.raises(ValueError, match=rf"^x: a share (better|worse) is less than 1, not {amount:g}$"):
        relate(**{"by" if relate.func is beats else "margin": amount})
    with pytest.raises(ValueError, match=r"^lowest loss .* a share better is less than 1"):
        has_interior_minimum("a", "loss", start=1, stop=4, by=amount)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("metric", [ERROR, ACCURACY], ids=["error", "accuracy"])
def test_negative_values_have_no_ratio(form: str, metric: Metric) -> None:
    for first, second in ([-1.0, 2.0], [3.0, 1.0]), ([-1.0, -2.0], [-1.0, NAN]):
        with pytest.raises(MetricError, match=r"^x has negative values: compare it with ratio=False$"):
            decide(FORMS[form](metric), first, second, first, second)


def test_a_difference_of_negative_values_is_one() -> None:
    assert said(decide(beats("a", "b", SCORE), [-1, -2], [-2, -1])) == "+-"
    assert said(decide(equivalent("a", "b", SCORE, margin=1), [-1, -2], [-2, 1])) == "+-"


# One arm against a value.


@pytest.mark.parametrize(
    ("metric", "expected"), [(ERROR, "++---"), (EPOCHS, "++---"), (SCORE, "-++--"), (ACCURACY, "-++--")]
)
def test_reaching_a_value_is_not_missing_it_and_there_are_no_ties(metric: Metric, expected: str) -> None:
    values = [0.25, 0.5, 0.75, NAN, INF]
    assert said(decide(reaches("a", 0.5, metric), values)) == expected
    assert said(decide(stays_worse_than("a", 0.5, metric), values)) == expected.translate(str.maketrans("+-", "-+"))


def test_settled_and_unsettled_look_at_the_end_of_a_curve() -> None:
    e = np.e
    seeds = curves(
        [1, e, 1, 0.9, 0.8, 0.7],  # calm at the end
        [1, 1, 1, 1, e**0.25, e],  # rises of 1/4 and 3/4
        [1, 1, 1, 1, 1, NAN],
        [1, e, 1],  # stopped
        [1, e, NAN],  # stopped, and lost
    )
    assert said(settles("a", "loss", start=3, below=0.1, rising=False).judge({"a": seeds})) == "+--=-"
    assert said(settles("a", "loss", start=3, below=0.5, rising=False).judge({"a": seeds})) == "++-=-"
    assert said(settles("a", "loss", start=0, below=0.1, rising=False).judge({"a": seeds})) == "-----"
    assert said(oscillates("a", "loss", last=3, above=0.4, rising=False).judge({"a": seeds})) == "-++++"
    assert said(oscillates("a", "loss", last=3, above=0.5, rising=False).judge({"a": seeds})) == "--+-+"
    assert said(oscillates("a", "loss", last=2, above=0.5, rising=False).judge({"a": seeds})) == "-++-+"


@pytest.mark.parametrize(
    ("curve", "by", "expected"),
    [
        ([4, 1, 4], 0.5, "+"),
        ([4, 8, 1, 8, 4], 0.5, "+"),
        ([4, 2, 1], 0.0, "-"),  # only falls
        ([4, 4, 1, 1, 1], 0.0, "-"),
        ([1, 2, 4], 0.0, "-"),  # only rises
        ([4, 8, 4], 0.0, "-"),
        ([4, 4, 4], 0.0, "-"),
        ([4, 2, 8], 0.5, "-"),  # exactly the limit
        ([8, 2, 4], 0.5, "-"),
        ([4, 1.875, 4], 0.5, "+"),
        ([4, 1.875, 3.5], 0.5, "-"),
        ([4, 3, 4], 0.0, "+"),
        ([4, 1, NAN], 0.5, "+"),
        ([4, 1, INF], 0.5, "+"),
        ([NAN, 1, 4], 0.5, "+"),
        ([INF, 1, 4], 0.5, "+"),
        ([NAN, 1, NAN], 0.5, "+"),
        ([4, NAN, NAN], 0.0, "-"),
        ([NAN, INF, 4], 0.0, "-"),
        ([4, 0, 4], 0.99, "+"),
        ([0, 0, 4], 0.0, "-"),
        ([NAN, NAN, NAN], 0.0, "="),
        ([INF, NAN, INF], 0.0, "="),
        ([INF, INF, INF], 0.0, "="),
    ],
)
def test_turns(curve: list[float], by: float, expected: str) -> None:
    relation = has_interior_minimum("a", "loss", start=1, stop=len(curve), by=by)
    assert said(relation.judge({"a": curves(curve)})) == expected


@pytest.mark.parametrize(
    ("curve", "start", "stop", "expected"),
    [
        ([4, 1, 2, 3, 4], 3, 5, "-"),  # has turned before
        ([4, 3, 2, 1, 4], 1, 4, "-"),  # turns after
        ([9, 4, 1, 4, 0], 2, 4, "+"),
        ([4, 3, 2, 1], 1, 100, "-"),  # ends at its lowest
        ([4, 1, 2], 1, 100, "+"),
        ([4, 1, 2], 4, 100, "-"),
    ],
)
def test_a_curve_turns_between_start_and_stop(curve: list[float], start: int, stop: int, expected: str) -> None:
    assert (
        said(has_interior_minimum("a", "loss", start=start, stop=stop, by=0.1).judge({"a": curves(curve, epochs=100)}))
        == expected
    )


@pytest.mark.parametrize(
    ("curve", "expected"),
    [([4, 1, 4], "+"), ([4, 1, 1.01], "-"), ([4, 1, 4, 1], "-"), ([4, 1], "-"), ([4, 1, NAN], "+")],
)
def test_without_a_stop_a_curve_turns_before_its_end(curve: list[float], expected: str) -> None:
    assert said(has_interior_minimum("a", "loss", start=1, by=0.1).judge({"a": curves(curve, epochs=100)})) == expected


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([8, 9, 4], "+"),
        ([8, 7, 8], "-"),
        ([8, 7, 9], "-"),
        ([8, 7, 4, 5, 3], "+"),
        ([8, 7, 4, 3, 4], "-"),
        ([8, 7], "-"),
        ([8, 7, NAN], "-"),
        ([8, 7, 4, NAN], "-"),
    ],
)
def test_a_curve_falls_throughout(curve: list[float], expected: str) -> None:
    assert said(decreases_throughout("a", "loss", (1, 3)).judge({"a": curves(curve, epochs=9)})) == expected


def test_taking_n_times_as_much_is_so_to_within_a_factor() -> None:
    relation = takes_about_times("a", "b", EPOCHS, 10, within=2)
    outcome = decide(relation, [40, 60, 100, 190, 210, INF, 5, INF, NAN], [10, 10, 10, 10, 10, 10, INF, INF, INF])
    assert said(outcome) == "-+++---=="
    assert outcome.effect.kind == "ratio"
    assert decide(relation, [50, 100, 200], [10, 10, 10]).effect.median == 10
    assert str(relation.terms[0].metric) == str(EPOCHS)


@pytest.mark.parametrize(("times", "within"), [(0, 2), (-1, 2), (10, 1), (10, 0.5), (NAN, 2)])
def test_taking_n_times_as_much_needs_a_number_and_a_factor(times: float, within: float) -> None:
    with pytest.raises(ValueError, match="N times to within a factor above 1"):
        takes_about_times("a", "b", EPOCHS, times, within=within)


def test_a_curve_turns_between_its_records() -> None:
    sparse = Trials({"epochs": np.array([100.0, 10])}, curves([4, 1, 4], [4, NAN]).curves, np.array([5, 10, 100]))
    assert said(has_interior_minimum("a", "loss", start=5, stop=100, by=0.5).judge({"a": sparse})) == "+-"
    with pytest.raises(MetricError, match="loss has no record after 50 epochs"):
        has_interior_minimum("a", "loss", start=5, stop=50, by=0.5).judge({"a": sparse})


def test_what_turns_shows_how_far_it_rises() -> None:
    seeds = curves(*[[4, 1, 8], [4, 1, 2], [4, 1, 4]] * 2)
    effect = has_interior_minimum("a", "loss", start=1, stop=3, by=0.5).judge({"a": seeds}).effect
    assert effect == ("ratio", 0.25, 0.125, 0.5)


@pytest.mark.parametrize(
    ("last", "lowest", "mean", "expected"),
    [
        (0.5, 0.5, 1.0, "-"),
        (0.5, 1.0, 1.0, "+"),
        (0.5, 2.0, 1.0, "+"),
        (NAN, 0.5, 1.0, "+"),
        (INF, 0.5, 1.0, "+"),
        (0.5, NAN, 1.0, "+"),
        (0.5, INF, 1.0, "+"),
        (5.0, 0.5, 1.0, "-"),
    ],
)
def test_diverges(last: float, lowest: float, mean: float, expected: str) -> None:
    names = ("final_loss", "val_mse", "mean_val_mse")
    numbers = dict(zip(names, map(np.atleast_1d, (last, lowest, mean)), strict=True))
    relation = diverges("a", *(Metric(name, higher_is_better=False) for name in names))
    assert said(relation.judge({"a": Trials({"epochs": np.ones(1), **numbers}, {})})) == expected


@pytest.mark.parametrize(
    ("metric", "a", "b", "c", "d", "expected"),
    [
        (ERROR, 1, 4, 10, 30, "+"),  # a quarter against a third
        (EPOCHS, 1, 4, 10, 30, "-"),  # 3 against 20
        (ERROR, 1, 2, 2, 4, "="),
        (EPOCHS, 1, 2, 2, 4, "-"),
        (EPOCHS, 1, 3, 2, 4, "="),
        (SCORE, 4, 1, 2, 1, "+"),
        (SCORE, 4, 1, 9, 2, "-"),
        (ERROR, 3, 2, 4, 1, "+"),  # less far behind
        (ERROR, 1, NAN, 1, 9, "+"),
        (ERROR, NAN, 1, 1, 9, "-"),
        (ERROR, 1, 9, NAN, 1, "+"),
        (ERROR, 1, 9, 1, NAN, "-"),
        (ERROR, 1, NAN, 1, INF, "="),
        (ERROR, NAN, 1, INF, 1, "="),
        (ERROR, NAN, INF, 1, 9, "="),
        (ERROR, 1, 9, NAN, NAN, "="),
    ],
)
def test_gains_more(metric: Metric, a: float, b: float, c: float, d: float, expected: str) -> None:
    assert said(decide(improves_more(("a", "b"), ("c", "d"), metric), [a], [b], [c], [d])) == expected


# Laws.


@pytest.mark.parametrize("form", FORMS)
@given(metric=st.sampled_from(METRICS), rows=SEEDS, data=st.data())
def test_the_order_of_seeds_is_irrelevant(form: str, metric: Metric, rows: list[tuple], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    relation = FORMS[form](metric)
    straight = decide(relation, *zip(*rows, strict=True))
    permuted = decide(relation, *zip(*(rows[i] for i in order), strict=True))
    assert_array_equal(permuted.holds, straight.holds[order])
    assert_array_equal(permuted.ties, straight.ties[order])
    assert permuted.effect.kind == straight.effect.kind
    assert_array_equal(permuted.effect[1:], straight.effect[1:])


@pytest.mark.parametrize("form", FORMS)
@given(metric=st.sampled_from(METRICS), rows=SEEDS)
def test_no_seed_both_holds_and_ties(form: str, metric: Metric, rows: list[tuple]) -> None:
    assert "!" not in said(decide(FORMS[form](metric), *zip(*rows, strict=True)))


@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@given(rows=SEEDS, by=st.sampled_from([0.0, 0.25, 0.5]))
def test_either_arm_beats_the_other_or_both_tie(metric: Metric, rows: list[tuple], by: float) -> None:
    a, b, *_ = zip(*rows, strict=True)
    one, other = decide(beats("a", "b", metric, by=by), a, b), decide(beats("a", "b", metric, by=by), b, a)
    assert not (one.holds & other.holds).any()
    assert_array_equal(one.ties, other.ties)
    if not by:
        assert (one.holds | other.holds | one.ties).all()


@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@given(rows=SEEDS)
def test_to_beat_is_to_be_no_worse_and_to_be_equivalent_too(metric: Metric, rows: list[tuple]) -> None:
    a, b, *_ = zip(*rows, strict=True)
    assert (decide(FORMS["no_worse"](metric), a, b).holds >= decide(FORMS["beats"](metric), a, b).holds).all()
    either_way = [decide(FORMS["no_worse by"](metric), *pair).holds for pair in ((a, b), (b, a))]
    assert_array_equal(decide(FORMS["equivalent"](metric), a, b).holds, either_way[0] & either_way[1])


@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@given(rows=SEEDS)
def test_more_is_harder_to_beat_by_and_easier_to_be_within(metric: Metric, rows: list[tuple]) -> None:
    a, b, *_ = zip(*rows, strict=True)
    amounts = (0.0, 0.1, 0.25, 0.5, 0.75)
    ahead = [decide(beats("a", "b", metric, by=amount), a, b).holds for amount in amounts]
    within = [decide(no_worse("a", "b", metric, margin=amount), a, b).holds for amount in amounts]
    assert (np.diff(np.array(ahead, int), axis=0) <= 0).all()
    assert (np.diff(np.array(within, int), axis=0) >= 0).all()


@pytest.mark.parametrize("form", ["beats", "beats by", "no_worse"])
@given(rows=SEEDS, power=st.integers(-8, 8))
def test_errors_may_be_measured_in_any_unit(form: str, rows: list[tuple], power: int) -> None:
    columns = np.array(rows).T
    relation = FORMS[form](ERROR)
    plain, scaled = decide(relation, *columns), decide(relation, *columns * 2.0**power)
    assert said(scaled) == said(plain)
    assert_array_equal(scaled.effect[1:], plain.effect[1:])


@given(rows=SEEDS, power=st.integers(-8, 8))
def test_a_curve_turns_in_any_unit_and_the_less_the_more_it_has_to(rows: list[tuple], power: int) -> None:
    amounts = (0.0, 0.3, 0.55, 0.85)  # no ratio of two values is exactly one of these
    relations = [has_interior_minimum("a", "loss", start=1, stop=4, by=amount) for amount in amounts]
    turned = [relation.judge({"a": curves(*rows)}).holds for relation in relations]
    scaled = curves(*(np.array(rows) * 2.0**power).tolist())
    assert (np.diff(np.array(turned, int), axis=0) <= 0).all()
    assert_array_equal([relation.judge({"a": scaled}).holds for relation in relations], turned)


# Effects.


@pytest.mark.parametrize("n", [6, 7, 8, 9, 10, 16, 20, 41, 60, 61, 100, 200])
def test_the_interval_is_the_shortest_symmetric_one_that_covers_the_median_in_95_of_100(n: int) -> None:
    values = np.random.default_rng(n).permutation(n)
    kind, median, low, high = decide(reaches("a", 0.0, EPOCHS), values).effect
    below, above = int(low), n - 1 - int(high)
    assert (kind, median, below) == ("value", (n - 1) / 2, above)

    def coverage(outside: int) -> float:
        """The median lies between order statistics where neither tail of n fair coins is that short."""
        return float(1 - 2 * binom.cdf(outside, n, 0.5))

    assert coverage(below) >= 0.95 > coverage(below + 1)


@pytest.mark.parametrize("n", range(1, 6))
def test_few_seeds_have_no_interval(n: int) -> None:
    assert 1 - 2 * binom.cdf(0, n, 0.5) < 0.95  # of all of them
    assert_array_equal(decide(reaches("a", 0.0, EPOCHS), range(n)).effect[1:], [(n - 1) / 2, NAN, NAN])
    assert_array_equal(decide(beats("a", "b", ERROR), range(n), [1] * n).effect[1:], [(n - 1) / 2, NAN, NAN])


def test_errors_have_a_ratio_of_pairs_and_not_of_medians() -> None:
    assert decide(beats("a", "b", ERROR), [1, 2, 8] * 2, [4, 8, 2] * 2).effect == ("ratio", 0.25, 0.25, 4)


def test_other_metrics_have_a_difference() -> None:
    assert decide(beats("a", "b", SCORE), [1, 2, 8] * 2, [4, 8, 2] * 2).effect == ("difference", -3, -6, 6)
    assert decide(equivalent("a", "b", EPOCHS, margin=1), [1, 2, 8] * 2, [4, 8, 2] * 2).effect == (
        "difference",
        -3,
        -6,
        6,
    )


def test_a_single_term_has_a_value() -> None:
    assert decide(stays_worse_than("a", 1.0, ERROR), [3, 1, 2] * 2).effect == ("value", 2, 1, 3)


def test_gains_show_the_first_pair() -> None:
    outcome = decide(
        improves_more(("a", "b"), ("c", "d"), ERROR), [1, 1, 1] * 2, [2, 4, 8] * 2, [9, 9, 9] * 2, [7, 7, 7] * 2
    )
    assert outcome.effect == ("ratio", 0.25, 0.125, 0.5)


def test_a_lost_seed_is_the_far_end_of_an_effect() -> None:
    assert decide(beats("a", "b", ERROR), [1, 1, NAN] * 2, [2, 4, 8] * 2).effect == ("ratio", 0.5, 0.25, INF)
    assert decide(beats("a", "b", ERROR), [1, 1, 1] * 2, [2, 4, NAN] * 2).effect == ("ratio", 0.25, 0, 0.5)
    assert decide(beats("a", "b", SCORE), [5, 5, NAN] * 2, [2, 4, 8] * 2).effect == ("difference", 1, -INF, 3)
    assert decide(beats("a", "b", SCORE), [5, 5, 5] * 2, [2, 4, NAN] * 2).effect == ("difference", 3, 1, INF)
    assert decide(reaches("a", 1, ERROR), [1, 3, NAN] * 2).effect == ("value", 3, 1, INF)
    assert decide(reaches("a", 1, SCORE), [1, 3, NAN] * 2).effect == ("value", 1, -INF, 3)


def test_a_pair_of_lost_seeds_has_no_part_in_an_effect() -> None:
    assert decide(beats("a", "b", ERROR), [1, NAN, 1] * 3, [2, INF, 4] * 3).effect == ("ratio", 0.375, 0.25, 0.5)
    lost = decide(beats("a", "b", SCORE), [NAN, NAN], [NAN, INF]).effect
    assert lost.kind == "difference"
    assert np.isnan(lost[1:]).all()


# Names, arms and claims.


@pytest.mark.parametrize(
    ("relation", "name", "arms"),
    [
        (beats("a", "b", ERROR), "a beats b on x", ("a", "b")),
        (beats("a", "b", ERROR, by=0.1, label="Table 1"), "Table 1: a beats b (by 0.1) on x", ("a", "b")),
        (beats("a", "b", ERROR, other=Metric("y", higher_is_better=False)), "a beats b on x against y", ("a", "b")),
        (beats("b", "b", ERROR, by=0.1, other=Metric("y", higher_is_better=False)), "b: x beats y (by 0.1)", ("b",)),
        (no_worse("a", "b", ERROR, margin=0.1), "a no worse than b (by 0.1) on x", ("a", "b")),
        (equivalent("a", "b", ERROR, margin=0.1), "a equivalent to b (by 0.1) on x", ("a", "b")),
        (reaches("a", 0.5, ERROR), "a has x ≤ 0.5", ("a",)),
        (reaches("a", 0.5, SCORE), "a has x ≥ 0.5", ("a",)),
        (stays_worse_than("a", 0.5, ERROR, label="text"), "text: a has x > 0.5", ("a",)),
        (stays_worse_than("a", 0.5, SCORE), "a has x < 0.5", ("a",)),
        (settles("a", "loss", start=20, below=0.01, rising=False), "a has swing of loss from epoch 20 ≤ 0.01", ("a",)),
        (
            oscillates("a", "loss", last=20, above=0.01, rising=False),
            "a has swing of loss over the last 20 epochs > 0.01",
            ("a",),
        ),
        (diverges("a", ERROR, ERROR, ERROR), "a diverges", ("a",)),
        (
            has_interior_minimum("a", "loss", start=10, stop=1000, by=0.1, label="text"),
            "text: a: loss falls from 10 epochs on and rises again until 1000 (each by 0.1)",
            ("a",),
        ),
        (
            has_interior_minimum("a", "loss", start=10, by=0.1),
            "a: loss falls from 10 epochs on and rises again until the end (each by 0.1)",
            ("a",),
        ),
        (
            decreases_throughout("a", "loss", (1, 10)),
            "a: loss falls from each of 1, 10 epochs to the next, and to the end",
            ("a",),
        ),
        (
            takes_about_times("a", "b", epochs_to("loss", 2), 10, within=2),
            "a takes about 10 times as much as b on epochs to loss ≤ 2 (to within a factor of 2)",
            ("a", "b"),
        ),
        (improves_more(("d", "b"), ("c", "d"), ERROR), "d over b gains more than c over d on x", ("d", "b", "c")),
    ],
)
def test_a_relation_says_what_it_asserts_and_names_each_arm_once(
    relation: Relation, name: str, arms: tuple[str, ...]
) -> None:
    assert (relation.name, relation.arms) == (name, arms)


@dataclass(frozen=True, kw_only=True)
class Kettle(Lab):
    name: ClassVar[str] = "kettle"

    litres: int = 2
    water: str = "tap"

    def __post_init__(self) -> None:
        self.require_choice("water", ["tap", "spring"])

    @classmethod
    def data(cls) -> Data:
        return Data("water", "0")

    def train(self, seeds: Sequence[int], device: str = "cpu") -> Trials:
        raise NotImplementedError


def claim(*relations: Relation, **arms: Arm) -> Claim:
    return Claim(id="kettle/c", statement="", source="", lab=Kettle, arms=arms, relations=relations)


def test_a_claim_whose_parts_fit_is_valid() -> None:
    relations = beats("a", "b", ERROR), no_worse("b", "a", ERROR), beats("a", "b", SCORE, label="again")
    claim(*relations, a=Arm({"litres": 3}), b=Arm({"water": "spring"})).validate()


@pytest.mark.parametrize(
    ("relations", "arms", "message"),
    [
        ([], {"a": {}}, "kettle/c: a claim needs at least one relation"),
        (
            [beats("a", "d", ERROR)],
            {"a": {}, "b": {}},
            "kettle/c: relation 'a beats d on x' needs arm 'd'; arms are a, b",
        ),
        (
            [improves_more(("a", "b"), ("a", "d"), ERROR)],
            {"a": {}, "b": {}},
            "kettle/c: relation 'a over b gains more than a over d on x' needs arm 'd'; arms are a, b",
        ),
        (
            [beats("a", "b", ERROR), reaches("a", 1, ERROR), beats("a", "b", SCORE)],
            {"a": {}, "b": {}},
            "kettle/c: two relations are called 'a beats b on x'",
        ),
        (
            [reaches("a", 1, ERROR)],
            {"a": {}, "b": {"volts": 1}},
            "kettle/c: arm 'b': kettle has no setting 'volts'; it has litres, water",
        ),
        (
            [reaches("a", 1, ERROR)],
            {"a": {"water": "sea"}},
            "kettle/c: arm 'a': kettle.water is one of tap, spring, not 'sea'",
        ),
    ],
    ids=["no relation", "unknown arm", "unknown fourth arm", "one name twice", "unknown setting", "unknown word"],
)
def test_a_claim_whose_parts_do_not_fit_is_refused(
    relations: list[Relation], arms: dict[str, dict[str, Any]], message: str
) -> None:
    wrong = claim(*relations, **{name: Arm(settings) for name, settings in arms.items()})
    with pytest.raises(ClaimError) as error:
        wrong.validate()
    assert str(error.value) == message


@pytest.mark.parametrize(
    "seeds", [{}, {"quick": 0}, {"quick": 5, "fast": 5}, {"quick": "20"}, {"quick": True}, 20, None]
)
def test_seeds_are_a_number_for_each_scale(seeds: Any) -> None:
    told = "kettle/c: seeds are a number for each scale, quick or full, such as {'quick': 20}, not "
    with pytest.raises(ClaimError) as error:
        replace(claim(reaches("a", 1, ERROR), a=Arm()), seeds=seeds).validate()
    assert str(error.value) == f"{told}{seeds!r}"


@pytest.mark.parametrize("quoted", [{"Table 1": {"x": 1.5}}, {"Table 1": 1.5}, {ERROR: 1.5}])
def test_quoted_numbers_are_of_metrics(quoted: Any) -> None:
    with pytest.raises(ClaimError, match=r"kettle/c: arm 'a': what '.*' prints is a number for each Metric, not "):
        claim(reaches("a", 1, ERROR), a=Arm(quoted=quoted)).validate()


@pytest.mark.parametrize(
    "relate",
    [
        partial(beats, "a", "b"),
        partial(no_worse, "a", "b"),
        partial(equivalent, "a", "b", margin=0.1),
        partial(differs, "a", "b", margin=0.1),
        partial(reaches, "a", 1),
        partial(stays_worse_than, "a", 1),
        partial(improves_more, ("a", "b"), ("c", "d")),
        partial(diverges, "a", validation=ERROR, mean=ERROR),
    ],
    ids=lambda relate: relate.func.__name__,
)
def test_arms_are_compared_on_metrics_alone(relate: Any) -> None:
    told = "arms are compared on a Metric, such as Metric('test_mse', higher_is_better=False), not on 'x'"
    with pytest.raises(TypeError, match=re.escape(told)):
        relate(**{"loss" if relate.func is diverges else "metric": "x"})


def test_an_arm_is_measured_by_all_that_its_relations_and_quotes_need_each_once() -> None:
    relations = (
        beats("a", "b", ERROR, other=SCORE),
        reaches("a", 1, geometric_mean("loss", rising=False)),
        reaches("a", 2, ERROR),
    )
    told = claim(
        *relations,
        a=Arm(quoted={"Table 1": {Metric("y", higher_is_better=False): 1.5, ERROR: 2.5}, "text": {ERROR: 3}}),
        b=Arm(),
    )
    assert [str(metric) for metric in told.metrics("a")] == ["y", "x", "mean loss"]
    assert told.metrics("b") == [SCORE]
    assert told.arms["a"].quotes == [
        ("Table 1", Metric("y", higher_is_better=False), 1.5),
        ("Table 1", ERROR, 2.5),
        ("text", ERROR, 3),
    ]
