"""The labs on images: they train as a plain loop of torch does, and depend on nothing but settings and seed."""

import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from labcheck.core.assumptions import Grade
from labcheck.core.curve_metrics import increase, value_at
from labcheck.core.metrics import Metric
from labcheck.core.trials import Trials
from labcheck.data import DataError, image_sets
from labcheck.data.examples import generators, permutations
from labcheck.data.images import ImageSet, Selection
from labcheck.engine import environment
from labcheck.labs import mnist
from labcheck.labs.cifar import LOGS, Cifar, logged
from labcheck.labs.fashion import Fashion
from labcheck.labs.images import ConvolutionLab, ImageLab, precisions, recalls
from labcheck.labs.mnist import Mnist, by_digit
from labcheck.nn.as_torch import as_torch
from labcheck.nn.torch_model import BFloat16

from .test_torch_model import PlainCnn, PlainResNet, numbers, with_numbers_of

MNIST = Mnist(
    train_size=128, val_size=64, test_size=64, epochs=2, channels=(2, 3), hidden=8, kernel=3, arithmetic="float32"
)
CIFAR = Cifar(train_size=32, test_size=16, batch=16, epochs=3, drop=2, arithmetic="float32")
FASHION = Fashion(hidden=4, epochs=1)
LABS: dict[str, Mnist | Cifar | Fashion] = {"mnist": MNIST, "cifar": CIFAR, "fashion": FASHION}
every_lab = pytest.mark.parametrize("lab", LABS.values(), ids=LABS)
NOISY: dict[str, ConvolutionLab] = {
    "dropout": replace(MNIST, dropout="moderate"),
    "dropout of features": replace(MNIST, dropout="low", dropout_place="features"),
    "augmented digits": replace(MNIST, augmented=True),
    "augmented photographs": replace(CIFAR, epochs=1),
}
every_noisy_lab = pytest.mark.parametrize("lab", NOISY.values(), ids=NOISY)


def of_seed(trials: Trials, k: int) -> dict[str, str]:
    """All numbers of one seed, each digit of them; written out, a missing number equals another."""
    found = {**trials.metrics, **trials.curves, **trials.tables}
    return {name: repr(array[k].tolist()) for name, array in found.items()}


def toys(n: int, tests: int, size: int = 28, channels: int = 1) -> ImageSet:
    pixels = torch.randint(256, (n, size, size, channels), generator=torch.Generator().manual_seed(n)).byte()
    return ImageSet("toys", pixels, torch.arange(n) % 10, tests)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[ImageSet], None]:
    """Makes all labs learn from these images."""

    def give(found: ImageSet) -> None:
        monkeypatch.setattr(image_sets, "load", lambda dataset, source: found)

    return give


# against a plain loop


def moments(lab: ImageLab) -> tuple[Tensor, Tensor]:
    pixels = lab.images.images[: lab.images.known].double() / 255
    return pixels.mean((0, 1, 2)), pixels.std((0, 1, 2), correction=0)


def plain_examples(part: Selection) -> tuple[Tensor, Tensor]:
    """One seed's images (N, C, H, W) and labels (N,)."""
    return part.images[part.rows[0]].permute(0, 3, 1, 2).double() / 255, part.labels[part.rows[0]]


def plain_epochs(
    net: nn.Module,
    data: tuple[Tensor, Tensor],
    optimizer: torch.optim.Optimizer,
    batch: int,
    order: list[torch.Generator],
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
) -> Iterator[tuple[float, float]]:
    """After each epoch of training the mean loss and accuracy of its minibatches."""
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


def plain_scores(net: nn.Module, data: tuple[Tensor, Tensor], loss: Any = functional.cross_entropy) -> list[float]:
    with torch.no_grad():
        logits = net.eval()(data[0])
    return [loss(logits, data[1]).item(), (logits.argmax(1) == data[1]).double().mean().item()]


def check_curves(trials: Trials, k: int, watched: str, plain: Sequence[Sequence[float]]) -> None:
    """Batch loss and accuracy, and those of the part that is watched, epoch by epoch."""
    names = ["batch_loss", "batch_accuracy", f"{watched}_loss", f"{watched}_accuracy"]
    for name, expected in zip(names, zip(*plain, strict=True), strict=True):
        np.testing.assert_allclose(trials.curves[name][k], expected, rtol=1e-9, atol=1e-12, err_msg=name)


MNISTS = {
    "plain": {},
    "norm": {"norm": True, "optimizer": "sgd", "momentum": 0.9, "lr": 0.05},
    "one layer": {"layers": 1, "kernel": 9, "batch": 50},
}
# Adam makes full steps of the rounding errors that are the gradient of a bias before BatchNorm.


