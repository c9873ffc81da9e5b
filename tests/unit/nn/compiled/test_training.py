"""Tests of the Python side of compiled training."""

import os
import subprocess
import sys
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from labcheck.data.examples import Examples
from labcheck.nn.compiled import training
from labcheck.nn.compiled.training import CompiledTraining, unsupported
from labcheck.nn.model import Model
from labcheck.nn.scratch.activations import ELU, LeakyReLU, LogSoftmax, ReLU, Softmax, Tanh
from labcheck.nn.scratch.layers import BatchNorm, Layer, Linear
from labcheck.nn.scratch.losses import MSE, BinaryCrossEntropy, CrossEntropy, Huber, Loss
from labcheck.nn.scratch.network import Network
from labcheck.nn.scratch.optimizers import LBFGS, SGD, Adam, Optimizer
from labcheck.nn.student import Student
from tests.helpers.nets import network, normal
from tests.unit.nn.compiled.twins import Twins, chain


def net(*layers: Layer, models: int = 2, dtype: torch.dtype = torch.float64) -> Network:
    return network(list(layers), models, dtype)


# what is supported


class OwnReLU(ReLU):
    pass


class OwnMSE(MSE):
    pass


class OwnSGD(SGD):
    pass


class OwnNetwork(Network):
    pass


def linear() -> Linear:
    return Linear(3, 3)


UNSUPPORTED_LAYERS: dict[str, list[Layer]] = {
    "there is no compiled Softmax": [linear(), Softmax()],
    "there is no compiled LogSoftmax": [linear(), LogSoftmax()],
    "there is no compiled OwnReLU": [linear(), OwnReLU()],
    "a layer with 4 inputs follows one with 3 outputs": [linear(), Linear(4, 2)],
    "a layer with 5 inputs follows one with 3 outputs": [linear(), BatchNorm(5, True)],
    "an activation does not follow a layer with parameters": [linear(), Tanh(), Tanh()],
    "the slope of LeakyReLU, 1.5, is not between 0 and 1": [linear(), LeakyReLU(1.5)],
    "alpha of ELU, -0.5, is negative": [linear(), ELU(-0.5)],
}


@pytest.mark.parametrize("reason", UNSUPPORTED_LAYERS)
def test_unsupported_layers_have_reasons(reason: str) -> None:
    assert unsupported(net(*UNSUPPORTED_LAYERS[reason]), MSE(), SGD()) == reason


def test_activation_as_first_layer_is_not_supported() -> None:
    assert "does not follow" in unsupported(net(ReLU(), linear()), MSE(), SGD())
    assert "does not follow" in unsupported(net(ReLU()), MSE(), SGD())


@pytest.mark.parametrize("loss", [OwnMSE(), CrossEntropy(), BinaryCrossEntropy()])
def test_other_losses_are_not_supported(loss: Loss) -> None:
    assert unsupported(net(linear()), loss, SGD()) == f"there is no compiled {type(loss).__name__}"


@pytest.mark.parametrize("optimizer", [OwnSGD(), LBFGS()])
def test_other_optimizers_are_not_supported(optimizer: Optimizer) -> None:
    assert unsupported(net(linear()), MSE(), optimizer) == f"there is no compiled {type(optimizer).__name__}"


def test_other_models_are_not_supported() -> None:
    own: Model = OwnNetwork([linear()], [torch.Generator()])
    assert unsupported(own, MSE(), SGD()) == "OwnNetwork is not a Network"
    assert unsupported(Student.like(net(linear(), models=1)), MSE(), SGD()) == "Student is not a Network"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_precisions_are_not_supported(dtype: torch.dtype) -> None:
    model = net(linear())
    model.bind(model.state.to(dtype))
    assert unsupported(model, MSE(), SGD()) == f"there are no kernels for {dtype}"


def test_other_devices_are_not_supported() -> None:
    model = net(linear())
    model.bind(model.state.to("meta"))
    assert unsupported(model, MSE(), SGD()) == "the model is on the device meta, not on the CPU"


def test_supported_training_has_no_reason() -> None:
    assert unsupported(net(linear(), BatchNorm(3, True), ReLU()), Huber(), Adam()) == ""


def test_unsupported_training_raises_error() -> None:
    with pytest.raises(ValueError, match="no compiled OwnSGD"):
        CompiledTraining(net(linear()), MSE(), OwnSGD())


# Numba


@pytest.fixture
def _asked_again() -> Any:
    """Ask again whether Numba can be used, during the test and after it."""
    training._numba_problem.cache_clear()
    yield
    training._numba_problem.cache_clear()


@pytest.mark.usefixtures("_asked_again")
@pytest.mark.parametrize(("version", "problem"), [("0.59.1", "Numba 0.59.1 is older than 0.60"), ("1.0.0rc1", "")])
def test_version_of_numba_is_checked(version: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    assert unsupported(net(linear()), MSE(), SGD()) == problem


@pytest.mark.usefixtures("_asked_again")
def test_missing_numba_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert unsupported(net(linear()), MSE(), SGD()) == "Numba is not installed"


@pytest.mark.usefixtures("_asked_again")
def test_failing_import_of_numba_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "labcheck.nn.compiled.epoch", None)
    assert "does not work" in unsupported(net(linear()), MSE(), SGD())


