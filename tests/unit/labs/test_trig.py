"""Trig as its report ran it: its split, its only stream of random numbers, and its training, against plain torch."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from labcheck.data.examples import loader_shuffled, shuffled, substream
from labcheck.labs.trig import Trig
from labcheck.nn.as_torch import as_torch
from labcheck.nn.scratch.layers import BatchNorm, Linear

WIDTHS = (2, 10, 100, 10, 1)
REPLAY = Trig(stream="report", max_epochs=2)


def as_reported() -> list[nn.Linear]:
    """The linear layers of the report's script, drawn from torch's own stream as it draws them."""
    torch.manual_seed(0)
    torch.rand(5000)
    torch.randperm(5000)
    layers = [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(WIDTHS)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return layers


def weights(lab: Trig, seed: int = 0) -> list[Tensor]:
    """The weights of a seed's linear layers."""
    return [layer.values[0][0] for layer in lab.network([seed]).layers if isinstance(layer, Linear)]


def orders_of_a_loader(n: int, batch: int, epochs: int) -> list[list[int]]:
    """The orders in which a shuffling loader gives n examples, from torch's own stream."""
    loader = DataLoader(TensorDataset(torch.arange(n)), batch_size=batch, shuffle=True)
    return [torch.cat([x for [x] in loader]).tolist() for _ in range(epochs)]


# streams


@pytest.mark.parametrize(("n", "batch", "seed"), [(10, 3, 0), (3000, 64, 1), (1, 1, 2), (7, 100, 3)])
def test_orders_are_those_of_a_shuffling_loader(n: int, batch: int, seed: int) -> None:
    order = loader_shuffled(torch.Generator().manual_seed(seed))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        expected = orders_of_a_loader(n, batch, 4)
    assert [order(n).tolist() for _ in range(4)] == expected


def test_orders_differ_from_epoch_to_epoch() -> None:
    for order in (shuffled(torch.Generator().manual_seed(0)), loader_shuffled(torch.Generator().manual_seed(0))):
        one, two = order(50), order(50)
        assert sorted(one.tolist()) == sorted(two.tolist()) == list(range(50))
        assert not torch.equal(one, two)


def test_a_substream_depends_on_seed_and_name_only() -> None:
    def draws(seed: int, name: str, before: int = 0) -> list[float]:
        rng = torch.Generator().manual_seed(seed)
        torch.rand(before, generator=rng)
        return torch.rand(3, generator=substream(rng, name)).tolist()

    assert draws(1, "output") == draws(1, "output", before=7)
    several = [draws(seed, name) for seed in (1, 2) for name in ("output", "hidden 1", "hidden 2")]
    assert len({tuple(drawn) for drawn in several}) == 6
    rng = torch.Generator().manual_seed(1)
    substream(rng, "output")
    assert torch.equal(torch.rand(3, generator=rng), torch.rand(3, generator=torch.Generator().manual_seed(1)))


# pairing


@pytest.mark.parametrize("init", ["xavier_uniform", "kaiming_normal", "default"])
@pytest.mark.parametrize(
    ("settings", "shared"),
    [
        ({"norm": False}, [0, 1, 2, 3]),
        ({"norm_last": False, "norm": False}, [0, 1, 2, 3]),
        ({"norm_last": False}, [0, 1, 2, 3]),  # no bias where a BatchNorm follows
        ({"activation": "tanh", "optimizer": "adam", "lr": 1.0}, [0, 1, 2, 3]),
        ({"powers": 1}, [1, 2, 3]),
        ({"hidden": (10, 100)}, [0, 1]),
        ({"hidden": (10, 500, 10)}, [0, 3]),
        ({"hidden": (10, 100, 20)}, [0, 1]),
        ({"hidden": (50, 100, 10)}, [2, 3]),
    ],
    ids=str,
)
def test_arms_start_alike_in_the_layers_that_they_share(settings: dict[str, Any], shared: list[int], init: str) -> None:
    one, other = weights(Trig(init=init), 3), weights(Trig(init=init, **settings), 3)
    same = [i for i, weight in enumerate(one) if any(torch.equal(weight, each) for each in other)]
    assert same == shared


@pytest.mark.parametrize("hidden", [(10,), (10, 100, 10, 100, 10), (10, 100, 100, 100, 100, 100, 10)])
def test_the_output_starts_alike_at_any_depth(hidden: tuple[int, ...]) -> None:
    one, other = weights(Trig()), weights(Trig(hidden=hidden))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[-1], other[-1])


@pytest.mark.parametrize("init", ["xavier_uniform", "default"])
def test_biases_start_alike_with_and_without_norm(init: str) -> None:
    one, other = (Trig(init=init, norm=norm).network([5]).layers for norm in (True, False))
    biases = [[layer.values[1] for layer in layers if isinstance(layer, Linear)] for layers in (one, other)]
    assert all(torch.equal(a, b) for a, b in zip(*biases, strict=True))
    assert any(bias.any() for bias in biases[0]) == (init == "default")


# the report's split


def test_the_report_s_split_has_the_printed_mean_square() -> None:
    """A net whose output is always 0 has the validation error 1.07809, cut, in the first row of Table 1."""
    parts = Trig().splits([0, 7], torch.float64)
    assert parts["val"].y.square().mean((1, 2)).tolist() == pytest.approx([1.0780962] * 2, abs=5e-8)
    assert {name: part.x.shape for name, part in parts.items()} == {
        "train": (2, 3000, 2), "val": (2, 1000, 2), "test": (2, 1000, 2), "grid": (2, 10_000, 2),
    }  # fmt: skip
    for part in parts.values():
        assert torch.equal(part.x[0], part.x[1])


