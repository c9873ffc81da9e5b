"""The labs: data, settings, and results that depend on nothing but settings and seed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from labcheck.core.lab import Lab
from labcheck.core.trials import Trials
from labcheck.data import boston
from labcheck.engine import environment
from labcheck.labs.boston import Boston
from labcheck.labs.curve import Curve
from labcheck.labs.sine import Sine
from labcheck.labs.supervised import StackedLab
from labcheck.labs.trig import Trig
from labcheck.nn.as_torch import as_torch

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
    "curve-own": Curve(epochs=12, function=np.sin, hidden=(8, 8), activation="tanh", optimizer="sgd"),
}
every_lab = pytest.mark.parametrize("lab", SHORT.values(), ids=SHORT)


@pytest.fixture(autouse=True)
def _pinned() -> Iterator[None]:
    """One thread, as in training: the report's trig net makes much of a difference in rounding."""
    with environment.deterministic():
        yield


def equal(a: Trials, b: Trials) -> bool:
    pairs = [(x[name], y[name]) for x, y in ((a.metrics, b.metrics), (a.curves, b.curves)) for name in x.keys() | y]
    return all(np.array_equal(one, other, equal_nan=True) for one, other in [*pairs, (a.recorded, b.recorded)])


@every_lab
def test_a_rerun_is_equal_to_the_bit(lab: Lab) -> None:
    assert equal(lab.train(range(4)), lab.train(range(4)))


@every_lab
def test_seeds_differ(lab: Lab) -> None:
    trials = lab.train(range(4))
    errors = [name for name in trials.metrics if name.endswith("_mse") and "mean" not in name]
    assert len(errors) > 1
    assert all(len(np.unique(trials.metrics[name])) == 4 for name in errors)


@every_lab
def test_arms_are_paired_by_seed(lab: Lab) -> None:
    """Another stack, even of another size, has the same data and the same start for a seed."""
    one, other = lab.train(range(4)), lab.train([2])
    np.testing.assert_allclose(other.curves["batch_loss"][0, 0], one.curves["batch_loss"][2, 0], rtol=1e-5)


@every_lab
def test_each_seed_starts_with_weights_of_its_own_whatever_the_others(lab: StackedLab) -> None:
    states = lab.model(range(3)).state
    assert torch.equal(states[2:], lab.model([2]).state)
    assert len(states.unique(dim=0)) == 3


@every_lab
def test_a_net_of_torch_predicts_as_the_network_does(lab: StackedLab) -> None:
    network, train = lab.network(range(2), torch.float64), lab.splits(range(2), torch.float64)["train"]
    predicted = network.predict(train.x)
    for k in range(2):
        torch.testing.assert_close(as_torch(network, k).eval()(train.x[k]), predicted[k].mT, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Sine(), Sine(lr=0.01, epochs=3, batch=10, scheduled=True, activation="tanh", optimizer="sgd")),
        (Curve(), Curve(lr=0.1, epochs=3, activation="relu", optimizer="sgd", function="g", noise=1.0)),
    ],
    ids=["sine", "curve"],
)
def test_arms_that_train_otherwise_have_the_same_points_and_first_weights(one: StackedLab, other: StackedLab) -> None:
    for name, part in one.splits([5]).items():
        assert torch.equal(other.splits([5])[name].x, part.x)
    assert torch.equal(other.model([5]).state, one.model([5]).state)


PRINTED = {
    "depth": [(11.1033, 0.8473), (8.0066, 0.8899), (9.2127, 0.8733)],
    "rate": [(6.5521, 0.9099), (9.5214, 0.8691), (19.9742, 0.7253)],
    "activation": [(8.8628, 0.8781), (11.5156, 0.8416), (19.2103, 0.7358)],
    "layers of Adam": [(34.5248, 0.5252), (13.1692, 0.8189), (11.2519, 0.8453)],
    "rates of Adam": [(8.2535, 0.8865), (8.0367, 0.8895), (13.9728, 0.8078), (416.7616, -4.7317)],
    "activations of Adam": [(13.4064, 0.8156), (47.8091, 0.3425), (76.2345, -0.0485)],
}
"""Each test MSE that the report prints of Boston, with its R²."""


def test_bostons_printed_numbers_are_of_the_reports_test_part() -> None:
    """MSE / (1 - R²) is the variance of the values that a net is tested on."""
    assert sum(map(len, PRINTED.values())) == 19
    assert boston.load()[1][boston.report_rows()["test"]].var(correction=0).item() == pytest.approx(72.71144, abs=5e-6)
    for mse, r2 in [pair for table in PRINTED.values() for pair in table]:
        assert mse == pytest.approx(72.71144 * (1 - r2), abs=5e-5 * (72.71144 + 1))  # both are rounded to four places


