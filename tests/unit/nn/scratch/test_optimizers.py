"""Tests of optimizers of K stacked models against one optimizer of torch.optim for each model."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from labcheck.nn.scratch.optimizers import LBFGS, OPTIMIZERS, SGD, AdaGrad, Adam, Optimizer, RMSprop
from tests.helpers.nets import SEEDS, close, largest, normal

MODELS, SIZE = 3, 7
MAX_STEPS = 50
"""The largest number of steps of a test, and a history of L-BFGS from which no pair is dropped."""
Make = Callable[..., torch.optim.Optimizer]
Gradient = Callable[[Tensor, Tensor, int], Tensor]
"""Parameters (K, P), the indices of their models (K,), and the number of the step → gradients (K, P)."""


class Kind(NamedTuple):
    """An optimizer from scratch, and torch's."""

    scratch: Callable[[], Optimizer]
    reference: Make


class Reference:
    """An optimizer of torch with one model."""

    def __init__(self, make: Make, values: Tensor, lr: float):
        self.values = values.clone().requires_grad_()
        self.optimizer = make([self.values], lr=lr)

    def step(self, gradient: Tensor, lr: float) -> None:
        self.optimizer.param_groups[0]["lr"] = lr
        self.values.grad = gradient.clone()
        self.optimizer.step(lambda: 0.0)


def torch_lbfgs(parameters: Sequence[Tensor], lr: float, history: int = MAX_STEPS) -> torch.optim.LBFGS:
    """Return torch's L-BFGS, which takes one iteration per step and does not stop at an optimum."""
    return torch.optim.LBFGS(
        parameters, lr=lr, max_iter=1, history_size=history, tolerance_grad=0, tolerance_change=1e-9
    )


SGDS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "weight decay": {"weight_decay": 0.1},
    "momentum, weight decay": {"momentum": 0.5, "weight_decay": 0.1},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "nesterov, weight decay": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
}
KINDS = {name: Kind(partial(SGD, **options), partial(torch.optim.SGD, **options)) for name, options in SGDS.items()}
ADAMS: dict[str, dict[str, Any]] = {
    "adam": {},
    "adam, weight decay": {"weight_decay": 0.1},
    "adam, amsgrad": {"amsgrad": True},
    "adam, weight decay, amsgrad": {"weight_decay": 5e-4, "amsgrad": True},
}
KINDS |= {name: Kind(partial(Adam, **options), partial(torch.optim.Adam, **options)) for name, options in ADAMS.items()}
KINDS |= {
    "adagrad": Kind(AdaGrad, torch.optim.Adagrad),
    "rmsprop": Kind(RMSprop, torch.optim.RMSprop),
    "lbfgs": Kind(partial(LBFGS, MAX_STEPS), torch_lbfgs),
    "lbfgs, short": Kind(partial(LBFGS, 3), partial(torch_lbfgs, history=3)),
}
DECAYING = [kind for name, kind in KINDS.items() if "weight decay" in name]
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)

# objectives


def quadratics(seed: int) -> Gradient:
    """Return the gradient of ½ wᵀ A w − b w, which is convex; it is flat for the second model, steep for the third."""
    root, b = normal(MODELS, SIZE, SIZE, seed=seed), normal(MODELS, SIZE, seed=seed + 1)
    a = root @ root.mT / SIZE + torch.eye(SIZE)
    steepness = torch.tensor([[1.0], [0.03], [2.0]], dtype=torch.float64)
    return lambda w, models, step: (torch.einsum("kij,kj->ki", a[models], w) - b[models]) * steepness[models]


def waves(seed: int) -> Gradient:
    """Return the gradient of Σ −cos 3wᵢ + ½ (wᵢ − wᵢ₊₁)², which has many minima and ridges.

    Each w of each model is multiplied by a random scale.
    """
    scale = normal(MODELS, SIZE, seed=seed)

    def gradient(w: Tensor, models: Tensor, step: int) -> Tensor:
        x = w * scale[models]
        return scale[models] * (3 * (3 * x).sin() + 2 * x - x.roll(1, 1) - x.roll(-1, 1))

    return gradient


