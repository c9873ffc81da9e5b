"""Files of image data sets, and the errors about them."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labcheck import DataError
from labcheck.data import ROOT, image_sets
from labcheck.data.images import ImageSet

TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
TRAIN_LABELS, TEST_LABELS = "train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"
IDX = (TRAIN, TRAIN_LABELS, TEST, TEST_LABELS)
BATCHES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
SMALL_TRAIN, SMALL_TEST = 500, 100
"""The sizes of small data sets, which the fixture `small_sizes` makes valid."""


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises an exception."""

    def fail(*args: Any, **options: Any) -> None:
        raise error

    return fail


def load_real(dataset: str, root: Path) -> ImageSet:
    """Load a real data set from a root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ROOT, str(root))
        return image_sets.load(dataset, "real")


def refusal(dataset: str, root: Path) -> str:
    """Return the error about a data set: one line that names the set, the root and a remedy."""
    with pytest.raises(DataError) as refused:
        load_real(dataset, root)
    message = str(refused.value)
    assert len(message.splitlines()) == 1
    assert {"mnist": " MNIST ", "fashion": " FashionMNIST ", "cifar": " CIFAR10 "}[dataset] in f" {message}"
    assert str(root) in message
    assert re.search("--claims-data-root|remove", message)
    return message


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    """Return an array as the content of an IDX file; the kind 8 means unsigned bytes."""
    return bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_digits(root: Path, train: int, test: int) -> Path:
    """Write the files of an MNIST, and return the root.

    Pixel (0, 1) of an image is its number modulo 251, and its label the number modulo 10.
    """
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, n in (("train", train), ("t10k", test)):
        pixels = np.zeros((n, 28, 28), np.uint8)
        pixels[:, 0, 1] = np.arange(n) % 251
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(idx(pixels))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(idx((np.arange(n) % 10).astype(np.uint8)))
    return root


def link_digits(digits: Path, root: Path, title: str = "MNIST") -> Path:
    """Make links to the files of an MNIST, which a test can replace, and return their folder."""
    raw = root / title / "raw"
    raw.mkdir(parents=True)
    for file in (digits / "MNIST" / "raw").iterdir():
        (raw / file.name).symlink_to(file)
    return raw


def write_files(folder: Path, names: Iterable[str], content: bytes = b"") -> None:
    """Write files with the same content, and the folders in their names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
