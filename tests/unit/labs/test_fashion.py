"""The lab fashion: its three engines, batch sizes and initial weights."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from labcheck import DataError, Trials
from labcheck.data.examples import generators
from labcheck.data.images import ImageSet
from labcheck.engine import environment
from labcheck.labs.fashion import Fashion
from labcheck.nn.as_torch import as_torch
from tests.helpers.labs import FASHION, check_curves, plain_epochs, plain_examples, plain_scores, random_images

TRAININGS: dict[str, dict[str, Any]] = {
    "report": {},
    "margin": {"loss": "multi_margin", "init": "kaiming_normal", "batch": 300, "lr": 0.3},
    "tanh": {
        "activation": "tanh",
        "optimizer": "adam",
        "lr": 0.002,
        "init": "xavier_normal",
        "batch": 2000,
        "epochs": 2,
    },
}
every_training = pytest.mark.parametrize("settings", TRAININGS.values(), ids=TRAININGS)


# training


@every_training
def test_training_matches_plain_loop(settings: dict[str, Any]):
    lab = replace(FASHION, **settings)
    trials = lab.train([2, 7], dtype=torch.float64)
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[lab.activation]
    net: nn.Module = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), activation(), nn.Linear(4, 10)).double()
    start = as_torch(lab.network([7], torch.float64), 0)
    net.load_state_dict(dict(zip(net.state_dict(), start.state_dict().values(), strict=True)))
    optimizers: dict[str, Callable[..., torch.optim.Optimizer]] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    optimizer = optimizers[lab.optimizer](net.parameters(), lr=lab.lr)
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "cross_entropy": functional.cross_entropy,
        "multi_margin": functional.multi_margin_loss,
    }
    loss = losses[lab.loss]
    train, test = (plain_examples(split) for split in lab.splits([7]).values())
    assert (len(train[0]), len(test[0])) == (4000, 1000)
    epochs = plain_epochs(net, train, optimizer, lab.batch, generators([7], "order"), loss)
    check_curves(trials, 1, "test", [[*next(epochs), *plain_scores(net, test, loss)] for _ in range(lab.epochs)])
    assert trials.metrics["test_accuracy"][1] == pytest.approx(trials.curves["test_accuracy"][1, -1])


def check_close(actual: Trials, expected: Trials) -> None:
    groups = ((actual.metrics, expected.metrics), (actual.curves, expected.curves), (actual.tables, expected.tables))
    for ours, theirs in groups:
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-8, atol=1e-12, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("loader", [False, True])
@every_training
def test_torch_trains_like_scratch_from_same_weights(settings: dict[str, Any], loader: bool):
    scratch, torch_ = (
        replace(FASHION, **settings, engine=engine, loader=loader).train([2, 7], dtype=torch.float64)
        for engine in ("scratch", "torch")
    )
    check_close(torch_, scratch)


@pytest.mark.parametrize("loader", [False, True])
@pytest.mark.parametrize(
    "settings", [{"epochs": 2}, {"loss": "multi_margin", "init": "default", "batch": 300, "lr": 0.3}], ids=str
)
def test_student_trains_like_scratch_from_same_weights(settings: dict[str, Any], loader: bool):
    scratch, student = (
        replace(FASHION, **settings, engine=engine, loader=loader).train([2, 7], dtype=torch.float64)
        for engine in ("scratch", "student")
    )
    check_close(student, scratch)


@pytest.mark.parametrize("engine", ["scratch", "student", "torch"])
@pytest.mark.parametrize("loader", [False, True])
def test_student_and_torch_use_loader_if_set(engine: str, loader: bool, monkeypatch: pytest.MonkeyPatch):
    lengths = []
    iterate = DataLoader.__iter__

    def spy(self: DataLoader) -> Iterator[Any]:
        lengths.append(len(self))
        return iterate(self)

    monkeypatch.setattr(DataLoader, "__iter__", spy)
    replace(FASHION, engine=engine, loader=loader, epochs=2).train([0])
    assert lengths == ([16, 16] if loader and engine != "scratch" else [])


@pytest.mark.parametrize("settings", [{"activation": "tanh"}, {"momentum": 0.9}], ids=str)
def test_student_refuses_what_textbook_lacks(settings: dict[str, Any]):
    message = r"^fashion\.activation and momentum must be 'relu' and 0 if fashion\.engine is 'student', got "
    with pytest.raises(ValueError, match=message):
        Fashion(engine="student", **settings)


def test_student_has_sgd_only():
    with pytest.raises(ValueError, match=r"^fashion\.optimizer must be one of sgd, got 'adam'$"):
        Fashion(engine="student", optimizer="adam")


# data, settings and initial weights


def test_data_set_without_test_set_is_refused(use_images: Callable[[ImageSet], None]):
    use_images(random_images(20, 0))
    with pytest.raises(DataError, match=r"^Fashion\.dataset must have a test set, which random lacks$"):
        FASHION.train([0])


def test_smallest_batch_replaces_batch():
    assert Fashion(batch=400).recipe().batch == 400
    assert Fashion(batch=400, smallest=True).recipe().batch == 64
    assert Fashion(smallest=True, smallest_batch=32).recipe().batch == 32


def test_default_initialization_is_that_of_torch():
    net: Any = as_torch(Fashion(engine="torch", init="default").network([3]), 0)
    for layer in (net[0], net[2]):
        bound = layer.in_features**-0.5
        for parameter in layer.parameters():
            assert 0.7 * bound < parameter.abs().max() <= bound


def test_network_starts_with_small_weights_and_no_biases():
    net: Any = as_torch(Fashion().network([0]), 0)
    assert net[0].weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert (net[0].bias == 0).all()
    assert (net[2].bias == 0).all()


@pytest.mark.parametrize("fast", [False, True])
def test_network_without_convolutions_uses_float32(fast: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(environment, "multiplies_bfloat16", lambda device: fast)
    assert FASHION.precision("cpu") == "float32"
