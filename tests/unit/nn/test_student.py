"""Tests of the student's net and of splits with a DataLoader, against the network from scratch and torch."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from labcheck.data.examples import generators, shuffled
from labcheck.data.images import Selection
from labcheck.nn import training
from labcheck.nn.as_torch import as_torch
from labcheck.nn.scratch.losses import CrossEntropy
from labcheck.nn.scratch.network import Network, mlp
from labcheck.nn.scratch.optimizers import SGD
from labcheck.nn.student import LoadedSelection, Student, StudentSGD, relu
from labcheck.nn.torch_parts import TORCH_LOSSES
from labcheck.nn.training import Recipe
from tests.helpers.nets import normal

WIDTHS = [[12, 10], [12, 7, 10], [12, 7, 5, 10]]
every_depth = pytest.mark.parametrize("widths", WIDTHS, ids=str)


def network(widths: list[int]) -> Network:
    return Network(mlp(widths, activation="relu", init="kaiming_normal"), generators([3], "init"), torch.float64)


def selection(kind: type[Selection] = Selection, n: int = 30, dtype: torch.dtype = torch.float64) -> Selection:
    pixels = torch.randint(256, (40, 2, 2, 3), generator=torch.Generator().manual_seed(0)).byte()
    rows = torch.arange(40).flip(0)[:n].unsqueeze(0)
    return kind(pixels, torch.arange(40) % 10, rows, dtype, flat=True)


def targets(n: int) -> torch.Tensor:
    return (torch.arange(n) * 7 % 10).view(1, -1, 1)


@every_depth
def test_student_predicts_what_scratch_network_predicts(widths: list[int]) -> None:
    scratch, x = network(widths), normal(1, 6, 12)
    student = Student.like(scratch)
    assert student.size == scratch.size
    for training_mode in (False, True):
        outputs = student.predict(x, training_mode)
        torch.testing.assert_close(outputs, scratch.predict(x), rtol=1e-12, atol=1e-12)
        assert not outputs.requires_grad


@every_depth
def test_gradients_equal_torch_module(widths: list[int]) -> None:
    scratch = network(widths)
    student, module = Student.like(scratch), as_torch(scratch, 0)
    for n in (6, 4):  # gradients of the first minibatch must not accumulate
        x = normal(1, n, 12, seed=n)
        student.gradient(x, targets(n), CrossEntropy())
        loss = functional.cross_entropy(module(x[0]), targets(n)[0, :, 0])
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        expected = [gradient.T if gradient.dim() == 2 else gradient for gradient in gradients]
        for parameter, gradient in zip(student.parameters, expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)
        flat = torch.cat([gradient.flatten() for gradient in expected])
        torch.testing.assert_close(student.gradients[0], flat, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", [Selection, LoadedSelection])
@every_depth
def test_hundred_steps_equal_scratch_network(widths: list[int], kind: type[Selection]) -> None:
    scratch = network(widths)
    student = Student.like(scratch)
    recipe = Recipe(optimizer=SGD, lr=0.3, batch=8, epochs=25, loss=CrossEntropy, monitor=("test",))
    student_recipe = replace(recipe, optimizer=StudentSGD, loss=TORCH_LOSSES["cross_entropy"])
    histories = [
        training.train(
            model,
            {"train": split, "test": selection(n=9)},
            [shuffled(rng) for rng in generators([3], "order")],
            model_recipe,
        )
        for model, split, model_recipe in (
            (scratch, selection(), recipe),
            (student, selection(kind), student_recipe),
        )
    ]
    x = normal(1, 6, 12)
    torch.testing.assert_close(student.predict(x), scratch.predict(x), rtol=1e-9, atol=1e-9)
    for name, curve in histories[0].curves.items():
        torch.testing.assert_close(histories[1].curves[name], curve, rtol=1e-9, atol=1e-9)


def test_state_that_is_bound_again_predicts_equal_bits() -> None:
    student, x = Student.like(network(WIDTHS[1])), normal(1, 6, 12)
    before, predicted = student.state.clone(), student.predict(x).clone()
    student.gradient(x, targets(6), CrossEntropy())
    StudentSGD().step(student.values, student.gradients, torch.tensor([0.5]))
    assert not torch.equal(student.predict(x), predicted)
    student.bind(before)
    assert torch.equal(student.predict(x), predicted)
    assert (student.gradients == 0).all()


def test_relu_equals_torch() -> None:
    x = normal(1, 3, 4)[0]
    assert torch.equal(relu(x), x.relu())


# splits with torch's DataLoader


@pytest.mark.parametrize("size", [1, 8, 30, 64])
def test_loaded_batches_equal_batches_in_memory(size: int) -> None:
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1)).unsqueeze(0)
    expected = list(selection().batches(order, size))
    loaded = list(selection(LoadedSelection).batches(order, size))
    assert len(loaded) == len(expected) == -(-30 // size)
    for batch, reference in zip(loaded, expected, strict=True):
        assert torch.equal(batch.x, reference.x)
        assert torch.equal(batch.y, reference.y)


def test_loaded_split_preserves_torch_stream() -> None:
    before = torch.get_rng_state()
    list(selection(LoadedSelection).batches(torch.arange(30).unsqueeze(0), 8))
    assert torch.equal(torch.get_rng_state(), before)


def test_loaded_split_is_still_loaded_after_to_and_select() -> None:
    split = selection(LoadedSelection)
    for moved in (split.to("cpu"), split.select(torch.tensor([0]))):
        assert isinstance(moved, LoadedSelection)
        assert [len(batch) for batch in moved.batches(torch.arange(30).unsqueeze(0), 16)] == [16, 14]
