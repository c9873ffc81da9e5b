"""Fashion-MNIST with a multilayer perceptron (report fashion)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch

from labcheck.core.assumptions import assumed
from labcheck.core.metrics import Metric
from labcheck.data.images import Selection
from labcheck.labs.images import ImageLab, accuracy
from labcheck.labs.supervised import StackedLab
from labcheck.nn.as_torch import as_torch
from labcheck.nn.model import Model
from labcheck.nn.scratch.initializers import INITS
from labcheck.nn.scratch.layers import Layer
from labcheck.nn.scratch.losses import CLASS_LOSSES, ClassLoss
from labcheck.nn.scratch.network import mlp
from labcheck.nn.scratch.optimizers import Optimizer
from labcheck.nn.student import LoadedSelection, Student, StudentSGD
from labcheck.nn.torch_model import TorchModel
from labcheck.nn.torch_parts import TORCH_LOSSES, TORCH_OPTIMIZERS
from labcheck.nn.training import Recipe

ENGINES = ("scratch", "student", "torch")


@dataclass(frozen=True, kw_only=True)
class Fashion(ImageLab, StackedLab):
    """A 784-h-10 net on pixels from 0 to 1, named batch-hidden-lr-epochs: by default the report's 256-256-0.1-5.

    It measures losses, accuracies, precisions and confusion tables of train and test, of the last weights.

    Attributes:
        smallest: whether `smallest_batch` takes the place of `batch`.
        engine: whose layers, loss and optimizer: labcheck's own, "scratch"; those of "torch"; or raw tensors as the
            textbook writes them, "student". All start with the same weights; the last two train one seed at a time.
    """

    name: ClassVar[str] = "fashion"
    dataset: ClassVar[str] = "fashion"
    scales: ClassVar = {"full": {"data_source": "real"}}

    batch: int = 256
    smallest: bool = False
    hidden: int = 256
    lr: float = 0.1
    epochs: int = 5
    engine: str = "scratch"
    activation: str = assumed(
        "relu", "called the original one where Tanh is tried; that of the textbook too", grade="likely"
    )
    loss: str = assumed("cross_entropy", "not stated; that of the textbook which the report follows", grade="likely")
    init: str = assumed(
        "normal",
        "N(0, .01²) and biases 0, not stated; as in the textbook which the report follows. 'default' is torch's",
        "default",
        "xavier_uniform",
        grade="likely",
    )
    optimizer: str = assumed(
        "sgd", "on the mean over the batch, not stated; that of the textbook which the report follows", grade="likely"
    )
    momentum: float = assumed(0.0, "not stated; the textbook's own optimizer has none", grade="likely")
    smallest_batch: int = assumed(64, "the smallest of the three batches is not legible in the report", 32, 128)
    loader: bool = assumed(
        True,
        "whether the engines 'student' and 'torch' fetch their batches by torch's DataLoader, image by image: the "
        "textbook's training function takes it, for layers by hand and for torch's; 'scratch' reads from memory",
        False,
        grade="likely",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("engine", ENGINES)
        self.require_choice("loss", self._losses)
        self.require_choice("init", INITS)
        self.require_at_least(1, "batch", "smallest_batch", "hidden", "epochs")
        if self.engine == "student" and (self.activation != "relu" or self.momentum):
            raise ValueError(
                f"{self.name}.engine 'student' needs {self.name}.activation 'relu' and {self.name}.momentum 0, got "
                f"{self.activation!r} and {self.momentum!r}"
            )

    @property
    def stack(self) -> int:
        """Few side by side: nets of this width gain nothing from more on a CPU, and claims have ten seeds."""
        return 5 if self.engine == "scratch" else 1

    @property
    def _losses(self) -> Mapping[str, Callable[[], ClassLoss]]:
        return CLASS_LOSSES if self.engine == "scratch" else TORCH_LOSSES

    @property
    def optimizers(self) -> Mapping[str, Callable[[float], Optimizer]]:
        engines: dict[str, Mapping[str, Callable[[float], Optimizer]]] = {
            "scratch": super().optimizers,
            "student": {"sgd": lambda momentum: StudentSGD()},
            "torch": TORCH_OPTIMIZERS,
        }
        return engines.get(self.engine, super().optimizers)

    def brief(self) -> Self:
        return replace(self, epochs=1)

    def splits(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> dict[str, Selection]:
        """All images, the same for every seed."""
        found = self.images
        every = torch.arange(len(found.images)).expand(len(seeds), -1)
        train, test = every[:, : -found.tests], every[:, -found.tests :]
        loaded = LoadedSelection if self.loader and self.engine != "scratch" else Selection
        return {
            "train": loaded(found.images, found.labels, train, dtype, flat=True),
            "test": Selection(found.images, found.labels, test, dtype, flat=True),
        }

    def layers(self) -> list[Layer]:
        zero_bias = self.init != "default"  # which is torch's, for biases too
        return mlp([784, self.hidden, 10], activation=self.activation, init=self.init, zero_bias=zero_bias)

    def model(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Model:
        network = self.network(seeds, dtype, device)
        if self.engine == "student":
            return Student.like(network)
        return network if self.engine == "scratch" else TorchModel(as_torch(network, 0))

    def recipe(self) -> Recipe:
        """Curves `batch_loss`, `batch_accuracy`, `test_loss`, `test_accuracy`, `lr`."""
        return Recipe(
            optimizer=self.new_optimizer,
            lr=self.lr,
            batch=self.smallest_batch if self.smallest else self.batch,
            epochs=self.epochs,
            loss=self._losses[self.loss],
            monitor=("test",),
        )


TEST_ACCURACY = accuracy("test")
FINAL_LOSS = Metric("final_loss", higher_is_better=False)
