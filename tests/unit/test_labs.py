"""The labs: data, settings, and results that depend on nothing but settings and seed."""

import numpy as np
import pytest
import torch

from labcheck.data import boston, functions
from labcheck.data.examples import generators
from labcheck.labs.boston import Boston
from labcheck.labs.lab import Lab
from labcheck.labs.trig import Trig
from labcheck.metrics import Trials

SHORT = [Boston(epochs=3), Trig(max_epochs=3), Trig(max_epochs=3, norm=False, init="default", optimizer="adam")]


def equal(a: Trials, b: Trials) -> bool:
    pairs = [(x[name], y[name]) for x, y in ((a.metrics, b.metrics), (a.curves, b.curves)) for name in x.keys() | y]
    return all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)


@pytest.mark.parametrize("lab", SHORT, ids=["boston", "trig", "trig-plain"])
def test_a_rerun_is_equal_to_the_bit(lab: Lab) -> None:
    assert equal(lab.train(range(4)), lab.train(range(4)))


@pytest.mark.parametrize("lab", SHORT, ids=["boston", "trig", "trig-plain"])
def test_seeds_differ(lab: Lab) -> None:
    trials = lab.train(range(4))
    assert all(len(np.unique(trials.metrics[name])) == 4 for name in ("val_mse", "test_mse"))


@pytest.mark.parametrize("lab", SHORT, ids=["boston", "trig", "trig-plain"])
def test_arms_are_paired_by_seed(lab: Lab) -> None:
    """Another stack, even of another size, has the same data and the same start for a seed."""
    one, other = lab.train(range(4)), lab.train([2])
    np.testing.assert_allclose(other.curves["batch_loss"][0, 0], one.curves["batch_loss"][2, 0], rtol=1e-5)


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


def test_trig_samples_are_split_60_20_20_and_standardised_over_all() -> None:
    parts = functions.split(functions.trig, 1000, 100, generators(range(2), "data"), powers=3, dtype=torch.float64)
    assert [parts[name].x.shape for name in ("train", "val", "test")] == [(2, 600, 3), (2, 200, 3), (2, 200, 3)]
    x = torch.cat([parts[name].x for name in ("train", "val", "test")], 1)
    torch.testing.assert_close(x[:, :, 0].mean(1), torch.zeros(2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(x[:, :, 0].std(1), torch.ones(2).double())
    torch.testing.assert_close(x[:, :, 2], x[:, :, 0] ** 3)
    assert len(x[0, :, 0].unique()) == 1000


def test_the_grid_covers_one_period_evenly() -> None:
    parts = functions.split(functions.trig, 1000, 4, generators([0], "data"), dtype=torch.float64)
    torch.testing.assert_close(parts["grid"].y[0, :, 0], torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(parts["grid"].x[0, :, 0].diff(), parts["grid"].x[0, :, 0].diff()[:1].expand(3))


def test_the_number_of_samples_is_kept_where_it_is_no_multiple_of_five() -> None:
    parts = functions.split(functions.trig, 1003, 4, generators([0], "data"))
    assert [parts[name].x.shape[1] for name in ("train", "val", "test")] == [603, 200, 200]


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
    trials = Trig(max_epochs=30).train(range(4))
    np.testing.assert_allclose(trials.metrics["val_mse"], trials.curves["val_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["train_mse"], trials.curves["train_loss"][:, -1], rtol=1e-5)
    metrics = trials.metrics
    assert (metrics["grid_min"] <= metrics["grid_mse"]).all()
    assert (metrics["grid_mse"] <= metrics["grid_max"]).all()
    assert ((metrics["grid_below"] >= 0) & (metrics["grid_below"] <= 1)).all()


@pytest.mark.parametrize(
    ("lab", "settings"),
    [
        (Trig, {"activation": "swish"}),
        (Trig, {"init": "ones"}),
        (Trig, {"optimizer": "lion"}),
        (Trig, {"schedule": "cosine"}),
        (Boston, {"activation": "swish"}),
        (Boston, {"optimizer": "lion"}),
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
    ],
)
def test_a_number_that_is_too_small_is_refused(lab: type[Lab], setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{lab.name}.{setting} is at least \d+, not {value!r}"):
        lab(**{setting: value})


@pytest.mark.parametrize(
    ("lab", "names"),
    [
        (Trig, {"samples", "batch", "output_norm", "running"}),
        (Boston, {"lr", "width", "batch", "epochs", "momentum", "patience", "factor"}),
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


def test_an_arm_may_give_widths_as_a_list() -> None:
    one, other = (Trig.configure("quick", {}, {"hidden": widths}) for widths in ([5, 5], (5, 5)))
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)
