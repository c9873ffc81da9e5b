"""The interface between models and the training loop."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from labcheck.nn.scratch.losses import Loss


class Model(ABC):
    """K models of one architecture, which train side by side.

    All numbers of a model are stored in one row of the matrix `state`: first its P trained parameters, then its S
    running statistics. An optimizer step is therefore a few operations on one matrix, saving the best weights copies
    rows, and a model that stops early is a row to remove.

    Attributes:
        size: P, the number of trained parameters of a model.
        state: All numbers of all models, (K, P + S).
        values: The trained parameters, (K, P); a view into `state`.
        gradients: The gradients of the loss with respect to `values`, (K, P), from the last call of `gradient`.
        compiled: Whether compiled loops train the models, so that they also compute the outputs for an evaluation.
    """

    size: int
    compiled: bool = False

    def bind(self, state: Tensor) -> None:
        """Use `state`, (K, P + S), as the storage of these models, and set all gradients to 0."""
        self.state = state
        self.values = state[:, : self.size]
        self.gradients = torch.zeros_like(self.values)

    def select(self, rows: Tensor) -> None:
        """Drop all models except those with the indices `rows`."""
        self.bind(self.state[rows])

    @abstractmethod
    def predict(self, x: Tensor, training: bool = False) -> Tensor:
        """Compute the outputs of the models.

        Args:
            x: Each model's examples, (K, B, …).
            training: Whether layers such as dropout and batch normalization are in training mode.

        Returns:
            The outputs, (K, out, B). The next call may overwrite them.
        """

    @abstractmethod
    def backward(self, g: Tensor) -> None:
        """Backpropagate through the last call of `predict`, which must have been in training mode.

        Overwrites `gradients`.

        Args:
            g: The gradient of the loss with respect to the outputs, (K, out, B).
        """

    def gradient(self, x: Tensor, y: Tensor, loss: Loss) -> dict[str, Tensor]:
        """Compute the gradients of the loss on one minibatch, and store them in `gradients`.

        Args:
            x: Each model's examples, (K, B, …).
            y: Their targets, (K, B, out), or class indices, (K, B, 1).
            loss: The loss.

        Returns:
            The scores of the loss by name, (K,) each.
        """
        scores = loss.scores(self.predict(x, training=True), y.mT)
        self.backward(loss.backward())
        return scores


def views(storage: Tensor, shapes: Sequence[Sequence[int]], start: int) -> tuple[list[Tensor], int]:
    """Cut adjacent columns of `storage` into tensors without copying them.

    Args:
        storage: A matrix with one row per model, (K, columns).
        shapes: The shape of each tensor for one model.
        start: The first column.

    Returns:
        A view (K, *shape) for each shape, and the column after the last one.
    """
    tensors = []
    for shape in shapes:
        tensors.append(storage[:, start : start + prod(shape)].view(-1, *shape))
        start += prod(shape)
    return tensors, start
