"""Locations of the files of MNIST, Fashion-MNIST and CIFAR-10 in a data root, and a search for misplaced files.

MNIST, Fashion-MNIST and KMNIST use the same file names, and only the content of the label files distinguishes them. If
it is unknown, messages refer to files "with these names".
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

MAX_DEPTH = 3
"""The number of levels of folders below the root that are searched."""
MAX_ENTRIES, MAX_ENTRIES_PER_FOLDER = 5000, 1000
"""The numbers of directory entries after which the search ends, and after which it leaves a folder."""
IDX = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
LABELS = {
    "ff7bcfd416de3373": "MNIST",
    "65a50cbbf4e906d7": "MNIST",
    "0402a96d92fd2663": "FashionMNIST",
    "bad3541b69d91243": "FashionMNIST",
}
"""The data set of each label file, by the first 16 digits of its SHA-256."""
SAME_NAMES = {"mnist", "fashionmnist", "kmnist"}
"""The data sets whose files have the names in `IDX`, in lower case."""


@dataclass(frozen=True)
class Layout:
    """The files that make a whole data set, and the folder below the root in which they must be."""

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
"""The alternative layouts of each data set, by its name in torchvision."""
FOLDERS = {name for layouts in LAYOUTS.values() for layout in layouts for name in Path(layout.folder).parts}


@dataclass(frozen=True)
class Match:
    """Files in one folder whose names belong to a layout.

    Attributes:
        layout: The layout.
        folder: The folder.
        names: The names on disk, which end with .gz if the files are compressed.
        title: The data set to which the label files among them belong, or "" if that is unknown.
    """

    layout: Layout
    folder: Path
    names: tuple[str, ...]
    title: str

    @property
    def missing(self) -> list[str]:
        """The files of the layout that exist neither compressed nor uncompressed."""
        return [file for file in self.layout.files if file not in self.names and f"{file}.gz" not in self.names]

    @property
    def compressed(self) -> list[str]:
        """The files that exist only compressed."""
        return [name for name in self.names if name.endswith(".gz") and name.removesuffix(".gz") not in self.names]

    @property
    def root(self) -> Path | None:
        """The data root for which the files would be in the right place, or None if there is none."""
        names, absolute = Path(self.layout.folder).parts, _absolute(self.folder)
        if absolute.parts[len(absolute.parts) - len(names) :] != names:
            return None
        return absolute.parents[len(names) - 1] if names else absolute

    def is_for(self, title: str) -> bool:
        """Return whether the files can be those of a data set, by their labels or else by the name of their folder."""
        if self.layout.files != IDX or self.title:
            return self.title in ("", title)
        folder = _absolute(self.folder)
        name = (folder.parent if folder.name == "raw" else folder).name
        return re.sub("[ _-]", "", name).lower() not in SAME_NAMES - {title.lower()}


def misplaced(title: str, root: Path) -> str:
    """Return a message about misplaced files of a data set, or "" if there are none.

    It is also "" if any file is in the right place, since torchvision then decompresses it or completes a download.

    Args:
        title: The name of the data set in torchvision.
        root: The data root.
    """
    if any(_in_place(title, root)):
        return ""
    matches = [match for match in _elsewhere(title, root) if match.is_for(title)]
    if not matches:
        return ""
    return _message(title, root, min(matches, key=lambda match: (len(match.missing), not match.title)))


def shortfall(title: str, root: Path) -> str:
    """Return a hint after a failed download: what is missing or compressed, or where files with the same names are."""
    for match in _in_place(title, root):
        if match.missing:
            return f"in {match.folder}, {', '.join(match.missing)} {_be(match.missing)} missing"
        if match.compressed:
            return f"in {match.folder}, {', '.join(match.compressed)} could not be decompressed"
    for match in _elsewhere(title, root):
        if not match.title:
            place = root / match.layout.folder
            return f"files with these names are in {match.folder}; if they belong to {title}, move them to {place}"
    return ""


def _message(title: str, root: Path, match: Match) -> str:
    required = ", or ".join(map(str, LAYOUTS[title]))
    files = f"files with the labels of {title}" if match.title else "files with these names"
    if len(match.names) == 1:
        files = match.names[0]
    missing = f", where {', '.join(match.missing)} {_be(match.missing)} missing" if match.missing else ""
    option = f"set --claims-data-root or {ROOT}"
    move = f"move {'it' if len(match.names) == 1 else 'them'} to {root / match.layout.folder}"
    if match.root is None:
        remedy = f"{move}, or {option} to another folder"
    elif _absolute(root).is_relative_to(match.root):
        remedy = f"{option} to {match.root}"
    else:
        remedy = f"{option} to {match.root}, or {move}"
    if match.missing:
        remedy += "; then add the missing files"
    if match.compressed and match.layout.files == IDX:
        remedy += "; then decompress the .gz files"
    return f"no {title} in {root}: required {required}; found {files} in {match.folder}{missing}; {remedy}"


def _in_place(title: str, root: Path) -> Iterator[Match]:
    """Yield the files of a data set that are where they must be."""
    for layout in LAYOUTS[title]:
        folder = root / layout.folder
        yield from _matches(folder, _files(folder, layout), (layout,))


def _elsewhere(title: str, root: Path) -> Iterator[Match]:
    """Yield other files with the names of a data set below the root, and above it if the root is a layout's folder."""
    for folder, names in _walk(root):
        yield from _matches(folder, names, [layout for layout in LAYOUTS[title] if folder != root / layout.folder])
    absolute = _absolute(root)
    if absolute.name in FOLDERS:
        for above in absolute.parents[:2]:
            yield from _in_place(title, above)


def _matches(folder: Path, available: set[str], layouts: Sequence[Layout]) -> Iterator[Match]:
    for layout in layouts:
        names = tuple(name for file in layout.files for name in (file, f"{file}.gz") if name in available)
        if names:
            yield Match(layout, folder, names, _title_of_labels(folder, names))


def _files(folder: Path, layout: Layout) -> set[str]:
    return {name for file in layout.files for name in (file, f"{file}.gz") if os.path.isfile(folder / name)}


def _walk(root: Path) -> Iterator[tuple[Path, set[str]]]:
    """Yield folders with the names of their files, level by level, without folders that cannot be read."""
    level, visited, remaining = [root], set(), MAX_ENTRIES
    for _ in range(MAX_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            try:
                identity = (folder.stat().st_dev, folder.stat().st_ino)
                with os.scandir(folder) as scanned:
                    entries = list(islice(scanned, min(remaining, MAX_ENTRIES_PER_FOLDER)))
            except OSError:
                continue
            if identity in visited:  # symbolic links can form cycles
                continue
            visited.add(identity)
            remaining -= len(entries)
            yield folder, {entry.name for entry in entries if os.path.isfile(entry)}
            below += sorted(folder / entry.name for entry in entries if os.path.isdir(entry))
        level = below if remaining else []


def _title_of_labels(folder: Path, names: tuple[str, ...]) -> str:
    """Return the data set to which a label file among these belongs, by its content, or "" if none is known."""
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
