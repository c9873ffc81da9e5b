"""Image data sets: the embedded ones, real files that are sound or broken, and their use by the plugin."""

import gc
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision.datasets as torchvision

from labcheck import DataError
from labcheck.data import ROOT, image_sets
from labcheck.labs.mnist import Mnist  # noqa: F401 - pytester unloads modules that its runs import first
from tests.helpers.data import (
    BATCHES,
    IDX,
    SMALL_TEST,
    SMALL_TRAIN,
    TEST,
    TEST_LABELS,
    TRAIN,
    TRAIN_LABELS,
    idx,
    link_digits,
    load_real,
    raising,
    refusal,
    write_digits,
)
from tests.helpers.project import Project, count_lines, is_in_one_line

# embedded data sets

EMBEDDED = {
    "mnist": ("mnist-5000", (5000, 28, 28, 1), 0, "e80dbab78a13eda9"),
    "fashion": ("stand-in-digits", (5000, 28, 28, 1), 1000, "dbc534cfcbf57d3d"),
    "cifar": ("stand-in-digits-on-photos", (896, 32, 32, 3), 256, "ca00082e18fdc449"),
}
"""Name, shape, size of the test set, and digest."""


@pytest.mark.parametrize("dataset", EMBEDDED)
def test_embedded_images_are_unchanged(dataset: str):
    images = image_sets.load(dataset, "embedded")
    assert (images.name, images.images.shape, images.test_size, images.digest) == EMBEDDED[dataset]
    assert (images.images.dtype, images.labels.dtype) == (torch.uint8, torch.int64)
    assert set(images.labels.tolist()) == set(range(10))
    assert image_sets.load(dataset, "embedded") is images


@pytest.mark.parametrize("dataset", EMBEDDED)
def test_stand_ins_are_marked_and_named_so(dataset: str):
    images = image_sets.load(dataset, "embedded")
    assert images.stand_in is images.name.startswith("stand-in") is (dataset != "mnist")


@pytest.mark.parametrize("dataset", ["fashion", "cifar"])
def test_stand_in_has_test_set_of_other_digits_of_all_classes(dataset: str):
    images = image_sets.load(dataset, "embedded")
    assert images.labels[images.train_size :].bincount(minlength=10).min() > images.test_size / 20
    assert len(images.images.flatten(1).unique(dim=0)) == len(images.images)


ALONE = """
import random, socket, numpy, torch
def refuse(*args, **options):
    raise AssertionError("no network")
socket.socket.connect = socket.getaddrinfo = refuse
random.seed(5), numpy.random.seed(5), torch.manual_seed(5)
from labcheck.data import image_sets
before = torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(), random.getstate()
print(*(image_sets.load(dataset, "embedded").digest for dataset in ("cifar", "mnist", "fashion")))
print(before == (torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist(), random.getstate()))
"""


@pytest.mark.slow
def test_embedded_images_need_no_network_and_use_no_seed(tmp_path: Path):
    clean = {name: value for name, value in os.environ.items() if name != ROOT}
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, env=clean, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == [*(EMBEDDED[dataset][-1] for dataset in ("cifar", "mnist", "fashion")), "True"]


# files of MNIST and Fashion-MNIST


