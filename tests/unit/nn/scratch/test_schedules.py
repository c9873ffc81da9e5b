"""Learning-rate schedules, held against those of torch.optim."""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.optim import lr_scheduler

from labcheck.nn.scratch.schedules import (
    CosineSchedule,
    ExponentialSchedule,
    PlateauSchedule,
    Schedule,
    StepSchedule,
    TimeSchedule,
)

EPOCHS = 60


class Kind(NamedTuple):
    """A schedule, and torch's of an optimizer."""

    ours: Callable[[], Schedule]
    theirs: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


KINDS = {
    "none": Kind(Schedule, lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    "step": Kind(lambda: StepSchedule(10), lambda o: lr_scheduler.StepLR(o, 10)),
    "step 7": Kind(lambda: StepSchedule(7, 0.5), lambda o: lr_scheduler.StepLR(o, 7, 0.5)),
    "step 1": Kind(lambda: StepSchedule(1, 0.9), lambda o: lr_scheduler.StepLR(o, 1, 0.9)),
    "exponential": Kind(lambda: ExponentialSchedule(0.95), lambda o: lr_scheduler.ExponentialLR(o, 0.95)),
    "time": Kind(lambda: TimeSchedule(0.1), lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + 0.1 * t))),
    "cosine": Kind(lambda: CosineSchedule(EPOCHS), lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS)),
    "plateau": Kind(PlateauSchedule, lambda o: lr_scheduler.ReduceLROnPlateau(o)),
    "plateau to 1e-3": Kind(
        lambda: PlateauSchedule(2, least=1e-3), lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=2, min_lr=1e-3)
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def stalls(epoch: int) -> float:
    """Losses that fall for ten epochs, and then no longer."""
    return 1 / (1 + min(epoch, 10))


@every_kind
def test_rates_of_a_stack_are_torchs_of_each_model(kind: Kind) -> None:
    schedule, rates = kind.ours(), numbers(0.1, 0.01, 3.0)
    optimizers = [optimizer(lr) for lr in rates.tolist()]
    references = [kind.theirs(of_one) for of_one in optimizers]
    for epoch in range(EPOCHS):
        if epoch == EPOCHS // 2:
            schedule.select(torch.tensor([0, 2]))
            rates, optimizers, references = rates[::2], optimizers[::2], references[::2]
        loss = stalls(epoch)
        rates = schedule.step(rates, epoch, torch.full_like(rates, loss))
        for of_one, reference in zip(optimizers, references, strict=True):
            of_one.step()
            if isinstance(reference, lr_scheduler.ReduceLROnPlateau):
                reference.step(loss)
            else:
                reference.step()
        expected = [of_one.param_groups[0]["lr"] for of_one in optimizers]
        assert rates.tolist() == pytest.approx(expected, rel=1e-10, abs=0)


@pytest.mark.parametrize(
    ("schedule", "rate"),
    [
        (ExponentialSchedule(0.9), lambda t: 0.9**t),
        (TimeSchedule(0.3), lambda t: 1 / (1 + 0.3 * t)),
        (CosineSchedule(30), lambda t: (1 + math.cos(math.pi * t / 30)) / 2),
        (StepSchedule(4, 0.2), lambda t: 0.2 ** (t // 4)),
    ],
    ids=["exponential", "time", "cosine", "step"],
)
def test_rates_are_those_of_the_formula(schedule: Schedule, rate: Callable[[int], float]) -> None:
    rates = numbers(2.0, 0.5)
    for t in range(1, 31):
        rates = schedule.step(rates, t - 1, numbers(1.0, 1.0))
        assert rates.tolist() == pytest.approx([2 * rate(t), 0.5 * rate(t)], rel=1e-10, abs=1e-15)


def test_a_cosine_ends_at_zero_and_stays_there() -> None:
    schedule, rates = CosineSchedule(3), numbers(0.1)
    seen = []
    for epoch in range(5):
        rates = schedule.step(rates, epoch, numbers(1.0))
        seen.append(rates.item())
    assert seen == [pytest.approx(0.075), pytest.approx(0.025), 0, 0, 0]


@every_kind
def test_rates_of_the_last_epoch_are_left_as_they_were(kind: Kind) -> None:
    """Curves keep them."""
    schedule, rates = kind.ours(), numbers(0.1, 0.2)
    for epoch in range(EPOCHS):
        schedule.step(rates, epoch, numbers(1.0, 1.0))
    assert rates.tolist() == [0.1, 0.2]


# plateaus

LOSSES = st.lists(
    st.sampled_from([1.0, 0.99995, 0.9999, 0.9995, 0.5, 0.4, 2.0, math.nan, math.inf]), min_size=1, max_size=60
)


@example([[0.9998**t for t in range(9)], [0.99995**t for t in range(9)]], 1, 0.1, 0.0)
@example([[1.0] * 9], 0, 0.1, 1e-5)
@example([[1.0] * 9], 0, 0.5, 0.025)
@given(
    st.lists(LOSSES, min_size=1, max_size=3),
    st.integers(0, 4),
    st.sampled_from([0.1, 0.5]),
    st.sampled_from([0.0, 1e-5, 0.0099999999, 0.03, 0.1, 0.2]),
)
@settings(max_examples=100)
def test_plateaus_are_those_of_torch(curves: list[list[float]], patience: int, factor: float, least: float) -> None:
    schedule = PlateauSchedule(patience, factor, least)
    rates = torch.full((len(curves),), 0.1, dtype=torch.float64)
    optimizers = [optimizer(0.1) for _ in curves]
    references = [
        lr_scheduler.ReduceLROnPlateau(of_one, factor=factor, patience=patience, min_lr=least) for of_one in optimizers
    ]
    for epoch, losses in enumerate(zip(*curves, strict=False)):
        rates = schedule.step(rates, epoch, numbers(*losses))
        for reference, loss in zip(references, losses, strict=True):
            reference.step(loss)
        assert rates.tolist() == [of_one.param_groups[0]["lr"] for of_one in optimizers]


def test_three_plateaus_leave_a_rate_that_is_not_below_the_threshold() -> None:
    schedule = PlateauSchedule(patience=0)
    rate = numbers(0.1)
    for epoch in range(4):
        rate = schedule.step(rate, epoch, torch.tensor([1.0]))
    assert rate.item() == 1.0000000000000003e-4


def test_a_model_that_leaves_takes_its_plateau_along() -> None:
    """Another best loss, and another time that has passed since."""
    schedule, rates = PlateauSchedule(patience=1), numbers(1.0, 1.0)
    for epoch, losses in enumerate([[1.0, 1.0], [2.0, 0.4], [0.5, 0.6]]):
        rates = schedule.step(rates, epoch, numbers(*losses))
    assert rates.tolist() == [1.0, 1.0]
    schedule.select(torch.tensor([1]))
    assert schedule.step(rates[1:], 3, numbers(0.45)).tolist() == [0.1]


@every_kind
def test_a_stack_can_shrink_before_its_first_epoch(kind: Kind) -> None:
    schedule = kind.ours()
    schedule.select(torch.tensor([1]))
    assert schedule.step(numbers(0.1), 0, numbers(1.0)).shape == (1,)
