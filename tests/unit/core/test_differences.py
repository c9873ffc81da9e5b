"""Relations that compare arms in both directions, metrics with each other, and several arms with limits."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcheck import Metric, beats, differs, equivalent, some_stay_worse_than, value_at
from tests.helpers.claims import ACCURACY, EPOCHS, ERROR, METRIC_IDS, METRICS, NAN, SCORE, SEEDS, decide, of, signs

# differences


@pytest.mark.parametrize(
    ("metric", "margin", "expected"),
    [
        # a:              1, 5, 1, 4, 8
        # b:              2, 4, 1, 5, 9
        (ERROR, 0.25, "+----"),
        (ERROR, 0.2, "++-+-"),
        (ERROR, 0.9, "+----"),
        (ERROR, 1.1, "-----"),
        (EPOCHS, 0.5, "++-++"),
        (EPOCHS, 1.0, "-----"),
        (SCORE, 0.0, "++-++"),
        (ACCURACY, 0.4, "+----"),
        (ACCURACY, 0.5, "-----"),
    ],
)
def test_differs_by_more_than_margin(metric: Metric, margin: float, expected: str):
    relation = differs("a", "b", metric, margin=margin)
    assert signs(decide(relation, [1, 5, 1, 4, 8], [2, 4, 1, 5, 9])) == expected


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@given(rows=SEEDS, margin=st.sampled_from([0.0, 0.25, 0.5]))
def test_arms_differ_or_are_equivalent_or_both_not_finite(metric: Metric, rows: list[tuple[float, ...]], margin: float):
    a, b, *_ = zip(*rows, strict=True)
    one, swapped = (signs(decide(differs("a", "b", metric, margin=margin), *pair)) for pair in ((a, b), (b, a)))
    same = signs(decide(equivalent("a", "b", metric, margin=margin), a, b))
    assert one == swapped
    assert one == same.translate(str.maketrans("+-", "-+"))
    neither = [not (np.isfinite(x) or np.isfinite(y)) for x, y in zip(a, b, strict=True)]
    assert [sign == "=" for sign in one] == neither


def test_difference_is_named_by_arms_margin_and_metric():
    relation = differs("a", "b", ERROR, margin=0.1, label="page 3")
    assert relation.name == "page 3: a differs from b on x (margin 0.1)"
    assert relation.arms == ("a", "b")


# two metrics


def test_arm_can_be_equivalent_to_itself_on_another_metric():
    relation = equivalent(
        "a", "a", value_at("loss", 1, rising=False), margin=0.2, other=value_at("loss", 2, rising=False)
    )
    assert relation.name == "a: loss after 1 epochs is equivalent to loss after 2 epochs (margin 0.2)"
    assert relation.arms == ("a",)
    first, second = (term.metric for term in relation.terms)
    assert of(first, [4, 5]) == [4]
    assert of(second, [4, 5]) == [5]


@pytest.mark.parametrize(("values", "expected"), [([4, 5], "+"), ([5, 4], "-"), ([4, 4], "+"), ([NAN, NAN], "=")])
def test_equivalence_to_another_metric_is_within_margin(values: Sequence[float], expected: str):
    x, y = Metric("x", higher_is_better=False, ratio=False), Metric("y", higher_is_better=False, ratio=False)
    relation = equivalent("a", "b", x, margin=1.0 if values[0] < values[1] else 0.5, other=y)
    assert [term.metric for term in relation.terms] == [x, y]
    holds, ties = relation.rule(*(np.array([value], float) for value in values))
    assert "-+="[holds[0] + 2 * ties[0]] == expected


# several arms


@pytest.mark.parametrize(
    ("arms", "limits", "expected"),
    [
        # accuracies .1, .9, .9 and .3, .3, NaN; losses 2, 2, 2 and 1, 3, 1
        ("a", {ACCURACY: 0.2}, "+--"),
        ("ab", {ACCURACY: 0.2}, "+-+"),
        ("ab", {ACCURACY: 0.3}, "+-+"),
        ("ab", {ACCURACY: 0.31}, "+++"),
        ("ab", {ERROR: 2.0}, "-+-"),
        ("ab", {ERROR: 2.0, ACCURACY: 0.2}, "+++"),
        ("ba", {ACCURACY: 0.2, ERROR: 2.0}, "+++"),
        ("a", {ERROR: 1.0}, "+++"),
    ],
)
def test_some_stay_worse_if_one_arm_misses_one_limit(arms: str, limits: dict[Metric, float], expected: str):
    values: dict[Metric, dict[str, list[float]]] = {
        ACCURACY: {"a": [0.1, 0.9, 0.9], "b": [0.3, 0.3, NAN]},
        ERROR: {"a": [2, 2, 2], "b": [1, 3, 1]},
    }
    relation = some_stay_worse_than(list(arms), limits)
    columns = [np.array(values[term.metric][term.arm], dtype=np.float32) for term in relation.terms]
    holds, ties = relation.rule(*columns)
    assert "".join("-+"[hold] for hold in holds.tolist()) == expected
    assert not ties.any()
    assert set(relation.arms) == set(arms)


def test_some_stay_worse_is_named_by_arms_and_limits():
    relation = some_stay_worse_than(["a", "b"], {ERROR: 0.5, ACCURACY: 0.7}, label="text")
    assert relation.name == f"text: one of a, b has {ERROR} > 0.5 or {ACCURACY} < 0.7"


@pytest.mark.parametrize(("arms", "limits"), [([], {ERROR: 1.0}), (["a"], {})])
def test_some_stay_worse_needs_arm_and_metric(arms: list[str], limits: dict[Metric, float]):
    with pytest.raises(ValueError, match=r"needs at least one arm and one metric, got "):
        some_stay_worse_than(arms, limits)


def test_comparison_name_states_other_metric():
    x, y = Metric("x", higher_is_better=False), Metric("y", higher_is_better=False)
    assert beats("a", "b", x, other=y).name == "a beats b on x against y"
    assert equivalent("a", "b", x, margin=0.5, other=y).name == "a is equivalent to b on x against y (margin 0.5)"