@pytest.mark.parametrize("settings", MNISTS.values(), ids=MNISTS)
def test_mnist_trains_as_a_plain_loop_does(settings: dict[str, Any]) -> None:
    lab = replace(MNIST, **settings)
    trials = lab.train([4, 9], dtype=torch.float64)
    mean, std = moments(lab)
    net: nn.Module = PlainCnn(lab.channels[: lab.layers], lab.kernel, 8, lab.norm, mean, std)
    net = with_numbers_of(net, lab.module(9).double())
    parts = {name: plain_examples(part) for name, part in lab.splits([9]).items()}
    if lab.optimizer == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(net.parameters(), lab.lr, momentum=lab.momentum)
    else:
        optimizer = torch.optim.Adam(net.parameters(), lab.lr)
    epochs = plain_epochs(net, parts["train"], optimizer, lab.batch, generators([9], "order"))
    plain, nets = [], []
    for _ in range(lab.epochs):
        plain.append([*next(epochs), *plain_scores(net, parts["val"])])
        nets.append(deepcopy(net))
    check_curves(trials, 1, "val", plain)
    best = nets[int(np.argmin([row[2] for row in plain]))]
    for name, part in parts.items():
        assert trials.metrics[f"{name}_accuracy"][1] == pytest.approx(plain_scores(best, part)[1])
        assert trials.metrics[f"final_{name}_accuracy"][1] == pytest.approx(plain_scores(net, part)[1])


@pytest.mark.parametrize("normalization", ["report", "data"])
def test_cifar_trains_as_a_plain_loop_with_a_new_optimizer_after_the_drop_does(normalization: str) -> None:
    lab = replace(CIFAR, train_size=40, augmented=False, normalization=normalization)  # a smaller minibatch remains
    trials = lab.train([3], dtype=torch.float64)
    mean, std = moments(lab)
    if normalization == "report":
        mean, std = torch.tensor([[0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]], dtype=torch.float64)
    net = with_numbers_of(PlainResNet(mean, std), lab.module(3).double())
    parts = {name: plain_examples(part) for name, part in lab.splits([3]).items()}
    order, plain = generators([3], "order"), []
    for length, lr in ((2, 0.1), (1, 0.01)):
        epochs = plain_epochs(
            net, parts["train"], torch.optim.SGD(net.parameters(), lr=lr, weight_decay=5e-4), 16, order
        )
        plain += [[*next(epochs), *plain_scores(net, parts["test"])] for _ in range(length)]
    check_curves(trials, 0, "test", plain)
    np.testing.assert_allclose(trials.curves["lr"][0], [0.1, 0.1, 0.01])
    assert trials.metrics["test_accuracy"][0] == plain[-1][3]


FASHIONS = {
    "report": {},
    "margin": {"loss": "multi_margin", "init": "kaiming_normal", "batch": 300, "lr": 0.3},
    "tanh": {
        "activation": "tanh",
        "optimizer": "adam",
        "lr": 0.002,
        "init": "xavier_normal",
        "batch": 2000,
        "epochs": 2,
    },
}


@pytest.mark.parametrize("settings", FASHIONS.values(), ids=FASHIONS)
def test_fashion_trains_as_a_plain_loop_does(settings: dict[str, Any]) -> None:
    lab = replace(FASHION, **settings)
    trials = lab.train([2, 7], dtype=torch.float64)
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[lab.activation]
    net: nn.Module = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), activation(), nn.Linear(4, 10))
    net = with_numbers_of(net, as_torch(lab.network([7], torch.float64), 0))
    made = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[lab.optimizer]
    loss = {"cross_entropy": functional.cross_entropy, "multi_margin": functional.multi_margin_loss}[lab.loss]
    data, held_out = (plain_examples(part) for part in lab.splits([7]).values())
    assert (len(data[0]), len(held_out[0])) == (4000, 1000)
    order = generators([7], "order")
    epochs = plain_epochs(net, data, made(net.parameters(), lr=lab.lr), lab.batch, order, loss)
    check_curves(trials, 1, "test", [[*next(epochs), *plain_scores(net, held_out, loss)] for _ in range(lab.epochs)])
    assert trials.metrics["test_accuracy"][1] == pytest.approx(trials.curves["test_accuracy"][1, -1])


def check_equal(ours: Trials, theirs: Trials) -> None:
    for found, expected in ((ours.metrics, theirs.metrics), (ours.curves, theirs.curves), (ours.tables, theirs.tables)):
        assert found.keys() == expected.keys()
        for name in found:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-8, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("loader", [False, True])
@pytest.mark.parametrize("settings", FASHIONS.values(), ids=FASHIONS)
def test_torch_learns_what_the_scratch_network_learns_from_the_same_start(
    settings: dict[str, Any], loader: bool
) -> None:
    ours, theirs = (
        replace(FASHION, **settings, engine=engine, loader=loader).train([2, 7], dtype=torch.float64)
        for engine in ("scratch", "torch")
    )
    check_equal(ours, theirs)


@pytest.mark.parametrize("loader", [False, True])
@pytest.mark.parametrize(
    "settings", [{"epochs": 2}, {"loss": "multi_margin", "init": "default", "batch": 300, "lr": 0.3}], ids=str
)
def test_a_student_learns_what_the_scratch_network_learns(settings: dict[str, Any], loader: bool) -> None:
    ours, theirs = (
        replace(FASHION, **settings, engine=engine, loader=loader).train([2, 7], dtype=torch.float64)
        for engine in ("scratch", "student")
    )
    check_equal(ours, theirs)


