"""Where the files of MNIST, Fashion-MNIST and CIFAR-10 must be under a data root, and where else they were put.

MNIST, Fashion-MNIST and KMNIST have the same file names. Only the labels decide which set files are; where they are not
known, the messages speak of files of these names.
"""

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from labcheck.data import ROOT

DEPTH = 3
"""Levels of folders below the root in which files are searched."""
ENTRIES, ENTRIES_PER_FOLDER = 5000, 1000
"""Names after which the search ends, and after which it leaves a folder."""
IDX = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
LABELS = {
    "ff7bcfd416de3373": "MNIST",
    "65a50cbbf4e906d7": "MNIST",
    "0402a96d92fd2663": "FashionMNIST",
    "bad3541b69d91243": "FashionMNIST",
}
"""The set of a file of labels, of the test or the training images, by the start of the file's SHA-256."""
SAME_NAMES = {"mnist", "fashionmnist", "kmnist"}


@dataclass(frozen=True)
class Layout:
    """Files that make a whole set, and the folder below the root in which they must be."""

    folder: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        first, *others = self.files
        return ", ".join([f"{self.folder}/{first}" if self.folder else first, *others])


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "MNIST": (Layout("MNIST/raw", IDX),),
    "FashionMNIST": (Layout("FashionMNIST/raw", IDX),),
    "CIFAR10": (
        Layout("cifar-10-batches-py", (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta")),
        Layout("", ("cifar-10-python.tar.gz",)),
        Layout("", ("cifar10.npz",)),
    ),
}
"""By torchvision's name of a set: the layouts of which one is enough."""
FOLDERS = {part for layouts in LAYOUTS.values() for layout in layouts for part in Path(layout.folder).parts}


@dataclass(frozen=True)
class Match:
    """Files of a layout's names in some folder.

    Attributes:
        names: the names as they are on disk, with .gz where the files are packed.
        labels: the set that the labels among them belong to, "" where that is not known.
    """

    layout: Layout
    folder: Path
    names: tuple[str, ...]
    labels: str

    @property
    def missing(self) -> list[str]:
        """The files of the layout that are there neither packed nor unpacked."""
        return [file for file in self.layout.files if file not in self.names and f"{file}.gz" not in self.names]

    @property
    def packed(self) -> list[str]:
        """The files that are there packed only."""
        return [name for name in self.names if name.endswith(".gz") and name.removesuffix(".gz") not in self.names]

    @property
    def root(self) -> Path | None:
        """The data root for which these files would be where they must be."""
        parts, absolute = Path(self.layout.folder).parts, _absolute(self.folder)
        fits = absolute.parts[len(absolute.parts) - len(parts) :] == parts
        return absolute.parents[len(parts) - 1] if fits and parts else absolute if fits else None

    def is_for(self, title: str) -> bool:
        """Whether they can be this set's: by their labels, and where those are not known, by their folder's name."""
        if self.layout.files != IDX or self.labels:
            return self.labels in ("", title)
        folder = _absolute(self.folder)
        name = (folder.parent if folder.name == "raw" else folder).name
        return re.sub("[ _-]", "", name).lower() not in SAME_NAMES - {title.lower()}


def misplaced(title: str, root: Path) -> str:
    """Return a message about files of a set that are elsewhere than they must be; "" where there are none.

    It is "" as well where any are in their place, so that torchvision unpacks them or completes a download.

    Args:
        title: torchvision's name of the set.
    """
    if any(_in_place(title, root)):
        return ""
    matches = [match for match in _elsewhere(title, root) if match.is_for(title)]
    if not matches:
        return ""
    return _message(title, root, min(matches, key=lambda match: (len(match.missing), not match.labels)))


def shortfall(title: str, root: Path) -> str:
    """Return what may help after a download that failed: what is missing or packed, or files of the same names."""
    for match in _in_place(title, root):
        if match.missing:
            return f"of the files in {match.folder}, {', '.join(match.missing)} {_be(match.missing)} missing"
        if match.packed:
            return f"in {match.folder}, {', '.join(match.packed)} could not be unpacked"
    for match in _elsewhere(title, root):
        if not match.labels:
            place = root / match.layout.folder
            return f"files of these names are in {match.folder}; if they are {title}'s, move them to {place}"
    return ""


def _message(title: str, root: Path, match: Match) -> str:
    required = ", or ".join(map(str, LAYOUTS[title]))
    those = f"files with {title}'s labels" if match.labels else "files of these names"
    files = match.names[0] if len(match.names) == 1 else those
    lacking = f", where {', '.join(match.missing)} {_be(match.missing)} missing" if match.missing else ""
    name = f"with --claims-data-root or {ROOT}"
    move = f"move {'it' if len(match.names) == 1 else 'them'} to {root / match.layout.folder}"
    if match.root is None:
        remedy = f"{move}, or name another folder {name}"
    elif _absolute(root).is_relative_to(match.root):
        remedy = f"name {match.root} {name}"
    else:
        remedy = f"name {match.root} {name}, or {move}"
    if match.missing:
        remedy += "; then add what is missing"
    if match.packed and match.layout.files == IDX:
        remedy += "; then unpack the .gz files"
    return f"no {title} under {root}: required {required}; found {files} in {match.folder}{lacking}; {remedy}"


def _in_place(title: str, root: Path) -> Iterator[Match]:
    for layout in LAYOUTS[title]:
        folder = root / layout.folder
        yield from _matches(folder, _files(folder, layout), (layout,))


def _elsewhere(title: str, root: Path) -> Iterator[Match]:
    """Files of the set's names below the root; above it too, where the root is itself a folder of a layout."""
    for folder, names in _walk(root):
        yield from _matches(folder, names, [layout for layout in LAYOUTS[title] if folder != root / layout.folder])
    absolute = _absolute(root)
    if absolute.name in FOLDERS:
        for above in absolute.parents[:2]:
            yield from _in_place(title, above)


def _matches(folder: Path, names: set[str], layouts: Sequence[Layout]) -> Iterator[Match]:
    for layout in layouts:
        found = tuple(name for file in layout.files for name in (file, f"{file}.gz") if name in names)
        if found:
            yield Match(layout, folder, found, _set_of_labels(folder, found))


def _files(folder: Path, layout: Layout) -> set[str]:
    return {name for file in layout.files for name in (file, f"{file}.gz") if os.path.isfile(folder / name)}


def _walk(root: Path) -> Iterator[tuple[Path, set[str]]]:
    """Folders, the shallow ones first, and the names of their files; folders that cannot be read are left out."""
    level, seen, left = [root], set(), ENTRIES
    for _ in range(DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            try:
                identity = (folder.stat().st_dev, folder.stat().st_ino)
                with os.scandir(folder) as scanned:
                    entries = list(islice(scanned, min(left, ENTRIES_PER_FOLDER)))
            except OSError:
                continue
            if identity in seen:  # links can make circles
                continue
            seen.add(identity)
            left -= len(entries)
            yield folder, {entry.name for entry in entries if os.path.isfile(entry)}
            below += sorted(folder / entry.name for entry in entries if os.path.isdir(entry))
        level = below if left else []


def _set_of_labels(folder: Path, names: tuple[str, ...]) -> str:
    """The set that a file of labels among these belongs to, by its content; "" where there is none that is known."""
    for name in names:
        if "labels" in name:
            try:
                with (gzip.open if name.endswith(".gz") else open)(folder / name, "rb") as file:
                    content = file.read(100_000)  # the training labels have 60,008 bytes
            except (OSError, EOFError, zlib.error):
                continue
            title = LABELS.get(hashlib.sha256(content).hexdigest()[:16])
            if title:
                return title
    return ""


def _absolute(folder: Path) -> Path:
    return Path(os.path.abspath(folder))


def _be(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
