"""Random augmentation of images, compared with torchvision and with counts."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as torchvision

from labcheck.data.augment import change_brightness, crop_and_flip, rotate_and_shift
from labcheck.labs import cifar, mnist

Augmentation = Callable[[Tensor], Tensor]
AUGMENTATIONS: dict[str, Augmentation] = {
    "rotated": partial(rotate_and_shift, degrees=40, shift=0.0),
    "shifted": partial(rotate_and_shift, degrees=0, shift=0.3),
    "brightened": partial(change_brightness, by=0.5),
    "cropped": partial(crop_and_flip, padding=3),
    "lab mnist": mnist.augmented,
    "lab cifar": cifar.augmented,
}
SHAPES = [(28, 28), (20, 30), (33, 21)]
every_augmentation = pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return random pixels from 0.1 to 0.6, none of them black."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=dtype) / 2 + 0.1


def draw(monkeypatch: pytest.MonkeyPatch, name: str, *draws: Tensor) -> None:
    """Replace a function of torch that draws random numbers by one that returns these tensors in turn."""
    remaining = iter(draws)

    def drawn(*args: object, **options: object) -> Tensor:
        return next(remaining)

    monkeypatch.setattr(torch, name, drawn)


# all augmentations


@every_augmentation
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (2, 1, 3)])
def test_augmentation_keeps_shape_type_and_input(augment: Augmentation, dtype: torch.dtype, leading: tuple[int, ...]):
    x = noise(*leading, 3, 12, 16, dtype=dtype)
    before = x.clone()
    changed = augment(x)
    assert (changed.shape, changed.dtype) == (x.shape, dtype)
    assert torch.equal(x, before)


@every_augmentation
def test_augmentation_depends_on_torch_seed(augment: Augmentation):
    def seeded(seed: int) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return augment(noise(2, 5, 3, 12, 16))

    assert torch.equal(seeded(1), seeded(1))
    assert not torch.equal(seeded(1), seeded(2))


@every_augmentation
def test_each_image_has_its_own_draw(augment: Augmentation):
    images = augment(noise(1, 12, 16).repeat(4, 10, 1, 1, 1)).flatten(0, 1)
    assert len({tuple(image.flatten().tolist()) for image in images}) > 20


@every_augmentation
def test_channels_of_image_change_alike(augment: Augmentation):
    x = noise(20, 1, 12, 16).expand(20, 3, 12, 16)
    changed = augment(x)
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert not torch.equal(changed, x)


@pytest.mark.parametrize(
    "augment",
    [partial(rotate_and_shift, degrees=0, shift=0), partial(change_brightness, by=0)],
    ids=["rotated and shifted", "brightened"],
)
@pytest.mark.parametrize(("height", "width"), [*SHAPES, (1, 1), (1, 5), (2, 7)])
def test_augmentation_by_zero_changes_nothing(augment: Augmentation, height: int, width: int):
    x = noise(6, 2, height, width)
    torch.testing.assert_close(augment(x), x, rtol=1e-6, atol=0)


# rotations and shifts


def framed(height: int, width: int) -> Tensor:
    """Return an image with a black frame, so wide that small rotations and shifts lose no other pixels."""
    inner = noise(1, 2, height // 2, width // 2)
    size = (width - width // 2, height - height // 2)
    image: Tensor = torchvision.pad(inner, [size[0] // 2, size[1] // 2, size[0] - size[0] // 2, size[1] - size[1] // 2])
    return image


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize("turn", [-1, -0.83, 0, 0.31, 0.96])
@pytest.mark.parametrize("shift", [(0, 0), (-1, -1), (0.98, -0.42), (0.13, 0.98)])
def test_rotation_and_shift_match_torchvision(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int, turn: float, shift: tuple[float, float]
):
    # torchvision loses pixels that leave the image between the rotation and the shift
    x = framed(height, width) if turn and any(shift) else noise(1, 2, height, width)
    draw(monkeypatch, "rand", torch.tensor([(turn + 1) / 2]), (torch.tensor([shift]) + 1) / 2)
    changed = rotate_and_shift(x, degrees=12, shift=0.1)
    right, down = round(shift[0] * 0.1 * width), round(shift[1] * 0.1 * height)
    rotated = torchvision.rotate(x, -12 * turn, InterpolationMode.NEAREST)
    expected = torchvision.affine(rotated, 0, [right, down], 1, [0, 0], InterpolationMode.NEAREST)
    assert torch.equal(changed, expected)


def test_rotation_and_shift_use_draws_of_each_image(monkeypatch: pytest.MonkeyPatch):
    x = framed(20, 30).repeat(3, 1, 1, 1)
    turns, shifts = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([[0.2, 0.9], [0.5, 0.1], [0.7, 0.4]])
    draw(monkeypatch, "rand", turns, shifts)
    together = rotate_and_shift(x.view(3, 1, 2, 20, 30), degrees=12, shift=0.1)
    for n in range(3):
        draw(monkeypatch, "rand", turns[n : n + 1], shifts[n : n + 1])
        assert torch.equal(together[n], rotate_and_shift(x[n : n + 1], degrees=12, shift=0.1))


def test_rotation_by_right_angle_is_exact(monkeypatch: pytest.MonkeyPatch):
    x = noise(1, 3, 9, 9, dtype=torch.float64)
    draw(monkeypatch, "rand", torch.ones(1, dtype=torch.float64), torch.full((1, 2), 0.5, dtype=torch.float64))
    assert torch.equal(rotate_and_shift(x, degrees=90, shift=0.4), x.rot90(-1, (2, 3)))


def test_shifts_are_whole_pixels_up_to_limit():
    point = torch.zeros(4000, 1, 21, 31)
    point[:, :, 10, 15] = 0.7
    shifted = rotate_and_shift(point, degrees=0, shift=0.1)
    assert torch.equal(shifted.amax((2, 3)), torch.full((4000, 1), 0.7))
    assert torch.equal(shifted.count_nonzero((2, 3)), torch.ones(4000, 1, dtype=torch.int64))
    _, _, rows, columns = shifted.nonzero(as_tuple=True)
    assert sorted(set((rows - 10).tolist())) == list(range(-2, 3))
    assert sorted(set((columns - 15).tolist())) == list(range(-3, 4))
    assert abs(torch.corrcoef(torch.stack([rows, columns]).double())[0, 1]) < 0.1


@pytest.mark.slow
def test_rotations_reach_limit_in_both_directions():
    bar = torch.zeros(2000, 1, 101, 101)
    bar[:, :, 48:53, 93:98] = 1
    rotated = rotate_and_shift(bar, degrees=10, shift=0)
    rows = torch.arange(101.0).view(101, 1) - 50
    height = (rotated * rows).sum((1, 2, 3)) / rotated.sum((1, 2, 3))
    angle = torch.rad2deg(torch.asin(height / 45))
    assert angle.min() == pytest.approx(-10, abs=0.5)
    assert angle.max() == pytest.approx(10, abs=0.5)
    assert angle.mean() == pytest.approx(0, abs=0.5)


# brightness


@given(st.floats(0, 1), st.floats(0, 1))
def test_brightness_matches_torchvision(by: float, drawn: float):
    x = noise(1, 3, 5, 7, dtype=torch.float64) * 1.6
    with pytest.MonkeyPatch.context() as patch:
        draw(patch, "rand", torch.full((1, 1, 1, 1), drawn, dtype=torch.float64))
        changed = change_brightness(x, by)
    torch.testing.assert_close(changed, torchvision.adjust_brightness(x, 1 + by * (2 * drawn - 1)))


def test_brightness_varies_up_to_limit_and_is_clamped():
    gray = change_brightness(torch.full((40, 100, 1, 1, 1), 0.5), 0.2).flatten()
    assert gray.min() == pytest.approx(0.4, abs=1e-3)
    assert gray.max() == pytest.approx(0.6, abs=1e-3)
    assert gray.mean() == pytest.approx(0.5, abs=5e-3)
    white = change_brightness(torch.ones(1000, 1, 1, 1), 0.2)
    assert white.max() == 1
    assert 0.4 < (white == 1).float().mean() < 0.6


# crops and mirror images


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 3), (6, 6), (1, 5), (6, 2)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_crops_and_mirror_images_match_torchvision(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int, top: int, left: int, mirrored: bool
):
    x = noise(1, 3, height, width)
    draw(monkeypatch, "randint", torch.tensor([[top], [left]]))
    draw(monkeypatch, "rand", torch.tensor([0.49 if mirrored else 0.51]))
    cropped = torchvision.crop(torchvision.pad(x, [3, 3, 3, 3]), top, left, height, width)
    expected = torchvision.horizontal_flip(cropped) if mirrored else cropped
    assert torch.equal(crop_and_flip(x, padding=3), expected)


@pytest.mark.slow
@given(st.integers(0, 2), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_crops_are_drawn_from_all_possible_ones(padding: int, height: int, width: int, seed: int):
    x = noise(2, height, width)
    padded = torchvision.pad(x, [padding] * 4)
    places = range(2 * padding + 1)
    crops = [torchvision.crop(padded, top, left, height, width) for top in places for left in places]
    possible = {tuple(crop.flatten().tolist()) for crop in (*crops, *map(torchvision.horizontal_flip, crops))}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        changed = crop_and_flip(x.repeat(500, 1, 1, 1), padding)
    drawn = {tuple(image.flatten().tolist()) for image in changed}
    assert drawn <= possible
    assert len(drawn) > 0.9 * len(possible)


def test_half_of_images_are_mirrored_uncropped_without_padding():
    x = noise(3, 4, 6)
    images = crop_and_flip(x.repeat(4000, 1, 1, 1), padding=0)
    unchanged, mirrored = ((images == image).flatten(1).all(1) for image in (x, x.flip(2)))
    assert torch.equal(unchanged, ~mirrored)
    assert 0.47 < mirrored.float().mean() < 0.53


def test_crops_have_channels_last_in_memory():
    assert crop_and_flip(noise(5, 3, 8, 8), 2).is_contiguous(memory_format=torch.channels_last)
