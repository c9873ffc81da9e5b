"""Fashion-MNIST with a multilayer perceptron (report fashion)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch

from labcheck.data.images import Selection
from labcheck.labs.images import ImageLab, accuracy
from labcheck.labs.lab import assumed
from labcheck.labs.supervised import StackedLab
from labcheck.metrics import Metric
from labcheck.models.layers import INITS, Layer
from labcheck.models.losses import CLASS_LOSSES
from labcheck.models.network import mlp
from labcheck.training import Recipe


@dataclass(frozen=True, kw_only=True)
class Fashion(ImageLab, StackedLab):
    """A 784-h-10 net on pixels from 0 to 1, named batch-hidden-lr-epochs: by default the report's 256-256-0.1-5.

    It measures losses, accuracies and confusion tables of train and test, of the last weights.
    """

    name: ClassVar[str] = "fashion"

    batch: int = 256
    hidden: int = 256
    lr: float = 0.1
    epochs: int = 5
    activation: str = assumed("relu", "not stated; that of the textbook which the report follows")
    loss: str = assumed("cross_entropy", "not stated; that of the textbook which the report follows")
    init: str = assumed("normal", "N(0, .01²) and biases 0, not stated; as in the textbook which the report follows")
    optimizer: str = assumed("sgd", "not stated; that of the textbook which the report follows")
    momentum: float = assumed(0.0, "not stated; that of the textbook which the report follows")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("loss", CLASS_LOSSES)
        self.check("init", INITS)
        self.at_least(1, "batch", "hidden", "epochs")

    @property
    def stack(self) -> int:
        """Few side by side: nets of this width gain nothing from more on a CPU, and claims have ten seeds."""
        return 5

    def brief(self) -> Self:
        return replace(self, epochs=1)

    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Selection]:
        """All images, the same for every seed."""
        found = self.images
        every = torch.arange(len(found.images)).expand(len(seeds), -1)
        rows = {"train": every[:, : -found.tests], "test": every[:, -found.tests :]}
        return {part: Selection(found.images, found.labels, row, dtype, flat=True) for part, row in rows.items()}

    def layers(self) -> list[Layer]:
        return mlp([784, self.hidden, 10], activation=self.activation, init=self.init, zero_bias=True)

    def recipe(self) -> Recipe:
        """Curves `batch_loss`, `batch_accuracy`, `test_loss`, `test_accuracy`, `lr`."""
        return Recipe(
            optimizer=self.new_optimizer(),
            lr=self.lr,
            batch=self.batch,
            epochs=self.epochs,
            loss=CLASS_LOSSES[self.loss](),
            watch=("test",),
        )


TEST_ACCURACY = accuracy("test")
FINAL_LOSS = Metric("final_loss")
