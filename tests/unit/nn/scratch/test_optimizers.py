"""Optimizers of K stacked models, held against one of torch.optim for each of them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from labcheck.nn.scratch.optimizers import LBFGS, OPTIMIZERS, SGD, AdaGrad, Adam, Optimizer, RMSprop

from .test_scratch_layers import SEEDS, close, largest, normal

MODELS, SIZE = 3, 7
Make = Callable[..., torch.optim.Optimizer]
Gradient = Callable[[Tensor, Tensor, int], Tensor]
"""(values (K, P), which models these are (K,), step) → gradients (K, P)."""


class Kind(NamedTuple):
    """An optimizer, and torch's."""

    ours: Callable[[], Optimizer]
    theirs: Make


class Alone:
    """One of torch's optimizers with one model."""

    def __init__(self, make: Make, values: Tensor, lr: float):
        self.values = values.clone().requires_grad_()
        self.optimizer = make([self.values], lr=lr)

    def step(self, gradient: Tensor, lr: float) -> None:
        self.optimizer.param_groups[0]["lr"] = lr
        self.values.grad = gradient.clone()
        self.optimizer.step(lambda: 0.0)


def torch_lbfgs(parameters: Sequence[Tensor], lr: float, history: int = 100) -> torch.optim.LBFGS:
    """A step at a time, to any optimum."""
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
    "lbfgs": Kind(partial(LBFGS, 100), torch_lbfgs),
    "lbfgs, short": Kind(partial(LBFGS, 3), partial(torch_lbfgs, history=3)),
}
DECAYING = [kind for name, kind in KINDS.items() if "weight decay" in name]
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)

# what is minimised


def quadratics(seed: int) -> Gradient:
    """½ wᵀ A w − b w, convex; each model another one, the second flat and the third steep."""
    root, b = normal(MODELS, SIZE, SIZE, seed=seed), normal(MODELS, SIZE, seed=seed + 1)
    a = root @ root.mT / SIZE + torch.eye(SIZE)
    steepness = torch.tensor([[1.0], [0.03], [2.0]], dtype=torch.float64)
    return lambda w, models, step: (torch.einsum("kij,kj->ki", a[models], w) - b[models]) * steepness[models]


def waves(seed: int) -> Gradient:
    """Σ −cos 3wᵢ + ½ (wᵢ − wᵢ₊₁)², full of hollows and ridges; in each model each w is of a scale of its own."""
    scale = normal(MODELS, SIZE, seed=seed)

    def gradient(w: Tensor, models: Tensor, step: int) -> Tensor:
        x = w * scale[models]
        return scale[models] * (3 * (3 * x).sin() + 2 * x - x.roll(1, 1) - x.roll(-1, 1))

    return gradient


def rosenbrock(seed: int) -> Gradient:
    """Σ (1 − wᵢ)² + 100 (wᵢ₊₁ − wᵢ²)², a bent valley, by 1,000 and no steeper than 1, so that no step leads far off."""

    def gradient(w: Tensor, models: Tensor, step: int) -> Tensor:
        a, rise = w[:, :-1], w[:, 1:] - w[:, :-1].square()
        found = torch.zeros_like(w)
        found[:, :-1] = 2 * (a - 1) - 400 * a * rise
        found[:, 1:] += 200 * rise
        return found.div_(1000).clamp_(-1, 1)

    return gradient


PROBLEMS = {"quadratics": quadratics, "waves": waves, "rosenbrock": rosenbrock}
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
LIVELINESS = torch.tensor([1.0, 1.0, 1.0, 1.0, 1e-9, 1e-25, 0.0], dtype=torch.float64)
"""What the gradients of the problem are multiplied by: units may be dead, or nearly."""


def march(kind: Kind, gradient: Gradient, seed: int = 0, steps: int = 50) -> Tensor:
    """All models step for step beside torch's; in the middle one leaves and rates fall. Returns where they end."""
    values = normal(MODELS, SIZE, seed=seed)
    rates = torch.tensor([0.1, 0.01, 0.3], dtype=torch.float64)
    models = torch.arange(MODELS)
    references = [Alone(kind.theirs, row, lr) for row, lr in zip(values, rates.tolist(), strict=True)]
    optimizer, memory, reach = kind.ours(), torch.empty_like(values), 0.0
    for step in range(steps):
        if step == steps // 2:
            rows = torch.tensor([0, 2])
            optimizer.select(rows)
            values, rates, models, references = values[rows], rates[rows] / 2, models[rows], references[::2]
            memory = torch.empty_like(values)
        gradients = gradient(values, models, step)
        for reference, row, lr in zip(references, gradients, rates.tolist(), strict=True):
            reference.step(row, lr)
        optimizer.step(values, memory.copy_(gradients), rates)  # as a model's gradients, in the same place each time
        expected = torch.stack([reference.values for reference in references]).detach()
        reach = max(reach, largest(expected))
        close(values, expected, 100 * reach)  # L-BFGS loses a thousand roundings where it leaps off a ridge
    assert values.isfinite().all()
    return values


@every_problem
@every_kind
@settings(max_examples=4)
@given(seed=SEEDS)
def test_fifty_steps_are_those_of_torch(kind: Kind, problem: Callable[[int], Gradient], seed: int) -> None:
    march(kind, problem(seed + 1), seed)