def run(code: str, **environment: str) -> str:
    """Run a program, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.slow
def test_import_does_not_import_numba() -> None:
    assert run("import sys, labcheck.nn.compiled.training; print('numba' in sys.modules)") == "False\n"


TRAINING = """
import torch
from labcheck.nn.compiled.training import CompiledTraining
from labcheck.nn.scratch.losses import MSE
from labcheck.nn.scratch.optimizers import SGD
from labcheck.nn.scratch.network import Network, mlp
from labcheck.data.examples import Examples
dtype = torch.{}
rng = torch.Generator().manual_seed(0)
layers = mlp([2, 10, 100, 10, 1], activation="tanh", norm=True, norm_last=True, output_norm=True, running=False)
network = Network(layers, [rng], dtype)
split = Examples(*(torch.rand(1, 300, size, generator=rng).to(dtype) for size in (2, 1)))
training = CompiledTraining(network, MSE(), SGD(0.9))
for epoch in range(5):
    order = torch.randperm(300, generator=rng).unsqueeze(0)
    loss = training.train_epoch(split, order, 64, torch.full((1,), 0.1, dtype=torch.float64))
print(network.state.double().sum().item().hex(), loss["loss"].dtype)
"""


@pytest.mark.slow
def test_parallel_processes_compile_once_and_agree(tmp_path: Path) -> None:
    """They start without stored kernels, and need those of two precisions; half of them load what others compile."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAINING.format(dtype)], env=environment, stdout=subprocess.PIPE, text=True
        )
        for dtype in ("float32", "float64") * 2
    ]
    printed = [process.communicate()[0].split() for process in processes]
    assert [dtype for _, dtype in printed] == ["torch.float32", "torch.float64"] * 2
    assert printed[:2] == printed[2:]
    assert len(list(tmp_path.rglob("*train_epoch*.nbc"))) == 2


# wrong calls


def test_wrong_shapes_and_precisions_raise_errors() -> None:
    twins = Twins(chain([3, 4, 2]), models=2)
    split, lrs, order = twins.examples(10), torch.zeros(2, dtype=torch.float64), torch.arange(10).repeat(2, 1)
    train = twins.training.train_epoch
    with pytest.raises(ValueError, match="inputs should be"):
        train(Examples(split.x[:, :, :2], split.y), order, 4, lrs)
    with pytest.raises(ValueError, match="targets should be"):
        train(Examples(split.x, split.y[:, :9]), order, 4, lrs)
    with pytest.raises(ValueError, match="float32"):
        train(Examples(split.x.float(), split.y), order, 4, lrs)
    for wrong in (None, order[:1]):
        with pytest.raises(ValueError, match="an order and a learning rate"):
            train(split, wrong, 4, lrs)
    for size in (4, 100):
        with pytest.raises(ValueError, match="a learning rate"):
            train(split, order, size, lrs[:1])
    for index in (-1, 10):
        with pytest.raises(ValueError, match="indices"):
            train(split, order.clone().fill_(index), 4, lrs)
    with pytest.raises(ValueError, match="examples should be"):
        twins.predict(split.x[:1])


def test_state_with_gaps_raises_error() -> None:
    twins = Twins(chain([3, 2]), models=2)
    twins.compiled.bind(twins.compiled.state.mT.contiguous().mT)
    with pytest.raises(ValueError, match="without gaps"):
        twins.predict(normal(2, 5, 3))


# shared memory


def test_bind_between_epochs_is_respected() -> None:
    """As when the weights with the lowest loss are restored."""
    twins = Twins(chain([2, 6, 1], lambda features: ReLU()), Adam)
    split = twins.examples(30)
    states = []
    for _ in range(3):
        twins.train(split, 7)
        states.append(twins.compiled.state.clone())
    for before, after in pairwise(states):
        assert not torch.equal(before, after)
    for model in (twins.scratch, twins.compiled):
        model.bind(states[0].clone())
    twins.compare_predictions(split.x)
    twins.train(split, 7)


def test_training_continues_in_new_object() -> None:
    twins = Twins(chain([2, 6, 1], lambda features: ReLU()), Adam)
    split = twins.examples(30)
    twins.train(split, 7)
    twins.training = CompiledTraining(twins.compiled, MSE(), twins.compiled_optimizer)
    twins.train(split, 7)


def test_full_batches_of_one_feature_are_not_copied() -> None:
    twins = Twins(chain([1, 6, 1]), models=2)
    split = twins.examples(30)
    twins.train(split, 30)
    x, y = twins.training._examples(split)
    assert [x.ctypes.data, y.ctypes.data] == [split.x.data_ptr(), split.y.data_ptr()]


def test_copies_of_examples_are_reused() -> None:
    twins = Twins(chain([3, 6, 1]), models=2)
    split = twins.examples(30)
    twins.train(split, 30)
    x, _ = twins.training._examples(split)
    twins.train(split, 30)
    assert twins.training._examples(split)[0] is x
    twins.train(twins.examples(30, seed=5), 30)
    assert twins.training._examples(split)[0] is not x
