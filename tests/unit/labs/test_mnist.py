"""The lab mnist: its training, subsets, dropout, variations and refused networks."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from labcheck import DataError
from labcheck.data.examples import generators
from labcheck.labs import mnist
from labcheck.labs.images import precisions, recalls
from labcheck.labs.mnist import Mnist, table_row
from tests.helpers.labs import MNIST, check_curves, plain_epochs, plain_examples, plain_scores
from tests.helpers.nets import PlainCnn, with_numbers_of

# training

TRAININGS: dict[str, dict[str, Any]] = {
    "plain": {},
    # not with Adam, which makes full steps of rounding errors, the gradient of a bias before BatchNorm
    "norm": {"norm": True, "optimizer": "sgd", "momentum": 0.9, "lr": 0.05},
    "one layer": {"layers": 1, "kernel": 9, "batch": 50},
}


@pytest.mark.slow
@pytest.mark.parametrize("settings", TRAININGS.values(), ids=TRAININGS)
def test_training_matches_plain_loop(settings: dict[str, Any]):
    lab = replace(MNIST, **settings)
    trials = lab.train([4, 9], dtype=torch.float64)
    pixels = lab.images.images.double() / 255
    mean, std = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2), correction=0)
    net: nn.Module = PlainCnn(lab.channels[: lab.layers], lab.kernel, 8, lab.norm, mean, std)
    net = with_numbers_of(net, lab.module(9).double())
    splits = {name: plain_examples(split) for name, split in lab.splits([9]).items()}
    if lab.optimizer == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(net.parameters(), lab.lr, momentum=lab.momentum)
    else:
        optimizer = torch.optim.Adam(net.parameters(), lab.lr)
    epochs = plain_epochs(net, splits["train"], optimizer, lab.batch, generators([9], "order"))
    plain, nets = [], []
    for _ in range(lab.epochs):
        plain.append([*next(epochs), *plain_scores(net, splits["val"])])
        nets.append(deepcopy(net))
    check_curves(trials, 1, "val", plain)
    best = nets[int(np.argmin([row[2] for row in plain]))]
    for name, split in splits.items():
        assert trials.metrics[f"{name}_accuracy"][1] == pytest.approx(plain_scores(best, split)[1])
        assert trials.metrics[f"final_{name}_accuracy"][1] == pytest.approx(plain_scores(net, split)[1])


def test_quick_scale_is_smaller_and_full_scale_matches_report():
    quick, full = (Mnist.configure(scale, {}) for scale in ("quick", "full"))
    assert (quick.train_size, quick.val_size, quick.test_size, quick.batch) == (300, 150, 500, 16)
    assert (full.train_size, full.val_size, full.test_size, full.batch) == (2400, 600, 500, 64)
    assert [2 * width for width in quick.channels] == list(full.channels)
    assert quick.epochs == full.epochs


def test_best_weights_are_restored_and_last_are_final():
    lab = replace(MNIST, lr=0.3, optimizer="sgd", epochs=6, val_size=32)
    trials = lab.train(range(3))
    curves, best = trials.curves, trials.curves["val_loss"].argmin(1)
    earlier = best < 5
    assert earlier.any()
    rows = range(3)
    assert trials.metrics["val_accuracy"].tolist() == pytest.approx(curves["val_accuracy"][rows, best].tolist())
    assert trials.metrics["final_val_accuracy"].tolist() == pytest.approx(curves["val_accuracy"][:, -1].tolist())
    assert trials.metrics["final_loss"].tolist() == curves["batch_loss"][:, -1].tolist()
    for split in ("train", "val", "test"):
        restored, last = (trials.tables[f"{prefix}{split}_confusion"] for prefix in ("", "final_"))
        assert (restored[earlier] != last[earlier]).any()
        assert np.array_equal(restored[~earlier], last[~earlier])


def test_losses_are_those_of_restored_and_of_last_weights():
    trials = MNIST.train([0, 1])
    assert trials.metrics["val_loss"] == pytest.approx(trials.curves["val_loss"].min(1), rel=1e-5)
    assert trials.metrics["final_val_loss"] == pytest.approx(trials.curves["val_loss"][:, -1], rel=1e-5)


@pytest.mark.parametrize("other", [{"kernel": 3}, {"norm": True}, {"layers": 1}])
def test_augmentation_is_same_for_any_network(other: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    draws: list[Tensor] = []

    def augmented(x: Tensor) -> Tensor:
        draws.append(torch.rand(()))
        return x

    monkeypatch.setattr(mnist, "augmented", augmented)
    for lab in (MNIST, replace(MNIST, **other)):
        replace(lab, augmented=True, epochs=1).train([3])
    assert len(draws) == 4
    assert draws[:2] == draws[2:]


def test_class_without_test_images_has_no_recall():
    trials = replace(MNIST, test_size=3, epochs=1).train([0])
    tested = trials.tables["test_confusion"][0].sum(1) > 0
    recall = np.array([trials.metrics[f"test_accuracy_{label}"][0] for label in range(10)])
    assert np.array_equal(np.isfinite(recall), tested)
    assert np.isfinite(trials.metrics["test_accuracy"]).all()


# subsets


def test_splits_are_disjoint():
    assert {name: len(split) for name, split in Mnist().splits([0]).items()} == {"train": 2400, "val": 600, "test": 500}
    splits = Mnist(train_size=2400, val_size=600, test_size=2000).splits([0, 1])
    assert {name: len(split) for name, split in splits.items()} == {"train": 2400, "val": 600, "test": 2000}
    for k in range(2):
        assert len({row for split in splits.values() for row in split.rows[k].tolist()}) == 5000


@pytest.mark.parametrize(
    ("settings", "split", "left"),
    [
        ({"train_size": 5001, "val_size": 1}, "train", 5000),
        ({"train_size": 2400, "val_size": 2601}, "val", 2600),
        ({"train_size": 2400, "val_size": 600, "test_size": 2001}, "test", 2000),
    ],
)
@pytest.mark.parametrize(
    "call", [lambda lab: lab.train([0, 1]), lambda lab: lab.splits([0]), Mnist.graph], ids=["train", "splits", "graph"]
)
def test_too_many_digits_are_refused(settings: dict[str, Any], split: str, left: int, call: Callable[[Mnist], object]):
    size = settings[f"{split}_size"]
    message = f"^mnist-5000: the split {split} must have at most {left} images, got {size}; use smaller splits$"
    with pytest.raises(DataError, match=message):
        call(Mnist(**settings))


# the report's tables


def printed_matrix() -> Tensor:
    """Return the report's confusion matrix for its first dropout rate; sums and totals give its illegible numbers."""
    matrix = torch.diag(torch.tensor([46, 54, 53, 54, 56, 44, 47, 47, 33, 56]))
    for true, predicted, count in ((1, 8, 1), (6, 8, 1), (7, 1, 1), (7, 2, 2), (8, 1, 1), (8, 5, 3), (8, 9, 1)):
        matrix[true, predicted] = count
    return matrix


