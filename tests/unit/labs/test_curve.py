"""The lab curve: its samples and metrics, the course's draw, and functions that users wrote."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor, nn

from labcheck import Arm, Claim, ClaimError, Scale, beats
from labcheck.data import functions
from labcheck.data.functions import UserFunction
from labcheck.engine.store import Block
from labcheck.labs.curve import GRID_MSE, Curve, checkpoints
from tests.helpers.labs import equal, train_error

REPORTED = {"f": functions.f, "g": functions.g, "g as printed": functions.g_printed}


@pytest.mark.parametrize("name", REPORTED)
def test_splits_are_noisy_samples_and_exact_grid(name: str):
    splits = Curve(function=name, samples=20_000).splits(range(2), torch.float64)
    x, y = splits["train"].x.squeeze(2).numpy(), splits["train"].y.squeeze(2).numpy()
    noise = (y - REPORTED[name](x)) / 3
    for k in range(2):
        assert kstest(x[k], "uniform", (-5, 10)).pvalue > 1e-4
        assert kstest(noise[k], "norm").pvalue > 1e-4
        assert noise[k].std() == pytest.approx(1, abs=0.02)
        for power in (1, 2):
            assert abs(np.corrcoef(x[k], noise[k] ** power)[0, 1]) < 0.04
            assert abs(np.corrcoef(x[k] ** 2, noise[k] ** power)[0, 1]) < 0.04
    assert abs(np.corrcoef(noise)[0, 1]) < 0.04
    grid = splits["grid"]
    np.testing.assert_allclose(grid.x[:, :, 0], [np.arange(1000) / 100 - 5] * 2, atol=1e-12)
    np.testing.assert_allclose(grid.y, REPORTED[name](grid.x.numpy()), atol=1e-12)


def test_number_of_samples_is_200_by_default():
    assert Curve().splits([0])["train"].x.shape == (1, 200, 1)
    assert Curve(samples=7).splits([0])["train"].y.shape == (1, 7, 1)


def test_noise_is_proportional_to_setting():
    clean, one, three = (Curve(noise=noise).splits([0], torch.float64)["train"] for noise in (0.0, 1.0, 3.0))
    np.testing.assert_allclose(clean.y, functions.f(clean.x.numpy()), atol=1e-12)
    torch.testing.assert_close(three.y - clean.y, 3 * (one.y - clean.y))
    assert torch.equal(three.x, clean.x)


def test_metrics_are_consistent_and_complete():
    trials = Curve(epochs=120).train(range(3))
    np.testing.assert_allclose(trials.metrics["grid_mse"], trials.curves["grid_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["final_loss"], trials.curves["batch_loss"][:, -1])
    np.testing.assert_allclose(trials.metrics["train_mse"], trials.curves["train_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(trials.curves["train_loss"][:, :99], trials.curves["batch_loss"][:, 1:100], rtol=1e-5)
    assert set(trials.metrics) == {"train_mse", "grid_mse", "epochs", "final_loss"}
    assert trials.after("grid_loss").tolist() == [*range(1, 101), 110, 120]


def test_shorter_training_is_start_of_longer_one():
    longer, shorter = Curve(epochs=120).train(range(2)), Curve(epochs=57).train(range(2))
    column = longer.after("grid_loss").tolist().index(57)
    np.testing.assert_allclose(shorter.metrics["grid_mse"], longer.curves["grid_loss"][:, column], rtol=1e-5)


def test_checkpoints_include_epochs_of_report():
    assert {10, 50, 100, 200, 500, 1000, 3500, 50_000, 100_000} <= set(checkpoints(100_000))
    assert checkpoints(12) == list(range(1, 13))
    assert checkpoints(111)[-3:] == [100, 110, 111]
    assert checkpoints(1005)[-3:] == [990, 1000, 1005]


@given(st.integers(1, 10**7))
def test_checkpoints_ascend_to_last_epoch(epochs: int):
    numbers = checkpoints(epochs)
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (1, epochs)
    assert all(len(str(number).rstrip("0")) <= 2 for number in numbers[:-1])
    assert {number for number in (10, 50, 100, 200, 500, 1000, 3500, 50_000) if number <= epochs} <= set(numbers)


@pytest.mark.parametrize(("epochs", "max_epochs", "expected"), [(9, 5, 5), (5, 9, 5), (5, 5, 5)])
def test_epochs_are_limited_by_max_epochs(epochs: int, max_epochs: int, expected: int):
    trials = Curve(epochs=epochs, max_epochs=max_epochs).train([0])
    assert trials.metrics["epochs"] == [expected]
    assert trials.after("grid_loss").tolist() == [*range(1, expected + 1)]


def test_long_training_needs_full_scale():
    quick, full = (Curve.configure(scale, {"epochs": 100_000}).recipe().epochs for scale in ("quick", "full"))
    assert (quick, full) == (10_000, 100_000)


# the course's draw


def course_draws() -> tuple[nn.Sequential, Tensor, Tensor]:
    """Return the network, points and noise that torch draws from its seed 2019."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2019)
        net = nn.Sequential(nn.Linear(1, 64), nn.Sigmoid(), nn.Linear(64, 64), nn.Sigmoid(), nn.Linear(64, 1))
        return net, torch.empty(200, 1).uniform_(-5, 5), torch.randn(200, 1) * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_course_draw_matches_torch_for_every_seed(dtype: torch.dtype):
    lab = Curve(draw="course")
    net, x, noise = course_draws()
    expected = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
    torch.testing.assert_close(lab.network([5, 3], dtype).state, expected.to(dtype).expand(2, -1))
    train = lab.splits([5, 3], dtype)["train"]
    torch.testing.assert_close(train.x, x.to(dtype).expand(2, -1, -1))
    values = functions.evaluate(functions.f, x) + noise.double()
    torch.testing.assert_close(train.y, values.to(dtype).expand(2, -1, -1), rtol=1e-6, atol=1e-6)


