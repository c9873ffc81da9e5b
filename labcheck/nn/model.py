"""What the training loop trains."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from labcheck.nn.scratch.losses import Loss


class Model(ABC):
    """K models of one architecture.

    All numbers of a model lie in one row of `state`: first what is trained (`values`), then running statistics. So an
    optimizer is a few operations on one matrix, keeping the best weights is copying rows, and a model that has stopped
    is a row that goes.

    Attributes:
        size: P, how many numbers of a model are trained.
        state: (K, P + S).
        values: (K, P), its trained split.
        gradients: (K, P), as the last `gradient` call left them.
    """

    size: int

    def bind(self, state: Tensor) -> None:
        """Make `state` the storage of these models."""
        self.state = state
        self.values = state[:, : self.size]
        self.gradients = torch.zeros_like(self.values)

    def select(self, rows: Tensor) -> None:
        """Go on with these of the models only."""
        self.bind(self.state[rows])

    @abstractmethod
    def predict(self, x: Tensor, training: bool = False) -> Tensor:
        """(K, B, …) examples → (K, out, B) outputs, good until the next call."""

    @abstractmethod
    def backward(self, g: Tensor) -> None:
        """Fill `gradients` from those by what `predict` gave last, while training, (K, out, B)."""

    def gradient(self, x: Tensor, y: Tensor, loss: Loss) -> dict[str, Tensor]:
        """Fill `gradients` with those of the loss on a minibatch (K, B, …), (K, B, out); return its scores (K,)."""
        scores = loss.scores(self.predict(x, training=True), y.mT)
        self.backward(loss.backward())
        return scores


def views(storage: Tensor, shapes: Sequence[Sequence[int]], start: int) -> tuple[list[Tensor], int]:
    """Cut (K, *shape) views out of the columns of storage from `start` on; also return where they end."""
    found = []
    for shape in shapes:
        found.append(storage[:, start : start + prod(shape)].view(-1, *shape))
        start += prod(shape)
    return found, start
