"""The labs: data, settings, and results that depend on nothing but settings and seed."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from labcheck.data import boston
from labcheck.data.examples import generators, permutations
from labcheck.labs.boston import Boston
from labcheck.labs.curve import Curve
from labcheck.labs.lab import Lab
from labcheck.labs.sine import Sine
from labcheck.labs.supervised import StackedLab
from labcheck.labs.trig import Trig
from labcheck.metrics import Trials
from labcheck.models.as_torch import as_torch

SHORT: dict[str, StackedLab] = {
    "boston": Boston(epochs=3),
    "trig": Trig(max_epochs=3),
    "trig-plain": Trig(max_epochs=3, norm=False, init="default", optimizer="adam"),
    "sine": Sine(epochs=2, samples=300),
    "sine-scheduled": Sine(epochs=3, samples=300, net="shallow", scheduled=True, every=1, standardised=True),
    "curve": Curve(epochs=120),
    "curve-own": Curve(epochs=12, function=np.sin, hidden=(8, 8), activation="tanh", optimizer="sgd"),
}
every_lab = pytest.mark.parametrize("lab", SHORT.values(), ids=SHORT)


def equal(a: Trials, b: Trials) -> bool:
    pairs = [(x[name], y[name]) for x, y in ((a.metrics, b.metrics), (a.curves, b.curves)) for name in x.keys() | y]
    return all(np.array_equal(one, other, equal_nan=True) for one, other in [*pairs, (a.recorded, b.recorded)])


@every_lab
def test_a_rerun_is_equal_to_the_bit(lab: Lab) -> None:
    assert equal(lab.train(range(4)), lab.train(range(4)))


@every_lab
def test_seeds_differ(lab: Lab) -> None:
    trials = lab.train(range(4))
    errors = [name for name in trials.metrics if name.endswith("_mse")]
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
    network, train = lab.model(range(2)), lab.parts(range(2))["train"]
    predicted = network.predict(train.x)
    for k in range(2):
        torch.testing.assert_close(as_torch(network, k).eval()(train.x[k]), predicted[k].mT, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Sine(), Sine(lr=0.01, epochs=3, batch=10, scheduled=True, activation="tanh", optimizer="sgd")),
        (Curve(), Curve(lr=0.1, epochs=3, activation="sigmoid", optimizer="sgd", function="g", noise=1.0)),
    ],
    ids=["sine", "curve"],
)
def test_arms_that_train_otherwise_have_the_same_points_and_first_weights(one: StackedLab, other: StackedLab) -> None:
    for name, part in one.parts([5]).items():
        assert torch.equal(other.parts([5])[name].x, part.x)
    assert torch.equal(other.model([5]).state, one.model([5]).state)


def test_boston_is_split_into_six_parts_and_standardised() -> None:
    x, y = boston.load()
    assert (x.shape, y.shape) == ((506, 13), (506, 1))
    parts = boston.split(generators(range(3), "data"), torch.float64)
    assert {name: part.x.shape[1] for name, part in parts.items()} == {"train": 338, "val": 84, "test": 84}
    train = parts["train"].x
    torch.testing.assert_close(train.mean(1), torch.zeros(3, 13).double())
    torch.testing.assert_close(train.std(1, correction=0), torch.ones(3, 13).double())
    for k in range(3):
        values = torch.cat([part.y[k] for part in parts.values()])
        torch.testing.assert_close(values.sort(0).values, y.sort(0).values)


def test_boston_has_the_variance_that_its_r2_is_measured_against() -> None:
    """1 − MSE / R² of the report's own numbers, 11.1033 and 0.8473, gives a test variance of 73 on one split."""
    assert 60 < boston.load()[1].var() < 100


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


