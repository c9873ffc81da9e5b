"""Images: the sets, the parts that models see of them, the real files and what is refused, and how both are told."""

import gc
import gzip
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision.datasets as torchvision
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix
from torch import Tensor

from labcheck.data import ROOT, DataError, image_sets, layout
from labcheck.data.examples import generators
from labcheck.data.images import EVAL_BATCH, ImageSet, Selection
from labcheck.labs.images import confusion
from labcheck.labs.mnist import Mnist  # noqa: F401 - pytester forgets whatever its runs are the first to import
from tests.helpers.project import Project, count_lines

from .test_plugin import in_one_line

SIZES = st.integers(0, 12)
SEEDS = st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True)


def image_set(n: int = 30, tests: int = 0, height: int = 2, width: int = 3, channels: int = 2) -> ImageSet:
    pixels = torch.randint(256, (n, height, width, channels), generator=torch.Generator().manual_seed(n))
    return ImageSet("toys", pixels.byte(), torch.arange(n) % 10, tests)


# sets and their splits


@given(SIZES, SIZES, SEEDS)
def test_parts_without_a_test_set_share_no_image(train: int, test: int, seeds: list[int]) -> None:
    split = image_set().split({"train": train, "test": test}, generators(seeds, "data"))
    assert [(part, rows.shape) for part, rows in split.items()] == [
        ("train", (len(seeds), train)),
        ("test", (len(seeds), test)),
    ]
    for rows in torch.cat([split["train"], split["test"]], 1).tolist():
        assert len(set(rows) & set(range(30))) == train + test


@given(SIZES, SIZES, SEEDS)
def test_a_test_set_is_what_is_tested_on_and_nothing_else(train: int, test: int, seeds: list[int]) -> None:
    toys = image_set(tests=12)
    assert toys.known == 18
    sizes = {"train": train, "val": 18 - train, "test": test}
    split = toys.split(sizes, generators(seeds, "data"))
    for rows in torch.cat([split["train"], split["val"]], 1).tolist():
        assert sorted(rows) == list(range(18))
    for rows in split["test"].tolist():
        assert len(set(rows) & set(range(18, 30))) == test


@given(st.sampled_from([0, 12]), SEEDS)
def test_a_seed_has_the_same_images_whichever_seeds_stand_beside_it(tests: int, seeds: list[int]) -> None:
    toys, sizes = image_set(tests=tests), {"train": 7, "val": 5, "test": 6}
    together = toys.split(sizes, generators(seeds, "data"))
    for k, seed in enumerate(seeds):
        alone = toys.split(sizes, generators([seed], "data"))
        assert all(torch.equal(alone[part][0], rows[k]) for part, rows in together.items())


def test_seeds_have_images_of_their_own() -> None:
    rows = image_set(tests=12).split({"train": 9, "test": 9}, generators(range(5), "data"))
    assert len(set(map(tuple, rows["train"].tolist()))) == len(set(map(tuple, rows["test"].tolist()))) == 5


def test_with_fewer_images_to_train_on_the_tests_stay_the_same() -> None:
    toys = image_set(tests=12)
    less, more = (toys.split({"train": n, "test": 6}, generators([1, 2], "data")) for n in (5, 9))
    assert torch.equal(less["test"], more["test"])
    assert torch.equal(less["train"], more["train"][:, :5])


@pytest.mark.parametrize(
    ("tests", "sizes", "refused"),
    [
        (0, {"train": 31}, "31 images left for the part train"),
        (0, {"train": 25, "val": 6}, "6 images left for the part val"),
        (0, {"train": 25, "test": 6}, "6 images left for the part test"),
        (12, {"train": 19, "test": 1}, "19 images left for the part train"),
        (12, {"train": 1, "test": 13}, "13 images left for the part test"),
    ],
)
def test_more_images_than_there_are_cannot_be_had(tests: int, sizes: dict[str, int], refused: str) -> None:
    with pytest.raises(DataError, match=rf"^toys has no {refused}: ask for fewer$"):
        image_set(tests=tests).split(sizes, generators([0], "data"))


def test_parts_are_of_the_images_that_were_drawn() -> None:
    toys, sizes = image_set(tests=12), {"train": 7, "test": 6}
    parts = toys.splits(sizes, generators([3, 4], "data"), torch.float64)
    rows = toys.split(sizes, generators([3, 4], "data"))
    assert list(parts) == ["train", "test"]
    for name, part in parts.items():
        assert torch.equal(part.rows, rows[name])
        [piece] = part.chunks()
        assert piece.x.dtype == torch.float64
        assert torch.equal((piece.x * 255).round().byte().movedim(2, -1), toys.images[rows[name]])


@given(st.integers(1, 30))
def test_the_last_images_are_a_set_with_the_same_tests(n: int) -> None:
    toys = image_set(tests=12)
    last = toys.last(n)
    assert (last.name, last.tests) == ("toys", 12)
    assert torch.equal(last.images, toys.images[30 - n :])
    assert torch.equal(last.labels, toys.labels[30 - n :])


def test_a_digest_tells_sets_apart_by_pixels_and_labels_alone() -> None:
    toys = image_set()
    brighter, mislabelled = toys.images.clone(), toys.labels.clone()
    brighter[29, 1, 2, 1] ^= 1
    mislabelled[29] = 0
    others = [replace(toys, images=brighter), replace(toys, labels=mislabelled), toys.last(29), image_set(29)]
    assert len({toys.digest, *(other.digest for other in others)}) == 5
    strided = toys.images.movedim(-1, 1).contiguous().movedim(1, -1)
    assert replace(toys, name="tools", images=strided).digest == toys.digest


