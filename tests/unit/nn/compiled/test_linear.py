"""Tests of the compiled linear layer against the one from scratch."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.nets import SCALES, SEEDS
from tests.unit.nn.compiled.twins import Twins, chain

WIDTHS = st.lists(st.integers(1, 21), min_size=2, max_size=4)


@pytest.mark.slow
@settings(max_examples=60)
@given(WIDTHS, st.integers(1, 40), st.booleans(), SCALES, SEEDS)
def test_gradients_equal_scratch(widths: list[int], n: int, bias: bool, scale: float, seed: int) -> None:
    """The sizes include all remainders of tiles, 8 and 16 columns wide and 4 and 2 rows high."""
    twins = Twins(chain(widths, bias=bias))
    split = twins.examples(n, seed, scale)
    twins.compare_gradients(split)
    twins.compare_predictions(split.x)


@pytest.mark.parametrize("n", [1, 3, 4, 8, 12, 16, 23, 31, 32, 64, 65])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, 8, 64])
def test_gradients_equal_scratch_for_sizes_of_tiles(width: int, n: int) -> None:
    twins = Twins(chain([2, width, width, 1]))
    twins.compare_gradients(twins.examples(n))
