"""Relations: names, outcomes and effects. Comparisons of arms have a test module of their own."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import binom

from labcheck import (
    Metric,
    MetricError,
    Relation,
    Term,
    beats,
    decreases_throughout,
    diverges,
    epochs_to,
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
from tests.helpers.claims import EPOCHS, ERROR, INF, NAN, SCORE, decide, signs

# effects


@pytest.mark.parametrize("n", [6, 7, 8, 9, 10, 16, 20, 41, 60, 61, 100, 200])
def test_effect_interval_is_shortest_that_covers_median(n: int):
    values = np.random.default_rng(n).permutation(n).tolist()
    kind, median, low, high = decide(reaches("a", 0.0, EPOCHS), values).effect
    below, above = int(low), n - 1 - int(high)
    assert (kind, median, below) == ("value", (n - 1) / 2, above)

    def coverage(outside: int) -> float:
        """Return how often the median is between two order statistics: neither tail of n fair coins is that short."""
        return float(1 - 2 * binom.cdf(outside, n, 0.5))

    assert coverage(below) >= 0.95 > coverage(below + 1)


@pytest.mark.parametrize("n", range(1, 6))
def test_effect_has_no_interval_with_fewer_than_six_seeds(n: int):
    assert 1 - 2 * binom.cdf(0, n, 0.5) < 0.95  # even the whole range covers the median too rarely
    assert_array_equal(decide(reaches("a", 0.0, EPOCHS), range(n)).effect[1:], [(n - 1) / 2, NAN, NAN])
    assert_array_equal(decide(beats("a", "b", ERROR), range(n), [1] * n).effect[1:], [(n - 1) / 2, NAN, NAN])


def test_effect_of_errors_is_median_of_ratios():
    assert decide(beats("a", "b", ERROR), [1, 2, 8] * 2, [4, 8, 2] * 2).effect == ("ratio", 0.25, 0.25, 4)


def test_effect_of_other_metrics_is_median_of_differences():
    assert decide(beats("a", "b", SCORE), [1, 2, 8] * 2, [4, 8, 2] * 2).effect == ("difference", -3, -6, 6)
    assert decide(equivalent("a", "b", EPOCHS, margin=1), [1, 2, 8] * 2, [4, 8, 2] * 2).effect == (
        "difference",
        -3,
        -6,
        6,
    )


def test_effect_of_single_term_is_value():
    assert decide(stays_worse_than("a", 1.0, ERROR), [3, 1, 2] * 2).effect == ("value", 2, 1, 3)


def test_effect_of_improves_more_is_that_of_first_pair():
    outcome = decide(
        improves_more(("a", "b"), ("c", "d"), ERROR), [1, 1, 1] * 2, [2, 4, 8] * 2, [9, 9, 9] * 2, [7, 7, 7] * 2
    )
    assert outcome.effect == ("ratio", 0.25, 0.125, 0.5)


def test_effect_counts_non_finite_value_as_worst():
    assert decide(beats("a", "b", ERROR), [1, 1, NAN] * 2, [2, 4, 8] * 2).effect == ("ratio", 0.5, 0.25, INF)
    assert decide(beats("a", "b", ERROR), [1, 1, 1] * 2, [2, 4, NAN] * 2).effect == ("ratio", 0.25, 0, 0.5)
    assert decide(beats("a", "b", SCORE), [5, 5, NAN] * 2, [2, 4, 8] * 2).effect == ("difference", 1, -INF, 3)
    assert decide(beats("a", "b", SCORE), [5, 5, 5] * 2, [2, 4, NAN] * 2).effect == ("difference", 3, 1, INF)
    assert decide(reaches("a", 1, ERROR), [1, 3, NAN] * 2).effect == ("value", 3, 1, INF)
    assert decide(reaches("a", 1, SCORE), [1, 3, NAN] * 2).effect == ("value", 1, -INF, 3)


def test_effect_ignores_pairs_of_non_finite_values():
    assert decide(beats("a", "b", ERROR), [1, NAN, 1] * 3, [2, INF, 4] * 3).effect == ("ratio", 0.375, 0.25, 0.5)
    lost = decide(beats("a", "b", SCORE), [NAN, NAN], [NAN, INF]).effect
    assert lost.kind == "difference"
    assert np.isnan(lost[1:]).all()


# names


@pytest.mark.parametrize(
    ("relation", "name", "arms"),
    [
        (beats("a", "b", ERROR), "a beats b on x", ("a", "b")),
        (beats("a", "b", ERROR, by=0.1, label="Table 1"), "Table 1: a beats b on x by 0.1", ("a", "b")),
        (beats("a", "b", ERROR, other=Metric("y", higher_is_better=False)), "a beats b on x against y", ("a", "b")),
        (beats("b", "b", ERROR, by=0.1, other=Metric("y", higher_is_better=False)), "b: x beats y by 0.1", ("b",)),
        (no_worse("a", "b", ERROR, margin=0.1), "a is no worse than b on x (margin 0.1)", ("a", "b")),
        (equivalent("a", "b", ERROR, margin=0.1), "a is equivalent to b on x (margin 0.1)", ("a", "b")),
        (reaches("a", 0.5, ERROR), "a has x ≤ 0.5", ("a",)),
        (reaches("a", 0.5, SCORE), "a has x ≥ 0.5", ("a",)),
        (stays_worse_than("a", 0.5, ERROR, label="text"), "text: a has x > 0.5", ("a",)),
        (stays_worse_than("a", 0.5, SCORE), "a has x < 0.5", ("a",)),
        (
            settles("a", "loss", start=20, below=0.01, rising=False),
            "a has mean rebound of loss from epoch 20 ≤ 0.01",
            ("a",),
        ),
        (
            oscillates("a", "loss", last=20, above=0.01, rising=False),
            "a has mean rebound of loss over the last 20 epochs > 0.01",
            ("a",),
        ),
        (diverges("a", ERROR, ERROR, ERROR), "a diverges", ("a",)),
        (
            has_interior_minimum("a", "loss", start=10, stop=1000, by=0.1, label="text"),
            "text: a: loss has a minimum between 10 epochs and 1000 epochs, below both by 0.1",
            ("a",),
        ),
        (
            has_interior_minimum("a", "loss", start=10, by=0.1),
            "a: loss has a minimum between 10 epochs and the end, below both by 0.1",
            ("a",),
        ),
        (
            decreases_throughout("a", "loss", (1, 10)),
            "a: loss decreases between 1, 10 epochs and the end",
            ("a",),
        ),
        (
            takes_about_times("a", "b", epochs_to("loss", 2), 10, within=2),
            "a takes about 10 times as much as b on epochs to loss ≤ 2 (within a factor of 2)",
            ("a", "b"),
        ),
        (improves_more(("d", "b"), ("c", "d"), ERROR), "d improves more on b than c on d by x", ("d", "b", "c")),
    ],
)
def test_relation_has_name_and_arms_without_repetition(relation: Relation, name: str, arms: tuple[str, ...]):
    assert (relation.name, relation.arms) == (name, arms)


# rules


def test_relation_counts_seed_that_holds_and_ties_as_tie():
    relation = Relation("all", (Term("a", ERROR),), lambda x: (np.ones(len(x), bool), x == 2))
    assert signs(decide(relation, [1, 2, 3])) == "+=+"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda x: x > 1, "odd: its rule must return (holds, ties), got ndarray"),
        (lambda x: (x > 1,), "odd: its rule must return (holds, ties), got tuple"),
        (lambda x: (True, False), "odd: its rule must decide each of 3 seeds, got ()"),
        (lambda x: (x[:2] > 1, x[:2] > 1), "odd: its rule must decide each of 3 seeds, got (2,)"),
        (lambda x: x.no_such, "odd: its rule raised AttributeError: "),
    ],
)
def test_relation_refuses_rule_without_outcome_of_each_seed(rule: Any, message: str):
    with pytest.raises(MetricError) as caught:
        decide(Relation("odd", (Term("a", ERROR),), rule), [1, 2, 3])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_relation_names_arm_that_lacks_metric():
    with pytest.raises(MetricError, match=r"^arm 'b': no metric 'y'; available: epochs, x$"):
        decide(beats("a", "b", ERROR, other=Metric("y", higher_is_better=False)), [1], [2])


def test_term_is_refused_without_metric():
    message = r"^arms must be compared by a Metric, such as error\('test_mse'\) or score\('test_accuracy'\), got 'x'$"
    with pytest.raises(TypeError, match=message):
        Term("a", "x")  # type: ignore[arg-type]