def rosenbrock(seed: int) -> Gradient:
    """Return the gradient of Σ (1 − wᵢ)² + 100 (wᵢ₊₁ − wᵢ²)², a curved valley.

    It is divided by 1,000 and clipped to [−1, 1], so that steps remain small.
    """

    def gradient(w: Tensor, models: Tensor, step: int) -> Tensor:
        a, rise = w[:, :-1], w[:, 1:] - w[:, :-1].square()
        gradients = torch.zeros_like(w)
        gradients[:, :-1] = 2 * (a - 1) - 400 * a * rise
        gradients[:, 1:] += 200 * rise
        return gradients.div_(1000).clamp_(-1, 1)

    return gradient


PROBLEMS = {"quadratics": quadratics, "waves": waves, "rosenbrock": rosenbrock}
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
ACTIVITY = torch.tensor([1.0, 1.0, 1.0, 1.0, 1e-9, 1e-25, 0.0], dtype=torch.float64)
"""Factors of the gradients of the parameters; some units are dead or nearly dead."""


def compare_steps(kind: Kind, gradient: Gradient, seed: int = 0, steps: int = MAX_STEPS) -> Tensor:
    """Assert that each step of each model equals torch's, and return the final parameters, (2, P).

    After half of the steps, the second of the three models is dropped, and learning rates are halved.
    """
    values = normal(MODELS, SIZE, seed=seed)
    lrs = torch.tensor([0.1, 0.01, 0.3], dtype=torch.float64)
    models = torch.arange(MODELS)
    references = [Reference(kind.reference, row, lr) for row, lr in zip(values, lrs.tolist(), strict=True)]
    optimizer, memory, magnitude = kind.scratch(), torch.empty_like(values), 0.0
    for step in range(steps):
        if step == steps // 2:
            rows = torch.tensor([0, 2])
            optimizer.select(rows)
            values, lrs, models, references = values[rows], lrs[rows] / 2, models[rows], references[::2]
            memory = torch.empty_like(values)
        gradients = gradient(values, models, step)
        for reference, row, lr in zip(references, gradients, lrs.tolist(), strict=True):
            reference.step(row, lr)
        optimizer.step(values, memory.copy_(gradients), lrs)  # in the same memory each time, as in training
        expected = torch.stack([reference.values for reference in references]).detach()
        magnitude = max(magnitude, largest(expected))
        close(values, expected, 100 * magnitude)  # L-BFGS amplifies rounding errors a thousandfold at ridges
    assert values.isfinite().all()
    return values


@pytest.mark.slow
@every_problem
@every_kind
@settings(max_examples=4)
@given(seed=SEEDS)
def test_fifty_steps_equal_torch(kind: Kind, problem: Callable[[int], Gradient], seed: int) -> None:
    compare_steps(kind, problem(seed + 1), seed)


@pytest.mark.slow
@every_kind
@settings(max_examples=4)
@given(seed=SEEDS)
def test_steps_of_dead_and_nearly_dead_units_equal_torch(kind: Kind, seed: int) -> None:
    objective = quadratics(seed + 1)
    final = compare_steps(kind, lambda w, models, step: ACTIVITY * objective(w * ACTIVITY, models, step), seed)
    start = normal(MODELS, SIZE, seed=seed)[::2]
    assert torch.equal(final[:, -1], start[:, -1]) == (kind not in DECAYING)


@every_kind
def test_float32_dead_units_do_not_move(kind: Kind) -> None:
    optimizer, values = kind.scratch(), normal(MODELS, SIZE).float()
    start, lrs = values.clone(), torch.tensor([0.1, 0.01, 0.3], dtype=torch.float64)
    for step in range(20):
        gradients = (normal(MODELS, SIZE, seed=step) * ACTIVITY).float()
        gradients[1] = 0
        optimizer.step(values, gradients, lrs)
    assert values.isfinite().all()
    assert values.dtype == torch.float32
    if kind not in DECAYING:
        assert torch.equal(values[:, -1], start[:, -1])
        assert torch.equal(values[1], start[1])
        assert (values[::2, :4] != start[::2, :4]).all()


