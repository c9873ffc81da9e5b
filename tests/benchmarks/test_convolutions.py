"""Milliseconds of a training step: labcheck's convolutional nets against the eager float32 loop that people write."""

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
from labcheck.labs.images import ConvolutionLab
from labcheck.labs.mnist import Mnist
from labcheck.nn.scratch.losses import CrossEntropy

from .pairs import times_faster


def usual_cnn(module: nn.Module) -> nn.Module:
    """With each ReLU before its pooling, as it is mostly written."""
    features = dict(module.features.named_children())
    blocks = [features[f"{kind}{block}"] for block in (1, 2) for kind in ("conv", "relu", "pool")]
    return nn.Sequential(*blocks, nn.Flatten(), features["full1"], nn.ReLU(), module.full2)


def usual_resnet(module: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(module.named_children()) | {"standardize": nn.Identity()})


Steps = Callable[[], list[float]]
"""Trains for some steps and gives their losses."""


@dataclass(frozen=True)
class Case:
    """A lab, its net as people write it, and how many steps are timed."""

    lab: ConvolutionLab
    usual: Callable[[nn.Module], nn.Module]
    steps: int


CASES = {
    "cnn": Case(Mnist(), usual_cnn, 20),
    "resnet20": Case(Cifar(augmented=False, train_size=1024), usual_resnet, 4),
}


def indices(lab: ConvolutionLab, steps: int) -> list[Tensor]:
    """The rows of the first minibatches of seed 0, (1, B) each."""
    order = permutations(len(lab.splits([0])["train"]), generators([0], "order"))
    return list(torch.split(order, lab.batch, dim=1)[:steps])


def plainly(case: Case, lab: ConvolutionLab, steps: int, dtype: torch.dtype) -> Steps:
    """The usual loop over tensors in memory."""
    part, module = lab.splits([0], dtype)["train"], lab.module(0).to(dtype)
    whole = part.batch(torch.arange(len(part)).unsqueeze(0))
    x = ((whole.x[0] - module.standardize.mean) / module.standardize.std).contiguous()
    y, rows = whole.y[0, :, 0], [index[0] for index in indices(lab, steps)]
    net = case.usual(module)
    if lab.optimizer == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr=lab.lr)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=lab.lr, momentum=lab.momentum)

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


def ours(lab: ConvolutionLab, steps: int, dtype: torch.dtype) -> Steps:
    """What labcheck's loop does."""
    part, model, optimizer = lab.splits([0], dtype)["train"], lab.model([0], dtype), lab.new_optimizer()
    loss, rates, rows = CrossEntropy(), torch.tensor([lab.lr], dtype=torch.float64), indices(lab, steps)

    def train() -> list[float]:
        losses = []
        for index in rows:
            batch = part.batch(index)
            losses.append(model.gradient(batch.x, batch.y, loss)["loss"].item())
            optimizer.step(model.values, model.gradients, rates)
        return losses

    return train


def prepared(name: str, case: Case, steps: int, dtype: torch.dtype = torch.float32) -> Steps:
    if name == "eager_float32":
        return plainly(case, replace(case.lab, arithmetic="float32"), steps, dtype)
    return ours(replace(case.lab, arithmetic=name.removeprefix("labcheck_")), steps, dtype)


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("name", ["eager_float32", "labcheck_float32", "labcheck_bfloat16"])
@pytest.mark.parametrize("group", CASES)
def test_milliseconds_per_step(benchmark: Any, group: str, name: str) -> None:
    case = CASES[group]
    benchmark.group = f"{group}, {case.steps} steps"
    double = prepared("labcheck_float32", case, 3, torch.float64)()
    assert double == pytest.approx(prepared("eager_float32", case, 3, torch.float64)(), rel=1e-9)
    assert prepared(name, case, 3)() == pytest.approx(double, rel=0.05)
    usual, own = prepared("eager_float32", case, case.steps), prepared(name, case, case.steps)
    told = times_faster(benchmark, own, usual, precision=replace(case.lab, arithmetic="auto").precision("cpu"))
    milliseconds = 1000 * benchmark.stats.stats.median / case.steps
    benchmark.extra_info["milliseconds_per_step"] = milliseconds
    print(f"\n{group} {name}: {milliseconds:.1f} ms a step, {told} as eager float32")
