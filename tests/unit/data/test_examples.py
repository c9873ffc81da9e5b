"""Random streams and the orders of training examples."""

import pytest
import torch

from labcheck.data.examples import generators, loader_shuffled, shuffled, substream
from tests.helpers.labs import loader_orders


@pytest.mark.parametrize(("n", "batch", "seed"), [(10, 3, 0), (3000, 64, 1), (1, 1, 2), (7, 100, 3)])
def test_loader_shuffled_matches_torch_loader(n: int, batch: int, seed: int):
    order = loader_shuffled(torch.Generator().manual_seed(seed))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        expected = loader_orders(n, batch, 4)
    assert [order(n).tolist() for _ in range(4)] == expected


@pytest.mark.parametrize("make", [shuffled, loader_shuffled])
def test_orders_are_permutations_that_differ_by_epoch(make):
    order = make(torch.Generator().manual_seed(0))
    first, second = order(50), order(50)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert not torch.equal(first, second)


def test_generators_depend_on_seed_and_stream_only():
    def draws(seeds: list[int], stream: str) -> list[tuple[float, ...]]:
        return [tuple(torch.rand(3, generator=rng).tolist()) for rng in generators(seeds, stream)]

    streams = ("data", "init", "order", "noise")
    assert len({drawn for stream in streams for drawn in draws([0, 1, 2], stream)}) == 12
    assert draws([2, 0], "data") == [draws([0, 1, 2], "data")[2], draws([0], "data")[0]]


def test_substream_depends_on_seed_and_name_only():
    def draws(seed: int, name: str, before: int = 0) -> list[float]:
        rng = torch.Generator().manual_seed(seed)
        torch.rand(before, generator=rng)
        return torch.rand(3, generator=substream(rng, name)).tolist()

    assert draws(1, "output") == draws(1, "output", before=7)
    several = [draws(seed, name) for seed in (1, 2) for name in ("output", "hidden 1", "hidden 2")]
    assert len({tuple(drawn) for drawn in several}) == 6


def test_substream_leaves_generator_unchanged():
    rng = torch.Generator().manual_seed(1)
    substream(rng, "output")
    assert torch.equal(torch.rand(3, generator=rng), torch.rand(3, generator=torch.Generator().manual_seed(1)))