@given(st.integers(1, 30), st.integers(0, 29), st.integers(1, 3))
def test_moments_are_those_of_the_pixels_that_are_not_tested_on(n: int, tests: int, channels: int) -> None:
    toys = image_set(n, min(tests, n - 1), channels=channels)
    pixels = toys.images[: toys.known].double().flatten(0, 2) / 255
    mean, deviation = toys.moments
    torch.testing.assert_close(mean, pixels.mean(0))
    torch.testing.assert_close(deviation, pixels.std(0, correction=0))


def test_images_of_one_colour_deviate_by_nothing() -> None:
    grey = replace(image_set(), images=torch.full((30, 2, 3, 2), 77, dtype=torch.uint8))
    assert [moment.tolist() for moment in grey.moments] == [[77 / 255] * 2, [0, 0]]


# parts


def selection(rows: Tensor, dtype: torch.dtype = torch.float32, flat: bool = False) -> Selection:
    toys = image_set()
    return Selection(toys.images, toys.labels, rows, dtype, flat)


ROWS = torch.tensor([[3, 1, 4, 15], [9, 2, 6, 5]])


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=1, max_size=6))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_is_each_models_own_images_with_channels_first(dtype: torch.dtype, index: list[list[int]]) -> None:
    toys, part = image_set(), selection(ROWS, dtype)
    batch = part.batch(torch.tensor(index).T)
    assert batch.x.dtype == dtype
    assert batch.x.shape == (2, len(index), 2, 2, 3)
    assert batch.y.shape == (2, len(index), 1)
    for k in range(2):
        for b, place in enumerate(at[k] for at in index):
            row = int(ROWS[k, place])
            assert torch.equal(batch.x[k, b], toys.images[row].permute(2, 0, 1).to(dtype) / 255)
            assert batch.y[k, b].tolist() == [row % 10]


def test_channels_are_last_in_memory() -> None:
    x = selection(ROWS).batch(torch.tensor([[0, 1, 2], [3, 2, 1]])).x
    assert x.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert not x.is_contiguous()


def test_flat_examples_are_rows_of_pixels() -> None:
    index = torch.tensor([[0, 1, 2], [3, 2, 1]])
    image, flat = (selection(ROWS, flat=flat).batch(index) for flat in (False, True))
    assert flat.x.shape == (2, 3, 12)
    assert torch.equal(flat.x, image.x.movedim(2, -1).flatten(2))
    assert torch.equal(flat.y, image.y)


def test_pixels_are_from_0_to_1() -> None:
    shades = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    x = Selection(shades, torch.zeros(1, dtype=torch.int64), torch.zeros(1, 1, dtype=torch.int64), torch.float64)
    assert torch.equal(next(x.chunks()).x.flatten(), torch.arange(256) / torch.tensor(255, dtype=torch.float64))


@pytest.mark.parametrize("n", [1, EVAL_BATCH, EVAL_BATCH + 1, 2 * EVAL_BATCH + 7])
def test_pieces_are_all_examples_in_their_order(n: int) -> None:
    part = selection(torch.stack([torch.arange(n) % 30, torch.arange(n).flip(0) % 30]))
    assert len(part) == n
    pieces = list(part.chunks())
    whole = part.batch(torch.arange(n).repeat(2, 1))
    assert max(map(len, pieces)) <= EVAL_BATCH
    assert torch.equal(torch.cat([piece.x for piece in pieces], 1), whole.x)
    assert torch.equal(torch.cat([piece.y for piece in pieces], 1), whole.y)
    assert torch.equal(whole.y, part.y)


@pytest.mark.parametrize("kept", [[], [1], [1, 0], [0, 0, 1]])
@pytest.mark.parametrize("flat", [False, True])
def test_the_parts_of_some_models_can_be_kept(kept: list[int], flat: bool) -> None:
    part = selection(ROWS, torch.float64, flat).select(torch.tensor(kept, dtype=torch.int64))
    whole = next(selection(ROWS, torch.float64, flat).chunks())
    [piece] = part.chunks()
    assert len(part) == 4
    assert piece.x.dtype == torch.float64
    assert torch.equal(piece.x, whole.x[kept])
    assert torch.equal(piece.y, whole.y[kept])


@pytest.mark.parametrize("flat", [False, True])
def test_on_a_device_a_part_is_the_same(flat: bool) -> None:
    part = selection(ROWS, torch.float64, flat)
    moved = part.to("meta")
    assert {tensor.device.type for tensor in (moved.images, moved.labels, moved.rows, moved.y)} == {"meta"}
    assert (moved.dtype, moved.flat, len(moved)) == (torch.float64, flat, 4)
    assert torch.equal(next(part.to("cpu").chunks()).x, next(part.chunks()).x)


# what needs no network

EMBEDDED = {
    "mnist": ("mnist-5000", (5000, 28, 28, 1), 0, "e80dbab78a13eda9"),
    "fashion": ("stand-in-digits", (5000, 28, 28, 1), 1000, "dbc534cfcbf57d3d"),
    "cifar": ("stand-in-digits-on-photos", (896, 32, 32, 3), 256, "ca00082e18fdc449"),
}


@pytest.mark.parametrize("lab", EMBEDDED)
def test_embedded_images_are_what_they_were(lab: str) -> None:
    found = image_sets.load(lab, "embedded")
    assert (found.name, found.images.shape, found.tests, found.digest) == EMBEDDED[lab]
    assert (found.images.dtype, found.labels.dtype) == (torch.uint8, torch.int64)
    assert set(found.labels.tolist()) == set(range(10))
    assert image_sets.load(lab, "embedded") is found


def test_the_name_of_a_stand_in_says_so() -> None:
    assert all(("stand-in" in image_sets.load(lab, "embedded").name) == (lab != "mnist") for lab in EMBEDDED)


