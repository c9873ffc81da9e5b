"""Images with labels, in memory, and the splits of them that models see."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from labcheck.data import DataError
from labcheck.data.examples import Examples, digest, permutations

EVAL_BATCH = 200
"""Images that are evaluated at once."""


@dataclass(frozen=True)
class ImageSet:
    """Images with labels, in memory.

    Attributes:
        images: (N, H, W, C), uint8.
        labels: (N,), int64, 0 to 9.
        tests: The number of test images, which are the last ones; 0 if there is no test set.
        stand_in: Whether they replace the images of a report.
    """

    name: str
    images: Tensor
    labels: Tensor
    tests: int
    stand_in: bool = False

    @property
    def known(self) -> int:
        """How many are not of the test set."""
        return len(self.images) - self.tests

    def last(self, n: int) -> "ImageSet":
        """Its last n images."""
        return replace(self, images=self.images[-n:], labels=self.labels[-n:])

    @cached_property
    def digest(self) -> str:
        """Of images and labels."""
        return digest(self.images, self.labels)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel (C,), of pixels from 0 to 1 of all images but the test set."""
        channels = self.images[: self.known].flatten(0, 2).unbind(1)
        counts = torch.stack([channel.bincount(minlength=256) for channel in channels]).double()
        share, values = counts / counts.sum(1, keepdim=True), torch.linspace(0, 1, 256, dtype=torch.float64)
        mean = share @ values
        return mean, (share @ values.square() - mean.square()).sqrt()

    def splits(self, sizes: dict[str, int], rngs: list[torch.Generator], dtype: torch.dtype) -> dict[str, "Selection"]:
        """As many random images for each split, for each generator; see `draw_rows`."""
        return {
            split: Selection(self.images, self.labels, rows, dtype)
            for split, rows in self.draw_rows(sizes, rngs).items()
        }

    def draw_rows(self, sizes: dict[str, int], rngs: list[torch.Generator]) -> dict[str, Tensor]:
        """For each generator, as many random images for each split (K, n); "test" is of the test set if there is one.

        Raises:
            DataError: there are not as many.
        """
        order = permutations(self.known, rngs)
        found = {}
        for split, size in sizes.items():
            if split == "test" and self.tests:
                found[split] = self.known + permutations(self.tests, rngs)[:, :size]
            else:
                found[split], order = order[:, :size], order[:, size:]
            if found[split].shape[1] < size:
                raise DataError(f"{self.name} has no {size} images left for the split {split}: ask for fewer")
        return found


@dataclass(frozen=True)
class Selection:
    """A split whose models each see some rows of a table of images: pixels from 0 to 1, channels first.

    Attributes:
        images: (N, H, W, C), uint8.
        labels: (N,).
        rows: those of each model (K, n).
        flat: examples are (K, B, H · W · C) instead of (K, B, C, H, W).
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
        """Class numbers (K, n, 1)."""
        return self.labels[self.rows].unsqueeze(2)

    def batch(self, index: Tensor) -> Examples:
        """Index (K, B) → pixels (K, B, C, H, W), or flat, and class numbers (K, B, 1)."""
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
        # much faster than indexing, images[rows]
        pixels = self.images.index_select(0, rows.flatten()).to(self.dtype).div_(255)
        x = pixels.view(*rows.shape, *self.images.shape[1:])
        return Examples(x.flatten(2) if self.flat else x.movedim(-1, 2), self.labels.take(rows).unsqueeze(2))