def test_the_reports_split_of_boston_is_scikit_learns() -> None:
    rows, order = boston.report_rows(), np.random.RandomState(42).permutation(506)
    rest = order[85:][np.random.RandomState(42).permutation(421)]
    assert rows["test"].tolist() == order[:85].tolist()
    assert rows["val"].tolist() == rest[:85].tolist()
    assert rows["train"].tolist() == rest[85:].tolist()


SPLITS = {
    "report": ({}, (336, 85, 85), ["test", "train", "val"]),
    "validation of each seed": ({"validation": "seed"}, (336, 85, 85), ["test"]),
    "seed": ({"split": "seed"}, (338, 84, 84), []),
}


@pytest.mark.parametrize(("settings", "sizes", "shared"), SPLITS.values(), ids=SPLITS)
def test_boston_is_split_into_six_parts_and_standardized(
    settings: dict[str, str], sizes: tuple[int, ...], shared: list[str]
) -> None:
    x, y = boston.load()
    assert (x.shape, y.shape) == ((506, 13), (506, 1))
    parts = Boston(**settings).splits(range(3), torch.float64)
    assert tuple(parts[name].x.shape for name in ("train", "val", "test")) == tuple((3, n, 13) for n in sizes)
    train = parts["train"].x
    torch.testing.assert_close(train.mean(1), torch.zeros(3, 13).double())
    torch.testing.assert_close(train.std(1, correction=0), torch.ones(3, 13).double())
    for k in range(3):
        values = torch.cat([part.y[k] for part in parts.values()])
        torch.testing.assert_close(values.sort(0).values, y.sort(0).values)
    assert sorted(name for name, part in parts.items() if torch.equal(part.y[0], part.y[1])) == shared
    for name, part in Boston(**settings).splits([2], torch.float64).items():
        torch.testing.assert_close(part.x[0], parts[name].x[2])


def test_trig_stops_at_the_first_tenth_epoch_with_a_rate_below_the_threshold() -> None:
    trials = Trig(max_epochs=300).train(range(5))
    for rates, epochs in zip(trials.curves["lr"], trials.metrics["epochs"].astype(int), strict=True):
        assert epochs % 10 == 1
        assert rates[epochs - 1] < 1e-3
        assert np.isnan(rates[epochs:]).all()
        assert (rates[: epochs - 10] > 1e-4).all()  # 1.0000000000000003e-4 is not below


def test_metrics_of_boston_fit_together() -> None:
    trials = Boston(epochs=30).train(range(4))
    assert (trials.metrics["test_mae"] ** 2 < trials.metrics["test_mse"]).all()
    assert (trials.metrics["test_r2"] < 1).all()
    np.testing.assert_allclose(trials.metrics["val_mse"], trials.curves["val_loss"].min(1), rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["final_loss"], trials.curves["batch_loss"][:, -1])
    assert (trials.metrics["val_mse"] < trials.metrics["mean_val_mse"]).all()


