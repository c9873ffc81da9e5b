"""The lab curve: its samples, the numbers it gives, and the functions of the user's own that it fits."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor, nn

from labcheck.core.claims import Arm, Claim, ClaimError
from labcheck.core.comparisons import beats
from labcheck.data import functions
from labcheck.data.functions import UserFunction
from labcheck.engine.store import Block
from labcheck.labs.curve import GRID_MSE, Curve, checkpoints

from .test_labs import equal, error

REPORTED = {"f": functions.f, "g": functions.g, "g as printed": functions.g_printed}


@pytest.mark.parametrize("name", REPORTED)
def test_curve_is_of_noisy_samples_and_a_clean_grid(name: str) -> None:
    parts = Curve(function=name, samples=20_000).splits(range(2), torch.float64)
    x, y = parts["train"].x.squeeze(2).numpy(), parts["train"].y.squeeze(2).numpy()
    noise = (y - REPORTED[name](x)) / 3
    for k in range(2):
        assert kstest(x[k], "uniform", (-5, 10)).pvalue > 1e-4
        assert kstest(noise[k], "norm").pvalue > 1e-4
        assert noise[k].std() == pytest.approx(1, abs=0.02)
        for power in (1, 2):
            assert abs(np.corrcoef(x[k], noise[k] ** power)[0, 1]) < 0.04
            assert abs(np.corrcoef(x[k] ** 2, noise[k] ** power)[0, 1]) < 0.04
    assert abs(np.corrcoef(noise)[0, 1]) < 0.04
    grid = parts["grid"]
    np.testing.assert_allclose(grid.x[:, :, 0], [np.arange(1000) / 100 - 5] * 2, atol=1e-12)
    np.testing.assert_allclose(grid.y, REPORTED[name](grid.x.numpy()), atol=1e-12)


def test_curve_has_200_samples_unless_said() -> None:
    assert Curve().splits([0])["train"].x.shape == (1, 200, 1)
    assert Curve(samples=7).splits([0])["train"].y.shape == (1, 7, 1)


def test_noise_is_in_proportion_and_none_where_it_is_zero() -> None:
    clean, one, three = (Curve(noise=noise).splits([0], torch.float64)["train"] for noise in (0.0, 1.0, 3.0))
    np.testing.assert_allclose(clean.y, functions.f(clean.x.numpy()), atol=1e-12)
    torch.testing.assert_close(three.y - clean.y, 3 * (one.y - clean.y))
    assert torch.equal(three.x, clean.x)


def test_metrics_of_curve_fit_together() -> None:
    trials = Curve(epochs=120).train(range(3))
    np.testing.assert_allclose(trials.metrics["grid_mse"], trials.curves["grid_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(trials.metrics["final_loss"], trials.curves["batch_loss"][:, -1])
    np.testing.assert_allclose(trials.metrics["train_mse"], trials.curves["train_loss"][:, -1], rtol=1e-5)
    np.testing.assert_allclose(trials.curves["train_loss"][:, :99], trials.curves["batch_loss"][:, 1:100], rtol=1e-5)
    assert set(trials.metrics) == {"train_mse", "grid_mse", "epochs", "final_loss"}
    assert trials.after("grid_loss").tolist() == [*range(1, 101), 110, 120]


def test_numbers_of_epochs_are_read_off_one_training_of_curve() -> None:
    longer, shorter = Curve(epochs=120).train(range(2)), Curve(epochs=57).train(range(2))
    column = longer.after("grid_loss").tolist().index(57)
    np.testing.assert_allclose(shorter.metrics["grid_mse"], longer.curves["grid_loss"][:, column], rtol=1e-5)


def test_checkpoints_are_those_of_the_reports_and_of_powers_of_ten() -> None:
    assert {10, 50, 100, 200, 500, 1000, 3500, 50_000, 100_000} <= set(checkpoints(100_000))
    assert checkpoints(12) == list(range(1, 13))
    assert checkpoints(111)[-3:] == [100, 110, 111]
    assert checkpoints(1005)[-3:] == [990, 1000, 1005]


@given(st.integers(1, 10**7))
def test_checkpoints_ascend_and_end_with_the_last_epoch(epochs: int) -> None:
    found = checkpoints(epochs)
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (1, epochs)
    assert all(len(str(number).rstrip("0")) <= 2 for number in found[:-1])
    assert {number for number in (10, 50, 100, 200, 500, 1000, 3500, 50_000) if number <= epochs} <= set(found)


@pytest.mark.parametrize(("epochs", "max_epochs", "expected"), [(9, 5, 5), (5, 9, 5), (5, 5, 5)])
def test_curve_trains_no_longer_than_its_scale_allows(epochs: int, max_epochs: int, expected: int) -> None:
    trials = Curve(epochs=epochs, max_epochs=max_epochs).train([0])
    assert trials.metrics["epochs"] == [expected]
    assert trials.after("grid_loss").tolist() == [*range(1, expected + 1)]


def test_long_trainings_of_curve_are_for_the_full_scale() -> None:
    quick, full = (Curve.configure(scale, {}, {"epochs": 100_000}).recipe().epochs for scale in ("quick", "full"))
    assert (quick, full) == (10_000, 100_000)


# The course's own draw.


def course_net() -> tuple[nn.Sequential, Tensor, Tensor]:
    """The net, the points and the noise that torch draws after its seed 2019."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2019)
        net = nn.Sequential(nn.Linear(1, 64), nn.Sigmoid(), nn.Linear(64, 64), nn.Sigmoid(), nn.Linear(64, 1))
        return net, torch.empty(200, 1).uniform_(-5, 5), torch.randn(200, 1) * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_courses_draw_is_torchs_for_every_seed(dtype: torch.dtype) -> None:
    lab = Curve(draw="course")
    net, x, noise = course_net()
    expected = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
    torch.testing.assert_close(lab.network([5, 3], dtype).state, expected.to(dtype).expand(2, -1))
    train = lab.splits([5, 3], dtype)["train"]
    torch.testing.assert_close(train.x, x.to(dtype).expand(2, -1, -1))
    values = functions.values(functions.f, x) + noise.double()
    torch.testing.assert_close(train.y, values.to(dtype).expand(2, -1, -1), rtol=1e-6, atol=1e-6)


