"""Losses of K stacked models, forward and backward by hand.

Predictions are feature-major, (K, out, B), like all activations; so are targets: numbers (K, out, B) for a regression,
class numbers (K, 1, B) for a classification. `backward` follows its `forward`, once.
"""

from abc import ABC, abstractmethod

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
    """Mean squared error of each model, over outputs and examples."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.difference = prediction - target
        return self.difference.square().mean((1, 2))

    def backward(self) -> Tensor:
        _, outputs, n = self.difference.shape
        return self.difference.mul_(2 / (outputs * n))


class ClassLoss(Loss):
    """A loss of classifiers, of which curves also show the accuracy."""

    def scores(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        right = prediction.argmax(1) == target[:, 0]
        return {"accuracy": right.to(prediction.dtype).mean(1), **super().scores(prediction, target)}


class CrossEntropy(ClassLoss):
    """−ln of the softmax of the right class, mean over examples; stable for any logits."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self.target = target
        self.logs = prediction - prediction.logsumexp(1, keepdim=True)
        return -self.logs.gather(1, target)[:, 0].mean(1)

    def backward(self) -> Tensor:
        g = self.logs.exp_()  # the softmax, less 1 at the right class
        g.scatter_add_(1, self.target, g.new_full((), -1.0).expand(self.target.shape))
        return g.div_(g.shape[2])


class MultiMargin(ClassLoss):
    """torch.nn.MultiMarginLoss: Σ over wrong classes of max(0, 1 − right + wrong) / classes, mean over examples."""

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
"""By name."""