@every_kind
@pytest.mark.parametrize("pause", [0, 3, 6])
def test_step_with_zero_gradient_equals_torch(kind: Kind, pause: int) -> None:
    """The gradient of two models is zero, as for a batch whose examples are all outside the margin."""
    objective = quadratics(1)

    def gradient(w: Tensor, models: Tensor, step: int) -> Tensor:
        return objective(w, models, step) * ((models == 2) | (step != pause)).unsqueeze(1)

    compare_steps(kind, gradient, steps=16)


@pytest.mark.parametrize("name", ADAMS)
def test_options_of_adam_change_its_steps(name: str) -> None:
    """Large gradients are followed by small ones, which lead to small steps only with the largest square (AMSGrad)."""

    def final(kind: Kind) -> Tensor:
        return compare_steps(kind, lambda w, models, step: waves(1)(w, models, step) * (1.0 if step < 5 else 0.01))

    plain = final(KINDS["adam"])
    assert torch.allclose(final(KINDS[name]), plain, rtol=1e-6) == (name == "adam")


# L-BFGS


def test_lbfgs_without_curvature_moves_along_gradient() -> None:
    """The gradient of the first model is constant, so that no pair is stored."""
    others = quadratics(1)
    slope = normal(SIZE, seed=5)

    def gradient(w: Tensor, models: Tensor, step: int) -> Tensor:
        return torch.where(models.unsqueeze(1) == 0, slope, others(w, models, step))

    start = normal(MODELS, SIZE)
    final = compare_steps(KINDS["lbfgs"], gradient, steps=20)
    first = min(1.0, 1.0 / slope.abs().sum().item())
    close(final[0], start[0] - slope * (0.1 * first + 9 * 0.1 + 10 * 0.05))


@pytest.mark.parametrize("history", [1, 3])
def test_lbfgs_drops_oldest_pairs(history: int) -> None:
    kind = Kind(partial(LBFGS, history), partial(torch_lbfgs, history=history))
    final = compare_steps(kind, quadratics(2), steps=12)
    assert not torch.allclose(final, compare_steps(KINDS["lbfgs"], quadratics(2), steps=12), rtol=1e-6)


@pytest.mark.parametrize("history", [1, 10])
def test_lbfgs_stores_no_pair_without_curvature(history: int) -> None:
    compare_steps(Kind(partial(LBFGS, history), partial(torch_lbfgs, history=history)), waves(1))


def test_lbfgs_converges_on_convex_problem() -> None:
    objective, optimizer = quadratics(3), LBFGS()
    values, models = normal(MODELS, SIZE), torch.arange(MODELS)
    for step in range(60):
        optimizer.step(values, objective(values, models, step), torch.ones(MODELS, dtype=torch.float64))
    assert objective(values, models, 0).abs().max() < 1e-4  # it takes no steps with a descent below 1e-9


# names


TORCH_OPTIMIZERS: dict[str, Make] = {
    "sgd": partial(torch.optim.SGD, momentum=0.7),
    "nesterov": partial(torch.optim.SGD, momentum=0.7, nesterov=True),
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "lbfgs": partial(torch_lbfgs, history=10),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_named_optimizers_equal_torch(name: str) -> None:
    compare_steps(Kind(lambda: OPTIMIZERS[name](0.7), TORCH_OPTIMIZERS[name]), quadratics(5), steps=20)


def test_named_sgd_without_momentum_equals_torch() -> None:
    compare_steps(Kind(lambda: OPTIMIZERS["sgd"](0.0), torch.optim.SGD), quadratics(5), steps=10)


@every_kind
def test_select_is_possible_before_first_step(kind: Kind) -> None:
    optimizer, values = kind.scratch(), normal(2, SIZE)
    optimizer.select(torch.tensor([0, 2]))
    optimizer.step(values, normal(2, SIZE, seed=1), torch.tensor([0.1, 0.1], dtype=torch.float64))
    assert not torch.equal(values, normal(2, SIZE))
