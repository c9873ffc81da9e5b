"""Image labs: results depend on settings and seed only, scores of classifiers, data and arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix
from torch import Tensor

from labcheck.data import image_sets
from labcheck.data.images import ImageSet, Selection
from labcheck.engine import environment
from labcheck.labs.cifar import Cifar
from labcheck.labs.fashion import Fashion
from labcheck.labs.images import ConvolutionLab, ImageLab, confusion, precisions, recalls
from labcheck.labs.mnist import Mnist
from labcheck.nn.torch_model import BFloat16
from tests.helpers.labs import CIFAR, FASHION, MNIST, equal, of_model, random_images
from tests.helpers.nets import numbers

LABS: dict[str, Mnist | Cifar | Fashion] = {"mnist": MNIST, "cifar": CIFAR, "fashion": FASHION}
every_lab = pytest.mark.parametrize("lab", LABS.values(), ids=LABS)
SHORT_CIFAR = replace(CIFAR, epochs=1)
NOISY: dict[str, Mnist | Cifar] = {
    "dropout": replace(MNIST, dropout="moderate"),
    "dropout of features": replace(MNIST, dropout="low", dropout_place="features"),
    "augmented digits": replace(MNIST, augmented=True),
    "augmented photographs": SHORT_CIFAR,
}
every_noisy_lab = pytest.mark.parametrize("lab", NOISY.values(), ids=NOISY)
ENGINES = {engine: replace(FASHION, engine=engine) for engine in ("student", "torch")}


# seeds


@pytest.mark.slow
@every_lab
def test_training_is_reproducible_to_bit(lab: ImageLab):
    assert equal(lab.train([5]), lab.train([5]))


@pytest.mark.slow
@every_lab
def test_seeds_start_and_end_with_different_weights(lab: ImageLab):
    losses = lab.train([0, 1]).curves["batch_loss"]
    assert len(np.unique(losses)) == losses.size


@pytest.mark.slow
@every_noisy_lab
def test_noise_depends_on_seed_only(lab: ConvolutionLab):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        together = lab.train([3, 8])
        torch.manual_seed(2)
        alone = lab.train([8])
    assert of_model(together, 1) == of_model(alone, 0)
    assert of_model(together, 0) != of_model(together, 1)
    assert len(together) == 2


@every_noisy_lab
def test_noise_changes_training(lab: Mnist | Cifar):
    quiet: dict[str, Any] = {"augmented": False} | ({"dropout": "none"} if isinstance(lab, Mnist) else {})
    with_noise, without = (each.train([3]).curves["batch_loss"].tolist() for each in (lab, replace(lab, **quiet)))
    assert with_noise != without


def test_stack_is_one_for_modules_and_five_for_scratch():
    assert tuple(lab.stack("cpu") for lab in (MNIST, CIFAR, FASHION)) == (1, 1, 5)
    assert [lab.stack("cpu") for lab in ENGINES.values()] == [1, 1]


# torch's global state


@pytest.mark.parametrize("lab", [*NOISY.values(), FASHION, *ENGINES.values()], ids=[*NOISY, "fashion", *ENGINES])
def test_training_restores_torch_generator_and_threads(lab: ImageLab):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    lab.train([0])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_failed_training_restores_torch_generator(monkeypatch: pytest.MonkeyPatch):
    def fail(self: Mnist, *args: object) -> None:
        torch.rand(1)
        raise RuntimeError("no luck")

    monkeypatch.setattr(Mnist, "measure", fail)
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="no luck"):
        replace(MNIST, epochs=1).train([0])
    assert torch.equal(torch.get_rng_state(), before)


def test_training_on_cpu_touches_no_gpu(monkeypatch: pytest.MonkeyPatch):
    """It would start CUDA, and torch warns if there are several GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("get_rng_state", "set_rng_state", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: pytest.fail("a GPU was touched"))
    replace(MNIST, epochs=1).train([0])


# arms