def test_each_stand_in_is_tested_on_other_digits_of_every_class() -> None:
    for lab in ("fashion", "cifar"):
        found = image_sets.load(lab, "embedded")
        assert found.labels[found.known :].bincount(minlength=10).min() > found.tests / 20
        assert len(found.images.flatten(1).unique(dim=0)) == len(found.images)


ALONE = """
import random, socket, numpy, torch
def refuse(*args, **options):
    raise AssertionError("no network")
socket.socket.connect = socket.getaddrinfo = refuse
random.seed(5), numpy.random.seed(5), torch.manual_seed(5)
from labcheck.data import image_sets
before = torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(), random.getstate()
print(*(image_sets.load(lab, "embedded").digest for lab in ("cifar", "mnist", "fashion")))
print(before == (torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(), random.getstate()))
"""


def test_embedded_images_depend_on_no_network_order_or_seed_and_change_no_seed(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name != ROOT}
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, env=clean, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == [*(EMBEDDED[lab][-1] for lab in ("cifar", "mnist", "fashion")), "True"]


# the real files


@pytest.fixture(autouse=True)
def _nothing_to_download_or_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("urllib.request.urlopen", raising(URLError("no route to host")))
    yield
    image_sets._real.cache_clear()


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    return fail


def real(lab: str, root: Path) -> ImageSet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ROOT, str(root))
        return image_sets.load(lab, "real")


def refusal(lab: str, root: Path) -> str:
    """What is said of files that are not as they should be: one line that names the set, the folder and a way out."""
    with pytest.raises(DataError) as refused:
        real(lab, root)
    told = str(refused.value)
    assert len(told.splitlines()) == 1
    assert {"mnist": " MNIST ", "fashion": " FashionMNIST ", "cifar": " CIFAR10 "}[lab] in f" {told}"
    assert str(root) in told
    assert re.search("--claims-data-root|remove", told)
    return told


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as large as MNIST's: an image's pixel (0, 1) is its number modulo 251, and its label that modulo 10."""
    raw = tmp_path_factory.mktemp("digits") / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, n in (("train", 60_000), ("t10k", 10_000)):
        pixels = np.zeros((n, 28, 28), np.uint8)
        pixels[:, 0, 1] = np.arange(n) % 251
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(pixels))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx((np.arange(n) % 10).astype(np.uint8)))
    return raw.parents[1]


def lend(digits: Path, root: Path, title: str = "MNIST") -> Path:
    """Links to the files of the digits, which a test can replace."""
    raw = root / title / "raw"
    raw.mkdir(parents=True)
    for file in (digits / "MNIST" / "raw").iterdir():
        (raw / file.name).symlink_to(file)
    return raw


@pytest.mark.parametrize(
    ("lab", "title", "name"), [("mnist", "MNIST", "mnist"), ("fashion", "FashionMNIST", "fashion-mnist")]
)
def test_torchvisions_files_are_read_whole_and_once(
    digits: Path, tmp_path: Path, lab: str, title: str, name: str
) -> None:
    lend(digits, tmp_path, title)
    found = real(lab, tmp_path)
    number = torch.cat([torch.arange(60_000), torch.arange(10_000)])
    assert (found.name, found.tests, found.known) == (name, 10_000, 60_000)
    assert found.images.shape == (70_000, 28, 28, 1)
    assert (found.images.dtype, found.labels.dtype) == (torch.uint8, torch.int64)
    assert torch.equal(found.images[:, 0, 1, 0], (number % 251).byte())
    assert found.images.count_nonzero() == (number % 251).count_nonzero()
    assert torch.equal(found.labels, number % 10)
    assert real(lab, tmp_path) is found


def test_each_set_has_files_of_its_own(digits: Path) -> None:
    assert "no route to host" in refusal("fashion", digits)


def with_label(place: int, label: int) -> Callable[[bytes], bytes]:
    return lambda content: content[: place + 8] + bytes([label]) + content[place + 9 :]


TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
TRAIN_LABELS, TEST_LABELS = "train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"
BROKEN: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "truncated images": (TRAIN, lambda content: content[:-1], ""),
    "truncated images to test on": (TEST, lambda content: content[:5_000_000], ""),
    "truncated labels": (TRAIN_LABELS, lambda content: content[:-1], ""),
    "more images than told": (TEST, lambda content: content + bytes(784), ""),
    "only a header": (TEST, lambda content: content[:16], ""),
    "half a header": (TEST, lambda content: content[:6], ""),
    "empty": (TEST_LABELS, lambda content: b"", ""),
    "garbage": (TRAIN, lambda content: b"garbage" * 1000, ""),
    "a web page": (TRAIN_LABELS, lambda content: b"<!DOCTYPE html><html>404</html>", ""),
    "an unknown type": (TEST, lambda content: idx(np.zeros((10_000, 28, 28), np.uint8), 10), ""),
    "signed pixels": (TEST, lambda content: idx(np.zeros((10_000, 28, 28), np.uint8), 9), ""),
    "labels for images": (TEST, lambda content: idx(np.zeros(10_000, np.uint8)), ""),
    "too few images": (TEST, lambda content: idx(np.zeros((9_999, 28, 28), np.uint8)), "part test: 10000 images"),
    "images of another shape": (TEST, lambda content: idx(np.zeros((10_000, 14, 56), np.uint8)), "part test: 10000 im"),
    "images cut in half": (TEST, lambda content: idx(np.zeros((20_000, 14, 28), np.uint8)), "part test: 10000 images"),
    "smaller images": (TEST, lambda content: idx(np.zeros((10_000, 27, 27), np.uint8)), "part test: 10000 images"),
    "too few labels": (TRAIN_LABELS, lambda content: idx(np.zeros(59_999, np.uint8)), "part train: 60000 labels"),
    "too many labels": (TEST_LABELS, lambda content: idx(np.zeros(10_001, np.uint8)), "part test: 10000 labels"),
    "label 10": (TEST_LABELS, with_label(9_999, 10), "part test: labels 0 to 9 expected, found 11 .* from 0 to 10;"),
    "only sevens": (TRAIN_LABELS, lambda content: idx(np.full(60_000, 7, np.uint8)), "found 1 .* from 7 to 7;"),
}


@pytest.mark.parametrize(("file", "broken", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_to_be_removed(
    digits: Path, tmp_path: Path, file: str, broken: Callable[[bytes], bytes], told: str
) -> None:
    place = lend(digits, tmp_path) / file
    content = place.read_bytes()
    place.unlink()
    place.write_bytes(broken(content))
    assert re.search(f"{told}.*remove", refusal("mnist", tmp_path))


def test_a_folder_can_be_mended(digits: Path, tmp_path: Path) -> None:
    place = lend(digits, tmp_path) / TEST
    place.rename(tmp_path / "elsewhere")
    refusal("mnist", tmp_path)
    (tmp_path / "elsewhere").rename(place)
    assert real("mnist", tmp_path).name == "mnist"


def test_a_folder_is_no_file(digits: Path, tmp_path: Path) -> None:
    place = lend(digits, tmp_path) / TEST
    place.unlink()
    place.mkdir()
    refusal("mnist", tmp_path)


@pytest.mark.parametrize("lab", ["mnist", "fashion", "cifar"])
@pytest.mark.parametrize(
    "error",
    [
        URLError("no route to host"),
        RuntimeError("File not found or corrupted."),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_files_that_cannot_be_downloaded_are_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab: str, error: Exception
) -> None:
    module = "cifar" if lab == "cifar" else "mnist"
    monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", raising(error))
    told = refusal(lab, tmp_path)
    assert "--claims-data-root" in told
    assert (str(error) or "TimeoutError") in told


def test_missing_files_are_downloaded_once(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def fetch(url: str, download_root: str, filename: str, md5: str) -> None:
        fetched.append(filename)
        name = filename.removesuffix(".gz")
        Path(download_root, name).symlink_to(digits / "MNIST" / "raw" / name)

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", fetch)
    found = real("mnist", tmp_path)
    assert found.digest == real("mnist", digits).digest
    image_sets._real.cache_clear()
    assert real("mnist", tmp_path).digest == found.digest
    assert sorted(fetched) == sorted(f"{name}.gz" for name in (TRAIN, TRAIN_LABELS, TEST, TEST_LABELS))


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which files and folders cannot be made, in the ways that torchvision and filelock make them."""

    def refuse(make: Callable[..., Any], refused: Callable[..., bool]) -> Callable[..., Any]:
        def guarded(path: Any, *args: Any, **options: Any) -> Any:
            if refused(*args) and str(path).startswith(str(tmp_path)) and not os.path.isdir(path):
                raise PermissionError(13, "Permission denied", str(path))
            return make(path, *args, **options)

        return guarded

    def writes(flags: int, *args: Any) -> bool:
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    monkeypatch.setattr(os, "open", refuse(os.open, writes))
    monkeypatch.setattr(os, "makedirs", refuse(os.makedirs, lambda *args: True))
    return tmp_path


