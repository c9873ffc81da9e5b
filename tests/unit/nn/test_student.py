"""A net as a student writes it: it learns what the scratch network learns, from batches of torch's DataLoader."""

from dataclasses import replace

import pytest
import torch
from torch import nn
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

from .test_scratch_layers import normal

WIDTHS = [[12, 10], [12, 7, 10], [12, 7, 5, 10]]
every_depth = pytest.mark.parametrize("widths", WIDTHS, ids=str)


def network(widths: list[int]) -> Network:
    return Network(mlp(widths, activation="relu", init="kaiming_normal"), generators([3], "init"), torch.float64)


def selection(kind: type[Selection] = Selection, n: int = 30, dtype: torch.dtype = torch.float64) -> Selection:
    pixels = torch.randint(256, (40, 2, 2, 3), generator=torch.Generator().manual_seed(0)).byte()
    rows = torch.arange(40).flip(0)[:n].unsqueeze(0)
    return kind(pixels, torch.arange(40) % 10, rows, dtype, flat=True)


def labels(n: int) -> torch.Tensor:
    return (torch.arange(n) * 7 % 10).view(1, -1, 1)


@every_depth
def test_it_predicts_what_the_scratch_network_predicts(widths: list[int]) -> None:
    scratch, x = network(widths), normal(1, 6, 12)
    student = Student.like(scratch)
    assert student.size == scratch.size
    for training_now in (False, True):
        found = student.predict(x, training_now)
        torch.testing.assert_close(found, scratch.predict(x), rtol=1e-12, atol=1e-12)
        assert not found.requires_grad


@every_depth
def test_its_gradients_are_those_of_a_torch_module(widths: list[int]) -> None:
    scratch = network(widths)
    student, module = Student.like(scratch), as_torch(scratch, 0)
    for n in (6, 4):  # the second minibatch does not add to the first
        x = normal(1, n, 12, seed=n)
        student.gradient(x, labels(n), CrossEntropy())
        module.zero_grad()
        functional.cross_entropy(module(x[0]), labels(n)[0, :, 0]).backward()
        linear = [layer for layer in module if isinstance(layer, nn.Linear)]
        expected = [tensor for layer in linear for tensor in (layer.weight.grad.T, layer.bias.grad)]
        for parameter, gradient in zip(student.parameters, expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)
        flat = torch.cat([gradient.flatten() for gradient in expected])
        torch.testing.assert_close(student.gradients[0], flat, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", [Selection, LoadedSelection])
@every_depth
def test_it_learns_what_the_scratch_network_learns_in_a_hundred_steps(widths: list[int], kind: type[Selection]) -> None:
    scratch = network(widths)
    student = Student.like(scratch)
    recipe = Recipe(optimizer=SGD(), lr=0.3, batch=8, epochs=25, loss=CrossEntropy(), monitor=("test",))
    theirs = replace(recipe, optimizer=StudentSGD(), loss=TORCH_LOSSES["cross_entropy"]())
    histories = [
        training.train(
            model, {"train": part, "test": selection(n=9)}, [shuffled(rng) for rng in generators([3], "order")], how
        )
        for model, part, how in ((scratch, selection(), recipe), (student, selection(kind), theirs))
    ]
    x = normal(1, 6, 12)
    torch.testing.assert_close(student.predict(x), scratch.predict(x), rtol=1e-9, atol=1e-9)
    for name, curve in histories[0].curves.items():
        torch.testing.assert_close(histories[1].curves[name], curve, rtol=1e-9, atol=1e-9)


def test_a_state_that_is_held_again_is_what_it_computes_with() -> None:
    student, x = Student.like(network(WIDTHS[1])), normal(1, 6, 12)
    before, predicted = student.state.clone(), student.predict(x).clone()
    student.gradient(x, labels(6), CrossEntropy())
    StudentSGD().step(student.values, student.gradients, torch.tensor([0.5]))
    assert not torch.equal(student.predict(x), predicted)
    student.bind(before)
    assert torch.equal(student.predict(x), predicted)
    assert (student.gradients == 0).all()


def test_its_relu_is_torchs() -> None:
    x = normal(1, 3, 4)[0]
    assert torch.equal(relu(x), x.relu())


# batches from torch's loader


@pytest.mark.parametrize("size", [1, 8, 30, 64])
def test_a_loaded_part_has_the_batches_of_one_in_memory(size: int) -> None:
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1)).unsqueeze(0)
    expected = list(selection().batches(order, size))
    found = list(selection(LoadedSelection).batches(order, size))
    assert len(found) == len(expected) == -(-30 // size)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours.x, theirs.x)
        assert torch.equal(ours.y, theirs.y)


def test_a_loaded_part_leaves_torchs_stream_where_it_is() -> None:
    before = torch.get_rng_state()
    list(selection(LoadedSelection).batches(torch.arange(30).unsqueeze(0), 8))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_part_stays_one_wherever_it_goes() -> None:
    part = selection(LoadedSelection)
    for moved in (part.to("cpu"), part.select(torch.tensor([0]))):
        assert isinstance(moved, LoadedSelection)
        assert [len(batch) for batch in moved.batches(torch.arange(30).unsqueeze(0), 16)] == [16, 14]
