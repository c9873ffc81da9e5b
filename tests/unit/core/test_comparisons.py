"""Comparisons of arms, on trials of a few seeds with the expected sign of each."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from labcheck import (
    Metric,
    MetricError,
    Relation,
    Trials,
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
    some_stay_worse_than,
    stays_worse_than,
    takes_about_times,
)
from tests.helpers.claims import (
    ACCURACY,
    EPOCHS,
    ERROR,
    INF,
    METRIC_IDS,
    METRICS,
    NAN,
    SCORE,
    SEEDS,
    E,
    curve_trials,
    decide,
    signs,
)

Form = Callable[[Metric], Relation]
FORMS: dict[str, Form] = {
    "beats": lambda metric: beats("a", "b", metric),
    "beats by": lambda metric: beats("a", "b", metric, by=0.25),
    "no_worse": lambda metric: no_worse("a", "b", metric),
    "no_worse by": lambda metric: no_worse("a", "b", metric, margin=0.25),
    "equivalent": lambda metric: equivalent("a", "b", metric, margin=0.25),
    "reaches": lambda metric: reaches("a", 1.0, metric),
    "stays_worse_than": lambda metric: stays_worse_than("a", 1.0, metric),
    "improves_more": lambda metric: improves_more(("a", "b"), ("c", "d"), metric),
}


# two arms


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
def test_beats_requires_advantage_above_share(metric: Metric, by: float, expected: str):
    assert signs(decide(beats("a", "b", metric, by=by), [1, 2, 1, 4, 3], [2, 1, 1, 8, 8])) == expected


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
def test_no_worse_allows_margin(metric: Metric, margin: float, expected: str):
    assert signs(decide(no_worse("a", "b", metric, margin=margin), [1, 5, 1, 9], [2, 4, 1, 8])) == expected


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
def test_equivalent_allows_margin_in_both_directions(metric: Metric, margin: float, expected: str):
    assert signs(decide(equivalent("a", "b", metric, margin=margin), [1, 5, 1, 4, 8], [2, 4, 1, 5, 9])) == expected


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
def test_comparison_counts_non_finite_value_as_worst(form: str, expected: str, metric: Metric):
    outcome = decide(FORMS[form](metric), [1, NAN, INF, NAN, INF, NAN], [NAN, 1, 1, NAN, INF, INF])
    assert signs(outcome) == expected


@pytest.mark.parametrize("options", [{}, {"other": ERROR}])
def test_beats_refuses_comparison_with_itself(options: dict[str, Any]):
    with pytest.raises(ValueError, match="x of 'a' is compared with itself: name two arms, or two metrics"):
        beats("a", "a", ERROR, **options)


def test_beats_counts_negative_infinity_as_worst():
    assert signs(decide(beats("a", "b", EPOCHS), [-INF, 1, -INF], [1, -INF, INF])) == "-+="


def test_comparison_by_ratio_accepts_zero():
    assert signs(decide(beats("a", "b", ERROR, by=0.99), [0, 1, 0, 0], [1, 0, 0, NAN])) == "+-=+"
    assert signs(decide(no_worse("a", "b", ERROR), [0, 1, 0, 0], [1, 0, 0, NAN])) == "+-++"


def test_comparison_accepts_another_metric_of_second_arm():
    both = {
        arm: Trials({"epochs": np.ones(3), "train": np.array(train), "test": np.array(test)}, {})
        for arm, train, test in (("a", [1.0, 2, 3], [9.0, 9, 9]), ("b", [9.0, 9, 9], [2.0, 2, 2]))
    }
    train, test = Metric("train", higher_is_better=False), Metric("test", higher_is_better=False)
    assert signs(beats("a", "b", train, other=test).decide(both)) == "+=-"
    assert signs(no_worse("a", "b", train, other=test).decide(both)) == "++-"
    assert signs(beats("a", "a", train, other=test).decide(both)) == "+++"


@pytest.mark.parametrize("form", [beats, no_worse, equivalent, differs])
@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@pytest.mark.parametrize("amount", [-0.1, -2, NAN])
def test_comparison_refuses_negative_margin(form: Any, metric: Metric, amount: float):
    with pytest.raises(ValueError, match=rf"^x: a margin must be at least 0, got {amount}$"):
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
def test_comparison_refuses_share_that_leaves_nothing(relate: Any, amount: float):
    with pytest.raises(
        ValueError, match=rf"^x: the share by which it is (better|worse) must be below 1, got {amount:g}$"
    ):
        relate(**{"by" if relate.func is beats else "margin": amount})
    with pytest.raises(ValueError, match=r"^minimum of loss .* the share by which it is better must be below 1, got "):
        has_interior_minimum("a", "loss", start=1, stop=4, by=amount)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("metric", [ERROR, ACCURACY], ids=["error", "accuracy"])
def test_comparison_by_ratio_refuses_negative_values(form: str, metric: Metric):
    for first, second in ([-1.0, 2.0], [3.0, 1.0]), ([-1.0, -2.0], [-1.0, NAN]):
        with pytest.raises(MetricError, match=r"^x has negative values: compare it with ratio=False$"):
            decide(FORMS[form](metric), first, second, first, second)


def test_comparison_by_difference_accepts_negative_values():
    assert signs(decide(beats("a", "b", SCORE), [-1, -2], [-2, -1])) == "+-"
    assert signs(decide(equivalent("a", "b", SCORE, margin=1), [-1, -2], [-2, 1])) == "+-"


# one arm and a value


@pytest.mark.parametrize(
    ("metric", "expected"), [(ERROR, "++---"), (EPOCHS, "++---"), (SCORE, "-++--"), (ACCURACY, "-++--")]
)
def test_reaches_is_opposite_of_stays_worse_than(metric: Metric, expected: str):
    values = [0.25, 0.5, 0.75, NAN, INF]
    assert signs(decide(reaches("a", 0.5, metric), values)) == expected
    assert signs(decide(stays_worse_than("a", 0.5, metric), values)) == expected.translate(str.maketrans("+-", "-+"))


def test_settles_and_oscillates_use_end_of_curve():
    seeds = curve_trials(
        [1, E, 1, 0.9, 0.8, 0.7],  # settled at the end
        [1, 1, 1, 1, E**0.25, E],  # the logarithm increases by 1/4 and 3/4
        [1, 1, 1, 1, 1, NAN],
        [1, E, 1],  # stopped
        [1, E, NAN],  # stopped and not finite
    )
    assert signs(settles("a", "loss", start=3, below=0.1, rising=False).decide({"a": seeds})) == "+--=-"
    assert signs(settles("a", "loss", start=3, below=0.5, rising=False).decide({"a": seeds})) == "++-=-"
    assert signs(settles("a", "loss", start=0, below=0.1, rising=False).decide({"a": seeds})) == "-----"
    assert signs(oscillates("a", "loss", last=3, above=0.4, rising=False).decide({"a": seeds})) == "-++++"
    assert signs(oscillates("a", "loss", last=3, above=0.5, rising=False).decide({"a": seeds})) == "--+-+"
    assert signs(oscillates("a", "loss", last=2, above=0.5, rising=False).decide({"a": seeds})) == "-++-+"


@pytest.mark.parametrize(
    ("curve", "by", "expected"),
    [
        ([4, 1, 4], 0.5, "+"),
        ([4, 8, 1, 8, 4], 0.5, "+"),
        ([4, 2, 1], 0.0, "-"),  # only decreases
        ([4, 4, 1, 1, 1], 0.0, "-"),
        ([1, 2, 4], 0.0, "-"),  # only increases
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
def test_interior_minimum_is_below_both_ends(curve: list[float], by: float, expected: str):
    relation = has_interior_minimum("a", "loss", start=1, stop=len(curve), by=by)
    assert signs(relation.decide({"a": curve_trials(curve)})) == expected


@pytest.mark.parametrize(
    ("curve", "start", "stop", "expected"),
    [
        ([4, 1, 2, 3, 4], 3, 5, "-"),  # the minimum is before the start
        ([4, 3, 2, 1, 4], 1, 4, "-"),  # the minimum is after the stop
        ([9, 4, 1, 4, 0], 2, 4, "+"),
        ([4, 3, 2, 1], 1, 100, "-"),  # ends at its minimum
        ([4, 1, 2], 1, 100, "+"),
        ([4, 1, 2], 4, 100, "-"),
    ],
)
def test_interior_minimum_is_between_start_and_stop(curve: list[float], start: int, stop: int, expected: str):
    assert (
        signs(
            has_interior_minimum("a", "loss", start=start, stop=stop, by=0.1).decide(
                {"a": curve_trials(curve, epochs=100)}
            )
        )
        == expected
    )


@pytest.mark.parametrize(
    ("curve", "expected"),
    [([4, 1, 4], "+"), ([4, 1, 1.01], "-"), ([4, 1, 4, 1], "-"), ([4, 1], "-"), ([4, 1, NAN], "+")],
)
def test_interior_minimum_without_stop_is_before_end(curve: list[float], expected: str):
    assert (
        signs(has_interior_minimum("a", "loss", start=1, by=0.1).decide({"a": curve_trials(curve, epochs=100)}))
        == expected
    )


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
def test_decreases_throughout_compares_named_epochs_and_end(curve: list[float], expected: str):
    assert signs(decreases_throughout("a", "loss", (1, 3)).decide({"a": curve_trials(curve, epochs=9)})) == expected


def test_takes_about_times_allows_factor():
    relation = takes_about_times("a", "b", EPOCHS, 10, within=2)
    outcome = decide(relation, [40, 60, 100, 190, 210, INF, 5, INF, NAN], [10, 10, 10, 10, 10, 10, INF, INF, INF])
    assert signs(outcome) == "-+++---=="
    assert outcome.effect.kind == "ratio"
    assert decide(relation, [50, 100, 200], [10, 10, 10]).effect.median == 10
    assert str(relation.terms[0].metric) == str(EPOCHS)


@pytest.mark.parametrize(("times", "within"), [(0, 2), (-1, 2), (10, 1), (10, 0.5), (NAN, 2)])
def test_takes_about_times_refuses_invalid_factor(times: float, within: float):
    with pytest.raises(ValueError, match=r"^x: times must be positive and within above 1, got "):
        takes_about_times("a", "b", EPOCHS, times, within=within)


def test_interior_minimum_requires_records_at_both_ends():
    sparse = Trials({"epochs": np.array([100.0, 10])}, curve_trials([4, 1, 4], [4, NAN]).curves, np.array([5, 10, 100]))
    assert signs(has_interior_minimum("a", "loss", start=5, stop=100, by=0.5).decide({"a": sparse})) == "+-"
    with pytest.raises(MetricError, match="loss has no record after 50 epochs"):
        has_interior_minimum("a", "loss", start=5, stop=50, by=0.5).decide({"a": sparse})


def test_interior_minimum_has_effect_of_minimum_against_end():
    seeds = curve_trials(*[[4, 1, 8], [4, 1, 2], [4, 1, 4]] * 2)
    effect = has_interior_minimum("a", "loss", start=1, stop=3, by=0.5).decide({"a": seeds}).effect
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
def test_diverges_if_no_better_than_mean_or_not_finite(last: float, lowest: float, mean: float, expected: str):
    names = ("final_loss", "val_mse", "mean_val_mse")
    numbers = dict(zip(names, map(np.atleast_1d, (last, lowest, mean)), strict=True))
    relation = diverges("a", *(Metric(name, higher_is_better=False) for name in names))
    assert signs(relation.decide({"a": Trials({"epochs": np.ones(1), **numbers}, {})})) == expected


@pytest.mark.parametrize(
    ("metric", "a", "b", "c", "d", "expected"),
    [
        (ERROR, 1, 4, 10, 30, "+"),  # 1/4 and 1/3
        (EPOCHS, 1, 4, 10, 30, "-"),  # 3 and 20
        (ERROR, 1, 2, 2, 4, "="),
        (EPOCHS, 1, 2, 2, 4, "-"),
        (EPOCHS, 1, 3, 2, 4, "="),
        (SCORE, 4, 1, 2, 1, "+"),
        (SCORE, 4, 1, 9, 2, "-"),
        (ERROR, 3, 2, 4, 1, "+"),  # both worse, the first pair by less
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
def test_improves_more_compares_advantages_of_pairs(
    metric: Metric, a: float, b: float, c: float, d: float, expected: str
):
    assert signs(decide(improves_more(("a", "b"), ("c", "d"), metric), [a], [b], [c], [d])) == expected


# laws


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@given(metric=st.sampled_from(METRICS), rows=SEEDS, data=st.data())
def test_outcome_does_not_depend_on_order_of_seeds(form: str, metric: Metric, rows: list[tuple], data: st.DataObject):
    order = data.draw(st.permutations(range(len(rows))))
    relation = FORMS[form](metric)
    straight = decide(relation, *zip(*rows, strict=True))
    permuted = decide(relation, *zip(*(rows[i] for i in order), strict=True))
    assert_array_equal(permuted.holds, straight.holds[order])
    assert_array_equal(permuted.ties, straight.ties[order])
    assert permuted.effect.kind == straight.effect.kind
    assert_array_equal(permuted.effect[1:], straight.effect[1:])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@given(metric=st.sampled_from(METRICS), rows=SEEDS)
def test_rule_never_holds_in_tie(form: str, metric: Metric, rows: list[tuple]):
    relation = FORMS[form](metric)
    with np.errstate(all="ignore"):
        holds, ties = relation.rule(*np.array(rows).T[: len(relation.terms)])
    assert not (holds & ties).any()


@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@given(rows=SEEDS, by=st.sampled_from([0.0, 0.25, 0.5]))
def test_beats_is_antisymmetric(metric: Metric, rows: list[tuple], by: float):
    a, b, *_ = zip(*rows, strict=True)
    one, other = decide(beats("a", "b", metric, by=by), a, b), decide(beats("a", "b", metric, by=by), b, a)
    assert not (one.holds & other.holds).any()
    assert_array_equal(one.ties, other.ties)
    if not by:
        assert (one.holds | other.holds | one.ties).all()


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@given(rows=SEEDS)
def test_beats_implies_no_worse_and_both_ways_is_equivalent(metric: Metric, rows: list[tuple]):
    a, b, *_ = zip(*rows, strict=True)
    assert (decide(FORMS["no_worse"](metric), a, b).holds >= decide(FORMS["beats"](metric), a, b).holds).all()
    either_way = [decide(FORMS["no_worse by"](metric), *pair).holds for pair in ((a, b), (b, a))]
    assert_array_equal(decide(FORMS["equivalent"](metric), a, b).holds, either_way[0] & either_way[1])


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@given(rows=SEEDS)
def test_margin_makes_beats_harder_and_no_worse_easier(metric: Metric, rows: list[tuple]):
    a, b, *_ = zip(*rows, strict=True)
    amounts = (0.0, 0.1, 0.25, 0.5, 0.75)
    ahead = [decide(beats("a", "b", metric, by=amount), a, b).holds for amount in amounts]
    within = [decide(no_worse("a", "b", metric, margin=amount), a, b).holds for amount in amounts]
    assert (np.diff(np.array(ahead, int), axis=0) <= 0).all()
    assert (np.diff(np.array(within, int), axis=0) >= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["beats", "beats by", "no_worse"])
@given(rows=SEEDS, power=st.integers(-8, 8))
def test_comparison_by_ratio_does_not_depend_on_unit(form: str, rows: list[tuple], power: int):
    columns = np.array(rows).T
    relation = FORMS[form](ERROR)
    plain, scaled = decide(relation, *columns), decide(relation, *columns * 2.0**power)
    assert signs(scaled) == signs(plain)
    assert_array_equal(scaled.effect[1:], plain.effect[1:])


@pytest.mark.slow
@given(rows=SEEDS, power=st.integers(-8, 8))
def test_interior_minimum_does_not_depend_on_unit(rows: list[tuple], power: int):
    amounts = (0.0, 0.3, 0.55, 0.85)  # no ratio of two values is exactly one of these
    relations = [has_interior_minimum("a", "loss", start=1, stop=4, by=amount) for amount in amounts]
    held = [relation.decide({"a": curve_trials(*rows)}).holds for relation in relations]
    scaled = curve_trials(*(np.array(rows) * 2.0**power).tolist())
    assert (np.diff(np.array(held, int), axis=0) <= 0).all()
    assert_array_equal([relation.decide({"a": scaled}).holds for relation in relations], held)


@pytest.mark.parametrize(
    "make",
    [
        lambda metric: beats("a", "b", metric),
        lambda metric: no_worse("a", "b", metric),
        lambda metric: equivalent("a", "b", metric, margin=0.1),
        lambda metric: differs("a", "b", metric, margin=0.1),
        lambda metric: improves_more(("a", "b"), ("a", "c"), metric),
        lambda metric: takes_about_times("a", "b", metric, 2.0, within=2),
        lambda metric: reaches("a", 1.0, metric),
        lambda metric: stays_worse_than("a", 1.0, metric),
        lambda metric: some_stay_worse_than(["a"], {metric: 1.0}),
        lambda metric: diverges("a", metric, ERROR, ERROR),
        lambda metric: diverges("a", ERROR, metric, ERROR),
    ],
)
def test_comparison_is_refused_without_metric(make: Callable[[Any], Relation]):
    with pytest.raises(TypeError, match=r"^arms must be compared by a Metric, such as .*, got 'error'$"):
        make("error")