@pytest.fixture(scope="module")
def full_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of an MNIST of full size."""
    return write_digits(tmp_path_factory.mktemp("digits"), 60_000, 10_000)


@pytest.mark.parametrize(
    ("dataset", "title", "name"), [("mnist", "MNIST", "mnist"), ("fashion", "FashionMNIST", "fashion-mnist")]
)
def test_torchvision_files_are_read_completely_and_once(
    full_digits: Path, tmp_path: Path, dataset: str, title: str, name: str
):
    link_digits(full_digits, tmp_path, title)
    images = load_real(dataset, tmp_path)
    number = torch.cat([torch.arange(60_000), torch.arange(10_000)])
    assert (images.name, images.test_size, images.train_size) == (name, 10_000, 60_000)
    assert images.images.shape == (70_000, 28, 28, 1)
    assert (images.images.dtype, images.labels.dtype) == (torch.uint8, torch.int64)
    assert torch.equal(images.images[:, 0, 1, 0], (number % 251).byte())
    assert images.images.count_nonzero() == (number % 251).count_nonzero()
    assert torch.equal(images.labels, number % 10)
    assert load_real(dataset, tmp_path) is images


@pytest.mark.parametrize("dataset", ["mnist", "fashion"])
def test_set_of_other_size_is_refused(small_digits: Path, tmp_path: Path, dataset: str):
    title = image_sets.REAL[dataset].title
    link_digits(small_digits, tmp_path, title)
    message = refusal(dataset, tmp_path)
    assert "split train: images must be 60000 of (28, 28, 1) bytes, got an array of shape (500, 28, 28)" in message


@pytest.mark.usefixtures("small_sizes")
def test_each_data_set_has_its_own_files(small_digits: Path):
    assert "no route to host" in refusal("fashion", small_digits)


def with_label(place: int, label: int) -> Callable[[bytes], bytes]:
    return lambda content: content[: place + 8] + bytes([label]) + content[place + 9 :]


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


TEST_IMAGES_WRONG = f"split test: images must be {SMALL_TEST} of "
BROKEN: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "truncated images": (TRAIN, lambda content: content[:-1], ""),
    "truncated test images": (TEST, lambda content: content[:50_000], ""),
    "truncated labels": (TRAIN_LABELS, lambda content: content[:-1], ""),
    "one image too many": (TEST, lambda content: content + bytes(784), ""),
    "only a header": (TEST, lambda content: content[:16], ""),
    "half a header": (TEST, lambda content: content[:6], ""),
    "empty": (TEST_LABELS, lambda content: b"", ""),
    "garbage": (TRAIN, lambda content: b"garbage" * 1000, ""),
    "a web page": (TRAIN_LABELS, lambda content: b"<!DOCTYPE html><html>404</html>", ""),
    "an unknown type": (TEST, lambda content: idx(zeros(SMALL_TEST, 28, 28), 10), ""),
    "signed pixels": (TEST, lambda content: idx(zeros(SMALL_TEST, 28, 28), 9), ""),
    "labels for images": (TEST, lambda content: idx(zeros(SMALL_TEST)), ""),
    "too few images": (TEST, lambda content: idx(zeros(SMALL_TEST - 1, 28, 28)), TEST_IMAGES_WRONG),
    "images of another shape": (TEST, lambda content: idx(zeros(SMALL_TEST, 14, 56)), TEST_IMAGES_WRONG),
    "images cut in half": (TEST, lambda content: idx(zeros(2 * SMALL_TEST, 14, 28)), TEST_IMAGES_WRONG),
    "smaller images": (TEST, lambda content: idx(zeros(SMALL_TEST, 27, 27)), TEST_IMAGES_WRONG),
    "too few labels": (
        TRAIN_LABELS, lambda content: idx(zeros(SMALL_TRAIN - 1)), f"split train: labels must be {SMALL_TRAIN} "
    ),
    "too many labels": (
        TEST_LABELS, lambda content: idx(zeros(SMALL_TEST + 1)), f"split test: labels must be {SMALL_TEST} "
    ),
    "label 10": (
        TEST_LABELS, with_label(SMALL_TEST - 1, 10), "split test: labels must be 0 to 9, got 11 .* from 0 to 10;"
    ),
    "only sevens": (TRAIN_LABELS, lambda content: idx(zeros(SMALL_TRAIN) + 7), "got 1 .* from 7 to 7;"),
}  # fmt: skip


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize(("file", "broken", "problem"), BROKEN.values(), ids=BROKEN)
def test_broken_file_must_be_removed(
    small_digits: Path, tmp_path: Path, file: str, broken: Callable[[bytes], bytes], problem: str
):
    place = link_digits(small_digits, tmp_path) / file
    content = place.read_bytes()
    place.unlink()
    place.write_bytes(broken(content))
    assert re.search(f"{problem}.*remove", refusal("mnist", tmp_path))


@pytest.mark.usefixtures("small_sizes")
def test_completed_folder_is_read(small_digits: Path, tmp_path: Path):
    place = link_digits(small_digits, tmp_path) / TEST
    place.rename(tmp_path / "elsewhere")
    refusal("mnist", tmp_path)
    (tmp_path / "elsewhere").rename(place)
    assert load_real("mnist", tmp_path).name == "mnist"


@pytest.mark.usefixtures("small_sizes")
def test_folder_with_name_of_file_is_refused(small_digits: Path, tmp_path: Path):
    place = link_digits(small_digits, tmp_path) / TEST
    place.unlink()
    place.mkdir()
    refusal("mnist", tmp_path)


@pytest.mark.parametrize("root", [None, ""])
def test_real_data_needs_root(monkeypatch: pytest.MonkeyPatch, root: str | None):
    monkeypatch.delenv(ROOT, raising=False)
    if root is not None:
        monkeypatch.setenv(ROOT, root)
    with pytest.raises(DataError, match=f"^real data needs a folder; set --claims-data-root or the .* {ROOT}$"):
        image_sets.load("mnist", "real")


# downloads


@pytest.mark.parametrize("dataset", ["mnist", "fashion", "cifar"])
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
def test_failed_download_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, error: Exception):
    module = "cifar" if dataset == "cifar" else "mnist"
    monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", raising(error))
    message = refusal(dataset, tmp_path)
    assert "--claims-data-root" in message
    assert (str(error) or "TimeoutError") in message


@pytest.mark.usefixtures("small_sizes")
def test_missing_files_are_downloaded_once(small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fetched = []

    def fetch(url: str, download_root: str, filename: str, md5: str) -> None:
        fetched.append(filename)
        name = filename.removesuffix(".gz")
        Path(download_root, name).symlink_to(small_digits / "MNIST" / "raw" / name)

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", fetch)
    images = load_real("mnist", tmp_path)
    assert images.digest == load_real("mnist", small_digits).digest
    image_sets._real.cache_clear()
    assert load_real("mnist", tmp_path).digest == images.digest
    assert sorted(fetched) == sorted(f"{name}.gz" for name in IDX)


@pytest.mark.usefixtures("small_sizes")
def test_files_are_read_in_read_only_folder(small_digits: Path, tmp_path: Path, request: pytest.FixtureRequest):
    link_digits(small_digits, tmp_path)
    assert load_real("mnist", request.getfixturevalue("read_only")).name == "mnist"


@pytest.mark.parametrize("dataset", ["mnist", "cifar"])
def test_download_to_read_only_folder_is_explained(read_only: Path, dataset: str):
    assert "Permission denied" in refusal(dataset, read_only)


@pytest.mark.usefixtures("small_sizes")
def test_broken_file_in_read_only_folder_is_explained_alike(
    small_digits: Path, tmp_path: Path, request: pytest.FixtureRequest
):
    place = link_digits(small_digits, tmp_path) / TEST
    content = place.read_bytes()
    place.unlink()
    place.write_bytes(content[:-1])
    assert refusal("mnist", tmp_path) == refusal("mnist", request.getfixturevalue("read_only"))


# CIFAR-10 as arrays


class Mark:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, place: Path):
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


LABELS = (np.arange(SMALL_TEST) % 10).astype(np.uint8)
PIXELS = zeros(SMALL_TEST, 32, 32, 3)


def write_archive(
    root: Path,
    train: int = SMALL_TRAIN,
    x_test: np.ndarray = PIXELS,
    y_test: np.ndarray = LABELS,
    save: Callable[..., None] = np.savez_compressed,
) -> Path:
    """Write a cifar10.npz; green of pixel (1, 2) in a training image is its number modulo 251."""
    pixels = zeros(train, 32, 32, 3)
    pixels[:, 1, 2, 1] = np.arange(train) % 251
    labels = (np.arange(train) % 10).astype(np.uint8)[:, None]  # a column, as in Keras
    file = root / "cifar10.npz"
    save(file, x_train=pixels, y_train=labels, x_test=x_test, y_test=y_test)
    return file


def check_archive(root: Path, train: int, test: int) -> None:
    images, number = load_real("cifar", root), torch.arange(train)
    assert (images.name, images.test_size, images.images.shape) == ("cifar10-npz", test, (train + test, 32, 32, 3))
    assert torch.equal(images.images[:train, 1, 2, 1], (number % 251).byte())
    assert images.images.count_nonzero() == (number % 251).count_nonzero()
    assert torch.equal(images.labels, torch.arange(train + test) % 10)


@pytest.mark.slow
def test_cifar10_is_read_from_npz(tmp_path: Path):
    labels = (np.arange(10_000) % 10).astype(np.uint8)
    write_archive(tmp_path, 50_000, zeros(10_000, 32, 32, 3), labels, save=np.savez)
    check_archive(tmp_path, 50_000, 10_000)


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype(np.int64)], ids=["flat", "column", "int64"])
def test_npz_may_have_labels_of_several_shapes_and_types(tmp_path: Path, labels: np.ndarray):
    write_archive(tmp_path, y_test=labels)
    check_archive(tmp_path, SMALL_TRAIN, SMALL_TEST)


def test_npz_with_fewer_images_than_cifar10_is_refused(tmp_path: Path):
    write_archive(tmp_path)
    assert "split train: images must be 50000 of (32, 32, 3) bytes, got " in refusal("cifar", tmp_path)


@pytest.mark.usefixtures("small_sizes")
def test_npz_of_former_jpegs_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_archive(tmp_path)
    monkeypatch.setattr(image_sets, "JPEG_DIGEST", load_real("cifar", tmp_path).digest)
    image_sets._real.cache_clear()
    assert load_real("cifar", tmp_path).name == "cifar10-jpeg"


WRONG: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "channels first": ({"x_test": zeros(SMALL_TEST, 3, 32, 32)}, r"images must .* got .* shape \(100, 3, 32, 32\)"),
    "flat": ({"x_test": zeros(SMALL_TEST, 3072)}, r"images must .* got .* shape \(100, 3072\)"),
    "too few": ({"x_test": PIXELS[:-1]}, r"images must .* got .* shape \(99, 32, 32, 3\)"),
    "from 0 to 1": ({"x_test": PIXELS.astype(np.float16)}, "images must .* got .* type float16"),
    "signed": ({"x_test": PIXELS.view(np.int8)}, "images must .* got .* type int8"),
    "boolean": ({"x_test": PIXELS.view(bool)}, "images must .* got .* type bool"),
    "words for pixels": ({"x_test": np.array(["cat"])}, "images must"),
    "too few labels": ({"y_test": LABELS[:-1]}, r"labels must be 100 .* got .* shape \(99,\)"),
    "one-hot": ({"y_test": np.eye(10, dtype=np.uint8)[LABELS]}, r"labels must be 100 .* got .* shape \(100, 10\)"),
    "float labels": ({"y_test": LABELS.astype(np.float32)}, "labels must be 100 .* got .* type float32"),
    "words for labels": ({"y_test": LABELS.astype(str)}, "labels must be 100"),
    "complex labels": ({"y_test": LABELS.astype(np.complex64)}, "labels must be 100"),
    "from 1": ({"y_test": LABELS + 1}, "labels must be 0 to 9, got 10 different ones from 1 to 10"),
    "from -1": ({"y_test": LABELS.astype(np.int8) - 1}, "labels must be 0 to 9, got 10 different ones from -1 to 8"),
}


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize(("arrays", "problem"), WRONG.values(), ids=WRONG)
def test_npz_without_cifar10_is_refused(tmp_path: Path, arrays: dict[str, Any], problem: str):
    write_archive(tmp_path, **arrays)
    assert re.search(f"split test: .*{problem}.*remove", refusal("cifar", tmp_path))


UNREADABLE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "without its last byte": lambda content: content[:-1],
    "changed": lambda content: content[:500] + bytes(100) + content[600:],
    "empty": lambda content: b"",
    "garbage": lambda content: b"garbage" * 1000,
}


@pytest.mark.slow
@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("broken", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_npz_must_be_removed(tmp_path: Path, broken: Callable[[bytes], bytes]):
    file = write_archive(tmp_path)
    file.write_bytes(broken(file.read_bytes()))
    assert re.search(r"cifar10\.npz.*remove|remove.*cifar10\.npz", refusal("cifar", tmp_path))
    gc.collect()  # makes Python warn if a file was left open


@pytest.mark.parametrize("missing", ["x_train", "y_train", "x_test", "y_test"])
def test_array_that_npz_lacks_is_named(tmp_path: Path, missing: str):
    arrays: dict[str, Any] = dict.fromkeys({"x_train", "y_train", "x_test", "y_test"} - {missing}, LABELS)
    np.savez(tmp_path / "cifar10.npz", **arrays)
    message = refusal("cifar", tmp_path)
    assert missing in message
    assert "cifar10.npz" in message


def test_npy_with_name_of_npz_is_refused(tmp_path: Path):
    np.save(tmp_path / "array.npy", LABELS)
    (tmp_path / "array.npy").rename(tmp_path / "cifar10.npz")
    assert "cifar10.npz" in refusal("cifar", tmp_path)


# pickles


def test_npz_is_not_unpickled(tmp_path: Path):
    pickled = np.array([Mark(tmp_path / "mark")], dtype=object)
    np.savez(tmp_path / "cifar10.npz", x_train=pickled, y_train=pickled, x_test=pickled, y_test=pickled)
    refusal("cifar", tmp_path)
    assert not (tmp_path / "mark").exists()
    np.load(tmp_path / "cifar10.npz", allow_pickle=True)["x_train"]
    assert (tmp_path / "mark").exists()


def test_pickle_with_name_of_npz_is_not_unpickled(tmp_path: Path):
    (tmp_path / "cifar10.npz").write_bytes(pickle.dumps(Mark(tmp_path / "mark")))
    refusal("cifar", tmp_path)
    assert not (tmp_path / "mark").exists()
    np.load(tmp_path / "cifar10.npz", allow_pickle=True)
    assert (tmp_path / "mark").exists()


def test_pickles_with_wrong_checksums_are_not_unpickled(tmp_path: Path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*BATCHES, "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(Mark(tmp_path / "mark")))
    assert "no route to host" in refusal("cifar", tmp_path)
    assert not (tmp_path / "mark").exists()
    pickle.loads((folder / "batches.meta").read_bytes())
    assert (tmp_path / "mark").exists()


class Old:
    """An object that warns when it is unpickled, as NumPy 2.4.0 to 2.4.4 do about the files of CIFAR-10."""

    def __reduce__(self) -> tuple[Any, ...]:
        return warnings.warn, (
            "align should be passed as Python or NumPy boolean",
            np.exceptions.VisibleDeprecationWarning,
        )


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("extra", [{}, {"age": Old()}], ids=["new", "old"])
def test_pickles_with_right_checksums_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rows = zeros(SMALL_TEST, 3, 32, 32)
    rows[:, 1, 1, 2] = np.arange(SMALL_TEST) % 97
    contents = {"labels": LABELS.tolist(), "data": rows.reshape(SMALL_TEST, -1), **extra}
    sums = {}
    for name, content in (("batch", contents), ("batches.meta", {"label_names": []})):
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes(), usedforsecurity=False).hexdigest()
    for name in BATCHES:
        (folder / name).symlink_to(folder / "batch")
    monkeypatch.setattr(torchvision.CIFAR10, "train_list", [(name, sums["batch"]) for name in BATCHES[:5]])
    monkeypatch.setattr(torchvision.CIFAR10, "test_list", [(BATCHES[5], sums["batch"])])
    monkeypatch.setitem(torchvision.CIFAR10.meta, "md5", sums["batches.meta"])
    images = load_real("cifar", tmp_path)
    number = torch.arange(SMALL_TRAIN + SMALL_TEST) % SMALL_TEST
    assert (images.name, images.test_size) == ("cifar10", SMALL_TEST)
    assert images.images.shape == (SMALL_TRAIN + SMALL_TEST, 32, 32, 3)
    assert torch.equal(images.images[:, 1, 2, 1], (number % 97).byte())
    assert images.images.count_nonzero() == (number % 97).count_nonzero()
    assert torch.equal(images.labels, number % 10)


# real files

KNOWN = {
    "mnist": (["mnist"], "MNIST/raw", 1e-4, [0.1307], [0.3081]),
    "fashion": (["fashion-mnist"], "FashionMNIST/raw", 1e-4, [0.2860], [0.3530]),
    "cifar": (["cifar10-jpeg", "cifar10-npz"], "cifar10.npz", 3e-3, [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
}
"""Names, place, tolerance, and the well-known mean and standard deviation of pixels."""


@pytest.mark.parametrize("dataset", KNOWN)
def test_real_images_have_known_moments(dataset: str):
    names, place, tolerance, mean, deviation = KNOWN[dataset]
    root = os.environ.get(ROOT)
    if not root or not Path(root, place).exists():
        pytest.skip(f"no {place} in the folder that {ROOT} names")
    images = image_sets.load(dataset, "real")
    assert images.name in names
    assert images.labels[images.train_size :].bincount(minlength=10).min() > 800
    for moment, expected in zip(images.moments, (mean, deviation), strict=True):
        assert moment.tolist() == pytest.approx(expected, abs=tolerance)


# the plugin

DIGITS = """
from labcheck import Arm, Claim, reaches
from labcheck.labs.mnist import TEST_ACCURACY, Mnist