@pytest.mark.parametrize("engine", ["scratch", "student", "torch"])
@pytest.mark.parametrize("loader", [False, True])
def test_students_and_torch_load_their_batches_unless_told_not_to(
    engine: str, loader: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = DataLoader.__iter__
    monkeypatch.setattr(DataLoader, "__iter__", lambda self: loaded.append(len(self)) or load(self))
    replace(FASHION, engine=engine, loader=loader, epochs=2).train([0])
    assert loaded == ([16, 16] if loader and engine != "scratch" else [])


@pytest.mark.parametrize("settings", [{"activation": "tanh"}, {"momentum": 0.9}], ids=str)
def test_a_student_writes_no_more_than_the_textbook(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^fashion\.engine 'student' needs fashion\.activation 'relu' and .* got "):
        Fashion(engine="student", **settings)
    with pytest.raises(ValueError, match=r"^fashion\.optimizer is one of sgd, not 'adam'$"):
        Fashion(engine="student", optimizer="adam")


def test_the_smallest_batch_takes_the_place_of_the_batch() -> None:
    assert Fashion(batch=400).recipe().batch == 400
    assert Fashion(batch=400, smallest=True).recipe().batch == 64
    assert Fashion(smallest=True, smallest_batch=32).recipe().batch == 32


def test_torchs_own_start_is_that_of_its_linear_layers() -> None:
    net = as_torch(Fashion(engine="torch", init="default").network([3]), 0)
    for layer in (net[0], net[2]):
        bound = layer.in_features**-0.5
        for parameter in layer.parameters():
            assert 0.7 * bound < parameter.abs().max() <= bound


def test_a_net_of_fashion_starts_small_and_without_biases() -> None:
    net = as_torch(Fashion().network([0]), 0)
    assert net[0].weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert (net[0].bias == 0).all()
    assert (net[2].bias == 0).all()


# cifar with and without the drop


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
@pytest.mark.parametrize("augmented", [False, True])
def test_arms_are_equal_to_the_bit_until_the_drop_and_not_after_it(arithmetic: str, augmented: bool) -> None:
    lab = replace(CIFAR, arithmetic=arithmetic, augmented=augmented)
    drop, no_drop = (replace(lab, dropped=dropped).train([1]).curves for dropped in (True, False))
    assert drop.keys() == no_drop.keys()
    for name in drop:
        assert drop[name][0, :2].tolist() == no_drop[name][0, :2].tolist()
    assert drop["lr"][0].tolist() == pytest.approx([0.1, 0.1, 0.01])
    assert no_drop["lr"][0].tolist() == [0.1, 0.1, 0.1]
    for name in ("batch_loss", "test_loss"):
        assert drop[name][0, 2] != no_drop[name][0, 2]


@pytest.mark.parametrize("dropped", [False, True])
def test_cifar_decays_weights_in_both_phases(dropped: bool) -> None:
    lab = replace(CIFAR, dropped=dropped, drop=1, epochs=2)
    decayed, plain = (replace(lab, weight_decay=decay).train([1]).curves["test_loss"][0] for decay in (0.1, 0.0))
    assert decayed[0] != plain[0]
    assert decayed[1] != plain[1]
    assert lab.recipe().optimizer.momentum == 0


def test_cifar_has_as_many_batches_as_the_report_counts(given: Callable[[ImageSet], None]) -> None:
    given(toys(60_000, tests=10_000, size=1))
    lab = Cifar()
    assert {name: len(part) for name, part in lab.splits([0]).items()} == {"train": 50_000, "test": 10_000}
    batches = {name: -(-len(part) // lab.batch) for name, part in lab.splits([0]).items()}
    assert batches == {"train": 391, "test": 79}


def test_cifar_trains_and_tests_on_all_there_is_where_there_is_no_more() -> None:
    assert {name: len(part) for name, part in Cifar().splits([0]).items()} == {"train": 640, "test": 256}


def test_logs_of_classmates_are_numbers_of_each_metric_that_they_have() -> None:
    fifth, last = (value_at("test_accuracy", epoch, rising=True) for epoch in (5, 10))
    train = value_at("batch_accuracy", 10, rising=True)
    jump = increase("test_accuracy", 5, 6)
    found = logged(fifth, last, jump, train, Metric("test_accuracy", higher_is_better=False))
    assert found.keys() == LOGS.keys()
    assert found["classmate 1"] == {fifth: 0.655, last: 0.748, jump: 0.081, train: 0.754}
    assert found["classmate 2"] == {fifth: 0.629, last: 0.75, jump: 0.106}
    assert found["classmate 4"] == {fifth: 0.64}
    assert logged(train) == {"classmate 1": {train: 0.754}}


# what a result depends on


@every_lab
def test_a_rerun_is_equal_to_the_bit(lab: ImageLab) -> None:
    one, other = (of_seed(lab.train([5]), 0) for _ in range(2))
    assert one == other


@every_noisy_lab
def test_noise_is_of_the_seed_and_neither_of_other_seeds_nor_of_torchs(lab: ConvolutionLab) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        together = lab.train([3, 8])
        torch.manual_seed(2)
        alone = lab.train([8])
    assert of_seed(together, 1) == of_seed(alone, 0)
    assert of_seed(together, 0) != of_seed(together, 1)
    assert len(together) == 2


@every_noisy_lab
def test_noise_changes_what_is_trained(lab: ConvolutionLab) -> None:
    quiet = {"augmented": False} | ({"dropout": "none"} if isinstance(lab, Mnist) else {})
    assert (
        replace(lab, **quiet).train([3]).curves["batch_loss"].tolist() != lab.train([3]).curves["batch_loss"].tolist()
    )


STUDENTS = {engine: replace(FASHION, engine=engine) for engine in ("student", "torch")}


@pytest.mark.parametrize("lab", [*NOISY.values(), FASHION, *STUDENTS.values()], ids=[*NOISY, "fashion", *STUDENTS])
def test_torchs_stream_is_where_it_was_and_so_are_its_threads(lab: ImageLab) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    lab.train([0])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_on_a_processor_no_gpu_is_asked_for_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """That would start CUDA, and where there are several, torch warns."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("get_rng_state", "set_rng_state", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: pytest.fail("a GPU was touched"))
    MNIST.train([0])


def test_torchs_stream_is_where_it_was_after_a_training_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Mnist, *args: object) -> None:
        torch.rand(1)
        raise RuntimeError("no luck")

    monkeypatch.setattr(Mnist, "measure", fail)
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="no luck"):
        MNIST.train([0])
    assert torch.equal(torch.get_rng_state(), before)


OTHERS: list[tuple[ConvolutionLab, dict[str, Any]]] = [
    *(
        (MNIST, settings)
        for settings in ({"kernel": 7}, {"norm": True}, {"layers": 1}, {"lr": 0.1, "optimizer": "sgd"})
    ),
    *(
        (MNIST, settings)
        for settings in ({"dropout": "high"}, {"augmented": True}, {"hidden": 9, "arithmetic": "bfloat16"})
    ),
    *((CIFAR, settings) for settings in ({"dropped": False}, {"augmented": False}, {"lr": 0.01, "momentum": 0.9})),
]


@pytest.mark.parametrize(("lab", "settings"), OTHERS, ids=[str(settings) for _, settings in OTHERS])
def test_arms_see_the_same_images_in_the_same_order(
    lab: ConvolutionLab, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    batch = Selection.batch

    def spied(self: Selection, index: Tensor) -> Any:
        seen.append(self.rows.gather(1, index).flatten().tolist())
        return batch(self, index)

    monkeypatch.setattr(Selection, "batch", spied)
    short = replace(lab, train_size=32, batch=16, epochs=2)
    one, other = short.splits([6]), replace(short, **settings).splits([6])
    assert all(torch.equal(one[name].rows, part.rows) for name, part in other.items())
    short.train([6])
    expected, seen = seen, []
    assert len(expected) == 4
    assert sorted(expected[0] + expected[1]) == sorted(one["train"].rows[0].tolist())
    assert expected[:2] != expected[2:]
    replace(short, **settings).train([6])
    assert seen == expected


@every_lab
def test_seeds_start_and_end_with_weights_of_their_own(lab: ImageLab) -> None:
    losses = lab.train([0, 1]).curves["batch_loss"]
    assert len(np.unique(losses)) == losses.size


def test_modules_train_one_seed_at_a_time_and_layers_a_few() -> None:
    assert (MNIST.stack, CIFAR.stack, FASHION.stack) == (1, 1, 5)
    assert [lab.stack for lab in STUDENTS.values()] == [1, 1]


# what is measured

SWINGING = replace(MNIST, lr=0.3, optimizer="sgd", epochs=6, val_size=32)


def test_kept_weights_are_the_best_and_final_ones_the_last() -> None:
    trials = SWINGING.train(range(3))
    curves, best = trials.curves, trials.curves["val_loss"].argmin(1)
    assert (best < 5).any()
    rows = range(3)
    assert trials.metrics["val_accuracy"].tolist() == pytest.approx(curves["val_accuracy"][rows, best].tolist())
    assert trials.metrics["final_val_accuracy"].tolist() == pytest.approx(curves["val_accuracy"][:, -1].tolist())
    assert trials.metrics["final_loss"].tolist() == curves["batch_loss"][:, -1].tolist()
    earlier = best < 5
    for part in ("train", "val", "test"):
        kept, last = (trials.tables[f"{prefix}{part}_confusion"] for prefix in ("", "final_"))
        assert (kept[earlier] != last[earlier]).any()
        assert np.array_equal(kept[~earlier], last[~earlier])


@every_lab
def test_accuracies_are_counted_from_confusion_tables(lab: ImageLab) -> None:
    trials, parts = lab.train([0, 1]), lab.splits([0, 1])
    assert len(parts) == (3 if isinstance(lab, Mnist) else 2)
    for prefix in ("", "final_") if isinstance(lab, Mnist) else ("",):
        for name, part in parts.items():
            table = trials.tables[f"{prefix}{name}_confusion"]
            assert table.shape == (2, 10, 10)
            counts = np.array([np.bincount(y, minlength=10) for y in part.y[:, :, 0].numpy()])
            assert np.array_equal(table.sum(2), counts)
            right = np.diagonal(table, axis1=1, axis2=2)
            np.testing.assert_allclose(trials.metrics[f"{prefix}{name}_accuracy"], right.sum(1) / len(part), rtol=1e-6)
            of_classes = [trials.metrics[f"{prefix}{name}_accuracy_{label}"] for label in range(10)]
            accuracies = np.where(counts > 0, np.stack(of_classes, 1), 0)
            np.testing.assert_allclose(accuracies * counts, right, rtol=1e-6)
            taken = table.sum(1)
            of_classes = [trials.metrics[f"{prefix}{name}_precision_{label}"] for label in range(10)]
            shares = np.where(taken > 0, np.stack(of_classes, 1), 0)
            np.testing.assert_allclose(shares * taken, right, rtol=1e-6)


@every_lab
def test_labs_measure_what_they_say(lab: ImageLab) -> None:
    trials = lab.train([0])
    parts, best = (("train", "val", "test"), True) if isinstance(lab, Mnist) else (("train", "test"), False)
    prefixes = ("", "final_") if best else ("",)
    accuracies = {f"{prefix}{part}_accuracy" for prefix in prefixes for part in parts}
    measures = {accuracy.replace("accuracy", name) for accuracy in accuracies for name in ("accuracy", "precision")}
    classes = {f"{measure}_{label}" for measure in measures for label in range(10)}
    losses = {f"{prefix}{part}_loss" for prefix in prefixes for part in parts}
    assert set(trials.metrics) == {"epochs", "final_loss", *accuracies, *classes, *losses}
    assert set(trials.tables) == {f"{prefix}{part}_confusion" for prefix in prefixes for part in parts}
    watched = "val" if best else "test"
    assert set(trials.curves) == {
        "batch_loss", "batch_accuracy", f"{watched}_loss", f"{watched}_accuracy", "lr",
    }  # fmt: skip
    for name in ("batch_accuracy", f"{watched}_accuracy"):
        assert ((trials.curves[name] >= 0) & (trials.curves[name] <= 1)).all()


def test_the_loss_of_a_part_is_that_of_the_weights_which_are_kept() -> None:
    trials = MNIST.train([0, 1])
    assert trials.metrics["val_loss"] == pytest.approx(trials.curves["val_loss"].min(1), rel=1e-5)
    assert trials.metrics["final_val_loss"] == pytest.approx(trials.curves["val_loss"][:, -1], rel=1e-5)


@pytest.mark.parametrize("other", [{"kernel": 3}, {"norm": True}, {"layers": 1}])
def test_augmentation_is_the_same_whatever_the_net(other: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(mnist, "augmented", lambda x: seen.append(torch.rand(())) or x)
    for lab in (MNIST, replace(MNIST, **other)):
        replace(lab, augmented=True, epochs=1).train([3])
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


def test_a_class_that_nobody_tests_has_no_accuracy_and_others_have() -> None:
    trials = replace(MNIST, test_size=3, epochs=1).train([0])
    tested = trials.tables["test_confusion"][0].sum(1) > 0
    accuracies = np.array([trials.metrics[f"test_accuracy_{label}"][0] for label in range(10)])
    assert np.array_equal(np.isfinite(accuracies), tested)
    assert np.isfinite(trials.metrics["test_accuracy"]).all()


def printed_matrix() -> Tensor:
    """The report's confusion matrix of its first dropout rate; what its text has lost follows from sums and totals."""
    table = torch.diag(torch.tensor([46, 54, 53, 54, 56, 44, 47, 47, 33, 56]))
    for true, taken, count in ((1, 8, 1), (6, 8, 1), (7, 1, 1), (7, 2, 2), (8, 1, 1), (8, 5, 3), (8, 9, 1)):
        table[true, taken] = count
    return table


def test_the_tables_of_the_report_are_of_precisions_and_not_of_recalls() -> None:
    table = printed_matrix().unsqueeze(0)
    assert table.sum() == 500
    printed = [1, 0.9643, 0.9636, 1, 1, 0.9362, 1, 1, 0.9429, 0.9825]
    assert precisions(table)[0].tolist() == pytest.approx(printed, abs=5e-5)
    assert precisions(table)[0, 5].item() == pytest.approx(44 / 47)
    assert recalls(table)[0, 5].item() == 1
    assert (precisions(table)[0, 8].item(), recalls(table)[0, 8].item()) == pytest.approx((33 / 35, 33 / 38))
    assert table.diagonal(dim1=1, dim2=2).sum() == 0.98 * 500


def test_a_class_that_no_image_is_taken_for_has_no_precision() -> None:
    table = torch.tensor([[[3, 0, 1], [2, 0, 0], [0, 0, 0]]])
    assert precisions(table)[0].tolist() == pytest.approx([0.6, float("nan"), 0], nan_ok=True)
    assert recalls(table)[0].tolist() == pytest.approx([0.75, 0, float("nan")], nan_ok=True)


def test_a_row_of_the_report_is_an_accuracy_and_ten_precisions() -> None:
    row = by_digit(0.5, *(digit / 10 for digit in range(10)))
    names = {str(metric): value for metric, value in row.items()}
    assert names == {"test_accuracy": 0.5} | {f"test_precision_{digit}": digit / 10 for digit in range(10)}


# sizes


def test_parts_of_the_digits_share_no_image() -> None:
    assert {name: len(part) for name, part in Mnist().splits([0]).items()} == {"train": 2400, "val": 600, "test": 500}
    parts = Mnist(train_size=2400, val_size=600, test_size=2000).splits([0, 1])
    assert {name: len(part) for name, part in parts.items()} == {"train": 2400, "val": 600, "test": 2000}
    for k in range(2):
        assert len({row for part in parts.values() for row in part.rows[k].tolist()}) == 5000


@pytest.mark.parametrize("lab", [MNIST, CIFAR, FASHION], ids=LABS)
def test_what_is_set_apart_is_tested_on_and_never_trained_on(lab: Any, given: Callable[[ImageSet], None]) -> None:
    found = toys(400, tests=100, size=32 if lab is CIFAR else 28, channels=3 if lab is CIFAR else 1)
    given(found)
    parts = lab.splits([0, 1])
    assert (parts.pop("test").rows >= 300).all()
    assert all((part.rows < 300).all() for part in parts.values())
    trials = lab.train([0])
    assert trials.tables["test_confusion"].sum() == (100 if lab is FASHION else lab.test_size)
    assert trials.tables["train_confusion"].sum() == (300 if lab is FASHION else lab.train_size)
    assert lab.data() == ("toys", found.digest)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"train_size": 5001, "val_size": 1}, "train"),
        ({"train_size": 2400, "val_size": 2601}, "val"),
        ({"train_size": 2400, "val_size": 600, "test_size": 2001}, "test"),
    ],
)
def test_more_digits_than_there_are_is_one_clear_error(settings: dict[str, int], part: str) -> None:
    lab = Mnist(**settings)
    size = settings[f"{part}_size"]
    for ask in (lambda: lab.train([0, 1]), lambda: lab.splits([0]), lab.graph):
        with pytest.raises(
            DataError, match=rf"^mnist-5000 has no {size} images left for the part {part}: ask for fewer$"
        ):
            ask()