def test_sine_is_of_clean_samples_of_one_period() -> None:
    parts = Sine().parts(range(2), torch.float64)
    assert {name: part.x.shape for name, part in parts.items()} == {
        "train": (2, 4800, 1), "val": (2, 1600, 1), "test": (2, 1600, 1), "grid": (2, 1000, 1),
    }  # fmt: skip
    for part in parts.values():
        assert part.x.min() >= 0
        assert part.x.max() < 2 * np.pi
        torch.testing.assert_close(part.y, part.x.sin())
    np.testing.assert_allclose(parts["grid"].x[0, :, 0], np.arange(1000) * 2 * np.pi / 1000)


def test_sine_is_standardised_where_it_is_said_so() -> None:
    parts = Sine(standardised=True).parts([0], torch.float64)
    x = torch.cat([parts[name].x for name in ("train", "val", "test")], 1)
    assert (x.mean().item(), x.std().item()) == pytest.approx((0, 1))
    assert torch.equal(parts["train"].y, Sine().parts([0], torch.float64)["train"].y)


@pytest.mark.parametrize(
    ("lab", "widths"),
    [
        (Sine(), [1, 32, 32, 32, 1]),
        (Sine(net="shallow"), [1, 32, 1]),
        (Sine(deep=(5, 4)), [1, 5, 4, 1]),
        (Sine(net="shallow", shallow=(5,)), [1, 5, 1]),
        (Curve(), [1, 10, 1]),
        (Curve(hidden=(32, 32)), [1, 32, 32, 1]),
        (Curve(hidden=()), [1, 1]),
    ],
)
def test_a_net_has_the_widths_of_its_settings(lab: StackedLab, widths: list[int]) -> None:
    linear = [layer for layer in as_torch(lab.network([0]), 0) if isinstance(layer, nn.Linear)]
    assert [linear[0].in_features, *(layer.out_features for layer in linear)] == widths


def plainly(lab: StackedLab, seed: int, lr: float, batch: int, epochs: int) -> dict[str, float]:
    """The errors of one net that Adam and torch.nn have trained on minibatches."""
    parts, order = lab.parts([seed], torch.float64), generators([seed], "order")
    model = as_torch(lab.network([seed], torch.float64), 0)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    x, y = parts["train"].x[0], parts["train"].y[0]
    for _ in range(epochs):
        for index in permutations(len(x), order)[0].split(batch):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[index]), y[index]).backward()
            optimizer.step()
    return {f"{name}_mse": nn.functional.mse_loss(model(part.x[0]), part.y[0]).item() for name, part in parts.items()}


@pytest.mark.parametrize(
    ("lab", "lr", "batch", "epochs"),
    [(Sine(epochs=2), 1e-4, 64, 2), (Curve(epochs=100), 0.01, 200, 100)],
    ids=["sine", "curve"],
)
def test_a_lab_trains_as_a_plain_loop_does(lab: StackedLab, lr: float, batch: int, epochs: int) -> None:
    trials = lab.train([7, 3], dtype=torch.float64)
    for name, expected in plainly(lab, 3, lr, batch, epochs).items():
        assert trials.metrics[name][1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"scheduled": True, "every": 2}, [1, 1, 0.1, 0.1, 0.01]),
        ({"scheduled": True, "every": 3, "factor": 0.5}, [1, 1, 1, 0.5, 0.5]),
        ({"scheduled": True, "schedule": "plateau", "patience": 1}, [1, 1, 1, 0.1, 0.1]),
        ({"scheduled": True, "schedule": "plateau", "patience": 0, "factor": 0.5}, [1, 1, 0.5, 0.25, 0.125]),
    ],
)
def test_the_rate_of_sine_falls_as_it_is_told(settings: Mapping[str, Any], rates: list[float]) -> None:
    """A net that moves so slowly does not get better by the 1e-4 of its error that a plateau ends with."""
    trials = Sine(samples=50, epochs=5, lr=1e-7, **settings).train([0])
    assert trials.curves["lr"][0] == pytest.approx(np.array(rates) * 1e-7, abs=0)


