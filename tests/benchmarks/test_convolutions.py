"""Benchmarks of training steps of the convolutional nets against the usual eager float32 loop."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from labcheck.data.examples import generators, permutations
from labcheck.labs.cifar import Cifar
from labcheck.labs.mnist import Mnist
from labcheck.nn.scratch.losses import CrossEntropy
from tests.benchmarks.pairs import times_faster


def usual_cnn(module: Any) -> nn.Module:
    """Return the net in its usual form, with each ReLU before its pooling."""
    features = dict(module.features.named_children())
    blocks = [features[f"{kind}{block}"] for block in (1, 2) for kind in ("conv", "relu", "pool")]
    return nn.Sequential(*blocks, nn.Flatten(), features["full1"], nn.ReLU(), module.full2)


def usual_resnet(module: Any) -> nn.Module:
    """Return the net for standardized images."""
    return nn.Sequential(OrderedDict(module.named_children()) | {"standardize": nn.Identity()})


Steps = Callable[[], list[float]]
"""A function that takes some training steps and returns their losses."""


@dataclass(frozen=True)
class Case:
    """A lab to measure.

    Attributes:
        lab: The lab.
        usual: A function that turns the lab's net into its usual form.
        steps: The number of steps to measure.
    """

    lab: Mnist | Cifar
    usual: Callable[[Any], nn.Module]
    steps: int


CASES = {
    "cnn": Case(Mnist(), usual_cnn, 20),
    "resnet20": Case(Cifar(augmented=False, train_size=1024), usual_resnet, 4),
}


def indices(lab: Mnist | Cifar, steps: int) -> list[Tensor]:
    """Return the indices of the first minibatches of seed 0, (1, B) each."""
    order = permutations(len(lab.splits([0])["train"]), generators([0], "order"))
    return list(torch.split(order, lab.batch, dim=1)[:steps])


def usual_steps(case: Case, lab: Mnist | Cifar, steps: int, dtype: torch.dtype) -> Steps:
    """Return steps of the usual loop over tensors in memory."""
    split = lab.splits([0], dtype)["train"]
    module: Any = lab.module(0).to(dtype)
    whole = split.batch(torch.arange(len(split)).unsqueeze(0))
    x = ((whole.x[0] - module.standardize.mean) / module.standardize.std).contiguous()
    y, rows = whole.y[0, :, 0], [index[0] for index in indices(lab, steps)]
    net = case.usual(module)
    if lab.optimizer == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr=lab.lr)
    else:
        decay = lab.weight_decay if isinstance(lab, Cifar) else 0.0
        optimizer = torch.optim.SGD(net.parameters(), lr=lab.lr, momentum=lab.momentum, weight_decay=decay)

    def train() -> list[float]:
        losses = []
        for index in rows:
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(x[index]), y[index])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return train


def labcheck_steps(lab: Mnist | Cifar, steps: int, dtype: torch.dtype) -> Steps:
    """Return the steps of labcheck's training loop."""
    split, model, optimizer = lab.splits([0], dtype)["train"], lab.model([0], dtype), lab.new_optimizer()
    loss, lrs, rows = CrossEntropy(), torch.tensor([lab.lr], dtype=torch.float64), indices(lab, steps)

    def train() -> list[float]:
        losses = []
        for index in rows:
            batch = split.batch(index)
            losses.append(model.gradient(batch.x, batch.y, loss)["loss"].item())
            optimizer.step(model.values, model.gradients, lrs)
        return losses

    return train


def make_steps(name: str, case: Case, steps: int, dtype: torch.dtype = torch.float32) -> Steps:
    """Return the steps of a contestant, "eager_float32" or "labcheck_<arithmetic>"."""
    if name == "eager_float32":
        return usual_steps(case, replace(case.lab, arithmetic="float32"), steps, dtype)
    return labcheck_steps(replace(case.lab, arithmetic=name.removeprefix("labcheck_")), steps, dtype)


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("name", ["eager_float32", "labcheck_float32", "labcheck_bfloat16"])
@pytest.mark.parametrize("group", CASES)
def test_milliseconds_per_step(benchmark: Any, group: str, name: str) -> None:
    case = CASES[group]
    benchmark.group = f"{group}, {case.steps} steps"
    double = make_steps("labcheck_float32", case, 3, torch.float64)()
    assert double == pytest.approx(make_steps("eager_float32", case, 3, torch.float64)(), rel=1e-9)
    assert make_steps(name, case, 3)() == pytest.approx(double, rel=0.05)
    usual, measured = make_steps("eager_float32", case, case.steps), make_steps(name, case, case.steps)
    comparison = times_faster(
        benchmark, measured, usual, precision=replace(case.lab, arithmetic="auto").precision("cpu")
    )
    milliseconds = 1000 * benchmark.stats.stats.median / case.steps
    benchmark.extra_info["milliseconds_per_step"] = milliseconds
    print(f"\n{group} {name}: {milliseconds:.1f} ms per step, {comparison} as eager float32")