# settings

WORDS = [
    (Mnist, "source", "web"), (Mnist, "arithmetic", "float16"), (Mnist, "optimizer", "lion"),
    (Mnist, "dropout", "0.5"), (Mnist, "dropout_place", "output"), (Mnist, "variation", "width"),
    (Cifar, "source", ""), (Cifar, "arithmetic", "bf16"), (Cifar, "optimizer", "adamw"),
    (Cifar, "normalization", "imagenet"),
    (Fashion, "source", "stand-in"), (Fashion, "optimizer", "lion"), (Fashion, "activation", "gelu"),
    (Fashion, "init", "ones"), (Fashion, "engine", "jax"), (Fashion, "loss", "mse"),
]  # fmt: skip
SMALL = [
    *((Mnist, name, 0) for name in ("layers", "kernel", "train_size", "val_size", "test_size", "hidden", "batch")),
    *((Mnist, name, -0.1) for name in ("lr", "momentum")),
    (Mnist, "dropout_rates", (0.5, -0.1, 0.2)),
    *((Mnist, "channels", channels) for channels in ((0, 2), (4, -1))),
    *(
        (Mnist, name, value)
        for name, value in (("epochs", 0), ("kernel", -3), ("dropout_rates", (0.1, 0.2, float("nan"))))
    ),
    *((Cifar, name, 0) for name in ("train_size", "test_size", "batch", "epochs", "drop")),
    *((Cifar, name, -0.1) for name in ("factor", "weight_decay", "lr", "momentum")),
    *((Fashion, name, 0) for name in ("batch", "smallest_batch", "hidden", "epochs")),
    *((Fashion, name, float("nan")) for name in ("lr", "momentum")),
]
TYPES = [
    (Mnist, "kernel", 3.0), (Mnist, "norm", 1), (Mnist, "augmented", "true"), (Mnist, "channels", 16),
    (Mnist, "dropout", 0.5), (Mnist, "source", None), (Mnist, "arithmetic", True), (Mnist, "layers", True),
    (Cifar, "dropped", 0), (Cifar, "drop", 2.5), (Cifar, "factor", None), (Fashion, "loss", 1),
    (Fashion, "hidden", "4"), (Fashion, "loader", "no"), (Fashion, "smallest", 1),
]  # fmt: skip


