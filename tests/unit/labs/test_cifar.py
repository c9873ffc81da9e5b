"""The lab cifar: its training, the drop of the learning rate, its sizes, and logs of classmates."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from labcheck import Metric, increase, value_at
from labcheck.data.examples import generators
from labcheck.data.images import ImageSet
from labcheck.labs.cifar import LOGS, Cifar, logged
from labcheck.nn.scratch.optimizers import SGD
from tests.helpers.labs import CIFAR, check_curves, plain_epochs, plain_examples, plain_scores, random_images
from tests.helpers.nets import PlainResNet, with_numbers_of

# training


@pytest.mark.slow
@pytest.mark.parametrize("normalization", ["report", "data"])
def test_training_matches_plain_loop_with_new_optimizer(normalization: str):
    lab = replace(CIFAR, train_size=20, augmented=False, normalization=normalization)
    trials = lab.train([3], dtype=torch.float64)
    pixels = lab.images.images[: lab.images.train_size].double() / 255
    mean, std = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2), correction=0)
    if normalization == "report":
        mean, std = torch.tensor([[0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]], dtype=torch.float64)
    net = with_numbers_of(PlainResNet(mean, std), lab.module(3).double())
    splits = {name: plain_examples(split) for name, split in lab.splits([3]).items()}
    order, plain = generators([3], "order"), []
    for length, lr in ((2, 0.1), (1, 0.01)):
        optimizer = torch.optim.SGD(net.parameters(), lr=lr, weight_decay=5e-4)
        epochs = plain_epochs(net, splits["train"], optimizer, lab.batch, order)
        plain += [[*next(epochs), *plain_scores(net, splits["test"])] for _ in range(length)]
    check_curves(trials, 0, "test", plain)
    np.testing.assert_allclose(trials.curves["lr"][0], [0.1, 0.1, 0.01])
    assert trials.metrics["test_accuracy"][0] == plain[-1][3]


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
@pytest.mark.parametrize("augmented", [False, True])
def test_arms_differ_only_after_drop(arithmetic: str, augmented: bool):
    # few images, since bfloat16 is slow on many processors
    lab = replace(CIFAR, train_size=8, test_size=4, batch=4, arithmetic=arithmetic, augmented=augmented)
    drop, no_drop = (replace(lab, dropped=dropped).train([1]).curves for dropped in (True, False))
    assert drop.keys() == no_drop.keys()
    for name in drop:
        assert drop[name][0, :2].tolist() == no_drop[name][0, :2].tolist()
    assert drop["lr"][0].tolist() == pytest.approx([0.1, 0.1, 0.01])
    assert no_drop["lr"][0].tolist() == [0.1, 0.1, 0.1]
    for name in ("batch_loss", "test_loss"):
        assert drop[name][0, 2] != no_drop[name][0, 2]


@pytest.mark.slow
@pytest.mark.parametrize("dropped", [False, True])
def test_weights_decay_in_both_phases(dropped: bool):
    lab = replace(CIFAR, dropped=dropped, drop=1, epochs=2)
    decayed, plain = (replace(lab, weight_decay=decay).train([1]).curves["test_loss"][0] for decay in (0.1, 0.0))
    assert decayed[0] != plain[0]
    assert decayed[1] != plain[1]


def test_optimizer_has_weight_decay_and_no_momentum():
    optimizer = CIFAR.recipe().optimizer()
    assert isinstance(optimizer, SGD)
    assert (optimizer.momentum, optimizer.weight_decay) == (0, 5e-4)


# sizes


def test_numbers_of_batches_match_report(use_images: Callable[[ImageSet], None]):
    use_images(random_images(60_000, 10_000, 1, 1))
    lab = Cifar()
    assert {name: len(split) for name, split in lab.splits([0]).items()} == {"train": 50_000, "test": 10_000}
    batches = {name: -(-len(split) // lab.batch) for name, split in lab.splits([0]).items()}
    assert batches == {"train": 391, "test": 79}


def test_small_data_set_is_used_completely():
    assert {name: len(split) for name, split in Cifar().splits([0]).items()} == {"train": 640, "test": 256}


def test_quick_scale_is_smaller_and_full_scale_matches_report():
    quick, full = (Cifar.configure(scale, {}) for scale in ("quick", "full"))
    assert (quick.width, quick.train_size, quick.test_size, quick.batch) == (8, 5000, 2000, 16)
    assert (full.width, full.train_size, full.test_size, full.batch) == (16, 50_000, 10_000, 128)
    assert (full.epochs, full.drop, full.lr) == (10, 5, 0.1)


# logs


def test_logged_numbers_are_metrics_that_each_log_has():
    fifth, last = (value_at("test_accuracy", epoch, rising=True) for epoch in (5, 10))
    train = value_at("batch_accuracy", 10, rising=True)
    jump = increase("test_accuracy", 5, 6)
    quoted = logged(fifth, last, jump, train, Metric("test_accuracy", higher_is_better=False))
    assert quoted.keys() == LOGS.keys()
    assert quoted["classmate 1"] == {fifth: 0.655, last: 0.748, jump: 0.081, train: 0.754}
    assert quoted["classmate 2"] == {fifth: 0.629, last: 0.75, jump: 0.106}
    assert quoted["classmate 4"] == {fifth: 0.64}
    assert logged(train) == {"classmate 1": {train: 0.754}}