def test_drawing_for_the_course_leaves_torchs_own_stream_where_it_is() -> None:
    before = torch.random.get_rng_state()
    Curve(draw="course", epochs=2).train([0])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_courses_training_is_that_of_a_plain_loop_with_torch() -> None:
    """The errors after 100 and 200 epochs are those that a replica with the course's seed has given."""
    trials, grid = Curve(draw="course", epochs=200).train([0]), torch.linspace(-5, 5, 1000).unsqueeze(1)
    net, x, noise = course_net()
    y, true = (functions.values(functions.f, points).float() for points in (x, grid))
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    points = torch.from_numpy(trials.tables["grid_x"]).float().mT
    for epoch, printed in ((100, 2.59), (200, 1.10)):
        for _ in range(100):
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x), y + noise).backward()
            optimizer.step()
        assert nn.functional.mse_loss(net(grid), true).item() == pytest.approx(printed, abs=0.005)
        column = trials.after("train_loss").tolist().index(epoch)
        found = nn.functional.mse_loss(net(x), y + noise).item()
        assert trials.curves["train_loss"][0, column] == pytest.approx(found, rel=1e-3)
    np.testing.assert_allclose(trials.tables["grid_fit"][0], net(points).detach().squeeze(1), rtol=1e-2, atol=1e-2)


# The user's own function.


@pytest.mark.parametrize(
    "function",
    [np.abs, lambda x: x / 2, np.poly1d([1, 0, 2]), lambda x: np.floor(x).astype(int), lambda x: x.__imul__(2)],
    ids=["of NumPy", "lambda", "callable object", "integers", "in place"],
)
def test_curve_fits_any_function(function: functions.Function) -> None:
    lab = Curve(function=function, noise=0.0, epochs=3)
    for part in lab.splits([0], torch.float64).values():
        np.testing.assert_allclose(part.y, function(part.x.numpy().copy()), atol=1e-12)
    assert np.isfinite(lab.train([0]).metrics["grid_mse"]).all()


@pytest.mark.parametrize("name", REPORTED)
def test_a_function_of_the_report_trains_as_if_it_were_the_users(name: str) -> None:
    assert equal(Curve(function=REPORTED[name], epochs=5).train([0]), Curve(function=name, epochs=5).train([0]))


def test_labs_of_own_functions_are_told_apart_by_their_values() -> None:
    one, same, other = (Curve(function=f) for f in (lambda x: x + 1, lambda x: 1 + x, lambda x: x - 1))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert repr(one) == repr(same) != repr(other)
    assert Block(one, 0, "cpu") == Block(same, 0, "cpu") != Block(other, 0, "cpu")
    assert Curve.configure("full", {}, {"function": one.function}) == one


def claim(**functions: Any) -> Claim:
    arms = {name: Arm({"function": function, "epochs": 3}) for name, function in functions.items()}
    relations = [beats(*functions, GRID_MSE)]
    return Claim(id="curve/own", statement="", source="", lab=Curve, arms=arms, relations=relations)