@pytest.mark.parametrize(("lab", "setting", "value"), WORDS)
def test_a_word_that_a_setting_does_not_know_is_refused(lab: type[ImageLab], setting: str, value: str) -> None:
    with pytest.raises(ValueError, match=rf"^{lab.name}\.{setting} is one of .*, not {re.escape(repr(value))}$"):
        lab(**{setting: value})


@pytest.mark.parametrize(("lab", "setting", "value"), SMALL)
def test_a_number_that_is_too_small_is_refused(lab: type[ImageLab], setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{lab.name}\.{setting} is at least [01], not {re.escape(repr(value))}$"):
        lab(**{setting: value})


@pytest.mark.parametrize(("lab", "setting", "value"), TYPES)
def test_a_value_of_another_type_is_refused(lab: type[ImageLab], setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{lab.name}\.{setting} is .*, not {re.escape(repr(value))}$"):
        lab(**{setting: value})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        *(({"kernel": kernel}, rf"kernel is odd, not {kernel}") for kernel in (2, 4, 28)),
        *(
            ({"dropout_rates": rates}, r"dropout_rates must be three rates below 1, .* got \(0\.1, 0\.2.*")
            for rates in ((0.1, 0.2), (0.1, 0.2, 1), (0.1, 0.2, 2.5), (0.1, 0.2, 0.3, 0.4))
        ),
        ({"layers": 5}, "layers is at most 4, .*not 5"),
        ({"layers": 5, "channels": (2,) * 6}, "layers is at most 4, .*not 5"),
        ({"layers": 3, "channels": (2, 2)}, "layers is at most 4, .* at most the 2 of channels, not 3"),
        ({"channels": ()}, "layers is at most 4, .* at most the 0 of channels, not 2"),
    ],
    ids=str,
)
def test_a_net_of_digits_that_cannot_be_made_is_refused(settings: dict[str, Any], says: str) -> None:
    for make in (Mnist, lambda **given: Mnist.configure("quick", {}, given)):
        with pytest.raises(ValueError, match=rf"^mnist\.{says}$"):
            make(**settings)