ARMS: list[tuple[Mnist | Cifar, dict[str, Any]]] = [
    *(
        (MNIST, settings)
        for settings in ({"kernel": 7}, {"norm": True}, {"layers": 1}, {"lr": 0.1, "optimizer": "sgd"})
    ),
    *(
        (MNIST, settings)
        for settings in ({"dropout": "high"}, {"augmented": True}, {"hidden": 9, "arithmetic": "bfloat16"})
    ),
    *(
        (SHORT_CIFAR, settings)
        for settings in ({"dropped": False}, {"augmented": False}, {"lr": 0.01, "momentum": 0.9})
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("lab", "settings"), ARMS, ids=[str(settings) for _, settings in ARMS])
def test_arms_have_same_images_in_same_order(
    lab: Mnist | Cifar, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    batches: list[list[int]] = []
    batch = Selection.batch

    def spy(self: Selection, index: Tensor) -> Any:
        batches.append(self.rows.gather(1, index).flatten().tolist())
        return batch(self, index)

    monkeypatch.setattr(Selection, "batch", spy)
    short = replace(lab, train_size=16, batch=8, epochs=2)
    arm = replace(short, **settings)
    splits = short.splits([6])
    assert all(torch.equal(splits[name].rows, split.rows) for name, split in arm.splits([6]).items())
    short.train([6])
    expected = batches.copy()
    assert len(expected) == 4
    assert sorted(expected[0] + expected[1]) == sorted(splits["train"].rows[0].tolist())
    assert expected[:2] != expected[2:]
    batches.clear()
    arm.train([6])
    assert batches == expected


# scores


@pytest.mark.slow
@given(st.data())
def test_confusion_matches_scikit_learn(data: st.DataObject):
    models, classes, n = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 10)), data.draw(st.integers(1, 30))
    label = st.integers(0, classes - 1)
    table = st.lists(st.lists(label, min_size=n, max_size=n), min_size=models, max_size=models)
    true, predicted = (torch.tensor(data.draw(table)) for _ in range(2))
    noise = torch.rand(models, n, classes, generator=torch.Generator().manual_seed(0))
    outputs = (noise + 2 * torch.nn.functional.one_hot(predicted, classes)).mT
    expected = [confusion_matrix(*pair, labels=range(classes)) for pair in zip(true, predicted, strict=True)]
    assert confusion(outputs, true.unsqueeze(1)).tolist() == np.array(expected).tolist()


def test_class_never_predicted_has_no_precision():
    matrix = torch.tensor([[[3, 0, 1], [2, 0, 0], [0, 0, 0]]])
    assert precisions(matrix)[0].tolist() == pytest.approx([0.6, float("nan"), 0], nan_ok=True)
    assert recalls(matrix)[0].tolist() == pytest.approx([0.75, 0, float("nan")], nan_ok=True)


@pytest.mark.slow
@every_lab
def test_scores_match_confusion_matrices(lab: ImageLab):
    trials, splits = lab.train([0, 1]), lab.splits([0, 1])
    assert len(splits) == (3 if isinstance(lab, Mnist) else 2)
    for prefix in ("", "final_") if isinstance(lab, Mnist) else ("",):
        for name, split in splits.items():
            matrix = trials.tables[f"{prefix}{name}_confusion"]
            assert matrix.shape == (2, 10, 10)
            counts = np.array([np.bincount(y, minlength=10) for y in split.y[:, :, 0].numpy()])
            assert np.array_equal(matrix.sum(2), counts)
            right = np.diagonal(matrix, axis1=1, axis2=2)
            np.testing.assert_allclose(trials.metrics[f"{prefix}{name}_accuracy"], right.sum(1) / len(split), rtol=1e-6)
            for measure, totals in (("accuracy", counts), ("precision", matrix.sum(1))):
                by_class = [trials.metrics[f"{prefix}{name}_{measure}_{label}"] for label in range(10)]
                shares = np.where(totals > 0, np.stack(by_class, 1), 0)
                np.testing.assert_allclose(shares * totals, right, rtol=1e-6)


@pytest.mark.slow
@every_lab
def test_names_of_metrics_tables_and_curves_are_complete(lab: ImageLab):
    trials = lab.train([0])
    splits, best = (("train", "val", "test"), True) if isinstance(lab, Mnist) else (("train", "test"), False)
    prefixes = ("", "final_") if best else ("",)
    accuracies = {f"{prefix}{split}_accuracy" for prefix in prefixes for split in splits}
    measures = {accuracy.replace("accuracy", name) for accuracy in accuracies for name in ("accuracy", "precision")}
    classes = {f"{measure}_{label}" for measure in measures for label in range(10)}
    losses = {f"{prefix}{split}_loss" for prefix in prefixes for split in splits}
    assert set(trials.metrics) == {"epochs", "final_loss", *accuracies, *classes, *losses}
    assert set(trials.tables) == {f"{prefix}{split}_confusion" for prefix in prefixes for split in splits}
    monitored = "val" if best else "test"
    assert set(trials.curves) == {
        "batch_loss", "batch_accuracy", f"{monitored}_loss", f"{monitored}_accuracy", "lr",
    }  # fmt: skip
    for name in ("batch_accuracy", f"{monitored}_accuracy"):
        assert ((trials.curves[name] >= 0) & (trials.curves[name] <= 1)).all()


# data