def test_own_functions_may_be_arms_of_a_claim() -> None:
    own = claim(flat=np.zeros_like, steep=lambda x: x**3)
    own.validate()
    labs = {name: own.lab.configure("quick", {}, arm.settings) for name, arm in own.arms.items()}
    outcome = own.relations[0].judge({name: lab.train(range(4)) for name, lab in labs.items()})
    assert outcome.holds.all()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: 1.0, "the function gets an array of shape (1000,) and gave just 1.0"),
        (lambda x: x * 1j, "the function gave values of type complex128"),
        (lambda x: x * 1e38, "the function is -5e+38 at x = -5"),
        (np.log, "the function is nan at x = -5"),
        (lambda x: np.sqrt(4.5 - x), "the function is nan at x = 4.5"),
        (lambda x: 1 / x, "the function is inf at x = 0"),
        (lambda x: 1 // 0, "the function raised ZeroDivisionError"),
        (lambda x: np.random.default_rng().normal(size=x.shape), "the function gives a point other values"),
        (lambda x: x - x.mean(), "the function gives a point other values"),
        (UserFunction(np.log, functions.grid(9, (1, 2))), "the function is nan at x = -5"),
        (Curve, "the function raised TypeError"),
    ],
    ids=[
        *("scalar", "complex", "too large", "NaN from the start", "NaN at the end", "hole", "failing", "random"),
        *("of other points", "tried elsewhere", "class"),
    ],
)
def test_what_cannot_be_fitted_is_refused(function: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^curve\\.function: {re.escape(message)}"):
        Curve(function=function)
    with pytest.raises(ClaimError, match=f"^curve/own: arm 'own': curve\\.function: {re.escape(message)}"):
        claim(f="f", own=function).validate()


@pytest.mark.parametrize("function", ["h", "", 3, None, ("f",), {"f": 1}, np.ones(3)], ids=str)
def test_what_is_no_function_is_refused_with_what_would_be_one(function: Any) -> None:
    message = rf"curve\.function is f, g, g as printed or a function of a NumPy array, not {re.escape(repr(function))}"
    with pytest.raises(ValueError, match=f"^{message}$"):
        Curve(function=function)
    with pytest.raises(ClaimError, match=f"^curve/own: arm 'own': {message}"):
        claim(f="f", own=function).validate()


def test_a_hole_that_only_training_meets_is_told_by_its_place() -> None:
    lab = Curve(function=lambda x: np.where((x > 2.8501) & (x < 2.8599), np.nan, x), samples=5000)
    with pytest.raises(ValueError, match=r"^the function is nan at x = 2\.85"):
        lab.splits([0])


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e-5, 1, 1e30])
def test_functions_of_any_size_are_told_apart(scale: float) -> None:
    one, same, other = (
        repr(Curve(function=function, noise=0.0))
        for function in (lambda x: scale * x**2, lambda x: x * x * scale, lambda x: 1.01 * scale * x**2)
    )
    assert one == same != other


@pytest.mark.parametrize("function", [np.sin, np.exp, np.poly1d([1, 0, 2])])
def test_a_seed_has_the_same_values_of_an_own_function_in_any_stack(function: functions.Function) -> None:
    lab = Curve(function=function, noise=0.0)
    torch.testing.assert_close(lab.splits([7, 3])["train"].y[1:], lab.splits([3])["train"].y)


# Settings.


OPEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"lr": 0.02}),
    ({}, {"hidden": (10, 10)}),
    ({}, {"activation": "relu"}),
    ({}, {"draw": "course"}),
    ({}, {"noise": 0.5}),
    ({}, {"samples": 100}),
    ({}, {"optimizer": "sgd"}),
    ({"optimizer": "sgd"}, {"momentum": 0.5}),
]


def test_every_open_setting_is_tried() -> None:
    assert {name for _, setting in OPEN for name in setting} == set(Curve.unstated())


@pytest.mark.parametrize(("given", "setting"), [*OPEN, ({}, {"function": "g"}), ({}, {"max_epochs": 3})], ids=str)
def test_settings_of_curve_change_what_is_trained(given: dict[str, Any], setting: dict[str, Any]) -> None:
    short = {"epochs": 4, "lr": 0.001, **given}
    assert error(Curve(**short)) != error(Curve(**{**short, **setting}))


@pytest.mark.parametrize(("hidden", "widths"), [("10", (10,)), ("32-32", (32, 32))])
def test_the_nets_first_thought_of_can_be_named_on_a_command_line(hidden: str, widths: tuple[int, ...]) -> None:
    overrides = {name: Curve.parse(name, text) for name, text in (("hidden", hidden), ("activation", "relu"))}
    lab = Curve.configure("quick", overrides, {"epochs": 3})
    assert (lab.hidden, lab.activation) == (widths, "relu")
    assert np.isfinite(lab.train([0]).metrics["grid_mse"]).all()


def test_samples_of_no_known_draw_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^curve\.draw is one of seed, course, not 'torch'$"):
        Curve(draw="torch")