def test_files_are_read_where_nothing_can_be_written(
    digits: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lend(digits, tmp_path)
    assert real("mnist", request.getfixturevalue("read_only")).name == "mnist"


@pytest.mark.parametrize("lab", ["mnist", "cifar"])
def test_where_nothing_can_be_written_nothing_is_downloaded(read_only: Path, lab: str) -> None:
    assert "Permission denied" in refusal(lab, read_only)


def test_a_broken_file_is_told_where_nothing_can_be_written(
    digits: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = lend(digits, tmp_path) / TEST
    content = place.read_bytes()
    place.unlink()
    place.write_bytes(content[:-1])
    assert refusal("mnist", tmp_path) == refusal("mnist", request.getfixturevalue("read_only"))


# files that are elsewhere, and what a download leaves behind

IDX = (TRAIN, TRAIN_LABELS, TEST, TEST_LABELS)
BATCHES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
ELSEWHERE: dict[str, tuple[str, str, tuple[str, ...], str, str]] = {
    # the lab, the root, the files below "data", where they are found and what is to be done
    "flat": ("mnist", "data", IDX, "", "or name another folder"),
    "flat and packed": ("mnist", "data", tuple(f"{name}.gz" for name in IDX), "", "unpack the .gz files"),
    "without raw": ("mnist", "data", tuple(f"MNIST/{name}" for name in IDX), "MNIST", "or name another folder"),
    "too deep": ("mnist", "data", tuple(f"x/MNIST/raw/{name}" for name in IDX), "x/MNIST/raw", "name DATA/x "),
    "twice": ("mnist", "data", tuple(f"MNIST/MNIST/raw/{name}" for name in IDX), "MNIST/MNIST/raw", "name DATA/MNIST "),
    "MNIST as root": ("mnist", "data/MNIST", tuple(f"MNIST/raw/{name}" for name in IDX), "MNIST/raw", "name DATA "),
    "raw as root": ("mnist", "data/MNIST/raw", tuple(f"MNIST/raw/{name}" for name in IDX), "MNIST/raw", "name DATA "),
    "another set's folder as root": (
        "fashion", "data/MNIST", tuple(f"FashionMNIST/raw/{name}" for name in IDX), "FashionMNIST/raw", "name DATA "
    ),
    "fashion flat": ("fashion", "data", IDX, "", "or name another folder"),
    "batches as root": (
        "cifar",
        "data/cifar-10-batches-py",
        tuple(f"cifar-10-batches-py/{name}" for name in (*BATCHES, "batches.meta")),
        "cifar-10-batches-py",
        "name DATA ",
    ),
    "batches flat": ("cifar", "data", (*BATCHES, "batches.meta"), "", "move them to DATA/cifar-10-batches-py"),
    "an archive": ("cifar", "data", ("x/cifar-10-python.tar.gz",), "x", "name DATA/x .*, or move it to DATA$"),
    "an npz": ("cifar", "data", ("x/y/cifar10.npz",), "x/y", "name DATA/x/y .*, or move it to DATA$"),
    "an npz in a set's folder": ("cifar", "data/MNIST", ("cifar10.npz", "MNIST/raw/x"), "", "name DATA "),
}  # fmt: skip
REQUIRED = {
    "mnist": f"MNIST/raw/{TRAIN}, {TRAIN_LABELS}, {TEST}, {TEST_LABELS};",
    "fashion": f"FashionMNIST/raw/{TRAIN}, {TRAIN_LABELS}, {TEST}, {TEST_LABELS};",
    "cifar": "cifar-10-batches-py/data_batch_1, .*, batches.meta, or cifar-10-python.tar.gz, or cifar10.npz;",
}


def put(data: Path, files: Iterable[str], content: bytes = b"") -> None:
    for file in files:
        (data / file).parent.mkdir(parents=True, exist_ok=True)
        (data / file).write_bytes(content)


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torchvision tries to download, in vain."""
    asked: list[str] = []

    def refuse(url: str, *args: Any, **options: Any) -> None:
        asked.append(url)
        raise URLError("no route to host")

    for module in ("mnist", "cifar"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", refuse)
    return asked


@pytest.mark.parametrize(("lab", "root", "files", "folder", "remedy"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_misplaced_files_are_named_and_nothing_is_downloaded(
    tmp_path: Path, downloads: list[str], lab: str, root: str, files: tuple[str, ...], folder: str, remedy: str
) -> None:
    data = tmp_path / "data"
    put(data, files)
    before = sorted(tmp_path.rglob("*"))
    told = refusal(lab, tmp_path / root)
    assert not downloads
    assert re.search(f"required {REQUIRED[lab]} found [^;]* in {data / folder}[,;]", told)
    assert re.search(remedy.replace("DATA", str(data)), told)
    assert "is missing" not in told
    assert sorted(tmp_path.rglob("*")) == before


def test_misplaced_files_are_named_where_nothing_can_be_written(read_only: Path) -> None:
    put(read_only / "x", ["cifar10.npz"])
    assert f"name {read_only / 'x'} with --claims-data-root or {ROOT}" in refusal("cifar", read_only)


def test_a_relative_root_is_searched_too(tmp_path: Path, downloads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "MNIST" / "raw", IDX)
    monkeypatch.chdir(tmp_path / "MNIST")
    assert f"; name {tmp_path} with" in refusal("mnist", Path())
    assert not downloads


@pytest.mark.parametrize("missing", IDX)
def test_a_misplaced_file_that_is_missing_is_named(tmp_path: Path, downloads: list[str], missing: str) -> None:
    put(tmp_path / "MNIST", [name for name in IDX if name != missing])
    told = refusal("mnist", tmp_path)
    assert f"in {tmp_path / 'MNIST'}, where {missing} is missing; move them" in told
    assert not downloads


@pytest.mark.parametrize(
    ("lab", "folder", "names"),
    [("mnist", "MNIST/raw", IDX), ("cifar", "cifar-10-batches-py", (*BATCHES, "batches.meta"))],
    ids=["mnist", "cifar"],
)
def test_missing_files_are_named_after_a_failed_download(
    tmp_path: Path, downloads: list[str], lab: str, folder: str, names: tuple[str, ...]
) -> None:
    put(tmp_path / folder, names[:-2])  # as a download leaves them that was interrupted
    told = refusal(lab, tmp_path)
    assert downloads
    assert f"of the files in {tmp_path / folder}, {names[-2]}, {names[-1]} are missing" in told
    assert len(list(tmp_path.rglob("*_*")) + list(tmp_path.rglob("*-ubyte"))) == len(names) - 2


def test_packed_files_in_their_place_are_torchvisions_to_unpack(tmp_path: Path, downloads: list[str]) -> None:
    put(tmp_path / "MNIST" / "raw", [f"{name}.gz" for name in IDX])
    assert f"{TEST_LABELS}.gz could not be unpacked" in refusal("mnist", tmp_path)
    assert downloads


@pytest.mark.parametrize("folder", ["MNIST/raw", "KMNIST/raw", "x/mnist"])
def test_files_of_a_set_with_the_same_names_stop_no_download(tmp_path: Path, downloads: list[str], folder: str) -> None:
    put(tmp_path / folder, IDX)
    told = refusal("fashion", tmp_path)
    assert downloads
    assert "no route to host" in told
    assert f"files of these names are in {tmp_path / folder}; if they are FashionMNIST's, move them to" in told


@pytest.mark.parametrize("packed", [False, True])
def test_labels_that_are_known_decide_whose_files_they_are(
    tmp_path: Path, downloads: list[str], monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    digest = hashlib.sha256(b"clothes").hexdigest()[:16]
    monkeypatch.setitem(layout.LABELS, digest, "FashionMNIST")
    end, content = (".gz", gzip.compress(b"clothes")) if packed else ("", b"clothes")
    put(tmp_path / "MNIST" / "raw", [f"{name}{end}" for name in IDX], content)
    told = refusal("fashion", tmp_path)
    assert f"found files with FashionMNIST's labels in {tmp_path / 'MNIST' / 'raw'}; move them to" in told
    assert not downloads
    put(tmp_path / "flat", [f"{name}{end}" for name in IDX], content)
    assert "no route to host" in refusal("mnist", tmp_path / "flat")


@pytest.mark.parametrize(
    ("lab", "title", "other"), [("mnist", "MNIST", "FashionMNIST"), ("fashion", "FashionMNIST", "MNIST")]
)
def test_real_files_under_another_sets_folder_are_recognized(
    tmp_path: Path, downloads: list[str], lab: str, title: str, other: str
) -> None:
    root = os.environ.get(ROOT)
    if not root or not Path(root, title, "raw").exists():
        pytest.skip(f"no {title}/raw in the folder that {ROOT} names")
    (tmp_path / other).mkdir()
    (tmp_path / other / "raw").symlink_to(Path(root, title, "raw").absolute())
    assert f"found files with {title}'s labels in {tmp_path / other / 'raw'};" in refusal(lab, tmp_path)
    assert not downloads


def test_the_search_is_shallow_short_and_leaves_circles(tmp_path: Path, downloads: list[str]) -> None:
    put(tmp_path / "a" / "b" / "c" / "d", IDX)
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    put(tmp_path / "many", map(str, range(layout.ENTRIES_PER_FOLDER + 1)))
    walked = [folder for folder, _ in layout._walk(tmp_path)]
    assert walked == [tmp_path, *(tmp_path / place for place in ("a", "many", "a/b", "a/b/c"))]
    assert sum(len(names) for _, names in layout._walk(tmp_path)) == layout.ENTRIES_PER_FOLDER
    assert "no route to host" in refusal("mnist", tmp_path)


def test_the_search_ends_after_some_thousand_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, (f"{n}/{m}/file" for n in range(5) for m in range(5)))
    monkeypatch.setattr(layout, "ENTRIES", 12)
    assert len(list(layout._walk(tmp_path))) < 10


@pytest.mark.parametrize("lab", ["mnist", "fashion", "cifar"])
@pytest.mark.parametrize("root", ["", "new", "new/er"])
def test_a_failed_download_leaves_nothing_behind(tmp_path: Path, lab: str, root: str) -> None:
    refusal(lab, tmp_path / root)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_what_existed_before(tmp_path: Path) -> None:
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "other").mkdir()
    refusal("mnist", tmp_path)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "MNIST", tmp_path / "other"]


def test_a_failed_download_leaves_what_it_has_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str, download_root: str, filename: str, md5: str) -> None:
        if filename.startswith("t10k"):
            raise URLError("no route to host")
        Path(download_root, filename).write_bytes(b"packed")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", fetch)
    told = refusal("mnist", tmp_path)
    assert f"{TEST}, {TEST_LABELS} are missing" in told
    raw = tmp_path / "MNIST" / "raw"
    assert sorted(raw.iterdir()) == [raw / f"{TRAIN}.gz", raw / f"{TRAIN_LABELS}.gz"]
    assert list(tmp_path.iterdir()) == [tmp_path / "MNIST"]


def test_an_interrupted_download_leaves_no_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        real("mnist", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("root", [None, ""])
def test_real_images_need_a_folder(monkeypatch: pytest.MonkeyPatch, root: str | None) -> None:
    monkeypatch.delenv(ROOT, raising=False)
    if root is not None:
        monkeypatch.setenv(ROOT, root)
    with pytest.raises(DataError, match=rf"^real data needs a folder: --claims-data-root DIR, or {ROOT} in the env"):
        image_sets.load("mnist", "real")


# CIFAR-10, as arrays and as pickles


class Mark:
    """Whoever unpickles it makes a folder."""

    def __init__(self, place: Path):
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cifar10.npz of images to train on: green of pixel (1, 2) is an image's number modulo 251."""
    pixels = np.zeros((50_000, 32, 32, 3), np.uint8)
    pixels[:, 1, 2, 1] = np.arange(50_000) % 251
    file = tmp_path_factory.mktemp("objects") / "cifar10.npz"
    np.savez_compressed(file, x_train=pixels, y_train=(np.arange(50_000) % 10).astype(np.uint8)[:, None])  # as Keras
    return file


LABELS = (np.arange(10_000) % 10).astype(np.uint8)
PIXELS = np.zeros((10_000, 32, 32, 3), np.uint8)


def supply(objects: Path, root: Path, x_test: np.ndarray = PIXELS, y_test: np.ndarray = LABELS) -> Path:
    """The same file with images to test on, too."""
    file = root / "cifar10.npz"
    file.write_bytes(objects.read_bytes())
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (("x_test", x_test), ("y_test", y_test)):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)
    return file


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype(np.int64)], ids=["flat", "column", "int64"])
def test_cifar10_may_be_an_npz(objects: Path, tmp_path: Path, labels: np.ndarray) -> None:
    supply(objects, tmp_path, y_test=labels)
    found = real("cifar", tmp_path)
    number = torch.arange(50_000)
    assert (found.name, found.tests, found.images.shape) == ("cifar10-npz", 10_000, (60_000, 32, 32, 3))
    assert torch.equal(found.images[:50_000, 1, 2, 1], (number % 251).byte())
    assert found.images.count_nonzero() == (number % 251).count_nonzero()
    assert torch.equal(found.labels, torch.arange(60_000) % 10)


