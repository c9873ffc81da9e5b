"""Labs that train networks side by side: results depend on settings and seed only, and match plain torch."""

from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from labcheck.labs.boston import Boston
from labcheck.labs.curve import Curve
from labcheck.labs.sine import Sine
from labcheck.labs.supervised import StackedLab
from labcheck.labs.trig import Trig
from labcheck.nn.as_torch import as_torch
from labcheck.nn.compiled import training as compiled_training
from labcheck.nn.model import Model
from labcheck.nn.scratch.losses import Hinge
from labcheck.nn.torch_model import TorchModel
from labcheck.nn.training import Recipe
from tests.helpers.labs import equal

SHORT: dict[str, StackedLab] = {
    "boston": Boston(epochs=3),
    "boston-seed": Boston(epochs=3, split="seed", optimizer="adam"),
    "trig": Trig(max_epochs=3),
    "trig-plain": Trig(
        max_epochs=3, norm=False, output_activation=False, init="default", optimizer="adam", split="seed", samples=1000
    ),
    "sine": Sine(epochs=2, samples=300),
    "sine-scheduled": Sine(epochs=3, samples=300, net="deep", scheduled=True, every=1, standardized=True),
    "curve": Curve(epochs=120),
    "curve-user": Curve(epochs=12, function=np.sin, hidden=(8, 8), activation="tanh", optimizer="sgd"),
}
every_lab = pytest.mark.parametrize("lab", SHORT.values(), ids=SHORT)


# seeds


@pytest.mark.slow
@every_lab
def test_training_is_reproducible_to_bit(lab: StackedLab):
    assert equal(lab.train(range(4)), lab.train(range(4)))


@every_lab
def test_seeds_have_different_errors(lab: StackedLab):
    trials = lab.train(range(4))
    errors = [name for name in trials.metrics if name.endswith("_mse") and "mean" not in name]
    assert len(errors) > 1
    assert all(len(np.unique(trials.metrics[name])) == 4 for name in errors)


@pytest.mark.slow
@every_lab
def test_result_of_seed_does_not_depend_on_others(lab: StackedLab):
    together, alone = lab.train(range(4)), lab.train([2])
    assert equal(together.rows(2, 3), alone)


@every_lab
def test_initial_weights_depend_on_seed_only(lab: StackedLab):
    states = lab.model(range(3)).state
    assert torch.equal(states[2:], lab.model([2]).state)
    assert len(states.unique(dim=0)) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Sine(), Sine(lr=0.01, epochs=3, batch=10, scheduled=True, activation="tanh", optimizer="sgd")),
        (Curve(), Curve(lr=0.1, epochs=3, activation="relu", optimizer="sgd", function="g", noise=1.0)),
    ],
    ids=["sine", "curve"],
)
def test_arms_have_same_samples_and_initial_weights(one: StackedLab, other: StackedLab):
    for name, split in one.splits([5]).items():
        assert torch.equal(next(other.splits([5])[name].chunks()).x, next(split.chunks()).x)
    assert torch.equal(other.model([5]).state, one.model([5]).state)


# torch


@every_lab
def test_torch_module_predicts_like_network(lab: StackedLab):
    network, train = lab.network(range(2), torch.float64), next(lab.splits(range(2), torch.float64)["train"].chunks())
    predicted = network.predict(train.x)
    for k in range(2):
        torch.testing.assert_close(as_torch(network, k).eval()(train.x[k]), predicted[k].mT, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("lab", "widths"),
    [
        (Sine(), [1, 8, 16, 8, 1]),
        (Sine(net="deep"), [1, 8, 16, 32, 16, 8, 1]),
        (Sine(net="deep", deep=(5, 4)), [1, 5, 4, 1]),
        (Sine(net="shallow", shallow=(5,)), [1, 5, 1]),
        (Curve(), [1, 64, 64, 1]),
        (Curve(hidden=(10,)), [1, 10, 1]),
        (Curve(hidden=(32, 32)), [1, 32, 32, 1]),
        (Curve(hidden=()), [1, 1]),
    ],
)
def test_network_has_widths_of_settings(lab: StackedLab, widths: list[int]):
    linear = [layer for layer in as_torch(lab.network([0]), 0) if isinstance(layer, nn.Linear)]
    assert [linear[0].in_features, *(layer.out_features for layer in linear)] == widths