def test_metrics_of_trig_fit_together() -> None:
    trials = Trig(max_epochs=30, train_curve=True).train(range(4))
    np.testing.assert_allclose(trials.metrics["val_mse"], trials.curves["val_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["train_mse"], trials.curves["train_loss"][:, -1], rtol=1e-5)
    metrics = trials.metrics
    assert (metrics["grid_min"] <= metrics["grid_mse"]).all()
    assert (metrics["grid_mse"] <= metrics["grid_max"]).all()
    assert ((metrics["grid_below"] >= 0) & (metrics["grid_below"] <= 1)).all()


def test_sine_is_of_even_points_of_one_period_in_random_order() -> None:
    parts = Sine().splits(range(2), torch.float64)
    assert {name: part.x.shape for name, part in parts.items()} == {
        "train": (2, 6000, 1), "val": (2, 2000, 1), "test": (2, 2000, 1), "grid": (2, 1000, 1),
    }  # fmt: skip
    for part in parts.values():
        torch.testing.assert_close(part.y, part.x.sin())
    x = torch.cat([parts[name].x for name in ("train", "val", "test")], 1).squeeze(2)
    np.testing.assert_allclose(x.sort(1).values, [np.linspace(0, 2 * np.pi, 10_000)] * 2, atol=1e-12)
    assert not torch.equal(x[0], x[1])
    np.testing.assert_allclose(parts["grid"].x[0, :, 0], np.arange(1000) * 2 * np.pi / 1000)


def test_sine_takes_its_batches_in_one_fixed_order() -> None:
    orders = Sine().orders([5, 3])
    assert [order(4).tolist() for order in orders * 2] == [[0, 1, 2, 3]] * 4


def test_sine_is_standardized_where_it_is_said_so() -> None:
    parts = Sine(standardized=True).splits([0], torch.float64)
    x = torch.cat([parts[name].x for name in ("train", "val", "test")], 1)
    assert (x.mean().item(), x.std().item()) == pytest.approx((0, 1))
    assert torch.equal(parts["train"].y, Sine().splits([0], torch.float64)["train"].y)


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
def test_a_net_has_the_widths_of_its_settings(lab: StackedLab, widths: list[int]) -> None:
    linear = [layer for layer in as_torch(lab.network([0]), 0) if isinstance(layer, nn.Linear)]
    assert [linear[0].in_features, *(layer.out_features for layer in linear)] == widths


def plainly(lab: StackedLab, seed: int, batch: int, epochs: int, **options: Any) -> dict[str, float]:
    """The errors of one net that Adam and torch.nn have trained on minibatches."""
    parts, [order] = lab.splits([seed], torch.float64), lab.orders([seed])
    model = as_torch(lab.network([seed], torch.float64), 0)
    optimizer = torch.optim.Adam(model.parameters(), **options)
    x, y = parts["train"].x[0], parts["train"].y[0]
    for _ in range(epochs):
        for index in order(len(x)).split(batch):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[index]), y[index]).backward()
            optimizer.step()
    return {f"{name}_mse": nn.functional.mse_loss(model(part.x[0]), part.y[0]).item() for name, part in parts.items()}


@pytest.mark.parametrize(
    ("lab", "training"),
    [
        (Sine(epochs=2), {"batch": 64, "epochs": 2, "lr": 1e-4, "weight_decay": 5e-4, "amsgrad": True}),
        (Curve(epochs=100), {"batch": 200, "epochs": 100, "lr": 0.01}),
        (Boston(epochs=2, optimizer="adam"), {"batch": 32, "epochs": 2, "lr": 0.001}),
    ],
    ids=["sine", "curve", "boston"],
)
def test_a_lab_trains_as_a_plain_loop_does(lab: StackedLab, training: dict[str, Any]) -> None:
    trials = lab.train([7, 3], dtype=torch.float64)
    for name, expected in plainly(lab, 3, **training).items():
        if name in trials.metrics:
            assert trials.metrics[name][1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"every": 2}, [1, 1, 1, 1, 1]),
        ({"scheduled": True}, [1, 1, 1, 1, 1]),
        ({"scheduled": True, "every": 2}, [1, 1, 0.8, 0.8, 0.64]),
        ({"scheduled": True, "every": 3, "factor": 0.5}, [1, 1, 1, 0.5, 0.5]),
    ],
)
def test_the_rate_of_sine_falls_as_it_is_told(settings: Mapping[str, Any], rates: list[float]) -> None:
    trials = Sine(samples=50, epochs=5, lr=1e-7, **settings).train([0])
    assert trials.curves["lr"][0] == pytest.approx(np.array(rates) * 1e-7, abs=0)