def test_tables_of_report_have_precisions_and_not_recalls():
    matrix = printed_matrix().unsqueeze(0)
    assert matrix.sum() == 500
    printed = [1, 0.9643, 0.9636, 1, 1, 0.9362, 1, 1, 0.9429, 0.9825]
    assert precisions(matrix)[0].tolist() == pytest.approx(printed, abs=5e-5)
    assert precisions(matrix)[0, 5].item() == pytest.approx(44 / 47)
    assert recalls(matrix)[0, 5].item() == 1
    assert (precisions(matrix)[0, 8].item(), recalls(matrix)[0, 8].item()) == pytest.approx((33 / 35, 33 / 38))
    assert matrix.diagonal(dim1=1, dim2=2).sum() == 0.98 * 500


def test_table_row_has_accuracy_and_ten_precisions():
    row = table_row(0.5, *(digit / 10 for digit in range(10)))
    names = {str(metric): value for metric, value in row.items()}
    assert names == {"test_accuracy": 0.5} | {f"test_precision_{digit}": digit / 10 for digit in range(10)}


# networks

REFUSED: list[tuple[dict[str, Any], str]] = [
    *(({"kernel": kernel}, rf"kernel must be odd, got {kernel}") for kernel in (2, 4, 28)),
    *(
        ({"dropout_rates": rates}, r"dropout_rates must be three rates below 1, .* got \(0\.1, 0\.2.*")
        for rates in ((0.1, 0.2), (0.1, 0.2, 1), (0.1, 0.2, 2.5), (0.1, 0.2, 0.3, 0.4))
    ),
    ({"layers": 5}, "layers must be at most 4, since a fifth pooling would leave no pixel, got 5"),
    ({"layers": 5, "channels": (2,) * 6}, "layers must be at most 4, .* got 5"),
    ({"layers": 3, "channels": (2, 2)}, r"layers must be at most 2, the length of mnist\.channels, got 3"),
    ({"channels": ()}, r"layers must be at most 0, the length of mnist\.channels, got 2"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED, ids=str)
def test_impossible_network_is_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=rf"^mnist\.{message}$"):
        Mnist(**settings)
    with pytest.raises(ValueError, match=rf"^mnist\.{message}$"):
        Mnist.configure("quick", {}).override(settings)


def test_dropout_rates_have_names():
    rates = {name: Mnist(dropout=name).rate for name in ("none", "low", "moderate", "high")}
    assert rates == {"none": 0, "low": 0.25, "moderate": 0.5, "high": 0.75}
    assert Mnist(dropout="high", dropout_rates=(0.1, 0.2, 0.9)).rate == 0.9


@pytest.mark.parametrize(("place", "before", "after"), [("hidden", 0, 0.5), ("features", 0.5, 0), ("both", 0.5, 0.5)])
def test_dropout_has_place_of_setting(place: str, before: float, after: float):
    net: Any = replace(MNIST, dropout="moderate", dropout_place=place).module(0)
    assert net.dropout.p == after
    features = dict(net.features.named_children())
    assert ("dropout" in features) is bool(before)
    if before:
        assert features["dropout"].p == before
        assert [*features][-2:] == ["dropout", "full1"]


VARIATIONS: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": "moderate"},
    "kernel": {"kernel": 3},
    "depth": {"layers": 4},
}


@pytest.mark.parametrize("variation", VARIATIONS)
def test_varied_network_has_setting_of_variation(variation: str):
    lab = Mnist(arithmetic="float32", variation=variation)
    varied, plain = replace(lab, varied=True).module(3), lab.module(3)
    expected = replace(lab, **VARIATIONS[variation]).module(3)
    assert str(varied) == str(expected) != str(plain)
    assert all(torch.equal(*pair) for pair in zip(varied.parameters(), expected.parameters(), strict=True))