def test_course_draw_leaves_torch_generator_unchanged():
    before = torch.random.get_rng_state()
    Curve(draw="course", epochs=2).train([0])
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.slow
def test_course_training_matches_plain_loop():
    """A replica with the seed of the course had these errors after 100 and 200 epochs."""
    trials, grid = Curve(draw="course", epochs=200).train([0]), torch.linspace(-5, 5, 1000).unsqueeze(1)
    net, x, noise = course_draws()
    y, true = (functions.evaluate(functions.f, points).float() for points in (x, grid))
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    points = torch.from_numpy(trials.tables["grid_x"]).float().mT
    for epoch, printed in ((100, 2.59), (200, 1.10)):
        for _ in range(100):
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x), y + noise).backward()
            optimizer.step()
        assert nn.functional.mse_loss(net(grid), true).item() == pytest.approx(printed, abs=0.005)
        column = trials.after("train_loss").tolist().index(epoch)
        expected = nn.functional.mse_loss(net(x), y + noise).item()
        assert trials.curves["train_loss"][0, column] == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(trials.tables["grid_fit"][0], net(points).detach().squeeze(1), rtol=1e-2, atol=1e-2)


# functions of users


@pytest.mark.parametrize(
    "function",
    [np.abs, lambda x: x / 2, np.poly1d([1, 0, 2]), lambda x: np.floor(x).astype(int), lambda x: x.__imul__(2)],
    ids=["NumPy", "lambda", "callable object", "integers", "in place"],
)
def test_any_function_is_fitted(function: functions.Function):
    lab = Curve(function=function, noise=0.0, epochs=3)
    for split in lab.splits([0], torch.float64).values():
        np.testing.assert_allclose(split.y, function(split.x.numpy().copy()), atol=1e-12)
    assert np.isfinite(lab.train([0]).metrics["grid_mse"]).all()


@pytest.mark.parametrize("name", REPORTED)
def test_report_function_trains_like_same_user_function(name: str):
    assert equal(Curve(function=REPORTED[name], epochs=5).train([0]), Curve(function=name, epochs=5).train([0]))


def test_labs_of_user_functions_differ_by_values():
    one, same, other = (Curve(function=f) for f in (lambda x: x + 1, lambda x: 1 + x, lambda x: x - 1))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert repr(one) == repr(same) != repr(other)
    assert Block(one, 0, "cpu") == Block(same, 0, "cpu") != Block(other, 0, "cpu")
    assert Curve.configure("full", {"function": one.function}) == one


def claim(**arms: Any) -> Claim:
    """Return a claim that compares two functions, by the name of the arm."""
    first, second = arms
    return Claim(
        id="curve/user",
        statement="",
        citation="",
        lab=Curve,
        arms={name: Arm({"function": function, "epochs": 3}) for name, function in arms.items()},
        relations=[beats(first, second, GRID_MSE)],
    )


def test_user_functions_can_be_arms_of_claim():
    compared = claim(flat=np.zeros_like, steep=lambda x: x**3)
    compared.validate()
    labs = compared.configure(Scale.QUICK)
    outcome = compared.relations[0].decide({name: lab.train(range(4)) for name, lab in labs.items()})
    assert outcome.holds.all()


