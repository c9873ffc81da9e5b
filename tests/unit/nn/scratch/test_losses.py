"""Tests of the losses from scratch against those of torch and its autograd."""

from collections.abc import Callable
from functools import partial
from math import exp, log1p
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import hamming_loss
from torch import Tensor
from torch.nn import functional

from labcheck.nn.scratch.losses import (
    KL,
    MSE,
    NLL,
    BinaryCrossEntropy,
    ClassLoss,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    MultiMargin,
)
from tests.helpers.nets import SEEDS, close, every_precision, labels, normal

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 9))
"""The numbers of models, of outputs or classes, and of examples."""
Draw = Callable[[tuple[int, int, int], int], Tensor]
"""A shape (K, out, B) and a seed → random targets."""


def uniform(shape: tuple[int, int, int], seed: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def normals(shape: tuple[int, int, int], seed: int) -> Tensor:
    return normal(*shape, seed=seed)


def signs(shape: tuple[int, int, int], seed: int) -> Tensor:
    return torch.where(normals(shape, seed) > 0, 1.0, -1.0).double()


def fractions(shape: tuple[int, int, int], seed: int) -> Tensor:
    """Return numbers from 0 to 1, of which a third are 0 and a third are 1."""
    return (3 * uniform(shape, seed) - 1).clamp(0, 1)


def distributions(shape: tuple[int, int, int], seed: int) -> Tensor:
    """Return the probabilities of the outputs of each example, some of which are 0."""
    raw = (uniform(shape, seed) - 0.3).relu()
    raw[:, -1] += 0.1
    return raw / raw.sum(1, keepdim=True)


def hinge(prediction: Tensor, target: Tensor) -> Tensor:
    return (1 - target * prediction).relu().mean()


class Kind(NamedTuple):
    """A loss from scratch, and torch's for one model (B, out).

    Attributes:
        scratch: The loss from scratch.
        reference: Torch's loss of predictions and targets.
        targets: The function that draws targets.
        logarithms: Whether predictions are logarithms of probabilities.
    """

    scratch: Callable[[], Loss]
    reference: Callable[[Tensor, Tensor], Tensor]
    targets: Draw
    logarithms: bool = False

    @property
    def classes(self) -> bool:
        return self.targets is labels


KINDS = {
    "mse": Kind(MSE, functional.mse_loss, normals),
    "huber": Kind(Huber, functional.huber_loss, normals),
    "huber 0.3": Kind(partial(Huber, 0.3), partial(functional.huber_loss, delta=0.3), normals),
    "huber 2": Kind(partial(Huber, 2.0), partial(functional.huber_loss, delta=2.0), normals),
    "hinge": Kind(Hinge, hinge, signs),
    "kl": Kind(KL, partial(functional.kl_div, reduction="batchmean"), distributions, logarithms=True),
    "binary_cross_entropy": Kind(BinaryCrossEntropy, functional.binary_cross_entropy_with_logits, fractions),
    "cross_entropy": Kind(CrossEntropy, functional.cross_entropy, labels),
    "multi_margin": Kind(MultiMargin, functional.multi_margin_loss, labels),
    "nll": Kind(NLL, functional.nll_loss, labels, logarithms=True),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_class_loss = pytest.mark.parametrize("loss", [CrossEntropy, MultiMargin, NLL])


def draw(kind: Kind, shape: tuple[int, int, int], seed: int, scale: float = 1) -> tuple[Tensor, Tensor]:
    """Return random predictions and targets."""
    prediction, target = scale * normals(shape, seed), kind.targets(shape, seed + 1)
    if kind.targets is normals:
        target *= scale
    return prediction.log_softmax(1) if kind.logarithms else prediction, target


def by_autograd(kind: Kind, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return torch's losses, (K,), and their gradients, (K, out, B), one model at a time."""
    prediction = prediction.clone().requires_grad_()
    pairs = zip(prediction.mT, target[:, 0] if kind.classes else target.mT, strict=True)
    values = torch.stack([kind.reference(*pair) for pair in pairs])
    return values.detach(), torch.autograd.grad(values.sum(), prediction)[0]


def from_scratch(kind: Kind, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the losses from scratch, (K,), and their gradients, (K, out, B)."""
    loss = kind.scratch()
    return loss.forward(prediction, target), loss.backward()


def check(kind: Kind, prediction: Tensor, target: Tensor, terms: float = 1.0) -> None:
    """Assert that losses and gradients equal torch's; see `close` for `terms`."""
    for actual, expected in zip(
        from_scratch(kind, prediction, target), by_autograd(kind, prediction, target), strict=True
    ):
        close(actual, expected, terms)


@every_kind
@given(shape=SHAPES, seed=SEEDS)
def test_values_and_gradients_equal_torch(kind: Kind, shape: tuple[int, int, int], seed: int) -> None:
    check(kind, *draw(kind, shape, seed), terms=0.1)


@every_kind
@settings(max_examples=30)
@given(shape=SHAPES, seed=SEEDS, scale=st.sampled_from([1e-3, 30.0, 1e4]))
def test_small_and_huge_predictions_equal_torch(
    kind: Kind, shape: tuple[int, int, int], seed: int, scale: float
) -> None:
    check(kind, *draw(kind, shape, seed, scale), terms=1 + scale)


# kinks


@pytest.mark.parametrize("name", ["huber", "huber 0.3", "huber 2", "hinge"])
def test_slopes_at_kinks_equal_torch(name: str) -> None:
    points = [0.0, -0.0, 0.25, -0.25, 0.3, -0.3, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0]
    prediction = torch.tensor(points, dtype=torch.float64).view(1, 2, -1)
    for target in (1.0, -1.0) if name == "hinge" else (0.0, 0.5):
        check(KINDS[name], prediction, torch.full_like(prediction, target), terms=0.01)


@pytest.mark.slow
@given(st.lists(st.tuples(*[st.sampled_from([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0])] * 3), min_size=1, max_size=6), SEEDS)
def test_slopes_at_margin_equal_torch(rows: list[tuple[float, ...]], seed: int) -> None:
    prediction = torch.tensor(rows, dtype=torch.float64).mT.unsqueeze(0)
    check(KINDS["multi_margin"], prediction, labels((1, 3, len(rows)), seed), terms=0.01)


def test_wrong_class_at_margin_has_no_gradient() -> None:
    value, gradient = from_scratch(KINDS["multi_margin"], torch.tensor([[[2.0], [1.0], [1.5]]]), torch.tensor([[[0]]]))
    assert value.item() == pytest.approx(0.5 / 3)
    assert (3 * gradient).flatten().tolist() == [-1, 0, 1]


def test_single_class_has_no_loss() -> None:
    for name in ("cross_entropy", "multi_margin"):
        value, gradient = from_scratch(KINDS[name], torch.tensor([[[3.0, -7.0]]]), torch.tensor([[[0, 0]]]))
        assert value.item() == 0
        assert gradient.tolist() == [[[0, 0]]]


# precision


def test_cross_entropy_of_improbable_class_is_logit_difference() -> None:
    prediction = torch.tensor([[[1e4], [-1e4]]], dtype=torch.float64)
    value, gradient = from_scratch(KINDS["cross_entropy"], prediction, torch.tensor([[[1]]]))
    assert value.item() == 2e4
    assert gradient.flatten().tolist() == [1, -1]


def test_cross_entropy_of_equal_logits_is_log_of_classes() -> None:
    value, gradient = from_scratch(
        KINDS["cross_entropy"], torch.full((1, 4, 2), 7.0).double(), torch.tensor([[[0, 3]]])
    )
    assert value.item() == pytest.approx(torch.tensor(4.0).double().log().item(), rel=1e-15)
    expected = torch.tensor([[-0.75, 0.25], [0.25, 0.25], [0.25, 0.25], [0.25, -0.75]]).double() / 2
    torch.testing.assert_close(gradient[0], expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("level", [-1e4, 0.0, 1e4])
def test_float32_cross_entropy_of_huge_logits_is_exact(level: float, label: int) -> None:
    """The logarithm of the sum of exponentials is huge, too, and would cancel all digits of the logit."""
    prediction, target = torch.tensor([[[level], [level + 0.5]]]), torch.tensor([[[label]]])
    results = from_scratch(KINDS["cross_entropy"], prediction, target)
    expected = by_autograd(KINDS["cross_entropy"], prediction.double(), target)
    for actual, reference in zip(results, expected, strict=True):
        torch.testing.assert_close(actual.double(), reference, rtol=1e-6, atol=0)


@pytest.mark.parametrize("target", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("logit", [-10000.5, -1e4, 0.0, 0.5, 1e4, 10000.5])
def test_float32_binary_cross_entropy_is_exact(logit: float, target: float) -> None:
    prediction, targets = torch.full((1, 1, 1), logit), torch.full((1, 1, 1), target)
    results = from_scratch(KINDS["binary_cross_entropy"], prediction, targets)
    expected = by_autograd(KINDS["binary_cross_entropy"], prediction.double(), targets.double())
    for actual, reference in zip(results, expected, strict=True):
        torch.testing.assert_close(actual.double(), reference, rtol=1e-6, atol=0)


@every_precision
@pytest.mark.parametrize(("logit", "label"), [(-20.0, 0.0), (20.0, 1.0)])
def test_binary_cross_entropy_of_certain_label_is_exact(logit: float, label: float, dtype: torch.dtype) -> None:
    """The reference is the formula, because torch loses digits where a logit is far below 0."""
    prediction, target = torch.full((1, 1, 1), logit, dtype=dtype), torch.full((1, 1, 1), label, dtype=dtype)
    value, _ = from_scratch(KINDS["binary_cross_entropy"], prediction, target)
    assert value.item() == pytest.approx(log1p(exp(-20)), rel=1e-6 if dtype == torch.float32 else 1e-10, abs=0)


@every_kind
@given(logits=st.lists(st.sampled_from([-1e4, -1.0, 0.0, 1.0, 1e4]), min_size=2, max_size=6), label=st.integers(0, 1))
@settings(max_examples=30)
def test_huge_float32_predictions_give_finite_results(kind: Kind, logits: list[float], label: int) -> None:
    prediction = torch.tensor(logits).view(1, -1, 1)
    if kind.logarithms:
        prediction = prediction.log_softmax(1)
    target = torch.tensor([[[label]]]) if kind.classes else kind.targets((1, len(logits), 1), label).float()
    results, expected = from_scratch(kind, prediction, target), by_autograd(kind, prediction, target)
    torch.testing.assert_close(results[0], expected[0], rtol=1e-5, atol=2e-3)
    torch.testing.assert_close(results[1], expected[1], rtol=2e-3, atol=1e-6)
    for tensor in results:
        assert tensor.dtype == torch.float32
        assert tensor.isfinite().all()


# scores


@every_class_loss
@given(shape=SHAPES, seed=SEEDS)
@settings(max_examples=30)
def test_accuracy_is_fraction_with_largest_correct_logit(
    loss: type[ClassLoss], shape: tuple[int, int, int], seed: int
) -> None:
    prediction, target = normals(shape, seed), labels(shape, seed + 1)
    expected = []
    for logits, classes in zip(prediction.mT.tolist(), target[:, 0].tolist(), strict=True):
        correct = [row.index(max(row)) == label for row, label in zip(logits, classes, strict=True)]
        expected.append(sum(correct) / len(correct))
    scores = loss().scores(prediction, target)
    assert scores["accuracy"].tolist() == pytest.approx(expected, rel=1e-14)
    assert scores["accuracy"].dtype == scores["loss"].dtype


@given(st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(1, 9)), SEEDS)
@settings(max_examples=20)
def test_hamming_score_equals_scikit_learn(shape: tuple[int, int, int], seed: int) -> None:
    logits, target = normals(shape, seed), (uniform(shape, seed + 1) > 0.5).double()
    score = BinaryCrossEntropy().scores(logits, target)["hamming"]
    predicted = logits.sigmoid().round()
    expected = [hamming_loss(t.mT.numpy(), p.mT.numpy()) for t, p in zip(target, predicted, strict=True)]
    assert score.tolist() == pytest.approx(expected, rel=1e-14)


@every_kind
def test_backward_can_follow_scores(kind: Kind) -> None:
    prediction, target = draw(kind, (3, 4, 5), seed=1)
    before = prediction.clone(), target.clone()
    loss = kind.scratch()
    scores = loss.scores(prediction, target)
    expected = by_autograd(kind, prediction, target)
    extra = {"accuracy"} if kind.classes else {"hamming"} if kind.scratch is BinaryCrossEntropy else set()
    assert set(scores) == {"loss"} | extra
    assert {score.shape for score in scores.values()} == {(3,)}
    close(scores["loss"], expected[0])
    close(loss.backward(), expected[1])
    assert torch.equal(prediction, before[0])
    assert torch.equal(target, before[1])


# stacked models


@every_kind
@given(shape=SHAPES, seed=SEEDS, broken=st.sampled_from([torch.nan, torch.inf, -torch.inf, 1e300]))
@settings(max_examples=30)
def test_broken_predictions_do_not_affect_other_models(
    kind: Kind, shape: tuple[int, int, int], seed: int, broken: float
) -> None:
    models, outputs, n = shape
    prediction, target = draw(kind, (models + 1, outputs, n), seed)
    whole = from_scratch(kind, prediction, target)
    prediction[0] = broken
    results = from_scratch(kind, prediction, target)
    for result, reference in zip(results, whole, strict=True):
        assert torch.equal(result[1:], reference[1:])


@every_kind
def test_model_has_equal_loss_alone_and_stacked(kind: Kind) -> None:
    prediction, target = draw(kind, (3, 4, 5), seed=2)
    values, gradients = from_scratch(kind, prediction, target)
    for k in range(3):
        value, gradient = from_scratch(kind, prediction[k : k + 1], target[k : k + 1])
        close(values[k : k + 1], value, 0.01)
        close(gradients[k : k + 1], gradient, 0.01)