def test_metrics_of_sine_fit_together() -> None:
    trials = Sine(epochs=3, samples=300).train(range(3))
    np.testing.assert_allclose(trials.metrics["val_mse"], trials.curves["val_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["final_loss"], trials.curves["batch_loss"][:, -1])
    measured = {f"{part}_{kind}" for part in ("train", "val", "test") for kind in ("mse", "sum")} | {"grid_mse"}
    assert set(trials.metrics) == measured | {f"final_{name}" for name in measured} | {"epochs", "final_loss"}


@pytest.mark.parametrize("every", [1, 2, 4, 100])
def test_sine_keeps_the_best_of_the_weights_that_it_looks_at(every: int) -> None:
    trials = Sine(epochs=9, samples=300, batch=16, lr=0.1, best_every=every).train(range(4))
    losses = trials.curves["val_loss"]
    every = min(every, 9)
    np.testing.assert_allclose(trials.metrics["val_mse"], losses[:, every - 1 :: every].min(1), rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["final_val_mse"], losses[:, -1], rtol=1e-5)


def test_sums_of_sine_are_of_the_mean_errors_of_batches() -> None:
    """Of 94 batches to train on and 32 to validate and to test, the last ones of 48 and 16 examples."""
    lab = Sine(epochs=1)
    trials, parts = lab.train([5, 3], dtype=torch.float64), lab.splits([5, 3], torch.float64)
    network = lab.network([3], torch.float64)
    model = as_torch(network, 0)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, weight_decay=5e-4, amsgrad=True)
    x, y = parts["train"].x[1], parts["train"].y[1]
    for batch in range(94):
        rows = slice(64 * batch, 64 * batch + 64)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
    for name, batches in (("train", 94), ("val", 32), ("test", 32)):
        part = parts[name]
        losses = [
            nn.functional.mse_loss(model(part.x[1, first : first + 64]), part.y[1, first : first + 64]).item()
            for first in range(0, len(part), 64)
        ]
        assert len(losses) == batches
        assert trials.metrics[f"{name}_sum"][1] == pytest.approx(sum(losses), rel=1e-9)


# Settings.


@pytest.mark.parametrize(
    ("lab", "settings"),
    [
        (Trig, {"activation": "gelu"}),
        (Trig, {"init": "ones"}),
        (Trig, {"optimizer": "lion"}),
        (Trig, {"schedule": "cosine"}),
        (Trig, {"split": "random"}),
        (Trig, {"stream": "torch"}),
        (Boston, {"activation": "gelu"}),
        (Boston, {"optimizer": "lion"}),
        (Boston, {"split": "random"}),
        (Boston, {"validation": "random"}),
        (Sine, {"net": "wide"}),
        (Sine, {"activation": "gelu"}),
        (Sine, {"optimizer": "lion"}),
        (Curve, {"activation": "gelu"}),
        (Curve, {"optimizer": "lion"}),
    ],
)
def test_a_word_that_a_setting_does_not_know_is_refused(lab: type[Lab], settings: dict[str, str]) -> None:
    (setting, word), *_ = settings.items()
    with pytest.raises(ValueError, match=rf"{lab.name}.{setting} is one of .*, not '{word}'"):
        lab(**settings)


@pytest.mark.parametrize(
    ("lab", "setting", "value"),
    [
        (Trig, "batch", 1),
        (Trig, "samples", 9),
        (Trig, "lr", -0.1),
        (Trig, "least_lr", -1e-9),
        (Trig, "patience", -1),
        (Boston, "epochs", 0),
        (Boston, "width", 0),
        (Boston, "momentum", float("nan")),
        (Sine, "batch", 0),
        (Sine, "epochs", 0),
        (Sine, "every", 0),
        (Sine, "shallow", (0,)),
        (Sine, "deep", (32, 0, 32)),
        (Sine, "samples", 9),
        (Sine, "factor", -0.1),
        (Sine, "weight_decay", -1e-4),
        (Sine, "best_every", 0),
        (Sine, "lr", -1e-4),
        (Sine, "momentum", -0.1),
        (Curve, "epochs", 0),
        (Curve, "max_epochs", 0),
        (Curve, "samples", 0),
        (Curve, "hidden", (0,)),
        (Curve, "hidden", (32, -1)),
        (Curve, "noise", -0.1),
        (Curve, "noise", float("nan")),
        (Curve, "lr", -0.1),
        (Curve, "momentum", -0.1),
    ],
)
def test_a_number_that_is_too_small_is_refused(lab: type[Lab], setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{lab.name}.{setting} is at least \d+, not {re.escape(repr(value))}$"):
        lab(**{setting: value})


@pytest.mark.parametrize(
    ("lab", "setting", "value"),
    [
        (Curve, "samples", 2.5),
        (Curve, "noise", "much"),
        (Curve, "activation", None),
        (Sine, "scheduled", 1),
        (Sine, "lr", True),
        (Sine, "amsgrad", "yes"),
        (Boston, "epochs", "9"),
        (Trig, "batch", 64.0),
        *((Curve, "hidden", widths) for widths in (10, "32-32", ("a",), (3.5,), (True,))),
    ],
)
def test_a_value_of_another_type_is_refused(lab: type[Lab], setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{lab.name}\.{setting} is .*, not {re.escape(repr(value))}$"):
        lab(**{setting: value})


@pytest.mark.parametrize(
    ("lab", "name"), [(Curve, "hidden"), (Sine, "shallow"), (Sine, "deep")], ids=["curve", "shallow", "deep"]
)
def test_widths_are_read_from_a_command_line(lab: type[Lab], name: str) -> None:
    assert lab.parse(name, "32-32") == (32, 32)
    assert lab.parse(name, "10") == (10,)
    with pytest.raises(
        ValueError, match=rf"^{lab.name}\.{name} is a tuple of whole numbers, 32-32 on a command line, not '32,32'$"
    ):
        lab.parse(name, "32,32")
    with pytest.raises(ValueError, match="is at least 1"):
        lab(**{name: lab.parse(name, "32-0")})


BOSTON = {"lr", "width", "batch", "epochs", "momentum", "patience", "factor", "split", "validation"}
SINE = {
    *("lr", "optimizer", "weight_decay", "amsgrad", "momentum", "samples", "shallow", "deep", "standardized"),
    *("every", "factor", "best_every"),
}
CURVE = {"lr", "hidden", "activation", "noise", "samples", "optimizer", "momentum", "draw"}


@pytest.mark.parametrize(
    ("lab", "names"),
    [
        (
            Trig,
            {
                *("init", "samples", "batch", "split", "norm_last", "output_activation", "output_norm"),
                *("zero_bias", "running", "least_lr", "patience"),
            },
        ),
        (Boston, BOSTON),
        (Sine, SINE),
        (Curve, CURVE),
    ],
)
def test_what_the_reports_leave_open_is_written_down(lab: type[Lab], names: set[str]) -> None:
    evidence = lab.unstated()
    assert set(evidence) == names
    assert all(len(known.reason) > 10 for known in evidence.values())


OPEN_OF_BOSTON: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *(({}, setting) for setting in ({"width": 32}, {"batch": 16}, {"momentum": 0.9}, {"lr": 0.02}, {"epochs": 4})),
    *(({}, setting) for setting in ({"patience": 0}, {"split": "seed"}, {"validation": "seed"})),
    ({"patience": 0}, {"factor": 0.5}),
]


def test_every_open_setting_of_boston_is_tried() -> None:
    assert {name for _, setting in OPEN_OF_BOSTON for name in setting} == set(Boston.unstated())


@pytest.mark.parametrize(("given", "setting"), OPEN_OF_BOSTON, ids=str)
def test_open_settings_of_boston_change_what_is_trained(given: dict[str, Any], setting: dict[str, Any]) -> None:
    base = {"epochs": 25, "lr": 0.01, **given}
    assert not equal(Boston(**base).train([0]), Boston(**{**base, **setting}).train([0]))


STEPPED = {"scheduled": True, "every": 1}
OPEN_OF_SINE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"lr": 0.001}),
    ({}, {"optimizer": "sgd"}),
    ({}, {"weight_decay": 0.0}),
    ({"optimizer": "sgd"}, {"weight_decay": 0.0}),
    ({"epochs": 200, "lr": 0.02}, {"amsgrad": False}),
    ({"optimizer": "sgd"}, {"momentum": 0.9}),
    ({}, {"samples": 60}),
    ({}, {"shallow": (16,)}),
    ({"net": "deep"}, {"deep": (32, 32)}),
    ({}, {"standardized": True}),
    (STEPPED, {"every": 2}),
    (STEPPED, {"factor": 0.5}),
    ({"epochs": 9, "lr": 0.3}, {"best_every": 1}),
]