def test_images_that_are_known_to_have_been_jpegs_are_called_so(
    objects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supply(objects, tmp_path)
    monkeypatch.setattr(image_sets, "JPEG", real("cifar", tmp_path).digest)
    image_sets._real.cache_clear()
    assert real("cifar", tmp_path).name == "cifar10-jpeg"


WRONG: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "channels first": ({"x_test": np.zeros((10_000, 3, 32, 32), np.uint8)}, r"images of .* found \(10000, 3, 32, 32\)"),
    "flat": ({"x_test": np.zeros((10_000, 3072), np.uint8)}, r"images of .* found \(10000, 3072\)"),
    "too few": ({"x_test": PIXELS[:-1]}, r"images of .* found \(9999, 32, 32, 3\)"),
    "from 0 to 1": ({"x_test": PIXELS.astype(np.float16)}, r"images of .* of .*float16"),
    "signed": ({"x_test": PIXELS.view(np.int8)}, r"images of .* of .*int8"),
    "truth": ({"x_test": PIXELS.view(bool)}, r"images of .* of .*bool"),
    "words for pixels": ({"x_test": np.array(["cat"])}, "images"),
    "too few labels": ({"y_test": LABELS[:-1]}, r"10000 labels .* found \(9999,\)"),
    "one-hot": ({"y_test": np.eye(10, dtype=np.uint8)[LABELS]}, r"10000 labels .* found \(10000, 10\)"),
    "float labels": ({"y_test": LABELS.astype(np.float32)}, r"10000 labels .* of .*float32"),
    "words for labels": ({"y_test": LABELS.astype(str)}, "labels"),
    "complex labels": ({"y_test": LABELS.astype(np.complex64)}, "labels"),
    "from 1": ({"y_test": LABELS + 1}, "labels 0 to 9 expected, found 10 different ones from 1 to 10"),
    "from -1": ({"y_test": LABELS.astype(np.int8) - 1}, "labels 0 to 9 expected, found 10 different ones from -1 to 8"),
}