@pytest.mark.parametrize("lab", [Mnist, Cifar, Fashion])
def test_a_setting_that_a_lab_does_not_have_is_refused(lab: type[ImageLab]) -> None:
    with pytest.raises(ValueError, match=rf"^{lab.name} has no setting 'widht'; it has .*source"):
        lab.configure("quick", {}, {"widht": 3})


OPEN, LIKELY, SCRIPT = Grade.OPEN, Grade.LIKELY, Grade.SCRIPT
GRADES: list[tuple[type[ImageLab], dict[str, Grade]]] = [
    (
        Mnist,
        dict.fromkeys(("arithmetic", "channels", "hidden", "lr", "batch", "epochs", "momentum"), OPEN)
        | dict.fromkeys(("dropout_rates", "dropout_place", "variation"), OPEN),
    ),
    (
        Cifar,
        {"arithmetic": OPEN} | dict.fromkeys(("weight_decay", "momentum", "augmented", "normalization"), SCRIPT),
    ),
    (
        Fashion,
        {"smallest_batch": OPEN}
        | dict.fromkeys(("activation", "loss", "init", "optimizer", "momentum", "loader"), LIKELY),
    ),
]


@pytest.mark.parametrize(("lab", "grades"), GRADES)
def test_what_the_reports_leave_unstated_has_a_grade_and_a_reason(
    lab: type[ImageLab], grades: dict[str, Grade]
) -> None:
    evidence = lab.unstated()
    assert {name: found.grade for name, found in evidence.items()} == grades
    assert all(len(found.reason) > 15 for found in evidence.values())


