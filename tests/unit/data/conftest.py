"""Fixtures for tests of image data sets."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from labcheck.data import image_sets
from tests.helpers.data import SMALL_TEST, SMALL_TRAIN, raising, write_digits


@pytest.fixture(autouse=True)
def _offline_with_empty_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("urllib.request.urlopen", raising(URLError("no route to host")))
    yield
    image_sets._real.cache_clear()


@pytest.fixture
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make real data sets valid that have SMALL_TRAIN training and SMALL_TEST test images."""
    sizes = {"train": SMALL_TRAIN, "test": SMALL_TEST}
    monkeypatch.setattr(image_sets, "SIZES", dict.fromkeys(image_sets.SIZES, sizes))


@pytest.fixture(scope="session")
def small_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a small MNIST."""
    return write_digits(tmp_path_factory.mktemp("small-digits"), SMALL_TRAIN, SMALL_TEST)


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the URLs that torchvision tries to download; all downloads fail."""
    urls: list[str] = []

    def refuse(url: str, *args: Any, **options: Any) -> None:
        urls.append(url)
        raise URLError("no route to host")

    for module in ("mnist", "cifar"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", refuse)
    return urls


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which torchvision and filelock can make neither files nor folders."""

    def guard(make: Callable[..., Any], is_refused: Callable[..., bool]) -> Callable[..., Any]:
        def guarded(path: Any, *args: Any, **options: Any) -> Any:
            if is_refused(*args) and str(path).startswith(str(tmp_path)) and not os.path.isdir(path):
                raise PermissionError(13, "Permission denied", str(path))
            return make(path, *args, **options)

        return guarded

    def writes(flags: int, *args: Any) -> bool:
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    monkeypatch.setattr(os, "open", guard(os.open, writes))
    monkeypatch.setattr(os, "makedirs", guard(os.makedirs, lambda *args: True))
    return tmp_path