def test_metrics_of_sine_fit_together() -> None:
    trials = Sine(epochs=3, samples=300).train(range(3))
    np.testing.assert_allclose(trials.metrics["val_mse"], trials.curves["val_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["final_loss"], trials.curves["batch_loss"][:, -1])
    assert set(trials.metrics) == {"train_mse", "val_mse", "test_mse", "grid_mse", "epochs", "final_loss"}


# Settings.


@pytest.mark.parametrize(
    ("lab", "settings"),
    [
        (Trig, {"activation": "gelu"}),
        (Trig, {"init": "ones"}),
        (Trig, {"optimizer": "lion"}),
        (Trig, {"schedule": "cosine"}),
        (Boston, {"activation": "gelu"}),
        (Boston, {"optimizer": "lion"}),
        (Sine, {"net": "wide"}),
        (Sine, {"schedule": "cosine"}),
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
        (Sine, "patience", -1),
        (Sine, "lr", -1e-4),
        (Sine, "momentum", -0.1),
        (Curve, "epochs", 0),
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


SINE = {
    *("lr", "optimizer", "momentum", "samples", "shallow", "deep", "standardised"),
    *("schedule", "every", "factor", "patience"),
}
CURVE = {"lr", "hidden", "noise", "samples", "optimizer", "momentum"}


@pytest.mark.parametrize(
    ("lab", "names"),
    [
        (Trig, {"samples", "batch", "output_norm", "running"}),
        (Boston, {"lr", "width", "batch", "epochs", "momentum", "patience", "factor"}),
        (Sine, SINE),
        (Curve, CURVE),
    ],
)
def test_what_the_reports_leave_open_is_written_down(lab: type[Lab], names: set[str]) -> None:
    assumptions = lab().assumptions()
    assert set(assumptions) == names
    assert all(len(said["why"]) > 20 for said in assumptions.values())


@pytest.mark.parametrize("setting", [{"output_norm": True}, {"running": True}, {"batch": 64}, {"samples": 500}])
def test_open_settings_of_trig_change_what_is_trained(setting: dict[str, int]) -> None:
    assert not equal(Trig(max_epochs=2).train([0]), Trig(max_epochs=2, **setting).train([0]))


@pytest.mark.parametrize(
    "setting", [{"width": 32}, {"batch": 16}, {"momentum": 0.9}, {"lr": 0.02}, {"epochs": 4}, {"patience": 0}]
)
def test_open_settings_of_boston_change_what_is_trained(setting: dict[str, float]) -> None:
    assert not equal(Boston(epochs=25).train([0]), Boston(**{"epochs": 25, **setting}).train([0]))


STEPPED = {"scheduled": True, "every": 1}
PLATEAU = {"scheduled": True, "schedule": "plateau", "lr": 1e-7}
OPEN_OF_SINE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"lr": 0.001}),
    ({}, {"optimizer": "sgd"}),
    ({"optimizer": "sgd"}, {"momentum": 0.9}),
    ({}, {"samples": 60}),
    ({"net": "shallow"}, {"shallow": (16,)}),
    ({}, {"deep": (32, 32)}),
    ({}, {"standardised": True}),
    (STEPPED, {"schedule": "plateau"}),
    (STEPPED, {"every": 2}),
    (STEPPED, {"factor": 0.5}),
    ({**PLATEAU, "patience": 0}, {"factor": 0.5}),
    (PLATEAU, {"patience": 0}),
]


def error(lab: StackedLab) -> float:
    found = lab.train([0], dtype=torch.float64).metrics["train_mse"][0]
    assert np.isfinite(found)
    return float(found)


def test_every_open_setting_of_sine_is_tried() -> None:
    assert {name for _, setting in OPEN_OF_SINE for name in setting} == set(Sine().assumptions())


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        *OPEN_OF_SINE,
        ({}, {"net": "shallow"}),
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
        *({"schedule": "plateau"}, {"every": 1}, {"factor": 0.5}, {"patience": 0}),
        *({"momentum": 0.9}, {"shallow": (16,)}),
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