@pytest.mark.parametrize(("arrays", "told"), WRONG.values(), ids=WRONG)
def test_arrays_that_are_not_cifar10_are_refused(
    objects: Path, tmp_path: Path, arrays: dict[str, np.ndarray], told: str
) -> None:
    supply(objects, tmp_path, **arrays)
    assert re.search(f"part test: .*{told}.*remove", refusal("cifar", tmp_path))


UNREADABLE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "without its last byte": lambda content: content[:-1],
    "changed": lambda content: content[:5000] + bytes(100) + content[5100:],
    "empty": lambda content: b"",
    "garbage": lambda content: b"garbage" * 1000,
}


@pytest.mark.parametrize("broken", UNREADABLE.values(), ids=UNREADABLE)
def test_an_npz_that_cannot_be_read_is_to_be_removed(
    objects: Path, tmp_path: Path, broken: Callable[[bytes], bytes]
) -> None:
    file = supply(objects, tmp_path)
    file.write_bytes(broken(file.read_bytes()))
    assert re.search(r"cifar10\.npz.*remove|remove.*cifar10\.npz", refusal("cifar", tmp_path))
    gc.collect()  # warns of a file that was left open


@pytest.mark.parametrize("missing", ["x_train", "y_train", "x_test", "y_test"])
def test_an_array_that_an_npz_lacks_is_named(tmp_path: Path, missing: str) -> None:
    names = {"x_train", "y_train", "x_test", "y_test"} - {missing}
    np.savez(tmp_path / "cifar10.npz", **dict.fromkeys(names, LABELS))
    told = refusal("cifar", tmp_path)
    assert missing in told
    assert "cifar10.npz" in told


