"""Small labs, comparisons of trials, and data for the tests of `labcheck.labs` and `labcheck.data`."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from labcheck import Trials
from labcheck.data.examples import permutations
from labcheck.data.images import ImageSet, Selection
from labcheck.labs.cifar import Cifar
from labcheck.labs.fashion import Fashion
from labcheck.labs.mnist import Mnist
from labcheck.labs.supervised import StackedLab

MNIST = Mnist(
    train_size=128, val_size=64, test_size=64, epochs=2, channels=(2, 3), hidden=8, kernel=3, arithmetic="float32"
)
CIFAR = Cifar(train_size=16, test_size=8, batch=8, epochs=3, drop=2, arithmetic="float32")
FASHION = Fashion(hidden=4, epochs=1)


# trials


def equal(a: Trials, b: Trials) -> bool:
    """Return whether two trials have the same names and, to the bit, the same numbers."""
    groups = [(a.metrics, b.metrics), (a.curves, b.curves), (a.tables, b.tables)]
    if any(one.keys() != other.keys() for one, other in groups):
        return False
    arrays = [(one[name], other[name]) for one, other in groups for name in one]
    first, second = (None if trials.recorded is None else trials.recorded.tolist() for trials in (a, b))
    return first == second and all(np.array_equal(*pair, equal_nan=True) for pair in arrays)


def of_model(trials: Trials, k: int) -> dict[str, str]:
    """Return all numbers of one model by name, as text in which NaN equals NaN."""
    arrays = {**trials.metrics, **trials.curves, **trials.tables}
    return {name: repr(array[k].tolist()) for name, array in arrays.items()}


def train_error(lab: StackedLab) -> float:
    """Return the training error of seed 0 in double precision."""
    error = lab.train([0], dtype=torch.float64).metrics["train_mse"][0]
    assert np.isfinite(error)
    return float(error)


# examples


def loader_orders(n: int, batch: int, epochs: int) -> list[list[int]]:
    """Return the orders in which a shuffling DataLoader yields n examples, drawn from torch's own generator."""
    loader = DataLoader(TensorDataset(torch.arange(n)), batch_size=batch, shuffle=True)
    return [torch.cat([x for [x] in loader]).tolist() for _ in range(epochs)]


def random_images(n: int, test_size: int, height: int = 28, width: int = 28, channels: int = 1) -> ImageSet:
    """Return n images of random pixels, with the labels 0, 1, …, 9, 0, …"""
    rng = torch.Generator().manual_seed(n)
    pixels = torch.randint(256, (n, height, width, channels), generator=rng).byte()
    return ImageSet("random", pixels, torch.arange(n) % 10, test_size)


# plain training of classifiers

Loss = Callable[[Tensor, Tensor], Tensor]


def plain_examples(split: Selection) -> tuple[Tensor, Tensor]:
    """Return the images (N, C, H, W), in double precision, and labels (N,) of the first model."""
    rows = split.rows[0]
    return split.images[rows].permute(0, 3, 1, 2).double() / 255, split.labels[rows]


def plain_epochs(
    net: nn.Module,
    data: tuple[Tensor, Tensor],
    optimizer: torch.optim.Optimizer,
    batch: int,
    order: list[torch.Generator],
    loss: Loss = functional.cross_entropy,
) -> Iterator[tuple[float, float]]:
    """Train a module in a plain loop, and yield the mean loss and accuracy of the minibatches after each epoch."""
    x, y = data
    while True:
        net.train()
        total = right = 0.0
        for index in permutations(len(x), order)[0].split(batch):
            optimizer.zero_grad()
            logits = net(x[index])
            value = loss(logits, y[index])
            value.backward()
            optimizer.step()
            total += value.item() * len(index)
            right += (logits.argmax(1) == y[index]).sum().item()
        yield total / len(x), right / len(x)


def plain_scores(net: nn.Module, data: tuple[Tensor, Tensor], loss: Loss = functional.cross_entropy) -> list[float]:
    """Return the loss and accuracy of a module."""
    with torch.no_grad():
        logits = net.eval()(data[0])
    return [loss(logits, data[1]).item(), (logits.argmax(1) == data[1]).double().mean().item()]


def check_curves(trials: Trials, k: int, monitored: str, plain: Sequence[Sequence[float]]) -> None:
    """Assert that the curves of a model agree with batch loss and accuracy and the scores on a split, by epoch."""
    names = ["batch_loss", "batch_accuracy", f"{monitored}_loss", f"{monitored}_accuracy"]
    for name, expected in zip(names, zip(*plain, strict=True), strict=True):
        np.testing.assert_allclose(trials.curves[name][k], expected, rtol=1e-9, atol=1e-12, err_msg=name)