@every_lab
def test_test_set_is_never_trained_on(lab: Any, use_images: Callable[[ImageSet], None]):
    images = random_images(400, 100, 32, 32, 3) if lab is CIFAR else random_images(400, 100)
    use_images(images)
    splits = lab.splits([0, 1])
    assert (splits.pop("test").rows >= 300).all()
    assert all((split.rows < 300).all() for split in splits.values())
    trials = replace(lab, epochs=1).train([0])
    assert trials.tables["test_confusion"].sum() == (100 if lab is FASHION else lab.test_size)
    assert trials.tables["train_confusion"].sum() == (300 if lab is FASHION else lab.train_size)
    assert lab.data() == ("random", images.digest, False)


@pytest.mark.parametrize("stand_in", [False, True])
def test_data_states_whether_images_are_stand_in(stand_in: bool, use_images: Callable[[ImageSet], None]):
    use_images(replace(random_images(10, 0), stand_in=stand_in))
    assert Mnist().data().stand_in is stand_in


def test_data_source_selects_images(monkeypatch: pytest.MonkeyPatch):
    loaded = []

    def load(*args: str) -> ImageSet:
        loaded.append(args)
        return random_images(10, 0)

    monkeypatch.setattr(image_sets, "load", load)
    for lab in (Mnist, Cifar, Fashion):
        for data_source in ("embedded", "real"):
            lab.configure("quick", {}).override({"data_source": data_source}).data()
    assert list(dict.fromkeys(loaded)) == [(name, source) for name in LABS for source in ("embedded", "real")]


@pytest.mark.parametrize("lab", [Mnist, Cifar, Fashion])
def test_full_scale_has_real_images(lab: type[ImageLab]):
    assert [lab.configure(scale, {}).data_source for scale in ("quick", "full")] == ["embedded", "real"]


@pytest.mark.parametrize("base", [ImageLab, ConvolutionLab])
@pytest.mark.parametrize(
    ("attributes", "given"),
    [({}, "none"), ({"dataset": "digits"}, "'digits'"), ({"dataset": []}, r"\[\]")],
    ids=["missing", "unknown", "no string"],
)
def test_lab_without_valid_dataset_is_refused(base: type[ImageLab], attributes: dict[str, Any], given: str):
    body = dict.fromkeys(base.__abstractmethods__) | {"name": "own", **attributes}
    decorate: Any = dataclass(frozen=True, kw_only=True)
    lab = decorate(type("Own", (base,), body))
    message = rf'^Own\.dataset must be one of mnist, fashion, cifar, got {given}: .*ClassVar\[str\] = "mnist"$'
    with pytest.raises(ValueError, match=message):
        lab(optimizer="sgd", lr=0.1, momentum=0.0)


@pytest.mark.parametrize("lab", [Fashion, Mnist])
def test_brief_training_has_one_epoch(lab: type[Fashion | Mnist]):
    assert lab(lr=0.3, batch=64).brief() == lab(lr=0.3, batch=64, epochs=1)


# arithmetic and graphs

convolution_labs = pytest.mark.parametrize("lab", [MNIST, CIFAR], ids=["mnist", "cifar"])


@convolution_labs
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("arithmetic", ["auto", "float32", "bfloat16"])
def test_arithmetic_is_that_of_setting_or_processor(
    lab: Mnist | Cifar, fast: bool, arithmetic: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(environment, "multiplies_bfloat16", lambda device: fast)
    changed = replace(lab, arithmetic=arithmetic)
    expected = fast if arithmetic == "auto" else arithmetic == "bfloat16"
    assert changed.bfloat16("cpu") is expected
    assert changed.precision("cpu") == ("bfloat16 products" if expected else "float32")
    assert isinstance(changed.module(0).features, BFloat16) is expected


@pytest.mark.slow
@pytest.mark.parametrize("lab", [replace(MNIST, epochs=1), SHORT_CIFAR], ids=["mnist", "cifar"])
def test_bfloat16_is_close_to_float32(lab: Mnist | Cifar):
    exact, rounded = (
        replace(lab, arithmetic=arithmetic).train([0]).curves["batch_loss"][0, 0]
        for arithmetic in ("float32", "bfloat16")
    )
    assert exact != rounded
    assert rounded == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("lab", [*LABS.values(), replace(MNIST, arithmetic="bfloat16")], ids=[*LABS, "bfloat16"])
def test_graph_is_module_with_two_examples(lab: Mnist | Cifar | Fashion):
    net, examples = lab.graph()
    assert (len(examples), examples.dtype) == (2, torch.float32)
    assert (examples.min().item(), examples.max().item()) == pytest.approx((0, 1), abs=0.1)
    logits = net.eval()(examples)
    assert (logits.shape, logits.dtype) == ((2, 10), torch.float32)
    assert logits.isfinite().all()
    assert numbers(net) == lab.model([0]).size
