"""Optimizers and schedules, held against torch's own."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labcheck.models.scratch.optimizers import SGD, Adam, Optimizer
from labcheck.models.scratch.schedules import PlateauSchedule, StepSchedule


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: SGD(), lambda p, lr: torch.optim.SGD(p, lr)),
        (lambda: SGD(0.9), lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9)),
        (lambda: Adam(), lambda p, lr: torch.optim.Adam(p, lr)),
    ],
    ids=["sgd", "momentum", "adam"],
)
def test_fifty_steps_at_a_rate_of_each_row(ours: Callable[[], Optimizer], theirs: Callable[..., object]) -> None:
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(3, 7, dtype=torch.float64, generator=rng)
    rates = torch.tensor([0.1, 0.01, 1.0], dtype=torch.float64)
    references = [row.clone().requires_grad_() for row in values]
    optimizers = [theirs([row], float(lr)) for row, lr in zip(references, rates, strict=True)]
    optimizer = ours()
    for step in range(50):
        gradients = torch.randn(values.shape, dtype=torch.float64, generator=rng)
        if step == 25:  # rates change, and a model leaves
            rates, values, gradients = rates[1:] / 10, values[1:], gradients[1:]
            references, optimizers = references[1:], optimizers[1:]
            optimizer.keep(torch.tensor([1, 2]))
            for reference, lr in zip(optimizers, rates, strict=True):
                reference.param_groups[0]["lr"] = float(lr)
        optimizer.step(values, gradients, rates)
        for row, gradient, reference in zip(references, gradients, optimizers, strict=True):
            row.grad = gradient.clone()
            reference.step()
        torch.testing.assert_close(values, torch.stack(references).detach(), rtol=1e-12, atol=1e-12)


LOSSES = st.lists(st.sampled_from([1.0, 0.99995, 0.9999, 0.5, 0.4, 2.0, math.nan, math.inf]), min_size=1, max_size=60)


@given(st.lists(LOSSES, min_size=1, max_size=3), st.integers(0, 4), st.sampled_from([0.1, 0.5]))
def test_plateau(curves: list[list[float]], patience: int, factor: float) -> None:
    n = min(len(curve) for curve in curves)
    schedule = PlateauSchedule(patience, factor)
    rates = torch.full((len(curves),), 0.1, dtype=torch.float64)
    optimizers = [torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1) for _ in curves]
    references = [
        torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=factor, patience=patience)
        for optimizer in optimizers
    ]
    for epoch in range(n):
        losses = [curve[epoch] for curve in curves]
        rates = schedule.step(rates, epoch, torch.tensor(losses, dtype=torch.float64))
        for reference, loss in zip(references, losses, strict=True):
            reference.step(loss)
        assert rates.tolist() == [optimizer.param_groups[0]["lr"] for optimizer in optimizers]


def test_three_plateaus_leave_a_rate_that_is_not_below_the_threshold() -> None:
    schedule = PlateauSchedule(patience=0)
    rate = torch.tensor([0.1], dtype=torch.float64)
    for epoch in range(4):
        rate = schedule.step(rate, epoch, torch.tensor([1.0]))
    assert rate.item() == 1.0000000000000003e-4


def test_steps() -> None:
    schedule = StepSchedule(every=10)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    reference = torch.optim.lr_scheduler.StepLR(optimizer, 10)
    rates = torch.full((1,), 0.1, dtype=torch.float64)
    for epoch in range(35):
        rates = schedule.step(rates, epoch, torch.tensor([1.0]))
        optimizer.step()
        reference.step()
        assert rates.item() == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


def test_a_model_that_leaves_takes_its_plateau_along() -> None:
    schedule = PlateauSchedule(patience=1)
    rates = torch.full((2,), 1.0, dtype=torch.float64)
    for epoch, losses in enumerate([[1.0, 1.0], [2.0, 0.5], [2.0, 0.4]]):
        rates = schedule.step(rates, epoch, torch.tensor(losses))
    assert rates.tolist() == [0.1, 1.0]
    schedule.keep(torch.tensor([1]))
    rates = schedule.step(rates[1:], 3, torch.tensor([0.4]))
    assert rates.tolist() == [1.0]
    assert schedule.step(rates, 4, torch.tensor([0.4])).tolist() == [0.1]
