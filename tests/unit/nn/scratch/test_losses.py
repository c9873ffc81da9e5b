"""The losses by hand, held against torch's own and its autograd."""

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

from .test_scratch_layers import SEEDS, close, every_precision, normal

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 9))
"""Models, outputs or classes, examples."""
Draw = Callable[[tuple[int, int, int], int], Tensor]


def uniform(shape: tuple[int, int, int], seed: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def numbers(shape: tuple[int, int, int], seed: int) -> Tensor:
    return normal(*shape, seed=seed)


def labels(shape: tuple[int, int, int], seed: int) -> Tensor:
    """A class for each example, (K, 1, B)."""
    models, classes, n = shape
    return torch.randint(classes, (models, 1, n), generator=torch.Generator().manual_seed(seed))


def signs(shape: tuple[int, int, int], seed: int) -> Tensor:
    return torch.where(numbers(shape, seed) > 0, 1.0, -1.0).double()


def shares(shape: tuple[int, int, int], seed: int) -> Tensor:
    """Numbers from 0 to 1, a third of them 0 and a third 1."""
    return (3 * uniform(shape, seed) - 1).clamp(0, 1)


def distributions(shape: tuple[int, int, int], seed: int) -> Tensor:
    """Probabilities of the outputs, some of them 0."""
    raw = (uniform(shape, seed) - 0.3).relu()
    raw[:, -1] += 0.1
    return raw / raw.sum(1, keepdim=True)


def hinge(prediction: Tensor, target: Tensor) -> Tensor:
    return (1 - target * prediction).relu().mean()


class Kind(NamedTuple):
    """A loss, what torch calls it for one model (B, out), and its targets."""

    ours: Callable[[], Loss]
    theirs: Callable[[Tensor, Tensor], Tensor]
    targets: Draw
    logarithms: bool = False  # predictions are logarithms of probabilities

    @property
    def classes(self) -> bool:
        return self.targets is labels


KINDS = {
    "mse": Kind(MSE, functional.mse_loss, numbers),
    "huber": Kind(Huber, functional.huber_loss, numbers),
    "huber 0.3": Kind(partial(Huber, 0.3), partial(functional.huber_loss, delta=0.3), numbers),
    "huber 2": Kind(partial(Huber, 2.0), partial(functional.huber_loss, delta=2.0), numbers),
    "hinge": Kind(Hinge, hinge, signs),
    "kl": Kind(KL, partial(functional.kl_div, reduction="batchmean"), distributions, logarithms=True),
    "binary_cross_entropy": Kind(BinaryCrossEntropy, functional.binary_cross_entropy_with_logits, shares),
    "cross_entropy": Kind(CrossEntropy, functional.cross_entropy, labels),
    "multi_margin": Kind(MultiMargin, functional.multi_margin_loss, labels),
    "nll": Kind(NLL, functional.nll_loss, labels, logarithms=True),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_class_loss = pytest.mark.parametrize("loss", [CrossEntropy, MultiMargin, NLL])


def drawn(kind: Kind, shape: tuple[int, int, int], seed: int, scale: float = 1) -> tuple[Tensor, Tensor]:
    """Predictions and targets."""
    prediction, target = scale * numbers(shape, seed), kind.targets(shape, seed + 1)
    if kind.targets is numbers:
        target *= scale
    return prediction.log_softmax(1) if kind.logarithms else prediction, target


def by_autograd(kind: Kind, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Torch's losses (K,) and gradients (K, out, B), one model at a time."""
    prediction = prediction.clone().requires_grad_()
    pairs = zip(prediction.mT, target[:, 0] if kind.classes else target.mT, strict=True)
    values = torch.stack([kind.theirs(*pair) for pair in pairs])
    return values.detach(), torch.autograd.grad(values.sum(), prediction)[0]


def by_hand(kind: Kind, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    loss = kind.ours()
    return loss.forward(prediction, target), loss.backward()


def check(kind: Kind, prediction: Tensor, target: Tensor, terms: float = 1.0) -> None:
    for found, expected in zip(by_hand(kind, prediction, target), by_autograd(kind, prediction, target), strict=True):
        close(found, expected, terms)


@every_kind
@given(shape=SHAPES, seed=SEEDS)
def test_values_and_gradients_are_torchs(kind: Kind, shape: tuple[int, int, int], seed: int) -> None:
    check(kind, *drawn(kind, shape, seed), terms=0.1)


@every_kind
@settings(max_examples=30)
@given(shape=SHAPES, seed=SEEDS, scale=st.sampled_from([1e-3, 30.0, 1e4]))
def test_small_and_huge_predictions_have_the_losses_and_gradients_of_torch(
    kind: Kind, shape: tuple[int, int, int], seed: int, scale: float
) -> None:
    check(kind, *drawn(kind, shape, seed, scale), terms=1 + scale)


# kinks


@pytest.mark.parametrize("name", ["huber", "huber 0.3", "huber 2", "hinge"])
def test_at_a_kink_slopes_are_torchs(name: str) -> None:
    points = [0.0, -0.0, 0.25, -0.25, 0.3, -0.3, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0]
    prediction = torch.tensor(points, dtype=torch.float64).view(1, 2, -1)
    for target in (1.0, -1.0) if name == "hinge" else (0.0, 0.5):
        check(KINDS[name], prediction, torch.full_like(prediction, target), terms=0.01)


@given(st.lists(st.tuples(*[st.sampled_from([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0])] * 3), min_size=1, max_size=6), SEEDS)
def test_at_the_margin_slopes_are_torchs(rows: list[tuple[float, ...]], seed: int) -> None:
    prediction = torch.tensor(rows, dtype=torch.float64).mT.unsqueeze(0)
    check(KINDS["multi_margin"], prediction, labels((1, 3, len(rows)), seed), terms=0.01)


def test_a_wrong_class_exactly_at_the_margin_pulls_at_nothing() -> None:
    value, gradient = by_hand(KINDS["multi_margin"], torch.tensor([[[2.0], [1.0], [1.5]]]), torch.tensor([[[0]]]))
    assert value.item() == pytest.approx(0.5 / 3)
    assert (3 * gradient).flatten().tolist() == [-1, 0, 1]


def test_the_only_class_cannot_be_missed() -> None:
    for name in ("cross_entropy", "multi_margin"):
        value, gradient = by_hand(KINDS[name], torch.tensor([[[3.0, -7.0]]]), torch.tensor([[[0, 0]]]))
        assert value.item() == 0
        assert gradient.tolist() == [[[0, 0]]]


# what precision is left


def test_cross_entropy_of_a_class_that_is_thought_impossible_is_how_far_it_lags() -> None:
    prediction = torch.tensor([[[1e4], [-1e4]]], dtype=torch.float64)
    value, gradient = by_hand(KINDS["cross_entropy"], prediction, torch.tensor([[[1]]]))
    assert value.item() == 2e4
    assert gradient.flatten().tolist() == [1, -1]


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_their_number() -> None:
    value, gradient = by_hand(KINDS["cross_entropy"], torch.full((1, 4, 2), 7.0).double(), torch.tensor([[[0, 3]]]))
    assert value.item() == pytest.approx(torch.tensor(4.0).double().log().item(), rel=1e-15)
    expected = torch.tensor([[-0.75, 0.25], [0.25, 0.25], [0.25, 0.25], [0.25, -0.75]]).double() / 2
    torch.testing.assert_close(gradient[0], expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("level", [-1e4, 0.0, 1e4])
def test_in_float32_the_cross_entropy_of_huge_logits_keeps_its_digits(level: float, label: int) -> None:
    """A logarithm of their exponentials' sum is huge too, and what is left after it of few digits."""
    prediction, target = torch.tensor([[[level], [level + 0.5]]]), torch.tensor([[[label]]])
    found = by_hand(KINDS["cross_entropy"], prediction, target)
    expected = by_autograd(KINDS["cross_entropy"], prediction.double(), target)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=0)


@pytest.mark.parametrize("target", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("logit", [-10000.5, -1e4, 0.0, 0.5, 1e4, 10000.5])
def test_in_float32_the_binary_cross_entropy_of_huge_logits_keeps_its_digits(logit: float, target: float) -> None:
    prediction, targets = torch.full((1, 1, 1), logit), torch.full((1, 1, 1), target)
    found = by_hand(KINDS["binary_cross_entropy"], prediction, targets)
    expected = by_autograd(KINDS["binary_cross_entropy"], prediction.double(), targets.double())
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=0)


@every_precision
@pytest.mark.parametrize(("logit", "label"), [(-20.0, 0.0), (20.0, 1.0)])
def test_the_binary_cross_entropy_of_a_nearly_certain_label_keeps_its_digits(
    logit: float, label: float, dtype: torch.dtype
) -> None:
    """Held against mathematics: where a logit is far below 0, torch's has lost them."""
    prediction, target = torch.full((1, 1, 1), logit, dtype=dtype), torch.full((1, 1, 1), label, dtype=dtype)
    value, _ = by_hand(KINDS["binary_cross_entropy"], prediction, target)
    assert value.item() == pytest.approx(log1p(exp(-20)), rel=1e-6 if dtype == torch.float32 else 1e-10, abs=0)


@every_kind
@given(logits=st.lists(st.sampled_from([-1e4, -1.0, 0.0, 1.0, 1e4]), min_size=2, max_size=6), label=st.integers(0, 1))
@settings(max_examples=30)
def test_in_float32_huge_predictions_stay_finite(kind: Kind, logits: list[float], label: int) -> None:
    prediction = torch.tensor(logits).view(1, -1, 1)
    if kind.logarithms:
        prediction = prediction.log_softmax(1)
    target = torch.tensor([[[label]]]) if kind.classes else kind.targets((1, len(logits), 1), label).float()
    found, expected = by_hand(kind, prediction, target), by_autograd(kind, prediction, target)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=2e-3)
    torch.testing.assert_close(found[1], expected[1], rtol=2e-3, atol=1e-6)
    for tensor in found:
        assert tensor.dtype == torch.float32
        assert tensor.isfinite().all()


# what curves show


@every_class_loss
@given(shape=SHAPES, seed=SEEDS)
@settings(max_examples=30)
def test_accuracy_is_the_share_of_examples_whose_largest_logit_is_the_right_one(
    loss: type[ClassLoss], shape: tuple[int, int, int], seed: int
) -> None:
    prediction, target = numbers(shape, seed), labels(shape, seed + 1)
    plain = []
    for logits, classes in zip(prediction.mT.tolist(), target[:, 0].tolist(), strict=True):
        right = [row.index(max(row)) == label for row, label in zip(logits, classes, strict=True)]
        plain.append(sum(right) / len(right))
    scores = loss().scores(prediction, target)
    assert scores["accuracy"].tolist() == pytest.approx(plain, rel=1e-14)
    assert scores["accuracy"].dtype == scores["loss"].dtype


@given(st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(1, 9)), SEEDS)
@settings(max_examples=20)
def test_the_hamming_score_is_that_of_scikit_learn(shape: tuple[int, int, int], seed: int) -> None:
    logits, target = numbers(shape, seed), (uniform(shape, seed + 1) > 0.5).double()
    found = BinaryCrossEntropy().scores(logits, target)["hamming"]
    thought = logits.sigmoid().round()
    expected = [hamming_loss(t.mT.numpy(), p.mT.numpy()) for t, p in zip(target, thought, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-14)


@every_kind
def test_scores_have_the_loss_and_leave_it_ready_for_its_gradient(kind: Kind) -> None:
    prediction, target = drawn(kind, (3, 4, 5), seed=1)
    before = prediction.clone(), target.clone()
    loss = kind.ours()
    scores = loss.scores(prediction, target)
    expected = by_autograd(kind, prediction, target)
    also = {"accuracy"} if kind.classes else {"hamming"} if kind.ours is BinaryCrossEntropy else set()
    assert set(scores) == {"loss"} | also
    assert {score.shape for score in scores.values()} == {(3,)}
    close(scores["loss"], expected[0])
    close(loss.backward(), expected[1])
    assert torch.equal(prediction, before[0])
    assert torch.equal(target, before[1])


# models side by side


@every_kind
@given(shape=SHAPES, seed=SEEDS, broken=st.sampled_from([torch.nan, torch.inf, -torch.inf, 1e300]))
@settings(max_examples=30)
def test_a_model_whose_predictions_are_broken_leaves_the_others_untouched(
    kind: Kind, shape: tuple[int, int, int], seed: int, broken: float
) -> None:
    models, outputs, n = shape
    prediction, target = drawn(kind, (models + 1, outputs, n), seed)
    whole = by_hand(kind, prediction, target)
    prediction[0] = broken
    found = by_hand(kind, prediction, target)
    for one, other in zip(found, whole, strict=True):
        assert torch.equal(one[1:], other[1:])


@every_kind
def test_a_model_has_the_loss_that_it_has_alone(kind: Kind) -> None:
    prediction, target = drawn(kind, (3, 4, 5), seed=2)
    values, gradients = by_hand(kind, prediction, target)
    for k in range(3):
        value, gradient = by_hand(kind, prediction[k : k + 1], target[k : k + 1])
        close(values[k : k + 1], value, 0.01)
        close(gradients[k : k + 1], gradient, 0.01)
