"""Files that are misplaced, missing or compressed, and the messages about them."""

import gzip
import hashlib
import os
import re
from pathlib import Path
from urllib.error import URLError

import pytest

from labcheck.data import ROOT, layout
from tests.helpers.data import (
    BATCHES,
    IDX,
    TEST,
    TEST_LABELS,
    TRAIN,
    TRAIN_LABELS,
    load_real,
    raising,
    refusal,
    write_files,
)

CIFAR = (*BATCHES, "batches.meta")
MISPLACED: dict[str, tuple[str, str, tuple[str, ...], str, str]] = {
    # the data set, the root, the files below "data", the folder in the message and the remedy
    "flat": ("mnist", "data", IDX, "", "or set .* to another folder"),
    "flat and compressed": ("mnist", "data", tuple(f"{name}.gz" for name in IDX), "", "decompress the .gz files"),
    "without raw": ("mnist", "data", tuple(f"MNIST/{name}" for name in IDX), "MNIST", "or set .* to another folder"),
    "too deep": ("mnist", "data", tuple(f"x/MNIST/raw/{name}" for name in IDX), "x/MNIST/raw", "to DATA/x, or move"),
    "twice": ("mnist", "data", tuple(f"MNIST/MNIST/raw/{name}" for name in IDX), "MNIST/MNIST/raw", "to DATA/MNIST, "),
    "MNIST as root": ("mnist", "data/MNIST", tuple(f"MNIST/raw/{name}" for name in IDX), "MNIST/raw", "to DATA$"),
    "raw as root": ("mnist", "data/MNIST/raw", tuple(f"MNIST/raw/{name}" for name in IDX), "MNIST/raw", "to DATA$"),
    "another set's folder as root": (
        "fashion", "data/MNIST", tuple(f"FashionMNIST/raw/{name}" for name in IDX), "FashionMNIST/raw", "to DATA$"
    ),
    "fashion flat": ("fashion", "data", IDX, "", "or set .* to another folder"),
    "batches as root": (
        "cifar",
        "data/cifar-10-batches-py",
        tuple(f"cifar-10-batches-py/{name}" for name in CIFAR),
        "cifar-10-batches-py",
        "to DATA$",
    ),
    "batches flat": ("cifar", "data", CIFAR, "", "move them to DATA/cifar-10-batches-py"),
    "an archive": ("cifar", "data", ("x/cifar-10-python.tar.gz",), "x", "to DATA/x, or move it to DATA$"),
    "an npz": ("cifar", "data", ("x/y/cifar10.npz",), "x/y", "to DATA/x/y, or move it to DATA$"),
    "an npz in a set's folder": ("cifar", "data/MNIST", ("cifar10.npz", "MNIST/raw/x"), "", "to DATA$"),
}  # fmt: skip
REQUIRED = {
    "mnist": f"MNIST/raw/{TRAIN}, {TRAIN_LABELS}, {TEST}, {TEST_LABELS};",
    "fashion": f"FashionMNIST/raw/{TRAIN}, {TRAIN_LABELS}, {TEST}, {TEST_LABELS};",
    "cifar": "cifar-10-batches-py/data_batch_1, .*, batches.meta, or cifar-10-python.tar.gz, or cifar10.npz;",
}


# misplaced files


@pytest.mark.parametrize(("dataset", "root", "files", "folder", "remedy"), MISPLACED.values(), ids=MISPLACED)
def test_misplaced_files_are_named_instead_of_downloaded(
    tmp_path: Path, downloads: list[str], dataset: str, root: str, files: tuple[str, ...], folder: str, remedy: str
):
    data = tmp_path / "data"
    write_files(data, files)
    before = sorted(tmp_path.rglob("*"))
    message = refusal(dataset, tmp_path / root)
    assert not downloads
    assert re.search(f"required {REQUIRED[dataset]} found [^;]* in {data / folder}[,;]", message)
    assert re.search(remedy.replace("DATA", str(data)), message)
    assert "is missing" not in message
    assert sorted(tmp_path.rglob("*")) == before


def test_misplaced_files_are_named_in_read_only_folder(read_only: Path):
    write_files(read_only / "x", ["cifar10.npz"])
    assert f"set --claims-data-root or {ROOT} to {read_only / 'x'}, or move" in refusal("cifar", read_only)


def test_relative_root_is_searched(tmp_path: Path, downloads: list[str], monkeypatch: pytest.MonkeyPatch):
    write_files(tmp_path / "MNIST" / "raw", IDX)
    monkeypatch.chdir(tmp_path / "MNIST")
    assert refusal("mnist", Path()).endswith(f"; set --claims-data-root or {ROOT} to {tmp_path}")
    assert not downloads


@pytest.mark.parametrize("missing", IDX)
def test_missing_one_of_misplaced_files_is_named(tmp_path: Path, downloads: list[str], missing: str):
    write_files(tmp_path / "MNIST", [name for name in IDX if name != missing])
    message = refusal("mnist", tmp_path)
    assert f"in {tmp_path / 'MNIST'}, where {missing} is missing; move them" in message
    assert message.endswith("; then add the missing files")
    assert not downloads


