"""Fashion-MNIST with a multilayer perceptron (report fashion)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch

from labcheck.data.images import Selection
from labcheck.labs.images import ImageLab, accuracy
from labcheck.labs.lab import assumed
from labcheck.labs.supervised import StackedLab
from labcheck.metrics import Metric
from labcheck.models.as_torch import as_torch
from labcheck.models.model import Model
from labcheck.models.scratch.initializers import INITS
from labcheck.models.scratch.layers import Layer
from labcheck.models.scratch.losses import CLASS_LOSSES, ClassLoss
from labcheck.models.scratch.network import mlp
from labcheck.models.scratch.optimizers import Optimizer
from labcheck.models.torch_model import TorchModel
from labcheck.models.torch_parts import TORCH_LOSSES, TORCH_OPTIMIZERS
from labcheck.training import Recipe


@dataclass(frozen=True, kw_only=True)
class Fashion(ImageLab, StackedLab):
    """A 784-h-10 net on pixels from 0 to 1, named batch-hidden-lr-epochs: by default the report's 256-256-0.1-5.

    It measures losses, accuracies and confusion tables of train and test, of the last weights.

    Attributes:
        engine: whose layers, loss and optimizer: our own, "by_hand", or those of "torch", one seed at a time; from the
            same initial weights.
    """

    name: ClassVar[str] = "fashion"
    scales: ClassVar = {"full": {"source": "real"}}

    batch: int = 256
    hidden: int = 256
    lr: float = 0.1
    epochs: int = 5
    engine: str = "by_hand"
    activation: str = assumed("relu", "not stated; that of the textbook which the report follows")
    loss: str = assumed("cross_entropy", "not stated; that of the textbook which the report follows")
    init: str = assumed("normal", "N(0, .01²) and biases 0, not stated; as in the textbook which the report follows")
    optimizer: str = assumed("sgd", "not stated; that of the textbook which the report follows")
    momentum: float = assumed(0.0, "not stated; that of the textbook which the report follows")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("engine", ("by_hand", "torch"))
        self.check("loss", self._losses)
        self.check("init", INITS)
        self.at_least(1, "batch", "hidden", "epochs")

    @property
    def stack(self) -> int:
        """Few side by side: nets of this width gain nothing from more on a CPU, and claims have ten seeds."""
        return 5 if self.engine == "by_hand" else 1

    @property
    def _losses(self) -> Mapping[str, Callable[[], ClassLoss]]:
        return CLASS_LOSSES if self.engine == "by_hand" else TORCH_LOSSES

    @property
    def optimizers(self) -> Mapping[str, Callable[[float], Optimizer]]:
        return super().optimizers if self.engine == "by_hand" else TORCH_OPTIMIZERS

    def brief(self) -> Self:
        return replace(self, epochs=1)

    def parts(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Selection]:
        """All images, the same for every seed."""
        found = self.images
        every = torch.arange(len(found.images)).expand(len(seeds), -1)
        rows = {"train": every[:, : -found.tests], "test": every[:, -found.tests :]}
        return {part: Selection(found.images, found.labels, row, dtype, flat=True) for part, row in rows.items()}

    def layers(self) -> list[Layer]:
        zero_bias = self.init != "default"  # which is torch's, for biases too
        return mlp([784, self.hidden, 10], activation=self.activation, init=self.init, zero_bias=zero_bias)

    def model(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Model:
        network = self.network(seeds, dtype, device)
        return network if self.engine == "by_hand" else TorchModel(as_torch(network, 0))

    def recipe(self) -> Recipe:
        """Curves `batch_loss`, `batch_accuracy`, `test_loss`, `test_accuracy`, `lr`."""
        return Recipe(
            optimizer=self.new_optimizer(),
            lr=self.lr,
            batch=self.batch,
            epochs=self.epochs,
            loss=self._losses[self.loss](),
            watch=("test",),
        )


TEST_ACCURACY = accuracy("test")
FINAL_LOSS = Metric("final_loss")
