"""The lab trig: its split, initial weights and training, and the replay of the report's only run."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from labcheck.labs.trig import Trig
from labcheck.nn.as_torch import as_torch
from labcheck.nn.scratch.layers import BatchNorm, Linear
from tests.helpers.labs import loader_orders

WIDTHS = (2, 10, 100, 10, 1)
REPLAY = Trig(stream="report", max_epochs=2)


def script_layers() -> list[nn.Linear]:
    """Return the linear layers of the report's script, drawn from torch's own generator as in the script."""
    torch.manual_seed(0)
    torch.rand(5000)
    torch.randperm(5000)
    layers = [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(WIDTHS)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return layers


def weights(lab: Trig, seed: int = 0) -> list[Tensor]:
    """Return the weights of the linear layers of a seed."""
    return [layer.values[0][0] for layer in lab.network([seed]).layers if isinstance(layer, Linear)]


# initial weights of arms


@pytest.mark.parametrize("init", ["xavier_uniform", "kaiming_normal", "default"])
@pytest.mark.parametrize(
    ("settings", "shared"),
    [
        ({"norm": False}, [0, 1, 2, 3]),
        ({"norm_last": False, "norm": False}, [0, 1, 2, 3]),
        ({"norm_last": False}, [0, 1, 2, 3]),  # without biases, since a BatchNorm follows
        ({"activation": "tanh", "optimizer": "adam", "lr": 1.0}, [0, 1, 2, 3]),
        ({"powers": 1}, [1, 2, 3]),
        ({"hidden": (10, 100)}, [0, 1]),
        ({"hidden": (10, 500, 10)}, [0, 3]),
        ({"hidden": (10, 100, 20)}, [0, 1]),
        ({"hidden": (50, 100, 10)}, [2, 3]),
    ],
    ids=str,
)
def test_arms_start_alike_in_shared_layers(settings: dict[str, Any], shared: list[int], init: str):
    one, other = weights(Trig(init=init), 3), weights(Trig(init=init, **settings), 3)
    assert [i for i, weight in enumerate(one) if any(torch.equal(weight, each) for each in other)] == shared


@pytest.mark.parametrize("hidden", [(10,), (10, 100, 10, 100, 10), (10, 100, 100, 100, 100, 100, 10)])
def test_first_and_output_layer_start_alike_at_any_depth(hidden: tuple[int, ...]):
    one, other = weights(Trig()), weights(Trig(hidden=hidden))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[-1], other[-1])


@pytest.mark.parametrize("init", ["xavier_uniform", "default"])
def test_biases_start_alike_with_and_without_norm(init: str):
    one, other = (Trig(init=init, norm=norm).network([5]).layers for norm in (True, False))
    biases = [[layer.values[1] for layer in layers if isinstance(layer, Linear)] for layers in (one, other)]
    assert all(torch.equal(a, b) for a, b in zip(*biases, strict=True))
    assert any(bias.any() for bias in biases[0]) == (init == "default")


# splits


def test_report_split_has_printed_mean_square():
    """The first row of Table 1 has the validation error 1.07809 of a network whose output is always 0."""
    splits = Trig().splits([0, 7], torch.float64)
    assert splits["val"].y.square().mean((1, 2)).tolist() == pytest.approx([1.0780962] * 2, abs=5e-8)
    assert {name: split.x.shape for name, split in splits.items()} == {
        "train": (2, 3000, 2), "val": (2, 1000, 2), "test": (2, 1000, 2), "grid": (2, 10_000, 2),
    }  # fmt: skip
    for split in splits.values():
        assert torch.equal(split.x[0], split.x[1])


def test_split_of_seed_differs_between_seeds():
    splits = Trig(split="seed").splits([0, 7])
    assert not torch.equal(splits["val"].y[0], splits["val"].y[1])
    assert torch.equal(Trig(split="seed").splits([7])["val"].y[0], splits["val"].y[1])


def test_report_split_is_drawn_first_from_torch_seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = 2 * torch.pi * torch.rand(5000)
        x = x[torch.randperm(5000)].double()
    y = x.sin() + x.cos() + x.sin() * x.cos()
    splits = Trig().splits([0], torch.float64)
    standardized = (x - x.mean()) / x.std()
    for name, rows in {"train": slice(3000), "val": slice(3000, 4000), "test": slice(4000, None)}.items():
        torch.testing.assert_close(splits[name].y[0, :, 0], y[rows], rtol=1e-6, atol=1e-6)
        expected = torch.stack([standardized[rows], standardized[rows] ** 2], 1)
        torch.testing.assert_close(splits[name].x[0], expected, rtol=1e-6, atol=1e-6)


# the replay


def test_replay_has_weights_of_script():
    with torch.random.fork_rng():
        layers = script_layers()
    linear = [layer for layer in REPLAY.network([0]).layers if isinstance(layer, Linear)]
    for ours, theirs in zip(linear, layers, strict=True):
        assert torch.equal(ours.values[0][0], theirs.weight)
        assert torch.equal(ours.values[1][0, :, 0], theirs.bias)


def test_replay_has_batches_of_script():
    with torch.random.fork_rng():
        script_layers()
        expected = loader_orders(3000, 64, 3)
    for order in REPLAY.orders([0, 4]):
        assert [order(3000).tolist() for _ in range(3)] == expected


@pytest.mark.parametrize("seed", [1, 5])
def test_seed_of_replay_is_rounding(seed: int):
    first, *others = weights(REPLAY)
    scaled, *same = weights(REPLAY, seed)
    assert torch.equal(scaled, first * (1 + seed * 2.0**-23))
    assert not torch.equal(scaled, first)
    assert all(torch.equal(a, b) for a, b in zip(others, same, strict=True))
    assert torch.equal(REPLAY.network([0, seed]).state[1], REPLAY.network([seed]).state[0])


def test_replay_starts_alike_in_any_precision():
    assert torch.equal(REPLAY.network([0, 3], torch.float64).state, REPLAY.network([0, 3]).state.double())


def test_replay_without_report_split_is_refused():
    with pytest.raises(ValueError, match=r"^trig\.split must be 'report' if trig\.stream is 'report', got 'seed'$"):
        Trig(stream="report", split="seed")


def test_replay_matches_plain_loop():
    splits = REPLAY.splits([0], torch.float64)
    x, y = splits["train"].x[0], splits["train"].y[0]
    with torch.random.fork_rng():
        layers = script_layers()
        loader = DataLoader(TensorDataset(torch.arange(len(x))), batch_size=64, shuffle=True)
        modules: list[nn.Module] = []
        for layer in layers:
            modules += [layer, nn.ReLU(), nn.BatchNorm1d(layer.out_features, track_running_stats=False)]
        model = nn.Sequential(*modules).double()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        losses = []
        for _ in range(2):
            for [index] in loader:
                optimizer.zero_grad()
                nn.functional.mse_loss(model(x[index]), y[index]).backward()
                optimizer.step()
            with torch.no_grad():
                losses.append(nn.functional.mse_loss(model(splits["val"].x[0]), splits["val"].y[0]).item())
    curve = REPLAY.train([0], dtype=torch.float64).curves["val_loss"][0]
    assert curve.tolist() == pytest.approx(losses, rel=0, abs=1e-9)


# settings


@pytest.mark.parametrize(
    "setting",
    [
        *({"init": "xavier_normal"}, {"samples": 1000}, {"batch": 32}, {"split": "seed"}, {"norm_last": False}),
        *({"output_activation": False}, {"output_norm": False}, {"running": True}, {"stream": "report"}),
        *({"lr": 0.01}, {"powers": 1}, {"momentum": 0.0}, {"activation": "tanh"}, {"norm": False}),
    ],
    ids=str,
)
def test_setting_changes_training(setting: dict[str, Any]):
    def error(**settings: Any) -> float:
        return float(Trig(max_epochs=1, **settings).train([0]).metrics["val_mse"][0])

    assert error() != error(**setting)


def test_widths_may_be_list():
    one, other = (Trig.configure("quick", {"hidden": widths}) for widths in ([5, 5], (5, 5)))
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)


# schedule and metrics


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"patience": 0, "least_lr": 0.0}, [1, 1, 0.1, 0.01, 0.001, 0.0001]),
        ({"patience": 1, "least_lr": 0.0}, [1, 1, 1, 0.1, 0.1, 0.01]),
        ({"patience": 0, "least_lr": 2e-5}, [1, 1, 0.1, 0.02, 0.02, 0.02]),
        ({"schedule": "constant"}, [1] * 6),
    ],
)
def test_learning_rate_falls_to_least_one(settings: dict[str, Any], rates: list[float]):
    """The loss of a dead network does not change: its output is the ReLU of a negative number."""
    dead = Trig(init="zeros", norm=False, max_epochs=6, stop_lr=0.0, lr=1e-3, samples=100, **settings)
    assert dead.train([0]).curves["lr"][0] == pytest.approx(np.array(rates) * 1e-3, rel=1e-12)


def test_training_stops_when_checked_rate_is_below_threshold():
    trials = Trig(max_epochs=300, samples=500).train(range(5))
    for rates, epochs in zip(trials.curves["lr"], trials.metrics["epochs"].astype(int), strict=True):
        assert epochs % 10 == 1
        assert rates[epochs - 1] < 1e-3
        assert np.isnan(rates[epochs:]).all()
        assert (rates[: epochs - 10] > 1e-4).all()
        assert rates[epochs - 11] == pytest.approx(1e-4)  # 1.0000000000000003e-4 is not below the threshold


def test_metrics_are_consistent():
    trials = Trig(max_epochs=30, samples=500, train_curve=True).train(range(4))
    metrics = trials.metrics
    np.testing.assert_allclose(metrics["val_mse"], trials.curves["val_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(metrics["train_mse"], trials.curves["train_loss"][:, -1], rtol=1e-5)
    assert metrics["gap"] == pytest.approx(metrics["val_mse"] - metrics["train_mse"], abs=1e-7)
    assert (metrics["grid_min"] <= metrics["grid_mse"]).all()
    assert (metrics["grid_mse"] <= metrics["grid_max"]).all()
    assert ((metrics["grid_below"] >= 0) & (metrics["grid_below"] <= 1)).all()


def test_gap_of_replay_is_validation_minus_training_error():
    metrics = REPLAY.train([0]).metrics
    assert metrics["gap"] == pytest.approx(metrics["val_mse"] - metrics["train_mse"], abs=1e-7)


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_first_gradient_matches_autograd(norm: bool, running: bool):
    lab = Trig(norm=norm, running=running, max_epochs=1, samples=500)
    train = lab.splits([0, 4], torch.float64)["train"]
    measured = lab.train([0, 4], dtype=torch.float64).metrics["first_gradient"]
    for k, seed in enumerate([0, 4]):
        model = as_torch(lab.network([seed], torch.float64), 0)
        nn.functional.mse_loss(model(train.x[k]), train.y[k]).backward()
        first = model[0].weight
        assert isinstance(first, Tensor)
        assert first.grad is not None
        assert measured[k] == pytest.approx(first.grad.norm().item(), rel=1e-9)


def test_inspect_restores_running_averages():
    lab = Trig(running=True, samples=500)
    network = lab.network([0])
    before = network.state.clone()
    lab.inspect(network, lab.splits([0]))
    assert any(isinstance(layer, BatchNorm) for layer in network.layers)
    assert torch.equal(network.state, before)