SMALL = {
    "layers": 1, "channels": (2,), "hidden": 4, "epochs": 1, "batch": 10,
    "train_size": 20, "val_size": 10, "test_size": 100,
}
claim = Claim(
    id="mnist/small",
    statement="A small network learns little from few digits.",
    citation="Table 1",
    lab=Mnist,
    arms={"small": Arm(SMALL)},
    relations=[reaches("small", 0.9, TEST_ACCURACY)],
    seeds={"quick": 2},
)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message", "workers"),
    [
        ([], "--claims-data real: needs --claims-data-root DIR or LABCHECK_DATA", "0"),
        ([], "--claims-data real: needs --claims-data-root DIR or LABCHECK_DATA", "2"),
        (["--claims-data-root", "empty"], "MNIST cannot be read from {}/empty", "0"),
        pytest.param(
            ["--claims-data-root", "empty"], "MNIST cannot be read from {}/empty", "1", marks=pytest.mark.slow
        ),  # the worker imports torch
    ],
)
def test_session_without_real_data_trains_nothing(project: Project, options: list[str], message: str, workers: str):
    for variable in ("http_proxy", "https_proxy"):  # where no server listens
        project.monkeypatch.setenv(variable, "http://127.0.0.1:9")
    project.monkeypatch.delenv("no_proxy", raising=False)
    (project.folder / "empty").mkdir()
    project.write("test_small.py", DIGITS)
    result = project.run("-n", workers, "--claims-data", "real", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert is_in_one_line(result, "ERROR: " + message.format(project.folder))
    assert count_lines(result, "the download failed, so copy torchvision's files there") == bool(options)
    assert project.trained() == []


@pytest.mark.slow
@pytest.mark.usefixtures("small_sizes")
def test_results_on_other_data_have_another_baseline(project: Project, small_digits: Path):
    project.write("test_small.py", DIGITS)
    for options in ([], ["--claims-data", "real", "--claims-data-root", str(small_digits)]):
        project.recorded("test_small.py", *options)
    folder = project.folder / "baselines" / "mnist" / "small"
    assert sorted(file.name for file in folder.iterdir()) == ["quick-mnist-5000.json", "quick-mnist.json"]
    stored = json.loads((folder / "quick-mnist.json").read_text())
    assert stored["data"] == {"name": "mnist", "digest": load_real("mnist", small_digits).digest}


@pytest.mark.parametrize("before", [None, "elsewhere"])
@pytest.mark.parametrize("root", ["here", "nowhere"])
def test_session_restores_environment(project: Project, before: str | None, root: str):
    (project.folder / "here").mkdir()
    if before is not None:
        project.monkeypatch.setenv(ROOT, before)
    project.change(f"open('root', 'w').write(os.environ['{ROOT}'])")
    project.run("--claims-data-root", root)
    assert os.environ.get(ROOT) == before
    file = project.folder / "root"
    assert (file.read_text() if file.exists() else None) == (str(project.folder / "here") if root == "here" else None)
