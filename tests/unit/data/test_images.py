"""Sets of images, and the splits that models see."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from labcheck import DataError
from labcheck.data.examples import generators
from labcheck.data.images import EVAL_BATCH, Selection
from tests.helpers.labs import random_images

SIZES = st.integers(0, 12)
SEEDS = st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True)
image_set = partial(random_images, height=2, width=3, channels=2)


# sets and their splits


@given(SIZES, SIZES, SEEDS)
def test_splits_without_test_set_are_disjoint(train: int, test: int, seeds: list[int]):
    rows = image_set(30, 0).draw_rows({"train": train, "test": test}, generators(seeds, "data"))
    assert [(split, index.shape) for split, index in rows.items()] == [
        ("train", (len(seeds), train)),
        ("test", (len(seeds), test)),
    ]
    for index in torch.cat([rows["train"], rows["test"]], 1).tolist():
        assert len(set(index) & set(range(30))) == train + test


@given(SIZES, SIZES, SEEDS)
def test_test_split_is_drawn_from_test_set_only(train: int, test: int, seeds: list[int]):
    images = image_set(30, 12)
    assert images.train_size == 18
    sizes = {"train": train, "val": 18 - train, "test": test}
    rows = images.draw_rows(sizes, generators(seeds, "data"))
    for index in torch.cat([rows["train"], rows["val"]], 1).tolist():
        assert sorted(index) == list(range(18))
    for index in rows["test"].tolist():
        assert len(set(index) & set(range(18, 30))) == test


@given(st.sampled_from([0, 12]), SEEDS)
def test_seed_has_same_images_beside_any_other_seeds(test_size: int, seeds: list[int]):
    images, sizes = image_set(30, test_size), {"train": 7, "val": 5, "test": 6}
    together = images.draw_rows(sizes, generators(seeds, "data"))
    for k, seed in enumerate(seeds):
        alone = images.draw_rows(sizes, generators([seed], "data"))
        assert all(torch.equal(alone[split][0], rows[k]) for split, rows in together.items())


def test_seeds_have_different_images():
    rows = image_set(30, 12).draw_rows({"train": 9, "test": 9}, generators(range(5), "data"))
    assert len(set(map(tuple, rows["train"].tolist()))) == len(set(map(tuple, rows["test"].tolist()))) == 5


def test_smaller_training_split_keeps_test_split():
    images = image_set(30, 12)
    smaller, larger = (images.draw_rows({"train": n, "test": 6}, generators([1, 2], "data")) for n in (5, 9))
    assert torch.equal(smaller["test"], larger["test"])
    assert torch.equal(smaller["train"], larger["train"][:, :5])


@pytest.mark.parametrize(
    ("test_size", "sizes", "split", "left", "size"),
    [
        (0, {"train": 31}, "train", 30, 31),
        (0, {"train": 25, "val": 6}, "val", 5, 6),
        (0, {"train": 25, "test": 6}, "test", 5, 6),
        (12, {"train": 19, "test": 1}, "train", 18, 19),
        (12, {"train": 1, "test": 13}, "test", 12, 13),
    ],
)
def test_too_large_split_is_refused(test_size: int, sizes: dict[str, int], split: str, left: int, size: int):
    message = f"^random: the split {split} must have at most {left} images, got {size}; use smaller splits$"
    with pytest.raises(DataError, match=message):
        image_set(30, test_size).draw_rows(sizes, generators([0], "data"))


def test_splits_contain_drawn_images():
    images, sizes = image_set(30, 12), {"train": 7, "test": 6}
    splits = images.splits(sizes, generators([3, 4], "data"), torch.float64)
    rows = images.draw_rows(sizes, generators([3, 4], "data"))
    assert list(splits) == ["train", "test"]
    for name, split in splits.items():
        assert torch.equal(split.rows, rows[name])
        [chunk] = split.chunks()
        assert chunk.x.dtype == torch.float64
        assert torch.equal((chunk.x * 255).round().byte().movedim(2, -1), images.images[rows[name]])


@given(st.integers(1, 30))
def test_last_keeps_last_images_and_test_size(n: int):
    images = image_set(30, 12)
    last = images.last(n)
    assert (last.name, last.test_size) == ("random", 12)
    assert torch.equal(last.images, images.images[30 - n :])
    assert torch.equal(last.labels, images.labels[30 - n :])


def test_digest_depends_on_pixels_and_labels_only():
    images = image_set(30, 0)
    brighter, mislabeled = images.images.clone(), images.labels.clone()
    brighter[29, 1, 2, 1] ^= 1
    mislabeled[29] = 0
    others = [replace(images, images=brighter), replace(images, labels=mislabeled), images.last(29), image_set(29, 0)]
    assert len({images.digest, *(other.digest for other in others)}) == 5
    strided = images.images.movedim(-1, 1).contiguous().movedim(1, -1)
    assert replace(images, name="other", images=strided).digest == images.digest


@given(st.integers(1, 30), st.integers(0, 29), st.integers(1, 3))
def test_moments_exclude_test_set(n: int, test_size: int, channels: int):
    images = random_images(n, min(test_size, n - 1), 2, 3, channels)
    pixels = images.images[: images.train_size].double().flatten(0, 2) / 255
    mean, deviation = images.moments
    torch.testing.assert_close(mean, pixels.mean(0))
    torch.testing.assert_close(deviation, pixels.std(0, correction=0))


def test_images_of_one_color_have_no_deviation():
    gray = replace(image_set(30, 0), images=torch.full((30, 2, 3, 2), 77, dtype=torch.uint8))
    assert [moment.tolist() for moment in gray.moments] == [[77 / 255] * 2, [0, 0]]


# selections


def selection(rows: Tensor, dtype: torch.dtype = torch.float32, flat: bool = False) -> Selection:
    images = image_set(30, 0)
    return Selection(images.images, images.labels, rows, dtype, flat)


ROWS = torch.tensor([[3, 1, 4, 15], [9, 2, 6, 5]])


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=1, max_size=6))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batch_has_images_of_each_model_with_channels_first(dtype: torch.dtype, index: list[list[int]]):
    images, split = image_set(30, 0), selection(ROWS, dtype)
    batch = split.batch(torch.tensor(index).T)
    assert batch.x.dtype == dtype
    assert batch.x.shape == (2, len(index), 2, 2, 3)
    assert batch.y.shape == (2, len(index), 1)
    for k in range(2):
        for b, place in enumerate(places[k] for places in index):
            row = int(ROWS[k, place])
            assert torch.equal(batch.x[k, b], images.images[row].permute(2, 0, 1).to(dtype) / 255)
            assert batch.y[k, b].tolist() == [row % 10]


def test_batch_has_channels_last_in_memory():
    x = selection(ROWS).batch(torch.tensor([[0, 1, 2], [3, 2, 1]])).x
    assert x.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert not x.is_contiguous()


def test_flat_examples_are_rows_of_pixels():
    index = torch.tensor([[0, 1, 2], [3, 2, 1]])
    image, flat = (selection(ROWS, flat=flat).batch(index) for flat in (False, True))
    assert flat.x.shape == (2, 3, 12)
    assert torch.equal(flat.x, image.x.movedim(2, -1).flatten(2))
    assert torch.equal(flat.y, image.y)


def test_pixels_range_from_0_to_1():
    shades = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    x = Selection(shades, torch.zeros(1, dtype=torch.int64), torch.zeros(1, 1, dtype=torch.int64), torch.float64)
    assert torch.equal(next(x.chunks()).x.flatten(), torch.arange(256) / torch.tensor(255, dtype=torch.float64))


@pytest.mark.parametrize("n", [1, EVAL_BATCH, EVAL_BATCH + 1, 2 * EVAL_BATCH + 7])
def test_chunks_contain_all_examples_in_order(n: int):
    split = selection(torch.stack([torch.arange(n) % 30, torch.arange(n).flip(0) % 30]))
    assert len(split) == n
    chunks = list(split.chunks())
    whole = split.batch(torch.arange(n).repeat(2, 1))
    assert max(map(len, chunks)) <= EVAL_BATCH
    assert torch.equal(torch.cat([chunk.x for chunk in chunks], 1), whole.x)
    assert torch.equal(torch.cat([chunk.y for chunk in chunks], 1), whole.y)
    assert torch.equal(whole.y, split.y)


@pytest.mark.parametrize("models", [[], [1], [1, 0], [0, 0, 1]])
@pytest.mark.parametrize("flat", [False, True])
def test_select_keeps_examples_of_models(models: list[int], flat: bool):
    split = selection(ROWS, torch.float64, flat).select(torch.tensor(models, dtype=torch.int64))
    whole = next(selection(ROWS, torch.float64, flat).chunks())
    [chunk] = split.chunks()
    assert len(split) == 4
    assert chunk.x.dtype == torch.float64
    assert torch.equal(chunk.x, whole.x[models])
    assert torch.equal(chunk.y, whole.y[models])


@pytest.mark.parametrize("flat", [False, True])
def test_to_moves_all_tensors_to_device(flat: bool):
    split = selection(ROWS, torch.float64, flat)
    moved = split.to("meta")
    assert {tensor.device.type for tensor in (moved.images, moved.labels, moved.rows, moved.y)} == {"meta"}
    assert (moved.dtype, moved.flat, len(moved)) == (torch.float64, flat, 4)
    assert torch.equal(next(split.to("cpu").chunks()).x, next(split.chunks()).x)
