"""Epochs of training by operations of torch, each for all models at once."""

from collections.abc import Callable

from torch import Tensor

from labcheck.data.examples import Examples, Split
from labcheck.nn.model import Model
from labcheck.nn.scratch.losses import Loss
from labcheck.nn.scratch.optimizers import Optimizer


class TorchTraining:
    """A loop over minibatches in which each operation of torch computes for all models.

    Args:
        model: The models.
        loss: The loss.
        optimizer: The optimizer.
        augment: A function that is applied to the inputs of each minibatch (K, B, …).
    """

    def __init__(
        self, model: Model, loss: Loss, optimizer: Optimizer, augment: Callable[[Tensor], Tensor] | None = None
    ):
        self.model, self.loss, self.optimizer, self.augment = model, loss, optimizer, augment

    def train_epoch(self, split: Split, order: Tensor | None, batch: int, lrs: Tensor) -> dict[str, Tensor]:
        """Train all models for one epoch.

        Args:
            split: The training examples.
            order: The order of each model's examples, (K, N); None if all are one minibatch.
            batch: The size of a minibatch. The remaining examples make a smaller last one.
            lrs: The learning rate of each model, (K,), float64.

        Returns:
            The scores of the loss by name, (K,) each: means over minibatches, weighted by their size.
        """
        if order is None:
            [whole] = split.chunks()
            return self._step(whole, lrs)
        total: dict[str, Tensor] = {}
        for minibatch in split.batches(order.to(lrs.device), batch):
            for name, score in self._step(minibatch, lrs).items():
                total[name] = total.get(name, 0) + score * len(minibatch)
        return {name: score / len(split) for name, score in total.items()}

    def _step(self, batch: Examples, lrs: Tensor) -> dict[str, Tensor]:
        x = batch.x if self.augment is None else self.augment(batch.x)
        scores = self.model.gradient(x, batch.y, self.loss)
        self.optimizer.step(self.model.values, self.model.gradients, lrs)
        return scores