def test_a_split_of_its_own_differs_from_seed_to_seed() -> None:
    parts = Trig(split="seed").splits([0, 7])
    assert not torch.equal(parts["val"].y[0], parts["val"].y[1])
    assert torch.equal(Trig(split="seed").splits([7])["val"].y[0], parts["val"].y[1])


def test_the_report_s_split_is_of_torch_s_first_draws() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = 2 * torch.pi * torch.rand(5000)
        x = x[torch.randperm(5000)].double()
    y = x.sin() + x.cos() + x.sin() * x.cos()
    parts = Trig().splits([0], torch.float64)
    standardized = (x - x.mean()) / x.std()
    for name, part in {"train": slice(3000), "val": slice(3000, 4000), "test": slice(4000, None)}.items():
        torch.testing.assert_close(parts[name].y[0, :, 0], y[part], rtol=1e-6, atol=1e-6)
        expected = torch.stack([standardized[part], standardized[part] ** 2], 1)
        torch.testing.assert_close(parts[name].x[0], expected, rtol=1e-6, atol=1e-6)


# the replay


def test_a_replay_has_the_weights_of_the_report_s_script() -> None:
    with torch.random.fork_rng():
        layers = as_reported()
    net = REPLAY.network([0])
    linear = [layer for layer in net.layers if isinstance(layer, Linear)]
    for ours, theirs in zip(linear, layers, strict=True):
        assert torch.equal(ours.values[0][0], theirs.weight)
        assert torch.equal(ours.values[1][0, :, 0], theirs.bias)


def test_a_replay_takes_the_batches_of_the_report_s_script() -> None:
    with torch.random.fork_rng():
        as_reported()
        expected = orders_of_a_loader(3000, 64, 3)
    for order in REPLAY.orders([0, 4]):
        assert [order(3000).tolist() for _ in range(3)] == expected


@pytest.mark.parametrize("seed", [1, 5])
def test_a_seed_of_a_replay_is_a_rounding(seed: int) -> None:
    first, *others = weights(REPLAY)
    scaled, *same = weights(REPLAY, seed)
    assert torch.equal(scaled, first * (1 + seed * 2.0**-23))
    assert not torch.equal(scaled, first)
    assert all(torch.equal(a, b) for a, b in zip(others, same, strict=True))
    assert torch.equal(REPLAY.network([0, seed]).state[1], REPLAY.network([seed]).state[0])


def test_a_replay_starts_alike_in_any_precision() -> None:
    assert torch.equal(REPLAY.network([0, 3], torch.float64).state, REPLAY.network([0, 3]).state.double())


def test_a_replay_needs_the_report_s_split() -> None:
    with pytest.raises(ValueError, match=r"^trig\.stream 'report' needs trig\.split 'report', got 'seed'$"):
        Trig(stream="report", split="seed")


def test_a_replay_trains_as_a_plain_loop_does() -> None:
    parts = REPLAY.splits([0], torch.float64)
    x, y = parts["train"].x[0], parts["train"].y[0]
    with torch.random.fork_rng():
        layers = as_reported()
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
                losses.append(nn.functional.mse_loss(model(parts["val"].x[0]), parts["val"].y[0]).item())
    curve = REPLAY.train([0], dtype=torch.float64).curves["val_loss"][0]
    assert curve.tolist() == pytest.approx(losses, rel=0, abs=1e-9)


# settings and metrics


@pytest.mark.parametrize(
    "setting",
    [
        *({"init": "xavier_normal"}, {"samples": 1000}, {"batch": 32}, {"split": "seed"}, {"norm_last": False}),
        *({"output_activation": False}, {"output_norm": False}, {"running": True}, {"stream": "report"}),
        *({"lr": 0.01}, {"powers": 1}, {"momentum": 0.0}, {"activation": "tanh"}, {"norm": False}),
    ],
    ids=str,
)
def test_settings_of_trig_change_what_is_trained(setting: dict[str, Any]) -> None:
    def error(**given: Any) -> float:
        return float(Trig(max_epochs=1, **given).train([0]).metrics["val_mse"][0])

    assert error() != error(**setting)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"patience": 0, "least_lr": 0.0}, [1, 1, 0.1, 0.01, 0.001, 0.0001]),
        ({"patience": 1, "least_lr": 0.0}, [1, 1, 1, 0.1, 0.1, 0.01]),
        ({"patience": 0, "least_lr": 2e-5}, [1, 1, 0.1, 0.02, 0.02, 0.02]),
        ({"schedule": "constant"}, [1] * 6),
    ],
)
def test_the_rate_of_trig_falls_to_the_least_one(settings: dict[str, Any], rates: list[float]) -> None:
    """Of a dead net, whose loss stays: its output is the ReLU of a negative number."""
    dead = Trig(init="zeros", norm=False, max_epochs=6, stop_lr=0.0, lr=1e-3, samples=100, **settings)
    assert dead.train([0]).curves["lr"][0] == pytest.approx(np.array(rates) * 1e-3, rel=1e-12)


def test_the_gap_is_between_validation_and_training() -> None:
    metrics = REPLAY.train([0]).metrics
    assert metrics["gap"] == pytest.approx(metrics["val_mse"] - metrics["train_mse"], abs=1e-7)


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_the_first_gradient_is_that_of_autograd(norm: bool, running: bool) -> None:
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


def test_the_first_gradient_leaves_running_averages_alone() -> None:
    lab = Trig(running=True, samples=500)
    net = lab.network([0])
    before = net.state.clone()
    lab.inspect(net, lab.splits([0]))
    assert any(isinstance(layer, BatchNorm) for layer in net.layers)
    assert torch.equal(net.state, before)