def test_an_npy_is_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", LABELS)
    (tmp_path / "array.npy").rename(tmp_path / "cifar10.npz")
    assert "cifar10.npz" in refusal("cifar", tmp_path)


def test_an_npz_is_not_unpickled(tmp_path: Path) -> None:
    pickled = np.array([Mark(tmp_path / "mark")], dtype=object)
    np.savez(tmp_path / "cifar10.npz", x_train=pickled, y_train=pickled, x_test=pickled, y_test=pickled)
    refusal("cifar", tmp_path)
    assert not (tmp_path / "mark").exists()
    np.load(tmp_path / "cifar10.npz", allow_pickle=True)["x_train"]
    assert (tmp_path / "mark").exists()


def test_a_pickle_called_npz_is_not_unpickled(tmp_path: Path) -> None:
    (tmp_path / "cifar10.npz").write_bytes(pickle.dumps(Mark(tmp_path / "mark")))
    refusal("cifar", tmp_path)
    assert not (tmp_path / "mark").exists()
    np.load(tmp_path / "cifar10.npz", allow_pickle=True)
    assert (tmp_path / "mark").exists()


def test_pickles_of_cifar10_without_their_checksums_are_not_unpickled(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*BATCHES, "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(Mark(tmp_path / "mark")))
    assert "no route to host" in refusal("cifar", tmp_path)
    assert not (tmp_path / "mark").exists()
    pickle.loads((folder / "batches.meta").read_bytes())
    assert (tmp_path / "mark").exists()


class Old:
    """Whoever unpickles it is warned, as NumPy 2.4.0 to 2.4.4 do of CIFAR-10's own files."""

    def __reduce__(self) -> tuple[Any, ...]:
        return warnings.warn, (
            "align should be passed as Python or NumPy boolean",
            np.exceptions.VisibleDeprecationWarning,
        )


@pytest.mark.parametrize("extra", [{}, {"age": Old()}], ids=["today", "old"])
def test_pickles_of_cifar10_with_their_checksums_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rows = np.zeros((10_000, 3, 32, 32), np.uint8)
    rows[:, 1, 1, 2] = np.arange(10_000) % 251
    contents = {"labels": LABELS.tolist(), "data": rows.reshape(10_000, -1), **extra}
    sums = {}
    for name, content in (("batch", contents), ("batches.meta", {"label_names": []})):
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest()
    for name in BATCHES:
        (folder / name).symlink_to(folder / "batch")
    monkeypatch.setattr(torchvision.CIFAR10, "train_list", [(name, sums["batch"]) for name in BATCHES[:5]])
    monkeypatch.setattr(torchvision.CIFAR10, "test_list", [(BATCHES[5], sums["batch"])])
    monkeypatch.setitem(torchvision.CIFAR10.meta, "md5", sums["batches.meta"])
    found = real("cifar", tmp_path)
    number = torch.arange(60_000) % 10_000
    assert (found.name, found.tests, found.images.shape) == ("cifar10", 10_000, (60_000, 32, 32, 3))
    assert torch.equal(found.images[:, 1, 2, 1], (number % 251).byte())
    assert found.images.count_nonzero() == (number % 251).count_nonzero()
    assert torch.equal(found.labels, number % 10)


# the real images

KNOWN = {
    "mnist": (["mnist"], "MNIST/raw", 1e-4, [0.1307], [0.3081]),
    "fashion": (["fashion-mnist"], "FashionMNIST/raw", 1e-4, [0.2860], [0.3530]),
    "cifar": (["cifar10-jpeg", "cifar10-npz"], "cifar10.npz", 3e-3, [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
}


@pytest.mark.parametrize("lab", KNOWN)
def test_real_images_are_those_that_everybody_knows(lab: str) -> None:
    names, place, near, mean, deviation = KNOWN[lab]
    root = os.environ.get(ROOT)
    if not root or not Path(root, place).exists():
        pytest.skip(f"no {place} in the folder that {ROOT} names")
    found = image_sets.load(lab, "real")
    assert found.name in names
    assert found.labels[found.known :].bincount(minlength=10).min() > 800
    for moment, expected in zip(found.moments, (mean, deviation), strict=True):
        assert moment.tolist() == pytest.approx(expected, abs=near)


# the plugin

DIGITS = """
from labcheck.core.claims import Arm, Claim
from labcheck.labs.mnist import TEST_ACCURACY, Mnist
from labcheck.core.comparisons import reaches

SMALL = {
    "layers": 1, "channels": (2,), "hidden": 4, "epochs": 1, "batch": 10,
    "train_size": 20, "val_size": 10, "test_size": 100,
}
claim = Claim(
    id="mnist/small",
    statement="A small net learns little from few digits.",
    citation="a dream",
    lab=Mnist,
    arms={"small": Arm(SMALL)},
    relations=[reaches("small", 0.9, TEST_ACCURACY)],
    seeds={"quick": 2},
)
"""


@pytest.mark.parametrize(
    ("options", "told", "workers"),
    [
        ([], "--claims-data real needs --claims-data-root DIR, or LABCHECK_DATA", "0"),
        ([], "--claims-data real needs --claims-data-root DIR, or LABCHECK_DATA", "2"),
        (["--claims-data-root", "empty"], "no MNIST that can be read under {}/empty", "0"),
        (["--claims-data-root", "empty"], "no MNIST that can be read under {}/empty", "1"),
    ],
)
def test_without_real_images_nothing_is_trained(project: Project, options: list[str], told: str, workers: str) -> None:
    for variable in ("http_proxy", "https_proxy"):  # nobody listens there
        project.monkeypatch.setenv(variable, "http://127.0.0.1:9")
    project.monkeypatch.delenv("no_proxy", raising=False)
    (project.folder / "empty").mkdir()
    project.write("test_small.py", DIGITS)
    result = project.run("-n", workers, "--claims-data", "real", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert in_one_line(result, "ERROR: " + told.format(project.folder))
    assert count_lines(result, "it could not be downloaded, so put torchvision's files there") == bool(options)
    assert project.trained() == []


def test_results_of_other_images_are_another_baseline(project: Project, digits: Path) -> None:
    project.write("test_small.py", DIGITS)
    for options in ([], ["--claims-data", "real", "--claims-data-root", str(digits)]):
        project.recorded("test_small.py", *options)
    folder = project.folder / "baselines" / "mnist" / "small"
    assert sorted(file.name for file in folder.iterdir()) == ["quick-mnist-5000.json", "quick-mnist.json"]
    stored = json.loads((folder / "quick-mnist.json").read_text())
    assert stored["data"] == {"name": "mnist", "digest": real("mnist", digits).digest}


@pytest.mark.parametrize("before", [None, "elsewhere"])
@pytest.mark.parametrize("root", ["here", "nowhere"])
def test_a_run_leaves_the_environment_as_it_was(project: Project, before: str | None, root: str) -> None:
    (project.folder / "here").mkdir()
    if before is not None:
        project.monkeypatch.setenv(ROOT, before)
    project.change(f"open('seen', 'w').write(os.environ['{ROOT}'])")
    project.run("--claims-data-root", root)
    assert os.environ.get(ROOT) == before
    seen = project.folder / "seen"
    assert (seen.read_text() if seen.exists() else None) == (str(project.folder / "here") if root == "here" else None)


# what is measured


@given(st.data())
def test_confusion_is_scikit_learns(data: st.DataObject) -> None:
    models, classes, n = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 10)), data.draw(st.integers(1, 30))
    label = st.integers(0, classes - 1)
    table = st.lists(st.lists(label, min_size=n, max_size=n), min_size=models, max_size=models)
    true, taken = (torch.tensor(data.draw(table)) for _ in range(2))
    noise = torch.rand(models, n, classes, generator=torch.Generator().manual_seed(0))
    outputs = (noise + 2 * torch.nn.functional.one_hot(taken, classes)).mT
    expected = [confusion_matrix(*pair, labels=range(classes)) for pair in zip(true, taken, strict=True)]
    assert confusion(outputs, true.unsqueeze(1)).tolist() == np.array(expected).tolist()