@pytest.mark.parametrize("compressed", [False, True])
def test_known_labels_identify_data_set(
    tmp_path: Path, downloads: list[str], monkeypatch: pytest.MonkeyPatch, compressed: bool
):
    digest = hashlib.sha256(b"clothes").hexdigest()[:16]
    monkeypatch.setitem(layout.LABELS, digest, "FashionMNIST")
    suffix, content = (".gz", gzip.compress(b"clothes")) if compressed else ("", b"clothes")
    write_files(tmp_path / "MNIST" / "raw", [f"{name}{suffix}" for name in IDX], content)
    message = refusal("fashion", tmp_path)
    assert f"found files with the labels of FashionMNIST in {tmp_path / 'MNIST' / 'raw'}; move them to" in message
    assert not downloads
    write_files(tmp_path / "flat", [f"{name}{suffix}" for name in IDX], content)
    assert "no route to host" in refusal("mnist", tmp_path / "flat")


@pytest.mark.parametrize(
    ("dataset", "title", "other"), [("mnist", "MNIST", "FashionMNIST"), ("fashion", "FashionMNIST", "MNIST")]
)
def test_labels_of_real_files_identify_data_set(
    tmp_path: Path, downloads: list[str], dataset: str, title: str, other: str
):
    root = os.environ.get(ROOT)
    if not root or not Path(root, title, "raw").exists():
        pytest.skip(f"no {title}/raw in the folder that {ROOT} names")
    (tmp_path / other).mkdir()
    (tmp_path / other / "raw").symlink_to(Path(root, title, "raw").absolute())
    assert f"found files with the labels of {title} in {tmp_path / other / 'raw'};" in refusal(dataset, tmp_path)
    assert not downloads


# the search


def test_search_is_shallow_and_ignores_circles(tmp_path: Path, downloads: list[str]):
    write_files(tmp_path / "a" / "b" / "c" / "d", IDX)
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    write_files(tmp_path / "many", map(str, range(layout.MAX_ENTRIES_PER_FOLDER + 1)))
    walked = [folder for folder, _ in layout._walk(tmp_path)]
    assert walked == [tmp_path, *(tmp_path / place for place in ("a", "many", "a/b", "a/b/c"))]
    assert sum(len(names) for _, names in layout._walk(tmp_path)) == layout.MAX_ENTRIES_PER_FOLDER
    assert "no route to host" in refusal("mnist", tmp_path)


def test_search_ends_after_max_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_files(tmp_path, (f"{n}/{m}/file" for n in range(5) for m in range(5)))
    monkeypatch.setattr(layout, "MAX_ENTRIES", 12)
    assert len(list(layout._walk(tmp_path))) < 10


# failed downloads


@pytest.mark.parametrize(
    ("dataset", "folder", "names"),
    [("mnist", "MNIST/raw", IDX), ("cifar", "cifar-10-batches-py", CIFAR)],
    ids=["mnist", "cifar"],
)
def test_failed_download_names_missing_files(
    tmp_path: Path, downloads: list[str], dataset: str, folder: str, names: tuple[str, ...]
):
    write_files(tmp_path / folder, names[:-2])  # an interrupted download leaves such files
    message = refusal(dataset, tmp_path)
    assert downloads
    assert f"in {tmp_path / folder}, {names[-2]}, {names[-1]} are missing" in message
    assert len(list(tmp_path.rglob("*_*")) + list(tmp_path.rglob("*-ubyte"))) == len(names) - 2


def test_failed_download_names_compressed_files(tmp_path: Path, downloads: list[str]):
    write_files(tmp_path / "MNIST" / "raw", [f"{name}.gz" for name in IDX])
    assert f"{TEST_LABELS}.gz could not be decompressed" in refusal("mnist", tmp_path)
    assert downloads


@pytest.mark.parametrize("folder", ["MNIST/raw", "KMNIST/raw", "x/mnist"])
def test_failed_download_mentions_files_with_same_names(tmp_path: Path, downloads: list[str], folder: str):
    write_files(tmp_path / folder, IDX)
    message = refusal("fashion", tmp_path)
    assert downloads
    assert "no route to host" in message
    assert f"files with these names are in {tmp_path / folder}; if they belong to FashionMNIST, move them" in message


@pytest.mark.parametrize("dataset", ["mnist", "fashion", "cifar"])
@pytest.mark.parametrize("root", ["", "new", "new/er"])
def test_failed_download_leaves_nothing_behind(tmp_path: Path, dataset: str, root: str):
    refusal(dataset, tmp_path / root)
    assert list(tmp_path.iterdir()) == []


def test_failed_download_keeps_existing_folders(tmp_path: Path):
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "other").mkdir()
    refusal("mnist", tmp_path)
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "MNIST", tmp_path / "other"]


def test_failed_download_keeps_downloaded_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fetch(url: str, download_root: str, filename: str, md5: str) -> None:
        if filename.startswith("t10k"):
            raise URLError("no route to host")
        Path(download_root, filename).write_bytes(b"compressed")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", fetch)
    message = refusal("mnist", tmp_path)
    assert f"{TEST}, {TEST_LABELS} are missing" in message
    raw = tmp_path / "MNIST" / "raw"
    assert sorted(raw.iterdir()) == [raw / f"{TRAIN}.gz", raw / f"{TRAIN_LABELS}.gz"]
    assert list(tmp_path.iterdir()) == [tmp_path / "MNIST"]


def test_interrupted_download_leaves_no_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        load_real("mnist", tmp_path)
    assert list(tmp_path.iterdir()) == []
