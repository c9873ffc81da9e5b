"""Losses: means over the examples of a minibatch, each with its gradient.

Predictions p are feature-major, (K, out, B), like all activations. Targets t are so, too: numbers (K, out, B), or class
indices (K, 1, B) for a loss that chooses one of `out` classes. The gradients in the formulas are those of the term of
one example (and, where the loss is a mean over outputs as well, of one output); the mean divides them by the number of
terms.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Loss(ABC):
    """A mean over the examples of a minibatch, for K models.

    Each call of `backward` belongs to the call of `forward` before it, whose intermediate results it overwrites.
    """

    @abstractmethod
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each model, (K,).

        Args:
            prediction: The outputs of the models, (K, out, B), which are not changed.
            target: The targets, (K, out, B), or class indices, (K, 1, B).
        """

    @abstractmethod
    def backward(self) -> Tensor:
        """Return the gradient of each model's loss with respect to its prediction, (K, out, B)."""

    def scores(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the scores of a minibatch that curves show, by name.

        Args:
            prediction: See `forward`.
            target: See `forward`.

        Returns:
            Means over the examples, (K,) each. One of them is "loss", the result of `forward`, so that `backward` can
            follow.
        """
        return {"loss": self.forward(prediction, target)}


class MSE(Loss):
    """The mean squared error, the mean of (p − t)² over outputs and examples.

    The gradient of a term is 2 (p − t).
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.difference = prediction - target
        return self.difference.square().mean((1, 2))

    def backward(self) -> Tensor:
        _, outputs, n = self.difference.shape
        return self.difference.mul_(2 / (outputs * n))


class Huber(Loss):
    """The Huber loss, a mean over outputs and examples that outliers dominate less than the MSE (Huber 1964).

    With r = p − t, it is ½ r² where |r| ≤ δ, else δ (|r| − ½ δ). The gradient of a term is r, clipped to [−δ, δ].

    Args:
        delta: δ, the distance from which on the loss grows linearly.
    """

    def __init__(self, delta: float = 1.0):
        self.delta = delta

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference = prediction - target
        self.clipped = difference.clamp(-self.delta, self.delta)
        return (self.clipped * (difference - self.clipped / 2)).mean((1, 2))

    def backward(self) -> Tensor:
        _, outputs, n = self.clipped.shape
        return self.clipped.div_(outputs * n)


class Hinge(Loss):
    """The hinge loss, max(0, 1 − t p) for targets t = ±1, mean over outputs and examples (Cortes and Vapnik 1995).

    The gradient of a term is −t where the prediction is inside the margin, t p < 1, else 0.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.target = target
        self.shortfall = (1 - target * prediction).relu_()
        return self.shortfall.mean((1, 2))

    def backward(self) -> Tensor:
        _, outputs, n = self.shortfall.shape
        return self.shortfall.sign_().mul_(self.target).div_(-outputs * n)


class KL(Loss):
    """The divergence of Kullback and Leibler (1951) of e^p from t, Σ t (ln t − p) over outputs, mean over examples.

    Predictions are logarithms of probabilities, such as the outputs of `LogSoftmax`, and targets are probabilities. The
    gradient of a term is −t.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.target = target
        return (torch.xlogy(target, target) - target * prediction).sum(1).mean(1)

    def backward(self) -> Tensor:
        return self.target / -self.target.shape[2]


class BinaryCrossEntropy(Loss):
    """The binary cross-entropy of logits p, a mean over outputs and examples, for targets t from 0 to 1.

    With q = σ(p), it is −t ln q − (1 − t) ln (1 − q). In terms of the logits, this equals
    max(p, 0) − t p + ln (1 + e^−|p|), which cannot overflow. The gradient of a term is q − t.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.prediction, self.target = prediction, target
        # compute the first two terms before the third is added, because nearly all of them may cancel
        linear = prediction.relu() - target * prediction
        return linear.add_(prediction.abs().neg_().exp_().log1p_()).mean((1, 2))

    def backward(self) -> Tensor:
        _, outputs, n = self.prediction.shape
        return self.prediction.sigmoid().sub_(self.target).div_(outputs * n)

    def scores(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the loss, and "hamming", the Hamming distance of labels that are predicted where q > ½."""
        return {"hamming": hamming(prediction > 0, target > 0.5), **super().scores(prediction, target)}


def hamming(labels: Tensor, target: Tensor) -> Tensor:
    """Return the fraction of wrong labels of each model, (K,), from two tensors (K, out, B)."""
    return (labels != target).double().mean((1, 2))


class ClassLoss(Loss):
    """A loss for classifiers, whose curves also show the accuracy."""

    def scores(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the loss, and "accuracy", the fraction of examples whose class has the largest prediction."""
        correct = prediction.max(1).indices == target[:, 0]  # argmax returns the same, but takes ten times as long
        return {"accuracy": correct.mean(1, dtype=prediction.dtype), **super().scores(prediction, target)}


class NLL(ClassLoss):
    """The negative log-likelihood, −p of the correct class, mean over examples, for logarithms of probabilities p.

    The gradient of a term is −1 for the correct class, else 0. After `LogSoftmax`, this loss is the cross-entropy.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.prediction, self.target = prediction, target
        return -prediction.gather(1, target)[:, 0].mean(1)

    def backward(self) -> Tensor:
        g = torch.zeros_like(self.prediction)
        return g.scatter_(1, self.target, -1 / g.shape[2])


class CrossEntropy(ClassLoss):
    """The cross-entropy of logits p, −ln q of the correct class, where q is the softmax of p, mean over examples.

    The gradient of a term is q − 1 for the correct class, and q for all others.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.target = target
        # subtract the largest logit first, which changes nothing but prevents overflow and the loss of digits
        shifted = prediction - prediction.amax(1, keepdim=True)
        self.exponentials = shifted.exp()
        self.total = self.exponentials.sum(1, keepdim=True)
        return (self.total.log() - shifted.gather(1, target))[:, 0].mean(1)

    def backward(self) -> Tensor:
        g = self.exponentials.div_(self.total)
        g.scatter_add_(1, self.target, g.new_full((), -1.0).expand(self.target.shape))
        return g.div_(g.shape[2])


class MultiMargin(ClassLoss):
    """The multi-class margin loss, a mean over classes and examples (Crammer and Singer 2001).

    The term of a wrong class is max(0, 1 − p_correct + p_wrong), and that of the correct class is 0. The gradient is 1
    for each wrong class inside the margin, where that term is positive, and minus the number of these for the correct
    class.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.target = target
        self.shortfall = (1 - prediction.gather(1, target) + prediction).relu_()
        self.shortfall.scatter_(1, target, 0.0)
        return self.shortfall.sum(1).mean(1) / prediction.shape[1]

    def backward(self) -> Tensor:
        g = self.shortfall.sign_()
        g.scatter_(1, self.target, -g.sum(1, keepdim=True))
        return g.div_(g.shape[1] * g.shape[2])


CLASS_LOSSES: dict[str, type[ClassLoss]] = {"cross_entropy": CrossEntropy, "multi_margin": MultiMargin}
"""The losses of logits for classifiers, by the names that settings of labs use."""