FINITE = "the function must return finite float32 numbers, got "
SAME_VALUE = "the function must return the same value for a point in each call"
REFUSED: dict[str, tuple[Any, str]] = {
    "scalar": (lambda x: 1.0, "the function must return one number per point, an array of shape (1000,), got 1.0"),
    "complex": (lambda x: x * 1j, "the function must return real numbers, got values of type complex128"),
    "too large": (lambda x: x * 1e38, FINITE + "-5e+38 at x = -5"),
    "NaN from the start": (np.log, FINITE + "nan at x = -5"),
    "NaN at the end": (lambda x: np.sqrt(4.5 - x), FINITE + "nan at x = 4.5"),
    "hole": (lambda x: 1 / x, FINITE + "inf at x = 0"),
    "failing": (lambda x: 1 // 0, "the function raised ZeroDivisionError"),
    "random": (lambda x: np.random.default_rng().normal(size=x.shape), SAME_VALUE),
    "dependent on other points": (lambda x: x - x.mean(), SAME_VALUE),
    "evaluated elsewhere": (UserFunction(np.log, functions.grid(9, (1, 2))), FINITE + "nan at x = -5"),
    "class": (Curve, "the function raised TypeError"),
}


@pytest.mark.parametrize(("function", "message"), REFUSED.values(), ids=REFUSED)
def test_unsound_function_is_refused(function: Any, message: str):
    with pytest.raises(ValueError, match=f"^curve\\.function: {re.escape(message)}"):
        Curve(function=function)
    with pytest.raises(ClaimError, match=f"^curve/user: arm 'user': curve\\.function: {re.escape(message)}"):
        claim(f="f", user=function).configure(Scale.QUICK)


@pytest.mark.parametrize("function", ["h", "", 3, None, ("f",), {"f": 1}, np.ones(3)], ids=str)
def test_object_that_is_no_function_is_refused(function: Any):
    message = (
        r"curve\.function must be one of f, g, g as printed or a function of a NumPy array, got "
        rf"{re.escape(repr(function))}"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Curve(function=function)
    with pytest.raises(ClaimError, match=f"^curve/user: arm 'user': {message}"):
        claim(f="f", user=function).configure(Scale.QUICK)


def test_hole_between_points_of_grid_is_reported_with_samples():
    lab = Curve(function=lambda x: np.where((x > 2.8501) & (x < 2.8599), np.nan, x), samples=5000)
    with pytest.raises(ValueError, match=rf"^{FINITE}nan at x = 2\.85"):
        lab.splits([0])


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e-5, 1, 1e30])
def test_functions_of_any_scale_are_distinguished(scale: float):
    one, same, other = (
        repr(Curve(function=function, noise=0.0))
        for function in (lambda x: scale * x**2, lambda x: x * x * scale, lambda x: 1.01 * scale * x**2)
    )
    assert one == same != other


@pytest.mark.parametrize("function", [np.sin, np.exp, np.poly1d([1, 0, 2])])
def test_seed_has_same_values_of_function_in_any_stack(function: functions.Function):
    lab = Curve(function=function, noise=0.0)
    torch.testing.assert_close(lab.splits([7, 3])["train"].y[1:], lab.splits([3])["train"].y)


# settings

UNSTATED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"lr": 0.02}),
    ({}, {"hidden": (10, 10)}),
    ({}, {"activation": "relu"}),
    ({}, {"draw": "course"}),
    ({}, {"noise": 0.5}),
    ({}, {"samples": 100}),
    ({}, {"optimizer": "sgd"}),
    ({"optimizer": "sgd"}, {"momentum": 0.5}),
]
"""Other settings of a lab, and the changed one."""


def test_all_unstated_settings_are_tested():
    assert {name for _, setting in UNSTATED for name in setting} == set(Curve.unstated())


@pytest.mark.parametrize(("others", "setting"), [*UNSTATED, ({}, {"function": "g"}), ({}, {"max_epochs": 3})], ids=str)
def test_setting_changes_training(others: dict[str, Any], setting: dict[str, Any]):
    short = {"epochs": 4, "lr": 0.001, **others}
    assert train_error(Curve(**short)) != train_error(Curve(**{**short, **setting}))


@pytest.mark.parametrize(("hidden", "widths"), [("10", (10,)), ("32-32", (32, 32))])
def test_other_networks_can_be_set_on_command_line(hidden: str, widths: tuple[int, ...]):
    changes = {name: Curve.parse(name, text) for name, text in (("hidden", hidden), ("activation", "relu"))}
    lab = Curve.configure("quick", {"epochs": 3}).override(changes)
    assert (lab.hidden, lab.activation, lab.epochs) == (widths, "relu", 3)
    assert np.isfinite(lab.train([0]).metrics["grid_mse"]).all()


def test_unknown_draw_is_refused():
    with pytest.raises(ValueError, match=r"^curve\.draw must be one of seed, course, got 'torch'$"):
        Curve(draw="torch")
