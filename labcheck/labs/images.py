"""What the labs on images share: where the images come from, and what is measured of a classifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from labcheck.core.assumptions import assumed
from labcheck.core.lab import Data
from labcheck.core.metrics import Metric
from labcheck.data import image_sets
from labcheck.data.examples import Split
from labcheck.data.images import ImageSet
from labcheck.engine import environment
from labcheck.labs.supervised import ModuleLab, SupervisedLab
from labcheck.nn import training
from labcheck.nn.model import Model
from labcheck.nn.torch_model import Standardize

DATA_SOURCES = ("embedded", "real")
DATASETS = tuple(image_sets.REAL)
ARITHMETICS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class ImageLab(SupervisedLab):
    """A classifier of images in ten classes.

    Attributes:
        dataset: the images that it learns from, "mnist", "fashion" or "cifar", whatever the name of the lab.
        data_source: "real" for the report's own images, or "embedded" for what needs no network.
    """

    dataset: ClassVar[str]
    units: ClassVar = {"accuracy": "share of images", "precision": "share of images"}

    data_source: str = "embedded"

    def __post_init__(self) -> None:
        dataset = getattr(self, "dataset", None)
        if dataset not in DATASETS:
            given = "no dataset" if dataset is None else f"the dataset {dataset!r}"
            raise ValueError(
                f"{type(self).__name__} has {given}, an image lab must have one of {', '.join(DATASETS)}: "
                f'add, for example, dataset: ClassVar[str] = "{DATASETS[0]}"'
            )
        super().__post_init__()
        self.require_choice("data_source", DATA_SOURCES)

    @property
    def images(self) -> ImageSet:
        """All images of its data set, from its source."""
        return image_sets.load(self.dataset, self.data_source)

    def data(self) -> Data:
        return Data(self.images.name, self.images.digest, self.images.stand_in)

    def measure(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        """Measure each split: its loss, accuracy and confusion table, and the recall and precision of each class.

        They are called `<part>_loss`, `<part>_accuracy`, `<part>_confusion`, `<part>_accuracy_<class>` (recall) and
        `<part>_precision_<class>`.
        """
        found: dict[str, Tensor] = {}
        loss = self.recipe().loss()
        for name, split in splits.items():
            outputs, labels = training.predict(model, split), split.y.mT
            table = confusion(outputs, labels)
            found[f"{name}_loss"] = loss.forward(outputs, labels)
            found[f"{name}_confusion"] = table
            found[f"{name}_accuracy"] = table.diagonal(dim1=1, dim2=2).sum(1) / table.sum((1, 2))
            for measure, by_class in (("accuracy", recalls(table)), ("precision", precisions(table))):
                for label, value in enumerate(by_class.unbind(1)):
                    found[f"{name}_{measure}_{label}"] = value
        return found


def confusion(outputs: Tensor, labels: Tensor) -> Tensor:
    """How many examples of each class were taken for which: (K, C, N), (K, 1, N) → (K, C, C), rows the true class."""
    models, classes, _ = outputs.shape
    pairs = labels[:, 0] * classes + outputs.max(1).indices
    counts = torch.zeros(models, classes**2, dtype=torch.int64, device=outputs.device)
    return counts.scatter_add_(1, pairs, torch.ones_like(pairs)).view(models, classes, classes)


def recalls(table: Tensor) -> Tensor:
    """Return which share of a class was taken for it, (K, C, C) → (K, C); NaN for a class that no image is of."""
    return table.diagonal(dim1=1, dim2=2) / table.sum(2)


def precisions(table: Tensor) -> Tensor:
    """Return which share of what was taken for a class is of it, (K, C, C) → (K, C); NaN where nothing was."""
    return table.diagonal(dim1=1, dim2=2) / table.sum(1)


@dataclass(frozen=True, kw_only=True)
class ConvolutionLab(ImageLab, ModuleLab):
    """A convolutional net of standardised images, with channels last in memory."""

    units: ClassVar = {**ImageLab.units, "loss": "nats"}

    arithmetic: str = assumed(
        "auto", "of large products, not stated, so float32; auto is bfloat16 where the processor multiplies it faster"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("arithmetic", ARITHMETICS)

    def bfloat16(self, device: str) -> bool:
        """Whether convolutions, and the wide layer after them, multiply numbers of it there."""
        if self.arithmetic == "auto":
            return environment.multiplies_bfloat16(device)
        return self.arithmetic == "bfloat16"

    def precision(self, device: str) -> str:
        return "bfloat16 products" if self.bfloat16(device) else "float32"

    def standardize(self) -> Standardize:
        """By the training images of the source."""
        return Standardize(*self.images.moments)


def accuracy(split: str, label: int | None = None) -> Metric:
    """Return the accuracy on a split, such as "test", or the recall of one class in it."""
    return Metric(f"{split}_accuracy" + ("" if label is None else f"_{label}"), higher_is_better=True, ratio=False)


def precision(split: str, label: int) -> Metric:
    """Return the precision of a class on a split, such as "test"."""
    return Metric(f"{split}_precision_{label}", higher_is_better=True, ratio=False)
