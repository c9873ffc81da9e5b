"""Base classes of labs that classify images, with the metrics of a classifier."""

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
        dataset: The images to learn from: "mnist", "fashion" or "cifar". Does not depend on the name of the lab.
        data_source: "real" for the images of the report, or "embedded" for images that need no download.
    """

    dataset: ClassVar[str]
    units: ClassVar = {"accuracy": "share of images", "precision": "share of images"}

    data_source: str = "embedded"

    def __post_init__(self) -> None:
        dataset = getattr(self, "dataset", None)
        if dataset not in DATASETS:
            given = "none" if dataset is None else repr(dataset)
            raise ValueError(
                f"{type(self).__name__}.dataset must be one of {', '.join(DATASETS)}, got {given}: add, for example, "
                f'dataset: ClassVar[str] = "{DATASETS[0]}"'
            )
        super().__post_init__()
        self.require_choice("data_source", DATA_SOURCES)

    @property
    def images(self) -> ImageSet:
        """All images of the data set, from the data source."""
        return image_sets.load(self.dataset, self.data_source)

    def data(self) -> Data:
        return Data(self.images.name, self.images.digest, self.images.stand_in)

    def measure(self, model: Model, splits: Mapping[str, Split]) -> dict[str, Tensor]:
        """Return the scores of the models on each split.

        The metrics are `<split>_loss`, `<split>_accuracy`, and, for each class, its recall `<split>_accuracy_<class>`
        and its precision `<split>_precision_<class>`. The table `<split>_confusion` is the confusion matrix.
        """
        scores: dict[str, Tensor] = {}
        loss = self.recipe().loss()
        for name, split in splits.items():
            outputs, labels = training.predict(model, split), split.y.mT
            matrix = confusion(outputs, labels)
            scores[f"{name}_loss"] = loss.forward(outputs, labels)
            scores[f"{name}_confusion"] = matrix
            scores[f"{name}_accuracy"] = matrix.diagonal(dim1=1, dim2=2).sum(1) / matrix.sum((1, 2))
            for measure, by_class in (("accuracy", recalls(matrix)), ("precision", precisions(matrix))):
                for label, value in enumerate(by_class.unbind(1)):
                    scores[f"{name}_{measure}_{label}"] = value
        return scores


def confusion(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the confusion matrix of each model (K, C, C), with the true class in rows.

    Args:
        outputs: The outputs (K, C, N) of the models; the predicted class is the one with the largest output.
        labels: The true classes (K, 1, N).
    """
    models, classes, _ = outputs.shape
    pairs = labels[:, 0] * classes + outputs.max(1).indices
    counts = torch.zeros(models, classes**2, dtype=torch.int64, device=outputs.device)
    return counts.scatter_add_(1, pairs, torch.ones_like(pairs)).view(models, classes, classes)


def recalls(matrix: Tensor) -> Tensor:
    """Return the recall of each class (K, C) in confusion matrices (K, C, C); NaN for a class without images."""
    return matrix.diagonal(dim1=1, dim2=2) / matrix.sum(2)


def precisions(matrix: Tensor) -> Tensor:
    """Return the precision of each class (K, C) in confusion matrices (K, C, C); NaN for a class never predicted."""
    return matrix.diagonal(dim1=1, dim2=2) / matrix.sum(1)


@dataclass(frozen=True, kw_only=True)
class ConvolutionLab(ImageLab, ModuleLab):
    """A convolutional network on standardized images, with channels last in memory.

    Attributes:
        arithmetic: The precision of the products in convolutions and in the wide layer after them: "float32",
            "bfloat16", or "auto" for bfloat16 on processors that multiply it faster.
    """

    units: ClassVar = {**ImageLab.units, "loss": "nats"}

    arithmetic: str = assumed(
        "auto",
        "The arithmetic of large products is not stated, so float32 is likely; 'auto' is float32, except on processors "
        "that multiply bfloat16 faster",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("arithmetic", ARITHMETICS)

    def bfloat16(self, device: str) -> bool:
        """Return whether large products are computed in bfloat16 on a device."""
        if self.arithmetic == "auto":
            return environment.multiplies_bfloat16(device)
        return self.arithmetic == "bfloat16"

    def precision(self, device: str) -> str:
        return "bfloat16 products" if self.bfloat16(device) else "float32"

    def standardize(self) -> Standardize:
        """Return a module that standardizes each channel with the moments of all training images."""
        return Standardize(*self.images.moments)


def accuracy(split: str, label: int | None = None) -> Metric:
    """Return the metric for the accuracy on a split, such as "test", or for the recall of a class."""
    return Metric(f"{split}_accuracy" + ("" if label is None else f"_{label}"), higher_is_better=True, ratio=False)


def precision(split: str, label: int) -> Metric:
    """Return the metric for the precision of a class on a split, such as "test"."""
    return Metric(f"{split}_precision_{label}", higher_is_better=True, ratio=False)