@pytest.mark.parametrize("lab", [Mnist, Cifar, Fashion])
def test_every_alternative_of_a_setting_makes_a_lab(lab: type[ImageLab]) -> None:
    for name, found in lab.unstated().items():
        for value in found.alternatives:
            assert getattr(lab(**{name: value}), name) == value


def test_dropout_rates_are_called_by_their_levels() -> None:
    rates = {level: Mnist(dropout=level).rate for level in ("none", "low", "moderate", "high")}
    assert rates == {"none": 0, "low": 0.25, "moderate": 0.5, "high": 0.75}
    assert Mnist(dropout="high", dropout_rates=(0.1, 0.2, 0.9)).rate == 0.9


@pytest.mark.parametrize(("place", "before", "after"), [("hidden", 0, 0.5), ("features", 0.5, 0), ("both", 0.5, 0.5)])
def test_dropout_is_where_its_setting_says(place: str, before: float, after: float) -> None:
    net = replace(MNIST, dropout="moderate", dropout_place=place).module(0)
    assert net.dropout.p == after
    features = dict(net.features.named_children())
    assert ("dropout" in features) is bool(before)
    if before:
        assert features["dropout"].p == before
        assert [*features][-2:] == ["dropout", "full1"]


VARIED = {"dropout": {"dropout": "moderate"}, "kernel": {"kernel": 3}, "depth": {"layers": 4}}


@pytest.mark.parametrize("variation", VARIED)
def test_the_second_setting_of_batch_norm_is_a_variation_of_the_first(variation: str) -> None:
    lab = Mnist(arithmetic="float32", variation=variation)
    varied, plain = replace(lab, varied=True).module(3), lab.module(3)
    expected = replace(lab, **VARIED[variation]).module(3)
    assert str(varied) == str(expected) != str(plain)
    assert all(torch.equal(*pair) for pair in zip(varied.parameters(), expected.parameters(), strict=True))


