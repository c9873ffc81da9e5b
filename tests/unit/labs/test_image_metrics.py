"""What claims about images added to metrics, relations and optimizers."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labcheck.core.comparisons import beats, differs, equivalent, never_decreases, some_stay_worse_than
from labcheck.core.curve_metrics import geometric_mean, increase, largest_decrease, mean_rebound, value_at
from labcheck.core.metrics import Metric
from labcheck.nn.scratch.optimizers import SGD

from .test_metrics import E, of
from .test_relations import ACCURACY, EPOCHS, ERROR, INF, METRIC_IDS, METRICS, NAN, SCORE, SEEDS, decide, said

# curves that should rise


@pytest.mark.parametrize(
    ("first", "last", "curve", "expected"),
    [
        (1, 2, [0.25, 0.75, 0.5], 0.5),
        (1, 3, [0.25, 0.75, 0.5], 0.25),
        (2, 3, [0.25, 0.75, 0.5], -0.25),
        (2, 2, [0.25, 0.75, 0.5], 0),
        (2, 4, [0.25, 0.75, 0.5], NAN),
        (2, 3, [0.25, 0.75], NAN),
        (1, 2, [0.25, NAN], NAN),
        (1, 3, [0.25, NAN, 0.5], 0.25),
    ],
)
def test_a_rise_is_between_two_epochs(first: int, last: int, curve: list[float], expected: float) -> None:
    assert of(increase("loss", first, last), curve) == pytest.approx([expected], nan_ok=True)


def test_a_rise_is_between_the_records_of_its_epochs() -> None:
    metric = increase("loss", 5, 20)
    assert of(metric, [1, 2, 4], recorded=[1, 5, 20]) == [2]
    assert np.isnan(of(metric, [1, 2], recorded=[1, 5, 20])).all()


def test_a_seed_without_a_rise_is_worse_than_any() -> None:
    metric = increase("loss", 1, 2)
    assert metric.fill(np.array([-3.0, NAN])).tolist() == [-3.0, -INF]


@pytest.mark.parametrize(
    ("curve", "up", "down"),
    [
        ([1, E, 1, E], 2 / 3, 1 / 3),
        ([1, 2, 4, 8], np.log(2), 0),
        ([8, 4, 2, 1], 0, np.log(2)),
        ([4, 4, 4], 0, 0),
        ([3], NAN, NAN),
        ([NAN], INF, INF),
    ],
)
def test_a_curve_that_should_rise_swings_where_it_falls_back(curve: list[float], up: float, down: float) -> None:
    for rising, expected in ((False, up), (True, down)):
        assert of(mean_rebound("loss", rising=rising), curve) == pytest.approx([expected], nan_ok=True, abs=1e-7)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=6))
def test_what_a_curve_climbs_less_what_it_falls_back_is_how_far_it_comes(curve: list[float]) -> None:
    up, down = (of(mean_rebound("loss", rising=rising), curve)[0] for rising in (False, True))
    assert up - down == pytest.approx((np.log(curve[-1]) - np.log(curve[0])) / (len(curve) - 1), abs=1e-5)
    assert of(mean_rebound("loss", rising=True), [1 / value for value in curve])[0] == pytest.approx(up, abs=1e-5)


def test_a_swing_is_bad_whichever_way_its_curve_should_go() -> None:
    assert not mean_rebound("loss", rising=True).higher_is_better
    assert mean_rebound("loss", -3, rising=True).label == "swing of loss over the last 3 epochs"


@pytest.mark.parametrize(
    "make", [lambda rising: value_at("loss", 2, rising=rising), lambda rising: geometric_mean("loss", rising=rising)]
)
def test_of_a_curve_that_should_rise_more_is_better_by_difference(make: Callable[[bool], Metric]) -> None:
    falling, rising = make(False), make(True)
    assert (falling.higher_is_better, falling.ratio) == (False, True)
    assert (rising.higher_is_better, rising.ratio) == (True, False)
    assert of(rising, [2, 8], [3, 3, 3]) == of(falling, [2, 8], [3, 3, 3])
    assert str(rising) == str(falling)
    assert (increase("loss", 1, 2).higher_is_better, increase("loss", 1, 2).ratio) == (True, False)


# relations


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
def test_differs(metric: Metric, margin: float, expected: str) -> None:
    relation = differs("a", "b", metric, margin=margin)
    assert said(decide(relation, [1, 5, 1, 4, 8], [2, 4, 1, 5, 9])) == expected


@pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)
@given(rows=SEEDS, margin=st.sampled_from([0.0, 0.25, 0.5]))
def test_two_arms_differ_or_are_equivalent_or_both_are_lost(
    metric: Metric, rows: list[tuple[float, ...]], margin: float
) -> None:
    a, b, *_ = zip(*rows, strict=True)
    one, swapped = (said(decide(differs("a", "b", metric, margin=margin), *pair)) for pair in ((a, b), (b, a)))
    same = said(decide(equivalent("a", "b", metric, margin=margin), a, b))
    assert one == swapped
    assert one == same.translate(str.maketrans("+-", "-+"))
    lost = ["=" if not (np.isfinite(x) or np.isfinite(y)) else "." for x, y in zip(a, b, strict=True)]
    assert [sign == "=" for sign in one] == [sign == "=" for sign in lost]


def test_a_difference_says_what_it_asserts() -> None:
    relation = differs("a", "b", ERROR, margin=0.1, label="page 3")
    assert relation.name == "page 3: a differs from b (by 0.1) on x"
    assert relation.arms == ("a", "b")


def test_an_arm_may_be_equivalent_to_itself_on_another_metric() -> None:
    relation = equivalent(
        "a", "a", value_at("loss", 1, rising=False), margin=0.2, other=value_at("loss", 2, rising=False)
    )
    assert relation.name == "a: loss after 1 epochs equivalent to loss after 2 epochs (by 0.2)"
    assert relation.arms == ("a",)
    first, second = (term.metric for term in relation.terms)
    assert of(first, [4, 5]) == [4]
    assert of(second, [4, 5]) == [5]


@pytest.mark.parametrize(("values", "expected"), [([4, 5], "+"), ([5, 4], "-"), ([4, 4], "+"), ([NAN, NAN], "=")])
def test_equivalence_to_another_metric_is_within_the_margin(values: Sequence[float], expected: str) -> None:
    x, y = Metric("x", higher_is_better=False, ratio=False), Metric("y", higher_is_better=False, ratio=False)
    relation = equivalent("a", "b", x, margin=1.0 if values[0] < values[1] else 0.5, other=y)
    assert [term.metric for term in relation.terms] == [x, y]
    holds, ties = relation.rule(*(np.array([value], float) for value in values))
    assert "-+="[holds[0] + 2 * ties[0]] == expected
    assert beats("a", "b", x, other=y).name == "a beats b on x against y"
    assert relation.name.endswith(" on x against y")


# several arms, and curves that never fall


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
def test_some_miss_where_one_arm_is_worse_than_one_limit(arms: str, limits: dict[Metric, float], expected: str) -> None:
    values = {ACCURACY: {"a": [0.1, 0.9, 0.9], "b": [0.3, 0.3, NAN]}, ERROR: {"a": [2, 2, 2], "b": [1, 3, 1]}}
    relation = some_stay_worse_than(list(arms), limits)
    found = [np.array(values[term.metric][term.arm], dtype=np.float32) for term in relation.terms]
    holds, ties = relation.rule(*found)
    assert "".join("-+"[hold] for hold in holds.tolist()) == expected
    assert not ties.any()
    assert set(relation.arms) == set(arms)


def test_some_miss_is_named_by_its_arms_and_limits() -> None:
    relation = some_stay_worse_than(["a", "b"], {ERROR: 0.5, ACCURACY: 0.7}, label="text")
    assert relation.name == f"text: one of a, b has {ERROR} > 0.5 or {ACCURACY} < 0.7"


@pytest.mark.parametrize(("arms", "limits"), [([], {ERROR: 1.0}), (["a"], {})])
def test_some_miss_needs_an_arm_and_a_metric(arms: list[str], limits: dict[Metric, float]) -> None:
    with pytest.raises(ValueError, match=r"^some_miss must name at least one arm and one metric, got "):
        some_stay_worse_than(arms, limits)


@pytest.mark.parametrize(
    ("curve", "expected", "sign"),
    [
        ([1, 2, 4], -1, "+"),
        ([1, 1, 2], 0, "+"),
        ([1, 4, 3.5, 5], 0.5, "-"),
        ([4, 3, 1], 2, "-"),
        ([1], NAN, "="),
        ([1, NAN, 2], INF, "-"),
    ],
)
def test_a_curve_never_falls_where_its_largest_fall_is_none(curve: list[float], expected: float, sign: str) -> None:
    relation = never_decreases("a", "loss")
    [term] = relation.terms
    value = of(largest_decrease("loss"), curve)
    assert value == pytest.approx([expected], nan_ok=True)
    assert np.array_equal(of(term.metric, curve), value, equal_nan=True)
    holds, ties = relation.rule(np.array(value))
    assert ("=" if ties[0] else "-+"[int(holds[0])]) == sign
    assert relation.name == "a: loss never falls from one epoch to the next"


# optimizers

DECAYS: list[tuple[float, float]] = [(0.0, 0.1), (0.0, 5e-4), (0.9, 0.1), (0.9, 5e-4), (0.5, 0.0)]


@pytest.mark.parametrize(("momentum", "weight_decay"), DECAYS)
def test_weight_decay_is_torchs(momentum: float, weight_decay: float) -> None:
    """Fifty steps, each row at its rate."""
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(3, 7, dtype=torch.float64, generator=rng)
    rates = torch.tensor([0.1, 0.01, 0.5], dtype=torch.float64)
    ours = SGD(momentum, weight_decay)
    references = [row.clone().requires_grad_() for row in values]
    theirs = [
        torch.optim.SGD([row], float(lr), momentum=momentum, weight_decay=weight_decay)
        for row, lr in zip(references, rates, strict=True)
    ]
    for _ in range(50):
        gradients = torch.randn(values.shape, dtype=torch.float64, generator=rng)
        for row, gradient, optimizer in zip(references, gradients, theirs, strict=True):
            row.grad = gradient.clone()
            optimizer.step()
        ours.step(values, gradients, rates)
        torch.testing.assert_close(values, torch.stack(references).detach(), rtol=1e-12, atol=1e-12)
