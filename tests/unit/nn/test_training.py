"""Tests of the stacked training loop against the usual loop in torch, one model at a time."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from labcheck.data.examples import Examples, generators, permutations, shuffled
from labcheck.nn.as_torch import as_torch
from labcheck.nn.compiled.training import CompiledPrediction
from labcheck.nn.scratch.activations import ACTIVATIONS
from labcheck.nn.scratch.layers import Linear
from labcheck.nn.scratch.losses import MSE, Hinge, Loss
from labcheck.nn.scratch.network import Network, mlp
from labcheck.nn.scratch.optimizers import SGD, Adam
from labcheck.nn.scratch.schedules import PlateauSchedule, Schedule, StepSchedule
from labcheck.nn.training import History, Recipe, predict, train

SEEDS = range(3)
WIDTHS = [2, 8, 5, 1]
LR = 0.001
"""A small learning rate: at 0.02, torch amplifies a relative change of 1e-15 to 6e-5 in a hundred steps."""


def splits(seeds: Any = SEEDS, scale: float = 1.0) -> dict[str, Examples]:
    examples = {}
    for name, n in (("train", 50), ("val", 20)):
        rngs = generators(seeds, name)
        x = torch.stack([torch.randn(n, 2, dtype=torch.float64, generator=rng) for rng in rngs])
        examples[name] = Examples(x, scale * (x[:, :, :1].sin() + x[:, :, 1:] ** 2))
    return examples


def stack(seeds: Any = SEEDS, norm: bool = True, running: bool = True) -> Network:
    layers = mlp(WIDTHS, activation="relu", norm=norm, running=running)
    return Network(layers, generators(seeds, "init"), torch.float64)


def momentum() -> SGD:
    return SGD(0.9)


def plateau() -> PlateauSchedule:
    return PlateauSchedule(2)


def run(network: Network, data: dict[str, Examples], seeds: Any = SEEDS, **settings: Any) -> History:
    """Train a stack; the default is momentum, a plateau schedule, and 25 epochs of four minibatches."""
    defaults: dict[str, Any] = {"optimizer": momentum, "schedule": plateau, "lr": LR, "batch": 16, "epochs": 25}
    orders = [shuffled(rng) for rng in generators(seeds, "order")]
    return train(network, data, orders, Recipe(**(defaults | settings)))


def val_loss(network: Network, data: dict[str, Examples]) -> Tensor:
    """Return the validation loss of each model, (K,)."""
    return MSE().forward(network.predict(data["val"].x), data["val"].y.mT)


def train_with_torch(
    model: nn.Sequential, data: dict[str, Examples], k: int, optimizer: Any, schedule: Any, running: bool
) -> Tensor:
    """Train model `k` with torch.nn and torch.optim for 25 epochs, and return its validation losses, (25,)."""
    x, y, x_val, y_val = data["train"].x[k], data["train"].y[k], data["val"].x[k], data["val"].y[k]
    rng = generators([k], "order")
    losses = []
    for _ in range(25):
        for index in permutations(50, rng)[0].split(16):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[index]), y[index]).backward()
            optimizer.step()
        model.train(not running)
        with torch.no_grad():
            losses.append(nn.functional.mse_loss(model(x_val), y_val).item())
        model.train()
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step(losses[-1])
        elif schedule:
            schedule.step()
    return torch.tensor(losses, dtype=torch.float64)


OPTIMIZERS: dict[str, tuple[Callable[[], Any], Callable[..., torch.optim.Optimizer]]] = {
    "momentum": (momentum, lambda p: torch.optim.SGD(p, LR, momentum=0.9, fused=True)),
    "adam": (Adam, lambda p: torch.optim.Adam(p, LR, fused=True)),
}
"""The factory from scratch, and torch's."""
SCHEDULES: dict[str, tuple[Callable[[], Schedule], Callable[[torch.optim.Optimizer], Any]]] = {
    "constant": (Schedule, lambda o: None),
    "step": (lambda: StepSchedule(10), lambda o: torch.optim.lr_scheduler.StepLR(o, 10)),
    "plateau": (plateau, lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=2)),
}
"""The factory from scratch, and torch's."""


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["plain", "batch", "running"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_hundred_steps_equal_torch(norm: str, optimizer: str, schedule: str) -> None:
    if (norm, optimizer) == ("running", "adam"):
        pytest.skip("a bias before BatchNorm has gradients of rounding errors, which Adam turns into full steps")
    running = norm == "running"
    network, data = stack(norm=norm != "plain", running=running), splits()
    models = [as_torch(network, k) for k in SEEDS]
    history = run(network, data, optimizer=OPTIMIZERS[optimizer][0], schedule=SCHEDULES[schedule][0])
    for k, model in enumerate(models):
        reference = OPTIMIZERS[optimizer][1](model.parameters())
        expected = train_with_torch(model, data, k, reference, SCHEDULES[schedule][1](reference), running)
        torch.testing.assert_close(history.curves["val_loss"][k], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("widths", [[2, 8, 5, 1], [1, 8, 1], [1, 1, 1], [1, 1]], ids=str)
def test_hundred_full_batch_steps_equal_torch(widths: list[int], activation: str, optimizer: str) -> None:
    data = {name: Examples(split.x[:, :, : widths[0]], split.y) for name, split in splits().items()}
    network = Network(mlp(widths, activation=activation), generators(SEEDS, "init"), torch.float64)
    models = [as_torch(network, k) for k in SEEDS]
    settings: Any = {"optimizer": OPTIMIZERS[optimizer][0], "schedule": Schedule, "batch": 50, "epochs": 100}
    history = run(network, data, **settings)
    # the models share no parameters, so one optimizer and the gradient of the sum train each of them alone
    reference = OPTIMIZERS[optimizer][1](parameter for model in models for parameter in model.parameters())
    expected = []
    for _ in range(100):
        reference.zero_grad()
        pairs = zip(models, data["train"].x, data["train"].y, strict=True)
        losses = torch.stack([nn.functional.mse_loss(model(x), y) for model, x, y in pairs])
        losses.sum().backward()
        reference.step()
        expected.append(losses.detach())
    torch.testing.assert_close(history.curves["batch_loss"], torch.stack(expected, 1), rtol=1e-9, atol=1e-9)
    for k, model in enumerate(models):
        parameters = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
        torch.testing.assert_close(network.state[k], parameters, rtol=1e-9, atol=1e-9)


def test_batch_larger_than_split_is_whole_split() -> None:
    one, other = stack(), stack()
    run(one, splits(), batch=50)
    run(other, splits(), batch=64)
    assert torch.equal(one.state, other.state)


RECORDED = [1, 2, 10, 25]


@pytest.mark.parametrize("batch", [16, 50], ids=["minibatches", "all examples"])
def test_sparse_records_equal_records_of_every_epoch(batch: int) -> None:
    each, some = stack(), stack()
    settings: Any = {"schedule": Schedule, "batch": batch, "monitor": ("val", "train")}
    whole, sparse = run(each, splits(), **settings), run(some, splits(), record_at=RECORDED, **settings)
    assert torch.equal(each.state, some.state)
    assert whole.recorded.tolist() == list(range(1, 26))
    assert sparse.recorded.tolist() == RECORDED
    assert sparse.curves.keys() == whole.curves.keys()
    for name, curve in sparse.curves.items():
        assert torch.equal(curve, whole.curves[name][:, sparse.recorded - 1])
    assert sparse.epochs.tolist() == whole.epochs.tolist() == [25, 25, 25]


def test_divergence_between_two_records_stops_at_second() -> None:
    data = splits()
    data["train"].x[1] *= 1e15
    each, some = (Network([Linear(2, 1)], generators(SEEDS, "init"), torch.float64) for _ in range(2))
    settings: Any = {"schedule": Schedule, "batch": 50}
    whole, sparse = run(each, data, **settings), run(some, data, record_at=RECORDED, **settings)
    assert 2 < whole.epochs[1] < 10
    assert whole.epochs[[0, 2]].tolist() == [25, 25]
    assert sparse.epochs.tolist() == [25, 10, 25]
    torch.testing.assert_close(some.state[[0, 2]], each.state[[0, 2]], rtol=1e-9, atol=1e-9)
    for name in ("batch_loss", "val_loss"):
        curve = sparse.curves[name]
        assert torch.equal(curve[1, :2], whole.curves[name][1, :2])
        assert not curve[1, 2].isfinite()
        assert curve.isnan()[:, 3].tolist() == [False, True, False]
    assert sparse.curves["lr"].isnan().tolist() == [[False] * 4, [False, False, False, True], [False] * 4]


def test_no_stop_or_lr_change_between_two_records() -> None:
    calls = []

    def after_five(epoch: int, lr: Tensor) -> Tensor:
        calls.append(epoch + 1)
        return torch.full_like(lr, epoch + 1 == 5, dtype=torch.bool)

    settings: Any = {"schedule": partial(StepSchedule, 5), "should_stop": after_five}
    history = run(stack(), splits(), record_at=RECORDED, **settings)
    assert calls == RECORDED
    assert history.epochs.tolist() == [25, 25, 25]
    assert history.curves["lr"][0].tolist() == pytest.approx([LR, LR, LR, LR / 10])
    assert run(stack(), splits(), record_at=[5, 25], **settings).epochs.tolist() == [5, 5, 5]


def test_trials_have_last_recorded_loss_of_each_model() -> None:
    curves = {"batch_loss": torch.tensor([[4.0, 2, 1], [8, 6, torch.nan], [9, torch.nan, torch.nan]])}
    history = History(curves, torch.tensor([1, 10, 25]), torch.tensor([25, 10, 1]), torch.zeros(3, 2))
    trials = history.trials({"mse": torch.tensor([7.0, 5, 3])})
    assert {name: values.tolist() for name, values in trials.metrics.items()} == {
        "mse": [7, 5, 3], "epochs": [25, 10, 1], "final_loss": [1, 6, 9],
    }  # fmt: skip
    assert trials.after("batch_loss").tolist() == [1, 10, 25]
    assert np.array_equal(trials.curves["batch_loss"], curves["batch_loss"], equal_nan=True)


def test_best_weights_are_those_of_record() -> None:
    network, data = stack(), splits()
    curve = run(network, data, restore_best=True, record_at=[1, 9, 25]).curves["val_loss"]
    torch.testing.assert_close(val_loss(network, data), curve.amin(1), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "record",
    [[], [1, 10], [1, 24], [25, 30], [30], range(1, 25), [3, 1, 25], [1, 1, 25], [25, 25], [0, 25], [-1, 25]],
    ids=str,
)
def test_record_at_must_ascend_to_last_epoch(record: Sequence[int]) -> None:
    with pytest.raises(ValueError, match=r"^record_at must ascend from at least 1 to epochs, 25, got \["):
        run(stack(), splits(), record_at=record)


def test_seed_trains_alone_as_in_stack() -> None:
    together = run(stack(), splits())
    for k in SEEDS:
        alone = run(stack([k]), splits([k]), [k])
        for name, curve in together.curves.items():
            torch.testing.assert_close(alone.curves[name][0], curve[k], rtol=1e-9, atol=1e-9)


def test_divergence_of_one_model_does_not_affect_others() -> None:
    data = splits()
    broken = {name: Examples(split.x.clone(), split.y.clone()) for name, split in data.items()}
    broken["train"].y[1] *= 1e200
    network, other = stack(norm=False), stack(norm=False)
    history = run(network, broken)
    run(other, data)
    assert history.epochs.tolist() == [25, 1, 25]
    assert history.curves["batch_loss"][1, 1:].isnan().all()
    assert not network.state[1].isfinite().all()
    torch.testing.assert_close(network.state[[0, 2]], other.state[[0, 2]], rtol=1e-9, atol=1e-9)


def test_stopped_model_has_weights_of_its_last_epoch() -> None:
    def second_after_five(epoch: int, lr: Tensor) -> Tensor:
        return torch.arange(len(lr)) == 1 if epoch == 4 else torch.zeros(len(lr), dtype=torch.bool)

    stopped, short, whole = stack(), stack(), stack()
    history = run(stopped, splits(), should_stop=second_after_five)
    run(short, splits(), epochs=5)
    run(whole, splits())
    assert history.epochs.tolist() == [25, 5, 25]
    torch.testing.assert_close(stopped.state[1], short.state[1])
    torch.testing.assert_close(stopped.state[[0, 2]], whole.state[[0, 2]])


def test_best_weights_have_lowest_validation_loss() -> None:
    network, data = stack(), splits()
    history = run(network, data, restore_best=True)
    curve = history.curves["val_loss"]
    assert (curve.argmin(1) < 24).any()
    torch.testing.assert_close(val_loss(network, data), curve.amin(1), rtol=1e-12, atol=0)


@pytest.mark.parametrize("every", [4, 10, 25])
def test_best_weights_are_checked_every_n_epochs(every: int) -> None:
    network, data = stack(), splits()
    curve = run(network, data, restore_best=True, best_every=every).curves["val_loss"][:, every - 1 :: every]
    torch.testing.assert_close(val_loss(network, data), curve.amin(1), rtol=1e-12, atol=0)


def test_best_weights_are_nan_without_finite_loss() -> None:
    network = stack(norm=False)
    run(network, splits(scale=1e200), restore_best=True)
    assert network.state.isnan().all()


def test_curves_have_learning_rate_of_each_epoch() -> None:
    history = run(stack(), splits(), schedule=partial(StepSchedule, 10))
    assert history.curves["lr"][0, [0, 9, 10, 24]].tolist() == pytest.approx([LR, LR, LR / 10, LR / 100])


def test_monitored_split_is_evaluated_after_each_epoch() -> None:
    network, data = stack(running=True), splits()
    history = run(network, data, monitor=("val", "train"))
    value = MSE().forward(network.predict(data["train"].x), data["train"].y.mT)
    torch.testing.assert_close(history.curves["train_loss"][:, -1], value)


def test_recipe_can_train_twice() -> None:
    recipe = Recipe(optimizer=momentum, schedule=partial(PlateauSchedule, 0), lr=LR, batch=16, epochs=5)
    networks = [stack(), stack()]
    for network in networks:
        train(network, splits(), [shuffled(rng) for rng in generators(SEEDS, "order")], recipe)
    assert torch.equal(networks[0].state, networks[1].state)


def test_streams_are_independent_across_names_and_seeds() -> None:
    def draws(seeds: Any, stream: str) -> Tensor:
        return torch.stack([torch.rand(4, generator=rng) for rng in generators(seeds, stream)])

    assert torch.equal(draws([5, 6, 7], "init")[1], draws([6], "init")[0])
    both = torch.cat([draws(range(50), "init"), draws(range(50), "order")])
    assert len(both.unique()) == both.numel()


# evaluations


@pytest.mark.parametrize(("loss", "compiled"), [(MSE, True), (Hinge, False)])
def test_evaluations_have_rounding_of_loop_that_trains(loss: Callable[[], Loss], compiled: bool) -> None:
    network = Network(mlp([2, 64, 64, 1], activation="tanh"), generators(SEEDS, "init"))
    data = {name: Examples(split.x.float(), split.y.float()) for name, split in splits().items()}
    run(network, data, loss=loss, epochs=2)
    x = data["val"].x
    kernels, operations = CompiledPrediction(network)(x), network.predict(x)
    assert not torch.equal(kernels, operations)
    assert torch.equal(predict(network, data["val"]), kernels if compiled else operations)
