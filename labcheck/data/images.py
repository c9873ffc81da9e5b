"""Labeled images in memory, and the splits of them that models train and are evaluated on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from labcheck.data import DataError
from labcheck.data.examples import Examples, digest, permutations

EVAL_BATCH = 200
"""The number of images that are evaluated at once."""


@dataclass(frozen=True)
class ImageSet:
    """Labeled images in memory.

    Attributes:
        name: The name of the data set in results.
        images: The images (N, H, W, C), uint8.
        labels: The labels (N,), int64, 0 to 9.
        test_size: The number of test images, which are the last ones; 0 if there is no test set.
        stand_in: Whether they replace the images of a report.
    """

    name: str
    images: Tensor
    labels: Tensor
    test_size: int
    stand_in: bool = False

    @property
    def train_size(self) -> int:
        """The number of images that do not belong to the test set."""
        return len(self.images) - self.test_size

    def last(self, n: int) -> "ImageSet":
        """Return a set of the last n images."""
        return replace(self, images=self.images[-n:], labels=self.labels[-n:])

    @cached_property
    def digest(self) -> str:
        """The digest of the images and labels."""
        return digest(self.images, self.labels)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """The mean and standard deviation of each channel (C,), without the test set, for pixels in [0, 1]."""
        channels = self.images[: self.train_size].flatten(0, 2).unbind(1)
        counts = torch.stack([channel.bincount(minlength=256) for channel in channels]).double()
        share, values = counts / counts.sum(1, keepdim=True), torch.linspace(0, 1, 256, dtype=torch.float64)
        mean = share @ values
        return mean, (share @ values.square() - mean.square()).sqrt()

    def splits(
        self, sizes: Mapping[str, int], rngs: list[torch.Generator], dtype: torch.dtype
    ) -> dict[str, "Selection"]:
        """Return splits of these sizes, drawn with each generator; see `draw_rows`."""
        return {
            split: Selection(self.images, self.labels, rows, dtype)
            for split, rows in self.draw_rows(sizes, rngs).items()
        }

    def draw_rows(self, sizes: Mapping[str, int], rngs: list[torch.Generator]) -> dict[str, Tensor]:
        """Draw random images for each split, none of them twice, with each generator.

        Args:
            sizes: The number n of images in each split. If there is a test set, "test" and no other split is drawn
                from it.
            rngs: K generators.

        Returns:
            The rows of the images in each split (K, n).

        Raises:
            DataError: There are too few images.
        """
        order = permutations(self.train_size, rngs)
        drawn = {}
        for split, size in sizes.items():
            of_test_set = split == "test" and self.test_size > 0
            available = self.train_size + permutations(self.test_size, rngs) if of_test_set else order
            if (left := available.shape[1]) < size:
                raise DataError(
                    f"{self.name}: the split {split} must have at most {left} images, got {size}; use smaller splits"
                )
            drawn[split] = available[:, :size]
            if not of_test_set:
                order = order[:, size:]
        return drawn


@dataclass(frozen=True)
class Selection:
    """A split whose examples are rows of a table of images that all models share.

    Pixels are divided by 255, and channels come first.

    Attributes:
        images: The table of images (N, H, W, C), uint8.
        labels: The table of labels (N,).
        rows: The rows of each model (K, n).
        dtype: The precision of the pixels.
        flat: Whether examples have the shape (K, B, H · W · C) instead of (K, B, C, H, W).
    """

    images: Tensor
    labels: Tensor
    rows: Tensor
    dtype: torch.dtype
    flat: bool = False

    def __len__(self) -> int:
        return self.rows.shape[1]

    @property
    def y(self) -> Tensor:
        """The labels (K, n, 1)."""
        return self.labels[self.rows].unsqueeze(2)

    def batch(self, index: Tensor) -> Examples:
        """Return the pixels (K, B, C, H, W), or flat, and labels (K, B, 1) of the examples with index (K, B)."""
        return self._take(self.rows.gather(1, index))

    def batches(self, order: Tensor, size: int) -> Iterator[Examples]:
        yield from map(self.batch, torch.split(order, size, dim=1))

    def chunks(self) -> Iterator[Examples]:
        yield from map(self._take, torch.split(self.rows, EVAL_BATCH, dim=1))

    def select(self, rows: Tensor) -> "Selection":
        return replace(self, rows=self.rows[rows])

    def to(self, device: str) -> "Selection":
        images, labels, rows = (tensor.to(device) for tensor in (self.images, self.labels, self.rows))
        return replace(self, images=images, labels=labels, rows=rows)

    def _take(self, rows: Tensor) -> Examples:
        # index_select is much faster than images[rows]
        pixels = self.images.index_select(0, rows.flatten()).to(self.dtype).div_(255)
        x = pixels.view(*rows.shape, *self.images.shape[1:])
        return Examples(x.flatten(2) if self.flat else x.movedim(-1, 2), self.labels.take(rows).unsqueeze(2))