def error(lab: StackedLab) -> float:
    found = lab.train([0], dtype=torch.float64).metrics["train_mse"][0]
    assert np.isfinite(found)
    return float(found)


def test_every_open_setting_of_sine_is_tried() -> None:
    assert {name for _, setting in OPEN_OF_SINE for name in setting} == set(Sine.unstated())


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        *OPEN_OF_SINE,
        ({}, {"net": "deep"}),
        ({}, {"activation": "tanh"}),
        ({}, {"batch": 10}),
        (STEPPED, {"scheduled": False}),
    ],
    ids=str,
)
def test_settings_of_sine_change_what_is_trained(given: dict[str, Any], setting: dict[str, Any]) -> None:
    short = {"epochs": 4, "samples": 50, **given}
    assert error(Sine(**short)) != error(Sine(**{**short, **setting}))


@pytest.mark.parametrize(
    "setting",
    [
        *({"every": 1}, {"factor": 0.5}, {"momentum": 0.9}, {"deep": (16,)}),
    ],
    ids=str,
)
def test_settings_of_what_sine_does_not_use_change_nothing(setting: dict[str, Any]) -> None:
    short = {"epochs": 4, "samples": 50}
    assert equal(Sine(**short).train([0]), Sine(**short, **setting).train([0]))


def test_an_arm_may_give_widths_as_a_list() -> None:
    one, other = (Trig.configure("quick", {}, {"hidden": widths}) for widths in ([5, 5], (5, 5)))
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)