def test_the_source_is_where_a_lab_takes_its_data_from(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(image_sets, "load", lambda *args: asked.append(args) or toys(10, 0))
    for lab in (Mnist, Cifar, Fashion):
        for source in ("embedded", "real"):
            lab.configure("quick", {}, {}, source).data()
    assert list(dict.fromkeys(asked)) == [(name, source) for name in LABS for source in ("embedded", "real")]


@dataclass(frozen=True, kw_only=True)
class Digits(Mnist):
    name: ClassVar[str] = "digits"


@dataclass(frozen=True, kw_only=True)
class Clothes(Fashion):
    name: ClassVar[str] = "clothes"


@dataclass(frozen=True, kw_only=True)
class Objects(Cifar):
    name: ClassVar[str] = "objects"


@pytest.mark.parametrize(("lab", "given"), [(Digits, MNIST), (Clothes, FASHION), (Objects, CIFAR)])
def test_a_subclass_with_its_own_name_trains_alike(lab: type[Mnist], given: Mnist) -> None:
    settings = {field.name: getattr(given, field.name) for field in fields(given)} | {"epochs": 1}
    own = lab(**settings)
    assert own.data() == given.data()
    assert of_seed(own.train([3]), 0) == of_seed(replace(given, epochs=1).train([3]), 0)


@pytest.mark.parametrize("base", [ImageLab, ConvolutionLab])
@pytest.mark.parametrize(
    ("own", "given"), [({}, "no dataset"), ({"dataset": "digits"}, "the dataset 'digits'"), ({"dataset": []}, ".*")]
)
def test_an_image_lab_without_a_dataset_is_refused(base: type[ImageLab], own: dict[str, Any], given: str) -> None:
    body = dict.fromkeys(base.__abstractmethods__) | {"name": "own", **own}
    lab = dataclass(frozen=True, kw_only=True)(type("UserFunction", (base,), body))
    expected = rf'^UserFunction has {given}, .*one of mnist, fashion, cifar: add, .*dataset: ClassVar\[str\] = "mnist"$'
    with pytest.raises(ValueError, match=expected):
        lab(optimizer="sgd", lr=0.1, momentum=0.0)


def test_the_quick_scale_of_cifar_is_smaller_and_its_full_scale_is_the_reports() -> None:
    quick, full = (Cifar.configure(scale, {}, {}) for scale in ("quick", "full"))
    assert (quick.train_size, quick.test_size, quick.batch) == (5000, 2000, 16)
    assert (full.train_size, full.test_size, full.batch) == (50_000, 10_000, 128)
    assert (full.epochs, full.drop, full.lr) == (10, 5, 0.1)


@pytest.mark.parametrize("lab", [Fashion, Mnist])
def test_a_brief_training_is_one_epoch_of_the_same(lab: type[Fashion | Mnist]) -> None:
    assert lab(lr=0.3, batch=64).brief() == lab(lr=0.3, batch=64, epochs=1)


# arithmetic and graphs


@pytest.mark.parametrize("lab", [MNIST, CIFAR], ids=["mnist", "cifar"])
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("arithmetic", ["auto", "float32", "bfloat16"])
def test_precision_is_what_is_asked_for_and_otherwise_what_the_processor_likes(
    lab: ConvolutionLab, fast: bool, arithmetic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "multiplies_bfloat16", lambda device: fast)
    chosen = replace(lab, arithmetic=arithmetic)
    expected = fast if arithmetic == "auto" else arithmetic == "bfloat16"
    assert chosen.bfloat16("cpu") is expected
    assert chosen.precision("cpu") == ("bfloat16 products" if expected else "float32")
    assert isinstance(chosen.module(0).features, BFloat16) is expected


@pytest.mark.parametrize("fast", [False, True])
def test_fashion_has_no_convolutions_and_computes_in_float32(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "multiplies_bfloat16", lambda device: fast)
    assert FASHION.precision("cpu") == "float32"


@pytest.mark.parametrize("lab", [MNIST, CIFAR], ids=["mnist", "cifar"])
def test_bfloat16_is_nearly_float32_and_not_the_same(lab: ConvolutionLab) -> None:
    exact, rounded = (
        replace(lab, arithmetic=arithmetic, epochs=1).train([0]).curves["batch_loss"][0, 0]
        for arithmetic in ("float32", "bfloat16")
    )
    assert exact != rounded
    assert rounded == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("lab", [*LABS.values(), replace(MNIST, arithmetic="bfloat16")], ids=[*LABS, "bfloat16"])
def test_a_graph_is_a_net_and_two_examples_that_fit(lab: ImageLab) -> None:
    net, examples = lab.graph()
    assert (len(examples), examples.dtype) == (2, torch.float32)
    assert (examples.min().item(), examples.max().item()) == pytest.approx((0, 1), abs=0.1)
    logits = net.eval()(examples)
    assert (logits.shape, logits.dtype) == ((2, 10), torch.float32)
    assert logits.isfinite().all()
    assert numbers(net) == lab.model([0]).size