@every_kind
@settings(max_examples=4)
@given(seed=SEEDS)
def test_units_that_are_dead_or_nearly_so_stay_where_torch_leaves_them(kind: Kind, seed: int) -> None:
    alive = quadratics(seed + 1)
    ends = march(kind, lambda w, models, step: LIVELINESS * alive(w * LIVELINESS, models, step), seed)
    start = normal(MODELS, SIZE, seed=seed)[::2]
    assert torch.equal(ends[:, -1], start[:, -1]) == (kind not in DECAYING)


@every_kind
def test_in_float32_dead_units_stay_where_they_are(kind: Kind) -> None:
    optimizer, values = kind.ours(), normal(MODELS, SIZE).float()
    start, rates = values.clone(), torch.tensor([0.1, 0.01, 0.3], dtype=torch.float64)
    for step in range(20):
        gradients = (normal(MODELS, SIZE, seed=step) * LIVELINESS).float()
        gradients[1] = 0
        optimizer.step(values, gradients, rates)
    assert values.isfinite().all()
    assert values.dtype == torch.float32
    if kind not in DECAYING:
        assert torch.equal(values[:, -1], start[:, -1])
        assert torch.equal(values[1], start[1])
        assert (values[::2, :4] != start[::2, :4]).all()


@every_kind
@pytest.mark.parametrize("pause", [0, 3, 6])
def test_a_step_without_any_gradient_is_that_of_torch(kind: Kind, pause: int) -> None:
    """As of a batch whose examples all lie beyond the margin, for two models; the third one's do not."""
    objective = quadratics(1)

    def gradient(w: Tensor, models: Tensor, step: int) -> Tensor:
        return objective(w, models, step) * ((models == 2) | (step != pause)).unsqueeze(1)

    march(kind, gradient, steps=16)


@pytest.mark.parametrize("name", ADAMS)
def test_options_of_adam_change_its_steps(name: str) -> None:
    """After large gradients come small ones, of which only the root of the largest square makes small steps."""

    def ends(kind: Kind) -> Tensor:
        return march(kind, lambda w, models, step: waves(1)(w, models, step) * (1.0 if step < 5 else 0.01))

    plain = ends(KINDS["adam"])
    assert torch.allclose(ends(KINDS[name]), plain, rtol=1e-6) == (name == "adam")


# L-BFGS


def test_a_model_without_curvature_goes_straight_on() -> None:
    """The first one's gradient is constant: nothing is learned of its Hessian."""
    others = quadratics(1)
    slope = normal(SIZE, seed=5)

    def gradient(w: Tensor, models: Tensor, step: int) -> Tensor:
        return torch.where(models.unsqueeze(1) == 0, slope, others(w, models, step))

    start = normal(MODELS, SIZE)
    ends = march(KINDS["lbfgs"], gradient, steps=20)
    first = min(1.0, 1.0 / slope.abs().sum().item())
    close(ends[0], start[0] - slope * (0.1 * first + 9 * 0.1 + 10 * 0.05))


@pytest.mark.parametrize("history", [1, 3])
def test_the_oldest_pairs_are_forgotten(history: int) -> None:
    kind = Kind(partial(LBFGS, history), partial(torch_lbfgs, history=history))
    ends = march(kind, quadratics(2), steps=12)
    assert not torch.allclose(ends, march(KINDS["lbfgs"], quadratics(2), steps=12), rtol=1e-6)


@pytest.mark.parametrize("history", [1, 10])
def test_a_pair_without_curvature_takes_no_place_in_the_history(history: int) -> None:
    march(Kind(partial(LBFGS, history), partial(torch_lbfgs, history=history)), waves(1))


def test_it_ends_at_the_optimum_of_a_convex_problem() -> None:
    objective, optimizer = quadratics(3), LBFGS()
    values, models = normal(MODELS, SIZE), torch.arange(MODELS)
    for step in range(60):
        optimizer.step(values, objective(values, models, step), torch.ones(MODELS, dtype=torch.float64))
    assert objective(values, models, 0).abs().max() < 1e-4  # steps of a descent below 1e-9 are not taken


# by name


NAMED: dict[str, Make] = {
    "sgd": partial(torch.optim.SGD, momentum=0.7),
    "nesterov": partial(torch.optim.SGD, momentum=0.7, nesterov=True),
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "lbfgs": partial(torch_lbfgs, history=10),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_names_make_what_they_say(name: str) -> None:
    march(Kind(lambda: OPTIMIZERS[name](0.7), NAMED[name]), quadratics(5), steps=20)


def test_without_momentum_sgd_has_none() -> None:
    march(Kind(lambda: OPTIMIZERS["sgd"](0.0), torch.optim.SGD), quadratics(5), steps=10)


@every_kind
def test_a_stack_can_shrink_before_its_first_step(kind: Kind) -> None:
    optimizer, values = kind.ours(), normal(2, SIZE)
    optimizer.select(torch.tensor([0, 2]))
    optimizer.step(values, normal(2, SIZE, seed=1), torch.tensor([0.1, 0.1], dtype=torch.float64))
    assert not torch.equal(values, normal(2, SIZE))
