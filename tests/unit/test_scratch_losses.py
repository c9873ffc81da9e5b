"""The losses by hand, held against torch's own and its autograd."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from labcheck.models.scratch.losses import CLASS_LOSSES, MSE, ClassLoss, CrossEntropy, Loss, MultiMargin

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 9))
"""Models, outputs or classes, examples."""
SEEDS = st.integers(0, 999)


class Kind(NamedTuple):
    """A loss, what torch calls it for one model (B, out), and whether its targets are classes."""

    ours: Callable[[], Loss]
    theirs: Callable[[Tensor, Tensor], Tensor]
    classes: bool


KINDS = {
    "mse": Kind(MSE, functional.mse_loss, False),
    "cross_entropy": Kind(CrossEntropy, functional.cross_entropy, True),
    "multi_margin": Kind(MultiMargin, functional.multi_margin_loss, True),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_class_loss = pytest.mark.parametrize("loss", CLASS_LOSSES.values(), ids=CLASS_LOSSES)


def normal(shape: tuple[int, int, int], seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def labels(shape: tuple[int, int, int], seed: int) -> Tensor:
    """A class for each example, (K, 1, B)."""
    models, classes, n = shape
    return torch.randint(classes, (models, 1, n), generator=torch.Generator().manual_seed(seed))


def drawn(kind: Kind, shape: tuple[int, int, int], seed: int, scale: float = 1) -> tuple[Tensor, Tensor]:
    """Predictions and targets."""
    target = labels(shape, seed + 1) if kind.classes else scale * normal(shape, seed + 1)
    return scale * normal(shape, seed), target


def by_autograd(kind: Kind, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Torch's losses (K,) and gradients (K, out, B), one model at a time."""
    prediction = prediction.clone().requires_grad_()
    pairs = zip(prediction.mT, target[:, 0] if kind.classes else target.mT, strict=True)
    values = torch.stack([kind.theirs(*pair) for pair in pairs])
    return values.detach(), torch.autograd.grad(values.sum(), prediction)[0]


def by_hand(kind: Kind, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    loss = kind.ours()
    return loss.forward(prediction, target), loss.backward()


@every_kind
@given(shape=SHAPES, seed=SEEDS)
def test_values_and_gradients_are_torchs(kind: Kind, shape: tuple[int, int, int], seed: int) -> None:
    prediction, target = drawn(kind, shape, seed)
    for found, expected in zip(by_hand(kind, prediction, target), by_autograd(kind, prediction, target), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)


@every_kind
@given(shape=SHAPES, seed=SEEDS)
def test_huge_predictions_have_the_losses_and_gradients_of_torch(
    kind: Kind, shape: tuple[int, int, int], seed: int
) -> None:
    prediction, target = drawn(kind, shape, seed, scale=1e4)
    for found, expected in zip(by_hand(kind, prediction, target), by_autograd(kind, prediction, target), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)  # 1e4 is rounded to 2e-12


@every_kind
@given(logits=st.lists(st.sampled_from([-1e4, -1.0, 0.0, 1.0, 1e4]), min_size=2, max_size=6), label=st.integers(0, 1))
def test_in_float32_huge_predictions_stay_finite(kind: Kind, logits: list[float], label: int) -> None:
    prediction = torch.tensor(logits).view(1, -1, 1)
    target = torch.tensor([[[label]]]) if kind.classes else torch.zeros_like(prediction)
    value, gradient = by_hand(kind, prediction, target)
    expected = by_autograd(kind, prediction, target)
    assert (value.dtype, gradient.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(value, expected[0], rtol=1e-5, atol=2e-3)
    torch.testing.assert_close(gradient, expected[1], rtol=2e-3, atol=1e-6)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


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


@given(st.lists(st.tuples(*[st.sampled_from([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0])] * 3), min_size=1, max_size=6), SEEDS)
def test_at_the_margin_slopes_are_torchs(rows: list[tuple[float, ...]], seed: int) -> None:
    prediction = torch.tensor(rows, dtype=torch.float64).mT.unsqueeze(0)
    target = labels((1, 3, len(rows)), seed)
    found, expected = (of(KINDS["multi_margin"], prediction, target) for of in (by_hand, by_autograd))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-15, atol=0)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-15, atol=1e-17)


def test_a_wrong_class_exactly_at_the_margin_pulls_at_nothing() -> None:
    value, gradient = by_hand(KINDS["multi_margin"], torch.tensor([[[2.0], [1.0], [1.5]]]), torch.tensor([[[0]]]))
    assert value.item() == pytest.approx(0.5 / 3)
    assert (3 * gradient).flatten().tolist() == [-1, 0, 1]


def test_the_only_class_cannot_be_missed() -> None:
    for kind in (KINDS["cross_entropy"], KINDS["multi_margin"]):
        value, gradient = by_hand(kind, torch.tensor([[[3.0, -7.0]]]), torch.tensor([[[0, 0]]]))
        assert value.item() == 0
        assert gradient.tolist() == [[[0, 0]]]


# what curves show


@every_class_loss
@given(shape=SHAPES, seed=SEEDS)
def test_accuracy_is_the_share_of_examples_whose_largest_logit_is_the_right_one(
    loss: type[ClassLoss], shape: tuple[int, int, int], seed: int
) -> None:
    prediction, target = normal(shape, seed), labels(shape, seed + 1)
    plain = []
    for logits, classes in zip(prediction.mT.tolist(), target[:, 0].tolist(), strict=True):
        right = [row.index(max(row)) == label for row, label in zip(logits, classes, strict=True)]
        plain.append(sum(right) / len(right))
    scores = loss().scores(prediction, target)
    assert scores["accuracy"].tolist() == pytest.approx(plain, rel=1e-14)
    assert scores["accuracy"].dtype == scores["loss"].dtype


@every_kind
def test_scores_have_the_loss_and_leave_it_ready_for_its_gradient(kind: Kind) -> None:
    prediction, target = drawn(kind, (3, 4, 5), seed=1)
    before = prediction.clone(), target.clone()
    loss = kind.ours()
    scores = loss.scores(prediction, target)
    expected = by_autograd(kind, prediction, target)
    assert set(scores) == ({"loss", "accuracy"} if kind.classes else {"loss"})
    assert {score.shape for score in scores.values()} == {(3,)}
    torch.testing.assert_close(scores["loss"], expected[0], rtol=1e-10, atol=0)
    torch.testing.assert_close(loss.backward(), expected[1], rtol=1e-10, atol=1e-14)
    assert torch.equal(prediction, before[0])
    assert torch.equal(target, before[1])


# models side by side


@every_kind
@given(shape=SHAPES, seed=SEEDS, broken=st.sampled_from([torch.nan, torch.inf, -torch.inf, 1e300]))
def test_a_model_whose_predictions_are_broken_leaves_the_others_untouched(
    kind: Kind, shape: tuple[int, int, int], seed: int, broken: float
) -> None:
    models, *rest = shape
    prediction, target = drawn(kind, (models + 1, *rest), seed)
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
        torch.testing.assert_close(values[k : k + 1], value, rtol=1e-14, atol=0)
        torch.testing.assert_close(gradients[k : k + 1], gradient, rtol=1e-14, atol=1e-16)