def plain_errors(lab: StackedLab, seed: int, batch: int, epochs: int, **options: Any) -> dict[str, float]:
    """Return the errors of one network after training it in a plain loop with Adam."""
    splits, [order] = lab.splits([seed], torch.float64), lab.orders([seed])
    model = as_torch(lab.network([seed], torch.float64), 0)
    optimizer = torch.optim.Adam(model.parameters(), **options)
    examples = {name: next(split.chunks()) for name, split in splits.items()}
    x, y = examples["train"].x[0], examples["train"].y[0]
    for _ in range(epochs):
        for index in order(len(x)).split(batch):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[index]), y[index]).backward()
            optimizer.step()
    return {
        f"{name}_mse": nn.functional.mse_loss(model(split.x[0]), split.y[0]).item() for name, split in examples.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lab", "training", "measured"),
    [
        (
            Sine(epochs=2),
            {"batch": 64, "epochs": 2, "lr": 1e-4, "weight_decay": 5e-4, "amsgrad": True},
            {"train_mse", "val_mse", "test_mse", "grid_mse"},
        ),
        (Curve(epochs=100), {"batch": 200, "epochs": 100, "lr": 0.01}, {"train_mse", "grid_mse"}),
        (
            Boston(epochs=2, optimizer="adam"),
            {"batch": 32, "epochs": 2, "lr": 0.001},
            {"val_mse", "test_mse"},
        ),
    ],
    ids=["sine", "curve", "boston"],
)
def test_training_matches_plain_loop(lab: StackedLab, training: dict[str, Any], measured: set[str]):
    trials = lab.train([7, 3], dtype=torch.float64)
    expected = plain_errors(lab, 3, **training)
    assert measured == trials.metrics.keys() & expected.keys()
    for name in measured:
        assert trials.metrics[name][1] == pytest.approx(expected[name], rel=1e-9)


# data and models


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Trig(), Trig(samples=100, split="seed", powers=3)),
        (Sine(), Sine(samples=50, standardized=True)),
        (Curve(), Curve(function=np.cos, noise=0.0)),
    ],
    ids=["trig", "sine", "curve"],
)
def test_arms_of_drawn_samples_have_same_data(one: StackedLab, other: StackedLab):
    assert one.data() == other.data()
    assert one.data().name == "drawn"
    assert not one.data().stand_in


@dataclass(frozen=True, kw_only=True)
class Shifted(Curve):
    """A lab with a setting that has no default."""

    name: ClassVar[str] = "shifted"

    shift: float

    def splits(self, seeds: Any, dtype: torch.dtype = torch.float32) -> Any:
        return {name: replace(split, y=split.y + self.shift) for name, split in super().splits(seeds, dtype).items()}


def test_data_of_drawn_samples_depends_on_required_setting():
    digests = {Shifted(shift=shift, lr=lr).data().digest for shift in (0.0, 1.0) for lr in (0.01, 0.1)}
    assert len(digests) == 2
    assert Curve().data().digest in digests


# compiled loops


def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_training, "_numba_problem", lambda: "Numba is not installed")


@every_lab
def test_compiled_loops_train_on_cpu_and_torch_on_gpu(lab: StackedLab):
    assert lab.stack("cpu") == 4
    assert lab.precision("cpu") == f"float32 compiled by Numba {metadata.version('numba')}"
    assert lab.stack("cuda") == 20
    assert lab.precision("cuda") == "float32"


@pytest.mark.slow
@every_lab
def test_torch_trains_without_numba(lab: StackedLab, monkeypatch: pytest.MonkeyPatch):
    compiled = lab.train(range(2), dtype=torch.float64)
    without_numba(monkeypatch)
    lab = replace(lab)  # forgets that it can be compiled
    assert (lab.stack("cpu"), lab.precision("cpu")) == (20, "float32")
    stacked = lab.train(range(2), dtype=torch.float64)
    for name, curve in stacked.curves.items():
        np.testing.assert_allclose(compiled.curves[name], curve, rtol=1e-8, err_msg=name)
    for name, metric in stacked.metrics.items():
        np.testing.assert_allclose(compiled.metrics[name], metric, rtol=1e-7, atol=1e-14, err_msg=name)


def test_wide_networks_train_alone_on_cpu():
    wide = Trig(hidden=(50, 500, 50))
    assert (wide.stack("cpu"), wide.stack("cuda")) == (1, 20)


def test_modules_and_other_losses_are_not_compiled():
    @dataclass(frozen=True, kw_only=True)
    class Module(Boston):
        def model(self, seeds: Any, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Model:
            return TorchModel(as_torch(self.network(seeds, dtype, device), 0))

    @dataclass(frozen=True, kw_only=True)
    class Robust(Boston):
        def recipe(self) -> Recipe:
            return replace(super().recipe(), loss=Hinge)

    for lab in (Module(), Robust()):
        assert (lab.stack("cpu"), lab.precision("cpu")) == (20, "float32")


class OneModel(Curve):
    """A lab that makes one model for all seeds."""

    def model(self, seeds: Any, *args: Any) -> Model:
        return super().model(seeds[:1], *args)


def test_lab_with_too_few_models_is_refused():
    message = r"^OneModel\.model must return one model per seed, 3, got 1; stack must return 1 if models are trained"
    with pytest.raises(ValueError, match=message):
        OneModel(epochs=2).train(range(3))
