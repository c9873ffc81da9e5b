"""Random changes to images, against torchvision's and against what can be counted."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as torchvision

from labcheck.data.augment import brightened, cropped_and_flipped, turned_and_shifted
from labcheck.labs import cifar, mnist

Change = Callable[[Tensor], Tensor]
CHANGES: dict[str, Change] = {
    "turned": partial(turned_and_shifted, degrees=40, shift=0.0),
    "shifted": partial(turned_and_shifted, degrees=0, shift=0.3),
    "brightened": partial(brightened, by=0.5),
    "cropped": partial(cropped_and_flipped, padding=3),
    "of the lab mnist": mnist.augmented,
    "of the lab cifar": cifar.augmented,
}
SHAPES = [(28, 28), (20, 30), (33, 21)]
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Pixels from 0.1 to 0.6, none of them black."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=dtype) / 2 + 0.1


def draw(monkeypatch: pytest.MonkeyPatch, name: str, *draws: Tensor) -> None:
    """Let torch draw these instead."""
    following = iter(draws)

    def drawn(*args: object, **options: object) -> Tensor:
        return next(following)

    monkeypatch.setattr(torch, name, drawn)


# what every change has in common


@each_change
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (2, 1, 3)])
def test_shape_and_type_stay(change: Change, dtype: torch.dtype, leading: tuple[int, ...]) -> None:
    x = noise(*leading, 3, 12, 16, dtype=dtype)
    before = x.clone()
    changed = change(x)
    assert (changed.shape, changed.dtype) == (x.shape, dtype)
    assert torch.equal(x, before)


@each_change
def test_changes_follow_torchs_seed(change: Change) -> None:
    def seeded(seed: int) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return change(noise(2, 5, 3, 12, 16))

    assert torch.equal(seeded(1), seeded(1))
    assert not torch.equal(seeded(1), seeded(2))


@each_change
def test_each_image_has_a_draw_of_its_own(change: Change) -> None:
    images = change(noise(1, 12, 16).repeat(4, 10, 1, 1, 1)).flatten(0, 1)
    assert len({tuple(image.flatten().tolist()) for image in images}) > 20


@each_change
def test_the_channels_of_an_image_change_alike(change: Change) -> None:
    x = noise(20, 1, 12, 16).expand(20, 3, 12, 16)
    changed = change(x)
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert not torch.equal(changed, x)


@pytest.mark.parametrize(
    "change",
    [partial(turned_and_shifted, degrees=0, shift=0), partial(brightened, by=0)],
    ids=["turned and shifted", "brightened"],
)
@pytest.mark.parametrize(("height", "width"), [*SHAPES, (1, 1), (1, 5), (2, 7)])
def test_by_nothing_an_image_changes_into_itself(change: Change, height: int, width: int) -> None:
    x = noise(6, 2, height, width)
    torch.testing.assert_close(change(x), x, rtol=1e-6, atol=0)


# turned and shifted


def framed(height: int, width: int) -> Tensor:
    """An image with so wide a black frame that turning it or shifting it a little cuts nothing off."""
    inner = noise(1, 2, height // 2, width // 2)
    size = (width - width // 2, height - height // 2)
    return torchvision.pad(inner, [size[0] // 2, size[1] // 2, size[0] - size[0] // 2, size[1] - size[1] // 2])


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize("turn", [-1, -0.83, 0, 0.31, 0.96])
@pytest.mark.parametrize("shift", [(0, 0), (-1, -1), (0.98, -0.42), (0.13, 0.98)])
def test_turns_and_shifts_are_torchvisions(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int, turn: float, shift: tuple[float, float]
) -> None:
    # turned and then shifted, torchvision loses what left the image in between
    x = framed(height, width) if turn and any(shift) else noise(1, 2, height, width)
    draw(monkeypatch, "rand", torch.tensor([(turn + 1) / 2]), (torch.tensor([shift]) + 1) / 2)
    changed = turned_and_shifted(x, degrees=12, shift=0.1)
    right, down = round(shift[0] * 0.1 * width), round(shift[1] * 0.1 * height)
    turned = torchvision.rotate(x, -12 * turn, InterpolationMode.NEAREST)
    expected = torchvision.affine(turned, 0, [right, down], 1, [0, 0], InterpolationMode.NEAREST)
    assert torch.equal(changed, expected)


def test_several_images_are_turned_and_shifted_by_their_own_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    x = framed(20, 30).repeat(3, 1, 1, 1)
    turns, shifts = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([[0.2, 0.9], [0.5, 0.1], [0.7, 0.4]])
    draw(monkeypatch, "rand", turns, shifts)
    together = turned_and_shifted(x.view(3, 1, 2, 20, 30), degrees=12, shift=0.1)
    for n in range(3):
        draw(monkeypatch, "rand", turns[n : n + 1], shifts[n : n + 1])
        assert torch.equal(together[n], turned_and_shifted(x[n : n + 1], degrees=12, shift=0.1))


def test_a_right_angle_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(1, 3, 9, 9, dtype=torch.float64)
    draw(monkeypatch, "rand", torch.ones(1, dtype=torch.float64), torch.full((1, 2), 0.5, dtype=torch.float64))
    assert torch.equal(turned_and_shifted(x, degrees=90, shift=0.4), x.rot90(-1, (2, 3)))


def test_shifts_are_of_whole_pixels_and_reach_as_far_as_told() -> None:
    point = torch.zeros(4000, 1, 21, 31)
    point[:, :, 10, 15] = 0.7
    shifted = turned_and_shifted(point, degrees=0, shift=0.1)
    assert torch.equal(shifted.amax((2, 3)), torch.full((4000, 1), 0.7))
    assert torch.equal(shifted.count_nonzero((2, 3)), torch.ones(4000, 1, dtype=torch.int64))
    _, _, rows, columns = shifted.nonzero(as_tuple=True)
    assert sorted(set((rows - 10).tolist())) == list(range(-2, 3))
    assert sorted(set((columns - 15).tolist())) == list(range(-3, 4))
    assert abs(torch.corrcoef(torch.stack([rows, columns]).double())[0, 1]) < 0.1


def test_turns_reach_as_far_as_told_both_ways() -> None:
    bar = torch.zeros(2000, 1, 101, 101)
    bar[:, :, 48:53, 93:98] = 1
    turned = turned_and_shifted(bar, degrees=10, shift=0)
    rows = torch.arange(101.0).view(101, 1) - 50
    height = (turned * rows).sum((1, 2, 3)) / turned.sum((1, 2, 3))
    angle = torch.rad2deg(torch.asin(height / 45))
    assert angle.min() == pytest.approx(-10, abs=0.5)
    assert angle.max() == pytest.approx(10, abs=0.5)
    assert angle.mean() == pytest.approx(0, abs=0.5)


# brightened


@given(st.floats(0, 1), st.floats(0, 1))
def test_brightness_is_torchvisions(by: float, drawn: float) -> None:
    x = noise(1, 3, 5, 7, dtype=torch.float64) * 1.6
    with pytest.MonkeyPatch.context() as patch:
        draw(patch, "rand", torch.full((1, 1, 1, 1), drawn, dtype=torch.float64))
        changed = brightened(x, by)
    torch.testing.assert_close(changed, torchvision.adjust_brightness(x, 1 + by * (2 * drawn - 1)))


def test_brightness_varies_as_far_as_told_and_stays_within_0_and_1() -> None:
    grey = brightened(torch.full((40, 100, 1, 1, 1), 0.5), 0.2).flatten()
    assert grey.min() == pytest.approx(0.4, abs=1e-3)
    assert grey.max() == pytest.approx(0.6, abs=1e-3)
    assert grey.mean() == pytest.approx(0.5, abs=5e-3)
    white = brightened(torch.ones(1000, 1, 1, 1), 0.2)
    assert white.max() == 1
    assert 0.4 < (white == 1).float().mean() < 0.6


# cropped and flipped


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 3), (6, 6), (1, 5), (6, 2)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_crops_and_mirror_images_are_torchvisions(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int, top: int, left: int, mirrored: bool
) -> None:
    x = noise(1, 3, height, width)
    draw(monkeypatch, "randint", torch.tensor([[top], [left]]))
    draw(monkeypatch, "rand", torch.tensor([0.49 if mirrored else 0.51]))
    cropped = torchvision.crop(torchvision.pad(x, [3, 3, 3, 3]), top, left, height, width)
    expected = torchvision.horizontal_flip(cropped) if mirrored else cropped
    assert torch.equal(cropped_and_flipped(x, padding=3), expected)


@given(st.integers(0, 2), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_a_crop_is_one_of_all_that_there_are(padding: int, height: int, width: int, seed: int) -> None:
    x = noise(2, height, width)
    padded = torchvision.pad(x, [padding] * 4)
    places = range(2 * padding + 1)
    crops = [torchvision.crop(padded, top, left, height, width) for top in places for left in places]
    possible = {tuple(crop.flatten().tolist()) for crop in (*crops, *map(torchvision.horizontal_flip, crops))}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        changed = cropped_and_flipped(x.repeat(500, 1, 1, 1), padding)
    found = {tuple(image.flatten().tolist()) for image in changed}
    assert found <= possible
    assert len(found) > 0.9 * len(possible)


def test_half_of_the_images_are_mirrored_and_none_is_cropped_without_padding() -> None:
    x = noise(3, 4, 6)
    images = cropped_and_flipped(x.repeat(4000, 1, 1, 1), padding=0)
    kept, mirrored = ((images == image).flatten(1).all(1) for image in (x, x.flip(2)))
    assert torch.equal(kept, ~mirrored)
    assert 0.47 < mirrored.float().mean() < 0.53


def test_crops_have_their_channels_last_in_memory() -> None:
    assert cropped_and_flipped(noise(5, 3, 8, 8), 2).is_contiguous(memory_format=torch.channels_last)
