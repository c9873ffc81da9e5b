"""Fashion-MNIST with a multilayer perceptron (report fashion)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch

from labcheck.core.assumptions import Alternative, assumed
from labcheck.core.metrics import Metric
from labcheck.data import DataError
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
    """A multilayer perceptron with one hidden layer, on pixels in [0, 1].

    The report names its networks batch-hidden-lr-epochs; the defaults are its base network, 256-256-.1-5. The metrics
    and confusion matrices are those of the splits train and test for the last weights.

    Attributes:
        batch: The batch size.
        smallest: Whether `smallest_batch` replaces `batch`.
        hidden: The width of the hidden layer.
        lr: The learning rate.
        epochs: The number of epochs.
        engine: The implementation of layers, loss and optimizer: "scratch" for labcheck's own, "torch" for those of
            torch, or "student" for raw tensors as in the textbook. All have the same initial weights; the last two
            train one seed at a time.
        activation: The activation of the hidden layer.
        loss: The loss, "cross_entropy" or "multi_margin".
        init: The initialization of the weights, a name in `INITS`.
        optimizer: "sgd" or "adam".
        momentum: The momentum of SGD.
        smallest_batch: The smallest batch size in the comparison of batch sizes.
        loader: Whether the engines "student" and "torch" load training images with torch's DataLoader.
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
        "relu", "The report calls it the original one when it tries Tanh; the textbook has ReLU", grade="likely"
    )
    loss: str = assumed(
        "cross_entropy", "The loss is not stated; the textbook that the report follows has this one", grade="likely"
    )
    init: str = assumed(
        "normal",
        "The initialization is not stated; the textbook that the report follows has N(0, .01²) and biases 0. 'default' "
        "is torch's",
        Alternative("default", "Torch's own initialization, which a program has that does not set another one"),
        Alternative("xavier_uniform", "The usual initialization of networks that are written by hand from formulas"),
        grade="likely",
    )
    optimizer: str = assumed(
        "sgd",
        "The optimizer is not stated; the textbook that the report follows has SGD on the mean loss of the batch",
        grade="likely",
    )
    momentum: float = assumed(
        0.0,
        "The momentum is not stated; the textbook's own optimizer has none",
        Alternative(0.9, "The most common momentum of SGD"),
        grade="likely",
    )
    smallest_batch: int = assumed(
        64,
        "The smallest of the three batch sizes is illegible in the report",
        Alternative(32, "A power of two below 256, as common as 64"),
        Alternative(128, "Half of the next batch size, 256"),
    )
    loader: bool = assumed(
        True,
        "The textbook's training function takes a DataLoader, for layers written by hand and for torch's, so the "
        "engines 'student' and 'torch' load their batches with it, image by image; 'scratch' reads from memory",
        Alternative(False, "A program that is timed may read its batches from memory"),
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
                f"{self.name}.activation and momentum must be 'relu' and 0 if {self.name}.engine is 'student', got "
                f"{self.activation!r} and {self.momentum!r}"
            )

    def stack(self, device: str) -> int:
        # networks of this width gain nothing from larger stacks on a CPU, and claims have at most ten seeds
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
        """Return all images, which are the same for every seed, by split.

        Raises:
            DataError: There is no test set.
        """
        images = self.images
        if not images.test_size:
            raise DataError(f"{type(self).__name__}.dataset must have a test set, which {images.name} lacks")
        rows = torch.arange(len(images.images)).expand(len(seeds), -1)
        train, test = rows[:, : images.train_size], rows[:, images.train_size :]
        selection = LoadedSelection if self.loader and self.engine != "scratch" else Selection
        return {
            "train": selection(images.images, images.labels, train, dtype, flat=True),
            "test": Selection(images.images, images.labels, test, dtype, flat=True),
        }

    def layers(self) -> list[Layer]:
        zero_bias = self.init != "default"  # torch's default draws biases, too
        return mlp([784, self.hidden, 10], activation=self.activation, init=self.init, zero_bias=zero_bias)

    def model(self, seeds: Sequence[int], dtype: torch.dtype = torch.float32, device: str = "cpu") -> Model:
        network = self.network(seeds, dtype, device)
        if self.engine == "student":
            return Student.like(network)
        return network if self.engine == "scratch" else TorchModel(as_torch(network, 0))

    def recipe(self) -> Recipe:
        """Return a recipe with the curves `batch_loss`, `batch_accuracy`, `test_loss`, `test_accuracy` and `lr`."""
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
