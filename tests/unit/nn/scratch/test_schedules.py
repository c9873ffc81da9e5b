"""Tests of learning-rate schedules against those of torch.optim."""

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
    """A schedule from scratch, and torch's, which is made for an optimizer."""

    scratch: Callable[[], Schedule]
    reference: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


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
        lambda: PlateauSchedule(2, min_lr=1e-3), lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=2, min_lr=1e-3)
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def make_optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def stalling_loss(epoch: int) -> float:
    """Return a loss that decreases for ten epochs, and then no longer."""
    return 1 / (1 + min(epoch, 10))


@every_kind
def test_learning_rates_of_stack_equal_torch(kind: Kind) -> None:
    schedule, lrs = kind.scratch(), vector(0.1, 0.01, 3.0)
    optimizers = [make_optimizer(lr) for lr in lrs.tolist()]
    references = [kind.reference(optimizer) for optimizer in optimizers]
    for epoch in range(EPOCHS):
        if epoch == EPOCHS // 2:
            schedule.select(torch.tensor([0, 2]))
            lrs, optimizers, references = lrs[::2], optimizers[::2], references[::2]
        loss = stalling_loss(epoch)
        lrs = schedule.step(lrs, epoch, torch.full_like(lrs, loss))
        for optimizer, reference in zip(optimizers, references, strict=True):
            optimizer.step()
            if isinstance(reference, lr_scheduler.ReduceLROnPlateau):
                reference.step(loss)
            else:
                reference.step()
        expected = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
        assert lrs.tolist() == pytest.approx(expected, rel=1e-10, abs=0)


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        (ExponentialSchedule(0.9), lambda t: 0.9**t),
        (TimeSchedule(0.3), lambda t: 1 / (1 + 0.3 * t)),
        (CosineSchedule(30), lambda t: (1 + math.cos(math.pi * t / 30)) / 2),
        (StepSchedule(4, 0.2), lambda t: 0.2 ** (t // 4)),
    ],
    ids=["exponential", "time", "cosine", "step"],
)
def test_learning_rates_equal_formula(schedule: Schedule, factor: Callable[[int], float]) -> None:
    lrs = vector(2.0, 0.5)
    for t in range(1, 31):
        lrs = schedule.step(lrs, t - 1, vector(1.0, 1.0))
        assert lrs.tolist() == pytest.approx([2 * factor(t), 0.5 * factor(t)], rel=1e-10, abs=1e-15)


def test_cosine_is_zero_from_last_epoch_on() -> None:
    schedule, lrs = CosineSchedule(3), vector(0.1)
    values = []
    for epoch in range(5):
        lrs = schedule.step(lrs, epoch, vector(1.0))
        values.append(lrs.item())
    assert values == [pytest.approx(0.075), pytest.approx(0.025), 0, 0, 0]


@every_kind
def test_step_does_not_change_its_argument(kind: Kind) -> None:
    schedule, lrs = kind.scratch(), vector(0.1, 0.2)
    for epoch in range(EPOCHS):
        schedule.step(lrs, epoch, vector(1.0, 1.0))
    assert lrs.tolist() == [0.1, 0.2]


# plateaus

LOSSES = st.lists(
    st.sampled_from([1.0, 0.99995, 0.9999, 0.9995, 0.5, 0.4, 2.0, math.nan, math.inf]), min_size=1, max_size=60
)


@pytest.mark.slow
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
def test_plateaus_equal_torch(curves: list[list[float]], patience: int, factor: float, min_lr: float) -> None:
    schedule = PlateauSchedule(patience, factor, min_lr)
    lrs = torch.full((len(curves),), 0.1, dtype=torch.float64)
    optimizers = [make_optimizer(0.1) for _ in curves]
    references = [
        lr_scheduler.ReduceLROnPlateau(optimizer, factor=factor, patience=patience, min_lr=min_lr)
        for optimizer in optimizers
    ]
    for epoch, losses in enumerate(zip(*curves, strict=False)):
        lrs = schedule.step(lrs, epoch, vector(*losses))
        for reference, loss in zip(references, losses, strict=True):
            reference.step(loss)
        assert lrs.tolist() == [optimizer.param_groups[0]["lr"] for optimizer in optimizers]


def test_three_plateaus_end_above_threshold_by_rounding() -> None:
    schedule = PlateauSchedule(patience=0)
    lr = vector(0.1)
    for epoch in range(4):
        lr = schedule.step(lr, epoch, torch.tensor([1.0]))
    assert lr.item() == 1.0000000000000003e-4


def test_select_drops_plateaus_of_other_models() -> None:
    """The models have different best losses and different numbers of epochs without improvement."""
    schedule, lrs = PlateauSchedule(patience=1), vector(1.0, 1.0)
    for epoch, losses in enumerate([[1.0, 1.0], [2.0, 0.4], [0.5, 0.6]]):
        lrs = schedule.step(lrs, epoch, vector(*losses))
    assert lrs.tolist() == [1.0, 1.0]
    schedule.select(torch.tensor([1]))
    assert schedule.step(lrs[1:], 3, vector(0.45)).tolist() == [0.1]


@every_kind
def test_select_is_possible_before_first_epoch(kind: Kind) -> None:
    schedule = kind.scratch()
    schedule.select(torch.tensor([1]))
    assert schedule.step(vector(0.1), 0, vector(1.0)).shape == (1,)
