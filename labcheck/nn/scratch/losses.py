"""Losses: means over the examples of a minibatch, each with its gradient.

Predictions p are feature-major, (K, out, B), like all activations. Targets t are too: numbers (K, out, B), or class
numbers (K, 1, B) for a loss that chooses one of `out` classes. `backward` follows its `forward`, once.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Loss(ABC):
    """A mean over examples."""

    @abstractmethod
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Of each model, (K,)."""

    @abstractmethod
    def backward(self) -> Tensor:
        """The gradient of each model's loss by its prediction, (K, out, B)."""

    def scores(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What curves show of a batch: means over its examples, (K,) each; one of them is "loss", as of `forward`."""
        return {"loss": self.forward(prediction, target)}


class MSE(Loss):
    """Mean squared error, the mean of (p − t)² over outputs and examples; its gradient is 2 (p − t) / (out · B)."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.difference = prediction - target
        return self.difference.square().mean((1, 2))

    def backward(self) -> Tensor:
        _, outputs, n = self.difference.shape
        return self.difference.mul_(2 / (outputs * n))


class Huber(Loss):
    """½ r² where |r| = |p − t| ≤ δ, else δ (|r| − ½ δ), mean over outputs and examples (Huber 1964).

    Its gradient is r, cut off at ±δ, so that outliers pull no harder than that.
    """

    def __init__(self, delta: float = 1.0):
        self.delta = delta

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference = prediction - target
        self.cut = difference.clamp(-self.delta, self.delta)
        return (self.cut * (difference - self.cut / 2)).mean((1, 2))

    def backward(self) -> Tensor:
        _, outputs, n = self.cut.shape
        return self.cut.div_(outputs * n)


class Hinge(Loss):
    """max(0, 1 − t p) for targets t = ±1, mean over outputs and examples (Cortes and Vapnik 1995).

    Its gradient is −t where the margin is missed, t p < 1, else 0.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.target = target
        self.short = (1 - target * prediction).relu_()
        return self.short.mean((1, 2))

    def backward(self) -> Tensor:
        _, outputs, n = self.short.shape
        return self.short.sign_().mul_(self.target).div_(-outputs * n)


class KL(Loss):
    """Σ t (ln t − p) over outputs, mean over examples: the divergence of e^p from t (Kullback, Leibler 1951).

    Predictions are logarithms of probabilities, as of `LogSoftmax`, targets probabilities; the gradient is −t / B.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.target = target
        return (torch.xlogy(target, target) - target * prediction).sum(1).mean(1)

    def backward(self) -> Tensor:
        return self.target / -self.target.shape[2]


class BinaryCrossEntropy(Loss):
    """−t ln q − (1 − t) ln (1 − q) with q = σ(p), mean over outputs and examples; targets from 0 to 1.

    In logits p it is max(p, 0) − t p + ln (1 + e^−|p|), which no p makes too large. Its gradient is q − t.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.prediction, self.target = prediction, target
        linear = prediction.relu() - target * prediction  # on its own, as nearly all of it may cancel
        return linear.add_(prediction.abs().neg_().exp_().log1p_()).mean((1, 2))

    def backward(self) -> Tensor:
        _, outputs, n = self.prediction.shape
        return self.prediction.sigmoid().sub_(self.target).div_(outputs * n)

    def scores(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The Hamming distance too, of labels that are thought more likely than not."""
        return {"hamming": hamming(prediction > 0, target > 0.5), **super().scores(prediction, target)}


def hamming(labels: Tensor, target: Tensor) -> Tensor:
    """The share of labels that are wrong, (K, out, B) → (K,): the Hamming distance by the number of labels."""
    return (labels != target).double().mean((1, 2))


class ClassLoss(Loss):
    """A loss of classifiers, of which curves also show the accuracy."""

    def scores(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        right = prediction.max(1).indices == target[:, 0]  # argmax says the same ten times as slowly
        return {"accuracy": right.mean(1, dtype=prediction.dtype), **super().scores(prediction, target)}


class NLL(ClassLoss):
    """Negative log-likelihood: −p of the right class, mean over examples, for logarithms of probabilities p.

    Its gradient is −1 / B at the right class and 0 elsewhere. After `LogSoftmax` it is the cross-entropy.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.prediction, self.target = prediction, target
        return -prediction.gather(1, target)[:, 0].mean(1)

    def backward(self) -> Tensor:
        g = torch.zeros_like(self.prediction)
        return g.scatter_(1, self.target, -1 / g.shape[2])


class CrossEntropy(ClassLoss):
    """−ln of the softmax q of the right class, mean over examples; the gradient is q, less 1 at the right class."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.target = target
        # the largest is taken away first, so that no logits are too large and none lose their digits
        less = prediction - prediction.amax(1, keepdim=True)
        self.exponentials = less.exp()
        self.total = self.exponentials.sum(1, keepdim=True)
        return (self.total.log() - less.gather(1, target))[:, 0].mean(1)

    def backward(self) -> Tensor:
        g = self.exponentials.div_(self.total)
        g.scatter_add_(1, self.target, g.new_full((), -1.0).expand(self.target.shape))
        return g.div_(g.shape[2])


class MultiMargin(ClassLoss):
    """Σ over wrong classes of max(0, 1 − p_right + p_wrong) / out, mean over examples (Crammer and Singer 2001).

    Its gradient is 1 / (out · B) at each class that comes too near, and minus all of these at the right one.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.target = target
        self.short = (1 - prediction.gather(1, target) + prediction).relu_()
        self.short.scatter_(1, target, 0.0)
        return self.short.sum(1).mean(1) / prediction.shape[1]

    def backward(self) -> Tensor:
        g = self.short.sign_()
        g.scatter_(1, self.target, -g.sum(1, keepdim=True))
        return g.div_(g.shape[1] * g.shape[2])


CLASS_LOSSES: dict[str, type[ClassLoss]] = {"cross_entropy": CrossEntropy, "multi_margin": MultiMargin}
"""Of logits; by name, as labs' settings have it."""
