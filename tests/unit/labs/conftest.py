"""Fixtures for tests of labs."""

from collections.abc import Callable, Iterator

import pytest

from labcheck.data import image_sets
from labcheck.data.images import ImageSet
from labcheck.engine import environment


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    """Train on one thread, as sessions do: small networks are faster so, and trig is sensitive to rounding."""
    with environment.deterministic():
        yield


@pytest.fixture
def use_images(monkeypatch: pytest.MonkeyPatch) -> Callable[[ImageSet], None]:
    """Return a function that replaces the images of all labs."""

    def use(images: ImageSet) -> None:
        monkeypatch.setattr(image_sets, "load", lambda dataset, data_source: images)

    return use
